"""A study's record as it can be compared with another's: everything but times."""

from pathlib import Path

from explorer.record import table
from explorer.record.folder import CONFIG, CORRECT, DECISIONS, EPOCHS, EXECUTION, FILTERS, MEASURES, RUNS
from explorer.record.rows import CorrectRecord, Decision, EpochRecord, FilterRecord, MeasureRecord, RunRecord

TIMES = {"seconds", "images_per_second", "finished", "latency", "latency_lower", "latency_upper", "crc"}
KINDS = {
    RUNS: RunRecord,
    EPOCHS: EpochRecord,
    CORRECT: CorrectRecord,
    DECISIONS: Decision,
    FILTERS: FilterRecord,
    MEASURES: MeasureRecord,
}

Rows = list[tuple[str, ...]]


def record_of(folder: Path, *but: str) -> dict[str, Rows]:
    """The rows of a study's tables without times and other columns that are left out, and what is in its other files.

    Runs may end in another order, but what a search decides is decided in order.
    """
    found = {name: rows(folder / name, kind, *but) for name, kind in KINDS.items() if (folder / name).exists()}
    tables = {name: own if name == DECISIONS else sorted(own) for name, own in found.items()}
    texts: dict[str, Rows] = {name: [((folder / name).read_text(),)] for name in (CONFIG, EXECUTION)}
    files: Rows = sorted((path.name,) for path in folder.iterdir())
    kept: Rows = sorted((path.name,) for path in (folder / "local" / "checkpoints").glob("*"))
    return tables | texts | {"files": files, "checkpoints": kept}


def rows(path: Path, kind: type, *but: str) -> Rows:
    left_out = {*TIMES, *but}
    read = table.read(path, kind).astype(str)
    return list(read.drop(columns=left_out & {*read}).itertuples(index=False, name=None))


def differences(found: dict[str, Rows], expected: dict[str, Rows]) -> str:
    """For people: in which table which rows are missing, foreign, doubled or in another order; empty where none are."""
    lines = []
    for name in sorted({*found, *expected}):
        ours, theirs = found.get(name, []), expected.get(name, [])
        if ours != theirs:
            missing = [row for row in theirs if row not in ours]
            foreign = [row for row in ours if row not in theirs]
            lines.append(f"{name}: {len(ours)} rows for {len(theirs)}; missing {missing[:3]}; foreign {foreign[:3]}")
    return "\n".join(lines)
