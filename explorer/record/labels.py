"""The classes of a study's test images, kept once beside the answers of its runs: `labels.csv`.

There is one row for all seeds, or one for each seed where each has test images of its own. A record of an earlier
version has no such file. A row that is damaged is named and refused, as in the other tables.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.host.commands import command_for
from explorer.host.errors import InputError
from explorer.record import table
from explorer.record.folder import CHECKS, LABELS
from explorer.record.rows import LabelsRecord

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """The class of each test image: `shared` by all seeds, or `by_seed`; None and empty where they are not recorded."""

    shared: Numbers | None = None
    by_seed: Mapping[int, Numbers] | None = None

    @property
    def is_known(self) -> bool:
        """Whether any are recorded."""
        return self.shared is not None or bool(self.by_seed)

    def of(self, seed: int) -> Numbers | None:
        """The class of each test image of the runs of a seed; None if that is not recorded."""
        return self.shared if self.shared is not None else (self.by_seed or {}).get(seed)


def keep_labels(folder: Path, labels: str, seed: int | None = None) -> bool:
    """Record the classes of the test images, as numbers with spaces between them, unless they are; whether they were.

    `seed` is the one whose test images they are, where each has its own. A study in the folder of another, such as a
    robustness check, has the same images and keeps none. Raises InputError for a damaged file.
    """
    if not labels or folder.parent.name == CHECKS:
        return False
    path = folder / LABELS
    table.create(path, LabelsRecord)
    found = table.undamaged(path, LabelsRecord)
    table.heal(path, found)
    seeds = {None if one != one else int(one) for one in found.rows["seed"].astype(float)}
    if seed in seeds:
        return False
    table.append(path, [LabelsRecord(seed, labels.count(" ") + 1, labels)])
    return True


def load_labels(folder: Path, classes: int, images: int) -> Labels:
    """Read the classes of a study's test images; none if the study does not have the file.

    Raises InputError for a row that does not match its check, and for one that cannot be that of `images` test images
    of so many classes: their number is not known where it is 0.
    """
    path = folder / LABELS
    if not path.exists():
        return Labels()
    try:
        return labels_of(table.read(path, LabelsRecord).to_dict("records"), classes, images)
    except ValueError as error:
        raise InputError(
            f"{path}: {error}; restore the file, or let {command_for('doctor', folder.name)} set it aside"
        ) from None


def labels_of(rows: Iterable[Mapping[Any, Any]], classes: int, images: int) -> Labels:
    """The classes of test images from the rows of `LabelsRecord`; of repeated rows the first counts.

    Raises ValueError for what cannot be.
    """
    found: dict[int | None, Numbers] = {}
    for row in rows:
        seed = None if row["seed"] is None or row["seed"] != row["seed"] else int(str(row["seed"]).removesuffix(".0"))
        whose = "the row of all seeds" if seed is None else f"the row of seed {seed}"
        words = str(row["labels"]).split(" ")
        if not all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
            raise ValueError(f"{whose} holds something else than numbers of classes")
        own = np.array(words, dtype=np.int64)
        if len(own) != int(str(row["images"])) or images not in (0, len(own)):
            raise ValueError(f"{whose} has {len(own):,} labels for {images or row['images']:,} test images")
        if own.max() >= classes:
            raise ValueError(f"{whose} names class {own.max()} of {classes}, which are counted from 0")
        found.setdefault(seed, own)
    shared = found.pop(None, None)
    return Labels(shared, {seed: own for seed, own in found.items() if seed is not None})
