"""What a study found, in one value and one sentence."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from explorer.analysis.fairness import Fairness, fairness
from explorer.analysis.front import Front, front
from explorer.analysis.paired import ALPHA, MIN_PAIRS, Comparison, compare, holm, others
from explorer.analysis.population import Populations, populations
from explorer.analysis.resample import with_images
from explorer.analysis.summary import Estimate, SettingSummary, summarise
from explorer.analysis.trend import Trend, trend
from explorer.design.name import display_setting
from explorer.wording import COST_NAMES, interval_points, p_value, points, share


@dataclass(frozen=True)
class Finding:
    """Summaries of all settings in the study's order, and the declared contrast; None until both sides have a run.

    wanted       final runs the study is meant to have; `final` those it has
    others       the other settings against the one the contrast is held against, as one family (Holm)
    trend        whether the error falls as cardinality rises
    with_images  the contrast's difference with an interval over seeds and test images together
    populations  the spaces, where a study compares several
    has_rivals   whether two spaces were declared as the contrast
    front        error against cost, where a search makes both small
    fair         the contrast on validation images, each setting at the learning rate that suits it best
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
    populations: Populations | None = None
    fair: Fairness | None = None
    front: Front | None = None
    has_rivals: bool = False

    @property
    def complete(self) -> bool:
        """Whether every run is in."""
        return self.final >= self.wanted

    @property
    def on_this_test_set(self) -> bool:
        """Whether other test images of the same kind might have reversed a verdict that other seeds would not."""
        both, decided = self.with_images, self.comparison is not None and self.comparison.verdict in DECIDED
        return decided and both is not None and both.low <= 0 <= both.high


DECIDED = ("beats", "loses to")
SURE = 0.9


def find(
    runs: pd.DataFrame,
    settings: list[str],
    contrast: tuple[str, str] | None,
    seeds: int,
    *,
    designs: int | None = None,
    measure: str = "test_error",
    margin: float | None = None,
    alpha: float = ALPHA,
    right: Mapping[str, npt.NDArray[np.bool_]] | None = None,
    spaces: Mapping[str, list[str]] | None = None,
    rivals: tuple[str, str] | None = None,
    cost: str | None = None,
    val_images: int = 1,
) -> Finding:
    """Judge a record on the error after the last epoch: `test_error` where settings were fixed in advance.

    A search, whose `designs` are chosen as it goes, is told by `val_error`: the test may not choose. `right` says by
    run which test images it got right. `alpha` is the threshold of p for the declared contrast.
    `spaces` says which settings were drawn from which space, and `rivals` which two of these were declared.
    `cost` is what a search makes small beside the error on its `val_images`.
    """
    every = runs[runs["setting"].isin(settings) & (runs["seed"] < seeds)]
    wanted = every[every["rate"] == 1]
    summaries = summarise(wanted, settings, measure)
    by_name = {summary.setting: summary for summary in summaries}
    first, second = (by_name.get(name) for name in contrast) if contrast else (None, None)
    pairs = others(list(by_name), contrast) if contrast and second else []
    family = [(by_name[one], by_name[other]) for one, other in pairs]
    return Finding(
        summaries=summaries,
        comparison=compare(first, second, margin, alpha) if first and second else None,
        measure=measure,
        wanted=(len(settings) if designs is None else designs) * seeds,
        final=sum(len(summary.errors) for summary in summaries),
        has_contrast=contrast is not None,
        others=holm([compare(one, other, margin) for one, other in family]),
        trend=trend(summaries) if contrast is not None else None,
        with_images=_with_images(wanted, contrast, right) if contrast and right else None,
        front=front(summaries, cost, val_images, float(1 - 1 / runs["classes"].max())) if cost and summaries else None,
        fair=fairness(every, contrast, margin, alpha) if contrast else None,
        has_rivals=rivals is not None,
        populations=populations(
            {space: [by_name[name] for name in names if name in by_name] for space, names in (spaces or {}).items()},
            rivals,
            margin,
        ),
    )


