"""Keeps trackers up to date while a study runs: each in a process of its own, at a low priority.

Such a process reads only what is on disk. Nothing waits for it but the end of a study, and that not for long: a tracker
that is down, slow or not installed is told of in one line, and written later from the record (`explorer track`).
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Protocol, Self

from explorer.host import signals
from explorer.host.commands import command_for
from explorer.host.extensions import Home, load_shared
from explorer.host.formatting import in_one_line
from explorer.host.spawning import start
from explorer.record.folder import CHECKS, CONFIG, Stamps, stamps_of
from explorer.search.trackers.content import TrackedStudy, tracked
from explorer.study import samplers
from explorer.study.settings import Tracker
from explorer.training.homes import HOMES

PERIOD_SECONDS = 5.0
REST = 20.0  # pause after a writing, in multiples of its processor time, so that it takes at most 5 % of the time
AGAIN_SECONDS = 15.0  # pause after an error
SILENT_SECONDS = 10.0  # that the end of a study waits for a process that says nothing and computes nothing
LONGEST_SECONDS = 60.0  # that the end of a study waits at most
LEAVING_SECONDS = 5.0  # the same, of a study that was asked to leave
NICENESS = 5  # with a lower priority importing a tracker's library would take minutes while workers are busy
LAST = "last"  # the message that asks for the last writing
PACKAGES: dict[Tracker, str] = {"mlflow": "mlflow", "wandb": "wandb", "tensorboard": "tensorboard"}
_CONTEXT = multiprocessing.get_context("spawn")
_LOGGER = logging.getLogger(__name__)


class Writer(Protocol):
    """Writes a study to one tracker."""

    @property
    def place(self) -> str:
        """Where it goes, as messages show it."""

    def write(self, study: TrackedStudy, wrote: Callable[[], object]) -> str:
        """Make the tracker equal to the study, and return what it is called there."""

    def forget(self) -> None:
        """Look at the tracker anew the next time, as after an error."""


def open_writer(tracker: Tracker, folder: Path) -> Writer:
    """The writer of a tracker. Raises ImportError if its library is missing."""
    from explorer.search.trackers.to_mlflow import Mlflow
    from explorer.search.trackers.to_tensorboard import TensorBoard
    from explorer.search.trackers.to_wandb import Wandb

    if tracker == "mlflow":
        return Mlflow()
    return Wandb(folder) if tracker == "wandb" else TensorBoard(folder)


def lacks(tracker: Tracker) -> str:
    """What is said of a tracker whose library is not installed; "" if it is."""
    if find_spec(PACKAGES[tracker]) is not None:
        return ""
    return f"{PACKAGES[tracker]} is not installed (pip install 'resnext-explorer[{tracker}]')"


def behind(folder: Path, tracker: Tracker) -> Path:
    """A file that exists while a tracker may lack something of a study."""
    return folder / "local" / f"{tracker}.behind"


def of_study(folder: Path) -> Path:
    """The folder of the study to which a folder belongs: its own, or that of the search whose final round it is."""
    return folder.parent.parent if folder.parent.name == CHECKS and (folder.parent.parent / CONFIG).exists() else folder


@dataclass
class Trackers:
    """Keeps the trackers of a study up to date while the body of a `with` runs, and once more at its end."""

    folder: Path
    trackers: tuple[Tracker, ...]
    period: float = PERIOD_SECONDS
    again: float = AGAIN_SECONDS
    _kept: list["_Kept"] = field(default_factory=list, init=False)

    def __enter__(self) -> Self:
        for tracker in self.trackers:
            with suppress(OSError):
                behind(self.folder, tracker).touch()
            if words := lacks(tracker):
                _LOGGER.warning("the tracker %s is left out: %s; %s", tracker, words, self._later(tracker))
                continue
            one = _Kept(self.folder, tracker, self.period, self.again)
            try:
                one.begin()
            except OSError as error:  # no memory for another process
                _LOGGER.warning("the tracker %s is left out: %s; %s", tracker, error.strerror, self._later(tracker))
            else:
                self._kept.append(one)
        return self

    def __exit__(self, *_: object) -> None:
        longest = LEAVING_SECONDS if signals.requested() else LONGEST_SECONDS
        until = time.monotonic() + longest
        for one in self._kept:
            one.ask_last()
        for one in self._kept:
            if not one.end(until):
                one.tell("late", f"is not up to date at the end; {self._later(one.tracker)}")
        self._kept.clear()

    @contextmanager
    def still(self) -> Iterator[None]:
        """Let nothing be written while the body runs, so that times can be measured."""
        for one in self._kept:
            one.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for one in self._kept:
                one.signal(signal.SIGCONT)

    def _later(self, tracker: Tracker) -> str:
        return f"{command_for('track', self.folder.name, tracker)} writes it from the record"


@dataclass
class _Kept:
    """The process of one tracker, and the thread that hears what it says."""

    folder: Path
    tracker: Tracker
    period: float
    again: float
    _process: SpawnProcess | None = None
    _pipe: Connection | None = None
    _heard: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)
    _is_done: bool = False
    _warned: set[str] = field(default_factory=set)

    def begin(self) -> None:
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(
            target=_work, args=(theirs, self.folder, self.tracker, self.period, self.again), daemon=True
        )
        try:
            start(process)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._process, self._pipe = process, ours
        threading.Thread(target=self._hear, args=(ours,), daemon=True).start()

    def _hear(self, pipe: Connection) -> None:
        with suppress(EOFError, OSError):
            while True:
                kind, words = pipe.recv()
                self._heard = time.monotonic()
                if kind == "done":
                    self._is_done = words
                    break
                if kind == "away":
                    self.tell(kind, words)
                elif kind == "tell":
                    self.tell(words, words)
        self._over.set()

    def tell(self, key: str, words: str) -> None:
        """Warn of something once; of what keeps it from being written, the first reason is enough."""
        if key not in self._warned:
            _LOGGER.warning("the tracker %s %s", self.tracker, words)
        self._warned.add(key)

    def ask_last(self) -> None:
        """Ask for the last writing, after which the process ends."""
        self._heard = time.monotonic()
        with suppress(OSError):
            assert self._pipe is not None
            self._pipe.send(LAST)

    def end(self, until: float) -> bool:
        """Wait for the last writing, end the process, and return whether the tracker is up to date."""
        assert self._process is not None
        assert self._pipe is not None
        used = 0
        while not self._over.wait(0.05):
            now, before = time.monotonic(), used
            if (used := _ticks(self._process.pid)) > before:
                self._heard = now
            if now > until or now - self._heard > SILENT_SECONDS:
                break
        self._process.terminate()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._over.wait(1)  # the thread has read what the process said
        self._pipe.close()
        if self._is_done:
            with suppress(OSError):
                behind(self.folder, self.tracker).unlink(missing_ok=True)
        return self._is_done

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it still runs."""
        with suppress(OSError):
            if self._process is not None and self._process.pid is not None and self._process.is_alive():
                os.kill(self._process.pid, number)


