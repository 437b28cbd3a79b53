"""Images on the device: loaded once per process, split by seed and class, kept as bytes."""

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from explorer.errors import InputError
from explorer.settings import DataConfig

Bytes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Images `(n, channels, height, width)` as uint8 and labels `(n,)` as int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: str) -> "Split":
        """The same images on another device."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """A split data set: `train` to learn, `val` to choose, `test` to judge.

    `mean` and `std` have shape `(channels,)` and come from the training images, in units of a byte.
    `digest` is a hash of every image and label in split order: 16 hexadecimal digits.
    """

    train: Split
    val: Split
    test: Split
    mean: Tensor
    std: Tensor
    digest: str

    def to(self, device: str) -> "Dataset":
        """The same data set on another device."""
        return replace(
            self,
            train=self.train.to(device),
            val=self.val.to(device),
            test=self.test.to(device),
            mean=self.mean.to(device),
            std=self.std.to(device),
        )


@lru_cache(maxsize=2)
def load(config: DataConfig, device: str = "cpu") -> Dataset:
    """Load and split a data set. Raises InputError when the settings and the images do not fit together."""
    images, labels = _LOADERS[config.name]()
    _check(config, images, labels)
    return _dataset(*_split(config, images, labels)).to(device)


def _digits() -> tuple[Bytes, Labels]:
    """Handwritten digits as bytes `(1797, 1, 8, 8)` with values 0 to 16 (UCI "optdigits", scikit-learn's copy)."""
    digits = load_digits()
    return digits.images[:, None].astype(np.uint8), digits.target.astype(np.int64)


_LOADERS = {"digits": _digits}


def _check(config: DataConfig, images: Bytes, labels: Labels) -> None:
    found = {"channels": images.shape[1], "image_size": images.shape[2], "classes": int(labels.max()) + 1}
    for key, value in found.items():
        if getattr(config, key) != value:
            raise InputError(f"data.{key}={getattr(config, key)}: {config.name} has {value}")
    wanted = config.train_images + config.val_images + config.test_images
    if wanted > len(images):
        raise InputError(
            f"data: train_images, val_images and test_images add up to {wanted:,}; {config.name} has {len(images):,}"
        )
    if 0 < len(images) - wanted < config.classes:
        raise InputError(
            f"data.test_images={config.test_images}: leaves {len(images) - wanted} images over, too few to split off "
            f"by class; allowed: all the rest or at least {config.classes} fewer"
        )
    for key in ("train_images", "val_images", "test_images"):
        if getattr(config, key) < config.classes:
            raise InputError(f"data.{key}={getattr(config, key)}: a split by class needs at least {config.classes}")


def _split(config: DataConfig, images: Bytes, labels: Labels) -> list[tuple[Bytes, Labels]]:
    """Training, validation and test images, drawn in that order so that each part keeps the shares of the classes."""
    parts = []
    rest = np.arange(len(images))
    for size in (config.train_images, config.val_images, config.test_images):
        if size == len(rest):
            chosen = np.random.default_rng(config.split_seed).permutation(rest)
        else:
            chosen, rest = train_test_split(
                rest, train_size=size, stratify=labels[rest], random_state=config.split_seed
            )
        parts.append((images[chosen], labels[chosen]))
    return parts


def _dataset(train: tuple[Bytes, Labels], val: tuple[Bytes, Labels], test: tuple[Bytes, Labels]) -> Dataset:
    digest = hashlib.sha256()
    for images, labels in (train, val, test):
        digest.update(str(images.shape).encode() + images.tobytes() + labels.tobytes())
    pixels = train[0].astype(np.float64)
    parts = [Split(torch.from_numpy(images), torch.from_numpy(labels)) for images, labels in (train, val, test)]
    return Dataset(
        train=parts[0],
        val=parts[1],
        test=parts[2],
        mean=torch.tensor(pixels.mean(axis=(0, 2, 3)), dtype=torch.float32),
        std=torch.tensor(pixels.std(axis=(0, 2, 3)), dtype=torch.float32),
        digest=digest.hexdigest()[:16],
    )
