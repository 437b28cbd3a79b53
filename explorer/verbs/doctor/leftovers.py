"""Examines a study's checkpoints by their headers, without torch, and the partial files of interrupted writes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from explorer.host.errors import InputError
from explorer.host.formatting import place_in_run
from explorer.host.yaml_limits import opened
from explorer.record.folder import CHECKS
from explorer.search.state import checkpoints, forget
from explorer.verbs.doctor.fault import Fault, set_aside

LONGEST_HEADER = 2**25  # bytes; a hundred thousand epochs take a third
MOST_BYTES = 2**40


@dataclass(frozen=True)
class Position:
    """Where a run can resume: after so many epochs, and so many steps of the next one."""

    epochs: int
    steps: int

    @property
    def words(self) -> str:
        """The position as text for a message."""
        return f"goes on after {place_in_run(self.epochs, self.steps)}"


def position(folder: Path, run_id: str) -> Position | None:
    """Where a run resumes from its newest usable checkpoint; None if it starts from the beginning."""
    usable = (found for path in _checkpoints(folder, run_id) if isinstance(found := _read(path, run_id), Position))
    return next(usable, None)


def examine_checkpoints(folder: Path, final: set[str]) -> list[Fault]:
    """Faults: checkpoints that cannot be used, and checkpoints of runs that have ended."""
    found = []
    for own in sorted(checkpoints(folder).glob("*/")):
        if own.name in final:
            what = f"{own}: checkpoints of a run that has ended"
            found.append(Fault(what, "drop them", partial(forget, folder, own.name)))
            continue
        for path in _checkpoints(folder, own.name):
            if isinstance(wrong := _read(path, own.name), str):
                goes = position(folder, own.name)
                remedy = f"set it aside; the run {goes.words if goes else 'begins anew'}"
                cure = partial(set_aside, folder, [path], move=True)
                found.append(Fault(f"{path}: cannot be used ({wrong})", remedy, cure))
    return found


def examine_leftovers(folder: Path, page: Path) -> list[Fault]:
    """Faults: partial files that were being written when their process ended."""
    own = [path for path in folder.rglob(".*.partial") if CHECKS not in path.relative_to(folder).parts]
    paths = [*own, *page.parent.glob(f".{page.name}.*.partial"), *folder.glob(".probe-*")]
    return [Fault(f"{path}: left by an interrupted write", "drop it", path.unlink) for path in sorted(paths)]


def _checkpoints(folder: Path, run_id: str) -> Iterator[Path]:
    """A run's checkpoints, the newest first."""
    yield from sorted((checkpoints(folder) / run_id).glob("*.safetensors"), reverse=True)


def _read(path: Path, run_id: str) -> Position | str:
    """The position of a checkpoint, or why it cannot be used. The run that resumes from it checks its tensors."""
    try:
        with opened(path, MOST_BYTES) as file:
            size = int.from_bytes(file.read(8), "little")
            if size > LONGEST_HEADER or size > path.stat().st_size:
                return "it is no safetensors file, or cut short"
            header = json.loads(file.read(size))
        about = json.loads(header.pop("__metadata__")["about"])
        end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
        if 8 + size + end != path.stat().st_size:
            return "it is cut short"
        if about["run"] != run_id:
            return f"it is of run {about['run']}"
        return Position(len(about["results"]), int(about.get("steps", 0)))
    except OSError as error:
        return str(error.strerror)
    except InputError as error:
        return str(error).removeprefix(f"{path}: ")
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return "its header cannot be read"
