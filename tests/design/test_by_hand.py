"""Costs, deviations and draws against sums made by hand."""

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pytest

from explorer.design import Budget, DesignSpace, Limit, Task, cost, parse_name, scan
from explorer.design.cost import block_cost
from explorer.design.feasible import _drawn, draw, wilson
from explorer.design.grouped import grouped_convs
from explorer.design.layout import layout
from explorer.design.ranges import Range
from explorer.design.space import Part, Space
from explorer.host.errors import InputError
from explorer.study.plan import plan_of
from explorer.verbs.command_line import read_command

TASK = Task(3, 32, 10)
# (channels in of a group, channels out, side of the kernel, side of the output) of every convolution.
Convolutions = list[tuple[int, int, int, int]]


def summed(convolutions: Convolutions, norms: list[int], linear: tuple[int, int] | None = None) -> tuple[int, int, int]:
    """Parameters, multiply-adds and activations of convolutions without bias, batch norms and a linear layer."""
    weights = [inside * outside * kernel * kernel for inside, outside, kernel, _ in convolutions]
    params = sum(weights) + 2 * sum(norms) + ((linear[0] + 1) * linear[1] if linear else 0)
    macs = sum(one * side * side for one, (*_, side) in zip(weights, convolutions, strict=True))
    return (
        params,
        macs + (linear[0] * linear[1] if linear else 0),
        sum(outside * side * side for _, outside, _, side in convolutions),
    )


def inception(inside: int, path: int, outside: int, before: int, after: int) -> tuple[Convolutions, list[int]]:
    """1x1 | 1x1, 3x3 | 1x1, 5x5 | pooling, 1x1; concatenated, then 1x1; a 1x1 projection where shapes differ."""
    paths = [
        (inside, path, 1, after),
        (inside, path, 1, before),
        (path, path, 3, after),
        (inside, path, 1, before),
        (path, path, 5, after),
        (inside, path, 1, after),
    ]
    projected = [(inside, outside, 1, after)] if inside != outside or before != after else []
    return [*paths, (4 * path, outside, 1, after), *projected], [path] * 6 + [outside] * (1 + len(projected))


