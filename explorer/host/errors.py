"""The exceptions a person is meant to read."""


class InputError(ValueError):
    """Something a person gave cannot be used: one line saying what, where, and what is allowed.

    `more` are lines below it, where it is about a list. The entry prints it without a traceback and exits with 2.
    """

    def __init__(self, line: str, *more: str) -> None:
        super().__init__(line)
        self.more = more


class StudyStoppedError(Exception):
    """A study could not finish, through no fault of what was typed: one line saying why. Exit code 1."""
