"""Equal image files: which of the images to train, to validate and to test are copies of each other."""

import hashlib
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from explorer.host.formatting import counted, one_line
from explorer.training.images.stored import Labels, Part

MOST_NAMED = 1000  # equal images of each part whose names are kept
SHOWN = 3  # of them in a line
USES = {"train": "training", "val": "validation", "test": "test", "rest": "test"}


def print_of(data: bytes) -> int:
    """A hash of a file's content in 64 bits."""
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "little", signed=True)


class Prints:
    """Keeps a hash of each image's file while a data set is read, in its folder, and who equals whom.

    Names are written aside, since those of a large data set would fill the memory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.found = folder, dict[str, "array[int]"]()

    @contextmanager
    def of(self, part: str) -> Iterator[Callable[[str, int], None]]:
        """A function that notes the name and the hash of the next image of a part that can be used."""
        found = self.found[part] = array("q")
        with self._path(part).open("w", encoding="utf-8", errors="backslashreplace") as file:

            def note(name: str, own: int) -> None:
                found.append(own)
                file.write(f"{one_line(name)}\n")

            yield note

    def close(self) -> dict[str, dict[str, str]]:
        """Store the hashes; return by part the names of images that equal another one, by their places."""
        prints = {part: np.array(own, dtype=np.int64) for part, own in self.found.items()}
        values, counts = np.unique(np.concatenate([*prints.values(), np.zeros(0, np.int64)]), return_counts=True)
        twice, named = values[counts > 1], dict[str, dict[str, str]]()
        for part, own in prints.items():
            np.save(prints_file(self.folder, part), own, allow_pickle=False)
            places = {*np.flatnonzero(np.isin(own, twice))[:MOST_NAMED].tolist()} if len(twice) else set()
            with self._path(part).open(encoding="utf-8") as file:
                named[part] = {str(place): line[:-1] for place, line in enumerate(file) if place in places}
            self._path(part).unlink()
        return named

    def _path(self, part: str) -> Path:
        return self.folder / f"{part}_names.txt"


def prints_file(entry: Path, part: str) -> Path:
    """Where the hashes of a part are."""
    return entry / f"{part}_prints.npy"


def load_prints(entry: Path, part: str, count: int) -> Labels | None:
    """The hashes of a part's images; None if none were stored, as by earlier versions. Raises ValueError for damage."""
    if not prints_file(entry, part).exists():
        return None
    found = np.load(prints_file(entry, part), allow_pickle=False)
    if found.dtype != np.int64 or found.shape != (count,):
        raise ValueError("hashes")
    return found  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Drawn:
    """The images of a split: their places in a part of the data set, which is called `name` there."""

    part: Part
    name: str
    places: Labels


def copies(splits: Mapping[str, Drawn], *, joined: bool = False) -> list[str]:
    """Lines on images that are in more than one of the splits `train`, `val`, `test` and `rest`.

    With `joined` those to validate are meant to be trained on.
    """
    lines = []
    for (first, one), (second, other) in combinations(splits.items(), 2):
        if one.part.prints is None or other.part.prints is None or not (one.part.named and other.part.named):
            continue
        if USES[first] == USES[second] or (joined and (first, second) == ("train", "val")):
            continue
        own, others = one.part.prints[one.places], other.part.prints[other.places]
        _, here, there = np.intersect1d(own, others, return_indices=True)
        if not len(here):
            continue
        count = int(np.isin(others, own).sum())
        pairs = [
            f"{one.name} {one.part.named[left]} and {other.name} {other.part.named[right]}"
            for left, right in zip(one.places[here].tolist(), other.places[there].tolist(), strict=True)
            if left in one.part.named and right in other.part.named
        ]
        some = f": {'; '.join(pairs[:SHOWN])}{'; ...' if len(here) > SHOWN else ''}" if pairs else ""
        lines.append(
            f"{counted(count, f'{USES[second]} image')} {'is a copy' if count == 1 else 'are copies'} of "
            f"{USES[first]} images, so that the {USES[second]} error is too low; take the copies out{some}"
        )
    return lines
