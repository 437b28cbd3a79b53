"""Decides which designs of a search are trained to their end: at a rung, after some epochs, the poorer ones stop.

Asynchronous successive halving (Jamieson and Talwalkar, 1502.07943; ASHA, 1810.05934): a design is compared with those
that reached its rung before it, without waiting for others. With one objective Optuna's pruners decide; they do not
support several, for which designs are ranked by non-dominated sorting (Deb et al., 2002).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import optuna

from explorer.analysis.front import ahead_of
from explorer.record.rows import Decision
from explorer.study.designs import Setting
from explorer.study.run import BASELINE, Outcome, Run
from explorer.study.settings import StudyConfig


@dataclass
class Rungs:
    """The rungs of a search: their epochs, the decisions about each design, and the runs that are paused at a rung.

    `judged` names the error by which they judge.
    """

    steps: tuple[int, ...]
    seeds: int
    judged: Literal["validation", "training"] = "validation"
    decided: dict[str, list[Decision]] = field(default_factory=dict)
    paused: dict[str, dict[int, tuple[Run, Outcome]]] = field(default_factory=dict)
    ended: dict[str, set[int]] = field(default_factory=dict)

    def note(self, decision: Decision) -> None:
        """Add a decision about a design, made now or at an earlier start."""
        self.decided.setdefault(decision.setting, []).append(decision)

    def until(self, setting: str) -> int | None:
        """The epoch up to which a design may be trained now; None: to its end."""
        past = self.decided.get(setting, [])
        if not past or past[0].by == BASELINE:
            return None
        if past[-1].decision == "stopped":
            return past[-1].epochs
        left = [step for step in self.steps if step > past[-1].epochs]
        return left[0] if left else None

    def is_stopped(self, setting: str) -> bool:
        """Whether a design is trained no further."""
        past = self.decided.get(setting, [])
        return bool(past) and past[-1].decision == "stopped"

    def pause(self, setting: str, run: Run, outcome: Outcome) -> None:
        """Add a run that has paused at its rung."""
        self.paused.setdefault(setting, {})[run.seed] = (run, outcome)

    def end(self, setting: str, seed: int) -> None:
        """Remove a run that has ended: it waits for no decision."""
        self.ended.setdefault(setting, set()).add(seed)
        self.paused.get(setting, {}).pop(seed, None)

    def error(self, setting: str, chance: float) -> float | None:
        """Mean error of a design at its rung over all its seeds, failed ones as `chance`; None until all are there."""
        waiting, lost = self.paused.get(setting, {}), self.ended.get(setting, set())
        if not waiting or len(waiting) + len(lost) < self.seeds:
            return None
        paused = [outcome for _, outcome in waiting.values()]
        known = [one.val_error if self.judged == "validation" else one.train_error for one in paused]
        errors = [error for error in known if error is not None]
        return (sum(errors) + chance * len(lost)) / (len(errors) + len(lost))


def chosen(setting: Setting, by: str) -> Decision:
    """The decision of a sampler, `by`, to train a design."""
    found = setting.latency
    quartiles = (found.median, found.lower, found.upper) if found else (None, None, None)
    return Decision(setting.name, "chosen", 0, None, by, *quartiles)


def make_pruner(config: StudyConfig) -> optuna.pruners.BasePruner:
    """The pruner of Optuna that `search.pruner` names, with the study's rungs."""
    steps, search = config.rungs, config.search
    if not steps or len(search.objectives) > 1:
        return optuna.pruners.NopPruner()
    makers: dict[str, Callable[[], optuna.pruners.BasePruner]] = {
        "halving": lambda: optuna.pruners.SuccessiveHalvingPruner(steps[0], search.factor),
        "hyperband": lambda: optuna.pruners.HyperbandPruner(steps[0], config.recipe.whole_epochs, search.factor),
        "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=search.factor),
    }
    return makers[search.pruner]()


def goes_on(points: list[tuple[float, float]], factor: int) -> bool:
    """Whether the last of the designs that reached a rung is trained further, by non-dominated sorting.

    `points` are error and cost of each. All designs of a front continue if the better fronts together hold fewer than
    one design in `factor`.
    """
    left = np.asarray(points, dtype=float)
    keep, better = max(1, len(points) // factor), 0
    while better < keep:
        beaten = ~ahead_of(left[None, :, 0], left[:, 1])[0]
        if not beaten[-1]:
            return True
        better += int((~beaten).sum())
        left = left[beaten]
    return False
