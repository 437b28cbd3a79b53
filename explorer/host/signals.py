"""SIGINT (Ctrl-C), SIGTERM and SIGHUP: the first one saves and ends the program, the second ends it at once.

A signal can arrive at any time. Usually it raises KeyboardInterrupt. Within `deferred` it is only recorded, and the
code there checks `requested` or calls `check` at places where nothing is lost by leaving. A time limit (`limited`) asks
in the same way, at those places alone, and raises `TimeOverError`.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

# Signals that ask a program to end: from a person, a batch system or shutdown, or a terminal that was closed.
_ASKING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
LONGEST_GOODBYE = 20.0  # seconds that worker processes have to save their state


class TimeOverError(KeyboardInterrupt):
    """The time that `limited` allows is over, or nothing more would end within it: work is left as by Ctrl-C."""


@dataclass
class _Signals:
    """The signals received since `watching` began, and whether they are only recorded. One instance per process.

    gentle  the process belongs to somebody else, as a notebook's does: a second signal does not end it
    end     the moment of `time.monotonic` at which the body's time is over
    """

    asked: list[int] = field(default_factory=list)
    deferred: bool = False
    gentle: bool = False
    end: float = float("inf")

    def note(self, number: int, *_: object) -> None:
        """Handle a signal: record it, then raise KeyboardInterrupt unless deferred; a second one ends all at once."""
        self.asked.append(number)
        if len(self.asked) > 1 and self.gentle:
            raise KeyboardInterrupt
        if len(self.asked) > 1:
            with suppress(OSError, ValueError):
                os.write(sys.stderr.fileno(), b"\nexplorer: left at once; what is recorded is whole\n")
            os._exit(128 + number)  # workers end by themselves when this process has gone
        if not self.deferred:
            raise KeyboardInterrupt


_signals = _Signals()


@contextmanager
def watching(gentle: bool = False) -> Iterator[None]:
    """Handle signals within the body: the first one asks the program to leave, the second one ends the process.

    If `gentle`, the second one only raises KeyboardInterrupt, at once, and none is remembered after the body. Signals
    that the parent process has set to be ignored, as nohup does, stay ignored.
    """
    before = {}
    with suppress(ValueError):  # only the main thread may handle signals
        before = {
            one: signal.signal(one, _signals.note) for one in _ASKING if signal.getsignal(one) is not signal.SIG_IGN
        }
    _signals.asked.clear()
    _signals.gentle = gentle
    try:
        yield
    finally:
        _signals.gentle = False
        if gentle:  # what else this process does was not asked to end
            _signals.asked.clear()
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Ask the body to leave after so many `seconds`, as a signal would, where it calls `requested` or `check`."""
    before = _signals.end
    _signals.end = min(before, time.monotonic() + seconds)
    try:
        yield
    finally:
        _signals.end = before


@contextmanager
def deferred() -> Iterator[None]:
    """Delay signals: within the body nothing is interrupted; at its end a received signal raises KeyboardInterrupt.

    A time that is over does not: whoever has stopped work for it raises `TimeOverError`.
    """
    _signals.deferred = True
    try:
        yield
    finally:
        _signals.deferred = False
    if _signals.asked:
        raise KeyboardInterrupt


def requested() -> bool:
    """Whether a signal has asked the program to end, or its time is over."""
    return bool(_signals.asked) or time_left() <= 0


def is_late() -> bool:
    """Whether the time that `limited` allows is over, and no signal has asked for the end before."""
    return not _signals.asked and time_left() <= 0


def time_left() -> float:
    """Seconds until the time that `limited` allows is over; infinite without a limit, below 0 after it."""
    return _signals.end - time.monotonic()


def check() -> None:
    """Raise KeyboardInterrupt if a signal has asked the program to end, TimeOverError if its time is over."""
    if is_late():
        raise TimeOverError
    if requested():
        raise KeyboardInterrupt


def ignore() -> None:
    """Ignore further signals while the program, which was asked to end, finishes its work."""
    for one in _ASKING:
        signal.signal(one, signal.SIG_IGN)


def exit_code() -> int:
    """The exit code that shells use for a program ended by the received signal: 128 + its number."""
    # Python notes a KeyboardInterrupt that leaves `exec` of a text, as every dataclass is made with, as unhandled even
    # if it is handled outside, and would end by SIGINT whatever the code; the next `exec` takes that note away.
    exec("")  # noqa: S102 - no words at all
    first = _signals.asked[0] if _signals.asked else signal.SIGINT
    _signals.asked.clear()
    return 128 + first
