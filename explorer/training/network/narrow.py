"""Grouped convolutions with narrow groups, executed by a C kernel that computes many groups at once.

A processor multiplies 8 or 16 numbers at a time; a group of 4 channels leaves most of these lanes idle, and torch's
kernels spend more time on the groups' borders than on products. The kernel places groups side by side instead.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn

from explorer.design.grouped import GroupedConv
from explorer.training.network.kernels import Shape, by_channels, call, is_available

LANES = 16  # as in grouped.c


class NarrowConv2d(nn.Conv2d):
    """A grouped 3x3 convolution by the kernel: the same function of the same weights, summed in another order.

    Weights stay float32 in products, also where torch would round them to bfloat16.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """The convolution's output maps `(batch, channels, height, width)`."""
        if torch.is_autocast_enabled("cpu"):
            input = input.to(torch.get_autocast_dtype("cpu"))  # noqa: A001
        return cast(Tensor, _Narrow.apply(input, self.weight))  # type: ignore[no-untyped-call]


def fits(shape: GroupedConv) -> bool:
    """Whether the kernel supports this convolution and is available."""
    width = shape.width // shape.groups
    same = shape.in_width == shape.width and shape.stride == 1 and shape.kernel_size == 3
    return same and shape.width % LANES == 0 and LANES % width == 0 and is_available()


class _Narrow(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor) -> Tensor:
        maps = by_channels(maps)
        ctx.save_for_backward(maps, weight)
        return _convolved(maps, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        maps, weight = ctx.saved_tensors
        gradient = by_channels(gradient.to(maps.dtype))
        channels, width = weight.shape[:2]
        packed = torch.empty(channels // LANES, 3, 3, width, LANES)
        call("grouped_weights", maps, gradient, packed, _shape(maps, width))
        to_weight = packed.permute(0, 4, 3, 1, 2).reshape(weight.shape)
        # The gradient with respect to the input is a convolution of the output's gradient, with input and output
        # channels exchanged and the kernel rotated.
        groups = weight.view(channels // width, width, width, 3, 3)
        turned = groups.transpose(1, 2).flip(3, 4).reshape(weight.shape)
        return _convolved(gradient, turned), to_weight


def _convolved(maps: Tensor, weight: Tensor) -> Tensor:
    channels, width = weight.shape[:2]
    packed = weight.float().reshape(channels // LANES, LANES, width, 3, 3).permute(0, 3, 4, 2, 1).contiguous()
    found = torch.empty_like(maps)
    call("grouped_forward", maps, found, packed, _shape(maps, width))
    return found


def _shape(maps: Tensor, width: int) -> Shape:
    batch, channels, rows, columns = maps.shape
    return Shape(batch, rows, columns, channels, width, torch.get_num_threads())
