"""The state of the coordinator between events, rebuilt from a study's record at every start."""

import json
import shutil
from collections import deque
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from rich.console import Console

from explorer.analysis.told_costs import recorded_costs
from explorer.host import signals
from explorer.host.yaml_limits import opened
from explorer.record import folder as study
from explorer.record import records
from explorer.search.display import Clock, Display, work_of
from explorer.search.execution_plan import with_convolutions, with_latency
from explorer.search.measuring import Measurer
from explorer.search.readings import Readings
from explorer.search.rungs import Rungs, chosen
from explorer.search.spending import Spending
from explorer.search.time_limit import Pace, TimeLimit, Work
from explorer.search.trackers.process import Trackers
from explorer.search.trials import Trials, open_search, open_trials
from explorer.study.designs import Setting
from explorer.study.final import final_runs
from explorer.study.plan import Plan
from explorer.study.run import BASELINE, FINAL_STATUSES, EpochResult, Execution, Run
from explorer.study.runs import runs_of
from explorer.study.settings import StudyConfig

LONGEST_HEADER = 2**25  # bytes of a checkpoint's header; a hundred thousand epochs take a third
MOST_BYTES = 2**40  # of a checkpoint


class PageUpdater(AbstractContextManager[object], Protocol):
    """Keeps the page up to date while runs are trained; can be paused, so that times can be measured."""

    def still(self) -> AbstractContextManager[None]:
        """Draw nothing while the body runs."""


@dataclass
class State:
    """The state of the coordinator's loop between events."""

    plan: Plan
    folder: Path
    trials: Trials
    display: Display
    waiting: deque[tuple[Setting, Run]]
    execution: Execution
    measurer: Measurer
    workers: int
    rungs: Rungs
    readings: Readings
    limit: TimeLimit
    to_ask: int = 0
    running: dict[str, tuple[Setting, Run]] = field(default_factory=dict)
    epochs: dict[str, list[EpochResult]] = field(default_factory=dict)
    fvcore_macs: dict[str, int] = field(default_factory=dict)
    continued: set[str] = field(default_factory=set)  # runs that the search trains further since this start began
    failed: int = 0
    start: int = 0
    clock: Clock = field(default_factory=Clock)
    page_updater: PageUpdater | None = None
    trackers: Trackers | None = None
    spending: Spending | None = None

    def work(self, run: Run, setting: Setting) -> float:
        """The work of a run: multiply-adds for one image times its steps."""
        return work_of(run, setting, self.measurer.host_report.images[0])

    @property
    def config(self) -> StudyConfig:
        """The study's settings."""
        return self.plan.config


class Header(NamedTuple):
    """What a checkpoint says of itself, read without torch: about its run, and of each tensor; `size` in bytes."""

    about: dict[str, Any]
    tensors: dict[str, Any]
    size: int


def newest_first(folder: Path, run_id: str) -> list[Path]:
    """The checkpoints of a run."""
    return sorted((study.checkpoints(folder) / run_id).glob("*.safetensors"), reverse=True)


def checkpoint_header(path: Path) -> Header:
    """The header of a checkpoint, which may come from other people.

    Raises OSError or InputError if it cannot be read, EOFError if it is cut short, and ValueError, TypeError,
    LookupError, AttributeError or RecursionError if the header is none.
    """
    with opened(path, MOST_BYTES) as file:
        size = int.from_bytes(file.read(8), "little")
        if size > LONGEST_HEADER or size > path.stat().st_size:
            raise EOFError("it is no safetensors file, or cut short")
        tensors = json.loads(file.read(size))
    return Header(json.loads(tensors.pop("__metadata__")["about"]), tensors, size)


