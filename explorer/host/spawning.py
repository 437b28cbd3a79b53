"""Starts processes of this package from any program: a script without a main guard, a notebook, the command line."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from threading import Lock
from types import ModuleType

_LOCK = Lock()


def start(process: BaseProcess) -> None:
    """Start a spawned process that does not run the main program's file again.

    Python's spawn imports the program's main file in each new process, so that what is defined there can be unpickled.
    Nothing of ours is, and a script that runs a study at its top level would begin the study in every worker.
    """
    with _LOCK, _without_main():
        process.start()


@contextmanager
def _without_main() -> Iterator[None]:
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
