"""The terminal: text from files and records is shown on it and never obeyed by it."""

import os
import sys
from typing import TYPE_CHECKING, Any

from explorer.host.formatting import printable

if TYPE_CHECKING:
    from rich.console import Console


import io

from rich.console import Console
from rich.status import Status
from rich.text import Text


def spare_letters() -> None:
    """Let what the terminal's encoding cannot write be shown as an escape, where it would be a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")


class PlainConsole(Console):
    """A console that shows control characters of a text as escapes, since an image's name could hold a command.

    Every string that is printed, alone or in a table, is rendered here first.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        """Print. Raises OSError that names the stream where it takes nothing, as on a full disk, and gives it up."""
        try:
            super().print(*objects, **options)
        except OSError as error:
            if error.filename is None:
                error.filename = f"standard {'error' if self.stderr else 'output'}"
                # What is left of it would be written at the end of the process, and fail again.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())
            raise

    def render_str(self, text: str, **options: Any) -> Text:
        r"""A text for the terminal; letters that it cannot show are escapes as well, as `\xf6` where it is of ASCII."""
        shown = printable(text).encode(self.encoding, "backslashreplace").decode(self.encoding)
        return super().render_str(shown, **options)

    def status(self, status: Any, *, spinner: str = "dots", **options: Any) -> Status:
        """A line that moves while something lasts, in letters that the terminal can show."""
        return super().status(status, spinner="line" if self.options.ascii_only else spinner, **options)


PLAIN: "dict[str, Any]" = {"markup": False, "highlight": False, "soft_wrap": True}
