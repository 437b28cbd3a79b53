"""A figure as plain numbers, which `svg` draws without any script and `plot` as an interactive plotly figure.

Lines and markers use a palette that colour-blind people can tell apart (`tests/report/test_colors.py` computes how far
each pair is apart for them), with a marker shape of its own beside each colour. On a dark page each colour has its
counterpart of the dark palette, by `paint` and in the page's scripts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal

from explorer.host.formatting import with_true_minus

# Blue, vermilion, green, purple, gold, sky and grey: on light pages, and in the same order on dark ones.
PALETTE = ("#0074cc", "#a83a00", "#33a769", "#792784", "#b48d00", "#219dd1", "#757575")
# From the lowest value to the highest, distinguishable for colour-blind people; on dark pages lighter.
RAMP, DARK_RAMP = ("#0074cc", "#7f9a9e", "#d07f00"), ("#55a7f8", "#9aa9ad", "#f0b040")
DARK = ("#55a7f8", "#ea7d3b", "#53c884", "#bc55b2", "#fcd761", "#9ad9ff", "#9a9a9a")
GREY = PALETTE[-1]
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
MOST_TICKS = 7
MOST_DOTS = 2_000  # most dots of one mark: pages draw without WebGL, which would need code generated from text
BAR = 10  # width in pixels of a band at a single place: that of a mark
FEW = 4  # largest ratio of an axis's ends with evenly spaced ticks, even if the axis is logarithmic
MOST_EVEN = 2  # largest ratio of largest to smallest value that is drawn on a linear axis
PERCENT = (0.0, 100.0)  # within which errors lie, and with them their axes


@dataclass(frozen=True)
class Axis:
    """One axis: its title with the unit, its scale and its ends.

    ticks   values and their labels, in which a line break starts another line; empty: they are chosen automatically
    low, high  ends; None: those of the marks, with some room
    share   whether values are fractions that are labelled in percent
    whole   whether values are whole numbers, such as epochs, and ticks with them
    within  what values there can be: the axis ends there, with no room beyond
    """

    title: str
    log: bool = False
    ticks: tuple[tuple[float, str], ...] = ()
    low: float | None = None
    high: float | None = None
    share: bool = False
    whole: bool = False
    within: tuple[float, float] = (-math.inf, math.inf)


@dataclass(frozen=True)
class Mark:
    """Points of one colour: dots, a line through them, steps, or a band between `y` and `high`.

    legend    its text in the legend; "": it has none
    settings  the setting of each point, by which figures are linked; or one for all, as of a training curve
    words     the text shown on hovering over each point
    sizes     the diameter of each dot in pixels
    quiet     drawn behind the others, and fainter
    optional  hidden until the reader asks for it
    names     the text beside each dot, where these are few
    end       the text at the right end of a line, in place of a legend
    """

    kind: Literal["dots", "line", "steps", "band"]
    x: Sequence[float]
    y: Sequence[float]
    color: str
    high: Sequence[float] = ()
    symbol: str = "circle"
    legend: str = ""
    settings: Sequence[str] = ()
    words: Sequence[str] = ()
    sizes: Sequence[float] = ()
    dashed: bool = False
    quiet: bool = False
    optional: bool = False
    width: float = 2.5
    names: Sequence[str] = ()
    end: str = ""


@dataclass(frozen=True)
class Panel:
    """One figure: its title, which screen readers read out, its axes and its marks, and its own caption, if any."""

    title: str
    x: Axis
    y: Axis
    marks: list[Mark] = field(default_factory=list)
    caption: str = ""
    height: int = 420  # pixels on a page

    @property
    def ordered(self) -> list[Mark]:
        """The marks in drawing order: bands first, then quiet ones; a mark with too many dots is thinned."""
        return sorted(map(_thinned, self.marks), key=lambda mark: (mark.kind != "band", not mark.quiet))

    @property
    def has_band(self) -> bool:
        """Whether a band is visible in the figure."""
        return any(mark.kind == "band" and len(mark.x) for mark in self.marks)

    @property
    def ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The ends of both axes, without regard to optional marks."""
        marks = [mark for mark in self.marks if not mark.optional]
        xs = [value for mark in marks for value in mark.x]
        ys = [value for mark in marks for value in (*mark.y, *mark.high)]
        return ends(self.x, xs), ends(self.y, ys)


def is_wide(values: Sequence[float]) -> bool:
    """Whether values are so far apart, all above zero, that only a logarithmic axis shows the small ones."""
    known = [value for value in values if math.isfinite(value)]
    return bool(known) and min(known) > 0 and max(known) > MOST_EVEN * min(known)


def axis_of(title: str, values: Sequence[float], ticks: tuple[tuple[float, str], ...] = ()) -> Axis:
    """The axis of these values: linear, or logarithmic, which its title says, where they are far apart."""
    return Axis(f"{title}, logarithmic", log=True, ticks=ticks) if is_wide(values) else Axis(title, ticks=ticks)


