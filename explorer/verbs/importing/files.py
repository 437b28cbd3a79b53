"""Reads a file of results as a table of text: CSV, parquet, JSON, an Optuna database."""

import ast
import codecs
import csv
import hashlib
import io
import json
import math
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from explorer.host.errors import InputError
from explorer.host.formatting import in_one_line, without_password
from explorer.host.yaml_limits import opened
from explorer.verbs.importing.names import UNKNOWN, named

MOST_BYTES = 2**28  # of a file
MOST_ROWS = 1_000_000
SHIPPED = "public_results.csv"  # is found by its name alone, wherever the command is given
SQLITE = b"SQLite format 3\0"
_URL = re.compile(r"[a-z][a-z0-9+]*://")
# By the first bytes of a text, how it is encoded: Excel writes "Unicode text" so.
_MARKS = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_NUMBER = re.compile(r"[-+]?[\d.,]*\d(?:e[-+]?\d+)?\s*%?", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"-?\d+,(?:\d{1,2}|\d{4,})\s*%?")  # no thousands
_DECIMAL_POINT = re.compile(r"-?\d*\.\d+\s*%?")
_PARTS_OF_A_RUN = {"config", "summary", "summary_metrics", "params", "metrics", "tags", "data"}  # of one record
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
    settings columns that hold how runs were set up, where the kind of the file says which do
    """

    table: pd.DataFrame
    name: str
    kind: str
    digest: str
    implied: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    decimal: str = "."
    settings: frozenset[str] = frozenset()


def read(file: str, part: str | None = None) -> Raw:
    """The table of a file, or of an Optuna study, of which `part` names one of several. Raises InputError."""
    if _URL.match(file):
        return _optuna(file, without_password(file), part)
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
        return _optuna(f"sqlite:///{path.resolve()}", path.name, part)
    if part is not None:
        raise InputError(f"part={part}: names a study of an Optuna database, and {file} is none; leave it out")
    readers = {".csv": _csv, ".tsv": _csv, ".txt": _csv, ".parquet": _parquet, ".pq": _parquet}
    readers |= dict.fromkeys((".json", ".jsonl", ".ndjson"), _json)
    ending = path.suffix.lower()
    if ending not in readers:
        raise InputError(f"{file}: is not of a kind that is read here; {_ALLOWED}")
    try:
        found, decimal = readers[ending](content)
        _checked(found)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    except Exception as error:  # noqa: BLE001 - whatever a library says of a damaged file
        raise InputError(f"{file}: cannot be read as {ending[1:]} ({in_one_line(error)})") from None
    return Raw(_with_seconds(_unpacked(found)), path.name, ending[1:], digest, decimal=decimal)


def shipped() -> Path:
    """The table of published results that comes with the package, in a clone among its examples."""
    package = Path(__file__).parents[2]
    own = package / "examples" / SHIPPED
    return own if own.exists() else package.parent / "examples" / SHIPPED


def of_frame(frame: pd.DataFrame) -> Raw:
    """The table of a data frame. An index that has a name, or is text, is a column too."""
    try:
        found = _unpacked(_as_text(_with_index(frame)))
        _checked(found)
    except InputError as error:
        raise InputError(f"the data frame: {error}") from None
    digest = hashlib.sha256(found.to_csv(index=False).encode()).hexdigest()
    return Raw(found, "a data frame", "data frame", digest)


def _checked(table: pd.DataFrame) -> None:
    if not len(table):
        raise InputError("holds no rows")
    if len(table) > MOST_ROWS:
        raise InputError(f"holds {len(table):,} rows; allowed are {MOST_ROWS:,}")


def _refuse_repeated(names: Sequence[str]) -> None:
    repeated = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if repeated is not None:
        raise InputError(f"has two columns {repeated!r}; rename one of them")


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame whose index is a column, where it says something: it has a name, or is text, and then names the rows."""
    if frame.index.nlevels == 1 and frame.index.name is None:
        name = _index_name(map(str, frame.index), frame.columns)
        return frame if name is None else frame.rename_axis(name).reset_index()
    names = [str(name) for name in frame.index.names]
    _refuse_repeated([*names, *map(str, frame.columns)])
    return frame.reset_index()


