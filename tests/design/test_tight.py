from dataclasses import replace
from itertools import product

import pytest

from explorer.design import TEMPLATES, Architecture, Budget, Limit, cost, listed, parse_name, short_name, tighten
from explorer.design.space import DesignSpace

TASK = TEMPLATES["cifar"].task


def budget(tolerance: float = 0.05, reference: str = "29-1x64d") -> Budget:
    own = cost(parse_name(reference), TASK)
    return Budget((Limit("params", own.params, tolerance), Limit("macs", own.macs, tolerance)))


@pytest.mark.parametrize(
    ("rule", "widths", "worst"), [("29-8x14d", (14, 24, 58), 0.0029), ("29-32x4d", (4, 7, 17), 0.0128)]
)
def test_a_width_per_stage_brings_parameters_and_multiply_adds_together(
    rule: str, widths: tuple[int, ...], worst: float
) -> None:
    found = tighten(parse_name(rule), budget(), TASK)
    assert found.bottleneck_widths == widths
    assert float(budget().worst(cost(found, TASK))) == pytest.approx(worst, abs=1e-4)


@pytest.mark.parametrize(
    "rule", ["29-8x14d", "29-16x7d", "29-3x29d", "29-32x4d-preact", "17-6x9d-b1.2.2", "28-1x30d-w40-wide"]
)
@pytest.mark.parametrize("at_most", [False, True])
def test_nothing_within_fifteen_percent_of_the_rule_is_nearer(rule: str, at_most: bool) -> None:
    start = parse_name(rule)
    target = budget(reference=short_name(replace(start, cardinality=1, bottleneck_width=37)))
    if at_most:
        target = Budget(tuple(replace(one, at_most=True) for one in target.limits))
    found = tighten(start, target, TASK)
    options = [
        [width for width in range(1, 400) if abs(width / usual - 1) <= 0.15 + 1e-9]
        for usual in (start.bottleneck_widths)
    ]
    least = min(
        float(target.worst(cost(replace(start, bottleneck_width=widths), TASK))) for widths in product(*options)
    )
    assert float(target.worst(cost(found, TASK))) == pytest.approx(least, abs=1e-12)
    assert all(width in allowed for width, allowed in zip(found.bottleneck_widths, options, strict=True))


def test_a_network_that_is_already_equal_is_left_alone() -> None:
    for name in ("29-1x64d", "50-1x64d"):
        same = parse_name(name)
        task = same.shape.task
        own = cost(same, task)
        assert tighten(same, Budget((Limit("params", own.params, 0.1), Limit("macs", own.macs, 0.1))), task) == same


def test_a_study_can_list_tightly_matched_designs_or_is_told_the_nearest() -> None:
    space = DesignSpace(template="cifar", depth=(29,), width=(256,), cardinality=(1, 8, 32))
    found: tuple[Architecture, ...] = listed(space, budget(0.02), TASK, tight=True)
    assert [short_name(design) for design in found] == ["29-1x64d", "29-8x14.24.58d", "29-32x4.7.17d"]
    with pytest.raises(ValueError, match=r"within 15 % of the doubling rule meet .*; nearest: 29-32x4\.7\.17d"):
        listed(space, budget(0.01), TASK, tight=True)
