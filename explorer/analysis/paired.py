"""The contrast of two settings, paired by seed."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from explorer.analysis.chance import Learned, learned
from explorer.analysis.intervals import CONFIDENCE, DIFFERENCES, ROUNDING, Estimate, estimate
from explorer.analysis.summary import MIN_PAIRS, SettingSummary

Verdict = Literal["beats", "loses to", "equivalent", "inconclusive"]
ALPHA = 0.05
POWER = 0.8
MOST_PAIRS = 100_000  # largest number of pairs that is reported; beyond it the answer is "not with this recipe"
EXACT_PAIRS = 20  # largest number of pairs for which all sign flips are enumerated: 2^20, a million


@dataclass(frozen=True)
class Comparison:
    """`setting` minus `against`: the difference of the error for each seed, as a fraction, and the statistics of it.

    A run that diverged or ran out of memory counts as chance if the other run of its pair came through. A pair of which
    both runs failed has no difference and is not used.

    differences  by seed; below zero `setting` has the lower error
    difference   their mean with its t interval at 1 - alpha: 95 %
    p            of the two-sided paired t test; NaN for fewer than two pairs; where all differences are equal, of the
                 exact test of signs
    alpha        threshold of p, smaller where a study looks at its results several times
    margin       largest difference that does not matter, as a fraction; None where none was declared
    verdict      by p; "equivalent" if p is not below alpha and `narrow` lies inside the margin; "inconclusive" also if
                 neither network has learned more than guessing
    narrow       mean with the t interval at 1 - 2 alpha, which is two one-sided tests (Schuirmann, 1987): 90 %. Neither
                 has ends where all differences are equal
    effect       mean over standard deviation of the differences (Cohen's d_z); NaN where they do not vary
    correlation  of the two errors over seeds (Pearson) with Fisher's 95 % interval (1921): what pairing gains; NaN with
                 fewer than four pairs. `effect` and `correlation` are NaN, and `needed` is None, if a run counts as
                 chance, which is no measurement
    welch_p      of Welch's test, as if the seeds had not been paired
    flip_p       of the exact sign-flip test (Fisher, 1935); None where 2 / 2^n cannot reach alpha, or n is too large
    needed       number of pairs that detect a difference of the margin with 80 % power, with the standard deviation at
                 the upper end of its one-sided 80 % interval; None without a margin or spread
    unpaired     seeds that only one of the two has; they are not used
    failed       for each setting, the number of runs that count as chance, and `as_chance` the seeds of all these pairs
    lost         number of pairs of which both runs failed
    statuses     statuses of the runs that failed, those of lost pairs included
    chance       the error of guessing
    learned      for each setting, whether it has learned more than guessing
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
    correlation: Estimate
    welch_p: float
    flip_p: float | None
    needed: int | None
    failed: tuple[int, int]
    as_chance: frozenset[int]
    lost: int
    statuses: frozenset[str]
    chance: float
    learned: tuple[Learned, Learned]

    @property
    def pairs(self) -> int:
        """Number of all pairs, including those of which both runs failed."""
        return len(self.differences) + self.lost

    @property
    def guesses(self) -> bool:
        """Whether neither network has learned more than guessing, so that their difference means nothing."""
        return self.learned == ("no", "no")

    @property
    def beyond_margin(self) -> tuple[float, float, float] | None:
        """Probabilities that the true difference is below minus the margin, within it, and above it.

        By the t distribution around the mean, which is the posterior if all differences and spreads were equally likely
        beforehand (Jeffreys, 1961). None without a margin or an interval, or if a run counts as chance.
        """
        if self.margin is None or not self.difference.has_interval or any(self.failed):
            return None
        values = np.array([*self.differences.values()])
        deviation = values.std(ddof=1) / math.sqrt(len(values))
        better, worse = stats.t.cdf(
            (-self.margin + np.array([-1.0, 1.0]) * values.mean()) / deviation, len(values) - 1
        ).tolist()
        return better, 1 - better - worse, worse

    @property
    def within_margin(self) -> bool:
        """Whether the difference, significant or not, is smaller than the margin."""
        return not any(self.failed) and _inside(self.narrow, self.margin, self.alpha)

    @property
    def held_back(self) -> bool:
        """Whether the verdict is inconclusive only because the better setting failed more often than the other."""
        open_yet = self.verdict == "inconclusive" and not self.guesses
        return open_yet and _significant(self.difference, self.p, self.alpha)


def compare(
    setting: SettingSummary,
    against: SettingSummary,
    margin: float | None = None,
    alpha: float = ALPHA,
    *,
    images: int | None = None,
) -> Comparison:
    """Paired t test over the seeds both settings have: a pair shares seed, split, data order and augmentation.

    A setting that failed more often than the other cannot win: the verdict is then inconclusive. `images` is the number
    of images on which errors were measured, if it is known.
    """
    both = sorted(set(setting.errors) & set(against.errors))
    shared = [seed for seed in both if not (seed in setting.failed and seed in against.failed)]
    first, second = (np.array([one.errors[seed] for seed in shared]) for one in (setting, against))
    apart = first - second
    difference, narrow = (estimate(apart, 1 - level, within=DIFFERENCES) for level in (alpha, 2 * alpha))
    p = paired_p(apart)
    failed = (len(setting.failed.keys() & set(shared)), len(against.failed.keys() & set(shared)))
    found = Comparison(
        setting=setting.setting,
        against=against.setting,
        differences=dict(zip(shared, apart.tolist(), strict=True)),
        difference=difference,
        p=p,
        verdict="inconclusive",
        unpaired=len(set(setting.errors) ^ set(against.errors)),
        alpha=alpha,
        margin=margin,
        narrow=narrow,
        effect=math.nan if any(failed) else _effect(apart),
        correlation=correlation([], []) if any(failed) else correlation(first, second),
        welch_p=_welch_p(first, second),
        flip_p=_flip_p(apart, alpha),
        needed=None if margin is None or any(failed) else pairs_needed(apart, margin, alpha),
        failed=failed,
        as_chance=frozenset(shared) & (setting.failed.keys() | against.failed.keys()),
        lost=len(both) - len(shared),
        statuses=frozenset(one.failed[seed] for one in (setting, against) for seed in both if seed in one.failed),
        chance=setting.chance,
        learned=(_learned(setting, images), _learned(against, images)),
    )
    verdict = _verdict(found, p)
    if not _significant(difference, p, alpha) and found.within_margin and not found.guesses:
        verdict = "equivalent"
    return replace(found, verdict=verdict)


def judged_anew(comparison: Comparison, p: float) -> Comparison:
    """The comparison with another p, as one of a family; equivalence is not claimed, since its interval is not that."""
    return replace(comparison, p=p, verdict=_verdict(comparison, p))


def holm_adjusted(ps: list[float]) -> list[float]:
    """Adjust p values as one family by Holm's method (1979); NaN stays NaN and is not counted."""
    order = sorted((place for place, p in enumerate(ps) if p == p), key=lambda place: ps[place])
    adjusted, largest = dict[int, float](), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * ps[place]))
        adjusted[place] = largest
    return [adjusted.get(place, math.nan) for place in range(len(ps))]


