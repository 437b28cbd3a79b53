"""The time that a GPU takes for some work, without the time that the host takes to launch it."""

import math
from collections.abc import Callable
from functools import partial

import torch

from explorer.training.device import finish

BURST = 0.002  # least seconds of a burst: beside it, what an event and a launch take is small
MOST_CALLS = 500
WARM_UP = 3


def in_bursts(work: Callable[[], object]) -> Callable[[], float]:
    """A function that measures the mean seconds of some work over a burst of calls, by the device's own clock.

    The work is launched as one graph. Where it cannot be captured it is called, and takes what launching it takes.
    """
    replay = _as_graph(work)
    seconds = _burst(replay, 1)
    return partial(_burst, replay, max(1, min(MOST_CALLS, math.ceil(BURST / max(seconds, 1e-7)))))


def _burst(work: Callable[[], object], calls: int) -> float:
    began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    began.record()
    for _ in range(calls):
        work()
    ended.record()
    ended.synchronize()
    return began.elapsed_time(ended) / 1000 / calls


def _as_graph(work: Callable[[], object]) -> Callable[[], object]:
    """The same work as one launch, after some calls in which libraries allocate and choose their kernels."""
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call] # nothing that is recorded may depend on the default one
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            work()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:
        finish("cuda")  # raises where the error has made the GPU unusable
        return work
    return graph.replay
