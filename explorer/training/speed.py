"""`explorer benchmark`: this project's training loop compared with a tutorial's loop and with the device's limits."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from explorer.design import Architecture, Task, cost, short_name
from explorer.design.grouped import grouped_convs
from explorer.host.machine import cpu_count, keep_freed_memory
from explorer.study.memory import training_bytes
from explorer.study.run import Execution, Run
from explorer.study.settings import DataConfig, Recipe
from explorer.training.averaging import Averaged
from explorer.training.device import (
    device_name,
    finish,
    has_bfloat16,
    has_fast_bfloat16,
    has_float16,
    release_memory,
    timed,
)
from explorer.training.forms_timing import fastest, training_speeds
from explorer.training.images.split import Dataset, Split
from explorer.training.loop import Steps, deterministic, epoch_steps, ready
from explorer.training.network import kernels
from explorer.training.network.build import build
from explorer.training.peak_memory import begin_peak, peak_since
from explorer.training.reference import reference_steps, torch_defaults
from explorer.training.results import Limits, TrainingSpeed
from explorer.training.speeds import is_faster
from explorer.training.streams import stream

IMAGES = 20_000  # random images: content does not affect time; an epoch must last longer than a measurement
SOME = 500  # images from which colour statistics are computed
# Steps; more for ours, whose memory must be laid out again after the others have run, and whose kernels are recorded.
WARM_UP = {"ours": 4, "reference": 2, "channels_last": 2}
# Accesses to each value that a convolution gives, in one step: written; read twice and written by batch norm; read and
# written by ReLU; read by the next convolution. Backward: read twice and written for ReLU, read four times and written
# for batch norm; read twice for the convolution's two products, its input read and that one's gradient written. A fused
# batch norm applies ReLU in the passes that it takes anyway.
ACCESSES = {"torch": 19, "fused": 14}
Loop = Iterator[object]


@dataclass(frozen=True)
class Conditions:
    """Conditions that all loops of a benchmark share."""

    task: Task
    batch_size: int
    steps: int
    turns: int
    device: str
    seed: int


def measure_limits(device: str) -> Limits:
    """Operations per second of a large matrix product in each precision, and bytes per second of a large copy."""
    side = 8192 if device == "cuda" else 2048
    peaks = {}
    kinds = [torch.float32, torch.bfloat16, *([torch.float16] if has_float16(device) else [])]
    for kind in kinds:
        matrix = torch.randn(side, side, device=device).to(kind)
        seconds = _best(partial(torch.matmul, matrix, matrix), device)
        peaks[kind] = 2 * side**3 / seconds
    source = torch.zeros(2**28 if device == "cuda" else 2**26)  # 1 GiB, or 256 MiB: more than any cache
    source = source.to(device)
    target = torch.empty_like(source)
    seconds = _best(lambda: target.copy_(source), device)
    bandwidth = 2 * source.numel() * source.element_size() / seconds
    found = peaks[torch.float32], peaks[torch.bfloat16], bandwidth, peaks.get(torch.float16, 0.0)
    return Limits(device_name(device), cpu_count(), *found)


def measure_training(
    architectures: list[Architecture], conditions: Conditions, tell: Callable[[str], None]
) -> list[TrainingSpeed]:
    """Images per second of each network by three loops in turns: ours, the reference, the reference with channels last.

    All run in this process: the reference with torch's own settings, ours with those of a study's worker, by its steps.
    """
    images, labels = _random_images(conditions)
    found = []
    for architecture in architectures:
        name = short_name(architecture)
        tell(f"{name}: choosing precision and forms")
        execution, seconds = _chosen(architecture, conditions)
        run = _run(architecture, conditions, execution)
        makers: dict[str, Callable[[], Loop]] = {
            "ours": partial(_ours, run, images, labels),
            "reference": partial(_theirs, architecture, conditions, images, labels, torch.contiguous_format),
            "channels_last": partial(_theirs, architecture, conditions, images, labels, torch.channels_last),
        }
        loops = {key: make() for key, make in makers.items()}
        speeds: dict[str, list[float]] = {key: [] for key in loops}
        for turn in range(conditions.turns):
            for key, loop in loops.items():
                tell(f"{name}: {key.replace('_', ' ')}, turn {turn + 1} of {conditions.turns}")
                speeds[key].append(_speed(loop, conditions, key))
        del loops, loop
        tell(f"{name}: memory of each loop alone")
        memory = {key: _peak_memory(make, conditions, key) for key, make in makers.items()}
        own = cost(architecture, conditions.task)
        found.append(
            TrainingSpeed(
                name=name,
                batch_size=conditions.batch_size,
                execution=execution,
                native={shape.key: shape.groups for shape in grouped_convs(architecture, conditions.task)},
                macs=own.macs,
                activations=own.activations,
                accesses=ACCESSES[execution.norms],
                ours=median(speeds["ours"]),
                reference=median(speeds["reference"]),
                channels_last=median(speeds["channels_last"]),
                memory=memory["ours"],
                reference_memory=memory["reference"],
                channels_last_memory=memory["channels_last"],
                choosing=seconds,
            )
        )
    return found


def at_best_batch(architecture: Architecture, conditions: Conditions, found: TrainingSpeed) -> TrainingSpeed:
    """A network's speed at the batch size at which our loop is fastest; the reference's is that at its own batch."""
    images, labels = _random_images(conditions)
    speeds = {conditions.batch_size: found.ours}
    for batch in (128, 256, 512, 1024):
        own = replace(conditions, batch_size=batch)
        if batch == conditions.batch_size:
            continue
        with contextlib.suppress(torch.OutOfMemoryError):
            run = _run(architecture, own, _chosen(architecture, own)[0])
            speeds[batch] = _speed(_ours(run, images, labels), own, "ours")
        release_memory()
    best = max(speeds, key=lambda batch: speeds[batch])
    return replace(found, batch_size=best, ours=speeds[best])


def _run(architecture: Architecture, conditions: Conditions, execution: Execution) -> Run:
    return random_run(architecture, conditions.task, conditions.batch_size, execution, conditions.seed)


def _chosen(architecture: Architecture, conditions: Conditions) -> tuple[Execution, float]:
    """The execution that a study of many epochs would choose, and the seconds that choosing took."""
    _as_worker(conditions.device)
    has_kernels = kernels.is_available(conditions.device)
    execution = Execution(
        device=conditions.device,
        device_name=device_name(conditions.device),
        form="grouped",
        layout="channels_last",
        precision="bfloat16" if has_fast_bfloat16(conditions.device) else "float32",
        threads=cpu_count() if conditions.device == "cpu" else 1,
        micro_batch=conditions.batch_size,
        norms="fused" if has_kernels and conditions.device == "cpu" else "torch",
    )
    began = time.perf_counter()
    others: list[dict[str, Any]] = []
    if has_float16(conditions.device) and not has_fast_bfloat16(conditions.device):
        others.append({"precision": "float16"})
    elif has_bfloat16(conditions.device):
        others.append({"precision": "float32" if execution.precision == "bfloat16" else "bfloat16"})
    others += [{"norms": "torch" if execution.norms == "fused" else "fused"}] if has_kernels else []
    others += [{"layout": "contiguous", "norms": "torch"}] if conditions.device == "cuda" else []
    for other in others:
        candidates = [execution, replace(execution, **other)]
        (ours, theirs), _ = training_speeds([_run(architecture, conditions, one) for one in candidates], 0.5, 30.0)
        execution = candidates[is_faster(theirs, ours)]
    shapes = grouped_convs(architecture, conditions.task)
    choices = fastest(dict.fromkeys(shapes, 10**6), execution).convolutions
    return replace(execution, convolutions=choices), time.perf_counter() - began


def _speed(loop: Loop, conditions: Conditions, key: str) -> float:
    """Images per second over the benchmark's steps of a loop."""
    _set_up(key, conditions.device)
    for _ in range(WARM_UP[key]):
        next(loop)
    finish(conditions.device)
    began = time.perf_counter()
    for _ in range(conditions.steps):
        next(loop)
    finish(conditions.device)
    return conditions.steps * conditions.batch_size / (time.perf_counter() - began)


