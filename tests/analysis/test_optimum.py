"""Where along cardinality and the middle width the error is lowest, with a set that holds the place."""

import math

import numpy as np
import pytest
from scipy import stats

from explorer.analysis.finding import Finding
from explorer.analysis.intervals import estimate
from explorer.analysis.sentences import trend_sentence
from explorer.analysis.summary import SettingSummary
from explorer.analysis.trend import Optimum, Trend, trend, vertex
from explorer.design.name import parse_name
from tests.conftest import broadly

NAMES = ("29-1x64d", "29-2x40d", "29-4x24d", "29-8x14d", "29-32x4d")


def paths_of(name: str) -> int:
    (paths,) = set(parse_name(name).cardinalities)
    return paths


def summary(name: str, errors: dict[int, float]) -> SettingSummary:
    return SettingSummary(name, paths_of(name), 4, 1, 1, 1, 0, 0, 0, errors, estimate(list(errors.values())), 1.0)


def bowl(names: tuple[str, ...], best: float, bend: float, noise: float, seeds: int = 6) -> list[SettingSummary]:
    """Settings whose error rises by `bend` with the square of the doublings away from `best` paths."""
    rng = np.random.default_rng(1)
    paths = [paths_of(name) for name in names]
    away = [bend * (math.log2(count) - math.log2(best)) ** 2 for count in paths]
    draws = rng.normal(0, noise, size=(seeds, len(names)))
    return [
        summary(name, {seed: 0.2 + height + draws[seed, place] for seed in range(seeds)})
        for place, (name, height) in enumerate(zip(names, away, strict=True))
    ]


def optima(summaries: list[SettingSummary]) -> dict[str, Optimum]:
    found = trend(summaries)
    assert found is not None
    return {one.axis: one for one in found.optima}


def test_the_place_is_that_of_the_parabola_and_its_set_closes_around_it() -> None:
    exact = optima(bowl(NAMES, best=6, bend=0.01, noise=1e-6))["cardinality"]
    assert exact.place == pytest.approx(6, rel=1e-3)
    assert exact.low < 6.001
    assert exact.high > 5.999
    assert exact.high / exact.low < 1.01
    assert exact.curvature.mean == pytest.approx(0.01, rel=1e-3)
    assert exact.p < 1e-6
    assert exact.values == (1, 2, 4, 8, 32)


def test_each_line_of_another_depth_keeps_its_height() -> None:
    other = tuple(name.replace("29-", "20-") for name in NAMES)
    higher = [
        summary(one.setting, {seed: 0.3 + error for seed, error in one.errors.items()})
        for one in bowl(other, best=6, bend=0.01, noise=1e-6)
    ]
    assert optima([*bowl(NAMES, best=6, bend=0.01, noise=1e-6), *higher])["cardinality"].place == pytest.approx(
        6, rel=1e-3
    )


def test_the_middle_width_has_a_place_of_its_own() -> None:
    found = optima(bowl(NAMES, best=6, bend=0.01, noise=1e-4))["group_width"]
    assert found.values == (64, 80, 96, 112, 128)
    assert 64 < found.place < 128


def test_three_values_lie_on_every_parabola_and_one_seed_says_nothing_of_its_spread() -> None:
    three = bowl(NAMES[:3], best=2, bend=0.01, noise=0.001)
    assert optima(three) == {}
    assert optima(bowl(NAMES, best=6, bend=0.01, noise=0.001, seeds=1)) == {}


def test_the_set_is_what_a_t_test_of_the_slope_does_not_reject() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(-0.01, 0.004, 8), rng.normal(0.006, 0.002, 8)
    place, low, high = vertex(first, second)
    assert low < place < high
    for end in (low, high):
        assert stats.ttest_1samp(first + 2 * second * end, 0.0).pvalue == pytest.approx(0.05)
    assert stats.ttest_1samp(first + 2 * second * (low - 0.1), 0.0).pvalue < 0.05
    assert stats.ttest_1samp(first + 2 * second * (high + 0.1), 0.0).pvalue < 0.05


def test_a_line_has_no_place_and_a_hill_no_lowest_point() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 0.002, size=(2, 6))
    place, low, high = vertex(-0.01 + noise[0], 0.0001 + noise[1] - noise[1].mean())
    assert not math.isnan(place)
    assert math.isnan(low)
    assert math.isnan(high)
    assert all(math.isnan(value) for value in vertex(noise[0], -0.01 + noise[1]))


@pytest.mark.parametrize("draws", broadly([400, 2000]))
@pytest.mark.parametrize("bend", [0.0005, 0.003, 0.02])
def test_the_set_holds_the_true_place_in_95_of_100_studies_whatever_the_curvature(bend: float, draws: int) -> None:
    """Unbounded sets are counted: they hold the place where the slope there is not rejected."""
    rng, best, x = np.random.default_rng(4), 1.2, np.log2([1, 2, 4, 8, 32]) - 2.0
    truth = np.array([-2 * bend * best, bend])
    columns = np.stack([x, x**2], axis=1)
    fit = np.linalg.pinv(columns - columns.mean(axis=0)).T
    held = 0.0
    for _ in range(draws):
        errors = (
            np.stack([x, x**2], axis=1) @ truth + rng.normal(0, 0.004, size=(6, 5)) + rng.normal(0, 0.01, size=(6, 1))
        )
        coefficients = errors @ fit
        _, low, high = vertex(coefficients[:, 0], coefficients[:, 1])
        if math.isnan(low):
            held += float(stats.ttest_1samp(coefficients @ [1, 2 * best], 0.0).pvalue >= 0.05)
        else:
            held += low <= best <= high
    assert stats.binomtest(int(held), draws, 0.95).pvalue > 1e-4


@pytest.mark.parametrize(
    ("place", "low", "high", "p", "words"),
    [
        (6.1, 4.02, 9.3, 0.01, "the error is lowest near 6.1 (95 % set 4.02 to 9.3, 6 seeds, curvature p = 0.01)."),
        (90.0, 60.0, 300.0, 0.01, "the error is lowest near 90, which is beyond those tried (95 % set 60 to 300, "),
        (6.1, math.nan, math.nan, 0.1, "the place of the lowest error is not located (6 seeds, curvature p = 0.1)."),
        (math.nan, math.nan, math.nan, 0.01, "the errors bend downwards, so that none of the values between is the "),
        (math.nan, math.nan, math.nan, 0.5, "the place of the lowest error is not located (6 seeds, curvature p = "),
    ],
)
def test_the_sentence_gives_the_place_with_its_set_or_says_that_there_is_none(
    place: float, low: float, high: float, p: float, words: str
) -> None:
    paths, curvature = (1, 2, 4, 8, 32), estimate([0.001, 0.002, 0.003, 0.002, 0.001, 0.004])
    optimum = Optimum("cardinality", paths, curvature, p, place, low, high)
    found = Trend(estimate([-0.01, -0.02, -0.015, -0.01, -0.02, -0.01]), 0.01, paths, 0, (optimum,))
    finding = Finding([], None, "test_error", 0, 0, has_contrast=True, trend=found)
    assert f"Over cardinality {words}" in trend_sentence(finding)
