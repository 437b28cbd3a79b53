"""Measure the latency of a network: the time of one forward pass."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import nn

from explorer.design import Architecture, Task, short_name
from explorer.host.cache import cache_folder
from explorer.host.errors import InputError
from explorer.host.machine import cpu_count
from explorer.study.run import Execution
from explorer.training.device import device_name, timed
from explorer.training.network.build import build
from explorer.training.network.prepare import arithmetic, prepare
from explorer.training.results import Latency

WARM_UP = 5
PASSES = 20  # forward passes per turn


def measure_latency(
    architectures: list[Architecture],
    task: Task,
    *,
    device: str,
    precision: str,
    batch_size: int,
    turns: int,
    seed: int,
    wait: float = 0.0,
    runtime: Literal["torch", "onnx"] = "torch",
) -> list[Latency]:
    """Time of a forward pass in evaluation mode, all candidates in turns, with the device locked for this measurement.

    With runtime onnx each is exported and executed by ONNX Runtime, which needs the processor and float32. Returns
    median and quartiles over all passes. Raises InputError if another measurement holds the device for more than `wait`
    seconds, and where packages for ONNX are missing.
    """
    plain = plain_execution(device, precision, batch_size)
    with exclusive(device, wait), torch.inference_mode():
        torch.set_num_threads(plain.threads)
        images = torch.randn(batch_size, task.channels, task.image_size, task.image_size, device=device)
        images = images.contiguous(memory_format=torch.channels_last)
        ways = [_way(runtime, architecture, task, plain, images, seed) for architecture in architectures]
        times: list[list[float]] = [[] for _ in architectures]
        for _ in range(turns):
            for way, seconds in zip(ways, times, strict=True):
                seconds.extend([timed(way, device) for _ in range(WARM_UP + PASSES)][WARM_UP:])
    found = []
    for architecture, seconds in zip(architectures, times, strict=True):
        lower, middle, upper = (float(value) for value in np.percentile(seconds, [25, 50, 75]))
        name = short_name(architecture)
        found.append(Latency(name, batch_size, precision, plain.device_name, lower, middle, upper, len(seconds)))
    return found


def plain_execution(device: str, precision: str, batch_size: int) -> Execution:
    """How a network is executed where it alone has the device: on all cores, in the usual forms."""
    return Execution(
        device=device,
        device_name=device_name(device),
        form="grouped",
        layout="channels_last",
        precision=precision,
        threads=cpu_count() if device == "cpu" else 1,
        micro_batch=batch_size,
    )


@contextmanager
def exclusive(device: str, wait: float = 0.0) -> Iterator[None]:
    """Lock a device of this machine for one measurement, waiting up to `wait` seconds for others to end.

    Raises InputError if another process still holds it then.
    """
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / f"measuring-{device}.lock", timeout=wait):
            yield
    except Timeout:
        raise InputError(f"device={device}: another measurement is running on it; wait for its end") from None


def network_of(architecture: Architecture, task: Task, execution: Execution, seed: int) -> nn.Module:
    """A network with its first weights on its device, in evaluation mode."""
    network = build(architecture, task, torch.Generator().manual_seed(seed)).eval()
    return prepare(network, execution, task)


def _way(
    runtime: str, architecture: Architecture, task: Task, execution: Execution, images: torch.Tensor, seed: int
) -> Callable[[], object]:
    """A function that makes a forward pass of a network on the images."""
    if runtime == "onnx":
        return _in_onnx_runtime(architecture, task, execution, images, seed)
    network = network_of(architecture, task, execution, seed)

    def forward() -> None:
        with arithmetic(execution):
            network(images)

    return forward


def _in_onnx_runtime(
    architecture: Architecture, task: Task, execution: Execution, images: torch.Tensor, seed: int
) -> Callable[[], object]:
    assert (execution.device, execution.precision) == ("cpu", "float32")
    from explorer.training.network.onnx_file import refuse_without_onnx, write_onnx

    refuse_without_onnx()
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder, torch.inference_mode(mode=False):
        path = Path(folder) / "model.onnx"
        write_onnx(build(architecture, task, torch.Generator().manual_seed(seed)), task, path, seed)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = execution.threads
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    pixels = images.contiguous().numpy()
    return lambda: session.run(None, {"images": pixels})
