"""How long each setting of a study trains, where that follows from its budget: steps, training compute, speed."""

from dataclasses import dataclass

from explorer.study.designs import Setting
from explorer.study.lengths import Speed
from explorer.study.plan import Plan


@dataclass(frozen=True)
class Length:
    """The training of a setting.

    steps      of a run; None until the first start has measured how fast the setting trains
    epochs     that these begin, the last of which may have fewer steps
    compute    multiply-adds times images, of the forward pass alone
    deviation  of the compute from that of the reference design in the recipe's own length, as a fraction
    speed      images per second as the first start measured it, where that decides the steps
    """

    setting: str
    display: str
    steps: int | None
    epochs: int | None
    compute: int | None
    deviation: float | None
    speed: Speed | None


def lengths_of(plan: Plan, settings: tuple[Setting, ...]) -> list[Length]:
    """The training of each setting; empty for a study at equal epochs, and before its images have been counted."""
    config, images = plan.config, plan.lengths.images
    if config.budget.train == "epochs" or images is None:
        return []
    batch, whole, found = config.recipe.batch_size, config.recipe.steps_on(images), []
    for one in settings:
        steps, speed = plan.steps_of(one), plan.lengths.speeds.get(one.name)
        if steps is None:
            found.append(Length(one.name, one.display, None, None, None, None, None))
            continue
        assert one.scope.reference is not None
        compute, reference = one.cost.macs * steps * batch, one.scope.reference.macs * whole * batch
        epochs = plan.recipe_of(one).epochs_on(images)
        found.append(Length(one.name, one.display, steps, epochs, compute, compute / reference - 1, speed))
    return found
