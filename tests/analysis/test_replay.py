"""Recorded curves played again."""

import numpy as np
import pandas as pd
import pytest

from explorer.analysis.replay import Curves, curves_of, replay

NAMES = tuple(f"29-1x{width}d" for width in range(1, 28))


def crossing(noise: float) -> Curves:
    """27 designs of 9 epochs whose errors keep their order but for noise on the way."""
    rng = np.random.default_rng(0)
    final = np.linspace(0.1, 0.4, 27)
    steps = np.linspace(0.5, 0.0, 9)
    errors = final[:, None] + steps + noise * rng.normal(size=(27, 9)) * (steps > 0)
    return Curves(errors, np.arange(27), NAMES)


def test_where_early_errors_tell_all_halving_finds_the_best_and_chance_does_not() -> None:
    found = replay(crossing(0.0), draws=200)
    assert found.rungs == (1, 3, 9)
    assert (found.halving == 0).all()
    assert np.median(found.by_chance) > 0.01
    assert found.tau == pytest.approx((1, 1, 1))
    mean, low, high = found.difference
    assert low < mean < 0
    assert high <= 0


def test_where_early_errors_tell_nothing_halving_is_no_better_than_chance() -> None:
    found = replay(crossing(50.0), draws=400)
    assert abs(found.tau[0]) < 0.4
    assert found.difference[0] > -0.02


def test_the_share_is_that_of_the_epochs_that_are_trained() -> None:
    found = replay(crossing(0.0), draws=1)
    # 18 designs for 1 epoch, 6 for 2 more, 2 for 6 more, of 18 times 9.
    assert found.share == pytest.approx((18 + 12 + 12) / 162)
    assert (found.designs, found.epochs, found.seeds) == (27, 9, 1)


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
    with pytest.raises(ValueError, match="has 4 designs of 3 epochs; a replay needs 9 designs and 3 epochs"):
        curves_of(runs[:4], epochs)


def test_a_seed_is_drawn_for_each_design_and_the_worth_is_the_mean() -> None:
    one = crossing(0.0)
    two = Curves(np.concatenate([one.errors, one.errors + 0.02]), np.tile(np.arange(27), 2), NAMES)
    assert two.final == pytest.approx(one.final + 0.01)
    assert replay(two, draws=5).seeds == 2
