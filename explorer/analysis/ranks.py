"""Whether brief training can be trusted to rank designs as long training does."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from explorer.analysis.intervals import CONFIDENCE
from explorer.analysis.summary import SettingSummary

DRAWS = 1000
REDRAWN = "95 % of redrawn seeds, which agree less, give"  # before the ends of `Agreement`
LEAST_RANKED = 10  # fewest designs of a correlation over designs
ROOM = 0.437  # variance of atanh(tau) times n - 4 (Fieller, Hartley and Pearson, 1957)


@dataclass(frozen=True)
class Correlation:
    """Kendall's tau over `n` designs, with a 95 % interval over designs; NaN for fewer than ten, or without order."""

    n: int
    tau: float
    low: float
    high: float

    @property
    def is_known(self) -> bool:
        """Whether there is a correlation with an interval."""
        return not math.isnan(self.low)


@dataclass(frozen=True)
class RankHistory:
    """By epoch: the correlation of the validation errors of designs after it with those after the last one.

    designs  number of designs that were trained to their end
    """

    epochs: tuple[int, ...]
    correlations: tuple[Correlation, ...]
    designs: int


def rank_correlation(first: npt.ArrayLike, second: npt.ArrayLike) -> Correlation:
    """Kendall's tau of two series of as many designs, with the interval of Fieller, Hartley and Pearson (1957)."""
    one, other = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    n = len(one)
    tau = float(stats.kendalltau(one, other).statistic) if n >= LEAST_RANKED else math.nan
    if math.isnan(tau):
        return Correlation(n, math.nan, math.nan, math.nan)
    most = 1 - 2 / (n * (n - 1))  # half a step from 1, where the transform has no end
    middle = math.atanh(max(-most, min(most, tau)))
    half = float(stats.norm.ppf(0.5 + CONFIDENCE / 2)) * math.sqrt(ROOM / (n - 4))
    return Correlation(n, tau, min(tau, math.tanh(middle - half)), max(tau, math.tanh(middle + half)))


def rank_history(runs: pd.DataFrame, epochs: pd.DataFrame) -> RankHistory | None:
    """How early the order of the designs is known, from the runs that came to their end.

    Designs that a search stopped are not among them, so that the others are more alike than all were. None for fewer
    than ten designs, or runs of one epoch.
    """
    ended = runs[(runs["status"] == "ok") & (runs["rate"] == 1)]
    if ended["setting"].nunique() < LEAST_RANKED:
        return None
    own = epochs[epochs["run"].isin(ended["run"])].merge(ended[["run", "setting"]], on="run")
    table = own.pivot_table(index="setting", columns="epoch", values="val_error").dropna(axis=1)
    if len(table) < LEAST_RANKED or table.shape[1] < 2:
        return None
    last = table[table.columns[-1]].to_numpy()
    found = {int(epoch): rank_correlation(table[epoch].to_numpy(), last) for epoch in table.columns[:-1]}
    known = {epoch: one for epoch, one in found.items() if one.is_known}
    return RankHistory(tuple(known), tuple(known.values()), len(table)) if known else None


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau between the mean errors of the same settings in two trainings.

    low, high  between which it lies in 95 % of draws of n - 1 of each setting's n seeds; NaN if a setting has a single
               seed. That is no confidence interval: means of drawn seeds vary about means that vary already, so that
               their orders agree less than those of the expected errors
    settings  number of settings in both; tau is 1 for the same order, 0 for unrelated ones, -1 for the opposite
    left_out  settings in both that have no rank, since one of their runs failed
    """

    tau: float
    low: float
    high: float
    settings: int
    left_out: int = 0

    @property
    def was_redrawn(self) -> bool:
        """Whether seeds could be drawn again."""
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
