"""A copy of the trials in a database, for optuna-dashboard: written behind the study's back, never read by it.

The record is the truth; the mirror may lag, fail or be deleted, and the next synchronisation brings it up to date. It
is a file of the study's own, or a study among others in a database that many share. The file is made anew where it is
damaged or of another version of Optuna. What is locked, read-only, full, down or shut to us is left alone, told of
once, and caught up with when that is over; of a shared database nothing is ever dropped but the study itself.
"""

import contextlib
import logging
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial

from explorer.host.formatting import without_password
from explorer.record.folder import BEHIND, DECISIONS, EPOCHS, RUNS, stored_environment
from explorer.record.starts import identity
from explorer.search.database import LOCK_SECONDS, opened, released, understood
from explorer.search.trials import Trials
from explorer.study.settings import StorageConfig

PERIOD_SECONDS = 5.0
REST = 20.0  # times as long as a synchronisation took, which so takes 5 % of the time at most
LAST_SECONDS = 10.0  # that the end of a study waits for a synchronisation
LATE = "is not up to date at the end: starting the study again, or do=move, brings it there"
# Bytes of a study's own file: at all, for each trial (measured: three thousand), for each byte of the record (four).
MOST_BYTES, MOST_OF_TRIAL, MOST_TIMES = 2**24, 2**15, 50
_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
_NAMES_ANOTHER = bytes.fromhex("d9d505f920a163d7")  # the end of such a journal (SQLite's file format, 3.5)
OWNER = "explorer"  # attribute of a study in a shared database: whose it is
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Mirror:
    """Where a study's trials are copied to.

    url    an Optuna storage URL, as it was given
    owner  tells the study from others of its name; empty: the database is the study's own file
    """

    folder: Path
    url: str
    owner: str = ""

    @property
    def path(self) -> Path | None:
        """The study's own file; None where others write to the database as well."""
        return None if self.owner else mirror_path(self.folder)

    @property
    def place(self) -> str:
        """For people."""
        return str(self.path or without_password(self.url))

    def names(self, name: str) -> tuple[str, ...]:
        """What the study may be called: others may have had the name before."""
        return (name, f"{name}-{self.owner[:6]}", f"{name}-{self.owner}") if self.owner else (name,)


def mirror_path(folder: Path) -> Path:
    """The file of a study's own mirror."""
    return folder / "local" / "optuna.db"


def own_mirror(folder: Path) -> Mirror:
    """The mirror in a study's folder."""
    return Mirror(folder, f"sqlite:///{mirror_path(folder)}")


def mirror_of(config: StorageConfig, name: str, folder: Path) -> Mirror | None:
    """Where a study that has begun has its mirror by these settings, if it is to have one."""
    if config.mirror == "none":
        return None
    if config.url is None:
        return own_mirror(folder)
    return Mirror(folder, config.url, identity(name, stored_environment(folder) or {}))