@pytest.mark.parametrize(("in_width", "stride"), [(64, 1), (256, 1), (256, 2)])
def test_an_inception_block_costs_the_sum_of_its_convolutions(in_width: int, stride: int) -> None:
    stage = replace(layout(parse_name("29-4x24d-inception"), TASK).stages[0], width=256)
    found = block_cost(stage, in_width=in_width, stride=stride, map_size=32)
    assert (found.params, found.macs, found.activations) == summed(
        *inception(in_width, 24, 256, before=32, after=32 // stride)
    )


def test_an_inception_network_costs_the_sum_of_its_convolutions() -> None:
    convolutions: Convolutions = [(3, 64, 3, 32)]
    norms, inside, before = [64], 64, 32
    for path, outside, after in ((5, 256, 32), (10, 512, 16), (20, 1024, 8)):
        for _ in range(2):
            own, own_norms = inception(inside, path, outside, before, after)
            convolutions, norms, inside, before = [*convolutions, *own], [*norms, *own_norms], outside, after
    found = cost(parse_name("20-4x5d-inception"), TASK)
    assert (found.params, found.macs, found.activations) == summed(convolutions, norms, (1024, 10))


@pytest.mark.parametrize(("width", "sign"), [(50, "-"), (80, "+")])
def test_listed_widths_above_and_below_the_budget_are_refused(width: int, sign: str) -> None:
    given = ["study=equal_params", f"space.bottleneck_width=[{width}]", "space.cardinality=[1]"]
    plain = cost(parse_name("29-1x64d"), Task(1, 8, 10)).params
    own = cost(parse_name(f"29-1x{width}d"), Task(1, 8, 10)).params
    distance = own / plain - 1
    with pytest.raises(InputError) as caught:
        plan_of(read_command(given).study)
    assert f"29-1x{width}d is {sign}{100 * abs(distance):.2f} % off {plain:,} params; allowed: " in str(caught.value)
    near = [*given, f"budget.params.tolerance={abs(distance) + 1e-6}"]
    near += ["study.contrast=null"]
    (setting,) = plan_of(read_command(near).study).settings
    assert setting.deviation("params") == pytest.approx(distance)
    with pytest.raises(InputError):
        plan_of(read_command([*near, f"budget.params.tolerance={abs(distance) - 1e-6}"]).study)


def test_a_budget_tells_how_far_a_cost_lies_above_and_below_each_limit() -> None:
    own = cost(parse_name("29-1x64d"), TASK)
    both = Budget((Limit("params", own.params * 2, 0.5), Limit("macs", own.macs // 4 * 3, 0.34)))
    assert [float(limit.deviation(own)) for limit in both.limits] == [-0.5, pytest.approx(1 / 3)]
    assert float(both.worst(own)) == 0.5
    assert float(both.balance(own)) == pytest.approx(1 / 3 - 0.5)
    assert both.within(own)
    assert not Budget((Limit("params", own.params * 2, 0.499), both.limits[1])).within(own)
    assert not Budget((both.limits[0], Limit("macs", own.macs // 4 * 3, 0.33))).within(own)


@dataclass(frozen=True)
class Union:
    """Parts of unlike sizes, as no space of ours has them today."""

    parts: tuple[Part, ...]
    kind: str = "family"
    is_solved: bool = False


def test_parts_of_a_large_space_are_drawn_by_their_sizes() -> None:
    """One point in twelve is of the first part, whatever the second one holds."""
    family: dict[str, Any] = {"template": "cifar", "depth": (11,), "width": (16, 32), "cardinality": (1,)}
    small = DesignSpace(**family, bottleneck_width=Range(1, 10)).parts[0]
    large = DesignSpace(**family, bottleneck_width=Range(11, 120), block=("preact",)).parts[0]
    assert (small.size, large.size) == (20, 220)
    counts = {"bottleneck": 0, "preact": 0}
    rng = np.random.default_rng(0)
    for pieces in _drawn(cast(Space, Union((small, large))), None, TASK, rng, 24_000):
        for _, points, designs in pieces:
            assert len(points["width"]) == len(designs)
            counts[designs.block] += len(designs)
    assert sum(counts.values()) == 24_000
    assert abs(counts["bottleneck"] - 2_000) < 4 * (24_000 * 1 / 12 * 11 / 12) ** 0.5


def test_every_part_of_a_large_space_is_drawn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    space = DesignSpace(
        "cifar", (11, 20), (16, 64), Range(1, 16), bottleneck_width=Range(1, 9), block=("bottleneck", "preact")
    )
    every = draw(scan(space, None, TASK, np.random.default_rng(0)), 10**6, np.random.default_rng(0))
    monkeypatch.setattr("explorer.design.feasible.EXACT", 100)
    pool = draw(scan(space, None, TASK, np.random.default_rng(0)), 300, np.random.default_rng(1))
    assert (len(every), len(pool)) == (1152, 300)
    designs = [pool.architecture(place) for place in range(300)]
    assert len(set(designs)) == 300
    for axis, column in pool.parameters.items():
        values, counts = np.unique(column.astype(str), return_counts=True)
        assert sorted(values) == sorted(set(every.parameters[axis].astype(str).tolist()))
        # Each value as often as any other, but for chance (four standard deviations of a share in 300 draws).
        share = 1 / len(values)
        assert np.abs(counts - 300 * share).max() <= 4 * (300 * share * (1 - share)) ** 0.5


@pytest.mark.parametrize(("hits", "drawn"), [(1, 10), (8, 100), (97, 100), (3, 3)])
def test_the_score_interval_solves_its_own_equation(hits: int, drawn: int) -> None:
    """At both ends the observed share lies 1.96 standard errors of that end away (Wilson, 1927)."""
    found = wilson(hits, drawn)
    assert found.estimate == hits / drawn
    for end in (found.low, found.high):
        if 0 < end < 1:
            assert abs(found.estimate - end) == pytest.approx(1.959964 * (end * (1 - end) / drawn) ** 0.5, rel=1e-6)
    assert found.low < found.estimate
    assert found.high > found.estimate or hits == drawn


def test_designs_that_differ_in_their_block_alone_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    space = DesignSpace("cifar", (11,), (16,), (1, 2), bottleneck_width=(4, 8), block=("bottleneck", "preact"))
    monkeypatch.setattr("explorer.design.feasible.EXACT", 1)
    rng = np.random.default_rng(0)
    pool = draw(scan(space, None, TASK, rng), 8, rng)
    assert len({pool.architecture(place) for place in range(8)}) == len(pool) == 8


def test_a_stage_of_one_path_has_no_groups_and_those_after_it_have() -> None:
    found = {shape.key: times for shape, times in grouped_convs(parse_name("29-1.2.4x8d"), TASK).items()}
    assert found == {
        "32>32_k3_s2_g2_32px": 1,
        "32>32_k3_s1_g2_16px": 2,
        "128>128_k3_s2_g4_16px": 1,
        "128>128_k3_s1_g4_8px": 2,
    }
