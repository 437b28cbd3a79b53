"""Draws the recorded gaps between several paths and one, beside those of others, as the figure that README shows.

    python studies/draw_gaps.py [FILE]      docs/gaps.svg

What is drawn is computed by gaps.py from the records; published single runs have no interval and are in none.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from gaps import DRAWN, FAMILIES, MARGIN, ROOT, Gap, gap

from explorer.analysis.published_runs import PublishedPair, every_pair
from explorer.report.forest import Forest, ForestRow, forest_svg
from explorer.report.panel import DARK

OUT = ROOT.parent / "docs" / "gaps.svg"
_LITERAL, _NARROW, _STRONG = (
    "literal_16px_cifar10_jpeg", "init_narrow_cifar10_jpeg", "recipe_strength_16px_cifar10_jpeg",
)  # fmt: skip
# Family, gap, what the row is called; the first of each family in bold.
_ROWS = (
    (_LITERAL, DRAWN, "32x4d less 1x64d, as drawn"),
    (_LITERAL, "equal norm", "the same, filter norms equal"),
    (_LITERAL, "equal turning", "the same, about equal turning"),
    (_NARROW, DRAWN, "16x2d less 1x16d, as drawn"),
    (_NARROW, "both at 2.0", "the same, filter norms both 2.0"),
    (_NARROW, "both at 0.125", "the same, filter norms both 0.125"),
    (_STRONG, "averaged 96", "16x2d, norms equal, strong recipe"),
)
# Label, source, data set, and the one setting that is taken, or all.
_PUBLISHED = (
    ("others: ImageNet, the ResNeXt paper", "the ResNeXt paper", "imagenet", "50-32x4d"),
    ("others: ImageNet, recipes of timm", "timm", "imagenet", ""),
    ("others: CIFAR-10, trained to the end", "imgclsmob", "cifar10", ""),
)


def _of(found: Gap, label: str, *, strong: bool) -> ForestRow:
    low, high = found.interval
    words = f"{found.mean:+.2f} ({low:+.2f} to {high:+.2f}), n = {found.n}"
    return ForestRow(label, found.mean, low, high, words, strong=strong)


def _others(label: str, pairs: list[PublishedPair]) -> ForestRow:
    first, *more = sorted(100 * one.gap for one in pairs)
    words = f"{first:+.2f} to {more[-1]:+.2f}, single runs" if more else f"{first:+.2f}, single runs"
    return ForestRow(label, first, words=words, kind="hollow", more=more)


def rows() -> Iterator[ForestRow]:
    """Our gaps from all test images, then those of others."""
    for family, name, label in _ROWS:
        found = gap(FAMILIES[family].gaps[name], slice(None))
        if found.n > 1:
            yield _of(found, label, strong=name == DRAWN)
    published = every_pair()
    for label, source, data, settings in _PUBLISHED:
        own = [one for one in published if one.source.startswith(source) and one.data == data]
        yield _others(label, [one for one in own if not settings or one.setting == settings])


def figure() -> str:
    """The whole file: it stands alone, in the colours of a light or a dark page."""
    picture = str(
        forest_svg(
            Forest(
                "Gaps in test error between several paths and one: the recorded pairs as drawn and at equal filter "
                "norm, and published single runs",
                [*rows()],
                "Test error of several paths less that of one path, in points: left of zero several are better",
                MARGIN,
                ("", "points, 95 % interval"),
            )
        )
    )
    dark = "".join(f"--c{place}:{color};" for place, color in enumerate(DARK))
    style = (
        "svg{font:13.5px system-ui,sans-serif;background:#fff}text{fill:#1c1c1c}.grid{stroke:#ddd;fill:none}"
        f"@media (prefers-color-scheme:dark){{svg{{background:#16181c;{dark}}}text{{fill:#e6e6e6}}"
        ".grid{stroke:#3a3d42}}"
    )
    head, _, rest = picture.partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg" width="1000"><style>{style}</style>{rest}\n'


if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    out.write_text(figure(), encoding="utf-8")
    print(f"Wrote {out}")
