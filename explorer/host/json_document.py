"""One JSON document on standard output, for a program that reads it, and nothing beside it."""

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import asdict, is_dataclass
from pathlib import PurePath
from typing import Any, TextIO


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers of numpy as Python's, dataclasses as mappings, NaN and infinity as null."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, PurePath):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # arrays and scalars of numpy, which are not imported here
        return plain(value.tolist())
    return [plain(item) for item in value]


def written(value: Any, encoding: str = "utf-8", *, indent: int | None = 2) -> str:
    """A value as JSON text in which letters stay as they are, where the encoding has them and a terminal shows them."""
    text = json.dumps(plain(value), ensure_ascii=False, indent=indent, allow_nan=False)
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(letter if _is_shown(letter, encoding) else json.dumps(letter)[1:-1] for letter in text)


def _is_shown(letter: str, encoding: str) -> bool:
    """Whether a letter can stand in the text as it is: not a control character, nor one that the encoding lacks."""
    if letter in "\n " or (letter.isascii() and letter.isprintable()):
        return True
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return letter.isprintable()


class Document:
    """The one document that a command writes; an iterator is written item by item as a list, as it gives them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._in_list = self._written = False

    def write(self, value: Any) -> None:
        """Write the document. Raises OSError naming standard output if it cannot be written, as on a full disk."""
        if not isinstance(value, Iterator):
            self._put(self._text(value) + "\n")
            self._written = True
            return
        begin = "[\n "
        for item in value:
            self._put(begin + self._text(item, indent=None))
            self._in_list, begin = True, ",\n "
        self._put("\n]\n" if self._in_list else "[]\n")
        self._in_list, self._written = False, True

    def fail(self, error: Mapping[str, Any]) -> None:
        """Write what went wrong: as the document or, where a list is begun, as its last item."""
        if self._in_list:
            self._put(",\n " + self._text(error, indent=None) + "\n]\n")
        elif not self._written:
            self._put(self._text(error) + "\n")
        self._in_list, self._written = False, True

    def _text(self, value: Any, *, indent: int | None = 2) -> str:
        return written(value, getattr(self._stream, "encoding", None) or "utf-8", indent=indent)

    def _put(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError as error:
            if error.filename is None:
                error.filename = "standard output"
                self._written = True  # nothing more can be
                # Python would try to write the buffered rest when the stream is closed, and fail again.
                with suppress(OSError, ValueError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            raise


@contextmanager
def document() -> Iterator[Document]:
    """Standard output for one document alone.

    Whatever else would be written there meanwhile goes to standard error: by this process, by a library in C and by
    processes that it starts.
    """
    with ExitStack() as stack:
        stream = sys.stdout
        with suppress(OSError, ValueError):  # a stream without a file, as in a test, or one that is closed
            if stream.fileno() == 1:
                stream.flush()
                kept = os.dup(1)
                os.dup2(2, 1)
                stream = stack.enter_context(open(kept, "w", encoding=stream.encoding))  # noqa: PTH123 - a descriptor
                stack.callback(os.dup2, kept, 1)
        stack.enter_context(redirect_stdout(sys.stderr))
        yield Document(stream)
