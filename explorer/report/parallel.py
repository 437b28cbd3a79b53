"""Designs as lines across parallel axes (Inselberg, 1985): which values do those with a low error share?

A page draws them as SVG with a script of its own for selecting ranges by dragging: plotly's version needs WebGL and
code generated from text, which the page's content security policy forbids. In a notebook plotly draws them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import plotly.graph_objects as go
from markupsafe import Markup, escape

from explorer.report.layout import width_of
from explorer.report.panel import GREY, RAMP, Axis, ends, paint, ticks
from explorer.report.plot import text
from explorer.report.svg import FIGURE, framed, scale
from explorer.report.svg import text as svg_text

SIDE, TOP, BOTTOM = 70, 56, FIGURE.height - 24
LINE = 15  # pixels from one line of an axis's title to the next
APART = 6  # fewest pixels between the labels of two ticks
SHORT = 10  # fewest letters of a title in two lines
STRIP = 26  # width in pixels of the strip along an axis that can be dragged
LINES = "parallel-lines"  # the address of the lines within a page, which both pictures draw
NARROW, EDGE, HEAD, STEP = (
    350,
    18,
    40,
    66,
)  # of the picture for phones, and around its axes


@dataclass(frozen=True)
class Parallel:
    """Axes side by side, the last of which gives the lines their colours.

    columns   the values of each axis, one for each design
    settings  the setting of each design, by which figures are linked
    names     the name of each design as pages show it
    colors    that of each line, where the designs are in groups; empty: by the value of the last axis
    """

    title: str
    axes: list[Axis]
    columns: list[list[float]]
    settings: list[str]
    names: list[str]
    colors: Sequence[str] = ()


def parallel_plot(figure: Parallel) -> go.Figure:
    """The plotly figure for a notebook; `customdata` holds the settings in the order of the lines."""
    dimensions = []
    for axis, values in zip(figure.axes, figure.columns, strict=True):
        low, high = ends(axis, values)
        marked = ticks(axis, low, high)
        dimensions.append(
            {
                "label": text(axis.title),
                "values": _scaled(axis, values),
                "range": _scaled(axis, [low, high]),
                "tickvals": _scaled(axis, [value for value, _ in marked]),
                "ticktext": [text(words) for _, words in marked],
            }
        )
    if figure.colors:
        known = [*dict.fromkeys(figure.colors)]
        last = max(1, len(known) - 1)
        steps = [[place / last, color] for place, color in enumerate(known)] or [[0, GREY]]
        steps = steps if len(steps) > 1 else [*steps, [1, known[0]]]
        ranks = [known.index(color) / last for color in figure.colors]
    else:
        steps = [[place / (len(RAMP) - 1), color] for place, color in enumerate(RAMP)]
        ranks = _ranks(figure.columns[-1])
    line = {"color": ranks, "colorscale": steps, "cmin": 0, "cmax": 1}
    drawn = go.Figure(go.Parcoords(dimensions=dimensions, line=line, customdata=figure.settings))
    drawn.update_layout(template="none", margin={"l": SIDE, "r": SIDE, "t": TOP, "b": FIGURE.height - BOTTOM})
    return drawn


def parallel_svg(figure: Parallel) -> Markup:
    """The SVG picture for a page, with its title as text for screen readers: for a wide screen, and for a phone."""
    return _wide_svg(figure) + _narrow_svg(figure)


def _narrow_svg(figure: Parallel) -> Markup:
    """The picture with its axes below each other, as wide as a phone. The lines are those of the wide one, turned."""
    wide = NARROW - 2 * EDGE
    axes, labels, strips = [], [], []
    for number, (axis, values) in enumerate(zip(figure.axes, figure.columns, strict=True)):
        y = HEAD + STEP * number
        low, high = ends(axis, values)
        across = scale(axis, (low, high), EDGE, NARROW - EDGE)
        axes.append(f'<path class="grid" d="M{EDGE} {y}H{NARROW - EDGE}"/>')
        labels.append(svg_text(EDGE, y - 14, axis.title, "start", ' class="over"'))
        beyond = -math.inf
        for value, words in ticks(axis, low, high):
            half = width_of(words) / 2
            x = min(max(across(value), half), NARROW - half)
            if x - half < beyond:
                continue
            beyond = x + half + APART
            labels.append(svg_text(x, y + 15, words, "middle", ' class="over"'))
        size = f'x="{EDGE}" y="{y - STRIP / 2}" width="{wide}" height="{STRIP}"'
        strips.append(f'<rect class="strip across" data-axis="{number}" {size}/>')
    # Places across become places down, and heights places across, the lowest value at the left.
    span, tall = (FIGURE.width - 2 * SIDE) / max(1, len(figure.axes) - 1), BOTTOM - TOP
    turned = (0, STEP / span, -wide / tall, 0, EDGE + BOTTOM * wide / tall, HEAD - SIDE * STEP / span)
    lines = f'<use href="#{LINES}" transform="matrix({" ".join(f"{one:.6g}" for one in turned)})"/>'
    frame = replace(FIGURE, width=NARROW, height=HEAD + STEP * (len(figure.axes) - 1) + HEAD // 2)
    return framed(figure.title, [*axes, lines, *labels, *strips], frame, "narrow")


def _wide_svg(figure: Parallel) -> Markup:
    span = (FIGURE.width - 2 * SIDE) / max(1, len(figure.axes) - 1)
    places = [SIDE + span * number for number in range(len(figure.axes))]
    heights, axes, labels, strips = [], [], [], []
    for number, (x, axis, values) in enumerate(zip(places, figure.axes, figure.columns, strict=True)):
        low, high = ends(axis, values)
        up = scale(axis, (low, high), BOTTOM, TOP)
        heights.append([up(value) for value in values])
        axes.append(f'<path class="grid" d="M{x:.1f} {TOP}V{BOTTOM}"/>')
        lines = folded(axis.title).split("\n")
        above = zip(range(len(lines) - 1, -1, -1), lines, strict=True)
        labels += [svg_text(x, TOP - 22 - LINE * place, words) for place, words in above]
        for value, words in ticks(axis, low, high):
            labels.append(svg_text(x - 5, up(value) + 4, words, "end", ' class="over"'))
        size = f'x="{x - STRIP / 2:.1f}" y="{TOP}" width="{STRIP}" height="{BOTTOM - TOP}"'
        strips.append(f'<rect class="strip" data-axis="{number}" {size}/>')
    ways = [
        f'<path d="M{_way(places, line)}" stroke="{paint(color)}" data-setting="{escape(setting)}">'
        f"<title>{escape(name)}</title></path>"
        for setting, name, color, line in zip(
            figure.settings, figure.names, line_colors(figure), zip(*heights, strict=True), strict=True
        )
    ]
    group = f'<g id="{LINES}" fill="none" stroke-opacity=".6" stroke-width="1.3">'
    return framed(figure.title, [*axes, group, *ways, "</g>", *labels, *strips], FIGURE, "wide")


def folded(words: str) -> str:
    """A title in two lines at the space nearest to its middle, since axes stand close to each other."""
    spaces = [place for place, letter in enumerate(words) if letter == " "]
    if len(words) < SHORT or not spaces:
        return words
    at = min(spaces, key=lambda place: abs(place - len(words) / 2))
    return f"{words[:at]}\n{words[at + 1 :]}"


def line_colors(figure: Parallel) -> list[str]:
    """The colour of each design's line: that of its group, or by the rank of its value on the last axis."""
    if figure.colors:
        return [*figure.colors]
    return [_color(rank) for rank in _ranks(figure.columns[-1])]


def _way(places: Sequence[float], heights: Sequence[float]) -> str:
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(places, heights, strict=True))


def _scaled(axis: Axis, values: Sequence[float]) -> list[float]:
    """Values on the scale of the axis: logarithms if it is logarithmic."""
    return [math.log10(value) if axis.log else float(value) for value in values]


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks between 0 and 1; with the values themselves one diverged design would leave all others in one colour."""
    order = {value: place for place, value in enumerate(sorted(set(values)))}
    return [order[value] / max(1, len(order) - 1) for value in values]


def _color(rank: float) -> str:
    """The colour for a rank between 0 and 1."""
    steps = list(pairwise(RAMP))
    place = min(int(rank * len(steps)), len(steps) - 1)
    share = rank * len(steps) - place
    pairs = [[int(color[start : start + 2], 16) for start in (1, 3, 5)] for color in steps[place]]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(*pairs, strict=True))
