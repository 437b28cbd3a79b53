"""Examines a study's tables: which rows are consistent, and what is wrong with the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from explorer.host.commands import command_for
from explorer.host.errors import InputError
from explorer.host.formatting import counted
from explorer.record import records, table
from explorer.record.folder import DECISIONS, FILTERS, LABELS, MEASURES, RUNS
from explorer.record.labels import load_labels
from explorer.record.rows import LabelsRecord
from explorer.verbs.doctor.fault import Fault, set_aside

Contents = Mapping[str, table.Content]
MOST_NAMED = 12


@dataclass(frozen=True)
class Tables:
    """The result of examining the tables.

    lines   a line about each table that can be read
    kept    the consistent rows; None if a table cannot be read at all
    faults  what is wrong
    """

    lines: list[str]
    kept: records.Rows | None
    faults: list[Fault]


def examine_tables(
    folder: Path,
    *,
    searches: bool,
    filters: bool,
    measures: bool,
    rungs: tuple[int, ...],
    labels: Mapping[str, str],
    running: bool,
) -> Tables:
    """Read every table row by row; `labels` names runs by id, since the row of a run may itself be damaged.

    While the study is `running`, its last rows may still be being written.
    """
    contents, unreadable = {}, []
    for name, kind in records.kinds_of(searches=searches, filters=filters, measures=measures).items():
        try:
            contents[name] = table.inspect(folder / name, kind)
        except InputError as error:
            remedy = "only you can do that; if no copy is left, a new study begins with name=... or in an empty folder"
            unreadable.append(Fault(str(error), remedy))
    lines = [f"{name}: {counted(len(content.rows), 'row')}" for name, content in contents.items()]
    if unreadable:
        return Tables(lines, None, unreadable)
    rows = {name: content.rows for name, content in contents.items()}
    runs = zip(*(rows[RUNS][name].tolist() for name in ("run", "setting", "seed")), strict=True)
    named = {**labels, **{run: f"{setting} seed {seed}" for run, setting, seed in runs}}
    kept = records.holding(rows, rungs)
    wrong = [*_damaged(folder, contents), *_lost(folder, rows, rungs, named)]
    if wrong:
        changed = [name for name in contents if contents[name].damaged or len(kept[name]) < len(rows[name])]
        gone = sorted({run for own in rows.values() for run in own.get("run", ())} - {*kept[RUNS]["run"]})
        remedy = f"set copies of {', '.join(changed)} aside and keep every row that checks; {_again(gone, named)}"
        return Tables(lines, kept, [Fault("; ".join(wrong), remedy, partial(_keep, folder, changed, contents, kept))])
    return Tables(lines, kept, [] if running else _torn(folder, contents, rows, rungs, named))


def examine_labels(folder: Path, classes: int, images: int, *, running: bool) -> Tables:
    """Read `labels.csv`, if the study has it; a file that cannot be used is set aside, since it can be made anew.

    While the study is `running`, its last row may still be being written.
    """
    path = folder / LABELS
    if not path.exists():
        return Tables([], {}, [])
    again = f"the next start writes it anew, and so does {command_for('label', folder.name)}"
    try:
        load_labels(folder, classes, images)
        content = table.inspect(path, LabelsRecord)
    except InputError as error:
        what = str(error).partition("; ")[0]
        cure = partial(set_aside, folder, [path], move=True)
        return Tables([], None, [Fault(what, f"set it aside; {again}", cure)])
    lines = [f"{LABELS}: {counted(len(content.rows), 'row')}"]
    if running or not (content.torn or content.unended):
        return Tables(lines, {}, [])
    remedy = f"cut it off, as the next start does; {again}"
    what = f"{path}: the last line was not written to its end"
    return Tables(lines, {}, [Fault(what, remedy, partial(table.heal, path, content))])


def _damaged(folder: Path, contents: Contents) -> list[str]:
    found = []
    for name, content in contents.items():
        lines = [str(line) for line, why in content.damaged.items() if why == table.UNCHECKED]
        if lines:
            found.append(f"{folder / name}: {counted(len(lines), 'line')} not matching the check ({_some(lines)})")
        if senseless := [f"line {line}: {why}" for line, why in content.damaged.items() if why != table.UNCHECKED]:
            found.append(f"{folder / name}: {_some(senseless)}")
    return found


def _lost(folder: Path, rows: records.Rows, rungs: tuple[int, ...], named: Mapping[str, str]) -> list[str]:
    return [
        f"{folder / name}: {records.lost_rows(name, len(gone))} ({_some(sorted(named.get(one, one) for one in gone))})"
        for name, gone in records.missing(rows, rungs).items()
    ]


def _torn(
    folder: Path,
    contents: Contents,
    rows: records.Rows,
    rungs: tuple[int, ...],
    named: Mapping[str, str],
) -> list[Fault]:
    """Faults of an interrupted write, which the next start would repair as well."""
    wrong = [
        f"{folder / name}: the last line was not written to its end"
        for name, content in contents.items()
        if content.torn or content.unended
    ]
    again = sorted(set().union(*records.uncommitted(rows).values()))
    if again:
        wrong.append(f"{folder / RUNS}: {named.get(again[0], again[0])} was not recorded to its end")
    kept = {"searches": DECISIONS in rows, "filters": FILTERS in rows, "measures": MEASURES in rows}
    cure = partial(records.open_for_writing, folder, **kept, rungs=rungs)
    remedy = f"cut it off, as the next start does; {_again(again, named)}"
    return [Fault("; ".join(wrong), remedy, cure)] if wrong else []


def _keep(folder: Path, names: list[str], contents: Contents, kept: records.Rows) -> None:
    set_aside(folder, [folder / name for name in names])
    for name in names:
        table.keep(folder / name, contents[name], kept[name])


def _again(runs: list[str], named: Mapping[str, str]) -> str:
    if not runs:
        return "no run is lost"
    return f"to be trained again: {_some(sorted(named.get(run, run) for run in runs))}"


def _some(items: list[str]) -> str:
    more = f" and {len(items) - MOST_NAMED} more" if len(items) > MOST_NAMED else ""
    return ", ".join(items[:MOST_NAMED]) + more
