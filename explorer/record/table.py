"""Append-only tables on disk: a header, then one checked line per row.

A line is CSV whose last field, `crc`, is the CRC-32 of the text before it. One process writes; each append is one
write, made durable before it returns. So a crash can leave a torn last line and nothing else: that tail is dropped
when the table is next opened for writing. Damage anywhere else is named by line, never skipped. A write that fails, as
on a full disk, raises OSError with the file's name and leaves the file as it was.
"""

import csv
import io
import os
import re
import sys
import zlib
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from explorer.host.errors import InputError
from explorer.host.files import _named, write_whole
from explorer.host.yaml_limits import MOST_WHOLE, is_beyond, opened

MOST_BYTES = 2**33  # of a table; some ten million epochs have a gigabyte
MOST_LINE = 2**24  # bytes; a hundred million test images have as many
MOST_DAMAGED = 10_000  # lines, after which a file is no table
csv.field_size_limit(MOST_LINE)  # the library's own limit is less than the bits of a million test images
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,18}")
UNCHECKED = "the row does not match its check"


def create(path: Path, kind: type) -> None:
    """Make an empty table whose columns are the fields of a dataclass, unless it is there already."""
    if not path.exists():
        write_whole(path, ",".join(columns(kind)) + "\n")


def append(path: Path, rows: list[Any]) -> None:
    """Add rows, instances of the table's dataclass, and make them durable; all of them or none.

    Whatever is written is read back as what it was, text on one line with single spaces. Raises TypeError for a value
    of another type than its column's and ValueError for one that the reader would refuse; nothing is written then.
    """
    left = "".join(_line(row) for row in rows).encode()
    # Without a buffer: what a full disk has refused must not be written after all when the file is closed.
    with _named(path), path.open("ab", buffering=0) as file:
        whole = file.tell()
        try:
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):  # what cannot be cut off now is healed as a torn line
                file.truncate(whole)
                os.fsync(file.fileno())
            raise


def upgrade(path: Path, kind: type) -> None:
    """Give a healed table of an earlier version the columns it lacks, with their defaults; in one atomic step."""
    names = columns(kind)
    with path.open("rb") as file:
        is_current = file.readline().decode().rstrip("\n") == ",".join(names)
    if not is_current:
        rewrite(path, kind, read(path, kind))


def rewrite(path: Path, kind: type, rows: list[dict[str, str]]) -> None:
    """Put a table with just these rows, as they were read, in the place of another."""
    names = columns(kind)
    text = "".join(_checked([row[name] for name in names[:-1]]) for row in rows)
    write_whole(path, ",".join(names) + "\n" + text)


@dataclass(frozen=True)
class Content:
    """What a table's file holds, damaged or not.

    rows     as text by column, by the number of their line
    damaged  lines that do not match their check, or say what cannot be, each with what is wrong
    whole    bytes until the end of the last whole line
    torn     what follows these is part of a line
    unended  the last row lacks only its line break, which is within `whole` as something else, or not at all
    """

    rows: dict[int, dict[str, str]]
    damaged: dict[int, str]
    whole: int
    torn: bool
    unended: bool


def read(path: Path, kind: type) -> list[dict[str, str]]:
    """All whole rows as text by column; a torn last line is left out.

    Raises InputError naming file and line for other columns than `kind` has, for a line that does not check, and for a
    number that is none or beyond what `kind` allows.
    """
    return list(_undamaged(path, kind).rows.values())


def heal(path: Path, kind: type) -> bool:
    """Cut off a torn last line, and say whether there was one.

    Raises InputError, touching nothing, for any other damage.
    """
    found = _undamaged(path, kind)
    if found.torn or found.unended:
        with path.open("r+b") as file:
            file.truncate(found.whole)
            file.seek(0, os.SEEK_END)
            file.write(b"\n" * found.unended)
            file.flush()
            os.fsync(file.fileno())
    return found.torn


def truncate(path: Path, keep: int) -> None:
    """Keep the header and the first `keep` rows and cut off what follows."""
    lines = path.read_bytes().split(b"\n")
    with path.open("r+b") as file:
        file.truncate(sum(len(line) + 1 for line in lines[: keep + 1]))
        os.fsync(file.fileno())


