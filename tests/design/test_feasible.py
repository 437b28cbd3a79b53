"""Many designs at once: the same costs as one by one, and exactly the feasible ones."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from explorer.design import (
    AnyNetX,
    Budget,
    Cost,
    DesignSpace,
    Limit,
    NamedSpace,
    RegNetX,
    Task,
    cost,
    draw,
    parse_name,
    scan,
    short_name,
    space_filling,
)
from explorer.design.feasible import Pool, Ranks, Share, wilson
from explorer.design.ranges import Range, RealRange
from explorer.design.space import Space
from tests.conftest import broadly

TASK = Task(3, 32, 10)
AXES = ("params", "macs", "activations")
FAMILY: dict[str, Any] = {
    "template": "cifar",
    "depth": (11, 20),
    "width": (16, 64),
    "cardinality": Range(1, 16),
    "kernel_size": (3, 5),
}
SPACES: dict[str, Space] = {
    "listed": DesignSpace(
        **FAMILY, bottleneck_width=Range(1, 9), shortcut=(True, False), block=("bottleneck", "preact")
    ),
    "group_width": DesignSpace(**{**FAMILY, "cardinality": (1, 2, 4)}, group_width=Range(8, 64, step=8)),
    "basic": DesignSpace("wide", (10, 16), (16, 48), (1,), (3, 5), Range(1, 80), block=("basic", "preact_basic")),
    "inception": DesignSpace("cifar", (11, 20), (16, 64), (4,), (3,), Range(1, 80), block=("inception",)),
    "alexnet": NamedSpace(tuple(f"8-{c}x{d}d-alexnet_cifar" for c in (1, 2, 3) for d in (3, 7, 20)), "named"),
    "anynetx": AnyNetX("regnet_cifar", (1, 2, 3), Range(8, 40, step=8), (1, 2), (1, 2, 8, 16), (3, 5), block="preact"),
    "anynetx_d": AnyNetX(
        "cifar", (1, 2), Range(4, 40, step=4), (1, 2), (1, 8), rising=("width",), shared=("group_width",)
    ),
    "parts": DesignSpace(
        "cifar",
        (11, 20),
        (16, 64),
        Range(1, 16),
        bottleneck_width=Range(1, 9),
        block=("bottleneck", "preact"),
        stem=("plain", "deep"),
        projection=("conv", "pool", "pad"),
        attention=("none", "se4", "semid3", "eca"),
    ),
    "scales": DesignSpace(
        "cifar", (11, 20), (16, 64), (1, 4), bottleneck_width=Range(1, 9), scale=(1, 2, 4), attention=("none", "semid2")
    ),
    "regnety": RegNetX(
        *("regnet_cifar", Range(4, 9), (8, 16, 24), RealRange(4, 40, 4), RealRange(2, 3, 0.25), (1, 2), (4, 8)),
        stem="deep",
        projection="pool",
        attention="semid4",
    ),
    "regnetx": RegNetX(
        "regnet_cifar", Range(4, 9), (8, 16, 24), RealRange(4, 40, 4), RealRange(2, 3, 0.25), (1, 2), (4, 8)
    ),
}


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def middle(space: Space, tolerance: float = 0.2) -> Budget:
    """A budget about the middle of a space's costs."""
    pool = draw(scan(space, None, TASK, rng()), 50, rng())
    own = [cost(pool.architecture(place), TASK) for place in range(len(pool))]
    targets = {axis: int(np.median([getattr(value, axis) for value in own])) for axis in ("params", "macs")}
    return Budget(tuple(Limit(axis, target, tolerance * 2) for axis, target in targets.items()))


