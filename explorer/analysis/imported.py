"""What imported results show beside their front: distributions, at any and at equal cost, and the best of some designs.

After Radosavovic et al., "On network design spaces for visual recognition" (1905.13214), sections 3 and 4: all designs
together say more than their best one, and two populations are compared at equal complexity by weighting designs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from explorer.analysis.intervals import CONFIDENCE
from explorer.analysis.population import Distribution, distribution
from explorer.analysis.summary import SettingSummary
from explorer.record.imported import Imported

Floats = npt.NDArray[np.float64]
LEAST_DESIGNS = 4  # fewest designs of a group with a distribution: of fewer the table says as much
LEAST_WEIGHTED = 8  # fewest designs of a group that can be weighted to another's costs
MOST_BINS = 10  # of the cost
EACH_BIN = 3  # designs of the smallest group for each bin
MOST_POINTS = 60  # most numbers of designs at which a curve of the best is computed


@dataclass(frozen=True)
class BestOf:
    """The lowest error of `counts` designs that are drawn at random, without repeats, from a group.

    mean       expected lowest error
    low, high  the central 95 % of draws; they meet where all designs are taken
    n          designs of the group
    """

    counts: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    n: int


@dataclass(frozen=True)
class Weighted:
    """Distributions with designs weighted so that each group has the same designs at each cost.

    bins     number of ranges of the cost, equally wide in its logarithm, in which every group has designs
    outside  by group, designs in ranges in which another group has none; they do not count
    """

    distributions: dict[str, Distribution]
    bins: int
    outside: dict[str, int]


@dataclass(frozen=True)
class ImportedFinding:
    """What is made of imported results.

    source         what the record says of the file
    single         whether no design has two runs, so that nothing is known of how far seeds vary
    grouped_by     what tells the groups apart: `group` is a column of the file, `paths` one path from several; "" where
                   all designs are one group
    distributions  of errors over designs, by group; empty for too few designs
    weighted       those at equal cost; None for too few designs, or if they all cost the same
    best_of        by group
    """

    source: Imported
    single: bool
    grouped_by: str
    distributions: dict[str, Distribution]
    weighted: Weighted | None
    best_of: dict[str, BestOf]


def imported_finding(
    source: Imported, summaries: Sequence[SettingSummary], groups: Mapping[str, str]
) -> ImportedFinding:
    """The distributions of imported results; `groups` is the group of each setting, where the file has groups."""
    known = [one for one in summaries if one.came_through]
    by, sorted_out = _grouped(known, groups)
    large = {name: own for name, own in sorted_out.items() if len(own) >= LEAST_DESIGNS}
    return ImportedFinding(
        source=source,
        single=max((one.estimate.n for one in known), default=0) < 2,
        grouped_by=by,
        distributions={name: distribution(_errors(own)) for name, own in large.items()},
        weighted=_weighted(large, source.cost),
        best_of={name: best_of(_errors(own)) for name, own in large.items()},
    )


def _grouped(
    summaries: Sequence[SettingSummary], groups: Mapping[str, str]
) -> tuple[str, dict[str, list[SettingSummary]]]:
    """The designs by the groups of the file; else those of one path and of several, where there are enough of both."""
    found: dict[str, list[SettingSummary]] = {}
    if len({groups.get(one.setting, "") for one in summaries}) > 1:
        for one in summaries:
            found.setdefault(groups.get(one.setting) or "no group", []).append(one)
        return "group", found
    for one in summaries:
        found.setdefault("one path" if one.cardinality == 1 else "several paths", []).append(one)
    if len(found) == 2 and min(map(len, found.values())) >= LEAST_DESIGNS:
        return "paths", dict(sorted(found.items()))
    return "", {"all designs": [*summaries]}


def _errors(designs: Sequence[SettingSummary]) -> Floats:
    return np.array([one.estimate.mean for one in designs])


def _weighted(groups: Mapping[str, Sequence[SettingSummary]], cost: str) -> Weighted | None:
    """The distributions at equal cost: in each range of the cost that all groups have, each group weighs the same."""
    if not groups or min(map(len, groups.values())) < LEAST_WEIGHTED:
        return None
    costs = {name: np.log([float(getattr(one, cost)) for one in own]) for name, own in groups.items()}
    every = np.concatenate([*costs.values()])
    number = min(MOST_BINS, min(map(len, groups.values())) // EACH_BIN)
    if every.min() == every.max() or number < 2:
        return None
    edges = np.linspace(every.min(), every.max(), number + 1)
    bins = {name: np.clip(np.searchsorted(edges, own, "right") - 1, 0, number - 1) for name, own in costs.items()}
    shared = set.intersection(*({*own.tolist()} for own in bins.values()))
    if len(shared) < 2:
        return None
    found, outside = {}, {}
    for name, own in groups.items():
        counts = np.bincount(bins[name], minlength=number)
        inside = np.isin(bins[name], [*shared])
        weights = 1 / (len(shared) * counts[bins[name][inside]])
        found[name] = weighted_distribution(_errors(own)[inside], weights)
        outside[name] = int((~inside).sum())
    return Weighted(found, len(shared), outside)


def weighted_distribution(errors: npt.ArrayLike, weights: npt.ArrayLike) -> Distribution:
    """The distribution of errors of designs with weights that sum to 1 (1905.13214, section 3.3).

    Intervals are Clopper's and Pearson's at the effective number of designs, 1 / sum of squared weights (Korn and
    Graubard, 1998); with equal weights they are those of `distribution`. Raises ValueError for weights of another sum.
    """
    order = np.argsort(np.asarray(errors, dtype=float), kind="stable")
    values, own = np.asarray(errors, dtype=float)[order], np.asarray(weights, dtype=float)[order]
    if not math.isclose(float(own.sum()), 1, rel_tol=1e-9):
        raise ValueError(f"weights sum to {own.sum()}, not to 1")
    # Designs of one error are passed together.
    share = np.cumsum(own)[np.searchsorted(values, values, side="right") - 1]
    share[-1] = 1.0
    n = 1 / float((own**2).sum())
    below, tail = share * n, (1 - CONFIDENCE) / 2
    low: Floats = np.asarray(special.betaincinv(below, n - below + 1, tail), dtype=np.float64)
    rest = np.maximum(n - below, 1e-9)
    high: Floats = np.asarray(
        np.where(share < 1 - 1e-12, special.betaincinv(below + 1, rest, 1 - tail), 1.0), dtype=np.float64
    )
    return Distribution(values, share, low, high, len(values), float((values * own).sum()))


def best_of(errors: npt.ArrayLike) -> BestOf:
    """How low the lowest error of some designs is that are drawn at random from these, exactly, for any number of them.

    Of k designs out of n the lowest is the i-th lowest of all with probability C(n - i, k - 1) / C(n, k).
    """
    values = np.sort(np.asarray(errors, dtype=float))
    n = len(values)
    counts = sorted({round(n ** (place / (MOST_POINTS - 1))) for place in range(MOST_POINTS)}) if n > 1 else [1]
    mean, low, high = [], [], []
    place = np.arange(1, n + 1)
    for k in counts:
        # log C(n - i, k - 1) - log C(n, k); impossible where fewer than k - 1 designs are worse.
        worse = n - place
        possible = worse >= k - 1
        logs = _log_choose(np.where(possible, worse, k - 1), k - 1) - _log_choose(np.array(n), k)
        chances = np.where(possible, np.exp(logs), 0.0)
        passed = np.cumsum(chances / chances.sum())
        mean.append(float((chances * values).sum() / chances.sum()))
        ends = [min(int(np.searchsorted(passed, at - 1e-12)), n - 1) for at in (0.025, 0.975)]
        low.append(float(values[ends[0]]))
        high.append(float(values[ends[1]]))
    return BestOf(tuple(counts), tuple(mean), tuple(low), tuple(high), n)


def _log_choose(total: npt.NDArray[np.int64], taken: int) -> Floats:
    return np.asarray(special.gammaln(total + 1) - special.gammaln(taken + 1) - special.gammaln(total - taken + 1))
