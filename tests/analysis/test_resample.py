"""The interval over seeds and test images together, and the verdicts that it confines to this test set."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from explorer.analysis.finding import find
from explorer.analysis.intervals import Estimate, estimate
from explorer.analysis.judging import open_study
from explorer.analysis.paired import paired_p
from explorer.analysis.seeds_and_images import with_images
from explorer.analysis.sentences import sentence
from tests.analysis.test_statistics import R, X, frame

STUDIES = Path(__file__).parents[2] / "studies"
Right = dict[int, npt.NDArray[np.bool_]]


def bits(wrong: npt.NDArray[np.bool_]) -> Right:
    """Which images each seed got right, from which it got wrong: `(seeds, images)`."""
    return {seed: ~row for seed, row in enumerate(wrong)}


def judged(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> Estimate:
    found = with_images(bits(first), bits(second))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("equal_params_cifar10_jpeg", -2.58, -1.96),
        ("equal_params_tiny_imagenet_32px", -2.64, -1.93),
        ("cardinality_or_width_cifar10_jpeg", -3.20, -1.29),
    ],
)
def test_the_recorded_contrasts_hold_for_other_test_images_too(name: str, low: float, high: float) -> None:
    found_study = open_study(STUDIES / name)
    finding = found_study.finding
    found, alone = finding.with_images, finding.comparison
    assert found is not None
    assert alone is not None
    assert (round(100 * found.low, 2), round(100 * found.high, 2)) == (low, high)
    assert found.mean == pytest.approx(alone.difference.mean, abs=1e-9)
    assert not finding.on_this_test_set
    assert "on this test set" not in sentence(finding)


def test_the_interval_is_that_of_two_crossed_random_effects() -> None:
    # Differences (second row: the first setting alone is wrong on the first image, the second alone on the third).
    apart = np.array([[1, 1, 0, 0], [1, 0, -1, 0], [1, 1, 0, 1]])
    found = with_images(bits(apart == 1), bits(apart == -1), 0.5)
    assert found is not None
    # By hand: grand mean 5/12, rows 1/2, 0, 3/4, columns 1, 2/3, -1/3, 1/3.
    of_seeds = 4 * ((1 / 2 - 5 / 12) ** 2 + (5 / 12) ** 2 + (3 / 4 - 5 / 12) ** 2) / 2
    of_images = 3 * ((1 - 5 / 12) ** 2 + (2 / 3 - 5 / 12) ** 2 + (1 / 3 + 5 / 12) ** 2 + (1 / 3 - 5 / 12) ** 2) / 3
    residual = (7 - 12 * (5 / 12) ** 2 - 2 * of_seeds - 3 * of_images) / 6
    assert of_images > residual
    half = 0.816496581 * math.sqrt((of_seeds + of_images - residual) / 12)  # Student, 75 %, two degrees of freedom
    assert (found.n, found.mean) == (3, pytest.approx(5 / 12))
    assert (found.low, found.high) == (pytest.approx(5 / 12 - half), pytest.approx(5 / 12 + half))


def test_the_interval_is_never_narrower_than_that_over_seeds_alone() -> None:
    rng = np.random.default_rng(5)
    wider = 0
    for _ in range(40):  # without any effect of images the closed form falls below it half of the time
        first, second = rng.random((6, 60)) < 0.3, rng.random((6, 60)) < 0.2
        found, alone = judged(first, second), estimate(first.mean(axis=1) - second.mean(axis=1))
        assert found.low <= alone.low + 1e-12
        assert found.high >= alone.high - 1e-12
        wider += found.high > alone.high + 1e-9
    assert 8 < wider < 32


def world(
    rng: np.random.Generator, seeds: int, images: int, gap: float, by_image: float
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """What two settings get wrong: their images have a common difficulty, and the gap may vary from image to image."""
    difficulty = rng.uniform(0.3, 0.7, images)
    gaps = gap + by_image * rng.choice([-1.0, 1.0], images)
    first, second = (rng.normal(0, 0.004, (seeds, 1)) for _ in range(2))
    return rng.random((seeds, images)) < difficulty + gaps + first, rng.random((seeds, images)) < difficulty + second


@pytest.mark.parametrize(("by_image", "alone_at_most"), [(0.0, 0.98), (0.25, 0.92)])
def test_the_interval_covers_what_other_seeds_and_images_would_give(by_image: float, alone_at_most: float) -> None:
    rng, gap, draws = np.random.default_rng(1), -0.01, 600
    inside = alone = 0
    for _ in range(draws):
        first, second = world(rng, 6, 360, gap, by_image)
        found, seeds = judged(first, second), estimate(first.mean(axis=1) - second.mean(axis=1))
        inside += found.low <= gap <= found.high
        alone += seeds.low <= gap <= seeds.high
    assert 0.93 <= inside / draws <= 0.985
    assert 0.90 * (by_image == 0) <= alone / draws <= alone_at_most  # that over seeds misses what images add


def test_a_small_study_is_rarely_confined_to_its_test_set_where_images_add_nothing() -> None:
    """200 decided verdicts of 6 seeds and 360 images: a bootstrap of both at once confines 180 of them, for nothing."""
    rng, decided, confined = np.random.default_rng(2), 0, 0
    while decided < 200:
        first, second = world(rng, 6, 360, -0.04, 0.0)
        if paired_p(first.mean(axis=1) - second.mean(axis=1)) < 0.05:
            decided += 1
            found = judged(first, second)
            confined += found.low <= 0 <= found.high
    assert confined <= 10


def study(apart: npt.NDArray[np.int_], **changes: object) -> tuple[pd.DataFrame, Right]:
    """A record of settings X and R in which only X (1) or only R (-1) got an image wrong, and the bits of its runs."""
    wrong = {X: apart == 1, R: apart == -1}
    runs = frame({name: rows.mean(axis=1).tolist() for name, rows in wrong.items()}, **changes)
    return runs, {f"{name}/{seed}": ~row for name, rows in wrong.items() for seed, row in enumerate(rows)}  # type: ignore[misc]


# All six seeds of X are wrong on the same five images of 200, and one more image each: seeds hardly vary, images do.
FEW_IMAGES = np.zeros((6, 200), dtype=int)
FEW_IMAGES[:, :4] = 1
FEW_IMAGES[np.arange(3), 10 + np.arange(3)] = 1


def test_images_of_a_seeds_own_are_in_its_interval_and_have_none_beside_it() -> None:
    runs, right = study(FEW_IMAGES)
    crossed = find(runs, [R, X], (X, R), 6, right=right, own_splits=True)  # type: ignore[arg-type]
    nested = find(runs, [R, X], (X, R), 6, right=right, own_splits=True, own_images=True)  # type: ignore[arg-type]
    assert (crossed.with_images is None, nested.with_images is None) == (False, True)
    assert (crossed.on_this_test_set, nested.on_this_test_set) == (True, False)
    for found in (crossed, nested):
        assert "n = 6 paired seeds, each with a split of its own, p < " in sentence(found)
    assert "split" not in sentence(find(runs, [R, X], (X, R), 6, right=right))  # type: ignore[arg-type]


def test_a_difference_is_told_of_the_sets_own_test_images_and_of_those_left_over_alone() -> None:
    """X alone is wrong on all of the first 40 images and on half of the last 160."""
    apart = np.zeros((6, 200), dtype=int)
    apart[:, :40] = 1
    apart[:, 120:] = 1
    apart[0, 0] = 0
    runs, right = study(apart)
    found = find(runs, [R, X], (X, R), 6, right=right, rest_images=160)  # type: ignore[arg-type]
    assert found.by_part is not None
    own, rest = found.by_part
    assert (own.mean, rest.mean) == (pytest.approx(239 / 240), pytest.approx(0.5))
    assert own.low < own.mean < own.high
    assert found.comparison is not None
    assert (own.mean * 40 + rest.mean * 160) / 200 == pytest.approx(found.comparison.difference.mean)
    assert find(runs, [R, X], (X, R), 6, right=right).by_part is None  # type: ignore[arg-type]
    runs.loc[0, "status"] = "diverged"
    assert find(runs, [R, X], (X, R), 6, right=right, rest_images=160).by_part is None  # type: ignore[arg-type]


def test_a_verdict_that_hangs_on_few_images_is_one_on_this_test_set() -> None:
    runs, right = study(FEW_IMAGES)
    found = find(runs, [R, X], (X, R), 6, right=right)  # type: ignore[arg-type]
    assert found.comparison is not None
    assert found.comparison.verdict == "loses to"
    assert found.with_images is not None
    assert found.with_images.low <= 0 < found.comparison.difference.low
    assert "loses to ResNet-29 (1x64d) on this test set" in sentence(found)


def test_with_several_looks_the_images_are_judged_at_the_level_of_the_verdict() -> None:
    runs, right = study(FEW_IMAGES)
    plain, third = (find(runs, [R, X], (X, R), 6, right=right, alpha=alpha) for alpha in (0.05, 0.05 / 3))  # type: ignore[arg-type]
    assert plain.with_images is not None
    assert third.with_images is not None
    from scipy import stats

    wider = stats.t.ppf(1 - 0.025 / 3, 5) / stats.t.ppf(0.975, 5)
    ratio = (third.with_images.mean - third.with_images.low) / (plain.with_images.mean - plain.with_images.low)
    assert ratio == pytest.approx(wider)


def test_images_are_not_judged_where_a_pair_has_a_run_that_did_not_come_through() -> None:
    runs, right = study(FEW_IMAGES)
    runs.loc[(runs["setting"] == R) & (runs["seed"] == 2), "status"] = "diverged"
    found = find(runs, [R, X], (X, R), 6, right=right)  # type: ignore[arg-type]
    assert found.comparison is not None
    assert found.comparison.difference.n == 6
    assert found.with_images is None


def test_one_seed_or_other_images_have_no_interval_over_both() -> None:
    rng = np.random.default_rng(0)
    three, one = rng.random((3, 50)) < 0.5, rng.random((1, 50)) < 0.5
    assert with_images(bits(one), bits(one)) is None
    assert with_images(bits(three), bits(three[:, :40])) is None
    assert with_images(bits(three[:, :1]), bits(three[:, :1])) is None
    same = judged(three, three)
    assert (same.mean, same.has_interval) == (0.0, False)
