"""How far brief training can be trusted: whether it ranks designs as long training does."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from explorer.analysis.summary import SettingSummary

DRAWS = 1000


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau of the mean errors of the same settings in two trainings, with a 95 % bootstrap interval.

    Of n seeds of a setting n - 1 are drawn, so that the variance of its mean is not told too small. The ends are NaN
    where a setting has a single seed, which tells nothing of how far another would lie.

    settings  how many both have; tau is 1 for the same order, 0 for none, -1 for the opposite
    left_out  settings that both were trained on and that have no rank, since a run of them failed in either
    """

    tau: float
    low: float
    high: float
    settings: int
    left_out: int = 0


def agreement(short: list[SettingSummary], long: list[SettingSummary], *, seed: int = 0) -> Agreement | None:
    """Whether two trainings of the same settings put them in the same order. None for fewer than three settings."""
    both = [(one, other) for one in short for other in long if one.setting == other.setting]
    pairs = [(one.errors, other.errors) for one, other in both if not one.failed and not other.failed]
    pairs = [pair for pair in pairs if pair[0] and pair[1]]
    if len(pairs) < 3:
        return None
    sides = [[np.fromiter(pair[side].values(), float) for pair in pairs] for side in (0, 1)]
    rng = np.random.default_rng(seed)
    drawn = []
    several = all(len(errors) > 1 for side in sides for errors in side)
    for _ in range(DRAWS if several else 0):
        means = [[rng.choice(errors, len(errors) - 1).mean() for errors in side] for side in sides]
        drawn.append(_tau(*means))
    known = [tau for tau in drawn if tau == tau]
    low, high = np.percentile(known, [2.5, 97.5]) if known else (np.nan, np.nan)
    exact = _tau(*([float(errors.mean()) for errors in side] for side in sides))
    left_out = sum(bool(one.failed or other.failed) for one, other in both)
    return Agreement(exact, float(low), float(high), len(pairs), left_out)


def _tau(first: list[float], second: list[float]) -> float:
    return float(stats.kendalltau(first, second).statistic)
