"""What coordinator and jobs of a cluster say to each other through files: one line of JSON each, in the order written.

A line is read when its end is there, so one that is being written is no half of a word. Nothing is unpickled.
"""

import json
import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from pydantic import ConfigDict, TypeAdapter

from explorer.host.errors import StudyStoppedError
from explorer.study.job import Answer, Event, Job, Placement, Question


@dataclass(frozen=True)
class Hello:
    """A job of the cluster has begun, for the `life`-th time; it was requeued before, where that is not the first."""

    life: int


@dataclass(frozen=True)
class Asked:
    """A question, put to so many processes of one job at once."""

    question: Question
    workers: int


@dataclass(frozen=True)
class Goodbye:
    """A job of the cluster has saved what it had and leaves, for the reason given."""

    why: str


_KINDS = {kind.__name__: kind for kind in (Job, Placement, Asked, Hello, Goodbye, *get_args(Event), *get_args(Answer))}
_CONFIG = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants")


def written(letter: Any) -> str:
    """A letter as one line."""
    kind: Any = type(letter)
    content = _adapter(kind).dump_json((letter,)).decode()
    return f'{{"kind": "{kind.__name__}", "content": {content}}}\n'


def understood(line: str) -> Any:
    """The letter of a line. Raises ValueError for one that is none."""
    found = json.loads(line)
    kind = _KINDS.get(found["kind"])
    if kind is None:
        raise ValueError(f"no letter is of kind {found['kind']}")
    return _adapter(kind).validate_python(found["content"], strict=False)[0]


@lru_cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(tuple[kind], config=_CONFIG)


@dataclass
class Box:
    """A file of letters, to which one side appends and from which the other reads on."""

    path: Path
    _read: int = 0
    _rest: bytes = field(default=b"")

    def put(self, letter: Any) -> None:
        """Append a letter and have it written at once: the reader may be another machine."""
        with self.path.open("ab") as file:
            file.write(written(letter).encode())
            file.flush()
            os.fsync(file.fileno())

    def take(self) -> list[Any]:
        """The letters that have come since the last call. Raises StudyStoppedError for a line that is none."""
        try:
            if self.path.stat().st_size == self._read:
                return []
            with self.path.open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except OSError:
            return []
        self._read += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        try:
            return [understood(line.decode()) for line in lines]
        except (ValueError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())[:100]
            raise StudyStoppedError(f"{self.path}: a line is damaged ({reason}); start the study again") from None
