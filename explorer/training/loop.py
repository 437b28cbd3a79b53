"""Train one run from its seed to its outcome."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name
from safetensors import SafetensorError
from torch import Tensor, nn

from explorer.host.formatting import in_one_line, place_in_run
from explorer.host.machine import fix_cublas_workspace
from explorer.study.run import EpochResult, Execution, Outcome, Run, Status
from explorer.study.settings import Recipe
from explorer.training import replayed
from explorer.training.averaging import Averaged
from explorer.training.checkpoint import Checkpoint, Checkpointing, captured, latest, restore, save
from explorer.training.device import is_out_of_memory
from explorer.training.filters import Turning, turning
from explorer.training.images.augment import Draws, augmented, coloured, draw, normalised
from explorer.training.images.mixing import erased, mixed
from explorer.training.images.policy import with_policy
from explorer.training.images.source import BRIGHTEST
from explorer.training.images.split import Crops, Dataset, Split, fetched, load, test_labels
from explorer.training.network.build import build
from explorer.training.network.dropping import Dropping, attach
from explorer.training.network.forms import State, convert, reformed
from explorer.training.network.prepare import arithmetic, prepare
from explorer.training.network.weights import save_weights
from explorer.training.optimizers import optimizer_of
from explorer.training.parts import added_loss, augmented_by, has_added, step_of
from explorer.training.replayed import Replayed, graph_memory
from explorer.training.scaling import LEAST_SCALE, Scaled, clip
from explorer.training.schedule import learning_rate
from explorer.training.step_draws import StepDraws
from explorer.training.streams import host_state, seed_all, seeded, stream

# Pixels of one evaluation batch: large enough to keep the device busy, small enough for its memory.
EVALUATION_PIXELS = {"cpu": 2**18, "cuda": 2**19}
MOST_EVALUATED = 1024
EXPLODED = 1000.0  # times the loss of guessing, above which a run counts as diverged
Right = npt.NDArray[np.bool_]
_UNSEEN: Right = np.zeros(0, dtype=np.bool_)


class StoppedError(Exception):
    """A run was asked to stop; its checkpoint has been written."""


@dataclass
class _Unfinished:
    """The state of an unfinished epoch.

    streams   states of the random streams at its beginning
    sums      of the loss and of the errors over its steps
    steps     taken so far
    seconds   spent on it before the last interruption, of which `training` on training steps
    resumed   clock time at which it began, or continued after the interruption
    """

    streams: dict[str, Tensor]
    sums: dict[str, Tensor]
    steps: int = 0
    seconds: float = 0.0
    training: float = 0.0
    trained: float | None = None
    resumed: float = field(default_factory=time.perf_counter)

    def times(self) -> tuple[float, float]:
        """Seconds spent on the epoch so far, and those of them spent on training steps."""
        now = time.perf_counter()
        return self.seconds + now - self.resumed, self.training + (self.trained or now) - self.resumed


def train(
    run: Run,
    report: Callable[[EpochResult], None],
    *,
    judges: bool = True,
    weights: Path | None = None,
    loaders: int = 0,
    keeping: Checkpointing | None = None,
    until: int | None = None,
    goes_on: Callable[[], bool] = lambda: True,
    filters: bool = False,
) -> Outcome:
    """Train a run, report every epoch, and evaluate it once on the test images after the last epoch.

    With `judges=False` the test images are not used; `weights` is the file for the trained network; `loaders` threads
    read streamed images, 0 for one per core. With `keeping` the run continues from its newest checkpoint, whose epochs
    are reported again, and gives the same bits as without an interruption. If `until` is earlier than the last epoch,
    the run is trained up to it and returns "paused". `goes_on` is called after every step and every evaluated batch; if
    it returns False, a last checkpoint is written and StoppedError raised. With `filters` the outcome says how long the
    filters are and how far they turn.

    A loss that explodes or weights that are not finite end the run as "diverged", too little memory as "out_of_memory".
    On the CPU the same run gives the same bits for the same number of threads, version of torch and type of processor;
    on CUDA deterministic kernels are requested unless the execution plan does without them, but another GPU model may
    differ in the last bits.
    """
    deterministic(run.execution.deterministic)
    started = time.perf_counter()
    try:
        data = load(run.data, run.execution.device, loaders, run.seed)
        if data.digest != run.data_hash:
            raise ValueError(
                f"the images have changed since the study's start: {run.data_hash} then, now {data.digest}"
            )
        started = time.perf_counter()
        training = _Training(run, data, report, started, keeping, goes_on)
        training.filters = turning(training.network, run.execution.form) if filters else None
        return training.to_end(judges, weights, until)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return Outcome("out_of_memory", 0, seconds=time.perf_counter() - started, message=in_one_line(error))


def deterministic(wanted: bool = True) -> None:
    """Ask torch for kernels that give the same bits every time, and for full float32 precision.

    Where that is not wanted, a GPU's libraries measure which of all their kernels is the fastest.
    """
    fix_cublas_workspace()
    torch.use_deterministic_algorithms(wanted)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined] # else maps are written twice
    torch.backends.cudnn.benchmark = not wanted
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


@contextmanager
def settings_kept() -> Iterator[None]:
    """Have torch's settings and all generators be afterwards what they were, as in a process of a notebook."""
    flags = [
        (torch.backends.cudnn, "benchmark"),
        (torch.backends.cuda.matmul, "allow_tf32"),
        (torch.backends.cudnn, "allow_tf32"),
        (torch.utils.deterministic, "fill_uninitialized_memory"),
    ]
    before = [(place, name, getattr(place, name)) for place, name in flags]
    threads, wanted = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        with seeded(torch.initial_seed()):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(wanted, warn_only=warns)
        for place, name, value in before:
            setattr(place, name, value)


