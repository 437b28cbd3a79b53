"""The record of a study: what was run and what came of it, as three append-only tables.

`epochs.csv` and `correct.csv` are made durable first; the row in `runs.csv` then commits the run. Rows of the other
two whose run was never committed can only stand at the end, and are cut off when the record is opened for writing.
"""

import base64
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import numpy as np
import numpy.typing as npt
import pandas as pd

from explorer.host.errors import InputError
from explorer.record import table
from explorer.record.folder import CORRECT, DECISIONS, EPOCHS, RUNS
from explorer.record.rows import CorrectRecord, Decision, EpochRecord, RunRecord
from explorer.study.run import BASELINE, FINAL_STATUSES, EpochResult, Outcome

_OF_RUNS: dict[str, type] = {EPOCHS: EpochRecord, CORRECT: CorrectRecord}
Rows = Mapping[str, list[dict[str, str]]]  # of each table, as text by column


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


def open_for_writing(folder: Path, *, searches: bool = False, rungs: tuple[int, ...] = ()) -> list[str]:
    """Create the tables, or heal what an interrupted write left behind, and tell what that was.

    A study that `searches` has one more table, and judges its designs at `rungs`. Raises InputError for damage that
    healing would hide; nothing is changed then.
    """
    kinds = kinds_of(searches=searches)
    for name, kind in reversed(kinds.items()):  # the runs come last: where they are, the others are too
        table.create(folder / name, kind)
    rows = {name: table.read(folder / name, kind) for name, kind in kinds.items()}
    if lost := missing(rows, rungs):
        raise _lost(folder, lost)
    told = [
        f"{folder / name}: a last line that was not written to its end was cut off"
        for name, kind in kinds.items()
        if table.heal(folder / name, kind)
    ]
    for name, kind in kinds.items():
        table.upgrade(folder / name, kind)
    for name, own in (pending := uncommitted(rows)).items():
        table.truncate(folder / name, len(rows[name]) - len(_from_first(rows[name], own)))
    again = sorted(set().union(*pending.values()))
    return told + [f"{folder / RUNS}: run {run} was not recorded to its end and is trained again" for run in again]


def kinds_of(*, searches: bool) -> dict[str, type]:
    """The tables of a study by name, in the order in which they are read; what a row stands in for is read later."""
    return {RUNS: RunRecord, **_OF_RUNS, **({DECISIONS: Decision} if searches else {})}


def missing(rows: Rows, rungs: tuple[int, ...] = ()) -> dict[str, list[str]]:
    """Runs of which a table lacks whole rows, by that table; of the decisions, designs.

    No check of a row can show that, but the other tables still speak of them. One run may be there in part, at the
    end: it was being written down.
    """
    pending = uncommitted(rows)
    again = set().union(*pending.values())
    at_end = all(_runs(_from_first(rows[name], own)) <= own for name, own in pending.items())
    found = {
        RUNS: again if len(again) > 1 or not at_end else set(),
        EPOCHS: _without_epochs(rows),
        CORRECT: _judged(rows[RUNS]) - _runs(rows[CORRECT]) if CORRECT in rows else set(),
        DECISIONS: _undecided(rows, rungs) if DECISIONS in rows else set(),
    }
    return {name: sorted(runs) for name, runs in found.items() if runs}


def holding(rows: Rows, rungs: tuple[int, ...] = ()) -> Rows:
    """The rows that tell whole stories: without runs of which some are gone, and what was decided by those.

    A design of which decisions are gone stays chosen, if that is there, and its runs begin anew. A decision that is
    there twice counts once.
    """
    if DECISIONS in rows:
        rows = {**rows, DECISIONS: list({tuple(row.items()): row for row in rows[DECISIONS]}.values())}
    while True:
        lost = missing(rows, rungs)
        designs = set(lost.pop(DECISIONS, []))
        runs = set().union(*lost.values(), *uncommitted(rows).values())
        runs |= {row["run"] for row in rows[RUNS] if row["setting"] in designs}
        if not runs and not designs:
            return rows
        rows = {
            name: _chosen_once(own, designs) if name == DECISIONS else [row for row in own if row["run"] not in runs]
            for name, own in rows.items()
        }


def _chosen_once(decisions: list[dict[str, str]], designs: set[str]) -> list[dict[str, str]]:
    """All decisions, but of these designs only the first, that they were chosen."""
    seen: set[str] = set()
    kept = []
    for row in decisions:
        name = row["setting"]
        if name not in designs or (row["decision"] == "chosen" and name not in seen):
            kept.append(row)
        seen.add(name)
    return kept