def columns(kind: type) -> list[str]:
    """Columns of the table of a dataclass: its fields and the check."""
    return [*(field.name for field in fields(kind)), "crc"]


def inspect(path: Path, kind: type) -> Content:
    """Read what can be read. Raises InputError where that is nothing: no file, no header, or other columns."""
    try:
        file = opened(path, MOST_BYTES)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); restore it") from None
    with file:
        header = file.readline(MOST_LINE)
        if not header.endswith(b"\n"):
            raise InputError(f"{path}: the file has no header line; restore it, or start anew with name=...")
        names = header[:-1].decode("utf-8", "replace").split(",")
        _check_header(path, kind, header[:-1])
        absent = {name: default for name, default in _defaults(kind).items() if name not in names}
        rows, damaged, whole, tail = {}, dict[int, str](), len(header), b""
        for number, line in enumerate(iter(lambda: file.readline(MOST_LINE), b""), start=2):
            if len(line) == MOST_LINE or len(damaged) > MOST_DAMAGED:
                raise InputError(f"{path}, line {number}: this is no table any more; restore the file")
            if not line.endswith(b"\n"):
                tail = line
                # A last row whose line break alone is missing, or damaged, was written whole.
                line = next((part for part in (tail, tail[:-1]) if _cells(part, len(names))), b"")  # noqa: PLW2901
                if not line:
                    break
            cells = _cells(line.removesuffix(b"\n"), len(names))
            whole += len(line)
            if cells is None:
                damaged[number] = UNCHECKED
            else:
                rows[number] = {**dict(zip(names, cells, strict=True)), **absent}
        unended = bool(tail and line)
    for number, why in _senseless(rows, kind):
        del rows[number]
        damaged[number] = why
    return Content(rows, dict(sorted(damaged.items())), whole, torn=bool(tail) and not unended, unended=unended)


def _senseless(rows: dict[int, dict[str, str]], kind: type) -> list[tuple[int, str]]:
    """The first column of each row that holds what its type does not allow. A check says nothing about sense."""
    found: dict[int, str] = {}
    for name, limit in _limits(kind).items():
        # Most columns have few different values; and most tables none that is wrong.
        odd = {text for text in {row[name] for row in rows.values()} if not limit.allows(text)}
        for number, row in rows.items() if odd else ():
            if row[name] in odd:
                found.setdefault(number, f"{name}={row[name][:40]!r} is not {limit.words}")
    return list(found.items())


@dataclass(frozen=True)
class _Limit:
    """What a column may hold: finite numbers within what its marks say; nothing where it `may_lack` one."""

    kind: type
    marks: tuple[Any, ...]
    may_lack: bool

    @property
    def words(self) -> str:
        if self.kind is bool:
            return "True or False"
        said = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
        ends = {end: getattr(mark, end) for end in said for mark in self.marks if hasattr(mark, end)}
        bounds = "".join(f" {said[end]} {bound:,g}" for end, bound in ends.items())
        return f"a {'whole' if self.kind is int else 'finite'} number{bounds}"

    def allows(self, text: str) -> bool:
        if not text:
            return self.may_lack
        if self.kind is bool:
            return text in ("True", "False")
        if self.kind is int:
            return bool(_WHOLE.fullmatch(text)) and self._holds(int(text))
        try:
            return "_" not in text and self._holds(float(text))
        except ValueError:
            return False

    def _holds(self, number: float) -> bool:
        most = MOST_WHOLE if self.kind is int else sys.float_info.max
        return -most <= number <= most and not any(is_beyond(number, mark) for mark in self.marks)


@lru_cache
def _limits(kind: type) -> dict[str, _Limit]:
    """The limits of the columns of a table that are not text."""
    found = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        options = [option for option in get_args(hint) or (hint,) if option is not NoneType]
        own, marks = options[0], getattr(hint, "__metadata__", ())
        if hasattr(own, "__metadata__"):
            own, marks = own.__origin__, own.__metadata__
        if own in (int, float, bool):
            found[name] = _Limit(own, tuple(marks), NoneType in get_args(hint))
    return found


