from typing import Any

import pytest

from explorer.design import Budget, DesignSpace, Task, cost, designs, parse_name, short_name

TASK = Task(3, 32, 10)


def space(**changes: Any) -> DesignSpace:
    return DesignSpace(**{"template": "cifar", "depth": (29,), "width": (256,), "cardinality": (1, 32), **changes})


def names(designed: DesignSpace, budget: Budget | None = None) -> list[str]:
    return [short_name(design) for design in designs(designed, budget, TASK)]


def test_the_solved_axis_meets_the_budget_at_every_combination() -> None:
    budget = Budget("params", cost(parse_name("29-1x64d"), TASK).params, 0.06)
    found = designs(space(depth=(20, 29), cardinality=(1, 4, 32)), budget, TASK)
    assert len(found) == 6
    assert all(abs(cost(design, TASK).params / budget.target - 1) <= 0.06 for design in found)


def test_listed_widths_are_combined_with_every_cardinality() -> None:
    assert names(space(bottleneck_width=(4, 64))) == ["29-1x4d", "29-1x64d", "29-32x4d", "29-32x64d"]


def test_a_group_width_is_shared_out_among_the_paths() -> None:
    assert names(space(group_width=(128,), cardinality=(1, 2, 32))) == ["29-1x128d", "29-2x64d", "29-32x4d"]


def test_a_cardinality_that_does_not_divide_the_group_width_is_refused() -> None:
    with pytest.raises(ValueError, match="cardinality 3 does not divide group_width 128; allowed: 1, 2, 4, 8, 16"):
        names(space(group_width=(128,), cardinality=(1, 3)))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"template": "tiny"}, "template 'tiny' is unknown; allowed: imagenet, cifar, small"),
        ({"depth": (21,)}, "depth 21 is not one of template cifar's"),
        ({"cardinality": ()}, "cardinality is empty"),
        ({"cardinality": (0,)}, "cardinality must be at least 1, not 0"),
        ({"cardinality": (2, 2)}, "names a value twice"),
        ({"width": (30,)}, "width 30: must be a positive multiple of 4"),
        ({"kernel_size": (4,)}, "kernel_size must be odd"),
        ({"bottleneck_width": (-1,)}, "bottleneck_width must be at least 1"),
        ({"group_width": (0,)}, "group_width must be at least 1"),
        ({"group_width": (128,), "bottleneck_width": (4,)}, "both given"),
    ],
)
def test_a_space_that_cannot_be_built_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        space(**changes)


def test_images_smaller_than_the_total_stride_are_refused() -> None:
    with pytest.raises(ValueError, match="image_size 3 is below template cifar's total stride, 4"):
        cost(parse_name("29-1x64d"), Task(1, 3, 10))
