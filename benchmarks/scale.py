"""Measure how many runs the coordinator keeps busy at once, with the whole coordinator and runs that only take time.

Nothing is trained. A run is a time at which it ends, with times at which its epochs end; record, sampler, trials,
display and mirror are those of any study. On a simulated clock waiting takes no time, and the coordinator's work takes
its real time, so that hours of a cluster are measured in seconds.
"""

import heapq
import math
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.samplers import BaseSampler
from rich.console import Console

from benchmarks.results import Choices, Scale, Usage
from explorer.host.machine import memory_in_use
from explorer.record import records
from explorer.search import coordinator
from explorer.search.display import Display
from explorer.search.sampler import FeasibleSampler, make_sampler
from explorer.search.trials import Trials, new_search
from explorer.study.job import (
    Answer,
    Counted,
    EpochDone,
    Event,
    HostQuestion,
    HostReport,
    Job,
    Placement,
    Question,
    RunDone,
)
from explorer.study.plan import plan_of
from explorer.study.run import EpochResult, Outcome, Run
from explorer.study.settings import StudyConfig

IMAGES = (50_000, 5_000, 10_000)
SAMPLES = 200  # number of memory measurements
CHOICES = 10  # timed choices, whose median is reported; fewer if they take over PATIENCE
PATIENCE = 30.0  # seconds
LONGEST = 5.0  # seconds of a choice above which the next level is not measured
# The parts of the coordinator's work for a run: functions that are timed, none of which calls another.
PARTS: dict[str, tuple[tuple[Any, str], ...]] = {
    "ask": ((Trials, "ask"),),
    "commit": ((records, "decide"), (records, "commit")),
    "tell": ((Trials, "add"),),
    "display": ((Display, "started"), (Display, "epoch"), (Display, "finished")),
}


@dataclass
class Clock:
    """The clock of sleeping runs: real, or simulated, where waiting is skipped; `source` gives the real time."""

    is_real: bool = True
    source: Callable[[], float] = time.perf_counter
    _skipped: float = 0.0

    def now(self) -> float:
        """Seconds since an arbitrary moment, including skipped ones."""
        return self.source() + self._skipped

    def wait(self, seconds: float) -> None:
        """Wait for `seconds`, or skip them on a simulated clock."""
        if self.is_real:
            time.sleep(seconds)
        else:
            self._skipped += seconds


