"""Trends, resampling, populations, fronts and ranks."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from explorer.analysis.front import ahead_of, front, hypervolume
from explorer.analysis.intervals import estimate
from explorer.analysis.judging import open_study
from explorer.analysis.population import (
    at_equal_depth,
    best_value,
    by_depth,
    distance,
    distribution,
    variance_of_mean,
)
from explorer.analysis.ranks import agreement
from explorer.analysis.sentences import sentence
from explorer.analysis.summary import SettingSummary
from explorer.analysis.trend import trend


def summary(name: str, errors: dict[int, float]) -> SettingSummary:
    cardinality = int(name.partition("-")[2].partition("x")[0])
    return SettingSummary(name, cardinality, 4, 1, 1, 1, 0, 0, 0, errors, estimate(list(errors.values())), 1.0)


def line(depth: int, slopes: list[float], height: float = 0.3) -> list[SettingSummary]:
    """Settings of cardinality 1, 4 and 16 whose error changes by so much a doubling, one slope per seed."""
    return [
        summary(name, {seed: height + slope * np.log2(c) for seed, slope in enumerate(slopes)})
        for c, name in ((1, f"{depth}-1x64d"), (4, f"{depth}-4x24d"), (16, f"{depth}-16x8d"))
    ]


def test_the_trend_is_the_mean_slope_over_seeds() -> None:
    slopes = [-0.010, -0.012, -0.008, -0.011, -0.009]
    found = trend(line(29, slopes))
    assert found is not None
    assert found.slope.mean == pytest.approx(-0.01)
    assert found.slope.low == pytest.approx(estimate(slopes).low)
    assert found.p == pytest.approx(stats.ttest_1samp(slopes, 0).pvalue)
    assert found.cardinalities == (1, 4, 16)


def test_lines_of_other_depths_share_the_slope_and_keep_their_height() -> None:
    found = trend([*line(29, [-0.01, -0.01, -0.012]), *line(20, [-0.02, -0.02, -0.02], height=0.5)])
    assert found is not None
    assert found.slope.mean == pytest.approx(np.mean([-0.015, -0.015, -0.016]))


def test_two_cardinalities_or_no_common_seed_make_no_trend() -> None:
    assert trend(line(29, [-0.01])[:2]) is None
    first, *rest = line(29, [-0.01, -0.01])
    assert trend([summary(first.setting, {7: 0.3}), *rest]) is None
    assert trend([]) is None


def test_the_shape_is_what_the_paths_leave() -> None:
    assert summary("29-32x4d", {}).shape == "29"
    assert summary("29-16x2d-w64-preact", {}).shape == "29-w64-preact"


def test_a_distribution_counts_designs_and_its_band_holds_it() -> None:
    found = distribution([0.4, 0.1, 0.2, 0.2])
    assert found.errors.tolist() == [0.1, 0.2, 0.2, 0.4]
    assert found.share.tolist() == [0.25, 0.75, 0.75, 1.0]
    assert (found.low <= found.share).all()
    assert (found.share <= found.high).all()
    assert found.n == 4
    for place, count in enumerate((1, 3, 3, 4)):
        exact = stats.binomtest(count, 4).proportion_ci(0.95, method="exact")
        assert (found.low[place], found.high[place]) == pytest.approx((exact.low, exact.high))
    single = distribution([0.3])  # one design tells little, and not that all are like it
    assert (single.low[0], single.high[0]) == (pytest.approx(0.025), 1.0)
    with pytest.raises(ValueError, match="at least one"):
        distribution([])


def test_populations_apart_have_a_distance_and_alike_ones_none() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(0.2, 0.02, 80), rng.normal(0.3, 0.02, 80)
    apart, alike = distance(one, other), distance(one, rng.permutation(one))
    below = np.searchsorted(np.sort(one), np.sort(other)) / 80
    assert apart == pytest.approx(np.abs(below - np.arange(80) / 80).max())
    assert alike == 0


def test_the_best_value_is_where_the_errors_are_low() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(1, 33, 128)
    found = best_value("cardinality", values, 0.1 + 0.01 * np.abs(values - 16) + rng.normal(0, 0.003, 128))
    assert 13 <= found.low <= found.median <= found.high <= 19
    nothing = best_value("cardinality", values, rng.random(128))
    assert nothing.high - nothing.low > found.high - found.low


points = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12)


@given(points)
@settings(max_examples=100)
def test_fronts_of_many_draws_are_what_comparing_every_pair_finds(drawn: list[tuple[int, int]]) -> None:
    array = np.array(drawn, dtype=float)
    errors = np.stack([array[:, 0], array[::-1, 0]])
    for row, own in zip(ahead_of(errors, array[:, 1]), errors, strict=True):
        pairs = [*zip(own, array[:, 1], strict=True)]
        beaten = [any(a <= x and b <= y and (a, b) != (x, y) for a, b in pairs) for x, y in pairs]
        assert (~row).tolist() == beaten


@given(points)
@settings(max_examples=100)
def test_the_hypervolume_is_the_area_counted_cell_by_cell(drawn: list[tuple[int, int]]) -> None:
    cells = sum(any(x <= column and y <= row for x, y in drawn) for column in range(10) for row in range(10))
    array = np.array(drawn, dtype=float)
    assert hypervolume(array, (10.0, 10.0)) == pytest.approx(cells / 100)


def designs(errors: list[list[float]], macs: list[int]) -> list[SettingSummary]:
    return [
        replace(summary(f"29-1x{place + 1}d", dict(enumerate(own))), macs=cost)
        for place, (own, cost) in enumerate(zip(errors, macs, strict=True))
    ]


def test_the_front_says_how_sure_each_design_is_on_it() -> None:
    tried = designs([[0.1, 0.11], [0.30, 0.34], [0.31, 0.35], [0.9, 0.9]], [100, 50, 60, 200])
    found = front(tried, "macs", images=1000, chance=0.9)
    assert found is not None
    assert found.ahead.tolist() == [True, True, False, False]
    assert found.sure[0] == 1.0
    assert found.sure[1] == 1.0  # the cheapest
    assert 0.1 < found.sure[2] < 0.9
    assert found.sure[3] == 0.0
    whole, part = (0.9 - 0.105) / 0.9 * 0.5, (0.9 - 0.32) / 0.9 * 0.25
    assert found.covered == pytest.approx(whole + part, abs=0.001)


def test_single_seeds_are_as_uncertain_as_the_images_they_were_counted_on() -> None:
    tried = designs([[0.30], [0.32]], [50, 60])
    few, many = (front(tried, "macs", images=images, chance=0.9) for images in (100, 100_000))
    assert few is not None
    assert many is not None
    assert few.sure[1] > 0.2
    assert many.sure[1] == 0.0
    assert front([], "macs", 100, 0.9) is None
    same = front(designs([[0.30, 0.30], [0.32, 0.32]], [50, 60]), "macs", images=100, chance=0.9)
    assert same is not None
    assert same.sure.tolist() == few.sure.tolist()  # seeds that do not differ tell no more than the images


def test_many_designs_are_on_the_front_as_surely_as_if_those_far_from_it_were_drawn_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    costs = rng.integers(1, 200, 400)
    errors = 0.3 + 0.5 / costs + rng.exponential(0.05, 400)
    tried = designs([[error] for error in errors], [int(cost) for cost in costs])
    whole = front(tried, "macs", images=1000, chance=0.9)
    monkeypatch.setattr("explorer.analysis.front.CELLS", 100_000)
    part = front(tried, "macs", images=1000, chance=0.9)
    assert whole is not None
    assert part is not None
    assert np.flatnonzero(part.sure).size > 20
    assert np.abs(part.sure - whole.sure).max() < 0.08  # five standard errors of a share of 1,000 draws


def test_agreement_is_kendalls_tau_of_the_means() -> None:
    names = ["29-1x64d", "29-2x40d", "29-4x24d", "29-8x14d"]
    short = [
        summary(name, {0: error, 1: error + 0.001}) for name, error in zip(names, (0.5, 0.4, 0.45, 0.3), strict=True)
    ]
    long = [
        summary(name, {0: error, 1: error + 0.001}) for name, error in zip(names, (0.3, 0.2, 0.1, 0.05), strict=True)
    ]
    found = agreement(short, long)
    assert found is not None
    assert found.tau == pytest.approx(stats.kendalltau([0.5, 0.4, 0.45, 0.3], [0.3, 0.2, 0.1, 0.05]).statistic)
    assert found.low <= found.tau <= found.high
    assert found.settings == 4
    assert agreement(short[:2], long) is None


def test_single_seeds_of_a_setting_leave_the_agreement_without_an_interval() -> None:
    names = ["29-1x64d", "29-2x40d", "29-4x24d", "29-8x14d"]
    several = [summary(name, {0: 0.1 * place, 1: 0.1 * place + 0.15}) for place, name in enumerate(names)]
    single = [summary(name, {0: 0.1 * place}) for place, name in enumerate(names)]
    for short, long in ((several, single), (single, several), (single, single)):
        found = agreement(short, long)
        assert found is not None
        assert (found.tau, math.isnan(found.low), math.isnan(found.high)) == (1.0, True, True)
    both = agreement(several, several)
    assert both is not None
    assert both.low < both.high


def test_equal_errors_have_no_order() -> None:
    flat = [summary(name, {0: 0.5}) for name in ("29-1x64d", "29-2x40d", "29-4x24d")]
    found = agreement(flat, flat)
    assert found is not None
    assert math.isnan(found.tau)


def test_the_difference_at_equal_depth_is_that_within_depths() -> None:
    # Two points at either depth, but the first space has more shallow designs, which are 10 points better.
    depths = [np.array([20] * 6 + [56] * 2), np.array([20] * 2 + [56] * 6)]
    rng = np.random.default_rng(0)
    noise = [rng.normal(0, 1e-4, 8) for _ in range(2)]
    errors = [0.40 + 0.10 * (depths[0] == 56) + noise[0], 0.42 + 0.10 * (depths[1] == 56) + noise[1]]
    found = at_equal_depth(errors, depths)
    assert found is not None
    assert errors[0].mean() - errors[1].mean() == pytest.approx(-0.07, abs=1e-3)
    assert found.mean == pytest.approx(-0.02, abs=1e-3)
    assert found.low < found.mean < found.high
    # The same interval from what is left within depths (Frisch and Waugh, 1933).
    x, group = np.concatenate(depths) == 56, np.repeat([1.0, 0.0], 8)
    within = group - np.array([group[x == one].mean() for one in x])
    residual = np.concatenate(errors) - np.array([np.concatenate(errors)[x == one].mean() for one in x])
    left = residual - found.mean * within
    half = stats.t.ppf(0.975, 13) * np.sqrt((left**2).sum() / 13 / (within**2).sum())
    assert found.high - found.mean == pytest.approx(half)
    exact = at_equal_depth([one - rest for one, rest in zip(errors, noise, strict=True)], depths)
    assert exact is not None
    assert (exact.mean, exact.has_interval) == (pytest.approx(-0.02), False)  # nothing is left to estimate it from


def test_the_recorded_spaces_differ_less_the_more_is_held_equal() -> None:
    found_study = open_study(Path(__file__).parents[2] / "studies" / "design_space_cifar10_jpeg")
    finding = found_study.finding
    assert finding.populations is not None
    (found,) = finding.populations.rivals
    assert [(one.held, one.mediator) for one in found.adjusted] == [
        ("depth", False),
        ("depth and multiply-adds", True),
        ("depth, width and middle width D", True),
    ]
    told = [
        [round(100 * value, 2) for value in (one.mean, one.low, one.high)]
        for one in (found.difference, *(each.difference for each in found.adjusted))
    ]
    assert told == [[-2.95, -4.13, -1.77], [-2.24, -3.00, -1.48], [-0.88, -1.38, -0.38], [-0.24, -0.73, 0.25]]
    assert finding.populations.feasible == {"one_path": 82, "many_paths": 401}
    said = sentence(finding)
    assert said.startswith(
        "Designs of several paths have lower errors on the mean than those of one path under the paper's"
    )
    assert "0.88 points lower among designs of equal depth and multiply-adds (95 % interval 0.38 to 1.38)" in said
    assert (
        "0.24 points lower among designs of equal depth, width and middle width D (95 % interval 0.25 higher to" in said
    )
    assert said.endswith(
        "It depends on depth (p = 0.0092): 0.99 points lower at 20 layers, 1.41 points lower at 29 layers, 3.01 points "
        "lower at 38 layers, 4.89 points lower at 47 layers, 2.50 points lower at 56 layers."
    )
    assert "better" not in said


def test_the_same_difference_at_all_depths_is_tested_by_the_f_test_of_nested_models() -> None:
    rng = np.random.default_rng(0)
    depths = [np.array([20] * 6 + [29] * 4 + [56] * 5), np.array([20] * 3 + [29] * 7 + [47] * 2 + [56] * 4)]
    errors = [0.4 + 0.002 * at + rng.normal(0, 0.01, len(at)) for at in depths]
    errors[0] -= 0.0006 * (depths[0] - 20)
    found = by_depth(errors, depths)
    assert found is not None
    assert {depth: counts for depth, (_, *counts) in found.differences.items()} == {20: [6, 3], 29: [4, 7], 56: [5, 4]}
    y, at, first = np.concatenate(errors), np.concatenate(depths), np.repeat([1.0, 0.0], [15, 16])
    kept = at != 47  # where only one of the spaces has designs there is no difference
    y, at, first = y[kept], at[kept], first[kept]
    heights = np.column_stack([at == one for one in (20, 29, 56)]).astype(float)
    left = [
        float(np.linalg.lstsq(columns, y, rcond=None)[1][0])
        for columns in (np.column_stack([heights, first]), np.column_stack([heights, heights * first[:, None]]))
    ]
    ratio = (left[0] - left[1]) / 2 / (left[1] / (len(y) - 6))
    assert found.p == pytest.approx(stats.f.sf(ratio, 2, len(y) - 6))


def test_one_depth_in_both_spaces_tells_nothing_of_others() -> None:
    errors = [np.array([0.1, 0.2]), np.array([0.3, 0.2])]
    assert by_depth(errors, [np.array([20, 29]), np.array([20, 56])]) is None
    exact = by_depth([np.array([0.1, 0.2])] * 2, [np.array([20, 29])] * 2)
    assert exact is not None
    assert math.isnan(exact.p)  # no two designs of a depth and space, so no noise to compare with


@pytest.mark.real
@pytest.mark.parametrize(("seeds", "apart"), [(3, 0.02), (1, 0.02), (1, 0.0)])
def test_where_most_feasible_designs_were_drawn_the_interval_holds_their_mean_as_often_as_it_says(
    seeds: int, apart: float
) -> None:
    """All 80 designs of a space, of which 64 are drawn, have a mean, that of endless training.

    With one seed its noise cannot be told from what designs differ in, and the interval is rather too wide.
    """
    rng, held, uncorrected, draws = np.random.default_rng(1), 0, 0, 400
    for _ in range(draws):
        true = rng.normal(0.3, apart, 80)
        measured = true[:, None] + rng.normal(0, 0.01, (80, seeds))
        chosen = rng.choice(80, 64, replace=False)
        drawn = [summary(f"29-1x{place + 1}d", dict(enumerate(measured[place]))) for place in chosen]
        mean = float(np.mean([one.estimate.mean for one in drawn]))
        bound = stats.t.ppf(0.975, 63)
        held += abs(mean - true.mean()) <= bound * math.sqrt(variance_of_mean(drawn, 80))
        uncorrected += abs(mean - true.mean()) <= bound * math.sqrt(variance_of_mean(drawn, None))
    assert stats.binomtest(held, draws, 0.95, "two-sided" if seeds > 1 or not apart else "less").pvalue > 1e-4
    assert uncorrected == held if seeds == 1 else uncorrected > 0.99 * draws


def test_without_depths_in_common_nothing_is_said_at_equal_depth() -> None:
    errors = [np.array([0.1, 0.2, 0.15]), np.array([0.3, 0.2, 0.25])]
    assert at_equal_depth(errors, [np.array([29] * 3)] * 2) is None
    assert at_equal_depth(errors, [np.array([20] * 3), np.array([56] * 3)]) is None
