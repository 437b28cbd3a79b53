"""One claim over several data sets: the mean of one contrast in several studies, and what a further one may show."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from explorer.analysis.intervals import CONFIDENCE, DIFFERENCES, Estimate, t_interval

LEAST_STUDIES = 3  # fewest studies of which a spread between studies is estimated


@dataclass(frozen=True)
class Pooled:
    """The contrast of several studies in a random-effects model: each data set has a true difference of its own.

    mean        of the true differences over data sets, a fraction, with its 95 % t interval (Hartung and Knapp, 2001;
                never narrower than with the studies' own variances)
    low, high   95 % interval of the true difference on a further data set (prediction interval; Higgins, Thompson and
                Spiegelhalter, 2009); NaN with fewer than three studies
    spread      standard deviation of the true differences between data sets (Paule and Mandel, 1982)
    same_sign   number of studies whose difference has the sign of the mean, of `n`
    """

    mean: Estimate
    low: float
    high: float
    spread: float
    same_sign: int

    @property
    def n(self) -> int:
        """Number of studies."""
        return self.mean.n


def pooled(means: Sequence[float], deviations: Sequence[float]) -> Pooled:
    """Pool the mean differences of studies, given with their standard errors. Raises ValueError for fewer than two."""
    y, variance = np.asarray(means, dtype=float), np.asarray(deviations, dtype=float) ** 2
    n = len(y)
    if n < 2 or not (variance > 0).all():
        raise ValueError("pooling needs two studies or more, each with a standard error above zero")
    between = _between(y, variance)
    weights = 1 / (variance + between)
    mean = float(weights @ y / weights.sum())
    # The studies' own variances bound the interval from below: few studies that agree by chance prove no agreement.
    factor = max(1.0, float(weights @ (y - mean) ** 2) / (n - 1))
    deviation = math.sqrt(factor / weights.sum())
    found = t_interval(n, mean, deviation, n - 1, within=DIFFERENCES)
    low = high = math.nan
    if n >= LEAST_STUDIES:
        half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 2)) * math.sqrt(between + deviation**2)
        low, high = mean - half, mean + half
    return Pooled(found, low, high, math.sqrt(between), int((np.sign(y) == np.sign(mean)).sum()))


def _between(y: np.ndarray, variance: np.ndarray) -> float:
    """The variance between studies at which the weighted squares are as large as expected (Paule and Mandel, 1982)."""

    def excess(between: float) -> float:
        weights = 1 / (variance + between)
        mean = weights @ y / weights.sum()
        return float(weights @ (y - mean) ** 2) - (len(y) - 1)

    if excess(0.0) <= 0:
        return 0.0
    most = float(np.ptp(y)) ** 2
    while excess(most) > 0:
        most *= 2
    return float(optimize.brentq(excess, 0.0, most))
