"""Messages between the coordinator and the jobs of a cluster, in files: one line of JSON each, in the order written.

A line is read only once its line break is there, so a half-written message is never read. Nothing is unpickled.
"""

import json
import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from pydantic import ConfigDict, TypeAdapter

from explorer.host.errors import StudyStoppedError
from explorer.host.formatting import in_one_line
from explorer.study.job import Answer, Event, Job, Placement, Question


@dataclass(frozen=True)
class Hello:
    """A job of the cluster has begun; `life` counts its starts: above 1 the cluster has put it back into the queue."""

    life: int


@dataclass(frozen=True)
class Asked:
    """A question, sent to `workers` processes of one job at once."""

    question: Question
    workers: int


@dataclass(frozen=True)
class Goodbye:
    """A job of the cluster has saved its runs and ends, for the reason given."""

    why: str


_KINDS = {kind.__name__: kind for kind in (Job, Placement, Asked, Hello, Goodbye, *get_args(Event), *get_args(Answer))}
_CONFIG = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants")


def written(message: Any) -> str:
    """A message as one line of JSON."""
    kind: Any = type(message)
    content = _adapter(kind).dump_json((message,)).decode()
    return f'{{"kind": "{kind.__name__}", "content": {content}}}\n'


def understood(line: str) -> Any:
    """Read a message from its line. Raises ValueError for a line that is not a message."""
    found = json.loads(line)
    kind = _KINDS.get(found["kind"])
    if kind is None:
        raise ValueError(f"no message is of kind {found['kind']}")
    return _adapter(kind).validate_python(found["content"], strict=False)[0]


@lru_cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(tuple[kind], config=_CONFIG)


@dataclass
class Box:
    """A file of messages: one side appends, the other reads what is new."""

    path: Path
    _read: int = 0
    _rest: bytes = field(default=b"")

    def put(self, message: Any) -> None:
        """Append a message and force it to disk: the reader may be another machine."""
        with self.path.open("ab") as file:
            file.write(written(message).encode())
            file.flush()
            os.fsync(file.fileno())

    def take(self) -> list[Any]:
        """The messages since the last call. Raises StudyStoppedError for a line that is not a message."""
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
            raise StudyStoppedError(
                f"{self.path}: a line is damaged ({in_one_line(error)}); start the study again"
            ) from None
