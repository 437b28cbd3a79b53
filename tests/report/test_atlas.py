"""The picture of all studies' effects, and the packed runs that the page explores."""

import base64
import gzip
import json
import math
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from explorer.__main__ import main
from explorer.analysis.final_round import FinalRound
from explorer.analysis.finding import find
from explorer.analysis.judging import OpenedStudy, open_study
from explorer.record.records import Record
from explorer.report.atlas import Effect, Group, Row, atlas_of, budget_of, effect_of, pooled_rows
from explorer.report.atlas_runs import columns, differing, recipe_of, runs_of
from explorer.report.index import Entry, entry_of, write_index
from explorer.report.page import recorded_in, write_page
from explorer.verbs.command_line import read_command
from tests.analysis.test_statistics import R, X, frame
from tests.made_up import few_epochs, made_up, made_up_final
from tests.opened import opened, recorded_studies
from tests.report.reading import plain
from tests.report.test_page import elements
from tests.test_layers import ROOT

RECORDED = recorded_studies()


def unpacked(study: OpenedStudy) -> dict[str, list[Any]]:
    """The runs of a study as the page unpacks them: a list of values for each column."""
    found = runs_of(study)
    assert found is not None
    told = json.loads(gzip.decompress(base64.b64decode(found.packed)))
    assert told["runs"] == found.count

    def values(one: dict[str, Any]) -> list[Any]:
        if "is" in one:
            return [one["is"]] * found.count
        return one["numbers"] if "numbers" in one else [one["words"][at] if at >= 0 else None for at in one["at"]]

    return {name: values(one) for name, one in told["columns"].items()}


def test_every_recorded_study_has_its_page_with_the_others_and_no_link_leads_to_what_is_not_there() -> None:
    pages = {f"{folder.name}.html" for folder in RECORDED}
    there = {path.name for path in (ROOT / "reports").glob("*.html")}
    assert pages - there == set()
    assert recorded_in(ROOT / "reports") == {folder.name for folder in RECORDED}
    for name in (*sorted(pages), "recorded.html"):
        links = re.findall(r'href="([^"#:]+)"', (ROOT / "reports" / name).read_text(encoding="utf-8"))
        assert set(links) <= {*pages, "recorded.html"}, name
        assert name == "recorded.html" or "recorded.html" in links


@pytest.mark.parametrize("folder", RECORDED, ids=lambda path: path.name)
def test_every_run_of_a_recorded_study_is_there_once_with_the_errors_of_its_finding(folder: Path) -> None:
    study = open_study(folder)
    runs, finding = unpacked(study), study.finding
    places = [place for place, status in enumerate(runs["status"]) if status in ("ok", "diverged", "pruned")]
    assert len(places) == finding.final == len(study.record.runs)
    assert set(runs) <= {one.name for one in columns()}
    errors = {(runs["setting"][place], runs["seed"][place]): runs["error"][place] for place in places}
    told = {(one.setting, seed): error for one in finding.summaries for seed, error in one.errors.items()}
    assert errors == {key: pytest.approx(error, rel=1e-5) for key, error in told.items()}
    assert runs["group_width"] == [c * d for c, d in zip(runs["cardinality"], runs["bottleneck_width"], strict=True)]


def test_a_run_that_failed_has_no_error_and_other_learning_rates_are_told() -> None:
    runs = frame({R: [0.06, 0.07], X: [0.05, 0.05]})
    runs.loc[0, "status"] = "diverged"
    runs.loc[1, "rate"] = 2.0
    config = read_command(["study=equal_params"]).study
    found = unpacked(opened(config, Record(runs, runs[:0]), find(runs, [R, X], (X, R), seeds=2)))
    assert found["error"] == [None, 0.07, 0.05, 0.05]
    assert found["status"] == ["diverged", "ok", "ok", "ok"]
    rate = config.recipe.learning_rate
    assert found["rate"] == [pytest.approx(rate * factor) for factor in (1, 2, 1, 1)]


