"""The designs that no other beats on every count, and how much of the plane they cover."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from explorer.analysis.summary import SettingSummary

Floats = npt.NDArray[np.float64]
DRAWS = 1000


@dataclass(frozen=True)
class Front:
    """Error against one cost over the designs of a search, in the order in which they were tried.

    cost          "params", "macs", "activations" or "latency" (milliseconds)
    errors, costs of each design: mean over seeds as a fraction, and the cost
    ahead         whether no other design is at once no worse and cheaper, or better and no dearer
    sure          how often that is so when errors are drawn again within their uncertainty
    covered       share of the plane below chance error and the largest cost that the designs ahead cover
    """

    cost: str
    settings: tuple[str, ...]
    errors: Floats
    costs: Floats
    ahead: npt.NDArray[np.bool_]
    sure: Floats
    covered: float


def front(summaries: Sequence[SettingSummary], cost: str, images: int, chance: float, *, seed: int = 0) -> Front | None:
    """The front of error against cost; None without designs. `images` were evaluated per run, `chance` is their error.

    The spread over seeds is pooled over all designs that have several; with single seeds it is that of counting errors
    on so many images, which is the least it can be.
    """
    if not summaries:
        return None
    errors = np.array([one.estimate.mean for one in summaries])
    costs = np.array([getattr(one, cost) for one in summaries], dtype=float)
    points = np.column_stack([errors, costs])
    worst = (chance, float(costs.max()) * 1.0001)
    return Front(
        cost=cost,
        settings=tuple(one.setting for one in summaries),
        errors=errors,
        costs=costs,
        ahead=~dominated(points),
        sure=_sure(summaries, errors, costs, images, seed),
        covered=hypervolume(points, worst),
    )


def _sure(summaries: Sequence[SettingSummary], errors: Floats, costs: Floats, images: int, seed: int) -> Floats:
    seeds = np.array([len(one.errors) for one in summaries])
    several = [np.fromiter(one.errors.values(), float) for one in summaries if len(one.errors) > 1]
    if several:
        pooled = sum(float(((own - own.mean()) ** 2).sum()) for own in several) / sum(len(own) - 1 for own in several)
        spread = np.full(len(errors), math.sqrt(pooled)) / np.sqrt(seeds)
    else:
        spread = np.sqrt(errors * (1 - errors) / images)
    rng = np.random.default_rng(seed)
    kept = [~dominated(np.column_stack([rng.normal(errors, spread), costs])) for _ in range(DRAWS)]
    return np.asarray(np.mean(kept, axis=0))


def dominated(points: Floats) -> npt.NDArray[np.bool_]:
    """Which points `(n, objectives)` another one beats: nowhere larger and somewhere smaller."""
    found = np.zeros(len(points), dtype=np.bool_)
    for place, point in enumerate(points):
        no_larger = (points <= point).all(axis=1) & (points < point).any(axis=1)
        found[place] = bool(no_larger.any())
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
