"""Means with their t intervals."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

CONFIDENCE = 0.95
ROUNDING = 1e-12  # errors are ratios of counts; a spread below this is rounding
ERRORS, DIFFERENCES = (0.0, 1.0), (-1.0, 1.0)  # the ranges of an error and of a difference of two errors
ANYWHERE = (-math.inf, math.inf)
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` seeds with a two-sided t interval, 95 % unless said otherwise.

    The ends are NaN if no interval is claimed: with fewer than two values, or with equal ones, the spread is unknown.
    For n = 0 the mean is NaN too.
    """

    n: int
    mean: float
    low: float
    high: float

    @property
    def has_interval(self) -> bool:
        """Whether an interval is claimed."""
        return not math.isnan(self.low)


def estimate(
    values: npt.ArrayLike, confidence: float = CONFIDENCE, *, within: tuple[float, float] = ANYWHERE
) -> Estimate:
    """Mean and t interval of values, assumed independent and about normally distributed (Student, 1908).

    `within` is the range of possible values, `ERRORS` for errors: the interval is cut to it.
    """
    array = np.asarray(values, dtype=float)
    n = len(array)
    if n < 2:
        return Estimate(n, float(array[0]) if n else math.nan, math.nan, math.nan)
    mean = float(array.mean())
    spread = float(array.std(ddof=1)) if np.ptp(array) > ROUNDING else math.nan
    return t_interval(n, mean, spread / math.sqrt(n), n - 1, confidence, within=within)


def t_interval(
    n: int,
    mean: float,
    deviation: float,
    freedom: float,
    confidence: float = CONFIDENCE,
    *,
    within: tuple[float, float] = ANYWHERE,
) -> Estimate:
    """The t interval of a mean of `n` values; without ends if its standard error, `deviation`, is zero or NaN.

    `freedom` is the number of degrees of freedom; `within` is the range of possible values, to which it is cut.
    """
    if not deviation > 0:
        return Estimate(n, mean, math.nan, math.nan)
    half = float(stats.t.ppf(0.5 + confidence / 2, freedom)) * deviation
    return Estimate(n, mean, max(within[0], mean - half), min(within[1], mean + half))


def estimates(mean: Floats, deviation: Floats, n: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Ends of the t intervals of many mean errors at once, each over `n` errors with standard deviation `deviation`.

    NaN if no interval is claimed, as in `Estimate`.
    """
    with np.errstate(invalid="ignore"):
        half = stats.t.ppf(0.5 + CONFIDENCE / 2, np.maximum(n - 1, 1)) * deviation / np.sqrt(n)
    half = np.where((n > 1) & (deviation > ROUNDING), half, np.nan)
    return np.maximum(mean - half, ERRORS[0]), np.minimum(mean + half, ERRORS[1])
