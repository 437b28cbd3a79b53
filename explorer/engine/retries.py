"""How often a run is tried again after what executed it was lost."""

from dataclasses import dataclass, field

from explorer.study.job import Event, Job, Noted, RunDone
from explorer.study.run import Outcome


@dataclass
class Attempts:
    """Counts for each run how often its process has died since it last ended well."""

    retries: int
    _deaths: dict[str, int] = field(default_factory=dict)

    def died(self, job: Job, what: str, details: str = "") -> Noted | RunDone:
        """A job's process is gone, in words that go on after "its process": it is tried again, or has failed for good.

        `details` is a traceback, where there is one. Whoever gets `Noted` has to start it again.
        """
        run_id = job.run.id
        deaths = self._deaths.pop(run_id, 0) + 1
        if deaths <= self.retries:
            self._deaths[run_id] = deaths
            return Noted(run_id, f"its process {what}; another one goes on")
        message = f"its process {what}; it was tried {deaths} times"
        return RunDone(run_id, Outcome("failed", 0, None, None, None, None, 0.0, None, message=message), details)

    def note(self, event: Event) -> None:
        """A run that has ended begins anew with its deaths."""
        if isinstance(event, RunDone):
            self._deaths.pop(event.run_id, None)
