"""Figures with a row for each design: what they hold, and that each drawer shows it."""

import re
from typing import Any

import pandas as pd
import pytest

from explorer.analysis.finding import find
from explorer.report.colors import Colors
from explorer.report.panel import GREY, PALETTE, Axis
from explorer.report.print_figure import print_figure
from explorer.report.row_figures import design_rows, deviation_rows, form_rows, rate_rows, time_rows
from explorer.report.rows import MOST_ROWS, Cell, Row, Rows, rows_plot, rows_svg, rows_table
from tests.analysis.test_statistics import R, X, frame
from tests.report.test_page import HOSTILE

COLORS = Colors({X: PALETTE[0], R: GREY})
FORMS = ["29-8x14d", "29-8x14d@sum"]


def summaries(errors: dict[str, list[float]], **changes: Any) -> Any:
    return find(frame(errors, **changes), [*errors], None, seeds=9).summaries


def test_designs_are_rows_by_their_error_with_intervals_from_five_seeds_on() -> None:
    five = [0.04, 0.06, 0.05, 0.05, 0.06]
    first, second = design_rows(summaries({R: [0.08, 0.09], X: five}), COLORS, "Test error (%)").rows
    assert (first.setting, first.color, second.setting, second.color) == (X, PALETTE[0], R, GREY)
    (cell,) = first.cells
    assert cell.value == pytest.approx(5.2)
    assert list(cell.each) == pytest.approx([100 * value for value in five])
    assert cell.low < cell.value < cell.high
    assert cell.words.startswith("5.20 %, ")
    (few,) = second.cells
    assert few.low != few.low
    assert few.words == "8.50 %, n = 2"
    wild = design_rows(summaries({X: [0.0, 0.0, 0.0, 0.0, 0.9]}), COLORS, "Test error (%)")
    assert wild.rows[0].cells[0].low == 0  # no error is below
    assert wild.ends(0)[0] == 0
    assert not design_rows([], COLORS, "Test error (%)").rows


def test_forms_and_rates_have_their_errors_left_and_their_seconds_right() -> None:
    runs = frame({FORMS[0]: [0.06, 0.08], FORMS[1]: [0.05, 0.05]})
    runs["seconds"] = [1.0, 3.0, 40.0, 60.0]
    found = form_rows(find(runs, FORMS, None, seeds=2).summaries, runs, Colors(), "Test error (%)")
    assert [axis.title for axis in found.axes] == ["Test error (%)", "Seconds of a run, logarithmic"]
    assert [(row.setting, row.cells[1].value, row.cells[1].words) for row in found.rows] == [
        (FORMS[1], 50, "50 s"),
        (FORMS[0], 2, "2 s"),
    ]
    rated = frame({R: [0.1], X: [0.2]})
    both = rate_rows(
        pd.concat([rated, rated.assign(rate=0.5, val_error=rated["val_error"] / 2)], ignore_index=True), (X, R), COLORS
    )
    shown = [(row.label.rpartition(", ")[2], row.setting, row.cells[0].value) for row in both.rows]
    assert shown == [("rate × 0.5", R, 2.5), ("rate × 0.5", X, 5), ("rate × 1", R, 5), ("rate × 1", X, 10)]  # noqa: RUF001


def test_times_have_every_run_and_the_median_and_budgets_what_they_hold() -> None:
    runs = frame({R: [0.1, 0.1, 0.1], X: [0.2, 0.2, 0.2]})
    runs["seconds"] = [9.0, 1.0, 2.0, 1.0, 1.5, 1.25]
    assert [(row.setting, row.cells[0].value, [*row.cells[0].each]) for row in time_rows(runs, COLORS).rows] == [
        (X, 1.25, [1.0, 1.5, 1.25]),
        (R, 2.0, [9.0, 1.0, 2.0]),
    ]
    held = deviation_rows(summaries({R: [0.1], X: [0.2]}), {"macs": (-0.05, 0.0)}, COLORS)
    assert [axis.title for axis in held.axes] == ["Deviation of multiply-adds (%)"]
    assert held.shade(0) == (-5.0, 0.0)
    assert [row.cells[0].value for row in held.rows] == pytest.approx([1, 1])


def test_every_drawer_shows_the_same_rows() -> None:
    cells = [Cell(5.0, 4.0, 6.0, [4.5, 5.5], "5.00 %"), Cell(7.0, each=[6.0, 8.0], words="7 s")]
    rows = [Row(HOSTILE, X, PALETTE[0], cells, HOSTILE), Row("plain", R, GREY, [Cell(9.0), Cell(float("nan"))])]
    figure = Rows("Two", [Axis("Error (%)"), Axis("Seconds")], rows, [(4.0, 5.0), None])
    wide, narrow = re.findall(r"<svg.*?</svg>", rows_svg(figure))
    for picture in (wide, narrow):
        assert "<script" not in picture
        assert re.findall(r'data-setting="([^"]+)"', picture) == [X, R]
        assert picture.count('stroke="var(--c0') == 1 + 2  # the interval, and the rings of two cells
        assert len(re.findall(r'r="5\.5"', picture)) == 3
        assert picture.count('class="shade"') == 1
        assert "nan" not in picture
    columns, lines = rows_table(figure)
    assert (len(columns), len(lines)) == (7, 4 + 4)
    drawn = rows_plot(figure)
    dots = [trace for trace in drawn.data if trace.customdata is not None]
    assert [list(trace.x)[:1] for trace in dots] == [[5.0], [7.0]]
    assert list(dots[0].marker.color) == [PALETTE[0], GREY]
    assert [len(one.axes) for one in (print_figure(figure, 6.75), print_figure(figure, 3.25))] == [2, 2]
    many = design_rows(summaries({f"29-{paths}x4d": [paths / 1000] for paths in range(1, 60)}), Colors(), "Error (%)")
    assert len(many.rows) == MOST_ROWS
    assert many.caption == "The first 40 of 59 are drawn."
