"""Has a network learned anything? Errors held against that of guessing, 1 - 1/classes."""

import math
from collections.abc import Collection
from typing import Literal

import numpy as np
from scipy import stats

from explorer.analysis.summary import CONFIDENCE, MIN_PAIRS, ROUNDING, estimate

Learned = Literal["yes", "in part", "no"]


def learned(errors: Collection[float], chance: float, images: int | None = None) -> Learned:
    """Whether the mean of some errors, one for each seed, shows that more was learned than guessing.

    "no" where their 95 % t interval holds `chance`, or lies above it; "in part" where it does so only because seeds
    differ widely: their mean lies clearly below what guessing gives on so many `images`, if that number is known. The
    interval of fewer than five seeds, or of seeds that do not differ, says nothing: the images alone decide there.
    "no" without any error, "yes" where chance is not known.
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
    """The lowest error that guessing gives on so many images, but for one time in forty; `chance` where n is unknown.

    By the normal approximation of counting errors.
    """
    if images is None:
        return chance
    return chance - float(stats.norm.ppf(0.5 + CONFIDENCE / 2)) * math.sqrt(chance * (1 - chance) / images)
