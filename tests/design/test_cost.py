import csv
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from explorer.design import Task, cost, parse_name
from explorer.design.architecture import stages
from explorer.design.cost import block_cost, stage_cost

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
    stage = stages(parse_name(f"50-{paths}d"), Task(3, 224, 1000))[0]
    found = block_cost(stage, in_width=256, stride=1, map_size=56)
    batch_norm = 2 * (2 * stage.group_width + 256)
    assert (found.params - batch_norm, found.macs) == (weights, macs)


def test_the_formula_gives_the_same_for_many_designs_at_once() -> None:
    widths = np.arange(1, 200, dtype=np.int64)
    stage = stages(parse_name("29-8x14d"), Task(3, 32, 10))[1]
    at_once = stage_cost(replace(stage, group_width=cast(Any, 8 * widths)))
    one_by_one = [stage_cost(replace(stage, group_width=8 * int(width))) for width in widths]
    for column in ("params", "macs", "activations"):
        assert list(getattr(at_once, column)) == [getattr(single, column) for single in one_by_one]


def test_cost_grows_with_every_axis() -> None:
    small = cost(parse_name("29-8x14d"))
    for larger in ("38-8x14d", "29-16x14d", "29-8x15d", "29-8x14d-w260", "29-8x14d-k5"):
        assert cost(parse_name(larger)).params > small.params
        assert cost(parse_name(larger)).macs > small.macs


def test_odd_image_sizes_round_maps_up_as_convolutions_do() -> None:
    maps = [stage.map_size for stage in stages(parse_name("29-1x64d"), Task(3, 27, 10))]
    assert maps == [27, 27, 14]
