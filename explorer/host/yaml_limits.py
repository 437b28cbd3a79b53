"""Limits on files from other people: their kind, their size, and the types and number of values in them.

Reading a pipe may never end, and a sparse file can be larger than the memory. A small YAML file can describe a huge
tree: an alias repeats its anchor, and ten aliases of ten aliases of ten fill the memory.
"""

import json
import operator
import os
import stat
from dataclasses import MISSING, fields, is_dataclass
from io import BufferedReader
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import yaml

from explorer.host.errors import InputError

MOST_JSON = 2**26  # bytes
MOST_WHOLE = 2**53  # largest whole number in a file: floats represent all up to it exactly
MOST_BYTES = 2**20  # of a YAML file
MOST_VALUES = 100_000  # of a YAML file, aliases expanded
DEEPEST = 50
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", NoneType: "null"}


def opened(path: Path, most: int) -> BufferedReader:
    """Open a regular file of at most `most` bytes for reading, without waiting for anything else such as a pipe.

    Raises InputError for a larger file or another kind of one, OSError if it cannot be opened.
    """
    # Non-blocking, since opening a pipe without a writer would wait. The kind is checked on the opened descriptor: the
    # file behind a path may be exchanged between a check and the opening.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(descriptor, "rb") if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    if file is None:
        os.close(descriptor)
        raise InputError(f"{path}: is not a regular file")
    if (size := os.fstat(descriptor).st_size) > most:
        file.close()
        raise InputError(f"{path}: has {size:,} bytes; allowed are {most:,}")
    return file


def read_bytes(path: Path, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes. Raises as `opened` does."""
    with opened(path, most) as file:
        return file.read(most + 1)[:most]


def read_json(path: Path, most: int = MOST_JSON) -> Any:
    """The value in a JSON file of at most `most` bytes. Raises InputError for invalid content, OSError as `opened`."""
    try:
        return json.loads(read_bytes(path, most))
    except InputError:
        raise
    except (ValueError, RecursionError):  # not UTF-8, numbers of thousands of digits, nesting too deep
        raise InputError(f"{path}: is not a JSON object") from None


def misfit(value: Any, kind: Any, key: str) -> str:
    """Check a JSON value against a type: a message that names the key that does not fit, or "" if all fits.

    A type is one of JSON's own types, a list, tuple, dictionary, union or literal of types, or a dataclass or typed
    dictionary, whose fields are all checked; keys that it does not name are ignored. Numbers must be finite, and whole
    numbers at most `MOST_WHOLE`.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return ""
    if origin is Annotated:
        wrong = misfit(value, arguments[0], key)
        return wrong or next((f"{key} is {value}" for mark in arguments[1:] if is_beyond(value, mark)), "")
    if origin in (Union, UnionType):
        first = misfit(value, arguments[0], key)
        return first if first and all(misfit(value, option, key) for option in arguments[1:]) else ""
    if origin is Literal:
        return "" if value in arguments else f"{key} is none of {', '.join(map(str, arguments))}"
    if is_dataclass(kind) or is_typeddict(kind):
        return _misfit_of_fields(value, kind, key)
    if origin is dict:
        inside = value.items() if isinstance(value, dict) else None
        found = (misfit(item, arguments[1], f"{key}.{name}") for name, item in inside or ())
        return f"{key} is not an object" if inside is None else next(filter(None, found), "")
    if origin in (list, tuple):
        each = arguments if origin is tuple and arguments[-1] is not ... else None
        if not isinstance(value, (list, tuple)):
            return f"{key} is not a list"
        if each is not None and len(each) != len(value):
            return f"{key} is not a list of {len(each)}"
        kinds = each or [arguments[0]] * len(value)
        found = (
            misfit(item, own, f"{key}[{place}]") for place, (item, own) in enumerate(zip(value, kinds, strict=True))
        )
        return next(filter(None, found), "")
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and kind in (int, float) and (isinstance(value, int) or kind is float):
        return "" if -MOST_WHOLE <= value <= MOST_WHOLE else f"{key} is no number that can be"
    return "" if type(value) is kind else f"{key} is not {_WORDS[kind]}"


def is_beyond(value: float, mark: Any) -> bool:
    """Whether a number is outside the bounds (ge, gt, le, lt) of an annotation."""
    ends = {end: getattr(mark, end, None) for end in ("ge", "gt", "le", "lt")}
    inside = {"ge": operator.ge, "gt": operator.gt, "le": operator.le, "lt": operator.lt}
    return any(end is not None and not inside[name](value, end) for name, end in ends.items())


def _misfit_of_fields(value: Any, kind: Any, key: str) -> str:
    if not isinstance(value, dict):
        return f"{key} is not an object"
    hints = get_type_hints(kind, include_extras=True)
    needed = (
        kind.__required_keys__
        if is_typeddict(kind)
        else {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}
    )
    if missing := sorted(needed - {*value}):
        return f"{key}.{missing[0]} is missing"
    found = (misfit(value[name], own, f"{key}.{name}") for name, own in hints.items() if name in value)
    return next(filter(None, found), "")


def check_yaml(path: Path) -> bytes:
    """Check the limits of a YAML file from its parse events, before any value is built, and return its content.

    Raises InputError for a file beyond the limits, yaml.YAMLError for invalid YAML, OSError if it cannot be opened.
    """
    content = read_bytes(path, MOST_BYTES)
    sizes: dict[str | None, int] = {}
    nested: list[tuple[str | None, int]] = [(None, 0)]  # anchor and number of values of each open list or mapping
    for event in yaml.parse(content, Loader=_LOADER):
        size = 0
        if isinstance(event, yaml.CollectionStartEvent):
            nested.append((event.anchor, 0))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = nested.pop()
            if anchor is not None:
                sizes[anchor] = size
        elif isinstance(event, yaml.AliasEvent):
            size = sizes.get(event.anchor, 1)
            if event.anchor in [anchor for anchor, _ in nested]:
                raise InputError(f"{path}: {event.anchor} holds itself; write its values out")
        elif isinstance(event, yaml.ScalarEvent):
            size = 1
        nested[-1] = (nested[-1][0], nested[-1][1] + size)
        if len(nested) > DEEPEST or nested[-1][1] > MOST_VALUES:
            raise InputError(f"{path}: is nested too deeply or repeats too much; allowed are {MOST_VALUES:,} values")
    return content
