"""Measures how fast runs execute in different ways, taking turns, within a small share of the planned time.

The usually fastest way on a device is taken, unless another is measured to be faster by more than the measurement
varies: a program that happens to run at the same time must not decide how a study is executed.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Self, cast

from explorer.design.cost import Cost
from explorer.design.name import parse_name
from explorer.design.template import Task
from explorer.engine.contract import Engine
from explorer.engine.local import LocalEngine
from explorer.host.formatting import counted
from explorer.host.machine import cpu_count
from explorer.study.designs import Setting
from explorer.study.job import HostReport, Speed, SpeedQuestion, TogetherQuestion
from explorer.study.memory import training_bytes
from explorer.study.run import Execution, Run
from explorer.study.settings import DataConfig, Recipe, StudyConfig
from explorer.training.results import Together
from explorer.training.speeds import LEAST_STEPS, is_faster, is_settled, is_steady

SHARE = 0.01  # share of the planned time that measuring may take; as much again goes to the forms of convolutions
LEAST = {"cpu": 5.0, "cuda": 30.0}  # seconds that it may take in a short study too, up to a quarter of its time
MOST = 120.0
FIRST = 5.0  # most seconds for the first measurement, which sets the limit for the others
PROBE_SECONDS = 0.5
PAIR = 30.0  # most seconds for the comparison of two executions
WINDOW = 2.0  # seconds in which workers that share a device are measured together
STARTING = 4.0  # seconds that workers take to start
TURNS = 3
GAIN = 1.05  # another number of threads must be faster by more than this factor
WORTH = 1.1  # twice as many workers must be faster by more than this factor
MOST_ON_GPU = 16
CONTEXT_BYTES = 512 * 2**20  # of a GPU's memory, which CUDA takes for each process
# The other memory order of a network's maps, which the kernels for batch norms do not have.
CHANNELS_FIRST: dict[str, Any] = {"layout": "contiguous", "norms": "torch"}
Totals = dict[tuple[int, int], list[float]]  # images per second in each turn, by threads of a worker and workers


@dataclass(frozen=True)
class Measurer:
    """All that measuring needs: the study's settings, the report on the host, and an engine whose workers measure."""

    config: StudyConfig
    host_report: HostReport
    engine: Engine
    tell: Callable[[str], None] = lambda _: None  # called with what is being measured, to show it
    clock: Callable[[], float] = time.monotonic

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
    """A study's execution and the number of workers that share a device.

    `measured` is false if part of it is the default for such a device: the study is too short to pay for a measurement,
    or the machine was too busy for a clear result.
    """

    execution: Execution
    workers: int
    measured: bool = True


def measured(measurer: Measurer, plain: Execution, middle: Setting, runs: int) -> ExecutionPlan:
    """Measure an execution plan: precision, kernels and, on a GPU, the maps' order on one worker, then the workers."""
    there, chosen, is_gpu = measurer.host_report, measurer.config.engine, measurer.host_report.device == "cuda"
    best, others = plain, list[dict[str, Any]]()
    if chosen.precision == "auto" and there.has_bfloat16:
        ours, theirs = ("bfloat16", "float32") if there.fast_bfloat16 else ("float32", "bfloat16")
        best, others = replace(best, precision=ours), [{"precision": theirs}]
    if chosen.forms == "auto" and there.has_kernels:
        # A processor's kernels are the fastest nearly everywhere; a GPU's have to show it first.
        ours, theirs = ("torch", "fused") if is_gpu else ("fused", "torch")
        best, others = replace(best, norms=ours), [*others, {"norms": theirs}]
    if chosen.forms == "auto" and is_gpu:
        others.append(CHANNELS_FIRST)
    session = _Session(measurer, middle, runs)
    if not others and chosen.threads != "auto" and not is_gpu:
        return session.divided(best)  # nothing is left to measure
    session, is_clear = session.limited(best), True
    for place, other in enumerate(others):
        best, decided = session.faster(best, replace(best, **other), len(others) - place + 1)
        is_clear = is_clear and decided
    plan = session.shared(best) if is_gpu else session.divided(best)
    return replace(plan, measured=plan.measured and is_clear)


def shared(measurer: Measurer, execution: Execution, middle: Setting, runs: int) -> ExecutionPlan:
    """Measure how many workers share a GPU with a given execution."""
    return _Session(measurer, middle, runs).limited(execution).shared(execution)


