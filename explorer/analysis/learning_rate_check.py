"""Does a verdict hold when each setting is trained at the learning rate that suits it best?"""

from dataclasses import dataclass

import pandas as pd

from explorer.analysis.paired import Comparison, compare
from explorer.analysis.summary import SettingSummary, lowest, summarise


@dataclass(frozen=True)
class LearningRateCheck:
    """The contrast on validation images, at the recipe's learning rate (`base`) and at each setting's best (`best`).

    rates  for each of the two settings the multiple of the recipe's learning rate with the lowest mean validation
           error; None if every run of a setting failed at every rate. The choice biases both errors slightly downwards;
           test images are not used.
    """

    rates: tuple[float | None, float | None]
    base: Comparison
    best: Comparison

    @property
    def holds(self) -> bool:
        """Whether the verdict at the best rates is the same as at the recipe's rate."""
        return self.base.verdict == self.best.verdict


def learning_rate_check(
    runs: pd.DataFrame, contrast: tuple[str, str], margin: float | None, alpha: float, *, images: int | None = None
) -> LearningRateCheck | None:
    """Compare two settings, each at its best learning rate; None if they were trained at only one.

    Only rates at which both settings have all their seeds are considered. `images` is the number of validation images.
    """
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
    return LearningRateCheck((rates[0], rates[1]), base, compare(best[0], best[1], margin, alpha, images=images))
