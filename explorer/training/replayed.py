"""Functions of tensors whose kernels are launched together, as one CUDA graph, once they have run a few times.

A training step of a network is some hundreds of kernels. Launching them one by one takes a processor longer than a GPU
takes to execute those of a small network; a graph is launched at once.
"""

import gc
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor

from explorer.host.formatting import in_one_line
from explorer.training.device import finish

Tensors = tuple[Tensor, ...]
Body = Callable[..., Tensors]
Launch = Callable[[], Tensors]
# Calls that run the body itself before it is recorded: libraries allocate and choose their kernels in the first ones.
PLAIN_CALLS = 2
# Calls, with one set of shapes, from which recording pays: it takes about as long as some calls of the body.
LEAST_CALLS = 16
# Launches that the host may be ahead of the device. More would delay a stop, since what is launched is also executed.
AHEAD = 8
DEVICES = ("cuda",)  # on a CPU nothing is launched
# Why recording has failed in this process: torch's allocator may not be itself afterwards, so nothing more is recorded.
_failures: list[str] = []


@dataclass
class Replayed:
    """A function that gives tensors for tensors, and on a GPU is launched as one CUDA graph from its third call on.

    body    the function. What it reads or writes beside its inputs, such as weights, must keep its place in memory,
            and it must neither wait for the device nor copy from the host
    device  "cuda" or "cpu"; on a CPU every call runs the body
    calls   expected with one set of shapes; of fewer than sixteen all run the body
    pool    of a GPU's memory, from `graph_memory`; graphs of one pool use the same memory, one after the other
    tell    is given a line where no graph can be used, for which the body then runs every time
    changes gives the tensors that the body changes. With it each graph's first launch is compared with running the
            body: unless outputs and these have the same bits, the graph is not used

    The kernels are the same, in the same order, so the results have the same bits. There is a graph for each set of
    shapes. The tensors that a call returns are overwritten by the next call with such shapes.
    """

    body: Body
    device: str
    calls: int
    pool: Any = None
    tell: Callable[[str], None] = lambda _: None
    changes: Callable[[], Tensors] | None = None
    _graphs: dict[object, "_Graph"] = field(default_factory=dict)
    _called: dict[object, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._records = self.device in DEVICES and self.calls >= LEAST_CALLS and not _failures

    def __call__(self, *inputs: Tensor) -> Tensors:
        """What the body gives for these tensors."""
        if not self._records:
            return self.body(*inputs)
        shapes = tuple((one.shape, one.dtype) for one in inputs)
        if (graph := self._graphs.get(shapes)) is not None:
            return graph.of(inputs)
        self._called[shapes] = self._called.get(shapes, 0) + 1
        if self._called[shapes] <= PLAIN_CALLS:
            return apart(self.body, inputs)
        return self._recorded(shapes, inputs)

    def _recorded(self, shapes: object, inputs: Tensors) -> Tensors:
        """Record the body and launch it for the first time; where that cannot be, run it."""
        plain: Tensors = ()
        after: Tensors = ()
        if self.changes is not None and torch.are_deterministic_algorithms_enabled():
            before = _copies(self.changes())
            plain, after = _copies(apart(self.body, inputs)), _copies(self.changes())
            _put(before, self.changes())
        failed = ""
        try:
            graph = _Graph(self.body, inputs, self.pool)
        except RuntimeError as error:
            failed = in_one_line(error)
        if failed:  # here, where nothing holds the memory of the attempt any more
            finish(self.device)  # raises where the error has made the GPU unusable
            _failures.append(failed)
            return self._without(
                f"recording them failed ({failed}), as will those of later runs of this worker", inputs
            )
        found = graph.of(inputs)
        if plain and self.changes is not None and not _same_bits((*found, *self.changes()), (*plain, *after)):
            _put(before, self.changes())
            return self._without("as one graph they gave other bits", inputs)
        self._graphs[shapes] = graph
        return found

    def _without(self, why: str, inputs: Tensors) -> Tensors:
        self._records = False
        self._graphs.clear()
        self.tell(f"its kernels are launched one by one, since {why}")
        return self.body(*inputs)


def _copies(tensors: Tensors) -> Tensors:
    return tuple(one.clone() for one in tensors)


def _put(values: Tensors, tensors: Tensors) -> None:
    for value, one in zip(values, tensors, strict=True):
        one.copy_(value)


def _same_bits(ours: Tensors, theirs: Tensors) -> bool:
    pairs = zip(ours, theirs, strict=True)
    return all(torch.equal(*(one.reshape(-1).view(torch.uint8) for one in pair)) for pair in pairs)


class _Graph:
    """The kernels of a body, with places for its inputs."""

    def __init__(self, body: Body, inputs: Tensors, pool: Any) -> None:
        own = self._inputs = tuple(torch.empty_like(one) for one in inputs)
        self._launch = record(lambda: body(*own), pool)  # which does not hold this object

    def of(self, inputs: Tensors) -> Tensors:
        """What the body gives for some inputs."""
        for own, given in zip(self._inputs, inputs, strict=True):
            if own.numel():
                own.copy_(given, non_blocking=True)
        return self._launch()


def apart(body: Body, inputs: Tensors) -> Tensors:
    """Run a body on a stream of its own: what is recorded later must not depend on the default stream."""
    current, own = torch.cuda.current_stream(), _own_stream()
    own.wait_stream(current)
    for one in inputs:
        one.record_stream(own)
    try:
        with torch.cuda.stream(own):
            found = body(*inputs)
    finally:
        current.wait_stream(own)
    for one in found:
        one.record_stream(current)
    return found


@cache
def _own_stream() -> Any:
    """One for the whole process: libraries keep a workspace for each stream that they have met."""
    return torch.cuda.Stream()  # type: ignore[no-untyped-call]


def record(work: Callable[[], Tensors], pool: Any = None) -> Launch:
    """Record the kernels of some work, without executing them, as a graph that each call launches.

    Its tensors are the same at each call. Raises RuntimeError if the kernels cannot be recorded.
    """
    graph, stream, collects = torch.cuda.CUDAGraph(), torch.cuda.current_stream(), gc.isenabled()
    gc.disable()  # a graph of an earlier run that is destroyed meanwhile would spoil this one
    try:
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            found = work()
    finally:
        torch.cuda.set_stream(stream)  # torch leaves its own stream current where ending the recording fails
        if collects:
            gc.enable()
    launched: deque[Any] = deque()

    def launch() -> Tensors:
        graph.replay()
        launched.append(torch.cuda.Event())  # type: ignore[no-untyped-call]
        launched[-1].record()
        if len(launched) > AHEAD:
            launched.popleft().synchronize()
        return found

    return launch


def graph_memory(device: str) -> Any:
    """A pool of memory that graphs can share; None where there are none."""
    return torch.cuda.graph_pool_handle() if device == "cuda" else None
