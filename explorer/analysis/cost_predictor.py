"""Predict what a measure would give for a design from its cost, so that not every design has to be measured.

A straight line in logarithms (ridge regression on parameters, multiply-adds, activations, depth, paths, path width, and
whether there are several paths or attention), fitted to the designs that were measured, without those that something
else on the machine disturbed. Its error is that of leaving each of them out in turn, which follows in closed form from
one fit (Allen's PRESS, 1974).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from explorer.design.cost_measures import LIMITED
from explorer.design.name import parse_name
from explorer.study.designs import Reading, Scope, Setting

LEAST = 16  # designs that are measured before anything is predicted
MARGIN = 2.5  # a design is left out if its prediction is outside by so many times the predictor's error
_FAR = 5.0  # times the usual deviation (1.48 times the median one): measurements farther off were disturbed
_RIDGE = 1e-3  # relative to the standardised features: axes that never vary must not divide by zero


@dataclass(frozen=True)
class Predictor:
    """Predictions of one measure.

    error  standard deviation of the logarithm of what is measured over what would have been predicted without it
    """

    error: float
    _mean: npt.NDArray[np.float64]
    _scale: npt.NDArray[np.float64]
    _weights: npt.NDArray[np.float64]

    def logarithm(self, setting: Setting) -> float:
        """The natural logarithm of what the measure is predicted to give."""
        row = (_features(setting) - self._mean) / self._scale
        return float(self._weights[0] + row @ self._weights[1:])

    def is_outside(self, setting: Setting, most: float) -> bool:
        """Whether a design would clearly be above a bound."""
        return most <= 0 or self.logarithm(setting) - MARGIN * self.error > math.log(most)

    @property
    def percent(self) -> float:
        """The typical error of a prediction, in per cent of what is measured."""
        return 100 * math.expm1(self.error)


def fitted_to(readings: Mapping[str, Sequence[Reading]], measure: str, scope: Scope) -> Predictor | None:
    """Fit a predictor of a measure to the readings of designs, by their names; None where there are too few.

    Of a limit of ours it predicts the lower quartile, which other programs disturb least; where that is outside, the
    upper one is.
    """
    values = {
        name: one.lower if measure in LIMITED else one.median
        for name, found in readings.items()
        for one in found
        if one.measure == measure
    }
    if len(values) < LEAST:
        return None
    return fitted([(scope.setting(parse_name(name)), value) for name, value in values.items()])


def fitted(measured: Sequence[tuple[Setting, float]]) -> Predictor | None:
    """Fit a predictor to measured designs; None where there are too few, or one has no positive number."""
    if len(measured) < LEAST or any(value <= 0 for _, value in measured):
        return None
    features = np.array([_features(setting) for setting, _ in measured])
    target = np.log([value for _, value in measured])
    mean, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.where(spread > 1e-9, spread, 1.0)
    rows = np.column_stack([np.ones(len(target)), (features - mean) / scale])
    weights, left_out = _fit(rows, target)
    for _ in range(2):
        usual = 1.48 * float(np.median(np.abs(left_out)))
        near = np.abs(target - rows @ weights) <= _FAR * max(usual, 1e-3)
        if near.sum() < LEAST:
            break
        weights, left_out = _fit(rows[near], target[near])
    return Predictor(float(np.sqrt(np.mean(left_out**2))), mean, scale, weights)


def _fit(
    rows: npt.NDArray[np.float64], target: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The weights of a ridge regression whose first column is constant, and the error of each row when left out."""
    penalty = _RIDGE * len(target) * np.diag([0.0, *[1.0] * (rows.shape[1] - 1)])
    inverse = np.linalg.inv(rows.T @ rows + penalty)
    weights = inverse @ rows.T @ target
    leverage = np.einsum("ij,jk,ik->i", rows, inverse, rows)
    return weights, (target - rows @ weights) / np.maximum(1 - leverage, 1e-6)


def _features(setting: Setting) -> npt.NDArray[np.float64]:
    own, design = setting.cost, setting.architecture
    counts = (own.params, own.macs, own.activations, sum(design.depths))
    paths = design.cardinalities[0]
    kinds = (paths > 1, design.attention != "none")
    return np.array([*np.log((*counts, paths, design.bottleneck_widths[0])), *map(float, kinds)])
