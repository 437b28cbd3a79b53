"""A linear fit on a search's random designs, and how early the order of designs is known."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from explorer.analysis.judging import open_study
from explorer.analysis.linear_guess import LEAST_RANDOM, linear_guess, predictions
from explorer.analysis.ranks import rank_correlation, rank_history
from explorer.analysis.sentences import linear_guess_sentence
from explorer.design import parse_name
from explorer.host.formatting import with_true_minus
from explorer.report.page import render_page
from explorer.verbs.command_line import read_command
from tests.analysis.test_importance import designs
from tests.made_up import made_up
from tests.report.reading import plain
from tests.test_layers import ROOT


def linear(depth: int, wide: float, paths: float) -> float:
    return 0.5 + 0.002 * depth - 0.02 * wide


def test_a_fit_on_random_designs_picks_the_best_of_the_others_where_errors_are_linear() -> None:
    made = designs(linear)
    drawn = [one.setting for one in made[::4]]
    found = linear_guess(made, drawn)
    assert found is not None
    assert (found.random, found.guessed) == (12, 36)
    assert found.error == pytest.approx(found.best) == pytest.approx(linear(20, 7, 0))
    assert found.ranks.tau > 0.95
    assert linear_guess(made, drawn[: LEAST_RANDOM - 1]) is None
    alone = linear_guess([one for one in made if one.setting in drawn], drawn)
    assert alone is not None
    assert (alone.guessed, alone.chosen) == (0, "")


def test_an_axis_that_does_not_vary_takes_nothing_from_the_others() -> None:
    shapes = [parse_name(f"29-{paths}x{width}d") for paths in (1, 2, 4) for width in (4, 8, 16)]
    middle = [paths * width for paths in (1, 2, 4) for width in (4, 8, 16)]
    errors = 0.5 - 0.02 * np.log2(middle)
    assert predictions(shapes[:6], errors[:6], shapes[6:]) == pytest.approx(errors[6:])


def test_the_interval_of_a_rank_correlation_covers() -> None:
    rng, true, inside = np.random.default_rng(3), 2 / math.pi * math.asin(0.6), 0
    for _ in range(600):
        first = rng.standard_normal(40)
        second = 0.6 * first + 0.8 * rng.standard_normal(40)
        found = rank_correlation(first, second)
        inside += found.low <= true <= found.high
    assert found.tau == pytest.approx(float(stats.kendalltau(first, second).statistic))
    assert 0.92 <= inside / 600 <= 0.98
    assert not rank_correlation(range(9), range(9)).is_known
    assert not rank_correlation([1.0] * 20, range(20)).is_known
    assert 0.9 < rank_correlation(range(20), range(20)).low < 0.99
    opposite = rank_correlation(range(10), range(10, 0, -1))
    assert (opposite.tau, opposite.low) == pytest.approx((-1, -1))
    assert -0.97 < opposite.high < -0.9


def test_the_order_of_the_recorded_designs_is_known_late() -> None:
    record = open_study(ROOT / "studies" / "design_space_cifar10_jpeg").record
    found = rank_history(record.runs, record.epochs)
    assert found is not None
    assert (found.epochs, found.designs) == ((1, 2, 3, 4, 5, 6, 7, 8), 128)
    assert [round(one.tau, 2) for one in found.correlations[:3]] == [0.45, 0.15, 0.55]  # its rate is highest in epoch 2
    few = record.runs[record.runs["setting"].isin(record.runs["setting"].unique()[:9])]
    assert rank_history(few, record.epochs) is None
    assert rank_history(record.runs, record.epochs[record.epochs["epoch"] == 9]) is None
    assert rank_history(record.runs.assign(status="pruned"), record.epochs) is None


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    monkeypatch.chdir(tmp_path)
    words = ["study=pareto", "name=own", "search=tpe", "search.objectives=[error]", "recipe.epochs=9"]
    return lambda *more: made_up(read_command([*words, *more]).study)


def test_a_search_is_held_against_the_fit_and_tells_how_early_the_order_was_known(
    search: Callable[..., Path],
) -> None:
    study = open_study(search("search.pruner=halving"))
    found = study.finding.linear_guess
    assert found is not None
    words = linear_guess_sentence(study.finding)
    assert words.startswith(f"A linear fit of depth, log2 width and log2 D on the {found.random} random designs")
    assert f"{100 * (found.error - found.best):.2f} points above the lowest" in words or "is the lowest" in words
    page = plain(render_page(study))
    assert with_true_minus(words).replace("'", "&#39;") in page
    assert "How early the order is known" in page
    assert "after epoch 1 (" in page
    assert "Designs that were stopped on their way are not among them" in page


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["search.baseline=0"], "nor what a linear fit of random designs would have found"),
        (["search.designs=14"], "Too few designs were drawn at random for a linear fit"),
    ],
)
def test_where_there_is_no_fit_the_page_says_why(search: Callable[..., Path], more: list[str], words: str) -> None:
    study = open_study(search(*more))
    assert linear_guess_sentence(study.finding) == ""
    assert words in plain(render_page(study))


def test_a_search_for_a_front_is_told_how_well_the_fit_orders_its_designs(search: Callable[..., Path]) -> None:
    words = linear_guess_sentence(open_study(search("search=nsga2", "search.objectives=[error,macs]")).finding)
    assert "predicts the errors of the" in words
    assert "would pick" not in words


def test_a_table_without_designs_has_no_order() -> None:
    empty = pd.DataFrame(columns=["run", "setting", "status", "rate", "epoch", "val_error"])
    assert rank_history(empty, empty) is None
