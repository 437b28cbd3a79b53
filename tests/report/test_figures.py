import math
import re
from dataclasses import replace

import pandas as pd
import pytest

from explorer.analysis.finding import find
from explorer.analysis.intervals import estimate
from explorer.design.shape_axes import SHOWN
from explorer.report.curves import curve_numbers, curves_panel, shared_ending, short_names
from explorer.report.figures import (
    cardinality_lines,
    cardinality_panel,
    deviation_panel,
    growth_panel,
    hover_text,
    pairs_panel,
    parallel,
)
from explorer.report.page_figures import MOST_CURVES
from explorer.report.panel import PALETTE, SLIM, bands
from explorer.report.parallel import RAMP, parallel_plot, parallel_svg
from explorer.report.plot import plot
from explorer.report.svg import svg
from tests.analysis.test_statistics import R, X, frame


def test_the_key_figure_holds_every_seed_mean_and_interval_in_percent() -> None:
    finding = find(frame({X: [0.04, 0.06], R: [0.05, 0.09]}), [X, R], (X, R), seeds=2)
    lines = cardinality_lines(finding)
    assert list(lines) == ["29"]
    assert [one.display for one in lines["29"]] == ["ResNet-29 (1x64d)", "ResNeXt-29 (32x4d)"]
    band, seeds, _, means = cardinality_panel({"29": lines["29"]}).marks[:4]
    assert list(seeds.y) == pytest.approx([5, 9, 4, 6])
    expected = estimate([5, 9])
    assert expected.low < 0
    assert (means.y[0], band.y[0], band.high[0]) == pytest.approx((7, 0, expected.high))


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
    assert sorted(lines) == ["29", "29, 4d", "29, 8d"]
    assert cardinality_panel(lines).x.ticks == ((1, "1\n1x64d"), (2, "2\n2x4d\n2x8d"))


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
    assert (validation.low[0], validation.high[0]) == (0, 100)  # what two seeds allow, of what there is
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
    panels = [(lines, []), (growth, []), (pairs_panel(finding.comparison), []), (curves_panel(curves), [[1.75, 2.25]])]
    for panel, at in panels:
        assert [list(mark.x) for mark in panel.marks if mark.kind == "band"] == at, panel.title
        assert "nan" not in svg(panel)
        assert not any("interval" in words for mark in panel.marks for words in mark.words)


def test_many_curves_are_thinned_to_some_epochs_and_the_last() -> None:
    runs = pd.DataFrame({"run": ["a"], "setting": [R], "status": "ok", "rate": 1.0})
    epochs = pd.DataFrame({"run": "a", "epoch": range(1, 101), "val_error": 0.5, "train_error": 0.4})
    (validation, _) = curve_numbers(epochs, runs, most=5)[R]
    assert validation.epochs == [1, 26, 50, 75, 100]
    assert curve_numbers(epochs.iloc[:0], runs) == {}


def test_figures_name_their_axes_with_units_and_draw_without_data() -> None:
    finding = find(frame({R: [0.1, 0.2]}), [R], (X, R), seeds=2)
    figure = plot(cardinality_panel(cardinality_lines(finding)))
    assert figure.layout.yaxis.title.text == "Test error (%)"
    assert figure.layout.xaxis.ticktext == ("1<br>1x64d",)
    assert {trace.name for trace in figure.data} == {"95 % interval", "one seed", "mean, depth 29"}
    assert len(plot(cardinality_panel({})).data) == len(plot(curves_panel([])).data) == 0


def test_a_single_seed_has_no_band() -> None:
    finding = find(frame({R: [0.1]}), [R], (X, R), seeds=1)
    assert {mark.kind for mark in cardinality_panel(cardinality_lines(finding)).marks} == {"dots"}


def test_a_mark_with_many_settings_below_it_names_one_and_counts_the_rest() -> None:
    names = ["20-1x64d", "29-1x40d", "38-1x30d"]
    finding = find(frame({name: [0.1] for name in names}).assign(cardinality=1), names, (X, R), seeds=1)
    lines = cardinality_lines(finding)
    assert cardinality_panel(lines).x.ticks == ((1, "1\n1x64d\nand 2 more"),)


