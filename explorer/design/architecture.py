"""One network of the family, as the handful of integers that decide its shape."""

from dataclasses import dataclass

from explorer.design.template import TEMPLATES, Task, Template


@dataclass(frozen=True)
class Architecture:
    """A ResNeXt: bottlenecks whose middle convolution is split into `cardinality` paths (ResNeXt paper, section 3).

    depths            blocks per stage
    cardinality       number of paths C in every block; 1 is the ResNet
    bottleneck_width  channels d of one path in the first stage; doubles with every stage
    width             output channels of the first stage; doubles with every stage (256 in the paper)
    kernel_size       side of the middle convolution, odd
    template          name of the stem, strides and head: a key of `TEMPLATES`

    Raises ValueError, naming the axis, the value and what is allowed.
    """

    depths: tuple[int, ...]
    cardinality: int
    bottleneck_width: int
    width: int = 256
    kernel_size: int = 3
    template: str = "cifar"

    def __post_init__(self) -> None:
        if self.template not in TEMPLATES:
            raise ValueError(f"template {self.template!r} is unknown; allowed: {', '.join(TEMPLATES)}")
        stages = len(self.shape.strides)
        if len(self.depths) != stages or min(self.depths) < 1:
            raise ValueError(
                f"depths {list(self.depths)}: template {self.template} takes {stages} numbers, each at least 1"
            )
        for axis in ("cardinality", "bottleneck_width"):
            if getattr(self, axis) < 1:
                raise ValueError(f"{axis} must be at least 1, not {getattr(self, axis)}")
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd and at least 1, not {self.kernel_size}")
        if self.width < 1 or self.width % self.shape.stem_reduction:
            raise ValueError(
                f"width {self.width}: must be a positive multiple of {self.shape.stem_reduction}, "
                f"since the stem has width/{self.shape.stem_reduction} channels"
            )

    @property
    def shape(self) -> Template:
        """The template behind the name."""
        return TEMPLATES[self.template]

    @property
    def depth(self) -> int:
        """Layers with weights: three per block, the stem and the classifier (projections are not counted)."""
        return 3 * sum(self.depths) + 2

    @property
    def stem_width(self) -> int:
        """Output channels of the stem."""
        return self.width // self.shape.stem_reduction


@dataclass(frozen=True)
class Stage:
    """One stage in explicit channels and pixels: what both the cost formula and the builder read.

    Each field is an integer, or a numpy int64 array when many designs are costed at once.
    `map_size` is the side of the maps that enter the stage; its first block has `stride`.
    """

    depth: int
    in_width: int
    group_width: int
    width: int
    cardinality: int
    kernel_size: int
    stride: int
    map_size: int


def reduced(size: int, stride: int) -> int:
    """Side of a map after a convolution or pooling of odd kernel, padded by half of it."""
    return (size + stride - 1) // stride


def stem_map_size(template: Template, task: Task) -> int:
    """Side of the maps that enter the first stage."""
    size = reduced(task.image_size, template.stem_stride)
    return reduced(size, 2) if template.stem_pool else size


def stages(architecture: Architecture, task: Task) -> tuple[Stage, ...]:
    """Spell out the stages: widths double and maps halve from stage to stage (ResNeXt paper, section 3.1, rule 2).

    Raises ValueError for an image smaller than the template's total stride.
    """
    template = architecture.shape
    if task.image_size < template.total_stride:
        raise ValueError(
            f"image_size {task.image_size} is below template {template.name}'s total stride, {template.total_stride}"
        )
    result = []
    in_width, size = architecture.stem_width, stem_map_size(template, task)
    for index, (depth, stride) in enumerate(zip(architecture.depths, template.strides, strict=True)):
        result.append(
            Stage(
                depth=depth,
                in_width=in_width,
                group_width=architecture.cardinality * architecture.bottleneck_width * 2**index,
                width=architecture.width * 2**index,
                cardinality=architecture.cardinality,
                kernel_size=architecture.kernel_size,
                stride=stride,
                map_size=size,
            )
        )
        in_width, size = architecture.width * 2**index, reduced(size, stride)
    return tuple(result)
