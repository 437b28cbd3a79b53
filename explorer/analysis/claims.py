"""The declared contrast of a finished study as a value that others can be pooled with, without the study's record."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from explorer.analysis.intervals import Estimate, estimate
from explorer.analysis.judging import OpenedStudy
from explorer.analysis.paired import Comparison
from explorer.analysis.pooling import Pooled, pooled
from explorer.analysis.published_runs import data_key
from explorer.analysis.summary import MIN_PAIRS, SettingSummary
from explorer.design.cost_measures import COUNTED
from explorer.design.name import display_setting
from explorer.host.commands import command_for
from explorer.host.errors import InputError
from explorer.host.formatting import counted
from explorer.study.settings import TRAINED


@dataclass(frozen=True)
class Side:
    """One side of a contrast: the setting, its paths, and the rest of its shape."""

    setting: str
    cardinality: int
    shape: str


@dataclass(frozen=True)
class Claim:
    """The declared contrast of a study that came through, and what it is a contrast of.

    study, data, data_name, data_hash  the study's name; the label, the name and the hash of its images
    sides      the setting, and the one that it is compared with
    gap        the difference, a fraction, with a 95 % interval over seeds, or over seeds and test images
    deviation  its standard error
    images     whether interval and standard error are over test images too
    alike      in what contrasts must agree to be pooled, in words, in the order of `ALIKE`
    under      the condition under which it was trained, as `under the paper's initialisation`; "" for none
    """

    study: str
    data: str
    data_name: str
    data_hash: str
    sides: tuple[Side, Side]
    gap: Estimate
    deviation: float
    images: bool
    alike: tuple[str, ...]
    under: str

    @property
    def is_few(self) -> bool:
        """Whether it has too few pairs for a mean over studies, whose interval would cover less than it says."""
        return self.gap.n < MIN_PAIRS

    def is_of_images_of(self, other: "Claim") -> bool:
        """Whether two claims are of the same images, so that they are not two data sets.

        Copies of a set are named after it (`cifar10_jpeg`, `imagenet_32`) and have other pixels, thus another hash.
        """
        return self.data_hash == other.data_hash or _original(self.data_name) == _original(other.data_name)


def _original(name: str) -> str:
    """The data set of which the one of this name holds the images, in whatever size or format."""
    return data_key(name) or ("imagenet" if name.startswith("imagenet_") else name)


def claim_of(study: OpenedStudy) -> Claim:
    """The claim of a study. Raises InputError, in one line, for one that is not finished or measures no contrast."""
    _refuse_unfit(study)
    found = _comparison(study)
    gap, deviation, images = _gap(study)
    by_name = {one.setting: one for one in study.finding.summaries}
    return Claim(
        study=study.config.name,
        data=study.config.data.label,
        data_name=study.config.data.name,
        data_hash=str(study.environment["data_hash"]),
        sides=(_side(by_name[found.setting]), _side(by_name[found.against])),
        gap=gap,
        deviation=deviation,
        images=images,
        alike=tuple(said(study) for said in ALIKE.values()),
        under=study.finding.under,
    )


def refuse_few(claim: Claim) -> None:
    """Raise InputError for a claim of fewer than five pairs, of whose standard error too little is known to pool it."""
    if claim.is_few:
        raise InputError(
            f"studies: {claim.study} has {counted(claim.gap.n, 'pair')} of seeds; allowed: {MIN_PAIRS} or more, which "
            "search.seeds gives it"
        )


def refuse_unlike(first: Claim, second: Claim) -> None:
    """Raise InputError, naming all that differs, if two contrasts do not ask the same of other images.

    Alike must be, on each side, the number of paths and the rest of the shape; the rule of initialisation, with its
    gain; and what the budget holds equal. Where a budget is held, the width of a path may differ, since it is solved
    from the budget and a data set's classes count. Other keys of the recipe may differ: data sets need different
    lengths and rates, and the page lists them. Two studies of the same images are not two data sets.
    """
    if first.is_of_images_of(second):
        raise InputError(
            f"studies: {first.study} and {second.study} are both of {first.data}; allowed are studies of different "
            "data sets"
        )
    different = [
        f"{what} ({one} in {first.study}, {other} in {second.study})"
        for what, one, other in zip(ALIKE, first.alike, second.alike, strict=True)
        if one != other
    ]
    if different:
        raise InputError(
            f"studies: the contrasts differ in {', '.join(different)}; allowed are studies that agree in it"
        )


def alike_claims(claims: Sequence[Claim]) -> list[list[Claim]]:
    """The claims that can be pooled, in groups of two or more; each is of other images than the rest of its group.

    Of several claims of the same images the one with most pairs of seeds is taken, whatever it found.
    """
    groups: dict[tuple[str, ...], list[Claim]] = {}
    for claim in sorted(
        (one for one in claims if one.deviation > 0 and not one.is_few), key=lambda one: (-one.gap.n, one.study)
    ):
        own = groups.setdefault(claim.alike, [])
        if not any(claim.is_of_images_of(other) for other in own):
            own.append(claim)
    return [own for own in groups.values() if len(own) > 1]


def pool_of(claims: Sequence[Claim]) -> Pooled:
    """The mean of several claims over data sets."""
    return pooled([one.gap.mean for one in claims], [one.deviation for one in claims])


def side_names(claims: Sequence[Claim]) -> tuple[str, str]:
    """Both sides of claims that are alike, in words: the name, or where path widths differ the paths."""
    return _name([one.sides[0] for one in claims]), _name([one.sides[1] for one in claims])


def _name(sides: list[Side]) -> str:
    names = {one.setting for one in sides}
    return display_setting(names.pop()) if len(names) == 1 else f"{sides[0].cardinality} paths ({sides[0].shape})"


def _side(one: SettingSummary) -> Side:
    return Side(one.setting, one.cardinality, one.shape)


def _sides(study: OpenedStudy) -> tuple[Side, Side]:
    found, by_name = _comparison(study), {one.setting: one for one in study.finding.summaries}
    return _side(by_name[found.setting]), _side(by_name[found.against])


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
    trained = "" if budget.train == "epochs" else f", equal {TRAINED[budget.train]}"
    stages = ", solved by stage" if budget.match == "tight" and held else ""
    return (f"equal {held}" if held else "none") + stages + trained


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
    if found.difference.n < 2 or not found.difference.has_interval:
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
