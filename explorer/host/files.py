"""Atomic file writes: a reader sees the old content or the new, and a crash loses neither."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old content or the new, never a part, and a crash loses neither."""
    # Two processes may write one file at once: studies that run side by side all write the index.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with _named(path), partial.open("w", newline="", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Make an OSError name the target file: writing names none, and replacing names the temporary file."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise
