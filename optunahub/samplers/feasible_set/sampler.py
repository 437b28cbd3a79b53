"""A sampler that chooses among listed designs, guided by any other sampler of Optuna."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

WIDE = 8  # an axis whose largest value is this many times its smallest is searched on a logarithmic scale
_CHOSEN = "feasible_set:design"  # attribute of a trial: the place of its design in the list


class ExhaustedError(RuntimeError):
    """Every design has been tried."""


class FeasibleSetSampler(BaseSampler):
    """Proposes only designs of a list, none twice.

    Where some combinations of parameters are not allowed (a budget, a shape that cannot be built, a table of results),
    soft constraints spend most trials on what does not count. Here the wrapped sampler proposes freely, and the trial
    gets the nearest listed design that no trial has had. What was tried is read from the study: a search that goes on
    repeats nothing, nor do several processes on one study, except for two that choose in the same instant.

    Args:
        designs: the designs, each a mapping of parameter names to values; all have the same names.
        sampler: the sampler that proposes; by default `optuna.samplers.TPESampler`, multivariate.
    """

    def __init__(self, designs: Sequence[Mapping[str, Any]], sampler: BaseSampler | None = None) -> None:
        if not designs:
            raise ValueError("designs: is empty; at least one design is needed")
        names = list(designs[0])
        if any(set(design) != set(names) for design in designs):
            raise ValueError(f"designs: some have other parameters than {', '.join(names)}")
        self._designs = list({tuple(design[name] for name in names): dict(design) for design in designs}.values())
        self._places = {self._key(design): place for place, design in enumerate(self._designs)}
        self._sampler = sampler or TPESampler(multivariate=True)
        columns = {name: [design[name] for design in self._designs] for name in names}
        self.search_space: dict[str, BaseDistribution] = {name: _distribution(one) for name, one in columns.items()}
        self._axes = {name: _Axis(column) for name, column in columns.items()}
        self._coordinates = np.hstack([axis.coordinates for axis in self._axes.values()])

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """The design of a trial, for use in an objective: its parameters by name."""
        found: dict[str, Any] = {}
        for name, axis in self.search_space.items():
            if isinstance(axis, IntDistribution):
                found[name] = trial.suggest_int(name, axis.low, axis.high, log=axis.log)
            elif isinstance(axis, FloatDistribution):
                found[name] = trial.suggest_float(name, axis.low, axis.high, log=axis.log)
            else:
                assert isinstance(axis, CategoricalDistribution)
                found[name] = trial.suggest_categorical(name, axis.choices)
        return found

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters of a design, which are chosen together."""
        del study, trial
        return self.search_space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The untried design nearest to what the wrapped sampler proposes. Raises ExhaustedError if none is left."""
        free = np.ones(len(self._designs), dtype=bool)
        free[self._tried(study, trial.number)] = False
        if not free.any():
            raise ExhaustedError(f"all {len(self._designs)} designs have been tried")
        proposal = self._proposal(study, trial, search_space)
        own = np.concatenate([axis.of(proposal[name]) for name, axis in self._axes.items()])
        distance = np.where(free, ((self._coordinates - own) ** 2).sum(axis=1), np.inf)
        place = int(distance.argmin())
        study._storage.set_trial_system_attr(trial._trial_id, _CHOSEN, place)
        return dict(self._designs[place])

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A parameter that is none of the designs', by the wrapped sampler."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """Reseed the wrapped sampler."""
        self._sampler.reseed_rng()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Tell the wrapped sampler."""
        self._sampler.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Tell the wrapped sampler, and stop `study.optimize` once every design has been tried."""
        self._sampler.after_trial(study, trial, state, values)
        if len(self._tried(study, -1)) == len(self._designs):
            with suppress(RuntimeError):  # outside `optimize` there is nothing to stop
                study.stop()

    def _proposal(self, study: Study, trial: FrozenTrial, space: dict[str, BaseDistribution]) -> dict[str, Any]:
        free = {name: axis for name, axis in space.items() if not axis.single()}
        inner = self._sampler.infer_relative_search_space(study, trial)
        found = self._sampler.sample_relative(
            study, trial, {name: axis for name, axis in inner.items() if name in free}
        )
        for name, axis in free.items():
            if name not in found:
                found[name] = self._sampler.sample_independent(study, trial, name, axis)
        return {**self._designs[0], **found}

    def _tried(self, study: Study, but: int) -> list[int]:
        """The places of the designs that trials have or had, those of failed ones included."""
        found = set()
        for trial in study.get_trials(deepcopy=False):
            place = trial.system_attrs.get(_CHOSEN)
            if place is None or trial.params:  # chosen by somebody else, as an enqueued trial is
                place = self._places.get(
                    self._key({**trial.system_attrs.get("fixed_params", {}), **trial.params}), place
                )
            if trial.number != but and place is not None and place < len(self._designs):
                found.add(place)
        return sorted(found)

    def _key(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(values.get(name) for name in self._designs[0])


class _Axis:
    """Coordinates of the values of one parameter, from 0 to 1 by rank; a label has a coordinate for each label.

    Two different labels are at distance 1, as are the two ends of a numeric axis.
    """

    def __init__(self, column: list[Any]) -> None:
        self._known: list[Any] = sorted(set(column)) if _is_numeric(column) else list(dict.fromkeys(column))
        self._numeric = _is_numeric(column)
        self.coordinates = np.array([self.of(value) for value in column])

    def of(self, value: Any) -> "np.ndarray[Any, np.dtype[np.float64]]":
        if not self._numeric:
            return np.array([float(value == one) / math.sqrt(2) for one in self._known])
        steps = np.linspace(0, 1, len(self._known)) if len(self._known) > 1 else np.zeros(1)
        return np.array([np.interp(value, np.array(self._known, dtype=float), steps)])


def _is_numeric(column: list[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in column)


def _distribution(column: list[Any]) -> BaseDistribution:
    if not _is_numeric(column):
        return CategoricalDistribution(list(dict.fromkeys(column)))
    low, high = min(column), max(column)
    is_log = low > 0 and high >= WIDE * low
    if all(isinstance(value, int) for value in column):
        return IntDistribution(low, high, log=is_log)
    return FloatDistribution(float(low), float(high), log=is_log)
