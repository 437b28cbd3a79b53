"""Recorded validation curves on which searches are replayed, and the results of the replays."""

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
    """Validation error of every run after each epoch, `(runs, epochs)`, and the design that each run belongs to.

    test      the test error of every run; None where the record has none, as that of a search
    training  the error measured while training, as `errors`; None where it is not given
    """

    errors: Floats
    design: npt.NDArray[np.int64]
    names: tuple[str, ...]
    test: Floats | None = None
    training: Floats | None = None

    @property
    def final(self) -> Floats:
        """The value of each design: its error after the last epoch, averaged over its seeds."""
        last = self.errors[:, -1]
        return np.array([last[self.design == place].mean() for place in range(len(self.names))])

    @property
    def worth(self) -> Floats:
        """By which a found design is judged: its mean test error, or where there is none that on validation images."""
        if self.test is None:
            return self.final
        return np.array([self.test[self.design == place].mean() for place in range(len(self.names))])

    @property
    def seeds(self) -> int:
        """The smallest number of seeds of any design."""
        return int(np.bincount(self.design).min())

    def tau(self, epoch: int) -> float:
        """Kendall's rank correlation of the designs' mean errors after an epoch with those after the last."""
        means = [self.errors[self.design == place, epoch - 1].mean() for place in range(len(self.names))]
        return float(stats.kendalltau(means, self.final).statistic)


@dataclass(frozen=True)
class Replay:
    """The results of several kinds of search in the same draws of designs, with the same number of epochs.

    rungs    epochs after which the kinds with a pruner stop designs
    share    epochs given, as a fraction of those for training every design to its end
    regrets  by kind and draw: the test error of the found design, which validation errors chose, minus the lowest
             test error in the draw, as fractions. Without test errors both are validation errors, which is an
             underestimate, since the searches chose by these same errors
    trained  by kind: average number of designs started
    base     the kind that the others are compared with
    """

    curves: Curves
    rungs: tuple[int, ...]
    share: float
    regrets: Mapping[str, Floats]
    trained: Mapping[str, float]
    base: str

    def within(self, kind: str, margin: float) -> float:
        """The share of draws in which a kind's regret is at most a margin."""
        return float((self.regrets[kind] <= margin + 1e-12).mean())

    def difference(self, kind: str) -> tuple[float, float, float]:
        """Mean regret minus that of the base, and the central 95 % interval of the difference over the draws."""
        apart = self.regrets[kind] - self.regrets[self.base]
        low, high = np.percentile(apart, [2.5, 97.5])
        return float(apart.mean()), float(low), float(high)


def curves_of(runs: pd.DataFrame, epochs: pd.DataFrame) -> Curves:
    """The curves of the successful runs. Raises ValueError for fewer than nine designs or three epochs."""
    ok = runs[(runs["status"] == "ok") & (runs["rate"] == 1)]
    of_runs = epochs[epochs["run"].isin(ok["run"])]
    table = of_runs.pivot_table(index="run", columns="epoch", values="val_error").dropna()
    training = None
    if "train_error" in of_runs:
        by_epoch = of_runs.pivot_table(index="run", columns="epoch", values="train_error")
        training = by_epoch.reindex(table.index).to_numpy(dtype=float)
    names = tuple(dict.fromkeys(ok.loc[ok["run"].isin(table.index), "setting"]))
    if len(names) < LEAST_DESIGNS or table.shape[1] < LEAST_EPOCHS:
        raise ValueError(
            f"has {len(names)} designs of {table.shape[1]} epochs; a replay needs {LEAST_DESIGNS} designs and "
            f"{LEAST_EPOCHS} epochs"
        )
    setting = ok.set_index("run")["setting"]
    design = np.array([names.index(setting[run]) for run in table.index])
    test = ok.set_index("run")["test_error"].reindex(table.index).to_numpy(dtype=float) if "test_error" in ok else None
    if test is not None and np.isnan(test).any():
        test = None
    return Curves(table.to_numpy(dtype=float), design, names, test, training)
