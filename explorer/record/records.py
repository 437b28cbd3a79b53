"""The record of a study, its runs and their results, as append-only tables.

`epochs.csv`, `correct.csv` and, where there is one, `filters.csv` are made durable first; the row in `runs.csv` then
commits the run. Rows of the others without a committed run can only be at their end, and are cut off when the record is
opened for writing.
"""

import base64
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from explorer.host.commands import command_for
from explorer.host.errors import InputError
from explorer.record import table
from explorer.record.folder import CORRECT, DECISIONS, EPOCHS, FILTERS, MEASURES, RUNS
from explorer.record.rows import CorrectRecord, Decision, EpochRecord, FilterRecord, MeasureRecord, RunRecord
from explorer.study.designs import Reading
from explorer.study.run import BASELINE, FINAL_STATUSES, EpochResult, Outcome

_OF_SOME = {"searches": DECISIONS, "filters": FILTERS, "measures": MEASURES}  # tables that not every study has
_OF_RUNS: dict[str, type] = {EPOCHS: EpochRecord, CORRECT: CorrectRecord}
Rows = Mapping[str, pd.DataFrame]  # the rows of each table, by its name


def no_filters() -> pd.DataFrame:
    """The table of filters without any row."""
    return pd.DataFrame(
        {one.name: pd.Series(dtype=float if one.type is not str else str) for one in fields(FilterRecord)}
    )


@dataclass(frozen=True)
class Record:
    """A study's tables in memory: `runs` has the last row of each run, `epochs` one row per run and epoch.

    `decisions` are those of a search, in order; empty for other studies. `filters` has one row per run and k x k
    convolution; none in a study whose designs are not listed, and of runs of earlier versions. `readings` has what
    measures of extensions gave for each setting; `runs` has a column for each of these measures.
    """

    runs: pd.DataFrame
    epochs: pd.DataFrame
    decisions: tuple[Decision, ...] = ()
    filters: pd.DataFrame = field(default_factory=no_filters)
    readings: Mapping[str, tuple[Reading, ...]] = field(default_factory=dict)

    def chosen(self, by: str | None = None) -> list[str]:
        """The names of the settings that a search chose, in order; with `by`, only those that this sampler chose."""
        return [one.setting for one in self.decisions if one.decision == "chosen" and by in (None, one.by)]

    @property
    def drawn_late(self) -> list[str]:
        """The baseline of a search that was given more designs: drawn from what it had left over by then."""
        every, drawn = self.chosen(), {*self.chosen(BASELINE)}
        first = next((place for place, name in enumerate(every) if name not in drawn), len(every))
        return [name for name in every[first:] if name in drawn]


def open_for_writing(
    folder: Path,
    *,
    searches: bool = False,
    filters: bool = False,
    measures: bool = False,
    rungs: tuple[int, ...] = (),
) -> tuple[list[str], Record]:
    """Create the tables, or repair them after an interrupted write; return messages about repairs, and the record.

    With `searches` the study has a table of decisions, and judges its designs at `rungs`; with `filters` and `measures`
    it has one of these. Raises InputError for damage that a repair would hide; nothing is changed then.
    """
    kinds = kinds_of(searches=searches, filters=filters, measures=measures)
    for name, kind in reversed(kinds.items()):  # runs.csv is created last: if it exists, so do the others
        table.create(folder / name, kind)
    found = {
        name: table.undamaged(folder / name, kind, ["run"] if name == CORRECT else None) for name, kind in kinds.items()
    }
    rows = {name: content.rows for name, content in found.items()}
    if lost := missing(rows, rungs):
        raise _lost(folder, lost)
    messages = [
        f"{folder / name}: a last line that was not written to its end was cut off"
        for name, content in found.items()
        if table.heal(folder / name, content)
    ]
    for name, own in (pending := uncommitted(rows)).items():
        rows[name] = rows[name][~_from_first(rows[name], own)]
        table.truncate(folder / name, len(rows[name]))
    again = sorted(set().union(*pending.values()))
    messages += [f"{folder / RUNS}: run {run} was not recorded to its end and is trained again" for run in again]
    return messages, assembled(rows)


