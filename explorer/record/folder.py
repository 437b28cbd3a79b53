"""A study's folder: its files, their content, and the lock for writing.

Besides the record's tables it holds `config.yaml` (the resolved settings), `execution.json` (how runs are executed)
and `environment.json` (the machine, data and versions it was started with); a person may add `note.txt`, which affects
nothing. `local/` holds what can be lost: lock, mirror, failure log, entry in the index.
"""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypedDict

import filelock
import yaml

import explorer
from explorer.design.cost_measures import OURS
from explorer.host.errors import InputError
from explorer.host.files import write_whole
from explorer.host.yaml_limits import check_yaml, misfit, opened, read_json
from explorer.record.imported import Imported
from explorer.study.preprocessing import StoredPreprocessing
from explorer.study.renamed import of_a_record
from explorer.study.run import Execution
from explorer.study.samplers import FIXED
from explorer.study.settings import Bound, Count, Natural

MOST_TABLE = 2**33  # bytes of a table; ten million epochs take about a gigabyte
STUDIES, REPORTS = Path("studies"), Path("reports")
CONFIG, EXECUTION, ENVIRONMENT = "config.yaml", "execution.json", "environment.json"
TABLES = RUNS, EPOCHS, CORRECT = "runs.csv", "epochs.csv", "correct.csv"
DECISIONS = "decisions.csv"  # only a search has one
FILTERS = "filters.csv"  # only a study of listed designs has one, from schema 3 on
MEASURES = "measures.csv"  # only a study that uses a measure of an extension has one
SOME = DECISIONS, FILTERS, MEASURES
LABELS = "labels.csv"  # the classes of the test images; a study of an earlier version has none until they are added
CHECKS = "checks"  # holds the robustness checks of the study's contrast, each a study with a folder of its own
NOTE, LONGEST_NOTE = "note.txt", 2000  # a person's remarks on the result, and most characters of it
TOKEN, JOBS = "local/here", "local/slurm"  # identifies the folder to another machine; messages of Slurm jobs
BEHIND = Path("local") / "mirror.behind"  # exists while the dashboard's database may be incomplete
LEAVE = "leave"  # a file that asks all jobs of a start to end, or a single job if it lies in that job's folder
MOMENT = "%Y-%m-%dT%H:%M:%SZ"  # how times are written, in UTC
LIVE_SECONDS = 10  # least time between two drawings of a running study's page, which also reloads itself as often
# The layout of a record, stored as `schema` in environment.json; a record without the key has schema 1.
#   1  everything written before there was a number: a table may lack columns that have a default in `rows`, and
#      environment.json may lack the fields of `_Later`; config.yaml says search.seeds=auto as `search.looks`
#   2  with the number; search.seeds is `auto` in config.yaml too
#   3  data.split_seed may be `each` and recipe.steps a number; runs.csv has the column filter_layers, and a study of
#      listed designs has filters.csv. A start makes both for a record of an earlier schema: runs before it have no rows
#   4  designs may have the axes stem, projection, attention and scale: runs.csv has their columns
# Raise it when a program that knows only the previous number would refuse or misread a record: another column, another
# file, another meaning of a value. All schemas from 1 on are read; a start raises a record's schema to this one.
SCHEMA = 4
_SHOWN = re.compile(rb"<!-- runs: ([0-9a-f]*) -->\s*\Z")
_DIGITS = 16
MOST_HEADER = 2**16  # bytes of a table's first line


@dataclass(frozen=True)
class Stamps:
    """Sizes and times of a study's files (None for a missing one), and the time in ns at which they were read.

    A file's modification time can be set back, its change time cannot.
    """

    files: dict[str, tuple[int, ...] | None]
    at: int

    @property
    def written(self) -> int:
        """Time in ns at which the last run was recorded, those of its checks included; 0 before the first."""
        return max((found[1] for name, found in self.files.items() if found and name.endswith(RUNS)), default=0)


class _Start(TypedDict, total=False):
    """One start of a study; earlier versions wrote only some of these fields."""

    when: str
    engine: str
    host: str
    platform: str
    machine: str
    processor: str
    cores: int
    versions: dict[str, str | None]
    commit: str | None
    version: str | None
    sources: str
    sampler: str


class _Fork(TypedDict):
    study: str
    differences: list[str]


class _Stop(TypedDict):
    hours: float
    when: str


class _TrainSpeeds(TypedDict):
    """Images per second of training steps by setting: lower quartile, median, upper quartile, number of timings."""

    when: str
    machine: str
    at_once: Count
    speeds: dict[str, tuple[float, float, float, Count]]


class _Price(TypedDict):
    amount: Bound
    unit: str


class _KnownOfSpent(TypedDict, total=False):
    price: _Price
    kwh: dict[str, Bound]


