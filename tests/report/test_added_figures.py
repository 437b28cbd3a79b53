"""Figures that extensions add: described in numbers, drawn as ours are, and no hindrance where they fail."""

import csv
import json
import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import explorer as ex
from explorer.__main__ import main
from explorer.analysis.judging import OpenedStudy, open_study
from explorer.host import extensions
from explorer.record import folder as study
from explorer.report.added_figures import added_figures, view_of
from explorer.report.described import FIGURES, check, panel_of, table_of
from explorer.report.page import render_page
from explorer.report.page_figures import Views
from explorer.report.plot import plot
from explorer.report.svg import svg
from explorer.verbs.command_line import read_command
from explorer.verbs.extend import extend
from tests.conftest import TINY
from tests.made_up import made_up
from tests.test_layers import ROOT

EXAMPLE = ROOT / "examples" / "figure.py"


def described(**more: Any) -> ex.Figure:
    series = [
        ex.Points([1, 2, math.nan], pd.Series([3.0, 4.0, 5.0]), label="seeds", words=["a", "b", "c"]),
        ex.Line([1, 2, 4], [1, 2, 3], label="mean", low=[0.5, math.nan, 2], high=[1.5, math.nan, 4]),
    ]
    return ex.Figure(**{"title": "One", "x": "Place", "y": "Value", "series": series, **more})


def test_a_description_becomes_marks_and_a_table_of_its_numbers() -> None:
    panel = panel_of(described(caption="Two series."))
    assert [mark.kind for mark in panel.marks] == ["dots", "band", "band", "line", "dots"]
    assert (panel.marks[0].x, panel.marks[0].y, panel.marks[0].words) == ([1.0, 2.0], [3.0, 4.0], ["a", "b"])
    columns, rows = table_of(panel)
    assert columns == ["series", "kind", "setting", "Place", "Value", "high"]
    assert rows[:2] == [["seeds", "dots", "", 1.0, 3.0, ""], ["seeds", "dots", "", 2.0, 4.0, ""]]
    assert [row[1] for row in rows].count("dots") == 5
    assert "Place" in svg(panel)
    assert len(json.loads(plot(panel).to_json())["data"]) == 5


@pytest.mark.parametrize(
    ("figure", "told"),
    [
        (3, "gives a int; allowed: an explorer.Figure"),
        (described(title=""), "title='': allowed is text of at most 200 characters"),
        (described(series=[]), "has 0 series; allowed: 1 to 60"),
        (described(series=[ex.Points([1], [1, 2])]), "series 0: has 1 values of x and 2 of y"),
        (described(series=[ex.Points([1], "a")]), "series 0: could not convert string to float"),  # type: ignore[arg-type]
        (described(series=[ex.Line([1], [1], low=[0])]), "series 0: has one end of its intervals"),
        (described(series=[ex.Points([math.inf], [1])]), "has no point that is finite"),
        (described(series=[(1, 2)]), "series 0: is a tuple; allowed: explorer.Points and explorer.Line"),
        (described(log_x=True, series=[ex.Points([0], [1])]), "x has values that are not above zero, on a logarithmic"),
        (described(series=[ex.Points([1], [1], label="a" * 61)]), "series 0: label='"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_line(figure: Any, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        panel_of(figure)


def test_values_that_are_no_figures() -> None:
    for name, value, told in [
        ("verdict", lambda one: one, "is a figure already"),
        ("mine", 3, "is a int; allowed: a function of a study"),
        ("mine", lambda: 3, r"takes \(\); allowed: a function of a study"),
        ("mine", lambda one, other: 3, r"takes \(one, other\)"),
    ]:
        with pytest.raises(ValueError, match=told):
            check(name, value)


@pytest.fixture
def opened(workplace: Path) -> OpenedStudy:
    made_up(read_command(TINY).study)
    return open_study(study.study_folder("tiny"))


def test_a_figure_is_on_the_page_in_python_and_for_print_and_the_study_does_not_depend_on_it(
    opened: OpenedStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    before = render_page(opened)
    assert "Figures of extensions" not in before
    extend(EXAMPLE)
    page = render_page(opened)
    assert "<bdi>What an epoch gains</bdi>" in page
    assert 'data-figure="gain"' in page
    assert page.count("<details><summary>Its numbers</summary>") == 1
    assert "gain" in ex.Study("tiny").figures
    assert main(["figure", "tiny", "gain", "format=[svg,png,csv]", "folder=out"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "Caption: What an epoch gains. Against the epoch before, mean over seeds; below zero the error rose." in told
    assert {path.suffix for path in Path("out").iterdir()} == {".svg", ".png", ".csv"}
    rows = list(csv.DictReader(Path("out/tiny-gain.csv").read_text().splitlines()))
    epochs, runs = opened.record.epochs, opened.record.runs
    name = str(runs["setting"].iloc[0])
    own = epochs[epochs["run"].isin(runs.loc[runs["setting"] == name, "run"])].groupby("epoch")["val_error"].mean()
    (found,) = [row for row in rows if row["setting"] == name and float(row["Epoch"]) == 2]
    assert float(found["Fall of the validation error (points)"]) == pytest.approx(100 * (own[1] - own[2]))
    extensions.forget()
    assert render_page(open_study(opened.folder)) == before


def test_a_figure_that_fails_says_so_in_its_place(
    opened: OpenedStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(
        "import explorer as ex\n\ndef broken(study):\n    study.runs['val_error'] *= 0\n"
        "    return study.runs['<nothing>']\n\n"
        "def whole(study):\n    series = [ex.Points(study.runs.seed, study.runs.val_error)]\n"
        "    return ex.Figure('<Whole>', 'x', 'y', series)\n\n"
        "FIGURES = {'broken': broken, 'whole': whole}\n"
    )
    extend(tmp_path / "mine.py")
    panels, failed = added_figures(opened)
    assert failed == {"broken": "mine.py, line 5: KeyError: '<nothing>'"}
    assert panels["whole"].marks[0].y == opened.record.runs["val_error"].tolist()
    assert max(panels["whole"].marks[0].y) > 0
    page = render_page(opened)
    assert (
        "<code>broken</code> could not be drawn: <bdi>mine.py, line 5: KeyError: &#39;&lt;nothing&gt;&#39;</bdi>"
        in page
    )
    assert "<bdi>&lt;Whole&gt;</bdi>" in page
    assert [*Views(opened).figures][-1] == "whole"
    assert main(["figure", "tiny", "broken"]) == 2
    assert "broken: could not be drawn: mine.py, line 5: KeyError" in capsys.readouterr().err
    FIGURES["late"] = lambda one: 1 / 0
    assert added_figures(opened)[1]["late"] == "division by zero"
    del FIGURES["late"]


def test_a_function_sees_the_settings_with_their_intervals_and_shapes(opened: OpenedStudy) -> None:
    seen = view_of(opened)
    assert [*seen.settings["setting"]] == [one.setting for one in opened.finding.summaries]
    first = opened.finding.summaries[0]
    assert seen.settings["error"].iloc[0] == first.estimate.mean
    assert {"seeds", "low", "high", "params", "macs", "depth", "width", "cardinality"} <= {*seen.settings}
    assert seen.settings["cardinality"].tolist() == [one.cardinality for one in opened.finding.summaries]
    assert (seen.name, seen.measure) == ("tiny", "test_error")
