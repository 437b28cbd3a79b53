"""The sizes of all layers of a network, in channels and pixels, for the cost formula and for building it.

Every number is an integer, or a numpy int64 array when many designs are computed at once.
"""

from dataclasses import dataclass

from explorer.design.architecture import Architecture, stem_width
from explorer.design.attention import kind_and_ratio
from explorer.design.block import BLOCKS
from explorer.design.template import TEMPLATES, Task, Template


@dataclass(frozen=True)
class Stage:
    """One stage. Its first block has `stride` and takes `in_width` channels on maps of side `map_size`.

    block             a key of `explorer.design.block.BLOCKS`
    depth             number of blocks
    bottleneck_width  channels of one path
    cardinality       number of paths
    width             output channels of each block
    normalised        for a pre-activated stage: the stem has already applied batch norm and ReLU to its input
    projection        how a shortcut changes width and map: conv, pool or pad, as in `Architecture`
    scale             groups of channels in the middle that feed each other; 1 is the usual bottleneck
    attention         none, se, semid or eca, as in `explorer.design.attention`, and `se_ratio` of the middle two
    """

    block: str
    depth: int
    in_width: int
    cardinality: int
    bottleneck_width: int
    width: int
    kernel_size: int
    stride: int
    map_size: int
    shortcut: bool = True
    normalised: bool = False
    projection: str = "conv"
    attention: str = "none"
    se_ratio: int = 0
    scale: int = 1

    @property
    def group_width(self) -> int:
        """Channels of all paths together ("width of group conv" in the paper's Table 2)."""
        return self.cardinality * self.bottleneck_width

    @property
    def middle_width(self) -> int:
        """Channels between the two 1x1 convolutions: of all paths, times the scale."""
        return self.scale * self.group_width


@dataclass(frozen=True)
class Stem:
    """The first layers: a convolution of `kernel_size` and `stride`, batch norm and ReLU, maximum pooling.

    normalised  false where a pre-activated network leaves batch norm and ReLU to its first block
    deep        three 3x3 convolutions stand for the one, the first with the stride, the first two half as wide and each
                followed by batch norm and ReLU (ResNet-C)
    """

    channels: int
    width: int
    kernel_size: int
    stride: int
    pool: bool
    map_size: int
    normalised: bool
    deep: bool = False


@dataclass(frozen=True)
class Layout:
    """Stem, stages, pooling and classifier. `normalised_head`: batch norm and ReLU are applied before the pooling."""

    stem: Stem
    stages: tuple[Stage, ...]
    classes: int
    normalised_head: bool


def layout(architecture: Architecture, task: Task) -> Layout:
    """The layer sizes of an architecture; not for AlexNet, which has no stages.

    Raises ValueError for an image smaller than the total stride and for a kernel too large for its map.
    """
    found = spelled_out(architecture, task)
    for stage in found.stages:
        _refuse_large_kernel(stage)
    return found


def spelled_out(architecture: Architecture, task: Task) -> Layout:
    """The layer sizes as in `layout`, whose kernels are not checked; the numbers may be arrays over many designs.

    `Designs` has such arrays, under the names that an architecture has them.
    """
    shape, widths = TEMPLATES[architecture.template], architecture.widths
    refuse_small_images(shape, task)
    preactivated = BLOCKS[architecture.block].preactivated
    stem = Stem(
        channels=task.channels,
        width=stem_width(shape, widths[0]),
        kernel_size=shape.stem_kernel,
        stride=shape.stem_stride,
        pool=shape.stem_pool,
        map_size=reduced(task.image_size, shape.stem_stride),
        # fb.resnet.torch: the ImageNet stem keeps its batch norm, since pooling follows it; the CIFAR stem is bare.
        normalised=shape.stem_pool or not preactivated,
        deep=architecture.stem == "deep",
    )
    attention, ratio = kind_and_ratio(architecture.attention)
    sizes = map_sizes(shape, task)
    in_widths = (stem.width, *widths[:-1])
    cardinalities, bottleneck_widths = architecture.cardinalities, architecture.bottleneck_widths
    stages = tuple(
        Stage(
            block=architecture.block,
            depth=architecture.depths[index],
            in_width=in_widths[index],
            cardinality=cardinalities[index],
            bottleneck_width=bottleneck_widths[index],
            width=widths[index],
            kernel_size=architecture.kernel_size,
            stride=stride,
            map_size=sizes[index],
            shortcut=architecture.shortcut,
            normalised=preactivated and index == 0 and stem.normalised,
            projection=architecture.projection,
            attention=attention,
            se_ratio=ratio,
            scale=architecture.scale,
        )
        for index, stride in enumerate(shape.strides)
    )
    return Layout(stem, stages, task.classes, normalised_head=preactivated)


def reduced(size: int, stride: int) -> int:
    """Side of a map after a convolution or pooling of odd kernel, padded by half of it."""
    return (size + stride - 1) // stride


def map_sizes(template: Template, task: Task) -> tuple[int, ...]:
    """Side of the maps entering each stage, and of those leaving the last one."""
    size = reduced(task.image_size, template.stem_stride)
    sizes = [reduced(size, 2) if template.stem_pool else size]
    for stride in template.strides:
        sizes.append(reduced(sizes[-1], stride))
    return tuple(sizes)


def refuse_small_images(template: Template, task: Task) -> None:
    """Raise ValueError for images that the strides would reduce to less than one pixel."""
    if task.image_size < template.total_stride:
        raise ValueError(
            f"image_size {task.image_size} is below template {template.name}'s total stride, {template.total_stride}"
        )


def _refuse_large_kernel(stage: Stage) -> None:
    """Raise ValueError for a kernel with rows and columns that only ever see padding, at every position.

    On a map of m pixels at stride 1 these are kernels above 2m - 1; the first block of a stage works on its larger map.
    """
    kernel = 5 if stage.block == "inception" else stage.kernel_size
    side = stage.map_size if stage.depth == 1 else reduced(stage.map_size, stage.stride)
    if kernel > 2 * side - 1:
        raise ValueError(
            f"kernel_size {kernel} is too large for maps of {side} pixels, where its border would only ever see "
            f"padding; allowed: up to {2 * side - 1}, or larger images"
        )
