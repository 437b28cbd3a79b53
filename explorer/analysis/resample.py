"""What chance could have given instead: resampled seeds and test images."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import stats

from explorer.analysis.summary import CONFIDENCE, Estimate

DRAWS = 2000
AT_ONCE = 100  # draws, so that the counts of a large test set stay small
Right = npt.NDArray[np.bool_]


def with_images(
    setting: Mapping[int, Right], against: Mapping[int, Right], *, seed: int = 0, draws: int = DRAWS
) -> Estimate | None:
    """The mean difference of two errors with an interval over other seeds *and* other test images of the same kind.

    setting, against  by seed, which test images each run got right: booleans `(images,)`

    Seeds and images are drawn with replacement, both at once (Owen, 2007, the pigeonhole bootstrap). Of n seeds n - 1
    are drawn, so that their variance is not told too small, and the interval takes Student's quantile for n - 1 degrees
    of freedom: a plain percentile interval of few seeds is too narrow. None for fewer than two common seeds or where
    the runs were tested on different numbers of images.
    """
    shared = sorted(set(setting) & set(against))
    if len(shared) < 2 or len({len(right) for one in (setting, against) for right in one.values()}) != 1:
        return None
    wrong = np.stack([against[one].astype(np.float32) - setting[one].astype(np.float32) for one in shared])
    n, images = wrong.shape
    rng = np.random.default_rng(seed)
    means = []
    for start in range(0, draws, AT_ONCE):
        many = min(AT_ONCE, draws - start)
        seeds = rng.multinomial(n - 1, np.full(n, 1 / n), size=many).astype(np.float32)
        chosen = rng.multinomial(images, np.full(images, 1 / images), size=many).astype(np.float32)
        means.append(((seeds @ wrong) * chosen).sum(axis=1) / ((n - 1) * images))
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1)) * float(np.concatenate(means).std(ddof=1))
    mean = float(wrong.mean())
    return Estimate(n, mean, mean - half, mean + half)
