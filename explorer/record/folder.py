"""A study's folder: its files, what stands in them, and who may write it.

Besides the record's tables it holds `config.yaml` (the resolved settings), `execution.json` (how runs are executed)
and `environment.json` (what it was started on); a person may add `note.txt`, which decides nothing. `local/` holds what
need not be kept: lock, mirror, failure log, entry in the index.
"""

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
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

import filelock
import yaml

from explorer.host.errors import InputError
from explorer.host.files import write_whole
from explorer.host.yaml_limits import check_yaml, misfit, opened, read_json
from explorer.record.table import MOST_BYTES as MOST_TABLE
from explorer.study.run import Execution
from explorer.study.settings import ADAPTIVE, Natural

STUDIES, REPORTS = Path("studies"), Path("reports")
CONFIG, EXECUTION, ENVIRONMENT = "config.yaml", "execution.json", "environment.json"
TABLES = RUNS, EPOCHS, CORRECT = "runs.csv", "epochs.csv", "correct.csv"
DECISIONS = "decisions.csv"  # of a search alone
NOTE, LONGEST_NOTE = "note.txt", 2000  # a person's words on the result; letters
TOKEN, JOBS = "local/here", "local/slurm"  # by which another machine knows the folder, and where jobs of Slurm speak
BEHIND = Path("local") / "mirror.behind"  # there while the dashboard's database may lack something
LEAVE = "leave"  # a file that asks all jobs of a start to leave, or one job where it lies in that one's place
LIVE_SECONDS = 10  # a running study's page is drawn at most once in so many, and reloads itself as often
_SHOWN = re.compile(rb"<!-- runs: ([0-9a-f]*) -->\s*\Z")
_DIGITS = 16
MOST_HEADER = 2**16  # bytes of a table's first line


@dataclass(frozen=True)
class Stamps:
    """Sizes and times of a study's files, None for one that is not there, and when they were looked at, in ns.

    Times of writing can be set back, those of change not.
    """

    files: dict[str, tuple[int, ...] | None]
    at: int

    @property
    def written(self) -> int:
        """When the last run was recorded, in ns; 0 before the first."""
        found = self.files[RUNS]
        return found[1] if found else 0


class _Start(TypedDict, total=False):
    """One start of a study, as far as an earlier version wrote it down."""

    when: str
    engine: str
    host: str
    platform: str
    machine: str
    processor: str
    cores: int
    versions: dict[str, str | None]
    commit: str | None
    sources: str


class _Fork(TypedDict):
    study: str
    differences: list[str]


class _Later(TypedDict, total=False):
    """What some versions did not write."""

    id: str
    skipped: list[str]
    rest_images: int
    sources: dict[str, str]
    execution: dict[str, Any]
    forked_from: _Fork
    starts: list[_Start]


class _Environment(_Later):
    """What `environment.json` holds."""

    data_hash: str
    images: tuple[Natural, Natural, Natural]
    versions: dict[str, str | None]
    machine: str
    platform: str
    commit: str | None
    started: str


def study_folder(name: str) -> Path:
    """The folder of a study, below the current one."""
    return STUDIES / name


def make_folder(folder: Path) -> Path:
    """Create a folder and give it back. Raises InputError where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # has no name that a kill could leave behind
            return folder
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror}); make room, choose another place or change its permissions"
        ) from None


def refuse_links(folder: Path) -> None:
    """Raise InputError for a link in a folder that is to be written: what is written must stay in it.

    A folder may come from others, and a link named `failures.log` would lead the log to whatever file it names.
    """
    for path in (folder, *folder.rglob("*")):
        # submitit makes its script of a job a link to another name of it beside it.
        if path.is_symlink() and not (folder / JOBS in path.parents and path.resolve().parent == path.parent.resolve()):
            raise InputError(f"{path}: is a link; allowed are files and folders alone, since all is written in there")
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe would be waited for
            raise InputError(f"{path}: is no file and no folder; take it away")


def stamps_of(folder: Path) -> Stamps:
    """The state of a study's files; to be taken before they are read, since what changes meanwhile then has another."""
    names = (*TABLES, DECISIONS, CONFIG, ENVIRONMENT, EXECUTION, NOTE)
    return Stamps({name: stamp(folder / name) for name in names}, time.time_ns())


