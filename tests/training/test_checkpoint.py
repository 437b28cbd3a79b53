"""A run that is interrupted goes on as if nothing had happened, or says what it could not use."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from explorer.design import parse_name
from explorer.study.plan import plan_of
from explorer.study.run import Convolution, EpochResult, Execution, Outcome, Run
from explorer.study.runs import runs_of
from explorer.study.settings import StudyConfig
from explorer.training import loop
from explorer.training.checkpoint import Checkpoint, Checkpointing, latest
from explorer.training.images.split import load
from explorer.training.loop import StoppedError
from explorer.training.network import kernels
from explorer.training.network.weights import read_weights
from tests.conftest import broadly

train = partial(loop.train, filters=True)
EXECUTION = Execution("cpu", "some processor", "grouped", "channels_last", "float32", 1, 20)
EPOCHS = 5
PULSES = EPOCHS * (4 + 1) + 1  # of a run: after each step, and each batch that is evaluated


class KilledError(Exception):
    """What stands for the end of the process."""


def run_with(tiny: StudyConfig, execution: Execution = EXECUTION) -> Run:
    run = runs_of(plan_of(tiny), plan_of(tiny).settings, execution, load(tiny.data).digest)[1][1]
    run = replace(run, execution=execution)
    return replace(run, recipe=replace(run.recipe, epochs=EPOCHS, shift=1, flip=True, cutout=2))


def same(left: Outcome, right: Outcome) -> bool:
    """Equal but for the time it took."""
    one, other = (replace(outcome, seconds=0.0, images_per_second=None) for outcome in (left, right))
    return one == other


def curve(results: list[EpochResult]) -> list[EpochResult]:
    return [replace(result, seconds=0.0) for result in results]


@pytest.fixture
def keeping(tmp_path: Path) -> Checkpointing:
    def tell(line: str) -> None:
        with (tmp_path / "told").open("a") as file:
            file.write(line + "\n")

    return Checkpointing(tmp_path / "kept", tell, every=0)


def told(keeping: Checkpointing) -> list[str]:
    path = keeping.folder.parent / "told"
    return path.read_text().splitlines() if path.exists() else []


def interrupted(run: Run, keeping: Checkpointing, after: int) -> None:
    """Train and die before the end of the epoch after so many is told."""

    def report(result: EpochResult) -> None:
        if result.epoch > after:
            raise KilledError

    with pytest.raises(KilledError):
        train(run, report, keeping=keeping)


def stopped(run: Run, keeping: Checkpointing, after: int) -> int:
    """Ask a run to leave after so many steps and batches; gives how often it was asked whether it goes on."""
    asked = 0

    def goes_on() -> bool:
        nonlocal asked
        asked += 1
        return asked != after

    with pytest.raises(StoppedError):
        train(run, lambda result: None, keeping=keeping, goes_on=goes_on)
    return asked


fast = pytest.mark.skipif(not kernels.is_available(), reason="needs a C compiler, for the kernels")


plans = pytest.mark.parametrize(
    "execution",
    broadly(
        [
            EXECUTION,
            replace(EXECUTION, form="sum"),
            replace(EXECUTION, layout="contiguous", micro_batch=10),
            pytest.param(replace(EXECUTION, precision="bfloat16", norms="fused"), marks=fast),
            replace(EXECUTION, convolutions=(Convolution("6>6_k3_s1_g2_8px", 1),)),
        ]
    ),
)


@pytest.mark.parametrize("after", broadly([4, 0]))
@plans
def test_an_interrupted_run_ends_with_the_weights_of_an_undisturbed_one(
    tiny: StudyConfig, tmp_path: Path, keeping: Checkpointing, execution: Execution, after: int
) -> None:
    run = run_with(tiny, execution)
    whole: list[EpochResult] = []
    pieces: list[EpochResult] = []
    expected = train(run, whole.append, weights=tmp_path / "whole.safetensors")
    interrupted(run, keeping, after)
    found = train(run, pieces.append, weights=tmp_path / "pieces.safetensors", keeping=keeping)
    assert same(found, expected)
    assert curve(pieces) == curve(whole)
    one, other = (read_weights(tmp_path / f"{name}.safetensors") for name in ("whole", "pieces"))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert told(keeping) == [f"goes on after step 4 of epoch {after + 1}"]


@pytest.mark.real
def test_a_run_with_a_split_of_its_own_goes_on_with_the_same_one(tiny: StudyConfig, keeping: Checkpointing) -> None:
    run = run_with(replace(tiny, data=replace(tiny.data, split_seed="each")))
    runs = [replace(run, seed=seed) for seed in (0, 1)]
    expected = [train(run, lambda result: None) for run in runs]
    assert {run.id for run in runs} & {replace(run, data=replace(run.data, split_seed=1)).id for run in runs} == set()
    assert len({outcome.correct for outcome in expected}) == 2
    for run, whole in zip(runs, expected, strict=True):
        own = replace(keeping, folder=keeping.folder / run.id)
        interrupted(run, own, 1)
        assert same(train(run, lambda result: None, keeping=own), whole)


@pytest.mark.parametrize("steps", [1, 4, 5, 11])
def test_a_run_of_so_many_steps_that_leaves_at_any_of_them_ends_as_an_undisturbed_one(
    tiny: StudyConfig, keeping: Checkpointing, steps: int
) -> None:
    run, lazy = run_with(tiny), replace(keeping, every=1e9)
    run = replace(run, recipe=replace(run.recipe, epochs=None, steps=steps))
    whole: list[EpochResult] = []
    pieces: list[EpochResult] = []
    expected = train(run, whole.append)
    assert expected.epochs == -(-steps // 4)
    for _ in range(steps):
        stopped(run, lazy, 1)
    assert same(train(run, pieces.append, keeping=lazy), expected)
    assert curve(pieces) == curve(whole)


def test_a_run_that_goes_on_from_a_checkpoint_without_filters_has_none_and_is_the_same(
    tiny: StudyConfig, keeping: Checkpointing
) -> None:
    run = run_with(tiny)
    with pytest.raises(StoppedError):
        loop.train(run, lambda result: None, keeping=replace(keeping, every=1e9), goes_on=lambda: False)
    expected, found = train(run, lambda result: None), train(run, lambda result: None, keeping=keeping)
    assert (len(expected.filters), found.filters) == (3, ())
    assert same(found, replace(expected, filters=()))


@plans
def test_a_run_that_leaves_at_any_step_ends_as_an_undisturbed_one(
    tiny: StudyConfig, tmp_path: Path, keeping: Checkpointing, execution: Execution
) -> None:
    run, lazy = run_with(tiny, execution), replace(keeping, every=1e9)
    whole: list[EpochResult] = []
    expected = train(run, whole.append, weights=tmp_path / "whole.safetensors")
    # Every step of the first plan, some of the others; each continuation is stopped again a little later.
    gap = 1 if execution is EXECUTION else 6
    taken = 0
    while taken + gap < PULSES:
        taken += stopped(run, lazy, gap)
    pieces: list[EpochResult] = []
    found = train(run, pieces.append, weights=tmp_path / "pieces.safetensors", keeping=lazy)
    assert same(found, expected)
    assert curve(pieces) == curve(whole)
    one, other = (read_weights(tmp_path / f"{name}.safetensors") for name in ("whole", "pieces"))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert told(lazy)[0] == f"goes on after step {gap} of epoch 1" if gap == 1 else told(lazy)


def test_a_checkpoint_is_written_within_an_epoch_when_it_is_time(tiny: StudyConfig, keeping: Checkpointing) -> None:
    run, seen = run_with(tiny), []

    def goes_on() -> bool:
        seen.append(sorted(path.name for path in keeping.folder.glob("*")))
        return True

    train(run, lambda result: None, keeping=keeping, goes_on=goes_on)
    assert seen[3] == ["000000-00000002.safetensors", "000000-00000003.safetensors"]


def test_writing_checkpoints_takes_a_small_share_of_the_time(
    tiny: StudyConfig, keeping: Checkpointing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock of its own: steps of a second, and checkpoints of 0.03, after which 1.5 pass until the next."""
    saved: list[float] = []
    clock = SimpleNamespace(now=0.0)
    clock.perf_counter = lambda: clock.now

    def slow(folder: Path, run_id: str, checkpoint: Checkpoint) -> None:
        saved.append(clock.now)
        clock.now += 0.03

    def goes_on() -> bool:
        clock.now += 1.0
        return True

    monkeypatch.setattr("explorer.training.loop.save", slow)
    monkeypatch.setattr("explorer.training.loop.time", clock)
    train(run_with(tiny), lambda result: None, keeping=replace(keeping, every=1e-6), goes_on=goes_on)
    assert len(saved) == PULSES // 2
    assert saved == pytest.approx([1 + 2.03 * number for number in range(len(saved))])


