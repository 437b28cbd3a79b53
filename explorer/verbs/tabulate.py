"""`explorer tabulate`: write a finished study as a small tabular benchmark, to share; `explorer.open_study` reads it.

A folder holds `runs.parquet`, `epochs.parquet`, `correct.parquet` and, where the study has them, `filters.parquet` (the
study's tables), `study.json` (settings, execution plan, environment and what a search decided), `schema.json` (columns
and SHA-256 of the others) and `README.md`, the data card.
"""

import hashlib
import json
import math
from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pandas as pd
from rich.console import Console

import explorer
from explorer.analysis.finding import Finding
from explorer.analysis.judging import OpenedStudy, judged, open_study
from explorer.analysis.sentences import sentence
from explorer.host import formatting as wording
from explorer.host.console import PLAIN
from explorer.host.errors import InputError
from explorer.host.files import write_whole
from explorer.record import folder as study
from explorer.record import records
from explorer.record.records import Record
from explorer.record.rows import CorrectRecord, Decision, EpochRecord, FilterRecord, RunRecord
from explorer.record.starts import starts_of
from explorer.study.plan import plan_of
from explorer.study.renamed import of_a_record
from explorer.study.settings import StudyConfig
from explorer.study.tree import to_config

TABLES = Path("tables")
# Of the table's own files: which there are, and what schema.json and study.json hold. The record it was made of has a
# schema of its own, which study.json holds as part of the environment and which is checked as in a study's folder;
# columns that an earlier version did not write have their defaults here too.
FORMAT = 1
KINDS = {"runs": RunRecord, "epochs": EpochRecord, "correct": CorrectRecord}
FILTERS = "filters"  # a further table, of studies that have rows of it
SCHEMA, STUDY, CARD = "schema.json", "study.json", "README.md"
FILES = (*(f"{name}.parquet" for name in KINDS), STUDY, CARD)  # of a table, without its schema


def read_table(root: Path) -> OpenedStudy:
    """Open and judge a folder that `write_table` made. Raises InputError for a file that is missing or was changed."""
    schema = _json(root / SCHEMA)
    if schema.get("format") != FORMAT:
        raise InputError(
            f"{root / SCHEMA}: format {schema.get('format')} of a table, written by version "
            f"{schema.get('version', 'unknown')} of resnext-explorer; this is version {explorer.__version__}, which "
            f"reads format {FORMAT}: install that one, or fetch the table again"
        )
    digests = schema.get("sha256")
    if not isinstance(digests, dict) or not set(FILES) <= set(digests):
        raise InputError(f"{root / SCHEMA}: has no checksums of {', '.join(FILES)}; fetch the table again")
    for name, digest in digests.items():
        if not (root / name).is_file() or _digest(root / name) != digest:
            raise InputError(f"{root / name}: is missing or was changed since it was tabulated; fetch it again")
    parts = _json(root / STUDY)
    study.refuse_later_schema(parts["environment"], root / STUDY)
    frames = {name: _frame(root / f"{name}.parquet", kind) for name, kind in KINDS.items()}
    where = f" (in {root / STUDY})"
    plan = plan_of(to_config(of_a_record(parts["config"], where), lambda _: where), chooses=False)
    decisions = tuple(Decision(**decision) for decision in parts.get("decisions", []))
    filters = _frame(root / f"{FILTERS}.parquet", FilterRecord) if f"{FILTERS}.parquet" in digests else None
    record = Record(frames["runs"], frames["epochs"], decisions)
    record = record if filters is None else replace(record, filters=filters)
    right = records.unpacked(frames["correct"].to_dict("records"))
    opened = judged(root, plan, record, right, parts["environment"], parts["execution"])
    return replace(opened, finding=replace(opened.finding, note=str(parts.get("note", ""))))


def write_table(source: Path, target: Path) -> list[Path]:
    """Write the table of the study in a folder and return its files. Raises InputError for an unfinished study."""
    opened = open_study(source)
    config, record, finding = opened.config, opened.record, opened.finding
    if not finding.complete:
        raise InputError(
            f"{source}: {finding.final} of {finding.wanted} runs are in; finish the study before it is tabulated"
        )
    study.refuse_links(study.make_folder(target))
    correct = records.load_correct(source, record=record)
    frames = {
        "runs": record.runs,
        "epochs": record.epochs,
        "correct": pd.DataFrame(
            [{"run": run, "images": len(bits), "bits": records.packed(bits)} for run, bits in correct.items()],
            columns=["run", "images", "bits"],
        ),
    }
    kinds, files = dict[str, type](KINDS), FILES
    if len(record.filters):
        frames[FILTERS], kinds[FILTERS], files = record.filters, FilterRecord, (*FILES, f"{FILTERS}.parquet")
    (target / f"{FILTERS}.parquet").unlink(missing_ok=True)  # of a table that was here before
    for name, frame in frames.items():
        frame.to_parquet(target / f"{name}.parquet", index=False)
    parts = {
        "config": study.stored_config(source),
        "environment": opened.environment,
        "execution": opened.execution,
        "decisions": [asdict(decision) for decision in record.decisions],
        "note": finding.note,
    }
    write_whole(target / STUDY, json.dumps(parts, indent=2) + "\n")
    write_whole(target / CARD, _card(config, finding, opened.environment, has_filters=FILTERS in frames))
    schema = {
        "format": FORMAT,
        "version": explorer.__version__,
        "tables": {name: _columns(frames[name], kind) for name, kind in kinds.items()},
        "sha256": {name: _digest(target / name) for name in files},
    }
    write_whole(target / SCHEMA, json.dumps(schema, indent=2) + "\n")
    return [target / name for name in (*files, SCHEMA)]


