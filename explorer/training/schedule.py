"""Learning-rate schedules as plain functions of the step."""

import math

from explorer.host.errors import InputError
from explorer.host.extensions import MISTAKES, mistake
from explorer.study.parts import SCHEDULES
from explorer.study.settings import Recipe


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of a step, counted from 0, of `steps` steps.

    one_cycle: rises linearly over the warm-up, then follows half a cosine to zero (after Smith, 1708.07120).
    step: falls to a tenth once a milestone's fraction of all steps is behind (He et al., 1512.03385).
    Others are added by extensions. Raises InputError for one that gives anything but a number from 0 on.
    """
    shape = _SHAPES.get(recipe.schedule, _added)
    return shape(recipe, step, steps) * recipe.learning_rate


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


def _one_cycle(recipe: Recipe, step: int, steps: int) -> float:
    rising = round(recipe.warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))


def _step(recipe: Recipe, step: int, steps: int) -> float:
    return float(0.1 ** sum(step >= milestone * steps for milestone in recipe.milestones))


_SHAPES = {"one_cycle": _one_cycle, "step": _step}
