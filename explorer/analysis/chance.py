"""Has a network learned anything? Compares errors with the error of guessing, 1 - 1/classes."""

import math
from collections.abc import Collection
from typing import Literal

import numpy as np
from scipy import stats

from explorer.analysis.intervals import CONFIDENCE, ROUNDING, estimate
from explorer.analysis.summary import MIN_PAIRS

Learned = Literal["yes", "in part", "no"]


def learned(errors: Collection[float], chance: float, images: int | None = None) -> Learned:
    """Whether the mean of `errors`, fractions with one for each seed, shows that a network learned more than guessing.

    "no" if their 95 % t interval contains `chance` or lies above it; "in part" if it contains `chance` only because
    seeds differ widely, while the mean is clearly below what guessing gives on this number of test `images`, if that
    is known. With fewer than five seeds, or seeds that do not differ, the interval is of no use and `guessing` decides.
    "no" without any error, "yes" if chance is not known (NaN).
    """
    if not errors:
        return "no"
    if math.isnan(chance):
        return "yes"
    values = np.fromiter(errors, float)
    found, guessed = estimate(values), guessing(chance, images)
    if len(values) < MIN_PAIRS or np.ptp(values) < ROUNDING:
        return "no" if found.mean >= guessed else "yes"
    if found.high < chance:
        return "yes"
    return "no" if images is None or found.mean >= guessed else "in part"


def guessing(chance: float, images: int | None) -> float:
    """The 2.5 % quantile of the error of guessing on this number of images; `chance` if the number is unknown.

    By the normal approximation of the binomial distribution.
    """
    if images is None:
        return chance
    return chance - float(stats.norm.ppf(0.5 + CONFIDENCE / 2)) * math.sqrt(chance * (1 - chance) / images)