def test_a_search_tells_no_test_error_until_its_final_round_is_finished(workplace: Path) -> None:
    words = ["study=best", "data=digits", "name=found", "search.designs=6", "search.final=2", "search.final_seeds=2"]
    config = few_epochs(read_command([*words, "budget=100k"]).study)
    folder = made_up(config)
    searched = open_study(folder)
    leaking = replace(searched, record=replace(searched.record, runs=searched.record.runs.assign(test_error=0.1)))
    hidden = unpacked(leaking)
    assert "test_error" not in hidden
    assert set(hidden["part"]) == {"study"}
    made_up_final(config)
    whole = open_study(folder)
    final = whole.finding.final_round
    assert isinstance(final, FinalRound)
    assert final.complete
    runs = unpacked(whole)
    assert len(runs["part"]) == whole.finding.final + final.done == entry_of(whole).final
    for part, test, val in zip(runs["part"], runs["test_error"], runs["val_error"], strict=True):
        assert (test is None, val is None) == ((True, False) if part == "search" else (False, True))
    going = replace(whole, finding=replace(whole.finding, final_round=replace(final, done=final.done - 1)))
    assert "test_error" not in unpacked(going)


def test_recipes_that_differ_are_columns_and_those_alike_are_none() -> None:
    one = opened(read_command(["study=equal_params"]).study, Record(frame({R: [0.1]}), frame({R: [0.1]})[:0]), None)  # type: ignore[arg-type]
    first = recipe_of(replace(one, finding=find(one.record.runs, [R], None, seeds=1)))
    assert first["flip"] in ("yes", "no")
    second = {**first, "learning_rate": 9.0, "init": "fan_in"}
    assert differing([first, second]) == {"learning_rate": True, "init": False}
    names = [column.name for column in columns((), differing([first, second]))]
    assert names[-2:] == ["recipe.learning_rate", "recipe.init"]
    assert differing([first, first, {}]) == {}


def test_a_contrast_has_its_interval_and_few_seeds_are_shown_in_place_of_one() -> None:
    many = {R: [0.06 + seed / 1000 for seed in range(6)], X: [0.05 + seed / 990 for seed in range(6)]}
    found = find(frame(many), [R, X], (X, R), seeds=6, margin=0.005)
    effect = effect_of(found)
    assert effect is not None
    assert found.comparison is not None
    difference = found.comparison.difference
    assert (effect.mean, effect.low, effect.high) == (difference.mean, difference.low, difference.high)
    assert (effect.word, effect.n, effect.margin, effect.values) == ("beats", 6, 0.005, ())
    few = effect_of(find(frame({name: errors[:2] for name, errors in many.items()}), [R, X], (X, R), seeds=2))
    assert few is not None
    assert math.isnan(few.low)
    assert few.values == pytest.approx([-0.01, -0.01 + 1 / 99000])
    assert few.word == "too few pairs"
    going = effect_of(find(frame(many), [R, X], (X, R), seeds=7))
    assert going is not None
    assert going.word == "so far"
    assert effect_of(find(frame(many), [R, X], None, seeds=6)) is None
    spaces = effect_of(open_study(ROOT / "studies" / "design_space_cifar10_jpeg").finding)
    assert spaces is not None
    assert (spaces.setting, spaces.against, spaces.n) == ("several paths", "one path", 128)


def test_the_axis_holds_zero_and_all_means_and_cuts_what_would_press_the_others_together() -> None:
    def row(mean: float, low: float, high: float) -> Row:
        return Row("a", "", effect=Effect("x", "y", mean, low, high, 5, "pair", "beats", "test error", margin=0.005))

    atlas = atlas_of([Group("d", "b", [row(-0.02, -0.03, -0.01), row(0.01, -0.4, 0.42), row(-0.01, -0.02, 0.0)])])
    assert -10 < atlas.low < -1.0 < 3.0 < atlas.high < 10
    assert atlas.place(-0.02) > atlas.place(0.0) > atlas.place(0.01)  # a lower error is on the right
    assert [0 < atlas.place(value) < 100 for value in (-0.02, 0.01, 0.0, 0.005)] == [True] * 4
    assert (atlas.place(0.42), atlas.place(-0.4)) == (0, 100)
    cut = [atlas.cut(one.effect) for group in atlas.groups for one in group.rows if one.effect]
    assert cut == [(False, False), (True, True), (False, False)]
    assert "0" in [words for _, words in atlas.ticks]
    assert all(0 <= place <= 100 for place, _ in atlas.ticks)
    assert not atlas_of([Group("d", "b", [Row("a", "nothing")])]).has_effects


