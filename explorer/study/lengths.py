"""How long each setting trains: as the recipe says, or so that all take the same training compute or time.

With `budget.train=macs` a setting takes as many steps as make its multiply-adds times images those of the budget's
reference design in the recipe's own length; no clock is needed. With `budget.train=time` it takes as many steps as it
trains images a second, relative to the reference, which is measured once, at the study's first start, and recorded.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from explorer.design.name import short_name
from explorer.host.errors import InputError
from explorer.study.settings import BudgetConfig, Recipe, StudyConfig

if TYPE_CHECKING:
    from explorer.study.designs import Scope, Setting

CALIBRATED = "train_speeds"  # key of the environment that holds what was measured
MOST_SPEED = 1e12  # images per second


@dataclass(frozen=True)
class Speed:
    """Images per second of a setting's training steps: lower quartile, median and upper quartile over `n` timings."""

    lower: float
    median: float
    upper: float
    n: int


@dataclass(frozen=True)
class Lengths:
    """What the lengths of a study's runs follow from, besides its settings.

    images  number of training images; None before they have been counted
    speeds  by name of a setting, of those measured for `budget.train=time`, the reference design among them
    """

    images: int | None = None
    speeds: Mapping[str, Speed] = field(default_factory=dict)


def steps_of(config: StudyConfig, lengths: Lengths, setting: "Setting") -> int | None:
    """Number of training steps of a setting's runs; None as long as it is not known."""
    if lengths.images is None:
        return None
    whole = config.recipe.steps_on(lengths.images)
    if config.budget.train == "epochs":
        return whole
    if config.budget.train == "macs":
        reference = setting.scope.reference
        assert reference is not None
        return nearest(whole * reference.macs, setting.cost.macs)
    own, rival = lengths.speeds.get(setting.name), lengths.speeds.get(reference_name(setting.scope))
    return None if own is None or rival is None else at_pace(whole, own.median / rival.median)


def nearest(work: int, each: int) -> int:
    """The number of steps, one at least, whose work is nearest to `work`, if each takes so much: whole numbers only."""
    return max(1, (2 * work + each) // (2 * each))


def at_pace(steps: int, pace: float) -> int:
    """The number of steps, one at least, that take as long as `steps` of something else, at `pace` times its speed."""
    return max(1, round(steps * pace))


def recipe_of(config: StudyConfig, lengths: Lengths, setting: "Setting") -> Recipe:
    """How a setting is trained: by the study's recipe, with steps of its own where the study's budget gives it these.

    One whose own steps are those of the recipe, as the reference's are, is trained by the recipe as it is, and so is
    the same run as in a study of equal epochs.
    """
    if config.budget.train == "epochs":
        return config.recipe
    steps = steps_of(config, lengths, setting)
    assert steps is not None, f"{setting.name} has no calibrated length"
    assert lengths.images is not None
    if steps == config.recipe.steps_on(lengths.images):
        return config.recipe
    return of_steps(config.recipe, steps, lengths.images)


def of_steps(recipe: Recipe, steps: int, images: int) -> Recipe:
    """A recipe with other steps than its own on so many images; the warm-up keeps its share of the run."""
    own = recipe.steps_on(images)  # none of fewer images than a batch, which no start trains on
    warmup = recipe.warmup_epochs * steps / own if own else recipe.warmup_epochs
    return replace(recipe, epochs=None, steps=steps, warmup_epochs=warmup)


def reference_name(scope: "Scope") -> str:
    """The name of the design that a budget is held to, in the usual form of its blocks."""
    assert scope.reference_design is not None
    return short_name(scope.reference_design)


def budget_of_part(config: StudyConfig, scope: "Scope") -> BudgetConfig:
    """The budget of a study that trains some designs of another one: no limits, and lengths by the same rule."""
    if config.budget.train == "epochs":
        return BudgetConfig(None)
    return BudgetConfig(reference_name(scope), train=config.budget.train)


def lengths_in(environment: Mapping[str, Any], place: str) -> Lengths:
    """What a study's environment says of the lengths of its runs. Raises InputError where it cannot be."""
    images = int(environment["images"][0])
    own = environment.get(CALIBRATED)
    if own is None:
        return Lengths(images)
    speeds = {name: Speed(*row) for name, row in own["speeds"].items()}
    for name, one in speeds.items():
        numbers = (one.lower, one.median, one.upper)
        if one.n < 1 or not all(math.isfinite(number) and 0 < number <= MOST_SPEED for number in numbers):
            raise InputError(f"{place}: {CALIBRATED} of {name} cannot be images per second; restore the file")
    return Lengths(images, speeds)


def refuse_lengths(config: StudyConfig, reference: object) -> None:
    """Raise InputError where lengths of its own cannot be given to each setting of a study."""
    train, search = config.budget.train, config.search
    if train == "epochs":
        return
    key = f"budget.train={train}"
    if config.is_told:
        raise InputError(f"{key}: another program trains this study, as long as it likes; allowed: epochs")
    if reference is None:
        raise InputError(f"{key}: needs the design whose training all others are held to; say budget.reference=NAME")
    if search.pruner != "none" and not search.only:
        raise InputError(
            f"{key}: designs then have different numbers of epochs, and search.pruner={search.pruner} judges all after "
            "the same; allowed: search.pruner=none"
        )
    if train == "time" and search.is_adaptive:
        raise InputError(
            f"{key}: is measured before the first run, and sampler {search.sampler} chooses designs later; allowed: "
            "listed, uniform, space_filling, or budget.train=macs"
        )
