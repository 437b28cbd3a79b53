"""Training in float16 with a scaled loss: the same steps where nothing overflows, none where something does."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from explorer.design import Task, parse_name
from explorer.study.run import Execution, Outcome, Run
from explorer.study.settings import DataConfig, Recipe
from explorer.training import scaling
from explorer.training.checkpoint import Checkpointing, captured, restore
from explorer.training.images.split import load
from explorer.training.loop import StoppedError, ready, step, train
from explorer.training.scaling import FIRST_SCALE, ScaledOther, ScaledSGD

RECIPE = Recipe(2, 20, 0.05, "one_cycle", 0.2, (), 0.9, True, 5e-4, 0.0, 1, True, False)
DIGITS = DataConfig("digits", "Digits", 1, 8, 10, 200, 100, 200, 0)
PLAIN = Execution("cpu", "", "grouped", "channels_last", "float32", 1, 20)


def run_of(precision: str, **changes: Any) -> Run:
    recipe = replace(RECIPE, **changes)
    execution = replace(PLAIN, precision=precision, micro_batch=recipe.micro_batch or 20)
    digest = load(DIGITS, "cpu").digest
    return Run(parse_name("11-2x3d-w16"), Task(1, 8, 10), recipe, DIGITS, digest, 0, execution)


def trained(run: Run, **how: Any) -> tuple[list[float], Outcome]:
    losses: list[float] = []
    outcome = train(run, lambda result: losses.append(result.loss), **how)
    return losses, outcome


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_a_scale_that_is_a_power_of_two_leaves_every_bit_as_it_is(
    monkeypatch: pytest.MonkeyPatch, momentum: float
) -> None:
    """In float32, whose range no scale leaves; it grows twice on the way."""
    monkeypatch.setattr(scaling, "INTERVAL", 3)
    found = []
    for kind in (torch.optim.SGD, ScaledSGD):
        run, draws = run_of("float32", micro_batch=10), torch.Generator().manual_seed(0)
        network, _ = ready(run)
        network.train()
        settings = {"momentum": momentum, "nesterov": momentum > 0, "weight_decay": 5e-4}
        optimizer = kind(network.parameters(), lr=0.1, fused=True, **settings)  # type: ignore[arg-type]
        for _ in range(7):
            images, labels = torch.randn(20, 1, 8, 8, generator=draws), torch.randint(10, (20,), generator=draws)
            loss, wrong = step(network, optimizer, images, labels, run.recipe, run.execution)
        found.append([loss, wrong, *network.state_dict().values()])
    assert isinstance(optimizer, ScaledSGD)
    assert float(optimizer.scale) == 4 * FIRST_SCALE
    assert float(optimizer.skipped) == 0
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("worst", [torch.inf, torch.nan])
def test_a_step_whose_gradients_are_not_finite_changes_the_scale_alone(worst: float) -> None:
    weights = [torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(2))]
    optimizer = ScaledSGD(weights, lr=1.0, momentum=0.5, fused=True)
    scale = FIRST_SCALE
    for taken, skips in ((0, True), (1, False), (1, True), (2, False)):
        for weight in weights:
            weight.grad = torch.full_like(weight, scale)
        if skips:
            weights[1].grad[1] = worst  # type: ignore[index]
            scale /= 2
        optimizer.step()
        expected = {0: 1.0, 1: 0.0, 2: -1.5}[taken]
        assert [weight.tolist() for weight in weights] == [[expected] * 3, [expected] * 2]
        assert float(optimizer.scale) == scale
    assert float(optimizer.skipped) == 2


def test_a_run_in_float16_has_nearly_the_curve_of_float32_and_says_what_it_skipped() -> None:
    single, _ = trained(run_of("float32"))
    losses, outcome = trained(run_of("float16"))
    assert outcome.status == "ok", outcome.message
    assert losses == pytest.approx(single, rel=0.1)
    assert losses != single
    assert outcome.message == "" or outcome.message.endswith("of 20 steps skipped: gradients too large for float16")


def overflowing(monkeypatch: pytest.MonkeyPatch, steps: set[int]) -> None:
    """Let the gradients of these steps, counted from zero over all runs, be infinite."""
    taken, own = iter(range(10**6)), ScaledSGD.step

    def hooked(self: ScaledSGD) -> None:
        if next(taken) in steps:
            for weight in self.param_groups[0]["params"]:
                weight.grad.fill_(torch.inf)
        own(self)

    monkeypatch.setattr(ScaledSGD, "step", hooked)


def test_what_was_skipped_and_the_scale_survive_a_checkpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(scaling, "INTERVAL", 4)
    run, once = run_of("float16"), {0, 3, 5}
    overflowing(monkeypatch, once)
    whole = trained(run)
    assert whole[1].message == "3 of 20 steps skipped: gradients too large for float16"
    left = iter([True] * 6)
    keeping = Checkpointing(tmp_path, lambda line: None, 0.0)
    overflowing(monkeypatch, once)
    with pytest.raises(StoppedError):
        trained(run, keeping=keeping, goes_on=lambda: next(left, False))
    monkeypatch.undo()
    monkeypatch.setattr(scaling, "INTERVAL", 4)
    again = trained(run, keeping=keeping)
    assert again[0] == whole[0]
    assert (again[1].message, again[1].correct) == (whole[1].message, whole[1].correct)


def test_a_run_whose_scale_collapses_has_diverged(monkeypatch: pytest.MonkeyPatch) -> None:
    overflowing(monkeypatch, set(range(10**6)))
    outcome = trained(run_of("float16", epochs=3))[1]
    assert (outcome.status, outcome.epochs) == ("diverged", 2)  # 2^16 is halved to below one by 17 of 20 steps
    assert outcome.message == "gradients were too large for float16 in epoch 2, whatever the scale of the loss"


def test_an_optimiser_that_restores_itself_goes_on_at_the_rate_it_is_told() -> None:
    class Own(torch.optim.SGD):
        def load_state_dict(self, state: dict[str, Any]) -> None:
            super().load_state_dict(state)  # puts other groups in the place of its own

    def made() -> tuple[torch.nn.Module, ScaledOther]:
        network = torch.nn.Linear(2, 2)
        return network, ScaledOther(Own(network.parameters(), lr=1.0, momentum=0.9))

    kept = captured(*made(), {}, whole=True)
    network, optimizer = made()
    restore(kept, network, optimizer)
    optimizer.param_groups[0]["lr"] = 0.125
    assert optimizer.inner.param_groups[0]["lr"] == 0.125
    assert optimizer.state is optimizer.inner.state
