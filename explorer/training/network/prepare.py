"""Prepare a network for its device: the same function of the same weights, executed faster.

Parameters, state dicts and costs stay the same: modules are replaced by ones that compute the same in another way.
"""

from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name
from torch import Tensor, nn

from explorer.design.grouped import GroupedConv
from explorer.design.template import Task
from explorer.study.run import Convolution, Execution
from explorer.training.network.fused import fuse
from explorer.training.network.narrow import NarrowConv2d


class MergedConv2d(nn.Conv2d):
    """A grouped convolution executed with fewer, wider groups: a block-diagonal weight with zeros elsewhere.

    Sums are equal except for rounding, since the additional products are all zero.
    """

    executed_groups: int
    executed_contiguous: bool

    def forward(self, images: Tensor) -> Tensor:
        """The convolution's output maps `(batch, out_channels, height, width)`."""
        if self.executed_contiguous:
            images = images.contiguous()
        weight = merged(self.weight, self.groups, self.executed_groups)
        maps = F.conv2d(images, weight, self.bias, self.stride, self.padding, self.dilation, self.executed_groups)
        return maps.contiguous(memory_format=torch.channels_last) if self.executed_contiguous else maps


class PreciseLinear(nn.Linear):
    """A linear layer that stays in float32 where the layers before it do not: scores rounded to bfloat16 would tie."""

    def forward(self, features: Tensor) -> Tensor:
        """Scores `(batch, out_features)` in float32."""
        with torch.autocast(features.device.type, enabled=False):
            return F.linear(features.float(), self.weight, self.bias)


def merged(weight: Tensor, groups: int, fewer: int) -> Tensor:
    """A grouped weight `(out, in / groups, k, k)` as the block-diagonal `(out, in / fewer, k, k)` of fewer groups."""
    if groups == fewer:
        return weight
    out, width, *kernel = weight.shape
    blocks = groups // fewer
    diagonal = torch.eye(blocks, dtype=weight.dtype, device=weight.device).view(1, blocks, 1, blocks, 1, 1, 1)
    spread = weight.view(fewer, blocks, out // groups, 1, width, *kernel) * diagonal
    return spread.reshape(out, blocks * width, *kernel)


def prepare(network: nn.Module, execution: Execution, task: Task) -> nn.Module:
    """Move a network to its device and memory layout, and replace modules that the plan executes differently."""
    choices = {choice.layer: choice for choice in execution.convolutions}
    sizes = _map_sizes(network, task) if choices else {}
    for name, module in list(network.named_modules()):
        if name in sizes:
            assert isinstance(module, nn.Conv2d)
            choice = choices.get(_shape_of(module, sizes[name]).key)
            if choice is not None:
                exchange(module, choice)
        elif isinstance(module, nn.Linear) and execution.precision != "float32":
            module.__class__ = PreciseLinear
    if execution.norms == "fused":
        fuse(network)
    order = torch.channels_last if execution.layout == "channels_last" else torch.contiguous_format
    return network.to(execution.device).to(memory_format=order)  # type: ignore[call-overload, no-any-return]


def exchange(module: nn.Conv2d, choice: Convolution) -> None:
    """Change a grouped convolution to the chosen execution."""
    # Only the class changes: parameters, their order and names stay, so optimiser and state dict still fit.
    if choice.layout == "kernel":
        module.__class__ = NarrowConv2d
        return
    module.__class__ = MergedConv2d
    assert isinstance(module, MergedConv2d)
    module.executed_groups, module.executed_contiguous = choice.groups, choice.layout == "contiguous"


def _shape_of(module: nn.Conv2d, map_size: int) -> GroupedConv:
    """The shape of a convolution on maps of side `map_size`."""
    return GroupedConv(
        module.in_channels, module.out_channels, module.kernel_size[0], module.stride[0], module.groups, map_size
    )


def _map_sizes(network: nn.Module, task: Task) -> dict[str, int]:
    """Side of the maps entering each grouped convolution, by its name, from a pass of one image without arithmetic."""
    found: dict[str, int] = {}
    hooks = [
        module.register_forward_pre_hook(lambda _, inputs, name=name: found.update({name: inputs[0].shape[-1]}))
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and module.groups > 1
    ]
    state = {name: tensor.to("meta") for name, tensor in network.state_dict().items()}
    was_training = network.training
    try:
        image = torch.empty(1, task.channels, task.image_size, task.image_size, device="meta")
        torch.func.functional_call(network.eval(), state, image)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return found


def arithmetic(execution: Execution) -> AbstractContextManager[None]:
    """The context of a forward pass: convolutions in bfloat16 where the plan says so."""
    return torch.autocast(execution.device, torch.bfloat16, enabled=execution.precision == "bfloat16")
