"""What the robustness checks of a study would train, and how long that would take; for `explorer plan`."""

import math
from dataclasses import dataclass
from typing import Any

from explorer.analysis.checks import Checks
from explorer.host.formatting import counted, duration
from explorer.study.checks import SIXTEEN_ARM, CheckArm, is_asked
from explorer.study.plan import plan_of
from explorer.verbs.estimate import Images, Measured, near, run_seconds


@dataclass(frozen=True)
class CheckForecast:
    """The checks of a study's contrast as they stand, and what their time is estimated from.

    images    numbers of images to train, validate and test on; None if they are unknown
    recorded  the runs recorded on this machine
    workers   the expected number of runs at once
    """

    checks: Checks
    images: Images | None
    recorded: list[Measured]
    workers: int

    def lines(self) -> list[str]:
        """The checks that are asked for, each with its runs and time, and in another line those that are not."""
        asked = self.checks.declared.config.study.robustness
        arms = [arm for arm in self.checks.foreseen if not self._is_made(arm)]
        wanted = [arm for arm in arms if is_asked(arm, asked)]
        others = [arm for arm in arms if not is_asked(arm, asked) and arm.name != SIXTEEN_ARM]
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
            runs, seconds = self._left(own)
            found.append(
                {
                    "check": own[0].check,
                    "asked": any(is_asked(arm, asked) for arm in own),
                    "runs": runs,
                    "at_most": self._is_bound(own),
                    "seconds": seconds / self.workers,
                }
            )
        return found

    def _is_made(self, arm: CheckArm) -> bool:
        """Whether an arm has nothing left to train, or cannot be made."""
        return bool(arm.why_not) or self._left([arm])[0] == 0

    def _listed(self, arms: list[CheckArm]) -> str:
        return ", ".join(f"{own[0].check} ({self._cost(own)})" for own in _by_check(arms))

    def _cost(self, arms: list[CheckArm]) -> str:
        runs, seconds = self._left(arms)
        bound = "at most " if self._is_bound(arms) else ""
        about = "" if math.isnan(seconds) else f", about {duration(seconds / self.workers)}"
        return f"{bound}{counted(runs, 'run')}{about}"

    def _is_bound(self, arms: list[CheckArm]) -> bool:
        """Whether fewer runs may do: what tuning finds to suit best is trained again unless the recipe says it."""
        return any(arm.candidates and arm.name not in self.checks.declared.tuned for arm in arms)

    def _left(self, arms: list[CheckArm]) -> tuple[int, float]:
        """How many runs some arms lack, and the seconds of these one after the other; NaN if they are unknown."""
        runs, seconds, known = 0, 0.0, self.checks.studies
        for study in {study.name: study for arm in arms for study in arm.studies}.values():
            plan = known[study.name].plan if study.name in known else plan_of(study)
            left = known[study.name].progress.left if study.name in known else plan.runs
            runs += left
            for setting in plan.settings:
                measured = near(setting, self.recorded)
                if self.images is None or not measured:
                    seconds = math.nan
                else:
                    one = run_seconds(setting, study.recipe, self.images, measured)
                    seconds += one * left / len(plan.settings)
        return runs, seconds


def _by_check(arms: list[CheckArm]) -> list[list[CheckArm]]:
    """The arms of each check."""
    return [[arm for arm in arms if arm.check == check] for check in dict.fromkeys(arm.check for arm in arms)]