@contextlib.contextmanager
def mirrored(trials: Trials, mirror: Mirror | None) -> Iterator[None]:
    """Keep a mirror up to date from a thread while the body runs, and once more when it ends.

    Until it is, a mark in the folder says that it is behind: the next start catches up, though nothing is trained.
    """
    if mirror is None:
        yield
        return
    done, writer, mark = threading.Event(), Writer(trials, mirror), mirror.folder / BEHIND
    with contextlib.suppress(OSError):
        mark.touch()

    def keep_up() -> None:
        pause = PERIOD_SECONDS
        while not done.wait(pause):
            began = time.perf_counter()
            writer.catch_up()
            pause = max(PERIOD_SECONDS, REST * (time.perf_counter() - began))
        writer.forget()  # at last all is compared
        if writer.catch_up():
            with contextlib.suppress(OSError):
                mark.unlink(missing_ok=True)
        elif not writer.leaves.is_set():
            writer.tell("late", LATE)

    thread = threading.Thread(target=keep_up, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(LAST_SECONDS)
        if thread.is_alive():
            writer.leaves.set()
            writer.tell("late", LATE)


@dataclass
class Writer:
    """Writes trials to a mirror, at first what differs from what is there, later only what has changed since.

    wrote   is called after each trial
    leaves  nothing more is written once it is set
    """

    trials: Trials
    mirror: Mirror
    wrote: Callable[[], object] = lambda: None
    leaves: threading.Event = field(default_factory=threading.Event)
    _told: set[str] = field(default_factory=set)
    _storage: RDBStorage | None = None
    _study_id: int = -1
    _known: dict[int, tuple[int, FrozenTrial]] = field(default_factory=dict)  # by number: its id there, as it is there

    def catch_up(self) -> bool:
        """Synchronise if that can be done now, and tell once why not. Gives whether it was done.

        The study's own database is made anew where it is damaged.
        """
        for is_last in (False, True):
            try:
                return self.synchronise()
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the mirror, the study goes on
                self.forget()
                reason, passes = understood(error)
                if is_last or passes or not self._may_try_again():
                    key = "away" if passes and self.mirror.path is None else reason
                    self.tell(key, f"cannot be written now: {reason}")
                    return False
        return False

    def synchronise(self) -> bool:
        """Make the stored study equal to the trials. Gives whether it is, which it is not where it was to leave."""
        path = self.mirror.path
        if path is not None and path.exists():
            _refuse_unusable(path, self._most)
        elif path is not None:
            self.forget()
        whole = self.trials.frozen()
        storage = self._storage = self._storage or opened(self.mirror.url)
        with released(storage):
            if not self._is_there(storage):
                self._look(storage, whole)
            for trial in whole:
                if self.leaves.is_set():
                    return False
                self._write(storage, trial)
        return True

    def forget(self) -> None:
        """Look at everything anew next time."""
        self._storage, self._study_id, self._known = None, -1, {}

    def tell(self, key: str, words: str) -> None:
        """Warn of something once."""
        if key not in self._told:
            _LOGGER.warning("the mirror %s %s", self.mirror.place, words)
        self._told.add(key)

    @property
    def _most(self) -> int:
        return _most(self.trials, self.mirror.folder)

    def _may_try_again(self) -> bool:
        """Take what is damaged away; in a shared database another one may only have been making the tables too."""
        return self.mirror.path is None or _removed(self.mirror.path)

    def _is_there(self, storage: RDBStorage) -> bool:
        """Whether the study is where it was found last time."""
        try:
            return self._study_id >= 0 and _is_ours(storage, self._study_id, self.mirror)
        except KeyError:
            return False

    def _look(self, storage: RDBStorage, trials: list[FrozenTrial]) -> None:
        """Find the study, or make it, and read what is there of it."""
        name, objectives = self.trials.study.study_name, self.trials.objectives
        study_id = _study_id(storage, self.mirror, name, objectives)
        stored = {trial.number: trial for trial in storage.get_all_trials(study_id, deepcopy=False)}
        if _conflict(stored, trials):
            storage.delete_study(study_id)
            study_id, stored = _study_id(storage, self.mirror, name, objectives), {}
        self._study_id = study_id
        self._known = {number: (trial._trial_id, trial) for number, trial in stored.items()}
        if (other := storage.get_study_name_from_id(study_id)) != name:
            self.tell("name", f"has a study {name} of somebody else; this one is called {other} there")

    def _write(self, storage: RDBStorage, trial: FrozenTrial) -> None:
        trial_id, known = self._known.get(trial.number, (-1, None))
        if known is None:
            trial_id = storage.create_new_trial(self._study_id, template_trial=trial)
        elif known is not trial and not _same(known, trial):
            _update(storage, trial_id, known, trial)
        self._known[trial.number] = trial_id, trial
        self.wrote()


def problem(trials: Trials, mirror: Mirror) -> tuple[str, bool]:
    """What is wrong with a mirror, without changing it, and whether that is only that it cannot be reached.

    Empty where nothing is.
    """
    try:
        if mirror.path is not None:
            _refuse_unusable(mirror.path, _most(trials, mirror.folder))
        storage = opened(mirror.url, skip_table_creation=True)
        with released(storage):
            study_id = _found(storage, mirror, trials.study.study_name)
            if study_id is None:
                return "it lacks the study", False
            stored = storage.get_all_trials(study_id, deepcopy=False)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        reason, passes = understood(error)
        return reason, passes and mirror.path is None
    whole = trials.frozen()
    behind = len(stored) != len(whole) or not all(map(_same, stored, whole))
    return "it is not what the record says" if behind else "", False


def remove(mirror: Mirror, name: str) -> bool:
    """Take a study's mirror away, its own file or its own study in a shared database; gives whether it was there."""
    if mirror.path is not None:
        if not _removed(mirror.path):
            raise OSError(f"{mirror.path} cannot be removed")
        return True
    storage = opened(mirror.url, skip_table_creation=True)
    with released(storage):
        study_id = _found(storage, mirror, name)
        if study_id is not None:
            storage.delete_study(study_id)
        return study_id is not None


def _refuse_unusable(path: Path, most: int) -> None:
    """Raise what keeps a study's own file from being written: a lock, a file system without a right to it, or damage.

    The folder may come from others. Tables are not read that Optuna would not make, nor more than such a study has: a
    view in the place of a table can count without end, and a trigger write what it likes. Made anew it is the record's.
    """
    if not path.is_file():
        raise OSError("it is not a file; move away what is there")
    if path.stat().st_size > most:
        raise sqlite3.DatabaseError("it is far larger than the record that it is made from")
    journal = path.with_name(f"{path.name}-journal")
    if journal.exists() and _names_another(journal):
        raise sqlite3.DatabaseError("its journal names another file")
    with contextlib.closing(sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)) as database:
        database.execute("PRAGMA trusted_schema = OFF")
        if database.execute(_SCHEMA).fetchmany(2 * len(_schema())) not in ([], _schema()):
            raise sqlite3.DatabaseError("its tables are not those that Optuna makes")
        database.execute("BEGIN IMMEDIATE")
        ((found, *_), *_) = database.execute("PRAGMA quick_check(1)").fetchall()
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def _most(trials: Trials, folder: Path) -> int:
    """How many bytes a study's own file may have, far more than it ever does."""
    record = sum((folder / name).stat().st_size for name in (RUNS, EPOCHS, DECISIONS) if (folder / name).exists())
    return MOST_BYTES + MOST_OF_TRIAL * len(trials.study.get_trials(deepcopy=False)) + MOST_TIMES * record


