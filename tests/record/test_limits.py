"""Files of a record that others may have made: what they are, how large they are and what stands in them has limits."""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.host.errors import InputError
from explorer.host.yaml_limits import misfit, read_bytes, read_json
from explorer.record import folder as study
from explorer.record import records, table
from explorer.report.drawing import entries
from explorer.study.run import Execution
from tests.conftest import undrawn
from tests.fuzz import checked
from tests.test_layers import ROOT

RECORDED = "equal_params_cifar10_jpeg"
HUGE = "9" * 15


@pytest.fixture
def folder(workplace: Path) -> Path:
    """A copy of a recorded study."""
    place = study.study_folder(RECORDED)
    shutil.copytree(ROOT / place, place, ignore=shutil.ignore_patterns("local"))
    return place


def with_value(path: Path, column: str, value: str) -> None:
    """A row whose check is right and which says something else."""
    header, line, *rest = path.read_text().split("\n")
    cells = line.split(",")[:-1]
    cells[header.split(",").index(column)] = value
    path.write_text("\n".join([header, checked(cells), *rest]))


def pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def holes(path: Path) -> None:
    """Of no size on the disk, and larger than the memory when it is read."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.truncate(2**40)


def zeros(path: Path) -> None:
    with path.open("ab") as file:
        file.truncate(2**32)


def endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def epochs(path: Path) -> None:
    with_value(path.parent / study.RUNS, "epochs", HUGE)


READ = [
    (study.RUNS, pipe, "is not a regular file"),
    (study.RUNS, holes, "bytes; allowed are 8,589,934,592"),
    pytest.param(study.RUNS, zeros, "this is no table any more", marks=pytest.mark.real),  # takes seconds
    (study.RUNS, epochs, "epochs='999999999999999' is not a whole number from 0 to 100,000"),
    (study.EPOCHS, endless, "is not a regular file"),
    (study.EPOCHS, zeros, "this is no table any more"),
    (study.CORRECT, pipe, "is not a regular file"),
    (study.CONFIG, pipe, "is not a regular file"),
    (study.CONFIG, holes, "bytes; allowed are 1,048,576"),
    (study.ENVIRONMENT, pipe, "is not a regular file"),
    (study.ENVIRONMENT, holes, "bytes; allowed are 67,108,864"),
    (study.EXECUTION, endless, "is not a regular file"),
]


@pytest.mark.parametrize(("name", "spoil", "words"), READ, ids=lambda value: getattr(value, "__name__", None))
def test_no_file_of_a_record_is_waited_for_or_fills_the_memory(
    folder: Path, name: str, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(folder / name)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(InputError, match=words) as refused:
        open_study(folder)
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("epochs", "100001"),
        ("test_error", "1.5"),
        ("val_error", "-0.1"),
        ("seconds", "1e19"),
        ("images_per_second", "-1"),
        ("params", str(2**53 + 1)),
        ("params_deviation", "-2"),
        ("rate", "1e300"),
        ("shortcut", "yes"),
        ("seed", "007"),
        ("loss", "1_0"),
    ],
)
def test_a_number_that_nobody_can_have_measured_is_named_with_its_line(folder: Path, column: str, value: str) -> None:
    with_value(folder / study.RUNS, column, value)
    with pytest.raises(InputError, match=rf"runs.csv, line 2: {column}='{value}' is not "):
        records.load(folder)


def test_the_doctor_sets_a_senseless_row_aside_and_keeps_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    undrawn(monkeypatch)
    before = len(records.load(folder).runs)
    with_value(folder / study.RUNS, "epochs", HUGE)
    assert main([f"name={RECORDED}", "do=doctor"]) == 1
    assert f"runs.csv: line 2: epochs='{HUGE}' is not a whole number from 0 to 100,000" in capsys.readouterr().out
    assert main([f"name={RECORDED}", "do=doctor", "yes=true"]) == 0
    assert len(records.load(folder).runs) == before - 1
    assert list((folder / "local" / "damaged").rglob(study.RUNS))


def test_epochs_are_counted_and_not_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {name: table.read(folder / name, kind) for name, kind in records.kinds_of(searches=False).items()}
    assert records.missing(rows) == {}
    for value, lost in ((8, False), (7, True), (9, True), (0, True), (100_000, True)):
        runs = rows[study.RUNS].copy()
        runs.loc[2, "epochs"] = value
        assert (study.EPOCHS in records.missing({**rows, study.RUNS: runs})) == lost


def with_designs(path: Path, number: int) -> None:
    tree = yaml.safe_load(path.read_text())
    tree["search"] |= {"sampler": "uniform", "designs": number}
    tree["study"]["contrast"] = None
    path.write_text(yaml.safe_dump(tree))


NEIGHBOURS: dict[str, Callable[[Path], object]] = {
    "a pipe": lambda place: pipe(place / study.RUNS),
    "a pipe beside its files": lambda place: pipe(place / "local"),
    "a pipe for settings": lambda place: pipe(place / study.CONFIG),
    "more epochs than can be": lambda place: epochs(place / study.RUNS),
    "holes": lambda place: zeros(place / study.EPOCHS),
    "settings that are none": lambda place: (place / study.CONFIG).write_text("[" * 10**6),
    "images that are none": lambda place: (place / study.ENVIRONMENT).write_text('{"images": {}}'),
    "more designs than a moment allows": lambda place: with_designs(place / study.CONFIG, 100_000),
    "a large record": lambda place: holes(place / study.CORRECT),
}


def test_neighbours_of_any_kind_leave_a_good_study_in_the_index(folder: Path) -> None:
    for number, spoil in enumerate(NEIGHBOURS.values()):
        place = study.STUDIES / f"neighbour{number}"
        shutil.copytree(folder, place)
        spoil(place)
    began = time.process_time()
    found = {folder.name: entry for folder, entry in zip(sorted(study.STUDIES.iterdir()), entries({}), strict=True)}
    assert time.process_time() - began < 60
    assert found.pop(RECORDED).mood == "yes"
    assert len(found) == len(NEIGHBOURS)
    assert {entry.mood for entry in found.values()} == {"broken"}
    assert all("\n" not in entry.verdict for entry in found.values())
    assert [found[f"neighbour{number}"].verdict.split(" is too large to be read beside")[0] for number in (7, 8)] == [
        "Cannot be read: its list of 100,000 designs",
        "Cannot be read: its record of 1,048,576 MiB",
    ]


@pytest.mark.parametrize(
    ("value", "kind", "wrong"),
    [
        (1, int, ""),
        (True, int, "k is not a whole number"),
        (1.0, int, "k is not a whole number"),
        (1, float, ""),
        (float("nan"), float, "k is no number that can be"),
        (2**53 + 1, int, "k is no number that can be"),
        (None, str | None, ""),
        (3, str | None, "k is not text"),
        ([1, 2, 3], tuple[int, int, int], ""),
        ([1, 2], tuple[int, int, int], "k is not a list of 3"),
        ([1, "x"], list[int], "k[1] is not a whole number"),
        ({"a": "b"}, dict[str, str], ""),
        ({"a": []}, dict[str, str], "k.a is not text"),
        ({}, Execution, "k.device is missing"),
        ([], Execution, "k is not an object"),
    ],
)
def test_a_value_that_is_not_of_its_type_is_named(value: object, kind: object, wrong: str) -> None:
    assert misfit(value, kind, "k") == wrong


def test_a_plan_whose_values_are_of_other_types_is_refused_naming_the_first(folder: Path) -> None:
    whole = json.loads((folder / study.EXECUTION).read_text())
    for key, value, wrong in (
        ("threads", 0, "threads is 0"),
        ("threads", "1", "threads is not a whole number"),
        ("norms", "x", "norms is none of torch, fused"),
        ("convolutions", [{"layer": 1, "groups": 1}], "convolutions[0].layer is not text"),
    ):
        (folder / study.EXECUTION).write_text(json.dumps({**whole, key: value}))
        with pytest.raises(InputError) as refused:
            study.stored_execution(folder)
        assert f"execution.json: {wrong}; restore" in str(refused.value)


def test_a_file_is_read_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"[1]")
    assert (read_bytes(path, 3), read_json(path)) == (b"[1]", [1])
    with pytest.raises(InputError, match="has 3 bytes; allowed are 2"):
        read_bytes(path, 2)
    path.write_bytes(b"[" * 10**5)
    with pytest.raises(InputError, match="is not a JSON object"):
        read_json(path)
    with pytest.raises(InputError, match="is not a regular file"):
        read_bytes(tmp_path, 10)


@pytest.mark.parametrize("words", [["--help"], ["study=equal_params", "--cfg", "job"]])
def test_an_output_that_takes_nothing_is_one_line(words: list[str], tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "explorer", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert (done.returncode, done.stderr) == (2, "explorer: standard output: No space left on device\n")
