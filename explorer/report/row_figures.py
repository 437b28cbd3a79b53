"""The figures with a row for each setting: errors, errors and seconds, seconds, and deviations from a budget."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

import pandas as pd

from explorer.analysis.summary import SettingSummary, summarise
from explorer.design.cost_measures import COUNTED
from explorer.design.name import display_setting
from explorer.host.formatting import duration, interval, percent, signed_percent
from explorer.report.colors import Colors
from explorer.report.error_words import claimed, mean_words, seeds_words
from explorer.report.figures import hover_text
from explorer.report.panel import Axis, axis_of, error_axis
from explorer.report.rows import MOST_ROWS, Cell, Row, Rows

MOST_SEEDS = 12  # most seeds whose marks are drawn beside an interval


def design_rows(summaries: Sequence[SettingSummary], colors: Colors, error: str) -> Rows:
    """The error of each design, the lowest on top: its mean with its interval, and its seeds."""
    ranked = sorted(summaries, key=lambda one: one.estimate.mean)
    rows = [Row(one.display, one.setting, colors.of(one.setting), [_error(one)], hover_text(one)) for one in ranked]
    return _limited(f"{error} of each design", [error_axis(error)], rows)


def form_rows(summaries: Sequence[SettingSummary], runs: pd.DataFrame, colors: Colors, error: str) -> Rows:
    """The error of each design at the left and the seconds of its runs at the right, the lowest error on top."""
    ranked = sorted(summaries, key=lambda one: one.estimate.mean)
    seconds = seconds_of(runs)
    rows = [
        Row(
            one.display,
            one.setting,
            colors.of(one.setting),
            [_error(one), _seconds(seconds.get(one.setting, []))],
            hover_text(one),
        )
        for one in ranked
    ]
    return _limited(f"{error} and seconds of a run of each design", [error_axis(error), _time_axis(seconds)], rows)


def rate_rows(runs: pd.DataFrame, pair: tuple[str, str], colors: Colors) -> Rows:
    """The validation error of two settings at each learning rate, and the seconds of their runs, lowest error on top.

    Rates are multiples of the recipe's; validation chooses among them, and test images are not looked at.
    """
    found: list[tuple[float, Row]] = []
    times: dict[str, list[float]] = {}
    for rate in sorted({float(rate) for rate in runs["rate"]}):
        own = runs[(runs["rate"] == rate) & runs["setting"].isin(pair)]
        seconds = {name: [float(value) for value in part["seconds"]] for name, part in _ok(own).groupby("setting")}
        for one in summarise(own, [*pair], "val_error"):
            if not one.came_through:
                continue
            label = f"{one.display}, rate \N{MULTIPLICATION SIGN} {rate:g}"
            times[label] = seconds.get(one.setting, [])
            cells = [_error(one), _seconds(times[label])]
            words = f"{label}\nvalidation error {mean_words(one)}, n = {seeds_words(one)}"
            found.append((one.estimate.mean, Row(label, one.setting, colors.of(one.setting), cells, words)))
    rows = [row for _, row in sorted(found, key=lambda pair: pair[0])]
    error = error_axis("Validation error (%)")
    return _limited("Validation error and seconds of a run at each learning rate", [error, _time_axis(times)], rows)


def time_rows(runs: pd.DataFrame, colors: Colors) -> Rows:
    """The seconds of all runs of each setting with their median, the fastest on top."""
    seconds = seconds_of(runs)
    ranked = sorted(seconds, key=lambda name: median(seconds[name]))
    rows = []
    for name in ranked:
        cell, shown = _seconds(seconds[name]), display_setting(name)
        rows.append(Row(shown, name, colors.of(name), [cell], f"{shown}\nmedian {cell.words}"))
    return _limited("Seconds of each run, and their median, by setting", [_time_axis(seconds)], rows)


def deviation_rows(
    summaries: Sequence[SettingSummary], allowed: Mapping[str, tuple[float, float]], colors: Colors
) -> Rows:
    """How far each design's costs that the budget holds lie from its reference; what it allows is shaded.

    `allowed` are the lowest and the highest deviation, fractions, by name of the cost.
    """
    rows = [
        Row(
            one.display,
            one.setting,
            colors.of(one.setting),
            [Cell(100 * one.deviation(axis), words=signed_percent(one.deviation(axis))) for axis in allowed],
            "\n".join(
                [
                    one.display,
                    *(f"{int(one.value(axis)):,} {COUNTED[axis].words}, {_apart(one, axis)}" for axis in allowed),
                ]
            ),
        )
        for one in summaries
    ]
    words = [COUNTED[axis].words for axis in allowed]
    axes = [Axis(f"Deviation of {name} (%)") for name in words]
    shades = [(100 * low, 100 * high) for low, high in allowed.values()]
    title = f"Deviation of each design's {' and '.join(words)} from the budget's reference"
    return _limited(title, axes, rows, shades)


def _apart(one: SettingSummary, axis: str) -> str:
    return signed_percent(one.deviation(axis))


def _limited(
    title: str, axes: Sequence[Axis], rows: Sequence[Row], shades: Sequence[tuple[float, float] | None] = ()
) -> Rows:
    left = len(rows) - MOST_ROWS
    words = f"The first {MOST_ROWS} of {len(rows)} are drawn." if left > 0 else ""
    return Rows(title, axes, rows[:MOST_ROWS], shades, words)


def _error(one: SettingSummary) -> Cell:
    """The error of a setting: its mean with its interval, and its seeds; with fewer than five these alone."""
    found = claimed(one.estimate)
    each = [100 * error for error in one.errors.values()] if 1 < found.n <= MOST_SEEDS else []
    more = interval(found.low, found.high) if found.has_interval and not one.failed else f"n = {seeds_words(one)}"
    ends = (math.nan, math.nan) if one.failed else (100 * found.low, 100 * found.high)
    return Cell(100 * found.mean, *ends, each=each, words=f"{percent(found.mean)}, {more}")


def seconds_of(runs: pd.DataFrame) -> dict[str, list[float]]:
    """The seconds of each run that came through, by setting, at the recipe's learning rate."""
    ok = _ok(runs[runs["rate"] == 1])
    return {str(name): [float(value) for value in own["seconds"]] for name, own in ok.groupby("setting", sort=False)}


def _ok(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[(runs["status"] == "ok") & runs["seconds"].notna()]


def _seconds(values: Sequence[float]) -> Cell:
    if not values:
        return Cell(math.nan, words="-")
    each = [*values] if len(values) > 1 else []
    return Cell(median(values), each=each, words=_duration(median(values)))


def _duration(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else duration(seconds)


def _time_axis(seconds: Mapping[str, Sequence[float]]) -> Axis:
    values = [value for own in seconds.values() for value in own]
    axis = axis_of("Seconds of a run", values)
    return axis if axis.log else Axis(axis.title, within=(0.0, math.inf))
