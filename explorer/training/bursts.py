"""The time that a GPU takes for some work, without the time that the host takes to launch it."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from explorer.training.replayed import LEAST_CALLS, PLAIN_CALLS, Replayed

BURST = 0.002  # least seconds of a burst: beside it, what an event and a launch take is small
MOST_CALLS = 500


def in_bursts(work: Callable[[], tuple[Tensor, ...]]) -> Callable[[], float]:
    """A function that measures the mean seconds of some work over a burst of calls, by the device's own clock.

    The work is launched as one graph. Where it cannot be captured it is called, and takes what launching it takes.
    """
    replay = Replayed(work, "cuda", LEAST_CALLS)
    for _ in range(PLAIN_CALLS + 1):  # the last records it
        replay()
    seconds = _burst(replay, 1)
    return partial(_burst, replay, max(1, min(MOST_CALLS, math.ceil(BURST / max(seconds, 1e-7)))))


def _burst(work: Callable[[], object], calls: int) -> float:
    began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    began.record()
    for _ in range(calls):
        work()
    ended.record()
    ended.synchronize()
    return float(began.elapsed_time(ended)) / 1000 / calls
