import ctypes
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from explorer.study.plan import plan_of
from explorer.study.run import EpochResult, Execution, Run
from explorer.study.runs import runs_of
from explorer.study.settings import Recipe, StudyConfig
from explorer.training import loop
from explorer.training.images.augment import Draws, augmented
from explorer.training.images.split import load
from explorer.training.loop import deterministic, settings_kept, train
from explorer.training.schedule import learning_rate
from explorer.training.streams import host_state, seed_all
from tests.training.test_image_sources import config, pictures, write_parquet

EXECUTION = Execution("cpu", "some processor", "grouped", "channels_last", "float32", 1, 20)


@pytest.fixture
def run(tiny: StudyConfig) -> Run:
    return runs_of(plan_of(tiny), plan_of(tiny).settings, EXECUTION, load(tiny.data).digest)[1][1]


def test_a_run_reports_every_epoch_and_judges_the_last_network_once(run: Run) -> None:
    reported: list[EpochResult] = []
    outcome = train(run, reported.append)
    assert outcome.status == "ok"
    assert [result.epoch for result in reported] == [1, 2]
    assert (outcome.val_error, outcome.train_error) == (reported[-1].val_error, reported[-1].train_error)
    right = np.unpackbits(np.frombuffer(outcome.correct, np.uint8), count=outcome.test_images)
    assert outcome.test_images == 100
    assert outcome.test_error == (100 - int(right.sum())) / 100


def test_as_many_steps_as_whole_epochs_have_give_the_bits_of_these_epochs(run: Run) -> None:
    """80 images in batches of 20 are four steps an epoch."""
    epochs, steps = (replace(run, recipe=replace(run.recipe, epochs=e, steps=s)) for e, s in ((3, None), (None, 12)))
    assert epochs.id != steps.id
    found = {one.id: list[EpochResult]() for one in (epochs, steps)}
    ends = [replace(train(one, found[one.id].append), seconds=0.0, images_per_second=None) for one in (epochs, steps)]
    assert ends[0] == ends[1]
    curves = [[replace(result, seconds=0.0) for result in own] for own in found.values()]
    assert curves[0] == curves[1]
    assert (ends[0].epochs, len(curves[0])) == (3, 3)