def _index_name(values: Iterable[str], columns: Iterable[Any]) -> str | None:
    """What a column without a name is called that names the rows; None if it numbers them."""
    numbers = all(_NUMBER.fullmatch(value) for value in values if value)
    return None if numbers or "name" in {str(column).lower() for column in columns} else "name"


def _unpacked(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose columns of objects, as `{'acc': 0.95}`, are columns of their keys, as `summary.acc`.

    W&B's own example of an export writes settings and results so.
    """
    for column in table.columns:
        cells = table[column].tolist()
        if not any(cells) or not all(cell[:1] == "{" and cell[-1:] == "}" for cell in cells if cell):
            continue
        try:
            inside = pd.json_normalize([_object(cell) if cell else {} for cell in cells])
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue  # text in braces
        own = _as_text(inside.add_prefix(f"{column}."), whole=True)
        table = pd.concat([table.drop(columns=column), own.drop(columns=[*table.columns], errors="ignore")], axis=1)
    return table


def _object(cell: str) -> dict[str, Any]:
    """The object that a cell writes as JSON or as Python does."""
    try:
        found = json.loads(cell)
    except ValueError:
        found = ast.literal_eval(re.sub(r"(?<=: )(?:nan|inf)\b", "None", cell))
    if not isinstance(found, dict):
        raise ValueError(f"{cell[:40]} is no object")
    return found


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


def _decoded(content: bytes) -> str:
    """The text of a file in UTF-8, or in UTF-16 or UTF-32 with a mark that says so. Raises InputError for others."""
    kind = next((kind for mark, kind in _MARKS if content.startswith(mark)), "utf-8-sig")
    try:
        text = content.decode(kind)
    except UnicodeDecodeError as error:
        where = f"byte 0x{content[error.start]:02x} at {error.start:,}"
        raise InputError(f"is not text in UTF-8 ({where}); save it as UTF-8, if it is text") from None
    if "\0" in text:
        raise InputError("is not text in UTF-8, since it holds null characters; save it as UTF-8, if it is text")
    return text


def _csv(content: bytes) -> tuple[pd.DataFrame, str]:
    """A table of text from CSV, and what separates the parts of its decimal numbers.

    The separator is the one of comma, semicolon, tab and bar that the first line has most, or that a line `sep=;` of
    Excel names.
    """
    lines = _decoded(content).splitlines(keepends=True)
    skipped = 0
    while skipped < len(lines) and (not lines[skipped].strip() or lines[skipped].startswith("#")):
        skipped += 1
    says = re.fullmatch(r"sep=(.)\s*", lines[skipped], re.IGNORECASE) if skipped < len(lines) else None
    skipped += says is not None
    head = lines[skipped] if skipped < len(lines) else ""
    if not head.strip():
        raise InputError("is empty")
    separator = says[1] if says else max(",;\t|", key=head.count)
    # A tab at the beginning of a cell is an empty cell, and no space.
    body = io.StringIO("".join(lines[skipped:]), newline="")
    reader = csv.reader(body, delimiter=separator, skipinitialspace=separator != "\t", strict=True)
    rows, numbers = list[list[str]](), list[int]()
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append([cell.strip() for cell in row])
                numbers.append(skipped + reader.line_num)
    except csv.Error as error:
        words = str(error).replace("unexpected end of data", "a quotation mark is not closed")
        raise InputError(f"cannot be read as CSV ({words}, before line {skipped + reader.line_num + 1:,})") from None
    table = _of_cells(rows[0], rows[1:], numbers[1:])
    every = [cell for row in rows[1:] for cell in row]
    comma = separator == ";" or (
        any(map(_DECIMAL_COMMA.fullmatch, every)) and not any(map(_DECIMAL_POINT.fullmatch, every))
    )
    return table, "," if comma else "."


def _of_cells(head: list[str], rows: list[list[str]], numbers: Sequence[int]) -> pd.DataFrame:
    """A table from rows of cells and their line numbers; short rows end in empty cells, long ones are refused.

    Where all rows have one cell more than the head, the first one is a name or number of the row, as R writes tables.
    """
    if rows and all(len(row) == len(head) + 1 for row in rows) and any(row[-1] for row in rows):
        head = ["", *head]
    for row, number in zip(rows, numbers, strict=True):
        if any(row[len(head) :]):
            raise InputError(
                f"line {number:,} has {len(row)} cells, and the head {len(head)}; is a quotation mark missing?"
            )
    columns = {place: [row[place] if place < len(row) else "" for row in rows] for place in range(len(head))}
    columns = {place: cells for place, cells in columns.items() if head[place] or any(cells)}
    names = [head[place] for place in columns]
    for at, (place, cells) in enumerate(columns.items()):
        if not names[at]:
            names[at] = (_index_name(cells, names) if place == 0 else None) or f"column {place + 1}"
    _refuse_repeated(names)
    return pd.DataFrame(dict(zip(names, columns.values(), strict=True)), dtype=object)


def _parquet(content: bytes) -> tuple[pd.DataFrame, str]:
    return _as_text(_with_index(pd.read_parquet(io.BytesIO(content)))), "."


def _json(content: bytes) -> tuple[pd.DataFrame, str]:
    """A table from a list of records, records by line, columns, or an object with such a list; joins nested keys.

    Records and columns may also be objects by the name or number of each row, as pandas writes them.
    """
    text = _decoded(content)
    try:
        tree = json.loads(text)
    except ValueError:
        tree = [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(tree, dict) and (table := _of_objects(tree)) is not None:
        tree = table
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


def _of_objects(tree: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The records of an object of objects, by row or by column, or of pandas' `split`; None for any other object."""
    if {"columns", "data"} <= tree.keys() and all(isinstance(row, list) for row in tree["data"]):
        columns = [str(name) for name in tree["columns"]]
        rows = [dict(zip(columns, row, strict=True)) for row in tree["data"]]
        names = [str(name) for name in tree.get("index", range(len(rows)))]
    else:
        inside = {name: value for name, value in tree.items() if isinstance(value, dict)}
        if not tree or len(inside) < len(tree) or tree.keys() <= _PARTS_OF_A_RUN:
            return None
        common = set.intersection(*({*value} for value in inside.values()))
        if not common:
            return None
        names, rows = [*inside], [*inside.values()]
        within = [*rows[0]]
        alike = all({*row} == common for row in rows)
        if alike and (_are_numbers(within) or _networks(within) > _networks(names)):  # by column
            names, rows = within, [{name: value[row] for name, value in inside.items()} for row in within]
    index = _index_name(names, {key for row in rows for key in row})
    return [({index: name} if index else {}) | row for name, row in zip(names, rows, strict=True)]


def _are_numbers(names: Iterable[str]) -> bool:
    return all(name.isdigit() for name in names)


def _networks(names: Iterable[str]) -> int:
    """How many of some names are those of networks, also of such as do not exist here."""
    return sum(named(name).why != UNKNOWN for name in names)


def _as_text(frame: pd.DataFrame, *, whole: bool = False) -> pd.DataFrame:
    """All cells as text: "" for none, whole numbers without a decimal point; without empty rows, if not `whole`."""
    _refuse_repeated([str(name) for name in frame])
    found = pd.DataFrame(
        {str(name): [_text(value) for value in frame.iloc[:, place]] for place, name in enumerate(frame)}, dtype=object
    )
    if whole or not len(found.columns):
        return found
    return found.loc[(found != "").any(axis=1)].reset_index(drop=True)


def _text(value: Any) -> str:
    if value is None or value is pd.NaT or value is pd.NA:
        return ""
    if isinstance(value, float | np.floating) and math.isnan(value):
        return ""
    if isinstance(value, bytes):
        return value.decode(errors="replace").strip()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value).strip()