def _ticks(pid: int | None) -> int:
    """Processor time that a process has used, in ticks; 0 where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    except (OSError, ValueError, IndexError):
        return 0


def _work(pipe: Connection, folder: Path, tracker: Tracker, period: float, again: float) -> None:
    """The body of the process. If the coordinator is killed it ends soon after, even in the middle of a writing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the coordinator decides when to end
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()
    os.nice(NICENESS)
    load_shared({**HOMES, "SAMPLERS": Home(samplers.ADDED, samplers.check)})
    warnings.simplefilter("ignore")
    with suppress(OSError):  # the terminal belongs to the study
        log = os.open(folder / "local" / f"{tracker}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
    with suppress(EOFError, OSError):
        keep(pipe, folder, tracker, period, again)
    sys.stdout.flush()
    os._exit(0)  # libraries of trackers wait for their servers when the interpreter shuts down


def _leave_with(parent: int) -> None:
    """End this process when its parent is gone; what was being written is written anew by the next start."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


def keep(pipe: Any, folder: Path, tracker: Tracker, period: float, again: float) -> None:
    """Write what changes to a tracker, at most once every `period` seconds, until asked for the last time.

    After an error it is tried again after `again` seconds.

    What is sent through the pipe: ("away", words) of an error, ("tell", words) of anything else a person should know,
    ("wrote", None) as a sign of life, and at the end ("done", whether it is up to date).
    """

    def say(kind: str, words: object = None) -> None:
        pipe.send((kind, words))

    writer: Writer | None = None
    seen: Stamps | None = None
    due = time.monotonic()
    while True:
        is_last = pipe.poll(max(0.0, due - time.monotonic()))
        if is_last:
            pipe.recv()
        pause = period
        try:
            if writer is None:
                writer = open_writer(tracker, folder)
                say("wrote")
            now, began = stamps_of(folder), time.process_time()
            if is_last or seen is None or now.files != seen.files:
                _write(writer, folder, say)
                seen = now
            pause = max(period, REST * (time.process_time() - began))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the tracker, the study goes on
            if writer is not None:
                writer.forget()
            seen, pause = None, again
            say("away", f"cannot be written now: {writer.place if writer else tracker}: {reason(error)}")
        if is_last:
            say("done", seen is not None)
            return
        due = time.monotonic() + pause


def _write(writer: Writer, folder: Path, say: Callable[..., None]) -> None:
    from explorer.analysis.judging import open_study

    study = tracked(open_study(folder))
    say("wrote")
    name = writer.write(study, lambda: say("wrote"))
    if name != study.name:
        say("tell", f"has a study {study.name} of somebody else; this one is called {name} there")


def reason(error: BaseException) -> str:
    """An error of a library in one line, by its innermost cause that says something in words.

    One word, as of a KeyError, says something only to who knows where it was raised.
    """
    chain = [error]
    while (cause := _cause(chain[-1])) is not None and cause not in chain:
        chain.append(cause)
    said = [one for one in chain if str(one).strip()]
    return in_one_line(next((one for one in reversed(said) if " " in str(one)), said[0] if said else error))


def _cause(error: BaseException) -> BaseException | None:
    """What an error was raised from, or while; None where that is not to be told."""
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)