def error_axis(title: str) -> Axis:
    """The axis of an error in percent, which ends where errors end."""
    return Axis(title, within=PERCENT)


def paint(color: str) -> str:
    """A colour as pages have it: one of the palette is that of a dark page there."""
    known = [one.lower() for one in PALETTE]
    return f"var(--c{known.index(color.lower())},{color})" if color.lower() in known else color


def palette_css() -> str:
    """The palette and the ramp as variables of the style of pages and atlas: light ones and paper, and dark ones."""

    def named(name: str, colors: Sequence[str]) -> str:
        return ";".join(f"--{name}{place}:{one}" for place, one in enumerate(colors))

    light, dark = (
        f"{named('c', colors)};{named('ramp', ramp)}" for colors, ramp in ((PALETTE, RAMP), (DARK, DARK_RAMP))
    )
    return (
        f":root{{{light}}}"
        f'@media (prefers-color-scheme:dark){{:root:not([data-theme="light"]){{{dark}}}}}'
        f':root[data-theme="dark"]{{{dark}}}'
        f"@media print{{:root:root{{{light}}}}}"
    )


def bands(
    x: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    color: str,
    *,
    legend: str = "",
) -> list[Mark]:
    """The bands of intervals along an axis, of which NaN ends are none: a band breaks where there is no interval.

    One between two gaps would have no width and not be seen; it is a bar, as wide as a mark, at its place.
    """
    found: list[Mark] = []
    known = [math.isfinite(bottom) and math.isfinite(top) for bottom, top in zip(low, high, strict=True)]
    for is_known, places in groupby(range(len(x)), key=known.__getitem__):
        if not is_known:
            continue
        own = [*places]
        at = [float(x[place]) for place in own]
        found.append(Mark("band", at, [low[one] for one in own], color, high=[high[one] for one in own], legend=legend))
    return found


def _thinned(mark: Mark) -> Mark:
    """Every n-th dot of a mark with too many dots to draw, and a legend that says so."""
    step = math.ceil(len(mark.x) / MOST_DOTS)
    if mark.kind != "dots" or step < 2:
        return mark
    return replace(
        mark,
        x=mark.x[::step],
        y=mark.y[::step],
        settings=mark.settings[::step],
        words=mark.words[::step],
        sizes=mark.sizes[::step],
        legend=f"{mark.legend or 'marks'}, 1 in {step} drawn",
    )


def ends(axis: Axis, values: Sequence[float]) -> tuple[float, float]:
    """The ends of an axis, with a little room beyond the marks; both are positive on a logarithmic axis."""
    known = [value for value in values if math.isfinite(value) and (value > 0 or not axis.log)]
    low = min(known, default=1.0) if axis.low is None else axis.low
    high = max(known, default=2.0) if axis.high is None else axis.high
    if axis.log:
        room = (high / low) ** 0.04 if high > low else 1.5
        return low if axis.low is not None else low / room, high if axis.high is not None else high * room
    room = 0.05 * (high - low) or abs(high) * 0.05 or 1.0
    first, last = axis.within
    return (
        low if axis.low is not None else min(low, max(first, low - room)),
        high if axis.high is not None else max(high, min(last, high + room)),
    )


def ticks(axis: Axis, low: float, high: float) -> list[tuple[float, str]]:
    """The ticks of an axis between both ends, with their labels: as given, or round values."""
    if axis.ticks:
        return [(value, words) for value, words in axis.ticks if low <= value <= high]
    found = _log_ticks(low, high) if axis.log and high > FEW * low else _even_ticks(low, high, whole=axis.whole)
    return [(value, label(value, share=axis.share)) for value in found]


def label(value: float, *, share: bool = False) -> str:
    """A round number as a label: `0.5`, `25`, `40 %`, `1.5 M`."""
    if share:
        return f"{100 * value:.4g} %"
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= limit:
            return with_true_minus(f"{value / (1e3 if unit == ' k' else limit):.4g}{unit}")
    return with_true_minus(f"{value:.4g}")


def even_step(low: float, high: float, *, whole: bool = False) -> float:
    """The distance of evenly spaced ticks with round values; of whole numbers it is one as well."""
    raw = (high - low) / (MOST_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    steps = [power * factor for factor in ((1, 2, 5, 10) if whole else (1, 2, 2.5, 5, 10))]
    step = next(one for one in steps if one >= raw * (1 - 1e-9))
    return max(1.0, step) if whole else step


def _even_ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    step = even_step(low, high, whole=whole)
    first = math.ceil(low / step - 1e-9)
    return [round(step * number, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        found = [factor * 10.0**power for power in powers for factor in factors]
        found = [value for value in found if low <= value <= high]
        if len(found) <= MOST_TICKS + 1:
            break
    return found
