"""Where a run can go on after an interruption: weights, momentum, random states and results after an epoch.

A checkpoint is one safetensors file, written whole and made durable; the last two of a run are kept. Each holds the
run's id and a check over everything in it, so one that is cut short, damaged or of another run is never used.
"""

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from explorer.run import EpochResult

KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """A run after an epoch.

    results           of all epochs until then
    seconds           wall time of the run until then, interruptions left out
    training_seconds  of these, those spent training
    tensors           weights and running statistics, momentum and the states of the random streams
    """

    results: tuple[EpochResult, ...]
    seconds: float
    training_seconds: float
    tensors: dict[str, Tensor]

    @property
    def epoch(self) -> int:
        """The last finished epoch."""
        return self.results[-1].epoch


def captured(
    network: nn.Module, optimizer: torch.optim.Optimizer, streams: Mapping[str, torch.Generator]
) -> dict[str, Tensor]:
    """Copies on the CPU of everything that the next epoch depends on."""
    state = {f"network.{key}": tensor for key, tensor in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        momentum = optimizer.state[parameter].get("momentum_buffer")
        if momentum is not None:
            state[f"momentum.{name}"] = momentum
    state |= {f"stream.{name}": generator.get_state() for name, generator in streams.items()}
    return {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}


def restore(
    tensors: Mapping[str, Tensor],
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    streams: Mapping[str, torch.Generator],
) -> None:
    """Put a network, its optimiser and the random streams back to where they were captured."""
    prefix = "network."
    network.load_state_dict({key[len(prefix) :]: tensor for key, tensor in tensors.items() if key.startswith(prefix)})
    for name, parameter in network.named_parameters():
        momentum = tensors.get(f"momentum.{name}")
        if momentum is not None:
            # In the memory order of the weight, as the optimiser itself would have made it.
            optimizer.state[parameter]["momentum_buffer"] = torch.empty_like(parameter.detach()).copy_(momentum)
    for name, generator in streams.items():
        generator.set_state(tensors[f"stream.{name}"])


def save(folder: Path, run_id: str, checkpoint: Checkpoint) -> None:
    """Write a run's checkpoint into its folder and drop all but the last two."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "run": run_id,
        "results": [asdict(result) for result in checkpoint.results],
        "seconds": checkpoint.seconds,
        "training_seconds": checkpoint.training_seconds,
    }
    text = json.dumps(about, sort_keys=True)
    path = folder / f"{checkpoint.epoch:06d}.safetensors"
    partial = folder / f".{path.name}.partial"
    try:
        save_file(checkpoint.tensors, partial, {"about": text, "check": _check(text, checkpoint.tensors)})
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    for old in _files(folder)[KEPT:]:
        old.unlink()


def latest(folder: Path, run_id: str, most: int) -> tuple[Checkpoint | None, list[str]]:
    """A run's newest whole checkpoint of at most so many epochs, None where there is none.

    Beside it, one line for each newer one that cannot be used.
    """
    unusable = []
    for path in _files(folder):
        try:
            found = _read(path, run_id)
        except (SafetensorError, OSError, ValueError, TypeError, KeyError, IndexError) as error:
            reason = " ".join(str(error).split())
            unusable.append(f"{path.name} cannot be used ({reason[:200] or type(error).__name__})")
            continue
        if found.epoch <= most:
            return found, unusable
    return None, unusable


def _files(folder: Path) -> list[Path]:
    """The newest first."""
    return sorted(folder.glob("*.safetensors"), reverse=True)


def _read(path: Path, run_id: str) -> Checkpoint:
    with safe_open(path, framework="pt") as file:
        notes = file.metadata() or {}
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - the file is no mapping
    text = notes.get("about", "")
    if notes.get("check") != _check(text, tensors):
        raise ValueError("its content does not match its check")
    about = json.loads(text)
    if about["run"] != run_id:
        raise ValueError(f"it is of run {about['run']}")
    results = tuple(EpochResult(**result) for result in about["results"])
    return Checkpoint(results, about["seconds"], about["training_seconds"], tensors)


def _check(text: str, tensors: Mapping[str, Tensor]) -> str:
    value = zlib.crc32(text.encode())
    for key in sorted(tensors):
        value = zlib.crc32(tensors[key].reshape(-1).view(torch.uint8).numpy().data, zlib.crc32(key.encode(), value))
    return f"{value:08x}"