def paired_p(differences: npt.NDArray[np.float64]) -> float:
    """The two-sided p value of the hypothesis that the mean difference is zero.

    If all differences are equal a t test is undefined, and the exact sign test is used instead.
    """
    n = len(differences)
    if n < 2:
        return math.nan
    if np.ptp(differences) < ROUNDING:
        return 1.0 if abs(differences[0]) < ROUNDING else 2.0 ** (1 - n)
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def pairs_needed(
    differences: npt.NDArray[np.float64], margin: float, alpha: float = ALPHA, floor: float = 0.0
) -> int | None:
    """Pairs that a paired t test needs to detect a difference of the margin with 80 % power; None without any spread.

    One more than `MOST_PAIRS` stands for any number beyond these.
    The standard deviation is taken at the upper end of its one-sided 80 % interval: that of few seeds is often too low.
    `floor` is the part of the standard error that more pairs do not lower, as that of the test images.
    """
    n = len(differences)
    if n < 2 or np.ptp(differences) < ROUNDING:
        return None
    spread = float(np.std(differences, ddof=1)) * math.sqrt((n - 1) / stats.chi2.ppf(1 - POWER, n - 1))
    low, high = 2, MOST_PAIRS + 1
    while low < high:
        middle = (low + high) // 2
        if _power(margin / math.hypot(spread / math.sqrt(middle), floor), middle, alpha) < POWER:
            low = middle + 1
        else:
            high = middle
    return max(low, MIN_PAIRS)


