"""Populations of designs: how their errors are distributed, and which values of an axis the good ones have.

After Radosavovic et al., "Designing Network Design Spaces" (2003.13678), sections 3.1 and 3.3: a space is judged by all
its designs, not by its best one.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

DRAWS = 2000
SHARE = 0.25  # of the designs in each draw of the best value (RegNet paper, footnote 4)
BEST_DRAWS = 10_000
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Distribution:
    """The share of designs with an error below each of `errors`, and a 95 % bootstrap band over designs."""

    errors: Floats
    share: Floats
    low: Floats
    high: Floats
    n: int
    mean: float
    best: float


@dataclass(frozen=True)
class Distance:
    """Two populations: the largest vertical distance of their distributions (Kolmogorov-Smirnov), interval and p."""

    distance: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class BestValue:
    """The value of an axis that the best designs have: median and 95 % interval over draws of a quarter of them."""

    axis: str
    low: float
    median: float
    high: float
    n: int


def distribution(errors: npt.ArrayLike, *, seed: int = 0) -> Distribution:
    """The empirical distribution of errors, as fractions, one per design. Raises ValueError for none."""
    values = np.sort(np.asarray(errors, dtype=float))
    n = len(values)
    if not n:
        raise ValueError("a distribution needs at least one design")
    drawn = np.random.default_rng(seed).choice(values, size=(DRAWS, n))
    shares = np.stack([np.searchsorted(np.sort(one), values, side="right") for one in drawn]) / n
    low, high = np.percentile(shares, [2.5, 97.5], axis=0)
    share = np.searchsorted(values, values, side="right") / n
    return Distribution(values, share, low, high, n, float(values.mean()), float(values[0]))


def distance(first: npt.ArrayLike, second: npt.ArrayLike, *, seed: int = 0) -> Distance:
    """How far two populations lie apart; the interval is a bootstrap over the designs of both. Errors as fractions."""
    one, other = (np.asarray(errors, dtype=float) for errors in (first, second))
    test = stats.ks_2samp(one, other)
    rng = np.random.default_rng(seed)
    drawn = [
        stats.ks_2samp(rng.choice(one, len(one)), rng.choice(other, len(other)), method="asymp").statistic
        for _ in range(DRAWS // 4)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Distance(float(test.statistic), float(low), float(high), float(test.pvalue))


def best_value(axis: str, values: npt.ArrayLike, errors: npt.ArrayLike, *, seed: int = 0) -> BestValue:
    """Which value of an axis goes with the lowest error: draw a quarter of the designs, take the best one's, repeat."""
    places, found = np.asarray(values, dtype=float), np.asarray(errors, dtype=float)
    n = len(found)
    drawn = np.random.default_rng(seed).integers(0, n, size=(BEST_DRAWS, max(1, round(SHARE * n))))
    best = drawn[np.arange(BEST_DRAWS), found[drawn].argmin(axis=1)]
    low, median, high = np.percentile(places[best], [2.5, 50, 97.5], method="nearest")
    return BestValue(axis, float(low), float(median), float(high), n)
