"""The runs of a study as columns, packed as a page of all studies unpacks them: the runs of many are explored together.

A column is a list with a value for each run, or one value where all runs have it; words are told once and counted
through. What a study hides from its own page is hidden here too: a search has no test error but that of its final
round, and that only once all its runs are in.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from explorer.analysis.judging import OpenedStudy
from explorer.design.cost_measures import MEASURES, READ
from explorer.design.shape_axes import OWN, SHOWN
from explorer.host.formatting import plain
from explorer.report.pack import packed

MOST_RUNS = 20_000  # of one study; of more, as many evenly spread ones are taken
DIGITS = 6  # significant digits of a number that is not whole
Value = float | str | None
Recipe = dict[str, float | str]


@dataclass(frozen=True)
class Column:
    """One column of the runs of all studies: its name in the address and in files, its label, and what its values are.

    unit    after a value: "%" for a share, which is recorded as a fraction, "s" for seconds; "" for none
    is_log  whether an axis of it may be logarithmic
    """

    name: str
    label: str
    is_words: bool = False
    unit: str = ""
    is_log: bool = False


@dataclass(frozen=True)
class Runs:
    """The packed runs of a study: `count` of `of`, and the measures of extensions among their columns."""

    count: int
    of: int
    packed: str
    measures: tuple[str, ...] = ()


_ERRORS = {"train_error": "Training error", "val_error": "Validation error", "test_error": "Test error"}
_FIRST = (
    Column("study", "Study", is_words=True),
    Column("data", "Data", is_words=True),
    Column("budget", "Budget", is_words=True),
    Column("part", "Part of the study", is_words=True),
    Column("setting", "Setting", is_words=True),
    Column("space", "Space", is_words=True),
)
_RESULTS = (
    Column("error", "Error as judged", unit="%"),
    *(Column(name, label, unit="%") for name, label in _ERRORS.items()),
    Column("loss", "Training loss"),
    Column("seconds", "Seconds", unit="s", is_log=True),
    Column("images_per_second", "Images per second", is_log=True),
)
_LAST = (
    Column("seed", "Seed"),
    Column("epochs", "Epochs trained", is_log=True),
    Column("status", "Status", is_words=True),
    Column("form", "Form", is_words=True),
    Column("device", "Device", is_words=True),
)
_COSTS = ("params", "macs", "activations", "latency")
# Axes of shape that are no numbers, under the words of the glossary.
_SHAPE_WORDS = tuple(
    Column(axis.name, axis.name.replace("_", " ").capitalize(), is_words=True) for axis in OWN if not axis.label
)


def columns(measures: Iterable[str] = (), recipe: Mapping[str, bool] | None = None) -> list[Column]:
    """All columns, in the order in which they are offered.

    measures  those of extensions; their words are known only while the extension is loaded
    recipe    the keys of recipes that differ between studies, and whether the values of each are numbers
    """
    costs = [*_COSTS, *(name for name in measures if name not in _COSTS)]
    words = {name: MEASURES[name].title if name in MEASURES else name for name in costs}
    return [
        *_FIRST,
        *(Column(axis.name, axis.label, is_log=True) for axis in SHOWN),
        *_SHAPE_WORDS,
        *(Column(name, _capital(words[name]), is_log=True) for name in costs),
        *_RESULTS,
        Column("rate", "Learning rate", is_log=True),
        *_LAST,
        *(
            Column(f"recipe.{key}", f"Recipe: {key.replace('_', ' ')}", is_words=not is_number, is_log=is_number)
            for key, is_number in (recipe or {}).items()
        ),
    ]


def runs_of(study: OpenedStudy) -> Runs | None:
    """The runs of a study, those of a search's final round among them; None before the first."""
    finding = study.finding
    hides = finding.measure == "val_error" and finding.imported is None
    parts = [_frame(study.record.runs, "study", finding.measure, hides_test=hides)]
    final = study.final.study.record if study.final is not None else None
    if final is not None and finding.final_round is not None and len(final.runs):
        done = finding.final_round.complete
        own = _frame(final.runs.assign(val_error=math.nan), "final round", "test_error", hides_test=not done)
        parts = [parts[0].assign(part="search"), own]
    runs = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
    if not len(runs):
        return None
    runs["rate"] = runs["rate"] * study.config.recipe.learning_rate
    taken = runs.iloc[_spread(len(runs), MOST_RUNS)]
    found = {name: _encoded(taken[name].tolist()) for name in taken.columns}
    content = {name: one for name, one in found.items() if one != {"is": None}}
    measures = tuple(name for name in content if name in READ)
    told = json.dumps({"runs": len(taken), "columns": content}, separators=(",", ":"), allow_nan=False)
    return Runs(len(taken), len(runs), str(packed(told)), measures)


