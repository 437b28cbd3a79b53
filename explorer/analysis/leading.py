"""What a study that declares no contrast can say: the setting that validation chooses, and how far ahead it is.

Validation errors choose it and the next one, and test errors are told of them, here as everywhere. But which two are
compared was settled by the results, so the comparison is corrected for all pairs that might have been (Bonferroni).
And the errors that choose and those that judge are of the same trained networks: luck of these seeds favours both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from explorer.analysis.paired import ALPHA, Comparison, compare
from explorer.analysis.summary import SettingSummary, by_validation


@dataclass(frozen=True)
class Leading:
    """The setting with the lowest validation error, beside the next one.

    best     of those of which a run came through, the one with the lowest mean validation error; with unknown ones, the
             one with the lowest error
    beside   the paired test on the judged error of `best` minus that of the next one, at 0.05 over `pairs`; None where
             no other setting has a result
    settings  number of settings with a result, and `pairs` how many pairs these make
    """

    best: SettingSummary
    beside: Comparison | None
    settings: int
    pairs: int

    @property
    def is_by_validation(self) -> bool:
        """Whether a validation error chose it, and not the error that is told of it."""
        return self.best.is_chosen

    @property
    def p(self) -> float:
        """The p value of the comparison, corrected for all pairs; NaN where there is none."""
        return math.nan if self.beside is None else min(1.0, self.pairs * self.beside.p)


def leading(summaries: Sequence[SettingSummary], images: int | None = None) -> Leading | None:
    """The setting that leads, beside the next one; None before any run has come through.

    `images` is the number of images on which errors were measured, if it is known.
    """
    ranked = by_validation(summaries)
    if not ranked:
        return None
    pairs = len(ranked) * (len(ranked) - 1) // 2
    beside = compare(ranked[0], ranked[1], None, ALPHA / pairs, images=images) if pairs else None
    return Leading(ranked[0], beside, len(ranked), pairs)
