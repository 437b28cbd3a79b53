"""The runs of a study: every setting with every seed, at each learning rate that the study asks for."""

from dataclasses import replace

from explorer.design.grouped import grouped_convs
from explorer.design.template import Task
from explorer.host.errors import InputError
from explorer.study.designs import Setting
from explorer.study.plan import Plan
from explorer.study.run import Execution, Run, as_recorded
from explorer.study.settings import MOST_EPOCHS, StudyConfig


def runs_of(
    plan: Plan, settings: tuple[Setting, ...], execution: Execution, data_hash: str
) -> list[tuple[Setting, Run]]:
    """All runs of the settings, ordered by seed, so that an unfinished study already has complete pairs.

    Only the contrast's two settings are also trained at other learning rates (`search.rates`).
    """
    config, task, found = plan.config, plan.config.data.task, []
    executions = {setting.name: own_execution(execution, setting, task) for setting in settings}
    for seed in plan.every_seed:
        for rate, own in [(1.0, settings), *((rate, plan.contrast or ()) for rate in config.search.rates)]:
            for setting in own:
                recipe, own_plan = plan.recipe_of(setting), executions[setting.name]
                recipe = replace(recipe, learning_rate=recipe.learning_rate * rate)
                run = Run(setting.architecture, task, recipe, config.data, data_hash, seed, own_plan)
                found.append((setting, run))
    return found


def rate_of(config: StudyConfig, run: Run) -> float:
    """A run's learning rate as a multiple of the recipe's."""
    return as_recorded(run.recipe.learning_rate / config.recipe.learning_rate)


def is_judged(config: StudyConfig, run: Run) -> bool:
    """Whether a run is evaluated on the test images; not in a search or at other rates, which use validation images."""
    return not config.search.is_adaptive and rate_of(config, run) == 1


def own_execution(execution: Execution, setting: Setting, task: Task) -> Execution:
    """A study's execution plan restricted to the convolutions that occur in one setting."""
    if not execution.convolutions:
        return execution if execution.form == setting.form else replace(execution, form=setting.form)
    shapes = {shape.key: shape.groups for shape in grouped_convs(setting.architecture, task)}
    different = [
        choice
        for choice in execution.convolutions
        if choice.layer in shapes and (choice.groups != shapes[choice.layer] or choice.layout != "same")
    ]
    if setting.form != "grouped":
        different = []
    own = tuple(sorted(different, key=lambda choice: choice.layer))
    return replace(execution, form=setting.form, convolutions=own)


def refuse_batch(config: StudyConfig, images: int) -> None:
    """Raise InputError if a batch is larger than `images`, the number of training images found at the study's start.

    And if `recipe.steps` is no longer than the warm-up, or makes more epochs of them than a record may have.
    """
    if config.recipe.batch_size > images:
        raise InputError(
            f"recipe.batch_size={config.recipe.batch_size}: {config.data.name} has {images:,} images to train on; "
            "allowed is at most that"
        )
    if config.recipe.steps is not None:
        of_epoch = images // config.recipe.batch_size
        if config.recipe.warmup_epochs * of_epoch >= config.recipe.steps:
            raise InputError(
                f"recipe.warmup_epochs={config.recipe.warmup_epochs:g}: an epoch of {images:,} images has {of_epoch} "
                f"steps; allowed is less than {config.recipe.steps / of_epoch:.3g}, since recipe.steps is "
                f"{config.recipe.steps}"
            )
    if config.recipe.epochs_on(images) > MOST_EPOCHS:
        most = MOST_EPOCHS * (images // config.recipe.batch_size)
        raise InputError(
            f"recipe.steps={config.recipe.steps}: with {images:,} training images allowed is at most {most:,}, that is "
            f"{MOST_EPOCHS:,} epochs"
        )
