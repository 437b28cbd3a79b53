"""A measure from outside: a number of each design, which follows from it or is measured on a device."""

import math
import traceback
from collections.abc import Callable
from functools import lru_cache
from numbers import Real
from pathlib import Path
from typing import Any

from explorer.design.architecture import Architecture
from explorer.design.cost_measures import ADDED, LIMITED, OURS, Measure
from explorer.design.name import short_name
from explorer.design.template import Task


def measure(function: Callable[..., Any], *, words: str, title: str = "", measured: bool = False) -> Measure:
    """A measure of what a design costs, for the dictionary `MEASURES` of an extension.

    function  gives a finite number of at least 0, the smaller the better: `function(architecture, task)`, whose number
              follows from the design, or with `measured` `function(network, task, device)`, which is called several
              times by a worker of the study. `network` is a torch module on the device ("cpu" or "cuda"), in evaluation
              mode, executed in the study's precision; it takes images `(batch, task.channels, task.image_size,
              task.image_size)`
    words     its name in a sentence, with its unit, in the plural where it has one: "MiB of peak memory"
    title     heading of its column; by default `words`
    measured  whether it is measured on a device

    Raises ValueError for words that are none.
    """
    if not callable(function):
        raise ValueError("function has to be a function that gives a number")
    for key, text in (("words", words), ("title", title)):
        if not isinstance(text, str) or len(text) > 60 or (key == "words" and not text.strip()):
            raise ValueError(f"{key} has to be text of at most 60 characters")
    return Measure("", " ".join(words.split()), " ".join((title or words).split()), not measured, function=function)


def check(name: str, value: Any) -> None:
    """Raise ValueError for a name or a value that is no measure."""
    if not isinstance(value, Measure) or value.function is None:
        raise ValueError(f"is a {type(value).__name__}; allowed: explorer.Measure(...)")
    if name in (*OURS, *LIMITED, "error"):
        raise ValueError(f"is a measure already; allowed: another name than {', '.join((*OURS, *LIMITED))}, error")
    object.__setattr__(value, "name", name)


def value_of(name: str, architecture: Architecture, task: Task) -> float:
    """The number of a design by an added measure that follows from it. Raises ValueError for what is no number."""
    return _value(ADDED[name], architecture, task)


@lru_cache(maxsize=1 << 17)
def _value(found: Measure, architecture: Architecture, task: Task) -> float:
    assert found.function is not None
    try:
        value = found.function(architecture, task)
    except (Exception, SystemExit) as error:
        file = getattr(getattr(found.function, "__code__", None), "co_filename", "")
        lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if file and one.filename == file]
        place = f"{Path(file).name} line {lines[-1]}: " if lines else ""
        raise ValueError(
            f"measure {found.name}: {place}{type(error).__name__}: {error}; at {short_name(architecture)}"
        ) from error
    return number(found.name, value, architecture)


def number(name: str, value: Any, architecture: Architecture) -> float:
    """What a measure gave, as a number. Raises ValueError for anything but a finite number of at least 0."""
    if hasattr(value, "item") and not isinstance(value, Real):  # of numpy or torch
        count = value.numel() if hasattr(value, "numel") else getattr(value, "size", 1)
        if count != 1:
            raise ValueError(
                f"measure {name}: gives {count:,} numbers for {short_name(architecture)}; allowed: one of at least 0"
            )
        value = value.item()
    is_number = isinstance(value, Real) and str(value) not in ("True", "False") and math.isfinite(value)
    if not is_number or value < 0:
        raise ValueError(
            f"measure {name}: gives {value!r} for {short_name(architecture)}; allowed: a finite number of at least 0"
        )
    return float(value)
