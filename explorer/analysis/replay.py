"""Recorded curves played again: what a search that stops poor designs early would have found, without training.

Successive halving (Jamieson and Talwalkar, 2016): all designs are trained for a few epochs, the better third goes on
for three times as many, and so on. It is compared with training as many designs to the end as the same epochs pay for.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

KEPT = 3  # one design in so many goes on from rung to rung, for so many times the epochs
DRAWS = 400
SUBSET = 2 / 3  # of the designs in each draw: with all of them there would be one search to tell of
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """Validation error of every run after each epoch, `(runs, epochs)`, and which design each run is of."""

    errors: Floats
    design: npt.NDArray[np.int64]
    names: tuple[str, ...]

    @property
    def final(self) -> Floats:
        """What each design is worth: its last error, averaged over its seeds."""
        last = self.errors[:, -1]
        return np.array([last[self.design == place].mean() for place in range(len(self.names))])


@dataclass(frozen=True)
class Replay:
    """Regret of searches: the chosen design's error less that of the best design there was, as fractions.

    rungs      epochs after which the better third goes on
    share      of the epochs that training every design to its end would take
    halving, by_chance  regrets of both searches in each draw, at equal epochs
    tau        Kendall's rank correlation of the errors after each rung with the last ones
    """

    designs: int
    seeds: int
    epochs: int
    rungs: tuple[int, ...]
    share: float
    halving: Floats
    by_chance: Floats
    tau: tuple[float, ...]

    @property
    def difference(self) -> tuple[float, float, float]:
        """Mean regret of halving less that of chance, and its central 95 % over the draws."""
        apart = self.halving - self.by_chance
        low, high = np.percentile(apart, [2.5, 97.5])
        return float(apart.mean()), float(low), float(high)


def curves_of(runs: pd.DataFrame, epochs: pd.DataFrame) -> Curves:
    """The curves of the runs that came through. Raises ValueError for fewer than nine designs or three epochs."""
    ok = runs[(runs["status"] == "ok") & (runs["rate"] == 1)]
    table = epochs[epochs["run"].isin(ok["run"])].pivot_table(index="run", columns="epoch", values="val_error")
    table = table.dropna()
    names = tuple(dict.fromkeys(ok.loc[ok["run"].isin(table.index), "setting"]))
    if len(names) < KEPT**2 or table.shape[1] < KEPT:
        raise ValueError(
            f"has {len(names)} designs of {table.shape[1]} epochs; a replay needs {KEPT**2} designs and {KEPT} epochs"
        )
    setting = ok.set_index("run")["setting"]
    design = np.array([names.index(setting[run]) for run in table.index])
    return Curves(table.to_numpy(dtype=float), design, names)


def replay(curves: Curves, *, draws: int = DRAWS, seed: int = 0) -> Replay:
    """Search again and again among recorded designs; each draw takes two thirds of them and one seed of each."""
    rng = np.random.default_rng(seed)
    total, final = curves.errors.shape[1], curves.final
    rungs = tuple(sorted({max(1, math.ceil(total / KEPT**power)) for power in (2, 1)} | {total}))
    own = [np.flatnonzero(curves.design == place) for place in range(len(final))]
    count = max(KEPT**2, round(SUBSET * len(final)))
    spent = _cost(count, rungs)
    halving, by_chance = [], []
    for _ in range(draws):
        chosen = rng.choice(len(final), count, replace=False)
        errors = curves.errors[[rng.choice(own[place]) for place in chosen]]
        best = final[chosen].min()
        halving.append(final[chosen[_halved(errors, rungs)]] - best)
        few = rng.permutation(count)[: max(1, round(spent / total))]
        by_chance.append(final[chosen[few[errors[few, -1].argmin()]]] - best)
    mean = np.array([curves.errors[rows].mean(axis=0) for rows in own])
    tau = tuple(float(stats.kendalltau(mean[:, rung - 1], final).statistic) for rung in rungs)
    seeds = min(len(rows) for rows in own)
    share = spent / (count * total)
    return Replay(len(final), seeds, total, rungs, share, np.array(halving), np.array(by_chance), tau)


def _halved(errors: Floats, rungs: tuple[int, ...]) -> int:
    """The row that successive halving ends with."""
    left = np.arange(len(errors))
    for rung in rungs[:-1]:
        keep = math.ceil(len(left) / KEPT)
        left = left[np.argsort(errors[left, rung - 1], kind="stable")[:keep]]
    return int(left[errors[left, rungs[-1] - 1].argmin()])


def _cost(count: int, rungs: tuple[int, ...]) -> int:
    """Epochs that successive halving trains of so many designs, each going on from where it was."""
    spent, left, before = 0, count, 0
    for rung in rungs:
        spent += left * (rung - before)
        left, before = math.ceil(left / KEPT), rung
    return spent