def _refuse_others(path: Path, shown: str) -> None:
    """Raise InputError for a file that is no SQLite database of Optuna. Makes and changes nothing."""
    try:
        if not path.is_file():
            raise InputError(f"{shown}: there is no such file; {_ALLOWED}")
        with closing(sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    except (OSError, sqlite3.Error) as error:
        raise InputError(f"{shown}: cannot be opened as an Optuna database ({in_one_line(error)})") from None
    tables = {name for (name,) in rows}
    if {"experiments", "runs", "metrics"} <= tables:
        raise InputError(
            f"{shown}: is a store of MLflow, whose runs are read from a table; write one in Python with "
            "mlflow.search_runs(search_all_experiments=True).to_csv('runs.csv')"
        )
    if not {"studies", "trials", "version_info"} <= tables:
        raise InputError(f"{shown}: is not an Optuna database; {_ALLOWED}")


def _optuna(url: str, name: str, part: str | None) -> Raw:
    """The finished trials of a study in an Optuna database: their parameters, attributes, values and seconds."""
    import optuna
    from optuna.trial import TrialState

    from explorer.search.database import opened_to_read, read_url, released, understood

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    address = read_url(url, "file")
    if address.get_backend_name() == "sqlite":
        _refuse_others(Path(address.database or "").expanduser(), name)
    try:
        storage = opened_to_read(address)
    except Exception as error:  # noqa: BLE001 - of SQLAlchemy, a driver or Optuna
        words = without_password(understood(error)[0])
        raise InputError(f"{name}: cannot be opened as an Optuna database ({words})") from None
    with released(storage):
        try:
            names = [one.study_name for one in optuna.get_all_study_summaries(storage, include_best_trial=False)]
        except Exception as error:  # noqa: BLE001 - a database of something else
            words = without_password(understood(error)[0])
            raise InputError(f"{name}: is not an Optuna database ({words})") from None
        if part is None and len(names) != 1:
            way = f"; say part=NAME, one of {', '.join(sorted(names)[:20])}" if names else ""
            raise InputError(f"{name}: holds {len(names) or 'no'} studies{way}")
        if part is not None and part not in names:
            raise InputError(f"part={part}: {name} holds no such study; allowed: {', '.join(sorted(names)[:20])}")
        study = optuna.load_study(study_name=part or names[0], storage=storage)
        trials, directions = study.get_trials(deepcopy=False), study.directions
        objectives = [*(study.metric_names or ())]
    several = len(directions) > 1
    objectives = objectives or ([f"values_{place}" for place in range(len(directions))] if several else ["value"])
    rows, dropped, parameters = [], dict[str, int](), set[str]()
    for trial in trials:
        values = [*(trial.values or ())]  # noqa: PD011 - of Optuna
        if trial.state != TrialState.COMPLETE or not values:
            reason = f"with status {trial.state.name.lower()}"
            dropped[reason] = dropped.get(reason, 0) + 1
            continue
        taken = (trial.datetime_complete, trial.datetime_start)
        seconds = {"seconds": (taken[0] - taken[1]).total_seconds()} if taken[0] and taken[1] else {}
        user = {str(key): value for key, value in trial.user_attrs.items() if not isinstance(value, (dict, list))}
        parameters |= {*trial.params}
        rows.append({**user, **trial.params, **dict(zip(objectives, values, strict=True)), **seconds})
    if not rows:
        raise InputError(f"{name}: holds no trial that came to its end")
    table = _as_text(pd.DataFrame(rows))
    _checked(table)
    digest = hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()
    # Which of several objectives is an error, and not a cost, is said by its name alone.
    holds = "val_accuracy" if directions[0] == optuna.study.StudyDirection.MAXIMIZE else "val_error"
    implied = {} if several else {holds: objectives[0]}
    return Raw(table, name, "optuna", digest, implied, dropped, settings=frozenset(parameters))
