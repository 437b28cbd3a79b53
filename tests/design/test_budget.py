from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.design import (
    TEMPLATES,
    Budget,
    Limit,
    Task,
    cost,
    deviation,
    parse_name,
    short_name,
    solve_bottleneck_width,
)
from explorer.design.budget import least_within

CIFAR, IMAGENET = TEMPLATES["cifar"].task, TEMPLATES["imagenet"].task


def budget(axis: str, target: int, tolerance: float) -> Budget:
    return Budget((Limit(axis, target, tolerance),))


def solved(depth: int, cardinality: int, axis: str, task: Task, tolerance: float = 0.06) -> tuple[str, float]:
    """Name of the design that meets the 1x64d network's cost, and its deviation in percent."""
    target = getattr(cost(parse_name(f"{depth}-1x64d"), task), axis)
    design = solve_bottleneck_width(parse_name(f"{depth}-{cardinality}x1d"), budget(axis, target, tolerance), task)
    return short_name(design), round(100 * deviation(getattr(cost(design, task), axis), target), 2)


@pytest.mark.parametrize(
    ("name", "cardinality", "task"), [("50-1x1d", 2**59, IMAGENET), ("29-1x1d", 2, Task(3, 2**31 - 1, 10))]
)
def test_a_design_beyond_what_is_counted_is_refused_at_once(name: str, cardinality: int, task: Task) -> None:
    with pytest.raises(ValueError, match=r"would cost more than 2\^62; give smaller values"):
        solve_bottleneck_width(replace(parse_name(name), cardinality=cardinality), budget("macs", 10**9, 0.05), task)


@pytest.mark.parametrize("depth", [29, 50, 101])
def test_equal_parameters_give_the_papers_settings(depth: int) -> None:
    task = CIFAR if depth == 29 else IMAGENET
    names = [solved(depth, cardinality, "params", task)[0] for cardinality in (1, 2, 4, 8, 32)]
    assert names == [f"{depth}-{paths}" for paths in ("1x64d", "2x40d", "4x24d", "8x14d", "32x4d")]


def test_deviations_at_29_layers() -> None:
    deviations = [solved(29, cardinality, "params", CIFAR)[1] for cardinality in (1, 2, 4, 8, 32)]
    assert deviations == [0.0, -0.7, -1.41, -0.27, -2.82]


def test_by_multiply_adds_8x13d_is_nearer_than_the_papers_8x14d() -> None:
    assert solved(50, 8, "macs", IMAGENET) == ("50-8x13d", -3.41)


def test_a_budget_out_of_reach_names_the_neighbours_on_both_sides() -> None:
    with pytest.raises(ValueError, match=r"within 1\.00 %; nearest: 29-32x4d \(4,775,754, -2\.82 %\) and 29-32x5d"):
        solved(29, 32, "params", CIFAR, tolerance=0.01)


def test_a_budget_below_the_narrowest_design_names_the_one_neighbour() -> None:
    with pytest.raises(ValueError, match=r"nearest: 29-32x1d \([\d,]+, \+[\d,.]+ %\); choose"):
        solve_bottleneck_width(parse_name("29-32x1d"), budget("params", 1000, 0.05), CIFAR)


@pytest.mark.real
@given(
    block=st.sampled_from(["29-{}x1d", "29-{}x1d-preact-plain", "20-1x1d-basic", "29-4x1d-inception", "28-1x1d-wide"]),
    cardinality=st.sampled_from([1, 2, 3, 8, 32]),
    axis=st.sampled_from(["params", "macs", "activations"]),
    share=st.floats(0.5, 3),
)
def test_the_solver_finds_what_trying_every_width_finds(block: str, cardinality: int, axis: str, share: float) -> None:
    base, task = parse_name(block.format(cardinality)), Task(3, 16, 10)
    target = int(getattr(cost(replace(base, bottleneck_width=40), task), axis) * share)
    found = solve_bottleneck_width(base, budget(axis, target, 0.999), task)
    every = [replace(base, bottleneck_width=width) for width in range(1, 1000)]  # three times any cost at 40
    assert found == min(every, key=lambda design: abs(getattr(cost(design, task), axis) - target))


