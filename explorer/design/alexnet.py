"""AlexNet's layers, where grouped convolutions come from (Krizhevsky et al., 2012, section 3.5).

Two groups of 48 channels, `8-2x48d-alexnet`, are the published network, in the layout of its Caffe model: conv2, conv4
and conv5 are grouped, conv3 is dense and mixes the groups. Channels scale with the number of groups and the width of
one. Local response normalisation and dropout, which have no cost, are left out. The published network has 60,965,224
parameters. torchvision's `alexnet` is another network, with one group and 64, 192, 384, 256 and 256 channels:
61,100,840.
"""

from dataclasses import dataclass

from explorer.design.architecture import Architecture
from explorer.design.template import TEMPLATES, Task, Template


@dataclass(frozen=True)
class ConvLayer:
    """A convolution with bias, followed by ReLU and, where `pool`, by 3x3 maximum pooling with stride 2, unpadded.

    `map_size` is the side of the convolution's output.
    """

    in_width: int
    width: int
    kernel_size: int
    stride: int
    padding: int
    groups: int
    pool: bool
    map_size: int


@dataclass(frozen=True)
class AlexNetLayout:
    """AlexNet's layers: five convolutions, then linear ones from `features` inputs by `hidden` units to `classes`."""

    convolutions: tuple[ConvLayer, ...]
    features: int
    hidden: int
    classes: int


def alexnet_layout(architecture: Architecture, task: Task) -> AlexNetLayout:
    """The sizes of all layers; numbers may be arrays as in `layout.spelled_out`. Raises ValueError for small images."""
    template = TEMPLATES[architecture.template]
    cardinality, bottleneck_width = architecture.cardinalities[0], architecture.bottleneck_widths[0]
    path = (bottleneck_width, bottleneck_width * 8 // 3, bottleneck_width * 4, bottleneck_width * 4)
    widths = [cardinality * width for width in (*path, path[1])]
    kernels = (template.stem_kernel, 5, 3, 3, 3)
    layers, in_width, size = [], task.channels, task.image_size
    for index, (width, kernel) in enumerate(zip(widths, kernels, strict=True)):
        stride, padding = (template.stem_stride, 2) if index == 0 else (1, kernel // 2)
        size = (size + 2 * padding - kernel) // stride + 1
        pool = index in (0, 1, 4)
        if size < (3 if pool else 1):
            raise ValueError(
                f"image_size {task.image_size} is too small for template {template.name}: pooling after layer "
                f"{index + 1} would see maps of {max(size, 0)} pixels; {_least(template)} pixels or more are needed"
            )
        groups = 1 if index in (0, 2) else cardinality
        layers.append(ConvLayer(in_width, width, kernel, stride, padding, groups, pool, size))
        in_width, size = width, (size - 3) // 2 + 1 if pool else size
    # 4096 units at the published 96 channels, and in proportion to the channels elsewhere.
    return AlexNetLayout(tuple(layers), in_width * size**2, cardinality * bottleneck_width * 128 // 3, task.classes)


def _least(template: Template) -> int:
    """The smallest image side: three poolings need 3, then 7, then 15 pixels after the first layer."""
    return 14 * template.stem_stride + template.stem_kernel - 4
