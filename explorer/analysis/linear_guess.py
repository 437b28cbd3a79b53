"""The plainest search there is: a linear fit on random designs, and the designs for which it predicts the lowest error.

A search that does no better has gained nothing by its samplers and rungs, so it stands beside every search.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from explorer.analysis.intervals import Floats
from explorer.analysis.ranks import Correlation, rank_correlation
from explorer.analysis.summary import SettingSummary
from explorer.design.architecture import Architecture
from explorer.design.shape_axes import BY_NAME

LEAST_RANDOM = 8  # fewest random designs of a fit, which has four coefficients


@dataclass(frozen=True)
class LinearGuess:
    """What a fit on the random designs of a search says of those that the search trained to their end.

    random   number of random designs it was fitted on
    guessed  number of the search's own designs; `ranks` is the correlation of their errors with those predicted
    chosen   the one of these with the lowest predicted error; "" if there is none
    error    its validation error, and `best` the lowest one among them, fractions
    """

    random: int
    guessed: int
    ranks: Correlation
    chosen: str = ""
    error: float = np.nan
    best: float = np.nan


def linear_guess(summaries: Sequence[SettingSummary], random: Sequence[str]) -> LinearGuess | None:
    """Fit the random designs of a search and predict its other ones; None for too few random designs."""
    known, by_chance = [one for one in summaries if one.came_through], set(random)
    drawn = [one for one in known if one.setting in by_chance]
    others = [one for one in known if one.setting not in by_chance]
    if len(drawn) < LEAST_RANDOM:
        return None
    predicted = predictions(
        [one.design[0] for one in drawn],
        np.array([one.estimate.mean for one in drawn]),
        [one.design[0] for one in others],
    )
    errors = np.array([one.estimate.mean for one in others])
    ranks = rank_correlation(predicted, errors)
    if not others:
        return LinearGuess(len(drawn), 0, ranks)
    first = int(predicted.argmin())
    return LinearGuess(len(drawn), len(others), ranks, others[first].setting, float(errors[first]), float(errors.min()))


def predictions(designs: Sequence[Architecture], errors: Floats, others: Sequence[Architecture]) -> Floats:
    """The errors of `others` by a least-squares fit of `errors` on depth, log2 width and log2 of the middle width D."""
    columns = _columns([*designs, *others])
    middle = columns[: len(designs)].mean(axis=0) if designs else 0.0
    columns = np.column_stack([np.ones(len(columns)), columns - middle])
    found = np.linalg.lstsq(columns[: len(designs)], errors, rcond=None)[0]
    return np.asarray(columns[len(designs) :] @ found)


def _columns(designs: Sequence[Architecture]) -> Floats:
    width, middle = BY_NAME["width"], BY_NAME["group_width"]
    return np.array(
        [[float(one.depth), np.log2(width.of(one)), np.log2(middle.of(one))] for one in designs], dtype=float
    ).reshape(len(designs), 3)
