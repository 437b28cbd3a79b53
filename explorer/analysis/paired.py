"""The contrast of two settings, paired by seed."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from explorer.analysis.summary import Estimate, SettingSummary, estimate

Verdict = Literal["beats", "loses to", "inconclusive"]
ALPHA = 0.05
MIN_PAIRS = 5
ROUNDING = 1e-12  # errors are ratios of counts; what lies below this is rounding, not spread


@dataclass(frozen=True)
class Comparison:
    """`setting` minus `against`: per-seed differences of the error, as fractions, and what they amount to.

    difference  mean of the differences with its 95 % t interval; below zero `setting` has the lower error
    p           of the two-sided paired t test; NaN for fewer than two pairs
    unpaired    seeds that only one of the two has; they are not used
    """

    setting: str
    against: str
    differences: dict[int, float]
    difference: Estimate
    p: float
    verdict: Verdict
    unpaired: int


@dataclass(frozen=True)
class Equivalence:
    """Whether two ways of training differ by less than a margin, as a fraction.

    difference  mean of the paired differences with its 90 % t interval, which is two one-sided tests at 5 %
                (Schuirmann, 1987): inside the margin on both sides "equivalent", outside of it "different"
    """

    difference: Estimate
    margin: float
    verdict: Literal["equivalent", "different", "inconclusive"]


def equivalence(errors: dict[int, float], plain: dict[int, float], margin: float) -> Equivalence:
    """The errors of one way of training against those of another, both by seed; seeds of only one are not used."""
    difference = estimate([errors[seed] - plain[seed] for seed in sorted(set(errors) & set(plain))], 0.9)
    verdict: Literal["equivalent", "different", "inconclusive"] = "inconclusive"
    if difference.n >= MIN_PAIRS and max(abs(difference.low), abs(difference.high)) < margin:
        verdict = "equivalent"
    elif difference.n >= MIN_PAIRS and (difference.low > margin or difference.high < -margin):
        verdict = "different"
    return Equivalence(difference, margin, verdict)


def compare(setting: SettingSummary, against: SettingSummary) -> Comparison:
    """Paired t test over the seeds both settings have: a pair shares seed, split, data order and augmentation."""
    shared = sorted(set(setting.errors) & set(against.errors))
    differences = {seed: setting.errors[seed] - against.errors[seed] for seed in shared}
    difference = estimate(list(differences.values()))
    p = _paired_p(list(differences.values()))
    return Comparison(
        setting=setting.setting,
        against=against.setting,
        differences=differences,
        difference=difference,
        p=p,
        verdict=_verdict(difference, p),
        unpaired=len(set(setting.errors) ^ set(against.errors)),
    )


def _paired_p(differences: list[float]) -> float:
    """P of the hypothesis that the mean difference is zero; without any spread the test is all or nothing."""
    if len(differences) < 2:
        return math.nan
    if np.ptp(differences) < ROUNDING:
        return 1.0 if abs(differences[0]) < ROUNDING else 0.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def _verdict(difference: Estimate, p: float) -> Verdict:
    """Fewer than five pairs never decide: too few to see whether the differences are anything like normal."""
    if difference.n < MIN_PAIRS or not p < ALPHA:
        return "inconclusive"
    return "beats" if difference.mean < 0 else "loses to"