def uncommitted(rows: Rows) -> dict[str, set[str]]:
    """Runs that another table knows and `runs.csv` does not, by that table."""
    known = {EPOCHS: _runs(rows[RUNS]), CORRECT: _judged(rows[RUNS])}
    found = {name: _runs(rows[name]) - known[name] for name in _OF_RUNS if name in rows}
    return {name: runs for name, runs in found.items() if runs}


def commit(folder: Path, record: RunRecord, epochs: list[EpochResult], outcome: Outcome) -> None:
    """Write one finished run: epochs and correctness first, the row that commits them last."""
    commit_all(folder, [(record, epochs, outcome)])


def commit_all(folder: Path, runs: Iterable[tuple[RunRecord, list[EpochResult], Outcome]]) -> None:
    """The same of several at once, for a record that nothing follows from yet.

    Cut short it cannot be told from one that has lost rows: a study that goes on writes one run after the other.
    """
    names, rows, right, ended = _names(EpochResult), list[EpochRecord](), list[CorrectRecord](), list[RunRecord]()
    for record, epochs, outcome in runs:
        rows += [EpochRecord(run=record.run, **{name: getattr(row, name) for name in names}) for row in epochs]
        if outcome.correct:
            bits = base64.b64encode(outcome.correct).decode()
            right.append(CorrectRecord(run=record.run, images=outcome.test_images, bits=bits))
        ended.append(record)
    table.append(folder / EPOCHS, rows)
    if right:
        table.append(folder / CORRECT, right)
    table.append(folder / RUNS, ended)


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
    kinds = kinds_of(searches=(folder / DECISIONS).exists())
    rows = {name: table.read(folder / name, kind) for name, kind in kinds.items() if name != CORRECT}
    # While a study runs, what was read later may speak of runs that had not ended before.
    if lost := {name: gone for name, gone in missing(rows).items() if name != RUNS}:
        raise _lost(folder, lost)
    return assembled(folder, rows)


def assembled(folder: Path, rows: Rows) -> Record:
    """A record from the rows of its tables, which hold together."""
    runs, epochs = (
        _frame(folder / name, rows[name], kind) for name, kind in ((RUNS, RunRecord), (EPOCHS, EpochRecord))
    )
    final = runs["status"].isin(FINAL_STATUSES)
    runs = runs[final | ~runs["run"].isin(runs.loc[final, "run"])].drop_duplicates("run", keep="last")
    runs = runs.reset_index(drop=True)
    epochs = epochs[epochs["run"].isin(runs["run"])].drop_duplicates(["run", "epoch"], keep="last")
    places = epochs["run"].map({run: place for place, run in enumerate(runs["run"])})
    epochs = epochs.assign(place=places).sort_values(["place", "epoch"]).drop(columns="place")
    frame = _frame(folder / DECISIONS, rows.get(DECISIONS, []), Decision)
    plain = frame.astype(object).where(frame.notna(), None)
    decisions = (Decision(**{str(name): value for name, value in row.items()}) for row in plain.to_dict("records"))
    return Record(runs=runs, epochs=epochs.reset_index(drop=True), decisions=tuple(decisions))


def load_correct(folder: Path, of: Collection[str] | None = None) -> dict[str, npt.NDArray[np.bool_]]:
    """Which test images each run got right: a boolean array of shape `(test_images,)` per run, in test order.

    `of` says of which runs, where not of all: a large study's would not fit into the memory.
    """
    judged = _judged(table.read(folder / RUNS, RunRecord))
    rows = table.read(folder / CORRECT, CorrectRecord)
    if lost := sorted(judged - _runs(rows)):
        raise _lost(folder, {CORRECT: lost})
    try:
        return unpacked(row for row in rows if of is None or row["run"] in of)
    except ValueError as error:
        raise InputError(f"{folder / CORRECT}: {error}; restore the file") from None


def unpacked(rows: Iterable[Mapping[Any, Any]]) -> dict[str, npt.NDArray[np.bool_]]:
    """The same of rows with run, images and bits. Raises ValueError where the bits are not those of so many images."""
    found = {}
    for row in rows:
        bits, images = np.frombuffer(base64.b64decode(row["bits"]), np.uint8), int(row["images"])
        if not 0 <= 8 * len(bits) - images < 8:
            raise ValueError(f"run {row['run']} has {8 * len(bits)} bits for {images} images")
        found[str(row["run"])] = np.unpackbits(bits, count=images).astype(bool)
    return found


def packed(right: npt.NDArray[np.bool_]) -> str:
    """Booleans as `CorrectRecord` keeps them."""
    return base64.b64encode(np.packbits(right).tobytes()).decode()


