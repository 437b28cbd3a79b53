"""Draws the picture of a verdict for print with matplotlib, from the same shapes as the page's."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Circle, Rectangle
from matplotlib.patheffects import AbstractPathEffect, withStroke

from explorer.report.panel import GREY, PALETTE
from explorer.report.verdict_drawing import Box, Dot, Drawing, Line, Shape, Words, blocks_drawing, effects_drawing
from explorer.report.verdict_picture import VerdictPicture

EDGE, GAP = 2.0, 12.0  # points around the picture, and between its halves
BLOCKS_SHARE = 0.42  # of the width, beside the rows
OURS, RIVAL, INK, QUIET, GRID = PALETTE[0], GREY, "#202020", "#505860", "#d0d0d0"
SIDES = {"ours": OURS, "rival": RIVAL, "plain": RIVAL, "open": RIVAL}
LINES = {"rule": (GRID, 0.6), "grid": (GRID, 0.4), "zero": (INK, 0.7), "cut": ("white", 0.5)}


def layout(picture: VerdictPicture, width: float, em: float, *, is_wide: bool) -> list[tuple[float, float, Drawing]]:
    """The drawings of a picture, each with the place of its upper left corner, in points."""
    inner = width - 2 * EDGE
    if not picture.effects:
        return [(EDGE, EDGE, blocks_drawing(picture, min(inner, 32 * em), em))]
    if not is_wide:
        blocks = blocks_drawing(picture, inner, em)
        return [(EDGE, EDGE, blocks), (EDGE, EDGE + blocks.height + GAP, effects_drawing(picture, inner, em))]
    left = BLOCKS_SHARE * (inner - GAP)
    blocks, effects = blocks_drawing(picture, left, em), effects_drawing(picture, inner - GAP - left, em)
    return [(EDGE, EDGE, blocks), (EDGE + left + GAP, EDGE, effects)]


def height_of(drawings: list[tuple[float, float, Drawing]]) -> float:
    """The height that drawings take, in points."""
    return max(y + one.height for _, y, one in drawings) + EDGE


def draw(drawings: list[tuple[float, float, Drawing]], axes: Axes, width: float, height: float) -> None:
    """Draw them on axes that fill a figure of this size, in points."""
    axes.set_position((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    order = 0
    for x, y, drawing in drawings:
        for shape in drawing.shapes:
            order += 1
            _shape(shape, x, y, axes, 1 + order / 10_000)


def _shape(one: Shape, x: float, y: float, axes: Axes, z: float) -> None:
    words = one.role.split()
    color = next((SIDES[word] for word in words if word in SIDES), INK)
    if isinstance(one, Words):
        _words(one, x, y, axes, z)
    elif isinstance(one, Box):
        axes.add_patch(Rectangle((x + one.x, y + one.y), one.width, one.height, zorder=z, **_filled(words[0], color)))
    elif isinstance(one, Line):
        known = {"input": (color, 1.5), "interval": (color, 1.8 if color == OURS or "open" in words else 1.1), **LINES}
        edge, thick = known[words[0]]
        axes.plot([x + one.x, x + one.to_x], [y + one.y, y + one.to_y], color=edge, linewidth=thick, zorder=z)
    elif isinstance(one, Dot) and one.kind == "circle":
        edge = QUIET if words[0] == "hollow" else color
        patch = Circle((x + one.x, y + one.y), one.radius, fill=False, edgecolor=edge, linewidth=0.6, zorder=z)
        axes.add_patch(patch)
    else:
        assert isinstance(one, Dot)
        for turn in (1, -1):
            ys = [y + one.y - turn * one.radius, y + one.y + turn * one.radius]
            axes.plot([x + one.x - one.radius, x + one.x + one.radius], ys, color=color, linewidth=0.6, zorder=z)


def _filled(kind: str, color: str) -> dict[str, Any]:
    if kind == "hollow":
        return {"fill": False, "edgecolor": QUIET, "linewidth": 0.9}
    alpha = {"point": 0.3, "spatial": 0.6, "margin": 0.2}.get(kind, 1.0)
    return {"facecolor": RIVAL if kind == "margin" else color, "alpha": alpha, "linewidth": 0}


def _words(one: Words, x: float, y: float, axes: Axes, z: float) -> None:
    words = one.role.split()
    known = {"ours": OURS, "rival": QUIET, "quiet": QUIET}
    color = next((known[word] for word in words if word in known), INK)
    halo: list[AbstractPathEffect] = [withStroke(linewidth=1.5, foreground="white")] if "over" in words else []
    axes.text(
        x + one.x,
        y + one.y,
        one.words,
        color=color,
        ha={"start": "left", "middle": "center", "end": "right"}[one.anchor],
        va="baseline",
        fontweight="bold" if "strong" in words else "normal",
        path_effects=halo,
        zorder=z,
    )
