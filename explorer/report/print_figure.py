"""Draws the figures of a study for print with matplotlib: at its true size, 8 pt text, fonts embedded, without a title.

Marks are told apart without colour too: every colour has a marker of its own on points, and a dash of its own on lines.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import IO, Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

import explorer
from explorer.host.formatting import visible, with_true_signs
from explorer.report.forest import Forest, ForestRow
from explorer.report.layout import POSITIONS, Box, apart, beside
from explorer.report.panel import BAR, PALETTE, Axis, Mark, Panel, ends, ticks
from explorer.report.parallel import Parallel, folded, line_colors
from explorer.report.print_rows import draw_rows, rows_height
from explorer.report.print_verdict import draw, height_of, layout
from explorer.report.rows import Rows
from explorer.report.svg import line_ends
from explorer.report.verdict_picture import VerdictPicture

POINTS = 8  # size of all text
GOLDEN = 0.62  # height of a figure over its width
PIXELS_PER_POINT = 2.1  # a panel's marks are sized for a page on which 1000 pixels are about 6.75 inches
PRINTED_LETTER = 12.5  # pixels of a page's text that is as high as printed text
TITLES = 0.5  # inches
LONGEST_TITLE = 30  # letters of the vertical axis's title in one line, which stands beside a column's figure
NARROW = 5.0  # inches; narrower figures have smaller marks, and their forest plots no column of numbers
RESOLUTION = 300  # dots per inch of a PNG
MARKERS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "cross": "P",
    "x": "X",
    "star": "*",
}
SOLID, DOTTED = "solid", (0, (1, 1.5))
DASHES: dict[str, Any] = dict(
    zip(
        PALETTE,
        (SOLID, (0, (5, 1.5)), DOTTED, (0, (5, 1.5, 1, 1.5)), (0, (2.5, 1.2)), (0, (8, 2)), (0, (1, 3))),
        strict=True,
    )
)
HAIRLINE = 0.25  # points; the edges of bands
GRID, INK = "#d0d0d0", "#202020"
STYLE: Any = {
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so that a figure is the same on every machine
    "font.size": POINTS,
    "axes.labelsize": POINTS,
    "xtick.labelsize": POINTS,
    "ytick.labelsize": POINTS,
    "legend.fontsize": POINTS,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.parse_math": False,  # names may hold a dollar sign
    "axes.unicode_minus": True,
    "pdf.fonttype": 42,  # TrueType, whole: some publishers refuse Type 3
    "ps.fonttype": 42,
    "svg.fonttype": "path",  # letters as outlines: no font is needed where it is shown
    "svg.hashsalt": "resnext-explorer",  # the same file each time
    "savefig.dpi": RESOLUTION,
}


class PrintFigure(Figure):
    """A figure for print; `savefig` writes it with fonts embedded, in the size it was made for."""

    def savefig(self, fname: str | PathLike[str] | IO[Any], **options: Any) -> None:
        """Write the figure in the format of the name's ending, or `format`; the same figure gives the same bytes."""
        kind = options.get("format") or Path(str(getattr(fname, "name", fname))).suffix.removeprefix(".")
        known: dict[str, datetime | str | None] = {}
        by = f"resnext-explorer {explorer.__version__}"
        if kind in ("pdf", "svg"):
            known = {"Creator": by, "CreationDate" if kind == "pdf" else "Date": None}
        elif kind == "png":
            known = {"Software": by}
        options["metadata"] = known | dict(options.get("metadata") or {})
        with mpl.rc_context(STYLE):
            super().savefig(fname, **options)


