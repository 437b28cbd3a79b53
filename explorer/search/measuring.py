"""Measures how fast runs execute in different ways, taking turns, within a small share of the planned time.

The clock bounds it on every device: all questions together, those for the forms of convolutions included, take at most
two per cent of the planned time, or five seconds where that is more; only what has begun is finished.

The usually fastest way on a device is taken, unless another is measured to be faster by more than the measurement
varies: a program that happens to run at the same time must not decide how a study is executed.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, Self, cast

from explorer.design.cost import Cost
from explorer.design.name import parse_name
from explorer.design.template import Task
from explorer.engine.contract import Engine
from explorer.engine.local import LocalEngine
from explorer.engine.open import EARLY
from explorer.host.formatting import counted
from explorer.host.machine import cpu_count
from explorer.study.designs import Setting
from explorer.study.job import HostQuestion, HostReport, Speed, SpeedQuestion, TogetherQuestion
from explorer.study.memory import BASE_BYTES, training_bytes
from explorer.study.run import Execution, Run
from explorer.study.settings import DataConfig, Recipe, StudyConfig
from explorer.training.results import Together
from explorer.training.speeds import LEAST_STEPS, is_faster, is_settled, is_steady

SHARE = 0.02  # share of the planned time that measuring may take, half of it for the forms of convolutions
LEAST = 5.0  # seconds that it may take in a short study too, up to a quarter of its time
MOST = 180.0
FORMS_SECONDS = 60.0  # most seconds for the forms of convolutions at one time
FIRST = 5.0  # most seconds for the first measurement, which sets the limit for the others
PROBE_SECONDS = 0.5
PAIR = 30.0  # most seconds for the comparison of two executions
WINDOW = 2.0  # most seconds in which workers that share a device are measured together
STEPS = 40  # steps that are enough of a window on a GPU, where no other program takes turns with a run's own threads
LEAST_WINDOW = 0.5
STARTING = 4.0  # seconds that workers take to start
TURNS = 3
ONE_THREAD = 5e9  # multiply-adds of a training step up to which one thread is measured: half a second or so
GAIN = 1.05  # another number of threads must be faster by more than this factor
WORTH = 1.1  # twice as many workers must be faster by more than this factor
MOST_ON_GPU = 16
SMALL_RUNS_SECONDS = 40.0  # for measuring small runs at once in the benchmark
CONTEXT_BYTES = 512 * 2**20  # of a GPU's memory, which CUDA takes for each process
FILLED = 0.9  # share of the memory that is there which runs may take
# The other memory order of a network's maps, which the kernels for batch norms do not have.
CHANNELS_FIRST: dict[str, Any] = {"layout": "contiguous", "norms": "torch"}
Totals = dict[tuple[int, int], list[float]]  # images per second in each turn, by threads of a worker and workers


def allowed(planned: float, share: float = SHARE) -> float:
    """Seconds that measuring may take in a study for which one worker would need `planned` seconds."""
    return min(MOST, max(share * planned, min(LEAST, planned / 4)))


@dataclass
class Allowance:
    """The seconds that measuring may still take, all questions of a start together.

    Where the planned time is unknown they only limit the forms of convolutions, which are measured no longer than
    their planned number pays for.
    """

    left: float = FORMS_SECONDS


@dataclass(frozen=True)
class Measurer:
    """All that measuring needs: the study's settings, the report on the host, and an engine whose workers measure."""

    config: StudyConfig
    host_report: HostReport
    engine: Engine
    tell: Callable[[str], None] = lambda _: None  # called with what is being measured, to show it
    clock: Callable[[], float] = time.monotonic
    allowance: Allowance = field(default_factory=Allowance)

    @property
    def workers(self) -> int | None:
        """The number of runs that share a device, if the settings give it; None on a cluster, which decides itself."""
        asked, there = self.config.engine.workers, self.host_report.devices
        return None if asked == "auto" or self.config.engine.name != "local" else -(-asked // len(there))

    @property
    def micro_batch(self) -> int:
        """Images per pass."""
        return self.config.recipe.images_a_pass


@dataclass(frozen=True)
class ExecutionPlan:
    """A study's execution, the number of workers that share a device, and images per second of one worker (0: unknown).

    `measured` is false if part of it is the default for such a device: the study is too short to pay for a measurement,
    or the machine was too busy for a clear result.
    """

    execution: Execution
    workers: int
    measured: bool = True
    speed: float = 0.0


@dataclass(frozen=True)
class Sample:
    """What is measured of a study: the setting of median cost, for `runs` runs of which the largest is `largest`."""

    middle: Setting
    largest: Setting
    runs: int


def measured(measurer: Measurer, plain: Execution, sample: Sample) -> ExecutionPlan:
    """Measure an execution plan: precision, kernels and, on a GPU, the maps' order on one worker, then the workers."""
    there, chosen, is_gpu = measurer.host_report, measurer.config.engine, measurer.host_report.device == "cuda"
    best, others = plain, list[dict[str, Any]]()
    if chosen.precision == "auto" and there.has_bfloat16:
        ours, theirs = ("bfloat16", "float32") if there.fast_bfloat16 else ("float32", "bfloat16")
        best, others = replace(best, precision=ours), [{"precision": theirs}]
    if chosen.precision == "auto" and there.has_float16 and not there.fast_bfloat16:
        # Such a GPU computes bfloat16 in float32, if at all.
        best, others = plain, [{"precision": "float16"}]
    if chosen.forms == "auto" and there.has_kernels:
        # A processor's kernels are the fastest nearly everywhere; a GPU's have to show it first.
        best = best if is_gpu else replace(best, norms="fused")
        others.append({"norms": "fused" if is_gpu else "torch"})
    if chosen.forms == "auto" and is_gpu:
        others.append(CHANNELS_FIRST)
    session = _Session(measurer, sample)
    if not others and chosen.threads != "auto" and not is_gpu:
        return session.divided(best)  # nothing is left to measure
    session, is_clear = session.limited(best), True
    for place, other in enumerate(others):
        best, decided = session.faster(best, replace(best, **other), len(others) - place + 1)
        is_clear = is_clear and decided
    plan = session.shared(best) if is_gpu else session.divided(best)
    return replace(plan, measured=plan.measured and is_clear, speed=session.speed)


def shared(measurer: Measurer, execution: Execution, sample: Sample) -> ExecutionPlan:
    """Measure how many workers share a GPU with a given execution."""
    session = _Session(measurer, sample).limited(execution)
    return replace(session.shared(execution), speed=session.speed)


def memory_needed(cost: Cost, execution: Execution) -> int:
    """An estimate of the peak memory of a run on its device, in bytes."""
    needed = training_bytes(cost, execution.micro_batch, 4 if execution.precision == "float32" else 2)
    return needed - BASE_BYTES + CONTEXT_BYTES if execution.device == "cuda" else needed


@dataclass
class Windows:
    """Measures how fast several workers of an engine train one run, all at the same time, until a time `ends`.

    cores    of the machine
    step     seconds of a training step of one worker
    started  the most workers that the engine is known to have started; others take some seconds
    late     seconds by which windows have lately ended later than their own length explains
    """

    engine: Engine
    run: Run
    cores: int
    step: float = 0.0
    ends: float = math.inf
    tell: Callable[[str], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    started: int = 0
    late: float = 0.0

    @property
    def left(self) -> float:
        """Seconds."""
        return self.ends - self.clock()

    @property
    def seconds(self) -> float:
        """The length of a window: on a GPU that of some steps, since there the clock counts and not other programs."""
        if self.run.execution.device == "cpu":
            return WINDOW
        return min(WINDOW, max(LEAST_WINDOW, STEPS * self.step))

    def covers(self, one: tuple[int, int]) -> bool:
        """Whether there is time for another window of so many threads of a worker, and workers."""
        return self._expected(one) < self.left

    def total(self, one: tuple[int, int], turn: int = 1) -> tuple[float, int]:
        """Images per second of several workers together, 0 if one lacks memory, and the memory of the first, bytes.

        `one` is the number of threads of each worker, and that of the workers.
        """
        threads, workers = one
        self.tell(
            f"Measuring {counted(workers, 'worker')} of {counted(threads, 'thread')} at once, "
            f"turn {turn} of up to {TURNS}"
        )
        expected, began = self._expected(one), self.clock()
        run = replace(self.run, execution=replace(self.run.execution, threads=threads))
        answers = [cast(Speed, answer) for answer in self.engine.ask(TogetherQuestion(run, self.seconds), workers)]
        late = max(0.0, self.clock() - began - expected + self.late)
        self.late = max(late, (late + self.late) / 2)  # one disturbed window is not to count for ever
        self.started = max(self.started, workers)
        speeds = [answer.turns[0][0] for answer in answers]
        return sum(speeds) if min(speeds) > 0 else 0.0, answers[0].peak_memory

    def in_turns(self, totals: Totals) -> Totals:
        """Measure all candidates in turns and return their totals; a first turn may be given, time may end it early.

        A candidate is begun only if there is time for its second turn, without which it cannot be compared.
        """
        expected = sum(map(self._expected, totals))
        if (2 - max(map(len, totals.values()), default=0)) * expected > self.left:
            return {one: [] for one in totals}
        found, first = {one: list(own) for one, own in totals.items()}, next(iter(totals))
        for turn in range(len(found[first]), TURNS):
            if turn >= 2 and all(is_steady(own, found[first]) for own in found.values()):
                break
            new: dict[tuple[int, int], float] = {}
            for one in found:
                if not self.covers(one):
                    return found
                new[one] = self.total(one, turn + 1)[0]
            for one, total in new.items():
                found[one].append(total)
        return found

    def fastest_division(self, counts: Sequence[int], *, fixed: bool = False) -> tuple[tuple[int, int], bool, Totals]:
        """How the cores are divided among one of these numbers of workers, whether that is clear, and all totals.

        One thread each, unless more are clearly faster; unless the number of workers is `fixed`, half as many if they
        are about as fast. Without time for a comparison it is the most workers of the fewest threads.
        """
        divisions = {max(1, self.cores // count): count for count in counts} or {self.cores: 1}
        narrowest = min(divisions.items())
        fewer = [] if fixed or narrowest[1] == 1 else [(narrowest[0], narrowest[1] // 2)]
        tries = [narrowest, *(one for one in divisions.items() if one != narrowest), *fewer]
        if len(tries) == 1:
            return narrowest, True, {}
        totals = self.in_turns({one: [] for one in tries})
        narrow = totals[narrowest]
        faster = [one for one in divisions.items() if is_faster(totals[one], narrow, GAIN)]
        best = max(faster, key=lambda one: median(totals[one]), default=narrowest)
        is_clear = all(is_settled(totals[one], narrow) for one in tries[1:])
        return (self._enough(totals, narrowest) if best == narrowest and fewer else best), is_clear, totals

    def fastest_sharing(self, most: int, memory: float, scale: float = 1.0) -> tuple[int, bool, Totals]:
        """How many processes share a GPU, whether that is clear, and all totals.

        Their number is doubled while the total gets faster by a tenth and they fit into `memory` bytes; the largest
        run needs `scale` times the memory of the one that is measured.
        """
        threads = self.run.execution.threads
        workers, peak, has_time = 1, 0, True
        totals: Totals = {}
        if most <= 1:
            return 1, True, totals
        while workers <= most and workers * (scale * peak + CONTEXT_BYTES) < FILLED * memory:
            one = threads, workers
            if not (has_time := self.covers(one)):
                break
            total, peak = self.total(one)
            totals[one] = [total]
            if workers > 1 and total < WORTH * totals[threads, workers // 2][0]:
                break
            workers *= 2
        if len(totals) < 2:
            return 1, has_time, totals
        totals = self.in_turns(totals)
        best, is_clear = (threads, 1), has_time
        for one in list(totals)[1:]:
            is_clear = is_clear and is_settled(totals[one], totals[best])
            if not is_faster(totals[one], totals[best], WORTH):
                break
            best = one
        return best[1], is_clear, totals

    def _enough(self, totals: Totals, most: tuple[int, int]) -> tuple[int, int]:
        """The fewest workers that are about as fast as the most: half as many are tried, then half again."""
        threads, workers = most
        while workers > 1:
            half = threads, workers // 2
            if half not in totals:
                totals = self.in_turns({most: [], half: []})
            if not is_faster([WORTH * total for total in totals[half]], totals[most]):
                break
            workers = half[1]
        return threads, workers

    def _expected(self, one: tuple[int, int]) -> float:
        """Expected seconds of one window, including the warm-up and last steps, which are slower than on all cores."""
        threads, workers = one
        slower = self.cores / threads if self.run.execution.device == "cpu" else workers
        return self.seconds + 4 * self.step * slower + self.late + (STARTING if workers > self.started else 0.0)


def small_runs(device: str, seconds: float = SMALL_RUNS_SECONDS) -> Together:
    """Measure a small network, as in the demonstration: one run on all cores, and as many as a study would choose.

    Takes about so many seconds, and a few more if workers start slowly.
    """
    task = Task(channels=1, image_size=8, classes=10)
    recipe = Recipe(1, 32, 0.01, "one_cycle", 0.2, (), 0.9, True, 5e-4, 0.0, 0, False, False)
    data = DataConfig("digits", "Digits", 1, 8, 10, 400, 250, 1147, 0)
    execution = Execution(device, "", "grouped", "channels_last", "float32", 1, recipe.batch_size)
    engine = LocalEngine(retries=0)
    try:
        run = Run(parse_name("29-32x4d"), task, recipe, data, "", 0, execution)
        windows = Windows(engine, run, cpu_count(), ends=time.monotonic() + seconds)
        (there,) = engine.ask(HostQuestion(data, device))
        assert isinstance(there, HostReport)
        return together(windows, there, "29-32x4d at 8 pixels")
    finally:
        engine.close()


def together(windows: Windows, there: HostReport, name: str) -> Together:
    """How fast a run is trained alone on a device, and by as many workers as a study of it would choose."""
    alone = (windows.cores if there.device == "cpu" else windows.run.execution.threads, 1)
    if there.device == "cpu":
        best, _, totals = windows.fastest_division(_halved(windows.cores))
    else:
        workers, _, totals = windows.fastest_sharing(min(windows.cores, MOST_ON_GPU), there.memory)
        best = (alone[0], workers)
    speeds = {one: median(own) for one, own in totals.items() if own}
    for one in (alone, best):
        if one not in speeds:
            speeds[one] = windows.total(one)[0]
    return Together(name, speeds[alone], best[1], speeds[best])


@dataclass(frozen=True)
class _Session:
    """The measurements for a study's plan, made on the setting of median cost.

    ends  when measuring must end, by the measurer's clock; by default there is no time for it
    step  seconds of a training step
    """

    measurer: Measurer
    sample: Sample
    ends: float = -math.inf
    step: float = 0.0

    @property
    def speed(self) -> float:
        """Images per second of one worker; 0 if it was not measured."""
        return self.measurer.config.recipe.batch_size / self.step if self.step else 0.0

    def limited(self, execution: Execution) -> Self:
        """Set how long measuring may take, from a few timed steps; not at all if a run does not fit into memory."""
        began, recipe = self.measurer.clock(), self.measurer.config.recipe
        self.measurer.tell("Measuring which way of executing runs is the fastest here: a few steps first")
        speed = median(self._speeds((execution,), seconds=0.0, limit=FIRST)[0])
        if speed <= 0:
            return self
        speed *= self._others  # as fast as all cores together, each with a thread of its own
        whole = planned(self.measurer, self.sample.runs, speed)
        self.measurer.allowance.left = allowed(whole)
        own = allowed(whole, SHARE / 2 if self.measurer.config.engine.forms == "auto" else SHARE)
        return replace(self, ends=began + own, step=recipe.batch_size / speed)

    @property
    def _others(self) -> int:
        """Number of cores of a processor on which ways of executing are compared with one thread; 1: with all cores.

        Threads wait for each other at every layer, so where another program has one of the cores, all are as slow as
        that one: a run on all cores then says little of several runs with a thread each, as small networks are trained
        in the end. A step of a large network would take too long with one thread.
        """
        there, config, cost = self.measurer.host_report, self.measurer.config, self.sample.middle.cost
        work = 3 * cost.macs * self.measurer.micro_batch
        own = there.device == "cpu" and config.engine.threads == "auto" and self.sample.runs >= there.cores
        return there.cores if own and work <= ONE_THREAD else 1

    def faster(self, likely: Execution, other: Execution, parts: int) -> tuple[Execution, bool]:
        """The faster of two executions, and whether that is clear: `likely`, unless `other` is clearly faster.

        One `parts`-th of the time left may be spent on it.
        """
        limit = min(PAIR, (self.ends - self.measurer.clock()) / parts)
        if limit < 2 * (2 + LEAST_STEPS) * self.step * self._others:  # each has two steps to warm up
            return likely, False
        self.measurer.tell(f"Measuring for at most {limit:.0f} s: {_named(likely)} beside {_named(other)}")
        ours, theirs = self._speeds((likely, other), seconds=PROBE_SECONDS, limit=limit)
        has_enough = len(ours) >= LEAST_STEPS
        if has_enough and is_faster(theirs, ours):
            return other, True
        return likely, has_enough and is_settled(theirs, ours)

    def divided(self, execution: Execution) -> ExecutionPlan:
        """Divide the cores among workers for the highest throughput."""
        there, threads, asked = self.measurer.host_report, self.measurer.config.engine.threads, self.measurer.workers
        if threads != "auto":
            return ExecutionPlan(replace(execution, threads=threads), max(1, there.cores // threads))
        most = min(self.sample.runs, int(FILLED * there.memory / memory_needed(self.sample.largest.cost, execution)))
        counts = [count for count in ([asked] if asked else _halved(there.cores)) if count <= most]
        (threads, workers), is_clear, _ = self._windows(execution).fastest_division(counts, fixed=bool(asked))
        return ExecutionPlan(replace(execution, threads=threads), workers, is_clear)

    def shared(self, execution: Execution) -> ExecutionPlan:
        """Choose the number of processes on one GPU."""
        there, engine = self.measurer.host_report, self.measurer.config.engine
        if engine.threads != "auto":
            execution = replace(execution, threads=engine.threads)
        if self.measurer.workers:
            return ExecutionPlan(execution, self.measurer.workers)
        middle, largest = (memory_needed(one.cost, execution) for one in (self.sample.middle, self.sample.largest))
        workers, is_clear, _ = self._windows(execution).fastest_sharing(
            min(self.sample.runs, there.cores, MOST_ON_GPU), there.memory, max(1.0, largest / middle)
        )
        return ExecutionPlan(execution, workers, is_clear)

    def _windows(self, execution: Execution) -> Windows:
        measurer = self.measurer
        return Windows(
            measurer.engine,
            self._run(execution),
            measurer.host_report.cores,
            self.step,
            self.ends,
            measurer.tell,
            measurer.clock,
            EARLY if measurer.config.engine.name == "local" else 0,
        )

    def _speeds(
        self, executions: Sequence[Execution], *, seconds: float, limit: float
    ) -> tuple[tuple[float, ...], ...]:
        """Images per second of one worker, for each execution in each turn."""
        if self._others > 1:
            executions = [replace(one, threads=1) for one in executions]
        question = SpeedQuestion(tuple(map(self._run, executions)), seconds, limit)
        (answer,) = self.measurer.engine.ask(question)
        return cast(Speed, answer).turns

    def _run(self, execution: Execution) -> Run:
        config = self.measurer.config
        return Run(self.sample.middle.architecture, config.data.task, config.recipe, config.data, "", 0, execution)


def planned(measurer: Measurer, runs: int, speed: float) -> float:
    """Seconds that one worker would need for so many runs, at so many images per second.

    Designs that a search is expected to stop count for what they are trained, and its final round counts as well.
    """
    recipe = measurer.config.recipe
    return (
        measurer.config.trainings_a_run
        * runs
        * recipe.steps_on(measurer.host_report.images[0])
        * recipe.batch_size
        / speed
    )


def _named(execution: Execution) -> str:
    order = ", channels first" if execution.layout == "contiguous" else ""
    return f"{execution.precision} with {'fused' if execution.norms == 'fused' else 'plain'} batch norms{order}"


def _halved(cores: int) -> list[int]:
    """Numbers of workers: one per core, half as many, and so on down to one."""
    counts = [cores]
    while counts[-1] > 1:
        counts.append(counts[-1] // 2)
    return counts
