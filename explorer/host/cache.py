"""What this machine has measured, kept between studies: a file of the user's, which may be deleted at any time."""

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
    """Where the user's system keeps what can be made again, or a folder below; only the user may enter it.

    It is made where that can be done. Somebody else's folder is left as it is: see `is_own`.
    """
    folder = _caches() / "resnext-explorer"
    for path in (folder, *(folder.joinpath(*below[: end + 1]) for end in range(len(below)))):
        with suppress(OSError):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.stat().st_uid == os.getuid() and path.stat().st_mode & 0o077:
                path.chmod(0o700)  # made by an earlier version, or by hand
    return folder.joinpath(*below)


def _caches() -> Path:
    """The folder of caches; of a user without a home, as in a container under a bare number, one for that number."""
    if root := os.environ.get("XDG_CACHE_HOME"):
        return Path(root)
    try:
        return Path.home() / ".cache"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"cache-{os.getuid()}"


def is_own(path: Path) -> bool:
    """Whether a file or a folder is the user's, who alone may write it; a link is nobody's."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return found.st_uid == os.getuid() and not found.st_mode & 0o022 and not path.is_symlink()


def secret_file(text: str) -> Path:
    """Write a secret to a new file that its user alone may read, in a folder that the user alone may enter."""
    path = Path(tempfile.mkdtemp(prefix="resnext-explorer-")) / "secret"
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text, encoding="utf-8")
    return path


def remembered(key: str, kind: Any) -> Any:
    """The value under a key; None where there is none of this kind (see `reading.misfit`), or no file to read."""
    found = _read().get(key)
    return None if misfit(found, kind, key) else found


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
        found = read_json(_path())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
