"""What the index keeps of a study is believed only while nothing has changed."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from explorer.analysis.judging import open_study
from explorer.record.folder import stamps_of
from explorer.report import drawing
from explorer.report import entry_cache as kept
from explorer.report.svg import small_svg
from tests.conftest import PATIENCE

RECORDED = Path(__file__).parents[2] / "studies"
COPIED = Path("studies/plain_path")


@pytest.fixture
def read(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two recorded studies in a place of their own, and the folders that are read from their record since."""
    for name in ("fast_path", "plain_path"):
        shutil.copytree(RECORDED / name, Path("studies") / name, ignore=shutil.ignore_patterns("local"))
        for path in (Path("studies") / name).iterdir():
            os.utime(path, (1_700_000_000, 1_700_000_000))
    folders: list[Path] = []
    load = open_study

    def watched(folder: Path) -> object:
        folders.append(folder)
        return load(folder)

    monkeypatch.setattr(drawing, "open_study", watched)
    return folders


def test_a_study_is_read_once_and_tells_the_same_again(read: list[Path]) -> None:
    first = drawing.entries({})
    assert len(read) == 2
    again = drawing.entries({})
    assert len(read) == 2
    for one, other in zip(first, again, strict=True):
        assert (one.name, one.verdict, one.best, one.date) == (other.name, other.verdict, other.best, other.date)
        assert one.spark is not None
        assert other.spark is not None
        assert small_svg(one.spark.panel) == small_svg(other.spark.panel)


def test_only_what_was_edited_is_read_again_even_with_its_size_and_time_kept(read: list[Path]) -> None:
    before = drawing.entries({})
    path = COPIED / "config.yaml"
    text, times = path.read_text(), path.stat()
    path.write_text(text.replace("Does the fast path", "Does the slow path"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.stat().st_size == times.st_size
    del read[:]
    after = drawing.entries({})
    assert read == [COPIED]
    assert [one.question[:13] for one in after] == ["Does the fast", "Does the slow"]
    assert before[0].question == after[0].question


def test_a_file_that_appears_or_goes_is_an_edit(read: list[Path]) -> None:
    drawing.entries({})
    (COPIED / "correct.csv").unlink()
    assert "correct.csv missing" in drawing.entries({})[1].verdict


@pytest.mark.parametrize("content", ["", "{", "null", "[]", '{"key": 1}', "whole", "verdict"])
def test_a_broken_file_is_ignored_and_written_anew(read: list[Path], content: str) -> None:
    sound = drawing.entries({})[1]
    path = COPIED / kept.FILE
    whole = path.read_text()
    tree = json.loads(whole)
    tree["entry"]["verdict"] = "It is better."
    path.write_text({"whole": whole[:-40], "verdict": json.dumps(tree)}.get(content, content))
    del read[:]
    assert drawing.entries({})[1].verdict == sound.verdict
    assert read == [COPIED]
    assert path.read_text() == whole


def test_another_program_reads_anew(read: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    drawing.entries({})
    monkeypatch.setattr(kept, "_program", lambda: "another")
    drawing.entries({})
    assert len(read) == 4


def test_a_record_written_just_now_is_not_kept_since_its_time_may_hide_a_change(read: list[Path]) -> None:
    soon = time.time() + PATIENCE  # however long the machine takes
    os.utime(COPIED / "runs.csv", (soon, soon))
    drawing.entries({})
    assert kept.key_of(stamps_of(COPIED)) is None
    assert not (COPIED / kept.FILE).exists()


def test_where_nothing_can_be_kept_the_index_is_the_same(read: list[Path]) -> None:
    (COPIED / "local").write_text("in the way")
    assert [one.name for one in drawing.entries({})] == ["fast_path", "plain_path"]
    assert drawing.entries({})[1].mood == "open"


def test_the_study_just_drawn_is_not_read_again(read: list[Path]) -> None:
    known = drawing.entries({})[1]
    shutil.rmtree(COPIED / "local")
    del read[:]
    assert drawing.entries({COPIED: known})[1] == known
    assert read == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("runs.csv", "x"),
        ("config.yaml", "- a list"),
        ("config.yaml", "study: 3"),
        ("environment.json", '{"images": 7}'),
        ("execution.json", None),
    ],
)
def test_a_study_that_cannot_be_read_keeps_no_other_from_the_index(
    read: list[Path], name: str, content: str | None
) -> None:
    drawing.entries({})
    (COPIED / name).unlink() if content is None else (COPIED / name).write_text(content)
    good, bad = drawing.entries({})
    assert (good.mood, bad.mood) == ("open", "broken")
    assert bad.verdict.startswith("Cannot be read: ")
    assert (bad.name, bad.best, bad.spark) == ("plain_path", None, None)


def test_an_environment_with_too_few_images_is_told_too(read: list[Path]) -> None:
    tree = json.loads((COPIED / "environment.json").read_text())
    (COPIED / "environment.json").write_text(json.dumps({**tree, "images": []}))
    assert drawing.entries({})[1].mood == "broken"