def _with_images(
    runs: pd.DataFrame, contrast: tuple[str, str], right: Mapping[str, npt.NDArray[np.bool_]]
) -> Estimate | None:
    """The contrast over seeds and images together, from the runs that came through."""
    ok = runs[(runs["status"] == "ok") & runs["run"].isin(list(right))]
    sides = [
        {int(seed): right[str(run)] for seed, run in zip(own["seed"], own["run"], strict=True)}
        for own in (ok[ok["setting"] == name] for name in contrast)
    ]
    return with_images(*sides)


def sentence(finding: Finding) -> str:
    """The verdict in one sentence, with size, interval, n and p."""
    comparison = finding.comparison
    if finding.populations is not None:
        return _populations_sentence(finding, finding.populations)
    if finding.measure == "val_error":
        return _search_sentence(finding)
    if comparison is None and not finding.has_contrast:
        return "No verdict: the study declares no contrast; the settings are listed with their test errors."
    if comparison is None:
        return "No verdict yet: the declared contrast has no pair of finished runs."
    first, second = (display_setting(name) for name in (comparison.setting, comparison.against))
    difference = comparison.difference
    size = f"test error is {abs(difference.mean) * 100:.2f} points {'lower' if difference.mean < 0 else 'higher'}"
    if difference.n < MIN_PAIRS:
        pairs = "1 pair of seeds is" if difference.n == 1 else f"{difference.n} pairs of seeds are"
        return f"Inconclusive: {pairs} too few for a verdict; so far the {size} for {first} than for {second}."
    numbers = (
        f"{share(1 - comparison.alpha)} interval of the difference {interval_points(difference.low, difference.high)}, "
        f"n = {difference.n} paired seeds, {p_value(comparison.p)}"
    )
    if not finding.complete:
        runs = f"{finding.final} of {finding.wanted} runs are in"
        return f"Preliminary, {runs}: so far the {size} for {first} than for {second} ({numbers}); no verdict yet."
    if comparison.verdict == "equivalent":
        narrow = interval_points(comparison.narrow.low, comparison.narrow.high)
        level = share(1 - 2 * comparison.alpha)
        return (
            f"{first} and {second} are equivalent: their test errors differ by less than the margin of "
            f"{_margin(comparison)} ({level} interval {narrow}, n = {difference.n} paired seeds)."
        )
    if comparison.held_back:
        return (
            f"Inconclusive: the {size} for {first} than for {second} ({numbers}), but {comparison.failed[0]} runs of "
            f"the first failed and {comparison.failed[1]} of the second, and what fails more often cannot beat its "
            "rival."
        )
    if comparison.verdict == "inconclusive":
        return (
            f"Inconclusive: {first} does not differ clearly from {second}; its {size} ({numbers}).{_needed(comparison)}"
        )
    less = f", by less than the margin of {_margin(comparison)}" if comparison.within_margin else ""
    where = " on this test set" if finding.on_this_test_set else ""
    return f"{first} {comparison.verdict} {second}{where}{less}: its {size} ({numbers})."


def _populations_sentence(finding: Finding, found: Populations) -> str:
    counts = ", ".join(f"{one.n} of {name}" for name, one in found.distributions.items())
    if not finding.complete:
        return f"Preliminary, {finding.final} of {finding.wanted} runs are in, for {counts}: no verdict yet."
    if not finding.has_rivals:
        return f"No verdict: the study declares no contrast of spaces; designs: {counts}."
    rivals, distributions = found.rivals[0], found.distributions
    first, second = (distributions[name] for name in (rivals.space, rivals.against))
    difference = rivals.difference
    size = f"{abs(difference.mean) * 100:.2f} points {'lower' if difference.mean < 0 else 'higher'}"
    designs = f"n = {first.n} and {second.n} designs"
    numbers = (
        f"mean test error {first.mean * 100:.2f} % against {second.mean * 100:.2f} %, that is {size}; 95 % interval "
        f"{interval_points(difference.low, difference.high)}, {designs}, {p_value(rivals.p)}; "
        f"their distributions lie {rivals.distance.distance:.2f} apart (Kolmogorov-Smirnov)"
    )
    words = {
        "beats": f"Designs of {rivals.space} are better than those of {rivals.against}",
        "loses to": f"Designs of {rivals.space} are worse than those of {rivals.against}",
        "equivalent": f"Designs of {rivals.space} and {rivals.against} are equivalent within their margin",
        "inconclusive": f"Inconclusive: designs of {rivals.space} do not differ clearly from those of {rivals.against}",
    }
    return f"{words[rivals.verdict]}: {numbers}."