def test_recorded_studies_are_rows_by_data_and_budget_and_alike_contrasts_are_pooled(tmp_path: Path) -> None:
    entries = [entry_of(open_study(folder)) for folder in RECORDED]
    write_index(entries, tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text()
    rows = [own for tag, own in elements(text) if tag == "li" and "effect" in str(own.get("class")).split()]
    assert sorted(str(own["data-of"]) for own in rows if "data-of" in own) == sorted(entry.name for entry in entries)
    means = [own for own in rows if "data-of" not in own]
    (pooled,) = pooled_rows([one.claim for one in entries if one.claim], {})
    assert len(means) == 1
    assert pooled.name == "equal_params_cifar10_jpeg + equal_params_tiny_imagenet_32px"
    # Of two contrasts on the same images the one with more pairs counts.
    assert "init_narrow_cifar10_jpeg_fan_out" not in pooled.name
    assert f"{sum(entry.final for entry in entries)} runs" in plain(text)
    packs = [own for tag, own in elements(text) if tag == "script" and "data-runs" in own]
    assert len(packs) == len(entries)
    budgets = {entry.budget for entry in entries}
    assert {"0.31 M parameters", "no budget"} <= budgets


def test_a_budget_is_told_with_its_amount() -> None:
    def words(*more: str) -> str:
        config = read_command(["study=equal_params", *more]).study
        return budget_of(opened(config, Record(frame({R: [0.1]}), frame({R: [0.1]})[:0]), None))  # type: ignore[arg-type]

    assert words() == "4.91 M parameters"
    assert words("budget=macs") == "46.71 M multiply-adds"
    assert words("budget.params.target=5000000", "budget.params.at_most=true") == "at most 5.00 M parameters"


@pytest.mark.real
def test_what_git_tracks_is_recorded_and_its_pages_lead_to_the_index_of_such_studies(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("kept", "mine"):
        made_up(few_epochs(read_command(["study=equal_params", f"name={name}", "search.seeds=2"]).study))
    reports = Path("reports")
    assert main(["report", "kept"]) == 0
    assert 'href="index.html">All studies' in (reports / "kept.html").read_text()
    assert main(["report", "--recorded"]) == 2
    assert "in no git repository" in capsys.readouterr().err
    subprocess.run(["git", "init", "-q"], check=True)
    assert main(["report", "--recorded"]) == 2
    assert "git tracks no study" in capsys.readouterr().err
    subprocess.run(["git", "add", "studies/kept/config.yaml", "reports/kept.html"], check=True)
    assert main(["report", "kept", "--recorded"]) == 2
    assert "without a name" in capsys.readouterr().err
    assert main(["report", "--recorded", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"studies": ["kept"], "index": "reports/recorded.html", "pages": ["reports/kept.html"]}
    text = (reports / "recorded.html").read_text()
    assert '<meta name="recorded" content="kept">' in text
    assert "mine" not in text
    assert [own["href"] for tag, own in elements(text) if tag == "a"] == ["kept.html"] * 2
    # Pages beside both lead where they are listed for good.
    assert main(["report", "mine"]) == 0
    assert 'href="recorded.html">Recorded studies' in (reports / "kept.html").read_text()
    assert 'href="index.html">All studies' in (reports / "mine.html").read_text()
    assert 'href="recorded.html"' in (reports / "index.html").read_text()
    write_page(open_study(Path("studies/mine")), Path("elsewhere/kept.html"))
    assert 'href="index.html"' in Path("elsewhere/kept.html").read_text()


def test_older_studies_are_left_out_of_what_a_browser_cannot_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("explorer.report.index.MOST_RUNS", 30)
    monkeypatch.setattr("explorer.report.atlas_runs.MOST_RUNS", 20)
    study = open_study(ROOT / "studies" / "equal_params_cifar10_jpeg")
    made: list[Entry] = [replace(entry_of(study), name=name, date=name) for name in ("1", "2")]
    assert made[0].runs is not None
    assert (made[0].runs.count, made[0].runs.of) == (20, 30)
    write_index(made, tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text()
    assert "Of 2 a part of the runs is here" in text
    assert "The runs of 1 older study is left out" in text
