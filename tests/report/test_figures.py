import math
import re
from dataclasses import replace
from itertools import pairwise

import pandas as pd
import pytest

from explorer.analysis.finding import find
from explorer.analysis.intervals import estimate
from explorer.design.shape_axes import SHOWN
from explorer.report.colors import Colors
from explorer.report.curves import MOST_CURVES, curve_numbers, curves_panel, difference_panel, seeds_of
from explorer.report.figures import (
    cardinality_lines,
    cardinality_panel,
    deviation_panel,
    growth_panel,
    hover_text,
    parallel,
)
from explorer.report.layout import Box, apart, beside, fitted, width_of
from explorer.report.panel import (
    GREY,
    PALETTE,
    PERCENT,
    RAMP,
    Axis,
    Mark,
    Panel,
    bands,
    ends,
    error_axis,
    is_wide,
    ticks,
)
from explorer.report.parallel import parallel_plot, parallel_svg
from explorer.report.plot import plot
from explorer.report.short_labels import shared_ending, short_labels
from explorer.report.svg import svg
from tests.analysis.test_statistics import R, X, frame


def test_the_figure_of_paths_holds_every_seed_mean_and_interval_in_percent() -> None:
    errors = {X: [0.04, 0.06, 0.05, 0.03, 0.05], R: [0.01, 0.3, 0.02, 0.03, 0.01]}
    finding = find(frame(errors), [X, R], (X, R), seeds=5)
    lines = cardinality_lines(finding)
    assert list(lines) == ["29"]
    assert [one.display for one in lines["29"]] == ["ResNet-29 (1x64d)", "ResNeXt-29 (32x4d)"]
    colors = Colors({X: PALETTE[0], R: GREY})
    band, line, seeds, mean, others, other = cardinality_panel({"29": lines["29"]}, colors=colors).marks
    assert list(seeds.y) == pytest.approx([1, 30, 2, 3, 1])
    expected = estimate([1, 30, 2, 3, 1])
    assert expected.low < 0
    assert (mean.y[0], band.y[0], band.high[0]) == pytest.approx((7.4, 0, expected.high))
    assert list(line.y) == pytest.approx([7.4, 4.6])
    assert [mark.color for mark in (seeds, mean, others, other)] == [GREY, GREY, PALETTE[0], PALETTE[0]]


def test_with_fewer_than_five_seeds_these_are_shown_and_no_interval_is_claimed() -> None:
    finding = find(frame({X: [0.04, 0.06, 0.05, 0.07], R: [0.05, 0.09, 0.05, 0.06]}), [X, R], (X, R), seeds=4)
    panel = cardinality_panel(cardinality_lines(finding))
    assert not panel.has_band
    assert [len(mark.x) for mark in panel.marks if mark.kind == "dots"] == [4, 1, 4, 1]
    assert not any("interval" in words for mark in panel.marks for words in mark.words)
    assert finding.comparison is not None
    assert finding.comparison.difference.has_interval  # statistics are as they were


def test_other_depths_and_widths_are_lines_of_their_own() -> None:
    names = ["29-1x64d", "20-1x64d", "29-1x16d-w64"]
    finding = find(frame({name: [0.1] for name in names}), names, (X, R), seeds=1)
    assert sorted(cardinality_lines(finding)) == ["20", "29", "29-w64"]


def test_listed_widths_of_one_cardinality_are_lines_of_their_own() -> None:
    names = ["29-1x64d", "29-2x4d", "29-2x8d"]
    runs = frame({name: [0.1] for name in names})
    runs.loc[1:, "cardinality"] = 2
    runs["bottleneck_width"] = [64, 4, 8]
    lines = cardinality_lines(find(runs, names, (X, R), seeds=1))
    assert sorted(lines) == ["29, 4d", "29, 64d", "29, 8d"]
    assert cardinality_panel(lines).x.ticks == ((1, "1"), (2, "2"))