def recipe_of(study: OpenedStudy) -> Recipe:
    """The recipe as numbers and words, by key; those of parts that extensions add as `part.key`."""
    found: Recipe = {}
    if study.finding.imported is not None:
        return found  # of whose training only a name is known
    for key, value in study.config.recipe.shown.items():
        if isinstance(value, Mapping):
            found |= {f"{part}.{one}": number for part, own in value.items() for one, number in own.items()}
        else:
            found[key] = value if isinstance(value, int | float) and not isinstance(value, bool) else plain(value)
    return found


def differing(recipes: Sequence[Recipe]) -> dict[str, bool]:
    """The keys in which recipes differ, and whether all values of each are numbers."""
    keys = dict.fromkeys(key for recipe in recipes for key in recipe)
    found = {}
    for key in keys:
        values = [recipe[key] for recipe in recipes if key in recipe]
        if len({*map(repr, values)}) > 1:
            found[key] = all(not isinstance(value, str) for value in values)
    return found


def _frame(runs: pd.DataFrame, part: str, measure: str, *, hides_test: bool) -> pd.DataFrame:
    """The columns of runs that are told, and the error by which they are judged."""
    shape = {axis.name: axis.among(runs) for axis in SHOWN}
    own = [*(one.name for one in _SHAPE_WORDS), *_COSTS, *READ, *_ERRORS, *(one.name for one in (*_RESULTS, *_LAST))]
    rest = {name: runs[name] for name in dict.fromkeys(own) if name in runs and name not in ("error", *shape)}
    if hides_test and "test_error" in rest:
        rest["test_error"] = pd.Series(math.nan, index=runs.index)
    failed = runs["status"] != "ok"
    judged = rest[measure].where(~failed) if measure in rest else math.nan
    told = {name: runs[name] for name in ("setting", "space") if name in runs}
    return pd.DataFrame({**told, **shape, **rest, "error": judged, "rate": runs["rate"], "part": part})


def _spread(count: int, most: int) -> list[int]:
    """At most so many places of `count`, evenly spread."""
    return [*range(count)] if count <= most else [place * count // most for place in range(most)]


def _encoded(values: list[Any]) -> dict[str, Any]:
    """A column as plain data: `is` of one value, `words` with places in them, or `numbers`."""
    clean = [_plain_value(value) for value in values]
    if len({*map(repr, clean)}) == 1:
        return {"is": clean[0]}
    if any(isinstance(value, str) for value in clean):
        words = {word: place for place, word in enumerate(dict.fromkeys(one for one in clean if one is not None))}
        return {"words": [str(word) for word in words], "at": [-1 if one is None else words[one] for one in clean]}
    return {"numbers": clean}


def _plain_value(value: Any) -> Value:
    if isinstance(value, bool):
        return plain(value)
    if isinstance(value, str):
        return value or None
    if value is None or value is pd.NA or not math.isfinite(value):
        return None
    whole = int(value)
    return whole if whole == value else float(f"{value:.{DIGITS}g}")


def _capital(words: str) -> str:
    return words[0].upper() + words[1:] if words else words
