"""A figure with a row for each design: a dot with its interval, or its seeds, on one axis or on two side by side.

It is drawn here as SVG, once for wide screens and paper and once for phones, on which each name stands above its row; a
page shows the one that fits. In a notebook plotly draws it, for print `print_rows`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup, escape
from plotly.subplots import make_subplots

from explorer.report.layout import LETTER, fitted, width_of
from explorer.report.panel import Axis, ends, paint, ticks
from explorer.report.plot import text as plotly_text
from explorer.report.svg import WIDTH, Frame, Place, framed, scale, text

MOST_ROWS = 40  # most rows that are drawn: more are a table
LEAST_CLAIMED = 5  # fewest values with an interval: of fewer the values themselves are shown
ROW, TALL = 26, 44  # pixels of a row, and of one with its name above it
HEAD, FOOT = 8, 54  # pixels above and below the rows
PHONE = 360  # pixels across
LONGEST = 320  # most pixels of the names at the left
GAP = 16  # pixels between an axis and the words at its sides
SPARE = 8  # pixels at the right, for words of wide letters
RADIUS, SEED = 5.5, 3.0  # of the mark of a mean, and of that of a seed


@dataclass(frozen=True)
class Cell:
    """What a row has on one axis, in the axis's unit: NaN where there is none.

    low, high  of the interval; NaN if none is claimed
    each       the values of which `value` is the mean or median, each with a mark of its own
    words      its numbers as text, beside it
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    each: Sequence[float] = ()
    words: str = ""


@dataclass(frozen=True)
class Row:
    """One design: its name, its setting, its colour and its cells, one for each axis."""

    label: str
    setting: str
    color: str
    cells: Sequence[Cell]
    words: str = ""  # the text shown on hovering


@dataclass(frozen=True)
class Rows:
    """A figure of rows as plain numbers, first row on top.

    title    read out by screen readers
    axes     one for each cell of a row
    shades   for each axis what is shaded on it, as lowest and highest value: what a budget allows; None for nothing
    caption  what is left out, or of its own; "" for nothing
    """

    title: str
    axes: Sequence[Axis]
    rows: Sequence[Row]
    shades: Sequence[tuple[float, float] | None] = field(default=())
    caption: str = ""

    @property
    def has_band(self) -> bool:
        """Whether any row has an interval."""
        return any(math.isfinite(cell.low) for row in self.rows for cell in row.cells)

    def ends(self, place: int) -> tuple[float, float]:
        """The ends of an axis."""
        cells = [row.cells[place] for row in self.rows]
        values = [value for cell in cells for value in (cell.value, cell.low, cell.high, *cell.each)]
        return ends(self.axes[place], [*values, *(self.shade(place) or ())])

    def shade(self, place: int) -> tuple[float, float] | None:
        """What is shaded on an axis."""
        return self.shades[place] if self.shades else None


def rows_svg(figure: Rows) -> Markup:
    """Both pictures of a figure, of which a page shows the one that fits its width."""
    return Markup("").join([_picture(figure, is_wide=True), _picture(figure, is_wide=False)])


def _picture(figure: Rows, *, is_wide: bool) -> Markup:
    count, row = len(figure.rows), ROW if is_wide else TALL
    bottom = HEAD + row * count
    spans = _spans(figure, is_wide=is_wide)
    frame = Frame(WIDTH if is_wide else PHONE, bottom + FOOT, left=0, right=0, top=HEAD, bottom=FOOT, gap=8)
    parts, places = list[str](), list[Place]()
    for place, ((left, right), axis) in enumerate(zip(spans, figure.axes, strict=True)):
        low, high = figure.ends(place)
        across = scale(axis, (low, high), left, right)
        places.append(across)
        if (shade := figure.shade(place)) is not None:
            first, last = (across(end) for end in shade)
            parts.append(
                f'<rect class="shade" x="{first:.1f}" y="{HEAD}" width="{last - first:.1f}" height="{bottom - HEAD}"/>'
            )
        marked = ticks(axis, low, high)
        for value, words in fitted(marked, [across(value) for value, _ in marked]):
            parts.append(f'<path class="grid" d="M{across(value):.1f} {HEAD}V{bottom}"/>')
            parts.append(text(across(value), bottom + 18, words))
        parts.append(text((left + right) / 2, frame.height - 12, axis.title))
    for number, one in enumerate(figure.rows):
        top = HEAD + row * number
        parts += _row(one, top, places, spans, is_wide=is_wide)
    kind = "wide" if is_wide else "narrow"
    return framed(figure.title, parts, frame, kind)


def _spans(figure: Rows, *, is_wide: bool) -> list[tuple[float, float]]:
    """Where each axis begins and ends, with room for the words beside it."""
    count = len(figure.axes)
    if not is_wide:
        each = (PHONE - 24 - 32 * (count - 1)) / count
        return [(12 + (each + 32) * place, 12 + (each + 32) * place + each) for place in range(count)]
    left = min(LONGEST, max((width_of(row.label) for row in figure.rows), default=0.0)) + GAP + 8
    told = [max((width_of(row.cells[place].words) for row in figure.rows), default=0.0) + GAP for place in range(count)]
    each = (WIDTH - SPARE - left - sum(told) - 24 * (count - 1)) / count
    spans, at = list[tuple[float, float]](), left
    for words in told:
        spans.append((at, at + each))
        at += each + words + 24
    return spans


