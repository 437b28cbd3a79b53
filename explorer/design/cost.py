"""Exact cost in closed form: parameters, multiply-adds and activations, without building a network.

Counting rules; parameters and multiply-adds are those that torchvision publishes and the ResNeXt paper rounds:
params       every weight and bias, batch-norm scale and shift included
macs         multiply-adds of convolutions and linear layers for one image; the papers call these "FLOPs".
             Batch norm, bias, pooling and addition are not counted.
activations  output values of all convolutions for one image

pycls counts the same parameters. To the multiply-adds it adds the classifier's bias (1,000 for ImageNet), and to the
activations the outputs of the stem's pooling (200,704 at 224 pixels) and of the classifier (1,000).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from explorer.design.alexnet import AlexNetLayout, alexnet_layout
from explorer.design.architecture import Architecture
from explorer.design.attention import eca_kernel, squeezed_width
from explorer.design.block import BLOCKS
from explorer.design.layout import Layout, Stage, Stem, layout, reduced
from explorer.design.template import Task


@dataclass(frozen=True)
class Cost:
    """Cost of a network or of a part of it, for one image. Integers, or numpy int64 arrays for many designs at once."""

    params: int
    macs: int
    activations: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.params + other.params, self.macs + other.macs, self.activations + other.activations)

    def __mul__(self, times: int) -> "Cost":
        return Cost(self.params * times, self.macs * times, self.activations * times)


def norm_cost(width: int) -> Cost:
    """Cost of a batch norm: one scale and one shift per channel."""
    return Cost(params=2 * width, macs=0, activations=0)


def conv_cost(fan_in: int, width: int, *, map_size: int, kernel_size: int = 1) -> Cost:
    """Cost of a convolution without bias. `fan_in`: input channels of one group; `map_size`: side of its output."""
    weights = fan_in * width * kernel_size**2
    pixels = map_size**2
    return Cost(params=weights, macs=weights * pixels, activations=width * pixels)


def linear_cost(features: int, width: int) -> Cost:
    """Cost of a linear layer with bias."""
    return Cost(params=(features + 1) * width, macs=features * width, activations=0)


def block_cost(stage: Stage, *, in_width: int, stride: int, map_size: int) -> Cost:
    """Cost of one block of a stage, with its attention and shortcut.

    Where shapes differ this is a 1x1 projection (type B), which costs the same behind average pooling (ResNet-D), or
    padding, which costs nothing (type A).
    """
    if (own := BLOCKS[stage.block].cost) is not None:
        return cast(Cost, own(stage, in_width=in_width, stride=stride, map_size=map_size))
    out_size = reduced(map_size, stride)
    total = _BLOCK_COSTS[stage.block](stage, in_width, map_size, out_size)
    if stage.attention != "none":
        total += attention_cost(stage, in_width)
    if stage.shortcut and stage.projection != "pad":
        projected = (in_width != stage.width) | (stride != 1)
        projection = conv_cost(in_width, stage.width, map_size=out_size)
        if not BLOCKS[stage.block].preactivated:
            projection += norm_cost(stage.width)
        total += projection * projected
    return total


def attention_cost(stage: Stage, in_width: int) -> Cost:
    """Cost of what scales a block's channels: its convolutions are on maps of one pixel."""
    if stage.attention == "eca":
        kernel, width = eca_kernel(stage.width), stage.width
        return Cost(params=kernel, macs=kernel * width, activations=width)
    scaled = stage.width if stage.attention == "se" else stage.middle_width
    squeezed = squeezed_width(stage.attention, stage.se_ratio, in_width=in_width, width=stage.width)
    biases = Cost(params=squeezed + scaled, macs=0, activations=0)
    return conv_cost(scaled, squeezed, map_size=1) + conv_cost(squeezed, scaled, map_size=1) + biases


def stage_cost(stage: Stage) -> Cost:
    """Cost of a stage: its first block changes width and map, the others repeat."""
    out_size = reduced(stage.map_size, stage.stride)
    first = block_cost(stage, in_width=stage.in_width, stride=stage.stride, map_size=stage.map_size)
    return first + block_cost(stage, in_width=stage.width, stride=1, map_size=out_size) * (stage.depth - 1)


@lru_cache(maxsize=4096)
def cost(architecture: Architecture, task: Task | None = None) -> Cost:
    """Cost of a whole network on a task, by default its template's own task. Raises ValueError as `layout` does."""
    task = task or architecture.shape.task
    if architecture.block == "alexnet":
        return alexnet_cost(alexnet_layout(architecture, task))
    return layout_cost(layout(architecture, task))


