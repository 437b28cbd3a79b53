"""Equal cost by construction: solve for the bottleneck width that meets a budget at a given cardinality."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.design.architecture import Architecture
from explorer.design.cost import Cost, cost
from explorer.design.cost_measures import COUNTED
from explorer.design.designs import LARGEST, Designs, one
from explorer.design.name import short_name
from explorer.design.template import Task

Ints = npt.NDArray[np.int64]

WIDEST = 2**40  # channels of a path, beyond any budget that a 64-bit integer holds


@dataclass(frozen=True)
class Limit:
    """A cost to meet: `target` for the counted measure `axis`, within the relative `tolerance`.

    at_most  whether no cost may be above the target, so that the tolerance holds below it alone
    """

    axis: str
    target: int
    tolerance: float
    at_most: bool = False

    def __post_init__(self) -> None:
        if self.axis not in COUNTED:
            raise ValueError(f"budget axis {self.axis!r} is unknown; allowed: {', '.join(COUNTED)}")
        if not 1 <= self.target <= LARGEST // 8:
            raise ValueError(f"budget target must be from 1 to 2^59, not {self.target}")
        if not 0 <= self.tolerance < 1:
            raise ValueError(f"budget tolerance must be a fraction from 0 to below 1, not {self.tolerance}")

    def deviation(self, value: Cost) -> Any:
        """Signed distance of a cost (or of many at once) from the target as a fraction of it."""
        return deviation(getattr(value, self.axis), self.target)

    def miss(self, value: Cost) -> Any:
        """How far a cost (or each of many) is from the target, as a fraction; infinite above one that is the most."""
        found = self.deviation(value)
        return np.where(found > 0, np.inf, np.abs(found)) if self.at_most else np.abs(found)

    def __str__(self) -> str:
        if not self.at_most:
            return f"{self.target:,} {self.axis} within {100 * self.tolerance:.2f} %"
        return f"{least_within(self.target, self.tolerance):,} to {self.target:,} {self.axis}"


@dataclass(frozen=True)
class Budget:
    """Limits that a design has to meet together, one per axis."""

    limits: tuple[Limit, ...]

    def __post_init__(self) -> None:
        if not self.limits or len({limit.axis for limit in self.limits}) != len(self.limits):
            raise ValueError("a budget needs one limit or more, each on an axis of its own")

    def worst(self, value: Cost) -> Any:
        """The largest distance from a target over the limits; for one cost or for many at once.

        It is infinite where a cost is above a target that is the most.
        """
        return np.max([limit.miss(value) for limit in self.limits], axis=0)

    def balance(self, value: Cost) -> Any:
        """Sum of the largest and smallest deviation: grows with every width, and is zero where they balance."""
        deviations = [limit.deviation(value) for limit in self.limits]
        return np.max(deviations, axis=0) + np.min(deviations, axis=0)

    def is_exceeded(self, value: Cost) -> Any:
        """Whether a cost is above a target that is the most; for one cost or for many at once."""
        return np.any([limit.deviation(value) > 0 for limit in self.limits if limit.at_most], axis=0)

    def within(self, value: Cost) -> Any:
        """Whether every limit is met; for one cost or for many at once."""
        return np.all([limit.miss(value) <= limit.tolerance for limit in self.limits], axis=0)

    def __str__(self) -> str:
        return " and ".join(map(str, self.limits))

    @property
    def verb(self) -> str:
        """What designs do that are within it: `meet 1,000,000 params within 5.00%`, `have 900,000 to ...`."""
        return "have" if self.limits[0].at_most else "meet"


def deviation(value: int, target: int) -> float:
    """Signed distance from a target as a fraction of it."""
    return (value - target) / target


def least_within(target: int, tolerance: float) -> int:
    """The smallest cost that is at most the relative `tolerance` below a target."""
    return math.ceil(target * (1 - Fraction(str(tolerance))))


def solve_bottleneck_width(
    architecture: Architecture, budget: Budget, task: Task, *, strict: bool = True
) -> Architecture:
    """The architecture with the bottleneck width whose cost is nearest to the budget; its own width is ignored.

    With several limits the larger of the deviations is made smallest; the smaller width wins a tie. No cost exceeds a
    target that is the most, unless the narrowest design does. Where `strict`,
    raises ValueError, naming both neighbours, when neither is within tolerance.
    """
    narrowest = replace(architecture, bottleneck_width=1)
    try:
        least = cost(narrowest, task)
    except ValueError as error:
        raise ValueError(f"cardinality {architecture.cardinality}: {error}") from None
    if max(least.params, least.macs, least.activations) > LARGEST:
        raise ValueError(f"{short_name(narrowest)} would cost more than 2^62; give smaller values")
    base = one(architecture)
    below, above = _neighbours(lambda widths: base.with_bottleneck_width(widths).cost(task), 1, budget)
    candidates = [base.with_bottleneck_width(widths).architecture(0) for widths in (below, above) if widths[0]]
    best = min(candidates, key=lambda candidate: float(budget.worst(cost(candidate, task))))
    if strict and not budget.within(cost(best, task)):
        near = " and ".join(described(candidate, budget, task) for candidate in candidates)
        raise ValueError(
            f"no bottleneck width at cardinality {architecture.cardinality} meets {budget}; nearest: {near}; "
            "choose a budget near that, or leave this cardinality out of the space"
        )
    return best


def solved(designs: Designs, budget: Budget, task: Task) -> Designs:
    """Designs with the bottleneck width nearest to the budget, whether or not it is within the tolerance."""

    def cost_at(widths: Ints) -> Cost:
        return designs.with_bottleneck_width(widths).cost(task)

    below, above = _neighbours(cost_at, len(designs), budget)
    lower, upper = budget.worst(cost_at(np.maximum(below, 1))), budget.worst(cost_at(above))
    return designs.with_bottleneck_width(np.where((below > 0) & (lower <= upper), below, above))


def described(architecture: Architecture, budget: Budget, task: Task) -> str:
    """A design with its cost and deviation for every measure of the budget, for a message."""
    value = cost(architecture, task)
    costs = ", ".join(
        f"{getattr(value, limit.axis):,}, {100 * limit.deviation(value):+.2f} %" for limit in budget.limits
    )
    return f"{short_name(architecture)} ({costs})"


def _neighbours(cost_at: Callable[[Ints], Cost], count: int, budget: Budget) -> tuple[Ints, Ints]:
    """The largest width that is not too wide (0 if there is none) and the next one, for `count` designs at once.

    Every cost measure grows strictly with the width, and so does `balance`: bisection finds where it changes sign, or
    where a target that is the most is exceeded, and the width with the smallest worst deviation is one of the two next
    to that point.
    """

    def too_wide(widths: Ints) -> npt.NDArray[np.bool_]:
        found = cost_at(widths)
        return np.asarray((budget.balance(found) > 0) | budget.is_exceeded(found))

    high = np.ones(count, dtype=np.int64)
    while not (wide := too_wide(high)).all():
        if high.max() > WIDEST:  # an added block may do without paths
            raise ValueError("its cost does not grow with the width of a path; list values of bottleneck_width")
        high = np.where(wide, high, 2 * high)
    low = high // 2
    while (high - low > 1).any():
        middle = np.maximum((low + high) // 2, 1)
        wide = too_wide(middle)
        low, high = np.where(wide | (high - low <= 1), low, middle), np.where(wide & (high - low > 1), middle, high)
    return low, high
