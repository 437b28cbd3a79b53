"""What chooses the designs of a study: the samplers by name, and those that extensions add."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

FIXED = ("listed", "uniform", "space_filling")  # samplers that choose all designs before the first run
ADAPTIVE = ("random", "tpe", "nsga2", "gp", "qmc")  # and those of Optuna that choose one by one while the study runs


@dataclass(frozen=True)
class Sampler:
    """A sampler from outside, for the dictionary `SAMPLERS` of an extension.

    make  a function that makes an `optuna.samplers.BaseSampler` from a seed: `make(seed)`. It is called once for each
          start of a search, with `search.sampler_seed`. All that is random has to follow from the seed
    """

    make: Callable[[int], Any]


ADDED: dict[str, Sampler] = {}  # by extensions; adaptive, as all of Optuna's are


def check(name: str, value: Any) -> None:
    """Raise ValueError for a name or a value that is no sampler."""
    if not isinstance(value, Sampler):
        raise ValueError(f"is a {type(value).__name__}; allowed: explorer.Sampler(...)")
    if not callable(value.make):
        raise ValueError(f"make is a {type(value.make).__name__}; allowed: a function that makes a sampler from a seed")
    if name in (*FIXED, *ADAPTIVE, "baseline"):
        raise ValueError(f"is a sampler already; allowed: another name than {', '.join((*FIXED, *ADAPTIVE))}, baseline")


def adaptive() -> tuple[str, ...]:
    """The names of all samplers that choose designs one by one, from the results before."""
    return (*ADAPTIVE, *ADDED)


def known() -> tuple[str, ...]:
    """The names of all samplers."""
    return (*FIXED, *adaptive())