class _Spent(_KnownOfSpent):
    """What a start spent: hours of devices, and where they are known their price and their energy by kind of device."""

    when: str
    hours: Bound


class _Later(TypedDict, total=False):
    """Fields of `environment.json` that earlier versions did not write."""

    schema: Count
    id: str
    skipped: list[str]
    rest_images: int
    test_by_seed: int
    sources: dict[str, str]
    execution: dict[str, Any]
    forked_from: _Fork
    starts: list[_Start]
    version: str | None
    preprocessing: StoredPreprocessing
    imported: Imported
    stopped: _Stop
    train_speeds: _TrainSpeeds
    spent: list[_Spent]


class _Environment(_Later):
    """The content of `environment.json`."""

    data_hash: str
    images: tuple[Natural, Natural, Natural]
    versions: dict[str, str | None]
    machine: str
    platform: str
    commit: str | None
    started: str


def study_folder(name: str) -> Path:
    """The folder of a study, relative to the current one."""
    return STUDIES / name


def checkpoints(folder: Path) -> Path:
    """The folder in which each run that has begun and not ended has a folder of its checkpoints, named by its id."""
    return folder / "local" / "checkpoints"


def checks_in(folder: Path) -> list[Path]:
    """The folders of a study's robustness checks."""
    return sorted(path for path in (folder / CHECKS).glob("*") if path.is_dir() and not path.is_symlink())


def make_folder(folder: Path) -> Path:
    """Create a folder and return it. Raises InputError if it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # unnamed, so a killed process leaves no file behind
            return folder
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror}); make room, choose another place or change its permissions"
        ) from None


def refuse_links(folder: Path) -> None:
    """Raise InputError for a symbolic link in a folder that will be written, since it would lead writing elsewhere.

    A folder may come from other people, and a link named `failures.log` would redirect the log to any file.
    """
    for path in (folder, *folder.rglob("*")):
        # submitit links a job's script to a second name in the same folder; such links are allowed.
        if path.is_symlink() and not (folder / JOBS in path.parents and path.resolve().parent == path.parent.resolve()):
            raise InputError(f"{path}: is a link; allowed are files and folders alone, since all is written in there")
        if path.exists() and not path.is_file() and not path.is_dir():  # reading a pipe could wait without end
            raise InputError(f"{path}: is no file and no folder; take it away")


def stamps_of(folder: Path) -> Stamps:
    """The state of a study's files. Take it before reading them, so that a change while reading is noticed later."""
    names = [*TABLES, *SOME, LABELS, CONFIG, ENVIRONMENT, EXECUTION, NOTE]
    names += [str(check.relative_to(folder) / name) for check in checks_in(folder) for name in (RUNS, CONFIG)]
    return Stamps({name: stamp(folder / name) for name in names}, time.time_ns())


