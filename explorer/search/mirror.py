"""A copy of the trials in a database, for optuna-dashboard: written in the background, never read by the study.

The record is the truth; the mirror may lag, fail or be deleted, and the next synchronisation brings it up to date. It
is a file of the study's own, or one study among others in a shared database. The file is created again if it is
damaged or of another version of Optuna. A database that is locked, read-only, full, down or refuses the login is left
alone: one warning, and it is brought up to date when that is over. In a shared database only the study itself is ever
deleted.
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
REST = 20.0  # pause after a synchronisation, in multiples of its time, so that it takes at most 5 % of the time
LAST_SECONDS = 10.0  # most seconds that the end of a study waits for a synchronisation
LATE = "is not up to date at the end: starting the study again, or the verb move, brings it there"
# Most bytes of a study's own file: fixed, per trial (measured: 3,000), and per byte of the record (measured: four).
MOST_BYTES, MOST_OF_TRIAL, MOST_TIMES = 2**24, 2**15, 50
_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
# The last bytes of a journal that names another file (SQLite's file format, section 3.5).
_NAMES_ANOTHER = bytes.fromhex("d9d505f920a163d7")
OWNER = "explorer"  # attribute of a study in a shared database that identifies its owner
# Where optuna-dashboard keeps the note of a study, and how much of it in one place (its `_note.py`).
NOTE_VERSION, NOTE_TEXT, NOTE_PART = "dashboard:note_ver", "dashboard:note_str:", 2045
NOTED = "explorer:note_ver"  # the version of the note that this project wrote last
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Mirror:
    """The database to which a study's trials are copied.

    url    an Optuna storage URL, as it was given
    owner  distinguishes the study from others with its name; empty: the database is the study's own file
    """

    folder: Path
    url: str
    owner: str = ""

    @property
    def path(self) -> Path | None:
        """The study's own file; None for a shared database."""
        return None if self.owner else mirror_path(self.folder)

    @property
    def place(self) -> str:
        """The location as messages show it, without a password."""
        return str(self.path or without_password(self.url))

    def names(self, name: str) -> tuple[str, ...]:
        """The names that the study may have in the database, since other studies may already have the first."""
        return (name, f"{name}-{self.owner[:6]}", f"{name}-{self.owner}") if self.owner else (name,)


def mirror_path(folder: Path) -> Path:
    """The file of a study's own mirror."""
    return folder / "local" / "optuna.db"


def own_mirror(folder: Path) -> Mirror:
    """The mirror in the file of a study's own folder."""
    return Mirror(folder, f"sqlite:///{mirror_path(folder)}")


def mirror_of(config: StorageConfig, name: str, folder: Path) -> Mirror | None:
    """The mirror that a started study has by these settings; None if it is to have none."""
    if config.mirror == "none":
        return None
    if config.url is None:
        return own_mirror(folder)
    return Mirror(folder, config.url, identity(name, stored_environment(folder) or {}))


