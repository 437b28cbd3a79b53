"""Does a contrast hold when a rival explanation is taken away? The rule by which checks of it are judged.

A check trains the contrast's two settings again with one thing changed, such as the initialisation, paired by seed. Its
gap is the error of the setting minus that of its rival; its change is that gap minus the declared one of the same seed.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from explorer.analysis.intervals import DIFFERENCES, ROUNDING, Estimate, Floats, estimate
from explorer.analysis.paired import ALPHA, holm_adjusted, paired_p, pairs_needed
from explorer.analysis.summary import MIN_PAIRS
from explorer.study.checks import CheckArm

Word = Literal["holds", "explains", "cannot tell"]


@dataclass(frozen=True)
class Arm:
    """One way of making a check.

    check  its name; several arms may belong to one check
    name   of this arm
    gaps   by seed, the error of the setting minus that of its rival, a fraction
    main   whether the check is judged by this arm; others are shown beside it
    """

    check: str
    name: str
    gaps: Mapping[int, float]
    main: bool = True


@dataclass(frozen=True)
class JudgedArm:
    """What an arm says of the declared contrast.

    gap     over the arm's seeds, with a 95 % interval
    change  gap minus the declared gap, over the seeds that both have, with a 95 % interval
    p       of the hypothesis that nothing changes, adjusted over the main arms of all checks
    word    holds: the interval of the gap excludes zero on the declared side; explains: it does not, and p is below
            0.05 with a change towards the other side; cannot tell: neither
    needed  pairs that detect, with 80 % power, a change as large as the declared gap; None if it can be told, or the
            changes do not vary, or the declared gap is not clear
    """

    arm: Arm
    gap: Estimate
    change: Estimate
    p: float
    word: Word
    needed: int | None


@dataclass(frozen=True)
class JudgedCheck:
    """What a check says: it holds if all its main arms hold, and explains if one of them explains."""

    name: str
    word: Word
    arms: tuple[JudgedArm, ...]


def judge(
    declared: Mapping[int, float], arms: Sequence[Arm], alpha: float = ALPHA, *, declared_alpha: float = ALPHA
) -> tuple[JudgedCheck, ...]:
    """Judge the checks of a contrast whose declared gaps are given by seed, in the order in which the checks come.

    The contrast has a level of its own, which is smaller where it was looked at several times.

    That a contrast holds under all its checks needs no correction: each must hold. That one of them explains it does:
    p values of changes are adjusted by Holm's method (1979) over the checks, and by Bonferroni's over the main arms of
    one check. Fewer than five pairs tell nothing. An arm by which nothing changes, since the declared runs are made as
    it asks, is no test and takes no part in the correction. Where the declared gap is not clear there is nothing that
    could hold or be explained.
    """
    side = declared_side(declared, declared_alpha)
    found: dict[str, list[tuple[Arm, Floats, float]]] = {}
    mains = Counter(one.check for one in arms if one.main)
    for arm in arms:
        changes = np.array([arm.gaps[seed] - declared[seed] for seed in sorted(set(arm.gaps) & set(declared))])
        found.setdefault(arm.check, []).append((arm, changes, _change_p(changes) * mains[arm.check]))
    smallest = [min((p for arm, _, p in own if arm.main and p == p), default=np.nan) for own in found.values()]
    checks, judged = sum(p == p for p in smallest), []
    for (check, own), family in zip(found.items(), holm_adjusted(smallest), strict=True):
        its = tuple(
            _judged(
                arm,
                changes,
                max(p, family) if arm.main and p == p else p,
                declared,
                side,
                alpha,
                alpha / (mains[check] * max(1, checks)) if arm.main else alpha,
            )
            for arm, changes, p in own
        )
        words = {one.word for one in its if one.arm.main}
        word: Word = "explains" if "explains" in words else "holds" if words == {"holds"} else "cannot tell"
        judged.append(JudgedCheck(check, word, its))
    return tuple(judged)


def declared_side(declared: Mapping[int, float], alpha: float = ALPHA) -> float:
    """The sign of the declared gap; 0 if it is not clear, which is when its interval includes zero."""
    gap = estimate([*declared.values()], 1 - alpha)
    is_unclear = not gap.n or (gap.has_interval and gap.low <= 0 <= gap.high)
    return 0.0 if is_unclear else float(np.sign(gap.mean))


def _change_p(changes: Floats) -> float:
    """The p value of the hypothesis that nothing changes; NaN if nothing does."""
    return math.nan if not len(changes) or np.abs(changes).max() < ROUNDING else paired_p(changes)


def _judged(
    arm: Arm, changes: Floats, p: float, declared: Mapping[int, float], side: float, alpha: float, corrected: float
) -> JudgedArm:
    """`corrected` is the level of one change among all, at which the number of pairs that would tell is planned."""
    gap = estimate([*arm.gaps.values()], 1 - alpha, within=DIFFERENCES)
    change = estimate(changes, 1 - alpha)
    word: Word = "cannot tell"
    if gap.n >= MIN_PAIRS and gap.has_interval and min(side * gap.low, side * gap.high) > 0:
        word = "holds"
    elif change.n >= MIN_PAIRS and p < alpha and side * change.mean < 0:
        word = "explains"
    needed = None
    if word == "cannot tell" and side:
        needed = pairs_needed(changes, side * float(np.mean([*declared.values()])), corrected)
    return JudgedArm(arm, gap, change, min(p, 1.0) if p == p else p, word, needed)


@dataclass(frozen=True)
class Robustness:
    """What the robustness checks of a study's contrast say, and which of them have not been made.

    checks   those of which all main arms are finished
    arms     every arm of every check, whether or not it was made
    caveats  by arm, why its errors decide nothing; without arms that decide
    far      of each check that is begun and not finished, the number of its recorded runs
    undone   the checks that have not been begun, each with the reason if it cannot be made
    faults   by study, why its record cannot be used
    """

    checks: tuple[JudgedCheck, ...] = ()
    arms: tuple[CheckArm, ...] = ()
    caveats: Mapping[str, str] = field(default_factory=dict)
    far: Mapping[str, int] = field(default_factory=dict)
    undone: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)

    def named(self, name: str) -> CheckArm:
        """The arm of this name."""
        return next(arm for arm in self.arms if arm.name == name)

    @property
    def is_begun(self) -> bool:
        """Whether anything was trained for a check: some hold by how the declared study is made."""
        return bool(self.far or self.faults) or any(
            self.named(arm.arm.name).studies for check in self.checks for arm in check.arms
        )

    def found(self, word: Word) -> list[JudgedCheck]:
        """The checks of which the rule says this word."""
        return [check for check in self.checks if check.word == word]
