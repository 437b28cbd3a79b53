"""Which labels are which classes: names in their order, whole numbers in theirs, whatever numbers they are.

A plan and a start number the classes here, before an image is read, and refuse with the same words.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from explorer.host.errors import InputError
from explorer.host.formatting import one_line
from explorer.study.settings import DataConfig
from explorer.training.images.source import Listing, Listings
from explorer.training.images.stored import Labels

SHOWN = 5  # classes named in a message
DAMAGE = 0.01  # share of the images up to which labels of no class are taken for damage


@dataclass(frozen=True)
class Classes:
    """The classes of a data set.

    numbers  the number of each label's class, from 0: labels are names or whole numbers
    names    the names of the classes in the order of their numbers; empty where labels are these numbers and nothing
             names them
    """

    numbers: Mapping[str | int, int]
    names: tuple[str, ...] = ()

    def name(self, number: int) -> str:
        """The name of a class on one line, or its number, for messages."""
        return one_line(self.names[number]) if self.names else str(number)

    def counts(self, listing: Listing) -> Labels:
        """How many images of each class a part lists."""
        found = np.zeros(len(self.numbers), dtype=np.int64)
        for label, number in self.numbers.items():
            found[number] = listing.labels.get(label, 0)
        return found


def classes_of(config: DataConfig, unread: Listings) -> Classes:
    """The classes of a data set: `data.classes` of them, numbered in the order of their names or numbers.

    Few labels of other numbers are taken for damage. Raises InputError where the labels do not fit the settings, or a
    part has classes that the training part has not.
    """
    if any(listing.classes for listing in unread.values()):
        return _named(config, unread)
    train = _numbers(unread["train"])
    total = Counter[int]()
    for listing in unread.values():
        total.update(_numbers(listing))
    chosen = sorted(train)[: config.classes]
    beyond = sum(number for label, number in total.items() if label not in {*chosen})
    if len(chosen) < config.classes:
        _refuse_absent(config, unread, {*total} - {*train})
        raise InputError(f"data.classes={config.classes}: {config.name} has {_listed(sorted(train))}")
    if beyond > DAMAGE * sum(listing.count for listing in unread.values()):
        if len(train) == config.classes:
            _refuse_absent(config, unread, {*total} - {*train})
        raise InputError(f"data.classes={config.classes}: {config.name} has {_listed(sorted(total))}")
    plain = chosen == [*range(config.classes)]
    return Classes({label: number for number, label in enumerate(chosen)}, _names(chosen, unread["train"].names, plain))


def leaving_out(config: DataConfig) -> str:
    """What else may be done about a class with too few images, after `add some, or`."""
    if config.source == "folder":
        return "leave the class out: move its folder to another place"
    return "leave the class out: without its rows, and with one class fewer in data.classes"


def refuse_without_images(config: DataConfig, classes: Classes, counts: Mapping[str, Labels]) -> None:
    """Raise InputError for a part, or a class to train on, without an image that can be used; `counts` are by part."""
    for part, own in counts.items():
        if not own.any():
            raise InputError(f"{config.place}: its {part} part holds no images that can be used")
    without = [classes.name(int(number)) for number in np.flatnonzero(counts["train"] == 0)]
    if without:
        raise InputError(
            f"{config.place}: no image to train on that can be used is of class {_some(without)}; "
            f"add some, or {leaving_out(config)}"
        )


def lacking(name: Callable[[int], str], counts: Mapping[str, Labels]) -> list[str]:
    """Lines on parts of a data set's own that hold no image of some classes, which they cannot judge."""
    found = []
    for part, own in counts.items():
        without = [name(int(number)) for number in np.flatnonzero(own == 0)]
        if part != "train" and without:
            found.append(
                f"Its {part} part has no image of {len(without)} of the {len(own)} classes ({_some(without)}), "
                "of which its error says nothing"
            )
    return found


def refuse_hidden(config: DataConfig, unread: Listings) -> None:
    """Raise InputError for a validation or test part without a single label, as competitions keep them secret."""
    for part, listing in unread.items():
        if part != "train" and listing.is_hidden:
            share = "" if getattr(config, f"{part}_images") is not None else f" data.{part}_images=0.2"
            raise InputError(
                f"{config.place}: no image of its {part} part has a label (all are below zero, hidden); set "
                f"data.{part}_part=none{share} to take the {part} images from the training part"
            )


def _numbers(listing: Listing) -> dict[int, int]:
    """How many images have each number as label, without those below zero, which stand for no label."""
    return {one: number for one, number in listing.labels.items() if not isinstance(one, str) and one >= 0}


def _names(labels: list[int], named: tuple[str, ...], plain: bool) -> tuple[str, ...]:
    """The names of numbered classes: those of the table's metadata, else the numbers unless these are 0, 1, 2, ..."""
    if len(named) == len(labels) and labels == [*range(1, len(labels) + 1)]:
        return named
    if labels and labels[-1] < len(named):
        return tuple(named[label] for label in labels)
    return () if plain else tuple(map(str, labels))


def _named(config: DataConfig, unread: Listings) -> Classes:
    names = {name for listing in unread.values() for name in listing.classes}
    if len(names) != config.classes:
        raise InputError(f"data.classes={config.classes}: {config.name} has {_listed(sorted(names))}")
    _refuse_absent(config, unread, names - {*unread["train"].classes})
    ordered = tuple(sorted(names))
    return Classes({name: number for number, name in enumerate(ordered)}, ordered)


def _refuse_absent(config: DataConfig, unread: Listings, absent: set[str] | set[int]) -> None:
    """Raise InputError for classes of another part that the training part has not."""
    for part, listing in unread.items():
        own: list[str | int] = [one for one in sorted(absent) if one in listing.labels or one in listing.classes]
        if own and part != "train":
            raise InputError(
                f"{config.place}: {_some(own)} not among train's classes, but in its {part} part; add images "
                f"to train on, or leave that part out with data.{part}_part=none"
            )


def _listed(labels: Sequence[str | int]) -> str:
    return f"{len(labels)}: {_some(labels)}"


def _some(labels: Sequence[str | int]) -> str:
    return ", ".join(one_line(str(one)) for one in labels[:SHOWN]) + (", ..." if len(labels) > SHOWN else "")
