"""How fast this machine trains networks of several sizes, for plans: `python -m explorer.training.calibration DEVICE`.

A process of its own, so that a plan starts without torch. It prints JSON: the device, and for each network its
multiply-adds and the training images that one worker does in a second in steps of `BATCH` images, and of `FEW`: what a
step takes beside its images weighs the more the fewer these are.
"""

import json
import sys
from statistics import median
from typing import Literal

from explorer.design.cost import cost
from explorer.design.name import parse_name
from explorer.design.template import Task
from explorer.study.run import Execution, Run
from explorer.study.settings import DataConfig, Recipe

# Networks a factor of about ten apart, each with the channels and the size of its images.
NETWORKS = (("14-1x8d-w16-small", 1, 8), ("20-1x16d-w64-small", 3, 16), ("20-1x16d-w64", 3, 32))
SECONDS, LIMIT = 0.4, 2.0  # of timed steps of each network, and at most
BATCH, FEW = 32, 4


def calibrated(asked: str) -> tuple[str, list[tuple[int, float, float]]]:
    """The device that `asked` means, and of each network multiply-adds and images per second in both kinds of steps."""
    from explorer.training.device import has_fast_bfloat16, resolve
    from explorer.training.forms_timing import training_speeds
    from explorer.training.network import kernels

    device = resolve(asked)
    precision = "bfloat16" if has_fast_bfloat16(device) else "float32"
    norms: Literal["torch", "fused"] = "fused" if device == "cpu" and kernels.is_available(device) else "torch"
    data = DataConfig("random", "Random", 1, 8, 10, 400, 250, 1147, 0)
    found = []
    for name, channels, size in NETWORKS:
        task, design, speeds = Task(channels, size, 10), parse_name(name), []
        for batch in (BATCH, FEW):
            recipe = Recipe(1, batch, 0.01, "one_cycle", 0.2, (), 0.9, True, 5e-4, 0.0, 0, False, False)
            execution = Execution(device, "", "grouped", "channels_last", precision, 1, batch, norms=norms)
            (own,), _ = training_speeds((Run(design, task, recipe, data, "", 0, execution),), SECONDS, LIMIT)
            speeds.append(median(own))
        found.append((cost(design, task).macs, *speeds))
    return device, found  # type: ignore[return-value] # two speeds each


if __name__ == "__main__":
    name, points = calibrated(sys.argv[1])
    sys.stdout.write(json.dumps({"device": name, "speeds": points}) + "\n")
