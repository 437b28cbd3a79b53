"""Decoded images in the user's cache: a data set is read once, and all processes share the result.

Images are stored as decoded arrays in memory-mapped files; if those would be too large, they are stored encoded and
decoded again in each epoch. No pickle is ever loaded.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from explorer.host.cache import cache_folder
from explorer.host.errors import InputError
from explorer.host.machine import cpu_count
from explorer.study.settings import NO_PATH, DataConfig
from explorer.training.images.decode import check, decode
from explorer.training.images.source import Item, Listing, Listings, listings
from explorer.training.images.stored import Growing, Labels, Packed, Part, hash_file, load_part

RESIDENT_BYTES = 4 * 2**30  # sets with more decoded bytes are streamed, unless the settings say otherwise
CHUNK = 256  # images decoded per batch of reading
NEEDED = ", needed "  # separates the actual and the required size in a reason
SHOWN = 5  # unusable images, or classes, named in a message
DECODING = 2  # increase when decoding gives other pixels, so that earlier entries are not used
ABANDONED = 24 * 3600  # seconds after which an unfinished entry counts as abandoned


@dataclass(frozen=True)
class Pools:
    """The decoded parts of a data set. `digest` is a hash of their content; `skipped` lists left-out images and why.

    `classes` names the classes in the order of their numbers; empty where the data set does not name them.
    """

    train: Part
    val: Part | None
    test: Part | None
    digest: str
    skipped: tuple[str, ...]
    classes: tuple[str, ...] = ()


def pools(config: DataConfig) -> Pools:
    """All parts of a data set, from the cache if they have been read before.

    Raises InputError for a source that is missing or of the wrong kind, and for unusable images.
    """
    if config.path is None:
        raise InputError(NO_PATH)
    refuse_small_resize(config)
    parts, fingerprint = listings(config, config.path)
    refuse_hidden(config, parts)
    root = cache_folder()
    entry = root / "images" / _key(config, fingerprint)
    found = _load(entry, config)
    if found is None:
        entry = _build(config, parts, entry)
        found = _load(entry, config)
        if root not in entry.parents:  # temporary, only to map files from: mapped data stays readable after deletion
            shutil.rmtree(entry.parent, ignore_errors=True)
    if found is None:
        raise InputError(f"{entry}: the images that were just written cannot be read; is the disk full?")
    return replace(found, classes=class_names(config, parts))


def _key(config: DataConfig, fingerprint: list[object]) -> str:
    matters = [config.channels, config.image_size, config.resize, config.classes, config.unusable, config.keep]
    return hashlib.sha256(json.dumps([fingerprint, matters, DECODING]).encode()).hexdigest()[:24]


def _load(entry: Path, config: DataConfig) -> Pools | None:
    """The parts stored in a cache entry; None if it is missing or damaged."""
    try:
        meta = json.loads((entry / "meta.json").read_text())
        parts = {name: load_part(entry, name, config, tuple(files)) for name, files in meta["parts"].items()}
        return Pools(
            parts["train"], parts.get("val"), parts.get("test"), str(meta["digest"]), tuple(map(str, meta["skipped"]))
        )
    except (OSError, EOFError, BadZipFile, ValueError, KeyError, TypeError, AttributeError):
        return None


def _build(config: DataConfig, unread: Listings, entry: Path) -> Path:
    """Read all parts into a new cache entry; if another process finished first, its entry is used."""
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        _sweep(entry.parent)
        partial = Path(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=entry.parent))
    except OSError:
        place = Path(tempfile.mkdtemp(prefix="resnext-explorer-"))
        partial, entry = place / "partial", place / "entry"
        partial.mkdir()
    try:
        numbers, first = class_numbers(config, unread), first_label(config, unread)
        reader = _Reader(config, partial, _streams(config, unread), numbers, first)
        parts = {name: reader.read(name, listing) for name, listing in unread.items()}
        reader.refuse()
        meta = {"digest": reader.digest.hexdigest()[:16], "skipped": reader.unusable, "parts": parts}
        (partial / "meta.json").write_text(json.dumps(meta))
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise InputError(
            f"{partial.parent}: {error.strerror or error}; images are kept there once read: make room, or set "
            "XDG_CACHE_HOME to another folder"
        ) from None
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    try:
        partial.rename(entry)
    except OSError:
        if not (entry / "meta.json").exists() or _load(entry, config) is None:
            entry = _replaced(partial, entry)
    return entry


def _sweep(folder: Path) -> None:
    """Delete unfinished entries of killed processes."""
    for path in folder.glob(".*"):
        if time.time() - path.stat().st_mtime > ABANDONED:
            shutil.rmtree(path, ignore_errors=True)


def _replaced(partial: Path, entry: Path) -> Path:
    """Replace a damaged entry by a new one."""
    aside = entry.with_name(f".{entry.name}-{os.getpid()}.damaged")
    try:
        entry.rename(aside)
        partial.rename(entry)
    except OSError:
        return partial
    return entry


def _streams(config: DataConfig, unread: Listings) -> bool:
    pixels = config.channels * config.image_size**2 * sum(listing.count for listing in unread.values())
    return config.keep == "stream" or (config.keep == "auto" and pixels > RESIDENT_BYTES)


class _Reader:
    """Reads parts into files and counts unusable images. A class, since all parts add to the same counts."""

    def __init__(
        self, config: DataConfig, folder: Path, streams: bool, numbers: dict[str, int] | None, first: int = 0
    ) -> None:
        self.config, self.folder, self.streams, self.numbers, self.first = config, folder, streams, numbers, first
        self.digest = hashlib.sha256()
        if streams:  # files are hashed undecoded, so settings of decoding do not matter
            self.digest.update(f"decoding {DECODING}".encode())
        self.unusable: list[str] = []
        self.sizes: list[tuple[str, str]] = []  # names and sizes of images with another size
        self.usable: dict[str, Labels] = {}  # number of usable images of each class, by part
        self.seen = self.beyond = 0
        self.highest = -1

    def read(self, name: str, listing: Listing) -> list[str]:
        """Read and store one part; return the files it is streamed from, if each image has its own file."""
        labels: list[int] = []
        paths: list[str] = []
        writer = Packed(self.folder, name) if self.streams else Growing(self.folder / f"{name}.npy", self.config)
        with closing(writer.file), ThreadPoolExecutor(cpu_count()) as threads:
            for items in _chunks(listing.items()):
                for item, found in zip(items, threads.map(self._looked_at, items), strict=True):
                    self.seen += 1
                    label = self._label(item)
                    problem = found if isinstance(found, str) else label if isinstance(label, str) else None
                    if problem is not None:
                        self._note(f"{name} {item.name}", problem)
                        continue
                    assert isinstance(label, int)
                    labels.append(label)
                    if self.streams:
                        self.digest.update(found)
                    if self.streams and item.path:
                        paths.append(item.path)
                    else:
                        writer.add(found)
            if isinstance(writer, Packed):
                writer.close(keep=not paths)
            else:
                writer.close()
                hash_file(self.digest, writer.path)
        array = np.array(labels, dtype=np.int64)
        self.usable[name] = np.bincount(array, minlength=self.config.classes)
        self.digest.update(f"{name} {len(array)}".encode() + array.tobytes())
        np.save(self.folder / f"{name}_labels.npy", array, allow_pickle=False)
        return paths

    def refuse(self) -> None:
        """Raise InputError if images are unusable, with their number and the names of some."""
        config, name = self.config, self.config.name
        if self.seen == 0:
            raise InputError(f"data.path={config.path}: holds no images")
        if self.unusable and (config.unusable == "refuse" or len(self.unusable) == self.seen):
            refuse_sizes(config, self.sizes, self.seen, others=len(self.unusable))
        # A few labels that are too high are damage; many mean that the set has more classes than the settings say.
        if self.beyond > self.seen / 100 or (self.highest + 1 < config.classes and not self.unusable):
            raise InputError(f"data.classes={config.classes}: {name} has {self.highest + 1}")
        if self.unusable and (config.unusable == "refuse" or len(self.unusable) == self.seen):
            some = "; ".join(self.unusable[:SHOWN]) + ("; ..." if len(self.unusable) > SHOWN else "")
            size = f"set data.resize={config.image_size} for those of another size, " if self.sizes else ""
            remedy = f"{size}repair {'the others' if size else 'them'}"
            remedy += "" if len(self.unusable) == self.seen else ", or set data.unusable=skip"
            raise InputError(
                f"data.path={config.path}: {len(self.unusable):,} of {self.seen:,} images cannot be used: {some}; "
                f"{remedy}"
            )
        for part, counts in self.usable.items():
            if not counts.any():
                raise InputError(f"data.path={config.path}: its {part} part holds no images that can be used")
        without = [self._name(int(number)) for number in np.flatnonzero(self.usable["train"] == 0)]
        if without:
            raise InputError(
                f"data.path={config.path}: no image to train on that can be used is of class "
                f"{', '.join(without[:SHOWN])}; add some, or leave the class out"
            )

    def _looked_at(self, item: Item) -> Any:
        """The pixels of an image, or its bytes if it is streamed; if it is unusable, a text with the reason."""
        if item.problem:
            return item.problem
        try:
            data = item.read()
            if data is None:
                return "no image"
            if not self.streams:
                return decode(data, self.config)
            check(data, self.config)
            return data
        except (ValueError, OSError) as error:
            return str(error)

    def _name(self, number: int) -> str:
        """The name of a class, or its number, for messages."""
        names = {number: name for name, number in (self.numbers or {}).items()}
        return names.get(number, str(number))

    def _label(self, item: Item) -> int | str:
        label, classes = item.label, self.config.classes
        if isinstance(label, str) and self.numbers is not None:
            label = self.numbers.get(label)
        if label is None or isinstance(label, str) or label < 0:
            return "no label"
        label -= self.first
        self.highest = max(self.highest, label)
        self.beyond += label >= classes
        return f"label {label}, allowed 0 to {classes - 1}" if label >= classes else label

    def _note(self, name: str, problem: str) -> None:
        self.unusable.append(f"{name} ({problem})")
        if NEEDED in problem:
            self.sizes.append((name, problem.partition(NEEDED)[0]))


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def refuse_small_resize(config: DataConfig) -> None:
    """Raise InputError if images would be resized to less than what is cut out of them."""
    if config.resize is not None and config.resize < config.image_size:
        raise InputError(f"data.resize={config.resize}: allowed is at least data.image_size, {config.image_size}")


def refuse_sizes(config: DataConfig, sizes: list[tuple[str, str]], seen: int, *, others: int) -> None:
    """Raise InputError with a remedy if all unusable images have the wrong size.

    `sizes` has names and sizes of images with a wrong size, out of `seen` images; `others` counts other unusable ones.
    """
    if not sizes or len(sizes) < others:
        return
    found, name, wanted = {size for _, size in sizes}, config.name, config.image_size
    if len(found) == 1 and len(sizes) == seen:
        size = min(found)
        raise InputError(
            f"data.image_size={wanted}: the images of {name} have {size}; resize them with data.resize={wanted}"
            + (f", or set data.image_size={size.partition('x')[0]}" if _is_square(size) else "")
        )
    some = "; ".join(f"{one} ({size})" for one, size in sizes[:SHOWN]) + ("; ..." if len(sizes) > SHOWN else "")
    raise InputError(
        f"data.image_size={wanted}: {len(sizes):,} of {seen:,} images of {name} have another size: {some}; set "
        f"data.resize={wanted}, which resizes the shorter side of every image and takes the middle"
        + (", or data.unusable=skip, which leaves these out" if len(sizes) < seen else "")
    )


def _is_square(size: str) -> bool:
    sides = re.fullmatch(r"(\d+)x(\d+) pixels", size)
    return sides is not None and sides[1] == sides[2]


def refuse_hidden(config: DataConfig, unread: Listings) -> None:
    """Raise InputError for a validation or test part without a single label, as competitions keep them secret."""
    for part, listing in unread.items():
        if part != "train" and listing.is_hidden:
            share = "" if getattr(config, f"{part}_images") is not None else f" data.{part}_images=0.2"
            raise InputError(
                f"data.path={config.path}: no image of its {part} part has a label (all are below zero, hidden); set "
                f"data.{part}_part=none{share} to take the {part} images from the training part"
            )


def first_label(config: DataConfig, unread: Listings) -> int:
    """The number of the first class: 1 where labels are 1 to `data.classes`, as some data sets count, else 0."""
    spans = [listing.span for listing in unread.values() if listing.span is not None]
    if not spans or "train" not in unread or unread["train"].span is None:
        return 0
    low, high = min(low for low, _ in spans), max(high for _, high in spans)
    return 1 if (low, high) == (1, config.classes) else 0


def class_names(config: DataConfig, unread: Listings) -> tuple[str, ...]:
    """The names of the classes by number: those of folders or text labels, or those that a table gives its numbers.

    Labels that begin at 1 are named by these numbers if nothing else names them; empty without any names.
    """
    if (numbers := class_numbers(config, unread)) is not None:
        return tuple(numbers)
    first, names = first_label(config, unread), unread["train"].names if "train" in unread else ()
    if len(names) - first == config.classes or len(names) == config.classes:
        return names[-config.classes :]
    return tuple(str(first + number) for number in range(config.classes)) if first else ()


def class_numbers(config: DataConfig, unread: Listings) -> dict[str, int] | None:
    """Numbers of named classes; None if labels are numbers. Raises InputError if they do not fit the settings."""
    names = {name for listing in unread.values() for name in listing.classes}
    if not names:
        return None
    if len(names) != config.classes:
        some = ", ".join(sorted(names)[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
        raise InputError(f"data.classes={config.classes}: {config.name} has {len(names)}: {some}")
    known = unread["train"].classes
    if set(known) != names:
        raise InputError(
            f"data.path={config.path}: {', '.join(sorted(names - set(known))[:5])} not among train's classes"
        )
    return {name: number for number, name in enumerate(sorted(names))}
