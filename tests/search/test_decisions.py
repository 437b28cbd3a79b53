"""Where a design stands at its rungs, by hand: until when it is trained, at which error it is judged, what goes on."""

from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest

from explorer.design.grouped import grouped_convs
from explorer.record.rows import Decision
from explorer.search.rungs import Rungs, chosen, goes_on, make_pruner
from explorer.search.sampler import _distribution, make_sampler
from explorer.study.plan import plan_of
from explorer.study.run import Convolution, Outcome, Run
from explorer.study.runs import is_judged, own_execution, rate_of, runs_of
from explorer.study.settings import StudyConfig
from explorer.verbs.command_line import read_command
from tests.conftest import TINY
from tests.search.test_rungs import HALVING
from tests.study.test_planning import EXECUTION

DESIGN = "11-1x4d-w16"


def study(*changes: str) -> StudyConfig:
    return read_command([*HALVING, *changes]).study


def rungs(*decided: tuple[str, int], by: str = "tpe", seeds: int = 1) -> Rungs:
    """Rungs after 1 and 3 epochs, and what was decided of one design."""
    found = Rungs((1, 3), seeds)
    for word, epochs in decided:
        found.note(Decision(DESIGN, word, epochs, None, by))
    return found


@pytest.mark.parametrize(
    ("decided", "until", "stopped"),
    [
        ([], None, False),
        ([("chosen", 0)], 1, False),
        ([("chosen", 0), ("continued", 1)], 3, False),
        ([("chosen", 0), ("continued", 1), ("continued", 3)], None, False),
        ([("chosen", 0), ("stopped", 1)], 1, True),
        ([("chosen", 0), ("continued", 1), ("stopped", 3)], 3, True),
    ],
)
def test_a_design_is_trained_to_its_next_rung(decided: list[tuple[str, int]], until: int | None, stopped: bool) -> None:
    found = rungs(*decided)
    assert (found.until(DESIGN), found.is_stopped(DESIGN)) == (until, stopped)
    assert (found.until("another"), found.is_stopped("another")) == (None, False)
    assert rungs(*decided, by="baseline").until(DESIGN) is None  # what was drawn at random is not stopped


def outcome(error: float | None) -> Outcome:
    return Outcome("paused", 1, 0.1, error, None, 0.3, 1.0, 1.0)


def test_a_design_is_judged_by_all_its_seeds_of_which_lost_ones_count_as_chance() -> None:
    runs = [
        run
        for _, run in runs_of(
            plan_of(study("search.seeds=3")), plan_of(read_command(TINY).study).settings, EXECUTION, "x"
        )
    ]
    found = rungs(("chosen", 0), seeds=3)
    by_seed: dict[int, Run] = {run.seed: run for run in runs}
    assert found.error(DESIGN, 0.9) is None
    found.pause(DESIGN, by_seed[0], outcome(0.2))
    found.pause(DESIGN, by_seed[1], outcome(0.4))
    assert found.error(DESIGN, 0.9) is None
    found.end(DESIGN, 2)
    assert found.error(DESIGN, 0.9) == pytest.approx((0.2 + 0.4 + 0.9) / 3)
    found.pause(DESIGN, by_seed[1], outcome(0.3))  # the same seed again: it counts once
    assert found.error(DESIGN, 0.9) == pytest.approx((0.2 + 0.3 + 0.9) / 3)
    found.end(DESIGN, 1)
    assert found.error(DESIGN, 0.9) == pytest.approx((0.2 + 0.9 + 0.9) / 3)
    found.end(DESIGN, 0)
    assert found.error(DESIGN, 0.9) is None  # none waits for a decision
    whole = rungs(("chosen", 0), seeds=2)
    for seed, error in ((0, 0.2), (1, 0.5)):
        whole.pause(DESIGN, by_seed[seed], outcome(error))
    assert whole.error(DESIGN, 0.9) == pytest.approx(0.35)


def test_a_choice_is_written_down_with_its_latency() -> None:
    from explorer.study.designs import Latency

    setting = plan_of(read_command(TINY).study).settings[0]
    assert chosen(setting, "tpe") == Decision(setting.name, "chosen", 0, None, "tpe")
    timed = replace(setting, latency=Latency(1.0, 2.0, 4.0))
    assert chosen(timed, "tpe") == Decision(setting.name, "chosen", 0, None, "tpe", 2.0, 1.0, 4.0)


# Fronts, best first: (1, 9) and (9, 1); (2, 9.5) and (9.5, 2); (3, 9.9).
FIRST, SECOND, THIRD = [(1.0, 9.0), (9.0, 1.0)], [(2.0, 9.5), (9.5, 2.0)], [(3.0, 9.9)]


