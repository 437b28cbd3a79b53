"""Storage formats of images: memory-mapped arrays of pixels, or encoded files concatenated in one file.

No pickle is ever loaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.study.settings import DataConfig
from explorer.training.images.decode import Bytes

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Encoded:
    """Encoded image files, read one by one: from one file with all of them, or each from its own file.

    File `i` of `packed` lies from `offsets[i]` to `offsets[i + 1]`.
    """

    packed: npt.NDArray[np.uint8] | None
    offsets: Labels
    paths: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of image files."""
        return len(self.paths) if self.packed is None else len(self.offsets) - 1

    def read(self, place: int) -> bytes:
        """The bytes of one image file."""
        if self.packed is None:
            return Path(self.paths[place]).read_bytes()
        return self.packed[self.offsets[place] : self.offsets[place + 1]].tobytes()


@dataclass(frozen=True)
class EncodedPair:
    """The image files of two parts of a data set, those of the second numbered on from those of the first."""

    first: Encoded
    second: Encoded

    def read(self, place: int) -> bytes:
        """The bytes of one image file."""
        count = self.first.count
        return self.first.read(place) if place < count else self.second.read(place - count)


@dataclass(frozen=True)
class Part:
    """One part of a data set: `labels` `(n,)` and `images` `(n, channels, size, size)`, or `encoded` where streamed.

    `prints` `(n,)` are hashes of the images' files, None where they are not known; `named` has the names of images that
    equal another one of the data set, by place.
    """

    images: Bytes | None
    labels: Labels
    encoded: Encoded | None
    prints: Labels | None = None
    named: Mapping[int, str] = field(default_factory=dict)


def load_part(entry: Path, name: str, config: DataConfig, paths: tuple[str, ...]) -> Part:
    """A part of a cache entry. Raises ValueError or OSError where it is damaged."""
    labels = np.load(entry / f"{name}_labels.npy", allow_pickle=False)
    if labels.dtype != np.int64 or labels.ndim != 1:
        raise ValueError("labels")
    if (entry / f"{name}.npy").exists():
        # Copy-on-write, although nothing writes to it: torch requires a writable array.
        images = np.load(entry / f"{name}.npy", mmap_mode="c", allow_pickle=False)
        if images.shape != (len(labels), config.channels, config.image_size, config.image_size):
            raise ValueError("images")
        if images.dtype != np.uint8:
            raise ValueError("images")
        return Part(images, labels, None)
    if paths:
        return Part(None, labels, Encoded(None, np.zeros(0, dtype=np.int64), paths))
    offsets = np.load(entry / f"{name}_offsets.npy", allow_pickle=False)
    packed = np.memmap(entry / f"{name}.bin", dtype=np.uint8, mode="r")
    if len(offsets) != len(labels) + 1 or offsets[-1] != len(packed):
        raise ValueError("encoded images")
    return Part(None, labels, Encoded(packed, offsets))


class Growing:
    """A file of images in numpy's format, to which they are added one by one."""

    def __init__(self, path: Path, config: DataConfig) -> None:
        self.path, self.file, self.used = path, path.open("wb"), 0
        self.shape = (config.channels, config.image_size, config.image_size)
        self._write_header()

    def add(self, image: Bytes) -> None:
        """Append an image."""
        self.file.write(image.tobytes())
        self.used += 1

    def close(self) -> None:
        """Finish the file: its header, which is as long for every number of images, now has the final one."""
        self.file.seek(0)
        self._write_header()
        self.file.close()

    def _write_header(self) -> None:
        header = {"descr": "|u1", "fortran_order": False, "shape": (self.used, *self.shape)}
        np.lib.format.write_array_header_1_0(self.file, header)


class Packed:
    """Writes encoded files one after the other to a single file, and keeps the offset of each."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path, self.offsets_path = folder / f"{name}.bin", folder / f"{name}_offsets.npy"
        self.file, self.offsets = self.path.open("wb"), [0]

    def add(self, data: bytes) -> None:
        """Append a file's bytes."""
        self.file.write(data)
        self.offsets.append(self.offsets[-1] + len(data))

    def close(self, *, keep: bool) -> None:
        """Finish the file, or delete it if images are read from their own files."""
        self.file.close()
        if keep:
            np.save(self.offsets_path, np.array(self.offsets, dtype=np.int64), allow_pickle=False)
        else:
            self.path.unlink()


def hash_file(digest: Any, path: Path) -> None:
    """Add the content of a file to a hash."""
    with path.open("rb") as file:
        while block := file.read(2**22):
            digest.update(block)
