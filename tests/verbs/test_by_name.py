"""A recorded study by its name alone: continued, read, listed, forked and deleted as it was begun."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from explorer.__main__ import main
from explorer.analysis.judging import OpenedStudy, open_study
from explorer.host.cache import cache_folder
from explorer.record.folder import locked
from explorer.study.designs import Setting
from explorer.verbs import status
from explorer.verbs.command_line import read_command
from tests.conftest import PATIENCE, TINY
from tests.made_up import made_up

OVERRIDDEN = [*TINY, "recipe.label_smoothing=0.05"]


@pytest.fixture
def tiny(workplace: Path) -> Path:
    """A finished study with settings that no file in `conf` has."""
    return made_up(read_command(OVERRIDDEN).study)


def first_seed(_: Setting, seed: int) -> str:
    """Only the first seed has been trained."""
    return "ok" if seed == 0 else ""


def tree(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Times, sizes and contents of all files, and times of folders."""
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted([folder, *folder.rglob("*")])
    }


def said(capsys: pytest.CaptureFixture[str]) -> str:
    found = capsys.readouterr()
    return found.out + found.err


def test_what_only_reads_writes_nothing(tiny: Path, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_up(read_command([*TINY, "name=half"]).study, first_seed)
    assert main(["report", "tiny"]) == 0
    before = tree(workplace)
    for words in (["tiny"], ["plan", "tiny"], ["plan", "half"], ["list"], ["list", "--json"], ["status", "half"]):
        assert main(words) == 0
        assert tree(workplace) == before
    with locked(tiny):
        before = tree(workplace)
        capsys.readouterr()
        assert main(["status"]) == 0
        assert tree(workplace) == before
    assert f"tiny: running, process {os.getpid()} on " in said(capsys)


def test_studies_are_listed_with_how_far_they_are(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    size = sum(path.stat().st_size for path in tiny.rglob("*") if path.is_file())
    assert {**one, "verdict": "", "changed": ""} == {
        "name": "tiny",
        "state": "finished",
        "done": 4,
        "wanted": 4,
        "running_on": None,
        "bytes": size,
        "verdict": "",
        "changed": "",
    }
    made_up(read_command([*TINY, "name=half"]).study, first_seed)
    Path("studies/empty").mkdir()
    shutil.copytree(tiny, "studies/ill")
    Path("studies/ill/config.yaml").write_text("recipe: [")
    Path("studies/linked").symlink_to(tiny.resolve())
    Path("studies/nowhere").symlink_to("gone")
    assert main(["status", "nowhere", "--json"]) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out)["error"].startswith("studies/nowhere: is a link to something")
    assert "studies/nowhere: is a link to something" in printed.err
    assert main(["list", "--json"]) == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    states = {name: one["state"] for name, one in found.items()}
    assert states == {
        "tiny": "finished",
        "half": "stopped",
        "empty": "not begun",
        "ill": "unusable",
        "linked": "unusable",
        "nowhere": "unusable",
    }
    assert (found["half"]["done"], found["half"]["wanted"]) == (2, 4)
    assert "studies/ill/config.yaml: is not a YAML mapping" in found["ill"]["verdict"]
    assert main(["list"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["half", "2/4", "stopped"] in [row[:3] for row in rows]
    assert main(["status", "half", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["by_status"] == {"ok": 2}
    assert main(["status", "half"]) == 0
    assert "explorer half trains what is left: 2 runs" in capsys.readouterr().out
    assert main(["status", "ill"]) == 0
    assert "explorer doctor ill" in capsys.readouterr().out


def test_a_study_that_is_listed_is_judged_once_and_again_when_its_record_has_changed(
    tiny: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr("explorer.report.entry_cache.COARSE", -PATIENCE)  # else the record is too new to be cached
    opened: list[Path] = []

    def watched(folder: Path) -> OpenedStudy:
        opened.append(folder)
        return open_study(folder)

    monkeypatch.setattr(status, "open_study", watched)
    before = tree(Path())

    def listed() -> dict[str, object]:
        assert main(["list", "--json"]) == 0
        (one,) = json.loads(capsys.readouterr().out)
        return dict(one)

    first = listed()
    assert listed() == first
    assert opened == [tiny]
    assert tree(Path()) == before
    (tiny / "note.txt").write_text("A word on it.")
    assert listed()["state"] == "finished"
    assert opened == [tiny, tiny]
    (kept,) = cache_folder("entries").glob("*.json")
    kept.write_text(kept.read_text().replace('"final": 4', '"final": 3'))
    assert listed()["done"] == 4
    assert opened == [tiny, tiny, tiny]
    monkeypatch.setattr("explorer.report.entry_cache.MOST_KEPT", 0)
    assert listed()["done"] == 4
    assert list(cache_folder("entries").iterdir()) == []


def test_nothing_to_list_says_how_to_start(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert capsys.readouterr().out == "No study in studies/ yet. Start one with: explorer equal_params\n"
    assert list(workplace.iterdir()) == []


def test_a_key_that_would_change_a_finished_study_is_refused_with_the_command_that_goes_on(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(tiny)
    assert main(["study=equal_params", "name=tiny", "recipe.epochs=3"]) == 2
    assert read_command(["study=equal_params", "recipe.epochs=3", "name=other"]).study.name == "other"
    capsys.readouterr()
    assert main(["tiny", "recipe.epochs=3"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "explorer: studies/tiny: was started differently (recipe.epochs was 2, now 3); continue it as it is with "
        "explorer tiny, begin another study by adding name=..., or go on under another name with explorer fork tiny "
        "recipe.epochs=3"
    )
    assert tree(tiny) == before
    command = read_command(["fork", "tiny", "recipe.epochs=3"])
    assert (command.do, command.study.fork, command.study.name) == ("run", True, "tiny")
    named = read_command(["fork", "tiny", "recipe.epochs=3", "name=longer"]).study
    assert (named.fork, named.name, named.recipe.label_smoothing) == ("longer", "tiny", 0.05)
    assert main(["plan", "tiny", "fork=longer", "recipe.epochs=3"]) == 0
    assert "its fork is longer" in capsys.readouterr().out
    assert main(["plan", "tiny", "fork=longer"]) == 2
    assert "trains it again" in capsys.readouterr().err
    assert main(["tiny", "report.live=true", "engine.workers=1"]) == 0  # which decide nothing


def test_another_set_of_images_is_a_study_of_its_own(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("first", "second"):
        for part in "abc":
            Path(name, part).mkdir(parents=True)
            for number in range(9):
                Image.new("RGB", (16, 16), (number, 0, 0)).save(Path(name, part, f"{number}.png"))
    words = ["study=equal_params", "data=first", "data.image_size=16"]
    made_up(read_command(words).study)
    told = "data.path=second decides nothing: equal_params is finished, on images that were in first."
    for verb in ([], ["plan"], ["report"]):
        assert main([*verb, "equal_params", "data.path=second"]) == 0
        assert told in capsys.readouterr().out
    assert main(["equal_params", "data=second", "data.image_size=16", "recipe.epochs=3"]) == 2
    assert "name with explorer fork equal_params recipe.epochs=3 data=second\n" in capsys.readouterr().err
    assert main(["equal_params"]) == 0
    assert "decides nothing" not in capsys.readouterr().out
    made_up(read_command(["study=best", "data=digits", "budget=100k"]).study)
    assert main(["study=best"]) == 2
    assert "study=best: explorer best goes on with the one that has begun; for another say where" in said(capsys)


def test_what_a_folder_may_not_decide_is_asked_of_the_command(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made_up(read_command([*TINY, "name=half"]).study, first_seed)
    stored = yaml.safe_load((folder / "config.yaml").read_text())
    stored["engine"] |= {"name": "ray", "address": "elsewhere:1"}
    stored["storage"] |= {"mirror": "url", "url": "postgresql://me@elsewhere/x"}
    (folder / "config.yaml").write_text(yaml.safe_dump(stored))
    config = read_command(["half"]).study
    assert (config.engine.address, config.storage.mirror, config.storage.url) == ("local", "none", None)
    assert main(["half"]) == 2
    line = capsys.readouterr().err
    assert "engine.address, storage.url: studies/half/config.yaml says something that only a command may decide" in line
    assert main(["plan", "half"]) == 0
    own = read_command(["half", "engine.address=mine:1", "storage=sqlite"])
    assert (own.study.engine.address, own.withheld) == ("mine:1", ())
    stored["do"] = "move"
    Path("theirs.yaml").write_text(yaml.safe_dump(stored))
    assert main(["run", "--config", "theirs.yaml"]) == 2
    assert "do=move: a file may not decide this" in capsys.readouterr().err


def test_a_study_is_deleted_with_its_page_after_it_was_said_what_goes(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made_up(read_command([*TINY, "name=other"]).study)
    assert main(["report", "tiny"]) == main(["report", "other"]) == 0
    final = tiny / "checks" / "final-3"  # the final round of a search, which is a study of its own
    final.mkdir(parents=True)
    shutil.copy(tiny / "runs.csv", final)
    before = tree(Path())
    capsys.readouterr()
    assert main(["delete", "equal_params"]) == 2
    assert "equal_params: has no record here, so there is nothing to delete" in capsys.readouterr().err
    assert main(["delete", "tiny"]) == 1
    found = capsys.readouterr().out.splitlines()
    assert found[0] == "This deletes for good:"
    assert found[1].startswith("  studies/tiny: 8 recorded runs, ")
    assert found[2:] == [
        "  reports/tiny.html, and its entry in reports/index.html",
        "Nothing was deleted; add --yes to delete.",
    ]
    assert tree(Path()) == before
    for name in ("figures/tiny-verdict.pdf", "figures/tiny-2-verdict.pdf", "tables/tiny-settings.csv", "push/tiny/x"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    Path("studies/tiny-2").mkdir()
    assert main(["delete", "tiny"]) == 1
    said = capsys.readouterr().out
    for line in ("push/tiny stays", "1 file figures/tiny-* stays", "1 file tables/tiny-* stays"):
        assert line in said
    for name in ("figures", "tables", "push", "studies/tiny-2"):
        shutil.rmtree(name)
    with locked(tiny):
        assert main(["delete", "tiny", "--yes"]) == 2
    assert "is being run by process" in capsys.readouterr().err
    assert main(["delete", "tiny", "--yes"]) == 0
    assert [path.name for path in Path("studies").iterdir()] == ["other"]
    assert sorted(path.name for path in Path("reports").iterdir()) == ["index.html", "other.html"]
    assert "tiny" not in Path("reports/index.html").read_text()
    Path("studies/linked").symlink_to(Path("studies/other").resolve())
    assert main(["delete", "linked", "--yes"]) == 2
    assert Path("studies/other/runs.csv").exists()
    assert main(["delete", "../studies", "--yes"]) == 2


def test_nothing_is_deleted_or_written_through_a_link(
    tiny: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path_factory.mktemp("other")
    shutil.rmtree(tiny / "local", ignore_errors=True)
    (tiny / "local").symlink_to(other)
    assert main(["delete", "tiny", "--yes"]) == 2
    assert "studies/tiny/local: is a link" in capsys.readouterr().err
    assert list(other.iterdir()) == []
    (tiny / "local").unlink()
    Path("studies").rename(other / "studies")
    Path("studies").symlink_to(other / "studies")
    before = tree(other)
    assert main(["delete", "tiny", "--yes"]) == 2
    assert f"studies: is a link, through which nothing is deleted; it leads to {other}" in capsys.readouterr().err
    assert tree(other) == before


def test_a_folder_that_is_no_study_is_not_deleted(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("studies/photos/cats").mkdir(parents=True)
    assert main(["delete", "photos", "--yes"]) == 2
    assert "studies/photos: holds cats and no study" in capsys.readouterr().err
    Path("studies/photos/cats").rename("studies/photos/local")  # what a start that was refused may leave
    assert main(["delete", "photos", "--yes"]) == 0
    assert list(Path("studies").iterdir()) == []


def test_a_damaged_study_can_be_deleted_and_a_database_of_others_is_left(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tiny / "config.yaml").write_text((tiny / "config.yaml").read_text().replace("url: null", "url: sqlite:///lab.db"))
    assert main(["delete", "tiny", "database=sqlite:///mine.db", "--yes"]) == 2
    assert "is not the database of tiny, which is sqlite:///lab.db" in capsys.readouterr().err
    assert main(["delete", "tiny"]) == 1
    assert "It stays in the database sqlite:///lab.db; add database=sqlite:///lab.db" in capsys.readouterr().out
    (tiny / "config.yaml").write_text("a: [")
    assert main(["delete", "tiny", "--yes"]) == 0
    assert list(Path("studies").iterdir()) == []


@pytest.mark.real
def test_list_starts_without_heavy_packages(tiny: Path) -> None:
    code = (
        "import sys; from explorer.__main__ import main; main(['list']); print({'torch', 'optuna'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
