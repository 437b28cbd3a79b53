"""The local engine: processes on this machine, each training one run at a time."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import cast

from explorer.errors import InputError
from explorer.job import Answer, Event, Job, Question, Refused, RunDone
from explorer.run import Outcome
from explorer.training.worker import work

_CONTEXT = multiprocessing.get_context("spawn")  # a fork would share torch's threads and locks


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    job: Job | None = None


@dataclass
class LocalEngine:
    """Worker processes, started when they are first needed and started again when they die.

    `retries` is how often a job is tried again after its process has died; then it counts as failed.
    """

    slots: int
    retries: int
    _workers: list[_Worker] = field(default_factory=list)
    _deaths: dict[str, int] = field(default_factory=dict)

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:
        """Put a question to so many idle workers at once and wait for all their answers.

        Raises InputError with a worker's one line.
        """
        asked: list[_Worker] = []
        try:
            for _ in range(workers):
                asked.append(self._idle(asked))
                asked[-1].pipe.send(question)
            answers = [cast(Answer, worker.pipe.recv()) for worker in asked]
        except (EOFError, OSError):
            raise InputError(
                "engine=local: a worker process ended before its first run (its own words, if any, stand above); "
                "with little memory set engine.workers=1"
            ) from None
        for answer in answers:
            if isinstance(answer, Refused):
                raise InputError(answer.message)
        return answers

    @property
    def free(self) -> int:
        """How many more jobs can run at once."""
        return self.slots - sum(worker.job is not None for worker in self._workers)

    def submit(self, job: Job) -> None:
        """Start a job; there must be a free slot."""
        worker = self._idle()
        worker.job = job
        # A worker that has just died is noticed at the end of its pipe, and its job goes to another.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            worker.pipe.send(job)

    def events(self, timeout: float) -> list[Event]:
        """What has happened since the last call; waits up to `timeout` seconds for something to happen."""
        ready = wait([worker.pipe for worker in self._workers], timeout)
        return [event for worker in list(self._workers) if worker.pipe in ready for event in self._received(worker)]

    def close(self) -> None:
        """End all workers, without waiting for what they are doing."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
            worker.pipe.close()
        self._workers.clear()

    def _idle(self, but: Sequence[_Worker] = ()) -> _Worker:
        for worker in self._workers:
            if worker.job is None and worker not in but:
                return worker
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=work, args=(theirs, os.getpid()), daemon=True)
        process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))
        return self._workers[-1]

    def _received(self, worker: _Worker) -> list[Event]:
        try:
            event: Event = worker.pipe.recv()
        except (EOFError, OSError):
            return self._after_death(worker)
        if isinstance(event, RunDone):
            worker.job = None
            self._deaths.pop(event.run_id, None)
        return [event]

    def _after_death(self, worker: _Worker) -> list[Event]:
        """Give the dead worker's job to a new one, or call the job failed after too many deaths."""
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)
        if worker.job is None:
            return []
        run_id = worker.job.run.id
        deaths = self._deaths.pop(run_id, 0) + 1
        if deaths <= self.retries:
            self._deaths[run_id] = deaths
            self.submit(worker.job)
            return []
        code = worker.process.exitcode
        killed = ", as when the system runs out of memory" if code == -signal.SIGKILL else ""
        message = f"its process died {deaths} times, the last time with exit code {code}{killed}"
        return [RunDone(run_id, Outcome("failed", 0, None, None, None, None, 0.0, None, message=message))]
