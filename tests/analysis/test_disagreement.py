"""What two settings disagree on: every number against its definition, image by image and exchange by exchange."""

import math
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from explorer.analysis.disagreement import DRAWN, disagreement, one_sided
from explorer.analysis.intervals import Estimate
from explorer.analysis.seeds_and_images import apart

Rights = npt.NDArray[np.bool_]
RNG = np.random.default_rng(5)
IMAGES = 60
HARD = RNG.random(IMAGES)
# Easy for the one and hard for the other in every seed but one, and the reverse.
FIRST: dict[int, Rights] = {seed: RNG.random(IMAGES) > HARD for seed in range(3, 9)}
SECOND: dict[int, Rights] = {seed: RNG.random(IMAGES) > HARD for seed in range(4, 10)}
for _seed, _right in [*FIRST.items(), *SECOND.items()]:
    _right[:3] = _right is FIRST.get(_seed)
    _right[3] = _right is SECOND.get(_seed)
SEEDS = [4, 5, 6, 7, 8]
CLASSES = np.arange(IMAGES) % 3
A, B = np.stack([FIRST[seed] for seed in SEEDS]), np.stack([SECOND[seed] for seed in SEEDS])


def share(first: Rights, second: Rights) -> float:
    return float(sum(one != other for one, other in zip(first, second, strict=True)) / len(first))


def ends(values: list[float], confidence: float = 0.95) -> tuple[float, float]:
    half = float(stats.t.ppf(0.5 + confidence / 2, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))
    return float(np.mean(values)) - half, float(np.mean(values)) + half


def is_interval(found: Estimate, values: list[float]) -> bool:
    return (found.mean, found.low, found.high) == pytest.approx((float(np.mean(values)), *ends(values)))


def test_only_pairs_count_and_the_four_shares_are_means_over_them() -> None:
    found = disagreement(FIRST, SECOND)
    assert found is not None
    assert (found.seeds, found.images) == ((4, 5, 6, 7, 8), IMAGES)
    for cell, (one, other) in zip(
        (found.cells.both, found.cells.setting, found.cells.against, found.cells.neither),
        product((True, False), repeat=2),
        strict=True,
    ):
        counts = [sum(a == one and b == other for a, b in zip(*pair, strict=True)) for pair in zip(A, B, strict=True)]
        assert is_interval(cell, [count / IMAGES for count in counts])
    assert [sum(own) for own in found.cells.each] == pytest.approx([1] * 5)
    assert [own[1] for own in found.cells.each] == pytest.approx(
        [float((a & ~b).mean()) for a, b in zip(A, B, strict=True)]
    )
    assert is_interval(found.disagree, [share(a, b) for a, b in zip(A, B, strict=True)])


def test_churn_is_the_mean_over_pairs_of_different_seeds_with_its_jackknife() -> None:
    found = disagreement(FIRST, SECOND)
    assert found is not None
    assert found.churn is not None
    n = len(SEEDS)

    def kernel(of: str, s: int, t: int) -> float:
        within, rival, across = share(A[s], A[t]), share(B[s], B[t]), (share(A[s], B[t]) + share(A[t], B[s])) / 2
        return {"setting": within, "against": rival, "across": across, "excess": across - (within + rival) / 2}[of]

    for of in ("setting", "against", "across", "excess"):
        whole = float(np.mean([kernel(of, s, t) for s, t in combinations(range(n), 2)]))
        without = [
            float(np.mean([kernel(of, s, t) for s, t in combinations([one for one in range(n) if one != left], 2)]))
            for left in range(n)
        ]
        assert is_interval(getattr(found.churn, of), [n * whole - (n - 1) * one for one in without]), of
        assert getattr(found.churn, of).mean == pytest.approx(whole)


def test_what_is_beyond_churn_is_the_mean_squared_difference_of_the_chances_to_be_right() -> None:
    rng, chances = np.random.default_rng(1), np.array([[0.9, 0.2], [0.5, 0.5], [0.3, 0.7]])
    means = []
    for _ in range(400):
        right = rng.random((5, 3, 2)) < chances
        found = disagreement(dict(enumerate(right[:, :, 0])), dict(enumerate(right[:, :, 1])))
        assert found is not None
        assert found.churn is not None
        means.append(found.churn.excess.mean)
    wanted = float(((chances[:, 0] - chances[:, 1]) ** 2).mean())
    assert abs(np.mean(means) - wanted) < 4 * np.std(means) / math.sqrt(len(means))


def exchanged(least: int, most: int) -> list[int]:
    """The number of images one-sided for the first setting, after every exchange of runs within seeds."""
    counts = []
    for swaps in product((False, True), repeat=len(SEEDS)):
        pairs = [(b, a) if swap else (a, b) for a, b, swap in zip(A, B, swaps, strict=True)]
        one, other = (np.sum([pair[side] for pair in pairs], axis=0) for side in (0, 1))
        counts.append(int(((one >= least) & (other <= most)).sum()))
    return counts


def test_one_sided_images_are_held_against_every_exchange_of_runs_within_seeds() -> None:
    found = disagreement(FIRST, SECOND)
    assert found is not None
    assert (found.least, found.most) == (5, 0)
    counts = exchanged(5, 0)
    for one, first, second in ((found.setting, A, B), (found.against, B, A)):
        assert one is not None
        there = [image for image in range(IMAGES) if first[:, image].all() and not second[:, image].any()]
        assert sorted(one.images) == there
        assert one.expected == pytest.approx(float(Fraction(sum(counts), len(counts))))
        assert one.p == sum(count >= len(there) for count in counts) / len(counts)
    assert found.setting is not None
    assert {0, 1, 2} <= {*found.setting.images}
    assert found.setting.right[0] == (5, 0)