def test_curves_are_means_over_the_seeds_that_came_through() -> None:
    status = ["ok", "ok", "diverged"]
    runs = pd.DataFrame({"run": ["a", "b", "c"], "setting": [R, R, R], "status": status, "rate": 1.0})
    epochs = pd.DataFrame(
        {
            "run": ["a", "b", "a", "b", "c"],
            "epoch": [1, 1, 2, 2, 1],
            "val_error": [0.5, 0.7, 0.1, 0.3, 0.9],
            "train_error": [0.4] * 5,
        }
    )
    numbers = curve_numbers(epochs, runs)
    assert list(numbers) == [R]
    validation, training = numbers[R]
    assert (validation.kind, validation.epochs, validation.n) == ("val_error", [1, 2], 2)
    assert validation.mean == pytest.approx([60, 20])
    assert math.isnan(validation.low[0])  # two seeds are too few for an interval, and are shown
    each = seeds_of(epochs, runs, validation)
    assert [list(one) for one in each] == [pytest.approx([50, 10]), pytest.approx([70, 30])]
    panel = curves_panel({R: [replace(validation, each=each), training]})
    assert [mark.quiet for mark in panel.marks] == [True, True, False, False]
    assert training.mean == pytest.approx([40, 40])


def test_what_does_not_vary_has_no_band() -> None:
    runs = frame({name: [0.9, 0.9, 0.9] for name in ("29-1x64d", "29-1x99d", "29-1x148d", "29-2x64d", "29-4x64d")})
    runs["cardinality"] = [int(name.split("-")[1].split("x")[0]) for name in runs["setting"]]
    runs["params"] = range(len(runs))
    finding = find(runs, list(dict.fromkeys(runs["setting"])), ("29-4x64d", R), seeds=3)
    assert finding.comparison is not None
    epochs = pd.DataFrame({"run": ["29-1x64d/0", "29-1x64d/1"] * 2, "epoch": [1, 1, 2, 2], "train_error": 0.4})
    epochs["val_error"] = [0.9, 0.9, 0.8, 0.7]  # as after a first epoch in which nothing was learned
    curves = curve_numbers(epochs, runs)[R]
    growth = growth_panel(finding.summaries)
    assert growth is not None
    lines = cardinality_panel(cardinality_lines(finding))
    panels = [lines, growth, curves_panel({R: curves})]
    for panel in panels:
        assert not panel.has_band, panel.title
        assert "nan" not in svg(panel)
        assert not any("interval" in words for mark in panel.marks for words in mark.words)


def test_many_curves_are_thinned_to_some_epochs_and_the_last() -> None:
    runs = pd.DataFrame({"run": ["a"], "setting": [R], "status": "ok", "rate": 1.0})
    epochs = pd.DataFrame({"run": "a", "epoch": range(1, 101), "val_error": 0.5, "train_error": 0.4})
    (validation, _) = curve_numbers(epochs, runs, most=5)[R]
    assert validation.epochs == [1, 26, 50, 75, 100]
    assert curve_numbers(epochs.iloc[:0], runs) == {}


def test_figures_name_their_axes_with_units_and_draw_without_data() -> None:
    finding = find(frame({R: [0.1, 0.2, 0.1, 0.1, 0.2]}), [R], (X, R), seeds=5)
    figure = plot(cardinality_panel(cardinality_lines(finding)))
    assert figure.layout.yaxis.title.text == "Test error (%)"
    assert figure.layout.xaxis.ticktext == ("1<br>1x64d",)
    assert len(plot(cardinality_panel({})).data) == len(plot(curves_panel({})).data) == 0


def test_a_single_seed_has_no_band() -> None:
    finding = find(frame({R: [0.1]}), [R], (X, R), seeds=1)
    assert {mark.kind for mark in cardinality_panel(cardinality_lines(finding)).marks} == {"dots"}


def test_numbers_of_paths_with_several_settings_stand_alone() -> None:
    names = ["20-1x64d", "29-1x40d", "38-1x30d"]
    finding = find(frame({name: [0.1] for name in names}).assign(cardinality=1), names, (X, R), seeds=1)
    assert cardinality_panel(cardinality_lines(finding)).x.ticks == ((1, "1"),)


def test_points_carry_the_setting_by_which_views_are_linked() -> None:
    finding = find(frame({X: [0.04, 0.06], R: [0.05, 0.09]}), [X, R], (X, R), seeds=2)
    figure = plot(cardinality_panel(cardinality_lines(finding)))
    linked = [list(trace.customdata) for trace in figure.data if trace.customdata is not None]
    assert sorted(linked) == [[R], [R, R], [X], [X, X]]


