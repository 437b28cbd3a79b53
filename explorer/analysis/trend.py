"""How the error goes with cardinality and with the middle width: a slope, and the place of the lowest error.

Each seed gives a least-squares fit of its own, and the fits are judged over the seeds.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from explorer.analysis.intervals import CONFIDENCE, ROUNDING, Estimate, estimate
from explorer.analysis.paired import paired_p
from explorer.analysis.summary import SettingSummary
from explorer.design.shape_axes import SHOWN

LEAST = 3  # fewest cardinalities of a trend: two are a contrast
LEAST_CURVED = 4  # fewest values of a parabola: three always lie on one
MOST_DOUBLINGS = 1000.0  # a larger power of 2 is no floating-point number
LOCATED = ("cardinality", "group_width")  # the axes along which the lowest error is looked for
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Optimum:
    """Where along an axis the error is lowest: the vertex of a parabola over the axis' logarithm to base 2.

    axis       name of the axis
    values     those that were tried, in ascending order
    curvature  of the parabolas: half of the second derivative of the error, a fraction, for a doubling squared; its
               mean over seeds. Above zero the vertex is the lowest point
    p          of the hypothesis that the curvature is zero: then a straight line says all
    place      value at the vertex of the mean parabola; NaN where that has no lowest point
    low, high  ends of the 95 % set of values at which the slope may be zero (Fieller, 1954); NaN if it is unbounded, or
               the parabola has no lowest point: the place is not located
    """

    axis: str
    values: tuple[int, ...]
    curvature: Estimate
    p: float
    place: float
    low: float
    high: float

    @property
    def is_located(self) -> bool:
        """Whether the 95 % set of the place is bounded."""
        return not math.isnan(self.low)


@dataclass(frozen=True)
class Trend:
    """Change of the error for each doubling of the cardinality, as a fraction: its mean over seeds, interval and p.

    cardinalities  in ascending order, of settings that differ only in their paths
    left_out       number of seeds without a slope, since a run with this seed failed and has no error
    optima         the place of the lowest error over cardinality and over the middle width, where enough values were
                   tried
    """

    slope: Estimate
    p: float
    cardinalities: tuple[int, ...]
    left_out: int = 0
    optima: tuple[Optimum, ...] = ()


def trend(summaries: list[SettingSummary]) -> Trend | None:
    """The slope of error on log2 of cardinality, fitted by least squares to each seed that all settings have.

    Settings that differ only in their paths form a line; several lines (say, several depths) share the slope and have
    an intercept each. None if no line has three cardinalities, or there is no common seed.
    """
    lines: dict[str, list[SettingSummary]] = {}
    for summary in summaries:
        lines.setdefault(summary.shape, []).append(summary)
    used = [line for line in lines.values() if len({one.cardinality for one in line}) >= LEAST]
    flat = [one for line in used for one in line]
    shared = set.intersection(*(set(one.errors) for one in flat)) if flat else set[int]()
    if not shared:
        return None
    seeds = sorted(shared.intersection(*(one.measured for one in flat)))
    heights = np.concatenate([_centred(np.log2([one.cardinality for one in line])) for line in used])
    errors = np.array([[one.errors[seed] for one in flat] for seed in seeds]).reshape(len(seeds), len(flat))
    slopes = errors @ heights / (heights @ heights)
    cardinalities = tuple(sorted({one.cardinality for one in flat}))
    sizes = [len(line) for line in used]
    optima = [_optimum(axis, flat, sizes, errors) for axis in LOCATED]
    return Trend(
        estimate(slopes),
        paired_p(slopes),
        cardinalities,
        len(shared) - len(seeds),
        tuple(one for one in optima if one is not None),
    )


def _optimum(axis: str, flat: list[SettingSummary], sizes: list[int], errors: Floats) -> Optimum | None:
    """The place of the lowest error along an axis; None with too few values or seeds.

    `flat` holds the settings of all lines, `sizes` the number in each line, `errors` a row for each seed.
    """
    values = [next(one for one in SHOWN if one.name == axis).of(summary.design[0]) for summary in flat]
    if len(set(values)) < LEAST_CURVED or len(errors) < 2:
        return None
    x = np.log2(np.asarray(values, dtype=float))
    middle = float(x.mean())  # near the data, so that both columns are far from parallel
    ends = np.cumsum([0, *sizes])
    columns = np.stack([x - middle, (x - middle) ** 2], axis=1)
    within = np.concatenate([part - part.mean(axis=0) for part in np.split(columns, ends[1:-1])])
    if np.linalg.matrix_rank(within) < 2:
        return None
    fits = errors @ np.linalg.pinv(within).T
    first, second = fits[:, 0], fits[:, 1]
    place, low, high = (2.0 ** min(middle + shift, MOST_DOUBLINGS) for shift in vertex(first, second))
    return Optimum(axis, tuple(sorted(set(values))), estimate(second), paired_p(second), place, low, high)


def vertex(first: Floats, second: Floats, confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """The x of the lowest point of `first x + second x^2`, coefficients by seed, with the ends of Fieller's set (1954).

    The set holds each x at which a t test over the seeds does not reject a slope `first + 2 second x` of zero. It is
    bounded where the curvature differs from zero at the same level. Ends are NaN if it is unbounded, all three are NaN
    if the mean parabola has no lowest point.
    """
    n, mean = len(first), (float(first.mean()), float(second.mean()))
    if mean[1] < ROUNDING:
        return math.nan, math.nan, math.nan
    place = -mean[0] / (2 * mean[1])
    bound = float(stats.t.ppf(0.5 + confidence / 2, n - 1)) ** 2
    spread = np.cov(first, second) / n
    square = 4 * (mean[1] ** 2 - bound * spread[1, 1])
    linear = 4 * (mean[0] * mean[1] - bound * spread[0, 1])
    constant = mean[0] ** 2 - bound * spread[0, 0]
    if not square > 0:
        return place, math.nan, math.nan
    root = math.sqrt(max(0.0, linear**2 - 4 * square * constant))
    return place, (-linear - root) / (2 * square), (-linear + root) / (2 * square)


def _centred(values: Floats) -> Floats:
    return np.asarray(values - values.mean())
