"""A copy of the trials in a database, for optuna-dashboard: written behind the study's back, never read by it.

The record is the truth; the mirror may lag, fail or be deleted, and the next synchronisation brings it up to date.
"""

import contextlib
import logging
import threading
import warnings
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial

from explorer.search.trials import Trials

PERIOD_SECONDS = 5.0
_LOGGER = logging.getLogger(__name__)


def mirror_url(folder: Path) -> str:
    """Where a study's own mirror is: an Optuna storage URL."""
    return f"sqlite:///{folder / 'local' / 'optuna.db'}"


@contextlib.contextmanager
def mirrored(trials: Trials, folder: Path) -> Iterator[None]:
    """Keep the mirror up to date from a thread while the body runs, and once more when it ends."""
    done = threading.Event()

    def keep_up() -> None:
        while not done.wait(PERIOD_SECONDS):
            try_synchronise(trials, folder)

    thread = threading.Thread(target=keep_up, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        try_synchronise(trials, folder)


def try_synchronise(trials: Trials, folder: Path) -> None:
    """Synchronise if that can be done now; a file that is no database is made anew, a busy one waits its turn."""
    path = folder / "local" / "optuna.db"
    try:
        if path.is_file() and _first_bytes(path) not in (b"SQLite format 3\0", b""):
            path.unlink()
        synchronise(trials.study.study_name, trials.frozen(), mirror_url(folder), trials.objectives)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the mirror, the study goes on
        _LOGGER.warning("the mirror %s cannot be written now: %s", path, error)


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def synchronise(name: str, trials: list[FrozenTrial], url: str, objectives: tuple[str, ...] = ("val_error",)) -> None:
    """Make the stored study equal to the trials, writing only what differs."""
    storage = RDBStorage(url)
    try:
        study_id = _study_id(storage, name, objectives)
        stored = {trial.number: trial for trial in storage.get_all_trials(study_id, deepcopy=False)}
        if _conflict(stored, trials):
            storage.delete_study(study_id)
            study_id, stored = _study_id(storage, name, objectives), {}
        for trial in trials:
            if trial.number not in stored:
                storage.create_new_trial(study_id, template_trial=trial)
            elif not _same(trial, stored[trial.number]):
                _update(storage, stored[trial.number], trial)
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _conflict(stored: dict[int, FrozenTrial], trials: list[FrozenTrial]) -> bool:
    """Whether the stored study cannot become these trials: a finished trial takes no change, none can be removed.

    That happens when seeds are added to a study whose trials were told, or when its settings were others.
    """
    return len(stored) > len(trials) or any(
        stored[trial.number].params != trial.params
        or (stored[trial.number].state.is_finished() and not _same(stored[trial.number], trial))
        for trial in trials
        if trial.number in stored
    )


def _same(left: FrozenTrial, right: FrozenTrial) -> bool:
    """Equal but for times and identifiers, which differ from start to start."""
    fields = ("state", "values", "params", "intermediate_values", "user_attrs")
    return all(getattr(left, name) == getattr(right, name) for name in fields)


def _study_id(storage: BaseStorage, name: str, objectives: tuple[str, ...]) -> int:
    for stored in storage.get_all_studies():
        if stored.study_name == name:
            if len(stored.directions) == len(objectives):
                return stored._study_id
            storage.delete_study(stored._study_id)
    study = optuna.create_study(storage=storage, study_name=name, directions=["minimize"] * len(objectives))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(objectives))
    return study._study_id


def _update(storage: BaseStorage, old: FrozenTrial, new: FrozenTrial) -> None:
    for step, value in new.intermediate_values.items():
        if old.intermediate_values.get(step) != value:
            storage.set_trial_intermediate_value(old._trial_id, step, value)
    for key, attribute in new.user_attrs.items():
        if old.user_attrs.get(key) != attribute:
            storage.set_trial_user_attr(old._trial_id, key, attribute)
    if new.state.is_finished():
        assert isinstance(new.datetime_complete, datetime)
        storage.set_trial_state_values(old._trial_id, new.state, new.values)
