"""From an architecture to a network: which modules, and how they are initialised."""

import math

import torch
from torch import nn

from explorer.design.alexnet import alexnet_layout
from explorer.design.architecture import Architecture
from explorer.design.layout import layout
from explorer.design.template import Task
from explorer.training.network import AlexNet, Basic, Bottleneck, Inception, ResNeXt


def module_of(architecture: Architecture, task: Task) -> ResNeXt | AlexNet:
    """The network in its grouped form, with whatever weights torch gives it. Raises ValueError as `layout` does."""
    if architecture.block == "alexnet":
        cardinality, width = architecture.cardinalities[0], architecture.bottleneck_widths[0]
        return AlexNet(alexnet_layout(architecture.shape, task, cardinality, width))
    return ResNeXt(layout(architecture, task))


def build(
    architecture: Architecture, task: Task, generator: torch.Generator, *, zero_init_residual: bool = False
) -> nn.Module:
    """A network on the CPU in float32, initialised as in the paper's code from one random stream.

    Convolutions: normal with standard deviation sqrt(2 / (k * k * out_channels)), groups not divided; batch norm: one
    and zero; linear layers: uniform within 1 / sqrt(features), bias zero (facebookresearch/ResNeXt,
    models/resnext.lua). With `zero_init_residual` the batch norm that ends a block, where one does and there is a
    shortcut beside it, starts at zero (Goyal et al., 2017, section 5.1).
    """
    with torch.device("meta"):
        network = module_of(architecture, task)
    network.to_empty(device="cpu")
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            nn.init.zeros_(module.bias)
    if zero_init_residual and architecture.shortcut:
        for module in network.modules():
            if isinstance(module, (Bottleneck, Inception)):
                nn.init.zeros_(module.bn3.weight)
            elif isinstance(module, Basic):
                nn.init.zeros_(module.bn2.weight)
    return network
