"""Train one run from its seed to its outcome."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name
from safetensors import SafetensorError
from torch import Tensor, nn

from explorer.run import EpochResult, Execution, Outcome, Run, Status
from explorer.settings import Recipe
from explorer.training.augment import augmented, coloured, draw, normalised
from explorer.training.build import build
from explorer.training.checkpoint import Checkpoint, captured, latest, restore, save
from explorer.training.data import Crops, Dataset, Split, fetched, load
from explorer.training.device import is_out_of_memory
from explorer.training.execution import arithmetic, prepare
from explorer.training.forms import State, convert, reformed
from explorer.training.schedule import learning_rate
from explorer.training.streams import stream
from explorer.training.weights import save_weights

# Pixels of one evaluation batch: large enough to keep the device busy, small enough for its memory.
EVALUATION_PIXELS = {"cpu": 2**18, "cuda": 2**22}
MOST_EVALUATED = 1024
SAVED_EVERY = 30.0  # seconds: epochs shorter than that are not worth a checkpoint each
Right = npt.NDArray[np.bool_]
_UNSEEN: Right = np.zeros(0, dtype=np.bool_)


@dataclass(frozen=True)
class Keeping:
    """What is kept of a run on its way.

    folder  of its checkpoints
    told    is given a line for a person where a checkpoint is used, cannot be used or cannot be written
    every   seconds between two checkpoints; one is made after an epoch, and where the run pauses
    """

    folder: Path
    told: Callable[[str], None]
    every: float = SAVED_EVERY


def train(
    run: Run,
    report: Callable[[EpochResult], None],
    *,
    judges: bool = True,
    weights: Path | None = None,
    loaders: int = 0,
    keeping: Keeping | None = None,
    until: int | None = None,
) -> Outcome:
    """Train a run, reporting every epoch, and judge it once on the test images after the last one.

    Where not `judges` the test images are left alone; `weights` says where to keep the trained network; `loaders`
    threads read streamed images, 0 for one per core. With `keeping` the run goes on from its newest checkpoint, whose
    epochs are reported again, and ends with the bits it would have had without a break. `until` an earlier epoch than
    the last it is trained and then "paused".

    A loss that is not finite ends the run as "diverged"; memory that does not suffice ends it as "out_of_memory".
    On the CPU the same run gives the same bits for the same number of threads, version of torch and type of processor;
    on CUDA deterministic kernels are asked for, and another GPU model may still differ in the last bits.
    """
    deterministic()
    started = time.perf_counter()
    try:
        data = load(run.data, run.execution.device, loaders)
        if data.digest != run.data_hash:
            raise ValueError(
                f"the images have changed since the study's start: {run.data_hash} then, now {data.digest}"
            )
        started = time.perf_counter()
        return _Training(run, data, report, started, keeping).to_end(judges, weights, until)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return _unfinished("out_of_memory", 0, started, _without_memory(error))


def deterministic() -> None:
    """Ask torch for kernels that give the same bits every time, and for full float32 precision."""
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined] # or maps are written twice
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def ready(run: Run) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A run's network, initialised by its seed and prepared for its device, and its optimiser."""
    recipe, task = run.recipe, run.task
    network = build(
        run.architecture, task, stream(run.seed, "initialisation"), zero_init_residual=recipe.zero_init_residual
    )
    if run.execution.form != "grouped":
        network = reformed(network, run.architecture, task, run.execution.form)
    network = prepare(network, run.execution, task)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    return network, optimizer


def grouped_state(network: nn.Module, run: Run) -> State:
    """A run's weights in the grouped form, which all other programs know."""
    state, form = network.state_dict(), run.execution.form
    return state if form == "grouped" else convert(state, run.architecture, run.task, form, "grouped")


