"""A fuzz of what reads the files and words of others: `python -m tests.fuzz --seconds 60 --seed 0`.

Valid inputs are changed at random, by a seed. Whatever comes of it, a reader gives what was written or one clear line:
any other exception, or a value that nobody wrote, is a finding, told with the command that repeats it.
"""

import argparse
import contextlib
import copy
import csv
import io
import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from explorer.__main__ import main as explorer
from explorer.design.name import display_setting, parse_setting, setting_name
from explorer.host.cache import remembered
from explorer.host.errors import InputError
from explorer.record import folder as study
from explorer.record import records, starts, table
from explorer.record.folder import ENVIRONMENT, EXECUTION, stored_config
from explorer.record.rows import CorrectRecord, EpochRecord, RunRecord
from explorer.record.starts import started_study
from explorer.report.method import images
from explorer.search import execution_plan as execution
from explorer.study.settings import DataConfig, StudyConfig
from explorer.study.tree import to_config
from explorer.training import sources
from explorer.verbs.command_line import read_command
from explorer.verbs.compose import conf_folders
from tests.opened import judge

Target = Callable[[random.Random], None]
NAME = "equal_params_cifar10_jpeg"  # a recorded study: the same bytes wherever an execution is repeated
FOLDER = Path("studies") / NAME
HOLDER, MEASURED = "local/holder.json", "cache/resnext-explorer/measured.json"
KEPT = {"sources": sources._Kept, "plan": execution._Settled, "form": execution._Form}
ROWS = 5  # of a table whose bytes are changed
KINDS = {"runs.csv": RunRecord, "epochs.csv": EpochRecord, "correct.csv": CorrectRecord}
NAMES = [
    "resnet50",
    "ResNeXt-101 (64x4d)",
    "Wide ResNet-28-10 (1x160d)",
    "resnext50_32x4d.a1_in1k",
    "regnet_x_3_2gf",
    "RegNetX-400MF",
    "seresnext50_32x4d",
    "resnet50d",
    "29-32x4d-w64-k5-preact-plain",
    "29-8x14.24.58d",
    "29-1x64d-b2.3.4@sum",
    "wrn-28-10",
    "20-1x9d-basic",
]
ODD = ["", "0", "-1", "1.5", "nan", "-inf", "1e400", "9" * 30, "9" * 5000, "x", "ok", "pruned", "diverged", "True", "²"]
ODD += [
    "29-32x4d",
    "11-1x4d-w16",
    "../../x",
    "\x1b[31m",
    "\u202e",
    "=cmd()",
    "<script>",
    "[/]",
    "{0}",
    "a,b",
    '"',
    "\0",
]
JSON: list[Any] = [None, True, -1, 0, 1.5, float("inf"), float("nan"), 10**30, 10**400, "", "x", [], {}, [1], {"a": 1}]
JSON += ["\x1b[31m", "\u202e", "<script>", "9" * 500, [[[[]]]], ["x"] * 3, {"when": 1}]
PIECES = ["-", "x", "d", ".", "w", "k", "b", "@", "plain", "cifar", "wide", "basic", "0", "1", "29", "9" * 9, "²", "\n"]
VALUES = [
    "null",
    "-1",
    "1e400",
    "[]",
    "{}",
    "[1, x]",
    "{low: 1, high: 9}",
    "true",
    "''",
    "${oc.env:HOME}",
    "*b",
    "%",
    "\t",
]
VALUES += [
    "&a [*a]",
    "9" * 5000,
    "29-32x4d",
    "{a: {b: 1}}",
    "2001-99-99",
    "? [1]",
    "<<: 1",
    "- 1",
    "!!python/name:os",
    "\0",
]


