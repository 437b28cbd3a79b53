"""The designs that no other beats on every count, and how much of the plane they cover."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
DRAWS = 1000


def dominated(points: Floats) -> npt.NDArray[np.bool_]:
    """Which points `(n, objectives)` another one beats: nowhere larger and somewhere smaller."""
    found = np.zeros(len(points), dtype=np.bool_)
    for place, point in enumerate(points):
        no_larger = (points <= point).all(axis=1) & (points < point).any(axis=1)
        found[place] = bool(no_larger.any())
    return found


def ranks(points: Floats) -> npt.NDArray[np.int64]:
    """Fronts after fronts: 0 for the points nothing dominates, 1 for those then left undominated, and so on."""
    found, left, rank = np.full(len(points), -1), np.ones(len(points), dtype=np.bool_), 0
    while left.any():
        places = np.flatnonzero(left)
        front = places[~dominated(points[places])]
        found[front] = rank
        left[front] = False
        rank += 1
    return found.astype(np.int64)


def on_front(errors: Sequence[Sequence[float]], costs: Sequence[float], *, seed: int = 0) -> Floats:
    """How often each design is on the front of mean error against cost when its seeds are drawn again.

    errors  of each design, one per seed; with a single seed a design has no spread of its own and stays as it is
    """
    rng = np.random.default_rng(seed)
    own = [np.asarray(one, dtype=float) for one in errors]
    drawn = np.stack([rng.choice(one, size=(DRAWS, len(one))).mean(axis=1) for one in own], axis=1)
    cost = np.asarray(costs, dtype=float)
    kept = [~dominated(np.column_stack([means, cost])) for means in drawn]
    return np.asarray(np.mean(kept, axis=0))


def hypervolume(points: Floats, worst: tuple[float, float]) -> float:
    """The area that two objectives' points dominate below `worst`, as a share of the whole from zero to `worst`."""
    inside = points[(points < np.asarray(worst)).all(axis=1)]
    area, height = 0.0, worst[1]
    for x, y in inside[np.lexsort((inside[:, 1], inside[:, 0]))]:
        if y < height:
            area += (worst[0] - x) * (height - y)
            height = y
    return float(area / (worst[0] * worst[1]))


def hypervolumes(points: Floats, worst: tuple[float, float]) -> list[float]:
    """The hypervolume after each of the points, in the order they were found."""
    return [hypervolume(points[: count + 1], worst) for count in range(len(points))]
