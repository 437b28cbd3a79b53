"""One claim over several data sets: which studies ask the same of different images, and what they say together."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from explorer.analysis.check_sentences import robustness_sentence
from explorer.analysis.intervals import Estimate, estimate
from explorer.analysis.judging import OpenedStudy
from explorer.analysis.paired import Comparison
from explorer.analysis.pooling import LEAST_STUDIES, Pooled, pooled
from explorer.analysis.published_runs import PublishedPair, published
from explorer.analysis.summary import SettingSummary
from explorer.design.cost_measures import COUNTED
from explorer.design.name import display_setting
from explorer.host.commands import command_for
from explorer.host.errors import InputError
from explorer.host.formatting import counted, interval_points, points
from explorer.study.checks import RIVALS

LEAST_PAIRS = 2  # fewest pairs of seeds of a study: one has no standard error


@dataclass(frozen=True)
class Part:
    """One study of a pool.

    gap      its declared contrast, a fraction, with a 95 % interval over seeds, or over seeds and test images
    images   whether that interval is over test images too
    weight   its share of the mean
    """

    study: OpenedStudy
    gap: Estimate
    images: bool
    weight: float

    @property
    def name(self) -> str:
        """The study's name."""
        return self.study.config.name

    @property
    def explained_by(self) -> list[str]:
        """What explains the difference, by the study's own robustness checks."""
        found = self.study.finding.robustness
        return [RIVALS[check.name] for check in found.found("explains")] if found else []

    @property
    def robustness(self) -> str:
        """What the study's own robustness checks say, and which were not made."""
        return robustness_sentence(self.study.finding)

    @property
    def label(self) -> str:
        """The name of its images."""
        return self.study.config.data.label

    @property
    def steps(self) -> int:
        """Training steps of each of its runs."""
        return self.study.steps


@dataclass(frozen=True)
class PooledStudies:
    """Several studies of one contrast, in the order they were named.

    setting, against  what is compared, in words
    under      the condition under which all were trained, as `under the paper's initialisation`; "" for none
    published  published contrasts of as many paths, one run each; none of them is in `found`
    """

    setting: str
    against: str
    parts: tuple[Part, ...]
    found: Pooled
    under: str
    published: tuple[PublishedPair, ...]


def pool_studies(studies: Sequence[OpenedStudy]) -> PooledStudies:
    """Pool the declared contrasts of finished studies that differ in their data.

    Raises InputError, in one line, for fewer than two studies, one that has no contrast to pool, or two that are not
    alike.
    """
    if len(studies) < 2:
        raise InputError("studies: pooling needs two recorded studies or more; say for example studies=[a,b]")
    for study in studies:
        _refuse_unfit(study)
    for first, second in combinations(studies, 2):
        refuse_unlike(first, second)
    gaps = [_gap(study) for study in studies]
    found = pooled([gap.mean for gap, _, _ in gaps], [deviation for _, deviation, _ in gaps])
    weights = np.array([1 / (deviation**2 + found.spread**2) for _, deviation, _ in gaps])
    weights /= weights.sum()
    parts = [
        Part(study, gap, images, float(weight))
        for study, (gap, _, images), weight in zip(studies, gaps, weights, strict=True)
    ]
    sides = [_sides(study) for study in studies]
    names = (_name([one for one, _ in sides]), _name([other for _, other in sides]))
    paths = [one.cardinality for one in sides[0]]
    return PooledStudies(*names, tuple(parts), found, studies[0].finding.under, tuple(published(*paths)))


def refuse_unlike(first: OpenedStudy, second: OpenedStudy) -> None:
    """Raise InputError, naming all that differs, if the contrasts of two studies do not ask the same of other images.

    Alike must be, on each side, the number of paths and the rest of the shape; the rule of initialisation, with its
    gain; and what the budget holds equal. Where a budget is held, the width of a path may differ, since it is solved
    from the budget and a data set's classes count. Other keys of the recipe may differ: data sets need different
    lengths and rates, and the page lists them. Two studies of the same images are not two data sets.
    """
    names = first.config.name, second.config.name
    of_data = [(study.environment["data_hash"], study.config.data.name) for study in (first, second)]
    if of_data[0][0] == of_data[1][0] or of_data[0][1] == of_data[1][1]:
        raise InputError(
            f"studies: {names[0]} and {names[1]} are both of {first.config.data.label}; allowed are studies of "
            "different data sets"
        )
    different = [
        f"{what} ({one} in {names[0]}, {other} in {names[1]})"
        for what, said in ALIKE.items()
        if (one := said(first)) != (other := said(second))
    ]
    if different:
        raise InputError(
            f"studies: the contrasts differ in {', '.join(different)}; allowed are studies that agree in it"
        )


def _paths(study: OpenedStudy) -> str:
    first, second = _sides(study)
    return f"{first.cardinality} against {second.cardinality}"


def _shape(study: OpenedStudy) -> str:
    sides = _sides(study)
    if study.config.budget.held:
        return " against ".join(dict.fromkeys(one.shape for one in sides))
    return " against ".join(one.setting for one in sides)


def _init(study: OpenedStudy) -> str:
    recipe = study.config.recipe
    return recipe.init + (f" with gain {recipe.init_gain:g}" if recipe.init_gain != 1 else "")


