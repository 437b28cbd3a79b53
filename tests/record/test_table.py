import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.host import files
from explorer.host.errors import InputError
from explorer.record import table


@dataclass(frozen=True)
class Row:
    name: str
    number: int
    fraction: float | None


ROWS = [Row("a", 1, 0.1), Row('with "quotes", commas', -2, None), Row("é", 3, 1e-17)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    table.create(path, Row)
    table.append(path, ROWS)
    return path


def names(path: Path) -> list[str]:
    return list(table.read(path, Row)["name"])


def heal(path: Path) -> bool:
    return table.heal(path, table.undamaged(path, Row))


def test_rows_read_back_as_written(path: Path) -> None:
    rows = table.read(path, Row)
    assert list(rows.itertuples(name=None))[::2] == [(2, "a", 1, 0.1), (4, "é", 3, 1e-17)]  # by the number of the line
    assert (rows["name"][3], rows["number"][3], math.isnan(rows["fraction"][3])) == (ROWS[1].name, -2, True)
    assert list(rows.dtypes[1:]) == ["int64", "float64"]


WHOLE = st.integers() | st.sampled_from([10**20, 2**53, 2**53 + 1, -(2**53), 10**400])


@settings(max_examples=60, deadline=None)
@given(st.text(), WHOLE, st.none() | st.floats() | WHOLE)
def test_whatever_is_written_is_read_back_equal_and_nothing_else_is_written(
    tmp_path_factory: pytest.TempPathFactory, name: str, number: int, fraction: float | None
) -> None:
    path = tmp_path_factory.mktemp("any") / "rows.csv"
    table.create(path, Row)
    before = path.read_bytes()
    try:
        table.append(path, [Row(name, number, fraction), ROWS[0]])
    except (TypeError, ValueError):
        assert path.read_bytes() == before
        assert abs(number) > 2**53 or not is_a_float(fraction)
        return
    rows = table.read(path, Row)
    first, second = rows.to_dict("records")
    # Text up to white space, and as an escape what no encoding can write.
    assert first["name"] == " ".join(name.split()).encode("utf-8", "backslashreplace").decode()
    assert first["number"] == number
    assert (None if math.isnan(first["fraction"]) else first["fraction"]) == fraction
    assert second["name"] == "a"


def is_a_float(number: float | None) -> bool:
    """Whether a finite float holds the number, or there is none."""
    try:
        return number is None or (math.isfinite(number) and float(number) == number)
    except OverflowError:
        return False


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (Row("d", 10**20, 0.5), "Row.number is 100000000000000000000; allowed: a whole number"),
        (Row("d", 4, math.nan), "Row.fraction is nan; allowed: a finite number"),
        (Row("d", 4, -math.inf), "Row.fraction is -inf; allowed: a finite number"),
        (Row("d" * 2**24, 4, 0.5), "a row of 16,777,232 bytes would not be read; allowed: 16,777,215"),
    ],
)
def test_what_the_reader_would_refuse_is_refused_when_it_is_written(path: Path, row: Row, problem: str) -> None:
    before = path.read_bytes()
    with pytest.raises(ValueError, match=re.escape(problem)):
        table.append(path, [Row("c", 3, 0.5), row])
    assert path.read_bytes() == before


def test_text_longer_than_the_csv_library_reads_by_itself_is_read_back(path: Path) -> None:
    table.append(path, [Row("d" * 200_000, 4, 0.5)])  # as the bits of 1.2 million test images
    assert names(path)[-1] == "d" * 200_000


@pytest.mark.parametrize("number", [np.float64(0.25), np.float32(0.25), np.array(0.25), torch.tensor(0.25)])
def test_a_scalar_of_numpy_or_torch_is_written_as_the_number_it_holds(path: Path, number: Any) -> None:
    table.append(path, [Row("d", np.int64(4), number)])  # type: ignore[arg-type]
    assert path.read_text().splitlines()[-1].startswith("d,4,0.25,")


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (Row("d", 4.5, 0.5), "Row.number is 4.5, a float; allowed: int"),  # type: ignore[arg-type]
        (Row("d", True, 0.5), "Row.number is True, a bool; allowed: int"),
        (Row("d", None, 0.5), "Row.number is None, a NoneType; allowed: int"),  # type: ignore[arg-type]
        (Row("d", 4, "0.5"), "Row.fraction is '0.5', a str; allowed: float or nothing"),  # type: ignore[arg-type]
        (Row("d", 4, np.array([0.5])), "a ndarray; allowed: float or nothing"),  # type: ignore[arg-type]
        (Row(b"d", 4, 0.5), "Row.name is b'd', a bytes; allowed: str"),  # type: ignore[arg-type]
    ],
)
def test_a_value_that_would_not_read_back_is_refused_and_nothing_is_written(path: Path, row: Row, problem: str) -> None:
    before = path.read_bytes()
    with pytest.raises(TypeError, match=re.escape(problem)):
        table.append(path, [Row("c", 3, 0.5), row])
    assert path.read_bytes() == before


def test_creating_a_table_that_is_there_changes_nothing(path: Path) -> None:
    before = path.read_bytes()
    table.create(path, Row)
    assert path.read_bytes() == before


