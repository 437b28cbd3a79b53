"""Append-only tables on disk: a header, then one line with a checksum per row.

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
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from io import BufferedReader
from itertools import islice
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pandas as pd

from explorer.host.errors import InputError
from explorer.host.files import named, write_whole
from explorer.host.yaml_limits import MOST_WHOLE, is_beyond, opened
from explorer.record.folder import MOST_TABLE as MOST_BYTES

MOST_LINE = 2**24  # bytes of a row; the bits of a hundred million test images take as many
MOST_DAMAGED = 10_000  # damaged lines above which the file is refused as no table
AT_ONCE = 2**20  # bytes parsed at once; limits the text held in memory in addition to the parsed values
csv.field_size_limit(MOST_LINE)  # the default limit is below the size of a million test images' bits
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,18}")
UNCHECKED = "the row does not match its check"


def create(path: Path, kind: type) -> None:
    """Create an empty table whose columns are the fields of a dataclass, unless it exists."""
    if not path.exists():
        write_whole(path, ",".join(columns(kind)) + "\n")


def append(path: Path, rows: list[Any]) -> None:
    """Append rows, instances of the table's dataclass, and make them durable: all of them or none.

    Reading gives back what was written, except that white space in text becomes single spaces. Raises TypeError for a
    value of another type than its column's and ValueError for one the reader would refuse; nothing is written then.
    """
    left = _text(rows).encode()
    # Unbuffered: a buffer that a full disk refused could still be written when the file is closed.
    with named(path), path.open("ab", buffering=0) as file:
        whole = file.tell()
        try:
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):  # if this fails, the next opening cuts off the torn line
                file.truncate(whole)
                os.fsync(file.fileno())
            raise


def upgrade(path: Path, kind: type) -> None:
    """Add the columns that a repaired table of an earlier version lacks, with their defaults, in one atomic write."""
    names = columns(kind)
    with path.open("rb") as file:
        is_current = file.readline().decode().rstrip("\n") == ",".join(names)
    if not is_current:
        rows = csv.DictReader(path.read_bytes().decode().split("\n"))
        text = _checked([[(_defaults(kind) | row)[name] for name in names[:-1]] for row in rows])
        write_whole(path, ",".join(names) + "\n" + text)


@dataclass(frozen=True)
class Content:
    """The content of a table's file, damaged or not.

    rows     typed columns, indexed by line number: whole numbers as int64, or Int64 if some may be missing; fractions
             as float64, NaN if missing
    damaged  numbers of lines that do not match their checksum or hold impossible values, each with the reason
    whole    bytes up to the end of the last complete line
    torn     whether part of a line follows these
    unended  whether the last row lacks only its line break; a wrong byte in the break's place is included in `whole`
    """

    rows: pd.DataFrame
    damaged: dict[int, str]
    whole: int
    torn: bool
    unended: bool


def read(path: Path, kind: type, only: Collection[str] | None = None) -> pd.DataFrame:
    """Read all complete rows, or only some of their columns; a torn last line is left out.

    Raises InputError naming file and line for other columns than `kind` has, for a line that does not match its
    checksum, and for a number that is not one or that `kind` does not allow.
    """
    return undamaged(path, kind, only).rows


def undamaged(path: Path, kind: type, only: Collection[str] | None = None) -> Content:
    """Read a table as `inspect` does, but raise InputError also for a damaged line."""
    found = inspect(path, kind, only)
    for number, why in found.damaged.items():
        raise InputError(
            f"{path}, line {number}: {why}; restore the file or the line, or let the verb doctor set it aside"
        )
    return found


def heal(path: Path, found: Content) -> bool:
    """Cut off a torn last line and complete a missing line break; return whether a line was torn."""
    if found.torn or found.unended:
        with path.open("r+b") as file:
            file.truncate(found.whole)
            file.seek(0, os.SEEK_END)
            file.write(b"\n" * found.unended)
            file.flush()
            os.fsync(file.fileno())
    return found.torn


def keep(path: Path, found: Content, rows: pd.DataFrame) -> None:
    """Rewrite the file so that it keeps only these of its rows, in one atomic write."""
    lines = path.read_bytes()[: found.whole].split(b"\n")
    kept = [lines[0], *(lines[number - 1] for number in rows.index), b""]
    write_whole(path, b"\n".join(kept).decode())


def truncate(path: Path, keep: int) -> None:
    """Cut off everything after the header and the first `keep` rows."""
    with path.open("r+b") as file:
        file.truncate(sum(map(len, islice(file, keep + 1))))
        os.fsync(file.fileno())


def columns(kind: type) -> list[str]:
    """The columns of a dataclass's table: its fields and the checksum `crc`."""
    return [*(field.name for field in fields(kind)), "crc"]


