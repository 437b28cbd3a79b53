"""The designs within a budget: counted exactly if the space is small enough to list, else estimated by sampling."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.design.architecture import Architecture
from explorer.design.block import BLOCKS, UNBUILDABLE
from explorer.design.budget import Budget, solved
from explorer.design.cost import Cost
from explorer.design.designs import Designs
from explorer.design.space import Columns, Part, Space
from explorer.design.template import Task

EXACT = 100_000_000  # spaces up to this size are listed in full
CHUNK = 1 << 14  # designs costed at once: their columns stay in the processor's cache
SAMPLED = 1 << 20  # sampled points to estimate the feasible share of a larger space
MOST_DRAWN = 1 << 27  # points tried before drawing rare designs is given up
PROBED = 1 << 11  # points of a space in which nothing is feasible that are looked at for what would be
MOVE, MOST_MOVES = 1.2, 20  # factor by which a target is moved at a time, and how often
Z = 1.959963984540054  # the normal distribution's 97.5 % point
Progress = Callable[[int, int], None]  # done, of all
Rows = npt.NDArray[np.int64]
Piece = tuple[Part, Columns, Designs]


@dataclass(frozen=True)
class Share:
    """An estimated fraction with its 95 % Wilson score interval, from `drawn` uniformly drawn points."""

    estimate: float
    low: float
    high: float
    drawn: int


@dataclass(frozen=True)
class Scan:
    """The result of scanning a space for designs within a budget (None: no budget, all designs are feasible).

    size      exact number of points of the space
    feasible  number of points within the budget; None if the space is too large to list
    share     feasible fraction of the points: exact or estimated
    rows      indices of the feasible points of each part, if they were listed
    """

    space: Space
    budget: Budget | None
    task: Task
    size: int
    feasible: int | None
    share: Share
    rows: tuple[Rows, ...] = field(repr=False)


@dataclass(frozen=True)
class Pool:
    """Distinct feasible designs, and the values of the free axes of each.

    `parameters` has a column per axis of the space, of shape `(len(pool),)`; labels such as a block are objects.
    """

    designs: tuple[Designs, ...]
    parameters: dict[str, npt.NDArray[np.generic]]

    def __len__(self) -> int:
        return sum(map(len, self.designs))

    def architecture(self, place: int) -> Architecture:
        """The design at an index."""
        for designs in self.designs:
            if place < len(designs):
                return designs.architecture(place)
            place -= len(designs)
        raise IndexError(place)

    def take(self, places: Rows) -> "Pool":
        """Some of the designs, by rising positions."""
        starts = np.cumsum([0, *map(len, self.designs)])
        parts = [
            designs.take(own)
            for designs, start in zip(self.designs, starts, strict=False)
            if len(own := places[(places >= start) & (places < start + len(designs))] - start)
        ]
        return Pool(tuple(parts), {name: column[places] for name, column in self.parameters.items()})


def scan(
    space: Space, budget: Budget | None, task: Task, rng: np.random.Generator, progress: Progress | None = None
) -> Scan:
    """Compute the cost of a space's points and keep those within the budget; a solved axis is solved first.

    Raises ValueError if no network of the space fits the images, or costs could exceed 64-bit integers.
    """
    assert budget is not None or not space.is_solved
    for part in space.parts:
        part.refuse_overflow(task)
    size = sum(part.size for part in space.parts)
    if size > EXACT:
        chunks = _drawn(space, budget, task, rng, SAMPLED)
        kept = sum(len(designs) for pieces in chunks for _, _, designs in pieces)
        return Scan(space, budget, task, size, None, wilson(kept, SAMPLED), ())
    rows, done = [], 0
    for part in space.parts:
        found = []
        for start in range(0, part.size, CHUNK):
            positions = np.arange(start, min(start + CHUNK, part.size))
            found.append(positions[_feasible(space, budget, task, part.at(positions), part)[1]])
            if progress is not None:
                progress(done + int(positions[-1]) + 1, size)
        rows.append(np.concatenate(found))
        done += part.size
    feasible = sum(map(len, rows))
    exact = feasible / size
    return Scan(space, budget, task, size, feasible, Share(exact, exact, exact, size), tuple(rows))


def draw(
    scanned: Scan, most: int, rng: np.random.Generator, progress: Progress | None = None, *, least: int | None = None
) -> Pool:
    """Draw up to `most` distinct feasible designs uniformly; all of them if there are no more.

    If the points were listed, each distinct network is equally likely. Otherwise each point is: a network of several
    points (by RegNet's rounding) is more likely, but is drawn once. Raises ValueError if a large space gives fewer
    than `least`, by default `most`, of which it is drawn from for long.
    """
    if scanned.feasible is None:
        return _draw_by_rejection(scanned, most, most if least is None else least, rng, progress)
    space, groups = scanned.space, []
    for part, rows in zip(space.parts, scanned.rows, strict=True):
        may_repeat = len(rows) and space.kind in ("anynetx", "regnetx")
        groups.append(rows[_first_of_each(scanned, part, rows)] if may_repeat else rows)
    total = sum(map(len, groups))
    chosen = np.sort(rng.choice(total, min(most, total), replace=False))
    found, start = [], 0
    for part, rows in zip(space.parts, groups, strict=True):
        mine = rows[chosen[(chosen >= start) & (chosen < start + len(rows))] - start]
        start += len(rows)
        if len(mine):
            points = part.at(mine)
            found.append((part, points, _feasible(space, scanned.budget, scanned.task, points, part)[0]))
    return _pool(found)


def space_filling(pool: Pool, count: int, rng: np.random.Generator) -> list[int]:
    """Indices of `count` designs that are far from each other: each next one is the farthest from all before it.

    The distance is Euclidean over the free axes, each scaled by rank to 0 to 1 (Gonzalez, 1985, farthest-first
    traversal).
    """
    coordinates = Ranks(pool.parameters).coordinates
    chosen = [int(rng.integers(len(pool)))]
    distance = np.full(len(pool), np.inf)
    while len(chosen) < min(count, len(pool)):
        distance = np.minimum(distance, ((coordinates - coordinates[chosen[-1]]) ** 2).sum(axis=1))
        distance[chosen] = -1
        chosen.append(int(distance.argmax()))
    return chosen


class Ranks:
    """Coordinates of designs, from 0 to 1 per axis by rank among its values; a label has one column per value.

    Two different labels are at distance 1, as are the ends of an axis. `coordinates` has a row per design.
    """

    def __init__(self, parameters: dict[str, npt.NDArray[np.generic]]) -> None:
        self._known: dict[str, npt.NDArray[Any]] = {}
        columns: list[npt.NDArray[np.float64]] = []
        length = len(next(iter(parameters.values()), []))
        for name, values in parameters.items():
            is_label = values.dtype == object
            known, places = np.unique(values.astype(str) if is_label else values, return_inverse=True)
            self._known[name] = known
            if is_label:
                columns += [(places == place) / math.sqrt(2) for place in range(len(known))]
            else:
                columns.append(places / max(len(known) - 1, 1))
        self.coordinates = np.stack(columns, axis=1) if columns else np.zeros((length, 0))

    def of(self, values: Mapping[str, Any]) -> npt.NDArray[np.float64]:
        """Coordinates of one design, whose numbers may lie between the known ones."""
        found: list[float] = []
        for name, known in self._known.items():
            if known.dtype.kind == "U":
                found += [float(str(values[name]) == label) / math.sqrt(2) for label in known]
            else:
                steps = np.linspace(0, 1, len(known)) if len(known) > 1 else np.zeros(1)
                found.append(float(np.interp(values[name], known.astype(float), steps)))
        return np.array(found)


def wilson(hits: int, drawn: int) -> Share:
    """Estimate and 95 % score interval of a fraction (Wilson, 1927); its upper end is above zero without a hit."""
    share = hits / drawn
    middle = (share + Z**2 / (2 * drawn)) / (1 + Z**2 / drawn)
    half = Z / (1 + Z**2 / drawn) * math.sqrt(share * (1 - share) / drawn + Z**2 / (4 * drawn**2))
    return Share(share, max(0.0, middle - half) if hits else 0.0, min(1.0, middle + half), drawn)


def _feasible(
    space: Space, budget: Budget | None, task: Task, points: Columns, part: Part
) -> tuple[Designs, npt.NDArray[np.bool_]]:
    """The designs of points, with a solved axis solved, and which of them exist and meet the budget."""
    designs = part.build(points)
    if budget is None:
        if BLOCKS[designs.block].module is None:
            return designs, designs.exist
        return designs, np.asarray(designs.cost(task).params < UNBUILDABLE) & designs.exist
    if space.is_solved:
        designs = solved(designs, budget, task)
    within = np.asarray(budget.within(designs.cost(task)))
    return designs, within & designs.exist


def nearest_budget(space: Space, budget: Budget, task: Task, wanted: int) -> tuple[Cost, Budget] | None:
    """For a budget that no design meets: the cost of the design nearest to it, and a budget that designs do meet.

    It has other targets where that design misses them, moved on until `wanted` designs are there, if that many come.
    Both are found among `PROBED` points of the space; None if none of these exists.
    """
    rng = np.random.default_rng(0)
    sizes = np.array([float(part.size) for part in space.parts])
    probes = []
    for part, share in zip(space.parts, rng.multinomial(PROBED, sizes / sizes.sum()), strict=True):
        if part.size <= PROBED:
            probes.append((part, part.at(np.arange(part.size)), 1.0))
        elif share:
            points = part.points([rng.integers(len(factor), size=share) for factor in part.factors])
            probes.append((part, points, part.size / share))
    best: tuple[float, Cost] | None = None
    for part, points, _ in probes:
        designs = _feasible(space, budget, task, points, part)[0]
        costs = designs.cost(task)
        counts = [np.asarray(getattr(costs, one.axis), float) for one in budget.limits]
        ratios = [np.log(count / one.target) for count, one in zip(counts, budget.limits, strict=True)]
        miss = np.where(designs.exist, np.max(np.abs(ratios), axis=0), np.inf)
        place = int(np.argmin(miss))
        if math.isfinite(miss[place]) and (best is None or miss[place] < best[0]):
            best = float(miss[place]), Cost(*(int(getattr(costs, one.name)[place]) for one in fields(Cost)))
    if best is None:
        return None
    moved, near, most = budget, best[1], -1.0
    for step in range(MOST_MOVES):
        limits = []
        for one in budget.limits:
            cost = getattr(near, one.axis)
            way = 1 if cost > one.target else -1
            is_missed = not bool(Budget((one,)).within(near))
            limits.append(replace(one, target=_rounded(cost * MOVE ** (way * step))) if is_missed else one)
        tried = Budget(tuple(limits))
        enough = sum(
            weight * float(_feasible(space, tried, task, points, part)[1].sum()) for part, points, weight in probes
        )
        if enough > most:
            moved, most = tried, enough
        if enough >= 2 * wanted:  # some points are the same design
            break
    return near, moved


def _rounded(count: float) -> int:
    """A cost with three digits, rounded up."""
    power = max(0, len(str(int(count))) - 3)
    unit = int(10**power)
    return max(1, math.ceil(count / unit)) * unit


def _drawn(
    space: Space, budget: Budget | None, task: Task, rng: np.random.Generator, count: int
) -> Iterator[list[Piece]]:
    """Feasible designs among `count` uniform points of the space, in chunks, each with one piece per part."""
    sizes = np.array([float(part.size) for part in space.parts])
    for start in range(0, count, CHUNK):
        chunk, pieces = min(CHUNK, count - start), list[Piece]()
        for part, share in zip(space.parts, rng.multinomial(chunk, sizes / sizes.sum()), strict=True):
            if not share:
                continue
            points = part.points([rng.integers(len(factor), size=share) for factor in part.factors])
            designs, mask = _feasible(space, budget, task, points, part)
            pieces.append((part, {name: column[mask] for name, column in points.items()}, designs.take(mask)))
        yield pieces


def _draw_by_rejection(
    scanned: Scan, most: int, least: int, rng: np.random.Generator, progress: Progress | None = None
) -> Pool:
    found: list[Piece] = []
    seen: set[tuple[str | int, ...]] = set()
    tried = 0
    while len(seen) < most:
        if tried >= MOST_DRAWN:
            if len(seen) >= least:
                break
            raise ValueError(
                f"{tried:,} points of the space were drawn and only {len(seen)} distinct designs met the budget; "
                "ask for fewer, widen the tolerance, or narrow the space"
            )
        for pieces in _drawn(scanned.space, scanned.budget, scanned.task, rng, 16 * CHUNK):
            fresh = _fresh([designs for _, _, designs in pieces], most, seen, rng)
            for (part, points, designs), rows in zip(pieces, fresh, strict=True):
                if rows.any():
                    found.append((part, {name: column[rows] for name, column in points.items()}, designs.take(rows)))
        tried += 16 * CHUNK
        if progress is not None:
            progress(len(seen), most)
    return _pool(found)


def _fresh(
    pieces: list[Designs], most: int, seen: set[tuple[str | int, ...]], rng: np.random.Generator
) -> list[npt.NDArray[np.bool_]]:
    """Masks of the designs of each piece that have not been seen, until `most` have been seen in all.

    The designs of several pieces are visited in random order, since otherwise the first part would be preferred.
    """
    fresh = [np.zeros(len(designs), dtype=np.bool_) for designs in pieces]
    places = [(number, row) for number, designs in enumerate(pieces) for row in range(len(designs))]
    if len(pieces) > 1:
        places = [places[place] for place in rng.permutation(len(places))]
    kinds = [designs.labels for designs in pieces]
    keys = [designs.keys().tolist() for designs in pieces]
    for number, row in places:
        if len(seen) >= most:
            break
        key = (keys[number][row], *kinds[number])  # designs of different blocks may have equal keys
        if key not in seen:
            seen.add(key)
            fresh[number][row] = True
    return fresh


def _first_of_each(scanned: Scan, part: Part, rows: Rows) -> Rows:
    """Indices in `rows` of the first point of every distinct network."""
    keys = [
        _feasible(scanned.space, scanned.budget, scanned.task, part.at(chunk), part)[0].keys()
        for chunk in np.split(rows, range(CHUNK, len(rows), CHUNK))
    ]
    return np.sort(np.unique(np.concatenate(keys), return_index=True)[1])


def _pool(found: list[Piece]) -> Pool:
    parameters: dict[str, list[npt.NDArray[np.generic]]] = {}
    for part, points, designs in found:
        for name, column in points.items():
            parameters.setdefault(name, []).append(column)
        for name, value in part.label.items():
            parameters.setdefault(name, []).append(np.full(len(designs), value, dtype=object))
    return Pool(
        tuple(designs for _, _, designs in found),
        {name: np.concatenate(columns) for name, columns in parameters.items()},
    )
