"""Measure the memory that a network takes at its peak, in training or in a forward pass."""

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from explorer.host.errors import InputError
from explorer.host.machine import give_freed_memory_back, keep_freed_memory, memory_in_use, most_memory
from explorer.study.run import Run
from explorer.training.device import device_memory, finish, is_out_of_memory, release_memory
from explorer.training.forms_timing import warmed_up
from explorer.training.latency import exclusive, network_of
from explorer.training.network.prepare import arithmetic

MIB = 2**20


def begin_peak(device: str) -> int | None:
    """Release unused memory and begin to record the peak; the bytes in use now, None if the system reports no peak."""
    gc.collect()
    release_memory()
    give_freed_memory_back()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_reserved()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # reset Linux's record of the peak
    except OSError:
        return None
    return memory_in_use()


def peak_since(device: str, before: int | None) -> int | None:
    """The bytes that have been taken at most since `begin_peak` gave those in use `before`; None if unknown.

    On a GPU what torch takes of its memory, on a processor what this process takes.
    """
    finish(device)
    peak = torch.cuda.max_memory_reserved() if device == "cuda" else most_memory()
    return None if peak is None or before is None else max(0, peak - before)


def peak_memory(
    runs: Sequence[Run], work: Literal["step", "pass"], batch_size: int, *, turns: int, wait: float = 0.0
) -> tuple[tuple[float, float, float], ...]:
    """Quartiles over several turns of the MiB that each run takes at its peak, with the device locked meanwhile.

    work        step: weights, optimiser and some training steps; pass: weights and a forward pass in evaluation mode
    batch_size  images of the pass

    A run that does not fit counts as taking all of the memory that is there. Raises InputError where the system reports
    no peak, and if another measurement holds the device for more than `wait` seconds.
    """
    makers: dict[str, Callable[[Run], None]] = {"step": _steps, "pass": lambda run: _pass(run, batch_size)}
    found: list[list[float]] = [[] for _ in runs]
    with exclusive(runs[0].execution.device, wait):
        torch.set_num_threads(runs[0].execution.threads)
        makers[work](runs[0])  # what torch's libraries take once is not a network's
        for _ in range(turns):
            for run, own in zip(runs, found, strict=True):
                own.append(_peak(run, makers[work]) / MIB)
    keep_freed_memory()
    quartiles = (np.percentile(own, [25, 50, 75]).tolist() for own in found)
    return tuple((lower, middle, upper) for lower, middle, upper in quartiles)


def _peak(run: Run, work: Callable[[Run], None]) -> int:
    device = run.execution.device
    before = begin_peak(device)
    try:
        work(run)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return device_memory(device)
    peak = peak_since(device, before)
    if peak is None:
        raise InputError("budget.memory: this system does not report the peak of a process; leave it out")
    return peak


def _steps(run: Run) -> None:
    warmed_up(run)


def _pass(run: Run, batch_size: int) -> None:
    task, execution = run.task, run.execution
    network = network_of(run.architecture, task, execution, 0)
    images = torch.randn(batch_size, task.channels, task.image_size, task.image_size, device=execution.device)
    with torch.inference_mode(), arithmetic(execution):
        network(images.contiguous(memory_format=torch.channels_last))