def _undamaged(path: Path, kind: type) -> Content:
    found = inspect(path, kind)
    for number, why in found.damaged.items():
        raise InputError(f"{path}, line {number}: {why}; restore the file or the line, or let do=doctor set it aside")
    return found


def _check_header(path: Path, kind: type, line: bytes) -> None:
    found, expected = line.decode("utf-8", "replace").split(","), columns(kind)
    if found != [name for name in expected if name in found or name not in _defaults(kind)]:
        if line.endswith(b"\r"):
            raise InputError(f"{path}: has Windows line ends, so no row matches its check; restore the file")
        missing = [name for name in expected if name not in found and name not in _defaults(kind)]
        foreign = [name or "one without a name" for name in found if name not in expected]
        difference = [f"missing {', '.join(missing)}"] * bool(missing) + [f"unknown {', '.join(foreign)}"] * bool(
            foreign
        )
        raise InputError(
            f"{path}: written with other columns ({'; '.join(difference) or 'in another order'}); "
            "read it with the version that wrote it, or choose another name="
        )


def _defaults(kind: type) -> dict[str, str]:
    """The text of the columns that a table of an earlier version may lack."""
    return {field.name: _cell(field.default) for field in fields(kind) if field.default is not MISSING}


def _line(row: Any) -> str:
    kind: type = type(row)
    kinds = _kinds(kind)
    cells = {name: _cell(_plain(row, name, getattr(row, name), kinds[name])) for name in kinds}
    for name, limit in _limits(kind).items():
        if not limit.allows(cells[name]):
            raise ValueError(f"{kind.__name__}.{name} is {cells[name][:40]}; allowed: {limit.words}")
    line = _checked([*cells.values()])
    content = line.encode()
    if len(content) >= MOST_LINE or (_cells(content[:-1], len(cells) + 1) or [])[:-1] != [*cells.values()]:
        raise ValueError(
            f"{kind.__name__}: a row of {len(content):,} bytes would not be read; allowed: {MOST_LINE - 1:,}"
        )
    return line


@lru_cache(maxsize=16)
def _kinds(kind: type) -> dict[str, tuple[type, ...]]:
    """The types that each column takes."""
    hints = get_type_hints(kind)
    return {field.name: get_args(hints[field.name]) or (hints[field.name],) for field in fields(kind)}


def _plain(row: Any, name: str, value: Any, kinds: tuple[type, ...]) -> Any:
    """A value that reads back as what it is, a scalar of numpy or torch as the plain number it holds.

    Raises TypeError for any other type, before anything is written: its text would be no number.
    """
    if getattr(value, "shape", None) == ():
        value = value.item()
    if type(value) in kinds or (type(value) is int and float in kinds and _is_exact(value)):
        return value
    if isinstance(value, str) and str in kinds:
        return str(value)
    allowed = " or ".join("nothing" if kind is NoneType else kind.__name__ for kind in kinds)
    raise TypeError(f"{type(row).__name__}.{name} is {value!r}, a {type(value).__name__}; allowed: {allowed}")


def _is_exact(value: int) -> bool:
    """Whether a whole number is one that a float can be."""
    try:
        return float(value) == value
    except OverflowError:
        return False


def _checked(cells: list[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(cells)
    text = buffer.getvalue() + ","
    return f"{text}{zlib.crc32(text.encode()):08x}\n"


def _cell(value: Any) -> str:
    """A value as text that reads back exactly; a line break in a message would break the row.

    What no encoding can write, as of a file's name in other bytes than UTF-8, is shown as an escape.
    """
    if value is None:
        return ""
    text = repr(value) if isinstance(value, float) else " ".join(str(value).split())
    return text.encode("utf-8", "backslashreplace").decode()


def _cells(line: bytes, count: int) -> list[str] | None:
    """The cells of a line, so many; None where it does not match its check."""
    text, _, check = line.rpartition(b",")
    if check.decode("utf-8", "replace") != f"{zlib.crc32(text + b','):08x}":
        return None
    try:
        cells = next(csv.reader([line.decode("utf-8")]))
    except (UnicodeDecodeError, csv.Error):  # which nothing of ours has written
        return None
    return cells if len(cells) == count else None
