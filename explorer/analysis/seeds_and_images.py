"""The uncertainty of a contrast over seeds and test images together, from the images each run classified correctly."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from explorer.analysis.intervals import CONFIDENCE, DIFFERENCES, Estimate, t_interval

Right = npt.NDArray[np.bool_]


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
    shared = sorted(set(setting) & set(against))
    if len(shared) < 2 or len({len(right) for one in (setting, against) for right in one.values()}) != 1:
        return None
    # Per image: 1 if only the first was wrong, -1 if only the second was, else 0: exact integers.
    apart = np.stack([against[one].astype(np.int8) - setting[one].astype(np.int8) for one in shared])
    seeds, images = apart.shape
    if images < 2:
        return None
    mean = int(apart.sum(dtype=np.int64)) / apart.size
    by_seed = float(((apart.mean(axis=1) - mean) ** 2).sum()) * images
    by_image = float(((apart.mean(axis=0) - mean) ** 2).sum()) * seeds
    whole = float(np.count_nonzero(apart)) - apart.size * mean**2
    residual = max(0.0, whole - by_seed - by_image) / ((seeds - 1) * (images - 1))
    of_seeds, of_images = by_seed / (seeds - 1), by_image / (images - 1)
    variance = max(of_seeds, of_seeds + of_images - residual) / apart.size
    return t_interval(seeds, mean, variance**0.5, seeds - 1, confidence, within=DIFFERENCES)
