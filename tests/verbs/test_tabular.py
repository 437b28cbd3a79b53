"""A finished study as files to share, and answers from them."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import explorer
from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.host.errors import InputError
from explorer.record.folder import CONFIG, ENVIRONMENT, SCHEMA, study_folder
from explorer.verbs.api import Study
from explorer.verbs.command_line import read_command
from explorer.verbs.tabulate import read_table, write_table
from tests.conftest import TINY
from tests.made_up import made_up


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny study, trained once for all tests here, and its table."""
    place = tmp_path_factory.mktemp("tabulated")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert main([*TINY, "storage=none"]) == 0
        assert main([*TINY, "storage=none", "do=tabulate"]) == 0
    return place


def opened(finished: Path) -> Study:
    return explorer.open_study(finished / "tables" / "tiny")


@pytest.mark.real
def test_a_table_answers_as_the_record_does(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished)
    table, study = opened(finished), open_study(study_folder("tiny"))
    record, finding = study.record, study.finding
    assert table.finding == replace(finding, robustness=None)  # a table holds no checks
    found = table.query("11-2x3d-w16-cifar")
    summary = finding.summaries[1]
    assert (found.setting, found.error, found.errors) == ("11-2x3d-w16", summary.estimate, summary.errors)
    assert (found.params, found.macs, found.activations) == (summary.params, summary.macs, summary.activations)
    runs = set(record.runs.loc[record.runs["setting"] == found.setting, "run"])
    assert len(found.curves) == int(record.epochs["run"].isin(runs).sum()) == 4
    assert list(found.curves["seed"]) == [0, 0, 1, 1]
    assert found.measure == "test_error"


def test_a_table_names_no_places_machines_and_files(workplace: Path) -> None:
    folder = made_up(read_command([*TINY, "storage=none"]).study)  # on the host somewhere

    def change(name: str, change: Callable[[dict[str, Any]], object]) -> None:
        tree = yaml.safe_load((folder / name).read_text())
        change(tree)
        (folder / name).write_text(json.dumps(tree))

    change(CONFIG, lambda tree: tree["data"].update(path="/home/jane/photos"))
    change(CONFIG, lambda tree: tree["engine"].update(name="slurm", account="jane", setup=["source /home/jane/env"]))
    change(CONFIG, lambda tree: tree["storage"].update(mirror="url", url="postgresql://jane@db/explorer"))
    change(ENVIRONMENT, lambda tree: tree["starts"][0].update(host="janes-laptop"))
    change(ENVIRONMENT, lambda tree: tree.update(skipped=["train jane/a (1).png (not an image)", "val b.png"]))
    assert main(["tabulate", "tiny"]) == 0
    table = Path("tables") / "tiny"
    assert not any(word in path.read_bytes() for path in table.iterdir() for word in (b"jane", b"b.png", b"somewhere"))
    parts = json.loads((table / "study.json").read_text())
    assert parts["environment"]["skipped"] == ["train (not an image)", "val"]
    read = explorer.open_study(table)
    assert read.runs["host"].tolist() == ["machine 1"] * 4
    assert parts["environment"]["starts"][0]["host"] == "machine 2"
    assert read.verdict == explorer.open_study("tiny").verdict


def test_what_was_not_trained_is_refused_with_what_was(finished: Path) -> None:
    with pytest.raises(InputError, match=r"29-32x4d: is not in this study; allowed: 11-1x4d-w16, 11-2x3d-w16"):
        opened(finished).query("29-32x4d")
    with pytest.raises(InputError, match="29-x"):
        opened(finished).query("29-x")


def test_a_table_loads_into_optuna_and_draws_its_page(finished: Path, tmp_path: Path) -> None:
    table = opened(finished)
    study = table.to_optuna()
    assert [trial.user_attrs["setting"] for trial in study.trials] == ["11-1x4d-w16", "11-2x3d-w16"]
    means = table.runs.groupby("setting")["val_error"].mean()
    assert [trial.value for trial in study.trials] == pytest.approx(list(means))
    page = table.report(tmp_path / "page.html").read_text()
    assert "11 (2x3d" in page or "2x3d" in page


