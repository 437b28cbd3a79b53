"""Weights on disk in safetensors, a format that cannot execute code."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from explorer.host.errors import InputError
from explorer.host.files import replaced
from explorer.host.formatting import in_one_line


def save_weights(state: dict[str, Tensor], path: Path, about: dict[str, str] | None = None) -> None:
    """Write all parameters and running statistics in one atomic step; `about` is what the file says of itself."""
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}
    with replaced(path) as partial:
        save_file(tensors, partial, metadata=about)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by key. Raises InputError for a file that is missing, cut short or of another kind."""
    if not path.is_file():
        raise InputError(f"weights={path}: there is no such file")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"weights={path}: is cut short or not a safetensors file ({in_one_line(error)})") from None


def about_weights(path: Path) -> dict[str, str]:
    """What a file of weights says of itself, such as the run that made it; empty if it says nothing."""
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})


def fit_weights(network: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Load tensors into a network; all keys and shapes must match. Key names are those of torchvision.

    Raises InputError naming what is missing, foreign or of another shape.
    """
    own = network.state_dict()
    # torchvision's oldest files lack the batch counters of batch norms.
    missing = [key for key in own if key not in tensors and not key.endswith("num_batches_tracked")]
    foreign = [key for key in tensors if key not in own]
    shapes = [
        f"{key} is {_shape(tensors[key])}, needed {_shape(own[key])}"
        for key in own
        if key in tensors and tensors[key].shape != own[key].shape
    ]
    problems = [_some("missing", missing), _some("foreign", foreign), _some("of another shape:", shapes)]
    if any(problems):
        raise InputError(f"weights={source}: do not fit this network; {'; '.join(filter(None, problems))}")
    network.load_state_dict({**own, **tensors})


def task_in(tensors: dict[str, Tensor]) -> tuple[int | None, int | None]:
    """Channels and classes that weights were trained for; None if the keys do not show them."""
    first = tensors.get("conv1.weight", tensors.get("conv1.0.weight", torch.empty(0)))
    last = tensors.get("fc.weight", torch.empty(0))
    channels = int(first.shape[1]) if first.dim() == 4 else None
    return channels, int(last.shape[0]) if last.dim() == 2 else None


def _some(what: str, names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{what} {', '.join(names[:3])}{more}" if names else ""


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"
