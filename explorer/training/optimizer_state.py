"""The state of any optimiser as tensors for a checkpoint, and back with the same bits.

Nothing is pickled: numbers, text, lists and dictionaries are JSON, in which tensors are named.
"""

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

PREFIX = "optimizer."
LAYOUT = f"{PREFIX}layout"  # JSON as bytes
_CHANGES = ("params", "lr")  # of a group: what the network and the schedule give


def packed(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state by name, not yet copied. Raises ValueError for a state that holds anything else."""
    tensors: dict[str, Tensor] = {}

    def put(value: Any, path: str) -> Any:
        if isinstance(value, Tensor):
            tensors[path] = value.detach()
            return {"tensor": path, "stride": list(value.stride()), "cpu": value.device.type == "cpu"}
        if value is None or isinstance(value, (bool, int, float, str)):
            return {"value": value}
        if type(value) in (list, tuple):
            return {type(value).__name__: [put(one, f"{path}.{place}") for place, one in enumerate(value)]}
        if isinstance(value, dict):
            return {
                "dict": [[put(key, ""), put(one, f"{path}.{place}")] for place, (key, one) in enumerate(value.items())]
            }
        raise ValueError(
            f"it holds a {type(value).__name__}; allowed: tensors, numbers, text, lists, tuples and dictionaries"
        )

    layout = json.dumps(put(optimizer.state_dict(), f"{PREFIX}state"))
    return {**tensors, LAYOUT: torch.frombuffer(bytearray(layout.encode()), dtype=torch.uint8)}


def unpack(tensors: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
    """Restore an optimiser of the same parameters to a packed state; tensors lie in memory as they did."""
    first = next(one for group in optimizer.param_groups for one in group["params"])

    def get(value: Any) -> Any:
        (kind, own), *_ = value.items()
        if kind == "tensor":
            kept = tensors[own]
            device = "cpu" if value["cpu"] else first.device
            return torch.empty_strided(kept.shape, value["stride"], dtype=kept.dtype, device=device).copy_(kept)
        if kind == "dict":
            return {get(key): get(one) for key, one in own}
        if kind in ("list", "tuple"):
            return [get(one) for one in own] if kind == "list" else tuple(get(one) for one in own)
        return own

    state = get(json.loads(tensors[LAYOUT].numpy().tobytes()))
    if type(optimizer).load_state_dict is not torch.optim.Optimizer.load_state_dict:
        optimizer.load_state_dict(state)
        return
    # torch's own function would convert every state to the type of its weight.
    weights = [one for group in optimizer.param_groups for one in group["params"]]
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    of = dict(zip(numbers, weights, strict=True))
    optimizer.state.clear()
    optimizer.state.update({of.get(key, key): own for key, own in state["state"].items()})
    for group, kept in zip(optimizer.param_groups, state["param_groups"], strict=True):
        group.update({key: own for key, own in kept.items() if key not in _CHANGES})
