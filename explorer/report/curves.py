"""Panels of the training itself: error against epoch, and how far settings are from a rival at each epoch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import cast

import numpy as np
import pandas as pd

from explorer.analysis.intervals import DIFFERENCES, estimate, estimates
from explorer.analysis.summary import places_of
from explorer.design.name import display_setting
from explorer.host.formatting import less
from explorer.report.colors import Colors
from explorer.report.kinds import MOST_LINES
from explorer.report.panel import GREY, Axis, Mark, Panel, bands, is_wide
from explorer.report.rows import LEAST_CLAIMED
from explorer.report.short_labels import short_labels

MOST_CURVES = (
    MOST_LINES  # most settings with a curve of their own: of more the best, the median and the worst are drawn
)
MOST_BANDED = 3  # most differences with a band each: of more only that of the declared contrast has one
LOWEST_DRAWN = 0.1  # percent; a logarithmic axis has no zero
LOW = 260  # height in pixels of the figure below the curves


@dataclass(frozen=True)
class Curve:
    """Mean over seeds per epoch with a 95 % interval, in percent; `kind` is "val_error" or "train_error".

    The ends of the interval are NaN if none is claimed: with fewer than five seeds, or where these do not differ.

    each  the values of each seed, where these are so few that they are shown in place of an interval
    """

    setting: str
    kind: str
    epochs: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]
    n: int
    each: tuple[tuple[float, ...], ...] = ()

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


def seeds_of(epochs: pd.DataFrame, runs: pd.DataFrame, curve: Curve) -> tuple[tuple[float, ...], ...]:
    """The errors of each seed along a curve, in percent; NaN where a seed has none."""
    ok = runs.loc[(runs["status"] == "ok") & (runs["rate"] == 1) & (runs["setting"] == curve.setting), "run"]
    own = epochs[epochs["run"].isin(ok)].pivot_table(index="run", columns="epoch", values=curve.kind, dropna=False)
    own = own.reindex(columns=curve.epochs)
    return tuple(tuple(100 * float(value) for value in row) for row in own.to_numpy())


def curves_panel(
    curves: Mapping[str, Sequence[Curve]], colors: Colors | None = None, contrast: tuple[str, str] | None = None
) -> Panel:
    """Error against epoch of some settings: validation solid with its interval as a band, training dotted.

    Each is named at its end. Of more than six settings a band holds all, with the best, the median and the worst of
    them, or of each group of settings. Without validation errors, as of a final round, training is solid.
    """
    colors = colors or Colors()
    known = {name: [one for one in own if _has_values(one)] for name, own in curves.items()}
    known = {name: own for name, own in known.items() if own}
    if len(known) > MOST_CURVES:
        marks, which = _spread(known, colors, contrast), f"{len(known)} settings"
    else:
        marks, which = _lines(known, colors), "every setting"
    # Errors fall by a factor of twenty: on a linear axis curves would coincide at the end of training, which counts.
    # The axis ends just below the lowest validation error; training error that falls further leaves the frame.
    lowest = [_first(own) for own in known.values()]
    values = [value for curve in lowest for value in curve.mean if value > 0]
    if is_wide(values):
        y_axis = Axis("Error (%), logarithmic", log=True, low=min(values, default=1.0) / 1.3, high=100.0)
    else:
        y_axis = Axis("Error (%)", within=(0.0, 100.0))
    return Panel(f"Error against epoch for {which}", _epochs(marks), y_axis, marks)


def _epochs(marks: Sequence[Mark]) -> Axis:
    """The axis of epochs, which ends with the last, so that names stand at the ends of lines."""
    every = [epoch for mark in marks for epoch in mark.x]
    room = (0.03 * (max(every) - min(every)) or 0.5) if every else 0.5
    return Axis("Epoch", whole=True, low=min(every, default=1) - room, high=max(every, default=1) + room)


def _has_values(curve: Curve) -> bool:
    return any(value == value for value in curve.mean)


def _first(own: Sequence[Curve]) -> Curve:
    """The curve that is drawn solid: validation, where there is any."""
    return next((one for one in own if one.kind == "val_error"), own[0])


def _lines(curves: Mapping[str, Sequence[Curve]], colors: Colors) -> list[Mark]:
    marks, labels = list[Mark](), short_labels([*curves])
    for name, own in curves.items():
        color, solid = colors.of(name), _first(own)
        for curve in own:
            is_val = curve.kind == "val_error"
            if is_val:
                # NaN comes first, since max() keeps its first argument then.
                marks += bands(curve.epochs, [max(low, LOWEST_DRAWN) for low in curve.low], curve.high, color)
                marks += [Mark("line", curve.epochs, seed, color, quiet=True, width=1.0) for seed in curve.each]
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
                    settings=[curve.setting] * len(curve.epochs),
                    words=words,
                    dashed=curve is not solid,
                    width=2.0 if is_val else 1.5,
                    end=labels[name] if curve is solid else "",
                )
            )
    return marks


def _spread(curves: Mapping[str, Sequence[Curve]], colors: Colors, contrast: tuple[str, str] | None) -> list[Mark]:
    """For each group of settings a band from the lowest to the highest error, with the best, the median and the worst.

    Best and worst are by the last error of each; those of a declared contrast are drawn too.
    """
    marks, groups = list[Mark](), dict[str, dict[str, Curve]]()
    for name, own in curves.items():
        groups.setdefault(colors.group_of.get(name, ""), {})[name] = _first(own)
    for group, members in groups.items():
        color = colors.group(group) if group else GREY
        by_epoch: dict[int, list[float]] = {}
        for curve in members.values():
            for epoch, value in zip(curve.epochs, curve.mean, strict=True):
                if value == value:
                    by_epoch.setdefault(epoch, []).append(value)
        at = sorted(by_epoch)
        low, high = ([max(end(by_epoch[epoch]), LOWEST_DRAWN) for epoch in at] for end in (min, max))
        marks += bands(at, low, high, color)
        ranked = sorted(members.values(), key=lambda one: one.mean[-1])
        middle = [median(by_epoch[epoch]) for epoch in at]
        head = f"{group}, " if len(groups) > 1 else ""
        words = [
            f"{head}median of {len(by_epoch[epoch])} designs\nepoch {epoch}: {value:.2f} %"
            for epoch, value in zip(at, middle, strict=True)
        ]
        marks.append(Mark("line", at, middle, color, words=words, width=2.5, end=group if head else "median"))
        pair = [] if len(members) < 2 else [("best", ranked[0]), ("worst", ranked[-1])]
        for word, curve in pair:
            words = [
                f"{head}{word}: {curve.name}\nepoch {epoch}: {value:.2f} %"
                for epoch, value in zip(curve.epochs, curve.mean, strict=True)
            ]
            names = [curve.setting] * len(curve.epochs)
            end = "" if head else word
            marks.append(Mark("line", curve.epochs, curve.mean, color, settings=names, words=words, width=1.2, end=end))
    for name in contrast or ():
        if name in curves:
            curve = _first(curves[name])
            end = short_labels([*(contrast or ())])[name]
            names = [name] * len(curve.epochs)
            marks.append(Mark("line", curve.epochs, curve.mean, colors.of(name), settings=names, end=end))
    return marks


def difference_panel(
    epochs: pd.DataFrame,
    runs: pd.DataFrame,
    settings: Sequence[str],
    contrast: tuple[str, str],
    colors: Colors,
) -> Panel | None:
    """How many points less than the rival's the validation errors of settings are by epoch, paired by seed.

    With five pairs or more the 95 % t interval of the mean is a band; with fewer each pair is a thin line. None where
    no two runs can be paired.
    """
    setting, rival = contrast
    ok = runs.loc[(runs["status"] == "ok") & (runs["rate"] == 1), ["run", "setting", "seed"]]
    named = epochs.merge(ok, on="run")
    errors = {
        name: own.pivot_table(index="epoch", columns="seed", values="val_error")
        for name, own in named[named["setting"].isin([*settings, *contrast])].groupby("setting")
    }
    if rival not in errors:
        return None
    others = [name for name in settings if name != rival and name in errors]
    if len(others) > MOST_CURVES:
        others = [name for name in others if name == setting]
    labels, marks = short_labels([*dict.fromkeys([*others, rival])]), list[Mark]()
    for name in others:
        apart = (100 * (errors[rival] - errors[name])).dropna(how="all").dropna(how="all", axis=1)
        if apart.empty:
            continue
        at, color = [int(epoch) for epoch in apart.index], colors.of(name)
        rows = [row[np.isfinite(row)] for row in apart.to_numpy()]
        means = [estimate(row / 100, within=DIFFERENCES) for row in rows]
        if name == setting or len(others) <= MOST_BANDED:
            claimed = [one.n >= LEAST_CLAIMED for one in means]
            low = [100 * one.low if is_claimed else math.nan for one, is_claimed in zip(means, claimed, strict=True)]
            high = [100 * one.high if is_claimed else math.nan for one, is_claimed in zip(means, claimed, strict=True)]
            marks += bands(at, low, high, color)
            if not any(claimed) and apart.shape[1] > 1:
                marks += [Mark("line", at, [*apart[seed]], color, quiet=True, width=1.0) for seed in apart.columns]
        words = [
            f"{display_setting(name)}\nepoch {epoch}: {less(-one.mean)} points less, {one.n} pairs of seeds"
            for epoch, one in zip(at, means, strict=True)
        ]
        mean, own = [100 * one.mean for one in means], [name] * len(at)
        marks.append(Mark("line", at, mean, color, settings=own, words=words, width=2.0, end=labels[name]))
    if not marks:
        return None
    first, last = min(min(mark.x) for mark in marks), max(max(mark.x) for mark in marks)
    marks.insert(
        0, Mark("line", [first, last], [0.0, 0.0], colors.of(rival), dashed=True, width=1.5, end=labels[rival])
    )
    title = f"Difference to {labels[rival]} by epoch, paired by seed"
    y_axis = Axis(f"Points of validation error less than {labels[rival]}", within=(-100.0, 100.0))
    return Panel(title, _epochs(marks), y_axis, marks, height=LOW)


def _ends(rows: pd.DataFrame) -> tuple[list[float], list[float], list[float]]:
    """Means and ends of their intervals, in percent, for all settings at once."""
    mean, count = rows["mean"].to_numpy(), rows["count"].to_numpy()
    low, high = estimates(mean, rows["std"].to_numpy(), count)
    low, high = (np.where(count >= LEAST_CLAIMED, end, np.nan) for end in (low, high))
    return (100 * mean).tolist(), (100 * low).tolist(), (100 * high).tolist()
