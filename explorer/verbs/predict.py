"""`explorer predict NAME IMAGE...`: the classes of image files, by the trained network that answers a study."""

import csv
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, cast

from rich.console import Console

from explorer.host.commands import command_for
from explorer.host.console import PLAIN, PlainConsole, is_aside
from explorer.host.errors import InputError
from explorer.host.files import replaced
from explorer.host.formatting import counted, one_line, printable
from explorer.study.preprocessing import Preprocessing
from explorer.study.settings import PredictConfig
from explorer.verbs.export_study import stored_weights
from explorer.verbs.result import Result
from explorer.verbs.trained_run import images_of, preprocessing_of_run, say_if_unfinished, trained_run

SHOWN = 3  # classes of each image in text
MANY = 100  # from so many images on it is said how far they are
FIRST_SECONDS, SECONDS = 1.0, 10.0  # until that is said for the first time, and from then on
HEAD = "path,class,probability"  # how a CSV of results begins
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet takes for a formula
STDIN = "-"  # in place of images: their names are read from standard input


@dataclass(frozen=True)
class _Found:
    """What became of an image file: the probability of each class, or why it cannot be read."""

    path: str
    shares: tuple[float, ...] = ()
    problem: str = ""


def carry_out(config: PredictConfig, console: Console) -> Result:
    """Classify image files; the code is 0 if all could be read, 1 if some could not, which are named and stop nothing.

    As JSON it is a list with an item for each image, which is written as they are classified.
    """
    if not config.images:
        example = command_for("predict", config.name, "folder")
        raise InputError(f"predict {config.name}: which images? say files or folders, as in: {example}")
    as_json = is_aside(console)
    if config.to is not None and as_json:
        raise InputError("to=, --json: a file of CSV and JSON are two forms; leave one of them out")
    if config.to is not None:
        _refuse_other(config.to)
    run = trained_run(config)
    if not run.weights.is_file():
        raise run.lacks_weights(config)
    beside = console if as_json else PlainConsole(stderr=True)
    paths, closed = _paths(config.images)
    if len(paths) >= MANY:
        beside.print(f"{counted(len(paths), 'image')} to classify", **PLAIN)
    from explorer.training.network.predicting import classified
    from explorer.training.network.usable import float32_network

    network = float32_network(run.run, stored_weights(run), str(run.weights))
    recorded = "preprocessing" in run.study.environment
    data, missing = (None, "") if recorded else images_of(run, "cpu")
    needs = preprocessing_of_run(run, data, missing)
    is_table = config.to is not None or STDIN in config.images or any(Path(one).is_dir() for one in config.images)
    for one in closed:
        beside.print(f"{one_line(one.path)}: cannot be used: {one.problem}", **PLAIN)
    if not is_table:
        say_if_unfinished(run, console)
    result = Result(lambda: _items(images(), needs, closed))

    def images() -> Iterator[_Found]:
        unread = 0
        for told in _with_progress(classified(paths, network, needs, run.run.data), paths, beside):
            yield told
            if told.problem:
                unread += 1
                beside.print(f"{one_line(told.path)}: cannot be used: {told.problem}", **PLAIN)
        read, lost = len(paths) - unread, unread + len(closed)
        if lost and read + lost > 1:
            beside.print(f"{lost:,} of {read + lost:,} cannot be used", **PLAIN)
        result.code = 1 if lost else 0

    if as_json:
        return result
    with _written(config, console) as file:
        write = _as_csv(file, needs) if is_table else _as_text(console, needs)
        read = 0
        for told in images():
            write(told)
            read += not told.problem
    if config.to is not None:
        console.print(f"Wrote {config.to}: {counted(read, 'image')}", **PLAIN)
    return result


def _with_progress(shares: Iterator[tuple[float, ...] | str], paths: list[str], console: Console) -> Iterator[_Found]:
    """The result of each file; of many, it is said on standard error how far they are."""
    began, due, many = time.monotonic(), FIRST_SECONDS, len(paths) >= MANY
    for done, (path, one) in enumerate(zip(paths, shares, strict=True), 1):
        yield _Found(path, problem=one) if isinstance(one, str) else _Found(path, one)
        passed = time.monotonic() - began
        if many and passed >= due and done < len(paths):
            due = passed + SECONDS
            console.print(f"{done:,} of {len(paths):,} images, {done / passed:,.0f} a second", **PLAIN)


