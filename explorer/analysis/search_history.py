"""The history of a search: its best result against epochs trained, compared with designs drawn at random."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from explorer.analysis.front import hypervolume
from explorer.analysis.intervals import CONFIDENCE
from explorer.analysis.summary import judged, places_of
from explorer.study.run import FINAL_STATUSES, JUDGED_STATUSES

Floats = npt.NDArray[np.float64]
Point = tuple[float, float]  # error and cost
DRAWS = 1000
FAILED = tuple(status for status in JUDGED_STATUSES if status != "ok")


@dataclass(frozen=True)
class Drawn:
    """Designs drawn at random and trained to their end, averaged over all orders in which they could have been drawn.

    epochs           epochs trained in total for 1, 2, ... of these designs
    mean, low, high  best result among the first 1, 2, ... designs: mean over orders, and the central 95 % of orders
    count            number of random designs that together cost as many epochs as the search or fewer: `spent`
    best, searched   the best of `count` random designs, on average over orders, and the search's best at equal epochs
    as_good          number of all random designs that are as good as `searched`; None if fronts are compared
    failed           number of all random designs whose runs failed; they cost their epochs and count as chance
    likely           probability that `count` draws contain one as good, with its 95 % interval (Clopper and Pearson,
                     1934)
    """

    epochs: list[float]
    mean: list[float]
    low: list[float]
    high: list[float]
    count: int
    spent: float
    best: float
    searched: float
    as_good: int | None
    likely: tuple[float, float, float] | None
    failed: int = 0


@dataclass(frozen=True)
class SearchHistory:
    """The best result of a search after each design: the lowest error, or the hypervolume share of the front.

    is_front  whether it is the hypervolume share
    epochs    epochs trained until each design ended, over all seeds and all earlier designs
    best      the best result until then; NaN until a design has a completed run
    stopped   number of designs that were stopped, by the epoch of the rung
    tried     number of designs that ended or were stopped
    """

    is_front: bool
    epochs: list[int]
    best: list[float]
    stopped: dict[int, int] = field(default_factory=dict)
    tried: int = 0
    drawn: Drawn | None = None


@dataclass(frozen=True)
class _Design:
    epochs: int
    point: Point | None  # None for one that was stopped
    failed: bool = False  # none of its runs came through, so that its error is that of chance


def search_history(
    runs: pd.DataFrame,
    random: list[str],
    seeds: int,
    cost: str | None,
    *,
    late: Collection[str] = (),
    seed: int = 0,
) -> SearchHistory | None:
    """The history of a search from its runs in the order they ended; None before the first design has ended.

    `random` names the designs that were drawn at random, of which those that are `late` come from what the search had
    left over and are not compared with it; `cost` is minimised beside the error, if there is one.
    """
    designs, by_chance = _designs(runs, seeds, cost), set(random)
    searched = [one for name, one in designs.items() if name not in by_chance]
    drawn = [one for name, one in designs.items() if name in by_chance and name not in late]
    if not searched:
        return None
    best_of = _best_of([*searched, *drawn], runs, is_front=cost is not None)
    spent = np.cumsum([one.epochs for one in searched])
    best = _best_after_each([None if one.failed else one.point for one in searched], best_of)
    pruned = runs[runs["status"] == "pruned"].drop_duplicates("setting")
    at_rung = pruned["epochs"].to_numpy()
    stopped = {int(epoch): int((at_rung == epoch).sum()) for epoch in np.unique(at_rung)}
    ended = [one for one in drawn if one.point]
    return SearchHistory(
        is_front=cost is not None,
        epochs=[int(value) for value in spent],
        best=best,
        stopped=stopped,
        tried=len(designs),
        drawn=_drawn(ended, best_of, spent, best, is_front=cost is not None, seed=seed) if ended else None,
    )


def _designs(runs: pd.DataFrame, seeds: int, cost: str | None) -> dict[str, _Design]:
    """Every design whose seeds are all in, in the order of the last of them."""
    final = runs[runs["status"].isin(FINAL_STATUSES)]
    status, epochs = final["status"].tolist(), final["epochs"].tolist()
    errors = judged(final, "val_error")["judged"].reindex(final.index).tolist()
    costs = final[cost].tolist() if cost in final else [0.0] * len(final)  # no column before anything is measured
    found = {}
    for name, own in sorted(places_of(final["setting"]).items(), key=lambda item: item[1][-1]):
        if len(own) < seeds:
            continue
        point = None
        if not any(status[place] == "pruned" for place in own):
            error = float(np.mean([errors[place] for place in own]))
            point = (error, float(costs[own[0]]))
        failed = all(status[place] in FAILED for place in own)
        found[name] = _Design(sum(epochs[place] for place in own), point, failed)
    return found


def _best_after_each(points: Sequence[Point | None], best_of: Callable[[list[Point]], float]) -> list[float]:
    """The best result of the first design, of the first two, and so on; only a non-dominated design can change it."""
    best, ahead, found = float("nan"), list[Point](), []
    for point in points:
        if point and not any(error <= point[0] and cost <= point[1] for error, cost in ahead):
            ahead = [one for one in ahead if one[0] < point[0] or one[1] < point[1]] + [point]
            best = best_of(ahead)
        found.append(best)
    return found


def _best_of(designs: list[_Design], runs: pd.DataFrame, *, is_front: bool) -> Callable[[list[Point]], float]:
    """A function from points to their best result: the lowest error, or the hypervolume share; NaN without points."""
    if not is_front:
        return lambda points: min((error for error, _ in points), default=float("nan"))
    dearest = max((one.point[1] for one in designs if one.point), default=1.0)
    worst = (1 - 1 / float(runs["classes"].max()), dearest * 1.0001)
    return lambda points: hypervolume(np.array(points), worst) if points else float("nan")


def _drawn(
    drawn: list[_Design],
    best_of: Callable[[list[Point]], float],
    spent: npt.NDArray[np.int64],
    best: list[float],
    *,
    is_front: bool,
    seed: int,
) -> Drawn | None:
    rng, points = np.random.default_rng(seed), [one.point for one in drawn if one.point]
    each = sum(one.epochs for one in drawn) / len(drawn)
    count = min(len(drawn), int(spent[-1] / each + 1e-9))
    if count == 0:
        return None
    orders = [rng.permutation(len(points)) for _ in range(DRAWS if len(points) > 1 else 1)]
    table = np.array([_best_after_each([points[place] for place in order], best_of) for order in orders])
    low, high = np.percentile(table, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)], axis=0)
    ended = int(np.searchsorted(spent, count * each + 1e-9, side="right"))
    searched = best[ended - 1] if ended else float("nan")
    good = [one.point[0] <= searched for one in drawn if one.point and not one.failed]
    as_good = None if is_front or np.isnan(searched) else sum(good)
    return Drawn(
        epochs=[each * (k + 1) for k in range(len(points))],
        mean=table.mean(axis=0).tolist(),
        low=low.tolist(),
        high=high.tolist(),
        count=count,
        spent=count * each,
        best=float(table[:, count - 1].mean()),
        searched=searched,
        as_good=as_good,
        likely=None if as_good is None else _likely(as_good, len(points), count),
        failed=sum(one.failed for one in drawn),
    )


def _likely(good: int, of: int, draws: int) -> tuple[float, float, float]:
    """The probability that `draws` designs contain a good one, if `good` of `of` were: estimate and exact interval."""
    tail = (1 - CONFIDENCE) / 2
    low = float(stats.beta.ppf(tail, good, of - good + 1)) if good else 0.0
    high = float(stats.beta.ppf(1 - tail, good + 1, of - good)) if good < of else 1.0
    estimate, bottom, top = (1 - (1 - rate) ** draws for rate in (good / of, low, high))
    return estimate, bottom, top