def test_the_schema_names_every_column_and_the_card_says_what_it_is(finished: Path) -> None:
    folder = finished / "tables" / "tiny"
    schema = json.loads((folder / "schema.json").read_text())
    for name, columns in schema["tables"].items():
        assert list(pd.read_parquet(folder / f"{name}.parquet").columns) == list(columns)
    assert schema["tables"]["runs"]["test_error"] == {"type": "float", "may_be_empty": True, "dtype": "float64"}
    card = (folder / "README.md").read_text()
    study = read_table(folder)
    for words in (study.config.study.question, study.environment["data_hash"], "Digits", "learning_rate"):
        assert words in card


@pytest.mark.parametrize("name", ["runs.parquet", "study.json", "README.md"])
def test_a_changed_or_missing_file_is_named(finished: Path, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in (finished / "tables" / "tiny").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / name).write_bytes((copy / name).read_bytes() + b" ")
    with pytest.raises(InputError, match=f"{name}: is missing or was changed"):
        read_table(copy)
    (copy / name).unlink()
    with pytest.raises(InputError, match=f"{name}: is missing or was changed"):
        read_table(copy)


@pytest.mark.parametrize("text", ["", "[]", '{"format": 99}'])
def test_a_folder_that_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "schema.json").write_text(text)
    with pytest.raises(InputError, match=r"schema\.json: "):
        read_table(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_table(tmp_path / "nowhere")


def test_a_table_without_checksums_is_not_trusted(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text('{"format": 1, "sha256": {}}')
    with pytest.raises(InputError, match="has no checksums"):
        read_table(tmp_path)


def test_an_unfinished_study_is_not_tabulated(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(finished)
    config = study_folder("tiny") / "config.yaml"
    before = config.read_text()
    config.write_text(before.replace("seeds: 2", "seeds: 3"))
    try:
        with pytest.raises(InputError, match="4 of 6 runs are in; finish the study"):
            write_table(study_folder("tiny"), finished / "other")
    finally:
        config.write_text(before)
    assert main([*TINY, "name=nothing", "do=tabulate"]) == 2
    assert "there is no such study yet" in capsys.readouterr().err


def test_bits_come_back_as_they_were() -> None:
    from explorer.record.records import packed, unpacked

    bits = np.random.default_rng(0).random(101) < 0.5
    assert (unpacked([{"run": "a", "images": 101, "bits": packed(bits)}])["a"] == bits).all()


def changed(finished: Path, copy: Path, name: str, change: Callable[[Path], None]) -> Path:
    """A copy of the table in which one file was changed by its author, checksum included."""
    shutil.copytree(finished / "tables" / "tiny", copy)
    change(copy / name)
    schema = json.loads((copy / "schema.json").read_text())
    schema["sha256"][name] = hashlib.sha256((copy / name).read_bytes()).hexdigest()
    (copy / "schema.json").write_text(json.dumps(schema))
    return copy


def test_a_table_of_a_later_version_is_refused_naming_that(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text('{"format": 99, "version": "9.9.9"}')
    with pytest.raises(InputError, match=r"format 99 of a table, written by version 9\.9\.9 of .* install that one"):
        read_table(tmp_path)

    def later(path: Path) -> None:
        parts = json.loads(path.read_text())
        parts["environment"] |= {"schema": SCHEMA + 1, "starts": [{"version": "9.9.9"}]}
        path.write_text(json.dumps(parts))

    with pytest.raises(InputError, match=rf"study\.json: schema {SCHEMA + 1} of a record, written by version 9\.9\.9"):
        read_table(changed(finished, tmp_path / "later", "study.json", later))
    assert json.loads((finished / "tables" / "tiny" / "schema.json").read_text())["version"] == explorer.__version__


def test_a_table_of_an_earlier_version_reads_with_defaults(finished: Path, tmp_path: Path) -> None:
    earlier = ["block", "space", "rate", "form", "latency", "latency_lower", "latency_upper", "start", "host"]

    def drop(*names: str) -> Callable[[Path], None]:
        return lambda path: pd.read_parquet(path).drop(columns=list(names)).to_parquet(path, index=False)

    found = read_table(changed(finished, tmp_path / "earlier", "runs.parquet", drop(*earlier)))
    whole = read_table(finished / "tables" / "tiny")
    assert found.finding == whole.finding
    left = found.record.runs.drop(columns="host")
    pd.testing.assert_frame_equal(left, whole.record.runs.drop(columns="host"), check_dtype=False)
    with pytest.raises(InputError, match=r"runs\.parquet: lacks the column seed; fetch the table again"):
        read_table(changed(finished, tmp_path / "less", "runs.parquet", drop("seed")))
