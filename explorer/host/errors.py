"""Exceptions whose messages are shown to the user without a traceback."""

from collections.abc import Callable, Mapping
from typing import Any


class InputError(ValueError):
    """Input from the user cannot be used: one line that says what is wrong, where, and what is allowed.

    `more` are further lines, such as a list of differences. The command line prints them all and exits with code 2.
    """

    def __init__(self, line: str, *more: str) -> None:
        super().__init__(line)
        self.more = more


class StudyStoppedError(Exception):
    """A study could not finish for a reason that is not in the user's input: one line that says why. Exit code 1.

    `data` gives what there is of its result all the same, for a program that asked for JSON; None for nothing.
    """

    def __init__(self, line: str, data: Callable[[], Mapping[str, Any]] | None = None) -> None:
        super().__init__(line)
        self.data = data