def first_network(run: Run) -> nn.Module:
    """A run's network with the first weights of its seed, in the grouped form, on the CPU in float32."""
    recipe = run.recipe
    return build(
        run.architecture,
        run.task,
        stream(run.seed, "initialisation"),
        zero_init_residual=recipe.zero_init_residual,
        init=recipe.init,
        init_gain=recipe.init_gain,
    )


def ready(run: Run) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A run's network, initialised by its seed and prepared for its device, and its optimiser."""
    recipe, task = run.recipe, run.task
    network = first_network(run)
    if run.execution.form != "grouped":
        network = reformed(network, run.architecture, task, run.execution.form)
    network = prepare(network, run.execution, task)
    if (dropping := attach(network, run.architecture, recipe)) is not None:
        network.dropping = dropping  # type: ignore[assignment] # which is no module
    return network, optimizer_of(recipe, list(network.parameters()), run.execution)


def grouped_state(network: nn.Module, run: Run) -> State:
    """A run's weights in the grouped form, which other programs use."""
    state, form = network.state_dict(), run.execution.form
    return state if form == "grouped" else convert(state, run.architecture, run.task, form, "grouped")


def step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    execution: Execution,
    targets: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """One step of the optimiser on a prepared batch: its mean loss and number of errors, still on the device.

    `targets` are what the loss is computed for, if not for the labels: shares of classes for each image.
    """
    optimizer.zero_grad(set_to_none=True)
    loss_sum, wrong = torch.zeros((), device=images.device), torch.zeros((), device=images.device)
    size, scale = execution.micro_batch, optimizer.scale if isinstance(optimizer, Scaled) else None
    goals, first, dropping = labels if targets is None else targets, 0, dropping_of(network)
    parts = zip(torch.split(images, size), torch.split(labels, size), torch.split(goals, size), strict=True)
    for part, part_labels, part_goals in parts:
        if dropping is not None:
            dropping.rows = slice(first, first + len(part))
        first += len(part)
        with arithmetic(execution):
            scores = network(part)
        if recipe.loss == "cross_entropy":
            loss = F.cross_entropy(scores.float(), part_goals, label_smoothing=recipe.label_smoothing)
        else:
            loss = added_loss(recipe, scores.float(), part_goals)
        loss = loss * (len(part) / len(images))
        loss.backward(scale)  # type: ignore[no-untyped-call]
        loss_sum += loss.detach()
        wrong += (scores.detach().argmax(dim=1) != part_labels).sum()
    if recipe.clip is not None and scale is None:
        clip(network.parameters(), recipe.clip)
    step_of(recipe, optimizer)
    return loss_sum, wrong


