"""From a study's settings to its runs: every setting with every seed, at each learning rate the study asks for."""

import math
from dataclasses import replace

from explorer.design.grouped import grouped_convs
from explorer.design.template import Task
from explorer.host.errors import InputError
from explorer.study.contrast import contrast_of
from explorer.study.plan import Setting, designs_wanted, task_of
from explorer.study.run import Execution, Run
from explorer.study.settings import StudyConfig


def runs_of(
    config: StudyConfig, settings: tuple[Setting, ...], execution: Execution, data_hash: str
) -> list[tuple[Setting, Run]]:
    """Every run of the study, all settings of a seed before the next seed, so that a part is already paired.

    At other learning rates than the recipe's only the contrast's settings are trained.
    """
    task, pair = task_of(config), contrast_of(config, settings) if config.search.rates else None
    found = []
    for seed in config.search.every_seed:
        for rate, own in [(1.0, settings), *((rate, pair or ()) for rate in config.search.rates)]:
            recipe = replace(config.recipe, learning_rate=config.recipe.learning_rate * rate)
            for setting in own:
                execution_of = own_execution(execution, setting, task)
                run = Run(setting.architecture, task, recipe, config.data, data_hash, seed, execution_of)
                found.append((setting, run))
    return found


def rungs_of(config: StudyConfig) -> tuple[int, ...]:
    """The epochs after which a search judges its designs on their way; none where it trains all to their end."""
    search, epochs = config.search, config.recipe.epochs
    if search.pruner == "none" or not search.is_adaptive:
        return ()
    rung, steps = search.first_rung or math.ceil(epochs / search.factor**2), []
    while rung < epochs:
        steps.append(rung)
        rung *= search.factor
    return tuple(steps)


def runs_wanted(config: StudyConfig, settings: tuple[Setting, ...]) -> int:
    """How many runs the study is to have, those at other learning rates included."""
    designs = designs_wanted(config, settings)
    return (designs + 2 * len(config.search.rates)) * config.search.seeds


def rate_of(config: StudyConfig, run: Run) -> float:
    """The multiple of the study's learning rate that a run is trained at."""
    return round(run.recipe.learning_rate / config.recipe.learning_rate, 9)


def is_judged(config: StudyConfig, run: Run) -> bool:
    """Whether a run is evaluated on the test images: not where validation images decide what comes of it."""
    return not config.search.is_adaptive and rate_of(config, run) == 1


def own_execution(execution: Execution, setting: Setting, task: Task) -> Execution:
    """The part of a study's plan that concerns one setting: its own convolutions that are not executed as they are."""
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
    """Raise InputError for batches larger than the training images, whose number the study's start has found."""
    if config.recipe.batch_size > images:
        raise InputError(
            f"recipe.batch_size={config.recipe.batch_size}: {config.data.name} has {images:,} images to train on; "
            "allowed is at most that"
        )
