"""A fault in a study's folder and its repair; data of runs is set aside, never deleted."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from explorer.record.folder import now

DAMAGED = Path("local") / "damaged"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a study's folder.

    what      names the file and what is wrong with it
    remedy    what the doctor does about it, or what a person can do
    cure      the function that repairs it; None if only a person can
    is_fault  False for what a healthy study may have as well, as a page that is not drawn yet
    """

    what: str
    remedy: str
    cure: Callable[[], object] | None = None
    is_fault: bool = True


def set_aside(folder: Path, paths: Iterable[Path], *, move: bool = False) -> Path:
    """Copy or move files to a new folder below `local/damaged`, with their paths relative to the study's folder."""
    time, tries = now().replace(":", ""), count(1)
    place = next(path for path in (folder / DAMAGED / f"{time}-{number}" for number in tries) if not path.exists())
    for path in paths:
        target = place / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
        if move:
            path.unlink()
    return place
