"""Where images come from: a data set of the Hugging Face hub, parquet laid out as there, or folders of image files.

Whatever the source, each part of a data set becomes a listing of items: an encoded file with a name and a label.
Nothing is ever unpickled.
"""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explorer.errors import InputError
from explorer.settings import DataConfig

ROWS = 2048  # of a table, read at once
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
HARMLESS = {".txt", ".md", ".json", ".csv", ".db", ".ini"}  # beside images in many folders, and never opened
PARTS = {"train": ("train", "training"), "val": ("validation", "val", "valid", "dev"), "test": ("test",)}
COLUMNS = {"image": ("image", "img"), "label": ("label", "labels", "fine_label", "class")}
_SHARD = re.compile(r"(?P<part>[A-Za-z0-9_]+?)(-\d{5}-of-\d{5}(-\w+)?)?")
Listings = dict[str, "Listing"]


@dataclass(frozen=True)
class Item:
    """An image file and its label, number or name or None where there is none; `problem` says why it is unusable."""

    name: str
    label: int | str | None
    read: Callable[[], bytes | None]
    path: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Listing:
    """A part before it is read: how many items, and the items; `classes` are the names that labels have, if any."""

    count: int
    items: Callable[[], Iterator[Item]]
    classes: tuple[str, ...] = ()


def listings(config: DataConfig, path: str) -> tuple[Listings, list[object]]:
    """The parts of a data set, unread, and what tells whether they have changed since they were last read.

    Raises InputError for a source that is not there or not what it should be.
    """
    return _SOURCES[config.source](config, path)


def _folder(config: DataConfig, path: str) -> tuple[Listings, list[object]]:
    root = _existing_folder(path, "a folder of images")
    parts = {name: found for name in PARTS if (found := _part_folder(config, root, name)) is not None}
    if "train" not in parts:
        if parts:
            raise InputError(f"data.path={path}: has {', '.join(parts)} but no train; allowed: train, val and test")
        parts = {"train": root}
    unread, prints = {}, []
    for name, folder in parts.items():
        classes = tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != "."))
        if not classes:
            raise InputError(f"data.path={folder}: holds no folders; allowed: one folder of images for each class")
        files = [(kind, file) for kind in classes for file in _files(folder / kind)]
        prints.append([name, [[kind, *_print(file)] for kind, file in files]])
        unread[name] = Listing(len(files), _file_items(root, folder, files), classes)
    return unread, ["folder", str(root.resolve()), prints]


def _part_folder(config: DataConfig, root: Path, name: str) -> Path | None:
    given = getattr(config, f"{name}_part")
    # The default name of the training part may as well be spelt in another usual way.
    names = (given,) if given is not None and given not in PARTS[name] else PARTS[name]
    return next((root / candidate for candidate in names if (root / candidate).is_dir()), None)


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if not path.is_dir() and path.name[0] != "." and path.suffix.lower() not in HARMLESS
    )


def _file_items(root: Path, folder: Path, files: list[tuple[str, Path]]) -> Callable[[], Iterator[Item]]:
    inside = root.resolve()

    def items() -> Iterator[Item]:
        for kind, file in files:
            problem = ""
            if not file.resolve().is_relative_to(inside):
                problem = "leads outside the folder"
            elif file.suffix.lower() not in SUFFIXES:
                problem = "not an image file"
            name = str(file.relative_to(folder))
            yield Item(name, kind, file.read_bytes, str(file.resolve()), problem)

    return items


def _existing_folder(path: str, what: str) -> Path:
    root = Path(path).expanduser()
    if root.is_dir():
        return root
    problem = "is a file" if root.exists() else "there is no such folder"
    raise InputError(f"data.path={path}: {problem}; needed: {what}")


def _print(path: Path) -> list[object]:
    try:
        status = path.stat()
    except OSError:
        return [str(path), -1, -1]
    return [str(path), status.st_size, status.st_mtime_ns]


def _parquet(config: DataConfig, path: str) -> tuple[Listings, list[object]]:
    root = _existing_folder(path, "a folder of parquet files, as on the hub")
    folders = [root / config.subset] if config.subset else [root, root / "data", root / "default"]
    files = sorted(file for folder in folders if folder.is_dir() for file in folder.glob("*.parquet"))
    if not files:
        raise InputError(
            f"data.path={path}: holds no parquet files; needed: train.parquet or data/train-00000-of-00001.parquet"
        )
    by_part: dict[str, list[Path]] = {}
    for file in files:
        match = _SHARD.fullmatch(file.stem)
        by_part.setdefault(match["part"] if match else file.stem, []).append(file)
    unread = {}
    for name in PARTS:
        if (found := _part_name(config, name, list(by_part))) is not None:
            unread[name] = _table(config, by_part[found])
    if "train" not in unread:
        raise InputError(f"data.train_part={config.train_part}: {path} has {', '.join(by_part)}")
    return unread, ["parquet", [_print(file.resolve()) for file in files], _names(config)]