@pytest.mark.real
@pytest.mark.parametrize("name", broadly(SPACES, 6))
def test_a_scan_keeps_exactly_the_designs_that_meet_the_budget(name: str) -> None:
    space, budget = SPACES[name], middle(SPACES[name])
    everything, found = scan(space, None, TASK, rng()), scan(space, budget, TASK, rng())
    every, kept = draw(everything, 10**6, rng()), draw(found, 10**6, rng())
    designs = {every.architecture(place) for place in range(len(every))}
    assert len(designs) == len(every)
    within = {design for design in designs if budget.within(cost(design, TASK))}
    assert within == {kept.architecture(place) for place in range(len(kept))}
    assert 0 < len(within) < len(designs)
    assert found.feasible is not None
    assert found.share == Share(found.feasible / found.size, *(found.feasible / found.size,) * 2, found.size)


@pytest.mark.parametrize("name", SPACES)
def test_no_design_costs_more_than_the_one_that_bounds_its_space(name: str) -> None:
    for part in SPACES[name].parts:
        designs = part.build(part.points([rng().integers(len(factor), size=1_000) for factor in part.factors]))
        drawn, bound = designs.take(designs.exist).cost(TASK), cost(part.largest, TASK)
        for axis in AXES:
            assert getattr(drawn, axis).max() <= getattr(bound, axis)


@pytest.mark.real
def test_thirty_thousand_designs_cost_the_same_at_once_as_one_by_one() -> None:
    checked = 0
    for space in SPACES.values():
        for part in space.parts:
            picks = [rng().integers(len(factor), size=4_500) for factor in part.factors]
            designs = part.build(part.points(picks))
            designs = designs.take(designs.exist)
            at_once = designs.cost(TASK)
            for row in range(len(designs)):
                alone = cost.__wrapped__(designs.architecture(row), TASK)
                assert alone == Cost(*(int(getattr(at_once, axis)[row]) for axis in AXES))
            checked += len(designs)
    assert checked >= 30_000


def test_a_solved_axis_is_solved_for_all_points_at_once_as_for_one() -> None:
    from explorer.design import solve_bottleneck_width

    space = DesignSpace(**FAMILY)
    own = cost(parse_name("20-1x16d-w64"), TASK)
    budget = Budget((Limit("params", own.params, 0.1), Limit("activations", own.activations, 0.6)))
    found = draw(scan(space, budget, TASK, rng()), 10**6, rng())
    assert 10 < len(found) < 128
    for place in range(len(found)):
        design = found.architecture(place)
        assert design == solve_bottleneck_width(design, budget, TASK)


def test_limits_combine_and_each_has_its_own_tolerance() -> None:
    space = SPACES["listed"]
    own = cost(parse_name("20-4x5d-w64"), TASK)
    counts = [
        scan(space, Budget(limits), TASK, rng()).feasible
        for limits in (
            (Limit("params", own.params, 0.1),),
            (Limit("params", own.params, 0.1), Limit("macs", own.macs, 0.1)),
            (
                Limit("params", own.params, 0.1),
                Limit("macs", own.macs, 0.1),
                Limit("activations", own.activations, 0.05),
            ),
        )
    ]
    assert all(more is not None and fewer is not None and more > fewer > 0 for more, fewer in pairwise(counts))


def test_a_large_space_has_an_exact_size_and_an_estimate_that_covers_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    space, budget = SPACES["anynetx"], middle(SPACES["anynetx"], 0.05)
    exact = scan(space, budget, TASK, rng())
    monkeypatch.setattr("explorer.design.feasible.EXACT", 1000)
    monkeypatch.setattr("explorer.design.feasible.SAMPLED", 20_000)
    misses = 0
    for seed in range(20):
        estimated = scan(space, budget, TASK, np.random.default_rng(seed))
        assert (estimated.size, estimated.feasible) == (exact.size, None)
        assert estimated.share.drawn == 20_000
        misses += not estimated.share.low <= exact.share.estimate <= estimated.share.high
    assert misses <= 4  # a 95 % interval misses 1 of 20; 5 or more have probability 0.003


