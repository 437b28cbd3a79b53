"""`explorer tabulate`: write a finished study as a small tabular benchmark, to share; `explorer.open_study` reads it.

A folder holds `runs.parquet`, `epochs.parquet`, `correct.parquet` and, where the study has them, `filters.parquet`,
`measures.parquet` and `labels.parquet` (the study's tables), those of a search's final round under the same names after
`final_`, `study.json` (settings, execution plan, environment and what a search decided, and those of the final round),
`schema.json` (columns and SHA-256 of the others) and `README.md`, the data card.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pandas as pd
from rich.console import Console

import explorer
from explorer.analysis.checks import CheckStudy
from explorer.analysis.final_round import FinalRound
from explorer.analysis.final_study import FinalStudy, judged_final
from explorer.analysis.finding import Finding
from explorer.analysis.judging import OpenedStudy, judged, open_study, without_joined
from explorer.analysis.sentences import sentence
from explorer.host import formatting as wording
from explorer.host.commands import command_for
from explorer.host.console import PLAIN
from explorer.host.errors import InputError
from explorer.host.files import write_whole
from explorer.record import folder as study
from explorer.record import records
from explorer.record.folder import LABELS as LABELS_FILE
from explorer.record.labels import Labels, labels_of
from explorer.record.records import Record
from explorer.record.rows import (
    CorrectRecord,
    Decision,
    EpochRecord,
    FilterRecord,
    LabelsRecord,
    MeasureRecord,
    RunRecord,
)
from explorer.record.starts import starts_of
from explorer.record.table import read as read_rows
from explorer.report.error_words import final_seeds_words
from explorer.study.plan import Plan, plan_of
from explorer.study.renamed import of_a_record
from explorer.study.settings import StudyConfig
from explorer.study.tree import to_config
from explorer.verbs.result import Result

TABLES = Path("tables")
# Of the table's own files: which there are, and what schema.json and study.json hold. The record it was made of has a
# schema of its own, which study.json holds as part of the environment and which is checked as in a study's folder;
# columns that an earlier version did not write have their defaults here too.
FORMAT = 1
KINDS = {"runs": RunRecord, "epochs": EpochRecord, "correct": CorrectRecord}
FILTERS, LABELS, MEASURES = "filters", "labels", "measures"  # further tables, of studies that have rows of them
SOME_KINDS = {FILTERS: FilterRecord, LABELS: LabelsRecord, MEASURES: MeasureRecord}
FINAL = "final_"  # before the names of the tables of a search's final round, which is a study of its own
SCHEMA, STUDY, CARD = "schema.json", "study.json", "README.md"
_PLACES_OF_ENGINES = ("address", "setup", "partition", "account", "qos", "constraint")
_SKIPPED = re.compile(r"^(\w+) .*?( \([^()]*\))?$", re.DOTALL)  # part, file, and in brackets the reason
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
    plan, record, right = _read(root, parts, digests)
    opened = judged(root, plan, record, right, parts["environment"], parts["execution"])
    opened = replace(opened, finding=replace(opened.finding, note=str(parts.get("note", ""))))
    if (name := f"{LABELS}.parquet") in digests:
        opened = replace(opened, labels=_labels(root / name, opened))
    if (final := parts.get("final")) is None:
        return opened
    study.refuse_later_schema(final["environment"], root / STUDY)
    own_plan, own, answers = _read(root, final, digests, FINAL)
    there = CheckStudy(own_plan, own)
    found = judged_final(opened.plan, record, there, parts["environment"], answers, int(final.get("looks", 1)))
    return replace(opened, finding=replace(opened.finding, final_round=found), final=FinalStudy(root, there, found))


def _read(
    root: Path, parts: dict[str, Any], digests: Collection[str], prefix: str = ""
) -> tuple[Plan, Record, Mapping[str, Any]]:
    """One study of a table, by the prefix of its files: its plan, its record, and its test answers by run."""
    frames = {name: _frame(root / f"{prefix}{name}.parquet", kind) for name, kind in KINDS.items()}
    where = f" (in {root / STUDY})"
    plan = plan_of(to_config(of_a_record(parts["config"], where), lambda _: where), chooses=False)
    decisions = tuple(Decision(**decision) for decision in parts.get("decisions", []))
    record = Record(frames["runs"], frames["epochs"], decisions)
    if (name := f"{prefix}{FILTERS}.parquet") in digests:
        record = replace(record, filters=_frame(root / name, FilterRecord))
    if (name := f"{prefix}{MEASURES}.parquet") in digests:
        record = records.with_readings(record, records.readings_of(_frame(root / name, MeasureRecord)))
    return plan, record, records.unpacked(frames["correct"].to_dict("records"))


def _labels(path: Path, opened: OpenedStudy) -> Labels:
    """The classes of the test images. Raises InputError for what cannot be."""
    rows = _frame(path, LabelsRecord).to_dict("records")
    try:
        return labels_of(rows, opened.config.data.classes, int(opened.environment["images"][2]))
    except ValueError as error:
        raise InputError(f"{path}: {error}; fetch the table again") from None


def refuse_unfinished(opened: OpenedStudy, done: str) -> None:
    """Raise InputError for a study, or the final round of a search, that has runs to do before it is `done`."""
    source, finding, final = opened.folder, opened.finding, opened.final
    if not finding.complete:
        far = f"{finding.final} of {finding.wanted} runs are in"
        raise InputError(f"{source}: {far}; finish the study before it is {done}")
    if final is not None and not final.found.complete:
        far = final.found.fault or f"{final.found.done} of {final.found.wanted} runs of the final round are in"
        again = command_for("", opened.config.name)
        raise InputError(f"{source}: {far}; finish it before the study is {done}: {again}")


def write_table(source: Path, target: Path, head: Callable[[Collection[str]], str] = lambda _: "") -> list[Path]:
    """Write the table of the study in a folder and return its files. Raises InputError for an unfinished study.

    `head` gives what stands before the text of its card, from the names of its parquet files.
    """
    opened = open_study(source)
    refuse_unfinished(opened, "tabulated")
    config, record, finding = opened.config, opened.record, opened.finding
    study.refuse_links(study.make_folder(target))
    hosts = _Hosts()
    frames, parts = _frames(source, record, hosts), _parts(source, opened.environment, opened.execution, record, hosts)
    parts["note"] = finding.note
    if (source / LABELS_FILE).exists():
        frames[LABELS] = read_rows(source / LABELS_FILE, LabelsRecord)
    if (final := opened.final) is not None:
        assert final.study.record is not None
        own = without_joined(final.study.plan.config, final.study.record)
        frames |= {f"{FINAL}{name}": frame for name, frame in _frames(final.folder, own, hosts).items()}
        environment, execution = study.stored_environment(final.folder), study.stored_execution(final.folder)
        there = _parts(final.folder, environment or {}, execution or {}, own, hosts)
        parts["final"] = there | {"looks": final.found.looks}
    of_final = (f"{FINAL}{name}" for name in (*KINDS, FILTERS, MEASURES))
    for name in (*SOME_KINDS, *of_final):  # of a table that was here before
        (target / f"{name}.parquet").unlink(missing_ok=True)
    for name, frame in frames.items():
        frame.to_parquet(target / f"{name}.parquet", index=False)
    write_whole(target / STUDY, json.dumps(parts, indent=2) + "\n")
    card = _card(config, finding, opened.environment, has_filters=FILTERS in frames, has_labels=LABELS in frames)
    write_whole(target / CARD, head(frames.keys()) + card)
    kinds, files = (
        KINDS | SOME_KINDS,
        (*(f"{name}.parquet" for name in frames), STUDY, CARD),
    )
    schema = {
        "format": FORMAT,
        "version": explorer.__version__,
        "tables": {name: _columns(frame, kinds[name.removeprefix(FINAL)]) for name, frame in frames.items()},
        "sha256": {name: _digest(target / name) for name in files},
    }
    write_whole(target / SCHEMA, json.dumps(schema, indent=2) + "\n")
    return [target / name for name in (*files, SCHEMA)]


class _Hosts(dict[str, str]):
    """Names of machines as a table has them: which runs one machine ended is told, and not what it is called."""

    def __missing__(self, host: str) -> str:
        return self.setdefault(host, f"machine {len(self) + 1}" if host else "")


def _frames(source: Path, record: Record, hosts: _Hosts) -> dict[str, pd.DataFrame]:
    """The tables of a study's record, by name."""
    correct = records.load_correct(source, record=record)
    answers = [{"run": run, "images": len(bits), "bits": records.packed(bits)} for run, bits in correct.items()]
    frames = {
        "runs": record.runs.assign(host=[hosts[str(host)] for host in record.runs["host"].fillna("")]),
        "epochs": record.epochs,
        "correct": pd.DataFrame(answers, columns=["run", "images", "bits"]),
    }
    if len(record.filters):
        frames[FILTERS] = record.filters
    if record.readings:
        each = [(setting, one) for setting, own in record.readings.items() for one in own]
        frames[MEASURES] = pd.DataFrame([asdict(row) for row in records.measure_rows(each)])
    return frames