def _part_name(config: DataConfig, name: str, there: list[str]) -> str | None:
    """Which of the parts that are there a part means. Raises InputError for one that was named and is not there."""
    given = getattr(config, f"{name}_part")
    if given is not None and (given not in PARTS[name] or given in there):
        if given not in there:
            raise InputError(f"data.{name}_part={given}: {config.name} has {', '.join(there)}")
        return str(given)
    taken = {config.train_part, config.val_part, config.test_part}
    return next((candidate for candidate in PARTS[name] if candidate in there and candidate not in taken), None)


def _table(config: DataConfig, files: list[Path]) -> Listing:
    import pyarrow as pa
    import pyarrow.parquet as pq

    count, columns = 0, ("", "")
    classes: tuple[str, ...] = ()
    for file in files:
        try:
            opened = pq.ParquetFile(file)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{file}: is cut short or not parquet ({' '.join(str(error).split())[:100]})") from None
        columns = _columns(config, file.name, list(opened.schema_arrow.names))
        count += opened.metadata.num_rows
        classes = classes or _text_classes(opened, columns[1])
    image, label = columns

    def items() -> Iterator[Item]:
        row = 0
        for file in files:
            try:
                for batch in pq.ParquetFile(file).iter_batches(ROWS, columns=[image, label]):
                    for cell, value in zip(batch.column(image), batch.column(label), strict=True):
                        yield _row(row, cell.as_py(), value.as_py())
                        row += 1
            except (pa.ArrowException, OSError) as error:
                raise InputError(f"{file}: is damaged ({' '.join(str(error).split())[:100]})") from None

    return Listing(count, items, classes)


def _columns(config: DataConfig, where: str, there: list[str]) -> tuple[str, str]:
    found = []
    for kind, usual in COLUMNS.items():
        wanted = getattr(config, f"{kind}_column")
        candidates = [wanted] if wanted in there else [name for name in usual if name in there]
        if len(candidates) != 1:
            raise InputError(f"data.{kind}_column={wanted}: {where} has the columns {', '.join(there)}")
        found.append(candidates[0])
    return found[0], found[1]


def _text_classes(opened: Any, label: str) -> tuple[str, ...]:
    """The names that a column of text has; none where labels are numbers."""
    import pyarrow as pa

    kind = opened.schema_arrow.field(label).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return ()
    values: set[str] = set()
    for batch in opened.iter_batches(2**16, columns=[label]):
        values |= {value for value in batch.column(0).to_pylist() if value is not None}
    return tuple(sorted(values))


def _row(number: int, cell: Any, label: Any) -> Item:
    """One row of a table: the image is a struct of bytes and path, or bytes alone."""
    data, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
    name = f"row {number}" + (f" {path}" if path else "")
    return Item(name, label, lambda: data if isinstance(data, bytes) else None)


def _names(config: DataConfig) -> list[object]:
    return [
        config.subset,
        config.image_column,
        config.label_column,
        config.train_part,
        config.val_part,
        config.test_part,
    ]


def _hub(config: DataConfig, path: str) -> tuple[Listings, list[object]]:
    try:
        import datasets
    except ImportError:
        raise InputError(
            "data.source=hub: needs the datasets library; install it with pip install 'resnext-explorer[hub]', or "
            "give a local copy with data.source=parquet data.path=FOLDER"
        ) from None
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        found = datasets.load_dataset(path, config.subset)
    except Exception as error:  # noqa: BLE001 - the library raises of many kinds, its network libraries of more
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"data.path={path}: cannot be had from the hub and is not in its cache ({type(error).__name__}: {reason}); "
            "run once with a connection, or give a local copy with data.source=parquet data.path=FOLDER"
        ) from None
    unread, prints = {}, []
    for name in PARTS:
        if (part := _part_name(config, name, list(found))) is not None:
            unread[name] = _hub_part(config, part, found[part])
            prints.append([name, found[part]._fingerprint])
    if "train" not in unread:
        raise InputError(f"data.train_part={config.train_part}: {path} has {', '.join(found)}")
    return unread, ["hub", path, prints, _names(config)]


def _hub_part(config: DataConfig, part: str, table: Any) -> Listing:
    import datasets

    image, label = _columns(config, part, table.column_names)
    if isinstance(table.features[image], datasets.Image):
        table = table.cast_column(image, datasets.Image(decode=False))
    table = table.select_columns([image, label])
    is_text = getattr(table.features[label], "dtype", "") in ("string", "large_string")
    classes = tuple(sorted(set(table[label]) - {None})) if is_text else ()

    def items() -> Iterator[Item]:
        for number, row in enumerate(table):
            yield _row(number, row[image], row[label])

    return Listing(len(table), items, classes)


_SOURCES: dict[str, Callable[[DataConfig, str], tuple[Listings, list[object]]]] = {
    "folder": _folder,
    "parquet": _parquet,
    "hub": _hub,
}
