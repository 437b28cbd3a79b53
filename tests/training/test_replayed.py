"""Whatever is launched as one graph has the bits of what is launched kernel by kernel.

Without a GPU a graph is a function that calls the body again on the same tensors: everything but the launching is the
product's own. tests/cuda holds the same on a GPU.
"""

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from explorer.design import Task, parse_name
from explorer.study.run import EpochResult, Execution, Outcome, Run
from explorer.study.settings import DataConfig, Recipe
from explorer.training import loop, replayed, scaling
from explorer.training.checkpoint import Checkpointing
from explorer.training.images.split import load
from explorer.training.loop import StoppedError, train
from explorer.training.replayed import LEAST_CALLS, PLAIN_CALLS, Replayed
from tests.pretended_cuda import Notes, graphs_of

EXECUTION = Execution("cpu", "some processor", "grouped", "channels_last", "float32", 1, 20)
DIGITS = DataConfig("digits", "Digits", 1, 8, 10, 200, 1100, 100, 0)
RECIPE = Recipe(2, 20, 0.05, "one_cycle", 0.2, (), 0.9, True, 5e-4, 0.0, 1, True, False)
EVERYTHING = replace(
    RECIPE, cutout=3, jitter=0.4, lighting=0.1, crop_area=(0.5, 1.0), label_smoothing=0.1, micro_batch=10
)
Recorded = list[Callable[[], tuple[Tensor, ...]]]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """Graphs on the CPU: what was recorded so far."""
    notes = Notes()
    monkeypatch.setattr(replayed, "DEVICES", ("cpu", "cuda"))
    monkeypatch.setattr(replayed, "_failures", [])
    monkeypatch.setattr(replayed, "apart", lambda body, inputs: body(*inputs))
    monkeypatch.setattr(replayed, "record", graphs_of(notes))
    return notes.graphs


def run(recipe: Recipe = RECIPE, data: DataConfig = DIGITS) -> Run:
    execution = replace(EXECUTION, micro_batch=min(20, recipe.micro_batch or 20))
    return Run(parse_name("11-2x3d-w16"), Task(1, 8, 10), recipe, data, load(data).digest, 3, execution)


def trained(run: Run, **how: Any) -> tuple[list[EpochResult], Outcome]:
    curve: list[EpochResult] = []
    outcome = train(run, curve.append, **how)
    return [replace(one, seconds=0.0) for one in curve], replace(outcome, seconds=0.0, images_per_second=None)


