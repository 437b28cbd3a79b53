"""Sends images and checkpoints along with a run, and results back, between machines that share no folder."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from explorer.host.cache import cache_folder
from explorer.host.errors import InputError
from explorer.host.files import replaced
from explorer.study.job import Job
from explorer.study.settings import DataConfig

Files = dict[str, bytes]  # content by path below their folder
KEPT = 2  # newest checkpoints of a run to keep, as many as where it is trained
MOST_IMAGES = 4 * 2**30  # bytes; more should lie on a path that all machines see


@dataclass(frozen=True)
class SentFile:
    """A file that a run wrote on another machine, with the folder here in which it belongs."""

    folder: str
    name: str
    content: bytes
    kept: int | None = None  # how many of the newest files its folder keeps; None: all

    def deliver(self) -> None:
        """Write the file into its folder, and delete older ones beyond `kept`, of later ones none."""
        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        with replaced(folder / self.name) as partial:
            partial.write_bytes(self.content)
        if self.kept is not None:
            upto = [path for path in sorted(folder.glob("*.safetensors"), reverse=True) if path.name <= self.name]
            for old in upto[self.kept :]:
                old.unlink()


def images(data: DataConfig) -> Files:
    """Read the files of a data set, to send them. Raises InputError for more than `MOST_IMAGES` bytes."""
    paths = [path for path in sorted(Path(data.path or "").rglob("*")) if path.is_file()]
    size = sum(path.stat().st_size for path in paths)
    if size > MOST_IMAGES:
        raise InputError(
            f"data.path={data.path}: not all machines see it, and its {size / 2**30:,.0f} GiB are too many to send; "
            f"allowed: a path that all see, or at most {MOST_IMAGES / 2**30:.0f} GiB"
        )
    return {str(path.relative_to(data.path or "")): path.read_bytes() for path in paths}


def arrived(files: Files) -> str:
    """Store images that were sent in this machine's cache, once for each content, and return their folder."""
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
                assert folder.exists()  # another run stored the same images meanwhile
    return str(folder)


def newest(folder: str | None) -> Files:
    """Read the newest checkpoint of a run, if it has any."""
    paths = sorted(Path(folder).glob("*.safetensors")) if folder else []
    return {path.name: path.read_bytes() for path in paths[-1:]}


@dataclass
class RunFiles:
    """The files of a run on a machine that does not see the study's folder.

    `meant` is the job as it came, with the coordinator's paths; `there` is the same job with paths of this machine.
    """

    meant: Job
    there: Job
    _sent: set[Path] = field(default_factory=set)

    def outgoing(self) -> Iterator[SentFile]:
        """Yield the files that are new since the last call, to send them back."""
        if self.there.checkpoints and self.meant.checkpoints:
            for path in sorted(Path(self.there.checkpoints).glob("*.safetensors"))[-1:]:
                if path not in self._sent:
                    self._sent.add(path)
                    yield SentFile(self.meant.checkpoints, path.name, path.read_bytes(), kept=KEPT)
        if self.there.weights and self.meant.weights:
            path, place = Path(self.there.weights), Path(self.meant.weights)
            if path.exists() and path not in self._sent:
                self._sent.add(path)
                yield SentFile(str(place.parent), place.name, path.read_bytes())


@contextmanager
def run_files(job: Job, checkpoint: Files) -> Iterator[RunFiles]:
    """Make a temporary folder for a run's files while it is trained here, with the checkpoint that it resumes from."""
    with tempfile.TemporaryDirectory() as place:
        checkpoints, weights = Path(place) / "checkpoints", Path(place) / "weights.safetensors"
        checkpoints.mkdir()
        for name, content in checkpoint.items():
            (checkpoints / name).write_bytes(content)
        there = replace(
            job,
            checkpoints=str(checkpoints) if job.checkpoints else None,
            weights=str(weights) if job.weights else None,
        )
        yield RunFiles(job, there, {checkpoints / name for name in checkpoint})
