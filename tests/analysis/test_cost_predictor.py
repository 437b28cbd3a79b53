import math
import random

import pytest

from explorer.analysis.cost_predictor import LEAST, fitted
from explorer.design.name import parse_name
from explorer.study.designs import Setting
from explorer.study.plan import plan_of
from explorer.verbs.command_line import read_command
from tests.conftest import TINY


def settings(number: int) -> list[Setting]:
    """Different designs of depth 11 to 38, of one path and several."""
    names = [
        f"{depth}-{paths}x{width}d-w{out}"
        for depth in (11, 20, 29, 38)
        for paths in (1, 2, 4, 8)
        for width in (4, 8, 16)
        for out in (32, 64)
    ]
    random.Random(0).shuffle(names)
    scope = plan_of(read_command(TINY).study).scope
    return [scope.setting(parse_name(name)) for name in names[:number]]


def milliseconds(one: Setting) -> float:
    """A made up time: per layer, more for several paths, some for the multiply-adds."""
    layers, paths = sum(one.architecture.depths), one.architecture.cardinalities[0]
    return math.exp(0.9 * math.log(layers) + (0.3 if paths > 1 else 0.0) + 0.1 * math.log(one.cost.macs))


def test_times_that_follow_from_cost_are_predicted_and_disturbed_ones_do_not_count() -> None:
    rng = random.Random(1)
    some, others = settings(96)[:40], settings(96)[40:]
    noisy = [(one, milliseconds(one) * math.exp(rng.gauss(0, 0.03))) for one in some]
    found = fitted(noisy)
    assert found is not None
    assert 0.02 < found.error < 0.05
    for one in others:
        assert found.logarithm(one) == pytest.approx(math.log(milliseconds(one)), abs=0.06)
        assert found.is_outside(one, milliseconds(one) / 1.5)
        assert not found.is_outside(one, milliseconds(one))
    disturbed = [(one, 300 * value if place in (3, 17) else value) for place, (one, value) in enumerate(noisy)]
    kept = fitted(disturbed)
    assert kept is not None
    assert kept.error < 0.05


def test_too_few_or_impossible_measurements_predict_nothing() -> None:
    some = settings(LEAST)
    assert fitted([(one, 1.0) for one in some[1:]]) is None
    assert fitted([(one, 0.0 if one is some[0] else 1.0) for one in some]) is None
    flat = fitted([(one, 2.0) for one in some])
    assert flat is not None
    assert flat.percent < 0.1
    assert flat.is_outside(some[0], 1.9)