@given(
    cardinality=st.sampled_from([1, 2, 4, 32]),
    axis=st.sampled_from(["params", "macs", "activations"]),
    target=st.integers(1, 10**8),
    tolerance=st.floats(0, 0.3),
)
def test_a_solved_design_is_within_tolerance_or_no_width_is(
    cardinality: int, axis: str, target: int, tolerance: float
) -> None:
    base, task, held = parse_name(f"11-{cardinality}x1d-w16"), Task(3, 16, 10), budget(axis, target, tolerance)
    widths = range(1, 400)
    fits = any(held.within(cost(replace(base, bottleneck_width=width), task)) for width in widths)
    try:
        found = solve_bottleneck_width(base, held, task)
    except ValueError as error:
        assert not fits
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert held.within(cost(found, task))


@given(cardinality=st.sampled_from([1, 2, 5, 16]), params=st.floats(0.6, 1.6), macs=st.floats(0.6, 1.6))
def test_with_several_limits_the_worst_deviation_is_smallest(cardinality: int, params: float, macs: float) -> None:
    base, task = parse_name(f"29-{cardinality}x1d"), Task(3, 16, 10)
    own = cost(parse_name("29-1x64d"), task)
    both = Budget((Limit("params", int(own.params * params), 0.9), Limit("macs", int(own.macs * macs), 0.9)))
    found = solve_bottleneck_width(base, both, task, strict=False)
    every = [replace(base, bottleneck_width=width) for width in range(1, 200)]
    least = min(float(both.worst(cost(design, task))) for design in every)
    assert float(both.worst(cost(found, task))) == pytest.approx(least)


@given(
    cardinality=st.sampled_from([1, 2, 4, 32]),
    axis=st.sampled_from(["params", "macs", "activations"]),
    target=st.integers(1, 250_000),  # so that twice as much is reached by the widths below
    beside=st.sampled_from([None, False, True]),
)
def test_a_target_that_is_the_most_is_never_exceeded_and_comes_as_near_as_widths_allow(
    cardinality: int, axis: str, target: int, beside: bool | None
) -> None:
    base, task = parse_name(f"11-{cardinality}x1d-w16"), Task(3, 16, 10)
    other = "params" if axis == "macs" else "macs"
    limits = [Limit(axis, target, 0.1, at_most=True)]
    if beside is not None:
        limits.append(Limit(other, 2 * target, 0.3, at_most=beside))
    held = Budget(tuple(limits))
    every = [replace(base, bottleneck_width=width) for width in range(1, 400)]
    costs = [cost(design, task) for design in every]
    assert all((getattr(one, axis) <= target) or not held.within(one) for one in costs)
    fits = [design for design, one in zip(every, costs, strict=True) if held.within(one)]
    try:
        found = solve_bottleneck_width(base, held, task)
    except ValueError:
        assert not fits
    else:
        assert held.within(cost(found, task))
        assert float(held.worst(cost(found, task))) == min(float(held.worst(cost(one, task))) for one in fits)
        if beside is None:
            assert found == fits[-1]


def test_a_limit_says_what_it_allows() -> None:
    assert str(Budget((Limit("params", 1_000_000, 0.05, at_most=True),))) == "950,000 to 1,000,000 params"
    assert str(Limit("params", 1_000_000, 0.05)) == "1,000,000 params within 5.00 %"
    assert [least_within(target, tolerance) for target, tolerance in ((10, 0.05), (20, 0.05), (7, 0.0))] == [10, 19, 7]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("flops", 10, 0.1), "'flops' is unknown; allowed: params, macs, activations"),
        (("params", 0, 0.1), "target must be from 1"),
        (("params", 2**60, 0.1), "target must be from 1"),
        (("params", 10, 1.0), "tolerance must be a fraction"),
        (("params", 10, -0.1), "tolerance must be a fraction"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(arguments: tuple[str, int, float], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Limit(*arguments)


def test_a_budget_holds_each_axis_once() -> None:
    with pytest.raises(ValueError, match="one limit or more"):
        Budget(())
    with pytest.raises(ValueError, match="one limit or more"):
        Budget((Limit("params", 1, 0.1), Limit("params", 2, 0.1)))
