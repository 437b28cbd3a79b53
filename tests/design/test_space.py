from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from explorer.design import (
    AnyNetX,
    Budget,
    DesignSpace,
    Limit,
    NamedSpace,
    RegNetX,
    Task,
    cost,
    listed,
    parse_name,
    scan,
    short_name,
)
from explorer.design.cost import attention_cost
from explorer.design.layout import layout
from explorer.design.ranges import Range, RealRange, rising, whole_values
from explorer.design.space import compatible

TASK = Task(3, 32, 10)
# pycls, model_complexity.json and configs/dds_baselines/regnetx: depth, w_0, w_a, w_m, group width; parameters,
# multiply-adds and activations, here without the bias and the outputs of the classifier.
REGNETS = [
    ("200MF", 13, 24, 36.44, 2.49, 8, 2684792, 199039872, 2163056),
    ("400MF", 22, 24, 24.48, 2.54, 16, 5157512, 397677568, 3142272),
    ("600MF", 16, 48, 36.97, 2.24, 24, 6196040, 600890112, 3974096),
    ("800MF", 16, 56, 35.73, 2.28, 16, 7259656, 799699712, 5147744),
    ("1.6GF", 18, 80, 34.01, 2.25, 24, 9190136, 1602849792, 7932512),
    ("3.2GF", 25, 88, 26.31, 2.25, 48, 15296552, 3176621952, 11366432),
    ("4.0GF", 23, 96, 38.65, 2.43, 40, 22118248, 3964498816, 12200608),
    ("6.4GF", 17, 184, 60.83, 2.07, 56, 26209256, 6460291264, 16368744),
    ("8.0GF", 23, 80, 49.56, 2.88, 120, 39572648, 7995132416, 14058688),
    ("12GF", 19, 168, 73.36, 2.37, 112, 46106056, 12086678016, 21365568),
    ("16GF", 22, 216, 55.59, 2.1, 128, 54278536, 15940755456, 25514496),
    ("32GF", 23, 320, 69.86, 2.0, 168, 107811560, 31735929792, 36301160),
]


def family(**changes: Any) -> DesignSpace:
    return DesignSpace(**{"template": "cifar", "depth": (29,), "width": (256,), "cardinality": (1, 32), **changes})


def anynet(**changes: Any) -> AnyNetX:
    axes = {"depth": (1, 2), "width": (8, 24, 40), "bottleneck_ratio": (1, 2), "group_width": (1, 4, 16)}
    return AnyNetX(**{"template": "regnet_cifar", **axes, **changes})


def names(space: Any, budget: Budget | None = None) -> list[str]:
    return [short_name(design) for design in listed(space, budget, TASK)]


def test_the_solved_axis_meets_the_budget_at_every_combination() -> None:
    budget = Budget((Limit("params", cost(parse_name("29-1x64d"), TASK).params, 0.06),))
    found = listed(family(depth=(20, 29), cardinality=(1, 4, 32)), budget, TASK)
    assert len(found) == 6
    assert all(budget.within(cost(design, TASK)) for design in found)


def test_listed_widths_are_combined_with_every_cardinality() -> None:
    assert names(family(bottleneck_width=(4, 64))) == ["29-1x4d", "29-1x64d", "29-32x4d", "29-32x64d"]


def test_a_group_width_is_shared_out_among_the_paths() -> None:
    assert names(family(group_width=(128,), cardinality=(1, 2, 32))) == ["29-1x128d", "29-2x64d", "29-32x4d"]


def test_blocks_and_shortcuts_are_axes_too() -> None:
    space = family(block=("bottleneck", "preact"), shortcut=(True, False), bottleneck_width=(4,), cardinality=(2,))
    assert names(space) == ["29-2x4d", "29-2x4d-plain", "29-2x4d-preact", "29-2x4d-preact-plain"]


