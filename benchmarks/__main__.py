"""`python -m benchmarks SUBJECT key=value ...`: what we measure of the project itself."""

import sys
from functools import partial
from typing import Any, get_type_hints

import yaml
from rich.console import Console

from benchmarks.subjects import SUBJECTS
from explorer.host.errors import InputError
from explorer.host.formatting import hint
from explorer.study.tree import checked_tree
from explorer.verbs.carry_out import carried_out

LIST = "python -m benchmarks --help lists the subjects"


def main(arguments: list[str]) -> int:
    """Measure one subject and return the exit code: 0 done, 2 unusable input. A figure that is missed is a finding."""
    return carried_out(partial(_measure, arguments), arguments, "benchmarks")


def _measure(arguments: list[str], console: Console) -> int:
    if not arguments or {"-h", "--help"} & set(arguments):
        for name, subject in SUBJECTS.items():
            keys = ", ".join(get_type_hints(subject.settings))
            words = " ".join((subject.settings.__doc__ or "").split("\n\n")[0].split())
            console.print(f"{name}: {words} Keys: {keys}.", markup=False, highlight=False, soft_wrap=True)
        return 0
    name, *given = arguments
    if name not in SUBJECTS:
        raise InputError(f"{name}: unknown subject{hint(name, [*SUBJECTS])}; allowed: {', '.join(SUBJECTS)}; {LIST}")
    subject = SUBJECTS[name]
    subject.measure(checked_tree(_tree(given), subject.settings, lambda _: ""), console)
    return 0


def _tree(given: list[str]) -> dict[str, Any]:
    tree = {}
    for argument in given:
        key, equals, text = argument.partition("=")
        if not equals:
            raise InputError(f"{argument}: is no key=value; {LIST}")
        try:
            tree[key] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise InputError(f"{argument}: cannot be read; write lists as [1,2]") from None
    return tree


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