def _refuse_other(to: str) -> None:
    """Raise InputError for a file of results that cannot be written, or that is there and holds something else."""
    path = Path(to).expanduser()
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(f"to={to}: is a folder, or lies in none; say a file, as to=found.csv")
    if not os.path.lexists(path):
        return
    first = b""
    if path.is_file() and not path.is_symlink():
        with path.open("rb") as file:
            first = file.read(len(HEAD) + 1)
        if not first or first.startswith(HEAD.encode()):
            return
    raise InputError(f"to={to}: is there and is no CSV of an earlier predict, which alone is overwritten; say another")


@contextmanager
def _written(config: PredictConfig, console: Console) -> Iterator[IO[str]]:
    """What results are written to: the file of `to`, which is there whole or not at all, or standard output."""
    if config.to is None:
        yield cast(IO[str], _Shown(console)) if console.is_terminal else console.file
        return
    with (
        replaced(Path(config.to).expanduser()) as partial,
        # A name that is no text is written with the bytes that it has.
        partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        yield file


class _Shown:
    """A terminal, which names of others must not control."""

    def __init__(self, console: Console) -> None:
        self._file = console.file

    def write(self, text: str) -> int:
        return self._file.write(printable(text))


def _names_given() -> list[str]:
    """The names on standard input, one a line, or ended by NUL as `find -print0` writes them."""
    text = sys.stdin.buffer.read()
    ends = b"\0" if b"\0" in text else b"\n"
    return [os.fsdecode(one) for one in text.split(ends) if one]


def _paths(given: tuple[str, ...]) -> tuple[list[str], list[_Found]]:
    """The files to classify: of a folder all that are called as images are, those of folders in it too.

    Beside them folders that cannot be read. Links to folders are not followed, so that a circle of them has an end.
    """
    from explorer.training.images.source import SUFFIXES

    def cannot_be_read(error: OSError) -> None:
        closed.append(_Found(str(error.filename), problem=str(error.strerror)))

    found, closed = list[str](), list[_Found]()
    for one in (name for word in given for name in (_names_given() if word == STDIN else [word])):
        if not Path(one).is_dir():
            found.append(one)
            continue
        inside = []
        for place, folders, names in os.walk(one, onerror=cannot_be_read):
            folders[:] = [name for name in folders if not name.startswith(".")]
            inside += [
                str(Path(place, name))
                for name in names
                if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
            ]
        if not inside and not closed:
            raise InputError(f"{one}: holds no image files")
        found += sorted(inside)
    return found, closed


def _order(one: _Found) -> list[int]:
    return sorted(range(len(one.shares)), key=lambda number: -one.shares[number])


def _as_text(console: Console, needs: Preprocessing) -> "Callable[[_Found], None]":
    """One line for each image: its most probable classes."""

    def write(one: _Found) -> None:
        if not one.problem:
            best = ", ".join(
                f"{printable(one_line(needs.classes[number]))} {100 * one.shares[number]:.1f} %"
                for number in _order(one)[:SHOWN]
            )
            console.print(f"{one_line(one.path)}: {best}", **PLAIN)

    return write


def _harmless(name: str) -> str:
    """A class's name that no spreadsheet takes for a formula, which it would compute."""
    return f"'{name}" if name.startswith(FORMULAS) else name


def _as_csv(file: IO[str], needs: Preprocessing) -> "Callable[[_Found], None]":
    """One row for each image that could be read: path, class, its probability, the probability of every class."""
    rows = csv.writer(file, lineterminator="\n")
    names = [_harmless(name) for name in needs.classes]
    rows.writerow([*HEAD.split(","), *names])

    def write(one: _Found) -> None:
        if not one.problem:
            best = _order(one)[0]
            path = f"./{one.path}" if one.path.startswith(FORMULAS) else one.path
            rows.writerow([path, names[best], one.shares[best], *one.shares])

    return write


def _items(found: Iterable[_Found], needs: Preprocessing, closed: list[_Found]) -> Iterator[dict[str, Any]]:
    """An item for each image: its classes, the most probable first, or its problem; then folders that are closed."""
    for one in chain(found, closed):
        classes = [[needs.classes[number], one.shares[number]] for number in _order(one)]
        yield {"path": one.path, **({"problem": one.problem} if one.problem else {"classes": classes})}
