"""How often a run is retried after its process was lost."""

from collections.abc import Callable
from dataclasses import dataclass, field

from explorer.study.job import Event, Job, Noted, RunDone
from explorer.study.run import Outcome

CROWDED = "had too little memory beside other runs; it is tried once more alone"


@dataclass
class Attempts:
    """Counts for each run how often its process has died since the run last ended or paused without dying.

    `again` starts a job once more.
    """

    retries: int
    again: Callable[[Job], object]
    _deaths: dict[str, int] = field(default_factory=dict)

    def died(self, job: Job, what: str, details: str = "") -> list[Event]:
        """Count the death of a job's process, and start the job again or report it as failed after too many deaths.

        `what` is the rest of a sentence that begins with "its process". `details` is a traceback, if there is one.
        """
        run_id = job.run.id
        deaths = self._deaths.pop(run_id, 0) + 1
        if deaths <= self.retries:
            self._deaths[run_id] = deaths
            self.again(job)
            return [Noted(run_id, f"its process {what}; another one goes on")]
        message = f"its process {what}; it was tried {deaths} times"
        return [RunDone(run_id, Outcome("failed", 0, message=message), details)]

    def note(self, event: Event) -> None:
        """Reset the count of a run that has ended or paused."""
        if isinstance(event, RunDone):
            self._deaths.pop(event.run_id, None)
