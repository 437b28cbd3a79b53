"""Keeps a study's page and the index up to date while the study runs, from a second process.

The process reads only what is on disk, and every table can be read while a row is being appended (see `record.table`).
It must not slow down training: it has low priority, draws only a page older than its record, and pauses for many times
the processor time of each drawing.
"""

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
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Literal, Self

from explorer.host.extensions import load_shared
from explorer.host.formatting import in_one_line
from explorer.host.spawning import start
from explorer.record.folder import LIVE_SECONDS, REPORTS, is_stale, now
from explorer.verbs.extend import homes

REST = 20.0  # pause after a drawing, in multiples of its time, so that drawing takes at most 5 % of the time
NICENESS = 10  # with a lower priority a drawing would take minutes while workers are busy
LONGEST_DRAWING = 60.0  # most seconds that a measurement waits for the end of a drawing
LAST_DRAWING = 5.0  # most seconds that an interrupted study waits for its last page; else the next start draws it
LAST = "last"  # the message that asks for the last page
LOG = "live.log"
_CONTEXT = multiprocessing.get_context("spawn")  # a fork would share threads and locks of its parent


@dataclass
class Live:
    """Keeps the page of a study up to date while the body of a `with` runs; afterwards nothing is drawn any more.

    If the body is interrupted, the page is drawn once more, unless that takes long, since no other code does it then.

    period  least seconds between two drawings, and before the first one
    rest    pause after a drawing, in multiples of its processor time
    begins  called when the body is entered
    images  `report.images` of the command
    """

    folder: Path
    period: float = LIVE_SECONDS
    rest: float = REST
    begins: Callable[[], object] = lambda: None
    images: bool | Literal["auto"] = "auto"
    _process: SpawnProcess | None = field(default=None, init=False)
    _pipe: Connection | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        self.begins()
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(
            target=_work, args=(theirs, self.folder, self.period, self.rest, self.images), daemon=True
        )
        try:
            start(process)
        except OSError:  # no memory for another process: the page is drawn at the end
            ours.close()
        else:
            self._process, self._pipe = process, ours
        theirs.close()
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        if self._process is None or self._pipe is None:
            return
        if kind is KeyboardInterrupt:
            with suppress(EOFError, OSError):
                self._pipe.send(LAST)
                self._pipe.poll(LAST_DRAWING)
        self._process.terminate()  # the code after the body draws the last page
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()
        self._process = self._pipe = None

    @contextmanager
    def still(self) -> Iterator[None]:
        """Draw nothing while the body runs, so that times can be measured; first waits for the end of a drawing."""
        held = self._say()
        try:
            yield
        finally:
            if held:
                self._say()

    def _say(self) -> bool:
        """Send a message and wait for the reply; a process that has died or takes too long is given up."""
        if self._pipe is None:
            return False
        with suppress(EOFError, OSError):
            self._pipe.send(None)
            if self._pipe.poll(LONGEST_DRAWING):
                self._pipe.recv()
                return True
        self.__exit__()
        return False


def _work(pipe: Connection, folder: Path, period: float, rest: float, images: bool | Literal["auto"] = "auto") -> None:
    """The body of the process. If the coordinator is killed it ends soon after, even in the middle of a drawing."""
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()
    load_shared(homes())
    try:
        keep_drawn(pipe, folder, period, rest, images)
    except SystemExit:
        os._exit(0)  # at low priority the interpreter's shutdown takes seconds, and there is nothing to clean up


def _leave_with(parent: int) -> None:
    """End this process by SIGTERM when its parent is gone, since a drawing does not watch the pipe.

    The handler of SIGTERM removes partial files, so that no half-written page is left.
    """
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


def keep_drawn(
    pipe: Connection, folder: Path, period: float, rest: float, images: bool | Literal["auto"] = "auto"
) -> None:
    """Draw a stale page, at most once every `period` seconds, until the other end of the pipe is closed.

    The pipe is also closed if the coordinator is killed. A message is answered, and nothing is drawn until the next
    message; `LAST` is answered only after a stale page has been drawn.
    """
    for one in (signal.SIGINT, signal.SIGHUP):  # they reach the whole group; the coordinator decides when to end
        signal.signal(one, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # raises SystemExit, so that partial files are removed
    os.nice(NICENESS)
    warnings.simplefilter("ignore")  # the terminal belongs to the study
    due = time.monotonic() + period
    with suppress(EOFError, OSError):
        while True:
            if pipe.poll(max(0.0, due - time.monotonic())):
                if pipe.recv() == LAST:
                    _draw_stale(folder, images)
                else:
                    pipe.send(None)
                    pipe.recv()
                pipe.send(None)
            else:
                busy = _draw_stale(folder, images)
                due = time.monotonic() + max(period, rest * busy)


def _draw_stale(folder: Path, images: bool | Literal["auto"] = "auto") -> float:
    """Draw the page if it is older than its record, and return the processor seconds that this took.

    An error must not harm the study: it is written as one line to `local/live.log`, and the page is drawn later.
    """
    began = time.process_time()
    try:
        if is_stale(REPORTS / f"{folder.name}.html", folder):
            from explorer.analysis.judging import open_study
            from explorer.report.drawing import draw
            from explorer.verbs.pictures import pictures_of

            study = open_study(folder)
            draw(study, None, pictures_of(study, images))
    except Exception as error:  # noqa: BLE001 - a page that cannot be drawn now must not harm the study
        with suppress(OSError):
            words = in_one_line(f"{type(error).__name__}: {error}")
            (folder / "local" / LOG).write_text(f"{now()} {words}\n", encoding="utf-8")
    return time.process_time() - began
