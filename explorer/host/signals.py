"""Ctrl-C and its kin: once saves and leaves, twice leaves at once.

A signal can arrive anywhere. Where that is harmless it becomes a KeyboardInterrupt; within `deferred` it is only noted,
and whoever is inside looks at `requested` or calls `check` where leaving loses nothing.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

# What asks a program to end: a person, a batch system or a shutdown, a terminal that was closed.
_ASKING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
LONGEST_GOODBYE = 20.0  # seconds that those who work for us have to save what they are doing


@dataclass
class _Signals:
    """Those that have come since `watching` began, and whether they are only noted; a process has one such state."""

    asked: list[int] = field(default_factory=list)
    deferred: bool = False

    def note(self, number: int, *_: object) -> None:
        """What a signal does."""
        self.asked.append(number)
        if len(self.asked) > 1:
            with suppress(OSError, ValueError):
                os.write(sys.stderr.fileno(), b"\nexplorer: left at once; what is recorded is whole\n")
            os._exit(128 + number)  # workers end by themselves where nobody is left to work for
        if not self.deferred:
            raise KeyboardInterrupt


_signals = _Signals()


@contextmanager
def watching() -> Iterator[None]:
    """Within the body a first signal asks to leave and a second one ends the process.

    Signals that whoever started the program has them ignore, as nohup does, stay ignored.
    """
    before = {}
    with suppress(ValueError):  # not the main thread: signals are somebody else's
        before = {
            one: signal.signal(one, _signals.note) for one in _ASKING if signal.getsignal(one) is not signal.SIG_IGN
        }
    _signals.asked.clear()
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def deferred() -> Iterator[None]:
    """Within the body a signal interrupts nothing; when it has ended, one that came becomes a KeyboardInterrupt."""
    _signals.deferred = True
    try:
        yield
    finally:
        _signals.deferred = False
    check()


def requested() -> bool:
    """Whether somebody has asked the program to leave."""
    return bool(_signals.asked)


def check() -> None:
    """Raise KeyboardInterrupt if somebody has asked the program to leave."""
    if _signals.asked:
        raise KeyboardInterrupt


def ignore() -> None:
    """For the last moments of a program that is leaving as it was asked to."""
    for one in _ASKING:
        signal.signal(one, signal.SIG_IGN)


def exit_code() -> int:
    """What a shell expects of a program that was ended by the signal that came."""
    first = _signals.asked[0] if _signals.asked else signal.SIGINT
    _signals.asked.clear()
    return 128 + first