def as_records(runs: pd.DataFrame) -> list[RunRecord]:
    """The rows of `Record.runs` as values, missing ones as None."""
    plain = runs.astype(object).where(runs.notna(), None)
    return [RunRecord(**{str(name): value for name, value in row.items()}) for row in plain.to_dict("records")]


def _lost(folder: Path, lost: Mapping[str, list[str]]) -> InputError:
    name, gone = next(iter(lost.items()))
    return InputError(
        f"{folder / name}: {told_lost(name, len(gone))} ({', '.join(gone[:3])}); restore the file, or let do=doctor "
        "take out what was lost, to be trained again"
    )


def told_lost(name: str, count: int) -> str:
    """What is wrong with a table of which whole rows are gone."""
    if name == DECISIONS:
        designs = "1 design" if count == 1 else f"{count} designs"
        return f"what was decided about {designs} is not all there, or is there twice"
    return f"rows of {count} {'run' if count == 1 else 'runs'} are missing"


def _runs(rows: Iterable[Mapping[str, str]]) -> set[str]:
    return {row["run"] for row in rows}


def _judged(runs: list[dict[str, str]]) -> set[str]:
    """Runs that were evaluated on the test images."""
    return {row["run"] for row in runs if row["status"] == "ok" and row["test_error"]}


def _from_first(rows: list[dict[str, str]], runs: set[str]) -> list[dict[str, str]]:
    """The rows from the first one on that is of one of the runs."""
    return rows[next((place for place, row in enumerate(rows) if row["run"] in runs), len(rows)) :]


def _without_epochs(rows: Rows) -> set[str]:
    """Runs that have ended and lack an epoch of theirs, or have one too many; a diverged one may lack its last."""
    found: dict[str, set[str]] = {}
    for row in rows[EPOCHS]:
        found.setdefault(row["run"], set()).add(row["epoch"])
    lost = set()
    for row in rows[RUNS]:
        # Counted, not listed: what a row says of its epochs may be any number.
        epochs, last = {_number(epoch) for epoch in found.get(row["run"], ())}, _number(row["epochs"])
        is_whole = len(epochs) == last == max(epochs, default=0) and min(epochs, default=1) == 1
        before = sum(1 <= epoch < last for epoch in epochs)
        if (row["status"] in ("ok", "pruned") and not is_whole) or (row["status"] == "diverged" and before < last - 1):
            lost.add(row["run"])
    return lost


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _undecided(rows: Rows, rungs: tuple[int, ...]) -> set[str]:
    """Designs of which more must have been decided than stands there, or something stands there twice."""
    decided: dict[str, list[dict[str, str]]] = {}
    for row in rows[DECISIONS]:
        decided.setdefault(row["setting"], []).append(row)
    ended: dict[str, set[str]] = {}
    for row in rows[RUNS]:
        ended.setdefault(row["setting"], set()).add(row["status"])
    return {
        setting
        for setting in {*decided, *ended}
        if not _is_whole(decided.get(setting, []), ended.get(setting, set()), tuple(map(str, rungs)))
    }


def _is_whole(decided: list[dict[str, str]], ended: set[str], rungs: tuple[str, ...]) -> bool:
    """Whether a design was chosen, then continued at one rung after the other, or stopped where its runs were."""
    words, at = [row["decision"] for row in decided], tuple(row["epochs"] for row in decided[1:])
    if words[:1] != ["chosen"] or set(words[1:-1]) - {"continued"} or "chosen" in words[1:]:
        return False
    if len(set(at)) < len(at) or list(at) != sorted(at, key=_number) or (rungs and at != rungs[: len(at)]):
        return False
    through = not rungs or decided[0]["by"] == BASELINE or len(at) == len(rungs)
    return ("pruned" in ended) <= (words[-1] == "stopped") and ("ok" in ended) <= (through and words[-1] != "stopped")


def _names(kind: type) -> list[str]:
    return [field.name for field in fields(kind)]


def _frame(path: Path, rows: list[dict[str, str]], kind: type) -> pd.DataFrame:
    """Typed columns: whole numbers as int64 (Int64 where they may be missing), fractions as float64 with NaN."""
    hints = get_type_hints(kind)
    frame = pd.DataFrame(rows, columns=[*hints, "crc"], dtype=str).drop(columns="crc")
    columns = {}
    for name, hint in hints.items():
        try:
            columns[name] = _typed(frame[name], hint)
        except (ValueError, OverflowError):
            raise InputError(f"{path}: {name} of some row is not a number; restore the file") from None
    return frame.assign(**columns)


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
