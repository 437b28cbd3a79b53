"""How fast this machine trains, measured once and kept in the cache with its date, for plans of new studies."""

import hashlib
import json
import math
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from typing import Annotated, TypedDict

from annotated_types import Gt, Lt
from rich.console import Console

from explorer.host.cache import remember, remembered
from explorer.host.console import PLAIN
from explorer.host.machine import cpu_features, cpu_name, driver_version, machine_id
from explorer.study.designs import Setting
from explorer.study.settings import Recipe
from explorer.training.calibration import BATCH, FEW
from explorer.training.sources import package_sources
from explorer.verbs.estimate import Images, passes, step_images

MOST_DAYS = 90  # after which a machine is measured again: its cooling, its other users and its system change
PATIENCE = 120  # seconds, after which the measurement is given up
Positive = Annotated[float, Gt(0), Lt(math.inf)]


class _Kept(TypedDict):
    """The cached measurement: of what, on which device and day, and multiply-adds with both speeds."""

    of: str
    device: str
    date: str
    speeds: list[list[Positive]]


@dataclass(frozen=True)
class Calibration:
    """Multiply-adds of networks with the images that one worker trains in a second, as measured on a day.

    Both speeds of a network are of steps of `BATCH` and of `FEW` images.
    """

    date: str
    speeds: tuple[tuple[float, float, float], ...]

    def seconds(self, setting: Setting, recipe: Recipe, images: Images) -> float:
        """Predicted seconds of one run of a setting.

        Small networks do fewer multiply-adds in a second than large ones: between two measured networks the rate is
        interpolated, in logarithms, and beyond them it is that of the nearest.
        """
        macs, batch = setting.cost.macs, step_images(recipe)
        points = sorted((math.log(size), math.log(size * _at(batch, *speeds))) for size, *speeds in self.speeds)
        place = min(max(math.log(macs), points[0][0]), points[-1][0])
        for (low, slow), (high, fast) in pairwise(points):
            if low <= place <= high:
                rate = slow + (fast - slow) * (place - low) / (high - low)
                return passes(recipe, images) * macs / math.exp(rate)
        return passes(recipe, images) * macs / math.exp(points[0][1])


def _at(batch: int, of_many: float, of_few: float) -> float:
    """Images per second in steps of `batch`, whose time is a constant and a part for each image, from two speeds."""
    many, few = BATCH / of_many, FEW / of_few  # seconds of a step
    each = min(max((many - few) / (BATCH - FEW), 0.0), many / BATCH)
    return batch / (many - BATCH * each + batch * each)


def calibration(device: str, console: Console) -> Calibration | str:
    """The calibration of this machine, from the cache or measured now; or a text that says why there is none.

    It is measured anew with another processor, driver, torch or sources of this package, and after `MOST_DAYS`. It is
    of one thread, whatever a study is given.
    """
    key = f"calibration-{device}"
    known = remembered(key, _Kept)
    of = _of()
    if known is None or known["of"] != of or _is_old(known["date"]) or not _is_whole(known["speeds"]):
        if find_spec("torch") is None:
            return "torch is not installed here"
        console.print("Measuring once how fast this machine trains; this takes some seconds", **PLAIN)
        known = _measured(device, of)
        if known is None:
            return "it could not be measured on this machine"
        remember({key: known})
    return Calibration(known["date"], tuple((macs, many, few) for macs, many, few in known["speeds"]))


def _of() -> str:
    """A hash of all that the speed depends on, as far as it can be known without loading torch."""
    torch = version("torch") if find_spec("torch") else "none"
    parts = machine_id(), cpu_name(), cpu_features(), driver_version(), torch, package_sources()
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _is_old(day: str) -> bool:
    """Whether a measurement is older than `MOST_DAYS`, or of a day that cannot be read or is yet to come."""
    try:
        return not 0 <= (date.today() - date.fromisoformat(day)).days <= MOST_DAYS
    except ValueError:
        return True


def _is_whole(speeds: list[list[float]]) -> bool:
    return len(speeds) > 1 and all(len(one) == 3 for one in speeds)


def _measured(device: str, of: str) -> _Kept | None:
    """The measurement by a process of its own; None if that fails, as on a device that is not there."""
    command = [sys.executable, "-m", "explorer.training.calibration", device]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=True)  # noqa: S603 - this program itself
        found = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
    today = date.today().isoformat()
    return {"of": of, "device": found["device"], "date": today, "speeds": found["speeds"]}
