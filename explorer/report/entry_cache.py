"""Caches a study's entry of the index beside its record: judging all records again for every page would take seconds.

`local/index.json` may be deleted at any time. It is used only while nothing it was made from has changed: the size and
time of the record's files, and the program. Any other content is ignored and overwritten.
"""

import contextlib
import hashlib
import json
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

import explorer
from explorer.host.files import write_whole
from explorer.host.yaml_limits import read_json
from explorer.record.folder import Stamps, stamp
from explorer.report.index import Entry

FILE = Path("local") / "index.json"
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
    try:
        tree = read_json(folder / FILE, MOST_BYTES)
        if key is None or tree["key"] != key or tree["check"] != _check(key, tree["entry"]):
            return None
        return _entries().validate_python(tree["entry"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def keep(folder: Path, key: str | None, entry: Entry) -> None:
    """Cache an entry under its key; if nothing can be written, the next index only takes longer."""
    if key is None:
        return
    tree = json.loads(json.dumps(asdict(entry)))
    with contextlib.suppress(OSError):
        (folder / FILE).parent.mkdir(exist_ok=True)
        write_whole(folder / FILE, json.dumps({"key": key, "check": _check(key, tree), "entry": tree}) + "\n")


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
