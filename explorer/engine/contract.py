"""What the coordinator needs of whatever executes runs, and which there are: one contract, one conformance suite."""

from pathlib import Path
from typing import Protocol

from explorer.record.folder import JOBS, LEAVE
from explorer.study.job import Answer, Event, Job, Placement, Question


class Engine(Protocol):
    """Executes runs somewhere: jobs go in, events come out, in whatever order runs happen to end.

    A job whose process, machine or node is lost is tried again from its last checkpoint without being told to, and
    only a word about it comes out.
    """

    wanted: int
    """Jobs that may still be submitted: places for which there is no work are given back."""

    @property
    def free(self) -> int:
        """How many more jobs can be submitted now."""
        ...

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:
        """Put a question to so many workers at once, which share one device, and wait for all their answers.

        Raises InputError with one line where it cannot be answered, and KeyboardInterrupt where somebody asks to leave
        meanwhile.
        """
        ...

    def open(self, placement: Placement) -> int:
        """Say how runs are executed, before the first is submitted. Gives how many can run at once now."""
        ...

    def submit(self, job: Job) -> None:
        """Start a job; something must be `free`."""
        ...

    def events(self, timeout: float) -> list[Event]:
        """What has happened since the last call; waits up to `timeout` seconds for something to happen.

        Raises StudyStoppedError, with one line, where nothing can be executed any more.
        """
        ...

    def stop(self) -> list[Event]:
        """Have all runs save what they have and leave; give what they still had to say."""
        ...

    def close(self) -> None:
        """The same, where nobody is interested any more. Nothing that was started stays behind."""
        ...


def dismissed(folder: Path) -> list[Path]:
    """Ask all jobs that earlier starts of a study have left in a cluster to leave; gives the places of these starts."""
    found = [root for root in (folder / JOBS).glob("*") if root.is_dir() and not root.is_symlink()]
    for root in found:
        (root / LEAVE).touch()
    return found
