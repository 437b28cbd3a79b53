"""What each part of a recipe costs per image, and what it gives in brief training."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import fmean, median
from typing import Any, Literal

import torch

from benchmarks.settings import Recipes
from explorer.analysis.intervals import Estimate, estimate
from explorer.design import Task, parse_name
from explorer.study.run import Execution, Run
from explorer.training.device import device_name, finish, has_fast_bfloat16, resolve
from explorer.training.images.split import load
from explorer.training.loop import deterministic, train
from explorer.training.network import kernels
from explorer.training.speed import random_run, random_steps
from explorer.verbs.command_line import read_command

PLAIN = "plain"
# Each alone, added to the plain recipe: one cycle of SGD with shift and flip (recipe=short).
PARTS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "adamw": {"optimizer": "adamw", "learning_rate": 0.004, "weight_decay": 0.05},
    "decay_norms=false": {"decay_norms": False},
    "clip=1": {"clip": 1.0},
    "ema=0.99": {"ema": 0.99},
    "mixup=0.2": {"mixup": 0.2},
    "cutmix=1": {"cutmix": 1.0},
    "rand_augment=[2,5]": {"rand_augment": (2, 5.0)},
    "trivial_augment": {"trivial_augment": True},
    "erasing=0.25": {"erasing": 0.25},
    "stochastic_depth=0.1": {"stochastic_depth": 0.1},
    "dropout=0.2": {"dropout": 0.2},
}
WARM_UP = 3
TASK = Task(3, 32, 10)
Tell = Callable[[str], None]


def measure_cost(config: Recipes, tell: Tell) -> dict[str, float]:
    """The time of a training step with each part as a multiple of the plain one's: medians of turns, all in one run.

    On random images that lie on the device, as the training loop takes them.
    """
    deterministic()
    torch.set_num_threads(1)
    execution = _execution(config)
    run = random_run(parse_name(config.network), TASK, config.batch_size, execution)
    run = replace(run, data=replace(run.data, source="folder"))  # of bytes, as images have them
    loops = {name: random_steps(replace(run, recipe=replace(run.recipe, **part))) for name, part in PARTS.items()}
    for name, loop in loops.items():
        tell(f"{name}: first steps")
        _seconds(loop, WARM_UP, execution.device)
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(config.turns):
        tell(f"turn {turn + 1} of {config.turns}")
        for name, loop in loops.items():
            seconds[name].append(_seconds(loop, config.steps, execution.device))
    # Each turn against the plain steps of the same turn, since other work comes and goes.
    pairs = {name: zip(own, seconds[PLAIN], strict=True) for name, own in seconds.items()}
    return {name: median(own / plain for own, plain in each) for name, each in pairs.items()}


def _seconds(loop: Iterator[object], steps: int, device: str) -> float:
    """Seconds of some steps: on a CPU those of this process, whose one thread other processes may interrupt."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    finish(device)
    began = clock()
    for _ in range(steps):
        next(loop)
    finish(device)
    return clock() - began


def _execution(config: Recipes) -> Execution:
    device = resolve(config.device)
    precision = "bfloat16" if has_fast_bfloat16(device) else "float32"
    norms: Literal["torch", "fused"] = "fused" if kernels.is_available(device) else "torch"
    return Execution(
        device, device_name(device), "grouped", "channels_last", precision, 1, config.batch_size, norms=norms
    )


def measure_gain(config: Recipes, tell: Tell) -> dict[str, tuple[float, Estimate]]:
    """By part, the mean test error, and by how much it is above that of the plain recipe, paired by seed; fractions.

    Raises InputError for a folder without the images.
    """
    torch.set_num_threads(1)
    words = ["study=equal_params", "recipe=short_8_groups", "data=cifar10_jpeg_4000", f"data.path={config.path}"]
    study = read_command([*words, f"recipe.batch_size={config.batch_size}"]).study
    data = replace(study.data, val_images=500, test_images=config.test_images)
    execution, digest = _execution(config), load(data, resolve(config.device)).digest
    recipe = replace(study.recipe, epochs=config.epochs)
    errors: dict[str, list[float]] = {}
    for name, part in PARTS.items():
        run = Run(parse_name(config.network), data.task, replace(recipe, **part), data, digest, 0, execution)
        errors[name] = []
        for seed in range(config.seeds):
            found = train(replace(run, seed=seed), lambda _: None)
            errors[name].append(1.0 if found.test_error is None else found.test_error)
        tell(f"{name}: {', '.join(f'{100 * one:.2f} %' for one in errors[name])}")
    apart = {name: [one - plain for one, plain in zip(own, errors[PLAIN], strict=True)] for name, own in errors.items()}
    return {name: (fmean(own), estimate(apart[name])) for name, own in errors.items()}