def upgrade(folder: Path, *, searches: bool, filters: bool, measures: bool) -> None:
    """Give tables of an earlier version the present columns, before rows of this version follow.

    The version that wrote them cannot read them then, so that a start does so only when nothing can refuse it.
    """
    for name, kind in kinds_of(searches=searches, filters=filters, measures=measures).items():
        table.upgrade(folder / name, kind)


def kinds_of(*, searches: bool, filters: bool = False, measures: bool = False) -> dict[str, type]:
    """The row type of each table of a study, in reading order: runs first, then the rows that they imply."""
    some: dict[str, type] = {FILTERS: FilterRecord} if filters else {}
    some |= {MEASURES: MeasureRecord} if measures else {}
    return {RUNS: RunRecord, **_OF_RUNS, **some, **({DECISIONS: Decision} if searches else {})}


def missing(rows: Rows, rungs: tuple[int, ...] = ()) -> dict[str, list[str]]:
    """Runs of which a table lacks whole rows, by the name of the table; for decisions and measures, designs.

    The checksum of a row cannot show this, but the other tables still refer to these runs. One run may be incomplete
    at the end of a table: it was being written.
    """
    pending = uncommitted(rows)
    again = set().union(*pending.values())
    at_end = all(_runs(rows[name][_from_first(rows[name], own)]) <= own for name, own in pending.items())
    found = {
        RUNS: again if len(again) > 1 or not at_end else set(),
        EPOCHS: _without_epochs(rows),
        CORRECT: _judged(rows[RUNS]) - _runs(rows[CORRECT]) if CORRECT in rows else set(),
        FILTERS: _without_filters(rows),
        DECISIONS: _undecided(rows, rungs) if DECISIONS in rows else set(),
        MEASURES: _unmeasured(rows) if MEASURES in rows else set(),
    }
    return {name: sorted(runs) for name, runs in found.items() if runs}


def holding(rows: Rows, rungs: tuple[int, ...] = ()) -> Rows:
    """The rows of complete runs: without runs that lack rows, and without the decisions that were based on those.

    A design that lacks decisions stays chosen if its first decision exists, and its runs start again. A decision that
    occurs twice counts once.
    """
    if DECISIONS in rows:
        rows = {**rows, DECISIONS: rows[DECISIONS].drop_duplicates()}
    while True:
        lost = missing(rows, rungs)
        designs = {*lost.pop(DECISIONS, []), *lost.pop(MEASURES, [])}
        runs = set().union(*lost.values(), *uncommitted(rows).values())
        runs |= _runs(rows[RUNS][rows[RUNS]["setting"].isin(designs)])
        if not runs and not designs:
            return rows
        rows = {
            name: _chosen_once(own, designs)
            if name == DECISIONS
            else own
            if name == MEASURES
            else own[~own["run"].isin(runs)]
            for name, own in rows.items()
        }


def _chosen_once(decisions: pd.DataFrame, designs: set[str]) -> pd.DataFrame:
    """All decisions, except that of `designs` only the first one is kept: that they were chosen."""
    is_first = (decisions["decision"] == "chosen") & ~decisions.duplicated("setting")
    return decisions[is_first | ~decisions["setting"].isin(designs)]


def uncommitted(rows: Rows) -> dict[str, set[str]]:
    """Runs that occur in another table but not in `runs.csv`, by the name of that table."""
    known = {EPOCHS: _runs(rows[RUNS]), CORRECT: _judged(rows[RUNS]), FILTERS: _runs(rows[RUNS])}
    found = {name: _runs(rows[name]) - runs for name, runs in known.items() if name in rows}
    return {name: runs for name, runs in found.items() if runs}


def commit(folder: Path, record: RunRecord, epochs: list[EpochResult], outcome: Outcome) -> None:
    """Write one finished run: first its epochs, correct images and filters, last the row that commits it."""
    commit_all(folder, [(record, epochs, outcome)])


