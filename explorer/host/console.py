"""The terminal: control characters in text from files and records are displayed and never executed."""

import io
import os
import sys
from textwrap import fill
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.text import Text

from explorer.host.formatting import UNBROKEN, printable, unbroken


def spare_letters() -> None:
    """Show characters that the terminal's encoding cannot write as escapes, where Python would raise an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")


class PlainConsole(Console):
    """A console that prints control characters as escapes, since a file name could contain a terminal command.

    Every string that is printed, alone or in a table, is rendered here first, and none is read as the name of an emoji:
    `latency:5:` is what somebody typed.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"emoji": False, **options})

    def print(self, *objects: Any, **options: Any) -> None:
        """Print. If the stream cannot be written, as on a full disk, raises OSError naming it and discards the rest."""
        try:
            super().print(*objects, **options)
        except OSError as error:
            if error.filename is None:
                error.filename = f"standard {'error' if self.stderr else 'output'}"
                # Python would try to write the buffered rest when the process ends, and fail again.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())
            raise

    def render_str(self, text: str, **options: Any) -> Text:
        r"""A text for the terminal; characters that its encoding lacks become escapes: `\xf6` on an ASCII terminal."""
        shown = printable(text).encode(self.encoding, "backslashreplace").decode(self.encoding)
        return super().render_str(shown, **options)

    def status(self, status: Any, *, spinner: str = "dots", **options: Any) -> Status:
        """A line with a spinner while something lasts, in characters that the terminal can show."""
        return super().status(status, spinner="line" if self.options.ascii_only else spinner, **options)


_WHOLE: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False, "replace_whitespace": False}


def open_console(quiet: bool = False, aside: bool = False) -> PlainConsole:
    """The console of a command: away from a terminal there is no width to keep to, and rich would fold tables at 80.

    With `aside` it is standard error, since the result goes to standard output as JSON.
    """
    stream = sys.stderr if aside else sys.stdout
    is_terminal = stream is not None and stream.isatty()
    width = None if is_terminal or "COLUMNS" in os.environ else 120
    return PlainConsole(width=width, quiet=quiet, stderr=aside)


def is_aside(console: Console) -> bool:
    """Whether what is printed is beside the result, which a program reads as JSON."""
    return console.stderr


PLAIN: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": True}


def say(console: Console, words: str, *, indent: int = 0, style: str = "") -> None:
    """Print a sentence or more: on a terminal broken between words, elsewhere each line whole, for whatever reads it.

    A number stays with its unit, and a name in one piece. Further lines of a paragraph begin after `indent` spaces.
    Commands and file contents are printed `PLAIN` instead, since a terminal's own line breaks are left out when they
    are copied.
    """
    if console.is_terminal:
        room = max(console.width, 20)
        lines = (fill(line, room, subsequent_indent=" " * indent, **_WHOLE) for line in unbroken(words).split("\n"))
        words = "\n".join(lines).replace(UNBROKEN, " ")
    console.print(words, **PLAIN, style=style)
