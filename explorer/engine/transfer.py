"""Images and checkpoints of machines that see no common folder: sent along with a run, and sent back."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from explorer.host.cache import cache_folder
from explorer.host.errors import InputError
from explorer.study.job import Job
from explorer.study.settings import DataConfig

Files = dict[str, bytes]  # by path below their folder
KEPT = 2  # checkpoints of a run, as where it is trained
MOST_IMAGES = 4 * 2**30  # bytes; more belong on a path that all machines see


@dataclass(frozen=True)
class Parcel:
    """A file that a run has left on another machine, for the folder that it was meant for."""

    folder: str
    name: str
    content: bytes
    kept: int | None = None  # files in its folder, the newest of them; None: all

    def deliver(self) -> None:
        """Put it in its place."""
        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{self.name}.partial"
        partial.write_bytes(self.content)
        partial.replace(folder / self.name)
        if self.kept is not None:
            for old in sorted(folder.glob("*.safetensors"), reverse=True)[self.kept :]:
                old.unlink()


def images(data: DataConfig) -> Files:
    """The files of a set of images. Raises InputError for more than is sensible to send."""
    paths = [path for path in sorted(Path(data.path or "").rglob("*")) if path.is_file()]
    size = sum(path.stat().st_size for path in paths)
    if size > MOST_IMAGES:
        raise InputError(
            f"data.path={data.path}: not all machines see it, and its {size / 2**30:,.0f} GiB are too many to send; "
            f"allowed: a path that all see, or at most {MOST_IMAGES / 2**30:.0f} GiB"
        )
    return {str(path.relative_to(data.path or "")): path.read_bytes() for path in paths}


def arrived(files: Files) -> str:
    """Where images that were sent are on this machine: once for each content, in the cache."""
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    folder = cache_folder() / "freight" / digest.hexdigest()[:16]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            for name, content in files.items():
                path = Path(place) / "whole" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            try:
                (Path(place) / "whole").rename(folder)
            except OSError:
                assert folder.exists()  # another run was faster
    return str(folder)


def newest(folder: str | None) -> Files:
    """The newest checkpoint of a run, if it has any."""
    paths = sorted(Path(folder).glob("*.safetensors")) if folder else []
    return {path.name: path.read_bytes() for path in paths[-1:]}


@dataclass
class Depot:
    """Where a run's files are on a machine that does not see the study's folder.

    `there` is the job as this machine can do it; `meant` is as it came.
    """

    meant: Job
    there: Job
    _sent: set[Path] = field(default_factory=set)

    def outgoing(self) -> Iterator[Parcel]:
        """Files that are new since the last call."""
        if self.there.checkpoints and self.meant.checkpoints:
            for path in sorted(Path(self.there.checkpoints).glob("*.safetensors"))[-1:]:
                if path not in self._sent:
                    self._sent.add(path)
                    yield Parcel(self.meant.checkpoints, path.name, path.read_bytes(), kept=KEPT)
        if self.there.weights and self.meant.weights:
            path, place = Path(self.there.weights), Path(self.meant.weights)
            if path.exists() and path not in self._sent:
                self._sent.add(path)
                yield Parcel(str(place.parent), place.name, path.read_bytes())


@contextmanager
def depot(job: Job, checkpoint: Files) -> Iterator[Depot]:
    """A place for a run's files while it is trained here, with the checkpoint from which it goes on."""
    with tempfile.TemporaryDirectory() as place:
        kept, weights = Path(place) / "checkpoints", Path(place) / "weights.safetensors"
        kept.mkdir()
        for name, content in checkpoint.items():
            (kept / name).write_bytes(content)
        there = replace(
            job,
            checkpoints=str(kept) if job.checkpoints else None,
            weights=str(weights) if job.weights else None,
        )
        yield Depot(job, there, {kept / name for name in checkpoint})
