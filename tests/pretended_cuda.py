"""A GPU that is not there: "cuda" is executed by the CPU, and what the code asks of it is noted and answered.

Tensors that were made or moved there say that they lie on "cuda"; so do all that are computed from them. What a real
GPU would refuse is refused: an operator on tensors of both places. What would make the host wait for it is noted. A
graph is a function that calls its body again on the same tensors.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

GPU = torch.device("cuda", 0)
NAME, MEMORY, UUID = "A pretended GPU", 16 * 2**30, "11111111-2222-3333-4444-555555555555"
DEVICE_OF, IS_CUDA = Tensor.device.__get__, Tensor.is_cuda.__get__  # type: ignore[attr-defined]
SET_DATA = Tensor.data.__set__  # type: ignore[attr-defined]
_HERE = "_is_on_pretended_gpu"
_PINNED = "_is_pinned_for_pretended_gpu"
# What a tensor of the host may be used for together with tensors of a GPU, as torch allows it.
_MIXED = {"copy_", "to", "set_", "__set__", "data", "__get__", "fused_sgd_", "_fused_sgd_"}
_WAITING = {"item", "tolist", "numpy", "cpu", "nonzero", "__bool__", "__int__", "__float__", "__index__", "is_nonzero"}


@dataclass
class Notes:
    """What was asked of the pretended GPU: calls that make the host wait, by name, and torch.cuda's own, by name."""

    waits: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    graphs: list[Callable[[], tuple[Tensor, ...]]] = field(default_factory=list)


class PlacesOnCuda(TorchFunctionMode):
    """Maps "cuda" to the CPU in every function of torch, and keeps track of which tensors would lie on the GPU."""

    def __init__(self, notes: Notes) -> None:
        super().__init__()
        self.notes = notes

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
        tensors = [one for one in _flat((args, kwargs)) if isinstance(one, Tensor)]
        here = any(is_here(one) for one in tensors)
        if func == DEVICE_OF:
            return GPU if here else func(*args)
        if func == IS_CUDA:
            return here
        if func == SET_DATA:
            func(*args)
            return _placed(args[0], is_here(args[1]))
        if name == "_parse_to":  # what a module is asked to move to
            return func(*args, **kwargs)
        if name == "pin_memory":
            setattr(found := args[0].clone(), _PINNED, True)
            return found
        if func is Tensor.cuda:
            return self._moved(args[0], args[0].clone, here)
        pinned, target = kwargs.pop("pin_memory", False), _target(args, kwargs)
        args, kwargs = _on_cpu(args), _on_cpu(kwargs)
        if target is not None and name in ("to", "_to_copy"):
            return self._to(func, args, kwargs, target, here)
        if here and name in _WAITING:
            self.notes.waits[name] += 1
        if here and name == "copy_" and not is_here(args[1]) and args[1].ndim and not hasattr(args[1], _PINNED):
            self.notes.waits["copy_ from pageable memory"] += 1
        if here and name == "__getitem__" and _has_mask(args[1]):
            self.notes.waits["a mask as an index"] += 1
        self._refuse_mixed(name, tensors)
        found = func(*args, **kwargs)
        if name == "cpu" and here:  # the CPU's own answer is the tensor itself
            found = found.clone()
        if pinned and isinstance(found, Tensor):
            setattr(found, _PINNED, True)
        on_gpu = target == "cuda" or (target is None and here and name not in ("cpu", "numpy", "get_state"))
        for one in _flat(found):
            if isinstance(one, Tensor) and (on_gpu or target == "cpu" or name == "cpu"):
                _placed(one, on_gpu)
        return found

    def _to(self, func: Any, args: Any, kwargs: Any, target: str, here: bool) -> Tensor:
        tensor = args[0]
        if target == "cpu" and here:
            self.notes.waits["to the host"] += 1
        if target == "cuda" and not here and tensor.ndim and not hasattr(tensor, _PINNED):
            self.notes.waits["to the GPU from pageable memory"] += 1
        found: Tensor = func(*args, **kwargs)
        if found is tensor and here != (target == "cuda"):
            found = tensor.detach().clone() if not tensor.requires_grad else tensor.clone()
        return _placed(found, target == "cuda")

    def _moved(self, tensor: Tensor, copied: Callable[[], Tensor], here: bool) -> Tensor:
        if here:
            return tensor
        if not hasattr(tensor, _PINNED):
            self.notes.waits["to the GPU from pageable memory"] += 1
        return _placed(copied(), True)

    def _refuse_mixed(self, name: str, tensors: list[Tensor]) -> None:
        if name in _MIXED or name.startswith("_") or "is_" in name:
            return
        places = {is_here(one) for one in tensors if one.ndim and one.numel() and type(one) is not torch.Generator}
        if len(places) > 1 and name != "__getitem__":  # positions of the host may choose from tensors of a GPU
            raise RuntimeError(f"{name}: Expected all tensors to be on the same device, but found cuda:0 and cpu")


class CountsOperators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operators that torch executes, by name."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.found[str(func)] += 1
        return func(*args, **(kwargs or {}))