def _budget(study: OpenedStudy) -> str:
    budget = study.config.budget
    held = " and ".join(COUNTED[axis].words for axis in budget.held)
    return (f"equal {held}" if held else "none") + (", solved by stage" if budget.match == "tight" and held else "")


ALIKE: dict[str, Callable[[OpenedStudy], str]] = {
    "the numbers of paths": _paths,
    "the rest of the shape": _shape,
    "the initialisation": _init,
    "the budget": _budget,
}


def _refuse_unfit(study: OpenedStudy) -> None:
    """Raise InputError for a study that has no measured contrast of two settings, or is not finished."""
    name, finding = study.config.name, study.finding
    if study.finding.imported is not None:
        raise InputError(
            f"studies: {study.config.name} holds imported results, of whose training only a name is known; allowed "
            "are studies that were trained here"
        )
    if study.plan.contrast is None:
        raise InputError(
            f"studies: {name} has no contrast of two settings to judge; allowed are studies that declare one"
        )
    if not finding.complete:
        raise InputError(
            f"studies: {name} is not finished, {finding.final} of {finding.wanted} runs are in; "
            f"continue it with {command_for('', name)}"
        )
    found = finding.comparison
    if found is None or found.lost or any(found.failed):
        raise InputError(
            f"studies: in {name} runs of the contrast failed, which count as chance and are no measurement; allowed "
            "are studies whose contrast came through"
        )
    if found.difference.n < LEAST_PAIRS or not found.difference.has_interval:
        raise InputError(
            f"studies: {name} has {counted(found.difference.n, 'pair')} of seeds and no standard error; give it more "
            "seeds with search.seeds"
        )


def _gap(study: OpenedStudy) -> tuple[Estimate, float, bool]:
    """The study's gap with its 95 % interval, its standard error, and whether they are over test images too."""
    found = _comparison(study)
    values = [*found.differences.values()]
    own = estimate(values)
    both = study.finding.with_images
    if both is None or not both.has_interval:
        return own, float(np.std(values, ddof=1)) / math.sqrt(len(values)), False
    # At the level of the study's own interval, which is smaller where it looked at its results several times.
    deviation = (both.high - both.low) / 2 / float(stats.t.ppf(1 - found.alpha / 2, both.n - 1))
    half = deviation * float(stats.t.ppf(0.975, both.n - 1))
    return Estimate(both.n, both.mean, both.mean - half, both.mean + half), deviation, True


def _comparison(study: OpenedStudy) -> Comparison:
    assert study.finding.comparison is not None
    return study.finding.comparison


def _sides(study: OpenedStudy) -> tuple[SettingSummary, SettingSummary]:
    """The two settings of the contrast."""
    found, by_name = _comparison(study), {one.setting: one for one in study.finding.summaries}
    return by_name[found.setting], by_name[found.against]


def _name(sides: list[SettingSummary]) -> str:
    """One side of the contrast in words: its name, or where path widths differ its paths."""
    names = {one.setting for one in sides}
    return display_setting(names.pop()) if len(names) == 1 else f"{sides[0].cardinality} paths ({sides[0].shape})"


def pooled_sentence(pool: PooledStudies) -> str:
    """What several studies say together: the mean over data sets, its interval, and what a further one may show."""
    found, mean = pool.found, pool.found.mean
    size = f"{abs(100 * mean.mean):.2f} points {'lower' if mean.mean < 0 else 'higher'}"
    whole = f"95 % interval {interval_points(mean.low, mean.high)}"
    where = f"Over {counted(found.n, 'data set')}{f' {pool.under}' if pool.under else ''}"
    start = f"{where}, the test error is {size} for {pool.setting} than for {pool.against}"
    sure = mean.low > 0 or mean.high < 0
    told = "" if sure else ", which holds zero: the mean of further data sets may have either sign"
    signs = f"The difference has this sign in {found.same_sign} of {found.n}"
    explained = [f"{' and '.join(part.explained_by)} in {part.name}" for part in pool.parts if part.explained_by]
    but = f" Robustness checks explain the difference by {', by '.join(explained)}." if explained else ""
    return f"{start} on the mean ({whole}{told}). {signs}. {prediction_sentence(found)}{but}"


def prediction_sentence(found: Pooled) -> str:
    """What a further data set may show, or that too few were studied to say."""
    if found.n < LEAST_STUDIES:
        return f"Two studies do not show how much data sets differ: a prediction takes {LEAST_STUDIES} or more."
    return f"On a further data set 95 % of true differences are expected at {interval_points(found.low, found.high)}."


def published_by_data(pool: PooledStudies) -> dict[str, list[PublishedPair]]:
    """The published contrasts by the name of their data set."""
    found: dict[str, list[PublishedPair]] = {}
    for pair in pool.published:
        found.setdefault(pair.label, []).append(pair)
    return found


def published_sentence(pool: PooledStudies) -> str:
    """Published contrasts of as many paths, by data set, which are not in the mean; "" if none is known."""
    parts = []
    for label, pairs in published_by_data(pool).items():
        gaps = sorted(pair.gap for pair in pairs)
        several = f"{points(gaps[0])} to {points(gaps[-1])}, {len(gaps)} recipes and depths"
        parts.append(f"{label} {several if len(gaps) > 1 else points(gaps[0])}")
    if not parts:
        return ""
    return f"Published single runs of as many paths, trained to the end and not in the mean: {'; '.join(parts)}."
