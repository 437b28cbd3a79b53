"""How long runs take on this machine."""

from dataclasses import dataclass, field

from explorer.study.designs import Setting
from explorer.study.settings import Recipe
from explorer.verbs.calibrate import Calibration
from explorer.verbs.estimate import Images, Measured, near, run_seconds, step_images


@dataclass(frozen=True)
class RunTimes:
    """What times of runs are estimated from: recorded runs of nearly their cost, else this machine's calibration.

    images       numbers of images to train, validate and test on; None before they have been counted
    recorded     runs of all studies that ran on this machine
    calibration  or why there is none
    """

    images: Images | None
    recorded: list[Measured]
    calibration: Calibration | str = ""
    _near: dict[tuple[Setting, int], list[Measured]] = field(default_factory=dict)

    def near(self, setting: Setting, recipe: Recipe) -> list[Measured]:
        """The recorded runs whose cost and whose steps are near those of a setting and a recipe."""
        key = setting, step_images(recipe)
        if key not in self._near:
            self._near[key] = near(*key, self.recorded)
        return self._near[key]

    def seconds(self, setting: Setting, recipe: Recipe) -> float | None:
        """Seconds of one run of a setting by a recipe; None where nothing tells them."""
        if self.images is None:
            return None
        if nearest := self.near(setting, recipe):
            return run_seconds(setting, recipe, self.images, nearest)
        if isinstance(self.calibration, Calibration):
            return self.calibration.seconds(setting, recipe, self.images)
        return None