def commit_all(folder: Path, runs: Iterable[tuple[RunRecord, list[EpochResult], Outcome]]) -> None:
    """Write several finished runs at once, for a new record on which nothing depends yet.

    If this is interrupted, the record looks like one that has lost rows; a running study therefore writes run by run.
    """
    rows, right, ended, filters = list[EpochRecord](), list[CorrectRecord](), list[RunRecord](), list[FilterRecord]()
    for record, epochs, outcome in runs:
        rows += [EpochRecord(run=record.run, **vars(row)) for row in epochs]
        if outcome.correct or (record.status == "ok" and record.test_error is not None):
            bits = base64.b64encode(outcome.correct).decode()
            right.append(CorrectRecord(run=record.run, images=outcome.test_images, bits=bits))
        filters += [FilterRecord(run=record.run, **vars(layer)) for layer in outcome.filters]
        ended.append(record)
    table.append(folder / EPOCHS, rows)
    if right:
        table.append(folder / CORRECT, right)
    if filters:
        table.append(folder / FILTERS, filters)
    table.append(folder / RUNS, ended)


def decide(folder: Path, decisions: list[Decision]) -> None:
    """Write a search's decisions; to be done before anything that depends on them."""
    table.append(folder / DECISIONS, decisions)


def measure(folder: Path, readings: Iterable[tuple[str, Reading]]) -> None:
    """Write what measures of extensions gave for settings; to be done before anything that depends on it."""
    if rows := measure_rows(readings):
        table.append(folder / MEASURES, rows)


def measure_rows(readings: Iterable[tuple[str, Reading]]) -> list[MeasureRecord]:
    """The rows of `measures.csv` of what measures gave for settings; `readings_of` reads them."""
    return [MeasureRecord(name, one.measure, one.median, one.lower, one.upper) for name, one in readings]


def load(folder: Path) -> Record:
    """Read a study's record without changing it.

    Raises InputError if there is none, if its columns are another version's, or if a row does not match its checksum.
    """
    if not (folder / RUNS).exists():
        raise InputError(f"{folder}: there is no record here; start the study first")
    if not (folder / EPOCHS).exists():
        raise InputError(f"{folder}: {EPOCHS} is missing; restore it, or start anew with name=...")
    there = {key: (folder / name).exists() for key, name in _OF_SOME.items()}
    kinds = kinds_of(**there)
    rows = {name: table.read(folder / name, kind) for name, kind in kinds.items() if name != CORRECT}
    # While a study runs, tables that are read later may hold runs that had not ended when runs.csv was read.
    if lost := {name: gone for name, gone in missing(rows).items() if name != RUNS}:
        raise _lost(folder, lost)
    return assembled(rows)


def assembled(rows: Rows) -> Record:
    """Make a record from consistent rows of its tables."""
    runs, epochs = rows[RUNS], rows[EPOCHS]
    final = runs[["run"]].assign(final=runs["status"].isin(FINAL_STATUSES)).sort_values("final", kind="stable")
    runs = runs.loc[final.drop_duplicates("run", keep="last").index.sort_values()].reset_index(drop=True)
    places = {run: place for place, run in enumerate(runs["run"].tolist())}
    epochs = epochs.assign(place=[places.get(run, -1) for run in epochs["run"].tolist()])
    epochs = epochs[epochs["place"] >= 0].drop_duplicates(["place", "epoch"], keep="last")
    epochs = epochs.sort_values(["place", "epoch"]).drop(columns="place")
    decisions = _values(rows[DECISIONS], Decision) if DECISIONS in rows else []
    filters = rows[FILTERS] if FILTERS in rows else no_filters()
    filters = filters[filters["run"].isin(places)].drop_duplicates(["run", "layer"], keep="last")
    found = Record(runs, epochs.reset_index(drop=True), tuple(decisions), filters.reset_index(drop=True))
    return with_readings(found, readings_of(rows[MEASURES])) if MEASURES in rows else found


