"""Whether brief training can be trusted to rank designs as long training does."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from explorer.analysis.summary import SettingSummary

DRAWS = 1000


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau between the mean errors of the same settings in two trainings, with a 95 % bootstrap interval.

    The bootstrap draws n - 1 of a setting's n seeds, so that it does not underestimate the variance of the mean. The
    ends are NaN if a setting has a single seed, which shows no variance.

    settings  number of settings in both; tau is 1 for the same order, 0 for unrelated ones, -1 for the opposite
    left_out  settings in both that have no rank, since one of their runs failed
    """

    tau: float
    low: float
    high: float
    settings: int
    left_out: int = 0

    @property
    def has_interval(self) -> bool:
        """Whether an interval is claimed."""
        return bool(self.low == self.low)


def agreement(short: list[SettingSummary], long: list[SettingSummary], *, seed: int = 0) -> Agreement | None:
    """Compare the order of the same settings in two trainings. None for fewer than three settings."""
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
