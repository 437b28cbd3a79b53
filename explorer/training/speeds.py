"""Speeds measured in turns: one is called higher than another where they differ by more than they vary."""

from collections.abc import Sequence
from math import log
from statistics import quantiles

NOISE = 0.05  # by which speeds vary on a machine that does nothing else, as a share
LEAST_STEPS = 5  # of single steps, turns without which too much is left to chance


def is_faster(speeds: Sequence[float], others: Sequence[float], by: float = 1.0) -> bool:
    """Whether speeds are more than `by` times those that were measured beside them, and by more than this varies.

    The difference is the median over the turns, how much it varies the distance between the quartiles; a single turn
    tells nothing. A speed of zero is that of what cannot be executed.
    """
    if min(speeds, default=0.0) <= 0 or len(others) < 2:
        return False
    if min(others) <= 0:
        return True
    difference, spread = _compared(speeds, others)
    return difference > max(log(by), spread)


def is_settled(speeds: Sequence[float], others: Sequence[float]) -> bool:
    """Whether further turns would hardly change an answer: the speeds differ clearly, or do not differ."""
    if len(others) < 2:
        return False
    if min(*speeds, *others) <= 0:
        return True
    difference, spread = _compared(speeds, others)
    return spread <= max(abs(difference), NOISE)


def is_steady(speeds: Sequence[float], others: Sequence[float]) -> bool:
    """Whether speeds and those that were measured beside them vary as little as on a machine that does nothing else."""
    return len(others) > 1 and (min(*speeds, *others) <= 0 or _compared(speeds, others)[1] <= NOISE)


def _compared(speeds: Sequence[float], others: Sequence[float]) -> tuple[float, float]:
    """The logarithm of the ratio of speeds: its median over the turns, and the distance between its quartiles."""
    lower, middle, upper = quantiles([log(one / other) for one, other in zip(speeds, others, strict=True)], n=4)
    return middle, upper - lower
