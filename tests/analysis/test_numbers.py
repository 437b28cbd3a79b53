"""What is told as a number is that number: levels, degrees of freedom, both ends, and directions in words."""

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.equivalence import equivalence
from explorer.analysis.finding import Finding
from explorer.analysis.intervals import estimate, estimates
from explorer.analysis.paired import MOST_PAIRS, compare, pairs_needed
from explorer.analysis.population import Rivals, best_value, populations
from explorer.analysis.sentences import trend_sentence
from explorer.analysis.summary import SettingSummary
from explorer.analysis.trend import Trend
from tests.analysis.test_paired import summary
from tests.analysis.test_statistics import R, X

# Mean 0.0010, 90 % interval -0.00095 to 0.00295, 95 % interval -0.00148 to 0.00348.
APART = [0.004, -0.001, 0.003, -0.002, 0.002, 0.000]


def verdict(differences: list[float], margin: float) -> tuple[str, str]:
    """Of the contrast, and of two ways of training whose errors differ by so much."""
    errors = [0.3 + value for value in differences]
    plain = [0.3] * len(errors)
    contrast = compare(summary(X, errors), summary(R, plain), margin)
    return contrast.verdict, equivalence(summary(X, errors), summary(X, plain), margin).verdict


@pytest.mark.parametrize("sign", [1, -1])
def test_equivalence_needs_both_ends_of_the_90_percent_interval_inside_the_margin(sign: int) -> None:
    apart = [sign * value for value in APART]
    assert verdict(apart, 0.0030) == ("equivalent", "equivalent")  # of the 95 % interval one end would be outside
    assert verdict(apart, 0.0029) == ("inconclusive", "inconclusive")  # one end is outside, the other well inside
    assert verdict(apart, 0.0010) == ("inconclusive", "inconclusive")


def test_a_comparisons_intervals_are_students_at_95_and_90_percent() -> None:
    found = compare(summary(X, [0.3 + value for value in APART]), summary(R, [0.3] * 6), 0.003)
    for level, interval in ((0.95, found.difference), (0.90, found.narrow)):
        expected = stats.t.interval(level, 5, np.mean(APART), stats.sem(APART))
        assert (interval.low, interval.high) == pytest.approx(expected)
    third = compare(summary(X, [0.3 + value for value in APART]), summary(R, [0.3] * 6), 0.003, 0.05 / 3)
    for level, interval in ((1 - 0.05 / 3, third.difference), (1 - 0.1 / 3, third.narrow)):
        assert interval.high == pytest.approx(stats.t.interval(level, 5, np.mean(APART), stats.sem(APART))[1])


def test_many_intervals_at_once_are_those_of_each() -> None:
    rows = [[0.30, 0.31, 0.28], [0.30, 0.32], [0.1, 0.2], [0.9, 0.8], [0.5], [0.4, 0.4]]
    low, high = estimates(
        np.array([np.mean(row) for row in rows]),
        np.array([np.std(row, ddof=1) if len(row) > 1 else np.nan for row in rows]),
        np.array([len(row) for row in rows]),
    )
    for place, row in enumerate(rows):
        own = estimate(row, within=(0.0, 1.0))
        assert (low[place], high[place]) == pytest.approx((own.low, own.high), nan_ok=True)
    expected = stats.t.interval(0.95, 2, np.mean(rows[0]), stats.sem(rows[0]))
    assert (low[0], high[0]) == pytest.approx(expected)
    assert (low[2], high[3]) == (0.0, 1.0)  # no error lies beyond
    assert np.isnan([*low[4:], *high[4:]]).all()


def test_the_pairs_needed_are_those_at_the_upper_end_of_the_spread() -> None:
    # By hand: s = 0.002366, upper end s * sqrt(5 / 2.3425) = 0.003457 (chi-square, 20 % point, 5 degrees of freedom).
    spread = float(np.std(APART, ddof=1)) * math.sqrt(5 / stats.chi2.ppf(0.2, 5))
    for margin in (0.001, 0.002, 0.003):
        needed = pairs_needed(np.array(APART), margin)
        assert needed is not None

        def power(n: int, effect: float = margin / spread) -> float:
            return float(stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, effect * math.sqrt(n)))

        assert power(needed) >= 0.8 > power(needed - 1)
    assert pairs_needed(np.array(APART), 0.05) == 5  # fewer than five never decide
    assert pairs_needed(np.array(APART), 0.01, floor=0.01) == MOST_PAIRS + 1  # that of few test images
    without, with_some = (pairs_needed(np.array(APART), 0.004, floor=floor) or 0 for floor in (0.0, 0.001))
    assert 5 < without < with_some <= MOST_PAIRS