def _frame(path: Path, kind: type) -> pd.DataFrame:
    """A part of a table with the columns that one of an earlier version lacks, at their defaults."""
    frame = pd.read_parquet(path)
    names = [field.name for field in fields(kind)]
    for field in fields(kind):
        if field.name not in frame and field.default is not MISSING:
            frame[field.name] = math.nan if field.default is None else field.default
    if missing := [name for name in names if name not in frame]:
        raise InputError(f"{path}: lacks the column {missing[0]}; fetch the table again")
    return frame[names]


def _columns(frame: pd.DataFrame, kind: type) -> dict[str, dict[str, Any]]:
    """The schema of one table: for each column its type, and whether a cell may be empty."""
    hints, found = get_type_hints(kind), {}
    for field in fields(kind):
        options = get_args(hints[field.name]) or (hints[field.name],)
        kinds = [option.__name__ for option in options if option is not type(None)]
        found[field.name] = {
            "type": kinds[0],
            "may_be_empty": type(None) in options,
            "dtype": str(frame[field.name].dtype),
        }
    return found


def _card(config: StudyConfig, finding: Finding, environment: dict[str, Any], *, has_filters: bool) -> str:
    """The data card: what a user of the table must know about its numbers."""
    rows = [
        f"| {one.setting} | {one.params:,} | {one.macs:,} | {wording.percent(one.estimate.mean)} | "
        f"{wording.interval(one.estimate.low, one.estimate.high)} | {one.estimate.n} |"
        for one in finding.summaries
    ]
    train, val, test = environment["images"]
    data, hashed = config.data, environment["data_hash"]
    commits = ", ".join(dict.fromkeys(str(start.get("commit") or "unknown") for start in starts_of(environment)))
    versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items())
    # A search may have stopped every design: then there is no setting to query, but there are rows.
    asks = f'.query("{finding.summaries[0].setting}").error' if finding.summaries else ".runs"
    runs = wording.counted(finding.final, "run")
    order = "; of the split of its seed" if finding.own_splits else ""
    filters = "`filters.parquet` has one per run and k x k convolution: how long its filters are, how far they turn.\n"
    filters = filters if has_filters else ""
    recipe = "\n".join(f"- {key}: {wording.plain(value)}" for key, value in asdict(config.recipe).items())
    return f"""# {config.name}

{config.study.question}

{sentence(finding)}
{f"{chr(10)}{wording.NOTED} {finding.note}{chr(10)}" if finding.note else ""}
| setting | params | MACs | {wording.ERROR_NAMES[finding.measure]} | 95 % interval | seeds |
|---|---|---|---|---|---|
{chr(10).join(rows)}

## Data

{data.label}: {train:,} images to train, {val:,} to validate, {test:,} to test, of {data.channels} x {data.image_size} x
{data.image_size} pixels and {data.classes} classes; content hash `{hashed}`. The images are not part of this table.

## Recipe

{recipe}

## Hardware and versions

{runs} on {environment["platform"]}, started {environment["started"]}, commit {commits};
{versions}. Seconds and images per second are of that machine.

## Use

```python
from pathlib import Path

from explorer import open_study
print(open_study(Path(".")){asks})
```

Errors are fractions of images after the last epoch. A run that diverged or ran out of memory has none: its status says
so, `failed` of an answer names it, and in a mean it counts as chance. `runs.parquet` has one row per run,
`epochs.parquet` one per epoch, `correct.parquet` one bit per test image and run (base64, first image first{order}).
{filters}`schema.json` lists columns and checksums.
Written by resnext-explorer (Apache-2.0).
"""


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path}: is not JSON; fetch the table again") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: is not a JSON object; fetch the table again")
    return found


def carry_out(config: StudyConfig, console: Console) -> int:
    """`explorer tabulate`: write a finished study as a table to share, in `tables/`."""
    for path in write_table(study.study_folder(config.name), TABLES / config.name):
        console.print(f"Wrote {path}", **PLAIN)
    return 0