def is_here(tensor: Tensor) -> bool:
    """Whether a tensor would lie on the GPU."""
    return bool(getattr(tensor, _HERE, False))


def _placed(tensor: Tensor, here: bool) -> Tensor:
    setattr(tensor, _HERE, here)
    return tensor


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        yield value
        return
    for one in value:
        yield from _flat(one)


def _is_device(value: Any) -> bool:
    return isinstance(value, torch.device) or (isinstance(value, str) and value.split(":")[0] in ("cuda", "cpu"))


def _target(args: Any, kwargs: Any) -> str | None:
    given = [one for one in (*args[1:], kwargs.get("device")) if _is_device(one)] if args else [kwargs.get("device")]
    return torch.device(given[0]).type if given and given[0] is not None else None


def _on_cpu(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _on_cpu(one) for key, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_on_cpu(one) for one in value)
    if _is_device(value) and torch.device(value).type == "cuda":
        return torch.device("cpu")
    return value


def _has_mask(index: Any) -> bool:
    return any(isinstance(one, Tensor) and one.dtype == torch.bool and one.ndim for one in _flat(index))


class _Event:
    """A moment on the GPU, which is the host's own."""

    def __init__(self, **_: Any) -> None:
        self.when = 0.0

    def record(self, *_: Any) -> None:
        self.when = time.perf_counter()

    def synchronize(self) -> None:
        """Nothing is ever left to wait for."""

    def elapsed_time(self, other: "_Event") -> float:
        return 1000 * max(other.when - self.when, 1e-6)


class _Stream:
    """The order in which the GPU does things, which is the host's own."""

    def wait_stream(self, other: object) -> None:
        """All has been done."""


def graphs_of(notes: Notes) -> Callable[..., Callable[[], tuple[Tensor, ...]]]:
    """What records a graph: a function whose calls execute the body again and give the same tensors."""

    def record(work: Callable[[], tuple[Tensor, ...]], pool: Any = None) -> Callable[[], tuple[Tensor, ...]]:
        own: list[tuple[Tensor, ...]] = []

        def launch() -> tuple[Tensor, ...]:
            now = work()
            own[:] = own or [tuple(one.clone() for one in now)]
            for old, new in zip(own[0], now, strict=True):
                old.copy_(new)
            return own[0]

        notes.graphs.append(launch)
        return launch

    return record


def answers(notes: Notes, devices: tuple[str, ...]) -> dict[str, Any]:
    """What stands in the place of torch.cuda's own functions."""

    def noted(name: str, value: Any) -> Callable[..., Any]:
        def call(*_: Any, **__: Any) -> Any:
            notes.calls[name] += 1
            return value

        return call

    plain = {
        "is_available": True,
        "is_initialized": True,
        "is_bf16_supported": True,
        "device_count": len(devices),
        "get_device_capability": (9, 0),
        "mem_get_info": (MEMORY // 2, MEMORY),
        "memory_reserved": 2**20,
        "memory_allocated": 2**19,
        "max_memory_reserved": 2**28,
        "get_device_properties": SimpleNamespace(total_memory=MEMORY, uuid=UUID),
        "graph_pool_handle": (0, 0),
        "current_stream": _Stream(),
        **dict.fromkeys(("synchronize", "empty_cache", "reset_peak_memory_stats", "set_per_process_memory_fraction")),
    }
    found: dict[str, Any] = {name: noted(name, value) for name, value in plain.items()}
    found |= {"get_device_name": lambda place=0: devices[place or 0], "Stream": _Stream, "Event": _Event}
    return found | {"stream": lambda stream: nullcontext()}


@contextmanager
def pretended_cuda(patch: Callable[..., None], devices: tuple[str, ...] = (NAME,)) -> Iterator[Notes]:
    """Pretend until the end of a block that there are GPUs of these models; `patch(owner, name, value)` sets a name."""
    from explorer.training import replayed
    from explorer.training.network import kernels

    notes, autocast, made = Notes(), torch.autocast, Tensor._make_subclass

    def subclass(*args, **kwargs):  # type: ignore[no-untyped-def] # as of a parameter; torch compares its signature
        return _placed(made(*args, **kwargs), is_here(args[1]))

    def on_cpu(device_type: str, *others: Any, **named: Any) -> Any:
        return autocast("cpu", *others, **named)

    for name, value in answers(notes, devices).items():
        patch(torch.cuda, name, value)
    patch(torch, "autocast", on_cpu)
    patch(Tensor, "_make_subclass", staticmethod(subclass))
    patch(torch.backends.cudnn, "version", lambda: 91900)
    patch(Tensor, "record_stream", lambda self, stream: None)
    patch(replayed, "record", graphs_of(notes))
    patch(kernels, "is_available", lambda device="cpu": False)
    replayed._own_stream.cache_clear()
    try:
        with PlacesOnCuda(notes):
            yield notes
    finally:
        replayed._own_stream.cache_clear()


def work(pipe: Connection, parent: int, device: int | None = None) -> None:
    """What a worker does, on a pretended GPU."""
    from explorer.training import worker

    with pretended_cuda(setattr):
        worker.work(pipe, parent, device)