def test_a_last_line_torn_anywhere_is_left_out_and_healed(path: Path) -> None:
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for end in range(last + 1, len(whole) - 1):
        path.write_bytes(whole[:end])
        assert names(path) == ["a", 'with "quotes", commas']
        heal(path)
        assert path.read_bytes() == whole[:last]


@pytest.mark.parametrize("end", [b"", b"x", b"\0"])
def test_a_last_row_that_lacks_only_its_line_break_is_kept(path: Path, end: bytes) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole.rstrip(b"\n") + end)
    assert names(path) == ["a", 'with "quotes", commas', "é"]
    heal(path)
    assert path.read_bytes() == whole


def test_zeros_after_the_last_row_are_cut_off(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 4096)
    assert heal(path)
    assert path.read_bytes() == whole


def test_a_changed_byte_in_any_row_is_refused_naming_its_line(path: Path) -> None:
    whole = path.read_bytes()
    header = whole.find(b"\n") + 1
    for position in range(header, len(whole)):
        if whole[position : position + 1] == b"\n":
            continue
        flipped = bytearray(whole)
        flipped[position] ^= 1
        if flipped[position] == ord("\n"):
            continue
        path.write_bytes(flipped)
        line = whole[:position].count(b"\n") + 1
        for action in (names, heal):
            with pytest.raises(InputError, match=f"line {line}: the row does not match its check"):
                action(path)
        assert path.read_bytes() == flipped


def line(text: str) -> bytes:
    """A line with the check that belongs to it, whatever it says."""
    return b"%s,%08x\n" % (text.encode(), crc32(f"{text},".encode()))


@pytest.mark.parametrize("at_once", [1, 20, 100, 2**20])
def test_a_table_reads_the_same_however_much_of_it_is_parsed_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + line("b,x,0.5") + b"junk\n" + line("c,4,0.25") + line("d,5,")[:-1] + b"?")
    monkeypatch.setattr(table, "AT_ONCE", at_once)
    found = table.inspect(path, Row)
    assert dict(found.rows["name"]) == {2: "a", 3: ROWS[1].name, 4: "é", 7: "c", 8: "d"}
    assert found.damaged == {5: "number='x' is not a whole number", 6: table.UNCHECKED}
    assert (found.whole, found.torn, found.unended) == (path.stat().st_size - 1, False, True)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('"a', '",2'),  # one row of two lines, if quotes may span them
        ("a,1,0.5,7", "b,2"),  # as many cells as two rows have
        ("a\r,1,0.5", "b\r,2,0.5"),
        ("", ""),
    ],
)
def test_lines_that_only_together_have_the_cells_of_rows_are_damaged_each(path: Path, first: str, second: str) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + line(first) + line(second) + line("c,3,0.5"))
    found = table.inspect(path, Row)
    assert found.damaged == {5: table.UNCHECKED, 6: table.UNCHECKED}
    assert list(found.rows["name"]) == [*(row.name for row in ROWS), "c"]


def test_a_whole_table_is_not_read_row_by_row(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_cells", lambda line, count: pytest.fail("a row was read by itself") if line else None)
    table.append(path, ROWS)
    assert len(table.read(path, Row)) == 6


def test_a_lost_line_break_is_refused_not_skipped(path: Path) -> None:
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], lines[1] + lines[2], lines[3], b""]))
    with pytest.raises(InputError, match="line 2"):
        names(path)


def test_other_columns_are_refused_naming_them(path: Path) -> None:
    path.write_text("name,size,crc\n")
    with pytest.raises(InputError, match=r"other columns \(missing number, fraction; unknown size\)"):
        names(path)


def test_an_empty_file_is_refused(path: Path) -> None:
    path.write_text("")
    with pytest.raises(InputError, match="no header line"):
        names(path)


def test_writing_whole_leaves_no_partial_file(tmp_path: Path) -> None:
    files.write_whole(tmp_path / "page.html", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@dataclass(frozen=True)
class Grown(Row):
    """What a later version writes: two more columns, with defaults."""

    label: str = "none"
    length: float | None = None


def test_a_table_of_an_earlier_version_reads_with_defaults_and_grows_when_written(path: Path) -> None:
    before = path.read_bytes()
    rows = table.read(path, Grown)
    assert list(rows["name"]) == names(path)
    assert list(rows["label"]) == ["none"] * 3
    assert rows["length"].isna().all()
    assert path.read_bytes() == before
    table.upgrade(path, Grown)
    pd.testing.assert_frame_equal(table.read(path, Grown), rows)
    assert path.read_text().partition("\n")[0] == "name,number,fraction,label,length,crc"
    table.append(path, [Grown("b", 2, 0.5, "long", 3.0)])
    assert list(table.read(path, Grown)["label"])[-1] == "long"
    whole = path.read_bytes()
    table.upgrade(path, Grown)
    assert path.read_bytes() == whole


def test_a_table_of_a_later_version_is_refused_naming_its_columns(path: Path) -> None:
    table.upgrade(path, Grown)
    with pytest.raises(InputError, match=r"other columns \(unknown label, length\)"):
        names(path)
