"""Recorded curves as a ground for searches."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.replay_curves import Curves, Replay, curves_of
from explorer.record import records

NAMES = tuple(f"29-1x{width}d" for width in range(1, 28))


def test_curves_come_from_the_runs_that_came_through_at_the_recipes_rate() -> None:
    runs = pd.DataFrame(
        [{"run": f"r{place}", "setting": name, "status": "ok", "rate": 1.0} for place, name in enumerate(NAMES[:10])]
        + [{"run": "bad", "setting": NAMES[11], "status": "diverged", "rate": 1.0}]
        + [{"run": "half", "setting": NAMES[0], "status": "ok", "rate": 0.5}]
    )
    epochs = pd.DataFrame(
        [{"run": run, "epoch": epoch, "val_error": 0.1 * epoch} for run in runs["run"] for epoch in (1, 2, 3)]
    )
    found = curves_of(runs, epochs)
    assert found.names == NAMES[:10]
    assert found.errors.shape == (10, 3)
    assert found.final == pytest.approx([0.3] * 10)
    assert found.seeds == 1
    assert found.test is None
    assert curves_of(runs.assign(test_error=0.25), epochs).worth == pytest.approx([0.25] * 10)
    some = runs.assign(test_error=[0.25] * 9 + [float("nan")] * 3)
    assert curves_of(some, epochs).test is None  # one of ten was not tested
    with pytest.raises(ValueError, match="has 4 designs of 3 epochs; a replay needs 9 designs and 3 epochs"):
        curves_of(runs[:4], epochs)


def test_the_worth_of_a_design_is_its_mean_over_seeds_and_tau_compares_orders() -> None:
    first = np.array([[0.3, 0.1], [0.2, 0.2], [0.1, 0.3]])
    two = Curves(np.concatenate([first, first + 0.02]), np.tile(np.arange(3), 2), NAMES[:3])
    assert two.final == pytest.approx([0.11, 0.21, 0.31])
    assert (two.seeds, two.tau(1), two.tau(2)) == (2, pytest.approx(-1), pytest.approx(1))


def test_differences_are_told_draw_by_draw() -> None:
    regrets = {"chance": np.array([0.2, 0.3, 0.4]), "other": np.array([0.1, 0.2, 0.3])}
    curves = Curves(np.zeros((1, 3)), np.zeros(1, dtype=np.int64), NAMES[:1])
    found = Replay(curves, (1, 3), 0.3, regrets, {}, "chance")
    assert found.difference("other") == pytest.approx((-0.1, -0.1, -0.1))
    assert found.difference("chance") == (0, 0, 0)


def test_early_training_errors_order_the_recorded_designs_better_than_validation_errors() -> None:
    """As docs/searches.md tells it: Kendall's tau with the test error after epochs 1 to 3 of 9."""
    root = Path(__file__).parents[2]
    record = records.load(root / "studies" / "design_space_cifar10_jpeg")
    runs = record.runs.set_index("run")

    def taus(measure: str) -> list[float]:
        errors = record.epochs.pivot_table(index="run", columns="epoch", values=measure).reindex(runs.index)
        found = (stats.kendalltau(errors[epoch], runs["test_error"]).statistic for epoch in (1, 2, 3))
        return [round(float(tau), 2) for tau in found]

    train, val = taus("train_error"), taus("val_error")
    told = " ".join((root / "docs" / "searches.md").read_text(encoding="utf-8").split())
    for one in (train, val):
        assert f"{one[0]:.2f}, {one[1]:.2f} and {one[2]:.2f}" in told
    assert all(better > worse for better, worse in zip(train, val, strict=True))
