"""Every kind of damage at every place of a small record: it reads as before, says what it lost, or is refused."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from explorer.host.errors import InputError
from explorer.record import folder as study
from explorer.record import records
from explorer.record.rows import Decision
from explorer.study.designs import Reading
from tests.conftest import broadly
from tests.record.test_records import EPOCHS, FILTERS, OUTCOME, RECORD

LAST = "eee"  # the last run of the record
RUNGS = (1,)
OPENED: dict[str, Any] = {"searches": True, "filters": True, "measures": True, "rungs": RUNGS}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search's record: a failed run that came through later, a diverged, a pruned and a trained design.

    It has every table there is, that of filters too, which a search of this version does not write. Its designs were
    measured, and so was one that lies outside a limit.
    """
    folder = tmp_path_factory.mktemp("whole")
    records.open_for_writing(folder, **OPENED)
    turned = replace(OUTCOME, filters=FILTERS)
    lost = replace(RECORD, train_error=None, val_error=None, test_error=None, loss=None)
    failed = replace(OUTCOME, correct=b"", test_images=0)
    kinds = [Reading("memory", 1.0, 2.0, 3.0), Reading("joules", 5.0, 5.0, 5.0)]
    records.measure(folder, [(name, one) for one in kinds for name in ("a", "b")])
    records.decide(folder, [Decision(name, "chosen", 0, None, "tpe") for name in ("a", "b")])
    records.commit(folder, replace(lost, run="aaa", setting="a", status="failed"), [], failed)
    records.decide(folder, [Decision("a", "continued", 1, 0.4, "tpe"), Decision("b", "stopped", 1, 0.4, "tpe")])
    records.commit(folder, replace(RECORD, run="aaa", setting="a", filter_layers=2), EPOCHS, turned)
    records.commit(folder, replace(RECORD, run="bbb", setting="b", status="pruned", epochs=1), EPOCHS[:1], failed)
    records.measure(folder, [(name, one) for name in ("c", "d", "e") for one in kinds])
    records.decide(folder, [Decision(name, "chosen", 0, None, "baseline") for name in ("d", "e")])
    records.commit(folder, replace(lost, run="ddd", setting="d", status="diverged"), EPOCHS[:1], failed)
    records.commit(folder, replace(RECORD, run=LAST, setting="e", filter_layers=2), EPOCHS, turned)
    return folder


EVERY = [*study.TABLES, *study.SOME]
OUTSIDE = "c"  # a design that was measured and not chosen: no other table says that its rows were there
Content = tuple[list[str], list[str], list[str], list[str], list[str], list[str]]


def content(folder: Path) -> Content:
    """What the record says, in an order of its own."""
    record = records.load(folder)
    runs = sorted(map(repr, records.as_records(record.runs)))
    epochs = [repr(row) for row in record.epochs.to_dict("records")]
    correct = sorted(f"{run} {list(bits)}" for run, bits in records.load_correct(folder).items())
    filters = sorted(repr(row) for row in record.filters.to_dict("records"))
    readings = sorted(f"{name} {one}" for name, own in record.readings.items() if name != OUTSIDE for one in own)
    return runs, sorted(epochs), correct, sorted(map(repr, record.decisions)), filters, readings


def without_last(content: Content) -> Content:
    runs, epochs, correct, decisions, filters, readings = (
        [row for row in part if f"{LAST}" not in row] for part in content
    )
    return runs, epochs, correct, decisions, filters, readings


def outcome(folder: Path, name: str, damaged: bytes, whole: Path, expected: Content) -> str:
    """Asserts that damage does no harm, and says how: "same", "healed" or the refusal."""
    for table_name in EVERY:
        shutil.copy(whole / table_name, folder / table_name)
    (folder / name).write_bytes(damaged)
    try:
        told, _ = records.open_for_writing(folder, **OPENED)
    except InputError as error:
        assert (folder / name).read_bytes() == damaged
        return str(error)
    found = content(folder)
    if found == expected:
        return "same"
    assert name == study.RUNS
    assert found == without_last(expected)
    assert f"run {LAST} was not recorded to its end and is trained again" in told[-1]
    return "healed"


def changes(whole: bytes, every: int) -> Iterator[tuple[str, bytes]]:
    """Damage of every kind, with a word for it; bytes are taken in steps of `every`, the last 20 one by one."""
    lines = whole.split(b"\n")[:-1]
    for place in (*range(0, len(whole) - 20, every), *range(len(whole) - 20, len(whole))):
        yield "cut", whole[:place]
        yield "flipped", whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :]
    for place in range(1, len(lines)):
        for what, changed in {
            "removed": [*lines[:place], *lines[place + 1 :]],
            "removed from here": lines[:place],
            "doubled": [*lines[: place + 1], *lines[place:]],
            "joined": [*lines[: place - 1], lines[place - 1] + lines[place], *lines[place + 1 :]],
            "swapped": [*lines[: place - 1], lines[place], lines[place - 1], *lines[place + 1 :]]
            if place > 1
            else lines,
            "zeros": [*lines[:place], b"\0" * len(lines[place]), *lines[place + 1 :]],
        }.items():
            yield what, b"".join(line + b"\n" for line in changed)
    yield "junk", bytes(range(256)) * 20
    yield "junk after it", whole + bytes(range(256))
    yield "zeros after it", whole + bytes(4096)
    yield "Windows line ends", whole.replace(b"\n", b"\r\n")


@pytest.mark.parametrize("every", broadly([149, 2]))
@pytest.mark.parametrize("name", broadly(EVERY, fast=2))
def test_damage_anywhere_is_healed_or_refused_and_never_makes_a_record_silently_shorter(
    whole: Path, tmp_path: Path, name: str, every: int
) -> None:
    expected = content(whole)
    seen: dict[str, set[str]] = {}
    for what, damaged in changes((whole / name).read_bytes(), every):
        found = outcome(tmp_path, name, damaged, whole, expected)
        refused = found not in ("same", "healed")
        if refused:
            assert name in found or study.RUNS in found or study.CORRECT in found
        seen.setdefault(what, set()).add("refused" if refused else found)
    assert seen["junk"] == seen["zeros"] == {"refused"}
    assert seen["junk after it"] == {"refused"}
    assert seen["zeros after it"] == {"same"}


@pytest.mark.parametrize("name", EVERY)
def test_a_flipped_byte_is_refused_naming_its_line(whole: Path, tmp_path: Path, name: str) -> None:
    before = (whole / name).read_bytes()
    shutil.copytree(whole, tmp_path / "study")
    start = before.index(b"\n", before.index(b"\n") + 1) + 5  # in the third line
    (tmp_path / "study" / name).write_bytes(before[:start] + bytes([before[start] ^ 1]) + before[start + 1 :])
    with pytest.raises(InputError, match=rf"{name}, line 3: the row does not match its check"):
        records.open_for_writing(tmp_path / "study", **OPENED)


def test_the_recorded_studies_are_whole() -> None:
    for folder in sorted((Path(__file__).parents[2] / "studies").glob("*/")):
        if (folder / study.RUNS).exists():
            records.load(folder)
            records.load_correct(folder)