def kept_seconds(folder: Path, run_id: str) -> float:
    """Seconds of training that a run's newest checkpoint holds; 0 if there is none that can be read here."""
    for path in newest_first(folder, run_id):
        try:
            return float(checkpoint_header(path).about["seconds"])
        except (OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            continue  # its run says what is wrong with it
    return 0.0


def open_state(
    measurer: Measurer,
    plan: Plan,
    settings: tuple[Setting, ...],
    past: records.Record,
    folder: Path,
    execution: Execution,
    workers: int,
    console: Console,
    readings: Readings,
) -> State:
    """Build the state of a study from its record, `past`."""
    config, data_hash = plan.config, measurer.host_report.data_hash
    settings = readings.of(settings)  # of a search: should a measure have been lost
    trials, rungs = replayed(plan, settings, past), Rungs(config.rungs, plan.seeds, config.search.rung_error)
    if config.search.is_adaptive and readings.bounds:
        trials.hold_to(readings.holds, readings.refused_names())
    decisions = list(past.decisions)
    if numbers := range(len(past.chosen(BASELINE)), config.search.random_designs):
        drawn = readings.of(_drawn(measurer, execution, trials, numbers))
        trials.note(drawn)
        decisions += (new := [chosen(setting, BASELINE) for setting in drawn])
        records.decide(folder, new)
        # Before any of them is trained: the execution chosen later for another design must not change these runs.
        execution = with_convolutions(measurer, execution, drawn, workers)
        study.write_execution(folder, execution)
        settings += drawn
    runs = runs_of(plan, settings, execution, data_hash)
    to_ask = plan.designs - len(settings)
    for decision in decisions:
        rungs.note(decision)
    ended = past.runs[past.runs["status"].isin(FINAL_STATUSES)]
    for setting_name, seed in zip(ended["setting"].tolist(), ended["seed"].tolist(), strict=True):
        rungs.end(setting_name, seed)
    final = {*ended["run"].tolist()}
    for run_id in final & {path.name for path in study.checkpoints(folder).glob("*")}:
        forget(folder, run_id)
    waiting = deque((setting, run) for setting, run in runs if run.id not in final)
    images, rest, _ = measurer.host_report.images
    work = partial(work_of, images=images)
    display = Display(
        console=console,
        total_runs=len(runs) + to_ask * plan.seeds,
        finished_runs=len(runs) - len(waiting),
        work_left=sum(work(run, setting) for setting, run in waiting),
        epochs=config.recipe.epochs_on(images),
        known_work=sum(work(run, setting) for setting, run in runs),
        unknown_runs=to_ask * plan.seeds,
        # On the validation images too; with as many steps whatever the images are where steps are what is given.
        final_runs=final_runs(config) * (1.0 if config.recipe.steps else (images + rest) / images),
        validates=not config.data.joined,
        images=images,
    )
    counted = past.runs.dropna(subset="fvcore_macs")
    fvcore_macs = {str(name): int(macs) for name, macs in zip(counted["setting"], counted["fvcore_macs"], strict=True)}
    return State(
        plan,
        folder,
        trials,
        display,
        waiting,
        execution,
        measurer,
        workers,
        rungs,
        readings,
        TimeLimit(
            signals.time_left,
            work,
            lambda setting: (rungs.until(setting.name) or display.epochs) / display.epochs,
            workers,
            not config.search.is_adaptive,
            _recorded_pace(runs, past, work),
        ),
        to_ask,
        fvcore_macs=fvcore_macs,
    )


def _recorded_pace(runs: list[tuple[Setting, Run]], past: records.Record, work: Work) -> Pace:
    """What recorded runs took for each unit of their work."""
    ended = past.runs[past.runs["status"] == "ok"]
    seconds = dict(zip(ended["run"].tolist(), ended["seconds"].tolist(), strict=True))
    pace = Pace()
    for setting, run in runs:
        if run.id in seconds:
            pace.recorded.setdefault(setting.name, []).append(seconds[run.id] / work(run, setting))
    return pace


def replayed(plan: Plan, settings: tuple[Setting, ...], past: records.Record) -> Trials:
    """Rebuild the study's trials by replaying the record in order, so that each decision sees the results it saw then.

    If several workers trained at once, the record does not say between which decisions a run ended; it then counts as
    soon as all decisions about its design have been replayed.
    """
    trials, by_name = _trials(plan, settings, past), {setting.name: setting for setting in settings}
    trials.note(settings)
    if plan.config.is_told:
        for name, cost in recorded_costs(past.runs).items():
            trials.note_told(name, cost)
    last = {decision.setting: number for number, decision in enumerate(past.decisions)}
    left, curves = deque(records.as_records(past.runs)), records.validation_curves(past)
    for number, decision in enumerate(past.decisions):
        if decision.error is not None:
            trials.goes_on(by_name[decision.setting], decision.epochs, decision.error)
        elif decision.by != BASELINE:
            while left and last.get(left[0].setting, -1) < number:
                trials.add(left[0], curves.get(left.popleft().run))
            trials.again(by_name[decision.setting])
    for record in left:
        trials.add(record, curves.get(record.run))
    return trials


def _trials(plan: Plan, settings: tuple[Setting, ...], past: records.Record) -> Trials:
    """The study's trials before the replay: one for each listed setting, or for a search only the random designs."""
    config = plan.config
    if not config.search.is_adaptive:
        return open_trials(config.name, settings, plan.seeds, first_seed=config.search.first_seed)
    drawn = set(past.chosen(BASELINE))
    return open_search(plan, tuple(setting for setting in settings if setting.name in drawn))


def _drawn(measurer: Measurer, execution: Execution, trials: Trials, numbers: range) -> tuple[Setting, ...]:
    """Draw designs at random, with which the search is compared; the number of each seeds its draw."""
    seed = measurer.config.search.sampler_seed
    designs = [trials.draw(np.random.default_rng([seed, 3, number])) for number in numbers]
    return with_latency(measurer, execution, designs)


def forget(folder: Path, run_id: str) -> None:
    """Delete the checkpoints of a run that has ended."""
    shutil.rmtree(study.checkpoints(folder) / run_id, ignore_errors=True)