def test_neighbours_are_listed_by_name_and_solved_one_by_one() -> None:
    listing = ("29-1x64d", "wrn-16-10", "29-4x1d-inception", "29-32x1d-preact", "8-2x9d-alexnet_cifar", "29-2x1d-plain")
    budget = Budget((Limit("params", cost(parse_name("29-1x64d"), TASK).params, 0.03),))
    found = listed(NamedSpace(listing), budget, TASK)
    assert [design.block for design in found] == [
        "bottleneck",
        "preact_basic",
        "inception",
        "preact",
        "alexnet",
        "bottleneck",
    ]
    assert all(budget.within(cost(design, TASK)) for design in found)
    as_named = NamedSpace(("29-8x14.24.58d", "wrn-16-4"), bottleneck_width="named")
    assert names(as_named) == ["29-8x14.24.58d", "16-1x64d-w64-wide"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"template": "tiny"}, "template 'tiny' is unknown; allowed: imagenet, imagenet_basic, cifar"),
        ({"block": ("cube",)}, "block 'cube' is unknown; allowed: bottleneck"),
        ({"depth": (21,)}, "depth 21 is not one of template cifar's"),
        ({"cardinality": ()}, "cardinality is empty"),
        ({"cardinality": (0,)}, "cardinality must be at least 1, not 0"),
        ({"cardinality": (2, 2)}, "names a value twice"),
        ({"width": (30,)}, "width 30: must be a positive multiple of 4"),
        ({"kernel_size": (4,)}, "kernel_size must be odd"),
        ({"bottleneck_width": (-1,)}, "bottleneck_width must be at least 1"),
        ({"group_width": (0,)}, "group_width must be at least 1"),
        ({"group_width": (128,), "bottleneck_width": (4,)}, "both given"),
        (
            {"group_width": (128,), "cardinality": (1, 3)},
            "cardinality 3 does not divide group_width 128; allowed: 1, 2",
        ),
        ({"shortcut": ()}, "shortcut is empty"),
        ({"stem": ("wide",)}, "stem 'wide' is unknown; allowed: plain, deep"),
        ({"stem": ("deep",), "width": (256, 4)}, "has to make this number even, and 4 does not"),
        ({"projection": ("conv", "mean")}, "projection 'mean' is unknown; allowed: conv, pool, pad"),
        ({"projection": ("pool",), "shortcut": (True, False)}, "projection pool: without shortcuts there is none"),
        ({"attention": ("se",)}, "attention 'se' is unknown; allowed: none, se16 or another ratio"),
        ({"scale": (1, 0)}, "scale must be at least 1, not 0"),
        ({"scale": (2,), "block": ("preact",)}, "scale 2 with block preact: allowed is block bottleneck"),
        ({"attention": ("none", "none")}, "attention .* names a value twice"),
    ],
)
def test_a_space_that_cannot_be_built_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        family(**changes)


def test_images_smaller_than_the_total_stride_are_refused() -> None:
    with pytest.raises(ValueError, match="image_size 3 is below template cifar's total stride, 4"):
        scan(family(), Budget((Limit("params", 5, 0.1),)), Task(1, 3, 10), np.random.default_rng(0))


def test_a_range_holds_both_ends_and_is_refused_where_it_makes_no_sense() -> None:
    assert whole_values("a", Range(3, 11, step=4)) == (3, 7, 11)
    assert whole_values("a", Range(1, 40, factor=3)) == (1, 3, 9, 27)
    assert RealRange(2, 2.3, 0.1).values == (2.0, 2.1, 2.2, 2.3)
    with pytest.raises(ValueError, match="values; allowed are 1,000,000; choose a larger step"):
        RealRange(0, 2, 1e-6)
    for make, problem in (
        (lambda: Range(5, 4), "low <= high"),
        (lambda: Range(1, 4, step=0), "step and factor at least 1"),
        (lambda: Range(0, 4, factor=2), "with a factor low at least 1"),
        (lambda: Range(1, 9, step=2, factor=2), "both given"),
        (lambda: Range(1, 10**9), "1,000,000,000 values"),
        (lambda: RealRange(1, 2, 0), "step above 0"),
        (lambda: RealRange(1, float("nan"), 0.1), "low <= high"),
    ):
        with pytest.raises(ValueError, match=problem):
            make()


