"""The declared contrast: verdicts, margins, power, families, and what a reviewer asks beside them."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from explorer.analysis.finding import find
from explorer.analysis.intervals import estimate
from explorer.analysis.paired import MOST_PAIRS, Comparison, compare, correlation, others, pairs_needed
from explorer.analysis.sentences import pairs_in_words, sentence
from explorer.analysis.summary import SettingSummary
from tests.analysis.test_statistics import R, X, frame

M = "29-4x24d"


def summary(name: str, errors: list[float], failed: Sequence[int] = ()) -> SettingSummary:
    """A setting of so many seeds, of which some diverged, whatever error stands for them."""
    known = SettingSummary(name, 1, 64, 1, 1, 1, 0.0, 0.0, 0.0, dict(enumerate(errors)), estimate(errors), 1.0)
    return replace(known, failed=dict.fromkeys(failed, "diverged"), chance=0.9)


def comparison(
    differences: list[float], margin: float | None = None, alpha: float = 0.05, failed: tuple[int, int] = (0, 0)
) -> Comparison:
    """Setting and rival whose errors differ by so much; the rival's errors vary a little.

    The first so many seeds of the setting and the last so many of the rival diverged.
    """
    base = [0.3 + 0.01 * math.sin(seed) for seed in range(len(differences))]
    first = [one + difference for one, difference in zip(base, differences, strict=True)]
    seeds = range(len(differences))
    sides = summary(X, first, seeds[: failed[0]]), summary(R, base, seeds[len(base) - failed[1] :])
    return compare(*sides, margin, alpha)


FAR = [-0.030, -0.025, -0.035, -0.028, -0.032, -0.031]
SMALL = [-0.0010, -0.0012, -0.0008, -0.0011, -0.0009, -0.0010]
NOISE = [0.010, -0.012, 0.008, -0.011, 0.009, -0.004]


def test_a_clear_difference_beats_and_the_other_way_round_loses() -> None:
    assert comparison(FAR, 0.005).verdict == "beats"
    assert comparison([-value for value in FAR], 0.005).verdict == "loses to"
    assert not comparison(FAR, 0.005).within_margin


def test_a_difference_that_is_sure_and_small_beats_by_less_than_the_margin() -> None:
    found = comparison(SMALL, 0.005)
    assert found.verdict == "beats"
    assert found.within_margin
    assert not comparison(SMALL).within_margin  # without a margin nothing is small


def test_noise_about_zero_is_equivalent_only_within_a_margin() -> None:
    assert comparison(NOISE).verdict == "inconclusive"
    assert comparison(NOISE, 0.05).verdict == "equivalent"
    assert comparison(NOISE, 0.002).verdict == "inconclusive"


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_fewer_than_five_pairs_decide_nothing_not_even_equivalence(n: int) -> None:
    assert comparison(FAR[:n], 0.005).verdict == "inconclusive"
    assert comparison(SMALL[:n], 0.5).verdict == "inconclusive"


def test_what_fails_more_often_than_its_rival_cannot_beat_it() -> None:
    held = comparison(FAR, 0.005, failed=(1, 0))
    assert held.verdict == "inconclusive"
    assert held.held_back
    assert comparison(FAR, 0.005, failed=(1, 1)).verdict == "beats"
    worse = comparison([-value for value in FAR], 0.005, failed=(0, 2))
    assert worse.verdict == "inconclusive"
    assert worse.held_back
    assert not comparison(NOISE, failed=(3, 0)).held_back


def test_a_stricter_threshold_widens_the_intervals_and_may_withhold_a_verdict() -> None:
    weak = [-0.010, -0.002, -0.012, -0.004, -0.009, 0.001]
    plain, third = comparison(weak, 0.02), comparison(weak, 0.02, alpha=0.05 / 3)
    assert plain.p == third.p
    assert 0.05 / 3 < plain.p < 0.05
    assert (plain.verdict, third.verdict) == ("beats", "equivalent")
    assert third.difference.low < plain.difference.low
    assert third.narrow.low < plain.narrow.low


def test_the_other_tests_are_scipys() -> None:
    found = comparison(FAR, 0.005)
    differences = np.array(list(found.differences.values()))
    base = np.array([0.3 + 0.01 * math.sin(seed) for seed in range(6)])
    assert found.p == pytest.approx(stats.ttest_rel(base + FAR, base).pvalue)
    assert found.welch_p == pytest.approx(stats.ttest_ind(base + FAR, base, equal_var=False).pvalue)
    exact = stats.pearsonr(base + FAR, base)
    assert found.correlation.mean == pytest.approx(exact.statistic)
    ends = exact.confidence_interval(0.95)
    assert (found.correlation.low, found.correlation.high) == (pytest.approx(ends.low), pytest.approx(ends.high))
    assert found.effect == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert found.flip_p == pytest.approx(2 / 2**6)  # all six have one sign
    flipped = stats.permutation_test(
        (np.array(NOISE),), np.mean, permutation_type="samples", alternative="two-sided", n_resamples=10**6
    )
    assert comparison(NOISE).flip_p == pytest.approx(flipped.pvalue)


def test_sign_flips_are_told_only_where_they_can_reach_the_threshold() -> None:
    assert comparison(FAR[:5]).flip_p is None  # 2 / 32 exceeds 0.05
    assert comparison(FAR[:6]).flip_p is not None
    assert comparison(FAR[:6], alpha=0.05 / 3).flip_p is None  # 2 / 64 exceeds a third of it


@pytest.mark.parametrize("effect", [0.5, 1.0, 2.0])
def test_the_pairs_needed_have_the_power_that_is_promised(effect: float) -> None:
    rng = np.random.default_rng(0)
    differences = rng.normal(0, 0.01, 400)  # so many that their spread is all but known
    spread = differences.std(ddof=1)
    needed = pairs_needed(differences, effect * spread)
    assert needed is not None
    drawn = rng.normal(effect * spread, spread, size=(4000, needed))
    power = np.mean(stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05)
    assert 0.78 < power < (1.0 if needed <= 6 else 0.88)


def test_few_seeds_ask_for_more_pairs_since_their_spread_may_be_too_low_by_chance() -> None:
    few, many = pairs_needed(np.array(NOISE), 0.005), pairs_needed(np.tile(NOISE, 50), 0.005)
    assert few is not None
    assert many is not None
    assert few > 1.5 * many


@pytest.mark.parametrize("values", [[0.01], [0.01, 0.01, 0.01], []])
def test_without_spread_no_number_of_pairs_is_told(values: list[float]) -> None:
    assert pairs_needed(np.array(values), 0.005) is None


def test_three_pairs_or_no_spread_have_no_correlation() -> None:
    assert math.isnan(correlation([0.1, 0.2, 0.3], [0.1, 0.3, 0.2]).mean)
    assert math.isnan(correlation([0.1] * 5, [0.1, 0.3, 0.2, 0.4, 0.2]).mean)
    exact = correlation([0.1, 0.2, 0.3, 0.4], [0.2, 0.3, 0.4, 0.5])
    assert (exact.mean, exact.has_interval) == (pytest.approx(1.0), False)


def test_probabilities_beyond_the_margin_are_those_of_the_t_distribution_around_the_mean() -> None:
    found = comparison(NOISE, 0.005)
    values = np.array(NOISE)
    around = stats.t(len(values) - 1, values.mean(), values.std(ddof=1) / math.sqrt(len(values)))
    assert found.beyond_margin == pytest.approx(
        (around.cdf(-0.005), around.cdf(0.005) - around.cdf(-0.005), around.sf(0.005))
    )
    assert comparison(NOISE).beyond_margin is None
    assert comparison([0.01] * 6, 0.005).beyond_margin is None
    assert comparison(FAR, 0.005).beyond_margin[0] > 0.9  # type: ignore[index]


def test_every_setting_but_the_declared_two_is_held_against_the_same_one() -> None:
    assert others([R, M, X], (X, R)) == [(M, R)]
    assert others([R, X], (X, R)) == []


def test_ties_and_equal_errors_have_plain_answers() -> None:
    same = comparison([0.0] * 6, 0.005)
    assert (same.p, same.welch_p, same.verdict) == (1.0, pytest.approx(1.0), "equivalent")
    assert math.isnan(same.effect)
    assert same.needed is None
    assert comparison([-0.01] * 6).p == pytest.approx(2 / 2**6)
    # Equivalence by the signs: with five pairs 1 / 32 is below 0.05, and not below a third of it.
    assert [comparison([0.001] * 5, 0.005, alpha).verdict for alpha in (0.05, 0.05 / 3)] == [
        "equivalent",
        "inconclusive",
    ]
    assert comparison([0.006] * 5, 0.005).verdict == "inconclusive"


def test_beyond_a_search_no_number_of_pairs_is_told_but_that_it_is_larger() -> None:
    base = [0.3 + 0.01 * math.sin(seed) for seed in range(6)]
    first = [one + difference for one, difference in zip(base, NOISE, strict=True)]
    apart = np.array(first) - np.array(base)
    assert pairs_needed(apart, 1e-6) == MOST_PAIRS + 1
    found = find(frame({R: base, X: first}), [R, X], (X, R), 6, margin=1e-6)
    assert "with 80 % power, more than 100,000 paired seeds would be needed, if seeds vary" in sentence(found)
    assert pairs_in_words(MOST_PAIRS) == "100,000"
    just = next(margin for margin in np.geomspace(1e-6, 1e-3, 200) if pairs_needed(apart, margin) != MOST_PAIRS + 1)
    assert 90_000 < (pairs_needed(apart, just) or 0) <= MOST_PAIRS