def test_more_lines_than_can_be_told_apart_become_one() -> None:
    names = [f"{depth}-{paths}x4d" for depth in (11, 20, 29, 38, 47, 56, 65, 74) for paths in (1, 2)]
    runs = frame({name: [0.1 + 0.01 * place] for place, name in enumerate(names)})
    runs["cardinality"] = [1, 2] * 8
    band, dots, line = cardinality_panel(cardinality_lines(find(runs, names, (X, R), seeds=1))).marks
    assert (band.kind, dots.kind, line.kind) == ("band", "dots", "line")
    assert sorted(dots.settings) == sorted(names)
    assert list(line.x) == [1, 2]
    assert list(line.y) == pytest.approx([17, 18])
    assert line.y[0] - band.y[0] == pytest.approx(17 - estimate([10 + 2 * place for place in range(8)]).low)


def test_deviations_are_shown_beside_what_the_budget_allows() -> None:
    finding = find(frame({R: [0.1], X: [0.2]}), [R, X], (X, R), seeds=1)
    panel = deviation_panel(finding.summaries, {"params": (-0.05, 0.05)})
    band, params = panel.marks  # what is not held is not drawn
    assert (band.kind, band.legend, set(band.y), set(band.high)) == ("band", "allowed, parameters", {-5.0}, {5.0})
    assert (list(params.x), list(params.y)) == ([1, 32], [0, 0])
    assert panel.y.title == "Deviation (%)"


def test_lines_cross_the_axes_in_which_designs_differ() -> None:
    runs = frame({R: [0.1], X: [0.2]}).assign(params=[10, 100])
    finding = find(runs, [R, X], (X, R), seeds=1)
    rows = runs.set_index("setting")
    axes = pd.DataFrame({axis.name: axis.among(rows) for axis in SHOWN})
    across = parallel(axes, finding.summaries)
    assert [axis.title for axis in across.axes] == ["Cardinality", "Middle width D", "Parameters", "Test error (%)"]
    assert across.columns == [[1, 32], [64, 2048], [10, 100], [pytest.approx(10), pytest.approx(20)]]
    assert [axis.log for axis in across.axes] == [True, True, True, False]
    picture = parallel_svg(across)
    assert picture.count("data-setting=") == 2
    # The lower error is blue, and its line ends lower.
    first, second = re.findall(r'd="M[^"]* ([\d.]+)" stroke="([^"]+)" data-setting', picture)
    assert (first[1], second[1]) == (f"var(--c0,{RAMP[0]})", RAMP[-1])
    assert float(first[0]) > float(second[0])
    assert parallel_plot(across).data[0].dimensions[0].ticktext[0] == "1"
    groups = Colors({R: GREY, X: PALETTE[0]}, {"one": GREY, "other": PALETTE[0]}, {R: "one", X: "other"})
    assert [*parallel(axes, finding.summaries, colors=groups).colors] == [GREY, PALETTE[0]]


def test_the_papers_table_is_offered_at_equal_cost_where_a_line_begins_with_one_path() -> None:
    runs = frame({R: [0.1], "29-4x24d": [0.15], X: [0.2]})
    runs.loc[1, "cardinality"] = 4
    lines = cardinality_lines(find(runs, [R, "29-4x24d", X], (X, R), seeds=1))
    panel = cardinality_panel(lines, at_equal_cost=True)
    optional = [mark for mark in panel.marks if mark.optional]
    assert [mark.y[0] for mark in optional] == pytest.approx([10] * 4)
    assert panel.ends == replace(panel, marks=[mark for mark in panel.marks if not mark.optional]).ends
    assert "Table 3" not in svg(panel)
    assert all(trace.visible is False for trace in plot(panel).data if trace.meta == "optional")
    assert not any(mark.optional for mark in cardinality_panel(lines).marks)  # costs are not equal
    two = {"29": [lines["29"][0], lines["29"][2]]}
    assert not any(mark.optional for mark in cardinality_panel(two, at_equal_cost=True).marks)  # no course to compare


