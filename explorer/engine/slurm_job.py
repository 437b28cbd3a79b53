"""What a job of a Slurm cluster does: it trains run after run for the coordinator of a study."""

import contextlib
import signal
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from submitit.helpers import DelayedSubmission

from explorer.engine.local import LOOK, LocalEngine
from explorer.engine.messages import Box, Goodbye, Hello
from explorer.engine.remote import answered, unfit
from explorer.host import signals as interrupt
from explorer.record.folder import LEAVE
from explorer.study.job import Begun, Job, Placement, Refused

PAUSE = 0.25  # seconds between two looks into a box
MOST = 1000  # runs at once in one job, far more than the coordinator ever gives it
IN, OUT, BEAT = "in.jsonl", "out.jsonl", "beat"


class Station:
    """What a job does: it serves the coordinator of a study until that, the cluster or the clock ends it.

    Called by submitit on the machine where the job runs; `checkpoint` by its signal handler.
    """

    def __init__(self, root: Path, name: str, retries: int, silence: float) -> None:
        """`root` is the place of all jobs of this start of the study, `name` that of this one in it."""
        self.root, self.name, self.retries, self.silence = root, name, retries, silence

    def __call__(self) -> None:
        """Serve. Signals reach the main thread, so that what they do never stands in the middle of a word."""
        self._ended = ""  # why the cluster ends this job, if it does
        signal.signal(signal.SIGTERM, self._end)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        while self._thread.is_alive():
            self._thread.join(LOOK)

    def checkpoint(self) -> DelayedSubmission:
        """Have all runs saved, and say how to go on when the cluster has room again."""
        self._ended = "the cluster ended its job, which is queued again"
        self._thread.join(interrupt.LONGEST_GOODBYE + 2 * LOOK)
        return DelayedSubmission(Station(self.root, self.name, self.retries, self.silence))

    def _end(self, *_: object) -> None:
        """What Slurm sends before it kills: at a cancellation, and at a preemption that it requeues by itself."""
        self._ended = "the cluster ended its job"

    def _serve(self) -> None:
        place = self.root / self.name
        inbox, outbox, beat = Box(place / IN), Box(place / OUT), Beat(self.root / BEAT, self.silence)
        life = 1 + sum(isinstance(letter, Hello) for letter in Box(place / OUT).take())
        inbox.take()  # what was meant for an earlier life is given to others
        engine = LocalEngine(self.retries, self.silence, slots=MOST)
        placement: Placement | None = None
        outbox.put(Hello(life))
        try:
            while not (why := self._reason(beat)):
                for letter in inbox.take():
                    if isinstance(letter, Placement):
                        placement = letter
                        engine.open(replace(placement, most=MOST))
                    else:
                        self._do(letter, placement, engine, outbox)
                for event in engine.events(PAUSE):
                    outbox.put(event)
            for event in engine.stop():
                outbox.put(event)
            outbox.put(Goodbye(why))
        finally:
            engine.close()

    def _do(self, letter: Any, placement: Placement | None, engine: LocalEngine, outbox: Box) -> None:
        if isinstance(letter, Job):
            outbox.put(Begun(letter.run.id))
            if placement is not None and (problem := unfit(placement.host_report, letter, engine)):
                outbox.put(Refused(problem))
                return
            engine.submit(letter)
        else:
            for answer in answered(letter.question, letter.workers, engine):
                outbox.put(answer)

    def _reason(self, beat: "Beat") -> str:
        """Why to leave, in words; empty where there is no reason."""
        if self._ended:
            return self._ended
        if (self.root / LEAVE).exists() or (self.root / self.name / LEAVE).exists():
            return "it was asked to leave"
        return "the coordinator is gone" if beat.is_lost() else ""


@dataclass
class Beat:
    """A file that the coordinator touches now and then. Only whether it changes counts, as clocks may differ."""

    path: Path
    longest: float
    _last: int = 0
    _since: float = field(default_factory=time.monotonic)

    def is_lost(self) -> bool:
        """Whether it has not changed for too long."""
        with contextlib.suppress(OSError):
            last = self.path.stat().st_mtime_ns
            if last != self._last:
                self._last, self._since = last, time.monotonic()
        return time.monotonic() - self._since > self.longest
