"""Draws a panel as SVG: shown before scripts run, and where scripts are not allowed."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from markupsafe import Markup, escape

from explorer.report.layout import DIGIT as DIGIT
from explorer.report.layout import LEADER, LINE, Box, apart, beside, fitted, margins_of, width_of
from explorer.report.layout import LETTER as LETTER
from explorer.report.panel import BAR, Axis, Mark, Panel, paint, ticks

WIDTH = 1000  # pixels of a picture on a page
Place = Callable[[float], float]


@dataclass(frozen=True)
class Frame:
    """The size of a picture in pixels, the margins around its axes, and the gap between an axis and its labels."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    gap: int

    @property
    def box(self) -> Box:
        """The rectangle of the axes."""
        return Box(self.left, self.top, self.width - self.right, self.height - self.bottom)


FIGURE = Frame(WIDTH, 420, left=64, right=16, top=34, bottom=72, gap=8)
SMALL = Frame(272, 104, left=48, right=8, top=8, bottom=20, gap=6)  # shown without scaling


def frame_of(panel: Panel) -> Frame:
    """The frame of a panel's picture, with the room that its words need."""
    own = margins_of(panel)
    return Frame(WIDTH, panel.height, own.left, own.right, own.top, own.bottom, gap=8)


def svg(panel: Panel) -> Markup:
    """The picture of a panel, with its title for screen readers. The page's style sets colours of text and grid."""
    frame = frame_of(panel)
    across, up = scales(panel, frame)
    shown = [mark for mark in panel.ordered if not mark.optional]
    marks = [part for mark in shown for part in drawn(mark, across, up)]
    words = [*_names(shown, across, up, frame), *_ends(shown, across, up, frame)]
    return framed(panel.title, [*_grid(panel, across, up, frame), *marks, *words, *_legend(shown, frame)], frame)


def small_svg(panel: Panel) -> Markup:
    """The small picture of a panel: without legend and titles, and with only the labels that fit."""
    across, up = scales(panel, SMALL)
    x_ends, y_ends = panel.ends
    marked = ticks(panel.y, *y_ends)
    rows = [part for value, words in [marked[0], marked[-1]][: len(marked)] for part in _row(up(value), words, SMALL)]
    columns: list[str] = []
    right = SMALL.width + DIGIT
    for value, words in reversed(ticks(panel.x, *x_ends)):  # the last label is always shown
        half = DIGIT * len(words) / 2
        x = min(across(value), SMALL.width - half)
        if x + half < right - DIGIT / 2:
            columns.append(text(x, SMALL.height - 5, words))
            right = x - half
    return framed(
        panel.title, [*rows, *columns, *(part for mark in panel.marks for part in drawn(mark, across, up))], SMALL
    )


