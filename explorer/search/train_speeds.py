"""How fast each setting trains on this device, which gives it its number of steps where all train for equal seconds.

It is measured once, before a study's first run, under the execution plan and with as many workers at once as runs will
have, and recorded: whoever continues the study uses the recorded speeds, and so the same steps.
"""

from collections.abc import Sequence
from statistics import median, quantiles
from typing import cast

from explorer.host.errors import InputError
from explorer.search.measuring import Measurer
from explorer.study.designs import Setting
from explorer.study.job import Speed, SpeedQuestion
from explorer.study.lengths import Speed as Calibrated
from explorer.study.lengths import reference_name
from explorer.study.plan import Plan
from explorer.study.run import Execution, Run
from explorer.study.runs import own_execution

SECONDS = 2.0  # of training steps of each setting, at least; more where they vary
LIMIT = 12.0  # most seconds for each setting
TOGETHER = 8  # settings that are measured in turns; the reference design is among them each time


def lacking(plan: Plan, settings: Sequence[Setting]) -> list[Setting]:
    """The settings, the reference design included, whose speed is needed and not known."""
    if plan.config.budget.train != "time":
        return []
    scopes = {reference_name(one.scope): one.scope for one in settings}
    named = {one.name: one for one in settings}
    for name, scope in scopes.items():
        assert scope.reference_design is not None
        named.setdefault(name, Setting(scope.reference_design, scope))
    return [one for name, one in sorted(named.items()) if name not in plan.lengths.speeds]


def measured_speeds(
    measurer: Measurer, plan: Plan, settings: Sequence[Setting], execution: Execution, workers: int
) -> dict[str, Calibrated]:
    """The speeds of all settings that training for equal seconds needs: those known already, and others measured now.

    Settings take turns of a step each, so that whatever disturbs one disturbs all. What is measured apart from the
    others is scaled by the reference design, which is measured each time. Raises InputError for a design that does not
    fit into the memory.
    """
    known, missing = dict(plan.lengths.speeds), lacking(plan, settings)
    if not missing:
        return known
    scope = missing[0].scope
    assert scope.reference_design is not None
    reference = next((one for one in settings if one.name == reference_name(scope)), None)
    reference = reference or Setting(scope.reference_design, scope)
    others = [one for one in missing if one.name != reference.name]
    for begin in range(0, max(1, len(others)), TOGETHER):
        group = [reference, *others[begin : begin + TOGETHER]]
        measurer.tell(f"Measuring how fast {', '.join(one.display for one in group)} train, {workers} at once")
        found = _together(measurer, group, execution, workers)
        scale = known[reference.name].median / found[0].median if reference.name in known else 1.0
        for setting, one in zip(group, found, strict=True):
            own = Calibrated(one.lower * scale, one.median * scale, one.upper * scale, one.n)
            known.setdefault(setting.name, own)
    return known


def _together(measurer: Measurer, settings: Sequence[Setting], execution: Execution, workers: int) -> list[Calibrated]:
    """The speeds of some settings, each worker taking steps of them in turns at the same time as the other workers."""
    config = measurer.config
    runs = tuple(
        Run(
            one.architecture,
            config.data.task,
            config.recipe,
            config.data,
            "",
            0,
            own_execution(execution, one, config.data.task),
        )
        for one in settings
    )
    answers = measurer.engine.ask(SpeedQuestion(runs, SECONDS, LIMIT * len(runs)), workers)
    found = []
    for number, setting in enumerate(settings):
        turns = [turn for answer in answers for turn in cast(Speed, answer).turns[number]]
        if len(turns) < 2 or min(turns) <= 0:
            raise InputError(
                f"budget.train=time: no training step of {setting.name} could be measured here, as where it does not "
                "fit into the memory; leave the design out, or take a smaller recipe.micro_batch"
            )
        lower, _, upper = quantiles(turns, n=4, method="inclusive")
        found.append(Calibrated(lower, median(turns), upper, len(turns)))
    return found
