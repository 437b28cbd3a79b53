"""Measure how a grouped convolution is executed fastest on this machine, and how fast a whole network trains."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

import torch
from torch import Tensor, nn

from explorer.design.grouped import GroupedConv
from explorer.study.job import Forms
from explorer.study.run import Convolution, Execution, Run
from explorer.training.device import finish, timed
from explorer.training.loop import deterministic, ready, step
from explorer.training.network.narrow import fits
from explorer.training.network.prepare import arithmetic, exchange
from explorer.training.speeds import LEAST_STEPS, is_faster, is_settled

REPEATS = 5
WARM_UP = 2
SHARE = 0.02  # fraction of a layer's planned time that choosing its execution may cost
GAIN = 1.03  # least speedup over the plain execution: more than the noise of the clock
MOST_TURNS = 30  # more turns would not improve the estimate of the variation


def fastest(uses: Mapping[GroupedConv, int], execution: Execution, limit: float = math.inf) -> Forms:
    """The fastest equivalent execution of each shape, on the plan's device, precision, threads and batch size.

    `uses` has the planned number of forward and backward passes of each shape. A convolution is executed as it is if
    these take too little time for a choice to pay off, if it is not measured within `limit` seconds, or if no other
    execution is clearly faster.
    """
    deterministic()
    ends = time.perf_counter() + limit
    found = {shape.key: _choice(shape, planned, execution, ends) for shape, planned in uses.items()}
    choices = [
        choice or Convolution(shape.key, shape.groups) for shape, choice in zip(uses, found.values(), strict=True)
    ]
    return Forms(tuple(choices), tuple(key for key, choice in found.items() if choice is None))


def _choice(shape: GroupedConv, planned: int, execution: Execution, ends: float) -> Convolution | None:
    """The fastest execution of a shape; None if it is used too little, or if it is unclear by the time `ends`."""
    plain = Convolution(shape.key, shape.groups)
    candidates = [Convolution(shape.key, groups) for groups in shape.mergers]
    if execution.layout == "channels_last":
        candidates.append(Convolution(shape.key, shape.groups, "contiguous"))
        if execution.device == "cpu" and fits(shape):
            candidates.append(Convolution(shape.key, shape.groups, "kernel"))
    passes = {plain: _pass(shape, plain, execution)}
    is_worth_it = (REPEATS + WARM_UP) * len(candidates) <= SHARE * planned  # each takes about as long as the plain one
    if not is_worth_it or time.perf_counter() > ends:
        return None
    passes |= {choice: _pass(shape, choice, execution) for choice in candidates if choice != plain}
    for _ in range(WARM_UP):
        for run in passes.values():
            run()
        if time.perf_counter() > ends:
            return None
    speeds: dict[Convolution, list[float]] = {choice: [] for choice in passes}
    for _ in range(REPEATS):  # in turns, so that a disturbance affects all of them
        for choice, run in passes.items():
            speeds[choice].append(1 / timed(run, execution.device))
        if time.perf_counter() > ends:
            return None
    best = max(speeds, key=lambda choice: median(speeds[choice]))
    if is_faster(speeds[best], speeds[plain], GAIN):
        return best
    return plain if is_settled(speeds[best], speeds[plain]) else None


def _pass(shape: GroupedConv, choice: Convolution, execution: Execution) -> Callable[[], None]:
    """A forward and backward pass of one execution on random maps of the plan's batch."""
    conv = nn.Conv2d(
        shape.in_width,
        shape.width,
        shape.kernel_size,
        shape.stride,
        shape.kernel_size // 2,
        groups=shape.groups,
        bias=False,
        device=execution.device,
    )
    exchange(conv, choice)
    kind = torch.bfloat16 if execution.precision == "bfloat16" else torch.float32
    order = torch.channels_last if execution.layout == "channels_last" else torch.contiguous_format
    maps = torch.randn(
        execution.micro_batch, shape.in_width, shape.map_size, shape.map_size, device=execution.device, dtype=kind
    ).contiguous(memory_format=order)
    maps.requires_grad_(True)

    def run() -> None:
        with arithmetic(execution):
            found: Tensor = conv(maps)
        found.backward(torch.ones_like(found))  # type: ignore[no-untyped-call]
        maps.grad = conv.weight.grad = None

    return run


