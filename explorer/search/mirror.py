"""A copy of the trials in a database, for optuna-dashboard: written behind the study's back, never read by it.

The record is the truth; the mirror may lag, fail or be deleted, and the next synchronisation brings it up to date. One
that is damaged or of another version of Optuna is made anew; one that is locked, read-only or without room is left
alone, told of once, and caught up with when that is over.
"""

import contextlib
import logging
import sqlite3
import threading
import time
import warnings
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial

from explorer.search.trials import Trials

PERIOD_SECONDS = 5.0
REST = 20.0  # times as long as a synchronisation took: it reads all there is, and may take 5 % of the time at most
LOCK_SECONDS = 2.0  # that a synchronisation waits for another process to let go of the database
LAST_SECONDS = 10.0  # that the end of a study waits for a synchronisation
# What another process, the disk or its owner has to end; anything else is wrong with the database itself.
_PASSING = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM),
    *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_AUTH),
}
_LOGGER = logging.getLogger(__name__)


def mirror_path(folder: Path) -> Path:
    """The file of a study's own mirror."""
    return folder / "local" / "optuna.db"


def mirror_url(folder: Path) -> str:
    """Where a study's own mirror is: an Optuna storage URL."""
    return f"sqlite:///{mirror_path(folder)}"


@contextlib.contextmanager
def mirrored(trials: Trials, folder: Path) -> Iterator[None]:
    """Keep the mirror up to date from a thread while the body runs, and once more when it ends."""
    done, told = threading.Event(), set[str]()

    def keep_up() -> None:
        pause = PERIOD_SECONDS
        while not done.wait(pause):
            began = time.perf_counter()
            try_synchronise(trials, folder, told)
            pause = max(PERIOD_SECONDS, REST * (time.perf_counter() - began))
        try_synchronise(trials, folder, told)

    thread = threading.Thread(target=keep_up, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(LAST_SECONDS)


def try_synchronise(trials: Trials, folder: Path, told: set[str] | None = None) -> bool:
    """Synchronise if that can be done now, in a new database where the old one is damaged. Gives whether it was.

    What keeps it from being done is warned of, unless that stands in `told` already.
    """
    path = mirror_path(folder)
    for is_last in (False, True):
        try:
            if path.exists():
                _refuse_unusable(path)
            synchronise(trials.study.study_name, trials.frozen(), mirror_url(folder), trials.objectives)
            return True
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the mirror, the study goes on
            reason, passes = _understood(error)
            if is_last or passes or not _removed(path):
                if told is None or reason not in told:
                    _LOGGER.warning("the mirror %s cannot be written now: %s", path, reason)
                (set() if told is None else told).add(reason)
                return False
    return False


def problem(trials: Trials, folder: Path) -> str:
    """What is wrong with a mirror that is there, without changing it; empty where nothing is."""
    path = mirror_path(folder)
    try:
        _refuse_unusable(path)
        storage = _storage(mirror_url(folder), skip_table_creation=True)
        with _closed(storage):
            stored = storage.get_all_trials(storage.get_study_id_from_name(trials.study.study_name), deepcopy=False)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return _understood(error)[0]
    whole = trials.frozen()
    behind = len(stored) != len(whole) or not all(map(_same, stored, whole))
    return "it is not what the record says" if behind else ""


def _storage(url: str, *, skip_table_creation: bool = False) -> RDBStorage:
    options = {"connect_args": {"timeout": LOCK_SECONDS}}
    return RDBStorage(url, engine_kwargs=options, skip_table_creation=skip_table_creation)


@contextlib.contextmanager
def _closed(storage: RDBStorage) -> Iterator[None]:
    try:
        yield
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _refuse_unusable(path: Path) -> None:
    """Raise what keeps a database from being written: a lock, a file system without a right to it, or damage."""
    if not path.is_file():
        raise OSError("it is not a file; move away what is there")
    with contextlib.closing(sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        ((found, *_), *_) = database.execute("PRAGMA quick_check(1)").fetchall()
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def _understood(error: BaseException) -> tuple[str, bool]:
    """Why the database cannot be written, in one line, and whether that passes without touching it."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, sqlite3.Error):
        cause = cause.__cause__ or cause.__context__
    code = getattr(cause, "sqlite_errorcode", None)
    passes = isinstance(error, OSError) if code is None else code & 0xFF in _PASSING
    return " ".join(str(cause or error).split())[:200] or type(error).__name__, passes


def _removed(path: Path) -> bool:
    """Take a damaged database away, first what SQLite would play back into a new one."""
    try:
        for end in ("-journal", "-wal", "-shm", ""):
            path.with_name(path.name + end).unlink(missing_ok=True)
    except OSError:
        return False
    return True


def synchronise(name: str, trials: list[FrozenTrial], url: str, objectives: tuple[str, ...] = ("val_error",)) -> None:
    """Make the stored study equal to the trials, writing only what differs."""
    storage = _storage(url)
    with _closed(storage):
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