def print_figure(
    figure: Panel | Parallel | Rows | Forest | VerdictPicture, width: float, height: float | None = None
) -> PrintFigure:
    """A figure of a page, drawn for print.

    `width` and `height` are in inches. By default the height is 0.62 of the width and what the legend takes beyond one
    line, or that of a forest plot's rows. The picture of a verdict is never lower than its rows need.
    """
    if isinstance(figure, VerdictPicture):
        return _verdict(figure, width, height)
    usual = _forest_height(figure, width) if isinstance(figure, Forest) else GOLDEN * width
    if isinstance(figure, Rows):
        usual = rows_height(figure, is_wide=width >= NARROW)
    if isinstance(figure, Parallel) and width < NARROW:
        usual += TITLES  # which stand upright there
    with mpl.rc_context(STYLE):
        room = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02)
        drawn = PrintFigure(figsize=(width, height or usual), layout=room)
        if isinstance(figure, Rows):
            columns = [drawn.add_subplot(1, len(figure.axes), place + 1) for place in range(len(figure.axes))]

            def set_ticks(axis: Axis, between: tuple[float, float], axes: Axes) -> None:
                axes.grid(visible=True, axis="x", color=GRID, linewidth=0.4)
                axes.set_axisbelow(True)
                axes.tick_params(axis="x", width=0.6, length=2.5, pad=2)
                _x_ticks(axis, between, axes, drawn)

            draw_rows(figure, columns, _text, set_ticks, is_wide=width >= NARROW)
            return drawn
        axes = drawn.add_subplot()
        if isinstance(figure, Panel):
            _panel(figure, axes, drawn, grows=height is None)
        elif isinstance(figure, Forest):
            _forest(figure, axes, drawn)
        else:
            _parallel(figure, axes, is_wide=width >= NARROW)
    return drawn


def _verdict(picture: VerdictPicture, width: float, height: float | None) -> PrintFigure:
    drawings = layout(picture, 72 * width, POINTS, is_wide=width >= NARROW)
    size = 72 * width, max(height_of(drawings), 72 * (height or 0))
    with mpl.rc_context(STYLE):
        drawn = PrintFigure(figsize=(width, size[1] / 72))
        draw(drawings, drawn.add_subplot(), *size)
    return drawn


@contextmanager
def missing_letters() -> Iterator[list[str]]:
    """Collects letters of a figure's text that the font does not have, while the figure is drawn or written."""
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield found
    for one in caught:
        words = str(one.message)
        if words.startswith("Glyph "):
            found.append(chr(int(words.split()[1])))
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    found[:] = dict.fromkeys(found)


# ---------------------------------------------------------------- panels


def _panel(panel: Panel, axes: Axes, drawn: PrintFigure, *, grows: bool) -> None:
    x_ends, y_ends = panel.ends
    axes.set_xscale("log" if panel.x.log else "linear")
    axes.set_yscale("log" if panel.y.log else "linear")
    axes.set_xlim(*x_ends)
    axes.set_ylim(*y_ends)
    scale = _scale(drawn)
    seen, handles, labels = {""}, [], []
    firsts = {mark.color for mark in panel.marks if mark.kind in ("line", "steps") and not mark.dashed}
    shown = [mark for mark in panel.ordered if not mark.optional]
    for order, mark in enumerate(shown):
        handle = _mark(mark, axes, scale, order, is_second=mark.dashed and mark.color in firsts)
        if mark.legend not in seen and len(mark.x):
            seen.add(mark.legend)
            handles.append(handle)
            labels.append(_text(mark.legend))
    _plain_axes(axes)
    _ticks(axes, panel.y, y_ends, along="y")
    axes.set_xlabel(_text(panel.x.title))
    title = _text(panel.y.title)
    axes.set_ylabel(folded(title) if len(title) > LONGEST_TITLE else title)
    if handles:
        _legend(drawn, handles, labels, grows=grows)
    _x_ticks(panel.x, x_ends, axes, drawn)
    taken = _line_ends(shown, axes, drawn)
    _names(shown, axes, drawn, taken)


def _line_ends(marks: list[Mark], axes: Axes, drawn: PrintFigure) -> list[Box]:
    """The names at the ends of lines, moved apart, each led to from its line; gives their places."""
    found = line_ends(marks)
    if not found:
        return []
    points = drawn.dpi / 72
    # The names take some of the room of the axes, which moves the ends of the lines: they are placed in two steps.
    words = [
        axes.annotate(_text(mark.end), (x, y), xytext=(POINTS, 0), textcoords="offset points", va="center")
        for mark, x, y in found
    ]
    drawn.draw_without_rendering()
    heights = [float(axes.transData.transform((x, y))[1]) for _, x, y in found]
    box = axes.get_window_extent()
    moved = apart(heights, box.y0, box.y1, 1.25 * POINTS * points)
    for one, (mark, x, y), at, height in zip(words, found, heights, moved, strict=True):
        up = (height - at) / points
        one.xyann = (POINTS, up)
        lead: dict[str, Any] = {"arrowstyle": "-", "color": mark.color, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 1}
        axes.annotate("", (x, y), xytext=(POINTS - 1, up), textcoords="offset points", arrowprops=lead)
    return [_box(one.get_window_extent(), _pixel(drawn)) for one in words]