@contextlib.contextmanager
def mirrored(trials: Trials, mirror: Mirror | None, note: Callable[[], str | None] = lambda: None) -> Iterator[None]:
    """Keep a mirror up to date from a thread while the body runs, and once more when it ends, then with its `note`.

    While it is behind, a marker file in the folder says so: the next start then updates it, even if nothing is trained.
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
        writer.forget()  # the last synchronisation compares everything
        writer.note = note()
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
    """Writes trials to a mirror: first whatever differs from the stored study, later only what has changed since.

    wrote   called after each trial
    note    what the dashboard is to say of the study, as Markdown; None: nothing
    leaves  once it is set, nothing more is written
    """

    trials: Trials
    mirror: Mirror
    wrote: Callable[[], object] = lambda: None
    note: str | None = None
    leaves: threading.Event = field(default_factory=threading.Event)
    _warned: set[str] = field(default_factory=set)
    _storage: RDBStorage | None = None
    _study_id: int = -1
    _noted: str | None = None
    _known: dict[int, tuple[int, FrozenTrial]] = field(default_factory=dict)  # by number: id and content as stored

    def catch_up(self) -> bool:
        """Synchronise, or warn once why that is not possible now; return whether it was done.

        The study's own database is created again if it is damaged.
        """
        for is_last in (False, True):
            try:
                return self.synchronise()
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the mirror, the study goes on
                self.forget()
                reason, passes = understood(error)
                path = self.mirror.path
                # A damaged own file is made anew. In a shared database another process may have been creating the
                # tables at the same time.
                if is_last or passes or not (path is None or _removed(path)):
                    key = "away" if passes and path is None else reason
                    self.tell(key, f"cannot be written now: {reason}")
                    return False
        return False

    def synchronise(self) -> bool:
        """Make the stored study equal to the trials; return False if `leaves` ended it early."""
        path = self.mirror.path
        if path is not None and path.exists():
            _refuse_unusable(path, _most(self.trials, self.mirror.folder))
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
            if self.note is not None and self.note != self._noted:
                _write_note(storage, self._study_id, self.note)
                self._noted = self.note
        return True

    def forget(self) -> None:
        """Make the next synchronisation compare everything with the database again."""
        self._storage, self._study_id, self._noted, self._known = None, -1, None, {}

    def tell(self, key: str, words: str) -> None:
        """Warn of something once."""
        if key not in self._warned:
            _LOGGER.warning("the mirror %s %s", self.mirror.place, words)
        self._warned.add(key)

    def _is_there(self, storage: RDBStorage) -> bool:
        """Whether the stored study still exists under the id it had last time."""
        try:
            return self._study_id >= 0 and _is_ours(storage, self._study_id, self.mirror)
        except KeyError:
            return False

    def _look(self, storage: RDBStorage, trials: list[FrozenTrial]) -> None:
        """Find or create the study in the database, and read its stored trials."""
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
    """What is wrong with a mirror, "" for nothing, and whether it only could not be reached. Changes nothing."""
    try:
        if mirror.path is not None:
            _refuse_unusable(mirror.path, _most(trials, mirror.folder))
        storage = opened(mirror.url, skip_table_creation=True)
        with released(storage):
            study_id = _found(storage, mirror, trials.study.study_name)
            if study_id is None:
                return "it lacks the study", False
            stored = storage.get_all_trials(study_id, deepcopy=False)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
        reason, passes = understood(error)
        return reason, passes and mirror.path is None
    whole = trials.frozen()
    behind = len(stored) != len(whole) or not all(map(_same, stored, whole))
    return "it is not what the record says" if behind else "", False


def remove(mirror: Mirror, name: str) -> bool:
    """Delete a study's mirror, its own file or its study in a shared database; return whether it existed."""
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
    """Raise the error that keeps a study's own file from being written: a lock, missing permission, or damage.

    The folder may come from other people, so a file that is too large or has tables that Optuna would not create
    counts as damaged: a view in place of a table could compute without end, a trigger could write anything. It is then
    created again from the record.
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
    """The most bytes that a study's own file may have, far more than it ever needs."""
    record = sum((folder / name).stat().st_size for name in (RUNS, EPOCHS, DECISIONS) if (folder / name).exists())
    return MOST_BYTES + MOST_OF_TRIAL * len(trials.study.get_trials(deepcopy=False)) + MOST_TIMES * record


def _names_another(journal: Path) -> bool:
    """Whether a journal names another file, which SQLite might delete on playing it back; own journals name none."""
    with journal.open("rb") as file:
        file.seek(max(0, journal.stat().st_size - len(_NAMES_ANOTHER)))
        return file.read() == _NAMES_ANOTHER


@lru_cache
def _schema() -> list[tuple[str, ...]]:
    """The tables and indices that the installed version of Optuna creates."""
    storage = opened("sqlite:///:memory:")
    with released(storage), storage.engine.connect() as made:
        return [tuple(row) for row in made.exec_driver_sql(_SCHEMA)]


