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
    Refused,
    RunDone,
    TogetherQuestion,
)
from explorer.training.worker import work

LONGEST_END = 10.0  # seconds that are waited for the exit code of a worker that has closed its pipe
LONGEST_END = 10.0  # seconds that a worker may take to end once it has closed its pipe, or it is ended
LOOK = 1.0  # seconds between two looks at whether somebody asks us to leave
_CONTEXT = multiprocessing.get_context("spawn")  # a fork would share torch's threads and locks


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    device: int | None
    job: Job | None = None
    silent: float = 0.0  # seconds since its last word, those left out in which nobody listened


class _EndedError(Exception):
    """A worker process ended when it was asked something, with an exit code where that is known."""

    def __init__(self, code: int | None) -> None:
        words = f"ended{'' if code is None else f' with exit code {code}'}, and what it said itself stands above"
        if code == -signal.SIGKILL:
            words = "was killed, as when the system runs out of memory: with little of it set engine.workers=1"
        super().__init__(f"before its first run a worker process {words}")


@dataclass
class LocalEngine:
    """Worker processes, started when they are first needed and started again when they die.

    `retries` is how often a job is tried again after its process has died; then it counts as failed. A worker that
    says nothing about its job for `silence` seconds is ended and counts as dead. Where there are several GPUs of one
    model each worker sees one of them.
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
        self._attempts = Attempts(self.retries)

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:
        """Put a question to so many idle workers at once and wait for all their answers.

        It is put again where one of them dies. Raises InputError with a worker's one line, and KeyboardInterrupt where
        somebody asks to leave meanwhile.
        """
        ended: _EndedError
        for _ in range(self.retries + 1):
            try:
                answers = self._answers(question, workers)
                break
            except _EndedError as error:
                ended = error
        else:
            raise InputError(f"engine=local: {ended}")
        for answer in answers:
            if isinstance(answer, Refused):
                raise InputError(answer.message)
        return answers

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
            for worker in asked:  # the others' answers would come when nobody expects them any more
                self._drop(worker)
            raise _EndedError(code) from None

    def open(self, placement: Placement) -> int:
        """Workers beyond those that are to share a device, which measuring had needed, give their memory back."""
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
        """What has happened since the last call; waits up to `timeout` seconds for something to happen."""
        ready = wait([worker.pipe for worker in self._workers], timeout)
        # Time in which we were held up ourselves says nothing about a worker.
        listened, self._listened = min(time.monotonic() - self._listened, timeout + LOOK), time.monotonic()
        found: list[Event] = []
        for worker in list(self._workers):
            if worker.pipe in ready:
                found += self._received(worker)
            elif worker.job is not None:
                worker.silent += listened
                if worker.silent > self.silence:
                    self._drop(worker)
                    found += self._again(worker.job, f"said nothing for {self.silence:g} s and was ended")
        return [_from_here(event) for event in found]

    def stop(self) -> list[Event]:
        """Have all workers save what they are doing and leave; those that take too long are killed.

        Gives what they still had to say.
        """
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
        """The same, where nobody is interested any more."""
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
        """The GPU that has the fewest workers. One that sees them all, as the very first does, uses the first."""
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
            return self._again(worker.job, f"died with exit code {'unknown' if code is None else code}{killed}")
        worker.silent = 0.0
        if isinstance(event, Lost):
            self._drop(worker)
            return self._again(worker.job, f"lost its device ({event.message})", event.details)
        if isinstance(event, RunDone):
            worker.job = None
            self._attempts.note(event)
        return [] if isinstance(event, Alive) else [event]

    def _drop(self, worker: _Worker) -> None:
        """End a worker, however it is, with all processes it has started."""
        pid = worker.process.pid
        assert pid is not None
        worker.process.kill()
        # Before it is reaped, so that its number cannot be another's; it may not have come to have a group yet.
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)

    def _again(self, job: Job | None, what: str, details: str = "") -> list[Event]:
        """Give a job whose worker is gone to another one, or call it failed after too many."""
        if job is None:
            return []
        word = self._attempts.died(job, what, details)
        if not isinstance(word, RunDone):
            self.submit(job)
        return [word]


def _from_here(event: Event) -> Event:
    """An event with the name of this machine on the outcome that it may bring."""
    if isinstance(event, RunDone):
        return replace(event, outcome=replace(event.outcome, host=platform.node()))
    return event


def _measured_together(workers: Sequence[_Worker], words: Sequence[object]) -> list[object]:
    """Have those that are ready measure from the same moment on, and go on until the last of them has done so.

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
    """With what the first of these ended that has; their pipes are closed before. None where none does."""
    ended = wait([worker.process.sentinel for worker in workers], LONGEST_END)
    for worker in workers:
        if worker.process.sentinel in ended:
            worker.process.join()  # what is ready says so a moment before its exit code can be asked for
            return worker.process.exitcode
    return None


def _awaited(pipe: Connection) -> object:
    while not pipe.poll(LOOK):
        interrupt.check()
    return pipe.recv()
