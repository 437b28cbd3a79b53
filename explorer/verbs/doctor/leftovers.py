"""Examines a study's checkpoints by their headers, without torch, and the partial files of interrupted writes."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from explorer.host.errors import InputError
from explorer.host.formatting import place_in_run
from explorer.record.folder import CHECKS, checkpoints
from explorer.search.state import checkpoint_header, forget, newest_first
from explorer.verbs.doctor.fault import Fault, set_aside


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
    usable = (found for path in newest_first(folder, run_id) if isinstance(found := _read(path, run_id), Position))
    return next(usable, None)


def examine_checkpoints(folder: Path, final: set[str]) -> list[Fault]:
    """Faults: checkpoints that cannot be used, and checkpoints of runs that have ended."""
    found = []
    for own in sorted(checkpoints(folder).glob("*/")):
        if own.name in final:
            what = f"{own}: checkpoints of a run that has ended"
            found.append(Fault(what, "drop them", partial(forget, folder, own.name)))
            continue
        for path in newest_first(folder, own.name):
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


def _read(path: Path, run_id: str) -> Position | str:
    """The position of a checkpoint, or why it cannot be used. The run that resumes from it checks its tensors."""
    try:
        about, tensors, size = checkpoint_header(path)
        end = max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
        if 8 + size + end != path.stat().st_size:
            return "it is cut short"
        if about["run"] != run_id:
            return f"it is of run {about['run']}"
        return Position(len(about["results"]), int(about.get("steps", 0)))
    except EOFError as error:
        return str(error)
    except OSError as error:
        return str(error.strerror)
    except InputError as error:
        return str(error).removeprefix(f"{path}: ")
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return "its header cannot be read"
