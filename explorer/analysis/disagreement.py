"""What two settings disagree on: which test images one of them classifies correctly and the other does not.

It follows from which images each run classified correctly, and from the labels of these images. The record does not
hold what a wrong answer was: two runs that are both wrong about an image count as agreeing on it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt

from explorer.analysis.intervals import DIFFERENCES, ERRORS, Estimate, estimate
from explorer.analysis.paired import ALPHA, paired_p
from explorer.analysis.seeds_and_images import Right, apart, error_with_images
from explorer.analysis.summary import MIN_PAIRS

EXACT_SEEDS = 12  # most pairs of seeds for which all exchanges of the two settings are tried: 2^12
DRAWN = 2**EXACT_SEEDS  # exchanges drawn at random where there are more seeds
AT_ONCE = 2**16  # images, or images times exchanges in thousands, worked on at a time, which bounds the memory
Labels = Callable[[int], npt.NDArray[np.int64] | None]  # by seed, the class of each test image; None where unknown
Rights = npt.NDArray[np.bool_]  # `(seeds, images)`
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cells:
    """Shares of test images, means over pairs of seeds: right in both runs of a pair, in one of them alone, in none.

    each  of each pair, in this order
    """

    both: Estimate
    setting: Estimate
    against: Estimate
    neither: Estimate
    each: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True)
class Churn:
    """Shares of test images on which exactly one of two runs is right, means over pairs of runs with different seeds.

    setting, against  two runs of that one setting: what a new seed alone changes
    across   a run of the one and a run of the other
    excess   `across` less the mean of the other two. Where q and r are the chances that a run of either setting is
             right about an image, this is the mean of (q - r)^2 over images, without bias: zero only if the settings
             have equal chances on every image
    """

    setting: Estimate
    against: Estimate
    across: Estimate
    excess: Estimate


@dataclass(frozen=True)
class ClassRow:
    """One class: its test images, both errors on them, and their difference with its interval and p.

    Interval and p of the difference are corrected for the number of classes by Bonferroni's method: the interval does
    not hold zero exactly where p is below `ALPHA`. The intervals of the errors are 95 % each.
    """

    number: int
    images: int
    setting: Estimate
    against: Estimate
    difference: Estimate
    p: float


@dataclass(frozen=True)
class OneSided:
    """Test images that one setting gets right in nearly all seeds and the other in hardly any.

    images    their places in test order, those furthest apart first
    right     for each, in how many seeds the first and the second setting of the contrast are right about it
    expected  their mean number if in every seed it were chance which of the two runs is which setting's
    p         the chance of as many or more then
    """

    images: tuple[int, ...]
    right: tuple[tuple[int, int], ...]
    expected: float
    p: float


@dataclass(frozen=True)
class Disagreement:
    """What the two settings of a contrast disagree on, over the pairs of seeds of which both runs came through.

    seeds    of these pairs; `images` is the number of test images of a run
    cells    over pairs of equal seeds
    disagree  the share on which exactly one run of such a pair is right
    churn    over different seeds; None with a single pair, or where each seed has test images of its own
    classes  errors by class; empty where labels are unknown
    setting, against  images that this setting alone gets right, in at least `least` seeds, the other in at most `most`;
                      None with fewer than five pairs, or where each seed has test images of its own

    Intervals are over seeds, of which fewer than five give none. Those of `churn` are jackknife intervals; those by
    class are over seeds and test images, or over seeds alone where each has test images of its own.
    """

    seeds: tuple[int, ...]
    images: int
    cells: Cells
    disagree: Estimate
    churn: Churn | None
    classes: tuple[ClassRow, ...]
    setting: OneSided | None
    against: OneSided | None
    least: int
    most: int


def disagreement(
    setting: Mapping[int, Right],
    against: Mapping[int, Right],
    labels: Labels | None = None,
    *,
    own_images: bool = False,
) -> Disagreement | None:
    """What two settings disagree on, from which test images their runs classified correctly, by seed.

    labels      the class of each test image, by seed
    own_images  whether each seed has test images of its own: nothing is then said of an image over seeds

    None without a common seed, or where runs were tested on different numbers of images.
    """
    seeds = sorted(set(setting) & set(against))
    sizes = {len(own[seed]) for own in (setting, against) for seed in seeds}
    if len(sizes) != 1 or 0 in sizes:
        return None
    first, second = (np.stack([own[seed] for seed in seeds]) for own in (setting, against))
    single, least, most = own_images or len(seeds) < MIN_PAIRS, -(-9 * len(seeds) // 10), len(seeds) // 10
    one, other = (None, None) if single else one_sided(first, second, least, most)
    return Disagreement(
        seeds=tuple(seeds),
        images=sizes.pop(),
        cells=_cells(first, second),
        disagree=_mean(first ^ second),
        churn=None if own_images or len(seeds) < 2 else churn(first, second),
        classes=by_class(first, second, seeds, labels, own_images=own_images) if labels else (),
        setting=one,
        against=other,
        least=least,
        most=most,
    )


def churn(first: Rights, second: Rights) -> Churn:
    """How often two runs with different seeds differ in whether they are right, within settings and across them.

    Each is a mean over pairs of seeds, a U statistic, with a jackknife interval over seeds (Arvesen, 1969), whose
    variance is too large rather than too small (Efron and Stein, 1981).
    """
    n = len(first)
    apart = _apart(np.concatenate([first, second]))
    within, rival, across = apart[:n, :n], apart[n:, n:], (apart[:n, n:] + apart[n:, :n]) / 2
    own, other, both = (_jackknifed(one, ERRORS) for one in (within, rival, across))
    return Churn(own, other, both, _jackknifed(across - (within + rival) / 2, DIFFERENCES))


def by_class(
    first: Rights, second: Rights, seeds: list[int], labels: Labels, *, own_images: bool = False
) -> tuple[ClassRow, ...]:
    """Both errors on the test images of each class and their difference; empty where labels of a seed are unknown."""
    known = [own for seed in seeds if (own := labels(seed)) is not None and len(own) == first.shape[1]]
    if len(known) < len(seeds):
        return ()
    there = sorted({int(number) for own in known for number in np.unique(own)})
    rows = []
    for number in there:
        places = [own == number for own in known]
        sides = tuple(
            {seed: right[place] for seed, right, place in zip(seeds, rights, places, strict=True)}
            for rights in (first, second)
        )
        rows.append(_class_row(number, sides[0], sides[1], ALPHA / len(there), own_images=own_images))
    return tuple(replace(row, p=min(row.p * len(there), 1.0)) for row in rows)


def _class_row(
    number: int, setting: Mapping[int, Right], against: Mapping[int, Right], alpha: float, *, own_images: bool
) -> ClassRow:
    """One class, with an interval at 1 - `alpha` and a p that is not corrected."""
    images = max(len(right) for right in setting.values())
    errors = [[1 - float(right.mean()) for right in own.values() if len(right)] for own in (setting, against)]
    pairs = min(map(len, errors))
    if own_images or pairs < MIN_PAIRS:
        gaps = np.subtract(*(np.array(own) for own in errors))
        p = paired_p(gaps) if pairs >= MIN_PAIRS else math.nan
        one, other, gap = (
            _unless_few(estimate(values, 1 - level, within=within))
            for values, level, within in (
                (errors[0], ALPHA, ERRORS),
                (errors[1], ALPHA, ERRORS),
                (gaps, alpha, DIFFERENCES),
            )
        )
        return ClassRow(number, images, one, other, gap, p)
    found = apart(setting, against, alpha)
    return ClassRow(number, images, error_with_images(setting), error_with_images(against), found.difference, found.p)


def one_sided(first: Rights, second: Rights, least: int, most: int) -> tuple[OneSided, OneSided]:
    """The test images that the first setting gets right in at least `least` seeds and the second in at most `most`.

    Then those of which the reverse is true. Such images are found by looking for the most extreme ones, so some are
    there by chance alone: their number is held against that after exchanging the two runs within seeds, each exchange
    equally likely (Fisher, 1935), as it would be if the two settings did not differ. The mean over all exchanges is
    exact; p is over all of them, or over as many drawn at random with more than 12 seeds, of which the record is one.
    """
    rights = [own.sum(axis=0, dtype=np.int64) for own in (first, second)]
    agreed = (first & second).sum(axis=0, dtype=np.int64)
    expected = _expected(agreed, (first ^ second).sum(axis=0, dtype=np.int64), least, most)
    exchanged = _exchanged(first, second, agreed, least, most)
    found = []
    for (one, other), counts in zip((rights, rights[::-1]), exchanged, strict=True):
        places = np.flatnonzero((one >= least) & (other <= most))
        order = places[np.argsort(-(one - other)[places], kind="stable")]
        p = float((counts >= len(places)).mean())
        right = tuple((int(rights[0][place]), int(rights[1][place])) for place in order)
        found.append(OneSided(tuple(map(int, order)), right, expected, p))
    return found[0], found[1]


def _expected(agreed: npt.NDArray[np.int64], split: npt.NDArray[np.int64], least: int, most: int) -> float:
    """The mean number of one-sided images over all exchanges within seeds.

    An image on which both runs of `agreed` seeds are right and exactly one of `split` seeds is right by the first
    setting in `agreed` + X of them, where X is binomial with chance 1/2, and by the second in `agreed` + `split` - X.
    """
    pairs, counts = np.unique(np.stack([agreed, split]), axis=1, return_counts=True)
    total = 0.0
    for both, one, images in zip(*pairs.tolist(), counts.tolist(), strict=True):
        fewest = max(0, least - both, both + one - most)
        total += images * sum(math.comb(one, hits) for hits in range(fewest, one + 1)) / 2**one
    return total


def _exchanged(
    first: Rights, second: Rights, agreed: npt.NDArray[np.int64], least: int, most: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The number of images one-sided for the first setting, after each exchange of the two runs within seeds.

    It is the number for the second setting after the opposite exchange, so that both have the same distribution, which
    is given for either: where exchanges are drawn, the record is among those of the first as no exchange, and among
    those of the second as the exchange in every seed.
    """
    seeds, split = len(first), (first ^ second).sum(axis=0, dtype=np.int64)
    able = (agreed <= most) & (agreed + split >= least)
    gap = (first[:, able].astype(np.float32) - second[:, able].astype(np.float32)).T
    agreed, split = agreed[able, None], split[able, None]
    if seeds <= EXACT_SEEDS:
        signs = np.array([*product((1, -1), repeat=seeds)], np.float32)
    else:
        drawn = np.random.default_rng(0).integers(0, 2, (DRAWN, seeds))
        none = np.ones((1, seeds))
        signs = np.concatenate([none, 1.0 - 2.0 * drawn, -none]).astype(np.float32)
    step, counts = max(1, 64 * AT_ONCE // max(1, len(gap))), []
    for start in range(0, len(signs), step):
        hits = (split + (gap @ signs[start : start + step].T).astype(np.int64)) // 2
        counts.append(((agreed + hits >= least) & (agreed + split - hits <= most)).sum(axis=0))
    found = np.concatenate(counts)
    return (found, found) if seeds <= EXACT_SEEDS else (found[:-1], found[1:])


def _apart(rights: Rights) -> Floats:
    """For every two of these runs the share of images on which exactly one of them is right."""
    images = rights.shape[1]
    both = np.zeros((len(rights), len(rights)))
    for start in range(0, images, AT_ONCE):
        some = rights[:, start : start + AT_ONCE].astype(np.float64)
        both += some @ some.T
    right = np.diag(both)
    return np.asarray((right[:, None] + right[None, :] - 2 * both) / images)


def _jackknifed(kernel: Floats, within: tuple[float, float]) -> Estimate:
    """The mean of a symmetric `(n, n)` kernel over all pairs of different places, with a jackknife interval."""
    n = len(kernel)
    rows = kernel.sum(axis=1) - np.diag(kernel)
    total = float(rows.sum())
    mean = total / (n * (n - 1))
    if n < MIN_PAIRS:
        return Estimate(n, mean, math.nan, math.nan)
    without = (total - 2 * rows) / ((n - 1) * (n - 2))
    return replace(estimate(n * mean - (n - 1) * without, within=within), mean=mean)


def _cells(first: Rights, second: Rights) -> Cells:
    both, one, other, neither = first & second, first & ~second, ~first & second, ~first & ~second
    each = zip(*(cell.mean(axis=1).tolist() for cell in (both, one, other, neither)), strict=True)
    return Cells(_mean(both), _mean(one), _mean(other), _mean(neither), tuple(each))


def _mean(found: Rights) -> Estimate:
    """The mean over seeds of the share of images that are among these."""
    return _unless_few(estimate(found.mean(axis=1), within=ERRORS))


def _unless_few(found: Estimate) -> Estimate:
    """The estimate, without its ends if it is over fewer than five seeds."""
    return found if found.n >= MIN_PAIRS else replace(found, low=math.nan, high=math.nan)
