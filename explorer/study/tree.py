"""Check settings from YAML and the command line and make a frozen `StudyConfig`; each mistake gives one line."""

import dataclasses
import json
import re
from collections.abc import Callable
from dataclasses import is_dataclass
from decimal import Decimal
from functools import cache, lru_cache
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from explorer.design.space import KINDS
from explorer.host.errors import InputError
from explorer.host.formatting import hint
from explorer.study import data_sources, parts
from explorer.study.price import price_in
from explorer.study.settings import (
    EngineConfig,
    LimitConfig,
    StorageConfig,
    StudyConfig,
)

Steps = tuple[str, ...]  # the parts of a dotted key
Place = Callable[[tuple[str, ...]], str]
Checked = TypeVar("Checked")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # reserved names on Windows


_WHOLE = re.compile(r"(\d[\d_]*(?:\.\d+)?)(?:([kKMGB])|[eE]\+?(\d{1,2}))?")
_POWERS = {"k": 3, "K": 3, "M": 6, "G": 9, "B": 9}


def whole_number(text: str) -> int | None:
    """The whole number that a text means: `1M`, `2.5M`, `400k`, `1e6`, `1_000_000`; None if it means none."""
    match = _WHOLE.fullmatch(text)
    if match is None:
        return None
    exact = Decimal(match[1].replace("_", "")).scaleb(_POWERS.get(match[2], 0) + int(match[3] or 0))
    return int(exact) if exact == exact.to_integral_value() else None


def refuse_name(key: str, name: str) -> None:
    """Raise InputError for a study name that is not a valid folder name on every operating system."""
    if not _NAME.fullmatch(name) or ".." in name or name.endswith("."):
        raise InputError(
            f"{key}={name[:120]!r}: allowed are 1 to 100 letters, digits, dots, dashes and underscores, "
            "beginning with a letter or digit"
        )
    if _DEVICE.fullmatch(name):
        raise InputError(f"{key}={name}: is the name of a device on Windows; choose another name")


def to_config(tree: dict[str, Any], place: Place) -> StudyConfig:
    """Check a tree against the types of `StudyConfig`: unknown, missing and ill-typed keys are refused.

    `place` gives the text that tells where a key was set, for messages.
    """
    config = checked_tree(tree, StudyConfig, place)
    if config.search.seeds == "auto" and config.study.contrast is None:
        raise InputError("search.seeds=auto: stops when the contrast is decided, and study.contrast is null")
    parts.refuse_unknown(config.recipe)
    data_sources.refuse_unknown(config.data)
    checked_name(config.name)
    if isinstance(config.fork, str):
        checked_name(config.fork)
    for key in sorted({*tree["engine"]} & config.engine.foreign):
        allowed = sorted({own.name for own in dataclasses.fields(EngineConfig)} - config.engine.foreign)
        raise InputError(
            f"engine.{key}={tree['engine'][key]}: engine={config.engine.name} has no such key; "
            f"allowed: {', '.join(allowed)}{place(('engine', key))}"
        )
    _check_url(config.storage)
    price_in(config.engine.price)
    return config


def _check_url(storage: StorageConfig) -> None:
    """Raise InputError if the mirror needs a URL and has none, or has one and needs none."""
    if storage.mirror == "url" and storage.url is None:
        raise InputError("storage.url is missing; say for example storage.url=postgresql://me@server/explorer")
    if storage.mirror != "url" and storage.url is not None:
        raise InputError(f"storage.url: storage.mirror={storage.mirror} has no URL; say storage=postgres beside it")
    if storage.url and re.search(r"\s", storage.url):
        raise InputError("storage.url: holds white space; write it as %20")


def checked_name(name: str) -> str:
    """Check a study's name, which is also its folder's, and return it. Raises InputError if it is not allowed."""
    refuse_name("name", name)
    if (page := name.lower()) in ("index", "recorded"):
        which = {"index": "all studies", "recorded": "the recorded studies"}[page]
        raise InputError(f"name={name}: reports/{page}.html lists {which}; choose another name")
    return name


def checked_tree(tree: dict[str, Any], kind: type[Checked], place: Place) -> Checked:
    """Convert a tree to a dataclass. Raises InputError; `place` names the file that set the key."""
    prepared = _prepared(tree, kind, (), place)
    try:
        # JSON mode is strict where it matters (no text for numbers, no 1 for true) and takes lists for tuples.
        return cast(Checked, _adapter(cast(Any, kind)).validate_json(json.dumps(prepared), strict=True))
    except ValidationError as error:
        raise InputError(_explain(error, prepared, kind, place)) from None


