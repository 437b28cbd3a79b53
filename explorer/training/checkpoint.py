"""Checkpoints, from which a run continues after an interruption: weights, momentum, random states and results.

A checkpoint can be written after any step. It is one safetensors file, written atomically and made durable; the last
two of a run are kept. Each holds the run's id and a checksum, so a damaged, incomplete or foreign one is never used.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from explorer.host.files import replaced
from explorer.host.formatting import in_one_line
from explorer.study.run import EpochResult
from explorer.training.optimizer_state import LAYOUT, packed, unpack
from explorer.training.scaling import ScaledOther

KEPT = 2
REST = 50.0  # seconds until the next checkpoint, as a multiple of those that writing one took
_NUMBERS = ("seconds", "training_seconds", "steps", "epoch_seconds", "epoch_training")


@dataclass(frozen=True)
class Checkpointing:
    """How checkpoints of a run are written.

    folder  of its checkpoints
    tell    receives a message for the user if a checkpoint is used, cannot be used or cannot be written
    every   seconds between two checkpoints, or more so that writing takes at most 2 % of the time; 0: one after each
            step. One is also written when the run pauses or is stopped
    """

    folder: Path
    tell: Callable[[str], None]
    every: float

    def wait(self, took: float = 0.0) -> float:
        """Seconds until the next checkpoint, after one that took `took` seconds to write."""
        return max(self.every, REST * took) if self.every else 0.0


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after some steps.

    results           of all finished epochs
    seconds           wall time of the run so far, without interruptions
    training_seconds  the part of these spent on training in finished epochs
    tensors           weights and running statistics, momentum, the states of the random streams at the epoch's
                      beginning, and within an epoch its sums; if filters are followed, how far they have turned, and
                      within an epoch what they were at its beginning; in float16 the scale of the loss; averaged
                      weights, if the recipe has such
    steps             taken in the unfinished epoch
    epoch_seconds     wall time of the unfinished epoch so far
    epoch_training    the part of these spent on training
    """

    results: tuple[EpochResult, ...]
    seconds: float
    training_seconds: float
    tensors: dict[str, Tensor]
    steps: int = 0
    epoch_seconds: float = 0.0
    epoch_training: float = 0.0

    @property
    def position(self) -> tuple[int, int]:
        """Number of finished epochs, and of steps in the next one."""
        return len(self.results), self.steps


def captured(
    network: nn.Module, optimizer: torch.optim.Optimizer, others: Mapping[str, Tensor], *, whole: bool = False
) -> dict[str, Tensor]:
    """Copy to the CPU everything that the next step depends on: weights, momentum and `others`.

    With `whole` this is all that the optimiser remembers, under any name. Raises ValueError where it cannot be kept.
    """
    state = {f"network.{key}": tensor for key, tensor in network.state_dict().items()}
    state |= packed(_inner(optimizer)) if whole else {}
    for name, parameter in () if whole else network.named_parameters():
        momentum = optimizer.state[parameter].get("momentum_buffer")
        if momentum is not None:
            state[f"momentum.{name}"] = momentum
    return {key: tensor.detach().cpu().contiguous() for key, tensor in (state | dict(others)).items()}


def restore(tensors: Mapping[str, Tensor], network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Restore a network and its optimiser to a captured state."""
    prefix = "network."
    network.load_state_dict({key[len(prefix) :]: tensor for key, tensor in tensors.items() if key.startswith(prefix)})
    if LAYOUT in tensors:
        unpack(tensors, _inner(optimizer))
    for name, parameter in network.named_parameters():
        momentum = tensors.get(f"momentum.{name}")
        if momentum is not None:
            # In the weight's memory order, as the optimiser itself creates it.
            optimizer.state[parameter]["momentum_buffer"] = torch.empty_like(parameter.detach()).copy_(momentum)


def _inner(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    return optimizer.inner if isinstance(optimizer, ScaledOther) else optimizer


def save(folder: Path, run_id: str, checkpoint: Checkpoint) -> None:
    """Write a run's checkpoint and delete all but the last two up to it.

    Later ones, which an earlier start left, are those of a longer rung or cannot be used: this run will pass them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "run": run_id,
        "results": [asdict(result) for result in checkpoint.results],
        **{name: getattr(checkpoint, name) for name in _NUMBERS},
    }
    text = json.dumps(about, sort_keys=True)
    name = "{:06d}-{:08d}.safetensors".format(*checkpoint.position)
    with replaced(folder / name) as partial:
        save_file(checkpoint.tensors, partial, {"about": text, "check": _check(text, checkpoint.tensors)})
    upto = [path for path in _files(folder) if path.name <= name]
    for old in (*upto[KEPT:], *folder.glob(".*.partial")):  # the latter of a process that was killed
        old.unlink()


def latest(folder: Path, run_id: str, most: int) -> tuple[Checkpoint | None, list[str]]:
    """A run's newest valid checkpoint of at most `most` epochs, without steps beyond these; None if there is none.

    Also returns one message for each newer checkpoint that cannot be used.
    """
    unusable = []
    for path in _files(folder):
        try:
            found = _read(path, run_id)
        except (SafetensorError, OSError, ValueError, TypeError, KeyError, IndexError) as error:
            unusable.append(f"{path.name} cannot be used ({in_one_line(error)})")
            continue
        if found.position <= (most, 0):
            return found, unusable
    return None, unusable


def _files(folder: Path) -> list[Path]:
    """Checkpoint files of a folder, newest first."""
    return sorted(folder.glob("*.safetensors"), reverse=True)


def _read(path: Path, run_id: str) -> Checkpoint:
    with safe_open(path, framework="pt") as file:
        notes = file.metadata() or {}
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - the file is not a mapping
    text = notes.get("about", "")
    if notes.get("check") != _check(text, tensors):
        raise ValueError("its content does not match its check")
    about = json.loads(text)
    if about["run"] != run_id:
        raise ValueError(f"it is of run {about['run']}")
    results = tuple(EpochResult(**result) for result in about["results"])
    return Checkpoint(results, tensors=tensors, **{name: about[name] for name in _NUMBERS if name in about})


def _check(text: str, tensors: Mapping[str, Tensor]) -> str:
    value = zlib.crc32(text.encode())
    for key in sorted(tensors):
        value = zlib.crc32(tensors[key].reshape(-1).view(torch.uint8).numpy().data, zlib.crc32(key.encode(), value))
    return f"{value:08x}"
