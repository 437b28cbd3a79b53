"""Files that may come from others are held to limits: what they are, how large they are, and what stands in them.

A pipe is waited for without end, and a file of holes can be larger than the memory. Of YAML a small file can become a
huge tree: an alias repeats what its anchor names, and ten aliases of ten aliases of ten fill the memory.
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
MOST_WHOLE = 2**53  # of whole numbers in files; floats hold all until there
MOST_BYTES = 2**20  # of YAML
MOST_VALUES = 100_000  # with what aliases repeat
DEEPEST = 50
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", NoneType: "null"}


def opened(path: Path, most: int) -> BufferedReader:
    """A regular file of at most so many bytes, open for reading; nothing else is read of or waited for.

    Raises InputError for another, OSError for one out of reach.
    """
    # A pipe without a writer would not open otherwise, and what is looked at by its name may be exchanged after that.
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
    """The content of such a file."""
    with opened(path, most) as file:
        return file.read(most + 1)[:most]


def read_json(path: Path, most: int = MOST_JSON) -> Any:
    """What such a file of JSON holds. Raises InputError for one that is none, OSError for one out of reach."""
    try:
        return json.loads(read_bytes(path, most))
    except InputError:
        raise
    except (ValueError, RecursionError):  # no UTF-8, a number of thousands of digits, nested without end
        raise InputError(f"{path}: is not a JSON object") from None


def misfit(value: Any, kind: Any, key: str) -> str:
    """What of a value of JSON is not of a type, in words that name the key; empty where all is.

    A type is one of JSON's own, a list, tuple, dictionary, union or literal of types, or a dataclass or typed
    dictionary, of which every field is one; what it does not name is not looked at. Numbers are finite, and whole ones
    no larger than floats can hold.
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
    """Whether a number is outside what a marker allows."""
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
    """The content of a YAML file, of which nothing has been built yet.

    Raises InputError for one beyond the limits, yaml.YAMLError for one that is not YAML, OSError for one out of reach.
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
