"""Replay searches on recorded curves: this project's sampler, pruner and trials, with errors looked up, not trained."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from benchmarks.replay_curves import Curves, Replay
from explorer.analysis.linear_guess import predictions
from explorer.design import parse_name, short_name
from explorer.design.architecture import Architecture
from explorer.design.designs import one
from explorer.design.feasible import Pool
from explorer.design.shape_axes import OWN
from explorer.search.trials import new_search
from explorer.study.designs import Scope
from explorer.study.settings import Pruner, StudyConfig

# Sampler and pruner of each kind; the others are compared with the first.
KINDS: dict[str, tuple[str, Pruner]] = {
    "random designs": ("random", "none"),
    "random, halving": ("random", "halving"),
    "tpe": ("tpe", "none"),
    "tpe, halving": ("tpe", "halving"),
}
# The same searches with rungs that judge by training errors (`search.rung_error`), by the kind that they repeat.
BY_TRAINING = {kind: f"{kind} by training errors" for kind, (_, pruner) in KINDS.items() if pruner != "none"}
# The plainest search: a linear fit on random designs, and the designs for which it predicts the lowest errors.
LINEAR, GUESSES = "linear fit", 2
DRAWS = 200
SHARE = 1 / 3  # epochs given to a search, as a fraction of those that all designs of a draw would take
SUBSET = 2 / 3  # fraction of the designs in each draw: with all of them, all draws would be the same


def replay(
    curves: Curves,
    config: StudyConfig,
    scope: Scope,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    watch: Callable[[int, int], None] | None = None,
) -> Replay:
    """Run many searches among a study's designs; each draw takes two thirds of them and one seed of each.

    Each kind of `KINDS`, those of `BY_TRAINING` and the linear fit has a third of the epochs. Validation errors choose,
    test errors judge.
    `watch` receives the numbers of finished draws and of all draws.
    """
    architectures, worth = [parse_name(name) for name in curves.names], curves.worth
    count, total = max(2, round(SUBSET * len(worth))), curves.errors.shape[1]
    own = [np.flatnonzero(curves.design == place) for place in range(len(worth))]
    searches = {
        kind: replace(
            config,
            recipe=replace(config.recipe, epochs=total),
            search=replace(
                config.search,
                sampler=sampler,
                pruner=pruner,
                designs=count,
                seeds=1,
                objectives=("error",),
                baseline=0.0,
            ),
        )
        for kind, (sampler, pruner) in KINDS.items()
    }
    budget, by_training = SHARE * count * total, BY_TRAINING if curves.training is not None else {}
    kinds = (*KINDS, *by_training.values(), LINEAR)
    regrets: dict[str, list[float]] = {kind: [] for kind in kinds}
    trained: dict[str, list[int]] = {kind: [] for kind in kinds}
    rng, of_fit = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    for draw in range(draws):
        chosen = rng.choice(len(worth), count, replace=False)
        runs = {curves.names[place]: int(rng.choice(own[place])) for place in chosen}
        errors = {name: curves.errors[run] for name, run in runs.items()}
        pool = pool_of([architectures[place] for place in chosen])
        best = worth[chosen].min()
        seeds = {kind: int(rng.integers(2**31)) for kind in KINDS}
        ended = {
            kind: _search(search, scope, pool, errors, errors, budget, seeds[kind]) for kind, search in searches.items()
        }
        if curves.training is not None:
            at_rungs = {name: curves.training[run] for name, run in runs.items()}
            ended |= {
                other: _search(searches[kind], scope, pool, errors, at_rungs, budget, seeds[kind])
                for kind, other in by_training.items()
            }
        ended[LINEAR] = _guessed(pool, errors, int(budget / total + 1e-9), of_fit)
        for kind, (found, begun) in ended.items():
            regrets[kind].append(float(worth[curves.names.index(found)] - best))
            trained[kind].append(begun)
        if watch is not None:
            watch(draw + 1, draws)
    return Replay(
        curves=curves,
        rungs=(*searches["random, halving"].rungs, total),
        share=SHARE,
        regrets={kind: np.array(values) for kind, values in regrets.items()},
        trained={kind: float(np.mean(values)) for kind, values in trained.items()},
        base=next(iter(KINDS)),
    )


def _guessed(
    pool: Pool, errors: dict[str, npt.NDArray[np.float64]], affordable: int, rng: np.random.Generator
) -> tuple[str, int]:
    """The design that a linear fit ends with, and the number it trains: random ones, then its best guesses."""
    designs = [pool.architecture(place) for place in range(len(pool))]
    names = [short_name(one) for one in designs]
    last = np.array([errors[name][-1] for name in names])
    order = rng.permutation(len(designs))
    count = max(1, min(affordable, len(designs)) - GUESSES)
    drawn, rest = order[:count], order[count:]
    predicted = predictions([designs[place] for place in drawn], last[drawn], [designs[place] for place in rest])
    tried = [*drawn, *rest[np.argsort(predicted, kind="stable")[:GUESSES]]]
    return names[min(tried, key=lambda place: last[place])], len(tried)


def pool_of(architectures: list[Architecture]) -> Pool:
    """A pool of some designs for a sampler, with a column for every axis in which they differ."""
    parameters: dict[str, npt.NDArray[np.generic]] = {}
    for axis in (own.name for own in OWN if own.name != "template"):
        values = [getattr(architecture, axis) for architecture in architectures]
        if len(set(values)) > 1:
            numbers = all(type(value) is int for value in values)
            labels = [value if isinstance(value, (int, bool)) else str(value) for value in values]
            parameters[axis] = np.array(values) if numbers else np.array(labels, dtype=object)
    return Pool(tuple(one(architecture) for architecture in architectures), parameters)


def _search(
    config: StudyConfig,
    scope: Scope,
    pool: Pool,
    errors: dict[str, npt.NDArray[np.float64]],
    at_rungs: dict[str, npt.NDArray[np.float64]],
    budget: float,
    seed: int,
) -> tuple[str, int]:
    """The design that a search ends with, and the number it started before its epochs were used up."""
    rungs, trials = config.rungs, new_search(config, scope, pool, seed)
    left, begun = budget, 0
    best = (math.inf, math.inf, "")  # epochs missing, then error
    while (setting := trials.ask()) is not None:
        before, stopped = 0, False
        for step in (*rungs, config.recipe.whole_epochs):
            if step - before > left:
                left = -1.0
                break
            left, before = left - (step - before), step
            error = float(errors[setting.name][step - 1])
            best = min(best, (float(config.recipe.whole_epochs - step), error, setting.name))
            if step < config.recipe.whole_epochs and not trials.goes_on(
                setting, step, float(at_rungs[setting.name][step - 1])
            ):
                stopped = True
                break
        if left < 0:
            break
        begun += 1
        trials.tell(setting, None if stopped else float(errors[setting.name][-1]))
    return best[2], begun
