"""Which axes the error goes with, over many designs: a linear fit, the effect of each axis in it, and how well it fits.

The fit is of the error on log2 of the width, the middle width D and the cardinality, with a height for each depth. It
describes the designs that were trained, within their ranges.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from explorer.analysis.intervals import CONFIDENCE, DIFFERENCES, ROUNDING, Estimate, Floats, t_interval
from explorer.analysis.summary import SettingSummary
from explorer.design.shape_axes import BY_NAME, SHAPE_AXES

LEAST_DESIGNS = 16  # fewest designs of a fit
LEAST_EACH = 4  # fewest designs for each of its coefficients
MOST_HEIGHTS = 8  # most depths that have a height each; more of them share a slope
MOST_INFLATED = 10.0  # largest variance inflation of a slope (Marquardt, 1970); an axis that others give is left out
AXES = ("depth", "width", "group_width", "cardinality", "kernel_size")
# Those left out first, where axes are too close to each other: the fit is meant to tell D and cardinality apart.
SPARED = ("width", "kernel_size", "depth", "cardinality")
OTHERS = tuple(
    axis.name for axis in SHAPE_AXES if not axis.label
)  # axes that are no numbers: template, block, shortcut


@dataclass(frozen=True)
class Curve:
    """The fitted error along one axis at the mean of the others, with a 95 % band; errors are fractions.

    designs  for each design its value on the axis, and its error with the parts of the other axes taken away
    """

    values: tuple[float, ...]
    fitted: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    designs: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class AxisEffect:
    """One axis in the fit; differences of errors are fractions.

    slope      for each doubling, at equal other axes, with a 95 % interval; NaN where each value has a height of its
               own
    deviation  the slope's standard error
    spread     standard deviation over the designs of the part of the error that the axis is fitted to give: the
               standardised effect
    lost       how much less of the variance the fit without this axis explains
    """

    axis: str
    slope: Estimate
    deviation: float
    spread: float
    lost: float
    curve: Curve

    @property
    def label(self) -> str:
        """The name of the axis on pages."""
        return BY_NAME[self.axis].label


@dataclass(frozen=True)
class AxisEffects:
    """The effects of all axes in one fit.

    effects     the largest first
    settings    the designs, in the order of each curve's
    explained   share of the variance of the errors that the fit explains (R^2)
    apart       root of the mean squared error of a design that the fit has not seen (leave-one-out), a fraction
    noise       standard deviation of a design's mean error over other seeds, a fraction; NaN if none has two seeds
    redundant   axes left out since the others give them, each with the share of its variance that they explain
    """

    effects: tuple[AxisEffect, ...]
    settings: tuple[str, ...]
    explained: float
    apart: float
    noise: float
    redundant: dict[str, float]


def axis_effects(summaries: Sequence[SettingSummary]) -> AxisEffects | None:
    """Fit the errors of designs on their axes.

    None for too few designs, for fewer than two axes that vary, or if the designs differ in more than numbers.
    """
    known = [one for one in summaries if one.came_through]
    shapes = [one.design[0] for one in known]
    if len(known) < LEAST_DESIGNS or any(len({getattr(shape, name) for shape in shapes}) > 1 for name in OTHERS):
        return None
    if len({one.design[1] for one in known}) > 1:  # forms of blocks
        return None
    values = {name: np.array([BY_NAME[name].of(shape) for shape in shapes], dtype=float) for name in AXES}
    columns = {name: _columns(name, own) for name, own in values.items() if len(np.unique(own)) > 1}
    redundant = _leave_out(columns)
    y = np.array([one.estimate.mean for one in known])
    if len(columns) < 2 or len(y) < LEAST_EACH * (1 + sum(own.shape[1] for own in columns.values())):
        return None
    fit = _Fit.of(y, columns)
    if fit is None:
        return None
    effects = [_effect(fit, name, values[name], y) for name in columns]
    return AxisEffects(
        effects=tuple(sorted(effects, key=lambda one: one.spread, reverse=True)),
        settings=tuple(one.setting for one in known),
        explained=fit.explained(y),
        apart=fit.apart(),
        noise=_noise(known),
        redundant=redundant,
    )


def _columns(name: str, values: Floats) -> Floats:
    """The columns of an axis in the fit: one for each depth but the first, or the logarithm to base 2."""
    different = np.unique(values)
    if name == "depth" and len(different) <= MOST_HEIGHTS:
        return np.column_stack([values == one for one in different[1:]]).astype(float)
    return np.log2(values)[:, None]


def _leave_out(columns: dict[str, Floats]) -> dict[str, float]:
    """Take the fewest axes out of the columns that leave none given by the others; return how far these give each.

    None is taken out where two have to stay and that does not help.
    """
    spared = [name for name in SPARED if name in columns]
    for count in range(len(columns) - 1):
        for gone in combinations(spared, count):
            kept = {name: own for name, own in columns.items() if name not in gone}
            if all(_given(kept, one) <= 1 - 1 / MOST_INFLATED for one in kept if kept[one].shape[1] == 1):
                found = {name: _given({**kept, name: columns[name]}, name) for name in gone}
                for name in gone:
                    del columns[name]
                return found
    return {}


def _given(columns: dict[str, Floats], name: str) -> float:
    """The share of the variance of an axis that the other axes explain; of several columns the largest."""
    others = [own for other, own in columns.items() if other != name]
    own = columns[name]
    design = np.column_stack([np.ones(len(own)), *others])
    left = own - design @ np.linalg.lstsq(design, own, rcond=None)[0]
    return float(np.max(1 - (left**2).sum(axis=0) / ((own - own.mean(axis=0)) ** 2).sum(axis=0)))


@dataclass(frozen=True)
class _Fit:
    """A least-squares fit: its columns by axis, centred, with its coefficients and their covariance."""

    columns: dict[str, Floats]
    middle: float
    coefficients: dict[str, Floats]
    covariance: Floats
    left: Floats
    leverage: Floats

    @classmethod
    def of(cls, y: Floats, columns: dict[str, Floats]) -> "_Fit | None":
        """Fit; None if the columns do not determine the coefficients, or leave nothing to judge them by."""
        centred = {name: own - own.mean(axis=0) for name, own in columns.items()}
        design = np.column_stack([np.ones(len(y)), *centred.values()])
        freedom = len(y) - design.shape[1]
        if freedom < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
            return None
        inverse = np.linalg.inv(design.T @ design)
        found = inverse @ design.T @ y
        left = y - design @ found
        covariance = inverse * float(left @ left) / freedom
        leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
        coefficients, start = {}, 1
        for name, own in centred.items():
            coefficients[name] = found[start : start + own.shape[1]]
            start += own.shape[1]
        return cls(centred, float(found[0]), coefficients, covariance, left, leverage)

    @property
    def freedom(self) -> int:
        """Degrees of freedom that are left."""
        return len(self.left) - len(self.covariance)

    def place(self, name: str) -> slice:
        """Where the coefficients of an axis stand in the covariance."""
        start = 1
        for other, own in self.columns.items():
            if other == name:
                return slice(start, start + own.shape[1])
            start += own.shape[1]
        raise KeyError(name)

    def explained(self, y: Floats) -> float:
        """The share of the variance that is explained."""
        whole = float(((y - y.mean()) ** 2).sum())
        return 1 - float(self.left @ self.left) / whole if whole > ROUNDING**2 else math.nan

    def apart(self) -> float:
        """Root of the mean squared error of a design left out of the fit (PRESS; Allen, 1974)."""
        return float(np.sqrt(np.mean((self.left / np.maximum(1 - self.leverage, ROUNDING)) ** 2)))


def _effect(fit: _Fit, name: str, values: Floats, y: Floats) -> AxisEffect:
    own, coefficients, place = fit.columns[name], fit.coefficients[name], fit.place(name)
    part = own @ coefficients
    deviation = float(np.sqrt(fit.covariance[place, place][0, 0])) if len(coefficients) == 1 else math.nan
    slope = float(coefficients[0]) if len(coefficients) == 1 else math.nan
    others = {other: one + 0.0 for other, one in fit.columns.items() if other != name}
    without = _Fit.of(y, others) if others else None
    lost = fit.explained(y) - (without.explained(y) if without else 0.0)
    has_slope = not math.isnan(slope)
    return AxisEffect(
        axis=name,
        slope=t_interval(len(y), slope, deviation, fit.freedom, within=DIFFERENCES)
        if has_slope
        else Estimate(len(y), math.nan, math.nan, math.nan),
        deviation=deviation,
        spread=float(part.std()),
        lost=lost,
        curve=_curve(fit, name, values, part),
    )


def _curve(fit: _Fit, name: str, values: Floats, part: Floats) -> Curve:
    """The fitted error at each value of an axis that occurs, the others at their means."""
    different, first = np.unique(values, return_index=True)
    rows = np.zeros((len(different), len(fit.covariance)))
    rows[:, 0] = 1
    rows[:, fit.place(name)] = fit.columns[name][first]
    fitted = fit.middle + part[first]
    deviation = np.sqrt(np.einsum("ij,jk,ik->i", rows, fit.covariance, rows))
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, fit.freedom)) * deviation
    partial = fit.middle + part + fit.left
    return Curve(
        tuple(different.tolist()),
        tuple(fitted.tolist()),
        tuple((fitted - half).tolist()),
        tuple((fitted + half).tolist()),
        tuple(zip(values.tolist(), partial.tolist(), strict=True)),
    )


def _noise(known: Sequence[SettingSummary]) -> float:
    """The standard deviation of a design's mean over other seeds, on the mean of those that have several."""
    several = [(np.fromiter(one.errors.values(), float), len(one.errors)) for one in known if len(one.errors) > 1]
    freedom = sum(n - 1 for _, n in several)
    if not freedom:
        return math.nan
    squares = sum(float(((errors - errors.mean()) ** 2).sum()) for errors, _ in several)
    return math.sqrt(squares / freedom * float(np.mean([1 / n for _, n in several])))
