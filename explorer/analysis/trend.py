"""Does the error fall as cardinality rises? One slope per seed, judged over the seeds."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from explorer.analysis.intervals import Estimate, estimate
from explorer.analysis.paired import paired_p
from explorer.analysis.summary import SettingSummary

LEAST = 3  # fewest cardinalities of a trend: two are a contrast


@dataclass(frozen=True)
class Trend:
    """Change of the error for each doubling of the cardinality, as a fraction: its mean over seeds, interval and p.

    cardinalities  in ascending order, of settings that differ only in their paths
    left_out       number of seeds without a slope, since a run with this seed failed and has no error
    """

    slope: Estimate
    p: float
    cardinalities: tuple[int, ...]
    left_out: int = 0


def trend(summaries: list[SettingSummary]) -> Trend | None:
    """The slope of error on log2 of cardinality, fitted by least squares to each seed that all settings have.

    Settings that differ only in their paths form a line; several lines (say, several depths) share the slope and have
    an intercept each. None if no line has three cardinalities, or there is no common seed.
    """
    lines: dict[str, list[SettingSummary]] = {}
    for summary in summaries:
        lines.setdefault(summary.shape, []).append(summary)
    used = [line for line in lines.values() if len({one.cardinality for one in line}) >= LEAST]
    flat = [one for line in used for one in line]
    shared = set.intersection(*(set(one.errors) for one in flat)) if flat else set[int]()
    if not shared:
        return None
    seeds = sorted(shared.intersection(*(one.measured for one in flat)))
    heights = np.concatenate([_centred(np.log2([one.cardinality for one in line])) for line in used])
    errors = np.array([[one.errors[seed] for one in flat] for seed in seeds]).reshape(len(seeds), len(flat))
    slopes = errors @ heights / (heights @ heights)
    cardinalities = tuple(sorted({one.cardinality for one in flat}))
    return Trend(estimate(slopes), paired_p(slopes), cardinalities, len(shared) - len(seeds))


def _centred(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(values - values.mean())
