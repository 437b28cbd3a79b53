"""What this machine has measured, kept between studies: a file of the user's, which may be deleted at any time."""

import json
import os
from pathlib import Path
from typing import Any

from filelock import FileLock

from explorer.table import write_whole


def cache_folder() -> Path:
    """Where the user's system keeps what can be made again."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "resnext-explorer"


def remembered(key: str) -> Any:
    """The value under a key; None where there is none or the file cannot be read."""
    return _read().get(key)


def remember(values: dict[str, Any]) -> None:
    """Keep values for other studies. A folder that cannot be written costs only the measuring again."""
    if not values:
        return
    path = _path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock"), timeout=10):
            write_whole(path, json.dumps({**_read(), **values}, indent=1) + "\n")
    except (OSError, TimeoutError):
        return


def _path() -> Path:
    return cache_folder() / "measured.json"


def _read() -> dict[str, Any]:
    try:
        found = json.loads(_path().read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