def stamp(path: Path) -> tuple[int, ...] | None:
    """Size and times of a file; None if it does not exist."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def is_stale(page: Path, folder: Path) -> bool:
    """Whether a page is missing or shows an earlier state of the record, as after a crash between the two writes.

    A page's last line has the digest of the rows it shows, since file times change when both are copied, as by a clone.
    A page of an earlier version has no such line and does not count as stale.
    """
    if not page.exists():
        return True
    if page.stat().st_mtime_ns >= max(table.stat().st_mtime_ns for table in _tables_of_runs(folder)):
        return False
    shown = _shown(page)
    return shown is not None and shown != runs_digest(folder)


def runs_behind(page: Path, folder: Path) -> int | None:
    """Number of rows recorded since a page was drawn; None if it is not known which rows the page shows.

    That is so too where the study has robustness checks, whose rows are not counted.
    """
    shown, lines, digest = _shown(page), 0, hashlib.sha256()
    since = 0 if shown == "" else None
    with opened(folder / RUNS, MOST_TABLE) as file:
        for lines, line in enumerate(file):  # line 0 is the header
            digest.update(line)
            if digest.hexdigest()[:_DIGITS] == shown:
                since = lines
    return None if since is None else lines - since


def _shown(page: Path) -> str | None:
    """The digest of the rows that a page shows, from its last line; None if it has none."""
    with page.open("rb") as file:
        file.seek(max(0, page.stat().st_size - 200))
        found = _SHOWN.search(file.read())
    return found[1].decode() if found else None


def runs_digest(folder: Path) -> str:
    """A hash of all recorded runs, by which a page says what it shows; empty before the first row.

    It covers `runs.csv` and, where there are robustness checks, their tables of the same name.
    """
    digest, tables = hashlib.sha256(), _tables_of_runs(folder)
    for path in tables:
        with opened(path, MOST_TABLE) as file:
            for part in iter(lambda: file.read(2**20), b""):
                digest.update(part)
    return digest.hexdigest()[:_DIGITS] if tables else ""


def _tables_of_runs(folder: Path) -> list[Path]:
    return [path for own in (folder, *checks_in(folder)) if (path := own / RUNS).exists()]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a study for one coordinator; the operating system releases the lock when the process ends, even if killed.

    Raises InputError naming the process that holds the lock.
    """
    holder = folder / "local" / "holder.json"
    lock = filelock.FileLock(folder / "local" / "lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(f"{folder}: is being run by {_describe_holder(holder)}; wait for it or end it first") from None
    try:
        write_whole(holder, json.dumps({"pid": os.getpid(), "host": platform.node(), "since": now()}) + "\n")
        yield
    finally:
        lock.release()


def held_by(folder: Path) -> str | None:
    """Description of the process that runs a study now; None if none does. Writes nothing."""
    path = folder / "local" / "lock"
    if not path.exists():
        return None
    # To take the lock as the library does would write the file's time, and needs a folder that can be written.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _describe_holder(folder / "local" / "holder.json")
    finally:
        os.close(descriptor)
    return None


def drop_partial(folder: Path) -> None:
    """Delete partly written files of a killed coordinator. The caller holds the study's lock."""
    for left in folder.glob(".*.partial"):
        left.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Delete the checkpoints of a finished study, which a kill right after its last run leaves behind."""
    kept = folder / "local" / "checkpoints"
    if kept.is_dir() and any(kept.iterdir()):
        with suppress(InputError), locked(folder):
            shutil.rmtree(kept, ignore_errors=True)


def stored_config(folder: Path) -> dict[str, Any] | None:
    """The settings a study was started with, as a tree; None before its start. Raises InputError if unreadable."""
    path = folder / CONFIG
    if not path.exists():
        return None
    try:
        tree = deepcopy(_tree_of(check_yaml(path)))
    except InputError:
        raise
    except (OSError, ValueError, yaml.YAMLError):
        tree = None
    if not isinstance(tree, dict):
        raise InputError(f"{path}: is not a YAML mapping; restore it, or choose another name=")
    return of_a_record(tree, f" (in {path})")


@lru_cache(maxsize=64)
def _tree_of(text: bytes) -> Any:
    """The content of a YAML file; kept, since a study is opened several times and parsing takes longest."""
    return yaml.safe_load(text)


def note(folder: Path) -> str:
    """The content of a study's `note.txt`, on one line; "" if there is none.

    For a note that cannot be shown, a message that says so: a bad note must not hide a result.
    """
    path = folder / NOTE
    if not path.exists():
        return ""
    words = ""
    with suppress(OSError, ValueError):
        if path.is_file():  # reading anything else, such as a pipe, may wait without end
            with path.open(encoding="utf-8") as file:
                words = file.read(LONGEST_NOTE + 1)
    if not words or len(words) > LONGEST_NOTE:
        return f"({NOTE} cannot be shown: allowed is a text of at most {LONGEST_NOTE:,} letters in UTF-8.)"
    return " ".join(words.split())


def stored_environment(folder: Path) -> dict[str, Any] | None:
    """The content of `environment.json`: what a study was started on; None before its first start.

    Raises InputError for a record of a later schema than this version reads, and for a damaged file.
    """
    return _read_json(folder / ENVIRONMENT, _Environment)


def refuse_later_record(folder: Path) -> None:
    """Raise InputError for a record of a later schema, whatever else is wrong with its files."""
    path, content = folder / ENVIRONMENT, None
    with suppress(InputError, OSError):  # a file that cannot be read is reported by whoever needs it
        content = read_json(path)
    if isinstance(content, dict):
        refuse_later_schema(content, path)


def refuse_later_schema(environment: dict[str, Any], where: Path) -> None:
    """Raise InputError if an environment is of a later schema than this version reads; `where` names its file.

    Nothing else about such a record can be relied on, not even the types of its fields.
    """
    schema = environment.get("schema", 1)
    if type(schema) is not int or schema <= SCHEMA:
        return
    starts = environment.get("starts")
    last = starts[-1] if isinstance(starts, list) and starts and isinstance(starts[-1], dict) else {}
    # The number is raised by a start: the last one is more likely to be by the version that wrote it than the first.
    version = next((text for text in (last.get("version"), environment.get("version")) if isinstance(text, str)), None)
    writer, way = (f"version {version[:40]}", "that one") if version else ("a later version", "a later one")
    raise InputError(
        f"{where}: schema {schema} of a record, written by {writer} of resnext-explorer; this is version "
        f"{explorer.__version__}, which reads schemas 1 to {SCHEMA}: install {way}, or choose another name="
    )


def stored_execution(folder: Path) -> dict[str, Any] | None:
    """The content of `execution.json`: a study's execution plan; None before its first start."""
    return _read_json(folder / EXECUTION, Execution)


def refuse_gaps(folder: Path) -> None:
    """Raise InputError, naming the files, if a study that has been started lacks some of its files."""
    if missing := gaps(folder):
        raise InputError(f"{folder}: {', '.join(missing)} missing; restore them, or start anew with name=...")


def gaps(folder: Path) -> list[str]:
    """The files that a study lacks; none before its start, which writes `config.yaml` last."""
    if not _has_begun(folder):
        return []
    wanted = (*TABLES, *some_tables(folder), CONFIG, EXECUTION, ENVIRONMENT)
    return [name for name in wanted if not (folder / name).exists()]


def drop_unbegun(folder: Path) -> None:
    """Delete the files of a first start that was refused. The caller holds the study's lock."""
    if _has_begun(folder):
        return
    with suppress(OSError):
        for name in (*TABLES, *SOME, LABELS, "local/holder.json", "local/lock", TOKEN):
            (folder / name).unlink(missing_ok=True)
        for place in (folder / JOBS, folder / "local"):
            if place.exists():
                place.rmdir()
        folder.rmdir()


def write_execution(folder: Path, execution: Execution) -> None:
    """Write the execution plan. A search does so again when a design that it chooses adds convolutions."""
    write_whole(folder / EXECUTION, json.dumps(asdict(execution), indent=2) + "\n")


def now() -> str:
    """The present time in UTC, to the second, as ISO 8601 text."""
    return datetime.now(UTC).strftime(MOMENT)


def moment(text: str | None) -> datetime | None:
    """The time that a record names, as `now` writes it; None where it names none, as one from others may."""
    try:
        return datetime.strptime(text or "", MOMENT).replace(tzinfo=UTC)
    except ValueError:
        return None


def some_tables(folder: Path) -> tuple[str, ...]:
    """The names of the tables that not every study has, but a started one with these settings and this schema."""
    if not (folder / CONFIG).exists():
        return ()
    tree = stored_config(folder) or {}
    search = tree.get("search")
    if not isinstance(search, dict):
        return ()
    by_name = bool(search.get("only"))  # designs listed by name are not chosen by a search
    measures = (MEASURES,) if _measures(tree, search, by_name=by_name) else ()
    if not by_name and search.get("sampler") not in (*FIXED, None):  # also one whose extension is not loaded
        return (DECISIONS, *measures)
    is_listed = by_name or (search.get("sampler") == "listed" and not tree.get("spaces"))
    return (*((FILTERS,) if is_listed and _schema(folder) >= 3 else ()), *measures)


def _measures(tree: dict[str, Any], search: dict[str, Any], *, by_name: bool) -> bool:
    """Whether stored settings keep readings: of a limit of the budget, or of an extension, which need not be loaded."""
    budget, objectives = tree.get("budget"), search.get("objectives")
    if isinstance(budget, dict) and any(budget.get(key) for key in ("limits", "latency", "memory")):
        return True
    return not by_name and isinstance(objectives, list) and not {*objectives} <= {"error", *OURS}


def _schema(folder: Path) -> int:
    """The schema of a record; 1 if its file cannot be read, which is reported by whoever needs it."""
    with suppress(InputError, OSError):
        content = read_json(folder / ENVIRONMENT)
        schema = content.get("schema", 1) if isinstance(content, dict) else 1
        return schema if type(schema) is int else 1
    return 1


def _has_begun(folder: Path) -> bool:
    """Whether a first start was written completely, or any row is recorded."""
    return (folder / CONFIG).exists() or any(is_more_than_a_header(folder / name) for name in (*TABLES, *SOME))


def is_more_than_a_header(path: Path) -> bool:
    """Whether a table exists and has more than the header that the first start writes."""
    if not path.exists():
        return False
    with suppress(OSError, InputError), opened(path, MOST_TABLE) as file:
        return not file.readline(MOST_HEADER).endswith(b"\n") or file.read(1) != b""
    return True


def _read_json(path: Path, kind: type) -> dict[str, Any] | None:
    """Read a JSON file of a study and check its type; None if it does not exist. Raises InputError if unusable."""
    if not path.exists():
        return None
    try:
        content = read_json(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); restore it") from None
    except InputError as error:
        raise InputError(f"{error}; restore it, or choose another name=") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: is not a JSON object; restore it, or choose another name=")
    if kind is _Environment:
        refuse_later_schema(content, path)
    if wrong := misfit(content, kind, ""):
        raise InputError(f"{path}: {wrong.lstrip('.')}; restore the file, or choose another name=")
    return content


class _Holder(TypedDict):
    pid: int
    host: str
    since: str


def _describe_holder(path: Path) -> str:
    with suppress(OSError, InputError):
        holder = read_json(path)
        if not misfit(holder, _Holder, ""):
            return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    return "another process"