def test_two_ways_to_grow_are_drawn_against_parameters() -> None:
    names = ["29-1x64d", "29-1x99d", "29-1x148d", "29-2x64d", "29-4x64d"]
    runs = frame({name: [0.3 - 0.01 * place, 0.32 - 0.01 * place] for place, name in enumerate(names)})
    runs["cardinality"] = [1, 1, 1, 1, 1, 1, 2, 2, 4, 4]
    runs["bottleneck_width"] = [64, 64, 99, 99, 148, 148, 64, 64, 64, 64]
    runs["params"] = [5, 5, 9, 9, 17, 17, 9, 9, 18, 18]
    summaries = find(runs, names, None, seeds=2).summaries
    panel = growth_panel(summaries)
    assert panel is not None
    assert [mark.end for mark in panel.marks if mark.kind == "line"] == ["one wider path", "more paths"]
    wider, more = (mark for mark in panel.marks if mark.kind == "dots" and not mark.quiet)
    assert (list(wider.x), list(wider.settings)) == ([5, 9, 17], names[:3])
    assert (list(more.x), list(more.settings)) == ([5, 9, 18], [names[0], *names[3:]])
    assert [*wider.names, *more.names] == ["1x64d", "1x99d", "1x148d", "", "2x64d", "4x64d"]
    assert list(more.y) == pytest.approx([31, 28, 27])
    assert growth_panel(summaries[:4]) is None  # two networks are no way
    assert growth_panel([]) is None


def test_whoever_points_at_a_design_is_told_its_middle_width() -> None:
    finding = find(frame({R: [0.1], X: [0.2]}), [R, X], (X, R), seeds=1)
    (one, several) = (hover_text(summary).splitlines() for summary in finding.summaries)
    assert (one[1], several[1]) == ("Middle width D = 64", "Middle width D = 128")


def test_a_band_breaks_where_there_is_no_interval_and_is_left_out_for_few_designs() -> None:
    names = [f"{depth}-{paths}x4d" for paths in (1, 2, 4, 8) for depth in (11, 20, 29, 38, 47, 56, 65, 74)]
    errors = {name: [0.1 + 0.01 * (place % 5)] for place, name in enumerate(names)}
    alike = {name: [0.2] for name in names if "-2x" in name}  # eight designs of one error: no interval
    runs = frame(errors | alike)
    runs["cardinality"] = [int(name.split("-")[1].split("x")[0]) for name in runs["setting"]]
    few = runs[~((runs["cardinality"] == 8) & (runs["setting"] > "38"))]  # three designs of cardinality 8
    panel = cardinality_panel(cardinality_lines(find(few, [*few["setting"]], (X, R), seeds=1)))
    at = [list(mark.x) for mark in panel.marks if mark.kind == "band"]
    assert at == [[1], [4]]
    pieces = bands([1, 2, 3, 4, 5], [1, 1, math.nan, math.nan, 1], [2, 2, math.nan, math.nan, 2], PALETTE[0])
    assert [list(mark.x) for mark in pieces] == [[1, 2], [5]]
    # A band at a single place is as wide as a mark, whatever the axis is.
    drawn = Panel("", Axis("x"), Axis("y"), [pieces[1], Mark("dots", [5], [1.5], PALETTE[0])])
    assert re.search(r'<path d="M[\d.]+ [\d.]+V[\d.]+" stroke="[^"]+" stroke-width="10"', svg(drawn))
    assert next(iter(plot(drawn).data)).line.width == 10


def test_curves_have_short_names_at_their_ends_and_many_become_a_band() -> None:
    names = [f"26-{paths}x4d-w{32 * paths}-regnet" for paths in range(1, MOST_CURVES + 2)]
    runs = frame({name: [0.1] for name in names}).assign(rate=1.0)
    epochs = pd.DataFrame({"run": runs["run"], "epoch": 1, "val_error": [0.3 + 0.01 * one for one in range(len(runs))]})
    numbers = curve_numbers(epochs.assign(train_error=0.4), runs)
    few = curves_panel({name: numbers[name] for name in names[:-1]})
    assert [mark.end for mark in few.marks if mark.end] == [name.removesuffix("-regnet") for name in names[:-1]]
    assert not any(mark.legend for mark in few.marks)
    many = curves_panel(numbers)
    ended = {mark.end: mark.y[-1] for mark in many.marks if mark.end}
    assert ended == {"median": pytest.approx(33), "best": pytest.approx(30), "worst": pytest.approx(36)}
    (band,) = [mark for mark in many.marks if mark.kind == "band"]
    assert (band.y[0], band.high[0]) == pytest.approx((30, 36))
    halves = {name: "one" if place % 2 else "other" for place, name in enumerate(names)}
    colors = Colors({}, {"one": GREY, "other": PALETTE[0]}, halves)
    grouped = curves_panel(numbers, colors)
    assert {mark.end: mark.color for mark in grouped.marks if mark.end} == {"one": GREY, "other": PALETTE[0]}


