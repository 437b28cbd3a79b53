"""The words of a command: verb, study, keys, in every form that is read, and what is said of those that are not."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from explorer.__main__ import main
from explorer.host.commands import VERBS, command_for
from explorer.host.errors import InputError
from explorer.study.settings import WORDS
from explorer.verbs import table
from explorer.verbs.command_line import read_command
from explorer.verbs.grammar import read_words
from explorer.verbs.table import OWN_VERBS, NamedVerb, verb_of
from tests.conftest import TINY, broadly
from tests.made_up import made_up

TITLE = "Öl, 3 + 4"
TITLED = ["--title", TITLE]
SHIPPED = ["equal_params", "pareto"]


@dataclass(frozen=True)
class DrawConfig:
    """A verb with every kind of key."""

    name: str
    figures: tuple[str, ...] = field(default=(), metadata=WORDS)
    width: Literal["column", "page"] = "column"
    format: tuple[Literal["pdf", "svg"], ...] = ("pdf",)
    image_size: int | None = None
    title: str | None = None
    json: bool = False


@pytest.fixture
def drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.NAMED_VERBS, "draw", NamedVerb(DrawConfig))
    for module in ("explorer.verbs.table", "explorer.verbs.grammar"):
        monkeypatch.setattr(f"{module}.VERBS", (*VERBS, "draw"))


@pytest.fixture
def tiny(workplace: Path) -> Path:
    """A study of one's own, recorded with settings that no file in `conf` has."""
    return made_up(read_command([*TINY, "recipe.label_smoothing=0.05"]).study)


def test_keys_are_written_in_four_forms_and_mean_the_same(tiny: Path, drawing: None) -> None:
    wanted = DrawConfig("tiny", ("a", "b c", "d=e.jpg"), "page", ("pdf", "svg"), 32, TITLE, json=True)
    Path("d=e.jpg").touch()
    for words in (
        ["draw", "tiny", "a", "b c", "d=e.jpg", "width=page", "format=pdf,svg", "image_size=32", f"title={TITLE}"],
        ["draw", "tiny", "--width", "page", "a", "b c", "--format", "pdf,svg", "--image-size=32", "d=e.jpg", *TITLED],
        [
            "--width=page",
            "draw",
            "--image-size",
            "32",
            "studies/tiny/",
            "a",
            "b c",
            "d=e.jpg",
            "format=pdf,svg",
            *TITLED,
        ],
        ["do=draw", "name=tiny", "a", "b c", "d=e.jpg", "width=page", "format=[pdf,svg]", "image_size=32", *TITLED],
    ):
        for flag in (["--json"], ["json=true"], ["--json=true"]):
            command = read_command([*words, *flag])
            assert (command.do, command.config, command.is_named) == ("draw", wanted, True)
    assert read_command(["draw", "tiny", "--", "--json", "x=1"]).config == DrawConfig("tiny", ("--json", "x=1"))


def test_a_study_is_found_in_its_folder_before_it_is_found_in_conf(workplace: Path) -> None:
    assert read_words(["equal_params"], SHIPPED).keys == ("study=equal_params",)
    config = read_command(["study=equal_params", "device=cpu", "recipe.epochs=3"]).study
    made_up(config)
    for words in (["equal_params"], ["run", "equal_params"], ["run", "studies/equal_params/"]):
        assert read_command(words).study == config
    assert read_command(["study=equal_params"]).study.recipe.epochs != 3
    assert read_command(["equal_params", "recipe.epochs=4", "--name", "other"]).study.recipe.epochs == 4
    assert (
        read_command(["equal_params", "recipe=short"]).study.recipe
        == read_command(["study=equal_params", "recipe=short"]).study.recipe
    )


def test_every_verb_goes_by_the_stored_settings(tiny: Path) -> None:
    stored = read_command([*TINY, "recipe.label_smoothing=0.05"]).study
    for verb in ("run", "plan", "challenge", "report", "tabulate"):
        for words in ([verb, "tiny"], [f"do={verb}", "tiny"], ["tiny", f"--do={verb}"], [verb, "name=tiny"]):
            command = read_command(words)
            assert (command.do, command.study) == (verb, stored)
    assert read_command(["run", "--config", "studies/tiny/config.yaml", "name=again"]).study.name == "again"


