"""Settings as Optuna trials, through Optuna's ask-and-tell interface in memory, rebuilt from the record at every start.

A trial is one setting. Its value is the mean validation error over the seeds; what each seed came to and other facts
for the dashboard are attributes. If a search stops poor designs early, intermediate values are the mean errors at its
rungs (the step is the epoch). The dashboard is shown more: the mean validation error of a trial after each epoch.
"""

import copy
import logging
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from statistics import fmean
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial

from explorer.design.cost_measures import ADDED as ADDED_MEASURES
from explorer.design.cost_measures import COUNTED
from explorer.design.feasible import Pool
from explorer.design.name import parse_name
from explorer.design.shape_axes import OWN
from explorer.host.errors import InputError
from explorer.host.formatting import counted
from explorer.record.folder import moment
from explorer.record.rows import RunRecord
from explorer.search.rungs import goes_on, make_pruner
from explorer.search.sampler import ExhaustedError, FeasibleSampler, added_sampler, make_sampler
from explorer.study.designs import Scope, Setting
from explorer.study.plan import Plan
from explorer.study.run import BASELINE, FINAL_STATUSES
from explorer.study.samplers import ADDED
from explorer.study.settings import StudyConfig

MOST_STEPS = 50  # epochs of a trial that the dashboard is shown at most: each costs a statement
Curve = Mapping[int, float]  # of a run: the validation error by epoch


@dataclass
class _Open:
    """The trial of a setting, the Optuna study to which it belongs, and which of its seeds have ended."""

    setting: Setting
    study: optuna.Study
    trial: optuna.Trial
    errors: dict[int, float] = field(default_factory=dict)
    finished: set[int] = field(default_factory=set)
    is_finished: bool = False
    pruned: bool = False


