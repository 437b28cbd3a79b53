"""The terminal: text from files and records is shown on it and never obeyed by it."""

from typing import Any

from rich.console import Console
from rich.text import Text

from explorer.wording import printable


class PlainConsole(Console):
    """A console that shows control characters of a text as escapes, since an image's name could hold a command.

    Every string that is printed, alone or in a table, is rendered here first.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """A text for the terminal."""
        return super().render_str(printable(text), **options)