@pytest.mark.parametrize(
    ("points", "factor", "expected"),
    [
        ([(5.0, 5.0)], 3, True),  # the first of all
        ([*SECOND, *FIRST], 3, True),  # on the best front
        ([*FIRST, *SECOND], 3, False),  # of four one may go on: the better front holds two
        ([*FIRST, *SECOND], 2, False),  # of four two may go on
        ([FIRST[0], SECOND[1], SECOND[0]], 1, True),  # of three all
        ([*FIRST, *THIRD, *SECOND], 1, True),
        ([*FIRST, *SECOND, *THIRD], 1, True),
        ([*FIRST, *SECOND, *THIRD], 2, False),
        ([FIRST[0], *[(5.0, 9.5 + n) for n in range(6)], SECOND[0]], 4, True),  # one better, of eight two
        ([FIRST[0], *[(5.0, 9.5 + n) for n in range(5)], SECOND[0]], 4, False),  # one better, of seven one
        ([(1.0, 1.0), (1.0, 1.0)], 2, True),  # equals do not beat each other
    ],
)
def test_a_front_goes_on_while_better_ones_hold_too_few(
    points: list[tuple[float, float]], factor: int, expected: bool
) -> None:
    assert goes_on(points, factor) is expected


def test_the_rungs_are_those_of_the_pruner() -> None:
    assert study().rungs == (1, 3)
    halving = make_pruner(study("search.factor=2"))
    assert isinstance(halving, optuna.pruners.SuccessiveHalvingPruner)
    assert (halving._min_resource, halving._reduction_factor) == (3, 2)
    hyperband = make_pruner(study("search.pruner=hyperband"))
    assert isinstance(hyperband, optuna.pruners.HyperbandPruner)
    assert (hyperband._min_resource, hyperband._max_resource, hyperband._reduction_factor) == (1, 9, 3)
    median = make_pruner(study("search.pruner=median"))
    assert isinstance(median, optuna.pruners.MedianPruner)
    assert median._n_startup_trials == 3
    several = ["search=nsga2", "search.designs=9", "search.objectives=[error,macs]", "search.pruner=halving"]
    for none in (study("search.pruner=none"), study(*several)):
        assert isinstance(make_pruner(none), optuna.pruners.NopPruner)


@pytest.mark.parametrize(
    ("designs", "startup", "population"), [(4, 3, 4), (20, 5, 5), (40, 10, 10), (100, 10, 25), (1000, 10, 50)]
)
def test_learning_samplers_leave_themselves_designs_to_choose(designs: int, startup: int, population: int) -> None:
    found: dict[str, Any] = {name: make_sampler(name, 0, 3, designs) for name in ("tpe", "gp", "nsga2")}
    assert found["tpe"]._n_startup_trials == startup
    assert found["gp"]._n_startup_trials == startup
    assert found["nsga2"].population_size == population


def test_an_axis_is_searched_on_the_scale_its_values_span() -> None:
    floats, ints, labels = optuna.distributions.FloatDistribution, optuna.distributions.IntDistribution, ["a", "b"]
    assert _distribution(np.array([7, 1, 3])) == ints(1, 7)
    assert _distribution(np.array([8, 1])) == ints(1, 8, log=True)
    assert _distribution(np.array([2, 15])) == ints(2, 15)
    assert _distribution(np.array([2, 16])) == ints(2, 16, log=True)
    assert _distribution(np.array([0, 16])) == ints(0, 16)
    assert _distribution(np.array([2.5, 0.5, 40.0])) == floats(0.5, 40.0)
    assert _distribution(np.array(["b", "a", "b"], dtype=object)).choices == tuple(labels)  # type: ignore[attr-defined]
    assert _distribution(np.array([True, False], dtype=object)).choices == (False, True)  # type: ignore[attr-defined]


def test_runs_are_counted_with_those_at_other_rates_and_only_the_first_rate_is_judged() -> None:
    config = read_command([*TINY, "search.rates=[0.5,2]", "search.seeds=3"]).study
    settings = plan_of(config).settings
    runs = [run for _, run in runs_of(plan_of(config), settings, EXECUTION, "x")]
    assert len(runs) == plan_of(config).runs == (2 + 2 * 2) * 3
    assert [rate_of(config, run) for run in runs] == [1.0, 1.0, 0.5, 0.5, 2.0, 2.0] * 3
    assert [is_judged(config, run) for run in runs[:6]] == [True, True, False, False, False, False]
    assert not is_judged(study(), runs[0])  # a search does not look at the test images


def test_a_runs_plan_holds_its_own_convolutions_that_are_executed_otherwise() -> None:
    setting = plan_of(read_command(TINY).study).settings[1]
    task = read_command(TINY).study.data.task
    first, second, *_ = sorted(shape.key for shape in grouped_convs(setting.architecture, task))
    assert setting.architecture.cardinality == 2

    def own(*choices: Convolution, form: str = "grouped") -> tuple[Convolution, ...]:
        plan = replace(EXECUTION, convolutions=choices)
        return own_execution(plan, replace(setting, form=form), task).convolutions

    dense, other = Convolution(second, 1), Convolution(first, 2, "contiguous")
    plain, foreign = Convolution(first, 2), Convolution("9>9_k3_s1_g3_9px", 1)
    assert own(dense, plain, foreign) == (dense,)  # as it is, or of another network: left out
    assert own(dense, other) == (other, dense)
    assert own(dense, other, form="sum") == ()
    assert own_execution(EXECUTION, replace(setting, form="sum"), task).form == "sum"