def test_labels_say_what_differs_and_no_more() -> None:
    assert short_labels(["29-1x64d", "29-32x4d"]) == {"29-1x64d": "1x64d", "29-32x4d": "32x4d"}
    assert [*short_labels(["29-8x14d", "29-8x14d@sum"]).values()] == ["form (c)", "form (a)"]
    assert [*short_labels(["14-1x8d-regnet", "26-2x8d-regnet"]).values()] == ["14-1x8d", "26-2x8d"]
    assert short_labels([R]) == {R: R}
    assert shared_ending(["29-1x64d", "29-2x40d"]) == ""


def test_the_difference_by_epoch_is_paired_by_seed() -> None:
    runs = frame({R: [0.1] * 5, X: [0.1] * 5}).assign(rate=1.0)
    rows = []
    for seed in range(5):
        for epoch in (1, 2):
            rows.append({"run": f"{R}/{seed}", "epoch": epoch, "val_error": 0.5 + 0.1 * seed})
            rows.append(
                {"run": f"{X}/{seed}", "epoch": epoch, "val_error": 0.5 + 0.1 * seed - 0.01 * epoch * (1 + seed)}
            )
    panel = difference_panel(pd.DataFrame(rows), runs, [R, X], (X, R), Colors({R: GREY, X: PALETTE[0]}))
    assert panel is not None
    zero, band, mean = panel.marks
    assert (zero.end, zero.color, list(zero.y)) == ("1x64d", GREY, [0, 0])
    assert (mean.end, mean.color, list(mean.y)) == ("32x4d", PALETTE[0], [pytest.approx(3), pytest.approx(6)])
    expected = estimate([1, 2, 3, 4, 5])
    assert (band.y[0], band.high[0]) == pytest.approx((expected.low, expected.high))
    some = pd.DataFrame([row for row in rows if not str(row["run"]).endswith(("/3", "/4"))])
    few = difference_panel(some, runs, [R, X], (X, R), Colors())
    assert few is not None
    assert not few.has_band
    assert sum(mark.quiet for mark in few.marks) == 3
    assert difference_panel(some[some["run"].str.startswith(X)], runs, [X], (X, R), Colors()) is None


def test_axes_end_where_errors_end_and_are_even_unless_values_are_far_apart() -> None:
    assert ends(error_axis("Error (%)"), [0.5, 99.0]) == PERCENT
    assert ends(Axis("Difference"), [0.5, 99.0])[0] < 0
    assert [is_wide(values) for values in ([1, 2], [1, 2.1], [0, 5], [5, 5], [])] == [False, True, False, False, False]
    assert [words for _, words in ticks(Axis("Epoch", whole=True), 0.9, 3.1)] == ["1", "2", "3"]
    assert all(value == int(value) for value, _ in ticks(Axis("Epoch", whole=True), 1, 26))


def test_words_of_a_figure_never_touch() -> None:
    marked = [(float(number), f"{number}\n{number}x4d") for number in range(1, 60)]
    places = [17.0 * number for number in range(1, 60)]
    shown = fitted(marked, places)
    at = dict(zip((value for value, _ in marked), places, strict=True))
    boxes = [(at[value] - width_of(words) / 2, at[value] + width_of(words) / 2) for value, words in shown]
    assert all(right[0] > left[1] for left, right in pairwise(boxes))
    assert len(shown) > 10
    assert not any("\n" in words for _, words in shown)
    assert fitted(marked[:3], [0, 200, 400]) == marked[:3]
    heights = apart([10.0, 10.0, 11.0, 300.0], 0, 300)
    assert sorted(heights) == heights
    assert min(right - left for left, right in pairwise(heights)) == 15
    marks = [Mark("dots", [0] * 9, [0] * 9, PALETTE[0], names=["29-32x4d"] * 9)]
    (names,) = beside(marks, [[(100.0 + number, 100.0) for number in range(9)]], Box(0, 0, 300, 300))
    assert any(name is None for name in names)  # there is no room for nine at one place
    assert len({(name.x, name.y) for name in names if name is not None}) >= 2
