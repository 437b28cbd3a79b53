"""Measures how fast runs execute in different ways, taking turns, within a small share of the planned time.

The usually fastest way on a device is taken, unless another is measured to be faster by more than the measurement
varies: a program that happens to run at the same time must not decide how a study is executed.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, cast

from explorer.design.cost import Cost
from explorer.design.name import parse_name
from explorer.design.template import Task
from explorer.engine.contract import Engine
from explorer.engine.local import LocalEngine
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


@dataclass(frozen=True)
class _Allowance:
    """The time until which measuring may go on, by the measurer's clock, and the seconds of a training step."""

    ends: float
    step: float


def measured(measurer: Measurer, plain: Execution, middle: Setting, runs: int) -> ExecutionPlan:
    """Measure an execution plan: precision and kernels on one worker, then the number of workers and their threads."""
    there, chosen, is_gpu = measurer.host_report, measurer.config.engine, measurer.host_report.device == "cuda"
    best, others = plain, list[dict[str, Any]]()
    if chosen.precision == "auto" and there.has_bfloat16:
        ours, theirs = ("bfloat16", "float32") if there.fast_bfloat16 else ("float32", "bfloat16")
        best, others = replace(best, precision=ours), [{"precision": theirs}]
    if chosen.forms == "auto" and there.has_kernels:
        best, others = replace(best, norms="fused"), [*others, {"norms": "torch"}]
    if not others and chosen.threads != "auto" and not is_gpu:
        return _divided(measurer, best, middle, runs, None)  # nothing is left to measure
    allowance, is_clear = _allowance(measurer, best, middle, runs), True
    for place, other in enumerate(others):
        best, decided = _faster(measurer, middle, best, replace(best, **other), allowance, len(others) - place + 1)
        is_clear = is_clear and decided
    plan = (_shared if is_gpu else _divided)(measurer, best, middle, runs, allowance)
    return replace(plan, measured=plan.measured and is_clear)


def shared(measurer: Measurer, execution: Execution, middle: Setting, runs: int) -> ExecutionPlan:
    """Measure how many workers share a GPU with a given execution."""
    return _shared(measurer, execution, middle, runs, _allowance(measurer, execution, middle, runs))


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


def _allowance(measurer: Measurer, execution: Execution, middle: Setting, runs: int) -> _Allowance | None:
    """How long measuring may take, from a few timed steps of a planned run; None if these do not fit into memory."""
    began, recipe = measurer.clock(), measurer.config.recipe
    measurer.tell("Measuring which way of executing runs is the fastest here: a few steps first")
    speed = median(_speeds(measurer, middle, (execution,), seconds=0.0, limit=FIRST)[0])
    if speed <= 0:
        return None
    planned = runs * recipe.epochs * measurer.host_report.images[0] / speed
    least = min(LEAST[execution.device], planned / 4)
    return _Allowance(began + min(MOST, max(SHARE * planned, least)), recipe.batch_size / speed)


def _left(measurer: Measurer, allowance: _Allowance | None) -> float:
    """Seconds that measuring may still take."""
    return allowance.ends - measurer.clock() if allowance else 0.0


def _faster(
    measurer: Measurer, setting: Setting, likely: Execution, other: Execution, allowance: _Allowance | None, parts: int
) -> tuple[Execution, bool]:
    """The faster of two executions, and whether that is clear: `likely`, unless `other` is clearly faster.

    One `parts`-th of the time left may be spent on it.
    """
    limit = min(PAIR, _left(measurer, allowance) / parts)
    if allowance is None or limit < 2 * (2 + LEAST_STEPS) * allowance.step:  # each has two steps to warm up
        return likely, False
    measurer.tell(f"Measuring for at most {limit:.0f} s: {_named(likely)} beside {_named(other)}")
    ours, theirs = _speeds(measurer, setting, (likely, other), seconds=PROBE_SECONDS, limit=limit)
    has_enough = len(ours) >= LEAST_STEPS
    if has_enough and is_faster(theirs, ours):
        return other, True
    return likely, has_enough and is_settled(theirs, ours)


