"""While a study runs, a process beside it keeps its page and the index up to date.

The process reads only what is on the disk, and every table can be read while a row is being appended (see `table`). It
steps back behind the training: it is of low priority, draws only what the record has outgrown, and rests many times as
long as it was busy.
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
from typing import Self

from explorer.record.folder import LIVE_SECONDS, REPORTS, is_stale, now

REST = 20.0  # so that drawing takes at most 5 % of the time
NICENESS = 10  # lower, and a drawing beside busy workers would take minutes
LONGEST_DRAWING = 60.0  # seconds that a measurement waits for the end of a drawing
LAST_DRAWING = 5.0  # seconds that an interrupted study waits for its last page; the next start draws it otherwise
LAST = "last"  # the word that asks for it
LOG = "live.log"
_CONTEXT = multiprocessing.get_context("spawn")  # a fork would share the threads and locks of whoever starts it


@dataclass
class Live:
    """Keeps the page of a study up to date while the body of a `with` runs; afterwards nothing is drawn any more.

    Where the body is interrupted the page is drawn once more, if that does not take long, since nobody else does it.

    period  least seconds between two drawings, and before the first one
    rest    times the processor time of a drawing for which nothing is drawn after it
    begins  is called when the body is entered
    """

    folder: Path
    period: float = LIVE_SECONDS
    rest: float = REST
    begins: Callable[[], object] = lambda: None
    _process: SpawnProcess | None = field(default=None, init=False)
    _pipe: Connection | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        self.begins()
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=_work, args=(theirs, self.folder, self.period, self.rest), daemon=True)
        try:
            process.start()
        except OSError:  # without memory for one more process the study goes on, and its page comes at the end
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
        self._process.terminate()  # whoever goes on draws the last page
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()
        self._process = self._pipe = None

    @contextmanager
    def still(self) -> Iterator[None]:
        """Nothing is drawn while the body runs, so that times can be measured in it; waits for the end of a drawing."""
        held = self._say()
        try:
            yield
        finally:
            if held:
                self._say()

    def _say(self) -> bool:
        """Say a word and wait for the answer; a process that has died or takes too long is given up."""
        if self._pipe is None:
            return False
        with suppress(EOFError, OSError):
            self._pipe.send(None)
            if self._pipe.poll(LONGEST_DRAWING):
                self._pipe.recv()
                return True
        self.__exit__()
        return False


def _work(pipe: Connection, folder: Path, period: float, rest: float) -> None:
    """What the process does. It ends soon after a coordinator that was killed, also in the middle of a drawing."""
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()
    try:
        keep_drawn(pipe, folder, period, rest)
    except SystemExit:
        os._exit(0)  # an interpreter of low priority takes seconds to tidy up, and there is nothing to tidy


def _leave_with(parent: int) -> None:
    """A drawing does not look at the pipe. It is ended as by the coordinator, so that no half of a page is left."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


def keep_drawn(pipe: Connection, folder: Path, period: float, rest: float) -> None:
    """Draw what is stale, at most once in so many seconds, until the other end of the pipe is closed.

    That is also how it ends where the coordinator was killed. A word in the pipe is answered, and nothing is drawn from
    there to the next word; but for `LAST`, which is answered when what is stale then has been drawn.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the coordinator decides what ends
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # which lets a file that is being written be cleaned up
    os.nice(NICENESS)
    warnings.simplefilter("ignore")  # the terminal belongs to the study
    due = time.monotonic() + period
    with suppress(EOFError, OSError):
        while True:
            if pipe.poll(max(0.0, due - time.monotonic())):
                if pipe.recv() == LAST:
                    _draw_stale(folder)
                else:
                    pipe.send(None)
                    pipe.recv()
                pipe.send(None)
            else:
                busy = _draw_stale(folder)
                due = time.monotonic() + max(period, rest * busy)


def _draw_stale(folder: Path) -> float:
    """Draw the page if it is older than its record. Gives seconds of processor time, which the training had not.

    Whatever goes wrong harms nobody: it leaves one line in the study's `local/live.log`, and the page waits.
    """
    began = time.process_time()
    try:
        if is_stale(REPORTS / f"{folder.name}.html", folder):
            from explorer.analysis.judging import open_study
            from explorer.report.drawing import draw

            draw(open_study(folder))
    except Exception as error:  # noqa: BLE001 - a page that cannot be drawn now must not harm the study
        with suppress(OSError):
            words = " ".join(f"{type(error).__name__}: {error}".split())
            (folder / "local" / LOG).write_text(f"{now()} {words}\n", encoding="utf-8")
    return time.process_time() - began
