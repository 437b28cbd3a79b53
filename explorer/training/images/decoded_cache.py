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
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from explorer.host.cache import cache_folder
from explorer.host.errors import InputError
from explorer.host.machine import cpu_count
from explorer.study.settings import NO_PATH, DataConfig
from explorer.training.images.classes import Classes, classes_of, refuse_hidden, refuse_without_images
from explorer.training.images.decode import check, decode
from explorer.training.images.equal import Prints, load_prints, print_of
from explorer.training.images.source import Item, Listing, Listings, listings
from explorer.training.images.stored import Growing, Labels, Packed, Part, hash_file, load_part

RESIDENT_BYTES = 4 * 2**30  # sets with more decoded bytes are streamed, unless the settings say otherwise
CHUNK = 256  # images decoded per batch of reading
NEEDED = ", needed "  # separates the actual and the required size in a reason
SHOWN = 5  # unusable images named in a message
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
    if config.lacks_path:
        raise InputError(NO_PATH)
    refuse_small_resize(config)
    parts, fingerprint = listings(config, config.path or "")
    refuse_hidden(config, parts)
    classes = classes_of(config, parts)
    root = cache_folder()
    entry = root / "images" / _key(config, fingerprint)
    found = _load(entry, config)
    if found is None:
        entry = _build(config, parts, entry, classes)
        found = _load(entry, config)
        if root not in entry.parents:  # temporary, only to map files from: mapped data stays readable after deletion
            shutil.rmtree(entry.parent, ignore_errors=True)
    if found is None:
        raise InputError(f"{entry}: the images that were just written cannot be read; is the disk full?")
    return replace(found, classes=classes.names)


def _key(config: DataConfig, fingerprint: list[object]) -> str:
    matters = [config.channels, config.image_size, config.resize, config.classes, config.unusable, config.keep]
    return hashlib.sha256(json.dumps([fingerprint, matters, DECODING]).encode()).hexdigest()[:24]


def _load(entry: Path, config: DataConfig) -> Pools | None:
    """The parts stored in a cache entry; None if it is missing or damaged."""
    try:
        meta = json.loads((entry / "meta.json").read_text())
        parts = {name: load_part(entry, name, config, tuple(files)) for name, files in meta["parts"].items()}
        for name, part in parts.items():
            equal = {int(place): str(one) for place, one in meta.get("equal", {}).get(name, {}).items()}
            parts[name] = replace(part, prints=load_prints(entry, name, len(part.labels)), named=equal)
        return Pools(
            parts["train"], parts.get("val"), parts.get("test"), str(meta["digest"]), tuple(map(str, meta["skipped"]))
        )
    except (OSError, EOFError, BadZipFile, ValueError, KeyError, TypeError, AttributeError):
        return None


def _build(config: DataConfig, unread: Listings, entry: Path, classes: Classes) -> Path:
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
        reader = _Reader(config, partial, classes, streams=_streams(config, unread))
        parts = {name: reader.read(name, listing) for name, listing in unread.items()}
        reader.refuse()
        meta = {"digest": reader.digest.hexdigest()[:16], "skipped": reader.unusable.names, "parts": parts}
        meta["equal"] = reader.prints.close()
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

    def __init__(self, config: DataConfig, folder: Path, classes: Classes, *, streams: bool) -> None:
        self.config, self.folder, self.classes, self.streams = config, folder, classes, streams
        self.digest = hashlib.sha256()
        if streams:  # files are hashed undecoded, so settings of decoding do not matter
            self.digest.update(f"decoding {DECODING}".encode())
        self.unusable, self.prints = Unusable(config), Prints(folder)
        self.usable: dict[str, Labels] = {}  # number of usable images of each class, by part

    def read(self, name: str, listing: Listing) -> list[str]:
        """Read and store one part; return the files it is streamed from, if each image has its own file."""
        labels: list[int] = []
        paths: list[str] = []
        writer = Packed(self.folder, name) if self.streams else Growing(self.folder / f"{name}.npy", self.config)
        with closing(writer.file), self.prints.of(name) as note, ThreadPoolExecutor(cpu_count()) as threads:
            for items in _chunks(listing.items()):
                for item, (found, own) in zip(items, threads.map(self._looked_at, items), strict=True):
                    self.unusable.seen += 1
                    problem = found if isinstance(found, str) else label_problem(item, self.classes)
                    if problem:
                        self.unusable.note(f"{name} {item.name}", problem)
                        continue
                    assert item.label is not None
                    labels.append(self.classes.numbers[item.label])
                    note(item.name, own)
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
        self.unusable.refuse()
        refuse_without_images(self.config, self.classes, self.usable)

    def _looked_at(self, item: Item) -> tuple[Any, int]:
        """The pixels of an image, or its bytes if it is streamed, or a text with the reason why it is unusable.

        Beside it the hash of its file.
        """
        if item.problem:
            return item.problem, 0
        try:
            data = item.read()
            if data is None:
                return "no image", 0
            if not self.streams:
                return decode(data, self.config), print_of(data)
            check(data, self.config)
            return data, print_of(data)
        except (ValueError, OSError) as error:
            return str(error), 0


@dataclass
class Unusable:
    """Images that cannot be used, out of `seen`: each as a text with the reason; `sizes` of those of another size."""

    config: DataConfig
    names: list[str] = field(default_factory=list)
    sizes: list[tuple[str, str]] = field(default_factory=list)
    seen: int = 0

    def note(self, name: str, problem: str) -> None:
        """Add an image."""
        self.names.append(f"{name} ({problem})")
        if NEEDED in problem:
            self.sizes.append((name, problem.partition(NEEDED)[0]))

    def refuse(self) -> None:
        """Raise InputError if the settings do not leave out what cannot be used, or nothing else is there."""
        config, count = self.config, len(self.names)
        if self.seen == 0:
            raise InputError(f"{config.place}: holds no images")
        if not count or (config.unusable != "refuse" and count < self.seen):
            return
        refuse_sizes(config, self.sizes, self.seen, others=count)
        some = "; ".join(self.names[:SHOWN]) + ("; ..." if count > SHOWN else "")
        size = f"set data.resize={config.image_size} for those of another size, " if self.sizes else ""
        remedy = f"{size}repair {'the others' if size else 'them'}"
        remedy += "" if count == self.seen else ", or set data.unusable=skip"
        raise InputError(f"{config.place}: {count:,} of {self.seen:,} images cannot be used: {some}; {remedy}")


def label_problem(item: Item, classes: Classes) -> str:
    """Why an image's label makes it unusable; "" if it is of a class."""
    label = item.label
    if label in classes.numbers:
        return ""
    if label is None or isinstance(label, str) or label < 0:
        return "no label"
    allowed = [*classes.numbers]
    last = allowed[-1]
    is_range = not isinstance(last, str) and allowed == [*range(last + 1)]
    return f"label {label}, allowed {f'0 to {last}' if is_range else ', '.join(map(str, allowed[:SHOWN]))}"


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
