"""Draws a panel as SVG: shown before scripts run, and where scripts are not allowed."""

import math
from collections.abc import Callable

from markupsafe import Markup, escape

from explorer.report.panel import Axis, Mark, Panel, ticks

WIDTH, HEIGHT = 1000, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 34, 72
LETTER = 7.4  # average width in pixels of a letter of the legend
Place = Callable[[float], float]
Ends = tuple[float, float]


def svg(panel: Panel) -> Markup:
    """The picture of a panel, with its title for screen readers. The page's style sets colours of text and grid."""
    x_ends, y_ends = panel.ends
    across = scale(panel.x, x_ends, LEFT, WIDTH - RIGHT)
    up = scale(panel.y, y_ends, HEIGHT - BOTTOM, TOP)
    shown = [mark for mark in panel.ordered if not mark.optional]
    parts = [*_grid(panel, x_ends, y_ends, across, up), *(part for mark in shown for part in drawn(mark, across, up))]
    body = "".join(parts) + _legend([mark for mark in shown if mark.legend])
    return Markup(  # noqa: S704 - every text in it is escaped
        f'<svg class="still" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(panel.title)}" '
        f'preserveAspectRatio="xMidYMid meet">{body}</svg>'
    )


def scale(axis: Axis, between: Ends, start: float, end: float) -> Place:
    """A function from values of an axis to pixels, which maps the ends `between` to `start` and `end`."""
    low, high = between
    if axis.log:
        bottom, span = math.log(low), math.log(high) - math.log(low)
        return lambda value: start + (end - start) * (math.log(max(value, low * 1e-6)) - bottom) / span
    return lambda value: start + (end - start) * (value - low) / (high - low)


def _grid(panel: Panel, x_ends: Ends, y_ends: Ends, across: Place, up: Place) -> list[str]:
    parts = []
    for value, words in ticks(panel.x, *x_ends):
        x = across(value)
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        for number, line in enumerate(words.split("\n")):
            parts.append(_text(x, HEIGHT - BOTTOM + 17 + 15 * number, line, "middle"))
    for value, words in ticks(panel.y, *y_ends):
        y = up(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 8, y + 4.5, words, "end"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, panel.x.title, "middle", "axis"))
    turned = f'transform="rotate(-90 15 {middle:.0f})"'
    parts.append(
        f'<text class="axis" x="15" y="{middle:.0f}" text-anchor="middle" {turned}>{escape(panel.y.title)}</text>'
    )
    return parts


def _text(x: float, y: float, words: str, anchor: str, kind: str = "tick") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def drawn(mark: Mark, across: Place, up: Place) -> list[str]:
    """A mark as SVG elements; empty if it has no finite point."""
    points = [(across(x), up(y)) for x, y in zip(mark.x, mark.y, strict=True) if math.isfinite(y)]
    if not points:
        return []
    if mark.kind == "band":
        edge = [(across(x), up(y)) for x, y in zip(mark.x, mark.high, strict=True)]
        outline = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*points, *reversed(edge)])
        return [f'<polygon points="{outline}" fill="{mark.color}" fill-opacity=".16"/>']
    faint = ' opacity=".45"' if mark.quiet else ""
    if mark.kind == "dots":
        sizes = mark.sizes or [7.0 if mark.quiet else 10.0] * len(points)
        shapes = "".join(_shape(mark.symbol, x, y, size / 2) for (x, y), size in zip(points, sizes, strict=False))
        return [f'<g fill="{mark.color}"{faint}>{shapes}</g>']
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}" + "".join(
        f"H{x:.1f}V{y:.1f}" if mark.kind == "steps" else f"L{x:.1f} {y:.1f}" for x, y in points[1:]
    )
    dash = ' stroke-dasharray="3 4"' if mark.dashed else ""
    return [f'<path d="{path}" fill="none" stroke="{mark.color}" stroke-width="{mark.width}"{dash}{faint}/>']


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


def _legend(marks: list[Mark]) -> str:
    parts, x = [], float(LEFT)
    seen: set[str] = set()
    for mark in marks:
        if mark.legend in seen or x > WIDTH - 120:
            continue
        seen.add(mark.legend)
        parts.append(_key(mark, x))
        parts.append(_text(x + 28, 20, mark.legend, "start"))
        x += 28 + LETTER * len(mark.legend) + 22
    return "".join(parts)


def _key(mark: Mark, x: float) -> str:
    if mark.kind == "band":
        return f'<rect x="{x:.1f}" y="11" width="22" height="9" fill="{mark.color}" fill-opacity=".25"/>'
    faint = ' opacity=".45"' if mark.quiet else ""
    if mark.kind == "dots":
        return f'<g fill="{mark.color}"{faint}>{_shape(mark.symbol, x + 11, 15, 4.5)}</g>'
    dash = ' stroke-dasharray="3 4"' if mark.dashed else ""
    return f'<path d="M{x:.1f} 15h22" stroke="{mark.color}" stroke-width="{mark.width}"{dash}{faint}/>'
