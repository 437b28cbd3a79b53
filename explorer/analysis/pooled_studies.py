"""One claim over several data sets: which studies ask the same of different images, and what they say together."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from explorer.analysis.check_sentences import robustness_sentence
from explorer.analysis.claims import claim_of, pool_of, refuse_few, refuse_unlike, side_names
from explorer.analysis.intervals import Estimate
from explorer.analysis.judging import OpenedStudy
from explorer.analysis.pooling import LEAST_STUDIES, Pooled
from explorer.analysis.published_runs import PublishedPair, published
from explorer.host.errors import InputError
from explorer.host.formatting import counted, ends_in_words, range_in_words, size_in_words
from explorer.study.checks import RIVALS


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
    claims = [claim_of(study) for study in studies]
    for claim in claims:
        refuse_few(claim)
    for first, second in combinations(claims, 2):
        refuse_unlike(first, second)
    found = pool_of(claims)
    weights = np.array([1 / (claim.deviation**2 + found.spread**2) for claim in claims])
    weights /= weights.sum()
    parts = [
        Part(study, claim.gap, claim.images, float(weight))
        for study, claim, weight in zip(studies, claims, weights, strict=True)
    ]
    paths = [one.cardinality for one in claims[0].sides]
    return PooledStudies(*side_names(claims), tuple(parts), found, claims[0].under, tuple(published(*paths)))


def pooled_sentence(pool: PooledStudies) -> str:
    """What several studies say together: the mean over data sets, its interval, and what a further one may show."""
    found, mean = pool.found, pool.found.mean
    size = size_in_words(mean.mean)
    whole = f"95 % interval {ends_in_words(mean.mean, mean.low, mean.high)}"
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
    return f"On a further data set it is expected to be {range_in_words(found.low, found.high)}, in 95 % of cases."


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
        several = f", {len(gaps)} recipes and depths" if len(gaps) > 1 else ""
        parts.append(f"{label} {range_in_words(gaps[0], gaps[-1])}{several}")
    if not parts:
        return ""
    return f"Published single runs of as many paths, trained to the end and not in the mean: {'; '.join(parts)}."
