"""`do=benchmark`: designs costed per second by the closed form, one by one and many at once, and by fvcore."""

import time

import numpy as np

from explorer.checks import CostSpeed
from explorer.design import TEMPLATES, Cost, DesignSpace, Task, cost
from explorer.design.axis import Range
from explorer.design.designs import Designs
from explorer.design.feasible import CHUNK
from explorer.training.build import module_of
from explorer.training.measure import count

# Small enough that any of its networks can be built: the slow methods have to cost the same designs.
SPACE = DesignSpace(
    template="cifar",
    depth=Range(11, 56, step=9),
    width=Range(16, 128, step=4),
    cardinality=Range(1, 16),
    kernel_size=(3, 5, 7),
    bottleneck_width=Range(1, 16),
)


def measure_costs(designs: int, scalar: int, fvcore: int, seed: int) -> list[CostSpeed]:
    """Cost random designs of `SPACE` at 32 pixels by each method; the first ones are the same for all."""
    task, (part,) = TEMPLATES["cifar"].task, SPACE.parts
    rng = np.random.default_rng(seed)
    began = time.perf_counter()
    chunks = []
    for start in range(0, designs, CHUNK):
        size = min(CHUNK, designs - start)
        drawn = part.build(part.points([rng.integers(len(factor), size=size) for factor in part.factors]))
        chunks.append((drawn, drawn.cost(task)))
    at_once = CostSpeed("closed form, many at once", designs, time.perf_counter() - began, 0)
    return [at_once, _one_by_one(chunks, min(scalar, designs), task), _fvcore(chunks, min(fvcore, designs), task)]


def _one_by_one(chunks: list[tuple[Designs, Cost]], wanted: int, task: Task) -> CostSpeed:
    seconds, wrong = 0.0, 0
    for place in range(wanted):
        designs, costs = chunks[place // CHUNK]
        architecture = designs.architecture(place % CHUNK)
        began = time.perf_counter()
        found = cost.__wrapped__(architecture, task)  # a remembered cost would cost nothing
        seconds += time.perf_counter() - began
        wrong += any(
            getattr(found, axis) != getattr(costs, axis)[place % CHUNK] for axis in ("params", "macs", "activations")
        )
    return CostSpeed("closed form, one by one", wanted, seconds, wrong)


def _fvcore(chunks: list[tuple[Designs, Cost]], wanted: int, task: Task) -> CostSpeed:
    seconds, wrong = 0.0, 0
    for place in range(wanted):
        designs, costs = chunks[place // CHUNK]
        architecture = designs.architecture(place % CHUNK)
        began = time.perf_counter()
        found = count(module_of(architecture, task), task)
        seconds += time.perf_counter() - began
        wrong += any(getattr(found, axis) != getattr(costs, axis)[place % CHUNK] for axis in ("params", "macs"))
    return CostSpeed("built and counted by fvcore", wanted, seconds, wrong)
