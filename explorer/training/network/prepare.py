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

# Padded groups have a multiple of so many channels: below it the tensor cores' kernels for 16 bits do not apply.
UNIT = 8
NUMBERS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
ORDERS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


UNIT = 8  # a padded group's number of channels is a multiple of it: the tensor cores' unit in 16 bits


class MergedConv2d(nn.Conv2d):
    """A grouped convolution executed with fewer, wider groups: a block-diagonal weight with zeros elsewhere.

    Its maps may be copied to another memory order and back, or its groups be padded with channels of zeros. Sums are
    equal except for rounding, since the additional products are all zero.
    """

    executed_groups: int
    executed_layout: str

    def forward(self, images: Tensor) -> Tensor:
        """The convolution's output maps `(batch, out_channels, height, width)`."""
        weight, given = merged(self.weight, self.groups, self.executed_groups), order_of(images)
        if self.executed_layout == "padded":
            return self._by_padded_groups(images.contiguous(memory_format=given), weight)
        order = ORDERS.get(self.executed_layout, given)
        if order != given:
            images = images.contiguous(memory_format=order)
        maps = F.conv2d(images, weight, self.bias, self.stride, self.padding, self.dilation, self.executed_groups)
        return maps if order == given else maps.contiguous(memory_format=given)

    def _by_padded_groups(self, images: Tensor, weight: Tensor) -> Tensor:
        groups, bias = self.executed_groups, self.bias
        own = self.out_channels // groups
        more = -own % UNIT
        spread = F.pad(weight.view(groups, own, *weight.shape[1:]), (0, 0, 0, 0, 0, -weight.shape[1] % UNIT, 0, more))
        if bias is not None:
            bias = F.pad(bias.view(groups, own), (0, more)).view(-1)
        maps = padded(images, groups)
        maps = F.conv2d(maps, spread.flatten(0, 1), bias, self.stride, self.padding, self.dilation, groups)
        return unpadded(maps, groups, own)


def order_of(maps: Tensor) -> torch.memory_format:
    """The memory order of maps; channels first where both are the same, as for one pixel."""
    is_last = maps.is_contiguous(memory_format=torch.channels_last) and not maps.is_contiguous()
    return torch.channels_last if is_last else torch.contiguous_format


def padded(maps: Tensor, groups: int) -> Tensor:
    """Maps with channels of zeros after those of each group, to a multiple of 8, in the same memory order."""
    batch, channels, *size = maps.shape
    own = channels // groups
    more = -own % UNIT
    if order_of(maps) == torch.channels_last:  # each pixel's channels lie side by side
        pixels = F.pad(maps.permute(0, 2, 3, 1).view(batch, *size, groups, own), (0, more))
        return pixels.flatten(3).permute(0, 3, 1, 2)
    return F.pad(maps.view(batch, groups, own, *size), (0, 0, 0, 0, 0, more)).flatten(1, 2)


def unpadded(maps: Tensor, groups: int, own: int) -> Tensor:
    """The first `own` channels of each group of maps, in the same memory order."""
    batch, channels, *size = maps.shape
    if order_of(maps) == torch.channels_last:
        pixels = maps.permute(0, 2, 3, 1).view(batch, *size, groups, channels // groups)
        return pixels[..., :own].flatten(3).permute(0, 3, 1, 2)
    return maps.contiguous().view(batch, groups, channels // groups, *size)[:, :, :own].flatten(1, 2)


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
        elif isinstance(module, nn.Linear) and "." not in name and execution.precision != "float32":  # in no block
            module.__class__ = PreciseLinear
    if execution.norms == "fused":
        fuse(network, execution.device)
    if execution.layout == "contiguous":  # the order of the images decides that of all maps
        network.register_forward_pre_hook(lambda _, inputs: tuple(one.contiguous() for one in inputs))
    return network.to(execution.device).to(memory_format=ORDERS[execution.layout])  # type: ignore[call-overload, no-any-return]


def exchange(module: nn.Conv2d, choice: Convolution) -> None:
    """Change a grouped convolution to the chosen execution."""
    # Only the class changes: parameters, their order and names stay, so optimiser and state dict still fit.
    if choice.layout == "kernel":
        module.__class__ = NarrowConv2d
        return
    module.__class__ = MergedConv2d
    assert isinstance(module, MergedConv2d)
    module.executed_groups, module.executed_layout = choice.groups, choice.layout


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
    """The context of a forward pass: convolutions in bfloat16 or float16 where the plan says so."""
    kind = torch.float16 if execution.precision == "float16" else torch.bfloat16
    return torch.autocast(execution.device, kind, enabled=execution.precision != "float32")