def with_readings(record: Record, readings: Mapping[str, tuple[Reading, ...]]) -> Record:
    """A record with what measures gave for each setting, and a column of its runs for each of these measures."""
    columns = {
        name: record.runs["setting"]
        .map({setting: one.median for setting, own in readings.items() for one in own if one.measure == name})
        .astype(float)
        for name in dict.fromkeys(one.measure for own in readings.values() for one in own)
    }
    return replace(record, runs=record.runs.assign(**columns), readings=readings)


def readings_of(rows: pd.DataFrame) -> dict[str, tuple[Reading, ...]]:
    """The readings of each setting, from the rows of `measures.csv`; of repeated rows the first counts."""
    found: dict[str, tuple[Reading, ...]] = {}
    for row in _values(rows.drop_duplicates(["setting", "measure"]), MeasureRecord):
        found[row.setting] = (*found.get(row.setting, ()), Reading(row.measure, row.lower, row.value, row.upper))
    return found


def load_correct(
    folder: Path, of: Collection[str] | None = None, record: Record | None = None
) -> dict[str, npt.NDArray[np.bool_]]:
    """Which test images each run classified correctly: a boolean array `(test_images,)` per run, in test order.

    `of` limits the result to some runs, since all of a large study would not fit into the memory. The list of runs is
    taken from `record` if given, else read from disk.
    """
    runs = table.read(folder / RUNS, RunRecord, ["run", "status", "test_error"]) if record is None else record.runs
    rows = table.read(folder / CORRECT, CorrectRecord)
    if lost := sorted(_judged(runs) - _runs(rows)):
        raise _lost(folder, {CORRECT: lost})
    try:
        return unpacked((rows if of is None else rows[rows["run"].isin(of)]).to_dict("records"))
    except ValueError as error:
        raise InputError(f"{folder / CORRECT}: {error}; restore the file") from None


def unpacked(rows: Iterable[Mapping[Any, Any]]) -> dict[str, npt.NDArray[np.bool_]]:
    """Unpack rows with run, images and bits into a boolean array per run. Raises ValueError if the two disagree."""
    found = {}
    for row in rows:
        bits, images = np.frombuffer(base64.b64decode(row["bits"]), np.uint8), int(row["images"])
        if not 0 <= 8 * len(bits) - images < 8:
            raise ValueError(f"run {row['run']} has {8 * len(bits)} bits for {images} images")
        found[str(row["run"])] = np.unpackbits(bits, count=images).astype(bool)
    return found


def packed(right: npt.NDArray[np.bool_]) -> str:
    """Pack booleans as text for `CorrectRecord.bits`."""
    return base64.b64encode(np.packbits(right).tobytes()).decode()


def as_records(runs: pd.DataFrame) -> list[RunRecord]:
    """The rows of `Record.runs` as `RunRecord` values, with None for missing numbers."""
    return _values(runs, RunRecord)


def validation_curves(record: Record) -> dict[str, dict[int, float]]:
    """The validation error by epoch of each run that has one."""
    found: dict[str, dict[int, float]] = {}
    rows = record.epochs[record.epochs["val_error"].notna()]
    for run, epoch, error in _cells(rows, "run", "epoch", "val_error"):
        found.setdefault(run, {})[epoch] = error
    return found


def _lost(folder: Path, lost: Mapping[str, list[str]]) -> InputError:
    name, gone = next(iter(lost.items()))
    return InputError(
        f"{folder / name}: {lost_rows(name, len(gone))} ({', '.join(gone[:3])}); restore the file, or let "
        f"{command_for('doctor', folder.name)} take out what was lost, to be trained again"
    )


def lost_rows(name: str, count: int) -> str:
    """The message about a table that has lost whole rows of `count` runs or designs."""
    if name == DECISIONS:
        designs = "1 design" if count == 1 else f"{count} designs"
        return f"what was decided about {designs} is not all there, or is there twice"
    if name == MEASURES:
        return f"numbers of {'1 design' if count == 1 else f'{count} designs'} are missing"
    return f"rows of {count} {'run' if count == 1 else 'runs'} are missing"


