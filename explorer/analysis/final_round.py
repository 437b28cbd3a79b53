"""The final round of a search, judged: is the design that validation chose better than those next to it?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from explorer.analysis.chance import Learned, learned
from explorer.analysis.paired import ALPHA, Comparison, compare, holm_adjusted, judged_anew
from explorer.analysis.summary import SettingSummary


@dataclass(frozen=True)
class FinalRound:
    """The best designs of a search, trained anew and tested once. The first one is the answer, whatever the test says.

    settings     their names, by validation error in the search, the lowest first
    validation   that error of each, mean over the search's seeds
    tried        number of designs that the search tried, and `ended` of those that it trained to their end
    done, wanted  number of its runs that are recorded, and of all
    seeds        of each design
    summaries    their test errors, in the order of `settings`; without designs that have no run yet
    comparisons  the first one against each of the others, as one family (Holm); empty until all runs are in
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
    comparisons: tuple[Comparison, ...] = ()
    images: int | None = None
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
    def undecided(self) -> tuple[Comparison, ...]:
        """The comparisons that tell neither a difference nor equivalence."""
        return tuple(one for one in self.comparisons if one.verdict == "inconclusive")

    @property
    def learned(self) -> Learned:
        """Whether the answer has learned more than guessing; "no" until the round is complete."""
        found = self.answer
        return "no" if found is None else learned(found.measured.values(), found.chance, self.images)

    @property
    def is_poor(self) -> bool:
        """Whether the answer is at chance or near it: its error is more than three quarters of that of guessing."""
        found = self.answer
        if found is None:
            return False
        return self.learned != "yes" or not found.came_through or found.estimate.mean > 0.75 * found.chance


VERDICTS = {"beats": "better", "loses to": "worse", "inconclusive": "not distinguishable"}


def verdict_word(found: Comparison) -> str:
    """What the answer is beside another design: better, worse, equivalent or not distinguishable."""
    return VERDICTS.get(found.verdict, found.verdict)


def compared(summaries: Sequence[SettingSummary], margin: float | None, images: int | None) -> tuple[Comparison, ...]:
    """The first setting against each of the others, paired by seed, p values corrected as one family (Holm)."""
    first, *others = summaries
    found = [compare(first, other, margin, ALPHA, images=images) for other in others]
    adjusted = holm_adjusted([one.p for one in found])
    return tuple(
        one if math.isnan(p) or one.verdict == "equivalent" else judged_anew(one, p)
        for one, p in zip(found, adjusted, strict=True)
    )
