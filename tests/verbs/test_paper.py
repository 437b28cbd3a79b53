"""`explorer figure`, `table` and `cite`: what a command writes and says, and what it refuses."""

from pathlib import Path

import pytest

from explorer import open_study
from explorer.__main__ import main
from explorer.host.errors import InputError
from explorer.study.designs import Setting
from explorer.verbs import figure
from explorer.verbs.command_line import read_command
from tests.conftest import TINY, broadly
from tests.made_up import all_ok, made_up


def made(*words: str, unfinished: bool = False) -> None:
    def end(setting: Setting, seed: int) -> str:
        return "" if unfinished and seed else all_ok(setting, seed)

    made_up(read_command([*TINY, *words]).study, end)


@pytest.mark.real
def test_files_are_written_where_and_as_asked_with_a_caption_that_says_n_and_source(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made()
    assert main(["figure", "tiny", "curves", "cardinality", "--format", "pdf,png", "--width", "2"]) == 0
    said = capsys.readouterr().out
    names = [f"tiny-{name}.{form}" for name in ("curves", "cardinality") for form in ("pdf", "png")]
    assert sorted(path.name for path in Path("figures").iterdir()) == sorted(names)
    for name in names:
        assert f"Wrote {Path('figures', name)}" in said
    assert said.count("Caption: ") == 2
    assert "n = 2 seeds a setting. Study tiny: Digits" in said
    assert main(["figure", "tiny", "--folder", "mine", "format=svg"]) == 0
    assert [path.name for path in Path("mine").iterdir()] == ["tiny-verdict.svg"]
    assert main(["table", "tiny", "--format", "latex,csv,md"]) == 0
    endings = ("csv", "md", "tex")
    assert sorted(path.name for path in Path("tables").iterdir()) == [
        f"tiny-{name}.{ending}" for name in ("contrasts", "settings") for ending in endings
    ]
    capsys.readouterr()
    assert main(["cite", "tiny"]) == 0
    assert capsys.readouterr().out.startswith("% author = {...}")


def test_an_unfinished_study_says_so_and_an_empty_one_is_refused(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(unfinished=True)
    assert main(["figure", "tiny"]) == 0
    assert main(["table", "tiny", "settings"]) == 0
    assert main(["cite", "tiny"]) == 0
    said = capsys.readouterr().out
    assert ", 2 of 4 runs so far;" in said
    assert "2 of 4 runs so far" in Path("tables/tiny-settings.tex").read_text(encoding="utf-8")
    assert "2 of 4 runs" in said.split("@")[1]
    made_up(read_command([*TINY, "name=empty"]).study, lambda setting, seed: "")
    for command in (["figure", "empty"], ["table", "empty"]):
        assert main(command) == 2
        assert "no run" in capsys.readouterr().err
    assert main(["cite", "empty"]) == 0


@pytest.mark.parametrize(
    "kind", broadly(["forms", "design_space", "pareto", "double_complexity", "cardinality_or_width"])
)
def test_every_kind_of_study_has_something_for_a_paper(
    kind: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made_up(read_command([f"study={kind}"]).study)
    study = open_study(kind)
    assert study.table("md", "settings").count("\n| ") == 1 + len(study.finding.summaries)
    assert main(["figure", kind, "all", "--format", "svg"]) == 0
    drawn = {path.name.removeprefix(f"{kind}-").removesuffix(".svg") for path in Path("figures").iterdir()}
    assert set(study.figures) <= drawn
    assert kind.replace("_", r"\_") in study.citation


def test_what_there_is_not_is_refused_with_what_there_is(
    workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made()
    cases = {
        ("figure", "tiny", "cardinalty"): "did you mean cardinality?",
        ("figure", "tiny", "--format", "gif"): "'pdf', 'svg', 'png' or 'csv'",
        ("figure", "tiny", "--width", "wide"): "'column' or 'page'",
        ("table", "tiny", "checks"): "allowed: all, settings, contrasts",
        ("export", "tiny", "--onnx=maybe"): 'onnx="maybe": must be true or false',
        ("figure", "tiny", "--height=tall"): 'height="tall": must be a number',
        ("cite", "none"): "no such study",
    }
    for command, expected in cases.items():
        assert main([*command]) == 2
        assert expected in capsys.readouterr().err
    with pytest.raises(InputError, match="allowed: verdict, cardinality"):
        open_study("tiny").print_figure("none")
    with pytest.raises(InputError, match="latex, csv, md"):
        open_study("tiny").table("word", "settings")
    assert open_study("tiny").print_figure("cardinality").get_figwidth() == 3.25
    assert main(["table", "tiny", "all"]) == 0
    assert sorted(path.name for path in Path("tables").iterdir()) == ["tiny-contrasts.tex", "tiny-settings.tex"]
    monkeypatch.setattr(figure, "find_spec", lambda name: None)
    assert main(["figure", "tiny"]) == 2
    assert "pip install 'resnext-explorer[paper]'" in capsys.readouterr().err
    assert not Path("figures").exists()