def dropping_of(network: nn.Module) -> Dropping | None:
    """What decides which parts of a network a step drops; None if none is dropped."""
    return getattr(network, "dropping", None)


class Steps:
    """The training steps of one run: whatever of them does not change from step to step."""

    def __init__(
        self,
        run: Run,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        data: Dataset,
        pool: Any = None,
        tell: Callable[[str], None] = lambda _: None,
        averaged: Averaged | None = None,
    ) -> None:
        self.run, self.network, self.data, self.averaged = run, network, data, averaged
        self._optimizer = optimizer
        device = run.execution.device
        self._rate: Tensor | None = None
        adds = has_added(run.recipe)
        self._parts = [float(group["lr"]) / run.recipe.learning_rate for group in optimizer.param_groups]
        if (
            device in replayed.DEVICES and not adds
        ):  # a graph reads it from the device, where the optimiser wants it in float32
            self._rate = torch.zeros((), device=device, dtype=torch.float32 if device == "cuda" else torch.float64)
            self._use(self._rate)
        steps = 0 if adds else run.recipe.steps_on(len(data.train))  # no graph of what may wait for the device
        # Functions that do not hold this object: graphs keep a GPU's memory, which must be free as soon as it is gone.
        self._drawing = StepDraws(run.recipe, run.seed, data.config.image_size, device, dropping_of(network))
        own = run, network, optimizer, data, self._drawing
        body, changed = partial(_taken, *own), partial(_changed, network, optimizer)
        self._replayed = Replayed(body, device, steps, pool, tell, changes=changed)
        # An added block may, as dropout does, and so may a loss or an optimiser.
        self._draws = adds or run.architecture.kind.module is not None

    def take(self, pixels: Tensor, labels: Tensor, draws: Draws, rate: float, number: int) -> tuple[Tensor, ...]:
        """Train on a batch of bytes: its mean loss and number of errors, on the device until the next step.

        `number` is that of the step in its run, from 0.
        """
        found = self._taken(pixels, labels, draws, rate, number)
        if self.averaged is not None:
            self.averaged.update(number)
        return found

    def _taken(self, pixels: Tensor, labels: Tensor, draws: Draws, rate: float, number: int) -> tuple[Tensor, ...]:
        if self._rate is None:
            self._use(rate)
        else:
            self._rate.fill_(rate)
        if self._draws:
            seed_all(self.run.seed, "block", number)
            before = host_state()
        inputs = pixels, labels, *draws.tensors, self._drawing.drawn(number)
        if self.run.recipe.augmentation:
            own = self.run, self.network, self._optimizer, self.data, self._drawing
            return _taken(*own, *inputs, number=number)
        found = self._replayed(*inputs)
        if self._draws and self._replayed.calls and host_state() != before:
            # A graph would repeat what was drawn on the host in one step in all others.
            self._replayed = Replayed(self._replayed.body, self._replayed.device, calls=0)
        return found

    def _use(self, rate: Tensor | float) -> None:
        """Give every group of weights its rate: the same, unless an added optimiser has begun with other ones."""
        for group, part in zip(self._optimizer.param_groups, self._parts, strict=True):
            group["lr"] = rate if part == 1 else rate * part


