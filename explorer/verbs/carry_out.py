"""Carries out a command for a person: every error becomes one line and an exit code."""

import codecs
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from explorer.host import signals
from explorer.host.commands import program_here
from explorer.host.console import PLAIN, PlainConsole, open_console, spare_letters
from explorer.host.errors import InputError, StudyStoppedError
from explorer.host.formatting import one_line, without_passwords
from explorer.host.json_document import Document, document
from explorer.verbs.result import AS_JSON, Result
from explorer.verbs.table import verb_of

if TYPE_CHECKING:
    from rich.console import Console

UTF8 = "say PYTHONUTF8=1 before the command, or set a locale of UTF-8"
# The state that each verb leaves when it is interrupted; printed before the command that continues or repeats it.
NOTHING_KEPT = "Nothing was to be kept; start again with"
KEPT = {
    "run": "Everything done so far is kept; continue with",
    "challenge": "Everything done so far is kept; continue with",
    "fork": "Everything done so far is kept; continue with",
    "report": "The record is as it was; draw the page with",
    "pool": "The records are as they were; draw the page with",
    "tabulate": "The record is as it was, and the table may lack files; write it with",
    "export": "Files may be missing or not whole; write them with",
    "track": "The record is as it was; write the rest with",
    "push": "What was uploaded is whole; upload the rest with",
    "doctor": "Repairs that were made are kept; see what is left with",
    "move": "The record is whole, and the new database may not be; finish it with",
}


def carried_out(
    work: "Callable[[Console], int | Result]", arguments: list[str], program: str = "explorer", *, as_json: bool = False
) -> int:
    """Run `work`, the body of a command of `explorer` or `python -m PROGRAM`, with a console, and return the exit code.

    The code is what `work` returns, 0, 1 or `STOPPED`; 1 if a study stopped, 2 for input or files that cannot be used,
    128 plus the signal if a signal stopped it. `arguments` are the command's words; passwords in them are never shown.

    With `as_json` the result, or an `error` in its place, is one JSON document on standard output, and what people read
    goes to standard error.
    """
    spare_letters()
    if not as_json:
        return _carried_out(work, arguments, program, open_console(), None)
    with document() as out:
        return _carried_out(work, [*arguments, AS_JSON], program, open_console(aside=True), out)


def _carried_out(
    work: "Callable[[Console], int | Result]",
    arguments: list[str],
    program: str,
    console: "Console",
    out: Document | None,
) -> int:
    errors = PlainConsole(stderr=True)

    def complain(line: str, *more: str, data: Mapping[str, Any] | None = None) -> None:
        hidden = [without_passwords(one, arguments) for one in (line, *more)]
        with suppress(OSError):  # the reader has closed the pipe
            for one in (f"{program}: {hidden[0]}", *hidden[1:]):
                errors.print(one, **PLAIN)
        if out is not None:
            with suppress(OSError):
                out.fail({**(data or {}), "error": hidden[0], **({"more": hidden[1:]} if more else {})})

    try:
        with signals.watching():
            result = work(console)
            if isinstance(result, int):
                return result
            if out is not None:
                out.write(result.data())
            return result.code
    except InputError as error:
        complain(str(error), *error.more)
        return 2
    except StudyStoppedError as error:
        complain(str(error), data=error.data() if out is not None and error.data else None)
        return 1
    except OSError as error:
        if error.filename is None:
            raise
        complain(one_line(f"{error.filename}: {error.strerror}"))
        return 2
    except UnicodeEncodeError as error:  # a file name with characters that the locale cannot encode
        complain(one_line(f"{error.object}: cannot be said in {error.encoding}; {UTF8}"))
        return 2
    except KeyboardInterrupt:
        command = f"{program_here(program)} {shlex.join(arguments)}"
        words = f"Interrupted. {KEPT.get(verb_of(arguments), NOTHING_KEPT)}: {command}"
        with suppress(OSError):
            errors.print(f"\n{without_passwords(words, arguments)}", **PLAIN)
        if out is not None:
            with suppress(OSError):
                out.fail({"error": without_passwords(words, arguments)})
        return signals.exit_code()


def leave_ascii() -> None:
    """Restart the command in Python's UTF-8 mode if the locale is ASCII only, as with `PYTHONUTF8=0 LC_ALL=C`.

    In ASCII no file with another character in its name could be opened. Printed text stays in the locale's encoding.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name != "ascii" or os.environ.get("PYTHONUTF8") == "1":
        return
    os.environ.setdefault("PYTHONIOENCODING", getattr(sys.stdout, "encoding", "ascii"))
    os.environ["PYTHONUTF8"] = "1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - this very command