def _row(
    row: Row, top: float, places: Sequence[Place], spans: Sequence[tuple[float, float]], *, is_wide: bool
) -> list[str]:
    y = top + (ROW / 2 if is_wide else 31)
    label = y + 4.5 if is_wide else top + 15
    most = int((LONGEST if is_wide else PHONE - 70) / LETTER)
    parts = [text(0, label, cut(row.label, most), "start")]
    if not is_wide:
        told = ", ".join(cell.words for cell in row.cells if cell.words) if len(row.cells) > 1 else row.cells[0].words
        room = int((PHONE - width_of(cut(row.label, most)) - GAP) / LETTER)
        parts.append(text(PHONE, label, _shortest(told, room), "end", ' class="quiet"'))
    for cell, across, (_, right) in zip(row.cells, places, spans, strict=True):
        parts += _cell(cell, row.color, across, y)
        if is_wide and cell.words:
            parts.append(text(right + GAP, y + 4.5, cell.words, "start", ' class="quiet"'))
    title = f"<title>{escape(row.words)}</title>" if row.words else ""
    height = ROW if is_wide else TALL
    width = WIDTH if is_wide else PHONE
    ground = f'<rect class="ground" x="0" y="{top:.1f}" width="{width}" height="{height}"/>'
    return [f'<g class="row" data-setting="{escape(row.setting)}">{title}{ground}{"".join(parts)}</g>']


def _cell(cell: Cell, color: str, across: Place, y: float) -> list[str]:
    parts, own = list[str](), paint(color)
    if math.isfinite(cell.low) and math.isfinite(cell.high):
        parts.append(
            f'<path d="M{across(cell.low):.1f} {y:.1f}H{across(cell.high):.1f}" stroke="{own}" stroke-width="2"/>'
        )
    seeds = "".join(
        f'<circle cx="{across(value):.1f}" cy="{y:.1f}" r="{SEED}"/>' for value in cell.each if math.isfinite(value)
    )
    if seeds:
        parts.append(f'<g fill="none" stroke="{own}" stroke-width="1.2" opacity=".75">{seeds}</g>')
    if math.isfinite(cell.value):
        parts.append(f'<circle cx="{across(cell.value):.1f}" cy="{y:.1f}" r="{RADIUS}" fill="{own}"/>')
    return parts


def cut(words: str, most: int) -> str:
    """Words that are shortened where they are longer than so many letters."""
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _shortest(words: str, room: int) -> str:
    """The words, or as many whole parts of them, between commas, as there is room for."""
    parts = words.split(", ")
    while len(parts) > 1 and len(", ".join(parts)) > room:
        parts.pop()
    return ", ".join(parts)


def rows_table(figure: Rows) -> tuple[list[str], list[list[Any]]]:
    """The numbers of a figure as a table: its columns, and one line for each value, interval and part of a row."""
    lines = list[list[Any]]()
    for row in figure.rows:
        for axis, cell in zip(figure.axes, row.cells, strict=True):
            ends_of_it = [cell.low, cell.high] if math.isfinite(cell.low) else ["", ""]
            lines.append([row.label, row.setting, axis.title, "mean or median", cell.value, *ends_of_it])
            lines += [[row.label, row.setting, axis.title, "one run", value, "", ""] for value in cell.each]
    return ["row", "setting", "axis", "what", "value", "low", "high"], lines


def rows_plot(figure: Rows) -> go.Figure:
    """The plotly figure for a notebook; `customdata` is the setting of a row."""
    drawn = make_subplots(rows=1, cols=len(figure.axes), shared_yaxes=True, horizontal_spacing=0.06)
    places = list(range(len(figure.rows)))
    for column, axis in enumerate(figure.axes, start=1):
        cells = [row.cells[column - 1] for row in figure.rows]
        for place, (row, cell) in enumerate(zip(figure.rows, cells, strict=True)):
            if math.isfinite(cell.low):
                line = {"color": row.color, "width": 2}
                drawn.add_scatter(
                    x=[cell.low, cell.high], y=[place] * 2, mode="lines", line=line, hoverinfo="skip", row=1, col=column
                )
            if cell.each:
                drawn.add_scatter(
                    x=list(cell.each),
                    y=[place] * len(cell.each),
                    mode="markers",
                    marker={"color": row.color, "size": 6, "symbol": "circle-open"},
                    hoverinfo="skip",
                    row=1,
                    col=column,
                )
        drawn.add_scatter(
            x=[cell.value for cell in cells],
            y=places,
            mode="markers",
            marker={"color": [row.color for row in figure.rows], "size": 11},
            customdata=[row.setting for row in figure.rows],
            hovertext=[plotly_text(row.words or row.label) for row in figure.rows],
            hovertemplate="%{hovertext}<extra></extra>",
            row=1,
            col=column,
        )
        low, high = figure.ends(column - 1)
        reach = [math.log10(low), math.log10(high)] if axis.log else [low, high]
        kind = "log" if axis.log else "linear"
        drawn.update_xaxes(title={"text": plotly_text(axis.title)}, type=kind, range=reach, tickangle=0, col=column)
        if (shade := figure.shade(column - 1)) is not None:
            drawn.add_vrect(*shade, fillcolor="#757575", opacity=0.15, line_width=0, row=1, col=column)
    names = [plotly_text(row.label) for row in figure.rows]
    drawn.update_yaxes(tickvals=places, ticktext=names, autorange="reversed", automargin=True, zeroline=False)
    height = HEAD + FOOT + 30 + ROW * len(figure.rows)
    drawn.update_layout(template="none", showlegend=False, height=height, margin={"l": 16, "r": 16, "t": 16, "b": FOOT})
    return drawn
