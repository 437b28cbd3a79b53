"""Measure how a grouped convolution is executed fastest on this machine, and how fast a whole network trains."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median

import torch
from torch import Tensor, nn

from explorer.design.grouped import GroupedConv
from explorer.study.job import Forms
from explorer.study.run import Convolution, Execution, Run
from explorer.training.bursts import BURST, in_bursts
from explorer.training.device import finish, is_out_of_memory, is_usable, timed
from explorer.training.loop import deterministic, ready, step
from explorer.training.network.narrow import fits
from explorer.training.network.prepare import NUMBERS, ORDERS, UNIT, arithmetic, exchange
from explorer.training.parts import has_added
from explorer.training.replayed import LEAST_CALLS, PLAIN_CALLS, Replayed
from explorer.training.speeds import LEAST_STEPS, is_faster, is_settled

REPEATS = 5
WARM_UP = 2
# Fraction of a layer's planned time that choosing its execution may cost; on a GPU the choice is worth a half of that
# time and more, and takes less of it the longer the study is.
SHARE = {"cpu": 0.02, "cuda": 0.1}
LONGEST = 0.01  # seconds of a pass on a GPU that is not yet known to take less
PREPARING = 0.05  # seconds that a GPU's libraries take to prepare an execution and its graph
GAIN = 1.03  # least speedup over the plain execution: more than the noise of the clock
MOST_TURNS = 30  # more turns would not improve the estimate of the variation


def fastest(uses: Mapping[GroupedConv, int], execution: Execution, limit: float = math.inf) -> Forms:
    """The fastest equivalent execution of each shape, on the plan's device, precision, threads and batch size.

    `uses` has the planned number of forward and backward passes of each shape. A convolution is executed as it is if
    these take too little time for a choice to pay off, if it is not measured within `limit` seconds, or if no other
    execution is clearly faster.
    """
    deterministic(execution.deterministic)
    ends = time.perf_counter() + limit
    found = {shape.key: _choice(shape, planned, execution, ends) for shape, planned in uses.items()}
    choices = [
        choice or Convolution(shape.key, shape.groups) for shape, choice in zip(uses, found.values(), strict=True)
    ]
    return Forms(tuple(choices), tuple(key for key, choice in found.items() if choice is None))


def candidates(shape: GroupedConv, execution: Execution) -> list[Convolution]:
    """The executions of a shape that are worth a try on the plan's device, the plain one first."""
    found = [Convolution(shape.key, groups) for groups in shape.mergers(execution.device)]
    is_gpu = execution.device == "cuda"
    if execution.layout == "channels_last":
        found.append(Convolution(shape.key, shape.groups, "contiguous"))
        if execution.device == "cpu" and fits(shape):
            found.append(Convolution(shape.key, shape.groups, "kernel"))
    elif is_gpu:
        found.append(Convolution(shape.key, shape.groups, "channels_last"))
    if is_gpu:
        found += [Convolution(shape.key, one.groups, "padded") for one in found if _is_padded(shape, one)]
    return found


def _is_padded(shape: GroupedConv, choice: Convolution) -> bool:
    """Whether the groups of an execution have a number of channels that padding changes."""
    widths = shape.in_width // choice.groups, shape.width // choice.groups
    return choice.layout == "same" and choice.groups > 1 and any(width % UNIT for width in widths)


def _choice(shape: GroupedConv, planned: int, execution: Execution, ends: float) -> Convolution | None:
    """The fastest execution of a shape; None if it is used too little, or if it is unclear by the time `ends`."""
    plain, *others = candidates(shape, execution)
    number, device = len(others) + 1, execution.device
    if time.perf_counter() > ends or not _is_worth_it(LONGEST, planned, number, device):
        return None
    clocks = {plain: _clock(shape, plain, execution)}
    if device == "cuda" and not _is_worth_it(clocks[plain](), planned, number, device):
        return None
    for choice in others:
        with _leaving_out(execution.device):
            clocks[choice] = _clock(shape, choice, execution)
        if time.perf_counter() > ends:
            return None
    for _ in range(WARM_UP):
        for clock in clocks.values():
            clock()
        if time.perf_counter() > ends:
            return None
    speeds: dict[Convolution, list[float]] = {choice: [] for choice in clocks}
    for _ in range(REPEATS):  # in turns, so that a disturbance affects all of them
        for choice, clock in clocks.items():
            speeds[choice].append(1 / clock())
        if time.perf_counter() > ends:
            return None
    best = max(speeds, key=lambda choice: median(speeds[choice]))
    if is_faster(speeds[best], speeds[plain], GAIN):
        return best
    return plain if is_settled(speeds[best], speeds[plain]) else None


def _is_worth_it(seconds: float, planned: int, number: int, device: str) -> bool:
    """Whether measuring a `number` of executions costs little beside `planned` passes of so many seconds."""
    if device == "cpu":
        return (REPEATS + WARM_UP) * number <= SHARE[device] * planned  # each takes about as long as the plain one
    return number * (PREPARING + (REPEATS + WARM_UP) * max(BURST, seconds)) <= SHARE[device] * planned * seconds


def _clock(shape: GroupedConv, choice: Convolution, execution: Execution) -> Callable[[], float]:
    """A function that takes the time of a forward and backward pass: on a GPU the mean of the passes of a burst."""
    run = form_pass(shape, choice, execution)
    return in_bursts(run) if execution.device == "cuda" else lambda: timed(run, execution.device)


@contextmanager
def _leaving_out(device: str) -> Iterator[None]:
    """Go on without an execution that the memory is too small for, or that a GPU's libraries have no kernel for."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not (is_usable(device) if device == "cuda" else is_out_of_memory(error)):
            raise


def form_pass(shape: GroupedConv, choice: Convolution, execution: Execution) -> Callable[[], tuple[Tensor, ...]]:
    """A forward and backward pass of one execution on random maps of the plan's batch."""
    order = ORDERS[execution.layout]
    kernel, stride = shape.kernel_size, shape.stride
    conv = nn.Conv2d(
        shape.in_width,
        shape.width,
        kernel,
        stride,
        kernel // 2,
        groups=shape.groups,
        bias=False,
        device=execution.device,
    ).to(memory_format=order)  # type: ignore[call-overload]
    exchange(conv, choice)
    kind = NUMBERS[execution.precision]

    def drawn(width: int, size: int) -> Tensor:
        maps = torch.randn(execution.micro_batch, width, size, size, device=execution.device, dtype=kind)
        return maps.contiguous(memory_format=order)

    maps = drawn(shape.in_width, shape.map_size).requires_grad_(True)
    gradient = drawn(shape.width, (shape.map_size + 2 * (kernel // 2) - kernel) // stride + 1)

    def run() -> tuple[Tensor, ...]:
        with arithmetic(execution):
            found: Tensor = conv(maps)
        return torch.autograd.grad(found, (maps, conv.weight), gradient)

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
    deterministic(runs[0].execution.deterministic)
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
    deterministic(run.execution.deterministic)
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

    def own(images: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        return step(network, optimizer, images, labels, run.recipe, run.execution)

    replayed = Replayed(own, run.execution.device, 0 if has_added(run.recipe) else LEAST_CALLS)

    def one() -> None:
        replayed(images, labels)

    for _ in range(PLAIN_CALLS if run.execution.device == "cuda" else 0):  # so that warming up records the kernels
        one()
    return one