def main(arguments: list[str]) -> int:
    """Fuzz for a while, tell executions per second and findings, and return 1 where there are any."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=TARGETS, action="append", help="these alone; may be repeated")
    parser.add_argument("--only", type=int, help="repeat the execution of this number")
    given = parser.parse_args(arguments)
    names, found = given.target or list(TARGETS), 0
    with workplace():
        for name in names:
            found += fuzz(name, given.seed, given.seconds / len(names), given.only)
    return min(found, 1)


@contextlib.contextmanager
def workplace() -> Iterator[None]:
    """A folder with a copy of a recorded study."""
    before, cache = Path.cwd(), os.environ.get("XDG_CACHE_HOME")
    memory = Path("/dev/shm")  # where files cost no disk
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as place:
        os.chdir(place)
        try:
            shutil.copytree(Path(__file__).parent.parent / FOLDER, FOLDER, ignore=shutil.ignore_patterns("local"))
            Path("conf/study").mkdir(parents=True)
            for name in (FOLDER / HOLDER, Path(MEASURED)):
                name.parent.mkdir(parents=True)
            (FOLDER / HOLDER).write_text(json.dumps({"pid": 1, "host": "h", "since": "2026"}))
            plan = {"precision": "float32", "norms": "torch", "threads": 1, "workers": 1}
            kept = {
                "sources": {"of": "x", "digests": {"a": "b"}},
                "plan": plan,
                "form": {"groups": 1, "layout": "same"},
            }
            Path(MEASURED).write_text(json.dumps(kept))
            os.environ["XDG_CACHE_HOME"] = str(Path("cache").resolve())
            yield
        finally:
            os.chdir(before)
            if cache is None:
                del os.environ["XDG_CACHE_HOME"]
            else:
                os.environ["XDG_CACHE_HOME"] = cache


def fuzz(name: str, seed: int, seconds: float, only: int | None = None) -> int:
    """Execute one target until the time is up; returns the number of findings."""
    began, number, findings = time.monotonic(), 0 if only is None else only, 0
    while only is not None or time.monotonic() < began + seconds:
        try:
            TARGETS[name](random.Random(f"{name} {seed} {number}"))
        except Exception:  # noqa: BLE001 - whatever it is, it is a finding
            findings += 1
            traceback.print_exc(limit=-4)
            print(f"repeat with: python -m tests.fuzz --target {name} --seed {seed} --only {number}", file=sys.stderr)
        number += 1
        if only is not None:
            break
    passed = time.monotonic() - began
    done = number if only is None else 1
    print(f"{name}: {done:,} executions in {passed:.0f} s, {done / passed:,.0f} per second, {findings} findings")
    return findings


def tables(chance: random.Random) -> None:
    """A table is read where every line is one that was written, or refused."""
    name = chance.choice(sorted(KINDS))
    whole, written = read(name)
    content = changed(whole, chance)
    header, *lines = content.split(b"\n")
    # What follows the last line break is torn, unless it is a row whose line break alone is gone or another byte.
    tail = lines.pop() if lines else b""
    lines += [row for row in (tail, tail[:-1]) if row in written]
    columns = whole.split(b"\n")[0]
    right = header == columns and b"\n" in content and all(line in written for line in lines)
    # An empty table of an earlier version has fewer columns, and nothing tells it from one that was damaged twice.
    right = right or (not lines and set(header.split(b",")) < set(columns.split(b",")))
    fuzzed = Path(name)
    fuzzed.write_bytes(content)
    try:
        found = table.read(fuzzed, KINDS[name])
    except InputError as error:
        assert one_line(error)
        assert not right or header != columns, "a whole table was refused"
    else:
        assert right, "rows were read that nobody wrote"
        assert _cells(found) == [written[line] for line in lines]


@lru_cache
def read(name: str) -> tuple[bytes, dict[bytes, tuple[object, ...]]]:
    """A table's file, and what each of its lines says."""
    lines, rows = (FOLDER / name).read_bytes().split(b"\n")[: ROWS + 1], table.read(FOLDER / name, KINDS[name])
    return b"\n".join([*lines, b""]), dict(zip(lines[1:], _cells(rows), strict=False))