def test_a_run_pauses_where_it_is_told_and_goes_on_from_there(tiny: StudyConfig, keeping: Checkpointing) -> None:
    run, lazy = run_with(tiny), replace(keeping, every=1e9)
    reported: list[EpochResult] = []
    expected = train(run, lambda result: None)
    paused = train(run, reported.append, keeping=lazy, until=2)
    assert (paused.status, paused.epochs, paused.test_error) == ("paused", 2, None)
    assert paused.val_error == reported[-1].val_error
    again = train(run, reported.append, keeping=lazy, until=2)
    assert same(again, paused)
    assert told(lazy) == []
    assert train(run, reported.append, keeping=lazy, until=4).epochs == 4
    assert same(train(run, reported.append, keeping=lazy), expected)
    assert told(lazy) == ["goes on after epoch 2", "goes on after epoch 4"]


def test_the_last_two_checkpoints_are_kept_and_short_epochs_make_none(
    tiny: StudyConfig, keeping: Checkpointing
) -> None:
    run = run_with(tiny)
    train(run, lambda result: None, keeping=keeping)
    names = ["000004-00000004.safetensors", "000005-00000000.safetensors"]
    assert sorted(path.name for path in keeping.folder.iterdir()) == names
    elsewhere = Checkpointing(keeping.folder.parent / "none", keeping.tell, every=30)
    train(run, lambda result: None, keeping=elsewhere)
    assert not elsewhere.folder.exists()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def pickled(path: Path) -> None:
    torch.save({"epoch": 4}, path)


