"""Tight matching: solve one width per stage in place of one for all, so that costs differ by tenths of a percent."""

from dataclasses import replace
from functools import reduce

import numpy as np
import numpy.typing as npt

from explorer.design.architecture import Architecture, by_rule
from explorer.design.budget import Budget
from explorer.design.cost import Cost, cost, stage_cost
from explorer.design.layout import layout
from explorer.design.template import Task

FREEDOM = 0.15  # how far a stage's width may be from the doubling rule, as a fraction of it
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def tighten(architecture: Architecture, budget: Budget, task: Task) -> Architecture:
    """The architecture with the bottleneck width of each stage chosen so that the worst deviation is smallest.

    Each width stays within 15 % of the rule (d, 2d, 4d, ...); of equally near networks the one nearest to the rule is
    taken, then the narrower one. The search is exact: a stage's cost depends on its own width alone, so all width pairs
    of the first half of the stages are combined with those of the second. Returned unchanged if no network is nearer.
    """
    rule = by_rule("bottleneck_width", architecture.bottleneck_widths[0], architecture.shape.stages)
    options = [_around(width) for width in rule]
    fixed, costs = _separated(architecture, budget, task, options)
    half = len(options) // 2
    first, second = _sums(costs[:half]), _sums(costs[half:])
    start = float(budget.worst(cost(architecture, task)))
    found = _meet(first, second, fixed, start, np.array([limit.at_most for limit in budget.limits]))
    candidates = [
        replace(architecture, bottleneck_width=_pick(options[:half], row) + _pick(options[half:], column))
        for row, column in found
    ]
    return min([architecture, *candidates], key=lambda design: _preference(design, rule, budget, task))


def _around(width: int) -> list[int]:
    low, high = int(np.ceil(width * (1 - FREEDOM) - 1e-9)), int(np.floor(width * (1 + FREEDOM) + 1e-9))
    return list(range(max(low, 1), max(high, width) + 1))


def _separated(
    architecture: Architecture, budget: Budget, task: Task, options: list[list[int]]
) -> tuple[Floats, list[Floats]]:
    """The deviation without the stages, and what each width of each stage adds to it: one column per limit."""
    stages = layout(architecture, task).stages
    whole = cost(architecture, task)
    own = [stage_cost(stage) for stage in stages]
    added = [
        _relative([stage_cost(replace(stage, bottleneck_width=width)) for width in widths], budget)
        for stage, widths in zip(stages, options, strict=True)
    ]
    rest = _relative([whole], budget)[0] - _relative([reduce(Cost.__add__, own)], budget)[0] - 1
    return rest, added


def _relative(costs: list[Cost], budget: Budget) -> Floats:
    """Costs as fractions of the targets, of shape `(len(costs), limits)`."""
    return np.array([[getattr(value, limit.axis) / limit.target for limit in budget.limits] for value in costs])


def _sums(parts: list[Floats]) -> Floats:
    """All sums of one row from each part, in the order of `itertools.product`."""
    return reduce(lambda left, right: (left[:, None] + right[None]).reshape(-1, left.shape[1]), parts)


def _meet(
    first: Floats, second: Floats, fixed: Floats, best: float, at_most: npt.NDArray[np.bool_]
) -> list[tuple[int, int]]:
    """The pairs of rows whose sum is nearest to zero on its worst column, ties included.

    Sums above zero in a column that is `at_most` are left out. `second` is sorted by its first column: only rows that
    can still improve on the best are examined.
    """
    order = np.argsort(second[:, 0], kind="stable")
    ordered = second[order]
    rounding = 1e-12
    found: list[tuple[float, int, int]] = []
    for row, left in enumerate(first + fixed):
        low, high = np.searchsorted(ordered[:, 0], [-left[0] - best - rounding, -left[0] + best + rounding])
        sums = ordered[low:high] + left
        worst = np.abs(sums).max(axis=1, initial=0)
        near = np.flatnonzero((worst <= best + rounding) & ~(sums[:, at_most] > rounding).any(axis=1))
        if len(near):
            best = min(best, float(worst[near].min()))
            near = near[worst[near] <= best + rounding]
            found += [(float(worst[place]), row, int(order[low + place])) for place in near]
    return [(row, column) for value, row, column in found if value <= best + rounding]


def _pick(options: list[list[int]], row: int) -> tuple[int, ...]:
    """The widths that belong to a row of `_sums`."""
    places = np.unravel_index(row, [len(widths) for widths in options])
    return tuple(widths[place] for widths, place in zip(options, places, strict=True))


def _preference(
    design: Architecture, rule: tuple[int, ...], budget: Budget, task: Task
) -> tuple[float, float, tuple[int, ...]]:
    distance = sum(abs(width / usual - 1) for width, usual in zip(design.bottleneck_widths, rule, strict=True))
    return round(float(budget.worst(cost(design, task))), 12), distance, design.bottleneck_widths