def _cells(rows: pd.DataFrame) -> list[tuple[object, ...]]:
    """The values of each row, None for what is missing."""
    return [*rows.astype(object).where(rows.notna(), None).itertuples(index=False, name=None)]


def changed(content: bytes, chance: random.Random) -> bytes:
    """One to three changes: bits, bytes and stretches turned, lost, put in, doubled, replaced or cut off."""
    found = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        start = chance.randrange(len(found) + 1)
        end = min(len(found), start + chance.choice((0, 1, 2, 8, 100, 1000)))
        match chance.randrange(6):
            case 0 if start < len(found):
                found[start] ^= 1 << chance.randrange(8)
            case 1:
                del found[start:end]
            case 2:
                found[start:start] = chance.randbytes(chance.choice((1, 2, 9)))
            case 3:
                found[start:start] = found[start:end]
            case 4:
                found[start:end] = chance.choice((b"\n", b",", b'"', b"\r\n", b"\0", b"\xff"))
            case _:
                del found[start:]
    return bytes(found)


def values(chance: random.Random) -> None:
    """A row that is whole and senseless is drawn or refused: a check says nothing about sense."""
    path = FOLDER / chance.choice(sorted(KINDS))
    content = path.read_bytes()
    lines = content.decode().split("\n")
    number = chance.randrange(1, len(lines) - 1)
    cells = next(csv.reader([lines[number]]))[:-1]
    cells[chance.randrange(len(cells))] = chance.choice(ODD)
    lines[number] = checked(cells)
    path.write_bytes("\n".join(lines).encode())
    try:
        if chance.random() < 0.01:
            ends([f"study={NAME}", "data.path=images", "do=report"])
        else:
            judged()
    finally:
        path.write_bytes(content)


def columns(chance: random.Random) -> None:
    """A table whose columns are other ones is refused, also where every row has its check."""
    path = FOLDER / chance.choice(sorted(KINDS))
    content = path.read_bytes()
    header, *lines = content.decode().split("\n")[: ROWS + 1]
    names, rows = header.split(","), [next(csv.reader([line]))[:-1] for line in lines]
    for _ in range(chance.choice((1, 1, 2, 3))):
        place = chance.randrange(len(names))
        match chance.randrange(4):
            case 0:
                names[place] = chance.choice((*ODD, *names))
            case 1:
                del names[place]
                rows = [[*row[:place], *row[place + 1 :]] for row in rows]
            case 2:
                names.insert(place, chance.choice((*ODD, *names)))
                rows = [[*row[:place], chance.choice(ODD), *row[place:]] for row in rows]
            case _:
                chance.shuffle(names)
    path.write_bytes("\n".join([",".join(names), *map(checked, rows), ""]).encode(errors="replace"))
    try:
        judged()
    finally:
        path.write_bytes(content)


@lru_cache
def _data() -> DataConfig:
    study = read_command([f"study={NAME}"]).study
    assert study is not None
    return study.data


def files(chance: random.Random) -> None:
    """A file of JSON with something else in it is read, or refused in one line; of the cache it is passed over."""
    name = chance.choice((ENVIRONMENT, ENVIRONMENT, EXECUTION, HOLDER, MEASURED))
    path = {HOLDER: FOLDER / HOLDER, MEASURED: Path(MEASURED)}.get(name, FOLDER / name)
    content = path.read_bytes()
    path.write_bytes(changed_json(content, chance) if chance.random() < 0.8 else changed(content, chance))
    try:
        if name == MEASURED:
            for key, kind in KEPT.items():
                remembered(key, kind)
        elif name == HOLDER:
            assert "\n" not in study._describe_holder(path)
        elif chance.random() < 0.02:
            ends([f"study={NAME}", "data.path=images", "do=report"])
        elif chance.random() < 0.1:
            ends([f"name={NAME}", "do=doctor"])
        else:
            environment = study.stored_environment(FOLDER) or {}
            started_study(FOLDER)
            assert starts.identity(NAME, environment)
            first, *others = starts.starts_of(environment)
            assert all(list(starts.unlike(first, other)) is not None for other in others)
            images(environment, _data())
    except InputError as error:
        assert one_line(error)
    finally:
        path.write_bytes(content)


