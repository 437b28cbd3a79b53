"""Finds out what a folder of images or of parquet files holds: classes, sizes, colours, and what cannot be read.

Only names, labels and the first bytes of some images are read, so that it takes a moment.
"""

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from explorer.host.errors import InputError
from explorer.host.formatting import counted, one_line
from explorer.study.data_sources import SOURCES
from explorer.study.settings import DataConfig
from explorer.training.images import source
from explorer.training.images.classes import classes_of, lacking
from explorer.training.images.decode import header

LOOKED_AT = 1000  # images of each part whose size and colours are looked at, evenly spread over a folder
SIZES = (
    8,
    16,
    24,
    32,
    48,
    64,
)  # to which images of unlike sizes are resized: the largest that few have to be blown up to
PLAIN = 64  # the largest size of images, all alike, that are taken as they are
FEW = 20  # images of a class below which little can be said of it
UNBALANCED = 5  # times as many images in the largest class as in the smallest
MANY = 1000  # images from which on a tenth is enough to validate, and to test
SHOWN = 12  # classes named
MOST_KEPT = 200_000  # files of a folder up to which its list is kept for the next question: these take some 60 MB
TEXTS = ("subset", "image_column", "label_column", "train_part", "val_part", "test_part")  # what is read from where
Texts = tuple[tuple[str, str], ...]
State = tuple[tuple[str, int], ...]
_LISTED: dict[
    tuple[str, Texts, State, str], source.Listings
] = {}  # the last folder that was looked over, by what was asked


@dataclass(frozen=True)
class Discovery:
    """What is known of a data set that only its path was given of.

    source    folder or parquet
    labels    by part, how many images each class has, as far as was seen that they can be used; by its name or number
    classes   number of classes
    names     their names, if they have any, in the order of their numbers
    sizes     width and height of the images that were looked at
    grey      whether all of these are grey
    problems  names of images that cannot be used, each with the reason
    hidden    whether the labels of its test part are secret
    asides    lines on what is not used, or cannot be judged
    """

    source: str
    labels: dict[str, dict[str, int]]
    classes: int
    names: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    grey: bool
    problems: tuple[str, ...]
    hidden: bool = False
    asides: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """Number of images with a label, in all parts, without those that were seen to be of no use."""
        return sum(sum(part.values()) for part in self.labels.values())

    @property
    def size(self) -> int | None:
        """Height and width in pixels that all images have; None if they are not square, unlike, or very large."""
        alike = {*self.sizes}
        ((width, height),) = alike if len(alike) == 1 else ((0, 1),)
        return width if width == height and width <= PLAIN else None

    @property
    def proposed(self) -> int:
        """Height and width to which images are resized: a size that most of them reach with their shorter side."""
        shorter = median(map(min, self.sizes))
        return max([SIZES[0], *(size for size in SIZES if size <= shorter)])

    def settings(self, given: Mapping[str, str]) -> dict[str, str]:
        """The settings of `data` that follow, as on a command line, without those that are `given`."""
        size = self.size
        resize = given.get("resize")
        is_said = resize is not None and resize.isdecimal() and int(resize) > 0
        chosen = int(str(resize)) if is_said else self.proposed if size is None else size
        wanted = given.get("image_size", str(chosen))
        found = {"classes": str(self.classes), "channels": "1" if self.grey else "3", "image_size": wanted}
        if wanted != str(size):
            found["resize"] = wanted
        share = "0.1" if self.images >= MANY else "0.2"
        for part in ("val", "test"):
            found[f"{part}_images"] = "null" if part in self.labels else share
        if self.hidden:
            found["test_part"] = source.NO_PART
        found["unusable"] = "skip"
        return {key: value for key, value in found.items() if key not in given}

    def lines(self, name: str, settings: Mapping[str, str]) -> list[str]:
        """What was found, for people: images of each class, sizes, what cannot be read, and what to beware of."""
        kinds = self._by_class()
        some = ", ".join(f"{kind} {count:,}" for kind, count in [*kinds.items()][:SHOWN])
        more = ", ..." if len(kinds) > SHOWN else ""
        what = f"{counted(self.images, 'image')} in {self.classes} classes ({some}{more})"
        found = [f"{one_line(name)}: {what}, {self._sizes()}, {'grey' if self.grey else 'colour'}"]
        if "resize" in settings:
            side = settings["resize"]
            found.append(
                f"They are resized to {side}x{side} pixels, the shorter side first, then the middle is taken "
                f"(data.resize={side})"
            )
        if self.problems:
            named = "; ".join(map(one_line, self.problems[:5])) + ("; ..." if len(self.problems) > 5 else "")
            found.append(f"{counted(len(self.problems), 'file')} cannot be used and will be left out: {named}")
        if self.hidden:
            found.append("The labels of its test part are hidden: test images are taken from the training part")
        return [*found, *self.asides, *self._warnings(kinds)]

    def _by_class(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for part in self.labels.values():
            for name, count in part.items():
                total[name] = total.get(name, 0) + count
        return total

    def _sizes(self) -> str:
        low, high = min(self.sizes, key=_area), max(self.sizes, key=_area)
        words = f"{_by(low)} pixels" if low == high else f"{_by(low)} to {_by(high)} pixels"
        looked = len(self.sizes)
        return words if looked >= self.images else f"{words} (of {looked:,} looked at)"

    def _warnings(self, kinds: Mapping[str, int]) -> list[str]:
        found = []
        tiny = [f"{name} ({count})" for name, count in kinds.items() if count < FEW]
        if tiny:
            named = ", ".join(tiny[:5]) + (", ..." if len(tiny) > 5 else "")
            found.append(f"Few images: {named}; with fewer than {FEW} of a class its error says little")
        most, least = max(kinds.values()), min(kinds.values())
        if most > UNBALANCED * least:
            found.append(
                f"Unbalanced: the largest class has {most / max(least, 1):.0f} times the images of the smallest; the "
                "error counts images, so large classes decide it"
            )
        return found


def discover(path: str, given: Mapping[str, str]) -> Discovery:
    """Look over a folder of images, or of parquet files as on the hub; `given` are settings of `data` in the command.

    Raises InputError if it holds neither, fewer than two classes, or no image that can be read.
    """
    return _discovered(path, _texts(given), _state(path))


def listed(config: DataConfig) -> source.Listings:
    """The unread parts of a folder of images or of parquet files; one that was just looked over is not listed again."""
    if config.source in SOURCES:
        return source.listings(config, "")[0]
    assert config.path is not None
    texts = {key: value for key in TEXTS if (value := getattr(config, key)) is not None}
    key = config.path, _texts(texts), _state(config.path), config.source
    return _LISTED[key] if key in _LISTED else source.listings(config, config.path)[0]


def _state(path: str) -> State:
    """What changes when files come to a folder or go: its place, and the times of the folders of parts and classes."""
    parts = {name for names in source.PARTS.values() for name in names}
    found = list[tuple[str, int]]()
    with suppress(OSError, RuntimeError):  # reported by whoever lists it
        due = [Path(path).expanduser().absolute()]
        for folder in due:
            found.append((str(folder), folder.stat().st_mtime_ns))
            if folder == due[0] or folder.name.lower() in parts:
                due += sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_dir())
    return tuple(found)