def _removed(path: Path) -> bool:
    """Delete a database's file; its journals first, since SQLite would play them back into a new file."""
    try:
        for end in ("-journal", "-wal", "-shm", ""):
            path.with_name(path.name + end).unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _conflict(stored: dict[int, FrozenTrial], trials: list[FrozenTrial]) -> bool:
    """Whether the stored study cannot be updated to these trials: finished trials are immutable, none can be removed.

    That happens when seeds are added to a study whose trials are finished, or when its settings have changed.
    """
    return len(stored) > len(trials) or any(
        stored[trial.number].params != trial.params
        or (stored[trial.number].state.is_finished() and not _same(stored[trial.number], trial))
        for trial in trials
        if trial.number in stored
    )


def _same(left: FrozenTrial, right: FrozenTrial) -> bool:
    """Whether two trials are equal except for times and ids, which differ between starts."""
    fields = ("state", "values", "params", "intermediate_values", "user_attrs")
    return all(getattr(left, name) == getattr(right, name) for name in fields)


def _is_ours(storage: BaseStorage, study_id: int, mirror: Mirror) -> bool:
    return bool(storage.get_study_user_attrs(study_id).get(OWNER, "") == mirror.owner)


def _has_owner(storage: BaseStorage, study_id: int) -> bool:
    return OWNER in storage.get_study_user_attrs(study_id)


def _found(storage: BaseStorage, mirror: Mirror, name: str) -> int | None:
    """The id of the study in a database, under any of its names; None if it is not there.

    A study without an owner under a name made from this owner was created just before the connection broke: it is ours.
    """
    for one in mirror.names(name):
        with contextlib.suppress(KeyError):
            study_id = storage.get_study_id_from_name(one)
            if _is_ours(storage, study_id, mirror) or (one != name and not _has_owner(storage, study_id)):
                return study_id
    return None


def _study_id(storage: BaseStorage, mirror: Mirror, name: str, objectives: tuple[str, ...]) -> int:
    """The id of the study in a database, created if it is missing or has other objectives."""
    found = _found(storage, mirror, name)
    if found is not None and (
        len(storage.get_study_directions(found)) != len(objectives) or not _is_ours(storage, found, mirror)
    ):
        storage.delete_study(found)
        found = None
    if found is not None:
        return found
    study = _created(storage, mirror.names(name), len(objectives))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(objectives))
    if mirror.owner:  # last, so that a study with an owner is whole
        study.set_user_attr(OWNER, mirror.owner)
    return study._study_id


def _created(storage: BaseStorage, names: tuple[str, ...], objectives: int) -> optuna.Study:
    """Create a study under the first of the names that is free."""
    *tried, last = names
    for name in tried:
        with contextlib.suppress(optuna.exceptions.DuplicatedStudyError):
            return optuna.create_study(storage=storage, study_name=name, directions=["minimize"] * objectives)
    return optuna.create_study(storage=storage, study_name=last, directions=["minimize"] * objectives)


def _write_note(storage: BaseStorage, study_id: int, note: str) -> None:
    """Write the note that optuna-dashboard shows of a study, as its `save_note` does; a person's own is left alone.

    The dashboard counts the versions of a note: one that is not the last of ours was written by somebody else.
    """
    found = storage.get_study_system_attrs(study_id)
    version = found.get(NOTE_VERSION, 0)
    if version != found.get(NOTED, 0):
        return
    parts = [note[begin : begin + NOTE_PART] for begin in range(0, len(note), NOTE_PART)]
    before = sum(key.startswith(NOTE_TEXT) for key in found)
    parts += [""] * (before - len(parts))
    if [found.get(f"{NOTE_TEXT}{place}") for place in range(len(parts))] == parts:
        return
    for place, part in enumerate(parts):
        storage.set_study_system_attr(study_id, f"{NOTE_TEXT}{place}", part)
    storage.set_study_system_attr(study_id, NOTED, version + 1)
    storage.set_study_system_attr(study_id, NOTE_VERSION, version + 1)


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