@dataclass
class Trials:
    """An Optuna study in memory, with one open or finished trial per setting.

    A search asks for its settings one by one; `sampler` and `scope` then give the designs, and `cost` is the cost that
    it minimises beside the error, if there is one. `factor` is the reduction factor of its rungs, 0 without rungs. Of
    `seeds` seeds `first_seed` is the lowest. `by` is the name of the sampler. Designs drawn at random for comparison
    have trials in a separate Optuna study, which the sampler never sees. `costs` has the cost of each setting where an
    extension's measure gives it, `told` where another program told what its own network costs.
    """

    study: optuna.Study
    seeds: int
    sampler: FeasibleSampler | None = None
    scope: Scope | None = None
    cost: str | None = None
    factor: int = 0
    first_seed: int = 0
    by: str = ""
    costs: dict[str, float] = field(default_factory=dict)
    told: dict[str, float] = field(default_factory=dict)
    _drawn: optuna.Study | None = None
    _shown: dict[str, FrozenTrial] = field(default_factory=dict)
    _times: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    _curves: dict[str, list[Curve]] = field(default_factory=dict)
    _at_rung: dict[int, list[tuple[float, Setting]]] = field(default_factory=dict)
    _by_setting: dict[str, _Open] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def objectives(self) -> tuple[str, ...]:
        """The names of a trial's values, in order."""
        return ("val_error",) if self.cost is None else ("val_error", self.cost)

    def add(self, record: RunRecord, curve: Curve | None = None) -> None:
        """Add a finished run, and its validation error by epoch, where it is known.

        Its trial is finished with the last of its seeds. Repeated rows count once.
        """
        with self._lock:
            self._add(record, curve or {})

    def _add(self, record: RunRecord, curve: Curve) -> None:
        entry = self._by_setting.get(record.setting)
        if entry is None or record.seed in entry.finished or entry.is_finished:
            return
        if record.seed not in range(self.first_seed, self.first_seed + self.seeds):
            return
        if record.status not in FINAL_STATUSES or record.rate != 1:
            return
        entry.finished.add(record.seed)
        self._note_times(record)
        if record.val_error is not None:
            entry.errors[record.seed] = record.val_error
            curve = curve or {record.epochs: record.val_error}
        if self.cost is None and curve:  # Optuna supports no intermediate values with several objectives
            self._curves.setdefault(record.setting, []).append(curve)
        entry.trial.set_user_attr(f"seed {record.seed}", _seed_summary(record))
        for key, value in _told_attributes(entry.setting, record).items():
            entry.trial.set_user_attr(key, value)
        entry.pruned |= record.status == "pruned"
        if len(entry.finished) == self.seeds:
            entry.is_finished = True
            if entry.pruned:
                entry.study.tell(entry.trial, state=optuna.trial.TrialState.PRUNED)
            elif len(entry.errors) == self.seeds:
                error = fmean(entry.errors.values())
                entry.study.tell(entry.trial, error if self.cost is None else [error, self._cost_of(record)])
            else:
                entry.study.tell(entry.trial, state=optuna.trial.TrialState.FAIL)

    def _note_times(self, record: RunRecord) -> None:
        """Widen the span of a setting's trial to that of a run, in local time as Optuna has it."""
        ended = moment(record.finished)
        if ended is None:
            return
        try:
            end = ended.astimezone().replace(tzinfo=None)
            begin = end - timedelta(seconds=record.seconds or 0.0)
        except OverflowError:  # before the year 1, which only a record from others can say
            return
        known = self._times.get(record.setting, (begin, end))
        self._times[record.setting] = min(begin, known[0]), max(end, known[1])

    def _cost_of(self, record: RunRecord) -> float:
        assert self.cost is not None
        known = self.costs.get(record.setting)
        return float(getattr(record, self.cost)) if known is None else known

    def note(self, settings: Iterable[Setting]) -> None:
        """Take in the costs of settings, where an extension's measure gives them."""
        if self.cost in ADDED_MEASURES:
            self.costs |= {one.name: one.value(self.cost) for one in settings}

    def note_told(self, setting: str, cost: object) -> None:
        """Take in what another program told of the cost of its own network, in all measures that are counted."""
        if self.cost in COUNTED:
            self.told[setting] = float(getattr(cost, self.cost))

    def tell(self, setting: Setting, error: float | None) -> None:
        """Finish a trial whose `error` is known without runs, as in a replayed benchmark; None: it was stopped."""
        with self._lock:
            entry = self._by_setting[setting.name]
            entry.is_finished = True
            state = optuna.trial.TrialState.PRUNED if error is None else None
            self.study.tell(entry.trial, error, state=state)

    def goes_on(self, setting: Setting, epochs: int, error: float) -> bool:
        """Whether a setting is trained further, by its mean error at a rung; to be called once per rung, in order."""
        with self._lock:
            trial = self._by_setting[setting.name].trial
            if self.cost is None:
                trial.report(error, step=epochs)
                return not trial.should_prune()
            points = self._at_rung.setdefault(epochs, [])
            points.append((error, setting))
            # Where costs are told, that of a run which was left between two rungs is told anew, and unknown until then.
            known = [point for point in points if not self.told or point[1].name in self.told or point[1] == setting]
            return goes_on([(one, self._cost_at_rung(of, self.cost)) for one, of in known], self.factor)

    def _cost_at_rung(self, setting: Setting, cost: str) -> float:
        found = self.told.get(setting.name)
        return setting.value(cost) if found is None else found

    def draw(self, rng: np.random.Generator) -> Setting:
        """Draw a design at random among those without a trial; the search can no longer choose it."""
        assert self.sampler is not None
        assert self.scope is not None
        while True:
            place = int(rng.choice(self.sampler.free_places()))
            if self.sampler.holds(place):
                break
            self.sampler.refuse(place)
            if not self.sampler.has_free:
                raise InputError(
                    "budget: every design of the space was measured, and too few are within its limits; widen them, "
                    "take a larger space, or a smaller search.designs"
                )
        setting = self.scope.setting(self.sampler.pool.architecture(place))
        self.reserve(setting)
        return setting

    def hold_to(self, holds: Callable[[Setting], bool], refused: Iterable[str]) -> None:
        """Try only designs of which `holds` says so; of those called `refused` that is known."""
        assert self.sampler is not None
        assert self.scope is not None
        sampler, scope = self.sampler, self.scope
        sampler.holds = lambda place: holds(scope.setting(sampler.pool.architecture(place)))
        for name in refused:
            if (place := sampler.place(parse_name(name))) is not None:
                sampler.refuse(place)

    def reserve(self, setting: Setting) -> None:
        """Exclude a design from the search and open a trial for it in the separate study of random designs.

        Raises InputError if it is not in the pool.
        """
        assert self.sampler is not None
        place = self._place(setting)
        with self._lock:
            self.sampler.reserve(place)
            if self._drawn is None:
                chance = optuna.samplers.RandomSampler(seed=0)
                self._drawn = optuna.create_study(directions=self.study.directions, sampler=chance)
            self._begin(self._drawn, setting, place, BASELINE)

    def ask(self) -> Setting | None:
        """The next setting of a search; None if every feasible design has been tried."""
        assert self.sampler is not None
        assert self.scope is not None
        with self._lock:
            try:
                trial = self.study.ask(self.sampler.distributions)
            except ExhaustedError:
                # Optuna opens the trial before it asks the sampler.
                self.study.tell(len(self.study.trials) - 1, state=optuna.trial.TrialState.FAIL)
                return None
            return self._opened(trial)

    def _opened(self, trial: optuna.Trial) -> Setting:
        """The setting of a trial that the sampler was asked for."""
        assert self.sampler is not None
        assert self.scope is not None
        setting = self.scope.setting(self.sampler.architecture(trial.number))
        for key, value in _attributes(setting, self.by).items():
            trial.set_user_attr(key, value)
        self._by_setting[setting.name] = _Open(setting, self.study, trial)
        return setting

    def again(self, setting: Setting) -> None:
        """Open the trial of a setting that an earlier start chose. Raises InputError if it is no longer in the pool."""
        assert self.sampler is not None
        place = self._place(setting)
        with self._lock:
            if self.sampler.added:  # it is asked again, so that it is in the state in which it was
                self.sampler.again(place)
                self._opened(self.study.ask(self.sampler.distributions))
                return
            trial = self._begin(self.study, setting, place, self.by)
            self.sampler.claim(self.study, self.study._storage.get_trial(trial._trial_id), place)

    def _place(self, setting: Setting) -> int:
        """The position of a setting's design in the sampler's pool. Raises InputError if it is not there."""
        assert self.sampler is not None
        place = self.sampler.place(setting.architecture)
        if place is None:
            raise InputError(
                f"the record holds {setting.name}, which is not among the designs this study draws from; continue with "
                "the version that wrote it, or start a new study with name=..."
            )
        return place

    def _begin(self, study: optuna.Study, setting: Setting, place: int, by: str) -> optuna.Trial:
        """Open a trial with the design at a place of the pool."""
        assert self.sampler is not None
        trial = _begun(study, self.sampler.at(place), self.sampler.distributions, _attributes(setting, by))
        self._by_setting[setting.name] = _Open(setting, study, trial)
        return trial

    def frozen(self) -> list[FrozenTrial]:
        """A snapshot of all trials as the dashboard shows them; another thread may call `add` meanwhile.

        They are in the order of the settings, but designs drawn at random come first, as they do in a search. A
        finished trial never changes and is the same object each time.
        """
        with self._lock:
            drawn = self._drawn.get_trials(deepcopy=False) if self._drawn else []
            every = [*drawn, *self.study.get_trials(deepcopy=False)]
            return [self._as_shown(trial, number) for number, trial in enumerate(every)]

    def _as_shown(self, trial: FrozenTrial, number: int) -> FrozenTrial:
        """A copy of a trial under another number, with the mean validation error of its seeds after each epoch.

        A finished one has the times at which its runs were trained, not those at which its record was read.
        """
        name = str(trial.user_attrs.get("setting", number))
        known = self._shown.get(name)
        if known is None or not known.state.is_finished() or known.number != number:
            known = self._shown[name] = _copied(trial)
            known.number = number
            known.intermediate_values |= _mean_curve(self._curves.get(name, []))
            if known.state.is_finished() and name in self._times:
                known.datetime_start, known.datetime_complete = self._times[name]
        return known


