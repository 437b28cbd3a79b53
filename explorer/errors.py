"""The exceptions a person is meant to read."""


class InputError(ValueError):
    """Something a person gave cannot be used: one line saying what, where, and what is allowed.

    The entry prints it without a traceback and exits with 2.
    """


class StudyStoppedError(Exception):
    """A study could not finish, through no fault of what was typed: one line saying why. Exit code 1."""
