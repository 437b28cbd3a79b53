"""Recorded curves as a ground on which searches are played again, and what came of many of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

LEAST_DESIGNS, LEAST_EPOCHS = 9, 3
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

    @property
    def seeds(self) -> int:
        """Of the design that has the fewest."""
        return int(np.bincount(self.design).min())

    def tau(self, epoch: int) -> float:
        """Kendall's rank correlation of the designs' mean errors after an epoch with their last ones."""
        means = [self.errors[self.design == place, epoch - 1].mean() for place in range(len(self.names))]
        return float(stats.kendalltau(means, self.final).statistic)


@dataclass(frozen=True)
class Replay:
    """What searches of several kinds found in the same draws of designs, for the same epochs.

    rungs    epochs after which those that stop designs do so
    share    of the epochs that training every design to its end would take
    regrets  by kind and draw: the found design's validation error less that of the best there was, as fractions; too
             small, since the searches chose by these same errors
    trained  by kind: designs begun, on average
    base     the kind that the others are held against
    """

    curves: Curves
    rungs: tuple[int, ...]
    share: float
    regrets: Mapping[str, Floats]
    trained: Mapping[str, float]
    base: str

    def difference(self, kind: str) -> tuple[float, float, float]:
        """Mean regret less that of the base, and its central 95 % over the draws."""
        apart = self.regrets[kind] - self.regrets[self.base]
        low, high = np.percentile(apart, [2.5, 97.5])
        return float(apart.mean()), float(low), float(high)


def curves_of(runs: pd.DataFrame, epochs: pd.DataFrame) -> Curves:
    """The curves of the runs that came through. Raises ValueError for fewer than nine designs or three epochs."""
    ok = runs[(runs["status"] == "ok") & (runs["rate"] == 1)]
    table = epochs[epochs["run"].isin(ok["run"])].pivot_table(index="run", columns="epoch", values="val_error")
    table = table.dropna()
    names = tuple(dict.fromkeys(ok.loc[ok["run"].isin(table.index), "setting"]))
    if len(names) < LEAST_DESIGNS or table.shape[1] < LEAST_EPOCHS:
        raise ValueError(
            f"has {len(names)} designs of {table.shape[1]} epochs; a replay needs {LEAST_DESIGNS} designs and "
            f"{LEAST_EPOCHS} epochs"
        )
    setting = ok.set_index("run")["setting"]
    design = np.array([names.index(setting[run]) for run in table.index])
    return Curves(table.to_numpy(dtype=float), design, names)