def inspect(path: Path, kind: type, only: Collection[str] | None = None) -> Content:
    """Read the undamaged rows of a table, or only some of their columns, and list the damage.

    Raises InputError if nothing can be read: the file or its header is missing, or its columns are others.
    """
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
        frames, unchecked, senseless = [], list[int](), dict[int, str]()
        number, whole, tail, last = 2, len(header), b"", b""
        for lines, tail in _batches(file):
            # A last row is complete if only its line break is missing or damaged.
            last = next((part for part in (tail, tail[:-1]) if _cells(part, len(names))), b"")
            cells, lost = _columns([*lines, last] if last else lines, names)
            unchecked += [number + place for place in lost]
            beyond = [line + 1 for line in unchecked[MOST_DAMAGED:][:1]]
            if max(map(len, [*lines, tail])) + 1 >= MOST_LINE:
                sizes = [len(line) + 1 for line in lines] + [len(tail)]
                beyond += [number + place for place, size in enumerate(sizes) if size >= MOST_LINE]
            if beyond and min(beyond) < number + len(lines) + bool(tail):
                raise InputError(f"{path}, line {min(beyond)}: this is no table any more; restore the file")
            numbers = np.delete(np.arange(number, number + len(lines) + bool(last)), lost)
            frame, odd = _frame(cells, kind, numbers, only)
            frames.append(frame)
            senseless |= odd
            number, whole = number + len(lines), whole + sum(map(len, lines)) + len(lines) + len(last)
    damaged = dict(sorted((dict.fromkeys(unchecked, UNCHECKED) | senseless).items()))
    rows = pd.concat(frames or [_frame(_columns([], names)[0], kind, np.arange(0), only)[0]])
    return Content(rows, damaged, whole, torn=bool(tail) and not last, unended=bool(last))


def _batches(file: BufferedReader) -> Iterator[tuple[list[bytes], bytes]]:
    """Blocks of lines without their breaks, each with what follows the last break: part of a line, or one too long."""
    while block := file.read(AT_ONCE):
        *lines, tail = (block if block.endswith(b"\n") else block + file.readline(MOST_LINE)).split(b"\n")
        yield lines, tail


def _columns(lines: list[bytes], names: list[str]) -> tuple[dict[str, Sequence[str]], list[int]]:
    """The cells of lines by column, and the positions of lines that do not match their checksum and are left out."""
    found, lost = _columns_of_whole(lines, len(names)), list[int]()
    if found is None:
        rows = [_cells(line, len(names)) for line in lines]
        lost = [place for place, row in enumerate(rows) if row is None]
        found = list(zip(*(row for row in rows if row is not None), strict=True)) or [()] * len(names)
    return dict(zip(names, found, strict=True)), lost


def _columns_of_whole(lines: list[bytes], count: int) -> Sequence[Sequence[str]] | None:
    """The cells of lines by column if all lines match their checksum and have `count` cells; else None. Fast path."""
    checks = b",%08x" * len(lines) % (*[crc32(line[:-8]) for line in lines],)
    if not lines or b"".join([line[-9:] for line in lines]) != checks:
        return None
    try:
        text = b"\n".join(lines).decode()
        if '"' not in text and "\r" not in text:
            # Each line break becomes a cell of its own, so that all of them stand in one column.
            cells = f"{text}\n".replace("\n", ",\n,").split(",")
            ends = cells[count :: count + 1]
            is_whole = len(ends) == ends.count("\n") == len(lines)
            return [cells[place : -1 : count + 1] for place in range(count)] if is_whole else None
        # If there are as many rows as lines, no quote has joined two lines.
        rows = list(csv.reader(text.split("\n")))
        return list(zip(*rows, strict=True)) if len(rows) == len(lines) and {*map(len, rows)} == {count} else None
    except (UnicodeDecodeError, csv.Error):
        return None


def _frame(
    cells: dict[str, Sequence[str]], kind: type, numbers: npt.NDArray[np.int64], only: Collection[str] | None
) -> tuple[pd.DataFrame, dict[int, str]]:
    """Typed columns of the rows whose values their types allow, and what is wrong with each other row.

    Only the first wrong column of a row is reported. A checksum does not show whether a value is possible.
    """
    limits, found, odd = _limits(kind), dict[str, Any](), dict[int, str]()
    cells = {name: [text] * len(numbers) for name, text in _defaults(kind).items()} | cells
    for field in fields(kind):
        name, texts, limit = field.name, cells[field.name], limits.get(field.name)
        values = limit.values(texts) if limit else pd.Series(texts, dtype=str).array
        if limit and values is None:
            # Check each distinct value once: most columns have few.
            wrong = {text for text in {*texts} if not limit.allows(text)}
            for number, text in zip(numbers, texts, strict=True):
                if text in wrong:
                    odd.setdefault(int(number), f"{name}={text[:40]!r} is not {limit.words}")
        elif only is None or name in only:
            found[name] = values
    if odd:
        kept = [place for place, number in enumerate(numbers) if number not in odd]
        cells = {name: [texts[place] for place in kept] for name, texts in cells.items()}
        return _frame(cells, kind, numbers[kept], only)[0], odd
    return pd.DataFrame(found, index=numbers), odd


