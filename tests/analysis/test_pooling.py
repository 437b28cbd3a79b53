"""The same contrast in several studies: its mean over data sets, and what a further data set may show."""

import math

import numpy as np
import pytest
from scipy import stats

from explorer.analysis.pooling import pooled
from tests.conftest import broadly


def test_equal_studies_are_averaged_and_as_sure_as_their_own_errors_say() -> None:
    found = pooled([-0.02, -0.02, -0.02], [0.006, 0.006, 0.006])
    assert (found.mean.mean, found.spread, found.same_sign, found.n) == (pytest.approx(-0.02), 0.0, 3, 3)
    half = stats.t.ppf(0.975, 2) * 0.006 / math.sqrt(3)
    assert found.mean.high - found.mean.mean == pytest.approx(half)


def test_studies_that_differ_by_more_than_their_errors_have_a_spread_and_a_wide_prediction() -> None:
    means, errors = [-0.03, -0.01, 0.005, -0.02], [0.002, 0.003, 0.002, 0.004]
    found = pooled(means, errors)
    weights = 1 / (np.array(errors) ** 2 + found.spread**2)
    mean = weights @ means / weights.sum()
    assert found.mean.mean == pytest.approx(mean)
    assert weights @ (means - mean) ** 2 == pytest.approx(3)  # the equation of Paule and Mandel
    assert found.same_sign == 3
    assert found.low < found.mean.low
    assert found.high > found.mean.high


def test_a_precise_study_counts_for_more_unless_studies_differ() -> None:
    assert pooled([-0.02, 0.0], [0.001, 0.02]).mean.mean == pytest.approx(-0.02, abs=1e-3)
    apart = pooled([-0.2, 0.2, 0.0], [0.001, 0.002, 0.02])
    assert apart.mean.mean == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize(("means", "errors"), [([], []), ([-0.02], [0.01]), ([-0.02, -0.01], [0.01, 0.0])])
def test_one_study_is_not_pooled(means: list[float], errors: list[float]) -> None:
    with pytest.raises(ValueError, match="two studies or more"):
        pooled(means, errors)


def test_two_studies_predict_nothing_of_a_third() -> None:
    found = pooled([-0.02, -0.01], [0.004, 0.004])
    assert math.isnan(found.low)
    assert found.mean.has_interval


@pytest.mark.parametrize("draws", broadly([400, 2000]))
@pytest.mark.parametrize("spread", [0.0, 0.01])
def test_intervals_hold_the_mean_and_a_further_data_set_as_often_as_they_say(spread: float, draws: int) -> None:
    rng, mean, further = np.random.default_rng(0), 0, 0
    for _ in range(draws):
        true = rng.normal(-0.02, spread, 5)
        errors = rng.uniform(0.003, 0.006, 5)
        found = pooled(rng.normal(true, errors).tolist(), errors.tolist())
        mean += found.mean.low <= -0.02 <= found.mean.high
        further += found.low <= rng.normal(-0.02, spread) <= found.high
    for held in (mean, further):
        assert held / draws > 0.95 - 3 * math.sqrt(0.95 * 0.05 / draws)
