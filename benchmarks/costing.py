"""`python -m benchmarks costs`: designs costed per second: one by one, many at once, and by fvcore."""

import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from benchmarks.results import CostSpeed, ScanSpeed
from explorer.design import TEMPLATES, Architecture, Budget, Cost, DesignSpace, Limit, cost, parse_name, scan
from explorer.design.cost_measures import COUNTED
from explorer.design.designs import Designs
from explorer.design.feasible import CHUNK
from explorer.design.ranges import Range
from explorer.training.network.build import module_of
from explorer.training.network.count import Count, count

# Small enough that all its networks can be built, since the slow methods must cost the same designs.
SPACE = DesignSpace(
    template="cifar",
    depth=Range(11, 56, step=9),
    width=Range(16, 128, step=4),
    cardinality=Range(1, 16),
    kernel_size=(3, 5, 7),
    bottleneck_width=Range(1, 16),
)
# Ten million points, of which some hundred thousand meet a budget of two measures.
LARGE = DesignSpace(
    template="cifar",
    depth=Range(20, 164, step=9),
    width=Range(16, 512, step=4),
    cardinality=Range(1, 40),
    kernel_size=(3, 5),
    bottleneck_width=Range(1, 63),
)
REFERENCE = "29-32x4d"


def measure_costs(designs: int, scalar: int, fvcore: int, seed: int) -> list[CostSpeed]:
    """Cost random designs of `SPACE` at 32 pixels by each method; the first ones are the same for all."""
    task, (part,) = TEMPLATES["cifar"].task, SPACE.parts
    rng = np.random.default_rng(seed)
    began = time.perf_counter()
    chunks = []
    for start in range(0, designs, CHUNK):
        size = min(CHUNK, designs - start)
        drawn = part.build(part.points([rng.integers(len(factor), size=size) for factor in part.factors]))
        costs = drawn.cost(task)
        if start < max(scalar, fvcore):  # later designs are costed by the fast method alone
            chunks.append((drawn, costs))
    at_once = CostSpeed("closed form, many at once", designs, time.perf_counter() - began, 0)

    def one_by_one(architecture: Architecture) -> Cost:
        found: Cost = cost.__wrapped__(architecture, task)  # uncached, since a cached cost would take no time
        return found

    def built(architecture: Architecture) -> Count:
        return count(module_of(architecture, task), task)

    return [
        at_once,
        _repeated("closed form, one by one", one_by_one, tuple(COUNTED), chunks, min(scalar, designs)),
        _repeated("built and counted by fvcore", built, ("params", "macs"), chunks, min(fvcore, designs)),
    ]


def measure_scan(seed: int) -> ScanSpeed:
    """Scan `LARGE` for designs within the parameters and MACs of ResNeXt-29, 32x4d: once for time, once for memory."""
    task = TEMPLATES["cifar"].task
    own = cost(parse_name(REFERENCE), task)
    budget = Budget((Limit("params", own.params, 0.02), Limit("macs", own.macs, 0.05)))
    began = time.perf_counter()
    found = scan(LARGE, budget, task, np.random.default_rng(seed))
    seconds = time.perf_counter() - began
    tracemalloc.start()
    try:
        scan(LARGE, budget, task, np.random.default_rng(seed))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.feasible is not None
    return ScanSpeed(str(budget), found.size, found.feasible, seconds, peak)


def _repeated(
    method: str,
    cost_of: Callable[[Architecture], Cost | Count],
    axes: tuple[str, ...],
    chunks: list[tuple[Designs, Cost]],
    wanted: int,
) -> CostSpeed:
    """Cost the first `wanted` designs one by one by another method, and compare the results on `axes`."""
    seconds, wrong = 0.0, 0
    for place in range(wanted):
        designs, costs = chunks[place // CHUNK]
        architecture = designs.architecture(place % CHUNK)
        began = time.perf_counter()
        found = cost_of(architecture)
        seconds += time.perf_counter() - began
        wrong += any(getattr(found, axis) != getattr(costs, axis)[place % CHUNK] for axis in axes)
    return CostSpeed(method, wanted, seconds, wrong)
