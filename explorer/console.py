"""The terminal: text from files and records is shown on it and never obeyed by it."""

import os
from typing import Any

from rich.console import Console
from rich.text import Text

from explorer.wording import printable


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
        """A text for the terminal."""
        return super().render_str(printable(text), **options)
