"""The Pareto front of error and cost: the designs that no other dominates, and the hypervolume they cover."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from explorer.analysis.intervals import ROUNDING
from explorer.analysis.summary import SettingSummary

Floats = npt.NDArray[np.float64]
DRAWS = 1000
CELLS = 1 << 22  # largest number of cells in one array of draws
WIDE = 4.0  # standard deviations to each side within which a design's error is drawn, in all but one of 30,000 draws


@dataclass(frozen=True)
class Front:
    """Error against one cost over the designs of a search, in the order in which they were tried.

    cost          "params", "macs", "activations", "latency" (milliseconds), or a measure of an extension
    errors, costs of each design: mean over seeds as a fraction, and the cost
    ahead         whether no other design dominates it: is no worse in error and cost, and better in one of them
    sure          share of draws of the errors, within their uncertainty, in which the design is on the front; NaN where
                  nothing is known of that
    covered       hypervolume of the front, as a share of the rectangle below chance error and the largest cost

    A design of which every run failed has no error and is left out.
    """

    cost: str
    settings: tuple[str, ...]
    errors: Floats
    costs: Floats
    ahead: npt.NDArray[np.bool_]
    sure: Floats
    covered: float


def front(
    summaries: Sequence[SettingSummary], cost: str, images: int | None, chance: float, *, seed: int = 0
) -> Front | None:
    """The front of error against cost; None without designs.

    `images` is the number of images that a run is evaluated on, if known, `chance` the error of guessing. The standard
    deviation over seeds is pooled over all designs with several completed runs. With single seeds, or seeds that do not
    differ, it is the binomial one of an error counted on `images` images, which is the least it can be; without their
    number it is not known.
    """
    every = np.array([one.value(cost) for one in summaries], dtype=float)
    costs = every[[one.came_through for one in summaries]]
    summaries = [one for one in summaries if one.came_through]
    if not summaries:
        return None
    errors = np.array([one.estimate.mean for one in summaries])
    points = np.column_stack([errors, costs])
    worst = (chance, float(every.max()) * 1.0001)
    return Front(
        cost=cost,
        settings=tuple(one.setting for one in summaries),
        errors=errors,
        costs=costs,
        ahead=ahead_of(errors[None], costs)[0],
        sure=_sure(summaries, errors, costs, images, seed),
        covered=hypervolume(points, worst),
    )


def _sure(summaries: Sequence[SettingSummary], errors: Floats, costs: Floats, images: int | None, seed: int) -> Floats:
    seeds = np.array([len(one.errors) for one in summaries])
    several = [np.fromiter(one.measured.values(), float) for one in summaries if len(one.measured) > 1]
    if any(np.ptp(own) > ROUNDING for own in several):
        pooled = sum(float(((own - own.mean()) ** 2).sum()) for own in several) / sum(len(own) - 1 for own in several)
        spread = np.full(len(errors), math.sqrt(pooled)) / np.sqrt(seeds)
    elif images is None:
        return np.full(len(errors), math.nan)
    else:
        spread = np.sqrt(errors * (1 - errors) / images)
    rng = np.random.default_rng(seed)
    on_front = np.zeros(len(errors))
    # Of thousands of designs most are far from the front; a limited number of draws at a time fits into memory.
    near = np.arange(len(errors)) if DRAWS * len(errors) <= CELLS else np.flatnonzero(_near(errors, spread, costs))
    step = max(1, min(DRAWS, CELLS // len(near)))
    for start in range(0, DRAWS, step):
        drawn = rng.normal(errors[near], spread[near], size=(min(step, DRAWS - start), len(near)))
        on_front[near] += ahead_of(drawn, costs[near]).sum(axis=0)
    return on_front / DRAWS


def _near(errors: Floats, spread: Floats, costs: Floats) -> npt.NDArray[np.bool_]:
    """Which designs may be on the front: whose lowest likely error is not above the highest one of a cheaper design."""
    order = np.argsort(costs, kind="stable")
    ends = np.searchsorted(costs[order], costs, "right") - 1
    least = np.minimum.accumulate((errors + WIDE * spread)[order])[ends]
    return errors - WIDE * spread <= least


def ahead_of(errors: Floats, costs: Floats) -> npt.NDArray[np.bool_]:
    """Which designs no other dominates, for many draws of their errors at once: booleans `(draws, designs)`.

    Designs are sorted by cost; one is on the front if its error is below that of all cheaper ones, and no design of
    equal cost has a lower error.
    """
    order = np.argsort(costs, kind="stable")
    ordered, starts = errors[:, order], np.flatnonzero(np.diff(costs[order], prepend=-np.inf) > 0)
    group = np.cumsum(np.diff(costs[order], prepend=-np.inf) > 0) - 1
    least = np.minimum.reduceat(ordered, starts, axis=1)
    cheaper = np.full_like(least, np.inf)
    cheaper[:, 1:] = np.minimum.accumulate(least, axis=1)[:, :-1]
    found = np.empty(errors.shape, dtype=np.bool_)
    found[:, order] = (ordered <= least[:, group]) & (ordered < cheaper[:, group])
    return found


def hypervolume(points: Floats, worst: tuple[float, float]) -> float:
    """The area that two objectives' points dominate below `worst`, as a share of the whole from zero to `worst`."""
    inside = points[(points < np.asarray(worst)).all(axis=1)]
    area, height = 0.0, worst[1]
    for x, y in inside[np.lexsort((inside[:, 1], inside[:, 0]))]:
        if y < height:
            area += (worst[0] - x) * (height - y)
            height = y
    return float(area / (worst[0] * worst[1]))