@dataclass(frozen=True)
class _Limit:
    """The numbers that a column may hold: finite, within the bounds `marks`; empty cells if it `may_lack` one."""

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

    def values(self, texts: Sequence[str]) -> Any:
        """The numbers in a column's texts, as an array; None if one of them is not allowed."""
        found: Any
        lacks = "" in texts
        if (lacks and not self.may_lack) or (self.kind is float and "_" in "".join(texts)):
            return None
        if self.kind is bool:
            return np.array([text == "True" for text in texts], bool) if {*texts} <= {"True", "False"} else None
        try:
            if self.kind is float:
                found = np.array([float(text or "nan") for text in texts] if lacks else [*map(float, texts)], float)
                known = found[~np.isnan(found)] if lacks else found
                is_right = len(known) + texts.count("") * lacks == len(texts)
            else:
                whole = {text: int(text) for text in {*texts} - {""}}
                known = np.array([*whole.values()], np.int64)
                is_right = all(str(number) == text for text, number in whole.items())
                found = pd.array([*map(whole.get, texts)], "Int64" if self.may_lack else "int64")
        except (ValueError, OverflowError):
            return None
        # NaN fails both comparisons.
        return (
            found if is_right and (not len(known) or (self._holds(known.min()) and self._holds(known.max()))) else None
        )

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
    """The limits of those columns of a table that are not text, by name."""
    found = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        options = [option for option in get_args(hint) or (hint,) if option is not NoneType]
        own, marks = options[0], getattr(hint, "__metadata__", ())
        if hasattr(own, "__metadata__"):
            own, marks = own.__origin__, own.__metadata__
        if own in (int, float, bool):
            found[name] = _Limit(own, tuple(marks), NoneType in get_args(hint))
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
    """The default texts of columns that a table of an earlier version may lack."""
    return {field.name: _cell(field.default) for field in fields(kind) if field.default is not MISSING}


def _text(rows: list[Any]) -> str:
    """Rows of one type as lines, verified to read back as they are. Raises TypeError and ValueError as `append`."""
    if not rows:
        return ""
    kind: type = type(rows[0])
    kinds = _kinds(kind)
    cells = [[_cell(_plain(row, name, getattr(row, name), own)) for name, own in kinds.items()] for row in rows]
    for name, texts in zip(kinds, zip(*cells, strict=True), strict=True):
        if (limit := _limits(kind).get(name)) and limit.values(texts) is None:
            text = next(text for text in texts if not limit.allows(text))
            raise ValueError(f"{kind.__name__}.{name} is {text[:40]}; allowed: {limit.words}")
    lines, count = (text := _checked(cells)).encode().split(b"\n")[:-1], len(kinds) + 1
    found = _columns_of_whole(lines, count)
    read = zip(*found, strict=True) if found else (_cells(line, count) or () for line in lines)
    for line, own, back in zip(lines, cells, read, strict=True):
        if len(line) + 1 >= MOST_LINE or [*back[:-1]] != own:
            raise ValueError(
                f"{kind.__name__}: a row of {len(line) + 1:,} bytes would not be read; allowed: {MOST_LINE - 1:,}"
            )
    return text


@lru_cache(maxsize=16)
def _kinds(kind: type) -> dict[str, tuple[type, ...]]:
    """The types that each column accepts."""
    hints = get_type_hints(kind)
    return {field.name: get_args(hints[field.name]) or (hints[field.name],) for field in fields(kind)}


def _plain(row: Any, name: str, value: Any, kinds: tuple[type, ...]) -> Any:
    """A value as a plain Python one that reads back exactly; scalars of numpy and torch become numbers.

    Raises TypeError for any other type, before anything is written.
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
    """Whether a float represents the whole number exactly."""
    try:
        return float(value) == value
    except OverflowError:
        return False


def _checked(rows: Iterable[list[str]]) -> str:
    """Cells as CSV lines, each with its checksum."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    lines = (f"{line}," for line in buffer.getvalue().split("\r\n")[:-1])
    return "".join(f"{line}{crc32(line.encode()):08x}\n" for line in lines)


def _cell(value: Any) -> str:
    """A value as text that reads back exactly; white space becomes single spaces, since a line break would end the row.

    Characters that no encoding can write, such as those of a file name that is not UTF-8, become escapes.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value)
    return " ".join(value.split()).encode("utf-8", "backslashreplace").decode()


def _cells(line: bytes, count: int) -> list[str] | None:
    """The `count` cells of a line; None if it does not match its checksum."""
    text, _, check = line.rpartition(b",")
    if check != b"%08x" % crc32(text + b","):
        return None
    try:
        cells = next(csv.reader([line.decode("utf-8")]))
    except (UnicodeDecodeError, csv.Error):  # a line that this project has not written
        return None
    return cells if len(cells) == count else None
