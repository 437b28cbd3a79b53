"""Optuna samplers restricted to feasible designs: whatever a sampler proposes, a design within the budget is tried.

A proposal is replaced by the nearest feasible design that was not tried yet, and the sampler only sees the latter. So
every trial is feasible, none is repeated, and any sampler of Optuna can be used unchanged.
"""

import inspect
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from explorer.design.architecture import Architecture
from explorer.design.designs import one
from explorer.design.feasible import Pool, Ranks
from explorer.host.errors import InputError
from explorer.host.extensions import MISTAKES, mistake, source_of
from explorer.study.samplers import ADDED

WIDE = 8  # an axis whose largest value is this many times its smallest is searched on a logarithmic scale


class ExhaustedError(Exception):
    """Every feasible design has been tried."""


class FeasibleSampler(BaseSampler):
    """Wraps a sampler; `pool` holds the designs it may choose from, one column of parameters per free axis.

    `make` returns the sampler for the trial with a given number. Each of our trials has a new one, so its proposal
    depends only on the trials before it and not on the state of a process: a resumed search proposes what it would have
    proposed. A sampler that an extension adds, as `added`, may have a state of its own: it is one for all trials, and a
    resumed search asks it for each of them again, which brings it into the state in which it was.
    """

    def __init__(self, make: Callable[[int], BaseSampler], pool: Pool, added: str = "") -> None:
        self._make = make
        self.added = added
        with _naming(self.added):
            self._inner = make(0)
        self.pool = pool
        self._fixed: int | None = None  # the place of the next trial's design, where an earlier start has chosen it
        self.distributions = {name: _distribution(column) for name, column in pool.parameters.items()}
        self._ranks = Ranks(pool.parameters)
        self._columns = np.ascontiguousarray(self._ranks.coordinates.T)  # contiguous: read for every choice
        keys = np.concatenate([designs.keys() for designs in pool.designs])
        self._by_key = np.argsort(keys, kind="stable")  # so that a design is found without looking at all of them
        self._keys = keys[self._by_key]
        self._free = np.ones(len(pool), dtype=np.bool_)
        self._refused = np.zeros(len(pool), dtype=np.bool_)
        self.holds: Callable[[int], bool] = lambda _: (
            True
        )  # whether a design may be tried, which may have to be measured
        self._places: dict[int, int] = {}

    def architecture(self, trial_number: int) -> Architecture:
        """The design of a trial."""
        return self.pool.architecture(self._places[trial_number])

    def claim(self, study: Study, trial: FrozenTrial, place: int) -> None:
        """Assign a design to a trial whose design was fixed in advance: Optuna asks no sampler for its values."""
        if isinstance(self._inner, optuna.samplers.QMCSampler | optuna.samplers.NSGAIISampler):
            self._proposal(study, trial, self.distributions)  # these count points or generations in the study
        self._claim(trial.number, place)

    def again(self, place: int) -> None:
        """Let the next trial have the design at a place, whatever the wrapped sampler proposes when it is asked."""
        self._fixed = place

    def reserve(self, place: int) -> None:
        """Exclude a design from all further trials."""
        self._free[place] = False

    def refuse(self, place: int) -> None:
        """Exclude a design that was measured and is outside the bounds of a budget."""
        self._refused[place] = True

    @property
    def has_free(self) -> bool:
        """Whether there is a design left that may be tried."""
        return bool((self._free & ~self._refused).any())

    def free_places(self) -> npt.NDArray[np.int64]:
        """Positions in the pool of the designs that are neither tried nor reserved; also of such as were refused."""
        return np.flatnonzero(self._free)

    def place(self, architecture: Architecture) -> int | None:
        """The position of a design in the pool; None if it is not there."""
        key = one(architecture).keys()[0]
        first, end = np.searchsorted(self._keys, key, "left"), np.searchsorted(self._keys, key, "right")
        places = (int(place) for place in self._by_key[first:end])
        return next((place for place in places if self.pool.architecture(place) == architecture), None)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The search space of all axes, which are chosen together."""
        del study, trial
        return self.distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The free design nearest to the wrapped sampler's proposal. Raises ExhaustedError if none is left."""
        fixed, self._fixed = self._fixed, None
        if fixed is None and not self.has_free:
            raise ExhaustedError
        with _naming(self.added):
            proposal = self._proposal(study, trial, search_space)
            place = self._nearest(proposal)
        while fixed is None and not self.holds(place):
            self.refuse(place)
            if not self.has_free:
                raise ExhaustedError
            place = self._nearest(proposal)
        place = place if fixed is None else fixed
        self._claim(trial.number, place)
        return self.at(place)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Never called, since every axis is in the relative search space."""
        raise AssertionError((study, trial, param_name, param_distribution))

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Call the wrapped sampler's method."""
        with _naming(self.added):
            self._inner.after_trial(study, trial, state, values)

    def _proposal(self, study: Study, trial: FrozenTrial, space: dict[str, BaseDistribution]) -> dict[str, Any]:
        self._inner = self._make(trial.number)
        self._inner.before_trial(study, trial)
        if isinstance(self._inner, optuna.samplers.QMCSampler):
            # QMCSampler would take its space from the first finished trial, and supports no categories.
            inner = {name: axis for name, axis in space.items() if not isinstance(axis, CategoricalDistribution)}
        else:
            inner = self._inner.infer_relative_search_space(study, trial)
        found = self._inner.sample_relative(
            study, trial, {name: axis for name, axis in inner.items() if not axis.single()}
        )
        for name, axis in space.items():
            if axis.single():
                found[name] = axis.choices[0] if isinstance(axis, CategoricalDistribution) else axis.low  # type: ignore[attr-defined]
            elif name not in found:
                found[name] = self._inner.sample_independent(study, trial, name, axis)
        return found

    def _nearest(self, proposal: dict[str, Any]) -> int:
        """The position of the nearest free design: Euclidean distance over the axes, each as a rank from 0 to 1."""
        distance = np.where(self._free & ~self._refused, 0.0, np.inf)
        own_ranks = self._ranks.of(proposal)
        if not np.isfinite(own_ranks).all():
            raise InputError(f"proposes {proposal}, which are no numbers of the space")
        for column, own in zip(self._columns, own_ranks, strict=True):
            distance += (column - own) ** 2
        return int(distance.argmin())

    def _claim(self, trial_number: int, place: int) -> None:
        self._free[place] = False
        self._places[trial_number] = place

    def at(self, place: int) -> dict[str, Any]:
        """The values of the free axes of the design at a position of the pool."""
        values = {name: column[place] for name, column in self.pool.parameters.items()}
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}