def open_trials(
    name: str,
    settings: tuple[Setting, ...],
    seeds: int,
    cost: str | None = None,
    first_seed: int = 0,
    by: Mapping[str, str] | None = None,
) -> Trials:
    """Open a trial for every setting; each stays open until the results of its seeds are in.

    `by` names the sampler that chose a setting, if one did.
    """
    logging.getLogger("optuna").setLevel(logging.WARNING)
    directions = [optuna.study.StudyDirection.MINIMIZE] * (1 if cost is None else 2)
    study = optuna.create_study(study_name=name, directions=directions, sampler=optuna.samplers.RandomSampler(seed=0))
    trials = Trials(study, seeds, cost=cost, first_seed=first_seed)
    formed = any(setting.form != "grouped" for setting in settings)
    axes = _told(settings)
    parameters = [_parameters(setting, axes, formed=formed) for setting in settings]
    choices = _distributions(parameters)
    trials.note(settings)
    for setting, own in zip(settings, parameters, strict=True):
        trial = _begun(study, own, choices, _attributes(setting, (by or {}).get(setting.name, "")))
        trials._by_setting[setting.name] = _Open(setting, study, trial)
    return trials


class _Trial(FrozenTrial):
    """A trial that is copied no deeper than `_copied` does.

    Optuna copies a trial deeply when it is opened and when it is finished: with the thousands of values that an axis of
    a large study may have, that takes longer than all else.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenTrial:
        return _copied(self)


def _begun(
    study: optuna.Study,
    values: dict[str, Any],
    distributions: dict[str, optuna.distributions.BaseDistribution],
    attributes: dict[str, Any],
) -> optuna.Trial:
    """A running trial with values fixed in advance, as `enqueue_trial` and `ask` make it.

    These look at every trial of the study for each: of tens of thousands that takes minutes.
    """
    template = _Trial(
        number=-1,
        trial_id=-1,
        state=optuna.trial.TrialState.RUNNING,
        value=None,
        datetime_start=datetime.now(),
        datetime_complete=None,
        params=values,
        distributions=distributions,
        user_attrs=attributes,
        system_attrs={"fixed_params": values},
        intermediate_values={},
    )
    return optuna.Trial(study, study._storage.create_new_trial(study._study_id, template_trial=template))


def finished_trials(
    plan: Plan, settings: tuple[Setting, ...], runs: list[RunRecord], by: Mapping[str, str]
) -> optuna.Study:
    """A finished study as an Optuna study in memory with finished trials; `by` says which sampler chose a design."""
    search = plan.config.search
    trials = open_trials(plan.config.name, settings, plan.seeds, search.cost, search.first_seed, by)
    for run in runs:
        trials.add(run)
    return trials.study


def open_search(plan: Plan, drawn: tuple[Setting, ...] = ()) -> Trials:
    """Reopen a search before its first choice, with the designs `drawn` at random for comparison."""
    pool, seed = plan.draws.candidates(plan.scope), plan.config.search.sampler_seed
    trials = new_search(plan.config, plan.scope, pool, seed)
    for setting in drawn:
        trials.reserve(setting)
    return trials


def new_search(config: StudyConfig, scope: Scope, pool: Pool, seed: int) -> Trials:
    """Open a search over the designs of a pool, without any trial."""
    logging.getLogger("optuna").setLevel(logging.WARNING)
    search = config.search
    assert search.designs is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        pruner = make_pruner(config)
    chosen = search.designs - search.random_designs
    if search.sampler in ADDED:
        one = cache(lambda: added_sampler(search.sampler, seed))
        sampler = FeasibleSampler(lambda _: one(), pool, search.sampler)
    else:
        sampler = FeasibleSampler(lambda number: make_sampler(search.sampler, seed, number, chosen), pool)
    directions = [optuna.study.StudyDirection.MINIMIZE] * len(search.objectives)
    study = optuna.create_study(study_name=config.name, directions=directions, sampler=sampler, pruner=pruner)
    factor = search.factor if config.rungs else 0
    return Trials(study, search.looks[0], sampler, scope, search.cost, factor, search.first_seed, search.sampler)


def _mean_curve(curves: list[Curve]) -> dict[int, float]:
    """The mean over runs after each epoch that some of them reached, or after about `MOST_STEPS` of these."""
    epochs = sorted({epoch for curve in curves for epoch in curve})
    if len(epochs) > MOST_STEPS:
        every = (len(epochs) - 1) / (MOST_STEPS - 1)
        epochs = [epochs[round(place * every)] for place in range(MOST_STEPS)]
    return {epoch: fmean(curve[epoch] for curve in curves if epoch in curve) for epoch in epochs}


def _copied(trial: FrozenTrial) -> FrozenTrial:
    """A copy of a trial that later changes do not reach: its dictionaries may grow, the values in it never change."""
    copied = copy.copy(trial)
    copied.__dict__ |= {name: dict(value) for name, value in vars(trial).items() if isinstance(value, dict)}
    return copied


def _told(settings: Sequence[Setting]) -> list[str]:
    """The axes of a study's trials: not those that short names leave out of all its designs."""
    shapes = [one.architecture for one in settings]
    return [one.name for one in OWN if not all(one.is_usual(getattr(shape, one.name)) for shape in shapes)]


