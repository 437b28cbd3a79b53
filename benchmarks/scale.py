"""How many runs at once the coordinator keeps busy: the whole of it, with runs that only take time.

Nothing is trained. A run is a moment at which it ends, and on its way the moments at which its epochs do; record,
sampler, trials, display and mirror are those of any study. On a simulated clock waiting takes no time at all, while
everything the coordinator does takes what it takes, so that hours of a cluster are measured in seconds.
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
SAMPLES = 200  # times at which memory is looked at
CHOICES = 10  # that are timed, of which the median is told, or as many as take
PATIENCE = 30.0  # seconds
LONGEST = 5.0  # seconds of a choice, after which nobody wants to know how long the next level takes
# What the coordinator does for a run, as functions that are timed; none of them calls another.
PARTS: dict[str, tuple[tuple[Any, str], ...]] = {
    "ask": ((Trials, "ask"),),
    "commit": ((records, "decide"), (records, "commit")),
    "tell": ((Trials, "add"),),
    "display": ((Display, "started"), (Display, "epoch"), (Display, "finished")),
}


@dataclass
class Clock:
    """Time as sleeping runs have it: real, or simulated, where waiting is skipped; `source` tells what passes."""

    is_real: bool = True
    source: Callable[[], float] = time.perf_counter
    _skipped: float = 0.0

    def now(self) -> float:
        """Seconds since some moment."""
        return self.source() + self._skipped

    def wait(self, seconds: float) -> None:
        """Let so many seconds pass."""
        if self.is_real:
            time.sleep(seconds)
        else:
            self._skipped += seconds


@dataclass
class Sleeps:
    """An engine whose runs take `seconds` each, more or less by `spread` of them at random, and do nothing.

    `spans` are the runs in the order of their start: when each was submitted, and when it ended.
    """

    slots: int
    seconds: float
    spread: float = 0.0
    seed: int = 0
    clock: Clock = field(default_factory=Clock)
    spans: list[tuple[float, float]] = field(default_factory=list)
    memory: list[tuple[int, int]] = field(default_factory=list)  # runs that have ended, bytes of this process
    most_runs: int | None = None  # after so many the study is left
    every: int = 1  # runs between two looks at the memory
    most: int = 0  # runs at once
    wanted: int = 1
    _due: list[tuple[float, int, Event]] = field(default_factory=list)
    _busy: int = 0
    _events: int = 0

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    @property
    def free(self) -> int:
        """Slots without a run."""
        return self.slots - self._busy

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:
        """The one question that is asked where nothing is to be measured."""
        del workers
        assert isinstance(question, HostQuestion), question
        return [HostReport("cpu", "no processor", "none", {"torch": "none"}, images=IMAGES)]

    def open(self, placement: Placement) -> int:
        """All slots, whatever is asked for."""
        del placement
        return self.slots

    def submit(self, job: Job) -> None:
        """A run falls asleep. Raises KeyboardInterrupt where the study is to be left."""
        assert self.free > 0
        if len(self.spans) == self.most_runs:
            raise KeyboardInterrupt
        began, epochs = self.clock.now(), job.run.recipe.epochs
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
        """What has come to pass; the clock goes on to the next event, or by `timeout` seconds."""
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
        """Nobody has anything to say."""
        return []

    def close(self) -> None:
        """Nothing was started."""
        self._due.clear()

    def _at(self, moment: float, event: Event) -> None:
        self._events += 1
        heapq.heappush(self._due, (moment, self._events, event))

    def _look(self, ended: int) -> None:
        done = len(self.spans) - self._busy
        if ended and (not self.memory or done - self.memory[-1][0] >= self.every):
            self.memory.append((done, memory_in_use()))


def results_of(run: Run, seconds: float) -> list[EpochResult]:
    """What a run that takes so long says of its epochs: its errors are its own, and fall."""
    own, epochs = zlib.crc32(run.id.encode()) % 1000 / 4000, run.recipe.epochs
    return [
        EpochResult(epoch, 0.1, 2.0 / epoch, 0.5 / epoch, 0.1 + own + 0.5 / epoch, seconds / epochs)
        for epoch in range(1, epochs + 1)
    ]


def outcome_of(run: Run, seconds: float) -> Outcome:
    """How it ends."""
    last = results_of(run, seconds)[-1]
    return Outcome("ok", last.epoch, last.train_error, last.val_error, None, last.loss, seconds, 1.0)


def usage_of(spans: list[tuple[float, float]], slots: int) -> Usage:
    """How well slots were used by runs, of which there are more than slots, in the order in which they were submitted.

    The k-th run after the first `slots` takes the slot that was the k-th to become free.
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
    """Run a study in a new folder with sleeping runs, and say how busy they were and what the coordinator cost."""
    wanted = (config.search.designs or 0) * config.search.seeds
    engine.every = max(1, wanted // SAMPLES)
    (folder / "local").mkdir(parents=True)
    with (folder / "local" / "lines").open("w", encoding="utf-8") as lines, timed() as seconds:
        began, processor = time.perf_counter(), time.process_time()
        coordinator.run_study(plan_of(config), folder, Console(file=lines, width=160), engine=engine)
        wall, processor = time.perf_counter() - began, time.process_time() - processor
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
        wall=wall,
        processor=processor / runs,
        parts={name: (own / runs, passed / runs) for name, (own, passed) in seconds.items()},
        memory=tuple(int(sizes[place * (len(sizes) - 1) // 4]) for place in range(5)),
        bytes_per_run=_slope(done, sizes),
        record=sum(path.stat().st_size for path in folder.iterdir() if path.suffix == ".csv") / runs,
    )


@contextmanager
def timed() -> Iterator[dict[str, tuple[float, float]]]:
    """Within the body the parts of a run's handling are timed: seconds of the processor, and seconds that passed."""
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
    """Bytes for each run, by a line through the second half of the looks at the memory; 0 for too few."""
    half = len(done) // 2
    return float(np.polyfit(done[half:], sizes[half:], 1)[0]) if len(done) - half > 2 else 0.0


def measure_choices(config: StudyConfig, levels: Sequence[int]) -> list[Choices]:
    """Seconds that a study's sampler takes for a choice, by the number of results it knows, from few to many.

    A level is left out where a choice at the one before takes more than `LONGEST`. TPE and GP know results whoever
    chose the designs, so that those are drawn at random; NSGA-II and QMC choose them all.
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
    """Take one more design and tell some error of it, lower for larger networks; gives the seconds of the choice."""
    began = time.perf_counter()
    setting = trials.ask()
    seconds = time.perf_counter() - began
    assert setting is not None
    trials.tell(setting, 0.5 - 0.02 * math.log2(setting.cost.params) + zlib.crc32(setting.name.encode()) % 100 / 10_000)
    return seconds
