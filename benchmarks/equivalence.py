"""Are two ways of training equivalent? Decides `python -m benchmarks accuracy`."""

from dataclasses import dataclass
from typing import Literal

from explorer.analysis.intervals import Estimate
from explorer.analysis.paired import Comparison, compare
from explorer.analysis.summary import MIN_PAIRS, SettingSummary


@dataclass(frozen=True)
class Equivalence:
    """Whether two ways of training differ by less than a margin, as a fraction.

    difference  mean of the paired differences with its 90 % t interval, which is two one-sided tests at 5 %
                (Schuirmann, 1987): inside the margin on both sides "equivalent", outside of it "different"
    paired      the comparison behind it: which runs failed, and whether anything was learned at all
    """

    difference: Estimate
    margin: float
    verdict: Literal["equivalent", "different", "inconclusive"]
    paired: Comparison


def equivalence(fast: SettingSummary, plain: SettingSummary, margin: float, images: int | None = None) -> Equivalence:
    """Test whether two ways of training a setting are equivalent, paired by seed; seeds of only one are not used.

    They are not called equivalent if a run failed in one way that came through in the other, or if nothing was learned.
    """
    paired = compare(fast, plain, margin, images=images)
    difference = paired.narrow
    verdict: Literal["equivalent", "different", "inconclusive"] = "inconclusive"
    if paired.within_margin and not paired.guesses:
        verdict = "equivalent"
    elif difference.n >= MIN_PAIRS and (difference.low > margin or difference.high < -margin) and not paired.guesses:
        verdict = "different"
    return Equivalence(difference, margin, verdict, paired)
