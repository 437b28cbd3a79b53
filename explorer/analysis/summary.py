"""The error of each setting over its seeds."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from explorer.run import JUDGED_STATUSES

CONFIDENCE = 0.95
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` seeds with a two-sided t interval, 95 % unless said otherwise.

    The ends are NaN for n < 2, all is NaN for n = 0.
    """

    n: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class SettingSummary:
    """One setting: its axes and cost as in the record, and its errors as fractions; `latency` in ms, where measured.

    `errors` holds the judged error of each seed, by seed; a run that diverged or ran out of memory counts as chance.
    """

    setting: str
    cardinality: int
    bottleneck_width: int
    params: int
    macs: int
    activations: int
    params_deviation: float
    macs_deviation: float
    activations_deviation: float
    errors: dict[int, float]
    estimate: Estimate
    unfinished: int
    seconds: float
    latency: float | None = None

    def deviation(self, axis: str) -> float:
        """Signed distance of a cost from the budget's reference, as a fraction; NaN where there is none."""
        return float(getattr(self, f"{axis}_deviation"))


def estimate(values: npt.ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Mean and t interval of values that are taken as independent and about normal (Student, 1908)."""
    array = np.asarray(values, dtype=float)
    n = len(array)
    mean = float(array.mean()) if n else math.nan
    if n < 2:
        return Estimate(n, mean, math.nan, math.nan)
    half = float(stats.t.ppf(0.5 + confidence / 2, n - 1)) * float(array.std(ddof=1)) / math.sqrt(n)
    return Estimate(n, mean, mean - half, mean + half)


def estimates(mean: Floats, deviation: Floats, n: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Ends of the t intervals of many means at once, each of `n` values of this standard deviation; NaN for one."""
    with np.errstate(invalid="ignore"):
        half = stats.t.ppf(0.5 + CONFIDENCE / 2, np.maximum(n - 1, 1)) * deviation / np.sqrt(n)
    half = np.where(n > 1, half, np.nan)
    return mean - half, mean + half


def judged(runs: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Runs that ended with a column `judged`: the error, or chance, 1 - 1/classes, where one did not come through.

    Runs that a search stopped early have no error to judge.
    """
    final = runs[runs["status"].isin(JUDGED_STATUSES)]
    chance = 1 - 1 / final["classes"]
    return final.assign(judged=final[measure].where(final["status"] == "ok", chance))


def summarise(runs: pd.DataFrame, settings: list[str], measure: str = "test_error") -> list[SettingSummary]:
    """One summary per setting, in the given order; a setting without any final run is left out."""
    final = judged(runs, measure)
    # As lists: of thousands of settings, a data frame for each would take most of the time.
    columns = {str(name): final[name].tolist() for name in final}
    places = places_of(columns["setting"])
    return [_summary(name, columns, places[name]) for name in settings if name in places]


def places_of(names: Iterable[str]) -> dict[str, list[int]]:
    """Where each name stands."""
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        found.setdefault(name, []).append(place)
    return found


def _summary(name: str, columns: Mapping[str, list[Any]], places: list[int]) -> SettingSummary:
    first = {column: values[places[0]] for column, values in columns.items()}
    errors = {int(columns["seed"][place]): float(columns["judged"][place]) for place in places}
    errors = dict(sorted(errors.items()))
    return SettingSummary(
        setting=name,
        cardinality=int(first["cardinality"]),
        bottleneck_width=int(first["bottleneck_width"]),
        params=int(first["params"]),
        macs=int(first["macs"]),
        activations=int(first["activations"]),
        params_deviation=float(first["params_deviation"]),
        macs_deviation=float(first["macs_deviation"]),
        activations_deviation=float(first["activations_deviation"]),
        errors=errors,
        estimate=estimate(list(errors.values())),
        unfinished=sum(columns["status"][place] != "ok" for place in places),
        seconds=float(np.mean([columns["seconds"][place] for place in places])),
        latency=float(first["latency"]) if pd.notna(first.get("latency")) else None,
    )