def _set_up(key: str, device: str) -> None:
    """Set up the process for a loop."""
    if key == "ours":
        _as_worker(device)
    else:
        torch_defaults()


def _as_worker(device: str) -> None:
    """Set up the process as a study's worker does."""
    keep_freed_memory()
    deterministic()
    torch.set_num_threads(cpu_count() if device == "cpu" else 1)


def _ours(run: Run, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Loop:
    """Our endless training steps, as `train` takes them."""
    data, device = _dataset(run.data, images, labels, run.execution.device), run.execution.device
    network, optimizer = ready(run)
    orders, augmentation = stream(run.seed, "order"), stream(run.seed, "augmentation")
    assert data.mean.device.type == device
    averaged = Averaged(network, run.recipe.ema) if run.recipe.ema else None
    taking = Steps(run, network, optimizer, data, averaged=averaged)
    while True:
        yield from epoch_steps(taking, 1, orders, augmentation)


def _theirs(
    architecture: Architecture,
    conditions: Conditions,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    layout: torch.memory_format,
) -> Loop:
    network = build(architecture, conditions.task, torch.Generator().manual_seed(conditions.seed))
    return reference_steps(
        network, images, labels, batch_size=conditions.batch_size, device=conditions.device, layout=layout
    )


def _dataset(config: DataConfig, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], device: str) -> Dataset:
    split = Split(torch.from_numpy(labels), torch.arange(len(labels)), torch.from_numpy(images)).to(device)
    some = images[:SOME]  # statistics of a part suffice; all images as floats would need eight times the memory
    mean = torch.tensor(some.mean(axis=(0, 2, 3)), dtype=torch.float32, device=device)
    std = torch.tensor(some.std(axis=(0, 2, 3)), dtype=torch.float32, device=device)
    return Dataset(config, split, split, split, mean, std, torch.diag(std), digest="")


