"""The way from one setting of a contrast to the other, on the page."""

from pathlib import Path

import pytest

from explorer.analysis.judging import open_study
from explorer.report.page import render_page
from explorer.report.steps import step_rows
from explorer.verbs.command_line import read_command
from tests.made_up import few_epochs, made_up
from tests.report.reading import plain


def test_a_contrast_in_two_axes_has_a_step_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = open_study(made_up(few_epochs(read_command(["study=double_complexity"]).study)))
    rows = step_rows(study)
    assert [(row.changed, row.setting) for row in rows] == [
        ("", "56-1x63d"),
        ("depth", "29-1x99d"),
        ("paths", "29-64x4d"),
    ]
    by_name = {one.setting: one.estimate.mean for one in study.finding.summaries}
    change = 100 * (by_name["29-1x99d"] - by_name["56-1x63d"])
    assert f"({change:+.2f} points)" in rows[1].error  # the study trains all three
    page = plain(render_page(study))
    assert "From one design to the other" in page
    assert rows[1].error.replace("-", "\N{MINUS SIGN}") in page


def test_a_contrast_in_paths_alone_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = open_study(made_up(few_epochs(read_command(["study=equal_params"]).study)))
    assert step_rows(study) == []
    assert "From one design to the other" not in render_page(study)
