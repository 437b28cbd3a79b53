"""A table of trained networks as a problem of OptunaHub."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, IntDistribution

from optunahub.benchmarks import BaseProblem

AXES = ("depth", "width", "cardinality", "bottleneck_width")
OBJECTIVES = ("val_error", "params", "macs", "seconds")


class Problem(BaseProblem):
    """Which of the designs has the lowest validation error, or the lowest of several objectives?

    Args:
        objectives: of `val_error`, `params`, `macs` and `seconds`, all of which are minimised.

    A design that is not in the table has no result: it is NaN, which Optuna records as a failed trial. A sampler that
    proposes nothing else is `samplers/feasible_set`, given `designs`.
    """

    def __init__(self, objectives: Sequence[str] = ("val_error",)) -> None:
        unknown = [one for one in objectives if one not in OBJECTIVES]
        if unknown or not objectives:
            raise ValueError(f"objectives: {', '.join(unknown) or 'none'}; allowed: {', '.join(OBJECTIVES)}")
        self._objectives = tuple(objectives)
        with (Path(__file__).parent / "table.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self._rows = {tuple(int(row[axis]) for axis in AXES): row for row in rows}

    @property
    def designs(self) -> list[dict[str, int]]:
        """All designs of the table."""
        return [dict(zip(AXES, key, strict=True)) for key in self._rows]

    @property
    def search_space(self) -> dict[str, BaseDistribution]:
        """The axes of a design, wide ones on a logarithmic scale, as `samplers/feasible_set` has them."""
        found: dict[str, BaseDistribution] = {}
        for place, axis in enumerate(AXES):
            values = [key[place] for key in self._rows]
            found[axis] = IntDistribution(min(values), max(values), log=max(values) >= 8 * min(values))
        return found

    @property
    def directions(self) -> list[optuna.study.StudyDirection]:
        """All objectives are minimised."""
        return [optuna.study.StudyDirection.MINIMIZE] * len(self._objectives)

    def evaluate(self, params: dict[str, Any]) -> float | Sequence[float]:
        """The objectives of a design; NaN for one that is not in the table."""
        row = self._rows.get(tuple(params[axis] for axis in AXES))
        values = [float(row[one]) if row else math.nan for one in self._objectives]
        return values[0] if len(values) == 1 else values

    def test_error(self, params: dict[str, Any]) -> float:
        """The error on test images, which chooses nothing: look at it once, of the design that a search has chosen."""
        return float(self._rows[tuple(params[axis] for axis in AXES)]["test_error"])