def _taken(
    run: Run,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: Dataset,
    drawing: StepDraws,
    pixels: Tensor,
    labels: Tensor,
    *drawn: Tensor,
    number: int = 0,
) -> tuple[Tensor, ...]:
    """A step on a batch of bytes; its number in the run is needed for what extensions draw."""
    draws, own, recipe = Draws(*drawn[:-1]), drawing.parted(drawn[-1]), run.recipe
    floats = coloured(pixels.float(), draws, recipe, data.axes)
    if "policy" in own:
        top = BRIGHTEST.get(run.data.source, 255)
        floats = with_policy(floats, own["policy"], data.mean, top, some=run.execution.device == "cpu")
    batch = augmented(normalised(floats, data.mean, data.std), draws, recipe)
    if "erasing" in own:
        batch = erased(batch, own["erasing"])
    goals = labels
    if "mixing" in own:
        batch, goals = mixed(batch, labels, own["mixing"], recipe, run.task.classes)
    if recipe.augmentation:
        batch, goals = augmented_by(recipe, batch, goals, run.task.classes, run.seed, number)
    if (dropping := dropping_of(network)) is not None:
        dropping.branches = own["branches"].bool() if "branches" in own else None
        dropping.features = own["features"].bool() if "features" in own else None
    return step(network, optimizer, batch, labels, recipe, run.execution, goals)


