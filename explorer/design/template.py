"""Templates: what surrounds the stages (stem, strides, head), fixed while the axes of a study vary."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """What goes in and what comes out: images `(batch, channels, image_size, image_size)` and `classes` scores."""

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

    `stem_reduction` is the first stage's width over the stem's width: 256 / 64 in both of the paper's templates.
    `task` is the task the published counts refer to; a study takes its task from its data.
    `depths` are the published blocks per stage by depth; `blocks_for_depth` extends them by the template's rule.
    """

    name: str
    stem_kernel: int
    stem_stride: int
    stem_pool: bool
    strides: tuple[int, ...]
    task: Task
    depths: dict[int, tuple[int, ...]]
    stem_reduction: int = 4

    @property
    def total_stride(self) -> int:
        """Image size over the size of the last map."""
        total = self.stem_stride * (2 if self.stem_pool else 1)
        for stride in self.strides:
            total *= stride
        return total

    def blocks_for_depth(self, depth: int) -> tuple[int, ...]:
        """Blocks per stage of a network with `depth` layers (three per block, the stem and the classifier).

        Raises ValueError for a depth that is neither published nor, where stages are equally deep, of the form 3*s*n+2.
        """
        if depth in self.depths:
            return self.depths[depth]
        if not self.depths and depth > 2 and (depth - 2) % (3 * len(self.strides)) == 0:
            return ((depth - 2) // (3 * len(self.strides)),) * len(self.strides)
        raise ValueError(f"depth {depth} is not one of template {self.name}'s: {self._depth_rule()}")

    def _depth_rule(self) -> str:
        if self.depths:
            return ", ".join(map(str, self.depths))
        step = 3 * len(self.strides)
        return f"{step}n+2, such as {step + 2}, {2 * step + 2}, {3 * step + 2}"


TEMPLATES = {
    template.name: template
    for template in (
        # ResNeXt paper, Table 1. The stride sits in the 3x3 convolution, as in the paper's code and torchvision.
        Template(
            name="imagenet",
            stem_kernel=7,
            stem_stride=2,
            stem_pool=True,
            strides=(1, 2, 2, 2),
            task=Task(channels=3, image_size=224, classes=1000),
            depths={50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)},
        ),
        # ResNeXt paper, appendix A: three equally deep stages on maps of 32, 16 and 8 pixels; depth 9n+2.
        Template(
            name="cifar",
            stem_kernel=3,
            stem_stride=1,
            stem_pool=False,
            strides=(1, 2, 2),
            task=Task(channels=3, image_size=32, classes=10),
            depths={},
        ),
        # Ours, for images of 8 to 16 pixels: a third stage would work on maps of 2 pixels, nearly all of it padding.
        Template(
            name="small",
            stem_kernel=3,
            stem_stride=1,
            stem_pool=False,
            strides=(1, 2),
            task=Task(channels=1, image_size=8, classes=10),
            depths={},
        ),
    )
}