@lru_cache(maxsize=4)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _prepared(value: Any, kind: Any, path: tuple[str, ...], place: Place) -> Any:
    """Wrap single values in lists where the type is a list. Raises InputError for an unknown key."""
    kind = _member(value, kind, path, place)
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        hints = get_type_hints(kind)
        for key in map(str, value):
            if key not in hints:
                if (*path, key) == ("study", "study") and (where := place((*path, key))):
                    raise InputError(f"a study file must begin with the line '# @package _global_'{where}")
                raise InputError(
                    f"{'.'.join((*path, key))}={value.get(key)}: unknown key{hint(key, list(hints))}; "
                    f"allowed: {', '.join(sorted(hints))}{place((*path, key))}"
                )
        return {key: _prepared(item, hints[key], (*path, key), place) for key, item in value.items()}
    if get_origin(kind) is dict and isinstance(value, dict):
        return {str(key): _prepared(item, get_args(kind)[1], (*path, str(key)), place) for key, item in value.items()}
    if isinstance(value, dict) and value and path:
        whole, (part, inner) = ".".join(path), next(iter(value.items()))
        raise InputError(f"{whole}.{part}={inner}: {whole} is one value without parts; say {whole}=...{place(path)}")
    value = _whole(value, kind)
    items = {get_args(option)[0] for option in (kind, *get_args(kind)) if get_origin(option) is tuple}
    kinds = {option for item in items for option in _kinds_of(item)}
    if isinstance(value, list):
        return [_whole(one, kinds_of(kind, ("0",))) for one in value]
    if items and isinstance(value, str):
        value = _whole(value, kinds)
    return [value] if type(value) in kinds else value


def _whole(value: Any, kind: Any) -> Any:
    """A value as a whole number, if a text or a decimal number stands for one and `kind` takes it; else unchanged."""
    if isinstance(value, bool) or not isinstance(value, (str, float)):
        return value
    kinds = kind if isinstance(kind, set) else kinds_of(kind, ())
    if int not in kinds or str in kinds:
        return value
    if isinstance(value, str):
        found = whole_number(value)
        return value if found is None else found
    return int(value) if value.is_integer() and (float not in kinds or value > 1) else value


def _kinds_of(item: Any) -> set[type]:
    """The types of a single value that is accepted in place of a list of such items."""
    if get_origin(item) is Annotated:
        return _kinds_of(get_args(item)[0])
    if get_origin(item) is Literal:
        return {type(option) for option in get_args(item)}
    return {int, float} if item is float else {item} if isinstance(item, type) else set()


def _member(value: Any, kind: Any, path: tuple[str, ...], place: Place) -> Any:
    """The member of a union that a mapping describes: by its `kind`, or the only dataclass among them."""
    members = [option for option in get_args(kind) if dataclasses.is_dataclass(option)]
    tables = [option for option in (kind, *get_args(kind)) if get_origin(option) is dict]
    if tables and isinstance(value, dict):
        return tables[0]
    if not isinstance(value, dict) or not members:
        return kind
    if len(members) == 1:
        return members[0]
    if set(members) == set(KINDS.values()):
        named = value.get("kind", "family")
        if not isinstance(named, str) or named not in KINDS:
            raise InputError(
                f"{'.'.join(path)}.kind={named}: unknown kind; allowed: {', '.join(KINDS)}{place((*path, 'kind'))}"
            )
        return KINDS[named]
    return members[0]


def _mapping(path: tuple[str, ...], value: Any, kind: type) -> str:
    """What to write in place of a value that should be a mapping, for a message."""
    key = ".".join(path)
    inside = [one for one in kinds_of(kind, path) if dataclasses.is_dataclass(one)]
    if inside == [LimitConfig] and isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
        if value >= 1:
            return f"a mapping; say {key}.target={value:.0f} {key}.tolerance=0.05"
        return f"a mapping; say {key}.tolerance={value:g}"
    if len(inside) != 1:
        return "a mapping"
    own = dataclasses.fields(inside[0])
    needed = [one.name for one in own if one.default is dataclasses.MISSING] or [own[0].name]
    said = f"{value:g}" if needed == ["most"] and type(value) in (int, float) else "..."
    return f"a mapping; say {' '.join(f'{key}.{name}={said}' for name in needed)}"