def long_header(path: Path) -> None:
    path.write_bytes((2**62).to_bytes(8, "little") + path.read_bytes()[8:])


@pytest.mark.parametrize(
    ("damage", "words"), broadly([(flip, "does not match its check"), (cut, ""), (pickled, ""), (long_header, "")])
)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(
    tiny: StudyConfig, keeping: Checkpointing, damage: Callable[[Path], None], words: str
) -> None:
    run = run_with(tiny)
    expected = train(run, lambda result: None)
    interrupted(run, keeping, 4)
    damage(keeping.folder / "000004-00000004.safetensors")
    assert same(train(run, lambda result: None, keeping=keeping), expected)
    first, second = told(keeping)
    assert first.startswith("000004-00000004.safetensors cannot be used (")
    assert words in first
    assert second == "goes on after step 3 of epoch 5"


def test_without_a_usable_checkpoint_a_run_says_that_it_begins_anew(tiny: StudyConfig, keeping: Checkpointing) -> None:
    run = run_with(tiny)
    interrupted(run, keeping, 4)
    for path in keeping.folder.iterdir():
        cut(path)
    assert same(train(run, lambda result: None, keeping=keeping), train(run, lambda result: None))
    assert told(keeping)[-1] == "begins anew"


def test_checkpoints_before_unusable_ones_are_kept_until_these_are_passed(
    tiny: StudyConfig, keeping: Checkpointing
) -> None:
    run = run_with(tiny)
    interrupted(run, keeping, 4)
    unusable = sorted(path.name for path in keeping.folder.iterdir())
    for path in keeping.folder.iterdir():
        cut(path)
    interrupted(run, keeping, 2)
    own = sorted(path.name for path in keeping.folder.iterdir())
    assert own[2:] == unusable
    found, messages = latest(keeping.folder, run.id, EPOCHS)
    assert found is not None
    assert (found.position >= (2, 0), len(messages)) == (True, 2)
    assert same(train(run, lambda result: None, keeping=keeping), train(run, lambda result: None))
    assert sorted(path.name for path in keeping.folder.iterdir()) == [
        "000004-00000004.safetensors",
        "000005-00000000.safetensors",
    ]


@pytest.mark.parametrize("changes", broadly([{"seed": 1}, {"architecture": parse_name("11-1x4d-w8")}]))
def test_a_checkpoint_of_another_run_is_not_used(
    tiny: StudyConfig, keeping: Checkpointing, changes: dict[str, Any]
) -> None:
    run = run_with(tiny)
    interrupted(run, keeping, 4)
    other = replace(run, **changes)
    assert latest(keeping.folder, other.id, EPOCHS)[0] is None
    assert same(train(other, lambda result: None, keeping=keeping), train(other, lambda result: None))
    assert told(keeping)[0] == f"000004-00000004.safetensors cannot be used (it is of run {run.id})"


def test_a_checkpoint_that_cannot_be_written_is_told_and_the_run_goes_on(
    tiny: StudyConfig, keeping: Checkpointing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("explorer.training.checkpoint.save_file", full)
    run = run_with(tiny)
    assert train(run, lambda result: None, keeping=keeping).status == "ok"
    place = keeping.folder / "000000-00000001.safetensors"
    reason = f"[Errno 28] No space left on device: '{place}'"
    assert told(keeping)[0] == f"its checkpoint after step 1 of epoch 1 cannot be written ({reason})"
    assert list(keeping.folder.iterdir()) == []
