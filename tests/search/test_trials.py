from dataclasses import replace
from datetime import UTC, datetime, timedelta

import optuna
import pytest
from optuna.trial import TrialState

from explorer.record.rows import RunRecord
from explorer.search.trials import MOST_STEPS, Trials, open_trials
from explorer.study.plan import plan_of
from explorer.study.settings import StudyConfig
from explorer.verbs.command_line import read_command
from tests.conftest import TINY
from tests.record.test_records import RECORD


def record(setting: str, seed: int, val_error: float | None, status: str = "ok") -> RunRecord:
    return replace(RECORD, run=f"{setting}/{seed}", setting=setting, seed=seed, val_error=val_error, status=status)


@pytest.fixture
def trials(tiny: StudyConfig) -> Trials:
    return open_trials("tiny", plan_of(tiny).settings, seeds=2)


def test_every_setting_is_an_open_trial_with_its_axes_and_cost(trials: Trials) -> None:
    frozen = trials.frozen()
    assert [trial.state for trial in frozen] == [TrialState.RUNNING] * 2
    axes = {"template": "cifar", "block": "bottleneck", "shortcut": True, "depth": 11, "width": 16, "kernel_size": 3}
    assert frozen[1].params == axes | {"cardinality": 2, "bottleneck_width": 3}
    assert frozen[1].user_attrs["setting"] == "11-2x3d-w16"


def test_the_form_is_an_axis_where_a_study_trains_several() -> None:
    config = read_command([*TINY, "search.forms=[grouped,sum]"]).study
    frozen = open_trials("tiny", plan_of(config).settings, seeds=1).frozen()
    assert [trial.params["form"] for trial in frozen] == ["grouped", "sum"] * 2
    assert [trial.params["cardinality"] for trial in frozen] == [1, 1, 2, 2]


def test_a_trial_is_told_the_mean_over_seeds_when_the_last_seed_is_in(trials: Trials) -> None:
    trials.add(record("11-1x4d-w16", 1, 0.3))
    assert trials.frozen()[0].state == TrialState.RUNNING
    trials.add(record("11-1x4d-w16", 0, 0.1))
    told = trials.frozen()[0]
    assert (told.state, told.value) == (TrialState.COMPLETE, pytest.approx(0.2))
    assert told.intermediate_values == {2: pytest.approx(0.2)}
    assert told.user_attrs["seed 1"] == "val_error 0.3000, test_error 0.3333"


def test_the_dashboard_is_shown_the_mean_over_seeds_after_each_epoch(trials: Trials) -> None:
    trials.add(record("11-1x4d-w16", 0, 0.1), {1: 0.5, 2: 0.1})
    assert trials.frozen()[0].intermediate_values == {1: 0.5, 2: 0.1}
    trials.add(record("11-1x4d-w16", 1, 0.3), {1: 0.3, 2: 0.3})
    assert trials.frozen()[0].intermediate_values == pytest.approx({1: 0.4, 2: 0.2})
    trials.add(record("11-2x3d-w16", 0, 0.1), {epoch: 1 / epoch for epoch in range(1, 301)})
    trials.add(record("11-2x3d-w16", 1, None, "diverged"), {1: 0.5})
    shown = trials.frozen()[1].intermediate_values
    assert (len(shown), min(shown), max(shown)) == (MOST_STEPS, 1, 300)
    assert (shown[1], shown[300]) == (0.75, 1 / 300)


def test_a_finished_trial_has_the_times_of_its_runs_not_those_of_reading_the_record(trials: Trials) -> None:
    for seed, finished in enumerate(("2026-02-03T04:05:00Z", "2026-02-03T04:07:00Z")):
        trials.add(replace(record("11-1x4d-w16", seed, 0.1), finished=finished, seconds=90.0))
        trials.add(replace(record("11-2x3d-w16", seed, 0.1), finished="", seconds=90.0))
    told, untold = trials.frozen()
    assert told.datetime_complete == datetime(2026, 2, 3, 4, 7, tzinfo=UTC).astimezone().replace(tzinfo=None)
    assert told.duration == timedelta(minutes=3, seconds=30)
    assert untold.duration is not None
    assert untold.duration < timedelta(minutes=1)


def test_a_run_counts_once_and_only_if_the_study_wants_it(trials: Trials) -> None:
    first = record("11-1x4d-w16", 0, 0.1)
    for ignored in (
        first,
        first,
        record("11-1x4d-w16", 7, 0.2),
        record("29-32x4d", 1, 0.2),
        record("11-1x4d-w16", 1, None, "failed"),
    ):
        trials.add(ignored)
    assert trials.frozen()[0].intermediate_values == {2: 0.1}
    assert trials.frozen()[0].state == TrialState.RUNNING


def test_a_setting_with_a_diverged_seed_has_no_mean(trials: Trials) -> None:
    trials.add(record("11-1x4d-w16", 0, 0.1))
    trials.add(record("11-1x4d-w16", 1, None, "diverged"))
    assert trials.frozen()[0].state == TrialState.FAIL
    assert trials.frozen()[0].user_attrs["seed 1"] == "diverged after 2 epochs"


def test_a_setting_that_was_stopped_at_a_rung_is_told_as_pruned(trials: Trials) -> None:
    trials.add(record("11-1x4d-w16", 0, 0.4, "pruned"))
    trials.add(record("11-1x4d-w16", 1, 0.4))
    assert trials.frozen()[0].state == TrialState.PRUNED


def test_the_best_trial_is_the_best_setting(trials: Trials) -> None:
    for setting, error in (("11-1x4d-w16", 0.3), ("11-2x3d-w16", 0.2)):
        for seed in (0, 1):
            trials.add(record(setting, seed, error))
    assert trials.study.best_trial.user_attrs["setting"] == "11-2x3d-w16"
    assert isinstance(trials.study, optuna.Study)


def test_an_open_trial_that_was_handed_out_stays_as_it_was(trials: Trials) -> None:
    before = trials.frozen()[0]
    trials.add(record("11-1x4d-w16", 0, 0.1))
    after = trials.frozen()[0]
    assert (before.intermediate_values, after.intermediate_values) == ({}, {2: 0.1})
    assert "seed 0" not in before.user_attrs
    trials.add(record("11-1x4d-w16", 1, 0.1))
    assert trials.frozen()[0] is trials.frozen()[0]
