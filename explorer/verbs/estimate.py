"""Estimates how long a run takes on this machine, from the runs that it has recorded."""

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from explorer.host.errors import InputError
from explorer.host.machine import machine_id
from explorer.record import folder as study_of
from explorer.record import table
from explorer.record.rows import RunRecord
from explorer.study.designs import Setting
from explorer.study.settings import Recipe

# Recorded networks whose cost differs by more than this factor are not used to estimate the time of a setting.
FAR = 8
UNLIKE = 2  # the same of the images of a step, since a step takes time beside its images
# Evaluation has no backward pass, which costs about twice the forward pass.
EVALUATION_SHARE = 1 / 3
Images = tuple[int, int, int]


@dataclass(frozen=True)
class Measured:
    """One recorded run of this machine: cost of its network, images of a step, training images per second."""

    macs: int
    batch: int
    images_per_second: float


def near(setting: Setting, batch: int, measured: list[Measured]) -> list[Measured]:
    """The recorded runs nearest to a setting in cost; empty if even these are too different to estimate its time.

    Small networks do fewer multiply-adds per second than large ones, and small steps fewer than large ones, so only
    runs of similar cost and steps (of `batch` images) are comparable.
    """
    measured = [run for run in measured if 1 / UNLIKE <= run.batch / batch <= UNLIKE]
    nearest = min((_distance(run, setting) for run in measured), default=math.inf)
    return [run for run in measured if _distance(run, setting) == nearest] if nearest <= math.log(FAR) else []


def run_seconds(setting: Setting, recipe: Recipe, images: Images, measured: list[Measured]) -> float:
    """Estimated seconds of one run, with validation after each epoch and the test, from `measured` runs near it."""
    speed = median(run.images_per_second * run.macs for run in measured)
    return passes(recipe, images) * setting.cost.macs / speed


def step_images(recipe: Recipe) -> int:
    """How many images are computed at once in training."""
    return recipe.micro_batch or recipe.batch_size


def passes(recipe: Recipe, images: Images) -> float:
    """The work of a run as a number of trained images; an evaluated image counts as the fraction that it costs."""
    train, val, test = images
    trained = recipe.epochs * train if recipe.epochs is not None else recipe.steps_on(train) * recipe.batch_size
    return trained + EVALUATION_SHARE * (recipe.epochs_on(train) * val + test)


def recorded_here(device: str) -> list[Measured]:
    """The runs of all studies, their robustness checks included, that ran on this machine with this device."""
    folders = sorted(study_of.STUDIES.glob("*"))
    return [run for one in folders for own in (one, *study_of.checks_in(one)) for run in _recorded(own, device)]


def _recorded(folder: Path, device: str) -> list[Measured]:
    """A study's runs if they ran on this machine with this device; empty for a folder that cannot be read."""
    try:
        environment, execution = study_of.stored_environment(folder), study_of.stored_execution(folder)
        if environment is None or execution is None or environment["machine"] != machine_id():
            return []
        if device not in ("auto", execution["device"]):
            return []
        columns = ["macs", "images_per_second"]  # a plan reads every study, and no more of it than it needs
        runs = table.read(folder / study_of.RUNS, RunRecord, columns).dropna()
    except InputError:
        return []
    pairs = zip(*(runs[name] for name in columns), strict=True)
    return [Measured(int(macs), int(execution["micro_batch"]), float(rate)) for macs, rate in pairs]


def _distance(run: Measured, setting: Setting) -> float:
    return abs(math.log(run.macs / setting.cost.macs))
