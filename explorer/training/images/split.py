"""A study's images, split by seed and class: kept as bytes on the device, or streamed from disk each epoch if large.

Reading the source is in `source.py` and `decoded_cache.py`.
"""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from explorer.host.errors import InputError
from explorer.host.formatting import one_line
from explorer.host.machine import cpu_count
from explorer.study.preprocessing import Preprocessing
from explorer.study.run import joined_hash
from explorer.study.settings import DataConfig, Recipe
from explorer.training.images.augment import ATTEMPTS, crop_boxes
from explorer.training.images.classes import lacking
from explorer.training.images.decode import Box, decode, decode_cropped
from explorer.training.images.decoded_cache import Pools, pools
from explorer.training.images.digits import digit_pools
from explorer.training.images.drawing import places_of, split_digest
from explorer.training.images.equal import Drawn, copies
from explorer.training.images.source import BRIGHTEST, refuse_other_digits
from explorer.training.images.stored import Encoded, EncodedPair, Labels, Part

Bytes = npt.NDArray[np.uint8]
SAMPLE = 4096  # streamed images from which mean, deviation and colour axes are computed
AHEAD = 3  # batches read in advance while one is trained on


@dataclass(frozen=True)
class Split:
    """Images of one part: `labels` `(n,)` int64, and `index` `(n,)`, their positions in the pool they are drawn from.

    The pool is `images` `(m, channels, height, width)` uint8, or `encoded` if images are streamed.
    """

    labels: Tensor
    index: Tensor
    images: Tensor | None
    encoded: Encoded | EncodedPair | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: str) -> "Split":
        """Copy the split's images to a device; on the CPU the whole pool is shared without copying."""
        if device == "cpu":
            return self
        chosen = None if self.images is None else self.images[self.index].to(device)
        index = self.index if chosen is None else torch.arange(len(self), device=device)
        return Split(self.labels.to(device), index, chosen, self.encoded)

    def bytes_of(self, chosen: Tensor) -> Tensor:
        """The bytes of resident images, chosen by their numbers in the split."""
        assert self.images is not None
        return self.images[self.index[chosen]]


@dataclass(frozen=True)
class Dataset:
    """A split data set: `train` for training, `val` for choosing, `test` for the final judgement.

    `mean` and `std` have shape `(channels,)` and come from the training images, in units of a byte; so do `axes`
    `(channels, channels)`, the principal axes of their colours, each as long as the standard deviation along it.
    `rest` are additional test images that follow those of `test`: what is left of the training part if the set has its
    own test part (`data.test_images=rest`). `digest` is a hash of every image and label in split order: 16 hexadecimal
    digits; with `data.split_seed=each` it is the same for every seed, a hash of all images and of the split of seed 0.
    `own_test` says whether `test` is the set's own test part. `skipped` names images left out, `classes` the classes in
    the order of their numbers, if the data set names them, `warnings` are lines on what makes errors say less.
    """

    config: DataConfig
    train: Split
    val: Split
    test: Split
    mean: Tensor
    std: Tensor
    axes: Tensor
    digest: str
    rest: Split | None = None
    own_test: bool = False
    loaders: int = 1
    skipped: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def test_by_seed(self) -> int:
        """How many test images each seed draws anew (`data.split_seed=each`); they come last."""
        if self.config.split_seed != "each":
            return 0
        return len(self.test) if not self.own_test else len(self.rest) if self.rest is not None else 0


@dataclass(frozen=True)
class Crops:
    """Determines random crops of streamed images: an image's box depends only on the key and its position."""

    recipe: Recipe
    key: int


def load(config: DataConfig, device: str = "cpu", loaders: int = 0, seed: int = 0) -> Dataset:
    """Load and split a data set; `loaders` threads decode what is streamed, 0 for one per core.

    `seed` is that of the run, which has a split of its own with `data.split_seed=each`. The last split is kept, so that
    runs that share one load it once per process. Raises InputError if settings and images contradict each other.
    """
    key = config, config.of_seed(seed), device
    if key not in _LOADED:
        _LOADED.clear()  # first: a GPU may lack the memory for two splits
        _LOADED[key] = _load(config, device, seed)
    return replace(_LOADED[key], loaders=loaders or cpu_count())


_LOADED: dict[tuple[DataConfig, DataConfig, str], Dataset] = {}


def forget() -> None:
    """Have `load` read images anew."""
    _LOADED.clear()
    _pools.cache_clear()


@lru_cache(maxsize=2)
def _pools(config: DataConfig) -> Pools:
    """All images of a data set. Kept, since listing a large set takes long; what is resident is mapped from a file."""
    if config.source == "elsewhere":
        raise InputError(
            "data.source=elsewhere: is read by another program, which takes its runs from Study.ask and tells their "
            "results; to train here say data=photos, a folder of images"
        )
    if config.source == "digits":
        refuse_other_digits(config)
        return digit_pools()
    return pools(config)