def _texts(given: Mapping[str, str]) -> Texts:
    """What is read from where, as far as that is not what is read anyway."""
    usual = {key: getattr(_unknown("", ""), key) for key in TEXTS}
    return tuple((key, given[key]) for key in TEXTS if key in given and given[key] not in (usual[key], "null"))


def _unknown(name: str, path: str) -> DataConfig:
    """The settings of a data set that only its path is known of."""
    return DataConfig(name, "images", 3, 32, 2, None, None, None, 0, path=path, unusable="skip")


@lru_cache(maxsize=1)
def _discovered(path: str, given: Texts, state: State) -> Discovery:
    root = source.existing_folder(path, "a folder of images, or of parquet files")
    config = replace(_unknown(root.name or path, path), **dict(given))  # type: ignore[arg-type]
    kind = "parquet" if _holds_tables(config, root) else "folder"
    config = replace(config, source=kind)
    unread = listed(config)
    is_kept = sum(listing.count for listing in unread.values()) <= MOST_KEPT
    _LISTED.clear()
    if is_kept:
        _LISTED[path, given, state, kind] = unread
    hidden = "test" in unread and unread["test"].is_hidden
    if hidden:
        unread = {name: listing for name, listing in unread.items() if name != "test"}
        if is_kept:  # for the settings that follow
            _LISTED[path, (*given, ("test_part", source.NO_PART)), state, kind] = unread
    kinds = _kinds(unread)
    _refuse_few(path, root, kind, kinds, unread)
    asides = [*_unused(config, path), *_unlabelled(unread)]
    return _described(config, f"data.path={path}", unread, hidden=hidden, asides=asides)


def discover_source(name: str, given: Mapping[str, str]) -> Discovery:
    """Look over the images of a source that an extension adds; `given` are settings of `data` in the command.

    Raises InputError if its function raises, or gives fewer than two classes or anything but images and labels.
    """
    named: dict[str, Any] = {**dict(_texts(given)), "source": name, "path": given.get("path")}
    config = replace(_unknown(name, ""), **named)
    unread = listed(config)
    kinds = _kinds(unread)
    if len(kinds) < 2:
        raise InputError(
            f"data={name}: has {len(kinds) or 'no'} class{'' if len(kinds) == 1 else 'es'}; needed are two"
        )
    hidden = "test" in unread and unread["test"].is_hidden
    return _described(
        config,
        f"data={name}",
        {part: one for part, one in unread.items() if part != "test" or not hidden},
        hidden=hidden,
        asides=_unlabelled(unread),
    )