def test_draws_from_a_large_space_are_feasible_and_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    space, budget = SPACES["anynetx"], middle(SPACES["anynetx"], 0.1)
    every = draw(scan(space, budget, TASK, rng()), 10**6, rng())
    monkeypatch.setattr("explorer.design.feasible.EXACT", 1000)
    large = scan(space, budget, TASK, rng())
    half = draw(large, len(every) // 2, rng())
    names = {short_name(half.architecture(place)) for place in range(len(half))}
    assert len(names) == len(half) == len(every) // 2
    assert names < {short_name(every.architecture(place)) for place in range(len(every))}
    monkeypatch.setattr("explorer.design.feasible.MOST_DRAWN", 1 << 20)
    with pytest.raises(ValueError, match=rf"only {len(every)} distinct designs met the budget; ask for fewer"):
        draw(large, len(every) + 1, rng())
    assert len(draw(large, len(every) + 1, rng(), least=1)) == len(every)  # what was found is enough for a search


@pytest.mark.real
def test_uniform_draws_are_uniform() -> None:
    """Each design of a small feasible set comes in its share of 3,000 draws; chi-square at one in a thousand."""
    from scipy.stats import chi2

    space, budget = SPACES["regnetx"], middle(SPACES["regnetx"])
    found = scan(space, budget, TASK, rng())
    every = draw(found, 10**6, rng())
    counts = dict.fromkeys((short_name(every.architecture(place)) for place in range(len(every))), 0)
    for seed in range(3000):
        (name,) = [short_name(draw(found, 1, np.random.default_rng(seed)).architecture(0))]
        counts[name] += 1
    expected = 3000 / len(counts)
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < chi2.ppf(0.999, len(counts) - 1)


def test_a_space_filling_set_is_spread_wider_than_a_uniform_one() -> None:
    found = scan(SPACES["listed"], middle(SPACES["listed"]), TASK, rng())
    pool = draw(found, 10**6, rng())
    coordinates = Ranks(pool.parameters).coordinates

    def nearest(places: Any) -> float:
        chosen = coordinates[list(places)]
        distance = ((chosen[:, None] - chosen[None]) ** 2).sum(axis=2)
        np.fill_diagonal(distance, np.inf)
        return float(distance.min())

    filling = space_filling(pool, 12, rng())
    assert len(set(filling)) == 12
    assert nearest(filling) > 4 * np.median([nearest(rng().choice(len(pool), 12, replace=False)) for _ in range(20)])
    assert len(space_filling(pool, 10**6, rng())) == len(pool)


def test_coordinates_are_ranks_and_a_label_is_no_number() -> None:
    ranks = Ranks(
        {
            "cardinality": np.array([1, 32, 2]),
            "block": np.array(["a", "b", "a"], dtype=object),
            "k": np.array([3, 3, 3]),
        }
    )
    found = ranks.coordinates
    assert ranks.of({"cardinality": 32, "block": "b", "k": 3}).tolist() == found[1].tolist()
    assert ranks.of({"cardinality": 17, "block": "a", "k": 3})[0] == 0.75
    assert found[:, 0].tolist() == [0.0, 1.0, 0.5]
    assert found[:, 3].tolist() == [0.0, 0.0, 0.0]
    assert ((found[0, 1:3] - found[1, 1:3]) ** 2).sum() == pytest.approx(1)


def test_the_score_interval_is_wilsons() -> None:
    found = wilson(8, 100)  # Newcombe 1998 gives the formula; worked here by hand: centre 0.0955, half width 0.0544
    assert (found.low, found.high) == (pytest.approx(0.0411, abs=1e-4), pytest.approx(0.1500, abs=1e-4))
    assert wilson(0, 100).low == 0
    assert 0.03 < wilson(0, 100).high < 0.04


def test_progress_is_told_to_the_end() -> None:
    told: list[tuple[int, int]] = []
    found = scan(SPACES["listed"], None, TASK, rng(), lambda done, size: told.append((done, size)))
    assert told[-1] == (found.size, found.size)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_pool_has_no_place_beyond_its_end() -> None:
    with pytest.raises(IndexError):
        Pool((), {}).architecture(0)
