"""A forest plot: one row for each estimate of the same difference, drawn as SVG without a script."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from explorer.report.panel import PALETTE, Axis, ends, paint, ticks
from explorer.report.svg import DIGIT, LETTER, Frame, Place, framed, scale, text

ROW, TOP, BOTTOM = 30, 34, 56  # heights in pixels of a row, of the heads of the columns, and of the axis below
WIDTH, LEFT, RIGHT = 1000, 300, 700  # of the picture; where its axis begins, and ends if the words beside it are short
GAP = 16  # between the axis and the text at its sides
NARROWEST = 240  # width of the axis that longer words leave it; what is longer still is cut
LONGEST_LABEL, LONGEST_WORDS = int((LEFT - GAP) / LETTER), int((WIDTH - LEFT - NARROWEST - GAP) / LETTER)  # characters
GREY_PAINT = paint(PALETTE[6])
Kind = Literal["square", "diamond", "span", "hollow"]


@dataclass(frozen=True)
class ForestRow:
    """One row: an estimate with its interval, in the unit of the axis; NaN where there is none.

    label   what it is an estimate of, on the left; `words` are its numbers as text, on the right
    kind    square: an estimate of its own; diamond: a summary of others, as wide as its interval; span: an interval
            without a mark, such as a prediction interval; hollow: a value that no summary here contains
    heavy   share of the largest weight among the rows, which the area of a square shows
    strong  whether the label is set in bold
    more    further values of a hollow row, each with a mark of its own; of a square one what it is the mean of
    """

    label: str
    mean: float
    low: float = math.nan
    high: float = math.nan
    words: str = ""
    kind: Kind = "square"
    heavy: float = 1.0
    strong: bool = False
    more: Sequence[float] = ()


@dataclass(frozen=True)
class Forest:
    """A forest plot as plain numbers: its rows from the top, and the axis that they share.

    title   read out by screen readers
    axis    names the difference and its unit
    margin  the largest difference that does not matter, which is shaded; None: none was declared
    heads   the heads of both columns of text
    has_zero  whether values are differences, so that the axis holds zero, and a line stands there
    """

    title: str
    rows: Sequence[ForestRow]
    axis: str
    margin: float | None = None
    heads: tuple[str, str] = ("", "")
    has_zero: bool = True

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of the axis, which holds zero, for differences, and the margin."""
        values = [
            value for row in self.rows for value in (row.mean, row.low, row.high, *row.more) if math.isfinite(value)
        ]
        beside = [*([0.0] if self.has_zero else []), *([-self.margin, self.margin] if self.margin is not None else [])]
        return ends(Axis(self.axis), [*values, *beside])


def forest_svg(forest: Forest) -> Markup:
    """The picture of all rows in their order, with a line at zero. The page gives the same numbers as a table."""
    rows, axis, margin, heads = forest.rows, forest.axis, forest.margin, forest.heads
    longest = min(max(map(len, [heads[1], *(row.words for row in rows)])), LONGEST_WORDS)
    right = min(RIGHT, WIDTH - GAP - math.ceil(LETTER * longest))
    frame = Frame(WIDTH, TOP + ROW * len(rows) + BOTTOM, left=LEFT, right=WIDTH - right, top=TOP, bottom=BOTTOM, gap=8)
    low, high = forest.ends
    across, bottom = scale(Axis(axis), (low, high), LEFT, right), TOP + ROW * len(rows)
    parts = [] if margin is None else [_shade(across(-margin), across(margin), bottom)]
    for value, words in ticks(Axis(axis), low, high):
        parts.append(f'<path class="grid" d="M{across(value):.1f} {TOP}V{bottom}"/>')
        parts.append(text(across(value), bottom + 18, words))
    if forest.has_zero:
        parts.append(f'<path d="M{across(0.0):.1f} {TOP}V{bottom}" stroke="{GREY_PAINT}" stroke-width="1.5"/>')
    parts.append(text((LEFT + right) / 2, frame.height - 12, axis))
    parts += [text(0, 20, heads[0], "start"), text(right + GAP, 20, heads[1], "start")]
    for place, row in enumerate(rows):
        parts += _row(row, TOP + ROW * (place + 0.5), across, right)
    return framed(forest.title, parts, frame)


def _shade(left: float, right: float, bottom: float) -> str:
    return (
        f'<rect x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" height="{bottom - TOP}" fill="{GREY_PAINT}" '
        'fill-opacity=".18"/>'
    )


def _cut(words: str, longest: int) -> str:
    return words if len(words) <= longest else f"{words[: longest - 1]}…"


def _row(row: ForestRow, y: float, across: Place, axis_ends: float) -> list[str]:
    bold = ' font-weight="700"' if row.strong else ""
    found = [
        text(0, y + 4.5, _cut(row.label, LONGEST_LABEL), "start", bold),
        text(axis_ends + GAP, y + 4.5, _cut(row.words, LONGEST_WORDS), "start", bold),
    ]
    color = paint(PALETTE[1] if row.kind in ("diamond", "span") else PALETTE[0])
    has_interval = math.isfinite(row.low) and math.isfinite(row.high)
    if has_interval and row.kind != "diamond":
        left, right = across(row.low), across(row.high)
        caps = f"M{left:.1f} {y - 5:.1f}v10M{right:.1f} {y - 5:.1f}v10" if row.kind == "span" else ""
        found.append(f'<path d="M{left:.1f} {y:.1f}H{right:.1f}{caps}" stroke="{color}" stroke-width="2" fill="none"/>')
    if not math.isfinite(row.mean) or row.kind == "span":
        return found
    x = across(row.mean)
    if row.kind == "diamond":
        left, right = (across(row.low), across(row.high)) if has_interval else (x - DIGIT, x + DIGIT)
        corners = f"{left:.1f},{y:.1f} {x:.1f},{y - 9:.1f} {right:.1f},{y:.1f} {x:.1f},{y + 9:.1f}"
        found.append(f'<polygon points="{corners}" fill="{color}"/>')
    elif row.kind == "hollow":
        places = [x, *map(across, row.more)]
        found += [
            f'<circle cx="{at:.1f}" cy="{y:.1f}" r="5" fill="none" stroke="{GREY_PAINT}" stroke-width="2"/>'
            for at in places
        ]
    else:
        found += [
            f'<circle cx="{across(at):.1f}" cy="{y:.1f}" r="3.5" fill="none" stroke="{GREY_PAINT}" stroke-width="1.5"/>'
            for at in row.more
        ]
        half = 3 + 5 * math.sqrt(max(0.0, min(1.0, row.heavy)))
        size = f'width="{2 * half:.1f}" height="{2 * half:.1f}"'
        found.append(f'<rect x="{x - half:.1f}" y="{y - half:.1f}" {size} fill="{color}"/>')
    return found
