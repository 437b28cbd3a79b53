"""Extensions: files that a command names with `extensions=`, and installed packages."""

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from explorer.design import added_measure, cost_measures
from explorer.design.added_measure import measure as Measure  # noqa: N812 - to a caller it is a kind of value
from explorer.design.architecture import Architecture
from explorer.design.cost import Cost
from explorer.design.layout import Stage
from explorer.design.template import Task
from explorer.host import extensions
from explorer.host.errors import InputError
from explorer.host.extensions import Home, Homes
from explorer.record.rows import RunRecord
from explorer.report import described
from explorer.report.described import Figure, Line, Points
from explorer.study import samplers
from explorer.study.data_sources import Source
from explorer.study.samplers import Sampler
from explorer.training.homes import HOMES as OF_WORKERS
from explorer.training.network.added_block import block as Block  # noqa: N812 - to a caller it is a kind of value

__all__ = [
    "Architecture",
    "Block",
    "Cost",
    "Figure",
    "Line",
    "Measure",
    "Points",
    "Sampler",
    "Source",
    "Stage",
    "Task",
    "extend",
    "extended",
]
KEY = "extensions"


def homes() -> Homes:
    """Where everything that extensions can add belongs."""
    return {
        **OF_WORKERS,
        "MEASURES": Home(cost_measures.ADDED, _check_measure),
        "SAMPLERS": Home(samplers.ADDED, samplers.check),
        "FIGURES": Home(described.FIGURES, described.check),
    }


def _check_measure(name: str, value: Any) -> None:
    """Raise ValueError for what is no measure, and for the name of a column of the record, beside which it stands."""
    if name in {one.name for one in fields(RunRecord)} - {*cost_measures.OURS}:
        raise ValueError("is a column of the record; choose another name")
    added_measure.check(name, value)


def extend(*files: str | Path) -> None:
    """Load extensions into this process: files of Python code that add blocks and other parts.

    A study that uses one of their parts records its digest, and goes on only with it. Raises InputError for a file that
    cannot be loaded, or adds what cannot be added; see docs/extending.md for what can be.
    """
    extensions.load_installed(homes())
    extensions.load(files, homes())


def extended(arguments: Iterable[str]) -> list[str]:
    """The words of a command without `extensions=FILE`, whose files are loaded. Raises InputError as `extend` does."""
    rest, files, waiting = list[str](), list[str](), list(arguments)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            rest += [word, *waiting]
            break
        key, equals, value = word.removeprefix("--").partition("=")
        if key != KEY:
            rest.append(word)
            continue
        if not equals:
            if not word.startswith("--"):
                rest.append(word)
                continue
            value = waiting.pop(0) if waiting else ""
        listed = value.strip().removeprefix("[").removesuffix("]").split(",")
        named = [value] if Path(value).is_file() else [one.strip().strip("'\"") for one in listed]
        if not all(named):
            raise InputError(f"{word}: names no file; say extensions=FILE.py, several with commas between them")
        files += named
    extend(*files)
    return rest
