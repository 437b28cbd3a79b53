"""Atomic file writes: a reader sees the old content or the new, and a crash loses neither."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a text file as `replaced` does."""
    with replaced(path) as partial:
        partial.write_text(text, newline="", encoding="utf-8")


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield a temporary path for the body to write: the file is made durable and takes the place of `path` at the end.

    A reader sees the old content or the new, never a part, and a crash loses neither.
    """
    # Two processes may write one file at once, or two threads: studies that run side by side all write the index.
    own = "" if threading.current_thread() is threading.main_thread() else f"-{threading.get_ident()}"
    partial = path.with_name(f".{path.name}.{os.getpid()}{own}.partial")
    try:
        with named(path):
            yield partial
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Make an OSError name the target file: writing names none, and replacing names the temporary file."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        del error.filename2  # else the message would end in `-> None`
        raise
