"""Train one run from its seed to its outcome."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name
from torch import Tensor, nn

from explorer.run import EpochResult, Outcome, Run
from explorer.training.augment import augmented, batches, draw, normalised
from explorer.training.build import build
from explorer.training.data import Dataset, Split, load
from explorer.training.schedule import learning_rate
from explorer.training.streams import stream
from explorer.training.weights import save_weights

EVALUATION_BATCH = 1024
Right = npt.NDArray[np.bool_]


def train(
    run: Run, report: Callable[[EpochResult], None], *, judges: bool = True, weights: Path | None = None
) -> Outcome:
    """Train a run, reporting every epoch, and judge it once on the test images after the last one.

    Where not `judges` the test images are left alone; `weights` says where to keep the trained network.

    A loss that is not finite ends the run as "diverged"; memory that does not suffice ends it as "out_of_memory".
    On the CPU the same run gives the same bits for the same number of threads, version of torch and type of processor;
    on CUDA deterministic kernels are asked for, and another GPU model may still differ in the last bits.
    """
    deterministic()
    data = load(run.data, run.execution.device)
    started = time.perf_counter()
    try:
        return _train(run, data, report, started, judges, weights)
    except (torch.OutOfMemoryError, MemoryError) as error:
        return _unfinished("out_of_memory", 0, started, str(error))
    except RuntimeError as error:
        if "DefaultCPUAllocator" not in str(error):  # torch has no type of its own for the CPU's
            raise
        return _unfinished("out_of_memory", 0, started, str(error))


def deterministic() -> None:
    """Ask torch for kernels that give the same bits every time, and for full float32 precision."""
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def _train(
    run: Run,
    data: Dataset,
    report: Callable[[EpochResult], None],
    started: float,
    judges: bool,
    weights: Path | None,
) -> Outcome:
    device, recipe = run.execution.device, run.recipe
    network = build(
        run.architecture, run.task, stream(run.seed, "initialisation"), zero_init_residual=recipe.zero_init_residual
    )
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    orders, augmentation = stream(run.seed, "order"), stream(run.seed, "augmentation")
    training_seconds = 0.0
    result: EpochResult | None = None
    for epoch in range(1, recipe.epochs + 1):
        begin = time.perf_counter()
        loss, train_error = _epoch(network, optimizer, run, data, epoch, orders, augmentation)
        training_seconds += time.perf_counter() - begin
        if not np.isfinite(loss):
            return _unfinished("diverged", epoch, started, f"the loss was not finite in epoch {epoch}")
        val_error = error_of(correct(network, data.val, data))
        rate = optimizer.param_groups[0]["lr"]
        result = EpochResult(epoch, rate, loss, train_error, val_error, time.perf_counter() - begin)
        report(result)
    assert result is not None
    if weights is not None:
        save_weights(network, weights)
    right = correct(network, data.test, data) if judges else np.zeros(0, dtype=np.bool_)
    steps = len(data.train) // recipe.batch_size
    return Outcome(
        status="ok",
        epochs=recipe.epochs,
        train_error=result.train_error,
        val_error=result.val_error,
        test_error=error_of(right) if judges else None,
        loss=result.loss,
        seconds=time.perf_counter() - started,
        images_per_second=recipe.epochs * steps * recipe.batch_size / training_seconds,
        correct=np.packbits(right).tobytes(),
        test_images=len(right),
    )


def _epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    run: Run,
    data: Dataset,
    epoch: int,
    orders: torch.Generator,
    augmentation: torch.Generator,
) -> tuple[float, float]:
    """One pass over the training images: mean loss and error. Waits for the device once, at the end."""
    recipe, device = run.recipe, run.execution.device
    images = len(data.train)
    order = torch.randperm(images, generator=orders).to(device)
    draws = draw(recipe, images, augmentation, device)
    steps = images // recipe.batch_size
    loss_sum, wrong = torch.zeros((), device=device), torch.zeros((), device=device)
    network.train()
    for step, (start, stop, chosen) in enumerate(batches(order, recipe.batch_size), start=(epoch - 1) * steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe, step, recipe.epochs * steps)
        batch = augmented(normalised(data.train.images[chosen], data.mean, data.std), draws.batch(start, stop), recipe)
        labels = data.train.labels[chosen]
        scores = network(batch)
        loss = F.cross_entropy(scores, labels, label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss_sum += loss.detach()
        wrong += (scores.detach().argmax(dim=1) != labels).sum()
    seen = steps * recipe.batch_size
    return float(loss_sum) / steps, float(wrong) / seen


@torch.inference_mode()
def correct(network: nn.Module, split: Split, data: Dataset) -> Right:
    """Which images of a split the network classifies correctly: booleans `(n,)`, in the split's order."""
    network.eval()
    right: list[Tensor] = []
    for start in range(0, len(split), EVALUATION_BATCH):
        images = normalised(split.images[start : start + EVALUATION_BATCH], data.mean, data.std)
        right.append(network(images).argmax(dim=1) == split.labels[start : start + EVALUATION_BATCH])
    return torch.cat(right).cpu().numpy()


def error_of(right: Right) -> float:
    """Fraction of images that are not right: a ratio of two counts, so that 20 of 250 is 0.08 to the last bit."""
    return int((~right).sum()) / len(right)


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