def stamp(path: Path) -> tuple[int, ...] | None:
    """Size and times of a file; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def is_stale(page: Path, folder: Path) -> bool:
    """Whether a page is missing or shows an earlier record, as after a crash between the two.

    What it shows stands in its last line, since a copy of both, such as a clone, has times of its own; of a page of an
    earlier version, which has none, that is not known.
    """
    if not page.exists():
        return True
    if page.stat().st_mtime_ns >= (folder / RUNS).stat().st_mtime_ns:
        return False
    shown = _shown(page)
    return shown is not None and shown != runs_digest(folder)


def runs_behind(page: Path, folder: Path) -> int | None:
    """How many rows were recorded since a page was drawn; None where it does not say of which rows it was drawn."""
    shown, lines, digest = _shown(page), 0, hashlib.sha256()
    since = 0 if shown == "" else None
    with opened(folder / RUNS, MOST_TABLE) as file:
        for lines, line in enumerate(file):  # of which the header is number 0
            digest.update(line)
            if digest.hexdigest()[:_DIGITS] == shown:
                since = lines
    return None if since is None else lines - since


def _shown(page: Path) -> str | None:
    """The digest of the rows that a page was drawn of, as its last line says; None where it does not."""
    with page.open("rb") as file:
        file.seek(max(0, page.stat().st_size - 200))
        found = _SHOWN.search(file.read())
    return found[1].decode() if found else None


def runs_digest(folder: Path) -> str:
    """A hash of the rows that commit a study's runs, by which its page says what it shows; empty before the first."""
    path = folder / RUNS
    if not path.exists():
        return ""
    with opened(path, MOST_TABLE) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a study for one coordinator; the operating system frees it when the process ends, however it ends.

    Raises InputError naming the process that holds it.
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
    """Who runs a study now, in words; None where nobody does."""
    path = folder / "local" / "lock"
    if not path.exists():
        return None
    try:
        with filelock.FileLock(path, timeout=0):
            return None
    except filelock.Timeout:
        return _describe_holder(folder / "local" / "holder.json")


def drop_partial(folder: Path) -> None:
    """Drop what a coordinator that was killed had half written; whoever calls holds the study."""
    for left in folder.glob(".*.partial"):
        left.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Drop the checkpoints of a study whose runs have all ended, as a kill right after the last one leaves them."""
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
        tree = yaml.safe_load(check_yaml(path))
    except InputError:
        raise
    except (OSError, ValueError, yaml.YAMLError):
        tree = None
    if not isinstance(tree, dict):
        raise InputError(f"{path}: is not a YAML mapping; restore it, or choose another name=")
    return tree


def note(folder: Path) -> str:
    """What a person has written down beside a result, on one line; "" where there is nothing.

    A note that cannot be shown says so in its place, since no result may be lost by it.
    """
    path = folder / NOTE
    if not path.exists():
        return ""
    words = ""
    with suppress(OSError, ValueError):
        if path.is_file():  # whatever else may keep its readers waiting
            with path.open(encoding="utf-8") as file:
                words = file.read(LONGEST_NOTE + 1)
    if not words or len(words) > LONGEST_NOTE:
        return f"({NOTE} cannot be shown: allowed is a text of at most {LONGEST_NOTE:,} letters in UTF-8.)"
    return " ".join(words.split())


def stored_environment(folder: Path) -> dict[str, Any] | None:
    """What a study was started on; None before its first start."""
    return _read_json(folder / ENVIRONMENT, _Environment)


def stored_execution(folder: Path) -> dict[str, Any] | None:
    """A study's execution plan; None before its first start."""
    return _read_json(folder / EXECUTION, Execution)


def refuse_gaps(folder: Path) -> None:
    """Raise InputError, naming the files, when a study that has begun lacks a part of itself."""
    if missing := gaps(folder):
        raise InputError(f"{folder}: {', '.join(missing)} missing; restore them, or start anew with name=...")


def gaps(folder: Path) -> list[str]:
    """The files that a study lacks; none before it has begun, which its settings tell: they are written last."""
    if not _has_begun(folder):
        return []
    wanted = (*TABLES, *_of_a_search(folder), CONFIG, EXECUTION, ENVIRONMENT)
    return [name for name in wanted if not (folder / name).exists()]


def drop_unbegun(folder: Path) -> None:
    """Take away what a first start that was refused has made; for whoever holds the lock."""
    if _has_begun(folder):
        return
    with suppress(OSError):
        for name in (*TABLES, DECISIONS, "local/holder.json", "local/lock", TOKEN):
            (folder / name).unlink(missing_ok=True)
        for place in (folder / JOBS, folder / "local"):
            if place.exists():
                place.rmdir()
        folder.rmdir()


def write_execution(folder: Path, execution: Execution) -> None:
    """Write the execution plan; a search adds the convolutions of each design it chooses."""
    write_whole(folder / EXECUTION, json.dumps(asdict(execution), indent=2) + "\n")


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _of_a_search(folder: Path) -> tuple[str, ...]:
    """The table that only a search has, if this study is one."""
    if not (folder / CONFIG).exists():
        return ()
    search = (stored_config(folder) or {}).get("search")
    if not isinstance(search, dict) or search.get("only"):  # designs asked for by name are chosen by nobody
        return ()
    return (DECISIONS,) if search.get("sampler") in ADAPTIVE else ()


def _has_begun(folder: Path) -> bool:
    """Whether a first start was written down to its end, or something is recorded."""
    return (folder / CONFIG).exists() or any(_has_rows(folder / name) for name in (*TABLES, DECISIONS))


def is_more_than_a_header(path: Path) -> bool:
    """Whether a table is there and not just its header, as the first start makes it."""
    if not path.exists():
        return False
    with suppress(OSError, InputError), opened(path, MOST_TABLE) as file:
        return not file.readline(MOST_HEADER).endswith(b"\n") or file.read(1) != b""
    return True


def _has_rows(path: Path) -> bool:
    if not path.exists():
        return False
    with opened(path, MOST_TABLE) as file:
        return file.readline(MOST_HEADER) != b"" and file.read(1) != b""


def _read_json(path: Path, kind: type) -> dict[str, Any] | None:
    """A file of a study that holds one such object; None where there is none."""
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