def small_runs(device: str) -> Together:
    """Measure a small network, as in the demonstration: one run on all cores, and several runs at the same time."""
    architecture, task = parse_name("29-32x4d"), Task(channels=1, image_size=8, classes=10)
    recipe = Recipe(1, 32, 0.01, "one_cycle", 0.2, (), 0.9, True, 5e-4, 0.0, 0, False, False)
    data = DataConfig("digits", "Digits", 1, 8, 10, 400, 250, 1147, 0)

    def speed(workers: int, threads: int) -> float:
        execution = Execution(device, "", "grouped", "channels_last", "float32", threads, recipe.batch_size)
        return _total(engine, Run(architecture, task, recipe, data, "", 0, execution), workers)[0]

    engine = LocalEngine(retries=0)
    try:
        alone, totals, workers = speed(1, cpu_count() if device == "cpu" else 1), {}, 2
        while workers <= min(cpu_count(), MOST_ON_GPU):
            totals[workers] = speed(workers, max(1, cpu_count() // workers) if device == "cpu" else 1)
            workers *= 2
    finally:
        engine.close()
    best = max(totals, key=lambda count: totals[count], default=1)
    return Together("29-32x4d at 8 pixels", alone, best, totals.get(best, alone))


def memory_needed(cost: Cost, execution: Execution) -> int:
    """An estimate of the peak memory of a run, in bytes."""
    return training_bytes(cost, execution.micro_batch, 2 if execution.precision == "bfloat16" else 4)


@dataclass(frozen=True)
class _Session:
    """The measurements for the plan of `runs` runs, made on the setting of median cost.

    ends  when measuring must end, by the measurer's clock; by default there is no time for it
    step  seconds of a training step
    """

    measurer: Measurer
    middle: Setting
    runs: int
    ends: float = -math.inf
    step: float = 0.0

    def limited(self, execution: Execution) -> Self:
        """Set how long measuring may take, from a few timed steps; not at all if a run does not fit into memory."""
        began, recipe = self.measurer.clock(), self.measurer.config.recipe
        self.measurer.tell("Measuring which way of executing runs is the fastest here: a few steps first")
        speed = median(self._speeds((execution,), seconds=0.0, limit=FIRST)[0])
        if speed <= 0:
            return self
        planned = self.runs * recipe.steps_on(self.measurer.host_report.images[0]) * recipe.batch_size / speed
        least = min(LEAST[execution.device], planned / 4)
        return replace(self, ends=began + min(MOST, max(SHARE * planned, least)), step=recipe.batch_size / speed)

    def faster(self, likely: Execution, other: Execution, parts: int) -> tuple[Execution, bool]:
        """The faster of two executions, and whether that is clear: `likely`, unless `other` is clearly faster.

        One `parts`-th of the time left may be spent on it.
        """
        limit = min(PAIR, self._left / parts)
        if limit < 2 * (2 + LEAST_STEPS) * self.step:  # each has two steps to warm up
            return likely, False
        self.measurer.tell(f"Measuring for at most {limit:.0f} s: {_named(likely)} beside {_named(other)}")
        ours, theirs = self._speeds((likely, other), seconds=PROBE_SECONDS, limit=limit)
        has_enough = len(ours) >= LEAST_STEPS
        if has_enough and is_faster(theirs, ours):
            return other, True
        return likely, has_enough and is_settled(theirs, ours)

    def divided(self, execution: Execution) -> ExecutionPlan:
        """Divide the cores among workers for the highest throughput; one thread each unless more is clearly faster.

        The number of workers is not doubled unless that is clearly faster.
        """
        there, threads, asked = self.measurer.host_report, self.measurer.config.engine.threads, self.measurer.workers
        if threads != "auto":
            return ExecutionPlan(replace(execution, threads=threads), max(1, there.cores // threads))
        counts = [asked] if asked else _halved(there.cores)
        most = min(self.runs, int(0.9 * there.memory / memory_needed(self.middle.cost, execution)))
        divisions = {max(1, there.cores // count): count for count in counts if count <= most} or {there.cores: 1}
        narrowest = min(divisions.items())
        default = ExecutionPlan(replace(execution, threads=narrowest[0]), narrowest[1])
        fewer = [] if asked or narrowest[1] == 1 else [(narrowest[0], narrowest[1] // 2)]
        tries = [narrowest, *(one for one in divisions.items() if one != narrowest), *fewer]
        if len(tries) == 1:
            return default
        totals = self._in_turns(execution, {one: [] for one in tries})
        narrow = totals[narrowest]
        faster = [one for one in divisions.items() if is_faster(totals[one], narrow, GAIN)]
        threads, workers = max(faster, key=lambda one: median(totals[one]), default=narrowest)
        is_clear = all(is_settled(totals[one], narrow) for one in tries[1:])
        if (threads, workers) == narrowest and fewer:
            workers = self._enough(execution, totals, narrowest)
        return ExecutionPlan(replace(execution, threads=threads), workers, is_clear)

    def shared(self, execution: Execution) -> ExecutionPlan:
        """Choose the number of processes on one GPU: double it while the total gets faster by a tenth and they fit."""
        there, engine = self.measurer.host_report, self.measurer.config.engine
        if engine.threads != "auto":
            execution = replace(execution, threads=engine.threads)
        if self.measurer.workers:
            return ExecutionPlan(execution, self.measurer.workers)
        totals: Totals = {}
        workers, peak, most, has_time = 1, 0, min(self.runs, there.cores, MOST_ON_GPU), True
        if most == 1:
            return ExecutionPlan(execution, 1)
        while workers <= most and workers * (peak + CONTEXT_BYTES) < 0.9 * there.memory:
            one = execution.threads, workers
            if not (has_time := self._is_covered(execution, one)):
                break
            total, peak = self._together(execution, one, 1)
            totals[one] = [total]
            if workers > 1 and total < WORTH * totals[execution.threads, workers // 2][0]:
                break
            workers *= 2
        if len(totals) < 2:
            return ExecutionPlan(execution, 1, has_time)
        totals = self._in_turns(execution, totals)
        best, is_clear = (execution.threads, 1), has_time
        for one in list(totals)[1:]:
            is_clear = is_clear and is_settled(totals[one], totals[best])
            if not is_faster(totals[one], totals[best], WORTH):
                break
            best = one
        return ExecutionPlan(execution, best[1], is_clear)

    def _enough(self, execution: Execution, totals: Totals, most: tuple[int, int]) -> int:
        """The fewest workers that are about as fast as the most: half as many are tried, then half again."""
        threads, workers = most
        while workers > 1:
            half = threads, workers // 2
            if half not in totals:
                totals = self._in_turns(execution, {most: [], half: []})
            if not is_faster([WORTH * total for total in totals[half]], totals[most]):
                break
            workers = half[1]
        return workers

    def _in_turns(self, execution: Execution, totals: Totals) -> Totals:
        """Measure all candidates in turns and return their totals; a first turn may be given, time may end it early.

        A candidate is begun only if there is time for its second turn, without which it cannot be compared.
        """
        expected = sum(self._expected(execution, one) for one in totals)
        if (2 - max(map(len, totals.values()), default=0)) * expected + STARTING > self._left:
            return {one: [] for one in totals}
        found, first = {one: list(own) for one, own in totals.items()}, next(iter(totals))
        for turn in range(len(found[first]), TURNS):
            if turn >= 2 and all(is_steady(own, found[first]) for own in found.values()):
                break
            new: dict[tuple[int, int], float] = {}
            for one in found:
                if not self._is_covered(execution, one):
                    return found
                new[one] = self._together(execution, one, turn + 1)[0]
            for one, total in new.items():
                found[one].append(total)
        return found

    @property
    def _left(self) -> float:
        return self.ends - self.measurer.clock()

    def _expected(self, execution: Execution, one: tuple[int, int]) -> float:
        """Expected seconds of one window, including the warm-up and last steps, which are slower than on all cores."""
        threads, workers = one
        slower = self.measurer.host_report.cores / threads if execution.device == "cpu" else workers
        return WINDOW + 4 * self.step * slower

    def _is_covered(self, execution: Execution, one: tuple[int, int]) -> bool:
        return self._expected(execution, one) < self._left

    def _speeds(
        self, executions: Sequence[Execution], *, seconds: float, limit: float
    ) -> tuple[tuple[float, ...], ...]:
        """Images per second of one worker, for each execution in each turn."""
        question = SpeedQuestion(tuple(map(self._run, executions)), seconds, limit)
        (answer,) = self.measurer.engine.ask(question)
        return cast(Speed, answer).turns

    def _together(self, execution: Execution, one: tuple[int, int], turn: int) -> tuple[float, int]:
        """Images per second of several workers together, and the memory of the first; `one`: threads, workers."""
        threads, workers = one
        self.measurer.tell(
            f"Measuring {counted(workers, 'worker')} of {counted(threads, 'thread')} at once, "
            f"turn {turn} of up to {TURNS}"
        )
        return _total(self.measurer.engine, self._run(replace(execution, threads=threads)), workers)

    def _run(self, execution: Execution) -> Run:
        config = self.measurer.config
        return Run(self.middle.architecture, config.data.task, config.recipe, config.data, "", 0, execution)


def _named(execution: Execution) -> str:
    order = ", channels first" if execution.layout == "contiguous" else ""
    return f"{execution.precision} with {'fused' if execution.norms == 'fused' else 'plain'} batch norms{order}"


def _total(engine: Engine, run: Run, workers: int) -> tuple[float, int]:
    """Images per second of `workers` processes together, 0 if one lacks memory, and the memory of the first, bytes."""
    answers = [cast(Speed, answer) for answer in engine.ask(TogetherQuestion(run, WINDOW), workers)]
    speeds = [answer.turns[0][0] for answer in answers]
    return sum(speeds) if min(speeds) > 0 else 0.0, answers[0].peak_memory


def _halved(cores: int) -> list[int]:
    """Numbers of workers: one per core, half as many, and so on down to one."""
    counts = [cores]
    while counts[-1] > 1:
        counts.append(counts[-1] // 2)
    return counts