def test_anynetx_of_the_regnet_paper_has_its_size_to_the_last_point() -> None:
    axes: dict[str, Any] = {
        "template": "regnet",
        "depth": Range(1, 16),
        "width": Range(8, 1024, step=8),
        "bottleneck_ratio": (1, 2, 4),
        "group_width": Range(1, 32, factor=2),
    }
    (part,) = AnyNetX(**axes).parts
    assert part.size == (16 * 128 * 3 * 6) ** 4 == 1_846_757_322_198_614_016
    (shared,) = AnyNetX(**axes, shared=("bottleneck_ratio", "group_width")).parts
    assert shared.size == (16 * 128) ** 4 * 3 * 6
    (sorted_widths,) = AnyNetX(**axes, shared=("bottleneck_ratio", "group_width"), rising=("width", "depth")).parts
    assert sorted_widths.size == (131 * 130 * 129 * 128 // 24) * (19 * 18 * 17 * 16 // 24) * 3 * 6


def test_every_stage_of_anynetx_has_its_own_axes_and_paths_that_divide_its_width() -> None:
    found = listed(anynet(), None, TASK)
    size = (2 * 3 * 2 * 3) ** 2
    assert len(set(found)) == len(found) < size  # points that are adjusted to the same network come once
    for design in found:
        for width, cardinality, path in zip(design.widths, design.cardinalities, design.bottleneck_widths, strict=True):
            assert width in (cardinality * path, 2 * cardinality * path)
    assert {design.depths for design in found} == {(1, 1), (1, 2), (2, 1), (2, 2)}


def test_rising_axes_never_fall_and_shared_ones_are_equal() -> None:
    found = listed(
        anynet(rising=("width", "depth"), shared=("group_width", "bottleneck_ratio"), group_width=(4,)), None, TASK
    )
    assert found
    assert all(design.depths[0] <= design.depths[1] for design in found)
    assert all(design.widths[0] <= design.widths[1] for design in found)
    assert all(design.bottleneck_widths == (4, 4) for design in found)
    table = rising(("a", "b", "c"), (3, 1, 2)).table
    assert len(table) == 10
    assert (np.diff(table, axis=1) >= 0).all()


@pytest.mark.parametrize("row", REGNETS, ids=lambda row: row[0])
def test_regnets_have_the_published_costs(row: tuple[Any, ...]) -> None:
    _, depth, initial_width, slope, multiplier, group_width, *counts = row
    space = RegNetX("regnet", (depth,), (initial_width,), (slope,), (multiplier,), (1,), (group_width,))
    (design,) = listed(space, None, Task(3, 224, 1000))
    own = cost(design)
    assert [own.params, own.macs, own.activations] == counts
    assert sum(design.depths) == depth


# pycls, model_complexity.json and configs/dds_baselines/regnety, in the same order; as pycls counts: with the biases of
# convolutions, and with those and the outputs of the classifier.
REGNETYS = [
    ("200MF", 13, 24, 36.44, 2.49, 8, 3162996, 199519076, 2168052),
    ("400MF", 16, 48, 27.89, 2.09, 8, 4344144, 401849056, 3892496),
    ("600MF", 15, 48, 32.54, 2.32, 16, 6055160, 601227608, 4334296),
    ("800MF", 14, 56, 38.84, 2.4, 16, 6263168, 797183328, 5249888),
    ("1.6GF", 27, 48, 20.71, 2.65, 24, 11202430, 1612087326, 8044814),
    ("3.2GF", 21, 80, 42.63, 2.66, 24, 19436338, 3176496162, 11263418),
    ("4.0GF", 22, 96, 31.41, 2.24, 64, 20646656, 3973301344, 12287200),
    ("6.4GF", 25, 112, 33.22, 2.27, 72, 30583252, 6355221876, 16407188),
    ("8.0GF", 17, 192, 76.82, 2.19, 56, 39180068, 7963074196, 17968916),
    ("12GF", 19, 168, 73.36, 2.37, 112, 51822544, 12092395504, 21384496),
    ("16GF", 18, 200, 106.23, 2.48, 112, 83590140, 15911534044, 23041228),
    ("32GF", 20, 232, 115.89, 2.53, 232, 145046770, 32279583362, 30261570),
]


@pytest.mark.parametrize("row", REGNETYS, ids=lambda row: row[0])
def test_regnets_with_squeeze_and_excitation_have_the_published_costs_and_names(row: tuple[Any, ...]) -> None:
    size, depth, initial_width, slope, multiplier, group_width, *counts = row
    axes = ((depth,), (initial_width,), (slope,), (multiplier,), (1,), (group_width,))
    (design,) = listed(RegNetX("regnet", *axes, attention="semid4"), None, Task(3, 224, 1000))
    assert parse_name(f"RegNetY-{size}") == design
    own, biases = cost(design), 1000
    for stage in layout(design, Task(3, 224, 1000)).stages:  # as many biases as channels that the convolutions give
        first = attention_cost(stage, stage.in_width).activations
        biases += first + attention_cost(stage, stage.width).activations * (stage.depth - 1)
    assert [own.params, own.macs + biases, own.activations + 1000] == counts


def test_a_line_with_another_number_of_stages_is_no_network() -> None:
    space = RegNetX("regnet_cifar", (3,), (8,), (0.0, 8.0), (2.5,), (1,), (8,))
    task = TASK
    found = scan(space, None, task, np.random.default_rng(0))
    assert (found.size, found.feasible) == (2, 1)  # without a slope all blocks are equally wide: one stage
    with pytest.raises(ValueError, match="none of its 1 points is a network"):
        listed(replace(space, slope=(0.0,)), None, task)


def test_paths_are_adjusted_to_divide_the_width_as_in_the_regnet_paper() -> None:
    def adjusted(width: int, ratio: int, group_width: int) -> tuple[int, ...]:
        return tuple(int(found[0]) for found in compatible(*(np.array([n]) for n in (width, ratio, group_width))))

    assert adjusted(64, 1, 16) == (64, 4, 16)
    assert adjusted(24, 1, 16) == (32, 2, 16)  # 1.5 groups: half to even
    assert adjusted(40, 1, 16) == (32, 2, 16)
    assert adjusted(8, 4, 32) == (8, 1, 2)  # the middle convolution has only 2 channels
    assert adjusted(256, 2, 4) == (256, 32, 4)  # the bottleneck of a ResNeXt


@pytest.mark.parametrize(
    ("space", "problem"),
    [
        (lambda: anynet(template="alexnet"), "template alexnet has no stages to vary"),
        (lambda: anynet(kernel_size=(2,)), "kernel_size must be odd"),
        (lambda: anynet(width=(0, 8)), "width must be at least 1, not 0"),
        (lambda: anynet(shared=("width",), rising=("width",)), "width is both shared and rising"),
        (lambda: anynet(template="regnet", width=Range(1, 2000), rising=("width",)), "rising sequences; allowed are"),
        (lambda: anynet(template="cifar", width=(10,)), "width 10: must be a multiple of 4"),
        (lambda: RegNetX("regnet", (12,), (12,), (1,), (2,), (1,), (8,)), "initial_width 12: must be a multiple of 8"),
        (lambda: RegNetX("regnet", (12,), (8,), (-1,), (2,), (1,), (8,)), "slope must be at least 0, not -1"),
        (lambda: RegNetX("regnet", (12,), (8,), (1,), (1,), (1,), (8,)), "multiplier must be above 1, not 1"),
        (lambda: RegNetX("regnet", (2000,), (8,), (1,), (2,), (1,), (8,)), "depth 2000: allowed are up to 1000"),
        (lambda: anynet(projection="pad"), "projection pad: widths of stages may fall here"),
        (lambda: anynet(template="cifar", stem="deep"), "stem deep: the stem of template cifar is a part of a width"),
        (lambda: anynet(attention="se"), "attention 'se' is unknown"),
        (lambda: NamedSpace(("29-1x64d", "29-1x64d-w256")), "29-1x64d and 29-1x64d-w256 are the same network"),
        (lambda: NamedSpace(()), "architecture is empty"),
    ],
)
def test_other_spaces_that_cannot_be_built_are_refused(space: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        space()


def test_costs_that_could_leave_64_bits_are_refused() -> None:
    space = family(bottleneck_width=(10**6,), cardinality=(10**3,))
    with pytest.raises(ValueError, match=r"29-1000x1000000d would cost more than 2\^62; give smaller values"):
        scan(space, None, TASK, np.random.default_rng(0))


def test_more_designs_than_a_study_can_list_are_refused() -> None:
    with pytest.raises(ValueError, match="holds 64,000 points; a study lists at most 10,000; choose search=uniform"):
        listed(family(cardinality=Range(1, 64), bottleneck_width=Range(1, 1000)), None, TASK)
