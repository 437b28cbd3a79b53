"""Runs and questions on another machine: the local engine there executes them, so they behave as on this one.

Before a machine trains, its device, libraries and sources are compared with those the study was planned on: with
others the result would not be that of the run that the row names.
"""

import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from explorer.engine.local import LOOK, LocalEngine
from explorer.host.errors import InputError
from explorer.host.extensions import Packed, adopt, packed
from explorer.host.machine import described
from explorer.record.folder import TOKEN
from explorer.study.job import Answer, Begun, Event, HostQuestion, HostReport, Job, Mismatch, Question, Refused, RunDone
from explorer.study.settings import DataConfig
from explorer.training.homes import HOMES
from explorer.training.sources import decisive_sources

LIBRARIES = ("torch", "numpy", "fvcore")  # whose versions results depend on


@dataclass(frozen=True)
class RemoteTask:
    """A run or a question to carry out on another machine.

    task      a run, or a question for `workers` processes at once
    planned   report on the machine that the study was planned on, for a run
    retries, silence  as of the local engine there
    extensions  files that this process has loaded
    """

    task: Job | Question
    workers: int = 1
    planned: HostReport | None = None
    retries: int = 0
    silence: float = float("inf")
    extensions: Packed = field(default_factory=packed)


def carry_out(remote: RemoteTask) -> Iterator[Event | Answer]:
    """Carry out a task on this machine and yield each event as it comes; KeyboardInterrupt saves the run."""
    adopt(remote.extensions, HOMES)
    engine = LocalEngine(remote.retries, remote.silence)
    try:
        if isinstance(remote.task, Job):
            yield from _trained(remote.task, remote.planned, engine)
        else:
            yield from answered(remote.task, remote.workers, engine)
    except KeyboardInterrupt:
        engine.stop()
    finally:
        engine.close()


def answered(question: Question, workers: int, engine: LocalEngine) -> list[Answer]:
    """The answers to a question, or one refusal that says why it cannot be answered."""
    try:
        return engine.ask(question, workers)
    except InputError as error:
        return [Refused(str(error))]


def _trained(job: Job, planned: HostReport | None, engine: LocalEngine) -> Iterator[Event | Answer]:
    yield Begun(job.run.id)
    if planned is not None and (problem := unfit(planned, job, engine)):
        yield Refused(problem)
        return
    engine.submit(job)
    ended = False
    while not ended:
        for event in engine.events(LOOK):
            yield event
            ended = ended or isinstance(event, (RunDone, Mismatch))


def unfit(planned: HostReport, job: Job, engine: LocalEngine) -> str:
    """Why a run of the study cannot be trained on this machine; empty where it can."""
    (there,) = answered(HostQuestion(job.run.data, job.run.execution.device), 1, engine)
    if isinstance(there, Refused):
        return f"{described()['host']}: {there.message}"
    assert isinstance(there, HostReport)
    pairs = {
        "device": (planned.device_name, there.device_name),
        "images": (planned.data_hash, there.data_hash),
        **{name: (planned.versions.get(name), there.versions.get(name)) for name in LIBRARIES},
        "sources": (planned.sources, there.sources),
    }
    for name, (then, now) in pairs.items():
        if then != now:
            words = f"other {name}" if name == "sources" else f"{name} {now} where the study was planned on {then}"
            return f"{there.machine['host']}: has {words}; a study runs on machines of one kind"
    return ""


@dataclass(frozen=True)
class Look:
    """What is known of a machine without loading torch: its libraries, its sources, and which folders it sees.

    sources   digests of the source files that decide results
    sees      whether it sees the study's folder at the same path
    has_data  whether it sees the images at the same path
    """

    versions: dict[str, str]
    sources: dict[str, str]
    sees: bool
    has_data: bool


def mark(folder: Path) -> str:
    """Write a new token into a study's folder and return it: another machine that reads it sees the same folder."""
    token = secrets.token_hex(8)
    (folder / TOKEN).write_text(token, encoding="utf-8")
    return token


def look(folder: Path, token: str, data: DataConfig, extensions: Packed) -> Look:
    """Report libraries, sources and visible folders of this machine; `extensions` are loaded first."""
    adopt(extensions, HOMES)
    sees = False
    with suppress(OSError):
        sees = (folder / TOKEN).read_text(encoding="utf-8") == token
    has_data = not is_on_disk(data) or Path(data.path or "").exists()
    return Look({name: installed(name) for name in LIBRARIES}, decisive_sources(), sees, has_data)


def installed(library: str) -> str:
    """The version of a library that is installed here, without loading it; `none` where it is not."""
    try:
        return version(library)
    except PackageNotFoundError:
        return "none"


def is_on_disk(data: DataConfig) -> bool:
    """Whether images are read from a path that other machines may not have."""
    return data.source in ("parquet", "folder")


def placed(data: DataConfig) -> DataConfig:
    """The data settings with an absolute path, so that they mean the same from every working directory."""
    if not data.path or not is_on_disk(data):
        return data
    try:
        return replace(data, path=str(Path(data.path).expanduser().resolve()))
    except RuntimeError as error:  # `~NAME` of a user without a home directory
        raise InputError(f"data.path={data.path}: {str(error).rstrip('.')}; write the whole path") from None


def narrowed(answer: Answer, cores: int | None) -> Answer:
    """A host report with the cores that the cluster grants, if it limits them to fewer than the machine has."""
    if cores is None or not isinstance(answer, HostReport):
        return answer
    return replace(answer, cores=max(1, min(answer.cores, cores)))


def absolute(job: Job) -> Job:
    """The job with absolute paths, so that it means the same from every working directory."""
    return replace(
        job,
        run=replace(job.run, data=placed(job.run.data)),
        checkpoints=str(Path(job.checkpoints).resolve()) if job.checkpoints else None,
        weights=str(Path(job.weights).resolve()) if job.weights else None,
    )
