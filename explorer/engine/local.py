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
from explorer.engine.retries import CROWDED, Attempts
from explorer.host import signals as interrupt
from explorer.host.errors import InputError
from explorer.host.spawning import start
from explorer.study.job import (
    Alive,
    Answer,
    Cue,
    Event,
    HostQuestion,
    HostReport,
    Job,
    Lost,
    Noted,
    Placement,
    Prepare,
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
    shared: bool = False  # whether another run has been on its device since its job began


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
    model, each worker sees one of them. With the first question `early` workers are started together, and they load
    what runs need while the first of them answers.

    A run that has too little memory on a GPU which it shared with other runs is tried once more alone there: until then
    the GPU gets no other run.
    """

    retries: int
    silence: float = float("inf")
    slots: int = 1
    wanted: int = 1
    early: int = 0
    _devices: tuple[int, ...] = (0,)
    _workers: list[_Worker] = field(default_factory=list)
    _waiting: list[Job] = field(default_factory=list)  # jobs for which no device is free at present
    _crowded: list[tuple[int, Job]] = field(default_factory=list)  # to be tried alone, with their devices
    _alone: dict[str, int] = field(default_factory=dict)  # devices of the runs that are tried alone
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
                answers = accepted(self._answers(question, workers))
                if self.early and isinstance(question, HostQuestion) and isinstance(answers[0], HostReport):
                    self._prepare(question, answers[0])
                return answers
            except _EndedError as error:
                ended = error
        raise InputError(f"engine=local: {ended}")

    def _answers(self, question: Question, workers: int) -> list[Answer]:
        asked: list[_Worker] = []
        try:
            for _ in range(workers):
                asked.append(self._idle(self._devices[0], asked))
                asked[-1].pipe.send(question)
            while len(self._workers) < self.early:
                self._started(None)
            words = [_awaited(worker.pipe) for worker in asked]
            if isinstance(question, TogetherQuestion):
                words = _measured_together(asked, words)
            return cast(list[Answer], words)
        except (EOFError, OSError):
            code = _exit_code(asked)
            for worker in asked:  # an answer of the others would arrive later, in place of another message
                self._drop(worker)
            raise _EndedError(code) from None

    def _prepare(self, question: HostQuestion, report: HostReport) -> None:
        """Let all early workers load images and libraries at the same time, the GPUs divided among them.

        What is measured next is then not disturbed by workers that start.
        """
        self.early, self._devices = 0, report.devices
        idle = [worker for worker in self._workers if worker.job is None]
        for number, worker in enumerate(idle):
            if number and len(self._devices) > 1:  # the first one has seen all of them already, and uses the first
                worker.device = self._devices[number % len(self._devices)]
            with contextlib.suppress(OSError):
                worker.pipe.send(Prepare(question.data, report.device, worker.device))
        for worker in idle:
            try:
                _awaited(worker.pipe)
            except (EOFError, OSError):
                self._drop(worker)

    def open(self, placement: Placement) -> int:
        """Set how runs are executed; idle workers that only measuring needed are ended, which frees their memory."""
        self._devices = placement.host_report.devices
        self.slots = min(placement.most, placement.at_once * len(self._devices))
        for place in self._devices:
            idle = [worker for worker in self._on(place) if worker.job is None]
            for worker in idle[placement.at_once :]:
                self._drop(worker)
        return self.slots

    @property
    def free(self) -> int:
        """How many more jobs can run at once."""
        room = self.slots - len(self._waiting) - sum(worker.job is not None for worker in self._workers)
        if not self._crowded and not self._alone:
            return room
        each = -(-self.slots // len(self._devices))
        others = [place for place in self._devices if not self._is_kept(place)]
        return min(room, sum(each - len(self._busy(place)) for place in others) - len(self._waiting))

    def submit(self, job: Job) -> None:
        """Start a job; there must be a free slot."""
        place = self._alone.get(job.run.id)
        if place is None:
            places = [place for place in self._devices if not self._is_kept(place)]
            if not places:  # as for the job of a process that has died
                self._waiting.append(job)
                return
            place = min(places, key=lambda place: len(self._busy(place)))
        others, worker = self._busy(place), self._idle(place)
        worker.job, worker.silent, worker.shared = job, 0.0, bool(others)
        for other in others:
            other.shared = True
        # A worker that has just died is noticed at the end of its pipe, and its job goes to another.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            worker.pipe.send(job)

    def _on(self, place: int) -> list[_Worker]:
        """The workers on a device; one that sees all devices uses the first."""
        first = self._devices[0]
        return [worker for worker in self._workers if (first if worker.device is None else worker.device) == place]

    def _busy(self, place: int) -> list[_Worker]:
        return [worker for worker in self._on(place) if worker.job is not None]

    def _is_kept(self, place: int) -> bool:
        """Whether a device is kept for a run that is to be alone on it."""
        return place in self._alone.values() or any(place == one for one, _ in self._crowded)

    def _go_on(self) -> None:
        """Start the runs that are to be alone on a device which is free by now, and then those that waited for it."""
        for place, job in list(self._crowded):
            if self._busy(place) or place in self._alone.values():
                continue
            self._crowded.remove((place, job))
            self._alone[job.run.id] = place
            for worker in self._on(place)[1:]:  # whose images and libraries take memory too
                self._drop(worker)
            self.submit(job)
        waiting, self._waiting = self._waiting, []
        for job in waiting:
            self.submit(job)

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
                    found += self._died(worker.job, f"said nothing for {self.silence:g} s and was ended")
        self._go_on()
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
                    event = worker.pipe.recv()
                except (EOFError, OSError):
                    self._drop(worker)
                    continue
                if not _was_crowded(worker, event):  # such a run is left to the next start
                    events.append(event)
        for worker in list(self._workers):
            self._drop(worker)
        return [_from_here(event) for event in events if isinstance(event, Event)]

    def close(self) -> None:
        """End every worker without collecting events; no process is left."""
        self.stop()

    def _idle(self, place: int, but: Sequence[_Worker] = ()) -> _Worker:
        """A worker on a device that has nothing to do, started if there is none."""
        for worker in self._on(place):
            if worker.job is None and worker not in but:
                return worker
        return self._started(None if len(self._devices) == 1 else place)

    def _started(self, device: int | None) -> _Worker:
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=work, args=(theirs, os.getpid(), device), daemon=True)
        start(process)
        theirs.close()
        self._workers.append(_Worker(process, ours, device))
        return self._workers[-1]

    def _received(self, worker: _Worker) -> list[Event]:
        try:
            event: Event | Alive | Lost = worker.pipe.recv()
        except (EOFError, OSError):
            code = _exit_code([worker])
            self._drop(worker)
            killed = ", as when the system runs out of memory" if code == -signal.SIGKILL else ""
            what = f"died with exit code {'unknown' if code is None else code}{killed}"
            return self._died(worker.job, what) if worker.job else []
        worker.silent = 0.0
        if isinstance(event, Lost):
            assert worker.job is not None
            self._drop(worker)
            return self._died(worker.job, f"lost its device ({event.message})", event.details)
        if isinstance(event, RunDone):
            is_crowded = _was_crowded(worker, event)
            job, worker.job = worker.job, None
            assert job is not None
            if is_crowded:
                self._crowded.append((self._devices[0] if worker.device is None else worker.device, job))
                return [Noted(event.run_id, CROWDED)]
            self._alone.pop(event.run_id, None)
            self._attempts.note(event)
        return [] if isinstance(event, Alive) else [event]

    def _died(self, job: Job, what: str, details: str = "") -> list[Event]:
        """Try a job again whose process has died, on a device of its own if it had one; or report it as failed."""
        events = self._attempts.died(job, what, details)
        if any(isinstance(event, RunDone) for event in events):
            self._alone.pop(job.run.id, None)
        return events

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


def _was_crowded(worker: _Worker, event: object) -> bool:
    """Whether a worker's run lacked memory on a GPU that it shared with others."""
    lacked = isinstance(event, RunDone) and event.outcome.status == "out_of_memory"
    return lacked and worker.shared and worker.job is not None and worker.job.run.execution.device == "cuda"


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