def _front_sentence(finding: Finding, found: Front) -> str:
    state = "" if finding.complete else f"So far, with {finding.final} of {finding.wanted} runs in: "
    places = [int(place) for place in np.flatnonzero(found.ahead)]
    ends = sorted(places, key=lambda place: found.costs[place])
    words = [
        f"{display_setting(found.settings[end])} ({found.costs[end]:,.0f} {COST_NAMES[found.cost]}, "
        f"{found.errors[end] * 100:.2f} %)"
        for end in (ends[0], ends[-1])
    ]
    sure, words_of_cost = int((found.sure[places] >= SURE).sum()), COST_NAMES[found.cost]
    return (
        f"{state}Of {len(found.settings)} designs tried, {len(places)} are on the front of validation error against "
        f"{words_of_cost}, from {words[0]} to {words[1]}; {sure} of them {'stays' if sure == 1 else 'stay'} on it in "
        f"{share(SURE)} of redrawn errors or more. The front covers {share(found.hypervolumes[-1])} of the plane. The "
        "test images have not been looked at: train what you take from it with new seeds."
    )


def _margin(comparison: Comparison) -> str:
    assert comparison.margin is not None
    return f"{comparison.margin * 100:.2f} points"


def _needed(comparison: Comparison) -> str:
    """How many seeds would have told, where that can be said."""
    if comparison.needed is None or comparison.needed <= comparison.difference.n:
        return ""
    return (
        f" To find a difference of {_margin(comparison)} with 80 % power, {comparison.needed:,} paired seeds would do, "
        "even if seeds vary as much as these few may hide."
    )


def fair_sentence(finding: Finding) -> str:
    """Whether the verdict holds when each setting is trained at the learning rate that suits it best."""
    found, comparison = finding.fair, finding.comparison
    if found is None or comparison is None:
        return ""
    first, second = (display_setting(name) for name in (comparison.setting, comparison.against))
    difference, base = found.best.difference, found.base.difference
    holds = {
        True: "The verdict on validation images is the same",
        False: f"The verdict on validation images changes from {found.base.verdict} to {found.best.verdict}",
    }[found.holds]
    return (
        f"{holds} when each setting has the learning rate that suits it best, x{found.rates[0]:g} for {first} and "
        f"x{found.rates[1]:g} for {second}: a difference of {points(difference.mean)} points "
        f"({interval_points(difference.low, difference.high)}, n = {difference.n}), against {points(base.mean)} "
        f"({interval_points(base.low, base.high)}) at the recipe's own."
    )


def trend_sentence(found: Trend) -> str:
    """Whether cardinality helps, over all settings."""
    slope = found.slope
    size = f"{abs(slope.mean) * 100:.2f} points {'lower' if slope.mean < 0 else 'higher'}"
    seeds = "1 seed" if slope.n == 1 else f"{slope.n} seeds"
    numbers = f"{seeds}, 95 % interval {interval_points(slope.low, slope.high)}, {p_value(found.p)}"
    return (
        f"Over cardinality {', '.join(map(str, found.cardinalities))}, each doubling goes with a test error {size} "
        f"({numbers if slope.n > 1 else seeds})."
    )


def _search_sentence(finding: Finding) -> str:
    if not finding.summaries:
        return "No design has been trained yet."
    if finding.front is not None:
        return _front_sentence(finding, finding.front)
    best = min(finding.summaries, key=lambda summary: summary.estimate.mean)
    state = "" if finding.complete else f"So far, with {finding.final} of {finding.wanted} runs in: "
    seeds = "1 seed" if best.estimate.n == 1 else f"{best.estimate.n} seeds"
    return (
        f"{state}Of {len(finding.summaries)} designs tried, {display_setting(best.setting)} has the lowest "
        f"validation error, {best.estimate.mean * 100:.2f} % ({seeds}). The lowest of many is flattered by chance, and "
        "the test images have not been looked at: train it with new seeds before you believe it."
    )
