"""Equal complexity by construction: solve the bottleneck width that meets a budget at a given cardinality."""

from dataclasses import dataclass, replace

from explorer.design.architecture import Architecture
from explorer.design.cost import cost
from explorer.design.name import short_name
from explorer.design.template import Task

AXES = {"params": "parameters", "macs": "multiply-adds"}


@dataclass(frozen=True)
class Budget:
    """A cost to meet: `target` on `axis` ("params" or "macs"), give or take the fraction `tolerance`."""

    axis: str
    target: int
    tolerance: float

    def __post_init__(self) -> None:
        if self.axis not in AXES:
            raise ValueError(f"budget axis {self.axis!r} is unknown; allowed: {', '.join(AXES)}")
        if self.target < 1:
            raise ValueError(f"budget target must be at least 1, not {self.target}")
        if not 0 <= self.tolerance < 1:
            raise ValueError(f"budget tolerance must be a fraction from 0 to below 1, not {self.tolerance}")


def deviation(value: int, target: int) -> float:
    """Signed distance from a target as a fraction of it."""
    return value / target - 1


def solve_bottleneck_width(architecture: Architecture, budget: Budget, task: Task) -> Architecture:
    """The architecture with the bottleneck width whose cost is nearest to the budget; its own width is ignored.

    Cost grows strictly with the width, so a bisection finds the neighbours on both sides; the nearer wins, the
    smaller on a tie. Raises ValueError, naming both neighbours, when neither is within tolerance.
    """
    below, above = _neighbours(architecture, budget, task)
    candidates = [candidate for candidate in (below, above) if candidate is not None]
    best = min(candidates, key=lambda candidate: abs(_cost_on_axis(candidate, budget, task) - budget.target))
    if abs(deviation(_cost_on_axis(best, budget, task), budget.target)) > budget.tolerance:
        near = " and ".join(_describe(candidate, budget, task) for candidate in candidates)
        raise ValueError(
            f"no bottleneck width at cardinality {architecture.cardinality} meets {budget.target:,} {budget.axis} "
            f"within {budget.tolerance:.2%}; nearest: {near}"
        )
    return best


def _cost_on_axis(architecture: Architecture, budget: Budget, task: Task) -> int:
    return int(getattr(cost(architecture, task), budget.axis))


def _neighbours(architecture: Architecture, budget: Budget, task: Task) -> tuple[Architecture | None, Architecture]:
    """The widest design not above the target, if any, and the narrowest above it."""

    def too_wide(width: int) -> bool:
        return _cost_on_axis(replace(architecture, bottleneck_width=width), budget, task) > budget.target

    high = 1
    while not too_wide(high):
        high *= 2
    low = high // 2  # not too wide, or zero
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if too_wide(middle) else (middle, high)
    below = replace(architecture, bottleneck_width=low) if low else None
    return below, replace(architecture, bottleneck_width=high)


def _describe(architecture: Architecture, budget: Budget, task: Task) -> str:
    value = _cost_on_axis(architecture, budget, task)
    return f"{short_name(architecture)} ({value:,}, {deviation(value, budget.target):+.2%})"
