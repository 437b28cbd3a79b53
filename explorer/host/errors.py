"""Exceptions whose messages are shown to the user without a traceback."""

from collections.abc import Callable, Mapping
from typing import Any

from explorer.host.formatting import one_line


class InputError(ValueError):
    """Input from the user cannot be used: one line that says what is wrong, where, and what is allowed.

    `more` are further lines, such as a list of differences. The command line prints them all and exits with code 2; a
    traceback shows them below the first one, and a notebook shows the lines alone.
    """

    def __init__(self, line: str, *more: str) -> None:
        super().__init__(one_line(line))
        self.more = more
        for one in more:
            self.add_note(one)

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback."""
        return [f"{type(self).__name__}: {self}", *self.more]


class StudyStoppedError(Exception):
    """A study could not finish for a reason that is not in the user's input: one line that says why. Exit code 1.

    `data` gives what there is of its result all the same, for a program that asked for JSON; None for nothing.
    """

    def __init__(self, line: str, data: Callable[[], Mapping[str, Any]] | None = None) -> None:
        super().__init__(one_line(line))
        self.data = data

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]
