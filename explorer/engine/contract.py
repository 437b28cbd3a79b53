"""The contract that every engine fulfils: what the coordinator calls, whether runs execute here, on Ray or on Slurm.

`tests/engine/test_engines.py` holds one suite of conformance tests for all engines.
"""

from pathlib import Path
from typing import Protocol

from explorer.host.errors import InputError
from explorer.record.folder import JOBS, LEAVE
from explorer.study.job import Answer, Event, Job, Placement, Question, Refused


class Engine(Protocol):
    """Executes runs somewhere: jobs go in, events come out, in whatever order runs happen to end.

    The engine itself retries a job whose process, machine or node was lost, from the job's last checkpoint, and reports
    the retry as an event. A run that had too little memory on a GPU which it shared with other runs is retried once
    with no other run on that GPU, before it counts as out of memory.
    """

    wanted: int
    """How many jobs may still be submitted; an engine of a cluster releases resources beyond that."""

    @property
    def free(self) -> int:
        """How many more jobs can be submitted now."""
        ...

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:
        """Send a question to `workers` processes at once, which share one device, and wait for all their answers.

        Raises InputError with one line if it cannot be answered, and KeyboardInterrupt if a signal asks the command to
        stop meanwhile.
        """
        ...

    def open(self, placement: Placement) -> int:
        """Set how runs are executed, before the first is submitted, and return how many can run at once now."""
        ...

    def submit(self, job: Job) -> None:
        """Start a job; `free` must be at least 1."""
        ...

    def events(self, timeout: float) -> list[Event]:
        """Return the events since the last call, waiting up to `timeout` seconds for the first one.

        Raises StudyStoppedError, with one line, if nothing can be executed any more.
        """
        ...

    def stop(self) -> list[Event]:
        """Make every run save a checkpoint and end, and return the last events of these runs."""
        ...

    def close(self) -> None:
        """End every run without collecting events; no process or job that was started is left."""
        ...


def accepted(answers: list[Answer]) -> list[Answer]:
    """The answers themselves. Raises InputError with the one line of a refusal among them."""
    for answer in answers:
        if isinstance(answer, Refused):
            raise InputError(answer.message)
    return answers


def dismissed(folder: Path) -> list[Path]:
    """Ask the cluster jobs of earlier starts of a study to end, and return the job folders of these starts."""
    found = [root for root in (folder / JOBS).glob("*") if root.is_dir() and not root.is_symlink()]
    for root in found:
        (root / LEAVE).touch()
    return found
