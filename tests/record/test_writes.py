"""What is written is durable before anything relies on it: every flush to the disk is counted, in order."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from explorer.engine.messages import Box
from explorer.host import files
from explorer.record import folder as study
from explorer.record import records, table
from explorer.record.rows import CorrectRecord, Decision
from explorer.study.job import Counted
from explorer.training import checkpoint
from tests.record.test_records import EPOCHS, OUTCOME, RECORD
from tests.record.test_table import ROWS, Row

# What was done to a file, by its name, and how large it was then.
Event = tuple[str, str, int]


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Flushes and replacements from now on; a file is as large as its readers would find it."""
    events: list[Event] = []
    fsync, replace_file = os.fsync, Path.replace

    def flushing(file: int) -> None:
        fsync(file)
        own = os.fstat(file)
        name = next(path.name for path in tmp_path.rglob("*") if path.stat().st_ino == own.st_ino)
        events.append(("flushed", name.removeprefix("."), own.st_size))

    def replacing(path: Path, target: Path) -> Path:
        events.append(("replaced", target.name, path.stat().st_size))
        return replace_file(path, target)

    monkeypatch.setattr(os, "fsync", flushing)
    monkeypatch.setattr(Path, "replace", replacing)
    return events


def size(path: Path) -> int:
    return path.stat().st_size


def test_epochs_and_correctness_are_durable_before_the_row_that_commits_their_run(
    tmp_path: Path, seen: list[Event]
) -> None:
    records.open_for_writing(tmp_path)
    seen.clear()
    records.commit(tmp_path, RECORD, EPOCHS, OUTCOME)
    names = (study.EPOCHS, study.CORRECT, study.RUNS)
    assert seen == [("flushed", name, size(tmp_path / name)) for name in names]
    seen.clear()
    records.commit(tmp_path, replace(RECORD, run="lost", status="diverged"), EPOCHS, replace(OUTCOME, correct=b""))
    assert seen == [("flushed", name, size(tmp_path / name)) for name in (study.EPOCHS, study.RUNS)]


def test_a_decision_is_durable_when_it_is_taken(tmp_path: Path, seen: list[Event]) -> None:
    records.open_for_writing(tmp_path, searches=True)
    seen.clear()
    records.decide(tmp_path, [Decision("29-32x4d", "chosen", 0, None, "tpe")])
    assert seen == [("flushed", study.DECISIONS, size(tmp_path / study.DECISIONS))]


def test_a_letter_is_durable_when_it_is_posted(tmp_path: Path, seen: list[Event]) -> None:
    Box(tmp_path / "letters").put(Counted("abc", 1))
    assert seen == [("flushed", "letters", size(tmp_path / "letters"))]
    assert Box(tmp_path / "letters").take() == [Counted("abc", 1)]


def test_the_runs_come_last_when_a_record_is_created(tmp_path: Path, seen: list[Event]) -> None:
    records.open_for_writing(tmp_path, searches=True)
    order = [name for event, name, _ in seen if event == "replaced"]
    assert order == [study.DECISIONS, study.CORRECT, study.EPOCHS, study.RUNS]


def test_a_file_is_durable_before_it_takes_the_place_of_another(tmp_path: Path, seen: list[Event]) -> None:
    files.write_whole(tmp_path / "page.html", "new" * 1000)
    assert seen == [
        ("flushed", f"page.html.{os.getpid()}.partial", 3000),
        ("replaced", "page.html", 3000),
    ]
    seen.clear()
    checkpoint.save(tmp_path, "abc", checkpoint.Checkpoint((), 1.0, 1.0, {"network.weight": torch.ones(9)}, 3))
    kept = "000000-00000003.safetensors"
    whole = size(tmp_path / kept)
    assert seen == [("flushed", f"{kept}.{os.getpid()}.partial", whole), ("replaced", kept, whole)]


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def unended(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("before", "repair"),
    [
        (torn, lambda path: table.heal(path, table.undamaged(path, Row))),
        (unended, lambda path: table.heal(path, table.undamaged(path, Row))),
        (lambda path: None, lambda path: table.truncate(path, 1)),
    ],
)
def test_what_was_repaired_is_durable(
    tmp_path: Path, seen: list[Event], before: Callable[[Path], None], repair: Callable[[Path], Any]
) -> None:
    path = tmp_path / "rows.csv"
    table.create(path, Row)
    table.append(path, ROWS)
    before(path)
    seen.clear()
    repair(path)
    assert seen == [("flushed", "rows.csv", size(path))]
    seen.clear()
    table.heal(path, table.undamaged(path, Row))  # nothing is wrong any more, so nothing is written
    assert seen == []


def test_a_row_that_cannot_be_made_durable_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.csv"
    table.create(path, Row)
    table.append(path, ROWS[:1])
    before, fsync, sizes = path.read_bytes(), os.fsync, list[int]()

    def refused(file: int) -> None:
        sizes.append(os.fstat(file).st_size)
        if len(sizes) == 1:
            raise OSError(28, "No space left on device")
        fsync(file)

    monkeypatch.setattr(os, "fsync", refused)
    with pytest.raises(OSError, match="No space left") as caught:
        table.append(path, ROWS[1:])
    assert path.read_bytes() == before
    written, left = sizes  # what was taken back is durable too
    assert written > len(before) == left
    assert (caught.value.filename, caught.value.filename2) == (str(path), None)


def test_a_write_in_parts_is_written_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may take less at once than it was given."""
    path = tmp_path / "rows.csv"
    table.create(path, Row)
    opened = Path.open

    class Part:
        """A file that takes seven bytes at most."""

        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> "Part":
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, data: bytes) -> int:
            return int(self.file.write(data[:7]))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    def in_parts(path: Path, mode: str = "r", **options: Any) -> Any:
        file = opened(path, mode, **options)
        return Part(file) if mode == "ab" else file

    monkeypatch.setattr(Path, "open", in_parts)
    table.append(path, ROWS)
    assert list(table.read(path, Row)["name"]) == [row.name for row in ROWS]


def test_a_record_of_an_unknown_run_keeps_no_row_of_it(tmp_path: Path) -> None:
    """Epochs and correctness of a run that was never committed go together, and what was before them stays."""
    records.open_for_writing(tmp_path)
    records.commit(tmp_path, RECORD, EPOCHS, OUTCOME)
    known = {name: (tmp_path / name).read_bytes() for name in study.TABLES}
    records.commit(tmp_path, replace(RECORD, run="second"), EPOCHS, OUTCOME)
    (tmp_path / study.RUNS).write_bytes(known[study.RUNS])
    told, _ = records.open_for_writing(tmp_path)
    assert told == [f"{tmp_path / study.RUNS}: run second was not recorded to its end and is trained again"]
    assert {name: (tmp_path / name).read_bytes() for name in study.TABLES} == known
    assert len(table.read(tmp_path / study.CORRECT, CorrectRecord)) == 1
