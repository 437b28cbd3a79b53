"""A search by CMA-ES (Hansen, 2016, 1604.00772), which keeps a mean and a covariance of the designs that did well.

    explorer plan pareto name=cmaes extensions=examples/cmaes.py search=tpe search.sampler=cmaes \
        'search.objectives=[error]'

Without `plan` it runs; it needs `pip install cmaes`. CMA-ES knows numbers alone, so labels such as `space.block` are
drawn at random. Each proposal becomes the nearest design that meets the budget and was not trained yet, and that is
what CMA-ES learns from.
"""

from optuna.samplers import BaseSampler, CmaEsSampler

import explorer as ex


def cmaes(seed: int) -> BaseSampler:
    """CMA-ES with small generations, since a search has few designs to try."""
    return CmaEsSampler(seed=seed, popsize=4, warn_independent_sampling=False)


SAMPLERS = {"cmaes": ex.Sampler(cmaes)}
