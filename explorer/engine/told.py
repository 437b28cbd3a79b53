"""The engine that executes nothing: another program takes each run, trains it in its own way, and tells its result."""

import hashlib
import queue
from dataclasses import asdict

from explorer.host.errors import InputError
from explorer.study.job import Answer, Event, HostQuestion, HostReport, Job, Placement, Question
from explorer.study.run import Execution
from explorer.study.settings import DataConfig, Recipe

DEVICE = "a program of its own"  # in the record, instead of a device's name


class ToldEngine:
    """Gives jobs out through `jobs` and takes their events in through `told`; both may be used from another thread.

    images       numbers of training, validation and test images
    fingerprint  text that identifies the images and the program, so that a study goes on only with the same
    at_once      jobs that may be out at the same time
    """

    def __init__(self, images: tuple[int, int, int], fingerprint: str, at_once: int) -> None:
        self.wanted = 1
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._told: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._images, self._fingerprint, self._at_once = images, fingerprint, at_once
        self._out = 0

    @property
    def free(self) -> int:
        """How many more jobs can be given out now."""
        return self._at_once - self._out

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:  # noqa: ARG002 - as in the contract
        """Say what is known of the images; nothing can be measured. Raises InputError for any other question."""
        if not isinstance(question, HostQuestion):
            raise InputError(
                "a program of its own trains this study, so that nothing can be measured: leave latency out"
            )
        return [
            HostReport(
                device="cpu",
                device_name=DEVICE,
                data_hash=_hash(question.data, self._fingerprint),
                versions={"torch": "none"},
                images=self._images,
                cores=self._at_once,
            )
        ]

    def open(self, placement: Placement) -> int:  # noqa: ARG002
        """How many jobs may be out at once."""
        return self._at_once

    def submit(self, job: Job) -> None:
        """Give a job out."""
        self._out += 1
        self.jobs.put(job)

    def events(self, timeout: float) -> list[Event]:
        """What was told since the last call; waits up to `timeout` seconds for the first. Leaves if it was asked to."""
        found: list[Event] = []
        while True:
            try:
                event = self._told.get(timeout=timeout) if not found else self._told.get_nowait()
            except queue.Empty:
                return found
            if event is None and not found:
                raise KeyboardInterrupt
            if event is None:  # what was told before is recorded first
                self._told.put(None)
                return found
            found.append(event)

    def tell(self, event: Event, is_last: bool) -> None:
        """Take in an event of a job; `is_last` if the job has ended or paused with it."""
        if is_last:
            self._out -= 1
        self._told.put(event)

    def leave(self) -> None:
        """Make the study's coordinator leave; what was told is recorded before."""
        self._told.put(None)

    def stop(self) -> list[Event]:
        """Give nothing more out."""
        return []

    def close(self) -> None:
        """Give nothing more out."""
        self.jobs.put(None)


def told_execution(recipe: Recipe) -> Execution:
    """The execution plan that stands in a record for runs that this project has not executed."""
    micro_batch = recipe.micro_batch or recipe.batch_size
    return Execution("cpu", DEVICE, "grouped", "contiguous", "float32", 1, micro_batch)


def _hash(data: DataConfig, fingerprint: str) -> str:
    """A hash that stands for images that were not read: of their settings and the fingerprint."""
    return hashlib.sha256(repr((asdict(data), fingerprint)).encode()).hexdigest()[:16]
