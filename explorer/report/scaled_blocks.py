"""One block of each stage of a design, as boxes whose areas are proportional to their parameters.

A convolution is a box as wide as the channels that it gives, and as tall as the weights of one of these channels: its
area is its number of weights. A grouped convolution of C paths is C such boxes side by side.
"""

from dataclasses import dataclass

from explorer.analysis.summary import SettingSummary
from explorer.design.alexnet import alexnet_layout
from explorer.design.architecture import Architecture
from explorer.design.attention import squeezed_width
from explorer.design.block import BLOCKS
from explorer.design.cost import block_cost
from explorer.design.layout import Stage, layout, reduced
from explorer.design.name import display_name, parse_setting
from explorer.design.template import Task
from explorer.host.formatting import counted

TIMES = "\N{MULTIPLICATION SIGN}"
ARROW = "\N{RIGHTWARDS ARROW}"


@dataclass(frozen=True)
class Conv:
    """A convolution without its bias and batch norm.

    kernel   side of its kernel; 0 for a box that stands for a whole block of which no more is known
    width    channels that it gives
    weights  of one of these channels: `width * weights` are its parameters
    paths    number of its groups
    """

    kernel: int
    width: int
    weights: float
    paths: int = 1

    @property
    def params(self) -> float:
        """Its weights."""
        return self.width * self.weights

    @property
    def words(self) -> str:
        """Its kernel as text: `3x3` with a multiplication sign."""
        return f"{self.kernel}{TIMES}{self.kernel}" if self.kernel else ""


@dataclass(frozen=True)
class ScaledBlock:
    """A block that repeats in a stage.

    rows    its convolutions from the input on; those of one row stand side by side, None where a path has none there
    into    channels of its input
    count   how many blocks the stage has
    map_size  side of the maps that it computes, in pixels
    chain   its channels as text: `256>64>64>256`, with arrows
    paths   its paths as text: `32 paths of 4`
    """

    rows: tuple[tuple[Conv | None, ...], ...]
    into: int
    count: int
    map_size: int
    chain: str
    paths: str

    @property
    def convs(self) -> list[Conv]:
        """Its convolutions."""
        return [conv for row in self.rows for conv in row if conv is not None]

    @property
    def params(self) -> float:
        """The weights of its convolutions; its batch norms, and a projection in its shortcut, are not among them."""
        return sum(conv.params for conv in self.convs)

    @property
    def width(self) -> int:
        """Channels of its widest row, or of its input."""
        return max(self.into, *(sum(conv.width if conv else 0 for conv in row) for row in self.rows))

    @property
    def height(self) -> float:
        """Weights of one channel, over the tallest boxes of all rows."""
        return sum(max(conv.weights for conv in row if conv) for row in self.rows)


@dataclass(frozen=True)
class ScaledDesign:
    """A design with one block of each stage; `role` says what it is in its study."""

    setting: str
    display: str
    params: int
    macs: int
    stages: tuple[ScaledBlock, ...]
    role: str = ""
    note: str = ""

    @property
    def words(self) -> str:
        """All that its picture shows, as text for screen readers."""
        each = [
            f"stage {number}: {counted(one.count, 'block')}, channels {one.chain}, {one.paths}"
            for number, one in enumerate(self.stages, start=1)
        ]
        return f"{self.display}: {self.params:,} parameters, {self.macs:,} multiply-adds; {'; '.join(each)}"


def scaled_summary(summary: SettingSummary, task: Task, role: str = "") -> ScaledDesign:
    """A setting with results drawn to scale; its costs are those of the record."""
    return scaled_design(summary.setting, (summary.params, summary.macs), task, role)


def scaled_design(setting: str, costs: tuple[int, int], task: Task, role: str = "") -> ScaledDesign:
    """A setting drawn to scale, by its name, parameters and multiply-adds."""
    architecture, form = parse_setting(setting)
    note, blocks = "", tuple[ScaledBlock, ...]()
    try:
        if architecture.block == "alexnet":
            blocks, note = (_alexnet(architecture, task),), "the linear layers of AlexNet"
        else:
            blocks = tuple(_block(stage) for stage in layout(architecture, task).stages)
            if BLOCKS[architecture.block].module is not None:
                note = f"what is inside a block of kind {architecture.block}, which an extension makes"
    except ValueError:  # another program may train what cannot be built here
        note = f"{setting}, which cannot be built on {task.image_size} pixels"
    return ScaledDesign(setting, display_name(architecture, form), *costs, blocks, role, note)


def _block(stage: Stage) -> ScaledBlock:
    """A block that takes as many channels as it gives, as all but the first of a stage do."""
    size = reduced(stage.map_size, stage.stride)
    kind, out, path, kernel = BLOCKS[stage.block], stage.width, stage.bottleneck_width, stage.kernel_size
    into, middle = (out if stage.depth > 1 else stage.in_width), stage.middle_width
    rows: tuple[tuple[Conv | None, ...], ...]
    paths = f"{counted(stage.cardinality, 'path')} of {path}"
    chain = [into, middle, middle, out]
    if kind.module is not None:
        params = block_cost(stage, in_width=out, stride=1, map_size=size).params
        rows, chain = ((Conv(0, out, params / out),),), [out, out]
    elif stage.block in ("basic", "preact_basic"):
        rows, chain = (
            ((Conv(kernel, path, kernel**2 * into),), (Conv(kernel, out, kernel**2 * path),)),
            [into, path, out],
        )
        paths = "1 path"
    elif stage.block == "inception":
        paths = f"4 unlike paths of {path}"
        reduction = Conv(1, path, into)
        rows = (
            (reduction,) * 4,
            (None, Conv(3, path, 9 * path), Conv(5, path, 25 * path), None),
            (Conv(1, out, 4 * path),),
        )
        chain = [into, 4 * path, out]
    else:
        grouped = Conv(kernel, stage.group_width, kernel**2 * path, stage.cardinality)
        rows = ((Conv(1, middle, into),), (grouped,) * max(stage.scale - 1, 1), (Conv(1, out, middle),))
        if stage.scale > 1:
            paths = f"{stage.scale} groups that feed each other, each of {paths}"
    if stage.attention == "eca":
        paths += ", channels scaled by a convolution along them"
    elif stage.attention != "none":
        squeezed = squeezed_width(stage.attention, stage.se_ratio, in_width=into, width=out)
        scaled = out if stage.attention == "se" else middle
        paths += f", {scaled} channels scaled by {squeezed}"
        place = len(rows) if stage.attention == "se" else len(rows) - 1
        rows = (*rows[:place], (Conv(1, squeezed, scaled),), (Conv(1, scaled, squeezed),), *rows[place:])
    return ScaledBlock(rows, into, stage.depth, size, ARROW.join(map(str, chain)), paths)


def _alexnet(architecture: Architecture, task: Task) -> ScaledBlock:
    """The convolutions of AlexNet, one below the other."""
    layers = alexnet_layout(architecture, task).convolutions
    rows = tuple(
        (Conv(one.kernel_size, one.width, one.kernel_size**2 * one.in_width / one.groups, one.groups),)
        for one in layers
    )
    chain = ARROW.join(str(one.width) for one in layers)
    paths = counted(max(one.groups for one in layers), "path")
    return ScaledBlock(rows, task.channels, 1, layers[0].map_size, chain, paths)
