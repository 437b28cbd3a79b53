"""The uncertainty of an error or a contrast over seeds and test images together.

It follows from which images each run classified correctly.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from explorer.analysis.intervals import CONFIDENCE, DIFFERENCES, ERRORS, Estimate, t_interval

Right = npt.NDArray[np.bool_]
Signs = npt.NDArray[np.int8]


def with_images(
    setting: Mapping[int, Right], against: Mapping[int, Right], confidence: float = CONFIDENCE
) -> Estimate | None:
    """The mean difference of two errors with an interval over other seeds *and* other test images of the same kind.

    setting, against  by seed, which test images the run classified correctly: booleans `(images,)`

    Seeds and images are crossed random effects, each pair of them observed once (Searle, Casella and McCulloch, 1992,
    chapter 4): the variance of the mean of S seeds and N images is (MS_seed + MS_image - MS_residual) / (S N). It is
    never taken below MS_seed / (S N), that over the seeds alone, so that this interval holds theirs; Student's quantile
    is that of S - 1 degrees of freedom. None for fewer than two common seeds or images, or where the runs were tested
    on different numbers of images; without ends where nothing varies.
    """
    apart = _apart(setting, against)
    if apart is None or min(apart.shape) < 2:
        return None
    mean, deviation, _ = _crossed(apart)
    return t_interval(len(apart), mean, deviation, len(apart) - 1, confidence, within=DIFFERENCES)


def error_with_images(right: Mapping[int, Right], confidence: float = CONFIDENCE) -> Estimate:
    """The mean error of a network with an interval over other seeds and other test images of the same kind.

    right  by seed, which test images the run classified correctly: booleans `(images,)`, as many for each seed

    Crossed as in `with_images`, and never narrower than the interval of Clopper and Pearson (1934) for as many images:
    with an error near zero a t interval is too narrow, and where nothing varies there is none. That interval alone,
    over images and not over seeds, with a single seed. NaN without any.
    """
    if not right:
        return Estimate(0, math.nan, math.nan, math.nan)
    wrong = np.stack([~one for _, one in sorted(right.items())]).astype(np.int8)
    seeds, images = wrong.shape
    mean = int(wrong.sum(dtype=np.int64)) / wrong.size
    low, high = clopper_pearson(mean * images, images, confidence)
    if min(seeds, images) > 1:
        both = t_interval(seeds, mean, _crossed(wrong)[1], seeds - 1, confidence, within=ERRORS)
        if both.has_interval:
            low, high = min(low, both.low), max(high, both.high)
    return Estimate(seeds, mean, low, high)


class Apart(NamedTuple):
    """The difference of two errors over seeds and test images, its interval, a narrower one, and p; see `apart`.

    `floor` is the standard error that is left with any number of seeds, that of the test images.
    """

    difference: Estimate
    narrow: Estimate
    p: float
    floor: float = 0.0


def apart(setting: Mapping[int, Right], against: Mapping[int, Right], alpha: float) -> Apart:
    """The mean difference of two errors over their common seeds, with its interval at 1 - `alpha` and the fitting p.

    The interval is that of `with_images`, and p that of the t test with the same deviation: the interval holds zero
    exactly where p is `alpha` or more. Where no difference varies both are those of Bonett and Price (2012) over images
    alone. `narrow`, at 1 - 2 `alpha`, which decides equivalence, holds that interval in any case, since few images that
    hardly differ say little of others. Without ends and with NaN for fewer than two seeds or images.
    """
    found = _apart(setting, against)
    if found is None or not found.size:
        nothing = Estimate(0, math.nan, math.nan, math.nan)
        return Apart(nothing, nothing, math.nan)
    seeds = len(found)
    mean = int(found.sum(dtype=np.int64)) / found.size
    if min(found.shape) < 2:
        alone = Estimate(seeds, mean, math.nan, math.nan)
        return Apart(alone, alone, math.nan)
    _, deviation, floor = _crossed(found)
    if not deviation > 0:
        (low, high), p = _bonett_price(found, alpha)
        narrow, _ = _bonett_price(found, 2 * alpha)
        return Apart(Estimate(seeds, mean, low, high), Estimate(seeds, mean, *narrow), p)
    difference, narrow_one = (
        t_interval(seeds, mean, deviation, seeds - 1, 1 - level, within=DIFFERENCES) for level in (alpha, 2 * alpha)
    )
    (low, high), _ = _bonett_price(found, 2 * alpha)
    narrow_one = Estimate(seeds, mean, min(low, narrow_one.low), max(high, narrow_one.high))
    return Apart(difference, narrow_one, float(2 * stats.t.sf(abs(mean) / deviation, seeds - 1)), floor)


def clopper_pearson(wrong: float, images: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The exact interval of a share of images, of which `wrong` were classified wrongly (Clopper and Pearson, 1934)."""
    tail = (1 - confidence) / 2
    low = float(stats.beta.ppf(tail, wrong, images - wrong + 1)) if wrong > 0 else 0.0
    high = float(stats.beta.ppf(1 - tail, wrong + 1, images - wrong)) if wrong < images else 1.0
    return low, high


def _bonett_price(apart: Signs, alpha: float) -> tuple[tuple[float, float], float]:
    """The interval at 1 - `alpha` over images of a paired difference of shares, and its p.

    Of each image's mean difference over seeds, with one image added on which only the first was wrong, and one on which
    only the second was: an adjusted Wald interval (Bonett and Price, 2012).
    """
    each, images = apart.mean(axis=0), apart.shape[1]
    mean = float(each.sum()) / (images + 2)
    deviation = math.sqrt(((float((each**2).sum()) + 2) / (images + 2) - mean**2) / (images + 2))
    half = float(stats.norm.ppf(1 - alpha / 2)) * deviation
    ends = max(DIFFERENCES[0], mean - half), min(DIFFERENCES[1], mean + half)
    return ends, float(2 * stats.norm.sf(abs(mean) / deviation))


def _apart(setting: Mapping[int, Right], against: Mapping[int, Right]) -> Signs | None:
    """Per common seed and image 1 if only the first was wrong, -1 if only the second was, else 0: exact integers.

    None without a common seed, or where the runs were tested on different numbers of images.
    """
    shared = sorted(set(setting) & set(against))
    if not shared or len({len(right) for one in (setting, against) for right in one.values()}) != 1:
        return None
    return np.stack([against[one].astype(np.int8) - setting[one].astype(np.int8) for one in shared])


def _crossed(values: Signs) -> tuple[float, float, float]:
    """The mean of values `(seeds, images)`, its standard error, where both are random and crossed, and that of images.

    The last does not fall with more seeds: it is the standard error with any number of them.
    """
    seeds, images = values.shape
    mean = int(values.sum(dtype=np.int64)) / values.size
    by_seed = float(((values.mean(axis=1) - mean) ** 2).sum()) * images
    by_image = float(((values.mean(axis=0) - mean) ** 2).sum()) * seeds
    whole = float(np.count_nonzero(values)) - values.size * mean**2
    residual = max(0.0, whole - by_seed - by_image) / ((seeds - 1) * (images - 1))
    of_seeds, of_images = by_seed / (seeds - 1), by_image / (images - 1)
    alone = max(0.0, of_images - residual) / values.size
    return mean, math.sqrt(of_seeds / values.size + alone), math.sqrt(alone)
