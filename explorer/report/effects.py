"""The effects of single axes as figures and text: the fitted error along each axis, and what the fit is worth."""

import math

from explorer.analysis.importance import AxisEffect, AxisEffects
from explorer.host.formatting import interval_points, number, percent, points
from explorer.report.panel import PALETTE, Axis, Mark, Panel

MOST_TICKS = 8  # most values of an axis with a tick of their own


def effect_panel(effect: AxisEffect, settings: tuple[str, ...], error: str) -> Panel:
    """The fitted error along one axis at the mean of the others, with its band, and every design beside it."""
    curve = effect.curve
    line = [100 * value for value in curve.fitted]
    low, high = ([100 * value for value in side] for side in (curve.low, curve.high))
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
        Mark("band", curve.values, low, PALETTE[0], high=high, legend="95 % band of the fit"),
        Mark("line", curve.values, line, PALETTE[0], legend="fit", words=words),
        Mark(
            "dots",
            places,
            partial,
            PALETTE[1],
            symbol="square",
            legend="one design, other axes at their mean",
            settings=settings,
            words=told,
            quiet=True,
        ),
    ]
    ticks = tuple((value, f"{value:g}") for value in curve.values) if len(curve.values) <= MOST_TICKS else ()
    x_axis = Axis(f"{effect.label}, logarithmic", log=True, ticks=ticks)
    return Panel(f"{error} along {effect.label}, the other axes at their mean", x_axis, Axis(error), marks)


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