@dataclass
class Sleeps:
    """An engine whose runs only take time: `seconds` each, varied at random by the fraction `spread`.

    `spans` has the submission and the end of each run, in the order of their start.
    """

    slots: int
    seconds: float
    spread: float = 0.0
    seed: int = 0
    clock: Clock = field(default_factory=Clock)
    spans: list[tuple[float, float]] = field(default_factory=list)
    memory: list[tuple[int, int]] = field(default_factory=list)  # (number of ended runs, bytes of this process)
    most_runs: int | None = None  # number of runs after which the study is interrupted
    every: int = 1  # runs between two memory measurements
    most: int = 0  # largest number of runs at once so far
    wanted: int = 1
    _due: list[tuple[float, int, Event]] = field(default_factory=list)
    _busy: int = 0
    _events: int = 0

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    @property
    def free(self) -> int:
        """Number of slots without a run."""
        return self.slots - self._busy

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:
        """Answer the host question, the only one of a study in which nothing is measured."""
        del workers
        assert isinstance(question, HostQuestion), question
        return [HostReport("cpu", "no processor", "none", {"torch": "none"}, images=IMAGES)]

    def open(self, placement: Placement) -> int:
        """Return the number of slots, for any placement."""
        del placement
        return self.slots

    def submit(self, job: Job) -> None:
        """Start a sleeping run. Raises KeyboardInterrupt if the study is to be interrupted at this run."""
        assert self.free > 0
        if len(self.spans) == self.most_runs:
            raise KeyboardInterrupt
        began, epochs = self.clock.now(), job.run.recipe.whole_epochs
        taken = self.seconds * (1 + self.spread * self._rng.uniform(-1, 1))
        if job.needs_count:
            self._at(began, Counted(job.run.id, 1))
        for result in results_of(job.run, taken):
            self._at(began + taken * result.epoch / epochs, EpochDone(job.run.id, result))
        self._at(began + taken, RunDone(job.run.id, outcome_of(job.run, taken)))
        self.spans.append((began, began + taken))
        self._busy += 1
        self.most = max(self.most, self._busy)

    def events(self, timeout: float) -> list[Event]:
        """The events that are due; the clock advances to the next event, or by `timeout` seconds."""
        now = self.clock.now()
        if self._due and (left := min(timeout, self._due[0][0] - now)) > 0:
            self.clock.wait(left)
            now = self.clock.now()
        found = []
        while self._due and self._due[0][0] <= now:
            found.append(heapq.heappop(self._due)[2])
        ended = sum(isinstance(event, RunDone) for event in found)
        self._busy -= ended
        self._look(ended)
        return found

    def stop(self) -> list[Event]:
        """No events: sleeping runs have nothing to save."""
        return []

    def close(self) -> None:
        """Forget all runs; no process has to be ended."""
        self._due.clear()

    def _at(self, moment: float, event: Event) -> None:
        self._events += 1
        heapq.heappush(self._due, (moment, self._events, event))

    def _look(self, ended: int) -> None:
        done = len(self.spans) - self._busy
        if ended and (not self.memory or done - self.memory[-1][0] >= self.every):
            self.memory.append((done, memory_in_use()))


def results_of(run: Run, seconds: float) -> list[EpochResult]:
    """Results of the epochs of a run that takes `seconds`: random errors that depend on the run and fall."""
    own, epochs = zlib.crc32(run.id.encode()) % 1000 / 4000, run.recipe.whole_epochs
    return [
        EpochResult(epoch, 0.1, 2.0 / epoch, 0.5 / epoch, 0.1 + own + 0.5 / epoch, seconds / epochs)
        for epoch in range(1, epochs + 1)
    ]


def outcome_of(run: Run, seconds: float) -> Outcome:
    """The outcome of a run that takes `seconds`."""
    last = results_of(run, seconds)[-1]
    return Outcome("ok", last.epoch, last.train_error, last.val_error, None, last.loss, seconds, 1.0)


def usage_of(spans: list[tuple[float, float]], slots: int) -> Usage:
    """Compute the usage of slots from the runs' spans, in order of submission; there must be more runs than slots.

    After the first `slots` runs, the k-th run takes the k-th slot that became free.
    """
    starts, ends = (np.array(column) for column in zip(*spans, strict=True))
    first, last = starts[0], starts[-1]
    while_any = (np.minimum(ends, last) - starts).clip(min=0).sum() / (slots * (last - first))
    waits = starts[slots:] - np.sort(ends)[: len(starts) - slots]
    whole = ends.max() - first
    return Usage(
        utilisation=float(while_any),
        with_tail=float((ends - starts).sum() / (slots * whole)),
        seconds=float(whole),
        ramp=float(starts[slots - 1] - first),
        tail=float(ends.max() - last),
        wait=float(np.median(waits)),
        longest_wait=float(waits.max()),
    )


