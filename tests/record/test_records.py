import math
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from explorer.host.errors import InputError
from explorer.record import folder as study
from explorer.record import records, table
from explorer.record.rows import FilterRecord, RunRecord
from explorer.study.run import EpochResult, Filters, Outcome

RECORD = RunRecord(
    run="abc",
    status="ok",
    setting="29-32x4d",
    study="demo",
    data="digits",
    template="cifar",
    depth=29,
    width=256,
    kernel_size=3,
    cardinality=32,
    bottleneck_width=4,
    params=4_774_602,
    macs=48_314_368,
    fvcore_macs=48_314_368,
    activations=223_232,
    params_deviation=-0.0282,
    macs_deviation=None,
    seed=0,
    epochs=2,
    train_error=0.1,
    val_error=0.2,
    test_error=1 / 3,
    loss=0.3,
    seconds=1.5,
    images_per_second=100.0,
    device="some processor",
    classes=10,
    finished="2026-01-01T00:00:00Z",
    message="",
)
EPOCHS = [EpochResult(1, 0.1, 2.0, 0.5, 0.4, 0.7), EpochResult(2, 0.01, 1.0, 0.3, 0.2, 0.7)]
RIGHT = np.array([True, False, True, True, False, False, True, False, True])
OUTCOME = Outcome("ok", 2, 0.1, 0.2, 1 / 3, 0.3, 1.5, 100.0, np.packbits(RIGHT).tobytes(), 9)

