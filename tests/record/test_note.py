"""What a person notes beside a result is shown wherever the result is, decides nothing, and takes nothing away."""

import os
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Literal

import pytest
from rich.console import Console

from explorer.analysis.judging import OpenedStudy, open_study
from explorer.analysis.sentences import sentence
from explorer.record.folder import LONGEST_NOTE, NOTE, note, stamps_of
from explorer.report.entry_cache import keep, kept, key_of
from explorer.report.index import entry_of, write_index
from explorer.report.page import render_page
from explorer.report.terminal import print_verdict
from explorer.study.plan import plan_of
from explorer.study.settings import StudyConfig
from explorer.verbs.tabulate import read_table, write_table
from tests.report.test_page import study

ROOT = Path(__file__).parents[2]
RECORDED = [path.parent for path in sorted((ROOT / "studies").glob("*/note.txt"))]
LITERAL, NARROW = "literal_16px_cifar10_jpeg", "init_narrow_cifar10_jpeg"  # and studies that continue them, and arms
WITHOUT_VERDICT = {  # of fewer than five pairs, of one setting, or gone on with on another processor
    *(f"{LITERAL}{tail}" for tail in ("", "_groups", "_groups-2", "_turn")),
    *(f"{NARROW}_{tail}" for tail in ("fan_out-2", "fan_in", "groups", "groups-2", "quarter", "quarter-2")),
}
HOSTILE = "it\n  holds <img src=x onerror=alert(1)> & \x1b[31mmore\u202e"


def ended() -> OpenedStudy:
    """A study whose runs have an end, for the index."""
    shown = study()
    return replace(shown, record=replace(shown.record, runs=shown.record.runs.assign(finished="2026-11-24T05:09:10Z")))


def test_a_note_stands_on_the_page_in_the_index_and_on_the_terminal(tmp_path: Path) -> None:
    shown = ended()
    noted = replace(shown, finding=replace(shown.finding, note="It holds <here> alone."))
    assert "Noted beside this result: <bdi>It holds &lt;here&gt; alone.</bdi>" in render_page(noted)
    assert "Noted beside" not in render_page(shown)
    write_index([entry_of(noted)], tmp_path / "index.html")
    assert "It holds &lt;here&gt; alone." in (tmp_path / "index.html").read_text()
    said = StringIO()
    print_verdict(noted.finding, "Does it?", Console(file=said, width=200))
    assert "Noted beside this result: It holds <here> alone." in said.getvalue()


def test_a_note_is_one_line_of_text_whatever_it_holds(tmp_path: Path) -> None:
    assert note(tmp_path) == ""
    (tmp_path / NOTE).write_text(HOSTILE)
    assert note(tmp_path) == " ".join(HOSTILE.split())
    (tmp_path / NOTE).write_text("é" * LONGEST_NOTE)
    assert note(tmp_path) == "é" * LONGEST_NOTE


def test_a_note_that_cannot_be_shown_says_so_in_its_place(tmp_path: Path) -> None:
    refused = "(note.txt cannot be shown: allowed is a text of at most 2,000 letters in UTF-8.)"
    for content in (b"x" * (LONGEST_NOTE + 1), b"\xff\xfe", b""):
        (tmp_path / NOTE).write_bytes(content)
        assert note(tmp_path) == refused
    (tmp_path / NOTE).unlink()
    os.mkfifo(tmp_path / NOTE)  # would wait for ever
    assert note(tmp_path) == refused


def test_the_index_is_made_anew_when_a_note_was_written(tmp_path: Path) -> None:
    shown = ended()
    for name in ("config.yaml", "runs.csv"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    before = key_of(stamps_of(tmp_path))
    keep(tmp_path, before, entry_of(shown))
    assert kept(tmp_path, before) is not None
    (tmp_path / NOTE).write_text("It holds here alone.")
    os.utime(tmp_path / NOTE, (0, 0))
    assert key_of(stamps_of(tmp_path)) != before
    assert kept(tmp_path, key_of(stamps_of(tmp_path))) is None


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_a_recorded_headline_names_its_initialisation_and_what_is_known_of_that(folder: Path) -> None:
    found_study = open_study(folder)
    config, finding, told = found_study.config, found_study.finding, " ".join(found_study.finding.note.split()).lower()
    of_one_setting, headline = len(finding.summaries) == 1, sentence(finding)
    why = ("only setting",) if of_one_setting else ("pairs of seeds are too few for a verdict", "no verdict yet")
    has_none = any(words in headline for words in why)
    assert has_none == (folder.name in WITHOUT_VERDICT)
    under = "initialisation fan_in" if config.recipe.init == "fan_in" else "the paper's initialisation"
    assert (f"under {under}" in headline) == (not has_none)
    assert "under the paper's initialisation" in told
    if config.spaces:
        assert "0.88 (0.38 to 1.38)" in finding.note
    elif folder.name.startswith((LITERAL, NARROW)):
        assert "it was the initialisation" in told
    else:
        assert "the initialisation explains" in told
        assert "narrow analogue" in told


def test_nothing_recorded_is_called_a_reproduction() -> None:
    assert {folder.name for folder in RECORDED if not folder.name.startswith((LITERAL, NARROW))} == {
        "cardinality_or_width_cifar10_jpeg",
        "design_space_cifar10_jpeg",
        "equal_params_cifar10_jpeg",
        "equal_params_tiny_imagenet_32px",
    }
    places = ("docs/*.md", "conf/study/*.yaml", "studies/*/note.txt")
    texts = [ROOT / "README.md", *(path for place in places for path in ROOT.glob(place))]
    assert [path.name for path in texts if "reproduction" in path.read_text(encoding="utf-8").lower()] == []


def test_a_recorded_study_is_tabulated_with_its_note(tmp_path: Path) -> None:
    folder = ROOT / "studies" / "cardinality_or_width_cifar10_jpeg"
    write_table(folder, tmp_path / "table")
    assert note(folder) in (tmp_path / "table" / "README.md").read_text()
    assert read_table(tmp_path / "table").finding.note == note(folder)


@pytest.mark.parametrize(
    ("init", "gain", "words"),
    [
        ("fan_out", 1.0, " under the paper's initialisation:"),
        ("fan_out_groups", 1.0, " under initialisation fan_out_groups:"),
        ("fan_out", 0.25, " under initialisation fan_out with gain 0.25:"),
    ],
)
def test_a_verdict_on_paths_names_the_initialisation(
    init: Literal["fan_out", "fan_out_groups"], gain: float, words: str
) -> None:
    from tests.opened import judge

    found_study = open_study(ROOT / "studies" / "equal_params_cifar10_jpeg")
    config, record = found_study.config, found_study.record
    started = replace(config, recipe=replace(config.recipe, init=init, init_gain=gain))
    assert f"beats ResNet-29 (1x16d, w64){words}" in sentence(judge(started, record)[1])


def test_a_verdict_on_networks_of_as_many_paths_names_none(tiny: StudyConfig) -> None:
    from explorer.analysis.judging import _under

    both = plan_of(tiny).settings
    assert _under(tiny, [one.name for one in both]) == "under the paper's initialisation"
    assert _under(tiny, [both[0].name] * 2) == ""