def _named(execution: Execution) -> str:
    return f"{execution.precision} with {'fused' if execution.norms == 'fused' else 'plain'} batch norms"


def _divided(
    measurer: Measurer, execution: Execution, middle: Setting, runs: int, allowance: _Allowance | None
) -> ExecutionPlan:
    """Divide the cores among workers for the highest throughput; one thread each unless more is clearly faster.

    The number of workers is not doubled unless that is clearly faster.
    """
    there, engine = measurer.host_report, measurer.config.engine
    if engine.threads != "auto":
        return ExecutionPlan(replace(execution, threads=engine.threads), max(1, there.cores // engine.threads))
    counts = [measurer.workers] if measurer.workers else _halved(there.cores)
    most = min(runs, int(0.9 * there.memory / memory_needed(middle.cost, execution)))
    divisions = {max(1, there.cores // count): count for count in counts if count <= most} or {there.cores: 1}
    narrowest = min(divisions.items())
    default = ExecutionPlan(replace(execution, threads=narrowest[0]), narrowest[1])
    fewer = [] if measurer.workers or narrowest[1] == 1 else [(narrowest[0], narrowest[1] // 2)]
    tries = [narrowest, *(one for one in divisions.items() if one != narrowest), *fewer]
    if len(tries) == 1:
        return default
    totals = _in_turns(measurer, execution, middle, {one: [] for one in tries}, allowance)
    narrow = totals[narrowest]
    faster = [one for one in divisions.items() if is_faster(totals[one], narrow, GAIN)]
    threads, workers = max(faster, key=lambda one: median(totals[one]), default=narrowest)
    is_clear = all(is_settled(totals[one], narrow) for one in tries[1:])
    if (threads, workers) == narrowest and fewer:
        workers = _enough(measurer, execution, middle, totals, narrowest, allowance)
    return ExecutionPlan(replace(execution, threads=threads), workers, is_clear)


def _enough(
    measurer: Measurer,
    execution: Execution,
    middle: Setting,
    totals: Totals,
    most: tuple[int, int],
    allowance: _Allowance | None,
) -> int:
    """The fewest workers that are about as fast as the most: half as many are tried, then half again."""
    threads, workers = most
    while workers > 1:
        half = threads, workers // 2
        if half not in totals:
            totals = _in_turns(measurer, execution, middle, {most: [], half: []}, allowance)
        if not is_faster([WORTH * total for total in totals[half]], totals[most]):
            break
        workers = half[1]
    return workers


def _shared(
    measurer: Measurer, execution: Execution, middle: Setting, runs: int, allowance: _Allowance | None
) -> ExecutionPlan:
    """Choose the number of processes on one GPU: double it while the total gets faster by a tenth and they fit."""
    there, engine = measurer.host_report, measurer.config.engine
    if engine.threads != "auto":
        execution = replace(execution, threads=engine.threads)
    if measurer.workers:
        return ExecutionPlan(execution, measurer.workers)
    totals: Totals = {}
    workers, peak, most, has_time = 1, 0, min(runs, there.cores, MOST_ON_GPU), True
    if most == 1:
        return ExecutionPlan(execution, 1)
    while workers <= most and workers * (peak + CONTEXT_BYTES) < 0.9 * there.memory:
        one = execution.threads, workers
        if not (has_time := _is_covered(measurer, execution, one, allowance)):
            break
        total, peak = _together(measurer, middle, execution, one, 1)
        totals[one] = [total]
        if workers > 1 and total < WORTH * totals[execution.threads, workers // 2][0]:
            break
        workers *= 2
    if len(totals) < 2:
        return ExecutionPlan(execution, 1, has_time)
    totals = _in_turns(measurer, execution, middle, totals, allowance)
    best, is_clear = (execution.threads, 1), has_time
    for one in list(totals)[1:]:
        is_clear = is_clear and is_settled(totals[one], totals[best])
        if not is_faster(totals[one], totals[best], WORTH):
            break
        best = one
    return ExecutionPlan(execution, best[1], is_clear)


def _in_turns(
    measurer: Measurer, execution: Execution, setting: Setting, totals: Totals, allowance: _Allowance | None
) -> Totals:
    """Measure all candidates in turns and return their totals; a first turn may be given, and time may end it early.

    A candidate is begun only if there is time for its second turn, without which it cannot be compared.
    """
    expected = sum(_expected(measurer, execution, one, allowance) for one in totals)
    if (2 - max(map(len, totals.values()), default=0)) * expected + STARTING > _left(measurer, allowance):
        return {one: [] for one in totals}
    found, first = {one: list(own) for one, own in totals.items()}, next(iter(totals))
    for turn in range(len(found[first]), TURNS):
        if turn >= 2 and all(is_steady(own, found[first]) for own in found.values()):
            break
        new: dict[tuple[int, int], float] = {}
        for one in found:
            if not _is_covered(measurer, execution, one, allowance):
                return found
            new[one] = _together(measurer, setting, execution, one, turn + 1)[0]
        for one, total in new.items():
            found[one].append(total)
    return found


def _expected(measurer: Measurer, execution: Execution, one: tuple[int, int], allowance: _Allowance | None) -> float:
    """Expected seconds of one window, including the warm-up and last steps, which are slower than on all cores."""
    threads, workers = one
    slower = measurer.host_report.cores / threads if execution.device == "cpu" else workers
    return WINDOW + 4 * (allowance.step if allowance else 0.0) * slower


def _is_covered(measurer: Measurer, execution: Execution, one: tuple[int, int], allowance: _Allowance | None) -> bool:
    return _expected(measurer, execution, one, allowance) < _left(measurer, allowance)


def _speeds(
    measurer: Measurer, setting: Setting, executions: Sequence[Execution], *, seconds: float, limit: float
) -> tuple[tuple[float, ...], ...]:
    """Images per second of one worker, for each execution in each turn."""
    runs = tuple(_run(measurer, setting, execution) for execution in executions)
    (answer,) = measurer.engine.ask(SpeedQuestion(runs, seconds, limit))
    return cast(Speed, answer).turns


def _together(
    measurer: Measurer, setting: Setting, execution: Execution, one: tuple[int, int], turn: int
) -> tuple[float, int]:
    """Images per second of several workers together, and the bytes of memory of the first; `one`: threads, workers."""
    threads, workers = one
    measurer.tell(
        f"Measuring {workers} worker{'s' if workers > 1 else ''} of {threads} thread{'s' if threads > 1 else ''} "
        f"at once, turn {turn} of up to {TURNS}"
    )
    return _total(measurer.engine, _run(measurer, setting, replace(execution, threads=threads)), workers)


def _total(engine: Engine, run: Run, workers: int) -> tuple[float, int]:
    """Images per second of `workers` processes together, 0 if one lacks memory, and the memory of the first, bytes."""
    answers = [cast(Speed, answer) for answer in engine.ask(TogetherQuestion(run, WINDOW), workers)]
    speeds = [answer.turns[0][0] for answer in answers]
    return sum(speeds) if min(speeds) > 0 else 0.0, answers[0].peak_memory


def _run(measurer: Measurer, setting: Setting, execution: Execution) -> Run:
    config = measurer.config
    return Run(setting.architecture, config.data.task, config.recipe, config.data, "", 0, execution)


def _halved(cores: int) -> list[int]:
    """Numbers of workers: one per core, half as many, and so on down to one."""
    counts = [cores]
    while counts[-1] > 1:
        counts.append(counts[-1] // 2)
    return counts