def designs(cardinality: int, errors: list[float]) -> list[SettingSummary]:
    names = [f"29-{cardinality}x{place + 1}d" for place in range(len(errors))]
    return [summary(name, [error]) for name, error in zip(names, errors, strict=True)]


GOOD = [0.200, 0.204, 0.197, 0.203, 0.201, 0.199, 0.202]
FAIR = [0.208, 0.222, 0.201, 0.217, 0.210]
POOR = [0.213, 0.231, 0.205, 0.224, 0.219, 0.215]


def rivals(**spaces: list[float]) -> list[Rivals]:
    members = {name: designs(place + 1, errors) for place, (name, errors) in enumerate(spaces.items())}
    found = populations(members, None)
    assert found is not None
    return found.rivals


def test_two_spaces_are_compared_by_welchs_test_with_its_degrees_of_freedom() -> None:
    (found,) = rivals(good=GOOD, poor=POOR)
    welch = stats.ttest_ind(GOOD, POOR, equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert found.p == pytest.approx(welch.pvalue)
    assert (found.difference.low, found.difference.high) == pytest.approx((interval.low, interval.high))
    assert found.difference.mean == pytest.approx(np.mean(GOOD) - np.mean(POOR))
    assert (found.difference.n, found.verdict) == (6, "beats")


def test_spaces_that_were_not_declared_are_corrected_as_one_family() -> None:
    spaces = {"good": GOOD, "fair": FAIR, "poor": POOR}
    alone = {
        (one, other): float(stats.ttest_ind(spaces[one], spaces[other], equal_var=False).pvalue)
        for one, other in (("good", "fair"), ("good", "poor"), ("fair", "poor"))
    }
    found = {(one.space, one.against): one for one in rivals(**spaces)}
    assert found["good", "poor"].p == pytest.approx(3 * alone["good", "poor"])
    assert found["good", "fair"].p == pytest.approx(2 * alone["good", "fair"])
    assert found["fair", "poor"].p == pytest.approx(max(alone["fair", "poor"], 2 * alone["good", "fair"]))
    # Alone, the second would be decided.
    assert alone["good", "fair"] < 0.05 < found["good", "fair"].p
    assert [one.verdict for one in found.values()] == ["inconclusive", "beats", "inconclusive"]


def test_declared_spaces_are_equivalent_where_both_ends_at_90_percent_lie_inside_the_margin() -> None:
    other = [error + 0.001 for error in GOOD[:6]]
    interval = stats.ttest_ind(GOOD, other, equal_var=False).confidence_interval(0.90)
    furthest = max(-interval.low, interval.high)
    for first, second in ((GOOD, other), (other, GOOD)):
        members = {"one": designs(1, first), "two": designs(2, second)}
        for margin, verdict in ((1.01 * furthest, "equivalent"), (0.99 * furthest, "inconclusive")):
            found = populations(members, ("one", "two"), margin)
            assert found is not None
            assert found.rivals[0].verdict == verdict


def test_the_best_value_is_told_with_its_middle_and_95_percent_of_draws() -> None:
    # Of four designs a quarter is one: each value is drawn as often as any.
    found = best_value("width", [10, 20, 30, 40], [0.4, 0.3, 0.2, 0.1])
    assert (found.low, found.high, found.n) == (10, 40, 4)
    assert found.median in (20, 30)
    # Of eight, two are drawn: the better of the two has the k-th best value with chance (2 (8 - k) + 1) / 64.
    found = best_value("width", range(8), [place / 10 for place in range(8)])
    assert (found.low, found.median, found.high) == (0, 2, 6)


def whole(found: Trend) -> Finding:
    """A finished study with this trend, and nothing else."""
    return Finding([], None, "test_error", 0, 0, has_contrast=True, trend=found)


@pytest.mark.parametrize(("slope", "word"), [(-0.0123, "lower"), (0.0123, "higher")])
def test_the_trends_sentence_names_the_direction_the_error_goes(slope: float, word: str) -> None:
    slopes = [slope + step for step in (-0.001, 0.0, 0.001)]
    found = estimate(slopes)
    p = float(stats.ttest_1samp(slopes, 0).pvalue)
    low, high = sorted(f"{abs(100 * end):.2f}" for end in (found.low, found.high))
    assert trend_sentence(whole(Trend(found, p, (1, 4, 32)))) == (
        f"Over cardinality 1, 4, 32, each doubling goes with a test error 1.23 points {word} on average "
        f"(3 seeds, 95 % interval {low} to {high}, p = {p:.4f})."
    )
