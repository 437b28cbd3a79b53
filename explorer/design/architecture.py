"""A network's shape as a value: the few integers that determine it."""

from dataclasses import dataclass

from explorer.design.attention import kind_and_ratio
from explorer.design.block import BLOCKS, Block
from explorer.design.template import TEMPLATES, Template

PerStage = int | tuple[int, ...]
STEMS = ("plain", "deep")
PROJECTIONS = ("conv", "pool", "pad")


@dataclass(frozen=True)
class Architecture:
    """A network of blocks whose middle convolution is split into `cardinality` paths (ResNeXt paper, section 3).

    depths            blocks per stage
    cardinality       number of paths C in every block; 1 is the ResNet
    bottleneck_width  channels d of one path in the first stage; doubles with every stage
    width             output channels of the first stage; doubles with every stage (256 in the paper)
    kernel_size       side of the middle convolution, odd
    template          name of the stem, strides and head: a key of `TEMPLATES`
    block             what the stages repeat: a key of `BLOCKS`
    shortcut          whether the input of a block is added to its output
    stem              plain: one convolution; deep: three 3x3 convolutions, the first two half as wide (ResNet-C; He et
                      al., 2018, 1812.01187, section 4)
    projection        the shortcut where a block's ends differ. conv: a 1x1 convolution with the stride (type B); pool:
                      2x2 average pooling, then a 1x1 convolution (ResNet-D, same section); pad: every second pixel,
                      and zeros for further channels, without weights (type A; He et al., 2015, section 3.3)
    scale             groups of channels that a bottleneck's middle has, each as wide as its paths. Every one but the
                      last is convolved after the result of the one before it was added (Res2Net; Gao et al., 2019,
                      section 3.1)
    attention         what scales a block's channels, as in `explorer.design.attention`: none, se16, semid4, eca

    Cardinality and both widths may also be given stage by stage, as a tuple; a tuple that follows the rule (all equal,
    or doubling) is stored as its first number, so that equal networks are equal values.

    Raises ValueError, naming the axis, the value and what is allowed.
    """

    depths: tuple[int, ...]
    cardinality: PerStage
    bottleneck_width: PerStage
    width: PerStage = 256
    kernel_size: int = 3
    template: str = "cifar"
    block: str = "bottleneck"
    shortcut: bool = True
    stem: str = "plain"
    projection: str = "conv"
    attention: str = "none"
    scale: int = 1

    def __post_init__(self) -> None:
        if self.template not in TEMPLATES:
            raise ValueError(f"template {self.template!r} is unknown; allowed: {', '.join(TEMPLATES)}")
        if self.block not in BLOCKS:
            raise ValueError(f"block {self.block!r} is unknown; allowed: {', '.join(BLOCKS)}")
        if len(self.depths) != self.shape.stages or min(self.depths) < 1:
            raise ValueError(
                f"depths {list(self.depths)}: template {self.template} takes {self.shape.stages} numbers, "
                "each at least 1"
            )
        for axis in ("cardinality", "bottleneck_width", "width"):
            values = self._per_stage(axis)
            if len(values) != self.shape.stages:
                raise ValueError(
                    f"{axis} {list(values)}: template {self.template} takes one number or {self.shape.stages}"
                )
            if min(values) < 1:
                raise ValueError(f"{axis} must be at least 1, not {min(values)}")
            # __post_init__ may still change the frozen dataclass, in this way only.
            object.__setattr__(self, axis, _shortest(axis, values))
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd and at least 1, not {self.kernel_size}")
        if self.widths[0] % self.shape.stem_reduction:
            raise ValueError(
                f"width {self.widths[0]}: must be a positive multiple of {self.shape.stem_reduction}, "
                f"since the stem has width/{self.shape.stem_reduction} channels"
            )
        self._refuse_what_the_block_cannot_do()
        self._refuse_odd_ends()
        self._refuse_impossible_attention()

    def _refuse_odd_ends(self) -> None:
        if self.stem not in STEMS:
            raise ValueError(f"stem {self.stem!r} is unknown; allowed: {', '.join(STEMS)}")
        if self.projection not in PROJECTIONS:
            raise ValueError(f"projection {self.projection!r} is unknown; allowed: {', '.join(PROJECTIONS)}")
        if self.stem == "deep" and self.stem_width % 2:
            raise ValueError(
                f"stem deep: its first two convolutions have half its {self.stem_width} channels; "
                f"width has to make this number even, and {self.widths[0]} does not"
            )
        if self.projection != "conv" and not self.shortcut:
            raise ValueError(f"projection {self.projection}: without shortcuts there is none; leave it at conv")
        if self.projection != "conv" and self.kind.module is not None:
            raise ValueError(
                f"projection {self.projection}: block {self.block} of an extension makes its shortcuts itself; "
                "leave it at conv"
            )
        every = (self.stem_width, *self.widths)
        if self.projection == "pad" and list(every) != sorted(every):
            raise ValueError(f"projection pad adds channels and takes none away, but widths fall: {list(every)}")

    def _refuse_impossible_attention(self) -> None:
        if self.scale < 1:
            raise ValueError(f"scale must be at least 1, not {self.scale}")
        if self.scale > 1 and self.block != "bottleneck":
            raise ValueError(f"scale {self.scale} with block {self.block}: allowed is block bottleneck, or scale 1")
        kind, _ = kind_and_ratio(self.attention)
        if kind != "none" and (self.kind.module is not None or self.block == "alexnet"):
            who = "AlexNet's layers have" if self.block == "alexnet" else f"block {self.block} of an extension has"
            raise ValueError(f"attention {self.attention}: {who} what it has; leave it at none")
        if kind == "semid" and self.block == "inception":
            raise ValueError(
                f"attention {self.attention}: an Inception-style block has no single middle; allowed: se16, eca"
            )

    def _refuse_what_the_block_cannot_do(self) -> None:
        only = self.kind.cardinality
        if only is not None and self.cardinality != only:
            raise ValueError(f"cardinality {self.cardinality} with block {self.block}: {self.kind.reason}")
        if self.block == "inception" and self.kernel_size != 3:
            raise ValueError(
                f"kernel_size {self.kernel_size} with block inception: its kernels are 1, 3 and 5; leave it at 3"
            )
        if (self.block == "alexnet") != (self.shape.block == "alexnet"):
            raise ValueError(f"block {self.block} does not go with template {self.template}")
        if self.block == "alexnet" and (self.width, self.kernel_size, self.shortcut) != (256, 3, True):
            raise ValueError(
                "width, kernel_size and shortcut of AlexNet's layers follow from cardinality and bottleneck_width; "
                "leave them at 256, 3 and true"
            )
        if self.block == "alexnet" and (self.stem, self.projection) != ("plain", "conv"):
            raise ValueError("AlexNet has its own stem and no shortcuts; leave stem at plain and projection at conv")

    @property
    def shape(self) -> Template:
        """The `Template` that `template` names."""
        return TEMPLATES[self.template]

    @property
    def kind(self) -> Block:
        """The `Block` that `block` names."""
        return BLOCKS[self.block]

    @property
    def depth(self) -> int:
        """Layers with weights: those of the blocks, the stem and the classifier (projections are not counted).

        Wide ResNets are counted as their authors count them: with the three projections and without the classifier.
        """
        return self.kind.layers * sum(self.depths) + self.shape.uncounted

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Paths per block, stage by stage."""
        return self._per_stage("cardinality")

    @property
    def bottleneck_widths(self) -> tuple[int, ...]:
        """Channels of one path, stage by stage."""
        return self._per_stage("bottleneck_width")

    @property
    def widths(self) -> tuple[int, ...]:
        """Output channels, stage by stage."""
        return self._per_stage("width")

    @property
    def stem_width(self) -> int:
        """Output channels of the stem."""
        return stem_width(self.shape, self.widths[0])

    def _per_stage(self, axis: str) -> tuple[int, ...]:
        value = getattr(self, axis)
        return tuple(value) if isinstance(value, (tuple, list)) else by_rule(axis, value, self.shape.stages)


def by_rule(axis: str, first: int, stages: int) -> tuple[int, ...]:
    """The values of an axis stage by stage: the same cardinality, doubling widths (ResNeXt paper, section 3.1).

    `first`, the value of the first stage, may be a numpy array with one number per design.
    """
    return tuple(first if axis == "cardinality" else first * 2**stage for stage in range(stages))


def stem_width(template: Template, first_width: int) -> int:
    """Output channels of the stem; `first_width` is the width of the first stage."""
    return first_width // template.stem_reduction if template.stem_width is None else template.stem_width


def _shortest(axis: str, values: tuple[int, ...]) -> PerStage:
    return values[0] if values == by_rule(axis, values[0], len(values)) else values