def _changed(network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[Tensor, ...]:
    """The tensors that a step changes."""
    kept = (one for state in optimizer.state.values() for one in state.values() if isinstance(one, Tensor))
    scaling = optimizer.scaling.values() if isinstance(optimizer, Scaled) else ()
    return (*network.state_dict().values(), *kept, *scaling)


@dataclass
class _Training:
    """The state of a run in training: all that the next epoch depends on, and the results so far."""

    run: Run
    data: Dataset
    report: Callable[[EpochResult], None]
    started: float
    keeping: Checkpointing | None
    goes_on: Callable[[], bool]
    results: list[EpochResult] = field(default_factory=list)
    unfinished: _Unfinished | None = None
    training_seconds: float = 0.0
    saved_at: tuple[int, int] = (0, 0)
    filters: Turning | None = None

    def __post_init__(self) -> None:
        self.network, self.optimizer = ready(self.run)
        self.streams = {name: stream(self.run.seed, name) for name in ("order", "augmentation")}
        images, device = len(self.data.train), self.run.execution.device
        own: dict[str, Any] = {"pool": graph_memory(device)} | ({"tell": self.keeping.tell} if self.keeping else {})
        self.averaged = Averaged(self.network, self.run.recipe.ema) if self.run.recipe.ema else None
        self.judged = self.averaged.network if self.averaged else self.network
        self.taking = Steps(self.run, self.network, self.optimizer, self.data, **own, averaged=self.averaged)
        classified = partial(classify, self.judged, self.data, self.run.execution)
        evaluated = len(self.data.val) // evaluation_size(self.run.execution, self.data)
        batches = self.run.recipe.epochs_on(images) * max(1, evaluated)
        self.classified = Replayed(classified, device, batches, **own, changes=tuple)
        self.steps, self.epochs = self.run.recipe.steps_on(images), self.run.recipe.epochs_on(images)
        self.saved, self.wait = self.started, self.keeping.wait() if self.keeping else 0.0

    def to_end(self, judges: bool, weights: Path | None, until: int | None) -> Outcome:
        """Train the remaining epochs, to the last one or only to `until`."""
        last = min(until or self.epochs, self.epochs)
        self._resume(last)
        for epoch in range(len(self.results) + 1, last + 1):
            if problem := self._epoch(epoch):
                return Outcome("diverged", epoch, seconds=time.perf_counter() - self.started, message=problem)
            self.report(self.results[-1])
            if epoch < self.epochs:
                self._keep(always=epoch == last)
        if last < self.epochs:
            return self._outcome("paused", _UNSEEN)
        lines = [self._skipped(), self._keep_weights(weights) if weights is not None else ""]
        tests = (self.data.test, self.data.rest) if judges else ()
        right = np.concatenate([_UNSEEN, *(self._correct(split) for split in tests if split is not None)])
        # Of whole epochs, unless there is none.
        whole = max(1, self.steps // (len(self.data.train) // self.run.recipe.batch_size))
        filters = self.filters.result(whole) if self.filters else ()
        own = self.data.config.split_seed == "each"
        return replace(
            self._outcome("ok", right),
            message="; ".join(filter(None, lines)),
            filters=filters,
            normalisation=(tuple(self.data.mean.tolist()), tuple(self.data.std.tolist())) if own else None,
            test_labels=test_labels(self.data) if judges and self.data.test_by_seed else "",
        )

    def _epoch(self, epoch: int) -> str:
        """Train and evaluate one epoch, or the rest of it. Returns what went wrong; "" if nothing did."""
        run, data = self.run, self.data
        before, steps = taken_before(run.recipe, len(data.train), epoch)
        zero = torch.zeros((), device=run.execution.device)
        under_way = self.unfinished or _Unfinished(self._states(), {"loss": zero, "wrong": zero.clone()})
        if self.filters and self.unfinished is None:
            self.filters.begin()
        self.unfinished = under_way
        orders, augmentation = self.streams["order"], self.streams["augmentation"]
        taken = epoch_steps(self.taking, epoch, orders, augmentation, skip=under_way.steps)
        for step_loss, wrong in taken:
            under_way.sums["loss"] += step_loss
            under_way.sums["wrong"] += wrong
            under_way.steps += 1
            self._pulse()
        # Copying to the host waits for the device, once per epoch.
        loss, train_error = (
            float(under_way.sums[name]) / count
            for name, count in (("loss", steps), ("wrong", steps * run.recipe.batch_size))
        )
        under_way.trained = time.perf_counter()
        # A loss that an extension adds has a scale of its own.
        most = EXPLODED * math.log(data.config.classes) if run.recipe.loss == "cross_entropy" else math.inf
        if problem := _problem(self.network, self.optimizer, loss, epoch, most):
            return problem
        val_error = error_of(self._correct(data.val))
        seconds, training = under_way.times()
        self.training_seconds += training
        rate = learning_rate(run.recipe, before + steps - 1, self.steps, len(data.train) // run.recipe.batch_size)
        self.results.append(EpochResult(epoch, rate, loss, train_error, val_error, seconds))
        self.unfinished = None
        if self.filters:  # only now: until here a checkpoint may be written, from which this is done again
            self.filters.end(counts=epoch == 1 or steps == len(data.train) // run.recipe.batch_size)
        return ""

    def _states(self) -> dict[str, Tensor]:
        return {name: generator.get_state() for name, generator in self.streams.items()}

    def _correct(self, split: Split) -> Right:
        if self.run.architecture.kind.module is not None:
            seed_all(self.run.seed, "block in evaluation", 0)
        return correct(self.judged, split, self.data, self.run.execution, self._pulse, self.classified)

    def _pulse(self) -> None:
        """To be called between steps: write a checkpoint if it is due; raise StoppedError if asked to stop."""
        goes_on = self.goes_on()
        self._keep(always=not goes_on)
        if not goes_on:
            raise StoppedError

    def _resume(self, last: int) -> None:
        """Restore the newest checkpoint, if there is one."""
        if self.keeping is None:
            return
        found, unusable = latest(self.keeping.folder, self.run.id, last)
        for line in unusable:
            self.keeping.tell(line)
        if found is None:
            if unusable:
                self.keeping.tell("begins anew")
            return
        restore(found.tensors, self.network, self.optimizer)
        if isinstance(self.optimizer, Scaled):
            self.optimizer.restore(found.tensors)
        if self.averaged is not None:
            self.averaged.restore(found.tensors)
        for name, generator in self.streams.items():
            generator.set_state(found.tensors[f"stream.{name}"])
        if self.filters and not self.filters.restore(found.tensors):
            self.filters = None
        self.results, self.training_seconds = list(found.results), found.training_seconds
        self.started, self.saved, self.saved_at = self.started - found.seconds, time.perf_counter(), found.position
        if found.steps:
            device = self.run.execution.device
            sums = {name: found.tensors[f"sum.{name}"].to(device) for name in ("loss", "wrong")}
            past = (found.steps, found.epoch_seconds, found.epoch_training)
            self.unfinished = _Unfinished(self._states(), sums, *past)
        for result in found.results:
            self.report(result)
        if found.position < (last, 0):
            self.keeping.tell(f"goes on after {place_in_run(*found.position)}")

    def _keep(self, *, always: bool) -> None:
        """Write a checkpoint, if it is due. If that fails, training continues."""
        now, under_way = time.perf_counter(), self.unfinished
        position = (len(self.results), under_way.steps if under_way else 0)
        if self.keeping is None or position == self.saved_at or not (always or now - self.saved >= self.wait):
            return
        streams = under_way.streams if under_way else self._states()
        others = {f"stream.{name}": state for name, state in streams.items()}
        others |= {f"sum.{name}": total for name, total in under_way.sums.items()} if under_way else {}
        others |= self.filters.state() if self.filters else {}
        others |= self.averaged.state if self.averaged else {}
        others |= self.optimizer.scaling if isinstance(self.optimizer, Scaled) else {}
        tensors = captured(self.network, self.optimizer, others, whole=self.run.recipe.optimizer != "sgd")
        times = under_way.times() if under_way else (0.0, 0.0)
        kept = Checkpoint(tuple(self.results), now - self.started, self.training_seconds, tensors, position[1], *times)
        try:
            save(self.keeping.folder, self.run.id, kept)
        except (OSError, SafetensorError) as error:
            self.keeping.tell(f"its checkpoint after {place_in_run(*position)} cannot be written ({error})")
        self.saved, self.saved_at = time.perf_counter(), position
        self.wait = self.keeping.wait(self.saved - now)

    def _skipped(self) -> str:
        """How many steps were skipped, in words; "" if none was."""
        skipped = int(self.optimizer.skipped) if isinstance(self.optimizer, Scaled) else 0
        return f"{skipped:,} of {self.steps:,} steps skipped: gradients too large for float16" if skipped else ""

    def _keep_weights(self, path: Path) -> str:
        """Write the trained network. Returns a message if it fails: the run's result is valid without the file."""
        try:
            save_weights(grouped_state(self.judged, self.run), path, {"run": self.run.id})
        except (OSError, SafetensorError) as error:
            message = f"its weights cannot be kept ({in_one_line(error)})"
            if self.keeping is not None:
                self.keeping.tell(message)
            return message
        return ""

    def _outcome(self, status: Status, right: Right) -> Outcome:
        recipe, result = self.run.recipe, self.results[-1]
        steps = sum(taken_before(recipe, len(self.data.train), result.epoch))
        return Outcome(
            status=status,
            epochs=result.epoch,
            train_error=result.train_error,
            val_error=result.val_error,
            test_error=error_of(right) if len(right) else None,
            loss=result.loss,
            seconds=time.perf_counter() - self.started,
            images_per_second=steps * recipe.batch_size / self.training_seconds,
            correct=np.packbits(right).tobytes(),
            test_images=len(right),
        )


def epoch_steps(
    taking: Steps, epoch: int, orders: torch.Generator, augmentation: torch.Generator, skip: int = 0
) -> Iterator[tuple[Tensor, ...]]:
    """The steps of an epoch, counted from 1: each `next` trains on one batch and returns its loss and errors.

    These are overwritten by the next step. The first `skip` steps are left out: they were taken before an interruption.
    """
    run, data = taking.run, taking.data
    recipe, device, images = run.recipe, run.execution.device, len(data.train)
    order = torch.randperm(images, generator=orders)
    crops = Crops(recipe, int(torch.randint(0, 2**62, (), generator=augmentation)))
    draws = draw(recipe, images, augmentation, device, boxes=data.train.images is not None)
    before, steps = taken_before(recipe, images, epoch)
    if data.train.images is not None:  # else the host reads them
        order = order.to(device)
    places = torch.split(order[: steps * recipe.batch_size], recipe.batch_size)
    taking.network.train()
    for number, (pixels, labels) in enumerate(fetched(data, data.train, places[skip:], crops), start=skip):
        own = draws.batch(number * recipe.batch_size, (number + 1) * recipe.batch_size)
        rate = learning_rate(recipe, before + number, recipe.steps_on(images), images // recipe.batch_size)
        yield taking.take(pixels, labels, own, rate, before + number)


def taken_before(recipe: Recipe, images: int, epoch: int) -> tuple[int, int]:
    """Number of steps before an epoch, counted from 1, and of those in it: fewer where `recipe.steps` ends within it.

    A remainder of images too few for a batch, and so for batch norm, is left out.
    """
    whole = images // recipe.batch_size
    before = (epoch - 1) * whole
    return before, min(whole, recipe.steps_on(images) - before)


def classify(
    network: nn.Module, data: Dataset, execution: Execution, pixels: Tensor, labels: Tensor
) -> tuple[Tensor, ...]:
    """Which images of a batch of bytes the network classifies correctly: booleans `(n,)` on the device."""
    with arithmetic(execution):
        scores = network(normalised(pixels, data.mean, data.std))
    return (scores.argmax(dim=1) == labels,)


def evaluation_size(execution: Execution, data: Dataset) -> int:
    """Images of one evaluation batch."""
    return max(1, min(EVALUATION_PIXELS[execution.device] // data.config.image_size**2, MOST_EVALUATED))


@torch.inference_mode()
def correct(
    network: nn.Module,
    split: Split,
    data: Dataset,
    execution: Execution,
    pulse: Callable[[], None] = lambda: None,
    classified: Callable[[Tensor, Tensor], tuple[Tensor, ...]] | None = None,
) -> Right:
    """Which images of a split the network classifies correctly: booleans `(n,)`, in the split's order.

    `pulse` is called after each batch. `classified` does what `classify` does with this network.
    """
    network.eval()
    right: list[Tensor] = []
    where = "cpu" if split.images is None else split.labels.device  # what is streamed the host reads
    places = torch.split(torch.arange(len(split), device=where), evaluation_size(execution, data))
    classified = classified or partial(classify, network, data, execution)
    for pixels, labels in fetched(data, split, places):
        right.append(classified(pixels, labels)[0].clone())  # the next batch may overwrite it
        pulse()
    return torch.cat(right).cpu().numpy()


def error_of(right: Right) -> float:
    """Fraction of wrong images: a ratio of two integers, so that 20 of 250 gives the float 0.08."""
    return int((~right).sum()) / len(right)


def _problem(network: nn.Module, optimizer: torch.optim.Optimizer, loss: float, epoch: int, most: float) -> str:
    """Why a run is ended as diverged after an epoch's steps; "" if it is not."""
    if not math.isfinite(loss):
        return f"the loss was not finite in epoch {epoch}"
    if loss > most:
        return f"the loss exploded to {loss:.3g} in epoch {epoch}"
    if not torch.stack([weight.isfinite().all() for weight in network.parameters()]).all():
        return f"weights were not finite after epoch {epoch}"
    if isinstance(optimizer, Scaled) and float(optimizer.scale) < LEAST_SCALE:
        return f"gradients were too large for float16 in epoch {epoch}, whatever the scale of the loss"
    return ""
