"""What a verb gives back: its exit code, and its result as plain data, which `--json` prints."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass
class Result:
    """The end of a verb that was carried out.

    data  gives the result: values that `explorer.host.json_document.plain` knows, or an iterator of them. It is called
          only where a program asked for JSON, and the verb prints what people read itself
    code  the exit code: 0, 1 for what the verb says is left, or `STOPPED`; read after `data` was, which may decide it
    """

    data: Callable[[], Any]
    code: int = 0


STOPPED = 3  # the exit code of a start whose time (`search.hours`) was over before all was done, as it was asked
AS_JSON = "--json"
_ON, _OFF = (AS_JSON, "json=true", "--json=true"), ("json=false", "--json=false")


def without_json(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """The words of a command without the one that asks for JSON, and whether one does; those after `--` are files."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    asked = [one in _ON for one in arguments[:end] if one in (*_ON, *_OFF)]
    words = [one for one in arguments[:end] if one not in (*_ON, *_OFF)]
    return [*words, *arguments[end:]], asked[-1:] == [True]