def _parts(
    source: Path, environment: dict[str, Any], execution: dict[str, Any], record: Record, hosts: _Hosts
) -> dict[str, Any]:
    """What `study.json` says of a study beside its tables."""
    return {
        "config": _without_places(study.stored_config(source) or {}),
        "environment": _without_names(environment, hosts),
        "execution": execution,
        "decisions": [asdict(decision) for decision in record.decisions],
    }


def _without_places(config: dict[str, Any]) -> dict[str, Any]:
    """Stored settings without those that name places and accounts of their owner, and decide nothing."""
    found = deepcopy(config)
    found.get("data", {}).update({"path": None})
    for key in _PLACES_OF_ENGINES:
        found.get("engine", {}).pop(key, None)
    found["storage"] = found.get("storage", {}) | {"mirror": "none", "url": None}
    return found


def _without_names(environment: dict[str, Any], hosts: _Hosts) -> dict[str, Any]:
    """A stored environment without names of machines, and of files that were left out; why they were is kept."""
    found = deepcopy(environment)
    for start in found.get("starts", []):
        if "host" in start:
            start["host"] = hosts[str(start["host"])]
    if "skipped" in found:
        found["skipped"] = [_SKIPPED.sub(r"\1\2", str(one)) for one in found["skipped"]]
    return found


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
            "may_be_empty": type(None) in options or bool(frame[field.name].isna().any()),
            "dtype": str(frame[field.name].dtype),
        }
    return found


