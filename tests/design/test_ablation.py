"""Paths from one design to another at one budget."""

import pytest

from explorer.design import Budget, Limit, Task, cost, parse_name, short_name
from explorer.design.ablation import ablation_path

TASK = Task(channels=3, image_size=32, classes=10)
PLAIN = parse_name("29-1x64d")


def budget(tolerance: float = 0.05) -> Budget:
    return Budget((Limit("params", cost(PLAIN, TASK).params, tolerance),))


def test_each_step_changes_one_axis_and_meets_the_budget_again() -> None:
    end = parse_name("20-32x4d-w320")
    steps = ablation_path(PLAIN, end, budget(0.35), TASK)
    assert [step.axis for step in steps] == ["", "depths", "width", "cardinality"]
    assert (steps[0].architecture, steps[-1].architecture) == (PLAIN, end)
    assert [step.architecture.depth for step in steps] == [29, 20, 20, 20]
    assert [step.architecture.widths[0] for step in steps] == [256, 256, 320, 320]
    assert [step.architecture.cardinality for step in steps] == [1, 1, 1, 32]
    # Fewer layers buy a wider path, a wider network takes it back.
    widths = [step.architecture.bottleneck_widths[0] for step in steps]
    assert 64 < widths[2] < widths[1]
    assert all(step.cost == cost(step.architecture, TASK) for step in steps)
    assert all(step.deviation <= 0.05 for step in steps[:-1])


def test_another_order_is_another_path_with_the_same_ends() -> None:
    end = parse_name("20-32x4d-w320")
    first = ablation_path(PLAIN, end, budget(0.35), TASK)
    other = ablation_path(PLAIN, end, budget(0.35), TASK, order=("cardinality", "width", "depths"))
    assert (first[0], first[-1].architecture) == (other[0], other[-1].architecture)
    assert short_name(other[1].architecture) == "29-32x4d"  # the ResNeXt of the paper, solved to its ResNet
    assert not {step.architecture for step in first[1:-1]} & {step.architecture for step in other[1:-1]}


def test_designs_that_differ_in_paths_alone_are_one_step_apart() -> None:
    (start, end) = ablation_path(PLAIN, parse_name("29-32x4d"), budget(), TASK)
    assert (start.axis, end.axis) == ("", "cardinality")
    assert ablation_path(PLAIN, PLAIN, budget(), TASK) == (start,)
    assert [step.axis for step in ablation_path(PLAIN, parse_name("29-1x60d"), budget(), TASK)] == [
        "",
        "bottleneck_width",
    ]


@pytest.mark.parametrize(
    ("end", "order", "words"),
    [("20-32x4d", ("cardinality",), "lacks depths"), ("299-32x4d", ("depths", "cardinality"), "no bottleneck width")],
)
def test_a_path_that_cannot_be_walked_says_why(end: str, order: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ablation_path(PLAIN, parse_name(end), budget(0.001), TASK, order=order)