def training_needs(architecture: Architecture, task: Task, batch_size: int) -> int:
    """Estimated bytes of memory for measuring a network's training, including the images."""
    return IMAGES * task.channels * task.image_size**2 + training_bytes(cost(architecture, task), batch_size, 4)


def _random_images(conditions: Conditions) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    rng, task = np.random.default_rng(conditions.seed), conditions.task
    images = rng.integers(0, 256, (IMAGES, task.channels, task.image_size, task.image_size), dtype=np.uint8)
    return images, rng.integers(0, task.classes, IMAGES)


def random_steps(run: Run) -> Loop:
    """Endless training steps of a run on random images, as `train` takes them, which lie on the device."""
    config = run.data
    task = replace(run.task, channels=config.channels)
    conditions = Conditions(task, run.recipe.batch_size, 1, 1, run.execution.device, run.seed)
    return _ours(run, *_random_images(conditions))


def random_run(architecture: Architecture, task: Task, batch_size: int, execution: Execution, seed: int = 0) -> Run:
    """A run on random images, with the paper's CIFAR augmentation."""
    recipe = Recipe(
        epochs=100,  # in so many its steps are launched as a graph, where a device has that
        batch_size=batch_size,
        learning_rate=0.01,
        schedule="one_cycle",
        warmup=0.2,
        milestones=(),
        momentum=0.9,
        nesterov=True,
        weight_decay=5e-4,
        label_smoothing=0.0,
        shift=4,
        flip=True,
        zero_init_residual=False,
    )
    data = DataConfig(
        "random", "random images", 1 if task.channels == 1 else 3, task.image_size, task.classes, IMAGES, 1, 1, 0
    )
    return Run(architecture, task, recipe, data, "", seed, execution)


def _peak_memory(make: Callable[[], Loop], conditions: Conditions, key: str) -> int | None:
    """Peak bytes of memory of a loop's first steps beside nothing else; None if the system does not report it.

    On a GPU what torch takes of its memory, on a CPU what this process takes, without the reference's loader processes.
    """
    before = begin_peak(conditions.device)
    _set_up(key, conditions.device)
    loop = make()
    for _ in range(WARM_UP[key]):
        next(loop)
    return peak_since(conditions.device, before)


def _best(run: Callable[[], object], device: str) -> float:
    """The shortest of several times: a limit is what the device can do when undisturbed."""
    return min(timed(run, device) for _ in range(8))
