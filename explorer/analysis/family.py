"""Several contrasts against one setting, judged together: adjusted p values and simultaneous intervals."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import stats

from explorer.analysis.intervals import DIFFERENCES, estimate
from explorer.analysis.paired import Comparison, judged_anew

CELLS = 4_000_000  # differences drawn at a time, which bounds the memory
DRAWS = 20_000  # of the joint distribution: an adjusted p of 0.05 is then known to within 0.003
Floats = npt.NDArray[np.float64]


def simultaneous(comparisons: list[Comparison], seed: int = 0) -> list[Comparison]:
    """Adjust comparisons with one rival as one family, by the distribution of the most extreme of their t tests.

    Single-step maximum-t adjustment: an adjusted p is the probability that the smallest p of the family is at most this
    one where no setting differs, and an interval contains zero exactly where the adjusted p is above `alpha`. Each
    comparison keeps the variance of its own pairs. Variances pooled over settings (Dunnett, 1955) are not used: with 5
    or 7 seeds and one setting three times as noisy they reject a true family in 6 to 14 % of simulated studies instead
    of 5 %, even if they are pooled only where a test finds no difference of the spreads.

    Those without a p, or whose differences are all equal, keep their interval; equivalence is not claimed.
    """
    members = [one for one in comparisons if one.difference.has_interval]
    if not members:
        return comparisons
    rng = np.random.default_rng(seed)
    smallest = np.sort(_smallest_p(members, rng))
    alpha = members[0].alpha
    level = min(alpha, float(np.quantile(smallest, alpha))) if len(members) > 1 else alpha
    found = []
    for one in comparisons:
        p, difference = one.p, one.difference
        if p == p and len(members) > 1:
            p = max(p, (int(np.searchsorted(smallest, p, side="right")) + 1) / (len(smallest) + 1))
        if one.difference.has_interval:
            difference = estimate([*one.differences.values()], 1 - level, within=DIFFERENCES)
        found.append(judged_anew(replace(one, difference=difference), p))
    return found


def _smallest_p(members: list[Comparison], rng: np.random.Generator) -> Floats:
    """Draws of the smallest p of the family's t tests where no setting differs.

    Differences of a seed are normal, with the correlations that those of the record have: they share the rival's error.
    With few seeds observed correlations are often too large by chance, so they are drawn in a little.
    """
    seeds = sorted({seed for one in members for seed in one.differences})
    places = [np.array([seeds.index(seed) for seed in one.differences]) for one in members]
    common = sorted(set.intersection(*(set(one.differences) for one in members)))
    correlations = np.eye(len(members))
    table = np.array([[one.differences[seed] for seed in common] for one in members])
    if len(common) > 2 and (np.ptp(table, axis=1) > 0).all():
        shrunk = (len(common) - 1) / (len(common) + 1)
        correlations = shrunk * np.corrcoef(table) + (1 - shrunk) * correlations
    root, smallest = np.linalg.cholesky(correlations), np.ones(DRAWS)
    step = max(1, CELLS // (len(seeds) * len(members)))
    for start in range(0, DRAWS, step):
        some = slice(start, min(start + step, DRAWS))
        drawn = rng.normal(size=(some.stop - start, len(seeds), len(members))) @ root.T
        largest = dict[int, Floats]()  # |t| by number of pairs: of as many pairs the largest has the smallest p
        for number, own in enumerate(places):
            values, n = drawn[:, own, number], len(own)
            t = np.abs(values.mean(axis=1) / (values.std(axis=1, ddof=1) / np.sqrt(n)))
            largest[n] = np.maximum(largest[n], t) if n in largest else t
        for n, t in largest.items():
            smallest[some] = np.minimum(smallest[some], 2 * stats.t.sf(t, n - 1))
    return smallest
