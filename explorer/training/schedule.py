"""Learning-rate schedules as plain functions of the step."""

import math

from explorer.host.errors import InputError
from explorer.host.extensions import MISTAKES, mistake
from explorer.study.parts import ADDED, SCHEDULES
from explorer.study.settings import Recipe


def learning_rate(recipe: Recipe, step: int, steps: int, in_epoch: int | None = None) -> float:
    """Learning rate of a step, counted from 0, of `steps` steps, of which `in_epoch` are one epoch.

    All rise linearly over the warm-up, if there is one, and then
    one_cycle, cosine: follow half a cosine to zero (after Smith, 1708.07120; Loshchilov and Hutter, 1608.03983).
    linear: fall to zero on a straight line.
    constant: stay.
    step: fall to a tenth once a milestone's fraction of all steps is behind (He et al., 1512.03385).
    Others are added by extensions, and warm up as they say themselves. Raises InputError for one that gives anything
    but a number from 0 on. `in_epoch` is needed for `recipe.warmup_epochs` where `recipe.steps` gives the length.
    """
    if recipe.schedule not in ADDED["schedule"][2]:
        return _added(recipe, step, steps) * recipe.learning_rate
    rising = min(steps, _rising(recipe, steps, in_epoch))
    return ((step + 1) / rising if step < rising else _after(recipe, step, steps, rising)) * recipe.learning_rate


def _rising(recipe: Recipe, steps: int, in_epoch: int | None) -> int:
    """The number of steps spent warming up."""
    if recipe.warmup_epochs:
        if in_epoch is None:
            in_epoch = steps // recipe.whole_epochs
        return round(recipe.warmup_epochs * in_epoch)
    # The schedule `step` has never read the fraction, which earlier records hold beside it.
    return 0 if recipe.schedule == "step" else round(recipe.warmup * steps)


def _after(recipe: Recipe, step: int, steps: int, rising: int) -> float:
    """The share of the full rate at a step after the warm-up."""
    match recipe.schedule:
        case "one_cycle" | "cosine":
            return 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))
        case "linear":
            return 1 - (step - rising) / (steps - rising)
        case "step":
            return float(0.1 ** sum(step >= milestone * steps for milestone in recipe.milestones))
    return 1.0


def _added(recipe: Recipe, step: int, steps: int) -> float:
    name, progress = recipe.schedule, step / steps
    try:
        factor = float(SCHEDULES[name](progress, recipe, **recipe.numbers.get(name, {})))
    except MISTAKES as error:
        raise InputError(
            f"recipe.schedule={name}: {mistake('SCHEDULES', name, error)} (at {progress:g} of the run)"
        ) from error
    if not 0 <= factor < math.inf:
        raise InputError(
            f"recipe.schedule={name}: gives {factor:g} at {progress:g} of the run; allowed: a factor on "
            "recipe.learning_rate, from 0 on"
        )
    return factor