def _card(
    config: StudyConfig, finding: Finding, environment: dict[str, Any], *, has_filters: bool, has_labels: bool
) -> str:
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
    if has_labels:
        filters += "`labels.parquet` has the class of each test image, in the same order.\n"
    round_table, round_words = _final_of_card(finding.final_round) if finding.final_round else ("", "")
    recipe = "\n".join(f"- {key}: {wording.plain(value)}" for key, value in config.recipe.shown.items())
    made = f"""{runs} on {environment["platform"]}, started {environment["started"]}, commit {commits};
{versions}. Seconds and images per second are of that machine."""
    images = f"{train:,} images to train, {val:,} to validate, {test:,} to test, of"
    if finding.imported is not None:
        source = finding.imported.source
        recipe = f"{source.recipe or 'Not said'}, by name alone; config.yaml holds none that was used."
        made = (
            f"{runs} made by others, imported from {source.file} (SHA-256 `{source.digest}`) {environment['started']}."
        )
        images = f"{f'{test:,} images to test' if test else 'number of images not known'}, of"
    return f"""# {config.name}

{config.study.question}

{sentence(finding)}
{f"{chr(10)}{wording.NOTED} {finding.note}{chr(10)}" if finding.note else ""}
| setting | params | MACs | {wording.ERROR_NAMES[finding.measure]} | 95 % interval | seeds |
|---|---|---|---|---|---|
{chr(10).join(rows)}
{round_table}
## Data

{data.label}: {images} {data.channels} x {data.image_size} x
{data.image_size} pixels and {data.classes} classes; content hash `{hashed}`. The images are not part of this table.

## Recipe

{recipe}

## Hardware and versions

{made}

## Use

```python
from pathlib import Path

from explorer import open_study
print(open_study(Path(".")){asks})
```

Errors are fractions of images after the last epoch. A run that diverged or ran out of memory has none: its status says
so, `failed` of an answer names it, and in a mean it counts as chance. `runs.parquet` has one row per run,
`epochs.parquet` one per epoch, `correct.parquet` one bit per test image and run (base64, first image first{order}).
{filters}{round_words}`schema.json` lists columns and checksums.
Written by resnext-explorer (Apache-2.0).
"""


def _final_of_card(found: FinalRound) -> tuple[str, str]:
    """What the data card says of a search's final round: its results, and where they are."""
    rows = [
        f"| {one.setting} | {wording.percent(found.validation[one.setting])} | {wording.percent(one.estimate.mean)} | "
        f"{wording.interval(one.estimate.low, one.estimate.high)} | {final_seeds_words(found, one)} |"
        for one in found.summaries
    ]
    table = f"""
## Final round

The best designs of the search by validation, the best first, trained anew with fresh seeds on training and validation
images together, and then tested. The first is the answer, whatever the test says. Errors are means over the runs that
came through, with intervals over seeds and test images together.

| setting | validation error in the search | test error | 95 % interval | seeds |
|---|---|---|---|---|
{chr(10).join(rows)}
"""
    words = (
        "The runs of the final round are in `final_runs.parquet`, `final_epochs.parquet` and `final_correct.parquet`\n"
        "(`open_study(...).final.runs` in Python); they have no validation error, since those images were trained on.\n"
    )
    return table, words


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


def carry_out(config: StudyConfig, console: Console) -> Result:
    """`explorer tabulate`: write a finished study as a table to share, in `tables/`."""
    files = write_table(study.study_folder(config.name), TABLES / config.name)
    for path in files:
        console.print(f"Wrote {path}", **PLAIN)
    return Result(lambda: {"study": config.name, "folder": TABLES / config.name, "files": files})