def step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    execution: Execution,
) -> tuple[Tensor, Tensor]:
    """One step of the optimiser on a prepared batch: its mean loss and number of errors, still on the device."""
    optimizer.zero_grad(set_to_none=True)
    loss_sum, wrong = torch.zeros((), device=images.device), torch.zeros((), device=images.device)
    for part, part_labels in zip(
        parts(images, execution.micro_batch), parts(labels, execution.micro_batch), strict=True
    ):
        with arithmetic(execution):
            scores = network(part)
        loss = F.cross_entropy(scores.float(), part_labels, label_smoothing=recipe.label_smoothing)
        loss = loss * (len(part) / len(images))
        loss.backward()  # type: ignore[no-untyped-call]
        loss_sum += loss.detach()
        wrong += (scores.detach().argmax(dim=1) != part_labels).sum()
    optimizer.step()
    return loss_sum, wrong


class _Training:
    """A run on its way: what the next epoch depends on, and what the epochs before it gave."""

    def __init__(
        self,
        run: Run,
        data: Dataset,
        report: Callable[[EpochResult], None],
        started: float,
        keeping: Keeping | None,
    ) -> None:
        self.run, self.data, self.report, self.started, self.keeping = run, data, report, started, keeping
        self.network, self.optimizer = ready(run)
        self.streams = {"order": stream(run.seed, "order"), "augmentation": stream(run.seed, "augmentation")}
        self.results: list[EpochResult] = []
        self.training_seconds = 0.0
        self.saved = started

    def to_end(self, judges: bool, weights: Path | None, until: int | None) -> Outcome:
        """Train what is left, to the last epoch or `until` one before it."""
        recipe, run = self.run.recipe, self.run
        last = min(until or recipe.epochs, recipe.epochs)
        self._resume(last)
        for epoch in range(len(self.results) + 1, last + 1):
            begin = time.perf_counter()
            loss, train_error = _epoch(self.network, self.optimizer, run, self.data, epoch, self.streams)
            self.training_seconds += time.perf_counter() - begin
            if not np.isfinite(loss):
                return _unfinished("diverged", epoch, self.started, f"the loss was not finite in epoch {epoch}")
            val_error = error_of(correct(self.network, self.data.val, self.data, run.execution))
            rate = self.optimizer.param_groups[0]["lr"]
            self.results.append(EpochResult(epoch, rate, loss, train_error, val_error, time.perf_counter() - begin))
            self.report(self.results[-1])
            if epoch < recipe.epochs:
                self._keep(always=epoch == last)
        if last < recipe.epochs:
            return self._outcome("paused", _UNSEEN)
        if weights is not None:
            save_weights(grouped_state(self.network, run), weights)
        if not judges:
            return self._outcome("ok", _UNSEEN)
        return self._outcome("ok", correct(self.network, self.data.test, self.data, run.execution))

    def _resume(self, last: int) -> None:
        """Go on from the newest checkpoint, if there is one."""
        if self.keeping is None:
            return
        found, unusable = latest(self.keeping.folder, self.run.id, last)
        for line in unusable:
            self.keeping.told(line)
        if found is None:
            if unusable:
                self.keeping.told("begins anew")
            return
        restore(found.tensors, self.network, self.optimizer, self.streams)
        self.results, self.training_seconds = list(found.results), found.training_seconds
        self.started, self.saved = self.started - found.seconds, time.perf_counter()
        for result in found.results:
            self.report(result)
        if found.epoch < last:
            self.keeping.told(f"goes on after epoch {found.epoch}")

    def _keep(self, *, always: bool) -> None:
        """Write a checkpoint, if it is time. A run that cannot be kept is trained all the same."""
        now = time.perf_counter()
        if self.keeping is None or not (always or now - self.saved >= self.keeping.every):
            return
        tensors = captured(self.network, self.optimizer, self.streams)
        kept = Checkpoint(tuple(self.results), now - self.started, self.training_seconds, tensors)
        try:
            save(self.keeping.folder, self.run.id, kept)
        except (OSError, SafetensorError) as error:
            self.keeping.told(f"its checkpoint after epoch {kept.epoch} cannot be written ({error})")
        self.saved = time.perf_counter()

    def _outcome(self, status: Status, right: Right) -> Outcome:
        recipe, result = self.run.recipe, self.results[-1]
        steps = len(self.data.train) // recipe.batch_size
        return Outcome(
            status=status,
            epochs=result.epoch,
            train_error=result.train_error,
            val_error=result.val_error,
            test_error=error_of(right) if len(right) else None,
            loss=result.loss,
            seconds=time.perf_counter() - self.started,
            images_per_second=result.epoch * steps * recipe.batch_size / self.training_seconds,
            correct=np.packbits(right).tobytes(),
            test_images=len(right),
        )