def test_pairs_are_shown_seed_by_seed_with_their_mean_and_interval() -> None:
    finding = find(frame({R: [0.10, 0.12, 0.2], X: [0.05, 0.06, 0.1]}), [R, X], (X, R), seeds=3)
    assert finding.comparison is not None
    panel = pairs_panel(finding.comparison)
    (dots,) = [mark for mark in panel.marks if mark.kind == "dots"]
    assert list(dots.x) == [0, 1, 2]
    assert list(dots.y) == pytest.approx([-5, -6, -10])
    (band,) = [mark for mark in panel.marks if mark.kind == "band"]
    difference = finding.comparison.difference
    assert (band.y[0], band.high[0]) == pytest.approx((100 * difference.low, 100 * difference.high))


def test_points_carry_the_setting_by_which_views_are_linked() -> None:
    finding = find(frame({X: [0.04, 0.06], R: [0.05, 0.09]}), [X, R], (X, R), seeds=2)
    figure = plot(cardinality_panel(cardinality_lines(finding)))
    linked = [list(trace.customdata) for trace in figure.data if trace.customdata is not None]
    assert linked == [[R, R, X, X], [R, X]]


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
    band, params, macs, activations = panel.marks
    assert (band.kind, band.legend, set(band.y), set(band.high)) == ("band", "allowed, parameters", {-5.0}, {5.0})
    assert [list(mark.y) for mark in (params, macs, activations)] == [[0, 0], [1, 1], [30, 30]]
    assert list(params.x) == [1, 32]
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
    assert (first[1], second[1]) == (RAMP[0].lower(), RAMP[-1].lower())
    assert float(first[0]) > float(second[0])
    assert parallel_plot(across).data[0].dimensions[0].ticktext[0] == "1"


def test_the_papers_table_is_offered_where_a_line_begins_with_one_path() -> None:
    finding = find(frame({R: [0.1], X: [0.2]}), [R, X], (X, R), seeds=1)
    panel = cardinality_panel(cardinality_lines(finding))
    optional = [mark for mark in panel.marks if mark.optional]
    assert [mark.y[0] for mark in optional] == pytest.approx([10] * 4)
    assert panel.ends == replace(panel, marks=[mark for mark in panel.marks if not mark.optional]).ends
    assert "Table 3" not in svg(panel)
    assert all(trace.visible is False for trace in plot(panel).data if trace.meta == "optional")


def test_two_ways_to_grow_are_drawn_against_parameters() -> None:
    names = ["29-1x64d", "29-1x99d", "29-1x148d", "29-2x64d", "29-4x64d"]
    runs = frame({name: [0.3 - 0.01 * place, 0.32 - 0.01 * place] for place, name in enumerate(names)})
    runs["cardinality"] = [1, 1, 1, 1, 1, 1, 2, 2, 4, 4]
    runs["bottleneck_width"] = [64, 64, 99, 99, 148, 148, 64, 64, 64, 64]
    runs["params"] = [5, 5, 9, 9, 17, 17, 9, 9, 18, 18]
    summaries = find(runs, names, None, seeds=2).summaries
    panel = growth_panel(summaries)
    assert panel is not None
    wider, more = (mark for mark in panel.marks if mark.kind == "dots")
    assert (wider.legend, list(wider.x), list(wider.settings)) == ("one wider path", [5, 9, 17], names[:3])
    assert (more.legend, list(more.x), list(more.settings)) == ("more paths", [5, 9, 18], [names[0], *names[3:]])
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
    assert at == [[1 / SLIM, SLIM], [4 / SLIM, 4 * SLIM]]
    pieces = bands([1, 2, 3, 4, 5], [1, 1, math.nan, math.nan, 1], [2, 2, math.nan, math.nan, 2], PALETTE[0])
    assert [list(mark.x) for mark in pieces] == [[1, 2], [4.75, 5.25]]


def test_the_curves_of_a_legend_have_short_names_and_differ() -> None:
    names = [f"26-{paths}x4d-w{32 * paths}-regnet" for paths in range(1, MOST_CURVES + 1)]
    runs = frame({name: [0.1] for name in names}).assign(rate=1.0)
    epochs = pd.DataFrame({"run": runs["run"], "epoch": 1, "val_error": 0.3, "train_error": 0.4})
    numbers = curve_numbers(epochs, runs)
    panel = curves_panel([curve for name in names for curve in numbers[name]])
    solid = [mark for mark in panel.marks if mark.kind == "line" and not mark.dashed]
    assert len({mark.color for mark in solid}) == len(names) == MOST_CURVES
    assert [*short_names(panel).values()] == [name.removesuffix("-regnet") for name in names]
    assert short_names(curves_panel([*numbers[names[0]]])) == {}  # few have room for whole names
    assert shared_ending(["29-1x64d", "29-2x40d"]) == ""
