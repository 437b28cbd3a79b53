"""The contrast of two settings, paired by seed."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from explorer.analysis.summary import DIFFERENCES, ROUNDING, Estimate, SettingSummary, estimate

Verdict = Literal["beats", "loses to", "equivalent", "inconclusive"]
ALPHA = 0.05
POWER = 0.8
MIN_PAIRS = 5
MOST_PAIRS = 100_000  # beyond which a number of pairs says only "not with this recipe"
EXACT_PAIRS = 20  # up to which all sign flips are counted: a million


@dataclass(frozen=True)
class Comparison:
    """`setting` minus `against`: per-seed differences of the error, as fractions, and what they amount to.

    differences  by seed; below zero `setting` has the lower error
    difference   their mean with its t interval at 1 - alpha: 95 %
    p            of the two-sided paired t test; NaN for fewer than two pairs; where all differences are equal, of the
                 exact test of signs
    alpha        threshold of p, smaller where a study looks at its results several times
    margin       largest difference that does not matter, as a fraction; None where none was declared
    verdict      by p; "equivalent" where p decides nothing and `narrow` lies inside the margin
    narrow       mean with the t interval at 1 - 2 alpha, which is two one-sided tests (Schuirmann, 1987): 90 %. Neither
                 has ends where all differences are equal
    effect       mean over standard deviation of the differences (Cohen's d_z); NaN where they do not vary
    correlation  of the two errors over seeds (Pearson): what pairing gains; NaN where there is none
    welch_p      of Welch's test, as if the seeds had not been paired
    flip_p       of the exact sign-flip test (Fisher, 1935); None where 2 / 2^n cannot reach alpha, or n is too large
    needed       pairs that find a difference of the margin with 80 % power, should the standard deviation be as large
                 as the upper end of its one-sided 80 % interval; None without a margin or spread
    unpaired     seeds that only one of the two has; they are not used
    failed       runs of each that diverged or ran out of memory, and count as chance
    """

    setting: str
    against: str
    differences: dict[int, float]
    difference: Estimate
    p: float
    verdict: Verdict
    unpaired: int
    alpha: float
    margin: float | None
    narrow: Estimate
    effect: float
    correlation: float
    welch_p: float
    flip_p: float | None
    needed: int | None
    failed: tuple[int, int]

    @property
    def within_margin(self) -> bool:
        """Whether the difference, be it significant or not, is smaller than what matters."""
        return _inside(self.narrow, self.margin, self.alpha)

    @property
    def held_back(self) -> bool:
        """Whether the verdict is open only because the better setting failed more often than its rival."""
        return _significant(self.difference, self.p, self.alpha) and self.verdict == "inconclusive"


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
    apart = [errors[seed] - plain[seed] for seed in sorted(set(errors) & set(plain))]
    difference = estimate(apart, 0.9, within=DIFFERENCES)
    verdict: Literal["equivalent", "different", "inconclusive"] = "inconclusive"
    if _inside(difference, margin, ALPHA):
        verdict = "equivalent"
    elif difference.n >= MIN_PAIRS and (difference.low > margin or difference.high < -margin):
        verdict = "different"
    return Equivalence(difference, margin, verdict)


def compare(
    setting: SettingSummary, against: SettingSummary, margin: float | None = None, alpha: float = ALPHA
) -> Comparison:
    """Paired t test over the seeds both settings have: a pair shares seed, split, data order and augmentation.

    A setting that failed more often than its rival cannot beat it: that verdict is held back.
    """
    shared = sorted(set(setting.errors) & set(against.errors))
    first, second = (np.array([one.errors[seed] for seed in shared]) for one in (setting, against))
    apart = first - second
    difference, narrow = (estimate(apart, 1 - level, within=DIFFERENCES) for level in (alpha, 2 * alpha))
    p = paired_p(apart)
    failed = (setting.unfinished, against.unfinished)
    verdict = _verdict(difference, p, alpha, failed)
    if not _significant(difference, p, alpha) and _inside(narrow, margin, alpha):
        verdict = "equivalent"
    return Comparison(
        setting=setting.setting,
        against=against.setting,
        differences=dict(zip(shared, apart.tolist(), strict=True)),
        difference=difference,
        p=p,
        verdict=verdict,
        unpaired=len(set(setting.errors) ^ set(against.errors)),
        alpha=alpha,
        margin=margin,
        narrow=narrow,
        effect=_effect(apart),
        correlation=_correlation(first, second),
        welch_p=_welch_p(first, second),
        flip_p=_flip_p(apart, alpha),
        needed=None if margin is None else pairs_needed(apart, margin, alpha),
        failed=failed,
    )


def holm(comparisons: list[Comparison]) -> list[Comparison]:
    """The same comparisons as one family: p adjusted step by step (Holm, 1979), verdicts by the adjusted p.

    Intervals stay those of each comparison alone; equivalence is not claimed, since its interval is not adjusted.
    """
    adjusted = holm_adjusted([comparison.p for comparison in comparisons])
    return [_adjusted(comparison, p) for comparison, p in zip(comparisons, adjusted, strict=True)]


def holm_adjusted(ps: list[float]) -> list[float]:
    """P values corrected as one family; NaN stays NaN and takes no part."""
    order = sorted((place for place, p in enumerate(ps) if p == p), key=lambda place: ps[place])
    adjusted, largest = dict[int, float](), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * ps[place]))
        adjusted[place] = largest
    return [adjusted.get(place, math.nan) for place in range(len(ps))]


def paired_p(differences: npt.NDArray[np.float64]) -> float:
    """P of the hypothesis that the mean difference is zero.

    Without any spread there is nothing that a t test could be made from: the exact test of signs stands in for it.
    """
    n = len(differences)
    if n < 2:
        return math.nan
    if np.ptp(differences) < ROUNDING:
        return 1.0 if abs(differences[0]) < ROUNDING else 2.0 ** (1 - n)
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def pairs_needed(differences: npt.NDArray[np.float64], margin: float, alpha: float = ALPHA) -> int | None:
    """Pairs that a paired t test needs to find a difference of the margin with 80 % power; None without any spread.

    One more than `MOST_PAIRS` stands for any number beyond these.
    The standard deviation is taken at the upper end of its one-sided 80 % interval: that of few seeds is often too low.
    """
    n = len(differences)
    if n < 2 or np.ptp(differences) < ROUNDING:
        return None
    spread = float(np.std(differences, ddof=1)) * math.sqrt((n - 1) / stats.chi2.ppf(1 - POWER, n - 1))
    low, high = 2, MOST_PAIRS + 1
    while low < high:
        middle = (low + high) // 2
        if _power(margin / spread, middle, alpha) < POWER:
            low = middle + 1
        else:
            high = middle
    return max(low, MIN_PAIRS)


def _power(effect: float, n: int, alpha: float) -> float:
    """Power of a two-sided paired t test for a mean of so many standard deviations."""
    bound, shift = stats.t.ppf(1 - alpha / 2, n - 1), effect * math.sqrt(n)
    # Far out scipy's noncentral t gives NaN: there the normal distribution is as good.
    upper = float(stats.nct.sf(bound, n - 1, shift))
    return upper if upper == upper else float(stats.norm.sf(bound - shift))


def _adjusted(comparison: Comparison, p: float) -> Comparison:
    verdict = _verdict(comparison.difference, p, comparison.alpha, comparison.failed)
    return replace(comparison, p=p, verdict=verdict)


def _verdict(difference: Estimate, p: float, alpha: float, failed: tuple[int, int]) -> Verdict:
    """By p, and held back where the better side failed more often than its rival.

    Fewer than five pairs never decide: too few to see whether the differences are anything like normal.
    """
    if not _significant(difference, p, alpha):
        return "inconclusive"
    if difference.mean < 0:
        return "beats" if failed[0] <= failed[1] else "inconclusive"
    return "loses to" if failed[1] <= failed[0] else "inconclusive"


def _significant(difference: Estimate, p: float, alpha: float) -> bool:
    return difference.n >= MIN_PAIRS and p < alpha


def _inside(narrow: Estimate, margin: float | None, alpha: float) -> bool:
    """Whether the difference is smaller than the margin, by two one-sided tests at alpha.

    These are t tests, or where all differences are equal, so that there is no interval, the exact tests of signs of
    what is left to either margin.
    """
    if margin is None or narrow.n < MIN_PAIRS:
        return False
    if not narrow.has_interval:
        return abs(narrow.mean) < margin and 0.5**narrow.n < alpha
    return max(abs(narrow.low), abs(narrow.high)) < margin


def _effect(differences: npt.NDArray[np.float64]) -> float:
    if len(differences) < 2 or np.ptp(differences) < ROUNDING:
        return math.nan
    return float(differences.mean() / differences.std(ddof=1))


def _correlation(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    if len(first) < 3 or min(np.ptp(first), np.ptp(second)) < ROUNDING:
        return math.nan
    return float(np.corrcoef(first, second)[0, 1])


def _welch_p(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    if len(first) < 2 or max(np.ptp(first), np.ptp(second)) < ROUNDING:
        return math.nan
    # From the moments: scipy's own warn where one side hardly varies.
    sides = [(float(one.mean()), float(one.std(ddof=1)), len(one)) for one in (first, second)]
    return float(stats.ttest_ind_from_stats(*sides[0], *sides[1], equal_var=False).pvalue)


def _flip_p(differences: npt.NDArray[np.float64], alpha: float) -> float | None:
    """Share of all flips of signs whose mean is as far from zero as the one found."""
    n = len(differences)
    if n > EXACT_PAIRS or n < 2 or 2 / 2**n > alpha:
        return None
    sums = np.zeros(1)
    for value in differences:
        sums = np.concatenate([sums - value, sums + value])
    return float(np.mean(np.abs(sums) >= abs(differences.sum()) - ROUNDING))


def others(names: list[str], contrast: tuple[str, str]) -> list[tuple[str, str]]:
    """The contrasts of a study beside its declared one: every other setting with the one it was held against."""
    return [(name, contrast[1]) for name in names if name not in contrast]