def _epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    run: Run,
    data: Dataset,
    epoch: int,
    streams: Mapping[str, torch.Generator],
) -> tuple[float, float]:
    """One pass over the training images: mean loss and error. Waits for the device once, at the end."""
    steps, batch_size = len(data.train) // run.recipe.batch_size, run.recipe.batch_size
    loss_sum, wrong = (torch.zeros((), device=run.execution.device) for _ in range(2))
    for loss, errors in epoch_steps(network, optimizer, run, data, epoch, streams["order"], streams["augmentation"]):
        loss_sum += loss
        wrong += errors
    return float(loss_sum) / steps, float(wrong) / (steps * batch_size)


def epoch_steps(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    run: Run,
    data: Dataset,
    epoch: int,
    orders: torch.Generator,
    augmentation: torch.Generator,
) -> Iterator[tuple[Tensor, Tensor]]:
    """The steps of an epoch, counted from 1: each `next` trains on one batch and gives its loss and errors."""
    recipe, execution = run.recipe, run.execution
    images = len(data.train)
    order = torch.randperm(images, generator=orders)
    crops = Crops(recipe, int(torch.randint(0, 2**62, (), generator=augmentation)))
    draws = draw(recipe, images, augmentation, execution.device, boxes=data.train.images is not None)
    # A last part that would starve batch norm is left out.
    steps = images // recipe.batch_size
    places = parts(order[: steps * recipe.batch_size], recipe.batch_size)
    if data.train.images is not None:
        places = tuple(chosen.to(execution.device, non_blocking=True) for chosen in places)
    network.train()
    for number, (pixels, labels) in enumerate(fetched(data, data.train, places, crops)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe, (epoch - 1) * steps + number, recipe.epochs * steps)
        own = draws.batch(number * recipe.batch_size, (number + 1) * recipe.batch_size)
        floats = coloured(pixels.float(), own, recipe, data.axes)
        batch = augmented(normalised(floats, data.mean, data.std), own, recipe)
        yield step(network, optimizer, batch, labels, recipe, execution)


@torch.inference_mode()
def correct(network: nn.Module, split: Split, data: Dataset, execution: Execution) -> Right:
    """Which images of a split the network classifies correctly: booleans `(n,)`, in the split's order."""
    network.eval()
    right: list[Tensor] = []
    size = EVALUATION_PIXELS[execution.device] // data.config.image_size**2
    places = parts(torch.arange(len(split)), max(1, min(size, MOST_EVALUATED)))
    for pixels, labels in fetched(data, split, places):
        with arithmetic(execution):
            scores = network(normalised(pixels, data.mean, data.std))
        right.append(scores.argmax(dim=1) == labels)
    return torch.cat(right).cpu().numpy()


def parts(whole: Tensor, size: int) -> tuple[Tensor, ...]:
    """A tensor in parts of so many rows, the last one possibly smaller."""
    return torch.split(whole, size)


def error_of(right: Right) -> float:
    """Fraction of images that are not right: a ratio of two counts, so that 20 of 250 is 0.08 to the last bit."""
    return int((~right).sum()) / len(right)


def _without_memory(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _unfinished(status: str, epochs: int, started: float, message: str) -> Outcome:
    return Outcome(
        status=status,  # type: ignore[arg-type]
        epochs=epochs,
        train_error=None,
        val_error=None,
        test_error=None,
        loss=None,
        seconds=time.perf_counter() - started,
        images_per_second=None,
        message=message,
    )
