"""Panels of the training itself: error against epoch, and the seconds of each run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from explorer.analysis.intervals import estimates
from explorer.analysis.summary import places_of
from explorer.design.name import display_setting
from explorer.report.panel import PALETTE, Axis, Mark, Panel, bands

MOST_WHOLE = 3  # most lines of designs with whole names in a printed legend: a line each is then still little of it
LOWEST_DRAWN = 0.1  # percent; a logarithmic axis has no zero


@dataclass(frozen=True)
class Curve:
    """Mean over seeds per epoch with a 95 % interval, in percent; `kind` is "val_error" or "train_error".

    The ends of the interval are NaN if none is claimed, as in `Estimate`.
    """

    setting: str
    kind: str
    epochs: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]
    n: int

    @property
    def name(self) -> str:
        """The setting's name as pages show it."""
        return display_setting(self.setting)


def curve_numbers(epochs: pd.DataFrame, runs: pd.DataFrame, most: int | None = None) -> dict[str, list[Curve]]:
    """Validation and training error per epoch of every setting, over the seeds that reached the epoch.

    `most` limits the number of epochs: these are then evenly spread and include the last.
    """
    ok = runs.loc[(runs["status"] == "ok") & (runs["rate"] == 1), ["run", "setting"]]
    named = epochs.merge(ok, on="run")
    if most is not None and len(named):
        last = int(named["epoch"].max())
        named = named[named["epoch"].isin(np.unique(np.linspace(1, last, most).round().astype(int)))]
    if not len(named):
        return {}
    kinds = ["val_error", "train_error"]
    grouped = named.groupby(["setting", "epoch"], sort=True)[kinds].agg(["mean", "std", "count"])
    seeds = named.groupby("setting")["run"].nunique()
    at = [int(epoch) for epoch in grouped.index.get_level_values("epoch")]
    ends = {kind: _ends(cast(pd.DataFrame, grouped[kind])) for kind in kinds}
    found: dict[str, list[Curve]] = {}
    for name, places in places_of(grouped.index.get_level_values("setting")).items():
        own = slice(places[0], places[-1] + 1)  # the rows are in the order of settings and epochs
        found[name] = [
            Curve(name, kind, at[own], mean[own], low[own], high[own], int(seeds[name]))
            for kind, (mean, low, high) in ends.items()
        ]
    return found


def curves_panel(curves: list[Curve], of: int | None = None) -> Panel:
    """Error against epoch: validation solid with its interval as a band, training dotted.

    `of` is the number of settings of which these are drawn; by default all are.

    Without validation errors, as of a final round, training is solid.
    """
    marks = []
    curves = [curve for curve in curves if any(value == value for value in curve.mean)]
    validated = {curve.setting for curve in curves if curve.kind == "val_error"}
    names = list(dict.fromkeys(curve.name for curve in curves))
    for curve in curves:
        index = names.index(curve.name)
        color, is_val = PALETTE[index % len(PALETTE)], curve.kind == "val_error"
        if is_val:
            # NaN comes first, since max() keeps its first argument then.
            marks += bands(curve.epochs, [max(low, LOWEST_DRAWN) for low in curve.low], curve.high, color)
        words = [
            f"{curve.name}, {'validation' if is_val else 'training'}\nepoch {epoch}: {value:.2f} %, "
            f"{'one seed' if curve.n == 1 else f'mean of {curve.n} seeds'}"
            for epoch, value in zip(curve.epochs, curve.mean, strict=True)
        ]
        marks.append(
            Mark(
                "line",
                curve.epochs,
                curve.mean,
                color,
                legend=curve.name if is_val or curve.setting not in validated else "",
                settings=[curve.setting] * len(curve.epochs),
                words=words,
                dashed=not is_val and curve.setting in validated,
                width=2.0 if is_val else 1.5,
            )
        )
    # Errors fall by a factor of twenty: on a linear axis curves would coincide at the end of training, which counts.
    # The axis ends just below the lowest validation error; training error that falls further leaves the frame.
    lowest = [curve for curve in curves if curve.kind == "val_error" or not validated]
    known = [value for curve in lowest for value in curve.mean if value > 0]
    y_axis = Axis("Error (%), logarithmic", log=True, low=min(known, default=1.0) / 1.3, high=100.0)
    which = "every setting" if of is None or of <= len(names) else f"the best {len(names)} of {of} settings"
    return Panel(f"Error against epoch for {which}", Axis("Epoch"), y_axis, marks)


def time_panel(runs: pd.DataFrame, shown: dict[str, str]) -> Panel:
    """Seconds of each run against its network's multiply-adds; `shown` has the name that pages show of each setting."""
    ok = runs[(runs["status"] == "ok") & (runs["rate"] == 1)].sort_values("macs")
    rows = list(zip(ok["setting"].map(shown), ok["seed"], ok["seconds"], strict=True))
    mark = Mark(
        "dots",
        [float(value) for value in ok["macs"]],
        [float(value) for value in ok["seconds"]],
        PALETTE[0],
        settings=[str(name) for name in ok["setting"]],
        words=[f"{name}, seed {seed}\n{seconds:.1f} s" for name, seed, seconds in rows],
        quiet=True,
    )
    x_axis = Axis("Multiply-adds, logarithmic", log=True)
    return Panel("Seconds of each run against its multiply-adds", x_axis, Axis("Seconds of a run", low=0.0), [mark])


def short_names(panel: Panel) -> dict[str, str]:
    """Short names of a panel's designs, by their names in its legend, if each of many has a line of its own.

    They are those of the record without the ending that all of them share: `26-16x3d-w48` of `26-16x3d-w48-regnet`.
    """
    names = {
        mark.legend: mark.settings[0] for mark in panel.marks if mark.kind == "line" and len({*mark.settings}) == 1
    }
    names.pop("", None)
    if len(names) <= MOST_WHOLE:
        return {}
    ending = shared_ending([*names.values()])
    return {legend: name.removesuffix(ending) for legend, name in names.items()}


def shared_ending(names: Sequence[str]) -> str:
    """The parts with which all of several short names end, with the hyphens before them: `-regnet`; "" for none."""
    split = [name.split("-")[2:] for name in names]  # depth and paths are never left out
    shared: list[str] = []
    for parts in zip(*map(reversed, split), strict=False):
        if len({*parts}) > 1:
            break
        shared.insert(0, parts[0])
    return "".join(f"-{part}" for part in shared)


def _ends(rows: pd.DataFrame) -> tuple[list[float], list[float], list[float]]:
    """Means and ends of their intervals, in percent, for all settings at once."""
    mean = rows["mean"].to_numpy()
    low, high = estimates(mean, rows["std"].to_numpy(), rows["count"].to_numpy())
    return (100 * mean).tolist(), (100 * low).tolist(), (100 * high).tolist()
