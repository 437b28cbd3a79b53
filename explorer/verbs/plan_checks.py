"""What the robustness checks of a study would train, and how long that would take; for `explorer plan`."""

import math
from dataclasses import dataclass, field
from typing import Any

from explorer.analysis.checks import Checks
from explorer.host.formatting import counted, duration
from explorer.study.checks import SIXTEEN_ARM, CheckArm, is_asked
from explorer.study.plan import plan_of
from explorer.study.settings import StudyConfig
from explorer.verbs.run_times import RunTimes


@dataclass(frozen=True)
class CheckForecast:
    """The checks of a study's contrast as they stand, and what their time is estimated from.

    workers  the expected number of runs at once
    """

    checks: Checks
    times: RunTimes
    workers: int
    _known: dict[str, tuple[int, float]] = field(default_factory=dict)  # by study, which has to be planned

    @property
    def wanted(self) -> list[CheckArm]:
        """The arms of the checks that are asked for and not made yet."""
        asked = self.checks.declared.config.study.robustness
        return [arm for arm in self.checks.foreseen if is_asked(arm, asked) and not self._is_made(arm)]

    def lines(self) -> list[str]:
        """The checks that are asked for, each with its runs and time, and in another line those that are not."""
        asked, wanted = self.checks.declared.config.study.robustness, self.wanted
        offered = [arm for arm in self.checks.foreseen if not is_asked(arm, asked) and arm.name != SIXTEEN_ARM]
        others = [arm for arm in offered if not self._is_made(arm)]
        lines = []
        if wanted:
            together = f"; together {self._cost(wanted)}" if len(_by_check(wanted)) > 1 else ""
            lines.append(f"Robustness checks that follow: {self._listed(wanted)}{together}.")
        if others:
            lines.append(f"Robustness checks that study.robustness=[...] would add: {self._listed(others)}.")
        return lines

    def data(self) -> list[dict[str, Any]]:
        """Each check that is not made: the runs, or at most so many, that it would train, and their seconds."""
        asked = self.checks.declared.config.study.robustness
        found = []
        for own in _by_check([arm for arm in self.checks.foreseen if not self._is_made(arm)]):
            runs, seconds = self.left(own)
            found.append(
                {
                    "check": own[0].check,
                    "asked": any(is_asked(arm, asked) for arm in own),
                    "runs": runs,
                    "at_most": self._is_bound(own),
                    "seconds": seconds,
                }
            )
        return found

    def left(self, arms: list[CheckArm]) -> tuple[int, float | None]:
        """How many runs some arms lack, and the seconds of these with `workers` at once; None if they are unknown."""
        runs, seconds = 0, 0.0
        for study in {study.name: study for arm in arms for study in arm.studies}.values():
            lacking, own = self._left_of(study)
            runs, seconds = runs + lacking, seconds + own
        return runs, None if math.isnan(seconds) else seconds / self.workers

    def _left_of(self, study: StudyConfig) -> tuple[int, float]:
        """How many runs one study lacks, and the seconds of these one after the other; NaN if they are unknown."""
        if study.name not in self._known:
            begun = self.checks.studies.get(study.name)
            plan = begun.plan if begun else plan_of(study)
            lacking = begun.progress.left if begun else plan.runs
            done, seconds = begun.progress.by_setting if begun else {}, 0.0
            own = {setting: plan.seeds - done.get(setting.name, 0) for setting in plan.settings}
            for setting, number in own.items():
                one = self.times.seconds(setting, study.recipe)
                # At other learning rates settings are trained as well, by the same recipe.
                seconds += math.nan if one is None else one * number * lacking / max(sum(own.values()), 1)
            self._known[study.name] = lacking, seconds
        return self._known[study.name]

    def _is_made(self, arm: CheckArm) -> bool:
        """Whether an arm has nothing left to train, or cannot be made."""
        return bool(arm.why_not) or self.left([arm])[0] == 0

    def _listed(self, arms: list[CheckArm]) -> str:
        return ", ".join(f"{own[0].check} ({self._cost(own)})" for own in _by_check(arms))

    def _cost(self, arms: list[CheckArm]) -> str:
        runs, seconds = self.left(arms)
        bound = "at most " if self._is_bound(arms) else ""
        about = "" if seconds is None else f", about {duration(seconds)}"
        return f"{bound}{counted(runs, 'run')}{about}"

    def _is_bound(self, arms: list[CheckArm]) -> bool:
        """Whether fewer runs may do: what tuning finds to suit best is trained again unless the recipe says it."""
        return any(arm.candidates and arm.name not in self.checks.declared.tuned for arm in arms)


def _by_check(arms: list[CheckArm]) -> list[list[CheckArm]]:
    """The arms of each check."""
    return [[arm for arm in arms if arm.check == check] for check in dict.fromkeys(arm.check for arm in arms)]
