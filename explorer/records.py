"""The record of a study: what was run and what came of it, as three append-only tables.

`epochs.csv` and `correct.csv` are made durable first; the row in `runs.csv` then commits the run. Rows of the other
two whose run was never committed can only stand at the end, and are cut off when the record is opened for writing.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import numpy as np
import numpy.typing as npt
import pandas as pd

from explorer import table
from explorer.errors import InputError
from explorer.folder import CORRECT, DECISIONS, EPOCHS, RUNS
from explorer.run import CorrectRecord, Decision, EpochRecord, EpochResult, Outcome, RunRecord

_KINDS = {EPOCHS: EpochRecord, CORRECT: CorrectRecord}


@dataclass(frozen=True)
class Record:
    """A study's tables in memory: `runs` has the last row of each run, `epochs` one row per epoch.

    `decisions` are those of a search, in order.
    """

    runs: pd.DataFrame
    epochs: pd.DataFrame
    decisions: tuple[Decision, ...] = ()

    def chosen(self, by: str | None = None) -> list[str]:
        """The settings of a search in the order they were chosen, all of them or those that one sampler chose."""
        return [one.setting for one in self.decisions if one.decision == "chosen" and by in (None, one.by)]


def open_for_writing(folder: Path, *, searches: bool = False) -> None:
    """Create the tables, or heal what an interrupted write left behind; a study that `searches` has one more.

    Raises InputError for damage that healing would hide; nothing is changed then.
    """
    kinds = ((RUNS, RunRecord), *_KINDS.items(), *(((DECISIONS, Decision),) if searches else ()))
    for name, kind in kinds:
        table.create(folder / name, kind)
        table.read(folder / name, kind)
    for name, kind in kinds:
        table.heal(folder / name, kind)
        table.upgrade(folder / name, kind)
    rows = table.read(folder / RUNS, RunRecord)
    for name, kind in _KINDS.items():
        _drop_uncommitted(folder / name, kind, {row["run"] for row in rows})
    judged = {row["run"] for row in rows if row["status"] == "ok" and row["test_error"]}
    if lost := judged - {row["run"] for row in table.read(folder / CORRECT, CorrectRecord)}:
        raise _lost(folder / CORRECT, sorted(lost))


def commit(folder: Path, record: RunRecord, epochs: list[EpochResult], outcome: Outcome) -> None:
    """Write one finished run: epochs and correctness first, the row that commits them last."""
    table.append(
        folder / EPOCHS,
        [EpochRecord(run=record.run, **{name: getattr(row, name) for name in _names(EpochResult)}) for row in epochs],
    )
    if outcome.correct:
        bits = base64.b64encode(outcome.correct).decode()
        table.append(folder / CORRECT, [CorrectRecord(run=record.run, images=outcome.test_images, bits=bits)])
    table.append(folder / RUNS, [record])


def decide(folder: Path, decisions: list[Decision]) -> None:
    """Write down what a search has decided, before anything follows from it."""
    table.append(folder / DECISIONS, decisions)


def load(folder: Path) -> Record:
    """Read a study's record without changing it.

    Raises InputError when there is none, when its columns are another version's, or when a row does not check.
    """
    if not (folder / RUNS).exists():
        raise InputError(f"{folder}: there is no record here; start the study first")
    if not (folder / EPOCHS).exists():
        raise InputError(f"{folder}: {EPOCHS} is missing; restore it, or start anew with name=...")
    runs = _frame(table.read(folder / RUNS, RunRecord), RunRecord)
    epochs = _frame(table.read(folder / EPOCHS, EpochRecord), EpochRecord)
    runs = runs.drop_duplicates("run", keep="last").reset_index(drop=True)
    epochs = epochs[epochs["run"].isin(runs["run"])].drop_duplicates(["run", "epoch"], keep="last")
    ok = runs[runs["status"].isin(("ok", "pruned"))]
    counts = ok["run"].map(epochs["run"].value_counts()).fillna(0)
    if (counts != ok["epochs"]).any():
        raise _lost(folder / EPOCHS, list(ok.loc[counts != ok["epochs"], "run"]))
    return Record(runs=runs, epochs=epochs.reset_index(drop=True), decisions=_decisions(folder))


def _decisions(folder: Path) -> tuple[Decision, ...]:
    if not (folder / DECISIONS).exists():
        return ()
    frame = _frame(table.read(folder / DECISIONS, Decision), Decision)
    plain = frame.astype(object).where(frame.notna(), None)
    return tuple(Decision(**{str(name): value for name, value in row.items()}) for row in plain.to_dict("records"))


def load_correct(folder: Path) -> dict[str, npt.NDArray[np.bool_]]:
    """Which test images each run got right: a boolean array of shape `(test_images,)` per run, in test order."""
    return unpacked(table.read(folder / CORRECT, CorrectRecord))


def unpacked(rows: Iterable[Mapping[Any, Any]]) -> dict[str, npt.NDArray[np.bool_]]:
    """The same of rows with run, images and bits."""
    return {
        str(row["run"]): np.unpackbits(
            np.frombuffer(base64.b64decode(row["bits"]), np.uint8), count=int(row["images"])
        ).astype(bool)
        for row in rows
    }


def packed(right: npt.NDArray[np.bool_]) -> str:
    """Booleans as `CorrectRecord` keeps them."""
    return base64.b64encode(np.packbits(right).tobytes()).decode()


def as_records(runs: pd.DataFrame) -> list[RunRecord]:
    """The rows of `Record.runs` as values, missing ones as None."""
    plain = runs.astype(object).where(runs.notna(), None)
    return [RunRecord(**{str(name): value for name, value in row.items()}) for row in plain.to_dict("records")]


def _drop_uncommitted(path: Path, kind: type, committed: set[str]) -> None:
    rows = table.read(path, kind)
    keep = len(rows)
    while keep and rows[keep - 1]["run"] not in committed:
        keep -= 1
    if lost := {row["run"] for row in rows[:keep]} - committed:
        raise _lost(path.with_name(RUNS), sorted(lost))
    if keep < len(rows):
        table.truncate(path, keep)


def _lost(path: Path, runs: list[str]) -> InputError:
    """Whole rows are gone, which no check of a row can show, but the other tables still speak of them."""
    return InputError(f"{path}: rows of {len(runs)} runs are missing ({', '.join(runs[:3])}); restore the file")


def _names(kind: type) -> list[str]:
    return [field.name for field in fields(kind)]


def _frame(rows: list[dict[str, str]], kind: type) -> pd.DataFrame:
    """Typed columns: whole numbers as int64 (Int64 where they may be missing), fractions as float64 with NaN."""
    hints = get_type_hints(kind)
    frame = pd.DataFrame(rows, columns=[*hints, "crc"], dtype=str).drop(columns="crc")
    return frame.assign(**{name: _typed(frame[name], hint) for name, hint in hints.items()})


def _typed(column: "pd.Series[Any]", hint: Any) -> "pd.Series[Any]":
    options = get_args(hint) or (hint,)
    if bool in options:
        return column == "True"
    if int in options and NoneType in options:
        return column.replace("", pd.NA).astype("Int64")
    if int in options:
        return column.astype("int64")
    if float in options:
        return column.replace("", "nan").astype("float64")
    return column
