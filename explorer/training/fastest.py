"""Which execution of a grouped convolution is the fastest here, and how fast a whole network trains: by measurement."""

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

import torch
from torch import Tensor, nn

from explorer.design.grouped import GroupedConv
from explorer.job import Forms
from explorer.run import Convolution, Execution, Run
from explorer.training.execution import arithmetic, exchange
from explorer.training.loop import deterministic, ready, step
from explorer.training.narrow import fits

REPEATS = 5
WARM_UP = 2
SHARE = 0.02  # of the time a layer is going to take, which choosing its execution may cost
WORTH = 0.97  # an execution must be faster than the plain one by more than the clock's noise


def fastest(uses: Mapping[GroupedConv, int], execution: Execution) -> Forms:
    """For each shape the fastest of its equivalent executions, on the plan's device, precision, threads and batch.

    `uses` says how many forward and backward passes of the shape a study plans: where these take too little time for
    a choice to pay, the convolution is executed as it is.
    """
    deterministic()
    found = {shape.key: _choice(shape, planned, execution) for shape, planned in uses.items()}
    choices = [
        choice or Convolution(shape.key, shape.groups) for shape, choice in zip(uses, found.values(), strict=True)
    ]
    return Forms(tuple(choices), tuple(key for key, choice in found.items() if choice is None))


def _choice(shape: GroupedConv, planned: int, execution: Execution) -> Convolution | None:
    """The fastest execution of a shape; None where it is used too little."""
    plain = Convolution(shape.key, shape.groups)
    candidates = [Convolution(shape.key, groups) for groups in shape.mergers]
    if execution.layout == "channels_last":
        candidates.append(Convolution(shape.key, shape.groups, "contiguous"))
        if execution.device == "cpu" and fits(shape):
            candidates.append(Convolution(shape.key, shape.groups, "kernel"))
    passes = {plain: _pass(shape, plain, execution)}
    if (REPEATS + WARM_UP) * len(candidates) > SHARE * planned:  # all take about as long as the plain one
        return None
    passes |= {choice: _pass(shape, choice, execution) for choice in candidates if choice != plain}
    for run in passes.values():
        for _ in range(WARM_UP):
            run()
    times: dict[Convolution, list[float]] = {choice: [] for choice in passes}
    for _ in range(REPEATS):  # taking turns, so that a disturbance meets all of them
        for choice, run in passes.items():
            times[choice].append(_seconds(run, execution.device))
    best = min(times, key=lambda choice: median(times[choice]))
    return best if median(times[best]) < WORTH * median(times[plain]) else plain


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


def _seconds(run: Callable[[], object], device: str) -> float:
    _wait(device)
    began = time.perf_counter()
    run()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def training_speeds(runs: Sequence[Run], seconds: float) -> tuple[tuple[float, ...], int]:
    """Images per second of each run's training steps on random images, and the peak of the device's memory in bytes.

    Takes about `seconds` for each, after two steps to warm up, in turns, so that a disturbance meets all of them; at
    least two steps are timed, and the median is told. All runs have the first one's device and threads.
    """
    deterministic()
    execution = runs[0].execution
    torch.set_num_threads(execution.threads)
    if execution.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    steps = [_step(run) for run in runs]
    for one in steps:
        for _ in range(WARM_UP):
            one()
    times: list[list[float]] = [[] for _ in runs]
    while len(times[0]) < 2 or sum(map(sum, times)) < seconds * len(runs):
        for one, taken in zip(steps, times, strict=True):
            taken.append(_seconds(one, execution.device))
    return tuple(run.recipe.batch_size / median(taken) for run, taken in zip(runs, times, strict=True)), _peak(runs[0])


def training_speed(run: Run, seconds: float) -> tuple[float, int]:
    """The same of one run alone."""
    (speed,), peak = training_speeds((run,), seconds)
    return speed, peak


def warmed_up(run: Run) -> Callable[[], None]:
    """A training step of a run on random images, taken twice."""
    deterministic()
    torch.set_num_threads(run.execution.threads)
    if run.execution.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    one = _step(run)
    for _ in range(WARM_UP):
        one()
    _wait(run.execution.device)
    return one


def speed_in_window(one: Callable[[], None], run: Run, seconds: float) -> tuple[float, int]:
    """Images per second over so many seconds, and the peak of the device's memory in bytes.

    The steps that begin within these are counted over the time until the last has ended. Nothing waits for the device
    between two of them, as nothing does in training.
    """
    began, steps = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        one()
        steps += 1
    _wait(run.execution.device)
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
