"""Contrasts that were not declared are judged together: seldom is any of them found where no setting differs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.analysis import family
from explorer.analysis.family import simultaneous
from explorer.analysis.intervals import estimate
from explorer.analysis.paired import Comparison, compare, holm_adjusted
from explorer.analysis.summary import SettingSummary
from tests.conftest import broadly

RIVAL = "29-1x64d"


def summary(name: str, errors: list[float]) -> SettingSummary:
    return SettingSummary(name, 1, 4, 1, 1, 1, 0, 0, 0, dict(enumerate(errors)), estimate(errors), 1.0, chance=0.9)


def contrasts(table: np.ndarray) -> list[Comparison]:
    """The contrasts of all settings with the first; `table` has a row for each seed, a column for each setting."""
    first, *others = (summary(f"29-{place + 1}x4d", column.tolist()) for place, column in enumerate(table.T))
    return [compare(other, first) for other in others]


def study(rng: np.random.Generator, spreads: list[float], seeds: int = 5) -> np.ndarray:
    """Errors that differ by noise alone, of which the noise of a seed is common to all settings."""
    noise = rng.normal(size=(seeds, len(spreads))) * spreads + rng.normal(size=(seeds, 1))
    return np.asarray(0.3 + 0.01 * noise)


def test_one_contrast_is_a_family_of_its_own() -> None:
    (alone,) = contrasts(study(np.random.default_rng(0), [1.0, 1.0]))
    (found,) = simultaneous([alone])
    assert (found.p, found.difference) == (alone.p, alone.difference)


def test_intervals_are_wider_than_alone_and_exclude_zero_where_p_is_below_the_threshold() -> None:
    table = study(np.random.default_rng(1), [1.0] * 6, seeds=8)
    table[:, 1:] += [-0.05, -0.015, -0.012, -0.008, 0.0]
    alone = contrasts(table)
    found = simultaneous(alone)
    assert found[0].verdict == "beats"
    for one, adjusted in zip(alone, found, strict=True):
        assert adjusted.difference.mean == one.difference.mean
        assert adjusted.difference.high - adjusted.difference.low > one.difference.high - one.difference.low
        assert (adjusted.p < 0.05) == (not adjusted.difference.low <= 0 <= adjusted.difference.high)
    assert {one.verdict for one in alone} > {one.verdict for one in found} or len({one.verdict for one in found}) == 2


def test_contrasts_that_share_their_rivals_errors_cost_less_than_independent_ones() -> None:
    """A rival with much noise makes all differences alike, so that they are hardly more than one."""
    drawn = (contrasts(study(np.random.default_rng(seed), [6.0, 1.0, 1.0, 1.0, 1.0], seeds=12)) for seed in range(99))
    alike = next(one for one in drawn if 0.02 < min(each.p for each in one) < 0.1)
    place = int(np.argmin([one.p for one in alike]))
    found = simultaneous(alike)[place].p
    assert alike[place].p < found < 0.9 * min(1.0, 4 * alike[place].p)


@given(st.integers(0, 10_000), st.integers(2, 6))
@settings(max_examples=15)
def test_adjusted_ps_are_no_smaller_keep_their_order_and_stay_below_those_of_holm_and_bonferroni(
    seed: int, count: int
) -> None:
    alone = contrasts(study(np.random.default_rng(seed), [1.0] * (count + 1), seeds=6))
    found = [one.p for one in simultaneous(alone)]
    p = [one.p for one in alone]
    assert all(before <= after <= 1 for before, after in zip(p, found, strict=True))
    assert [found[place] for place in np.argsort(p)] == sorted(found)
    assert min(found) <= min(holm_adjusted(p)) + 0.02  # what 20,000 draws leave open


def test_the_same_record_gives_the_same_numbers() -> None:
    alone = contrasts(study(np.random.default_rng(3), [1.0] * 5))
    assert simultaneous(alone) == simultaneous(alone)


def test_what_has_no_spread_or_no_pair_keeps_what_it_has() -> None:
    table = study(np.random.default_rng(4), [1.0] * 4)
    table[:, 1] = table[:, 0] - 0.01
    single, others = compare(summary("29-9x4d", [0.2]), summary(RIVAL, [0.3])), contrasts(table)
    found = simultaneous([single, *others])
    assert math.isnan(found[0].p)
    assert found[0].verdict == "inconclusive"
    assert not found[1].difference.has_interval
    assert found[1].p >= others[0].p == pytest.approx(2 / 2**5)
    assert simultaneous([single]) == [single]


def test_seeds_that_only_some_settings_have_are_used_where_they_are() -> None:
    first = summary(RIVAL, [0.30, 0.31, 0.29, 0.30, 0.32, 0.31, 0.30])
    some = summary("29-2x4d", [0.28, 0.30, 0.27, 0.29, 0.31])
    found = simultaneous(
        [compare(some, first), compare(summary("29-4x4d", [0.3, 0.3, 0.28, 0.31, 0.3, 0.3, 0.29]), first)]
    )
    assert [one.difference.n for one in found] == [5, 7]
    assert all(one.difference.has_interval for one in found)


@pytest.mark.real
@pytest.mark.parametrize(
    ("spreads", "studies"),
    broadly(
        [
            ([1.0] * 5, 300),
            ([1.0, 1.0, 1.0, 1.0, 3.0], 300),
            ([3.0, 1.0, 1.0, 1.0, 1.0], 300),
            ([1.0] * 5, 3_000),
            ([1.0, 1.0, 1.0, 1.0, 3.0], 6_000),
        ],
        fast=3,
    ),
)
def test_where_no_setting_differs_any_is_found_in_at_most_six_of_a_hundred_studies(
    spreads: list[float], studies: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(family, "DRAWS", 1500)
    rng = np.random.default_rng(5)
    found = sum(
        any(one.p < 0.05 for one in simultaneous(contrasts(study(rng, spreads)), seed=number))
        for number in range(studies)
    )
    assert found <= 0.06 * studies + (2.6 * math.sqrt(0.06 * 0.94 * studies) if studies < 1000 else 0)
