import csv
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from explorer.design import Task, cost, parse_name
from explorer.design.cost import block_cost, stage_cost
from explorer.design.layout import layout

GOLDEN = list(csv.DictReader((Path(__file__).parent / "golden.csv").read_text().splitlines()))


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: row["name"])
def test_costs_equal_published_counts(row: dict[str, str]) -> None:
    task = Task(channels=3, image_size=int(row["image_size"]), classes=int(row["classes"]))
    found = cost(parse_name(row["name"]), task)
    for column in ("params", "macs", "activations"):
        if row[column]:
            assert getattr(found, column) == int(row[column])


def test_a_network_is_costed_on_its_templates_own_task_by_default() -> None:
    assert cost(parse_name("50-1x64d")).params == 25_557_032
    assert cost(parse_name("29-32x4d")).params == 4_775_754


@pytest.mark.parametrize(
    ("paths", "weights", "macs"),
    [
        ("1x64", 69632, 218365952),
        ("2x40", 69760, 218767360),
        ("4x24", 69888, 219168768),
        ("8x14", 71456, 224086016),
        ("32x4", 70144, 219971584),
    ],
)
def test_one_block_costs_what_table_2_says(paths: str, weights: int, macs: int) -> None:
    stage = layout(parse_name(f"50-{paths}d"), Task(3, 224, 1000)).stages[0]
    found = block_cost(stage, in_width=256, stride=1, map_size=56)
    batch_norm = 2 * (2 * stage.group_width + 256)
    assert (found.params - batch_norm, found.macs) == (weights, macs)


def test_the_formula_gives_the_same_for_many_designs_at_once() -> None:
    widths = np.arange(1, 200, dtype=np.int64)
    stage = layout(parse_name("29-8x14d"), Task(3, 32, 10)).stages[1]
    at_once = stage_cost(replace(stage, bottleneck_width=cast(Any, widths)))
    one_by_one = [stage_cost(replace(stage, bottleneck_width=int(width))) for width in widths]
    for column in ("params", "macs", "activations"):
        assert list(getattr(at_once, column)) == [getattr(single, column) for single in one_by_one]


def test_cost_grows_with_every_axis() -> None:
    small = cost(parse_name("29-8x14d"))
    for larger in ("38-8x14d", "29-16x14d", "29-8x15d", "29-8x14d-w260", "29-8x14d-k5", "29-8x14.28.57d"):
        assert cost(parse_name(larger)).params > small.params
        assert cost(parse_name(larger)).macs > small.macs


def test_odd_image_sizes_round_maps_up_as_convolutions_do() -> None:
    maps = [stage.map_size for stage in layout(parse_name("29-1x64d"), Task(3, 27, 10)).stages]
    assert maps == [27, 27, 14]


def test_without_shortcuts_only_the_projections_are_saved() -> None:
    with_them, without = cost(parse_name("29-32x4d")), cost(parse_name("29-32x4d-plain"))
    projections = sum(inside * outside + 2 * outside for inside, outside in ((64, 256), (256, 512), (512, 1024)))
    assert with_them.params - without.params == projections


def test_pre_activation_moves_batch_norms_and_no_convolution() -> None:
    post, pre = cost(parse_name("50-32x4d")), cost(parse_name("50-32x4d-preact"))
    assert (post.macs, post.activations) == (pre.macs, pre.activations)
    # Batch norms after the last 1x1 and the projection go; one before the first 1x1 and one before the pooling come.
    gone = 2 * (3 * 256 + 4 * 512 + 6 * 1024 + 3 * 2048 + 256 + 512 + 1024 + 2048)
    come = 2 * (2 * 256 + 256 + 3 * 512 + 512 + 5 * 1024 + 1024 + 2 * 2048 + 2048)
    assert pre.params - post.params == come - gone


@pytest.mark.parametrize(
    ("name", "size", "problem"),
    [
        ("29-32x4d", 3, "image_size 3 is below template cifar's total stride, 4"),
        ("29-32x4d", 4, "kernel_size 3 is too large for maps of 1 pixels"),
        ("29-32x4d-k5", 8, "kernel_size 5 is too large for maps of 2 pixels.*allowed: up to 3"),
        ("29-4x8d-inception", 8, "kernel_size 5 is too large for maps of 2 pixels"),
        ("8-2x12d-alexnet_cifar", 14, "image_size 14 is too small .* 15 pixels or more"),
        ("alexnet", 62, "image_size 62 is too small .* 63 pixels or more"),
    ],
)
def test_images_too_small_for_a_network_are_refused(name: str, size: int, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        cost(parse_name(name), Task(1, size, 10))


def test_the_smallest_images_that_alexnets_layers_take_are_as_the_refusal_says() -> None:
    assert cost(parse_name("8-2x12d-alexnet_cifar"), Task(1, 15, 10)).params > 0
    assert cost(parse_name("alexnet"), Task(1, 63, 10)).params > 0
