"""Caches a study's entry of the index beside its record: judging all records again for every page would take seconds.

`local/index.json` may be deleted at any time. It is used only while nothing it was made from has changed: the size and
time of the record's files, and the program. Any other content is ignored and overwritten.

What only reads a study writes nothing into its folder; it keeps the entry in the user's cache, in the same form.
"""

import contextlib
import hashlib
import json
import os
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

import explorer
from explorer.host.cache import cache_folder, is_own
from explorer.host.files import write_whole
from explorer.host.yaml_limits import read_json
from explorer.record.folder import Stamps, stamp
from explorer.report.index import Entry

FILE = Path("local") / "index.json"
USERS = ("entries",)  # below the user's cache folder
MOST_KEPT = 5000  # entries in the user's cache; each has a few kilobytes, and some twenty per 1,000 runs
MOST_BYTES = 2**22
COARSE = 2.0  # seconds: the coarsest file times in use, within which two changes may look like one


def key_of(stamps: Stamps) -> str | None:
    """A cache key that changes whenever the entry may have changed; None if the record changed too recently to tell."""
    files = [*stamps.files.values()]
    newest = max((one[1] for one in files if one), default=0)
    if newest > stamps.at - COARSE * 1e9:
        return None
    return hashlib.sha256(repr((_program(), files)).encode()).hexdigest()


def kept(folder: Path, key: str | None) -> Entry | None:
    """The entry that is cached under this key, without its page; None if there is none or the file is damaged."""
    return _read(folder / FILE, key)


def kept_by_user(folder: Path, key: str | None) -> Entry | None:
    """As `kept`, from the user's cache."""
    path = _path_of_user(folder)
    return _read(path, key) if is_own(path.parent) else None


def keep(folder: Path, key: str | None, entry: Entry) -> None:
    """Cache an entry under its key; if nothing can be written, the next index only takes longer."""
    _write(folder / FILE, key, entry)


def keep_for_user(folder: Path, key: str | None, entry: Entry) -> None:
    """As `keep`, in the user's cache, for what may not write into the study's folder."""
    path = _path_of_user(folder)
    if is_own(path.parent):
        _write(path, key, entry)


def drop_oldest_of_user() -> None:
    """Delete the oldest entries from the user's cache where there are more than `MOST_KEPT`."""
    with contextlib.suppress(OSError):
        with os.scandir(cache_folder(*USERS)) as found:
            written = sorted(((one.stat(follow_symlinks=False).st_mtime_ns, one.path) for one in found), reverse=True)
        for _, path in written[MOST_KEPT:]:
            Path(path).unlink(missing_ok=True)


def _path_of_user(folder: Path) -> Path:
    place = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()
    return cache_folder(*USERS) / f"{place}.json"


def _read(path: Path, key: str | None) -> Entry | None:
    try:
        tree = read_json(path, MOST_BYTES)
        if key is None or tree["key"] != key or tree["check"] != _check(key, tree["entry"]):
            return None
        return _entries().validate_python(tree["entry"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _write(path: Path, key: str | None, entry: Entry) -> None:
    if key is None:
        return
    tree = json.loads(json.dumps(asdict(entry)))
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        write_whole(path, json.dumps({"key": key, "check": _check(key, tree), "entry": tree}) + "\n")


@lru_cache(maxsize=1)
def _entries() -> TypeAdapter[Entry]:
    return TypeAdapter(Entry)


@lru_cache(maxsize=1)
def _program() -> str:
    """The program's version, and size and time of its files, since not every change raises the version."""
    root = Path(explorer.__file__).parent
    return repr((explorer.__version__, [(str(path), stamp(path)) for path in sorted(root.rglob("*.py"))]))


def _check(key: str, tree: Any) -> str:
    return hashlib.sha256(f"{key}{json.dumps(tree)}".encode()).hexdigest()
