"""Compare speeds measured in turns: one is higher than another if they differ by more than they vary."""

from collections.abc import Sequence
from math import log
from statistics import quantiles

NOISE = 0.05  # relative variation of speeds on an otherwise idle machine
LEAST_STEPS = 5  # least turns of single steps for a reliable comparison


def is_faster(speeds: Sequence[float], others: Sequence[float], by: float = 1.0) -> bool:
    """Whether speeds exceed `by` times the others, measured in the same turns, by more than the measurements vary.

    The difference is the median over the turns, its variation the distance between the quartiles; a single turn is not
    enough. A speed of zero means that something cannot be executed.
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
    """Whether the ratio of two series of speeds varies as little as on an otherwise idle machine."""
    return len(others) > 1 and (min(*speeds, *others) <= 0 or _compared(speeds, others)[1] <= NOISE)


def _compared(speeds: Sequence[float], others: Sequence[float]) -> tuple[float, float]:
    """The logarithm of the ratio of speeds: its median over the turns, and the distance between its quartiles."""
    lower, middle, upper = quantiles([log(one / other) for one, other in zip(speeds, others, strict=True)], n=4)
    return middle, upper - lower
