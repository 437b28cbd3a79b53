"""Storage formats of images: memory-mapped arrays of pixels, or encoded files concatenated in one file.

No pickle is ever loaded.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.study.settings import DataConfig
from explorer.training.images.decode import Bytes

Labels = npt.NDArray[np.int64]
BLOCK = 2048  # images copied at once


@dataclass(frozen=True)
class Encoded:
    """Encoded image files, read one by one: from one file with all of them, or each from its own file.

    File `i` of `packed` lies from `offsets[i]` to `offsets[i + 1]`.
    """

    packed: npt.NDArray[np.uint8] | None
    offsets: Labels
    paths: tuple[str, ...] = ()

    def read(self, place: int) -> bytes:
        """The bytes of one image file."""
        if self.packed is None:
            return Path(self.paths[place]).read_bytes()
        return self.packed[self.offsets[place] : self.offsets[place + 1]].tobytes()


@dataclass(frozen=True)
class Part:
    """One part of a data set: `labels` `(n,)` and `images` `(n, channels, size, size)`, or `encoded` where streamed."""

    images: Bytes | None
    labels: Labels
    encoded: Encoded | None


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


def _new_array(path: Path, shape: tuple[int, ...]) -> "np.memmap[Any, np.dtype[np.uint8]]":
    """Create a file for an array with disk space reserved, and map it. Raises OSError if there is too little space."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):  # writing to a map on a full disk would kill the process
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


class Growing:
    """An array of images on disk that is filled one by one; the unused end is cut off."""

    def __init__(self, path: Path, count: int, config: DataConfig) -> None:
        self.path, self.count, self.used = path, count, 0
        self.shape = (config.channels, config.image_size, config.image_size)
        self.array = _new_array(path, (max(count, 1), *self.shape))

    def add(self, image: Bytes) -> None:
        """Append an image."""
        self.array[self.used] = image
        self.used += 1

    def close(self) -> None:
        """Finish writing; the file then holds exactly the added images."""
        self.array.flush()
        if self.used != len(self.array):
            whole = self.path.with_suffix(".whole")
            self.path.rename(whole)
            smaller = _new_array(self.path, (self.used, *self.shape))
            for start in range(0, self.used, BLOCK):
                smaller[start : start + BLOCK] = self.array[start : min(start + BLOCK, self.used)]
            smaller.flush()
            whole.unlink()


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
