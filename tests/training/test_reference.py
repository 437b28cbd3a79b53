"""The tutorial's loop of the benchmark: what it is compared by, and under which settings."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch

from explorer.design import Task, parse_name
from explorer.study.run import Execution
from explorer.training import speed
from explorer.training.loop import Steps, deterministic, epoch_steps
from explorer.training.reference import Images
from explorer.training.results import Limits, TrainingSpeed, training_figures
from explorer.training.speed import Conditions, random_run, random_steps
from tests.verbs.test_study import environment

# What torch decides by of speed and bits, before anything was set and after the settings of both loops.
COMPARED = """
import json, torch
from torch.backends import cuda, cudnn
def settings():
    return [
        torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory,
        cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, cuda.matmul.allow_tf32,
        torch.get_float32_matmul_precision(), torch.get_num_threads(),
    ]
found = [settings()]
from explorer.training.loop import deterministic
from explorer.training.reference import torch_defaults
deterministic()
torch.set_num_threads(1)
found.append(settings())
torch_defaults()
print(json.dumps([*found, settings()]))
"""


@pytest.mark.real
def test_the_reference_has_the_settings_that_torch_comes_with() -> None:
    own = {key: value for key, value in environment().items() if not key.startswith("OMP_")}
    done = subprocess.run([sys.executable, "-c", COMPARED], capture_output=True, text=True, env=own)
    assert done.returncode == 0, done.stderr
    before, ours, after = json.loads(done.stdout)
    assert before == after
    assert before[4] is True  # TF32 in convolutions
    assert ours != before


def test_an_image_is_shifted_mirrored_and_normalised_in_float32() -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 3, 12, 12), dtype=np.uint8)
    data = Images(images, np.arange(40))
    padded = np.pad((images - data.mean) / data.std, ((0, 0), (0, 0), (4, 4), (4, 4)))
    crops = np.lib.stride_tricks.sliding_window_view(padded, (12, 12), (2, 3))
    kinds = set()
    for place in range(40):
        image, label = data[place]
        assert (image.dtype, label) == (torch.float32, place)
        both = np.stack([crops[place], crops[place][..., ::-1]])  # of each shift: as it is, and mirrored
        (found,) = np.argwhere((both == image.numpy()[None, :, None, None]).all(axis=(1, 4, 5)))
        kinds.add(tuple(found))
    assert len(kinds) > 25


TASK = Task(channels=3, image_size=8, classes=10)
CONDITIONS = Conditions(TASK, 8, 1, 1, "cpu", 0)


def test_the_memory_of_a_loop_is_that_of_its_steps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a loop whose second step needs 200 MiB, whatever this process has taken before."""
    before = torch.ones(100 * 2**18)
    del before

    def steps() -> speed.Loop:
        while True:
            yield torch.ones(50 * 2**18)
            yield torch.ones(200 * 2**18)

    monkeypatch.setattr(speed, "keep_freed_memory", lambda: None)  # other tests share this process
    try:
        for key in ("ours", "reference"):
            found = speed._peak_memory(steps, CONDITIONS, key)
            assert found is None or 190 * 2**20 <= found < 320 * 2**20
    finally:
        deterministic()
        torch.set_num_threads(1)


def test_our_steps_are_those_that_a_study_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    execution = Execution("cpu", "", "grouped", "channels_last", "float32", 1, 8)
    taken: list[object] = []

    def noted(*given: Any) -> Any:
        taken.append(type(given[0]))
        return epoch_steps(*given)

    monkeypatch.setattr(speed, "epoch_steps", noted)
    found = list(islice(random_steps(random_run(parse_name("11-2x4d-w16"), TASK, 8, execution)), 2))
    assert len(found) == 2
    assert taken == [Steps]


def test_a_speed_is_compared_at_one_batch_and_a_gpu_with_its_limits_at_its_best() -> None:
    limits = Limits("GPU", 1, 1e12, 1e12, 1e12)
    execution = Execution("cuda", "", "grouped", "channels_last", "bfloat16", 1, 128)
    made = partial(TrainingSpeed, batch_size=128, execution=execution, native={}, activations=1000, accesses=19)
    more: dict[str, Any] = {
        "memory": 1,
        "reference_memory": 1,
        "channels_last_memory": 1,
        "choosing": 0.0,
        "macs": 10**6,
    }
    first = made(name="one", ours=2900.0, reference=1000.0, channels_last=1000.0, **more)
    second = made(name="two", ours=2500.0, reference=800.0, channels_last=900.0, **more)
    best = replace(first, batch_size=512, ours=50_000.0)
    figures = training_figures([first, second], best, limits, None, gpu=True)
    assert [(figure.what, figure.found, figure.passed) for figure in figures] == [
        ("one: at least 3x the reference loop", "2.90x", False),
        ("two: at least 3x the reference loop", "3.12x", True),
        ("two: at most 1.15x the time per image of one", "1.16x", False),
        ("one, batch 512: at least 70 % of the memory's limit or 20 % of the peak", "0% and 30%", True),
    ]