def _explain(error: ValidationError, tree: dict[str, Any], kind: type, place: Place) -> str:
    """The first problem as one line: dotted key, value, what is allowed and the file it stands in."""
    # Only problems of the space's own kind count. All members of a union report what they allow.
    problems = [found for found in error.errors() if _is_of_its_kind(found["loc"], tree)]
    problems = [found for found in problems if _was_meant(found["loc"], tree)] or problems
    problem = problems[0]
    path, value = _located(problem["loc"], tree)
    same = [other for other in problems if _located(other["loc"], tree)[0] == path]
    key = ".".join(path)
    if problem["type"] in ("missing", "missing_argument"):
        if path[-1].isdigit():  # of a pair
            (*whole, _), said = path, _located(problem["loc"][:-1], tree)[1]
            lacking = sum(other["loc"][:-1] == problem["loc"][:-1] for other in problems)
            words = f"must be {len(said) + lacking} values, as [...,...]"
            return f"{'.'.join(whole)}={json.dumps(said)}: {words}{place(tuple(whole))}"
        return f"{key} is missing{place(path)}"
    if problem["type"] == "value_error":
        reason = str(problem["ctx"]["error"])
        if said := re.match(r"([a-z_.]+)=", reason):  # a key below this one
            return f"{key}.{reason}{place((*path, *said[1].split('.')))}"
        axes = {axis for kind in KINDS.values() for axis in get_type_hints(kind)}
        axis = reason.partition(" ")[0]
        if axis in axes and (path == ("space",) or path[:-1] == ("spaces",)):
            return f"{key}.{reason}{place((*path, axis))}"
        return f"{key}: {reason}{place(path)}"
    message = (
        " or ".join(dict.fromkeys(other["msg"] for other in same))
        .replace("Input should be", "must be")
        .replace("or must be", "or")
    )
    mapping = "a range {low: ..., high: ...}" if path[0] == "space" and len(path) > 1 else _mapping(path, value, kind)
    if problem["type"] == "too_short":
        message = "must have at least one item"
    message = message.replace("valid array", "list of values").replace("an object", mapping)
    if {"greater_than", "greater_than_equal"} <= {other["type"] for other in same}:  # a number or a share
        message = "must be a whole number of 1 or more, or a share between 0 and 1"
    for theirs, ours in _PHRASES.items():
        message = message.replace(theirs, ours)
    return f"{key}={json.dumps(value)}: {message}{place(path)}"


# The checker's phrases, as people say them.
_PHRASES = {
    "a valid boolean": "true or false",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "text",
    "must be None": "must be null",
    "or None": "or null",
    "Tuple should have": "must have",
    "List should have": "must have",
    "String should have": "must have",
    " after validation": "",
}


def _is_of_its_kind(location: tuple[int | str, ...], tree: dict[str, Any]) -> bool:
    """Whether a validation problem is outside spaces, or belongs to the kind that its space declares."""
    space = tree.get("space", {})
    if location[0] == "spaces" and len(location) > 1 and isinstance(tree["spaces"], dict):
        space = tree["spaces"].get(str(location[1]), {})
    named = space.get("kind", "family") if isinstance(space, dict) else "family"
    return not {kind.__name__ for name, kind in KINDS.items() if name != named} & set(map(str, location))


def _was_meant(location: tuple[int | str, ...], tree: dict[str, Any]) -> bool:
    """Whether a validation problem belongs to the union member that fits the value's type: mapping or list."""
    for end, step in enumerate(location):
        if _names_type(step):
            value = _located(location[:end], tree)[1]
            if isinstance(value, dict if str(step).startswith("tuple[") else list):
                return False
    return True


def _names_type(step: int | str) -> bool:
    """Whether a step of a pydantic location is the name of a type (a dataclass, or tuple[...]) and not a key."""
    return str(step)[:1].isupper() or str(step).startswith("tuple[")


def _located(location: tuple[int | str, ...], tree: dict[str, Any]) -> tuple[tuple[str, ...], Any]:
    """The key of a pydantic location, and its value; steps that name a member of a union are skipped."""
    path: list[str] = []
    value: Any = tree
    for step in location:
        if _names_type(step):
            continue
        if isinstance(value, dict):
            value = value.get(str(step))
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step] if step < len(value) else None  # a pair with one value missing
        else:
            break
        path.append(str(step))
    return tuple(path), value


def kinds_of(kind: Any, steps: Steps) -> set[Any]:
    """The types that the value of a key may have; `steps` are the parts of the key below `kind`."""
    if get_origin(kind) is Annotated:
        return kinds_of(get_args(kind)[0], steps)
    if is_dataclass(kind) and steps:
        hints = _hints(kind if isinstance(kind, type) else type(kind))
        return kinds_of(hints[steps[0]], steps[1:]) if steps[0] in hints else set()
    if get_origin(kind) is dict:
        return kinds_of(get_args(kind)[1], steps[1:]) if steps else {dict}
    if get_origin(kind) is tuple:
        items = [item for item in get_args(kind) if item is not ...]
        return set().union(*(kinds_of(item, steps[1:]) for item in items)) if steps else {tuple}
    members = get_args(kind) if kind is not None and not isinstance(kind, type) and get_origin(kind) is not None else ()
    if members and all(_is_type(member) for member in members):
        return set().union(*(kinds_of(member, steps) for member in members)) - {NoneType}
    return set() if steps else {kind}


def _is_type(member: Any) -> bool:
    """Whether a member of a type expression is a type, as in a union, and not a value, as in Literal."""
    return isinstance(member, type) or get_origin(member) is not None


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)