def layout_cost(spelled_out: Layout) -> Cost:
    """Cost of a network of stages."""
    stem = spelled_out.stem
    total = stem_cost(stem)
    for stage in spelled_out.stages:
        total += stage_cost(stage)
    width = spelled_out.stages[-1].width
    # Each pre-activated block is counted with the batch norm before it, including the stem's; one more batch norm
    # follows the last stage. In other networks the stem's own batch norm is counted.
    total += norm_cost(width if spelled_out.normalised_head else stem.width)
    return total + linear_cost(width, spelled_out.classes)


def stem_cost(stem: Stem) -> Cost:
    """Cost of the stem's convolutions, without the batch norm that ends it."""
    if not stem.deep:
        return conv_cost(stem.channels, stem.width, map_size=stem.map_size, kernel_size=stem.kernel_size)
    half = stem.width // 2
    steps = ((stem.channels, half), (half, half), (half, stem.width))
    each = [conv_cost(into, out, map_size=stem.map_size, kernel_size=3) for into, out in steps]
    return each[0] + each[1] + each[2] + norm_cost(2 * half)


def alexnet_cost(layers: AlexNetLayout) -> Cost:
    """Cost of AlexNet's layers; its convolutions have a bias and no batch norm."""
    total = Cost(0, 0, 0)
    for conv in layers.convolutions:
        fan_in = conv.in_width // conv.groups
        total += conv_cost(fan_in, conv.width, map_size=conv.map_size, kernel_size=conv.kernel_size)
        total += Cost(params=conv.width, macs=0, activations=0)
    total += linear_cost(layers.features, layers.hidden)
    total += linear_cost(layers.hidden, layers.hidden)
    return total + linear_cost(layers.hidden, layers.classes)


def _bottleneck(stage: Stage, in_width: int, map_size: int, out_size: int) -> Cost:
    """1x1, grouped convolution with the stride, 1x1 (ResNeXt paper, section 3.1: C * (256 d + 9 d d + 256 d))."""
    group_width, middle = stage.group_width, stage.middle_width
    convolved = max(stage.scale - 1, 1)  # the last of several groups of channels is passed on as it is (Res2Net)
    return (
        conv_cost(in_width, middle, map_size=map_size)
        + conv_cost(stage.bottleneck_width, group_width, map_size=out_size, kernel_size=stage.kernel_size) * convolved
        + conv_cost(middle, stage.width, map_size=out_size)
        + norm_cost(middle + convolved * group_width + _outer_norm(stage, in_width))
    )


def _basic(stage: Stage, in_width: int, map_size: int, out_size: int) -> Cost:
    """Two convolutions, the first with the stride; `bottleneck_width` channels between them."""
    del map_size
    middle, kernel = stage.bottleneck_width, stage.kernel_size
    return (
        conv_cost(in_width, middle, map_size=out_size, kernel_size=kernel)
        + conv_cost(middle, stage.width, map_size=out_size, kernel_size=kernel)
        + norm_cost(middle + _outer_norm(stage, in_width))
    )


def _inception(stage: Stage, in_width: int, map_size: int, out_size: int) -> Cost:
    """Paths of one width: 1x1; 1x1 then 3x3; 1x1 then 5x5; pooling then 1x1; concatenated, then 1x1."""
    path = stage.bottleneck_width
    return (
        conv_cost(in_width, 2 * path, map_size=out_size)  # the 1x1 path, and the one behind the pooling
        + conv_cost(in_width, 2 * path, map_size=map_size)  # the reductions before 3x3 and 5x5
        + conv_cost(path, path, map_size=out_size, kernel_size=3)
        + conv_cost(path, path, map_size=out_size, kernel_size=5)
        + conv_cost(4 * path, stage.width, map_size=out_size)
        + norm_cost(6 * path + stage.width)
    )


def _outer_norm(stage: Stage, in_width: int) -> int:
    """Channels of the batch norm at a block's end, or at its beginning if the block is pre-activated."""
    return in_width if BLOCKS[stage.block].preactivated else stage.width


_BLOCK_COSTS: dict[str, Callable[[Stage, int, int, int], Cost]] = {
    "bottleneck": _bottleneck,
    "preact": _bottleneck,
    "basic": _basic,
    "preact_basic": _basic,
    "inception": _inception,
}
