"""How fast runs would be executed: measured in turns, in a small share of the planned time, and told while it goes on.

What is likely to be the fastest on a device is taken, unless something else is measured to be faster by more than the
measurement varies: another program that runs beside must not decide how a study is executed.
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

SHARE = 0.01  # of the planned time, which measuring may take; as much again goes to the forms of convolutions
LEAST = {"cpu": 5.0, "cuda": 30.0}  # seconds that it may take of shorter studies too, or a quarter of their time
MOST = 120.0
FIRST = 5.0  # seconds that the first measurement may take, which says what the others may
PROBE_SECONDS = 0.5
PAIR = 30.0  # seconds that two executions may be measured beside one another
WINDOW = 2.0  # seconds in which workers that share a device are measured together
STARTING = 4.0  # seconds that workers take to start
TURNS = 3
GAIN = 1.05  # another number of threads must be faster by more than that
WORTH = 1.1  # twice as many workers must be faster by more than that
MOST_ON_GPU = 16
CONTEXT_BYTES = 512 * 2**20  # of a GPU's memory, which CUDA takes for each process
Totals = dict[tuple[int, int], list[float]]  # images per second in each turn, by threads of a worker and workers


@dataclass(frozen=True)
class Measurer:
    """What is needed to measure for a study: its settings, what there is to run on, and workers to ask."""

    config: StudyConfig
    host_report: HostReport
    engine: Engine
    tell: Callable[[str], None] = lambda _: None  # what is being measured, for a person who waits
    clock: Callable[[], float] = time.monotonic

    @property
    def workers(self) -> int | None:
        """Runs that are to share a device, where a person says so; a cluster has as many devices as it has."""
        asked, there = self.config.engine.workers, self.host_report.devices
        return None if asked == "auto" or self.config.engine.name != "local" else -(-asked // len(there))

    @property
    def micro_batch(self) -> int:
        """Images per pass."""
        return self.config.recipe.images_a_pass


@dataclass(frozen=True)
class ExecutionPlan:
    """A study's execution and the number of workers that share a device.

    `measured` is false where some of it is what is likely to be the best: the planned study was too short to pay for a
    measurement, or the machine too busy for a clear one.
    """

    execution: Execution
    workers: int
    measured: bool = True


@dataclass(frozen=True)
class _Allowance:
    """Until when may be measured, by the measurer's clock, and what a training step takes on all cores."""

    ends: float
    step: float


def measured(measurer: Measurer, plain: Execution, middle: Setting, runs: int) -> ExecutionPlan:
    """Precision and kernels first, on one worker; then how many workers share the device, and the threads of each."""
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
    """How many workers share a GPU, with an execution that is settled."""
    return _shared(measurer, execution, middle, runs, _allowance(measurer, execution, middle, runs))


def small_runs(device: str) -> Together:
    """A small network of the demonstration trained alone, on all cores, and several runs of it side by side."""
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
    """About how many bytes of memory a run takes at its peak."""
    return training_bytes(cost, execution.micro_batch, 2 if execution.precision == "bfloat16" else 4)


def _allowance(measurer: Measurer, execution: Execution, middle: Setting, runs: int) -> _Allowance | None:
    """What the planned runs allow, by a few steps of one of them; None where the memory does not suffice for that."""
    began, recipe = measurer.clock(), measurer.config.recipe
    measurer.tell("Measuring which way of executing runs is the fastest here: a few steps first")
    speed = median(_speeds(measurer, middle, (execution,), seconds=0.0, limit=FIRST)[0])
    if speed <= 0:
        return None
    planned = runs * recipe.epochs * measurer.host_report.images[0] / speed
    least = min(LEAST[execution.device], planned / 4)
    return _Allowance(began + min(MOST, max(SHARE * planned, least)), recipe.batch_size / speed)


def _left(measurer: Measurer, allowance: _Allowance | None) -> float:
    """Seconds that may still be measured."""
    return allowance.ends - measurer.clock() if allowance else 0.0


def _faster(
    measurer: Measurer, setting: Setting, likely: Execution, other: Execution, allowance: _Allowance | None, parts: int
) -> tuple[Execution, bool]:
    """The likely execution, or another one that is clearly faster; and whether it is clear which is.

    One of so many parts of the time that is left may be spent on it.
    """
    limit = min(PAIR, _left(measurer, allowance) / parts)
    if allowance is None or limit < 2 * (2 + LEAST_STEPS) * allowance.step:  # two of each to warm up
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
    """Cores divided among workers as throughput is highest, one thread for each where nothing else is clearly faster.

    There are no more workers of so many threads than are faster than half as many.
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
    """How many workers of so many threads are about as fast as the most of them: half, and half again."""
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
    """Processes on one GPU: twice as many as long as all together get faster by a tenth and the memory holds them."""
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
    """Totals of all tries in some turns, of which a first one may have been taken; fewer where the time is over.

    None is begun that would not come to a second turn, without which nothing can be compared.
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
    """Seconds that a window takes: steps to warm up, and the one with which it ends, are slower than on all cores."""
    threads, workers = one
    slower = measurer.host_report.cores / threads if execution.device == "cpu" else workers
    return WINDOW + 4 * (allowance.step if allowance else 0.0) * slower


def _is_covered(measurer: Measurer, execution: Execution, one: tuple[int, int], allowance: _Allowance | None) -> bool:
    return _expected(measurer, execution, one, allowance) < _left(measurer, allowance)


def _speeds(
    measurer: Measurer, setting: Setting, executions: Sequence[Execution], *, seconds: float, limit: float
) -> tuple[tuple[float, ...], ...]:
    """Images per second of one worker in each turn, by execution."""
    runs = tuple(_run(measurer, setting, execution) for execution in executions)
    (answer,) = measurer.engine.ask(SpeedQuestion(runs, seconds, limit))
    return cast(Speed, answer).turns


def _together(
    measurer: Measurer, setting: Setting, execution: Execution, one: tuple[int, int], turn: int
) -> tuple[float, int]:
    """Images per second of some workers of some threads at once, and the bytes of memory that the first one took."""
    threads, workers = one
    measurer.tell(
        f"Measuring {workers} worker{'s' if workers > 1 else ''} of {threads} thread{'s' if threads > 1 else ''} "
        f"at once, turn {turn} of up to {TURNS}"
    )
    return _total(measurer.engine, _run(measurer, setting, replace(execution, threads=threads)), workers)


def _total(engine: Engine, run: Run, workers: int) -> tuple[float, int]:
    """Images per second of so many workers at once, none if one lacks the memory, and the memory of the first."""
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
