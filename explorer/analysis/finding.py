"""What a study found, in one value."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from explorer.analysis.failures import Failures, failures_of
from explorer.analysis.family import simultaneous
from explorer.analysis.final_round import FinalRound
from explorer.analysis.front import Front, front
from explorer.analysis.imported import ImportedFinding, imported_finding
from explorer.analysis.intervals import DIFFERENCES, Estimate, estimate
from explorer.analysis.leading import Leading, leading
from explorer.analysis.learning_rate_check import LearningRateCheck, learning_rate_check
from explorer.analysis.linear_guess import LinearGuess, linear_guess
from explorer.analysis.paired import ALPHA, Comparison, compare, others
from explorer.analysis.population import Populations, populations
from explorer.analysis.robustness import Robustness
from explorer.analysis.search_history import SearchHistory, search_history
from explorer.analysis.seeds_and_images import with_images
from explorer.analysis.summary import SettingSummary, summarise
from explorer.analysis.trend import Trend, trend
from explorer.record.imported import Imported
from explorer.study.run import FINAL_STATUSES


@dataclass(frozen=True)
class Finding:
    """All that a record shows, the verdict included.

    summaries    one for each setting, in the study's order
    comparison   the declared contrast of two settings; None until both have a run
    measure      the error that is judged: `test_error`, or `val_error` for a search
    wanted       number of final runs that the study is meant to have; `final` is the number it has
    others       every other setting compared with the second one of the contrast, as one family (max-t)
    trend        whether the error falls as cardinality rises
    with_images  the contrast's difference with an interval over seeds and test images together, at the level of its
                 interval over seeds alone; None unless all runs of the contrast completed and it is recorded which
                 images each classified correctly, and none where every seed has test images of its own
    by_part      the contrast's difference on the set's own test images alone, and on those that are left over from its
                 training part alone (`data.test_images=rest`), each with its interval over seeds; None without both
    populations  the distributions of errors in each space, if a study compares several
    has_rivals   whether two spaces were declared as the contrast
    leading      the setting with the lowest validation error beside the next one, where nothing is declared to be
                 compared; None else, and before any run has come through
    only_some    whether a contrast is declared that is not judged, since only some designs are trained
    front        error against cost, if a search minimises both
    search_history  the best result against epochs trained, compared with designs drawn at random
    linear_guess  a linear fit on a search's random designs, held against the search
    learning_rate_check  the contrast on validation images, each setting at the learning rate that suits it best
    failures     the failures among all runs
    lost         the failures among the runs that decide the verdict, if all of these failed: the runs of the declared
                 contrast, of settings or of spaces, else all runs
    images       number of images on which a run was judged; None if unknown
    under        the condition under which a verdict holds, as `under the paper's initialisation`
    own_splits   whether every seed has a split of its own (`data.split_seed=each`)
    own_images   whether it so has test images of its own, which the interval over seeds then holds as well
    note         text that a person added to the result
    robustness   what its robustness checks say; None until the contrast is finished, or if it has none
    final_round  what the final round of a search says; None until the search is finished, or if it has none
    final_runs   how many runs the final round of a search has or is to have; 0 if it has none
    has_told_costs  whether costs are those of networks of the program that trained the runs, as it told them
    unequal      a sentence on those of them that do not meet the budget; "" for none
    imported     what is made of results that were imported from a file; None for a study that was trained
    trained      what of their training is equal in place of the epochs, in words, as `training time`; "" for epochs
    equal_epochs the declared contrast at equal epochs, where it is judged at equal training compute or time; None until
                 that is trained, or where it is judged at equal epochs anyway
    """

    summaries: list[SettingSummary]
    comparison: Comparison | None
    measure: str
    wanted: int
    final: int
    has_contrast: bool
    others: list[Comparison] = field(default_factory=list)
    trend: Trend | None = None
    with_images: Estimate | None = None
    by_part: tuple[Estimate, Estimate] | None = None
    populations: Populations | None = None
    learning_rate_check: LearningRateCheck | None = None
    front: Front | None = None
    search_history: SearchHistory | None = None
    linear_guess: LinearGuess | None = None
    has_rivals: bool = False
    leading: Leading | None = None
    only_some: bool = False
    failures: Failures = field(default_factory=lambda: Failures(0, {}, {}))
    lost: Failures | None = None
    images: int | None = None
    under: str = ""
    own_splits: bool = False
    own_images: bool = False
    note: str = ""
    robustness: Robustness | None = None
    final_round: FinalRound | None = None
    final_runs: int = 0
    has_told_costs: bool = False
    unequal: str = ""
    imported: ImportedFinding | None = None
    trained: str = ""
    equal_epochs: Comparison | None = None

    def __repr__(self) -> str:
        """The verdict, and the names of what there is: all values would fill many screens of a notebook."""
        from explorer.analysis.sentences import sentence

        own = {key: value for key, value in vars(self).items() if value not in (None, "", []) and value is not False}
        return f"Finding({sentence(self)!r}, {self.final} of {self.wanted} runs; has {', '.join(own)})"

    @property
    def complete(self) -> bool:
        """Whether the record holds every final run that the study is meant to have."""
        return self.final >= self.wanted

    @property
    def chance(self) -> float:
        """The error of guessing; NaN before the first run."""
        return self.summaries[0].chance if self.summaries else math.nan

    @property
    def on_this_test_set(self) -> bool:
        """Whether a decided verdict holds for other seeds, but not for other test images of the same kind as well.

        So it is if the interval over seeds and images contains zero, at the level at which the interval over seeds
        alone does not: the verdict then holds on this test set only.
        """
        both, decided = self.with_images, self.comparison is not None and self.comparison.verdict in DECIDED
        return decided and both is not None and both.low <= 0 <= both.high


DECIDED = ("beats", "loses to")


def find(
    runs: pd.DataFrame,
    settings: list[str],
    contrast: tuple[str, str] | None,
    seeds: int,
    *,
    first_seed: int = 0,
    designs: int | None = None,
    measure: str = "test_error",
    margin: float | None = None,
    alpha: float = ALPHA,
    right: Mapping[str, npt.NDArray[np.bool_]] | None = None,
    spaces: Mapping[str, list[str]] | None = None,
    rivals: tuple[str, str] | None = None,
    cost: str | None = None,
    val_images: int | None = None,
    test_images: int | None = None,
    rest_images: int = 0,
    random: list[str] | None = None,
    late: Collection[str] = (),
    under: str = "",
    own_splits: bool = False,
    own_images: bool = False,
    feasible: dict[str, int | None] | None = None,
    labels: Mapping[str, str] | None = None,
    imported: Imported | None = None,
) -> Finding:
    """Judge a record on the error after the last epoch, a fraction.

    runs        the table of runs; only the `seeds` seeds from `first_seed` on are used
    settings    names of settings, in the study's order; `contrast` names the two that are compared
    designs     number of designs that a search is to train; None if they were fixed in advance
    measure     `test_error` for settings fixed in advance; `val_error` for a search, since test images may not choose
    margin      largest difference that does not matter; `alpha` is the threshold of p for the declared contrast
    right       by run, which test images it classified correctly
    spaces      settings by the space they were drawn from; `rivals` names the two spaces declared as the contrast
    cost        the cost that a search minimises beside the error
    random      names of the designs drawn at random, with which a search is compared; those that are `late`, drawn
                after it had chosen some, come from what it left over, and are not
    val_images, test_images  number of images that runs are evaluated on, if known; `rest_images` of the latter, which
                come last, are left over from the training part, and the others are the set's own test part
    under       the condition under which the verdict holds, for its sentence
    own_splits  whether every seed has a split of its own; `own_images`: and test images of its own
    feasible    by space, the number of designs from which those of the space were drawn; None if unknown
    labels      by space, what it is called where people read of it, if not as its key
    imported    what the record says of the file that the runs were imported from; they are then all that there will be
    """
    images = val_images if measure == "val_error" else test_images
    searched = measure == "val_error" and imported is None
    every = runs[runs["setting"].isin(settings) & runs["seed"].isin(range(first_seed, first_seed + seeds))]
    wanted = every[every["rate"] == 1]
    summaries = summarise(wanted, settings, measure)
    by_name = {summary.setting: summary for summary in summaries}
    first, second = (by_name.get(name) for name in contrast) if contrast else (None, None)
    pairs = others(list(by_name), contrast) if contrast and second else []
    family = [(by_name[one], by_name[other]) for one, other in pairs]
    comparison = compare(first, second, margin, alpha, images=images) if first and second else None
    failures = failures_of(wanted)
    telling = contrast or [name for space in rivals or () for name in (spaces or {}).get(space, [])] or settings
    final = int(wanted["status"].isin(FINAL_STATUSES).sum())
    deciding = failures if failures.all else failures_of(wanted[wanted["setting"].isin(telling)])
    return Finding(
        summaries=summaries,
        comparison=comparison,
        measure=measure,
        wanted=final if imported is not None else (len(settings) if designs is None else designs) * seeds,
        final=final,
        has_contrast=contrast is not None,
        others=simultaneous([compare(one, other, margin, images=images) for one, other in family]),
        # Imported designs need not cost the same: a trend over cardinality would be one over cost as well.
        trend=trend(summaries) if contrast is not None and imported is None else None,
        # Images of a seed's own are nested in it: the interval over seeds holds both.
        with_images=_with_images(wanted, comparison, right) if comparison and right and not own_images else None,
        by_part=_by_part(wanted, comparison, right, rest_images) if comparison and right and rest_images else None,
        front=front(summaries, cost, images if imported else val_images or 1, float(1 - 1 / runs["classes"].max()))
        if cost and summaries
        else None,
        search_history=search_history(wanted, random or [], seeds, cost, late=late) if searched else None,
        learning_rate_check=learning_rate_check(every, contrast, margin, alpha, images=val_images)
        if contrast
        else None,
        linear_guess=linear_guess(summaries, random) if searched and random else None,
        has_rivals=rivals is not None,
        leading=leading(summaries, images) if not (contrast or spaces or searched or imported) else None,
        failures=failures,
        lost=deciding if deciding.all else None,
        images=images,
        under=under,
        own_splits=own_splits,
        own_images=own_images,
        populations=populations(
            {space: [by_name[name] for name in names if name in by_name] for space, names in (spaces or {}).items()},
            rivals,
            margin,
            images=images,
            feasible=feasible,
            labels=labels,
        ),
        imported=None
        if imported is None
        else imported_finding(
            imported, summaries, dict(zip(wanted["setting"].tolist(), wanted["space"].fillna("").tolist(), strict=True))
        ),
    )


def _with_images(
    runs: pd.DataFrame, comparison: Comparison, right: Mapping[str, npt.NDArray[np.bool_]]
) -> Estimate | None:
    """The contrast's difference with an interval over seeds and test images; None if a run of a pair failed."""
    sides = _right_of(runs, comparison, right)
    return with_images(*sides, 1 - comparison.alpha) if sides else None


