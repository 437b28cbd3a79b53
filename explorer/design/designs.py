"""Many designs at once, as columns of integers: one evaluation of the cost formula then covers up to a million."""

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import numpy.typing as npt

from explorer.design.alexnet import alexnet_layout
from explorer.design.architecture import Architecture, by_rule
from explorer.design.cost import Cost, alexnet_cost, layout_cost
from explorer.design.layout import spelled_out
from explorer.design.template import Task

Ints = npt.NDArray[np.int64]
Column = Ints | int  # an integer means a column of equal numbers
LARGEST = 2**62  # costs are int64: beyond this, sums on the way to them could wrap around


@dataclass(frozen=True)
class Designs:
    """`length` designs that are alike in all that is no number, as template and block.

    Each axis has one column per stage, of shape `(length,)`.

    Nothing is checked here: the code that makes the columns is responsible; `architecture` checks a single row.
    """

    length: int
    template: str
    block: str
    shortcut: bool
    depths: tuple[Column, ...]
    cardinalities: tuple[Column, ...]
    bottleneck_widths: tuple[Column, ...]
    widths: tuple[Column, ...]
    kernel_size: Column
    stem: str = "plain"
    projection: str = "conv"
    attention: str = "none"
    scale: int = 1

    def __len__(self) -> int:
        return self.length

    def cost(self, task: Task) -> Cost:
        """Cost of every design, as int64 arrays of shape `(length,)`."""
        columns = cast(Architecture, self)  # which has the same attributes, each with one number
        if self.block == "alexnet":
            return self._full(alexnet_cost(alexnet_layout(columns, task)))
        return self._full(layout_cost(spelled_out(columns, task)))

    def with_bottleneck_width(self, first: Ints) -> "Designs":
        """Copies with other path widths: `first` for the first stage, doubling from stage to stage."""
        widths = by_rule("bottleneck_width", cast(int, first), self.stages)
        return replace(self, bottleneck_widths=cast(tuple[Column, ...], widths))

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> "Designs":
        """Some of the designs, by position or by a mask."""

        def taken(columns: tuple[Column, ...]) -> tuple[Column, ...]:
            return tuple(column if isinstance(column, int) else column[rows] for column in columns)

        return replace(
            self,
            length=int(rows.sum()) if rows.dtype == np.bool_ else len(rows),
            depths=taken(self.depths),
            cardinalities=taken(self.cardinalities),
            bottleneck_widths=taken(self.bottleneck_widths),
            widths=taken(self.widths),
            kernel_size=taken((self.kernel_size,))[0],
        )

    def architecture(self, row: int) -> Architecture:
        """One design as a checked value. Raises ValueError for one that cannot be built."""

        def at(column: Column) -> int:
            return column if isinstance(column, int) else int(column[row])

        return Architecture(
            depths=tuple(map(at, self.depths)),
            cardinality=tuple(map(at, self.cardinalities)),
            bottleneck_width=tuple(map(at, self.bottleneck_widths)),
            width=tuple(map(at, self.widths)),
            kernel_size=at(self.kernel_size),
            template=self.template,
            block=self.block,
            shortcut=self.shortcut,
            stem=self.stem,
            projection=self.projection,
            attention=self.attention,
            scale=self.scale,
        )

    @property
    def labels(self) -> tuple[str | int, ...]:
        """What all rows have in common; `keys` does not hold it."""
        own = (self.template, self.block, self.shortcut)
        return (*own, self.stem, self.projection, self.attention, self.scale)

    @property
    def exist(self) -> npt.NDArray[np.bool_]:
        """Which rows are networks: a point that is none has a stage without blocks."""
        return np.broadcast_to(np.all([np.asarray(column) > 0 for column in self.depths], axis=0), (self.length,))

    @property
    def stages(self) -> int:
        """Number of stages."""
        return len(self.depths)

    def keys(self) -> npt.NDArray[np.uint64]:
        """A 64-bit number per design: equal designs of the same labels have equal numbers."""
        mixed = np.zeros(self.length, dtype=np.uint64)
        per_stage = zip(self.depths, self.cardinalities, self.bottleneck_widths, self.widths, strict=True)
        for column in (*(column for stage in per_stage for column in stage), self.kernel_size):
            # An odd multiplier with well-spread bits (Knuth's golden ratio); the shift brings high bits down.
            mixed = (mixed ^ np.asarray(column).astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
        return mixed

    def _full(self, found: Cost) -> Cost:
        """Broadcast a cost to full columns, also where it does not depend on the varying axes."""
        return Cost(
            *(
                cast(int, np.broadcast_to(np.asarray(value, dtype=np.int64), (self.length,)))
                for value in (found.params, found.macs, found.activations)
            )
        )


def one(architecture: Architecture) -> Designs:
    """A single architecture as `Designs` of length one, for functions that take many."""

    def columns(values: tuple[int, ...]) -> tuple[Column, ...]:
        return tuple(np.array([value], dtype=np.int64) for value in values)

    return Designs(
        length=1,
        template=architecture.template,
        block=architecture.block,
        shortcut=architecture.shortcut,
        stem=architecture.stem,
        projection=architecture.projection,
        attention=architecture.attention,
        scale=architecture.scale,
        depths=columns(architecture.depths),
        cardinalities=columns(architecture.cardinalities),
        bottleneck_widths=columns(architecture.bottleneck_widths),
        widths=columns(architecture.widths),
        kernel_size=np.array([architecture.kernel_size], dtype=np.int64),
    )