def _load(config: DataConfig, device: str, seed: int) -> Dataset:
    found = _pools(replace(config, joined=False))
    splits = _splits(config, found, seed)
    digest, warnings = _digest(config, found, splits, seed), _warnings(config, found, splits)
    if config.joined:
        splits[0], digest = _joined(splits[0], splits[1], found.val is None), joined_hash(digest)
    mean, std, axes = _statistics(config, splits[0])
    train, val, test, *rest = (split.to(device) for split in splits)
    return Dataset(
        config,
        train,
        val,
        test,
        mean=mean.to(device),
        std=std.to(device),
        axes=axes.to(device),
        digest=digest,
        rest=rest[0] if rest else None,
        own_test=found.test is not None,
        skipped=found.skipped,
        classes=found.classes,
        warnings=warnings,
    )


def _warnings(config: DataConfig, found: Pools, splits: list[Split]) -> tuple[str, ...]:
    """Lines on images that are in two splits, and on classes that a part of the set's own lacks."""
    own = {"train": found.train, "val": found.val, "test": found.test}
    drawn = {}
    for name, split in zip((*own, "rest"), splits, strict=False):
        part = own.get(name)
        drawn[name] = Drawn(part or found.train, "train" if part is None else name, split.index.numpy())
    counts = {
        name: np.bincount(part.labels, minlength=config.classes) for name, part in own.items() if part is not None
    }
    names = found.classes or tuple(map(str, range(config.classes)))
    return (*copies(drawn, joined=config.joined), *lacking(lambda number: one_line(names[number]), counts))


def preprocessing_of(data: Dataset) -> Preprocessing:
    """What a network trained on these images needs of others: classes without a name are named by their numbers."""
    config = data.config
    return Preprocessing(
        classes=data.classes or tuple(map(str, range(config.classes))),
        mean=tuple(data.mean.tolist()),
        std=tuple(data.std.tolist()),
        range=(0, BRIGHTEST.get(config.source, 255)),
        channels=config.channels,
        image_size=config.image_size,
        resize=config.resize,
    )


def test_labels(data: Dataset) -> str:
    """The class of each test image in test order, as numbers with spaces between them."""
    splits = (data.test, data.rest)
    return " ".join(str(label) for split in splits if split is not None for label in split.labels.tolist())