def _by_part(
    runs: pd.DataFrame, comparison: Comparison, right: Mapping[str, npt.NDArray[np.bool_]], rest: int
) -> tuple[Estimate, Estimate] | None:
    """The contrast on all test images but the last `rest`, and on these alone; None if a run of a pair failed."""
    sides = _right_of(runs, comparison, right)
    if sides is None:
        return None

    def of(part: slice) -> Estimate:
        apart = [float(sides[1][seed][part].mean() - sides[0][seed][part].mean()) for seed in comparison.differences]
        return estimate(np.array(apart), 1 - comparison.alpha, within=DIFFERENCES)

    return of(slice(None, -rest)), of(slice(-rest, None))


def _right_of(
    runs: pd.DataFrame, comparison: Comparison, right: Mapping[str, npt.NDArray[np.bool_]]
) -> tuple[dict[int, npt.NDArray[np.bool_]], dict[int, npt.NDArray[np.bool_]]] | None:
    """By setting and seed, which images the runs of a contrast classified correctly; None if a run of a pair failed."""
    ok = runs[(runs["status"] == "ok") & runs["run"].isin(list(right))]
    first, second = (
        {int(seed): right[str(run)] for seed, run in zip(own["seed"], own["run"], strict=True)}
        for own in (ok[ok["setting"] == name] for name in (comparison.setting, comparison.against))
    )
    return (first, second) if set(first) & set(second) == set(comparison.differences) else None