@contextmanager
def _naming(added: str) -> Iterator[None]:
    """Raise InputError, with the name of an added sampler, for whatever goes wrong in it."""
    try:
        yield
    except MISTAKES as error:
        if not added:
            raise
        words = str(error) if isinstance(error, InputError) else mistake("SAMPLERS", added, error)
        raise InputError(f"search.sampler={added}: {words}") from error


def sampler_name(name: str, seed: int) -> str:
    """What an added sampler is: its class, with its package and version, or the extension that has it.

    As `optuna.samplers.CmaEsSampler (optuna 5.0.0)`; "" for a sampler of ours. Raises InputError if it cannot be made.
    """
    if name not in ADDED:
        return ""
    with _naming(name):
        return _true_name(added_sampler(name, seed), name)


def added_sampler(name: str, seed: int) -> BaseSampler:
    """Make the sampler that an extension adds under a name. Raises InputError for what is no sampler of Optuna."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        found = ADDED[name].make(seed)
    if not isinstance(found, BaseSampler):
        raise InputError(f"make(seed) gives a {type(found).__name__}; allowed: an optuna.samplers.BaseSampler")
    return found


def _true_name(sampler: BaseSampler, name: str) -> str:
    kind = type(sampler)
    top = kind.__module__.partition(".")[0]
    public = next(
        (
            module
            for module in _parents(kind.__module__)
            if getattr(sys.modules.get(module), kind.__name__, None) is kind
        ),
        kind.__module__,
    )
    extension = source_of("SAMPLERS", name)
    if extension is not None and inspect.getfile(kind) == str(extension.path and extension.path.resolve()):
        return f"{kind.__qualname__} ({extension.name})"
    package = next(iter(packages_distributions().get(top, ())), top)
    try:
        package += f" {version(package)}"
    except PackageNotFoundError:
        package += " without a version"
    return f"{public}.{kind.__qualname__} ({package})"


def _parents(module: str) -> list[str]:
    """A module and the packages that hold it, the outermost first; a class is best known by the first that has it."""
    parts = module.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def make_sampler(name: str, seed: int, number: int, designs: int) -> BaseSampler:
    """Make one of Optuna's samplers by its name in `conf/search`, for trial `number` of a search with `seed`."""
    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    makers: dict[str, Callable[[], BaseSampler]] = {
        "random": lambda: optuna.samplers.RandomSampler(seed=own),
        # TPE and GP draw their first designs at random: a quarter at most, so that they choose the rest.
        "tpe": lambda: optuna.samplers.TPESampler(seed=own, n_startup_trials=max(3, min(10, designs // 4))),
        # Small generations, so that there are several: later ones learn from earlier ones.
        "nsga2": lambda: optuna.samplers.NSGAIISampler(seed=own, population_size=max(4, min(50, designs // 4))),
        "gp": lambda: optuna.samplers.GPSampler(seed=own, n_startup_trials=max(3, min(10, designs // 4))),
        # The seed of the search, not of the trial: all trials are points of one sequence.
        # What is no number is drawn beside it, of each trial anew.
        "qmc": lambda: optuna.samplers.QMCSampler(
            seed=seed,
            scramble=True,
            warn_independent_sampling=False,
            independent_sampler=optuna.samplers.RandomSampler(seed=own),
        ),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return makers[name]()


def _distribution(column: npt.NDArray[np.generic]) -> BaseDistribution:
    if column.dtype == object:
        return CategoricalDistribution(sorted(set(column.tolist()), key=str))
    low, high = column.min().item(), column.max().item()
    if np.issubdtype(column.dtype, np.integer):
        return IntDistribution(low, high, log=low >= 1 and high >= WIDE * low)
    return FloatDistribution(low, high)
