"""Keys under the names they had in the release before: read and told of, and in records read without a word."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.host.errors import InputError
from explorer.record.changes import of_settings
from explorer.record.folder import CONFIG
from explorer.record.starts import started_study
from explorer.study.renamed import OF_RECORDS, RENAMED, under_new_names
from explorer.study.settings import BenchmarkConfig, ExportConfig, PoolConfig, StorageConfig, StudyConfig, VerifyConfig
from explorer.study.tree import kinds_of
from explorer.verbs.command_line import read_command
from explorer.verbs.tabulate import read_table, write_table
from tests.conftest import TINY
from tests.made_up import made_up

MADE_UP = {
    "recipe.lr": "recipe.learning_rate",
    "schedule": "recipe.schedule",
    "space.paths": "space.cardinality",
    "spaces.*.paths": "spaces.*.cardinality",
    "engine.start_with": "engine.setup",
    "picture_size": "image_size",
}


def test_every_renamed_key_has_a_new_name_that_is_read_and_an_old_one_that_is_not() -> None:
    kinds = (StudyConfig, VerifyConfig, ExportConfig, BenchmarkConfig, PoolConfig)
    for old, new in (*RENAMED.items(), *OF_RECORDS.items()):
        known = [kind for kind in kinds if kinds_of(kind, tuple(new.split(".")))]
        assert known or new in RENAMED, f"{new}: no settings have this key"
        assert not any(kinds_of(kind, tuple(old.split("."))) for kind in known), f"{old}: is a key still"
    assert not {*RENAMED} & {*RENAMED.values()}


@pytest.fixture
def _old_names(monkeypatch: pytest.MonkeyPatch, workplace: Path) -> None:
    for old, new in MADE_UP.items():
        monkeypatch.setitem(RENAMED, old, new)


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


@pytest.mark.usefixtures("_old_names")
@pytest.mark.parametrize(
    ("argument", "old", "new"),
    [
        ("recipe.lr=0.5", "recipe.lr", "recipe.learning_rate"),
        ("+recipe.lr=0.5", "recipe.lr", "recipe.learning_rate"),
        ("space.paths=[1,2,4]", "space.paths", "space.cardinality"),
    ],
)
def test_an_old_name_in_a_command_sets_the_new_key_and_is_told_in_one_line(argument: str, old: str, new: str) -> None:
    before = read_command(TINY)
    found = read_command([*TINY, argument])
    assert before.aside == ()
    assert found.aside == (f"{old} is now called {new}, and is read under the old name for this release; write {new}",)
    assert found.study == read_command([*TINY, argument.replace(old, new).lstrip("+")]).study != before.study
    assert new in read_command([*TINY, argument, "do=report"]).given


@pytest.mark.usefixtures("_old_names")
def test_an_old_name_within_a_mapping_of_a_command_is_read_too() -> None:
    spaces = (
        "{paths: [1], template: cifar, depth: [11], width: [16], kernel_size: [3], bottleneck_width: {low: 2, high: 9}}"
    )
    command = ["study=design_space", f"spaces={{a: {spaces}, b: {spaces}}}", "study.contrast=null"]
    (told, other) = read_command(command).aside
    assert other.startswith("spaces.b.paths is now called spaces.b.cardinality, ")
    assert told.startswith("spaces.a.paths is now called spaces.a.cardinality, ")
    with pytest.raises(InputError, match=r"both are set; leave spaces\.a\.paths out"):
        read_command(["study=design_space", "spaces={a: {paths: [1], cardinality: [2]}}"])


@pytest.mark.usefixtures("_old_names")
def test_an_old_name_in_a_file_is_told_with_the_file_and_later_files_win(capsys: pytest.CaptureFixture[str]) -> None:
    write("conf/recipe/mine.yaml", "defaults: [digits]\nlr: 0.5\n")
    write("conf/study/mine.yaml", "# @package _global_\ndefaults: [equal_params]\nschedule: step\n")
    (told,) = read_command([*TINY, "recipe=mine"]).aside
    assert told.startswith("recipe.lr is now called recipe.learning_rate, ")
    assert told.endswith(f"(in {Path('conf/recipe/mine.yaml').resolve()})")
    assert read_command([*TINY, "recipe=mine"]).study.recipe.learning_rate == 0.5
    assert read_command([*TINY, "recipe=mine", "recipe.learning_rate=0.25"]).study.recipe.learning_rate == 0.25
    (moved,) = read_command(["study=mine"]).aside
    assert moved.startswith("schedule is now called recipe.schedule, ")
    assert main(["study=mine", "recipe=mine", "do=plan"]) == 0
    said = capsys.readouterr().out
    assert [said.count(f"{old} is now called") for old in ("recipe.lr", "schedule")] == [1, 1]
    write("conf/recipe/mine.yaml", "defaults: [digits]\nlr: 0.5\nlearning_rate: 0.1\n")
    with pytest.raises(InputError, match=r"recipe\.lr: is now called .* both are set; .*mine\.yaml\)"):
        read_command([*TINY, "recipe=mine"])


@pytest.mark.usefixtures("_old_names")
def test_an_old_name_gets_no_command_past_what_files_may_not_say() -> None:
    write("conf/study/theirs.yaml", "# @package _global_\ndefaults: [equal_params]\nengine: {start_with: [rm]}\n")
    with pytest.raises(InputError, match=r"engine\.setup=.* a file that the command does not name may not decide this"):
        read_command(["study=theirs"])


@pytest.mark.usefixtures("_old_names")
def test_a_renamed_key_of_another_verb_is_read_there_alone() -> None:
    found = read_command(["do=verify", "architecture=29-32x4d", "picture_size=16"])
    assert isinstance(found.config, VerifyConfig)
    assert found.config.image_size == 16
    assert len(found.aside) == 1
    with pytest.raises(InputError, match="picture_size=16: unknown key"):
        read_command([*TINY, "picture_size=16"])


@pytest.mark.usefixtures("_old_names")
@pytest.mark.parametrize("table", [RENAMED, OF_RECORDS], ids=["this release", "long ago"])
def test_a_record_with_old_names_is_read_without_a_word(
    table: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(table, "recipe.lr", "recipe.learning_rate")
    if table is OF_RECORDS:
        monkeypatch.delitem(RENAMED, "recipe.lr")
    config = read_command(TINY).study
    folder = made_up(config)
    tree = yaml.safe_load((folder / CONFIG).read_text())
    tree["recipe"]["lr"] = tree["recipe"].pop("learning_rate")
    (folder / CONFIG).write_text(yaml.safe_dump(tree, sort_keys=False))
    before = (folder / CONFIG).read_bytes()
    started = started_study(folder)
    assert started is not None
    assert of_settings(started, config) == []
    assert open_study(folder).config == replace(config, device="auto")
    write_table(folder, Path("tables/tiny"))
    shared = replace(open_study(folder).config, storage=StorageConfig(mirror="none"))  # where it is kept is not shared
    assert read_table(Path("tables/tiny")).config == shared
    capsys.readouterr()
    assert main(["do=doctor", "name=tiny"]) == 0
    said = capsys.readouterr()
    assert "is now called" not in said.out + said.err
    assert (folder / CONFIG).read_bytes() == before


@pytest.mark.parametrize(
    ("tree", "found"),
    [
        ({"a": {"old": 1, "b": 2}}, {"a": {"b": 2, "new": 1}}),
        ({"top": {"x": 1}}, {"a": {"inner": {"x": 1}}}),
        ({"a": {"deep": {"old": 1}}}, {"new": 1}),
        ({"m": {"p": {"old": 1}, "q": {"old": 2}, "r": 3}}, {"m": {"p": {"new": 1}, "q": {"new": 2}, "r": 3}}),
        ({"a": 5, "m": None}, {"a": 5, "m": None}),
        ({"oldest": 1}, {"newest": 1}),
    ],
)
def test_a_key_keeps_its_value_wherever_it_moves(tree: dict[str, Any], found: dict[str, Any]) -> None:
    table = {"a.old": "a.new", "top": "a.inner", "a.deep.old": "new", "m.*.old": "m.*.new", "oldest": "older"}
    copy = json.dumps(tree)
    assert under_new_names(tree, table | {"older": "newest"})[0] == found
    assert json.dumps(tree) == copy
