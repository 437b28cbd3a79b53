"""The body of a job of a Slurm cluster: it trains run after run for the coordinator of a study."""

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
from explorer.host.extensions import adopt, packed
from explorer.record.folder import LEAVE
from explorer.study.job import Begun, Job, Placement, Refused
from explorer.training.homes import HOMES

PAUSE = 0.25  # seconds between two reads of the message file
MOST = 1000  # runs at once in one job, far more than the coordinator ever gives it
IN, OUT, BEAT = "in.jsonl", "out.jsonl", "beat"


class SlurmJob:
    """The body of one job: trains for the coordinator until the coordinator, the cluster or the time limit ends it.

    submitit calls it on the machine where the job runs, and `checkpoint` from its signal handler.
    """

    def __init__(self, root: Path, name: str, retries: int, silence: float) -> None:
        """`root` is the folder of all jobs of this start of the study, `name` the folder of this job in it."""
        self.root, self.name, self.retries, self.silence = root, name, retries, silence
        self.extensions = packed()

    def __call__(self) -> None:
        """Work in a second thread: signals interrupt the main thread, so no message is ever written half."""
        adopt(self.extensions, HOMES)
        self._ended = ""  # why the cluster ends this job, if it does
        signal.signal(signal.SIGTERM, self._end)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        while self._thread.is_alive():
            self._thread.join(LOOK)

    def checkpoint(self) -> DelayedSubmission:
        """Save all runs, and return what submitit queues again: a new start of this job."""
        self._ended = "the cluster ended its job, which is queued again"
        self._thread.join(interrupt.LONGEST_GOODBYE + 2 * LOOK)
        return DelayedSubmission(SlurmJob(self.root, self.name, self.retries, self.silence))

    def _end(self, *_: object) -> None:
        """Handle SIGTERM, which Slurm sends before it kills: on cancellation and on preemption."""
        self._ended = "the cluster ended its job"

    def _serve(self) -> None:
        place = self.root / self.name
        inbox, outbox, beat = Box(place / IN), Box(place / OUT), Heartbeat(self.root / BEAT, self.silence)
        life = 1 + sum(isinstance(message, Hello) for message in Box(place / OUT).take())
        inbox.take()  # messages to an earlier start of this job: their runs have gone to other jobs
        engine = LocalEngine(self.retries, self.silence, slots=MOST)
        placement: Placement | None = None
        outbox.put(Hello(life))
        try:
            while not (why := self._reason(beat)):
                for message in inbox.take():
                    if isinstance(message, Placement):
                        placement = message
                        engine.open(replace(placement, most=MOST))
                    else:
                        self._do(message, placement, engine, outbox)
                for event in engine.events(PAUSE):
                    outbox.put(event)
            for event in engine.stop():
                outbox.put(event)
            outbox.put(Goodbye(why))
        finally:
            engine.close()

    def _do(self, message: Any, placement: Placement | None, engine: LocalEngine, outbox: Box) -> None:
        if isinstance(message, Job):
            outbox.put(Begun(message.run.id))
            if placement is not None and (problem := unfit(placement.host_report, message, engine)):
                outbox.put(Refused(problem))
                return
            engine.submit(message)
        else:
            for answer in answered(message.question, message.workers, engine):
                outbox.put(answer)

    def _reason(self, beat: "Heartbeat") -> str:
        """Why this job must end; empty if there is no reason."""
        if self._ended:
            return self._ended
        if (self.root / LEAVE).exists() or (self.root / self.name / LEAVE).exists():
            return "it was asked to leave"
        return "the coordinator is gone" if beat.is_lost() else ""


@dataclass
class Heartbeat:
    """The heartbeat file, which the coordinator touches now and then.

    Only whether its time changes counts, since clocks of machines may differ.
    """

    path: Path
    longest: float
    _last: int = 0
    _since: float = field(default_factory=time.monotonic)

    def is_lost(self) -> bool:
        """Whether it has not changed for longer than `longest` seconds."""
        with contextlib.suppress(OSError):
            last = self.path.stat().st_mtime_ns
            if last != self._last:
                self._last, self._since = last, time.monotonic()
        return time.monotonic() - self._since > self.longest