def _pixel(drawn: PrintFigure) -> float:
    """Dots of a figure for a pixel of a page, in which the widths of letters are known."""
    return POINTS * drawn.dpi / 72 / PRINTED_LETTER


def _box(box: Any, pixel: float) -> Box:
    """A rectangle of a figure in the pixels of a page, which count from the top."""
    return Box(box.x0 / pixel, -box.y1 / pixel, box.x1 / pixel, -box.y0 / pixel)


def _names(marks: list[Mark], axes: Axes, drawn: PrintFigure, taken: list[Box]) -> None:
    """The names beside dots, each where it meets no other and no dot."""
    if not any(any(mark.names) for mark in marks):
        return
    drawn.draw_without_rendering()
    pixel = _pixel(drawn)
    places = [
        [
            (float(one[0]) / pixel, -float(one[1]) / pixel)
            for one in axes.transData.transform([*zip(mark.x, mark.y, strict=True)])
        ]
        if len(mark.x)
        else []
        for mark in marks
    ]
    frame = _box(axes.get_window_extent(), pixel)
    for mark, names in zip(marks, beside(marks, places, frame, taken), strict=True):
        for x, y, name in zip(mark.x, mark.y, names, strict=False):
            if name is None:
                continue
            across, down, anchor = next(one[1:] for one in POSITIONS if one[0] == name.position)
            side = {"start": "left", "end": "right", "middle": "center"}[anchor]
            away = (0.75 * POINTS * across, -POINTS * down)
            axes.annotate(_text(name.words), (x, y), xytext=away, textcoords="offset points", ha=side, va="center")


def _text(words: str) -> str:
    """Text as it is printed: with true minus signs and multiplication signs."""
    return with_true_signs(visible(words))


def _scale(drawn: PrintFigure) -> float:
    """Points for a panel's pixel in a figure of this width."""
    return (0.8 if drawn.get_figwidth() < NARROW else 1.0) / PIXELS_PER_POINT


def _mark(mark: Mark, axes: Axes, scale: float, order: int, *, is_second: bool = False) -> Any:
    """Draw a mark and return what its legend shows; `is_second`: it is a dotted line beside another of its colour."""
    known = [place for place, y in enumerate(mark.y) if math.isfinite(y)]
    x, y = [mark.x[place] for place in known], [mark.y[place] for place in known]
    faint = 0.5 if mark.quiet else 1.0
    dashes, z = DASHES.get(mark.color, SOLID), 2 + order / 1000
    if mark.kind == "band" and len(known) == 1:
        ends_of_it = [y[0], mark.high[known[0]]]
        style: dict[str, Any] = {"linewidth": BAR * scale, "solid_capstyle": "butt", "alpha": 0.3}
        return axes.plot([x[0]] * 2, ends_of_it, color=mark.color, zorder=z, **style)[0]
    if mark.kind == "band":
        high = [mark.high[place] for place in known]
        # A hairline in the dash of its line, fainter than any line: two bands that overlap stay two without colour.
        for edge in (y, high):
            axes.plot(x, edge, color=mark.color, linewidth=HAIRLINE, linestyle=dashes, alpha=0.5, zorder=z)
        return axes.fill_between(x, y, high, color=mark.color, alpha=0.16, linewidth=0, zorder=z)
    if mark.kind == "dots":
        sizes = [mark.sizes[place] for place in known] if mark.sizes else [7.0 if mark.quiet else 10.0] * len(x)
        return axes.scatter(
            x,
            y,
            s=[(size * scale) ** 2 for size in sizes],
            color=mark.color,
            marker=MARKERS.get(mark.symbol, "o"),
            alpha=faint,
            linewidths=0,
            zorder=z,
        )
    # What is dotted on the screen beside a line of its colour is thin in print, since dashes tell the colours apart.
    width = mark.width * scale * (0.5 if is_second else 1.0)
    (line,) = axes.plot(
        x,
        y,
        color=mark.color,
        linewidth=width,
        linestyle=dashes,
        alpha=faint,
        drawstyle="steps-post" if mark.kind == "steps" else "default",
        zorder=z,
    )
    return line


