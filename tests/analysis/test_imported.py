"""Distributions at equal cost and the best of some designs, held against counting by hand."""

from itertools import combinations
from statistics import fmean

import numpy as np
import pytest

from explorer.analysis.imported import best_of, weighted_distribution
from explorer.analysis.population import distribution


def test_the_best_of_some_designs_is_that_over_all_ways_to_draw_them() -> None:
    errors = [0.05, 0.09, 0.04, 0.07, 0.07, 0.06, 0.2]
    found = best_of(errors)
    assert found.counts == (1, 2, 3, 4, 5, 6, 7)
    for count, mean, low, high in zip(found.counts, found.mean, found.low, found.high, strict=True):
        lowest = sorted(min(drawn) for drawn in combinations(errors, count))
        assert mean == pytest.approx(fmean(lowest))
        # The ends are those between which 2.5 % of the draws lie on neither side.
        assert np.mean([value < low for value in lowest]) <= 0.025 < np.mean([value <= low for value in lowest])
        assert np.mean([value > high for value in lowest]) <= 0.025 < np.mean([value >= high for value in lowest])
    assert found.low[-1] == found.high[-1] == found.mean[-1] == 0.04


def test_the_best_of_many_designs_is_computed_at_some_counts_up_to_all() -> None:
    found = best_of(np.linspace(0.1, 0.9, 5000))
    assert found.counts[0], found.counts[-1] == (1, 5000)
    assert len(found.counts) <= 60
    assert list(found.mean) == sorted(found.mean, reverse=True)
    assert found.mean[-1] == pytest.approx(0.1)


def test_equal_weights_give_the_distribution_without_weights() -> None:
    errors = np.array([0.3, 0.1, 0.2, 0.2, 0.5])
    plain, weighted = distribution(errors), weighted_distribution(errors, np.full(5, 0.2))
    for name in ("errors", "share", "low", "high"):
        assert getattr(weighted, name) == pytest.approx(getattr(plain, name)), name
    assert weighted.mean == pytest.approx(plain.mean)


def test_weights_move_the_share_and_widen_its_interval() -> None:
    # Three cheap designs and one dear one: at equal cost the dear one counts for half.
    errors, weights = [0.30, 0.32, 0.34, 0.10], [1 / 6, 1 / 6, 1 / 6, 1 / 2]
    found, plain = weighted_distribution(errors, weights), distribution(errors)
    assert found.share == pytest.approx([1 / 2, 2 / 3, 5 / 6, 1])
    assert found.mean == pytest.approx(0.21)
    assert (found.high - found.low)[0] > (plain.high - plain.low)[0]
    with pytest.raises(ValueError, match="weights sum to"):
        weighted_distribution(errors, [0.5, 0.5, 0.5, 0.5])
