"""Write large studies to disk without training, and measure how long a start takes to submit the next run."""

import multiprocessing
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.scale import IMAGES, Sleeps, outcome_of, results_of
from explorer.design import parse_name
from explorer.host.errors import StudyStoppedError
from explorer.host.machine import most_memory
from explorer.record import folder as study
from explorer.record import records
from explorer.record.rows import RunRecord, record_of
from explorer.record.starts import started_study
from explorer.search import coordinator
from explorer.search.rungs import chosen
from explorer.study.designs import Setting
from explorer.study.plan import Plan, plan_of
from explorer.study.run import EpochResult, Outcome, Run
from explorer.study.runs import is_judged, runs_of
from explorer.study.settings import StudyConfig

AT_ONCE = 1000  # runs whose rows are written at once
RATE = 0.2  # fraction of test images that are classified wrongly


def store(config: StudyConfig, folder: Path, runs: int) -> None:
    """Write a new study with its first `runs` runs recorded as if they had been trained."""
    until_first(config, folder)
    plan, started = plan_of(config), started_study(folder)
    assert started is not None
    settings, execution = _settings(plan, folder, runs), started.plan
    wanted, rng = runs_of(plan, settings, execution, "none")[:runs], np.random.default_rng(0)
    for place in range(0, runs, AT_ONCE):
        some = wanted[place : place + AT_ONCE]
        records.commit_all(folder, [_ended(config, setting, run, rng) for setting, run in some])


def until_first(config: StudyConfig, folder: Path) -> None:
    """Start or continue a study, and stop when the first run is to be submitted."""
    (folder / "local").mkdir(parents=True, exist_ok=True)
    with suppress(KeyboardInterrupt), (folder / "local" / "lines").open("w", encoding="utf-8") as lines:
        coordinator.run_study(
            plan_of(config), folder, Console(file=lines, width=160), engine=Sleeps(1, 1.0, most_runs=0)
        )


def in_own_process(step: Callable[..., None], *arguments: object) -> tuple[float, int | None]:
    """Run a step in a separate process; return its seconds and the process's peak memory in bytes."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, step, *arguments).result()


def _measured(step: Callable[..., None], *arguments: object) -> tuple[float, int | None]:
    began = time.perf_counter()
    step(*arguments)
    return time.perf_counter() - began, most_memory()


def command(overrides: list[str], folder: Path) -> tuple[float, int | None]:
    """Run a whole command in a folder; return its seconds and the process's peak memory in bytes."""
    began = time.perf_counter()
    words = [sys.executable, "-m", "explorer", *overrides]
    run = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL)  # noqa: S603 - fixed words
    _, status, usage = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(status)
    if run.returncode:
        raise StudyStoppedError(f"a command of the benchmark ended with {run.returncode}: {shlex.join(overrides)}")
    return time.perf_counter() - began, 1024 * usage.ru_maxrss


def _settings(plan: Plan, folder: Path, count: int) -> tuple[Setting, ...]:
    """The study's settings; for a search `count` settings, which are recorded as its choices."""
    if not plan.config.search.is_adaptive:
        return plan.settings
    scope, pool, known = plan.scope, plan.draws.candidates(plan.scope), records.load(folder).chosen()
    first = [scope.setting(parse_name(name)) for name in known]
    places = range(min(len(pool), count + len(known)))
    some = (scope.setting(pool.architecture(place)) for place in places)
    others = [setting for setting in some if setting.name not in known][: count - len(known)]
    records.decide(folder, [chosen(setting, plan.config.search.sampler) for setting in others])
    return (*first, *others)


def _ended(
    config: StudyConfig, setting: Setting, run: Run, rng: np.random.Generator
) -> tuple[RunRecord, list[EpochResult], Outcome]:
    """A made-up ended run: its row, epochs and outcome."""
    outcome = outcome_of(run, 30.0)
    if is_judged(config, run):
        bits = np.packbits(rng.random(IMAGES[2]) < 1 - RATE).tobytes()
        outcome = replace(outcome, test_error=RATE, correct=bits, test_images=IMAGES[2])
    record = record_of(config, setting, run, outcome, fvcore_macs=setting.cost.macs, finished=study.now(), start=0)
    return record, results_of(run, 30.0), outcome
