"""Sources of images: a data set of the Hugging Face hub, local parquet files in its layout, or folders of image files.

From any source, each part of a data set becomes a listing of items: an encoded file with a name and a label. No pickle
is ever loaded.
"""

import json
import logging
import math
import os
import re
import stat
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from explorer.host.errors import InputError
from explorer.host.formatting import in_one_line
from explorer.study.data_sources import SOURCES
from explorer.study.settings import DataConfig

NO_PART = "none"  # as the name of a part: do not use the set's own part
ROWS = 2048  # rows of a table read at once
MOST_BYTES = 2**26  # of an image file; larger ones count as unusable
BATCH_BYTES = 2**28  # of rows read at once
SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
SUFFIXES |= {".ppm", ".pgm", ".pbm", ".pnm"}
# The first bytes of an image file whose name does not say that it is one.
BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"GIF8", b"RIFF", b"P5", b"P6")
TIFF = (b"II*\0", b"MM\0*")  # of raw files too, whose first image is a small preview
RAW = (".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".srw", ".pef", ".orf", ".raf", ".rw2")
UNREAD = {".heic": "HEIC", ".heif": "HEIC", ".avif": "AVIF", **dict.fromkeys(RAW, "raw")}
HARMLESS = {".txt", ".md", ".json", ".csv", ".db", ".ini"}  # common files beside images, ignored and never opened
PARTS = {"train": ("train", "training"), "val": ("validation", "val", "valid", "dev"), "test": ("test",)}
COLUMNS = {"image": ("image", "img"), "label": ("label", "labels", "fine_label", "class")}
SHOWN = 10  # names in a message
DIGITS = {"channels": 1, "image_size": 8, "classes": 10}  # properties of the embedded images
BRIGHTEST = {"digits": 16}  # highest value of a pixel, where it is not that of a byte
HUB_NAME = re.compile(r"[\w.-]{1,100}/[\w.-]{1,100}")
_SHARD = re.compile(r"(?P<part>[A-Za-z0-9_]+?)(-(?P<number>\d{5})-of-(?P<of>\d{5})(-\w+)?)?")
Listings = dict[str, "Listing"]


@dataclass(frozen=True)
class Item:
    """An image file and its label (a number, a name, or None); `problem` says why it is unusable.

    `is_counted` says whether its label is among those that its listing counts.
    """

    name: str
    label: int | str | None
    read: Callable[[], bytes | None]
    path: str = ""
    problem: str = ""
    is_counted: bool = True


@dataclass(frozen=True)
class Listing:
    """A part that has not been read: its number of items, an iterator of them, and what is known of its labels.

    classes  the names of its classes, where labels are names
    names    by number, the names that a table gives the classes whose labels are numbers; they decide nothing
    labels   how many labels there are of each kind: a name, or a number, below zero where they are hidden; of folders
             the files, those that turn out to be no image as well
    is_table whether it is read from its beginning: an item further down takes reading all before it
    """

    count: int
    items: Callable[[], Iterator[Item]]
    classes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    labels: dict[str | int, int] = field(default_factory=dict)
    is_table: bool = False

    @property
    def is_hidden(self) -> bool:
        """Whether labels are numbers, and all of them below zero: those of a competition's test part are secret."""
        return bool(self.labels) and all(not isinstance(one, str) and one < 0 for one in self.labels)

    @property
    def unlabelled(self) -> int:
        """How many rows of a table have no label, or one below zero."""
        known = sum(number for one, number in self.labels.items() if isinstance(one, str) or one >= 0)
        return self.count - known if self.is_table else 0


def listings(config: DataConfig, path: str) -> tuple[Listings, list[object]]:
    """The unread parts of a data set, and values that change whenever its files do.

    Raises InputError for a source that is missing or of the wrong kind.
    """
    if config.source in SOURCES:
        from explorer.training.images.given import given

        return given(config)
    return _SOURCES[config.source](config, path)


def refuse_other_digits(config: DataConfig) -> None:
    """Raise InputError for settings that describe other images than the embedded digits."""
    for key, value in DIGITS.items():
        if getattr(config, key) != value:
            raise InputError(f"data.{key}={getattr(config, key)}: {config.name} has {value}")


def class_folders(config: DataConfig, path: str) -> dict[str, tuple[Path, tuple[str, ...]]]:
    """The folder of each part, with the names of its class folders; images are not listed."""
    root = existing_folder(path, "a folder of images")
    parts = {name: root / found for name, found in parts_of(config, _folders(root)).items()}
    if parts and "train" not in parts:
        none = " ".join(f"data.{name}_part=none" for name in parts)
        raise InputError(
            f"data.path={path}: has {', '.join(parts)} but no train; allowed: train, val and test; where these are "
            f"names of classes, set {none}"
        )
    found = {name: (folder, tuple(_folders(folder))) for name, folder in (parts or {"train": root}).items()}
    for name, (folder, classes) in found.items():
        if not classes:
            raise InputError(
                f"data.path={folder}: holds no folders; allowed: one folder of images for each class"
                f"{_without_part(config, root, name, folder)}"
            )
    return found


def _without_part(config: DataConfig, root: Path, name: str, folder: Path) -> str:
    """What may be done about a part of a folder that has no folders of classes, in words for a message."""
    if folder == root:
        return ""
    share = "" if name == "train" or getattr(config, f"{name}_images") is not None else f" data.{name}_images=0.2"
    way = f"set data.{name}_part=none{share}"
    if name == "train":
        return f"; where {folder.name} is itself a class, {way}"
    return f"; to take the {name} images from the training part, or where {folder.name} is itself a class, {way}"


def left_aside(config: DataConfig, path: str) -> list[str]:
    """What lies in a data set's folder and belongs to no part of it: folders, and tables of no part."""
    root = existing_folder(path, "a folder of images, or of parquet files")
    folders = _folders(root)
    if config.source == "folder":
        used = {*parts_of(config, folders).values()}
        return [f"{name}/" for name in folders if used and name not in used]
    by_part = parquet_files(config, path)
    used = {*parts_of(config, [*by_part]).values()}
    tables = [file for part, files in by_part.items() if part not in used for file in files]
    places = {file.relative_to(root).parts[0] for files in by_part.values() for file in files}
    return [f"{name}/" for name in folders if name not in places] + [str(file.relative_to(root)) for file in tables]


def _folder(config: DataConfig, path: str) -> tuple[Listings, list[object]]:
    parts, root = class_folders(config, path), Path(path).expanduser()
    unread, prints = {}, []
    for name, (folder, classes) in parts.items():
        loose = [
            (None, file, "lies in no class's folder")
            for file in sorted(folder.iterdir())
            if file.suffix.lower() in SUFFIXES and file.name[0] != "." and not file.is_dir()
        ]
        files = [*loose, *((kind, file, problem) for kind in classes for file, problem in _files(folder / kind))]
        prints.append([name, [[kind, *_print(file)] for kind, file, _ in files]])
        items = _file_items(root, folder, [(kind and class_of(kind), file, problem) for kind, file, problem in files])
        labels = Counter[str | int](class_of(kind) for kind, _, problem in files if kind and not problem)
        unread[name] = Listing(len(files), items, tuple(sorted({*map(class_of, classes)})), labels=dict(labels))
    return unread, ["folder", str(root.resolve()), prints]


def class_of(folder: str) -> str:
    """The class that a folder's name means: a letter with an accent is one class however a file system stores it."""
    return unicodedata.normalize("NFC", folder)


def _folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, without hidden ones and those that archive programs leave."""
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and _is_shown(entry.name))


def _is_shown(name: str) -> bool:
    return name[0] != "." and name != "__MACOSX"


def parts_of(config: DataConfig, there: list[str]) -> dict[str, str]:
    """The existing parts that serve as training, validation and test part; roles without a part are left out.

    Raises InputError for a named part that does not exist, and if two roles have the same part.
    """
    found: dict[str, str] = {}
    for name in PARTS:
        given = getattr(config, f"{name}_part")
        if given == NO_PART:
            continue
        if given in there:
            found[name] = given
        elif given is not None and given != "train":  # "train" is a default, which the data set may spell differently
            raise InputError(f"data.{name}_part={given}: {config.name} has {', '.join(there[:SHOWN]) or 'no parts'}")
    for name in PARTS:
        candidates = (part for usual in PARTS[name] for part in there if part.lower() == usual)
        other = next((part for part in candidates if part not in found.values()), None)
        if name not in found and other is not None and getattr(config, f"{name}_part") != NO_PART:
            found[name] = other
    for name, part in found.items():
        first = next(other for other in found if found[other] == part)
        if first != name:
            raise InputError(f"data.{name}_part={part}: is already the {first} part; allowed: another one, or null")
    return found


def _files(folder: Path) -> list[tuple[Path, str]]:
    """All files below a folder, each with the reason why it is unusable, if any, such as an unreadable link."""
    found: list[tuple[Path, str]] = []
    failed: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=failed.append):
        found += [(Path(place, name), "leads to another folder") for name in folders if Path(place, name).is_symlink()]
        folders[:] = sorted(filter(_is_shown, folders))
        found += [
            (path, "" if path.suffix.lower() in SUFFIXES or _begins_as_image(path) else _kind_words(path))
            for name in names
            if (path := Path(place, name)).suffix.lower() not in HARMLESS and name[0] != "."
        ]
    found += [(Path(str(error.filename)), "cannot be read") for error in failed]
    return sorted(found)


def _begins_as_image(file: Path) -> bool:
    """Whether a file whose name does not say so begins as an image does; only regular files are opened."""
    try:
        if file.is_symlink() or not file.is_file():
            return False
        with file.open("rb") as opened:
            return opened.read(8).startswith(BEGINNINGS if file.suffix.lower() in RAW else BEGINNINGS + TIFF)
    except OSError:
        return False


def _kind_words(file: Path) -> str:
    kind = UNREAD.get(file.suffix.lower())
    return f"{kind} is not read; save it as JPEG or PNG" if kind else "not an image file"


def _file_items(
    root: Path, folder: Path, files: Sequence[tuple[str | None, Path, str]]
) -> Callable[[], Iterator[Item]]:
    inside = root.resolve()

    def items() -> Iterator[Item]:
        for kind, file, problem in files:
            # A problem found before opening the file takes precedence.
            told = problem or _problem(file, inside)
            name, path = _printable(str(file.relative_to(folder))), os.path.realpath(file)
            yield Item(name, kind, file.read_bytes, path, told, is_counted=not problem)

    return items


def _problem(file: Path, inside: Path) -> str:
    """Why a file must not be opened, or "": reading one that is not regular, such as a pipe, may never end."""
    try:
        if not file.resolve().is_relative_to(inside):
            return "leads outside the folder"
        status = file.stat()
    except (OSError, RuntimeError):  # links in a circle
        return "cannot be read"
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    return "" if status.st_size <= MOST_BYTES else _too_large(status.st_size)


def _too_large(size: int) -> str:
    return f"{size:,} bytes, allowed {MOST_BYTES:,}"


def _printable(name: str) -> str:
    """A name whose unprintable characters are escaped, so that it can be shown and stored."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in name)


def existing_folder(path: str, what: str) -> Path:
    """The path of an existing folder. Raises InputError, saying what was needed, if there is none."""
    try:
        root = Path(path).expanduser()
        if root.is_dir():
            return root
        problem = "is a file" if root.exists() else "there is no such folder"
    except (OSError, RuntimeError) as error:  # a name too long, or ~ of an unknown user
        problem = getattr(error, "strerror", None) or str(error)
    raise InputError(f"data.path={path}: {problem}; needed: {what}")


def _print(path: Path) -> list[object]:
    try:
        status = path.stat()
    except OSError:
        return [str(path), -1, -1]
    return [str(path), status.st_size, status.st_mtime_ns]


def parquet_files(config: DataConfig, path: str) -> dict[str, list[Path]]:
    """All parquet files of a data set, by the part in their names."""
    root = existing_folder(path, "a folder of parquet files, as on the hub")
    folders = [root / config.subset] if config.subset else [root, root / "data", root / "default"]
    holding = {folder: found for folder in folders if (found := tables_in(config, folder))}
    if not holding and not config.subset:
        holding = {root / name: found for name in _folders(root) if (found := tables_in(config, root / name))}
        if len(holding) > 1:
            names = [folder.name for folder in holding]
            where = ", ".join(f"{name}/" for name in names[:SHOWN])
            raise InputError(
                f"data.path={path}: holds parquet files in {where}; say which, as in data.subset={names[0]}"
            )
    if not holding:
        raise InputError(
            f"data.path={path}: holds no parquet files{_below(root, config.subset)}; needed: train.parquet or "
            "data/train-00000-of-00001.parquet"
        )
    if len(holding) > 1:
        other = list(holding)[1]
        raise InputError(f"data.path={path}: holds parquet files itself and in {other.name}/; give one of the two")
    return next(iter(holding.values()))


def tables_in(config: DataConfig, folder: Path) -> dict[str, list[Path]]:
    """The parquet files of a folder by part; empty if there are none.

    The part is in a file's name (`train-00000-of-00001.parquet`, as in a data set's repository), or it is the name of
    the folder (`train/0000.parquet`, as the hub converts data sets).
    """
    by_part: dict[str, list[Path]] = {}
    if not folder.is_dir():
        return by_part
    for file in sorted(folder.glob("*.parquet")):
        match = _SHARD.fullmatch(file.stem)
        by_part.setdefault(match["part"] if match else file.stem, []).append(file)
    if by_part:
        return by_part
    usual = {part for parts in PARTS.values() for part in parts}
    named = {config.train_part, config.val_part, config.test_part}
    for name in _folders(folder):
        if (name.lower() in usual or name in named) and (files := sorted((folder / name).glob("*.parquet"))):
            by_part[name] = files
    return by_part


def _below(root: Path, subset: str | None) -> str:
    """The folders further down that hold parquet files, in words for a message; "" if there are none."""
    found: dict[str, None] = {}
    for place, folders, names in os.walk(root):
        folders[:] = sorted(filter(_is_shown, folders))
        if any(name.endswith(".parquet") for name in names):
            found[str(Path(place).relative_to(root))] = None
        if len(found) > SHOWN:
            break
    shown = [name for name in found if name != "."][:SHOWN]
    if not shown:
        return ""
    beside = " in that subset" if subset else " itself"
    first = Path(shown[0])
    way = first.parent if first.name.lower() in {part for parts in PARTS.values() for part in parts} else first
    return (
        f"{beside}, but {', '.join(shown)} below it {'does' if len(shown) == 1 else 'do'}; say data.path={root / way}"
    )


def _parquet(config: DataConfig, path: str) -> tuple[Listings, list[object]]:
    by_part = parquet_files(config, path)
    files = sorted(file for own in by_part.values() for file in own)
    unread = {}
    for name, part in parts_of(config, list(by_part)).items():
        _refuse_missing_shards(by_part[part])
        unread[name] = _table(config, by_part[part])
    if "train" not in unread:
        raise InputError(f"data.train_part={config.train_part}: {path} has {', '.join(by_part)}")
    return unread, ["parquet", [_print(file.resolve()) for file in files], _choices(config)]


def _refuse_missing_shards(files: list[Path]) -> None:
    """Raise InputError if numbered files are incomplete: of files named `-00000-of-00003` there must be three."""
    matches = [match for file in files if (match := _SHARD.fullmatch(file.stem)) and match["of"]]
    wanted = max((int(match["of"]) for match in matches), default=0)
    missing = sorted(set(range(wanted)) - {int(match["number"]) for match in matches})
    if missing:
        raise InputError(
            f"{files[0]}: of {wanted} such files {len(missing)} are missing, the first is {missing[0]:05d}"
        )


def _table(config: DataConfig, files: list[Path]) -> Listing:
    import pyarrow as pa
    import pyarrow.parquet as pq

    count, kinds, rows = 0, set(), ROWS
    columns, labels, names = set(), Counter[str | int](), tuple[str, ...]()
    for file in files:
        if not file.is_file():
            raise InputError(f"{file}: is not a regular file")
        try:
            opened = pq.ParquetFile(file)
            columns.add(columns_of(config, file.name, list(opened.schema_arrow.names)))
            image, label = max(columns)
            kinds.add(_holds_text(file.name, label, opened.schema_arrow.field(label).type))
            count += opened.metadata.num_rows
            rows = min(rows, _rows_at_once(file, opened.metadata))
            labels.update(_values(batch.column(0) for batch in opened.iter_batches(2**16, columns=[label])))
            names = names or _named_classes(opened.schema_arrow.metadata, label)
        except (pa.ArrowException, OSError, KeyError) as error:
            raise InputError(f"{file}: is cut short, damaged or not parquet ({in_one_line(error)})") from None
    if len(columns) > 1 or len(kinds) > 1:
        raise InputError(f"{files[0].parent}: the files of a part have different columns; allowed: the same in all")

    def items() -> Iterator[Item]:
        row = 0
        for file in files:
            try:
                for batch in pq.ParquetFile(file).iter_batches(rows, columns=[image, label]):
                    for cell, value in zip(batch.column(image), batch.column(label), strict=True):
                        yield _row(row, cell.as_py(), value.as_py())
                        row += 1
            except (pa.ArrowException, OSError) as error:
                raise InputError(f"{file}: is damaged ({in_one_line(error)})") from None

    return _listing(count, items, labels, names)


def _listing(
    count: int, items: Callable[[], Iterator[Item]], labels: Counter[str | int], names: tuple[str, ...]
) -> Listing:
    """A listing whose labels have been counted: all names, or all numbers."""
    classes = tuple(sorted(one for one in labels if isinstance(one, str)))
    return Listing(count, items, classes, () if classes else names, dict(labels), is_table=True)


def _named_classes(metadata: dict[bytes, bytes] | None, label: str) -> tuple[str, ...]:
    """The names of the classes, by number, that the datasets library writes into a table's metadata; else empty."""
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(_printable(str(name)) for name in features[label]["names"])
    return ()


def _rows_at_once(file: Path, metadata: Any) -> int:
    """Rows of a table to read at once, from the sizes in its metadata. Raises InputError for giant rows."""
    sizes: list[int] = [metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups)]
    average = sum(sizes) // max(1, int(metadata.num_rows))
    if average > MOST_BYTES:
        raise InputError(f"{file}: a row has {_too_large(average)}")
    return min(ROWS, max(1, BATCH_BYTES // max(1, average)))


def columns_of(config: DataConfig, where: str, there: list[str]) -> tuple[str, str]:
    """The image and label columns of a table. Raises InputError if one is missing or ambiguous."""
    found = []
    for kind, usual in COLUMNS.items():
        wanted = getattr(config, f"{kind}_column")
        # Other usual names may replace only the default one; a column named in the settings must exist.
        candidates = usual if wanted == usual[0] and wanted not in there else (wanted,)
        held = [name for name in candidates if name in there]
        if len(held) != 1:
            raise InputError(f"data.{kind}_column={wanted}: {where} has the columns {', '.join(there)}")
        found.append(held[0])
    return found[0], found[1]


def _holds_text(where: str, label: str, kind: Any) -> bool:
    """Whether a label column holds text rather than numbers. Raises InputError for any other type.

    Whole numbers may be stored as decimal ones, as data frames do where a label is missing, and two classes as no and
    yes.
    """
    import pyarrow as pa

    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    is_view = getattr(pa.types, "is_string_view", lambda _: False)
    if pa.types.is_string(plain) or pa.types.is_large_string(plain) or is_view(plain):
        return True
    if not (pa.types.is_integer(plain) or pa.types.is_boolean(plain) or pa.types.is_floating(plain)):
        raise InputError(f"data.label_column={label}: {where} has {kind} there; allowed: whole numbers or text")
    return False


def _values(columns: Iterable[Any]) -> Counter[str | int]:
    """How often columns hold each text or whole number, without missing ones."""
    found = Counter[str | int]()
    for column in columns:
        plain = column.dictionary_decode() if hasattr(column, "dictionary_decode") else column
        for pair in plain.value_counts().to_pylist():
            value = _label(pair["values"])
            if isinstance(value, (str, int)):
                found[value] += pair["counts"]
    return found


def _label(value: Any) -> str | int | float | None:
    """A label as a name or a number: 3.0 is 3, no and yes are 0 and 1, and what is no number is missing."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return None if math.isnan(value) else int(value) if value.is_integer() else value
    return value  # type: ignore[no-any-return] # a label column holds nothing else


def _row(number: int, cell: Any, label: Any) -> Item:
    """Convert one row of a table to an item: the image is a struct of bytes and path, or bytes alone."""
    data, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
    name = f"row {number}" + (f" {_printable(str(path))}" if path else "")
    image = data if isinstance(data, bytes) else None
    large = image is not None and len(image) > MOST_BYTES
    problem = _too_large(len(image or b"")) if large else ""
    found = _label(label)
    if isinstance(found, float):
        found, problem = None, problem or f"label {found:g} is no whole number"
    return Item(name, found, lambda: image, problem=problem)


def _choices(config: DataConfig) -> list[object]:
    """The settings that choose columns and parts of a table."""
    parts = (config.train_part, config.val_part, config.test_part)
    return [config.subset, config.image_column, config.label_column, *parts]


def _hub(config: DataConfig, path: str) -> tuple[Listings, list[object]]:
    try:
        import datasets
    except ImportError:
        raise InputError(
            "data.source=hub: needs the datasets library; install it with pip install 'resnext-explorer[hub]', or "
            "give a local copy with data.source=parquet data.path=FOLDER"
        ) from None
    place = path
    if HUB_NAME.fullmatch(path) is None or Path(path).is_dir():
        # The full path, since a bare name may select one of the library's readers, some of which loaded pickles in old
        # versions.
        place = str(existing_folder(path, "a data set of the hub, OWNER/NAME, or a folder as there").resolve())
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    for name in ("datasets", "huggingface_hub"):  # silence their message for every attempt to connect
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        found = datasets.load_dataset(place, config.subset)
    except Exception as error:  # noqa: BLE001 - the library and its network libraries raise many types
        raise InputError(
            f"data.path={path}: cannot be had from the hub and is not in its cache ({type(error).__name__}: "
            f"{in_one_line(error)}); run once with a connection, or give a local copy with data.source=parquet "
            "data.path=FOLDER"
        ) from None
    unread, prints = {}, []
    for name, part in parts_of(config, list(found)).items():
        unread[name] = _hub_part(config, part, found[part])
        prints.append([name, found[part]._fingerprint])
    if "train" not in unread:
        raise InputError(f"data.train_part={config.train_part}: {path} has {', '.join(found)}")
    return unread, ["hub", path, prints, _choices(config)]


def _hub_part(config: DataConfig, part: str, table: Any) -> Listing:
    import datasets

    image, label = columns_of(config, part, table.column_names)
    if isinstance(table.features[image], datasets.Image):
        table = table.cast_column(image, datasets.Image(decode=False))
    table = table.select_columns([image, label])
    _holds_text(part, label, table.data.schema.field(label).type)
    labels = _values(table.data.column(label).chunks) if table._indices is None else Counter(map(_label, table[label]))
    names = tuple(getattr(table.features[label], "names", None) or ())

    def items() -> Iterator[Item]:
        for number, row in enumerate(table):
            yield _row(number, row[image], row[label])

    counted = Counter({one: number for one, number in labels.items() if isinstance(one, (str, int))})
    return _listing(len(table), items, counted, names)


_SOURCES: dict[str, Callable[[DataConfig, str], tuple[Listings, list[object]]]] = {
    "folder": _folder,
    "parquet": _parquet,
    "hub": _hub,
}