def changed_json(content: bytes, chance: random.Random) -> bytes:
    """One to three values anywhere in a tree are others, lost, or put in."""
    tree = json.loads(content)
    for _ in range(chance.choice((1, 1, 2, 3))):
        inside, odd = tree, copy.deepcopy(chance.choice(JSON))
        while True:
            keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
            if not keys:
                break
            key = chance.choice(keys)
            if isinstance(inside[key], (dict, list)) and inside[key] and chance.random() < 0.8:
                inside = inside[key]
                continue
            if chance.random() < 0.2:
                del inside[key]
            elif isinstance(inside, dict) and chance.random() < 0.2:
                inside[chance.choice(ODD)] = odd
            else:
                inside[key] = odd
            break
    return (json.dumps(tree) if chance.random() < 0.95 else json.dumps([tree])).encode()


def checked(cells: list[str]) -> str:
    """A line with the check that belongs to it, whatever is in it."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(cells)
    return f"{buffer.getvalue()},{zlib.crc32(f'{buffer.getvalue()},'.encode()):08x}"


def judged() -> None:
    """The record is read and judged, or refused in one line; by its seeds alone, since test images take a second."""
    try:
        record = records.load(FOLDER)
        records.load_correct(FOLDER)
        judge(settings_of_record(), record)
    except InputError as error:
        assert one_line(error)


@lru_cache
def settings_of_record() -> StudyConfig:
    """The recorded study's settings."""
    return to_config(stored_config(FOLDER) or {}, lambda _: "")


def ends(arguments: list[str]) -> None:
    """A command ends well, or with one line."""
    told = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(told):
        assert explorer(arguments) in (0, 1, 2)
    assert len(told.getvalue().splitlines()) <= 1


def names(chance: random.Random) -> None:
    """A name is an architecture that has that name, or refused in one line."""
    text = chance.choice(NAMES)
    for _ in range(chance.choice((1, 1, 2, 4))):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice((0, 0, 1, 2, 5)))
        text = text[:start] + chance.choice((*PIECES, chr(chance.randrange(0x3000)), text[start:], "")) + text[end:]
    try:
        architecture, form = parse_setting(text)
    except ValueError as error:
        assert one_line(error)
    else:
        assert parse_setting(setting_name(architecture, form)) == (architecture, form)
        assert display_setting(text)


def settings(chance: random.Random) -> None:
    """A study's YAML is a study, or refused in one line."""
    studies = sorted((conf_folders()[0] / "study").glob("*.yaml"))
    lines = chance.choice(studies).read_text().split("\n")
    for _ in range(chance.choice((1, 1, 2, 3))):
        number = chance.randrange(len(lines))
        head, colon, _ = lines[number].partition(":")
        lines[number] = chance.choice(
            (
                f"{head}{colon} {chance.choice(VALUES)}",
                f"{lines[number]}{chance.choice(VALUES)}",
                chance.choice(VALUES),
                f"  {lines[number]}",
                f"{chance.choice(lines).partition(':')[0]}{colon} {chance.choice(VALUES)}",
                "",
            )
        )
    Path("conf/study/fuzzed.yaml").write_text("\n".join(lines))
    try:
        assert read_command(["study=fuzzed", "data.path=x"]).study.name
    except InputError as error:
        assert one_line(error)


def one_line(error: Exception) -> bool:
    """Whether a refusal is one line that says something."""
    return bool(str(error).strip()) and "\n" not in str(error)


TARGETS: dict[str, Target] = {
    "tables": tables,
    "values": values,
    "columns": columns,
    "files": files,
    "names": names,
    "settings": settings,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
