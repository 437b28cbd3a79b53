"""The memory of a network at its peak, and its time in ONNX Runtime, measured for real."""

import importlib.util
from dataclasses import replace

import pytest

from explorer.design.name import parse_name
from explorer.design.template import Task
from explorer.study.plan import plan_of
from explorer.study.run import Run
from explorer.study.settings import StudyConfig
from explorer.training.latency import measure_latency, plain_execution
from explorer.training.peak_memory import MIB, peak_memory

TASK = Task(3, 32, 10)


def runs(tiny: StudyConfig, *names: str) -> list[Run]:
    config = plan_of(tiny).config
    recipe, data = replace(config.recipe, batch_size=32), replace(config.data, channels=3, image_size=32)
    execution = replace(plain_execution("cpu", "float32", 32), threads=1)
    return [Run(parse_name(name), TASK, recipe, data, "", 0, execution) for name in names]


@pytest.mark.real
def test_a_wider_network_takes_more_and_a_pass_less_than_a_step(tiny: StudyConfig) -> None:
    both = runs(tiny, "11-1x16d-w64", "11-1x64d-w256")
    small, large = (one[1] for one in peak_memory(both, "step", 32, turns=1))
    maps = 4 * 32 * 3 * 2.0  # at least: bytes of a value, images, maps of a block kept
    assert small > 32 * 32 * 64 * maps / MIB
    assert large > 2 * small
    one, many = (peak_memory(both[1:], "pass", images, turns=1)[0][1] for images in (1, 32))
    assert one < many < large


@pytest.mark.real
def test_onnx_runtime_times_the_same_networks() -> None:
    assert importlib.util.find_spec("onnxruntime") is not None
    small, large = measure_latency(
        [parse_name("11-1x16d-w64"), parse_name("29-1x64d")],
        TASK,
        device="cpu",
        precision="float32",
        batch_size=2,
        turns=2,
        seed=0,
        wait=60.0,
        runtime="onnx",
    )
    assert 0 < small.lower <= small.median <= small.upper
    assert 3 * small.lower < large.lower
    assert large.batch_size == 2
