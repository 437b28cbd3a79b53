"""Settings as Optuna trials: enqueued, asked and told in memory, rebuilt from the record at every start.

A trial is one setting. Its value is the mean validation error over the seeds, each seed's validation error is an
intermediate value (the step is the seed), and everything else a person may want beside it is an attribute.
"""

import logging
import threading
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import optuna

from explorer.planning import Setting
from explorer.run import FINAL_STATUSES, RunRecord

AXES = ("depth", "width", "kernel_size", "cardinality", "bottleneck_width")


@dataclass
class _Open:
    trial: optuna.Trial
    errors: dict[int, float] = field(default_factory=dict)
    finished: set[int] = field(default_factory=set)
    told: bool = False


@dataclass
class Trials:
    """An Optuna study in memory, with one open or told trial per setting."""

    study: optuna.Study
    seeds: int
    _by_setting: dict[str, _Open] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, record: RunRecord) -> None:
        """Take in a finished run; the trial is told when its last seed is in. Repeated rows count once."""
        with self._lock:
            self._add(record)

    def _add(self, record: RunRecord) -> None:
        entry = self._by_setting.get(record.setting)
        if entry is None or record.seed in entry.finished or record.seed >= self.seeds or entry.told:
            return
        if record.status not in FINAL_STATUSES:
            return
        entry.finished.add(record.seed)
        if record.val_error is not None:
            entry.errors[record.seed] = record.val_error
            entry.trial.report(record.val_error, step=record.seed)
        entry.trial.set_user_attr(f"seed {record.seed}", _seed_summary(record))
        if len(entry.finished) == self.seeds:
            entry.told = True
            if len(entry.errors) == self.seeds:
                self.study.tell(entry.trial, fmean(entry.errors.values()))
            else:
                self.study.tell(entry.trial, state=optuna.trial.TrialState.FAIL)

    def frozen(self) -> list[optuna.trial.FrozenTrial]:
        """A copy of all trials as they stand, in the order of the settings; safe beside `add` in another thread."""
        with self._lock:
            return self.study.get_trials(deepcopy=True)


def open_trials(name: str, settings: tuple[Setting, ...], seeds: int) -> Trials:
    """Enqueue every setting and ask for all of them: they stay open until their seeds are in."""
    logging.getLogger("optuna").setLevel(logging.WARNING)
    study = optuna.create_study(study_name=name, direction="minimize", sampler=optuna.samplers.RandomSampler(seed=0))
    trials = Trials(study, seeds)
    for setting in settings:
        study.enqueue_trial(_parameters(setting), user_attrs=_attributes(setting))
    choices = _distributions(settings)
    for setting in settings:
        trial = study.ask(choices)
        assert trial.params == _parameters(setting)
        trials._by_setting[setting.name] = _Open(trial)
    return trials


def _parameters(setting: Setting) -> dict[str, int]:
    return {axis: getattr(setting.architecture, axis) for axis in AXES}


def _distributions(settings: tuple[Setting, ...]) -> dict[str, optuna.distributions.BaseDistribution]:
    """What each axis takes over the whole study, so that the dashboard can draw it as an ordered axis."""
    values = {axis: sorted({_parameters(setting)[axis] for setting in settings}) for axis in AXES}
    return {axis: optuna.distributions.CategoricalDistribution(found) for axis, found in values.items()}


def _attributes(setting: Setting) -> dict[str, Any]:
    return {
        "setting": setting.name,
        "params": setting.cost.params,
        "macs": setting.cost.macs,
        "activations": setting.cost.activations,
        "params_deviation": setting.params_deviation,
        "macs_deviation": setting.macs_deviation,
    }


def _seed_summary(record: RunRecord) -> str:
    if record.val_error is None or record.test_error is None:
        return f"{record.status} after {record.epochs} epochs"
    return f"val_error {record.val_error:.4f}, test_error {record.test_error:.4f}"
