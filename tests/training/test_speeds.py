"""When one speed is called higher than another."""

import random

import pytest

from explorer.training.speeds import LEAST_STEPS, NOISE, is_faster, is_settled, is_steady


@pytest.mark.parametrize(
    ("speeds", "others", "by", "faster", "settled"),
    [
        ([4.0, 4.0], [1.0, 1.0], 1.0, True, True),
        ([1.0, 1.0], [4.0, 4.0], 1.0, False, True),
        ([1.04, 1.04], [1.0, 1.0], 1.05, False, True),
        ([1.06, 1.06], [1.0, 1.0], 1.05, True, True),
        ([4.0], [1.0], 1.0, False, False),  # a single turn tells nothing
        ([], [], 1.0, False, False),
        ([1.0, 2.0, 4.0], [1.0, 1.0, 1.0], 1.0, False, False),  # the median is 2, its quartiles 1 and 4
        ([4.0, 8.0, 7.0], [1.0, 1.0, 1.0], 1.0, True, True),
        ([4.0, 0.4, 40.0], [1.0, 0.1, 10.0], 1.0, True, True),  # a disturbance meets both of a turn
        ([0.0, 0.0], [1.0, 1.0], 1.0, False, True),
        ([1.0, 1.0], [0.0, 0.0], 1.0, True, True),
    ],
)
def test_a_difference_counts_where_it_exceeds_what_it_varies_by(
    speeds: list[float], others: list[float], by: float, faster: bool, settled: bool
) -> None:
    assert (is_faster(speeds, others, by), is_settled(speeds, others)) == (faster, settled)


@pytest.mark.parametrize(("turns", "most"), [(2, 0.15), (3, 0.07), (LEAST_STEPS, 0.02)])
def test_what_only_varies_is_seldom_called_faster(turns: int, most: float) -> None:
    """Of two things that are equally fast, on a machine on which steps take from half to twice their time."""
    busy = random.Random(turns)
    drawn = [[busy.lognormvariate(0, 0.7) for _ in range(turns)] for _ in range(4000)]
    wrong = sum(is_faster(one, other) for one, other in zip(drawn[::2], drawn[1::2], strict=True))
    assert wrong <= most * 2000


def test_speeds_that_do_not_differ_are_settled_within_the_noise_of_a_quiet_machine() -> None:
    for verdict in (is_settled, is_steady):
        assert verdict([1.0, 1.0 + NOISE / 2, 1.0], [1.0, 1.0, 1.0])
        assert not verdict([1.0, 1.0 + 2 * NOISE, 1.0], [1.0, 1.0, 1.0])
    assert is_settled([2.0, 3.0, 2.0], [1.0, 1.0, 1.0])
    assert not is_steady([2.0, 3.0, 2.0], [1.0, 1.0, 1.0])
    assert not is_steady([1.0], [1.0])