def framed(title: str, parts: Iterable[str], frame: Frame = FIGURE, kind: str = "") -> Markup:
    """SVG elements as one picture with its title for screen readers. Any text in them must be escaped.

    `kind` is a further class, by which a page shows one of several pictures.
    """
    size = f'width="{frame.width}" height="{frame.height}"' if frame is SMALL else f'class="{f"still {kind}".strip()}"'
    return Markup(  # noqa: S704 - every text in it is escaped
        f'<svg {size} viewBox="0 0 {frame.width} {frame.height}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def scale(axis: Axis, between: tuple[float, float], start: float, end: float) -> Place:
    """A function from values of an axis to pixels, which maps the ends `between` to `start` and `end`."""
    low, high = between
    if axis.log:
        bottom, span = math.log(low), math.log(high) - math.log(low)
        return lambda value: start + (end - start) * (math.log(max(value, low * 1e-6)) - bottom) / span
    return lambda value: start + (end - start) * (value - low) / (high - low)


def text(x: float, y: float, words: str, anchor: str = "middle", more: str = "") -> str:
    """A text as an SVG element, escaped; `more` are further attributes."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def scales(panel: Panel, frame: Frame) -> tuple[Place, Place]:
    """The functions from values of both axes to pixels of a frame."""
    x_ends, y_ends = panel.ends
    across = scale(panel.x, x_ends, frame.left, frame.width - frame.right)
    return across, scale(panel.y, y_ends, frame.height - frame.bottom, frame.top)


def _row(y: float, words: str, frame: Frame) -> list[str]:
    """A horizontal grid line with its label."""
    line = f'<path class="grid" d="M{frame.left} {y:.1f}H{frame.width - frame.right}"/>'
    return [line, text(frame.left - frame.gap, y + 4.5, words, "end")]


def _grid(panel: Panel, across: Place, up: Place, frame: Frame) -> list[str]:
    parts, x_ends, y_ends, box = [], *panel.ends, frame.box
    marked = ticks(panel.x, *x_ends)
    for value, words in fitted(marked, [across(value) for value, _ in marked]):
        x = across(value)
        parts.append(f'<path class="grid" d="M{x:.1f} {box.top}V{box.bottom}"/>')
        parts += [text(x, box.bottom + 18 + LINE * number, line) for number, line in enumerate(words.split("\n"))]
    for value, words in ticks(panel.y, *y_ends):
        parts += _row(up(value), words, frame)
    parts.append(text((box.left + box.right) / 2, frame.height - 8, panel.x.title))
    return [*parts, text(0, box.top - 12, panel.y.title, "start", ' font-weight="600"')]


def _names(marks: list[Mark], across: Place, up: Place, frame: Frame) -> list[str]:
    """The names beside dots."""
    points = [[(across(x), up(y)) for x, y in zip(mark.x, mark.y, strict=True)] for mark in marks]
    taken = end_boxes(marks, across, up, frame)
    found = (name for names in beside(marks, points, frame.box, taken) for name in names if name is not None)
    return [text(name.x, name.y, name.words, name.anchor, ' class="over"') for name in found]


def line_ends(marks: list[Mark]) -> list[tuple[Mark, float, float]]:
    """The marks that are named at their ends, with their last points."""
    found = []
    for mark in marks:
        known = [(x, y) for x, y in zip(mark.x, mark.y, strict=True) if math.isfinite(y)]
        if mark.end and known:
            found.append((mark, *known[-1]))
    return found


def end_boxes(marks: list[Mark], across: Place, up: Place, frame: Frame) -> list[Box]:
    """The rectangles of the names at the ends of lines."""
    found, box = line_ends(marks), frame.box
    heights = apart([up(y) for _, _, y in found], box.top, box.bottom)
    return [
        Box(across(x), at - LINE / 2, across(x) + LEADER + width_of(mark.end), at + LINE / 2)
        for (mark, x, _), at in zip(found, heights, strict=True)
    ]


def _ends(marks: list[Mark], across: Place, up: Place, frame: Frame) -> list[str]:
    """The names at the ends of lines, moved apart, each led to from its line."""
    found, box, parts = line_ends(marks), frame.box, list[str]()
    heights = [up(y) for _, _, y in found]
    for (mark, x, _), at, height in zip(found, heights, apart(heights, box.top, box.bottom), strict=True):
        lead = f"M{across(x) + 2:.1f} {at:.1f}L{across(x) + LEADER - 2:.1f} {height:.1f}"
        parts.append(f'<path d="{lead}" fill="none" stroke="{paint(mark.color)}"/>')
        parts.append(text(across(x) + LEADER, height + 4.5, mark.end, "start"))
    return parts


def drawn(mark: Mark, across: Place, up: Place) -> list[str]:
    """A mark as SVG elements; empty if it has no finite point."""
    points = [(across(x), up(y)) for x, y in zip(mark.x, mark.y, strict=True) if math.isfinite(y)]
    if not points:
        return []
    if mark.kind == "band" and len(points) == 1:
        (x, low), top = points[0], up(mark.high[0])
        return [
            f'<path d="M{x:.1f} {low:.1f}V{top:.1f}" stroke="{paint(mark.color)}" stroke-width="{BAR}" opacity=".25"/>'
        ]
    if mark.kind == "band":
        edge = [(across(x), up(y)) for x, y in zip(mark.x, mark.high, strict=True)]
        outline = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*points, *reversed(edge)])
        return [f'<polygon points="{outline}" fill="{paint(mark.color)}" fill-opacity=".16"/>']
    faint = ' opacity=".45"' if mark.quiet else ""
    if mark.kind == "dots":
        sizes = mark.sizes or [7.0 if mark.quiet else 10.0] * len(points)
        shapes = "".join(_shape(mark.symbol, x, y, size / 2) for (x, y), size in zip(points, sizes, strict=False))
        return [f'<g fill="{paint(mark.color)}"{faint}>{shapes}</g>']
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}" + "".join(
        f"H{x:.1f}V{y:.1f}" if mark.kind == "steps" else f"L{x:.1f} {y:.1f}" for x, y in points[1:]
    )
    dash = ' stroke-dasharray="3 4"' if mark.dashed else ""
    return [f'<path d="{path}" fill="none" stroke="{paint(mark.color)}" stroke-width="{mark.width}"{dash}{faint}/>']


def _shape(symbol: str, x: float, y: float, r: float) -> str:
    """A marker as an SVG element, like plotly's marker of the same name."""
    if symbol == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}"/>'
    known: dict[str, list[tuple[float, float]]] = {
        "square": [(-1, -1), (1, -1), (1, 1), (-1, 1)],
        "diamond": [(0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)],
        "triangle-up": [(0, -1.2), (1.1, 0.8), (-1.1, 0.8)],
        "cross": [
            *[(-0.4, -1.2), (0.4, -1.2), (0.4, -0.4), (1.2, -0.4), (1.2, 0.4), (0.4, 0.4)],
            *[(0.4, 1.2), (-0.4, 1.2), (-0.4, 0.4), (-1.2, 0.4), (-1.2, -0.4), (-0.4, -0.4)],
        ],
        "x": [
            *[(0, -0.55), (0.7, -1.25), (1.25, -0.7), (0.55, 0), (1.25, 0.7), (0.7, 1.25)],
            *[(0, 0.55), (-0.7, 1.25), (-1.25, 0.7), (-0.55, 0), (-1.25, -0.7), (-0.7, -1.25)],
        ],
        "star": [
            (math.sin(math.pi * turn / 5) * size, -math.cos(math.pi * turn / 5) * size)
            for turn, size in zip(range(10), (1.4, 0.55) * 5, strict=True)
        ],
    }
    return f'<polygon points="{" ".join(f"{x + r * dx:.1f},{y + r * dy:.1f}" for dx, dy in known[symbol])}"/>'


def _legend(marks: list[Mark], frame: Frame) -> list[str]:
    parts, x = [], 0.0
    seen = {""}
    for mark in marks:
        if mark.legend in seen or x > frame.width - 120:
            continue
        seen.add(mark.legend)
        parts += [*_key(mark, x), text(x + 28, 16, mark.legend, "start")]
        x += 28 + LETTER * len(mark.legend) + 22
    return parts


def _key(mark: Mark, x: float) -> list[str]:
    """A sample of a mark for the legend, 22 pixels wide."""
    if mark.kind == "band":
        return [f'<rect x="{x:.1f}" y="7" width="22" height="9" fill="{paint(mark.color)}" fill-opacity=".25"/>']
    if mark.kind == "dots":
        sample = replace(mark, x=[11], y=[0], sizes=[9])
    else:
        sample = replace(mark, kind="line", x=[0, 22], y=[0, 0])
    return drawn(sample, lambda at: x + at, lambda _: 11)
