"""The strip of a study that is not finished, the short title of a page, its sections and what a verdict means."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from explorer.analysis.judging import open_study
from explorer.record.folder import checkpoints
from explorer.record.starts import execution_in
from explorer.report.contents import sectioned
from explorer.report.meaning import meaning
from explorer.report.page import render_page
from explorer.report.short_title import short_title
from explorer.report.unfinished import unfinished
from explorer.study.designs import Setting
from explorer.study.runs import runs_of
from explorer.verbs.command_line import read_command
from tests.made_up import made_up


def test_a_study_that_is_not_finished_shows_each_of_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = read_command(["study=equal_params"]).study

    def end(setting: Setting, seed: int) -> str:
        return "diverged" if seed == 0 and setting.name == "29-32x4d" else "ok" if seed < 2 else ""

    study = open_study(made_up(config, end))
    found = unfinished(study)
    assert found is not None
    assert found.words == "10 of 30 runs, the last one ended 2026-11-24 05:09 UTC"
    assert found.command == "explorer equal_params"
    states = [[one.state for one in squares] for squares in found.rows.values()]
    assert states[0] == ["done", "done", "left", "left", "left", "left"]
    assert sum(own[0] == "failed" for own in states) == 1
    assert found.kinds == {"done": 9, "failed": 1, "begun": 0, "left": 20}
    page = render_page(study)
    strip = page[page.index('<div class="squares"') : page.index("a square for each seed")]
    assert len(re.findall(r'<i class="\w+" title="seed', strip)) == 30
    assert 'title="seed 0: diverged"' in strip
    assert short_title(study.finding, "equal_params") == "10 of 30 runs so far | equal_params"
    runs = runs_of(study.plan, study.settings, execution_in(study.execution, study.folder), "0" * 12)
    ids = [run.id for setting, run in runs if setting.name == "29-1x64d" and run.seed in (2, 3)]
    environment = {**study.environment, "data_hash": "0" * 12}
    for name in (*ids, "of another study"):
        (checkpoints(study.folder) / name).mkdir(parents=True)
    begun = unfinished(replace(study, environment=environment))
    assert begun is not None
    states = [[one.state for one in squares] for squares in begun.rows.values()]
    assert states[0] == ["done", "done", "begun", "begun", "left", "left"]
    assert begun.kinds == {"done": 9, "failed": 1, "begun": 2, "left": 18}
    assert unfinished(replace(study, environment={**environment, "data_hash": "1" * 12})) == found  # of other images
    monkeypatch.chdir(tmp_path)
    whole = open_study(made_up(config, folder=tmp_path / "studies" / "whole"))
    told = dict(meaning(whole.finding, config))
    assert told["Compared"].startswith("ResNeXt-29 (32x4d) and ResNet-29 (1x64d), by their test error")
    assert "equal numbers of parameters" in told["Equal budget"]
    assert "95 of 100 ranges" in told["Interval"]
    assert ("Margin" in told) == (config.study.margin is not None)
    assert "<dt>Pair</dt>" in render_page(whole)
    assert unfinished(whole) is None
    assert re.fullmatch(
        r"(ResNeXt-29 \(32x4d\) (beats|loses to) ResNet-29 \(1x64d\) by \d+\.\d\d points"
        r"|Inconclusive: ResNeXt-29 \(32x4d\) against ResNet-29 \(1x64d\)) \| equal_params",
        short_title(whole.finding, "equal_params"),
    )


def test_each_section_has_an_address_of_its_own() -> None:
    found = sectioned("<p>first</p><h2>One &amp; <i>two</i></h2><figure></figure><h2>One two</h2><table></table>")
    assert [(one.name, one.words) for one in found.sections] == [
        ("section-one-amp-two", "One &amp; two"),
        ("section-one-two", "One two"),
    ]
    assert found.body.startswith(
        '<p>first</p><section id="section-one-amp-two" class="picture"><h2>One &amp; <i>two</i>'
    )
    assert '<section id="section-one-two"><h2>' in found.body
    assert [one.name for one in sectioned("<h2>a</h2><h2>a</h2>").sections] == ["section-a", "section-a-2"]
