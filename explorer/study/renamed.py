"""Keys of settings that were renamed: what is written under the old name is read under the new one, for one release.

A person who writes an old name gets one line about it; the stored settings of a record are read silently.
"""

from collections.abc import Mapping
from typing import Any

from explorer.host.errors import InputError

# Dotted keys as the release before knew them, each with its name now; `*` stands for any one name, as in
# `spaces.*.width`. With the next release an entry moves to OF_RECORDS: what people write is then refused under the old
# name, while the settings of earlier records are read for good.
RENAMED: dict[str, str] = {}
OF_RECORDS: dict[str, str] = {}

_Steps = tuple[str, ...]


def under_new_names(
    tree: dict[str, Any], table: Mapping[str, str], where: str = ""
) -> tuple[dict[str, Any], dict[str, str]]:
    """The tree with each old key of a table under its new name, and the keys that were moved, each with its new name.

    Raises InputError, with `where` after its words, for a key that is set under both names.
    """
    moved: dict[str, str] = {}
    for old, new in table.items():
        tree = _renamed(tree, tuple(old.split(".")), tuple(new.split(".")), (), moved, where)
    return tree, moved


def of_a_record(tree: dict[str, Any], where: str) -> dict[str, Any]:
    """The stored settings of a study, as this version would store them."""
    search = tree.get("search")
    if isinstance(search, dict) and "looks" in search:  # of schema 1: `auto` stood there, beside the seeds then due
        others = {key: value for key, value in search.items() if key != "looks"}
        tree = tree | {"search": others | ({"seeds": "auto"} if search["looks"] else {})}
    return under_new_names(tree, OF_RECORDS | RENAMED, where)[0]


def notice(old: str, new: str, where: str = "") -> str:
    """The line for a person who wrote an old name."""
    return f"{old} is now called {new}, and is read under the old name for this release; write {new}{where}"


def _renamed(
    tree: dict[str, Any], old: _Steps, new: _Steps, way: _Steps, moved: dict[str, str], where: str
) -> dict[str, Any]:
    if len(old) > 1 and len(new) > 1 and old[0] == new[0]:
        inside = [key for key in tree if old[0] in ("*", key) and isinstance(tree[key], dict)]
        return tree | {key: _renamed(tree[key], old[1:], new[1:], (*way, str(key)), moved, where) for key in inside}
    if not _holds(tree, old):
        return tree
    then, now = ".".join((*way, *old)), ".".join((*way, *new))
    if _holds(tree, new):
        raise InputError(f"{then}: is now called {now}, and both are set; leave {then} out{where}")
    left, value = _without(tree, old)
    moved[then] = now
    return _with(left, new, value)


def _holds(tree: Any, steps: _Steps) -> bool:
    return not steps or (isinstance(tree, dict) and steps[0] in tree and _holds(tree[steps[0]], steps[1:]))


def _without(tree: dict[str, Any], steps: _Steps) -> tuple[dict[str, Any], Any]:
    """A tree without what stands at these steps, and that."""
    first, rest = steps[0], steps[1:]
    others = {key: item for key, item in tree.items() if key != first}
    if not rest:
        return others, tree[first]
    inner, value = _without(tree[first], rest)
    return others | ({first: inner} if inner else {}), value


def _with(tree: dict[str, Any], steps: _Steps, value: Any) -> dict[str, Any]:
    first, rest = steps[0], steps[1:]
    inner = tree.get(first)
    return tree | {first: _with(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}