def _values(rows: pd.DataFrame, kind: type) -> list[Any]:
    """Rows as values of their dataclass, with None for missing cells."""
    columns = []
    for one in fields(kind):
        column = rows[one.name]
        lacks = column.isna()
        columns.append((column.astype(object).where(~lacks, None) if lacks.any() else column).tolist())
    return list(starmap(kind, zip(*columns, strict=True)))


def _cells(rows: pd.DataFrame, *names: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(rows[name].tolist() for name in names), strict=True)


def _runs(rows: pd.DataFrame) -> set[str]:
    return {*rows["run"].tolist()}


def _judged(runs: pd.DataFrame) -> set[str]:
    """Runs that were evaluated on the test images."""
    return {*runs["run"][(runs["status"] == "ok") & runs["test_error"].notna()].tolist()}


def _from_first(rows: pd.DataFrame, runs: set[str]) -> "pd.Series[bool]":
    """For each row, whether it is the first one of any of the runs, or comes after it."""
    return rows["run"].isin(runs).cummax()


def _without_epochs(rows: Rows) -> set[str]:
    """Ended runs that lack one of their epochs or have one too many; a diverged run may lack its last."""
    found: dict[str, int] = {}  # run -> one bit for each recorded epoch
    for run, epoch in _cells(rows[EPOCHS], "run", "epoch"):
        found[run] = found.get(run, 0) | 1 << epoch
    lost = set()
    for run, status, last in _cells(rows[RUNS], "run", "status", "epochs"):
        there, every, before = found.get(run, 0), (2 << last) - 2, (2 << max(0, last - 1)) - 2
        if (status in ("ok", "pruned") and there != every) or (status == "diverged" and there & before != before):
            lost.add(run)
    return lost


def _without_filters(rows: Rows) -> set[str]:
    """Runs that came to their end and have other numbers of filter rows than they were recorded with."""
    runs = rows[RUNS]
    if "filter_layers" not in runs:
        return set()
    filters = rows[FILTERS] if FILTERS in rows else no_filters()
    found = filters.drop_duplicates(["run", "layer"])["run"].value_counts().to_dict()
    ended = runs[runs["status"] == "ok"]
    return {run for run, count in _cells(ended, "run", "filter_layers") if found.get(run, 0) != count}


def _undecided(rows: Rows, rungs: tuple[int, ...]) -> set[str]:
    """Designs whose decisions are incomplete, given how their runs ended, or occur twice."""
    decided: dict[str, list[tuple[str, int, str]]] = {}
    for setting, *row in _cells(rows[DECISIONS], "setting", "decision", "epochs", "by"):
        decided.setdefault(setting, []).append((*row,))
    ended: dict[str, set[str]] = {}
    for setting, status in _cells(rows[RUNS], "setting", "status"):
        ended.setdefault(setting, set()).add(status)
    return {
        setting
        for setting in {*decided, *ended}
        if not _is_whole(decided.get(setting, []), ended.get(setting, set()), rungs)
    }


def _unmeasured(rows: Rows) -> set[str]:
    """Designs that were trained and lack the number of a measure that others have, or all numbers if no row is left.

    It was known before they were trained: a search has judged by it, and the page shows it.
    """
    found = {*_cells(rows[MEASURES], "setting", "measure")}
    used = {*rows[RUNS]["setting"].tolist()}
    measures = {measure for _, measure in found}
    return {one for one in used if not measures or any((one, measure) not in found for measure in measures)}


def _is_whole(decided: list[tuple[str, int, str]], ended: set[str], rungs: tuple[int, ...]) -> bool:
    """Whether a design's decisions are complete: chosen, continued at one rung after the other, stopped if pruned."""
    words, at = [word for word, _, _ in decided], tuple(epochs for _, epochs, _ in decided[1:])
    if words[:1] != ["chosen"] or set(words[1:-1]) - {"continued"} or "chosen" in words[1:]:
        return False
    if len({*at}) < len(at) or [*at] != sorted(at) or (rungs and at != rungs[: len(at)]):
        return False
    through = not rungs or decided[0][2] == BASELINE or len(at) == len(rungs)
    return ("pruned" in ended) <= (words[-1] == "stopped") and ("ok" in ended) <= (through and words[-1] != "stopped")
