"""A figure with a row for each design, drawn for print with matplotlib; `print_figure` sets its style and size."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes

from explorer.report.panel import GREY, Axis
from explorer.report.rows import Cell, Rows, cut

HEADS = 0.55  # inches below the rows
WIDE, TALL = 0.17, 0.3  # inches of a row, and of one with its name above it
LONGEST = 42  # most letters of a name
Words = Callable[[str], str]
Ticks = Callable[[Axis, tuple[float, float], Axes], None]


def rows_height(figure: Rows, *, is_wide: bool) -> float:
    """The usual height of a figure in inches."""
    return HEADS + len(figure.rows) * (WIDE if is_wide else TALL)


def draw_rows(figure: Rows, columns: Sequence[Axes], words: Words, set_ticks: Ticks, *, is_wide: bool) -> None:
    """Draw the rows on one pair of axes for each cell; on a narrow figure each name stands above its row."""
    for place, (axes, axis) in enumerate(zip(columns, figure.axes, strict=True)):
        low, high = figure.ends(place)
        axes.set_xscale("log" if axis.log else "linear")
        axes.set_xlim(low, high)
        axes.set_ylim(len(figure.rows) - 0.5, -0.5 if is_wide else -0.9)
        if (shade := figure.shade(place)) is not None:
            axes.axvspan(*shade, color=GREY, alpha=0.2, linewidth=0)
        for number, row in enumerate(figure.rows):
            _cell(row.cells[place], number + (0.0 if is_wide else 0.12), row.color, axes)
            if not is_wide and not place:
                axes.text(low, number - 0.38, words(cut(row.label, LONGEST)), va="center", ha="left")
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        named = [words(cut(row.label, LONGEST)) for row in figure.rows] if is_wide and not place else []
        axes.set_yticks(range(len(named)), named)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(words(axis.title))
        set_ticks(axis, (low, high), axes)


def _cell(cell: Cell, y: float, color: str, axes: Axes) -> None:
    if math.isfinite(cell.low) and math.isfinite(cell.high):
        axes.plot([cell.low, cell.high], [y, y], color=color, linewidth=1.2)
    if cell.each:
        ring: dict[str, Any] = {"facecolors": "none", "edgecolors": color, "linewidths": 0.5}
        axes.scatter([*cell.each], [y] * len(cell.each), s=7, zorder=2.5, **ring)
    if math.isfinite(cell.value):
        axes.scatter([cell.value], [y], s=22, color=color, linewidths=0, zorder=3)