def test_with_many_seeds_the_record_is_among_the_drawn_exchanges_whichever_setting_is_named_first() -> None:
    rng = np.random.default_rng(5)
    first, second = (rng.random((14, 40)) < 0.9 for _ in range(2))
    second[:, :12] &= ~first[:, :12]  # never both: the most extreme of all exchanges
    first[:, :12], second[:, :12] = False, True
    sides = one_sided(first, second, 13, 1), one_sided(second, first, 13, 1)[::-1]
    for setting, against in sides:
        assert len(against.images) == 12
        assert 1 / (DRAWN + 1) <= against.p < 0.001 < setting.p
    assert [one.images for one in sides[0]] == [one.images for one in sides[1]]


@pytest.mark.parametrize(("seeds", "least", "most"), [(5, 5, 0), (9, 9, 0), (10, 9, 1), (11, 10, 1), (20, 18, 2)])
def test_nine_of_ten_seeds_are_scaled_to_the_number_of_seeds(seeds: int, least: int, most: int) -> None:
    first = {seed: np.array([seed >= seeds - least, seed >= seeds - least + 1, True]) for seed in range(seeds)}
    second = {seed: np.array([seed < most, False, seed < most + 1]) for seed in range(seeds)}
    found = disagreement(first, second)
    assert found is not None
    assert found.setting is not None
    assert found.against is not None
    assert (found.least, found.most, found.setting.images, found.against.images) == (least, most, (0,), ())
    assert found.against.p == 1
    if seeds > 12:  # drawn at random, of which the record is one
        assert 0 < found.setting.p * (DRAWN + 1) == round(found.setting.p * (DRAWN + 1))


def test_those_furthest_apart_come_first_and_equal_ones_in_test_order() -> None:
    first = {seed: np.array([seed > 0, True, True]) for seed in range(10)}
    second = {seed: np.array([seed == 0, seed == 0, False]) for seed in range(10)}
    found = disagreement(first, second)
    assert found is not None
    assert found.setting is not None
    assert (found.setting.images, found.setting.right) == ((2, 1, 0), ((10, 0), (10, 1), (9, 1)))


def test_classes_are_corrected_for_their_number() -> None:
    found = disagreement(FIRST, SECOND, lambda seed: CLASSES)
    assert found is not None
    assert [row.number for row in found.classes] == [0, 1, 2]
    for row in found.classes:
        own = row.number == CLASSES
        one, other = ({seed: side[seed][own] for seed in SEEDS} for side in (FIRST, SECOND))
        single = apart(one, other, 0.05 / 3)
        assert (row.images, row.difference, row.p) == (20, single.difference, min(1.0, 3 * single.p))
        assert row.setting.mean == pytest.approx(1 - A[:, own].mean())
        assert row.against.mean == pytest.approx(1 - B[:, own].mean())
        assert row.setting.low < row.setting.mean < row.setting.high
        assert (row.p < 0.05) == (row.difference.low > 0 or row.difference.high < 0)


def test_images_of_a_seeds_own_are_never_compared_over_seeds() -> None:
    labels = {seed: np.roll(CLASSES, seed) for seed in SEEDS}
    found = disagreement(FIRST, SECOND, labels.get, own_images=True)
    assert found is not None
    assert (found.churn, found.setting, found.against) == (None, None, None)
    for row in found.classes:
        errors = [
            [1 - float(side[seed][labels[seed] == row.number].mean()) for seed in SEEDS] for side in (FIRST, SECOND)
        ]
        gaps = [one - other for one, other in zip(*errors, strict=True)]
        assert is_interval(row.setting, errors[0])
        assert (row.difference.low, row.difference.high) == pytest.approx(ends(gaps, 1 - 0.05 / 3))
        assert row.p == pytest.approx(min(1.0, 3 * float(stats.ttest_1samp(gaps, 0).pvalue)))
    assert not disagreement(FIRST, SECOND, {4: CLASSES}.get, own_images=True).classes  # type: ignore[union-attr]


def test_few_seeds_have_no_interval_and_no_one_sided_images() -> None:
    found = disagreement({4: A[0], 5: A[1]}, {4: B[0], 5: B[1]}, lambda seed: CLASSES)
    assert found is not None
    assert (found.setting, found.against) == (None, None)
    assert found.churn is not None
    every = [found.cells.both, found.disagree, found.churn.excess, found.churn.across]
    every += [one for row in found.classes for one in (row.setting, row.against, row.difference)]
    assert not any(one.has_interval for one in every)
    assert all(math.isnan(row.p) for row in found.classes)
    single = disagreement({4: A[0]}, {4: B[0]})
    assert single is not None
    assert single.churn is None


def test_runs_that_cannot_be_compared_say_nothing() -> None:
    assert disagreement({1: A[0]}, {2: B[0]}) is None
    assert disagreement({1: A[0]}, {1: B[0][:-1]}) is None
    assert disagreement({1: A[0][:0]}, {1: B[0][:0]}) is None


def test_settings_that_answer_alike_differ_in_nothing() -> None:
    found = disagreement(FIRST, FIRST, lambda seed: CLASSES)
    assert found is not None
    assert found.setting is not None
    assert (found.disagree.mean, found.setting.images, found.setting.expected, found.setting.p) == (0, (), 0, 1)
    assert found.churn is not None
    assert found.churn.excess.mean <= 0  # a run and itself with another seed are as far apart as two of one setting
    assert [row.p for row in found.classes] == [1, 1, 1]
