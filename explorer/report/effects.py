"""The effects of single axes as figures and text: the fitted error along each axis, and what the fit is worth."""

import math

from explorer.analysis.importance import AxisEffect, AxisEffects
from explorer.host.formatting import interval_points, number, percent, points
from explorer.report.colors import Colors
from explorer.report.panel import GREY, Mark, Panel, axis_of, error_axis

MOST_TICKS = 8  # most values of an axis with a tick of their own


def effect_panel(effect: AxisEffect, settings: tuple[str, ...], error: str, colors: Colors | None = None) -> Panel:
    """The fitted error along one axis at the mean of the others, with its band, and every design beside it."""
    colors = colors or Colors()
    curve = effect.curve
    line = [100 * value for value in curve.fitted]
    low, high = ([100 * min(max(value, 0.0), 1.0) for value in side] for side in (curve.low, curve.high))
    places = [place for place, _ in curve.designs]
    partial = [100 * value for _, value in curve.designs]
    words = [
        f"{effect.label} {place:g}\nfitted error {value:.2f} %" for place, value in zip(curve.values, line, strict=True)
    ]
    told = [
        f"{name}\n{effect.label} {place:g}\n{value:.2f} % at the mean of the other axes"
        for name, place, value in zip(settings, places, partial, strict=True)
    ]
    marks = [
        Mark("band", curve.values, low, GREY, high=high, legend="95 % band of the fit"),
        Mark("line", curve.values, line, GREY, legend="fit", words=words),
    ]
    for (color, group), own in colors.grouped(settings).items():
        marks.append(
            Mark(
                "dots",
                [places[place] for place in own],
                [partial[place] for place in own],
                color,
                symbol="square",
                legend=group or "one design",
                settings=[settings[place] for place in own],
                words=[told[place] for place in own],
                quiet=True,
            )
        )
    ticks = tuple((value, f"{value:g}") for value in curve.values) if len(curve.values) <= MOST_TICKS else ()
    x_axis = axis_of(effect.label, curve.values, ticks)
    return Panel(f"{error} along {effect.label}, the other axes at their mean", x_axis, error_axis(error), marks)


def slope_words(effect: AxisEffect) -> str:
    """The effect of a doubling in points, with its interval, or the heights of single values."""
    if not math.isnan(effect.slope.mean):
        ends = f" ({interval_points(effect.slope.low, effect.slope.high)})" if effect.slope.has_interval else ""
        return f"{points(effect.slope.mean)}{ends} for each doubling"
    curve = effect.curve
    first = curve.fitted[0]
    each = ", ".join(
        f"{points(fitted - first)} at {value:g}"
        for value, fitted in zip(curve.values[1:], curve.fitted[1:], strict=True)
    )
    return f"against {curve.values[0]:g}: {each}"


def fit_words(effects: AxisEffects, images: int | None) -> str:
    """What the fit is worth: the variance it explains, its error on designs that it has not seen, and the noise."""
    mean_error = sum(effects.effects[0].curve.fitted) / len(effects.effects[0].curve.fitted)
    fits = f"The fit explains {percent(effects.explained, 0)} of the variance (R² = {number(effects.explained)})."
    parts = [f"{fits} It misses a design that it has not seen by {100 * effects.apart:.2f} points (leave-one-out)"]
    if not math.isnan(effects.noise):
        parts.append(f"; over other seeds a design's own error varies by {100 * effects.noise:.2f} points.")
    elif images:
        counting = math.sqrt(max(0.0, mean_error * (1 - mean_error)) / images)
        parts.append(
            f"; how much other seeds would change a design is not known, since none has two, but counting on "
            f"{images:,} images alone varies by {100 * counting:.2f} points."
        )
    else:
        parts.append(".")
    return "".join(parts)
