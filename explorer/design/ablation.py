"""From one design to another at one budget: one axis changes at each step, and the width of a path is solved again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from explorer.design.architecture import Architecture
from explorer.design.budget import Budget, solve_bottleneck_width
from explorer.design.cost import Cost, cost
from explorer.design.template import Task

# The fields of an architecture that a step may change, in the order in which they change if no other is asked for. The
# width of a path is solved at every step and so is no step of its own, unless the last design's own differs.
AXES = (
    *("template", "block", "shortcut", "stem", "projection", "attention", "scale"),
    *("depths", "width", "kernel_size", "cardinality"),
)


@dataclass(frozen=True)
class Step:
    """One design of the path.

    axis       what changed from the design before; "" for the first one, "bottleneck_width" if only that did
    deviation  the largest of its distances from the budget, a fraction
    """

    axis: str
    architecture: Architecture
    cost: Cost
    deviation: float


def ablation_path(
    start: Architecture, end: Architecture, budget: Budget, task: Task, *, order: Sequence[str] = AXES
) -> tuple[Step, ...]:
    """The designs from `start` to `end`, which differ from each other in one axis and in the width of a path.

    Train them all to see at which step an error changes: along another `order` it may be another one, since axes need
    not add up. Both ends are taken as they are. Raises ValueError for an order that lacks an axis in which the ends
    differ, and for a step that cannot be built or meets no budget; another order may then do.
    """
    differ = [axis for axis in AXES if getattr(start, axis) != getattr(end, axis)]
    if missing := [axis for axis in differ if axis not in order]:
        raise ValueError(f"order {list(order)} lacks {', '.join(missing)}, in which the two designs differ")
    steps, now = [_step("", start, budget, task)], start
    for axis in (axis for axis in order if axis in differ):
        now = solve_bottleneck_width(replace(now, **{axis: getattr(end, axis)}, bottleneck_width=1), budget, task)
        if replace(now, bottleneck_width=end.bottleneck_width) == end:
            now = end
        steps.append(_step(axis, now, budget, task))
    if now != end:
        steps.append(_step("bottleneck_width", end, budget, task))
    return tuple(steps)


def _step(axis: str, architecture: Architecture, budget: Budget, task: Task) -> Step:
    value = cost(architecture, task)
    return Step(axis, architecture, value, float(budget.worst(value)))