def _kinds(unread: source.Listings) -> set[str | int]:
    return {
        one for part in unread.values() for one in (*part.classes, *part.labels) if isinstance(one, str) or one >= 0
    }


def _described(
    config: DataConfig, place: str, unread: source.Listings, *, hidden: bool, asides: list[str]
) -> Discovery:
    kinds = _kinds(unread)
    classes = classes_of(replace(config, classes=len(kinds)), unread)
    seen = _looked_at(unread)
    if not seen.sizes:
        raise InputError(f"{place}: none of its files can be read as an image: {'; '.join(seen.problems[:5])}")
    counts = {part: classes.counts(listing) for part, listing in unread.items()}
    labels = {
        part: {
            classes.name(number): int(own[number]) - seen.useless[part, label]
            for label, number in classes.numbers.items()
        }
        for part, own in counts.items()
    }
    return Discovery(
        config.source,
        labels,
        len(kinds),
        classes.names,
        tuple(seen.sizes),
        seen.is_grey,
        tuple(seen.problems),
        hidden=hidden,
        asides=(*asides, *lacking(classes.name, counts)),
    )


def _unused(config: DataConfig, path: str) -> list[str]:
    """A line on what lies beside the parts of a data set."""
    aside = [one_line(name) for name in source.left_aside(config, path)]
    some = ", ".join(aside[:SHOWN]) + (", ..." if len(aside) > SHOWN else "")
    return [f"Not used, since it is of no part: {some}"] if aside else []


def _unlabelled(unread: source.Listings) -> list[str]:
    """Lines on rows of tables without a label."""
    return [
        f"{counted(listing.unlabelled, 'row')} of its {part} part without a label will be left out"
        for part, listing in unread.items()
        if listing.unlabelled
    ]


def _holds_tables(config: DataConfig, root: Path) -> bool:
    """Whether a folder holds parquet files where a data set of the hub has them, or nothing but these further down."""
    if config.subset is not None or any(
        source.tables_in(config, one) for one in (root, root / "data", root / "default")
    ):
        return True
    for _, _, names in islice(os.walk(root), LOOKED_AT):
        kinds = {Path(name).suffix.lower() for name in names}
        if kinds & source.SUFFIXES:
            return False
        if ".parquet" in kinds:
            return True
    return False


def _refuse_few(path: str, root: Path, kind: str, kinds: set[str | int], unread: source.Listings) -> None:
    """Raise InputError unless there are two classes; a folder that only wraps the one with the classes is named."""
    if len(kinds) > 1:
        return
    only = next(iter(kinds), None)
    if kind == "folder" and isinstance(only, str) and (inner := root / only).is_dir():
        deeper = sum(one.is_dir() and one.name[0] != "." for one in inner.iterdir())
        if deeper > 1:
            raise InputError(
                f"data.path={path}: holds one folder, {only}, with {deeper} folders in it; say data={inner}"
            )
    has = f"one class, {only}" if only is not None else "no labels"
    missing = sum(listing.unlabelled for listing in unread.values())
    if missing:
        has += f", and {counted(missing, 'row')} without a label (numbers below zero mean none)"
    way = "a folder of images for each" if kind == "folder" else "in the column of labels text, or numbers from 0"
    raise InputError(f"data.path={path}: has {has}; needed are two classes or more, {way}")


@dataclass
class _Seen:
    """What some images of each part show: sizes, whether all are grey, what cannot be used, and how many by label."""

    sizes: list[tuple[int, int]] = field(default_factory=list)
    is_grey: bool = True
    problems: list[str] = field(default_factory=list)
    useless: Counter[tuple[str, str | int]] = field(default_factory=Counter)


def _looked_at(unread: source.Listings) -> _Seen:
    seen = _Seen()
    for part, listing in unread.items():
        step = max(1, listing.count // LOOKED_AT)
        # Rows of a table are read in order: those further down would take reading all before them.
        items, step = (islice(listing.items(), LOOKED_AT), 1) if listing.is_table else (listing.items(), step)
        for number, item in enumerate(items):
            problem = item.problem
            if not problem and number % step == 0:
                try:
                    width, height, is_grey = header(Path(item.path) if item.path else item.read() or b"")
                    seen.sizes.append((width, height))
                    seen.is_grey = seen.is_grey and is_grey
                except (ValueError, OSError) as error:
                    problem = str(error)
            if problem:
                seen.problems.append(f"{part} {item.name} ({problem})")
            if problem and item.is_counted and item.label in listing.labels:
                seen.useless[part, item.label] += 1
    return seen


def _area(size: tuple[int, int]) -> tuple[int, int]:
    return size[0] * size[1], size[0]


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
