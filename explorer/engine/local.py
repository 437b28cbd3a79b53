"""The local engine: processes on this machine, each training one run at a time."""

import contextlib
import multiprocessing
import os
import platform
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import cast

from explorer.engine.contract import accepted
from explorer.engine.retries import Attempts
from explorer.host import signals as interrupt
from explorer.host.errors import InputError
from explorer.study.job import (
    Alive,
    Answer,
    Cue,
    Event,
    Job,
    Lost,
    Placement,
    Question,
    Ready,
    RunDone,
    TogetherQuestion,
)
from explorer.training.worker import work

LONGEST_END = 10.0  # seconds to wait for the exit code of a worker that has closed its pipe; then it is killed
LOOK = 1.0  # seconds between two checks whether a signal asked the command to stop
_CONTEXT = multiprocessing.get_context("spawn")  # a fork would share torch's threads and locks


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    device: int | None
    job: Job | None = None
    silent: float = 0.0  # seconds since its last event, counted only while this process was waiting for events


class _EndedError(Exception):
    """A worker process died while it was to answer a question; carries the exit code if it is known."""

    def __init__(self, code: int | None) -> None:
        words = f"ended{'' if code is None else f' with exit code {code}'}, and what it said itself stands above"
        if code == -signal.SIGKILL:
            words = "was killed, as when the system runs out of memory: with little of it set engine.workers=1"
        super().__init__(f"before its first run a worker process {words}")


