"""Searches on recorded curves: the search's own parts, and what they must find where curves tell all or nothing."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from benchmarks.printing import print_replay
from benchmarks.replay import BY_TRAINING, KINDS, LINEAR, pool_of, replay
from benchmarks.replay_curves import Curves
from explorer.design import parse_name
from explorer.study.designs import scope_of
from explorer.study.settings import StudyConfig
from explorer.verbs.command_line import read_command
from tests.conftest import TINY

NAMES = tuple(f"{depth}-{paths}x{width}d-w16" for depth in (11, 20, 29) for paths in (1, 2, 4) for width in (2, 4, 8))


def crossing(noise: float) -> Curves:
    """27 designs of 9 epochs whose errors keep their order but for noise on the way; wide and deep ones are best."""
    rng = np.random.default_rng(0)
    final = np.linspace(0.4, 0.1, 27)
    steps = np.linspace(0.5, 0.0, 9)
    errors = final[:, None] + steps + noise * rng.normal(size=(27, 9)) * (steps > 0)
    return Curves(errors, np.arange(27), NAMES)


@pytest.fixture
def config() -> StudyConfig:
    return read_command([*TINY, "budget=none", "space.bottleneck_width=[4]"]).study


@pytest.mark.real
def test_where_early_errors_tell_all_stopping_finds_better_designs_than_chance(config: StudyConfig) -> None:
    found = replay(crossing(0.0), config, scope_of(config), draws=20)
    assert set(found.regrets) == {*KINDS, LINEAR}
    assert found.rungs == (1, 3, 9)
    medians = {kind: float(np.median(regrets)) for kind, regrets in found.regrets.items()}
    assert medians["random, halving"] < medians["random designs"]
    # A third of the epochs of 18 designs of 9 epochs: six of them to their end, or more of them begun.
    assert found.trained["random designs"] == 6
    assert found.trained["random, halving"] > 8
    assert found.difference("random, halving")[0] < 0
    assert found.trained[LINEAR] == 6
    assert all((regrets >= 0).all() for regrets in found.regrets.values())


@pytest.mark.real
def test_rungs_may_judge_by_training_errors_that_tell_more(config: StudyConfig) -> None:
    curves = replace(crossing(50.0), training=crossing(0.0).errors)
    found = replay(curves, config, scope_of(config), draws=20)
    kind = "random, halving"
    assert set(found.regrets) == {*KINDS, *BY_TRAINING.values(), LINEAR}
    assert found.regrets[BY_TRAINING[kind]].mean() < found.regrets[kind].mean()


@pytest.mark.real
def test_where_early_errors_tell_nothing_stopping_gains_little(config: StudyConfig) -> None:
    told, lost = (replay(crossing(noise), config, scope_of(config), draws=20) for noise in (0.0, 50.0))
    assert lost.difference("random, halving")[0] > told.difference("random, halving")[0]


def test_the_same_seed_gives_the_same_searches(config: StudyConfig) -> None:
    one, other = (replay(crossing(0.1), config, scope_of(config), draws=3, seed=5) for _ in range(2))
    assert all((one.regrets[kind] == other.regrets[kind]).all() for kind in KINDS)


def test_a_linear_fit_finds_the_best_design_where_errors_are_linear(config: StudyConfig) -> None:
    shapes = [parse_name(name) for name in NAMES]
    middle = np.log2([one.cardinality * one.bottleneck_width for one in shapes])  # type: ignore[operator]
    final = 0.6 - 0.05 * middle + 0.004 * np.array([one.depth for one in shapes])
    # Of 18 designs six are affordable: four random ones are fitted, by depth and D, whose two best guesses are right.
    curves = Curves(np.repeat(final[:, None], 9, axis=1), np.arange(27), NAMES)
    found = replay(curves, config, scope_of(config), draws=8)
    assert found.within(LINEAR, 0.02) >= 0.9
    assert found.regrets[LINEAR].mean() < found.regrets["random designs"].mean() / 3


def test_validation_chooses_and_test_judges(config: StudyConfig) -> None:
    made = crossing(0.0)
    # On test images the order is turned round: what validation errors choose is the worst there is.
    turned = replace(made, test=0.5 - made.errors[:, -1])
    plain, judged = (replay(curves, config, scope_of(config), draws=5) for curves in (made, turned))
    assert turned.worth == pytest.approx(0.5 - made.final)
    assert made.worth == pytest.approx(made.final)
    assert plain.within("tpe", 0.05) > judged.within("tpe", 0.05)
    assert all((regrets > 0.1).all() for regrets in judged.regrets.values())


def test_a_pool_has_a_column_for_every_axis_in_which_designs_differ() -> None:
    designs = [parse_name(name) for name in ("11-1x4d-w16", "11-2x4d-w16-preact", "20-2.4.4x4d-w16")]
    pool = pool_of(designs)
    assert [pool.architecture(place) for place in range(3)] == designs
    assert set(pool.parameters) == {"depth", "cardinality", "block"}
    assert pool.parameters["depth"].tolist() == [11, 11, 20]
    assert pool.parameters["cardinality"].dtype == object


def test_regrets_and_figures_are_printed_whole_in_eighty_columns(config: StudyConfig) -> None:
    found = replay(replace(crossing(0.0), test=crossing(0.0).errors[:, -1]), config, scope_of(config), draws=2)
    output = io.StringIO()
    print_replay(found, 0.01, Console(file=output, width=80, force_terminal=True, color_system=None))
    lines = output.getvalue().splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "points of test error by which the design that validation errors chose" in " ".join(
        output.getvalue().split()
    )
    assert sum(line.rstrip().endswith(("pass", "FAIL")) for line in lines) == 2
    assert "…" not in output.getvalue()
    assert "linear fit" in output.getvalue()
