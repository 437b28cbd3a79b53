"""How long filters are and how far they turn: by hand on few numbers, and alike however a network is executed."""

import math
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import nn

from explorer.design import Task, parse_name
from explorer.study.plan import plan_of
from explorer.study.run import Convolution, EpochResult, Execution, Filters, Outcome, Run
from explorer.study.runs import runs_of
from explorer.study.settings import StudyConfig
from explorer.training.filters import turning
from explorer.training.images.split import load
from explorer.training.loop import ready, train
from explorer.training.network import kernels
from explorer.training.network.build import build
from tests.conftest import broadly

EXECUTION = Execution("cpu", "some processor", "grouped", "channels_last", "float32", 1, 20)


@pytest.fixture
def run(tiny: StudyConfig) -> Run:
    return runs_of(plan_of(tiny), plan_of(tiny).settings, EXECUTION, load(tiny.data).digest)[1][1]


def set_to(network: nn.Module, *filters: list[float]) -> None:
    """Give a convolution of 1x2 filters on one channel these weights."""
    (weight,) = network.parameters()
    with torch.no_grad():
        weight.copy_(torch.tensor(filters).reshape(weight.shape))


def test_norms_and_angles_are_those_that_one_works_out_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, (1, 2), bias=False))
    set_to(network, [3.0, 4.0], [1.0, 0.0])
    found = turning(network, "grouped")
    found.begin()
    set_to(network, [-8.0, 6.0], [1.0, 1.0])  # 90 degrees and longer, 45 degrees
    found.end(counts=True)
    found.begin()
    set_to(network, [8.0, -6.0], [1.0, 1.0 + 2e-7])  # turned about, and by next to nothing
    found.end(counts=True)
    found.begin()
    set_to(network, [1.0, 0.0], [0.0, 2.0])
    found.end(counts=False)
    (layer,) = found.result(epochs=2)
    small = math.degrees(math.atan2(1 + 2.384185791015625e-07, 1)) - 45  # the nearest that float32 has
    assert (layer.layer, layer.norm_start, layer.norm_end) == ("0", 13.0, 2.5)
    assert layer.degrees == pytest.approx(((90 + 45) / 2 + (180 + small) / 2) / 2, abs=1e-12)


def test_a_filter_of_zeros_has_an_angle_that_can_be_recorded() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, (1, 2), bias=False))
    set_to(network, [0.0, 0.0], [1.0, 0.0])
    found = turning(network, "grouped")
    found.begin()
    set_to(network, [1.0, 0.0], [0.0, 0.0])
    found.end(counts=True)
    assert found.result(1)[0].degrees == pytest.approx(90)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("29-4x8d-w32", [f"layer{stage}.{block}.conv2" for stage in (1, 2, 3) for block in range(3)]),
        (
            "20-1x16d-basic",
            [f"layer{stage}.{block}.conv{n}" for stage in (1, 2, 3) for block in range(3) for n in (1, 2)],
        ),
        ("29-4x8d-w32-k1", []),
    ],
)
def test_the_blocks_spatial_convolutions_are_followed_and_no_other(name: str, layers: list[str]) -> None:
    network = build(parse_name(name), Task(3, 32, 10), torch.Generator().manual_seed(0))
    assert [one.layer for one in turning(network, "grouped").result(1)] == layers


def test_the_squared_norm_at_the_start_is_that_of_the_initialisation(run: Run) -> None:
    """Two over the number of paths as in the paper's code, two for every number of paths by groups."""
    wide = replace(run, architecture=parse_name("29-16x8d"), task=Task(3, 32, 10))
    rules: dict[Literal["fan_out", "fan_out_groups", "fan_in"], float]
    rules = {"fan_out": 2 / 16, "fan_out_groups": 2.0, "fan_in": 2.0}
    for init, expected in rules.items():
        recipe = replace(run.recipe, init=init)
        norms = [layer.norm_start for layer in turning(ready(replace(wide, recipe=recipe))[0], "grouped").result(1)]
        assert norms == pytest.approx([expected] * 9, rel=0.1)


def outcome(run: Run, *, filters: bool) -> tuple[Outcome, list[EpochResult]]:
    results: list[EpochResult] = []
    found = train(run, results.append, filters=filters)
    return replace(found, seconds=0, images_per_second=None), [replace(one, seconds=0) for one in results]


def test_following_filters_changes_no_bit_of_a_result(run: Run) -> None:
    (plain, curve), (found, same) = (outcome(run, filters=filters) for filters in (False, True))
    assert (plain.filters, len(found.filters)) == ((), 3)
    assert replace(found, filters=()) == plain
    assert same == curve
    for layer in found.filters:
        assert layer.norm_end != layer.norm_start
        assert 0 < layer.degrees < 90


fast = pytest.mark.skipif(not kernels.is_available(), reason="needs a C compiler, for the kernels")


@pytest.mark.parametrize(
    "execution",
    [
        replace(EXECUTION, form="concat"),
        replace(EXECUTION, form="sum"),
        *broadly(
            [
                replace(EXECUTION, layout="contiguous"),
                replace(EXECUTION, convolutions=(Convolution("6>6_k3_s1_g2_8px", 1),)),
                pytest.param(replace(EXECUTION, norms="fused"), marks=fast),
            ]
        ),
    ],
)
def test_filters_are_alike_in_every_form_and_execution(run: Run, execution: Execution) -> None:
    expected = outcome(run, filters=True)[0].filters
    found = outcome(replace(run, execution=execution), filters=True)[0].filters
    assert [one.layer for one in found] == [one.layer for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.norm_start == pytest.approx(other.norm_start, rel=1e-12)
        assert (one.norm_end, one.degrees) == (pytest.approx(other.norm_end, 1e-3), pytest.approx(other.degrees, 1e-2))


@fast
def test_filters_of_our_kernel_are_those_of_torchs(run: Run) -> None:
    wide = replace(run, architecture=parse_name("11-8x2d-w16"))
    kernel = replace(EXECUTION, convolutions=(Convolution("16>16_k3_s1_g8_8px", 8, "kernel"),))
    one, other = (outcome(replace(wide, execution=how), filters=True)[0].filters for how in (EXECUTION, kernel))
    assert [layer.norm_start for layer in one] == [layer.norm_start for layer in other]
    assert [layer.degrees for layer in one] == pytest.approx([layer.degrees for layer in other], rel=1e-2)


def test_an_epoch_that_ends_early_counts_only_where_it_is_alone(run: Run) -> None:
    """Four steps are an epoch."""

    def degrees(steps: int) -> float:
        recipe = replace(run.recipe, epochs=None, steps=steps, schedule="step", milestones=(), learning_rate=0.01)
        return outcome(replace(run, recipe=recipe), filters=True)[0].filters[0].degrees

    assert 0 < degrees(2) < degrees(4)
    assert degrees(4) == degrees(7)  # at an even rate the first four steps are the same
    assert degrees(8) != degrees(7)


def test_a_run_that_does_not_come_to_its_end_has_no_filters(run: Run) -> None:
    diverging = replace(run, recipe=replace(run.recipe, learning_rate=1e30))
    found = train(diverging, lambda result: None, filters=True)
    assert (found.status, found.filters) == ("diverged", ())
    assert train(run, lambda result: None, filters=True, until=1).filters == ()
    assert isinstance(train(run, lambda result: None, filters=True).filters[0], Filters)
