"""The user's cache: measurements of this machine, reused by later studies. It may be deleted at any time."""

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from explorer.host.files import write_whole
from explorer.host.yaml_limits import misfit, read_json


def cache_folder(*below: str) -> Path:
    """Path of the project's cache folder, or of a folder below it; created with access for the user alone.

    A folder that cannot be created is no error, and one that belongs to another user is left as it is: see `is_own`.
    """
    folder = _caches() / "resnext-explorer"
    for path in (folder, *(folder.joinpath(*below[: end + 1]) for end in range(len(below)))):
        with suppress(OSError):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.stat().st_uid == os.getuid() and path.stat().st_mode & 0o077:
                path.chmod(0o700)  # created by an earlier version, or by hand
    return folder.joinpath(*below)


def _caches() -> Path:
    """The base folder for caches: XDG_CACHE_HOME, ~/.cache, or a temporary folder per user id if there is no home."""
    if root := os.environ.get("XDG_CACHE_HOME"):
        return Path(root)
    try:
        return Path.home() / ".cache"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"cache-{os.getuid()}"


def is_own(path: Path) -> bool:
    """Whether a file or folder belongs to the user and only the user can write to it; False for a symbolic link."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return found.st_uid == os.getuid() and not found.st_mode & 0o022 and not path.is_symlink()


def secret_file(text: str) -> Path:
    """Write a secret to a new file in a new folder, both accessible to the user alone, and return the file's path."""
    path = Path(tempfile.mkdtemp(prefix="resnext-explorer-")) / "secret"
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text, encoding="utf-8")
    return path


def remembered(key: str, kind: Any) -> Any:
    """The cached value of a key; None if it is absent or not of type `kind` (see `yaml_limits.misfit`)."""
    found = _read().get(key)
    return None if misfit(found, kind, key) else found


def remember(values: dict[str, Any]) -> None:
    """Store values for later studies. If the cache cannot be written, nothing is raised: they are measured again."""
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
        found = read_json(_path())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
