"""Populations of designs: how their errors are distributed, and which values of an axis the good ones have.

After Radosavovic et al., "Designing Network Design Spaces" (2003.13678), sections 3.1 and 3.3: a space is judged by all
its designs, not by its best one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy import stats

from explorer.analysis.chance import Learned, learned
from explorer.analysis.intervals import CONFIDENCE, DIFFERENCES, ROUNDING, Estimate, t_interval
from explorer.analysis.paired import ALPHA, Verdict, holm_adjusted
from explorer.analysis.summary import MIN_PAIRS, SettingSummary, by_validation, lowest
from explorer.design.shape_axes import BY_NAME, SHOWN

LEAST_DESIGNS = 8  # fewest designs of a space for which a best value is reported
SHARE = 0.25  # share of the designs in each draw of the best value (RegNet paper, footnote 4)
BEST_DRAWS = 10_000
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Distribution:
    """The share of designs with an error of at most each of `errors`, and the exact 95 % interval of each share.

    The intervals (Clopper and Pearson, 1934) are those of each share by itself, over the designs.

    best    the error of the design with the lowest validation error; NaN if every run of every design failed, and
            `mean` is then the error of chance
    failed  designs of which a run diverged or ran out of memory, which counts as chance
    """

    errors: Floats
    share: Floats
    low: Floats
    high: Floats
    n: int
    mean: float
    best: float = np.nan
    failed: int = 0


@dataclass(frozen=True)
class BestValue:
    """The value of an axis that the best designs by validation have: median and central 95 % of draws of a quarter."""

    axis: str
    low: float
    median: float
    high: float
    n: int


@dataclass(frozen=True)
class Adjusted:
    """The difference of two spaces among designs that are alike in something else.

    held      what they are alike in
    mediator  whether that follows from the definition of the spaces, as the widths that many paths buy at equal
              parameters do: then it is a way in which the spaces differ, and the difference that is left is by other
              ways. Otherwise it is what the draw or the budget left unequal
    """

    held: str
    mediator: bool
    difference: Estimate


@dataclass(frozen=True)
class ByDepth:
    """Whether the difference of two spaces depends on depth.

    differences  by depth: that of the means, and the number of designs of each space
    p            of the F test that it is the same at all depths; NaN if too few designs are left to tell
    """

    differences: dict[int, tuple[float, int, int]]
    p: float


@dataclass(frozen=True)
class Rivals:
    """Two spaces: the mean error of `space`'s designs minus that of `against`'s, as fractions.

    difference  with Welch's 95 % interval: designs are drawn independently, so nothing is paired. Where a space has
                few feasible designs, those that were not drawn are few too, and the interval is that much narrower
                (finite population correction) if designs have several seeds; the noise of seeds stays as it is
    adjusted    the difference among designs alike in depth, in depth and multiply-adds, in depth and widths; without
                those in which the designs do not differ, or do only between the spaces
    by_depth    whether the difference depends on depth; None if no two depths are in both spaces
    p           of Welch's test; adjusted (Holm) if the two were not declared beforehand
    distance    largest vertical distance of the two empirical distributions (Kolmogorov-Smirnov). It has no interval:
                resampled designs have a larger distance than the designs themselves, so a bootstrap interval hardly
                ever covers a small distance
    failed      for each space, the number of designs with a failed run, out of `designs`; a space in which their share
                is larger cannot win, and with any such design the two are not called equivalent
    learned     whether the designs of each have learned more than guessing, whose error is `chance`
    labels      what the two are called where people read of them; none: as their keys are
    """

    space: str
    against: str
    difference: Estimate
    p: float
    distance: float
    verdict: Verdict
    adjusted: tuple[Adjusted, ...] = ()
    by_depth: ByDepth | None = None
    failed: tuple[int, int] = (0, 0)
    designs: tuple[int, int] = (0, 0)
    learned: tuple[Learned, Learned] = ("yes", "yes")
    chance: float = np.nan
    labels: tuple[str, str] | None = None

    @property
    def names(self) -> tuple[str, str]:
        """What the two are called where people read of them."""
        return self.labels or (self.space, self.against)

    @property
    def lost(self) -> bool:
        """Whether every run of both spaces failed: then there is no difference, not even zero."""
        return bool(np.isnan(self.difference.mean))

    @property
    def guesses(self) -> bool:
        """Whether the designs of neither space have learned more than guessing."""
        return self.learned == ("no", "no")

    @property
    def held_back(self) -> bool:
        """Whether the verdict is inconclusive only because designs of the better space failed more often."""
        return _significant(self, self.p) and self.verdict == "inconclusive" and not self.guesses


@dataclass(frozen=True)
class Populations:
    """Statistics of several spaces by their designs: distributions, pairs (declared ones first), best values.

    averages  by space, what may differ between spaces beside their definition: mean depth, width and multiply-adds
    feasible  by space, the number of designs within the budget from which its designs were drawn; None if unknown
    labels    by space, what it is called where people read of it, if not as its key
    """

    distributions: dict[str, Distribution]
    rivals: list[Rivals] = field(default_factory=list)
    best: dict[str, list[BestValue]] = field(default_factory=dict)
    averages: dict[str, dict[str, float]] = field(default_factory=dict)
    feasible: dict[str, int | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def label(self, space: str) -> str:
        """What a space is called where people read of it."""
        return self.labels.get(space, space)


def populations(
    members: dict[str, list[SettingSummary]],
    contrast: tuple[str, str] | None = None,
    margin: float | None = None,
    *,
    images: int | None = None,
    feasible: dict[str, int | None] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Populations | None:
    """Judge spaces by the mean errors of their designs; spaces without results are left out; None if none is left.

    A run that failed counts as chance. `images` is the number of images on which errors were measured, if known, and
    `feasible` the number of designs of each space from which those trained were drawn. `labels` are what spaces are
    called where people read of them.
    """
    sizes, called = feasible or {}, labels or {}
    if not members:
        return None
    means = {name: np.array([one.estimate.mean for one in designs]) for name, designs in members.items() if designs}
    # Pairs come first only after the declared one.
    is_awaited = contrast is not None and not set(contrast) <= set(means)
    pairs = [] if is_awaited else [pair for pair in combinations(means, 2) if set(pair) != set(contrast or ())]
    others = [_rivals(pair, members, None, images, sizes) for pair in pairs]
    adjusted = holm_adjusted([one.p for one in others])
    corrected = [_judged(one, p, None) for one, p in zip(others, adjusted, strict=True)]
    declared = [_rivals(contrast, members, margin, images, sizes)] if contrast and set(contrast) <= set(means) else []
    named = [
        replace(one, labels=(called.get(one.space, one.space), called.get(one.against, one.against)))
        for one in (*declared, *corrected)
    ]
    return Populations(
        distributions={name: _distribution(members[name], errors) for name, errors in means.items()},
        rivals=[one if one.lost else _explained(one, members[one.space], members[one.against]) for one in named],
        best={name: _best_values(members[name]) for name in means},
        averages={name: _averages(members[name]) for name in means},
        feasible={name: sizes.get(name) for name in means},
        labels={name: called[name] for name in means if name in called},
    )


def _explained(rivals: Rivals, first: list[SettingSummary], second: list[SettingSummary]) -> Rivals:
    """Add the difference among designs that are alike in something else, and whether it depends on depth."""
    sides = first, second
    errors = [np.array([one.estimate.mean for one in own]) for own in sides]
    depths = [np.array([one.design[0].depth for one in own]) for own in sides]

    def logarithms(value: Callable[[SettingSummary], float]) -> list[Floats]:
        return [np.log2([value(one) for one in own]) for own in sides]

    def axis(name: str) -> list[Floats]:
        return logarithms(lambda one: float(BY_NAME[name].of(one.design[0])))

    tried = [
        ("depth", False, at_equal_depth(errors, depths)),
        ("depth and multiply-adds", True, at_equal_depth(errors, depths, logarithms(lambda one: float(one.macs)))),
        ("depth, width and middle width D", True, at_equal_depth(errors, depths, axis("width"), axis("group_width"))),
    ]
    adjusted = tuple(Adjusted(held, mediator, found) for held, mediator, found in tried if found is not None)
    return replace(rivals, adjusted=adjusted, by_depth=by_depth(errors, depths))


def by_depth(errors: list[Floats], depths: list[npt.NDArray[np.int64]]) -> ByDepth | None:
    """The difference of two spaces at each depth that both have, with the F test of all being equal; None below two."""
    means, left, freedom = {}, 0.0, 0
    for depth in sorted(set(depths[0].tolist()) & set(depths[1].tolist())):
        own = [side[at == depth] for side, at in zip(errors, depths, strict=True)]
        means[int(depth)] = (float(own[0].mean() - own[1].mean()), len(own[0]), len(own[1]))
        left += sum(float(((side - side.mean()) ** 2).sum()) for side in own)
        freedom += sum(len(side) - 1 for side in own)
    if len(means) < 2:
        return None
    apart = np.array([one for one, _, _ in means.values()])
    weights = np.array([n * m / (n + m) for _, n, m in means.values()])
    between = float((weights * (apart - np.average(apart, weights=weights)) ** 2).sum())
    if not freedom or left / freedom < ROUNDING**2:
        return ByDepth(means, np.nan)
    ratio = between / (len(means) - 1) / (left / freedom)
    return ByDepth(means, float(stats.f.sf(ratio, len(means) - 1, freedom)))


def at_equal_depth(errors: list[Floats], depths: list[npt.NDArray[np.int64]], *others: list[Floats]) -> Estimate | None:
    """Mean error of the first designs minus that of the second ones among designs of equal depth, with a 95 % interval.

    Least squares with an intercept for each depth and one difference of the two spaces (analysis of covariance), and
    one slope over each of `others`, such as log2 of multiply-adds. None if what is held equal does not differ, or
    differs only between the spaces and not within them.
    """
    y, depth = np.concatenate(errors), np.concatenate(depths)
    known = np.unique(depth)
    space = np.repeat([1.0, 0.0], [len(one) for one in errors])
    design = np.column_stack([space, *(depth == one for one in known)])
    if others:
        slopes = np.column_stack([np.concatenate(one) for one in others])
        design = np.column_stack([design, slopes - slopes.mean(axis=0)])
    elif len(known) < 2:
        return None
    freedom = len(y) - design.shape[1]
    if freedom < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    found = np.linalg.lstsq(design, y, rcond=None)[0]
    left = y - design @ found
    spread = float((left**2).sum()) if np.ptp(left) > ROUNDING else np.nan
    deviation = float(np.sqrt(spread / freedom * np.linalg.inv(design.T @ design)[0, 0]))
    return t_interval(min(map(len, errors)), float(found[0]), deviation, freedom, within=DIFFERENCES)


def _averages(designs: list[SettingSummary]) -> dict[str, float]:
    shapes = [one.design[0] for one in designs]
    return {
        "depth": float(np.mean([shape.depth for shape in shapes])),
        "width": float(np.mean([shape.widths[0] for shape in shapes])),
        "macs": float(np.mean([one.macs for one in designs])),
    }


def _distribution(designs: list[SettingSummary], errors: Floats) -> Distribution:
    best = lowest(designs)
    return replace(distribution(errors), best=best.estimate.mean if best else np.nan, failed=_failed(designs))


def _failed(designs: list[SettingSummary]) -> int:
    return sum(bool(one.failed) for one in designs)


def _learned(designs: list[SettingSummary], images: int | None) -> Learned:
    known = [float(np.mean(list(one.measured.values()))) for one in designs if one.came_through]
    return learned(known, designs[0].chance, images)


def _rivals(
    pair: tuple[str, str],
    members: dict[str, list[SettingSummary]],
    margin: float | None,
    images: int | None,
    feasible: dict[str, int | None],
) -> Rivals:
    sides = [members[name] for name in pair]
    first, second = (np.array([one.estimate.mean for one in designs]) for designs in sides)
    n, mean, apart = min(len(first), len(second)), float(first.mean() - second.mean()), distance(first, second)
    if lowest([*sides[0], *sides[1]]) is None:  # every error is that of chance, which is a rule and no measurement
        mean, apart = np.nan, np.nan
    found = Rivals(
        *pair,
        Estimate(n, mean, np.nan, np.nan),
        np.nan,
        apart,
        "inconclusive",
        failed=(_failed(sides[0]), _failed(sides[1])),
        designs=(len(first), len(second)),
        learned=(_learned(sides[0], images), _learned(sides[1], images)),
        chance=sides[0][0].chance,
    )
    if n < 2 or max(np.ptp(first), np.ptp(second)) < ROUNDING:
        return found
    parts = [variance_of_mean(members[name], feasible.get(name)) for name in pair]
    spread = sum(parts)
    if spread < ROUNDING**2:
        return found
    freedom = spread**2 / sum(part**2 / (len(one) - 1) for part, one in zip(parts, (first, second), strict=True))
    difference = t_interval(n, mean, float(np.sqrt(spread)), freedom, within=DIFFERENCES)
    p = float(2 * stats.t.sf(abs(mean) / np.sqrt(spread), freedom))
    narrow = float(stats.t.ppf(1 - ALPHA, freedom) * np.sqrt(spread))
    within = margin is not None and n >= MIN_PAIRS and abs(mean) + narrow < margin
    return _judged(replace(found, difference=difference), p, within)


def variance_of_mean(designs: list[SettingSummary], feasible: int | None) -> float:
    """The variance of the mean error of designs that were drawn without replacement from `feasible` ones.

    The part that is due to which designs were drawn falls with the share of those not drawn; the noise of seeds does
    not, and is told from it where designs have several seeds. With one seed each it cannot be told, and nothing falls:
    the variance is then rather too large.
    """
    means = np.array([one.estimate.mean for one in designs])
    n, whole = len(means), float(means.var(ddof=1)) / len(means)
    if feasible is None or feasible < n:
        return whole
    several = [np.fromiter(one.errors.values(), float) for one in designs if len(one.errors) > 1]
    if not several:
        return whole
    freedom = sum(len(own) - 1 for own in several)
    noise = sum(float(((own - own.mean()) ** 2).sum()) for own in several) / freedom
    of_seeds = min(whole, noise * float(np.mean([1 / len(one.errors) for one in designs])) / n)
    return (whole - of_seeds) * (1 - n / feasible) + of_seeds


def _judged(rivals: Rivals, p: float, within: bool | None) -> Rivals:
    """Add the verdict: by p, or "equivalent" if the 90 % interval lies within the margin and p decides nothing.

    Inconclusive if designs of the better space failed more often, or if neither space has learned anything.
    """
    verdict: Verdict = "equivalent" if within and not any(rivals.failed) and not rivals.guesses else "inconclusive"
    if _significant(rivals, p):
        shares = [failed / of for failed, of in zip(rivals.failed, rivals.designs, strict=True)]
        better, worse = shares if rivals.difference.mean < 0 else reversed(shares)
        said: Verdict = "beats" if rivals.difference.mean < 0 else "loses to"
        verdict = said if better <= worse and not rivals.guesses else "inconclusive"
    return replace(rivals, p=p, verdict=verdict)


def _significant(rivals: Rivals, p: float) -> bool:
    return rivals.difference.n >= MIN_PAIRS and p < ALPHA


def _best_values(designs: list[SettingSummary]) -> list[BestValue]:
    """The best value of every axis that takes several values in a space, taken in the first stage if stages differ.

    Designs of which every run failed are left out, since a quarter of only these would have no best one. Fewer than
    eight designs give no value: a quarter of them leaves nothing to choose from.
    """
    known = by_validation(designs)
    if len(known) < LEAST_DESIGNS:
        return []
    shapes = [one.design[0] for one in known]
    errors = np.array([one.choosing for one in known])
    axes = {axis.name: [axis.of(shape) for shape in shapes] for axis in SHOWN}
    return [best_value(axis, values, errors) for axis, values in axes.items() if len(set(values)) > 1]


def distribution(errors: npt.ArrayLike) -> Distribution:
    """The empirical distribution of errors, as fractions, one per design. Raises ValueError for none."""
    values = np.sort(np.asarray(errors, dtype=float))
    n = len(values)
    if not n:
        raise ValueError("a distribution needs at least one design")
    below = np.searchsorted(values, values, side="right")
    tail = (1 - CONFIDENCE) / 2
    low = np.asarray(stats.beta.ppf(tail, below, n - below + 1))
    high = np.where(below < n, stats.beta.ppf(1 - tail, below + 1, np.maximum(n - below, 1)), 1.0)
    return Distribution(values, below / n, low, high, n, float(values.mean()))


def distance(first: Floats, second: Floats) -> float:
    """The Kolmogorov-Smirnov distance of two populations of errors."""
    return float(stats.ks_2samp(first, second).statistic)


def best_value(axis: str, values: npt.ArrayLike, errors: npt.ArrayLike, *, seed: int = 0) -> BestValue:
    """Which value of an axis goes with the lowest error: draw a quarter of the designs, take the best one's, repeat."""
    places, found = np.asarray(values, dtype=float), np.asarray(errors, dtype=float)
    n = len(found)
    drawn = np.random.default_rng(seed).integers(0, n, size=(BEST_DRAWS, max(1, round(SHARE * n))))
    best = drawn[np.arange(BEST_DRAWS), found[drawn].argmin(axis=1)]
    low, median, high = np.percentile(places[best], [2.5, 50, 97.5], method="nearest")
    return BestValue(axis, float(low), float(median), float(high), n)
