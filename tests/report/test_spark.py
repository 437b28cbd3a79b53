import re
from itertools import pairwise

import pytest

from explorer.analysis.finding import Finding, find
from explorer.host.formatting import counted
from explorer.report.panel import GREY, PALETTE
from explorer.report.spark import MOST_KEYED, MOST_POINTS, Spark, spark_of
from explorer.report.svg import SMALL, small_svg
from tests.analysis.test_statistics import R, X, frame
from tests.report.test_page import HOSTILE


def listed(errors: dict[str, list[float]]) -> Finding:
    runs = frame(errors)
    runs["cardinality"] = [int(re.split("[-x]", setting)[1]) for setting in runs["setting"]]
    return find(runs, list(errors), None, seeds=9)


def spark(finding: Finding) -> Spark:
    found = spark_of(finding)
    assert found is not None
    return found


def test_listed_settings_are_drawn_against_cardinality_with_their_intervals() -> None:
    several = {"29-1x64d": [0.06, 0.08, 0.06, 0.08, 0.07], "29-4x24d": [0.05, 0.07, 0.05, 0.07, 0.06]}
    found = spark(listed({**several, "29-32x4d": [0.05]}))
    line, low, high, dots = found.panel.marks
    assert (line.x, line.y) == ([1, 4, 32], [pytest.approx(0.07), pytest.approx(0.06), 0.05])
    assert low.x == [1, 1]
    assert low.y[0] < 0.06 < 0.08 < low.y[1]
    assert high.x == [4, 4]
    assert dots.y == line.y
    assert found.panel.title == (
        "Mean test error against cardinality: 7.00 % at 1, 6.00 % at 4, 5.00 % at 32; bars: 95 % intervals, "
        "n = 1 to 5 seeds for each."
    )
    few = spark(listed({"29-1x64d": [0.06, 0.08], "29-4x24d": [0.05, 0.07]}))  # fewer than five claim no interval
    assert [mark.kind for mark in few.panel.marks] == ["line", "dots"]
    assert found.key == []


def test_one_of_a_thing_is_told_in_the_singular() -> None:
    assert [counted(number, "run") for number in (0, 1, 2, 1234)] == ["0 runs", "1 run", "2 runs", "1,234 runs"]
    runs = frame({R: [0.1, 0.1, 0.1], X: [0.1, 0.1, 0.1]})
    runs["cardinality"] = [32 if setting == X else 1 for setting in runs["setting"]]
    for lost, words in ((1, "n = 3 seeds, 1 run as chance for each."), (2, "n = 3 seeds, 2 runs as chance for each.")):
        runs.loc[: lost - 1, "status"] = "diverged"
        runs.loc[: lost - 1, "test_error"] = None
        assert spark(find(runs, [R, X], None, seeds=3)).panel.title.endswith(words)


def test_lines_that_differ_otherwise_have_a_key_and_many_become_one() -> None:
    few = listed({f"{depth}-{paths}x8d": [0.1, 0.11] for depth in (20, 29) for paths in (1, 2, 4)})
    assert [(mark.legend, mark.color) for mark in spark(few).key] == [
        ("depth 20", PALETTE[0]),
        ("depth 29", PALETTE[1]),
    ]
    depths = (20, 29, 38, 47, 56)
    assert len(depths) > MOST_KEYED
    many = spark(listed({f"{depth}-{paths}x8d": [0.1 * paths] for depth in depths for paths in (1, 2)}))
    designs, mean = many.panel.marks
    assert len(designs.x) == 10
    assert (mean.x, mean.y) == ([1, 2], [pytest.approx(0.1), pytest.approx(0.2)])
    assert "10 designs, n = 1 seed" in many.panel.title
    assert many.key == []


def test_settings_of_one_cardinality_stand_in_the_studys_order() -> None:
    found = spark(listed({"29-1x64d": [0.06, 0.08], "29-1x8d": [0.3, 0.4]}))
    assert found.panel.marks[-1].x == [1, 2]
    assert "2 settings in the study's order: 7.00 % for ResNet-29 (1x64d), 35.00 % for" in found.panel.title


def test_a_single_setting_is_drawn_by_its_seeds() -> None:
    band, mean, seeds = spark(listed({R: [0.06, 0.08, 0.07, 0.06, 0.08]})).panel.marks
    assert seeds.y == [0.06, 0.08, 0.07, 0.06, 0.08]
    assert mean.y == [pytest.approx(0.07)] * 2
    assert band.y[0] < 0.06
    (alone,) = spark(listed({R: [0.06]})).panel.marks
    assert alone.y == [0.06]