def training_speeds(
    runs: Sequence[Run], seconds: float, limit: float = math.inf
) -> tuple[tuple[tuple[float, ...], ...], int]:
    """Images per second of each run's training steps on random images, and the peak of the device's memory in bytes.

    After two warm-up steps the runs take turns of a step each, so that a disturbance affects all of them: five turns at
    least, about `seconds` for each run, and up to thirty if speeds vary by more than they differ from the first run's.
    After `limit` seconds the turns so far are used, which may be none; a run that is measured alone has one turn at
    least. All runs use the first one's device and threads.
    """
    deterministic()
    ends, least = time.perf_counter() + limit, 1 if len(runs) == 1 else 0
    execution = runs[0].execution
    torch.set_num_threads(execution.threads)
    if execution.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    steps = [_step(run) for run in runs]
    for one in [one for one in steps for _ in range(WARM_UP)]:
        if time.perf_counter() < ends:
            one()
    finish(execution.device)
    times: list[list[float]] = [[] for _ in runs]
    speeds: list[list[float]] = [[] for _ in runs]
    while len(speeds[0]) < least or (time.perf_counter() < ends and not _is_clear(speeds, times, seconds)):
        for run, one, own, taken in zip(runs, steps, speeds, times, strict=True):
            taken.append(timed(one, execution.device))
            own.append(run.recipe.batch_size / taken[-1])
    return tuple(map(tuple, speeds)), _peak(runs[0])


def _is_clear(speeds: Sequence[Sequence[float]], times: Sequence[Sequence[float]], seconds: float) -> bool:
    """Whether enough turns were taken: `seconds` for each run, and clear comparisons of the others with the first."""
    if len(speeds[0]) < LEAST_STEPS or sum(map(sum, times)) < seconds * len(times):
        return False
    return len(speeds[0]) >= MOST_TURNS or all(is_settled(other, speeds[0]) for other in speeds[1:])


def training_speed(run: Run, seconds: float) -> tuple[float, int]:
    """Median images per second of one run measured alone, and the peak of the device's memory in bytes."""
    (speeds,), peak = training_speeds((run,), seconds)
    return median(speeds), peak


def warmed_up(run: Run) -> Callable[[], None]:
    """A function that takes a training step of a run on random images, after two warm-up steps."""
    deterministic()
    torch.set_num_threads(run.execution.threads)
    if run.execution.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    one = _step(run)
    for _ in range(WARM_UP):
        one()
    finish(run.execution.device)
    return one


def speed_in_window(one: Callable[[], None], run: Run, seconds: float) -> tuple[float, int]:
    """Images per second over about `seconds`, and the peak of the device's memory in bytes.

    Counts the steps that begin in that time, and divides by the time until the last one has ended. As in training,
    nothing waits for the device between two steps.
    """
    began, steps = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        one()
        steps += 1
    finish(run.execution.device)
    taken = time.perf_counter() - began
    return steps * run.recipe.batch_size / taken, _peak(run)


def _peak(run: Run) -> int:
    return torch.cuda.max_memory_reserved() if run.execution.device == "cuda" else 0


def _step(run: Run) -> Callable[[], None]:
    """A training step of a run on random images."""
    network, optimizer = ready(run)
    network.train()
    task, batch = run.task, run.recipe.batch_size
    images = torch.randn(batch, task.channels, task.image_size, task.image_size, device=run.execution.device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(task.classes, (batch,), device=run.execution.device)

    def one() -> None:
        step(network, optimizer, images, labels, run.recipe, run.execution)

    return one
