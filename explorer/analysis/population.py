"""Populations of designs: how their errors are distributed, and which values of an axis the good ones have.

After Radosavovic et al., "Designing Network Design Spaces" (2003.13678), sections 3.1 and 3.3: a space is judged by all
its designs, not by its best one.
"""

from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy import stats

from explorer.analysis.chance import Learned, learned
from explorer.analysis.intervals import CONFIDENCE, DIFFERENCES, ROUNDING, Estimate, t_interval
from explorer.analysis.paired import ALPHA, Verdict, holm_adjusted
from explorer.analysis.summary import MIN_PAIRS, SettingSummary, by_validation, lowest
from explorer.design.architecture import Architecture
from explorer.design.shape_axes import SHOWN

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
class Rivals:
    """Two spaces: the mean error of `space`'s designs minus that of `against`'s, as fractions.

    difference  with Welch's 95 % interval: designs are drawn independently, so nothing is paired
    equal_depth the difference among designs of equal depth, since a budget may leave one space more shallow designs
                than the other; None if depths do not differ, or no depth is in both
    equal_macs  the difference among designs of equal depth and multiply-adds, which a budget of another cost leaves
                unequal too; None if multiply-adds do not differ
    p           of Welch's test; adjusted (Holm) if the two were not declared beforehand
    distance    largest vertical distance of the two empirical distributions (Kolmogorov-Smirnov). It has no interval:
                resampled designs have a larger distance than the designs themselves, so a bootstrap interval hardly
                ever covers a small distance
    failed      for each space, the number of designs with a failed run, out of `designs`; a space in which their share
                is larger cannot win, and with any such design the two are not called equivalent
    learned     whether the designs of each have learned more than guessing, whose error is `chance`
    """

    space: str
    against: str
    difference: Estimate
    p: float
    distance: float
    verdict: Verdict
    equal_depth: Estimate | None = None
    equal_macs: Estimate | None = None
    failed: tuple[int, int] = (0, 0)
    designs: tuple[int, int] = (0, 0)
    learned: tuple[Learned, Learned] = ("yes", "yes")
    chance: float = np.nan

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
    """

    distributions: dict[str, Distribution]
    rivals: list[Rivals] = field(default_factory=list)
    best: dict[str, list[BestValue]] = field(default_factory=dict)
    averages: dict[str, dict[str, float]] = field(default_factory=dict)


def populations(
    members: dict[str, list[SettingSummary]],
    contrast: tuple[str, str] | None = None,
    margin: float | None = None,
    *,
    images: int | None = None,
) -> Populations | None:
    """Judge spaces by the mean errors of their designs; spaces without results are left out; None if none is left.

    A run that failed counts as chance. `images` is the number of images on which errors were measured, if known.
    """
    if not members:
        return None
    means = {name: np.array([one.estimate.mean for one in designs]) for name, designs in members.items() if designs}
    pairs = [pair for pair in combinations(means, 2) if set(pair) != set(contrast or ())]
    others = [_rivals(pair, members, None, images) for pair in pairs]
    adjusted = holm_adjusted([one.p for one in others])
    corrected = [_judged(one, p, None) for one, p in zip(others, adjusted, strict=True)]
    declared = [_rivals(contrast, members, margin, images)] if contrast and set(contrast) <= set(means) else []
    shapes = {name: [one.design[0] for one in members[name]] for name in means}
    depths = {name: np.array([shape.depth for shape in shapes[name]]) for name in means}
    macs = {name: np.log2([float(one.macs) for one in members[name]]) for name in means}
    rivals = [
        one if one.lost else replace(one, equal_depth=at_equal_depth(*sides[:2]), equal_macs=at_equal_depth(*sides))
        for one in (*declared, *corrected)
        for sides in [[[of[name] for name in (one.space, one.against)] for of in (means, depths, macs)]]
    ]
    return Populations(
        distributions={name: _distribution(members[name], errors) for name, errors in means.items()},
        rivals=rivals,
        best={name: _best_values(members[name]) for name in means},
        averages={name: _averages(shapes[name], members[name]) for name in means},
    )


def at_equal_depth(
    errors: list[Floats], depths: list[npt.NDArray[np.int64]], macs: list[Floats] | None = None
) -> Estimate | None:
    """Mean error of the first designs minus that of the second ones among designs of equal depth, with a 95 % interval.

    Least squares with an intercept for each depth and one difference of the two spaces (analysis of covariance); with
    `macs`, log2 of multiply-adds, also with one slope over these. None if what is held equal does not differ, or
    differs only between the spaces and not within them.
    """
    y, depth = np.concatenate(errors), np.concatenate(depths)
    known = np.unique(depth)
    space = np.repeat([1.0, 0.0], [len(one) for one in errors])
    design = np.column_stack([space, *(depth == one for one in known)])
    if macs is not None:
        slope = np.concatenate(macs)
        design = np.column_stack([design, slope - slope.mean()])
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


def _averages(shapes: list[Architecture], designs: list[SettingSummary]) -> dict[str, float]:
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
    pair: tuple[str, str], members: dict[str, list[SettingSummary]], margin: float | None, images: int | None
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
    parts = [one.var(ddof=1) / len(one) for one in (first, second)]
    spread = sum(parts)
    freedom = spread**2 / sum(part**2 / (len(one) - 1) for part, one in zip(parts, (first, second), strict=True))
    difference = t_interval(n, mean, float(np.sqrt(spread)), freedom, within=DIFFERENCES)
    p = float(2 * stats.t.sf(abs(mean) / np.sqrt(spread), freedom))
    narrow = float(stats.t.ppf(1 - ALPHA, freedom) * np.sqrt(spread))
    within = margin is not None and n >= MIN_PAIRS and abs(mean) + narrow < margin
    return _judged(replace(found, difference=difference), p, within)


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
    known = [one for one in designs if one.came_through]
    if len(known) < LEAST_DESIGNS:
        return []
    shapes = [one.design[0] for one in known]
    errors = np.array([by_validation(one) for one in known])
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
