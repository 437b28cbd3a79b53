"""How a search went, and what as many random designs would have found."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from explorer.analysis.front import hypervolume
from explorer.analysis.search_history import DRAWS, SearchHistory, _likely, search_history
from explorer.record.records import Record
from explorer.record.rows import Decision, RunRecord
from explorer.study.run import BASELINE
from tests.record.test_records import RECORD


def row(setting: str, val_error: float | None, *, epochs: int = 4, status: str = "ok", **more: object) -> RunRecord:
    own = {"setting": setting, "val_error": val_error, "epochs": epochs, "status": status, "classes": 10} | more
    return replace(RECORD, **own)  # type: ignore[arg-type]


def history_of(rows: list[RunRecord], random: list[str], seeds: int = 1, cost: str | None = None) -> SearchHistory:
    found = search_history(pd.DataFrame(rows), random, seeds, cost)
    assert found is not None
    return found


def test_the_best_so_far_is_told_by_the_epochs_trained() -> None:
    rows = [row("a", 0.3), row("b", 0.4, epochs=1, status="pruned"), row("c", 0.2), row("d", None, status="diverged")]
    found = history_of(rows, [])
    assert found.epochs == [4, 5, 9, 13]
    assert found.best == [0.3, 0.3, 0.2, 0.2]
    assert (found.stopped, found.tried, found.drawn) == ({1: 1}, 4, None)


def test_random_designs_that_a_search_gained_after_it_had_chosen_are_no_part_of_the_comparison() -> None:
    decisions = tuple(
        Decision(setting=name, decision="chosen", epochs=0, error=None, by=by)
        for name, by in (("r", BASELINE), ("s", BASELINE), ("t", "tpe"), ("u", BASELINE), ("v", "tpe"))
    )
    assert Record(pd.DataFrame(), pd.DataFrame(), decisions).drawn_late == ["u"]
    assert Record(pd.DataFrame(), pd.DataFrame(), decisions[:2]).drawn_late == []
    rows = [row(name, error) for name, error in zip("rstuv", (0.4, 0.5, 0.3, 0.1, 0.2), strict=True)]
    found = search_history(pd.DataFrame(rows), ["r", "s", "u"], 1, None, late=["u"])
    assert found is not None
    assert (found.tried, found.epochs, found.best) == (5, [4, 8], [0.3, 0.2])  # u is tried, and in neither
    assert found.drawn is not None
    assert found.drawn.searched == 0.2


def test_a_design_counts_when_its_last_seed_is_in() -> None:
    rows = [row("a", 0.3, seed=0), row("b", 0.1, seed=0), row("b", 0.5, seed=1), row("a", 0.3, seed=1), row("c", 0.0)]
    found = history_of(rows, [], seeds=2)
    assert (found.epochs, found.best) == ([8, 16], [0.3, 0.3])


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8)), min_size=1, max_size=12))
def test_the_front_so_far_is_that_of_all_designs_until_then(points: list[tuple[int, int]]) -> None:
    rows = [row(f"s{place}", error / 10, macs=cost) for place, (error, cost) in enumerate(points)]
    worst = (0.9, max(cost for _, cost in points) * 1.0001)
    every = np.array([(error / 10, cost) for error, cost in points])
    expected = [hypervolume(every[: place + 1], worst) for place in range(len(points))]
    assert history_of(rows, [], cost="macs").best == pytest.approx(expected)


def test_random_designs_are_told_over_all_their_orders() -> None:
    rows = [row("r1", 0.1), row("r2", 0.2), row("r3", 0.6), row("s1", 0.5), row("s2", 0.2)]
    drawn = history_of(rows, ["r1", "r2", "r3"]).drawn
    assert drawn is not None
    assert drawn.epochs == [4, 8, 12]
    assert drawn.mean[0] == pytest.approx(0.3, abs=0.02)  # the mean of the three
    assert drawn.mean[1] == pytest.approx((0.1 + 0.1 + 0.2) / 3, abs=0.01)
    assert drawn.mean[2] == pytest.approx(0.1)
    assert (drawn.low[2], drawn.high[2]) == (pytest.approx(0.1), pytest.approx(0.1))
    assert (drawn.count, drawn.spent, drawn.searched) == (2, 8, 0.2)
    assert drawn.as_good == 2


def test_as_many_random_designs_have_a_band_of_95_percent() -> None:
    names = [f"r{place}" for place in range(200)]
    drawn = history_of([*(row(name, place / 200) for place, name in enumerate(names)), row("s", 0.5)], names).drawn
    assert drawn is not None
    rng = np.random.default_rng(0)
    first = [rng.permutation(200)[0] / 200 for _ in range(DRAWS)]
    assert (drawn.low[0], drawn.high[0]) == pytest.approx(tuple(np.quantile(first, [0.025, 0.975])))


def test_random_designs_alone_are_no_search() -> None:
    assert search_history(pd.DataFrame([row("r", 0.1)]), ["r"], 1, None) is None


def test_a_search_that_stops_designs_is_held_against_what_its_epochs_pay_for() -> None:
    rows = [row("r1", 0.1), row("r2", 0.2), row("s1", 0.5)]
    rows += [row(f"s{place}", 0.9, epochs=1, status="pruned") for place in range(2, 6)]
    drawn = history_of(rows, ["r1", "r2"]).drawn
    assert drawn is not None
    assert (drawn.count, drawn.spent) == (2, 8)
    # A search that has not trained as much as one random design is held against none.
    assert history_of(rows[:2] + rows[3:5], ["r1", "r2"]).drawn is None


def test_a_front_is_told_by_the_plane_it_covers() -> None:
    rows = [row("r", 0.45, macs=100), row("s1", 0.45, macs=200), row("s2", 0.0, macs=100)]
    found = history_of(rows, ["r"], cost="macs")
    assert found.is_front
    assert found.best == [pytest.approx(0.0, abs=1e-3), pytest.approx(0.5, abs=1e-3)]
    assert found.drawn is not None
    assert found.drawn.best == pytest.approx(0.25, abs=1e-3)
    assert found.drawn.likely is None


@given(st.integers(1, 40), st.integers(1, 40), st.data())
@settings(max_examples=50)
def test_the_chance_of_a_good_draw_has_an_exact_interval(of: int, draws: int, data: st.DataObject) -> None:
    good = data.draw(st.integers(0, of))
    estimate, low, high = _likely(good, of, draws)
    exact = stats.binomtest(good, of).proportion_ci(0.95, "exact")
    assert (low, high) == (pytest.approx(1 - (1 - exact.low) ** draws), pytest.approx(1 - (1 - exact.high) ** draws))
    assert low <= estimate <= high
