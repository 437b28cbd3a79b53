"""The error of each setting over its seeds."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from explorer.analysis.intervals import ERRORS, Estimate, estimate
from explorer.design.architecture import Architecture
from explorer.design.cost_measures import COUNTED, READ
from explorer.design.name import display_name, parse_setting, paths_name, setting_name
from explorer.study.run import JUDGED_STATUSES

MIN_PAIRS = 5  # fewest seeds, or pairs of seeds, that decide anything
_PARTS = (("", int), ("_deviation", float))  # of a cost in the record
SUMMARISED = (
    *("setting", "seed", "status", "judged", "chosen", "chance", "seconds", "latency", "cardinality"),
    *("bottleneck_width", *(f"{name}{part}" for name in COUNTED for part, _ in _PARTS)),
)


@dataclass(frozen=True)
class SettingSummary:
    """One setting: its axes and cost as in the record, and its errors as fractions; `latency` in ms, where measured.

    errors    the judged error of each seed, by seed; a run that diverged or ran out of memory counts as `chance`
    estimate  their mean and its interval, which has no ends where a run failed: chance is a rule, not a measurement
    failed    by seed, the status of each run that did not come through
    chance    the error of guessing, 1 - 1/classes; NaN where it is not known
    validation  mean validation error, by which one of several settings is chosen; NaN where it is not known
    added     its numbers by the measures of extensions that the study uses
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
    seconds: float
    latency: float | None = None
    failed: Mapping[int, str] = field(default_factory=dict)
    chance: float = math.nan
    validation: float = math.nan
    added: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def design(self) -> tuple[Architecture, str]:
        """The architecture and the form of its blocks."""
        return parse_setting(self.setting)

    @cached_property
    def display(self) -> str:
        """The setting's name as pages and tables show it."""
        return display_name(*self.design)

    @cached_property
    def shape(self) -> str:
        """The name without cardinality and width of the paths: `29` of `29-32x4d`."""
        return setting_name(*self.design).replace(f"-{paths_name(self.design[0])}", "", 1)

    @property
    def measured(self) -> dict[int, float]:
        """The errors of the runs that came through, by seed."""
        return {seed: error for seed, error in self.errors.items() if seed not in self.failed}

    @property
    def came_through(self) -> bool:
        """Whether any run came through: only then does the setting have a measured error."""
        return len(self.failed) < len(self.errors)

    @property
    def is_chosen(self) -> bool:
        """Whether its validation error is known, so that it can be chosen by that."""
        return not math.isnan(self.validation)

    @property
    def choosing(self) -> float:
        """The error by which it is chosen: its mean validation error, or the judged error if that is not known."""
        return self.validation if self.is_chosen else self.estimate.mean

    def value(self, measure: str) -> float:
        """What it costs by a measure."""
        return float(self.added[measure] if measure in self.added else getattr(self, measure))

    def deviation(self, axis: str) -> float:
        """Signed distance of a cost from the budget's reference, as a fraction; NaN where there is none."""
        return float(getattr(self, f"{axis}_deviation"))


def lowest(summaries: Iterable[SettingSummary]) -> SettingSummary | None:
    """The setting with the lowest validation error among those with a completed run; None if there is none.

    Validation images choose and test images report: the lowest test error of several would be biased downwards.
    """
    return next(iter(by_validation(summaries)), None)


def by_validation(summaries: Iterable[SettingSummary]) -> list[SettingSummary]:
    """The settings with a completed run, the one with the lowest mean validation error first.

    Those whose validation error is not known are left out, since an error of other images does not compare with it. If
    none is known, as of imported results, all are there by the judged error.
    """
    known = [one for one in summaries if one.came_through]
    chosen = [one for one in known if one.is_chosen]
    return sorted(chosen or known, key=lambda one: one.choosing)


def judged(runs: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The judged runs, with columns `judged`, `chosen` and `chance`; runs that were stopped early are left out.

    `judged` is the error of `measure`, `chosen` the validation error; both are chance, 1 - 1/classes, if a run failed.
    """
    final = runs[runs["status"].isin(JUDGED_STATUSES)]
    chance, ok = 1 - 1 / final["classes"], final["status"] == "ok"
    columns = {name: final[column].where(ok, chance) for name, column in (("judged", measure), ("chosen", "val_error"))}
    return final.assign(**columns, chance=chance)


def summarise(runs: pd.DataFrame, settings: list[str], measure: str = "test_error") -> list[SettingSummary]:
    """One summary per setting, in the given order; a setting without any final run is left out."""
    final = judged(runs, measure)
    # As lists: with thousands of settings, one data frame for each would take most of the time.
    columns = {name: final[name].tolist() for name in (*SUMMARISED, *READ) if name in final}
    places = places_of(columns["setting"])
    return [_summary(name, columns, places[name]) for name in settings if name in places]


def places_of(names: Iterable[str]) -> dict[str, list[int]]:
    """The positions of each name in a sequence."""
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        found.setdefault(name, []).append(place)
    return found


def _summary(name: str, columns: Mapping[str, list[Any]], places: list[int]) -> SettingSummary:
    first = {column: values[places[0]] for column, values in columns.items()}
    costs: dict[str, Any] = {f"{cost}{part}": kind(first[f"{cost}{part}"]) for cost in COUNTED for part, kind in _PARTS}
    errors = {int(columns["seed"][place]): float(columns["judged"][place]) for place in places}
    errors = dict(sorted(errors.items()))
    failed = {int(columns["seed"][place]): str(columns["status"][place]) for place in places}
    failed = {seed: failed[seed] for seed in errors if failed[seed] != "ok"}
    found = estimate(list(errors.values()), within=ERRORS)
    return SettingSummary(
        setting=name,
        cardinality=int(first["cardinality"]),
        bottleneck_width=int(first["bottleneck_width"]),
        **costs,
        errors=errors,
        estimate=replace(found, low=math.nan, high=math.nan) if failed else found,
        seconds=_mean([columns["seconds"][place] for place in places]),
        latency=float(first["latency"]) if pd.notna(first.get("latency")) else None,
        failed=failed,
        chance=float(first["chance"]),
        validation=_mean([columns["chosen"][place] for place in places]),
        added={one: float(first[one]) for one in READ if pd.notna(first.get(one))},
    )


def _mean(values: list[float]) -> float:
    return float(values[0] if len(values) == 1 else np.mean(values))
