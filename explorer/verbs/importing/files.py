"""Reads a file of results as a table of text: CSV, parquet, JSON, an Optuna database."""

import hashlib
import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from explorer.host.errors import InputError
from explorer.host.formatting import in_one_line, without_password
from explorer.host.yaml_limits import opened

MOST_BYTES = 2**28  # of a file
MOST_ROWS = 1_000_000
SHIPPED = "public_results.csv"  # is found by its name alone, wherever the command is given
SQLITE = b"SQLite format 3\0"
_URL = re.compile(r"[a-z][a-z0-9+]*://")
_FLAT = re.compile(r"(\.value|\.wandb)$")  # W&B wraps each setting: {"lr": {"value": 0.1}}
_ALLOWED = "allowed are .csv, .tsv, .parquet, .json, .jsonl and an Optuna database (.db, .sqlite3, or a URL)"


@dataclass(frozen=True)
class Raw:
    """A file as a table of text, "" for an empty cell.

    name     of the file, or the URL without a password
    kind     what it was read as
    implied  columns that hold something by the kind of the file, by what they hold
    dropped  rows that did not come into the table, by reason
    decimal  what separates the parts of a decimal number
    """

    table: pd.DataFrame
    name: str
    kind: str
    digest: str
    implied: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    decimal: str = "."


def read(file: str, part: str | None = None) -> Raw:
    """The table of a file, or of an Optuna study, of which `part` names one of several. Raises InputError."""
    if _URL.match(file):
        return _optuna(file, without_password(file), "", part)
    path = Path(file).expanduser()
    if file == SHIPPED and not path.exists():
        path = shipped()
    try:
        with opened(path, MOST_BYTES) as stream:
            content = stream.read(MOST_BYTES)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); {_ALLOWED}") from None
    digest = hashlib.sha256(content).hexdigest()
    if content.startswith(SQLITE):
        return _optuna(f"sqlite:///{path.resolve()}", path.name, digest, part)
    if part is not None:
        raise InputError(f"part={part}: names a study of an Optuna database, and {file} is none; leave it out")
    readers = {".csv": _csv, ".tsv": _csv, ".txt": _csv, ".parquet": _parquet, ".pq": _parquet}
    readers |= dict.fromkeys((".json", ".jsonl", ".ndjson"), _json)
    ending = path.suffix.lower()
    if ending not in readers:
        raise InputError(f"{file}: is not of a kind that is read here; {_ALLOWED}")
    try:
        found, decimal = readers[ending](content)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    except Exception as error:  # noqa: BLE001 - whatever a library says of a damaged file
        raise InputError(f"{file}: cannot be read as {ending[1:]} ({in_one_line(error)})") from None
    return Raw(_with_seconds(_checked(found, file)), path.name, ending[1:], digest, decimal=decimal)


def shipped() -> Path:
    """The table of published results that comes with the package, in a clone among its examples."""
    package = Path(__file__).parents[2]
    own = package / "examples" / SHIPPED
    return own if own.exists() else package.parent / "examples" / SHIPPED


def of_frame(frame: pd.DataFrame) -> Raw:
    """The table of a data frame."""
    found = _checked(_as_text(frame), "the data frame")
    digest = hashlib.sha256(found.to_csv(index=False).encode()).hexdigest()
    return Raw(found, "a data frame", "data frame", digest)


def _checked(table: pd.DataFrame, file: str) -> pd.DataFrame:
    if not len(table):
        raise InputError(f"{file}: holds no rows")
    if len(table) > MOST_ROWS:
        raise InputError(f"{file}: holds {len(table):,} rows; allowed are {MOST_ROWS:,}")
    repeated = table.columns[table.columns.duplicated()]
    if len(repeated):
        raise InputError(f"{file}: has two columns {repeated[0]!r}; rename one of them")
    return table


def _with_seconds(table: pd.DataFrame) -> pd.DataFrame:
    """A table with the seconds between the two times at which MLflow says that a run began and ended."""
    if not {"start_time", "end_time"} <= {*table.columns} or "seconds" in table:
        return table
    seconds = (_times(table["end_time"]) - _times(table["start_time"])).dt.total_seconds()
    return table.assign(seconds=[_text(value) for value in seconds])


def _times(cells: "pd.Series[str]") -> "pd.Series[pd.Timestamp]":
    """Times as text, or as milliseconds since 1970, as pandas writes them into JSON; NaT for anything else."""
    if cells.str.fullmatch(r"\d*").all():
        return pd.to_datetime(pd.to_numeric(cells, errors="coerce"), unit="ms", utc=True)
    return pd.to_datetime(cells, format="ISO8601", utc=True, errors="coerce")


