"""Build a network from an architecture: choose its modules and initialise them."""

import math
from typing import cast

import torch
from torch import Tensor, nn

from explorer.design.alexnet import alexnet_layout
from explorer.design.architecture import Architecture
from explorer.design.layout import layout
from explorer.design.template import Task
from explorer.training.network.modules import AlexNet, Basic, Bottleneck, Inception, ResNeXt, ScaledBottleneck
from explorer.training.streams import seeded

# Names of the convolutions of a ResNeXt's stem, of one or of three, and of an AlexNet's first, which are in no block.
STEMS = ("conv1", "conv1.0", "conv1.3", "conv1.6")


def module_of(architecture: Architecture, task: Task) -> ResNeXt | AlexNet:
    """The network in its grouped form, with torch's default weights. Raises ValueError as `layout` does."""
    if architecture.block == "alexnet":
        return AlexNet(alexnet_layout(architecture, task))
    return ResNeXt(layout(architecture, task))


def with_storage(architecture: Architecture, task: Task, seed: int = 0) -> ResNeXt | AlexNet:
    """The network on the CPU, for weights to be filled in: of ours with none, which is faster.

    Added blocks are made whole, from a seed: some parameters start as they say, and buffers may be in no file.
    """
    if architecture.kind.module is not None:
        with seeded(seed):
            return module_of(architecture, task)
    with torch.device("meta"):
        network = module_of(architecture, task)
    return network.to_empty(device="cpu")


def build(
    architecture: Architecture,
    task: Task,
    generator: torch.Generator,
    *,
    zero_init_residual: bool = False,
    init: str = "fan_out",
    init_gain: float = 1.0,
) -> nn.Module:
    """A network on the CPU in float32, by default initialised as in the paper's code from one random stream.

    Convolutions: normal with standard deviation sqrt(2 / fan), where `init` says what the fan is: `fan_out`
    k * k * out_channels, groups not divided (facebookresearch/ResNeXt, models/resnext.lua); `fan_out_groups` the same
    divided by the groups; `fan_in` k * k * in_channels divided by the groups. In the blocks, and in AlexNet after its
    first convolution, weights of k x k convolutions, k > 1, are multiplied by `init_gain`. Each `init` takes the same
    numbers from the stream, so networks with one path start the same under the first two. Batch norm: one and zero;
    linear layers: uniform within 1 / sqrt(features), bias zero (models/resnext.lua). With `zero_init_residual` the
    batch norm that ends a block, where one does and there is a shortcut beside it, starts at zero (Goyal et al., 2017,
    section 5.1). Other layers, which added blocks may have, start as their modules say, from the same seed, whichever
    generator they draw from: torch's, numpy's or Python's.
    """
    network = with_storage(architecture, task, generator.initial_seed())
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            gain = init_gain if module.kernel_size != (1, 1) and name not in STEMS else 1.0
            nn.init.normal_(module.weight, std=gain * math.sqrt(2) / math.sqrt(_fan(module, init)), generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv1d):  # along the channels: one output channel, so its fan is its kernel
            nn.init.normal_(module.weight, std=math.sqrt(2 / module.kernel_size[0]), generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    if zero_init_residual and architecture.shortcut:
        for module in network.modules():
            if isinstance(module, (Bottleneck, ScaledBottleneck, Inception)):
                nn.init.zeros_(module.bn3.weight)
            elif isinstance(module, Basic):
                nn.init.zeros_(module.bn2.weight)
        if name := architecture.kind.last_norm:
            for stage in network.stage_names:
                for one in network.get_submodule(stage).children():
                    nn.init.zeros_(cast(Tensor, one.get_submodule(name).weight))
    return network


def _fan(conv: nn.Conv2d, init: str) -> int:
    """The fan by which the variance of a convolution's weights is divided; `build` describes each `init`."""
    channels = {
        "fan_out": conv.out_channels,
        "fan_out_groups": conv.out_channels // conv.groups,
        "fan_in": conv.in_channels // conv.groups,
    }
    return math.prod(conv.kernel_size) * channels[init]
