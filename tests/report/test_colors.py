"""Colours: far enough apart for everyone, and one for each setting and space."""

import re
from importlib.resources import files
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

from explorer.report.panel import DARK, DARK_RAMP, PALETTE, RAMP, paint, palette_css

Floats = npt.NDArray[np.float64]
# Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision deficiency" (2009),
# severity 1.0, in linear sRGB.
SEEN: dict[str, Floats] = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
LIGHT_PAGE, DARK_PAGE = "#ffffff", "#14171b"
# CIELAB distances. 2.3 is just noticeable; Okabe's and Ito's eight colours have pairs at 7. One in 10,000 people has
# tritanopia, one man in 50 either of the others.
LEAST = {"usual": 22.0, "protanopia": 22.0, "deuteranopia": 22.0, "tritanopia": 10.0}


def linear(color: str) -> Floats:
    channels = np.array([int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(channels: Floats) -> Floats:
    ratios = TO_XYZ @ np.clip(channels, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    scaled = np.where(ratios > 216 / 24389, np.cbrt(ratios), (24389 / 27 * ratios + 16) / 116)
    return np.array([116 * scaled[1] - 16, 500 * (scaled[0] - scaled[1]), 200 * (scaled[1] - scaled[2])])


def contrast(first: str, second: str) -> float:
    """The ratio of WCAG 2."""
    low, high = sorted(float(TO_XYZ[1] @ linear(color)) for color in (first, second))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("palette", [PALETTE, DARK])
def test_all_pairs_of_colours_are_told_apart_whatever_the_eyes(palette: tuple[str, ...], seen: str) -> None:
    places = [lab(SEEN[seen] @ linear(color)) for color in palette]
    apart = {
        (palette[one], palette[other]): float(np.linalg.norm(places[one] - places[other]))
        for one, other in combinations(range(len(palette)), 2)
    }
    closest = min(apart, key=lambda pair: apart[pair])
    assert apart[closest] >= LEAST[seen] - 0.05, closest


@pytest.mark.parametrize(("palette", "page"), [(PALETTE, LIGHT_PAGE), (DARK, DARK_PAGE)])
def test_all_colours_stand_out_from_their_page(palette: tuple[str, ...], page: str) -> None:
    assert min(contrast(color, page) for color in (*palette, *(RAMP if palette is PALETTE else DARK_RAMP))) >= 2.9


def test_atlas_and_pages_have_one_source_of_colours() -> None:
    styles = (files("explorer.report") / "templates" / "atlas.css").read_text(encoding="utf-8")
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[;, )])", styles) == []
    assert [f"--ramp{place}:{color}" in palette_css() for place, color in enumerate((*RAMP,))] == [True] * 3


def test_a_colour_of_the_palette_is_a_variable_of_the_pages_style() -> None:
    assert paint(PALETTE[1].upper()) == f"var(--c1,{PALETTE[1].upper()})"
    assert paint("#123456") == "#123456"  # that of an extension
    for place, color in enumerate(DARK):
        assert palette_css().count(f"--c{place}:{color}") == 2
