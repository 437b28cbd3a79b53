"""What a study would run, what that costs and how long it would take on this machine."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pandas as pd
from rich.console import Console

from explorer import folder as study
from explorer import records
from explorer.errors import InputError
from explorer.machine import cpu_count, machine_id
from explorer.planning import Setting, contrast_of, settings_of
from explorer.progress import progress_of
from explorer.report.terminal import plain_table, with_deviation
from explorer.settings import StudyConfig
from explorer.wording import duration

# Evaluation has no backward pass, which costs about twice the forward pass.
EVALUATION_SHARE = 1 / 3


@dataclass(frozen=True)
class Speed:
    """How fast this machine has trained: multiply-adds (forward) per second of one worker, and from how many runs."""

    macs_per_second: float
    runs: int


def print_plan(config: StudyConfig, folder: Path, console: Console) -> None:
    """List the settings with cost, deviation and time, and what of the study is already in the record."""
    settings = settings_of(config)
    contrast = contrast_of(config, settings)
    speed = recorded_speed(study.STUDIES)
    done = progress_of(config, folder).by_setting
    table = plain_table(config.study.question, "setting", "params", "MACs", "activations", "in record", "a run")
    for setting in settings:
        table.add_row(
            setting.name,
            with_deviation(setting.cost.params, setting.params_deviation),
            with_deviation(setting.cost.macs, setting.macs_deviation),
            f"{setting.cost.activations:,}",
            f"{done[setting.name]}/{config.search.seeds}",
            duration(run_seconds(setting, config, speed)) if speed else "-",
        )
    console.print(table)
    console.print(
        f"Contrast: {contrast[0].display} against {contrast[1].display}, on the test error, paired over "
        f"{config.search.seeds} seeds. MACs are multiply-adds, which the papers call FLOPs.",
        highlight=False,
    )
    console.print(_total(config, settings, done, speed), highlight=False)


def recorded_speed(studies: Path) -> Speed | None:
    """Median speed over the runs that studies below a folder recorded on this machine; None where there are none."""
    rates = [rate for folder in sorted(studies.glob("*")) for rate in _rates(folder)]
    return Speed(median(rates), len(rates)) if rates else None


def run_seconds(setting: Setting, config: StudyConfig, speed: Speed) -> float:
    """Time of one run: training, validation after each epoch and the test."""
    trained = config.recipe.epochs * config.data.train_images
    evaluated = config.recipe.epochs * config.data.val_images + config.data.test_images
    return (trained + EVALUATION_SHARE * evaluated) * setting.cost.macs / speed.macs_per_second


def _rates(folder: Path) -> list[float]:
    """Speeds of a study's runs if it ran on this machine; a folder that cannot be read has none to offer."""
    try:
        environment = study.stored_environment(folder)
        if environment is None or environment.get("machine") != machine_id():
            return []
        runs = records.load(folder).runs
    except InputError:
        return []
    trained: pd.Series[float] = runs["images_per_second"] * runs["macs"]
    return [float(rate) for rate in trained.dropna()]


def _total(config: StudyConfig, settings: tuple[Setting, ...], done: dict[str, int], speed: Speed | None) -> str:
    left = {setting: config.search.seeds - done[setting.name] for setting in settings}
    runs = f"{sum(left.values())} of {len(settings) * config.search.seeds} runs to do"
    if speed is None:
        return f"{runs}; time uncalibrated: this machine has recorded no run yet."
    workers = cpu_count() // config.engine.threads if config.engine.workers == "auto" else config.engine.workers
    seconds = sum(run_seconds(setting, config, speed) * count for setting, count in left.items()) / max(workers, 1)
    basis = f"with {max(workers, 1)} at once, from {speed.runs} runs recorded on this machine"
    return f"{runs}; about {duration(seconds)} {basis}."
