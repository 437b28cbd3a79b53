"""Templates: the stem, strides and head around the stages, fixed while the axes of a study vary."""

from dataclasses import dataclass, field, replace
from math import prod


@dataclass(frozen=True)
class Task:
    """Input and output sizes: images `(batch, channels, image_size, image_size)` and `classes` scores."""

    channels: int
    image_size: int
    classes: int

    def __post_init__(self) -> None:
        for name in ("channels", "image_size", "classes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")


@dataclass(frozen=True)
class Template:
    """Stem, stage strides and head of a network; widths double from stage to stage (ResNeXt paper, section 3.1).

    stem_width   output channels of the stem; None: the first stage's width over `stem_part`
    stem_part    4 as in the ResNeXt paper; 1 for a stem as wide as the first stage
    task         the task the published counts refer to; a study takes its task from its data
    depths       the published blocks per stage by depth; `blocks_for_depth` extends them by the template's rule
    block        its networks' usual block, which names omit
    layers       layers of that block
    uncounted    layers with weights outside the blocks that `depth` counts: the stem and the classifier
    """

    name: str
    stem_kernel: int
    stem_stride: int
    stem_pool: bool
    strides: tuple[int, ...]
    task: Task
    depths: dict[int, tuple[int, ...]] = field(default_factory=dict)
    stem_width: int | None = None
    stem_part: int = 4
    block: str = "bottleneck"
    layers: int = 3
    uncounted: int = 2

    @property
    def stages(self) -> int:
        """Number of stages."""
        return len(self.strides)

    @property
    def stem_reduction(self) -> int:
        """Number of which the first stage's width must be a multiple."""
        return self.stem_part if self.stem_width is None else 1

    @property
    def total_stride(self) -> int:
        """Ratio of the image size to the size of the last map."""
        return self.stem_stride * (2 if self.stem_pool else 1) * prod(self.strides)

    def blocks_for_depth(self, depth: int, layers: int = 3) -> tuple[int, ...]:
        """Blocks per stage of a network with `depth` layers, `layers` of them in every block.

        Raises ValueError for a depth that is not published and does not give all stages the same number of blocks.
        """
        if depth in self.depths and layers == self.layers:
            return self.depths[depth]
        inside, step = depth - self.uncounted, layers * self.stages
        if not self.depths and inside > 0 and inside % step == 0:
            return (inside // step,) * self.stages
        raise ValueError(f"depth {depth} is not one of template {self.name}'s: {self._depth_rule(layers)}")

    def _depth_rule(self, layers: int) -> str:
        if self.depths and layers == self.layers:
            return ", ".join(map(str, self.depths))
        if self.depths:
            return f"its published depths are of block {self.block}; give the blocks per stage, as in -b2.2.2.2"
        step, rest = layers * self.stages, self.uncounted
        return f"{step}n+{rest}, such as {step + rest}, {2 * step + rest}, {3 * step + rest}"


# ResNeXt paper, Table 1. The stride sits in the 3x3 convolution, as in the paper's code and torchvision.
_IMAGENET = Template(
    name="imagenet",
    stem_kernel=7,
    stem_stride=2,
    stem_pool=True,
    strides=(1, 2, 2, 2),
    task=Task(channels=3, image_size=224, classes=1000),
    depths={50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)},
)
# ResNeXt paper, appendix A: three equally deep stages on maps of 32, 16 and 8 pixels; depth 9n+2.
_CIFAR = Template(
    name="cifar",
    stem_kernel=3,
    stem_stride=1,
    stem_pool=False,
    strides=(1, 2, 2),
    task=Task(channels=3, image_size=32, classes=10),
)
# AlexNet's layers in order (Krizhevsky et al., 2012, section 3.5). Five convolutions, of which the second, the fourth
# and the fifth are grouped, and three linear layers; pooling follows the first, second and fifth.
_ALEXNET = Template(
    name="alexnet",
    stem_kernel=11,
    stem_stride=4,
    stem_pool=True,
    strides=(1, 1, 1, 1, 1),
    task=_IMAGENET.task,
    depths={8: (1, 1, 1, 1, 1)},
    block="alexnet",
    layers=1,
    uncounted=3,
)
TEMPLATES = {
    template.name: template
    for template in (
        _IMAGENET,
        # He et al., 2015, Table 1: the two shallow networks, of basic blocks, whose stem is as wide as the first stage.
        replace(
            _IMAGENET,
            name="imagenet_basic",
            depths={18: (2, 2, 2, 2), 34: (3, 4, 6, 3)},
            stem_width=64,
            block="basic",
            layers=2,
        ),
        _CIFAR,
        # He et al., 2015, section 4.2: basic blocks after a stem as wide as they are; depth 6n+2.
        replace(_CIFAR, name="cifar_basic", stem_part=1, block="basic", layers=2),
        # This project's, for images of 8 to 16 pixels: a third stage would work on maps of 2 pixels, mostly padding.
        replace(_CIFAR, name="small", strides=(1, 2), task=Task(channels=1, image_size=8, classes=10)),
        # Wide ResNet paper, section 3: WRN-d-k has d = 6n+4 layers, since its authors count the three projections and
        # not the classifier; the stem has 16 channels and the first stage 16k.
        replace(_CIFAR, name="wide", stem_width=16, block="preact_basic", layers=2, uncounted=4),
        # RegNet paper, section 3.1: a 3x3 stem of 32 channels with stride 2, then four stages that each halve the map.
        replace(_CIFAR, name="regnet", stem_stride=2, strides=(2, 2, 2, 2), task=_IMAGENET.task, stem_width=32),
        # pycls, CIFAR sweep "cifar_regnet": a stem of 16 channels at full resolution and two stages that halve the map.
        replace(_CIFAR, name="regnet_cifar", strides=(2, 2), stem_width=16),
        _ALEXNET,
        # This project's: AlexNet's layers for images of 32 pixels, with a 5x5 stem at full resolution.
        replace(_ALEXNET, name="alexnet_cifar", stem_kernel=5, stem_stride=1, task=_CIFAR.task),
    )
}