def _parameters(setting: Setting, axes: list[str], *, formed: bool) -> dict[str, int | str]:
    """The axes of a setting, and its form if `formed`; values given per stage are joined by dots, as in names."""
    values = {axis: getattr(setting.architecture, axis) for axis in axes}
    found = {axis: ".".join(map(str, value)) if isinstance(value, tuple) else value for axis, value in values.items()}
    return found | ({"form": setting.form} if formed else {})


def _distributions(parameters: list[dict[str, int | str]]) -> dict[str, optuna.distributions.BaseDistribution]:
    """The values of each axis over the whole study, sorted, so that the dashboard can draw it as an ordered axis."""
    found = {axis: {own[axis] for own in parameters} for axis in parameters[0]} if parameters else {}
    values = {
        axis: sorted(options, key=lambda value: (0, value, "") if isinstance(value, int) else (1, 0, value))
        for axis, options in found.items()
    }
    return {axis: optuna.distributions.CategoricalDistribution(options) for axis, options in values.items()}


def _attributes(setting: Setting, by: str) -> dict[str, Any]:
    return {
        "setting": setting.name,
        **({"chosen_by": by} if by else {}),
        **{name: getattr(setting.cost, name) for name in COUNTED},
        **{f"{name}_deviation": setting.deviation(name) for name in COUNTED},
    }


def _told_attributes(setting: Setting, record: RunRecord) -> dict[str, Any]:
    """The attributes of a trial whose run was recorded with another cost than the design's, as its program told it.

    From a target that is the cost of a design nothing deviates that is not that design; the page has deviations from
    what the program's own network for it costs.
    """
    if all(getattr(record, name) == getattr(setting.cost, name) for name in COUNTED):
        return {}
    reference, targets = setting.scope.reference, setting.scope.targets
    is_own = {name: reference is None or targets.get(name) != getattr(reference, name) for name in COUNTED}
    return {
        **{name: getattr(record, name) for name in COUNTED},
        **{f"{name}_deviation": getattr(record, f"{name}_deviation") if is_own[name] else None for name in COUNTED},
    }


def _seed_summary(record: RunRecord) -> str:
    if record.status == "ok" and record.test_error is None:
        return f"val_error {record.val_error:.4f}"
    if record.status == "pruned":
        return f"stopped after {counted(record.epochs, 'epoch')} at val_error {record.val_error:.4f}"
    if record.val_error is None or record.test_error is None:
        return f"{record.status} after {counted(record.epochs, 'epoch')}"
    return f"val_error {record.val_error:.4f}, test_error {record.test_error:.4f}"
