"""Data sets that are known by name, for results that others measured: what a network sees of them, and test images."""

import re
from dataclasses import dataclass

from explorer.design.template import Task


@dataclass(frozen=True)
class KnownData:
    """A data set by its usual name. `test_images` are those on which papers report an error."""

    name: str
    label: str
    task: Task
    test_images: int


_DATA = (
    KnownData("cifar10", "CIFAR-10", Task(3, 32, 10), 10_000),
    KnownData("cifar100", "CIFAR-100", Task(3, 32, 100), 10_000),
    KnownData("svhn", "SVHN", Task(3, 32, 10), 26_032),
    KnownData("imagenet", "ImageNet-1k", Task(3, 224, 1000), 50_000),
    KnownData("imagenet_32", "ImageNet-1k at 32 pixels", Task(3, 32, 1000), 50_000),
    KnownData("imagenet_64", "ImageNet-1k at 64 pixels", Task(3, 64, 1000), 50_000),
    KnownData("tiny_imagenet", "Tiny-ImageNet", Task(3, 64, 200), 10_000),
    KnownData("mnist", "MNIST", Task(1, 28, 10), 10_000),
    KnownData("fashion_mnist", "Fashion-MNIST", Task(1, 28, 10), 10_000),
    KnownData("stl10", "STL-10", Task(3, 96, 10), 8_000),
)
_ALSO = {
    **dict.fromkeys(("in1k", "imagenet1k", "ilsvrc2012", "ilsvrc", "imagenet2012", "imagenet224"), "imagenet"),
    **dict.fromkeys(("imagenet32x32", "imagenet1k32", "imagenet32px"), "imagenet_32"),
    **dict.fromkeys(("imagenet64x64", "imagenet1k64", "imagenet64px"), "imagenet_64"),
    **dict.fromkeys(("tinyimagenet200", "tinyimagenet64"), "tiny_imagenet"),
    "fmnist": "fashion_mnist",
}


def plain(name: str) -> str:
    """A name without case and marks, as two spellings of one data set have it in common: `CIFAR-10` is `cifar10`."""
    return re.sub(r"[^a-z0-9]", "", name.rpartition("/")[2].lower())


_BY_NAME = {plain(one.name): one for one in _DATA} | {
    also: next(d for d in _DATA if d.name == name) for also, name in _ALSO.items()
}
KNOWN = tuple(one.name for one in _DATA)


def known_data(name: str) -> KnownData | None:
    """The data set of a name, as papers and libraries spell it; None if it is not known."""
    return _BY_NAME.get(plain(name))