def _plain_axes(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(visible=True, axis="y", color=GRID, linewidth=0.4)
    axes.set_axisbelow(True)
    axes.tick_params(width=0.6, length=2.5, pad=2)


def _ticks(axes: Axes, axis: Axis, between: tuple[float, float], *, along: str) -> None:
    marked = ticks(axis, *between)
    _set_ticks(axes, [value for value, _ in marked], [_text(words) for _, words in marked], along)


def _set_ticks(axes: Axes, values: Sequence[float], words: Sequence[str], along: str) -> None:
    own = axes.xaxis if along == "x" else axes.yaxis
    own.set_major_locator(FixedLocator(list(values)))
    own.set_minor_locator(NullLocator())
    by_value = dict(zip(values, words, strict=True))
    own.set_major_formatter(FuncFormatter(lambda value, _: by_value.get(value, "")))


def _x_ticks(axis: Axis, between: tuple[float, float], axes: Axes, drawn: PrintFigure) -> None:
    """Set the ticks below the figure: whole labels, or their first lines, or fewer of these, so that none touch."""
    marked = [(value, _text(words)) for value, words in ticks(axis, *between)]
    first = [(value, words.split("\n")[0]) for value, words in marked]
    choices = [marked, *([first] if first != marked else []), *(first[::step] for step in range(2, len(first)))]
    for choice in choices:
        _set_ticks(axes, [value for value, _ in choice], [words for _, words in choice], "x")
        if not _touch(axes, drawn):
            return


def _touch(axes: Axes, drawn: PrintFigure) -> bool:
    """Whether two labels of the horizontal axis come closer than a letter."""
    drawn.draw_without_rendering()
    boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
    boxes.sort(key=lambda box: box.x0)
    gap = 0.5 * POINTS * drawn.dpi / 72
    return any(right.x0 - left.x1 < gap for left, right in pairwise(boxes))


def _legend(drawn: PrintFigure, handles: list[Any], labels: list[str], *, grows: bool) -> None:
    """The legend above the axes, in as many columns as there is room for; the figure grows by its further lines."""
    for columns in range(len(handles), 0, -1):
        legend = drawn.legend(
            handles,
            labels,
            loc="outside upper left",
            ncols=columns,
            frameon=False,
            handlelength=2.0,
            columnspacing=1.0,
            handletextpad=0.5,
            borderpad=0.1,
            borderaxespad=0.2,
            labelspacing=0.3,
        )
        if grows:
            further = -(-len(handles) // columns) - 1
            drawn.set_figheight(GOLDEN * drawn.get_figwidth() + further * 1.4 * POINTS / 72)
        drawn.draw_without_rendering()
        if columns == 1 or legend.get_window_extent().width <= drawn.bbox.width:
            return
        legend.remove()


# ---------------------------------------------------------------- forest plots


def _forest_height(figure: Forest, width: float) -> float:
    return 0.55 + len(figure.rows) * (0.2 if width >= NARROW else 0.34)


def _forest(figure: Forest, axes: Axes, drawn: PrintFigure) -> None:
    """Rows from the top; on a narrow figure each label stands above its line, and there is no column of numbers."""
    low, high = figure.ends
    is_wide = drawn.get_figwidth() >= NARROW
    axes.set_xlim(low, high)
    axes.set_ylim(len(figure.rows) - 0.4, -0.9 if is_wide else -0.8)
    if figure.margin is not None:
        axes.axvspan(-figure.margin, figure.margin, color=PALETTE[6], alpha=0.2, linewidth=0)
    if figure.has_zero:
        axes.axvline(0.0, color=INK, linewidth=0.6)
    for place, row in enumerate(figure.rows):
        _forest_row(row, place + (0.0 if is_wide else 0.15), axes)
        weight = "bold" if row.strong else "normal"
        if is_wide:
            axes.text(high, place, f"  {_text(row.words)}", va="center", ha="left", fontweight=weight)
        else:
            axes.text(low, place - 0.3, _text(row.label), va="center", ha="left", fontweight=weight)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_yticks(
        range(len(figure.rows)) if is_wide else [],
        [_text(row.label) for row in figure.rows][: len(figure.rows) if is_wide else 0],
    )
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", width=0.6, length=2.5, pad=2)
    for label, row in zip(axes.get_yticklabels(), figure.rows, strict=False):
        label.set_fontweight("bold" if row.strong else "normal")
    axes.grid(visible=True, axis="x", color=GRID, linewidth=0.4)
    axes.set_axisbelow(True)
    axes.set_xlabel(_text(figure.axis))
    _x_ticks(Axis(figure.axis), (low, high), axes, drawn)


def _forest_row(row: ForestRow, y: float, axes: Axes) -> None:
    color = PALETTE[1] if row.kind in ("diamond", "span") else PALETTE[0]
    has_interval = math.isfinite(row.low) and math.isfinite(row.high)
    if has_interval and row.kind != "diamond":
        ends_of_it = "|" if row.kind == "span" else ""
        axes.plot([row.low, row.high], [y, y], color=color, linewidth=1.2, marker=ends_of_it, markersize=4)
    if not math.isfinite(row.mean) or row.kind == "span":
        return
    if row.kind == "diamond":
        left, right = (row.low, row.high) if has_interval else (row.mean, row.mean)
        axes.fill([left, row.mean, right, row.mean], [y, y - 0.3, y, y + 0.3], color=color, linewidth=0)
    elif row.kind == "hollow":
        places = [row.mean, *row.more]
        axes.scatter(places, [y] * len(places), s=14, facecolors="none", edgecolors=INK, linewidths=0.7, zorder=3)
    else:
        if row.more:
            edge: dict[str, Any] = {"facecolors": "none", "edgecolors": INK, "linewidths": 0.5}
            axes.scatter([*row.more], [y] * len(row.more), s=9, zorder=2.5, **edge)
        side = 3.0 + 3.0 * math.sqrt(max(0.0, min(1.0, row.heavy)))
        axes.scatter([row.mean], [y], s=side**2, color=color, marker="s", linewidths=0, zorder=3)


# ---------------------------------------------------------------- parallel axes


def _parallel(figure: Parallel, axes: Axes, *, is_wide: bool) -> None:
    """Designs as lines across axes side by side, coloured from blue and dark for the lowest error to light orange."""
    heights = []
    # Lines pass behind the labels of an axis, not through them.
    halo: list[AbstractPathEffect] = [withStroke(linewidth=2.2, foreground="white")]
    for place, (axis, values) in enumerate(zip(figure.axes, figure.columns, strict=True)):
        low, high = ends(axis, values)
        heights.append([_height(value, axis, low, high) for value in values])
        axes.axvline(place, color=INK, linewidth=0.6, zorder=3)
        for value, words in ticks(axis, low, high):
            y = _height(value, axis, low, high)
            label = axes.text(place - 0.06, y, _text(words), ha="right", va="center", zorder=4)
            label.set_path_effects(halo)
        turned: dict[str, Any] = {} if is_wide else {"rotation": 90, "linespacing": 1.0}
        axes.text(place, 1.03, folded(_text(axis.title)), va="bottom", ha="center", **turned)
    for line, color in zip(zip(*heights, strict=True), line_colors(figure), strict=True):
        axes.plot(range(len(line)), line, color=color, linewidth=0.5, alpha=0.7, zorder=2)
    axes.set_xlim(-0.5, len(figure.axes) - 0.9)
    axes.set_ylim(0, 1)
    axes.set_axis_off()


def _height(value: float, axis: Axis, low: float, high: float) -> float:
    """Where a value lies between the ends of its axis: 0 to 1."""
    if axis.log:
        value, low, high = (math.log(max(one, 1e-300)) for one in (value, low, high))
    return (value - low) / (high - low)