def _names_another(journal: Path) -> bool:
    """Whether SQLite would look for another file when it plays a journal back, and might delete it; ours name none."""
    with journal.open("rb") as file:
        file.seek(max(0, journal.stat().st_size - len(_NAMES_ANOTHER)))
        return file.read() == _NAMES_ANOTHER


@lru_cache
def _schema() -> list[tuple[str, ...]]:
    """The tables and indices that the installed Optuna makes."""
    storage = opened("sqlite:///:memory:")
    with released(storage), storage.engine.connect() as made:
        return [tuple(row) for row in made.exec_driver_sql(_SCHEMA)]


def _removed(path: Path) -> bool:
    """Take a database's file away, first what SQLite would play back into a new one."""
    try:
        for end in ("-journal", "-wal", "-shm", ""):
            path.with_name(path.name + end).unlink(missing_ok=True)
    except OSError:
        return False
    return True


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


def _is_ours(storage: BaseStorage, study_id: int, mirror: Mirror) -> bool:
    return bool(storage.get_study_user_attrs(study_id).get(OWNER, "") == mirror.owner)


def _found(storage: BaseStorage, mirror: Mirror, name: str) -> int | None:
    """The study's number in a database, under whichever name; None where it is not there."""
    for one in mirror.names(name):
        with contextlib.suppress(KeyError):
            study_id = storage.get_study_id_from_name(one)
            if _is_ours(storage, study_id, mirror):
                return study_id
    return None


def _study_id(storage: BaseStorage, mirror: Mirror, name: str, objectives: tuple[str, ...]) -> int:
    """The study's number in a database, made there where it is missing or has other objectives."""
    found = _found(storage, mirror, name)
    if found is not None:
        if len(storage.get_study_directions(found)) == len(objectives):
            return found
        storage.delete_study(found)
    study = _created(storage, mirror.names(name), len(objectives))
    if mirror.owner:
        study.set_user_attr(OWNER, mirror.owner)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(objectives))
    return study._study_id


def _created(storage: BaseStorage, names: tuple[str, ...], objectives: int) -> optuna.Study:
    """A new study under the first of the names that nobody has."""
    *tried, last = names
    for name in tried:
        with contextlib.suppress(optuna.exceptions.DuplicatedStudyError):
            return optuna.create_study(storage=storage, study_name=name, directions=["minimize"] * objectives)
    return optuna.create_study(storage=storage, study_name=last, directions=["minimize"] * objectives)


def _update(storage: BaseStorage, trial_id: int, old: FrozenTrial, new: FrozenTrial) -> None:
    for step, value in new.intermediate_values.items():
        if old.intermediate_values.get(step) != value:
            storage.set_trial_intermediate_value(trial_id, step, value)
    for key, attribute in new.user_attrs.items():
        if old.user_attrs.get(key) != attribute:
            storage.set_trial_user_attr(trial_id, key, attribute)
    if new.state.is_finished():
        assert isinstance(new.datetime_complete, datetime)
        storage.set_trial_state_values(trial_id, new.state, new.values)
