"""`python -m benchmarks SUBJECT key=value ...`: measure one property of the project itself."""

import json
import sys
from dataclasses import fields
from functools import partial
from typing import Any

import yaml
from rich.console import Console

from benchmarks.subjects import SUBJECTS
from explorer.host.console import PLAIN
from explorer.host.errors import InputError
from explorer.host.formatting import hint
from explorer.study.tree import checked_tree
from explorer.verbs.carry_out import carried_out

LIST = "python -m benchmarks --help lists the subjects and their keys"


def main(arguments: list[str]) -> int:
    """Measure one subject and return the exit code: 0 done, 2 unusable input. A missed target is no error."""
    return carried_out(partial(_measure, arguments), arguments, "benchmarks")


def read_subject(arguments: list[str]) -> tuple[str, Any]:
    """The name of the subject in a command, and its checked settings. Raises InputError."""
    name, *given = arguments
    if name not in SUBJECTS:
        raise InputError(f"{name}: unknown subject{hint(name, [*SUBJECTS])}; allowed: {', '.join(SUBJECTS)}; {LIST}")
    kind = SUBJECTS[name].settings
    return name, checked_tree(_tree(given, kind), kind, lambda _: "")


def _measure(arguments: list[str], console: Console) -> int:
    if not arguments or {"-h", "--help"} & set(arguments):
        for name, subject in SUBJECTS.items():
            console.print(f"{name}: {(subject.settings.__doc__ or '').splitlines()[0]}", **PLAIN)
            defaults = " ".join(f"{key.name}={_shown(key.default)}" for key in fields(subject.settings))
            console.print(f"    {defaults}", **PLAIN)
        return 0
    name, settings = read_subject(arguments)
    return SUBJECTS[name].measure(settings, console)


def _shown(default: Any) -> str:
    """A default value as it is written on the command line."""
    if isinstance(default, tuple):
        return f"[{','.join(map(_shown, default))}]"
    return json.dumps(default).strip('"')


def _tree(given: list[str], kind: type) -> dict[str, Any]:
    """The values of `key=value` arguments, by key: parsed as YAML unless the key's type is text."""
    tree: dict[str, Any] = {}
    texts = {key.name for key in fields(kind) if isinstance(key.default, str)}
    for argument in given:
        key, equals, text = argument.partition("=")
        if not equals:
            raise InputError(f"{argument}: is no key=value; {LIST}")
        try:
            tree[key] = text if key in texts else yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):
            raise InputError(f"{argument[:100]}: cannot be read; write lists as [1,2]") from None
    return tree


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
