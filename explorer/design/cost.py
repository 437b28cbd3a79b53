"""Exact cost in closed form: parameters, multiply-adds and activations, without building a network.

Counting rules, the same as torchvision's, pycls' and the ResNeXt paper's:
params       every weight and bias, batch-norm scale and shift included
macs         multiply-adds of convolutions and the classifier for one image; the papers call these "FLOPs".
             Batch norm, bias, pooling and addition are not counted.
activations  output values of all convolutions for one image
"""

from dataclasses import dataclass
from functools import lru_cache

from explorer.design.architecture import Architecture, Stage, reduced, stages, stem_map_size
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


def conv_cost(in_width: int, out_width: int, *, map_size: int, kernel_size: int = 1, cardinality: int = 1) -> Cost:
    """Cost of a convolution without bias and the batch norm behind it; `map_size` is the side of its output."""
    weights = out_width * (in_width // cardinality) * kernel_size**2
    pixels = map_size**2
    return Cost(params=weights + 2 * out_width, macs=weights * pixels, activations=out_width * pixels)


def block_cost(stage: Stage, *, in_width: int, stride: int, map_size: int) -> Cost:
    """Cost of one bottleneck: 1x1, grouped convolution with the stride, 1x1, and a projection where shapes differ.

    ResNeXt paper, equation 4 (C * (256 d + 9 d d + 256 d) weights) and shortcut type B.
    """
    out_size = reduced(map_size, stride)
    projected = (in_width != stage.width) | (stride != 1)
    return (
        conv_cost(in_width, stage.group_width, map_size=map_size)
        + conv_cost(
            stage.group_width,
            stage.group_width,
            map_size=out_size,
            kernel_size=stage.kernel_size,
            cardinality=stage.cardinality,
        )
        + conv_cost(stage.group_width, stage.width, map_size=out_size)
        + conv_cost(in_width, stage.width, map_size=out_size) * projected
    )


def stage_cost(stage: Stage) -> Cost:
    """Cost of a stage: its first block changes width and map, the others repeat."""
    out_size = reduced(stage.map_size, stage.stride)
    first = block_cost(stage, in_width=stage.in_width, stride=stage.stride, map_size=stage.map_size)
    return first + block_cost(stage, in_width=stage.width, stride=1, map_size=out_size) * (stage.depth - 1)


@lru_cache(maxsize=4096)
def cost(architecture: Architecture, task: Task | None = None) -> Cost:
    """Cost of a whole network on a task; the template's own task where none is given."""
    task = task or architecture.shape.task
    template = architecture.shape
    stem_size = reduced(task.image_size, template.stem_stride)
    total = conv_cost(task.channels, architecture.stem_width, map_size=stem_size, kernel_size=template.stem_kernel)
    spelled_out = stages(architecture, task)
    assert spelled_out[0].map_size == stem_map_size(template, task)
    for stage in spelled_out:
        total += stage_cost(stage)
    features = spelled_out[-1].width
    return total + Cost(params=task.classes * (features + 1), macs=task.classes * features, activations=0)
