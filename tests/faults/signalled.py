"""A whole command with a moment at which somebody signals: python -m tests.faults.signalled PHASE ARGUMENT...

It makes the file `here` when it has come to the phase, and stays there for a second.
"""

import os
import signal
import sys
from typing import Any

from explorer.__main__ import console
from explorer.engine import local
from explorer.record import table
from explorer.report import drawing
from tests.faults import hooks

IN_WORKERS = {"training", "evaluation", "saving"}


def stay(owner: Any, name: str) -> None:
    """Come to the phase where a function is called for the first time."""
    original = getattr(owner, name)

    def hooked(*arguments: Any, **options: Any) -> Any:
        if not hooks.HERE.exists():
            hooks.here(1.0)
        return original(*arguments, **options)

    setattr(owner, name, hooked)


def run(phase: str) -> None:
    """The command of the arguments that are left."""
    # A shell that starts the tests in the background has them ignore it, and a child inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["FAULT"] = phase if phase in IN_WORKERS else "none"
    local.work = hooks.work  # type: ignore[attr-defined]
    match phase:
        case "start":
            stay(local.LocalEngine, "ask")
        case "recording":
            stay(table, "append")
        case "report":
            stay(drawing, "draw")
    console()


if __name__ == "__main__":
    run(sys.argv.pop(1))