def _power(shift: float, n: int, alpha: float) -> float:
    """Power of a two-sided paired t test with `n` pairs; `shift` is the mean in standard errors."""
    bound = stats.t.ppf(1 - alpha / 2, n - 1)
    # For extreme arguments scipy's noncentral t gives NaN; the normal distribution is as good there.
    upper = float(stats.nct.sf(bound, n - 1, shift))
    return upper if upper == upper else float(stats.norm.sf(bound - shift))


def _learned(summary: SettingSummary, images: int | None) -> Learned:
    return learned(summary.measured.values(), summary.chance, images)


def _verdict(found: Comparison, p: float) -> Verdict:
    """The verdict by p; inconclusive if the better setting failed more often, or if neither has learned anything.

    Fewer than five pairs never decide: too few to see whether the differences are about normally distributed.
    """
    if found.guesses or not _significant(found.difference, p, found.alpha):
        return "inconclusive"
    if found.difference.mean < 0:
        return "beats" if found.failed[0] <= found.failed[1] else "inconclusive"
    return "loses to" if found.failed[1] <= found.failed[0] else "inconclusive"


def _significant(difference: Estimate, p: float, alpha: float) -> bool:
    return difference.n >= MIN_PAIRS and p < alpha


def _inside(narrow: Estimate, margin: float | None, alpha: float) -> bool:
    """Whether the difference is smaller than the margin, by two one-sided tests at alpha.

    These are t tests; if all differences are equal, so that there is no interval, they are exact sign tests of the
    distances to either margin.
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


def correlation(first: npt.ArrayLike, second: npt.ArrayLike) -> Estimate:
    """Pearson's correlation with Fisher's 95 % interval (1921); NaN with fewer than four pairs, or without spread."""
    one, other = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    n = len(one)
    if n < 4 or min(np.ptp(one), np.ptp(other)) < ROUNDING:
        return Estimate(n, math.nan, math.nan, math.nan)
    r = min(1.0, max(-1.0, float(np.corrcoef(one, other)[0, 1])))
    if abs(r) > 1 - ROUNDING:
        return Estimate(n, r, math.nan, math.nan)
    half = float(stats.norm.ppf(0.5 + CONFIDENCE / 2)) / math.sqrt(n - 3)
    low, high = (math.tanh(math.atanh(r) + end) for end in (-half, half))
    return Estimate(n, r, low, high)


def _welch_p(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    if len(first) < 2 or max(np.ptp(first), np.ptp(second)) < ROUNDING:
        return math.nan
    # From means and variances: scipy's function on samples warns if one side hardly varies.
    sides = [(float(one.mean()), float(one.std(ddof=1)), len(one)) for one in (first, second)]
    return float(stats.ttest_ind_from_stats(*sides[0], *sides[1], equal_var=False).pvalue)


def _flip_p(differences: npt.NDArray[np.float64], alpha: float) -> float | None:
    """The p value of the sign-flip test: share of all sign flips whose mean is at least as far from zero."""
    n = len(differences)
    if n > EXACT_PAIRS or n < 2 or 2 / 2**n > alpha:
        return None
    sums = np.zeros(1)
    for value in differences:
        sums = np.concatenate([sums - value, sums + value])
    return float(np.mean(np.abs(sums) >= abs(differences.sum()) - ROUNDING))


def others(names: list[str], contrast: tuple[str, str]) -> list[tuple[str, str]]:
    """The contrasts of a study beside the declared one: every other setting with the second one of the contrast."""
    return [(name, contrast[1]) for name in names if name not in contrast]