FILTERS = (Filters("layer1.0.conv2", 2.0, 1 / 3, 12.5), Filters("layer2.0.conv2", 0.125, 0.25, 0.0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    records.open_for_writing(tmp_path)
    records.commit(tmp_path, RECORD, EPOCHS, OUTCOME)
    return tmp_path


def test_a_run_reads_back_exactly(folder: Path) -> None:
    assert records.as_records(records.load(folder).runs) == [RECORD]


def test_columns_have_their_types_and_missing_fractions_are_nan(folder: Path) -> None:
    runs = records.load(folder).runs
    assert runs["params"].dtype == "int64"
    assert runs["test_error"].dtype == "float64"
    assert math.isnan(runs["macs_deviation"][0])


def test_epochs_and_correctness_read_back(folder: Path) -> None:
    assert list(records.load(folder).epochs["val_error"]) == [0.4, 0.2]
    assert list(records.load_correct(folder)["abc"]) == list(RIGHT)
    assert list(records.load_correct(folder, {"abc"})) == ["abc"]
    assert records.load_correct(folder, {"another"}) == {}


def test_epochs_of_a_run_that_was_never_committed_are_cut_off_when_writing_starts_again(folder: Path) -> None:
    before = {name: (folder / name).read_bytes() for name in (study.EPOCHS, study.CORRECT)}
    (runs := folder / study.RUNS).write_bytes(table_without_last_row := runs.read_bytes())
    lost = replace(RECORD, run="lost")
    records.commit(folder, lost, EPOCHS, OUTCOME)
    runs.write_bytes(table_without_last_row)
    assert list(records.load(folder).epochs["run"].unique()) == ["abc"]
    records.open_for_writing(folder)
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_a_start_reads_each_table_once_and_has_the_record(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (runs := folder / study.RUNS).write_bytes(before := runs.read_bytes())
    records.commit(folder, replace(RECORD, run="lost"), EPOCHS, OUTCOME)
    runs.write_bytes(before)
    read, inspect = list[str](), table.inspect

    def noted(path: Path, *of: Any) -> table.Content:
        read.append(path.name)
        return inspect(path, *of)

    monkeypatch.setattr(table, "inspect", noted)
    told, found = records.open_for_writing(folder)
    assert sorted(read) == sorted(study.TABLES)
    assert "run lost was not recorded to its end" in told[0]
    expected = records.load(folder)
    pd.testing.assert_frame_equal(found.runs, expected.runs)
    pd.testing.assert_frame_equal(found.epochs, expected.epochs)
    assert list(records.load_correct(folder, record=found)) == ["abc"]


def test_rows_that_are_gone_as_a_whole_are_noticed(folder: Path) -> None:
    records.commit(folder, replace(RECORD, run="second"), EPOCHS, OUTCOME)
    whole = {name: (folder / name).read_text().splitlines(keepends=True) for name in study.TABLES}
    for name, line, actions in (
        (study.EPOCHS, 1, [records.load]),
        (study.CORRECT, 1, [records.open_for_writing]),
        (study.RUNS, 1, [records.open_for_writing]),
    ):
        (folder / name).write_text("".join(whole[name][:line] + whole[name][line + 1 :]))
        for action in actions:
            with pytest.raises(InputError, match=f"{name}: rows of 1 run are missing \\(abc\\)"):
                action(folder)
        (folder / name).write_text("".join(whole[name]))


def test_filters_read_back_exactly_and_a_row_that_is_gone_is_noticed(tmp_path: Path) -> None:
    records.open_for_writing(tmp_path, filters=True)
    assert records.load(tmp_path).filters.empty
    turned, later = replace(RECORD, filter_layers=2), replace(RECORD, run="second", filter_layers=2)
    for record in (turned, later):
        records.commit(tmp_path, record, EPOCHS, replace(OUTCOME, filters=FILTERS))
    records.commit(tmp_path, replace(RECORD, run="earlier"), EPOCHS, OUTCOME)  # of a version that had no such table
    found = records.load(tmp_path).filters
    assert list(found) == ["run", "layer", "norm_start", "norm_end", "degrees"]
    assert [tuple(row) for row in found.itertuples(index=False)] == [
        (run, *vars(layer).values()) for run in ("abc", "second") for layer in FILTERS
    ]
    path = tmp_path / study.FILTERS
    whole = path.read_text().splitlines(keepends=True)
    for left in ([*whole[:1], *whole[2:]], whole[:1], whole[:-1]):
        path.write_text("".join(left))
        for action in (records.load, lambda folder: records.open_for_writing(folder, filters=True)):
            with pytest.raises(InputError, match=r"filters\.csv: rows of [12] runs? are missing \("):
                action(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match=r"filters\.csv: rows of 2 runs are missing \(abc, second\)"):
        records.load(tmp_path)


def test_filters_of_a_run_that_was_not_recorded_to_its_end_are_cut_off(tmp_path: Path) -> None:
    records.open_for_writing(tmp_path, filters=True)
    records.commit(tmp_path, replace(RECORD, filter_layers=2), EPOCHS, replace(OUTCOME, filters=FILTERS))
    rows = [FilterRecord(run="lost", **vars(layer)) for layer in FILTERS]
    table.append(tmp_path / study.FILTERS, rows)
    assert list(records.load(tmp_path).filters["run"]) == ["abc", "abc"]
    told, found = records.open_for_writing(tmp_path, filters=True)
    assert told == [f"{tmp_path / study.RUNS}: run lost was not recorded to its end and is trained again"]
    pd.testing.assert_frame_equal(found.filters, records.load(tmp_path).filters)
    assert len(table.read(tmp_path / study.FILTERS, FilterRecord)) == 2


def test_correctness_that_is_gone_is_told_with_the_first_runs_that_lack_it(folder: Path) -> None:
    for name in ("d", "b", "c"):
        records.commit(folder, replace(RECORD, run=name), EPOCHS, OUTCOME)
    table.truncate(folder / study.CORRECT, 0)
    with pytest.raises(InputError, match=r"correct\.csv: rows of 4 runs are missing \(abc, b, c\); restore the file"):
        records.load_correct(folder)


def test_a_failed_run_that_later_succeeds_counts_once(folder: Path) -> None:
    failed = replace(RECORD, run="def", status="failed", test_error=None)
    records.commit(folder, failed, [], replace(OUTCOME, status="failed", correct=b""))
    records.commit(folder, replace(failed, status="ok", test_error=0.5), EPOCHS, OUTCOME)
    runs = records.load(folder).runs
    assert list(runs["status"]) == ["ok", "ok"]
    assert len(records.load(folder).epochs) == 4


def test_a_record_of_an_older_schema_is_refused_and_left_alone(folder: Path) -> None:
    path = folder / study.RUNS
    path.write_text(path.read_text().replace("bottleneck_width", "base_width", 1))
    before = path.read_bytes()
    for action in (records.load, records.open_for_writing):
        with pytest.raises(InputError, match=r"runs\.csv: written with other columns \(missing bottleneck_width"):
            action(folder)
    assert path.read_bytes() == before


def test_damage_in_one_table_keeps_healing_from_touching_another(folder: Path) -> None:
    runs, epochs = folder / study.RUNS, folder / study.EPOCHS
    runs.write_bytes(runs.read_bytes() + b"torn")
    epochs.write_bytes(epochs.read_bytes().replace(b"0.4", b"0.5"))
    before = runs.read_bytes()
    with pytest.raises(InputError, match=r"epochs\.csv, line 2"):
        records.open_for_writing(folder)
    assert runs.read_bytes() == before


def test_a_folder_without_a_record_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no record here"):
        records.load(tmp_path)


def test_every_table_lists_the_columns_of_its_dataclass(folder: Path) -> None:
    header = (folder / study.RUNS).read_text().splitlines()[0].split(",")
    assert header == table.columns(RunRecord)
    assert header[-1] == "crc"


def rewritten(path: Path, column: str, value: str) -> None:
    """A table whose first row says something else, with the check that belongs to it."""
    lines = path.read_text().split("\n")
    cells = lines[1].split(",")[:-1]
    cells[lines[0].split(",").index(column)] = value
    text = ",".join(cells) + ","
    lines[1] = f"{text}{zlib.crc32(text.encode()):08x}"
    path.write_text("\n".join(lines))


ERRORS = ("train_error", "val_error", "test_error")
POSITIVE = (
    *("depth", "width", "kernel_size", "cardinality", "bottleneck_width", "params", "macs", "fvcore_macs"),
    *("activations", "classes", "rate"),
)
FRACTIONS = tuple(name for name, limit in table._limits(RunRecord).items() if limit.kind is float)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("seed", "29-32x4d"),
        ("depth", ""),
        ("test_error", "x"),
        ("params", "9" * 30),
        ("macs", "1.5"),
        ("seed", "9" * 5000),
        *((column, value) for column in ERRORS for value in ("nan", "inf", "-0.1", "1.01", "100")),
        *((column, "0") for column in POSITIVE),
        *((column, "-1") for column in (*POSITIVE, "seed", "epochs", "start", "loss", "seconds", "images_per_second")),
        *((column, value) for column in FRACTIONS for value in ("nan", "inf", "-inf")),
        ("params_deviation", "-1.5"),
        ("classes", "1"),
    ],
)
def test_a_row_that_is_whole_and_senseless_is_refused_naming_its_column(folder: Path, column: str, value: str) -> None:
    rewritten(folder / study.RUNS, column, value)
    with pytest.raises(InputError, match=f"runs.csv, line 2: {column}='.*' is not a ") as refused:
        records.load(folder)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300 + len(str(folder))  # however long the value is


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *((column, value) for column in ("train_error", "val_error") for value in ("nan", "1.5", "-0.1")),
        *((column, value) for column in ("learning_rate", "loss", "seconds") for value in ("nan", "inf", "-1")),
        ("val_error", ""),  # the others an imported file may not say
        ("epoch", "-1"),
    ],
)
def test_an_epoch_that_cannot_be_is_refused_naming_its_column(folder: Path, column: str, value: str) -> None:
    rewritten(folder / study.EPOCHS, column, value)
    with pytest.raises(
        InputError, match=f"epochs.csv, line 2: {column}='{value}' is not a (whole|finite) number from 0"
    ):
        records.load(folder)


def test_every_column_of_numbers_has_a_range() -> None:
    boundless = {
        (kind.__name__, name)
        for kind in records.kinds_of(searches=True, filters=True).values()
        for name, limit in table._limits(kind).items()
        if not limit.marks and limit.kind is not bool
    }
    assert boundless == set()


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("bits", "A", "base64"),
        ("bits", "AAAA", "has 24 bits for 9 images"),
        ("images", "1000000000000", "has 16 bits for 1000000000000 images"),
        ("images", "-1", "images='-1' is not a whole number from 0"),
        ("images", "17", "has 16 bits for 17 images"),
        ("images", "8", "has 16 bits for 8 images"),
        ("images", "many", "images='many' is not a whole number from 0"),
    ],
)
def test_bits_of_other_images_are_refused(folder: Path, column: str, value: str, problem: str) -> None:
    rewritten(folder / study.CORRECT, column, value)
    with pytest.raises(InputError, match=f"correct.csv.*: .*{problem}"):
        records.load_correct(folder)
