"""Does a verdict hold when each setting is trained at the learning rate that suits it best?"""

from dataclasses import dataclass

import pandas as pd

from explorer.analysis.paired import Comparison, compare
from explorer.analysis.summary import SettingSummary, lowest, summarise


@dataclass(frozen=True)
class Fairness:
    """The contrast on validation images: with the recipe's rate for both, and with each setting's best rate.

    rates  multiple of the recipe's learning rate that has the lowest mean validation error, of both settings; None
           where no run of a setting came through at any. Choosing flatters both errors a little; the test images take
           no part.
    """

    rates: tuple[float | None, float | None]
    base: Comparison
    best: Comparison

    @property
    def holds(self) -> bool:
        """Whether both come to the same verdict."""
        return self.base.verdict == self.best.verdict


def fairness(
    runs: pd.DataFrame, contrast: tuple[str, str], margin: float | None, alpha: float, *, images: int | None = None
) -> Fairness | None:
    """Compare at the best of the rates that both settings were trained at with all their seeds; None for one rate."""
    both = runs[runs["setting"].isin(contrast)]
    by_rate = {
        float(rate): summarise(both[both["rate"] == rate], list(contrast), "val_error")
        for rate in both["rate"].unique()
    }
    seeds = [len(one.errors) for one in by_rate.get(1.0, [])]
    complete = {
        rate: found
        for rate, found in by_rate.items()
        if len(found) == 2 and [len(one.errors) for one in found] == seeds
    }
    if len(complete) < 2 or 1.0 not in complete:
        return None
    chosen = [lowest(found[side] for found in complete.values()) for side in (0, 1)]
    rates = [next((rate for rate in complete if complete[rate][side] is one), None) for side, one in enumerate(chosen)]
    best: list[SettingSummary] = [one or complete[1.0][side] for side, one in enumerate(chosen)]
    base = compare(complete[1.0][0], complete[1.0][1], margin, alpha, images=images)
    return Fairness((rates[0], rates[1]), base, compare(best[0], best[1], margin, alpha, images=images))