def test_a_search_is_drawn_by_its_best_so_far_beside_random_designs() -> None:
    names = [f"29-1x{width}d" for width in range(1, 7)]
    runs = frame({name: [error] for name, error in zip(names, (0.3, 0.4, 0.2, 0.1, 0.3, 0.2), strict=True)})
    found = spark(find(runs, names, None, seeds=1, designs=9, measure="val_error", random=names[4:]))
    random, best, last = found.panel.marks
    assert (best.kind, best.y) == ("steps", [0.15, 0.15, 0.1, 0.05])  # validation errors are half the test errors
    assert best.x == [7, 14, 21, 28]
    assert (last.x, last.y) == ([28], [0.05])
    assert random.y == [pytest.approx(0.125, abs=0.005), pytest.approx(0.1)]  # over drawn orders
    assert "Lowest validation error so far: 15.00 % after 7 epochs" in found.panel.title
    assert "n = 6 designs tried" in found.panel.title
    costed = find(runs, names, None, seeds=1, designs=9, measure="val_error", cost="macs", val_images=9)
    assert spark(costed).caption.startswith("Share of the plane")


def test_spaces_are_drawn_as_distributions_from_nothing_to_all() -> None:
    names = [f"29-{paths}x{width}d" for paths in (1, 2) for width in (4, 6)]
    runs = frame({name: [error] for name, error in zip(names, (0.3, 0.4, 0.1, 0.2), strict=True)})
    finding = find(runs, names, None, seeds=1, spaces={"one": names[:2], HOSTILE: names[2:]}, rivals=(HOSTILE, "one"))
    first, second = spark(finding).panel.marks
    assert (first.x, first.y) == ([0.3, 0.3, 0.4, 0.4], [0, 0.5, 1, 1])
    assert (second.x, second.y) == ([0.1, 0.1, 0.2, 0.4], [0, 0.5, 1, 1])
    assert [mark.legend for mark in spark(finding).key] == ["one, n = 2", f"{HOSTILE}, n = 2"]
    assert "<script" not in small_svg(spark(finding).panel)


def test_the_declared_spaces_are_drawn_where_there_are_too_many() -> None:
    names = [f"29-1x{width}d" for width in range(1, 7)]
    runs = frame({name: [0.1] for name in names})
    spaces = {f"s{place}": [name] for place, name in enumerate(names)}
    found = spark(find(runs, names, None, seeds=1, spaces=spaces, rivals=("s5", "s0")))
    assert [mark.legend for mark in found.key] == [f"s{place}, n = 1" for place in (0, 1, 2, 5)]
    assert "4 of 6 spaces" in found.caption


def test_nothing_is_drawn_before_the_first_run() -> None:
    none = frame({R: [0.1]})[:0]
    assert spark_of(find(none, [R, X], (X, R), seeds=1)) is None
    assert spark_of(find(none, [], None, seeds=1, measure="val_error")) is None
    assert spark_of(find(none, [R], None, seeds=1, spaces={"one": [R]})) is None


@pytest.mark.parametrize(
    "errors",
    [
        {R: [0.06]},
        {R: [0.0], X: [0.0]},
        {R: [0.5, 0.5], X: [0.5, 0.5]},
        {f"29-{2**power}x1d": [0.1] for power in range(12)},
        {f"29-1x{width}d": [0.1, 0.9] for width in range(1, 40)},
    ],
)
def test_everything_lies_within_the_picture_and_no_number_on_another(errors: dict[str, list[float]]) -> None:
    drawn = small_svg(spark(listed(errors)).panel)
    assert "nan" not in drawn.split(">", 1)[1]
    below = []
    for x, y, anchor, words in re.findall(r'<text x="([\d.-]+)" y="([\d.-]+)" text-anchor="(\w+)">([^<]*)<', drawn):
        assert 0 <= float(y) <= SMALL.height
        if anchor == "middle":
            below.append((float(x) - 3 * len(words), float(x) + 3 * len(words)))
    for left, right in below:
        assert left >= 0
        assert right <= SMALL.width
    ordered = sorted(below)
    assert all(one[1] <= other[0] for one, other in pairwise(ordered))
    assert ordered


def test_two_thousand_designs_are_drawn_by_some_of_them_and_say_so() -> None:
    names = [f"29-1x{width}d" for width in range(100, 2100)]
    many = spark(find(frame({name: [0.1, 0.2] for name in names}), names, None, seeds=2))
    (dots,) = many.panel.marks  # so many bars would be one black patch
    assert len(dots.x) == len(dots.y) == len(dots.sizes) == MOST_POINTS
    assert (dots.x[0], dots.x[-1]) == (1, 2000)
    assert many.caption.endswith("n = 2 seeds, 300 of 2,000 drawn")
    assert "bars" not in many.caption + many.panel.title
    assert len(small_svg(many.panel)) < 20_000


def test_two_ways_to_grow_are_two_lines_against_parameters() -> None:
    names = ["29-1x64d", "29-1x99d", "29-1x148d", "29-2x64d", "29-4x64d"]
    runs = frame({name: [0.3 - 0.01 * place] for place, name in enumerate(names)})
    runs["cardinality"] = [1, 1, 1, 2, 4]
    runs["bottleneck_width"] = [64, 99, 148, 64, 64]
    runs["params"] = [5, 9, 17, 9, 18]
    wider, _, more, _ = spark(find(runs, names, None, seeds=1)).panel.marks
    assert (wider.legend, wider.x, wider.color) == ("one wider path", [5, 9, 17], GREY)
    assert (more.legend, more.x, more.color) == ("more paths", [5, 9, 18], PALETTE[0])
