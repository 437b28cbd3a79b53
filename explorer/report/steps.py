"""The designs between the two settings of a contrast, where these differ in more than one axis."""

from dataclasses import dataclass

from explorer.analysis.judging import OpenedStudy
from explorer.design.ablation import ablation_path
from explorer.design.name import display_name, setting_name
from explorer.host.formatting import millions, signed_percent
from explorer.report.error_words import mean_words

WORDS = {"depths": "depth", "cardinality": "paths", "kernel_size": "kernel size", "bottleneck_width": "path width"}


@dataclass(frozen=True)
class StepRow:
    """One design on the way, as text: what changed, its name, its costs with the deviation, and its error.

    error  of a design that the study trained, with the change from the design before where that was trained too; ""
           for one that was not trained
    """

    changed: str
    setting: str
    display: str
    params: str
    macs: str
    error: str


def step_rows(study: OpenedStudy) -> list[StepRow]:
    """The path from the rival to the setting of the contrast, one axis at each step; empty if they differ in one axis.

    Empty as well without a budget, to which each step is solved, or where a step cannot be built.
    """
    pair, budget = study.plan.contrast, study.plan.scope.budget
    if pair is None or budget is None or study.plan.scope.tight or pair[0].form != pair[1].form:
        return []
    setting, against = pair
    try:
        steps = ablation_path(against.architecture, setting.architecture, budget, study.config.data.task)
    except ValueError:
        return []
    if len(steps) < 3:
        return []
    known = {one.setting: one for one in study.finding.summaries if one.came_through}
    targets, rows, before = study.plan.scope.targets, [], None
    for step in steps:
        name = setting_name(step.architecture, setting.form)
        own = known.get(name)
        error = mean_words(own) if own else ""
        if own and before:
            error += f" ({100 * (own.estimate.mean - before.estimate.mean):+.2f} points)"
        shares = {
            measure: f" {signed_percent(getattr(step.cost, measure) / target - 1)}" if target else ""
            for measure, target in targets.items()
        }
        rows.append(
            StepRow(
                WORDS.get(step.axis, step.axis),
                name,
                display_name(step.architecture, setting.form),
                f"{millions(step.cost.params)}{shares['params']}",
                f"{millions(step.cost.macs)}{shares['macs']}",
                error,
            )
        )
        before = own
    return rows