def test_a_run_of_steps_ends_with_its_last_one_and_has_its_schedule_over_them(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = replace(run, recipe=replace(run.recipe, epochs=None, steps=10))
    whole = replace(run, recipe=replace(run.recipe, epochs=3))
    taken, plain = list[tuple[float, float]](), loop.step

    def counted(*values: Any) -> Any:
        loss = plain(*values)
        taken.append((values[1].param_groups[0]["lr"], float(loss[0])))
        return loss

    monkeypatch.setattr(loop, "step", counted)
    reported: list[EpochResult] = []
    outcome = train(steps, reported.append)
    rates, losses = zip(*taken, strict=True)
    assert rates == tuple(learning_rate(steps.recipe, number, 10) for number in range(10))
    assert [result.epoch for result in reported] == [1, 2, 3]
    assert outcome.epochs == 3  # those begun
    # The last epoch is over its two steps: 40 images, of which so many were wrong.
    assert reported[-1].loss == pytest.approx(sum(losses[8:]) / 2)
    assert reported[-1].train_error * 40 == pytest.approx(round(reported[-1].train_error * 40))
    assert reported[-1].learning_rate == rates[-1]
    assert outcome.images_per_second is not None
    assert (outcome.val_error, outcome.train_error) == (reported[-1].val_error, reported[-1].train_error)
    # The first steps see the batches that a run of whole epochs sees: the loss of the first one is the same.
    taken.clear()
    train(whole, lambda result: None)
    assert taken[0][1] == losses[0]


def test_training_learns(run: Run) -> None:
    longer = replace(run, recipe=replace(run.recipe, epochs=25, learning_rate=0.05))
    reported: list[EpochResult] = []
    outcome = train(longer, reported.append)
    assert reported[-1].loss < 0.3 * reported[0].loss
    assert outcome.test_error is not None
    assert outcome.test_error < 0.5


def test_the_same_run_gives_the_same_bits_and_another_seed_does_not(run: Run) -> None:
    def curve(run: Run) -> list[float]:
        reported: list[EpochResult] = []
        train(run, reported.append)
        return [result.loss for result in reported]

    assert curve(run) == curve(run)
    assert curve(run) != curve(replace(run, seed=run.seed + 1))


def test_training_asks_cublas_for_the_same_bits_whoever_calls_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it torch refuses every matrix product on CUDA; it is C that reads it."""
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    for others in (None, "", ":0:0"):
        if others is None:
            monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
        else:
            monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", others)
        loop.deterministic()
        assert getenv(b"CUBLAS_WORKSPACE_CONFIG") == b":4096:8"


def test_kernels_that_need_not_be_deterministic_are_the_fastest_that_a_gpu_has(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[bool, bool]] = []

    def noted(*given: Any) -> Any:
        asked.append((torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark))
        return load(*given)

    monkeypatch.setattr(loop, "load", noted)
    try:
        for wanted in (False, True):
            train(replace(run, execution=replace(run.execution, deterministic=wanted)), lambda result: None)
    finally:
        loop.deterministic()
    assert asked == [(False, True), (True, False)]
    assert run.id != replace(run, execution=replace(run.execution, deterministic=False)).id


def test_a_loss_that_is_not_finite_ends_the_run_as_diverged(run: Run) -> None:
    reported: list[EpochResult] = []
    outcome = train(replace(run, recipe=replace(run.recipe, learning_rate=1e30, warmup=0.0)), reported.append)
    assert (outcome.status, outcome.epochs, outcome.test_error) == ("diverged", 1, None)
    assert outcome.message == "the loss was not finite in epoch 1"
    assert reported == []


def test_memory_that_does_not_suffice_ends_the_run_as_out_of_memory(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*arguments: object, **options: object) -> None:
        raise MemoryError("cannot allocate 9 GB")

    monkeypatch.setattr(loop, "build", no_memory)
    outcome = train(run, lambda result: None)
    assert (outcome.status, outcome.message) == ("out_of_memory", "cannot allocate 9 GB")


def test_runs_of_one_seed_see_the_same_batches_whatever_the_architecture(
    run: Run, tiny: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []

    def watched(images: torch.Tensor, draws: Draws, recipe: Recipe) -> torch.Tensor:
        batch = augmented(images, draws, recipe)
        seen.append(batch.numpy().tobytes())
        return batch

    monkeypatch.setattr(loop, "augmented", watched)
    shifted = replace(run, recipe=replace(run.recipe, shift=1, flip=True))
    other = runs_of(plan_of(tiny), plan_of(tiny).settings, EXECUTION, load(tiny.data).digest)[0][1].architecture

    def batches_of(run: Run) -> list[bytes]:
        seen.clear()
        train(run, lambda result: None)
        return list(seen)

    first = batches_of(shifted)
    assert len(first) == len(set(first)) == 8
    assert batches_of(replace(shifted, architecture=other)) == first
    assert batches_of(replace(shifted, seed=shifted.seed + 1)) != first


def test_images_other_than_at_the_studys_start_fail_the_run(run: Run) -> None:
    with pytest.raises(ValueError, match=f"changed since the study's start: 0123 then, now {run.data_hash}"):
        train(replace(run, data_hash="0123"), lambda result: None)


def test_batch_norm_sees_micro_batches_and_the_optimiser_whole_ones(run: Run) -> None:
    def step(micro_batch: int) -> tuple[float, int]:
        own = replace(run, execution=replace(run.execution, micro_batch=micro_batch))
        network, optimizer = loop.ready(own)
        network.train()
        images = torch.randn(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        loss, _ = loop.step(network, optimizer, images, torch.arange(20) % 10, own.recipe, own.execution)
        batches = next(value for key, value in network.state_dict().items() if key.endswith("num_batches_tracked"))
        return float(loss), int(batches)

    whole, halves = step(20), step(10)
    assert whole[0] != halves[0]
    assert (whole[1], halves[1]) == (1, 2)


def test_gradients_of_micro_batches_add_up_to_those_of_the_batch(run: Run) -> None:
    def weights(micro_batch: int) -> list[torch.Tensor]:
        own = replace(run, execution=replace(run.execution, micro_batch=micro_batch))
        network, optimizer = loop.ready(own)
        network.eval()  # without batch statistics, parts and whole are the same function
        images = torch.randn(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        loop.step(network, optimizer, images, torch.arange(20) % 10, own.recipe, own.execution)
        return [parameter.detach().clone() for parameter in network.parameters()]

    for one, two in zip(weights(20), weights(8), strict=True):
        assert torch.allclose(one, two, atol=1e-6)


def test_streamed_images_train_to_the_same_bits_as_resident_ones(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_parquet(tmp_path / "set" / "train.parquet", pictures(40, channels=1))
    recipe = replace(run.recipe, shift=1, flip=True, cutout=2, batch_size=8)

    def losses(keep: str) -> list[float]:
        data = config(tmp_path / "set", channels=1, test_images=6, keep=keep)
        task = replace(run.task, classes=3)
        found: list[float] = []
        own = replace(run, data=data, data_hash=load(data).digest, task=task, recipe=recipe)
        assert train(own, lambda result: found.append(result.loss), loaders=2).status == "ok"
        return found

    # The hash of a streamed set is that of its files, of a resident one that of its pixels: the runs have other ids.
    resident = losses("resident")
    assert len(set(resident)) == 2
    assert losses("stream") == resident


def test_a_process_of_somebody_else_is_left_as_it_was() -> None:
    def state() -> tuple[object, ...]:
        return (
            torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.allow_tf32,
            torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
            torch.random.get_rng_state().tolist(),
            host_state(),
        )

    def changed() -> None:
        torch.set_num_threads(torch.get_num_threads() + 1)
        deterministic(not before[1])
        seed_all(3, "block", 7)
        raise KeyError

    before = state()
    with pytest.raises(KeyError), settings_kept():
        changed()
    assert state() == before