def measure_scale(config: StudyConfig, folder: Path, engine: Sleeps) -> Scale:
    """Run a study of sleeping runs in a new folder, and measure the use of slots and the coordinator's cost."""
    plan = plan_of(config)
    engine.every = max(1, plan.runs // SAMPLES)
    (folder / "local").mkdir(parents=True)
    with (folder / "local" / "lines").open("w", encoding="utf-8") as lines, timed() as seconds:
        processor = time.process_time()
        coordinator.run_study(plan, folder, Console(file=lines, width=160), engine=engine)
        processor = time.process_time() - processor
    runs = len(records.load(folder).runs)
    done, sizes = (np.array(column, dtype=float) for column in zip(*engine.memory, strict=True))
    return Scale(
        slots=engine.slots,
        run_seconds=engine.seconds,
        spread=engine.spread,
        sampler=config.search.sampler,
        is_real=engine.clock.is_real,
        runs=runs,
        most=engine.most,
        usage=usage_of(engine.spans, engine.slots),
        processor=processor / runs,
        parts={name: (own / runs, passed / runs) for name, (own, passed) in seconds.items()},
        memory=tuple(int(sizes[place * (len(sizes) - 1) // 4]) for place in range(5)),
        bytes_per_run=_slope(done, sizes),
        record=sum(path.stat().st_size for path in folder.iterdir() if path.suffix == ".csv") / runs,
    )


@contextmanager
def timed() -> Iterator[dict[str, tuple[float, float]]]:
    """Time the parts of handling a run within the body: processor seconds and elapsed seconds of each."""
    found = dict.fromkeys([*PARTS, "submit", "receive"], (0.0, 0.0))

    def timing(part: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def wrapped(*arguments: Any, **options: Any) -> Any:
            processor, passed = time.thread_time(), time.perf_counter()
            try:
                return original(*arguments, **options)
            finally:
                before = found[part]
                found[part] = (
                    before[0] + time.thread_time() - processor,
                    before[1] + time.perf_counter() - passed,
                )

        return wrapped

    places = [(part, owner, name) for part, own in PARTS.items() for owner, name in own]
    places += [("submit", Sleeps, "submit"), ("receive", Sleeps, "events")]
    originals = [(owner, name, getattr(owner, name)) for _, owner, name in places]
    try:
        for part, owner, name in places:
            setattr(owner, name, timing(part, getattr(owner, name)))
        yield found
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)


def _slope(done: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64]) -> float:
    """Memory growth in bytes per run, by a line through the second half of the measurements; 0 for too few."""
    half = len(done) // 2
    return float(np.polyfit(done[half:], sizes[half:], 1)[0]) if len(done) - half > 2 else 0.0


def measure_choices(config: StudyConfig, levels: Sequence[int]) -> list[Choices]:
    """Seconds of a sampler's choice by the number of results it has (`levels`), from few to many.

    A level is left out if a choice at the previous one took more than `LONGEST`. For TPE and GP the earlier designs may
    be drawn at random, since they use any results; NSGA-II and QMC have to choose them all.
    """
    search, plan = config.search, plan_of(config)
    pool = plan.draws.candidates(plan.scope)
    name, learns, is_filling = search.sampler, search.sampler in ("tpe", "gp"), True

    def make(number: int) -> BaseSampler:
        own = "random" if learns and is_filling else name
        return make_sampler(own, search.sampler_seed, number, max(levels))

    trials = new_search(config, plan.scope, pool, search.sampler_seed)
    trials.sampler = trials.study.sampler = FeasibleSampler(make, pool)
    found: list[Choices] = []
    for level in sorted(levels):
        if found and found[-1].seconds > LONGEST:
            break
        is_filling = True
        while len(trials.study.get_trials(deepcopy=False)) < level:
            _choose(trials)
        is_filling = False
        seconds: list[float] = []
        while len(seconds) < CHOICES and sum(seconds) < PATIENCE:
            seconds.append(_choose(trials))
        found.append(Choices(name, level, float(np.median(seconds)), max(seconds)))
    return found


def _choose(trials: Trials) -> float:
    """Choose a design and report an error for it, lower for larger networks; returns the seconds of the choice."""
    began = time.perf_counter()
    setting = trials.ask()
    seconds = time.perf_counter() - began
    assert setting is not None
    trials.tell(setting, 0.5 - 0.02 * math.log2(setting.cost.params) + zlib.crc32(setting.name.encode()) % 100 / 10_000)
    return seconds