def test_a_study_may_be_called_as_a_verb_is(tiny: Path) -> None:
    tiny.rename("studies/plan")
    assert read_command(["plan", "plan"]).study.name == "plan"
    assert read_command(["run", "plan"]).study.name == "plan"
    with pytest.raises(InputError, match="study is missing; say for example explorer plan plan"):
        read_command(["plan"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["equal_parms"], r"equal_parms: no such verb or study \(did you mean equal_params\?\); verbs: run, plan"),
        (["plan", "tinny"], r"tinny: no such study \(did you mean tiny\?\); in studies/: tiny; to start: "),
        (["tiny", "plan"], "tiny plan: a verb comes first; say explorer plan tiny"),
        (["studies", "plan", "budget=1M"], "say explorer plan study=best data=studies budget=1M$"),
        (["--helpp"], r"--helpp: is no option \(did you mean help\?\); explorer --help shows"),
        (["plan", "-v"], "-v: is no option; explorer --help shows all that there is$"),
        (["plan", "study=best", "data="], "data=: no such data; allowed: .*, or a folder of images"),
        (["plan", "tiny", "pareto"], "pareto: is one word too many; allowed is one study, tiny"),
        (["plan", "tiny", "do=report"], "plan do=report: are two verbs"),
        (["tiny", "study=pareto"], "tiny study=pareto: are two studies"),
        (["tiny", "--config", "x.yaml"], "--config x.yaml: holds a study's settings, and tiny names another"),
        (["run", "--config", "x.yaml"], "x.yaml: is missing"),
        (["tiny", "--recipe.epochs"], "--recipe.epochs: what is it to be"),
        (["tiny", "-x"], "-x: cannot be read; expected key=value"),
        (["tiny", "recipe.epohcs=3"], r"recipe.epohcs=3: unknown key \(did you mean epochs\?\)"),
        (["export", "29-32x4d", "onnx=true"], "explorer export architecture=29-32x4d onnx=true writes it as a module"),
        (["predict", "29-32x4d", "a.png"], "explorer predict tiny architecture=29-32x4d photo.jpg takes it from that"),
        (["report", "29-32x4d"], "explorer verify 29-32x4d tells its cost, explorer export architecture=29-32x4d"),
        (["29-32x4d", "recipe.epochs=3"], "explorer export architecture=29-32x4d writes it as a module"),
        (["plan", "29-32x4d"], "is the name of a design, not of a study"),
        (
            ["reports/tiny.html"],
            "is no name of a study, which is said without a folder or an ending; say explorer tiny",
        ),
        (["export", "tiny/"], "say explorer export tiny$"),
        (["predict", "exports/tiny", "a.png"], "say explorer predict tiny a.png$"),
        (["plan", "studies/tiny/config.yaml"], "say explorer plan tiny$"),
        (["report", "/etc/passwd"], "'/etc/passwd': is no name of a study; in studies/: tiny"),
        (["repotr", "tiny"], r"repotr: no such verb \(did you mean report\?\); verbs: run, plan"),
        (["Export", "tiny"], r"Export: no such verb \(did you mean export\?\)"),
        (["export tiny"], "'export tiny': is one word; say explorer export tiny, without quotes"),
        ([""], "'': is no name of a study; in studies/: tiny"),
        ([" "], "' ': is no name of a study"),
        (["plan", "studies"], "studies: is a folder here and no study; .* say explorer plan study=best data=studies$"),
        (["predict", "studies"], "is a file or folder here; a study comes first, as in explorer predict tiny studies$"),
        (["benchmark", "speed"], "subject=\"speed\": must be 'training' or 'latency'$"),
        (["run", "--config", "none.yaml"], "none.yaml: is missing, .*; name another file$"),
        (["../tiny"], "../tiny: is no name of a study, which is said without a folder or an ending; say explorer tiny"),
        (["stüdy"], "allowed are 1 to 100 letters"),
        (["draw", "equal_params"], "equal_params: has no record here yet; train it first, with: explorer equal_params"),
        (["draw"], "study is missing; say for example explorer draw tiny"),
        (["draw", "tiny", "widht=page"], r"widht=page: unknown key \(did you mean width\?\); allowed: figures, format"),
        (["draw", "tiny", "format=png"], "format.0=\"png\": must be 'pdf' or 'svg'"),
        (["benchmark", "latency", "training"], "training: is one word too many; benchmark takes one subject"),
    ],
)
def test_what_cannot_be_meant_is_one_line(tiny: Path, drawing: None, words: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_command(words)


@pytest.mark.parametrize("verb", broadly([verb for verb in VERBS if verb not in OWN_VERBS or verb == "export"], fast=8))
def test_the_form_of_earlier_versions_names_the_study_of_every_verb(tiny: Path, verb: str) -> None:
    more = {"move": ["storage=none"], "predict": ["a.png"], "fork": ["recipe.epochs=3"]}.get(verb, [])

    def read(words: list[str]) -> tuple[str, object]:
        command = read_command([*words, *more])
        return command.do, command.config

    wanted = read([verb, "tiny"])
    for words in (["study=tiny", f"do={verb}"], [f"do={verb}", "study=tiny"], [f"--do={verb}", "--study", "tiny"]):
        assert read(words) == wanted
    assert read([f"do={verb}", "name=tiny"]) == wanted
    made_up(read_command(["study=equal_params", "device=cpu", "recipe.epochs=2"]).study)  # a name that conf has too
    if verb not in ("run", "plan", "fork"):
        assert read(["study=equal_params", f"do={verb}"]) == read([verb, "equal_params"])


def test_a_flag_before_the_verb_takes_no_value(tiny: Path) -> None:
    for words in (["--onnx", "export", "tiny"], ["--yes", "delete", "tiny"]):
        assert read_command(words) == read_command([*words[1:], words[0]])
    assert read_command(["--name", "tiny", "plan"]) == read_command(["plan", "tiny"])


def test_help_and_version_are_words_of_the_program_in_the_first_place_alone(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["help"], ["-h"], ["--help"], ["help", "delete"], ["delete", "tiny", "--yes", "--help"]):
        assert main(words) == 0
        assert "Groups:" in capsys.readouterr().out
    for words in (["version"], ["--version"], ["status", "-V"]):
        assert main(words) == 0
        assert capsys.readouterr().out.startswith("resnext-explorer ")
    for words in (["delete", "help", "--yes"], ["status", "help", "--json"], ["predict", "version", "a.png"]):
        assert main(words) == 2
        assert "no such study" in capsys.readouterr().err
    assert main(["predict", "tiny", "version"]) == 2
    assert "Groups:" not in capsys.readouterr().out
    for name in ("help", "version", "plan"):
        tiny.rename(tiny.with_name(name))
        tiny = tiny.with_name(name)
        assert read_command(["run", name]).study.name == read_command([f"name={name}"]).study.name == name
        assert main(["status", name]) == 0
        assert command_for("", name) == f"explorer run {name}"
        assert f"explorer run {name} prints the verdict" in capsys.readouterr().out


def test_a_new_study_is_not_called_as_a_verb_is(tiny: Path) -> None:
    for words in (["study=equal_params", "name=delete"], ["equal_params", "name=help"], ["plan", "tiny", "name=list"]):
        with pytest.raises(InputError, match=r"^name=\w+: is a word of the command line; choose another name"):
            read_command(words)
    with pytest.raises(InputError, match=r"^fork=version: is a word"):
        read_command(["fork", "tiny", "recipe.epochs=3", "name=version"])


def test_settings_are_printed_of_any_command(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.rename("studies/job")
    for words in (["job", "--cfg", "job"], ["--cfg", "job", "job"], ["job", "--cfg=job"]):
        assert main(words) == 0
        assert "name: job\n" in capsys.readouterr().out
    assert main(["job", "--cfg"]) == 2
    assert "say --cfg job" in capsys.readouterr().err


def test_verbs_on_designs_take_words_too() -> None:
    assert read_command(["verify", "29-32x4d", "--image-size", "16"]) == read_command(
        ["do=verify", "architecture=29-32x4d", "image_size=16"]
    )
    assert read_command(["pool", "a", "b"]).config == read_command(["do=pool", "studies=[a,b]"]).config
    assert read_command(["benchmark", "latency"]).config.subject == "latency"


def test_the_verb_of_a_command_is_known_before_it_is_read() -> None:
    assert verb_of(["--name", "plan", "report", "x"]) == "report"
    assert verb_of(["equal_params"]) == "run"
    assert verb_of(["study=x", "do='tabulate'"]) == "tabulate"