def _csv(content: bytes) -> tuple[pd.DataFrame, str]:
    """A table of text from CSV: the separator is the one of comma, semicolon and tab that its first line has most."""
    text = content.decode("utf-8-sig")
    lines = text.splitlines(keepends=True)
    skipped = 0
    while skipped < len(lines) and (not lines[skipped].strip() or lines[skipped].startswith("#")):
        skipped += 1
    head = lines[skipped] if skipped < len(lines) else ""
    if not head.strip():
        raise InputError("is empty")
    separator = max(",;\t", key=head.count)
    body = io.StringIO("".join(lines[skipped:]))
    found = pd.read_csv(body, sep=separator, dtype=str, keep_default_na=False, skipinitialspace=True)
    return _as_text(found), "," if separator == ";" else "."


def _parquet(content: bytes) -> tuple[pd.DataFrame, str]:
    return _as_text(pd.read_parquet(io.BytesIO(content))), "."


def _json(content: bytes) -> tuple[pd.DataFrame, str]:
    """A table from a list of records, records by line, columns, or an object with such a list; joins nested keys."""
    text = content.decode("utf-8-sig")
    try:
        tree = json.loads(text)
    except ValueError:
        tree = [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(tree, dict):
        lists = {key: value for key, value in tree.items() if isinstance(value, list)}
        records = [value for value in lists.values() if value and all(isinstance(one, dict) for one in value)]
        if len(records) == 1:
            tree = records[0]
        elif lists and len({len(value) for value in lists.values()}) == 1:
            tree = [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
        else:
            tree = [tree]
    if not isinstance(tree, list) or not all(isinstance(one, dict) for one in tree):
        raise InputError('holds no list of records, such as [{"name": "resnet50", "error": 0.24}]')
    found = pd.json_normalize(tree)
    found.columns = [_FLAT.sub("", str(name)) for name in found.columns]
    return _as_text(found), "."


def _as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """All cells as text: "" for none, whole numbers without a decimal point."""
    found = pd.DataFrame(
        {str(name): [_text(value) for value in frame.iloc[:, place]] for place, name in enumerate(frame)}
    )
    return found.loc[(found != "").any(axis=1)].reset_index(drop=True) if len(found.columns) else found


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NaT or value is pd.NA:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value).strip()


def _optuna(url: str, name: str, digest: str, part: str | None) -> Raw:
    """The finished trials of a study in an Optuna database: their parameters, attributes, value and seconds."""
    import optuna
    from optuna.trial import TrialState

    from explorer.search.database import released

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = optuna.storages.RDBStorage(url, skip_table_creation=True)
    except Exception as error:  # noqa: BLE001 - of SQLAlchemy, a driver or Optuna
        words = without_password(in_one_line(error))
        raise InputError(f"{name}: cannot be opened as an Optuna database ({words})") from None
    with released(storage):
        try:
            names = [one.study_name for one in optuna.get_all_study_summaries(storage, include_best_trial=False)]
        except Exception as error:  # noqa: BLE001 - a database of something else
            words = without_password(in_one_line(error))
            raise InputError(f"{name}: is not an Optuna database ({words})") from None
        if part is None and len(names) != 1:
            way = f"; say part=NAME, one of {', '.join(sorted(names)[:20])}" if names else ""
            raise InputError(f"{name}: holds {len(names) or 'no'} studies{way}")
        if part is not None and part not in names:
            raise InputError(f"part={part}: {name} holds no such study; allowed: {', '.join(sorted(names)[:20])}")
        study = optuna.load_study(study_name=part or names[0], storage=storage)
        trials, directions = study.get_trials(deepcopy=False), study.directions
    rows, dropped = [], dict[str, int]()
    for trial in trials:
        errors = [*(trial.values or ())]  # noqa: PD011 - of Optuna
        if trial.state != TrialState.COMPLETE or not errors:
            reason = f"trials that are {trial.state.name.lower()}"
            dropped[reason] = dropped.get(reason, 0) + 1
            continue
        taken = (trial.datetime_complete, trial.datetime_start)
        seconds = {"seconds": (taken[0] - taken[1]).total_seconds()} if taken[0] and taken[1] else {}
        user = {str(key): value for key, value in trial.user_attrs.items() if not isinstance(value, (dict, list))}
        rows.append({**user, **trial.params, "value": errors[0], **seconds})
    if not rows:
        raise InputError(f"{name}: holds no trial that came to its end")
    holds = "val_accuracy" if directions[0] == optuna.study.StudyDirection.MAXIMIZE else "val_error"
    table = _as_text(pd.DataFrame(rows))
    digest = hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()
    return Raw(_checked(table, name), name, "optuna", digest, {holds: "value"}, dropped)