def fetched(
    data: Dataset, split: Split, places: Sequence[Tensor], crops: Crops | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of bytes and labels on the device, one for each of `places`; streamed images are read in advance."""
    if split.images is not None:
        for chosen in places:
            yield split.bytes_of(chosen), split.labels[chosen]
        return
    with ThreadPoolExecutor(data.loaders) as threads:
        waiting: deque[_Batch] = deque()
        for chosen in places:
            waiting.append(_begun(data, split, chosen, crops, threads))
            if len(waiting) > AHEAD:
                yield waiting.popleft().delivered(split)
        while waiting:
            yield waiting.popleft().delivered(split)


@dataclass(frozen=True)
class _Batch:
    """A batch that threads read: its places in the split, its pixels, and the threads' parts of the work.

    For a GPU both lie in memory that the device reads by itself, while the host goes on. Every batch has memory of its
    own, which torch gives to another one only after it has been copied.
    """

    places: Tensor
    pixels: Tensor
    parts: list[Future[None]]

    def delivered(self, split: Split) -> tuple[Tensor, Tensor]:
        """Pixels and labels on the device."""
        for part in self.parts:
            part.result()
        device = split.labels.device
        places = self.places.to(device, non_blocking=True)
        return self.pixels.to(device, non_blocking=True), split.labels[places]


def _begun(data: Dataset, split: Split, chosen: Tensor, crops: Crops | None, threads: ThreadPoolExecutor) -> _Batch:
    """Have a batch read by all threads, each some of its images at a time: a task of its own takes a thread's time."""
    config, on_gpu, count = data.config, split.labels.device.type == "cuda", len(chosen)
    shape = (count, config.channels, config.image_size, config.image_size)
    pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=on_gpu)
    rows, numbers, each = pixels.numpy(), split.index[chosen].tolist(), -(-count // data.loaders)
    parts = [
        threads.submit(_read_into, rows[start : start + each], config, split, crops, numbers[start : start + each])
        for start in range(0, count, each)
    ]
    return _Batch(chosen.pin_memory() if on_gpu else chosen, pixels, parts)


def _read_into(rows: Bytes, config: DataConfig, split: Split, crops: Crops | None, numbers: list[int]) -> None:
    for row, number in zip(rows, numbers, strict=True):
        row[...] = _read(config, split, crops, number)


def _read(config: DataConfig, split: Split, crops: Crops | None, number: int) -> Bytes:
    """One image of the pool that a split is drawn from, or a crop of it."""
    assert split.encoded is not None
    encoded = split.encoded.read(number)
    if crops is None or crops.recipe.crop_area is None:
        return decode(encoded, config)
    recipe, uniform = crops.recipe, np.random.default_rng([crops.key, number]).random((1, ATTEMPTS, 4))

    def box_of(width: int, height: int) -> Box:
        left, top, wide, high = map(
            float, crop_boxes(uniform, np.array([[width, height]], dtype=np.float64), recipe)[0]
        )
        return left, top, wide, high

    return decode_cropped(encoded, config, box_of)


def _splits(config: DataConfig, found: Pools, seed: int = 0) -> list[Split]:
    """Training, validation and test images, and where there is a fourth split what is left of the training part."""
    own = {"train": found.train, "val": found.val, "test": found.test}
    parts = {name: part for name, part in own.items() if part is not None}
    labels = {name: part.labels for name, part in parts.items()}
    places = places_of(config, labels, found.classes, seed)
    return [_split(parts.get(name, found.train), chosen) for name, chosen in places.items()]


def _split(part: Part, places: Labels) -> Split:
    images = None if part.images is None else torch.from_numpy(part.images)
    return Split(torch.from_numpy(part.labels[places]), torch.from_numpy(places), images, part.encoded)


def _joined(train: Split, val: Split, is_one_pool: bool) -> Split:
    """Both splits as one, the training images first; `is_one_pool` says whether they are drawn from the same images."""
    labels = torch.cat([train.labels, val.labels])
    if is_one_pool:
        return replace(train, labels=labels, index=torch.cat([train.index, val.index]))
    if train.images is not None and val.images is not None:
        images = torch.cat([train.images[train.index], val.images[val.index]])
        return Split(labels, torch.arange(len(labels)), images)
    assert isinstance(train.encoded, Encoded)
    assert isinstance(val.encoded, Encoded)
    first = train.encoded.count
    return Split(labels, torch.cat([train.index, val.index + first]), None, EncodedPair(train.encoded, val.encoded))


def _digest(config: DataConfig, found: Pools, splits: list[Split], seed: int) -> str:
    """Hash of the images and of what is drawn from them.

    Where every seed has a split of its own, the images are hashed whole, and the split of seed 0 stands for all: by the
    same code on the same images the others are drawn alike.
    """
    if config.split_seed != "each":
        return _chosen(found.digest, splits) if found.digest else _content(splits)
    parts = [part for part in (found.train, found.val, found.test) if part is not None]
    whole = found.digest or _content([_split(part, np.arange(len(part.labels))) for part in parts])
    return _chosen(f"each {whole}", splits if seed == 0 else _splits(config, found, 0))


def _content(splits: list[Split]) -> str:
    """Hash of resident images and labels in split order."""
    digest = hashlib.sha256()
    for split in splits:
        images = split.bytes_of(torch.arange(len(split))).numpy()
        digest.update(str(images.shape).encode() + images.tobytes() + split.labels.numpy().tobytes())
    return digest.hexdigest()[:16]


def _chosen(pool_digest: str, splits: list[Split]) -> str:
    """Hash of the whole set's content and of the places drawn from it."""
    return split_digest(pool_digest, [(split.labels.numpy(), split.index.numpy()) for split in splits])


def _statistics(config: DataConfig, train: Split) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, standard deviation and principal axes of the training images' colours, in units of a byte."""
    count, total, squares = 0, np.zeros(config.channels), np.zeros((config.channels, config.channels))
    for images in _samples(config, train):
        pixels = images.transpose(1, 0, 2, 3).reshape(config.channels, -1).astype(np.float64)
        count, total, squares = count + pixels.shape[1], total + pixels.sum(axis=1), squares + pixels @ pixels.T
    mean = total / count
    covariance = squares / count - np.outer(mean, mean)
    variances, axes = np.linalg.eigh(covariance)
    # A constant channel is not scaled.
    std = np.sqrt(np.where(np.diag(covariance) > 0, np.diag(covariance), 1.0))
    return tuple(  # type: ignore[return-value]
        torch.tensor(numbers, dtype=torch.float32) for numbers in (mean, std, axes * np.sqrt(np.maximum(variances, 0)))
    )


def _samples(config: DataConfig, train: Split) -> Iterator[Bytes]:
    """All training images if they are resident, some thousand evenly spaced ones if they are streamed."""
    if train.images is not None:
        for places in torch.arange(len(train)).split(4096):  # type: ignore[no-untyped-call]
            yield train.bytes_of(places).numpy()
        return
    places = train.index.numpy()[np.linspace(0, len(train) - 1, min(SAMPLE, len(train))).astype(int)]
    with ThreadPoolExecutor(cpu_count()) as threads:
        read = partial(_read, config, train, None)
        for start in range(0, len(places), 256):
            yield np.stack(list(threads.map(read, places[start : start + 256])))