@pytest.mark.parametrize("recipe", [RECIPE, EVERYTHING], ids=["plain", "every augmentation"])
def test_a_run_of_graphs_has_the_bits_of_one_without(
    recipe: Recipe, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = run(replace(recipe, epochs=16))
    graphs = trained(own)
    # The step, and the evaluation of a whole batch and of what is left.
    assert len(recorded) == 3
    monkeypatch.setattr(replayed, "DEVICES", ())
    assert trained(own) == graphs
    assert len(recorded) == 3


@pytest.mark.real
def test_a_run_of_graphs_in_float16_scales_and_skips_as_one_without(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "INTERVAL", 2)  # so that the scale soon grows too large, again and again
    own = run(replace(RECIPE, epochs=4))
    own = replace(own, execution=replace(own.execution, precision="float16"))
    graphs = trained(own)
    assert len(recorded) == 1
    assert graphs[1].message.endswith("of 40 steps skipped: gradients too large for float16")
    monkeypatch.setattr(replayed, "DEVICES", ())
    assert trained(own) == graphs


@pytest.mark.parametrize("steps", [1, 2, 3, 14])
def test_a_run_of_graphs_goes_on_from_its_checkpoint(tmp_path: Path, recorded: Recorded, steps: int) -> None:
    left = iter([True] * steps)
    keeping = Checkpointing(tmp_path, lambda _: None, 0.0)
    with pytest.raises(StoppedError):
        train(run(), lambda _: None, keeping=keeping, goes_on=lambda: next(left, False))
    assert trained(run(), keeping=keeping) == trained(run())
    assert recorded


def test_the_bits_do_not_depend_on_how_the_rate_reaches_the_optimiser(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph reads it from a tensor; it changes with every step of this schedule."""
    graphs = trained(run())
    monkeypatch.setattr(replayed, "DEVICES", ())
    assert trained(run()) == graphs


def test_shapes_have_graphs_of_their_own_after_two_plain_calls(recorded: Recorded) -> None:
    bodies: list[int] = []

    def doubled(numbers: Tensor) -> tuple[Tensor, ...]:
        bodies.append(len(numbers))
        return (2 * numbers,)

    own = Replayed(doubled, "cpu", LEAST_CALLS)
    for call in range(6):
        for size in (3, 5):
            assert own(torch.arange(size) + call)[0].tolist() == [2 * (one + call) for one in range(size)]
        assert len(recorded) == (2 if call >= PLAIN_CALLS else 0)


def test_few_calls_are_not_worth_a_graph(recorded: Recorded) -> None:
    own = Replayed(lambda numbers: (numbers + 1,), "cpu", LEAST_CALLS - 1)
    assert [own(torch.tensor([call]))[0].item() for call in range(LEAST_CALLS)] == list(range(1, LEAST_CALLS + 1))
    assert not recorded


def test_what_cannot_be_recorded_is_launched_kernel_by_kernel_and_says_so(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(work: object, pool: Any = None) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    plain = trained(run())
    monkeypatch.setattr(replayed, "record", fails)
    lines: list[str] = []
    assert trained(run(), keeping=Checkpointing(tmp_path, lines.append, 100.0)) == plain
    assert len(lines) == 1
    assert "launched one by one" in lines[0]
    assert "stream is capturing" in lines[0]


@pytest.mark.parametrize("spoiled", ["output", "weights"])
def test_a_graph_with_other_bits_is_not_used_and_trains_nothing(
    spoiled: str, recorded: Recorded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its first launch is compared with the kernels launched one by one, from the same state."""
    weights: list[Tensor] = []
    ready = loop.ready

    def known(run: Run) -> Any:
        network, optimizer = ready(run)
        weights[:] = [one.detach() for one in network.parameters()]
        return network, optimizer

    def other(work: Callable[[], tuple[Tensor, ...]], pool: Any = None) -> Callable[[], tuple[Tensor, ...]]:
        def launch() -> tuple[Tensor, ...]:
            loss, wrong = work()
            if spoiled == "weights":
                weights[0].view(-1)[0] += 1e-6
            return (loss + (1e-6 if spoiled == "output" else 0), wrong)

        return launch

    plain = trained(run())
    monkeypatch.setattr(loop, "ready", known)
    monkeypatch.setattr(replayed, "record", other)
    lines: list[str] = []
    assert trained(run(), keeping=Checkpointing(tmp_path, lines.append, 100.0)) == plain
    assert len(lines) == 1
    assert "other bits" in lines[0]


def test_after_a_recording_that_failed_nothing_more_is_recorded_in_the_process(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def fails(work: object, pool: Any = None) -> None:
        tried.append(1)
        raise RuntimeError("cannot be captured")

    plain = trained(run())
    monkeypatch.setattr(replayed, "record", fails)
    assert trained(run()) == plain
    assert trained(run()) == plain
    assert len(tried) == 1


def test_what_steps_hold_is_free_as_soon_as_they_are_gone(recorded: Recorded) -> None:
    """Without Python's collector of cycles, which may wait for many runs: graphs keep a GPU's memory."""
    own = run()
    data = load(DIGITS)
    trained(own)  # what torch loads when it is first used keeps that network until the collector comes
    recorded.clear()
    gc.collect()
    gc.disable()
    try:
        steps = loop.Steps(own, *loop.ready(own), data)
        for _ in loop.epoch_steps(steps, 1, torch.Generator(), torch.Generator()):
            pass
        assert recorded
        gone = weakref.ref(steps), weakref.ref(steps.network)
        recorded.clear()
        del steps
        assert [one() for one in gone] == [None, None]
    finally:
        gc.enable()
