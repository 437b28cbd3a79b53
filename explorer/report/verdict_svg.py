"""Draws the picture of a verdict as SVG, for wide pages and for phones; the page's style shows one of them."""

from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup, escape

from explorer.report.svg import text
from explorer.report.verdict_drawing import (
    Box,
    Dot,
    Drawing,
    Line,
    Shape,
    Words,
    blocks_drawing,
    effects_drawing,
)
from explorer.report.verdict_picture import VerdictPicture

EM = 13.0  # pixels
WIDE = (366.0, 610.0)  # of both halves side by side, which fill a page of 1000 pixels with the gap between them
NARROW = 350.0  # of either, one below the other: the width that a phone of 390 pixels leaves


@dataclass(frozen=True)
class Halves:
    """The two halves of the picture as SVG; `effects` is empty where nothing is compared."""

    blocks: Markup
    effects: Markup


def verdict_svgs(picture: VerdictPicture) -> dict[str, Halves]:
    """The picture at both widths: `wide` and `narrow`."""
    return {
        "wide": _halves(picture, *WIDE),
        "narrow": _halves(picture, NARROW, NARROW),
    }


def _halves(picture: VerdictPicture, left: float, right: float) -> Halves:
    blocks = drawing_svg(blocks_drawing(picture, left, EM), picture.blocks_words)
    if not picture.effects:
        return Halves(blocks, Markup())
    return Halves(blocks, drawing_svg(effects_drawing(picture, right, EM), picture.effects_words))


def drawing_svg(drawing: Drawing, words: str) -> Markup:
    """One drawing, with its text for screen readers. Colours are the page's, by the classes of its style."""
    parts = []
    for role, shapes in groupby(drawing.shapes, key=lambda one: one.role):
        own = "".join(map(_shape, shapes))
        parts.append(f'<g class="{escape(role)}">{own}</g>' if role else own)
    parts += [
        f'<rect class="stripe" y="{one.y:.1f}" width="{drawing.width:g}" height="{one.height:.1f}" '
        f'data-setting="{escape(one.setting)}" data-words="{escape(one.words)}"/>'
        for one in drawing.stripes
    ]
    return Markup(  # noqa: S704 - every text in it is escaped
        f'<svg class="pic" viewBox="0 0 {drawing.width:g} {drawing.height:.1f}" role="img" '
        f'aria-label="{escape(words)}">{"".join(parts)}</svg>'
    )


def _shape(one: Shape) -> str:
    if isinstance(one, Words):
        return text(one.x, one.y, one.words, one.anchor)
    if isinstance(one, Box):
        return f'<rect x="{one.x:.2f}" y="{one.y:.2f}" width="{one.width:.2f}" height="{one.height:.2f}"/>'
    if isinstance(one, Line):
        return f'<path d="M{one.x:.2f} {one.y:.2f}L{one.to_x:.2f} {one.to_y:.2f}"/>'
    assert isinstance(one, Dot)
    if one.kind == "circle":
        return f'<circle cx="{one.x:.2f}" cy="{one.y:.2f}" r="{one.radius:.2f}"/>'
    r = one.radius
    return (
        f'<path d="M{one.x - r:.2f} {one.y - r:.2f}l{2 * r:.2f} {2 * r:.2f}m0 {-2 * r:.2f}l{-2 * r:.2f} {2 * r:.2f}"/>'
    )
