"""Costs of networks that another program trained in place of the designs, as it told them: are they equal too?

A design is chosen within the budget by its closed form. Where the program told the costs of its own networks, the
record has these, and the budget is judged by them: beside the told cost of the budget's reference where that is one of
the settings, else beside the target itself.
"""

from functools import cache

import pandas as pd

from explorer.design.cost import Cost, cost
from explorer.design.cost_measures import COUNTED
from explorer.design.name import display_setting, parse_setting
from explorer.design.template import Task
from explorer.host.formatting import percent
from explorer.study.plan import Plan


def recorded_costs(runs: pd.DataFrame) -> dict[str, Cost]:
    """The cost of each setting as the record has it."""
    first = runs.drop_duplicates("setting")
    columns = (first[name] for name in ("setting", *COUNTED))
    return {str(name): Cost(*map(int, own)) for name, *own in zip(*columns, strict=True)}


def are_told(runs: pd.DataFrame, task: Task) -> bool:
    """Whether a record of runs that another program trained has a cost that is not the design's own."""
    return any(found != closed_form(name, task) for name, found in recorded_costs(runs).items())


@cache
def closed_form(setting: str, task: Task) -> Cost | None:
    """The cost of a setting's design; None for one that this version does not know."""
    try:
        return cost(parse_setting(setting)[0], task)
    except ValueError:
        return None


def with_told_budget(plan: Plan, runs: pd.DataFrame) -> pd.DataFrame:
    """The table of runs with deviations from what the budget's reference costs in the program's own networks."""
    targets = _targets(plan, runs)
    return runs.assign(**{f"{axis}_deviation": (runs[axis] - target) / target for axis, target in targets.items()})


def _targets(plan: Plan, runs: pd.DataFrame) -> dict[str, int]:
    """What deviations are relative to, by measure; without those that the budget has nothing for."""
    scope, known = plan.scope, recorded_costs(runs)
    targets = {axis: target for axis, target in scope.targets.items() if target is not None}
    if scope.reference is None:
        return targets
    own = [name for name in known if closed_form(name, scope.task) == scope.reference]
    is_relative = {axis: target == getattr(scope.reference, axis) for axis, target in targets.items()}
    return {
        axis: getattr(known[own[0]], axis) if own and is_relative[axis] else target for axis, target in targets.items()
    }


def unequal_words(plan: Plan, runs: pd.DataFrame) -> str:
    """A sentence on the settings whose told costs do not meet the budget; "" if all do, or there is none."""
    budget, targets = plan.scope.budget, _targets(plan, runs)
    found = []
    for name, own in recorded_costs(runs).items():
        for limit in budget.limits if budget else ():
            apart = (getattr(own, limit.axis) - targets[limit.axis]) / targets[limit.axis]
            if abs(apart) > limit.tolerance or (limit.at_most and apart > 0):
                side = "above" if apart > 0 else "below"
                found.append(f"{display_setting(name)} {percent(abs(apart))} {side} the budget's {limit.axis}")
    if not found:
        return ""
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return f"As another program told its networks' costs, they are not equal: {', '.join(found[:3])}{more}."
