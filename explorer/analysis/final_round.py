"""The final round of a search, judged: is the design that validation chose better than those next to it?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from explorer.analysis.chance import Learned, learned
from explorer.analysis.intervals import Estimate
from explorer.analysis.paired import ALPHA, Verdict, pairs_needed
from explorer.analysis.seeds_and_images import Apart, Right, apart, error_with_images
from explorer.analysis.summary import MIN_PAIRS, SettingSummary

Answers = Mapping[str, Mapping[int, Right]]  # by setting and seed, which test images each run classified correctly


@dataclass(frozen=True)
class Beside:
    """The answer of a search beside another of its best designs, over the seeds with which both runs came through.

    difference  of the errors, below zero if `setting`, the answer, has the lower one; with its interval over seeds and
                test images, which holds zero exactly where p is 0.05 or more
    narrow      with the interval that decides equivalence, by two one-sided tests
    p           corrected for all comparisons of the round (Bonferroni), as both intervals are; NaN with fewer than five
                pairs of seeds, which have no interval either
    verdict     "inconclusive" also with so few pairs, if the better one failed more often than the other, or if neither
                has learned more than guessing
    family      number of comparisons that were corrected for
    needed      number of pairs of seeds that find a difference of the margin with 80 % power on as many test images;
                None without a margin or spread
    failed      for each of the two, the number of runs that did not come through
    guesses     whether neither has learned more than guessing
    """

    setting: str
    against: str
    difference: Estimate
    narrow: Estimate
    p: float
    verdict: Verdict
    margin: float | None
    family: int
    failed: tuple[int, int]
    guesses: bool
    needed: int | None = None

    @property
    def is_too_few(self) -> bool:
        """Whether there are too few pairs of seeds to say anything."""
        return self.difference.n < MIN_PAIRS

    @property
    def held_back(self) -> bool:
        """Whether nothing is decided only because the better design failed more often than the other."""
        return self.verdict == "inconclusive" and not self.guesses and self.p < ALPHA


@dataclass(frozen=True)
class FinalRound:
    """The best designs of a search, trained anew and tested. The first one is the answer, whatever the test says.

    settings     their names, by validation error in the search, the lowest first
    validation   that error of each, mean over the search's seeds
    tried        number of designs that the search tried, and `ended` of those that it trained to their end
    done, wanted  number of its runs that are recorded, and of all
    seeds        of each design
    summaries    their test errors over the runs that came through, with intervals over seeds and test images, in the
                 order of `settings`; without designs that have no run yet. No run counts as chance
    failed       by design, the statuses of its runs that did not come through
    comparisons  the first one against each of the others, as one family; empty until all runs are in
    images       number of test images
    looks        how many final rounds of the search have looked at the test images, this one included
    fault        why its record cannot be used; "" if it can
    """

    settings: tuple[str, ...]
    validation: Mapping[str, float]
    tried: int
    ended: int
    done: int
    wanted: int
    seeds: int
    summaries: tuple[SettingSummary, ...] = ()
    failed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    comparisons: tuple[Beside, ...] = ()
    images: int | None = None
    looks: int = 1
    fault: str = ""

    @property
    def complete(self) -> bool:
        """Whether all its runs are recorded."""
        return not self.fault and self.done >= self.wanted

    @property
    def answer(self) -> SettingSummary | None:
        """The design that validation chose, with its test error; None until the round is complete."""
        return self.summaries[0] if self.complete and self.summaries else None

    @property
    def undecided(self) -> tuple[Beside, ...]:
        """The comparisons that tell neither a difference nor equivalence, though some pair of runs came through."""
        return tuple(one for one in self.comparisons if one.verdict == "inconclusive" and one.difference.n)

    @property
    def learned(self) -> Learned:
        """Whether the answer has learned more than guessing; "no" until the round is complete."""
        found = self.answer
        return "no" if found is None else learned_of(found, self.images)

    @property
    def others_that_learned(self) -> tuple[SettingSummary, ...]:
        """The designs beside the answer that have learned more than guessing."""
        return tuple(one for one in self.summaries[1:] if learned_of(one, self.images) != "no")

    @property
    def is_poor(self) -> bool:
        """Whether the answer is at chance or near it: its error is more than three quarters of that of guessing."""
        found = self.answer
        if found is None:
            return False
        return self.learned != "yes" or found.estimate.mean > 0.75 * found.chance


VERDICTS = {"beats": "better", "loses to": "worse", "inconclusive": "not distinguishable"}


def verdict_word(found: Beside) -> str:
    """What the answer is beside another design: better, worse, equivalent, not distinguishable, or why none of them."""
    if found.is_too_few:
        return f"open: {found.difference.n} pairs of seeds are too few" if found.difference.n != 1 else "open: 1 pair"
    return "open: it failed more often" if found.held_back else VERDICTS.get(found.verdict, found.verdict)


def learned_of(one: SettingSummary, images: int | None) -> Learned:
    """Whether a design has learned more than guessing on this number of test images; "no" if no run came through."""
    return learned(one.measured.values(), one.chance, images)


def measured(one: SettingSummary, right: Mapping[int, Right]) -> SettingSummary:
    """A design's error over the runs that came through alone, with its interval over seeds and test images.

    `right` says by seed which test images each of these runs classified correctly.
    """
    return replace(one, errors=one.measured, failed={}, estimate=error_with_images(right))


def compared(
    summaries: Sequence[SettingSummary], answers: Answers, seeds: int, margin: float | None, images: int | None
) -> tuple[Beside, ...]:
    """The first design against each of the others, paired by seed, as one family (Bonferroni).

    `summaries` are of the runs that came through, of `seeds` for each design.
    """
    first, *others = summaries
    own = answers.get(first.setting, {})
    pairs = [len(own.keys() & answers.get(one.setting, {}).keys()) for one in others]
    family = max(1, sum(count >= MIN_PAIRS for count in pairs))
    found = [apart(own, answers.get(one.setting, {}), ALPHA / family) for one in others]
    judged = []
    for other, numbers in zip(others, found, strict=True):
        one = _judged(first, other, _without_few(numbers), margin, family, seeds, images)
        theirs = answers.get(other.setting, {})
        by_seed = np.array(
            [float(theirs[seed].mean() - own[seed].mean()) for seed in sorted(own.keys() & theirs.keys())]
        )
        needed = None
        if margin is not None and not one.is_too_few:
            needed = pairs_needed(by_seed, margin, ALPHA / family, numbers.floor)
        judged.append(replace(one, needed=needed))
    return tuple(judged)


def _without_few(found: Apart) -> Apart:
    """Neither an interval nor a p for too few pairs of seeds."""
    if found.difference.n >= MIN_PAIRS:
        return found
    alone = replace(found.difference, low=float("nan"), high=float("nan"))
    return Apart(alone, alone, float("nan"))


def _widest(found: Estimate) -> float:
    return max(abs(found.low), abs(found.high))


def _judged(
    first: SettingSummary,
    other: SettingSummary,
    found: Apart,
    margin: float | None,
    family: int,
    seeds: int,
    images: int | None,
) -> Beside:
    p = min(1.0, found.p * family) if found.p == found.p else found.p
    failed = seeds - len(first.errors), seeds - len(other.errors)
    guesses = learned_of(first, images) == learned_of(other, images) == "no"
    verdict: Verdict = "inconclusive"
    if not guesses and p < ALPHA:
        is_better = found.difference.mean < 0
        better, worse = failed if is_better else failed[::-1]
        if better <= worse:
            verdict = "beats" if is_better else "loses to"
    elif not guesses and not any(failed) and margin is not None and _widest(found.narrow) < margin:
        verdict = "equivalent"
    return Beside(
        first.setting, other.setting, found.difference, found.narrow, p, verdict, margin, family, failed, guesses
    )
