import logging
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from explorer.planning import settings_of
from explorer.search.mirror import mirror_url, mirrored, try_synchronise
from explorer.search.trials import Trials, open_trials
from explorer.settings import StudyConfig
from tests.search.test_trials import record

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "local").mkdir()
    return tmp_path


@pytest.fixture
def trials(tiny: StudyConfig) -> Trials:
    return open_trials("tiny", settings_of(tiny), seeds=2)


def stored(folder: Path) -> list[FrozenTrial]:
    return optuna.load_study(study_name="tiny", storage=mirror_url(folder)).get_trials()


def assert_equal(folder: Path, trials: Trials) -> None:
    for copy, original in zip(stored(folder), trials.frozen(), strict=True):
        for name in ("number", "state", "values", "params", "user_attrs", "intermediate_values"):
            assert getattr(copy, name) == getattr(original, name), name


def test_the_mirror_follows_trials_as_they_go_on(folder: Path, trials: Trials) -> None:
    try_synchronise(trials, folder)
    assert [trial.state for trial in stored(folder)] == [TrialState.RUNNING] * 2
    for seed, error in ((0, 0.1), (1, 0.3)):
        trials.add(record("11-1x4d-w16", seed, error))
        try_synchronise(trials, folder)
        assert_equal(folder, trials)
    assert stored(folder)[0].value == pytest.approx(0.2)


def test_a_deleted_or_damaged_mirror_is_made_anew(folder: Path, trials: Trials) -> None:
    trials.add(record("11-1x4d-w16", 0, 0.1))
    try_synchronise(trials, folder)
    database = folder / "local" / "optuna.db"
    for damage in (database.unlink, lambda: database.write_bytes(b"not a database" * 100)):
        damage()
        try_synchronise(trials, folder)
        assert_equal(folder, trials)


def test_seeds_added_later_open_a_told_trial_again(folder: Path, tiny: StudyConfig) -> None:
    for seeds in (1, 2):
        trials = open_trials("tiny", settings_of(tiny), seeds)
        trials.add(record("11-1x4d-w16", 0, 0.1))
        try_synchronise(trials, folder)
        assert_equal(folder, trials)
    assert [trial.state for trial in stored(folder)] == [TrialState.RUNNING] * 2


def test_a_synchronised_mirror_is_left_alone(folder: Path, tiny: StudyConfig) -> None:
    for _ in range(2):
        trials = open_trials("tiny", settings_of(tiny), seeds=1)
        trials.add(record("11-1x4d-w16", 0, 0.1))
        try_synchronise(trials, folder)
    first, *_ = stored(folder)
    assert first._trial_id == 1


def test_a_mirror_that_cannot_be_written_is_warned_of_and_stops_nothing(
    folder: Path, trials: Trials, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "local").rmdir()
    with caplog.at_level(logging.WARNING), mirrored(trials, folder):
        trials.add(record("11-1x4d-w16", 0, 0.1))
    assert "cannot be written now" in caplog.text


def test_what_is_left_is_written_when_the_study_ends(folder: Path, trials: Trials) -> None:
    with mirrored(trials, folder):
        trials.add(record("11-1x4d-w16", 0, 0.1))
    assert_equal(folder, trials)