@dataclass
class LocalEngine:
    """Runs jobs in worker processes, started when they are first needed and started again when they die.

    `retries` is how often a job is tried again after its process has died; then it counts as failed. A worker that
    reports nothing about its job for `silence` seconds is killed and counts as dead. If there are several GPUs of one
    model, each worker sees one of them.
    """

    retries: int
    silence: float = float("inf")
    slots: int = 1
    wanted: int = 1
    _devices: tuple[int, ...] = (0,)
    _workers: list[_Worker] = field(default_factory=list)
    _attempts: Attempts = field(init=False)
    _listened: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._attempts = Attempts(self.retries, self.submit)

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:
        """Send a question to `workers` idle processes at once and wait for all their answers.

        It is sent again if one of them dies. Raises InputError with the one line of a worker that refuses, and
        KeyboardInterrupt if a signal asks the command to stop meanwhile.
        """
        ended: _EndedError
        for _ in range(self.retries + 1):
            try:
                return accepted(self._answers(question, workers))
            except _EndedError as error:
                ended = error
        raise InputError(f"engine=local: {ended}")

    def _answers(self, question: Question, workers: int) -> list[Answer]:
        asked: list[_Worker] = []
        try:
            for _ in range(workers):
                asked.append(self._idle(asked))
                asked[-1].pipe.send(question)
            words = [_awaited(worker.pipe) for worker in asked]
            if isinstance(question, TogetherQuestion):
                words = _measured_together(asked, words)
            return cast(list[Answer], words)
        except (EOFError, OSError):
            code = _exit_code(asked)
            for worker in asked:  # an answer of the others would arrive later, in place of another message
                self._drop(worker)
            raise _EndedError(code) from None

    def open(self, placement: Placement) -> int:
        """Set how runs are executed; idle workers that only measuring needed are ended, which frees their memory."""
        self._devices = placement.host_report.devices
        self.slots = min(placement.most, placement.at_once * len(self._devices))
        for worker in [worker for worker in self._workers if worker.job is None][placement.at_once :]:
            self._drop(worker)
        return self.slots

    @property
    def free(self) -> int:
        """How many more jobs can run at once."""
        return self.slots - sum(worker.job is not None for worker in self._workers)

    def submit(self, job: Job) -> None:
        """Start a job; there must be a free slot."""
        worker = self._idle()
        worker.job, worker.silent = job, 0.0
        # A worker that has just died is noticed at the end of its pipe, and its job goes to another.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            worker.pipe.send(job)

    def events(self, timeout: float) -> list[Event]:
        """Return the events since the last call, waiting up to `timeout` seconds for the first one."""
        ready = wait([worker.pipe for worker in self._workers], timeout)
        # Time in which this process itself did not wait for events does not count as silence of a worker.
        listened, self._listened = min(time.monotonic() - self._listened, timeout + LOOK), time.monotonic()
        found: list[Event] = []
        for worker in list(self._workers):
            if worker.pipe in ready:
                found += self._received(worker)
            elif worker.job is not None:
                worker.silent += listened
                if worker.silent > self.silence:
                    self._drop(worker)
                    found += self._attempts.died(worker.job, f"said nothing for {self.silence:g} s and was ended")
        return [_from_here(event) for event in found]

    def stop(self) -> list[Event]:
        """Make all workers save their runs and end, and return their last events; slow workers are killed."""
        for worker in self._workers:
            worker.process.terminate()
        deadline, events = time.monotonic() + interrupt.LONGEST_GOODBYE, []
        while self._workers and (left := deadline - time.monotonic()) > 0:
            for pipe in wait([worker.pipe for worker in self._workers], left):
                worker = next(one for one in self._workers if one.pipe is pipe)
                try:
                    events.append(worker.pipe.recv())
                except (EOFError, OSError):
                    self._drop(worker)
        for worker in list(self._workers):
            self._drop(worker)
        return [_from_here(event) for event in events if isinstance(event, Event)]

    def close(self) -> None:
        """End every worker without collecting events; no process is left."""
        self.stop()

    def _idle(self, but: Sequence[_Worker] = ()) -> _Worker:
        for worker in self._workers:
            if worker.job is None and worker not in but:
                return worker
        ours, theirs = _CONTEXT.Pipe()
        device = self._device()
        process = _CONTEXT.Process(target=work, args=(theirs, os.getpid(), device), daemon=True)
        process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours, device))
        return self._workers[-1]

    def _device(self) -> int | None:
        """The GPU with the fewest workers; None with one GPU. A worker that sees all GPUs counts for the first one."""
        if len(self._devices) == 1:
            return None
        taken = [self._devices[0] if worker.device is None else worker.device for worker in self._workers]
        return min(self._devices, key=taken.count)

    def _received(self, worker: _Worker) -> list[Event]:
        try:
            event: Event | Alive | Lost = worker.pipe.recv()
        except (EOFError, OSError):
            code = _exit_code([worker])
            self._drop(worker)
            killed = ", as when the system runs out of memory" if code == -signal.SIGKILL else ""
            what = f"died with exit code {'unknown' if code is None else code}{killed}"
            return self._attempts.died(worker.job, what) if worker.job else []
        worker.silent = 0.0
        if isinstance(event, Lost):
            assert worker.job is not None
            self._drop(worker)
            return self._attempts.died(worker.job, f"lost its device ({event.message})", event.details)
        if isinstance(event, RunDone):
            worker.job = None
            self._attempts.note(event)
        return [] if isinstance(event, Alive) else [event]

    def _drop(self, worker: _Worker) -> None:
        """Kill a worker, in whatever state it is, together with all processes that it has started."""
        pid = worker.process.pid
        assert pid is not None
        worker.process.kill()
        # Before the process is reaped, so that its id cannot belong to another; it may not have its own group yet.
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)


def _from_here(event: Event) -> Event:
    """Add the name of this machine to the outcome in an event, if it has one."""
    if isinstance(event, RunDone):
        return replace(event, outcome=replace(event.outcome, host=platform.node()))
    return event


def _measured_together(workers: Sequence[_Worker], words: Sequence[object]) -> list[object]:
    """Make all ready workers measure at the same time: one cue starts them, another ends their load after the last.

    A worker that is not ready has answered already.
    """
    ready = [worker for worker, word in zip(workers, words, strict=True) if isinstance(word, Ready)]
    for worker in ready:
        worker.pipe.send(Cue())
    answers = {id(worker): _awaited(worker.pipe) for worker in ready}
    for worker in ready:
        worker.pipe.send(Cue())
    return [answers.get(id(worker), word) for worker, word in zip(workers, words, strict=True)]


def _exit_code(workers: Sequence[_Worker]) -> int | None:
    """The exit code of the first of these workers that ended; None if none ends in time. Their pipes are closed."""
    ended = wait([worker.process.sentinel for worker in workers], LONGEST_END)
    for worker in workers:
        if worker.process.sentinel in ended:
            worker.process.join()  # the sentinel is ready a moment before the exit code can be read
            return worker.process.exitcode
    return None


def _awaited(pipe: Connection) -> object:
    while not pipe.poll(LOOK):
        interrupt.check()
    return pipe.recv()
