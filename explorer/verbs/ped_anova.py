"""The importance of axes by PED-ANOVA, as Optuna computes it, for the page of a study with many designs."""

import logging
import math
import warnings

from explorer.analysis.importance import axis_effects
from explorer.analysis.judging import OpenedStudy
from explorer.analysis.summary import by_validation

LEAST_DESIGNS = 50  # the best tenth of fewer holds less than the five designs that the method asks for


def ped_anova(study: OpenedStudy) -> dict[str, float] | None:
    """The share of each axis in what tells the best tenth of the designs from all (Watanabe et al., 2304.10255).

    The best are chosen by validation error. None for too few designs, or if no fit of their axes is shown either: then
    Optuna is not loaded.
    """
    known = by_validation(study.finding.summaries)
    if len(known) < LEAST_DESIGNS or (effects := axis_effects(known)) is None:
        return None
    import optuna

    logging.getLogger("optuna").setLevel(logging.WARNING)
    places = {one.axis: [math.log2(value) for value, _ in one.curve.designs] for one in effects.effects}
    ranges = {axis: optuna.distributions.FloatDistribution(min(values), max(values)) for axis, values in places.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        trials = optuna.create_study()
        trials.add_trials(
            optuna.trial.create_trial(
                params={axis: values[number] for axis, values in places.items()},
                distributions=dict(ranges),
                value=one.choosing,
            )
            for number, one in enumerate(known)
        )
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        return dict(optuna.importance.get_param_importances(trials, evaluator=evaluator))
