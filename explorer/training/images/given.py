"""Images that the function of an extension gives, as other sources give files: each becomes a PNG file.

So they are split, hashed, cached, resized and cropped by the code that reads files. What the function gives is read
through once to see what it is, and once more if the images are not in the cache.
"""

import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from explorer.host.errors import InputError
from explorer.host.extensions import MISTAKES, mistake
from explorer.host.formatting import in_one_line
from explorer.study.data_sources import SOURCES, Source, takes_path
from explorer.study.settings import DataConfig
from explorer.training.images.source import PARTS, Item, Listing, Listings, parts_of

DEPTHS = (1, 3, 4)  # channels of an array with three dimensions
_MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}  # of Pillow's images that PNG holds
_CHOICES = {one.name: one.default for one in fields(DataConfig) if one.name in ("train_part", "val_part", "test_part")}
Pairs = Iterator[tuple[Any, Any]]


@dataclass
class _Seen:
    """What one part gave when it was last read through: labels, and a hash of all images and labels."""

    labels: Counter[str | int] = field(default_factory=Counter)
    count: int = 0
    digest: str = ""


_READ: dict[tuple[Source, str | None, tuple[int, int]], dict[str, _Seen]] = {}


def _stamp(path: str | None) -> tuple[int, int]:
    """Time and size of a file that a source reads, which may be replaced while a process lasts; zeros for none."""
    try:
        found = Path(path or "").stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def given(config: DataConfig) -> tuple[Listings, list[object]]:
    """The unread parts of an added source, and values that change whenever its images do.

    Raises InputError where its function raises, or gives anything but images and labels.
    """
    key = SOURCES[config.source], config.path, _stamp(config.path)
    if key not in _READ:
        _READ.clear()
        _READ[key] = {part: _seen(config, part) for part in _parts(config)}
    seen, found = _READ[key], dict[str, Listing]()
    for name, part in parts_of(config, [*seen]).items():
        found[name] = _listing(config, part, seen[part])
    if "train" not in found:
        raise InputError(f"data.train_part={config.train_part}: {config.source} has {', '.join(seen)}")
    # Which part is which, where the command says so: else two choices of the same parts would be one set of images.
    chosen = [getattr(config, name) for name in _CHOICES]
    parts = [] if chosen == [*_CHOICES.values()] else [chosen]
    return found, ["given", [[name, part.digest] for name, part in seen.items()], *parts]


def _listing(config: DataConfig, part: str, seen: _Seen) -> Listing:
    source = SOURCES[config.source]
    named = all(isinstance(one, str) for one in seen.labels)
    if not named and any(isinstance(one, str) for one in seen.labels):
        raise _wrong(config, f"{part}: has names and numbers as labels; allowed: one of the two")
    highest = max((one for one in seen.labels if not isinstance(one, str)), default=0)
    if source.classes and (named or highest >= len(source.classes)):
        has = "names as labels" if named else f"the label {highest}"
        raise _wrong(config, f"{part}: has {has}, and names for the classes 0 to {len(source.classes) - 1}")
    classes = tuple(sorted(str(one) for one in seen.labels)) if named else ()
    # Of images, which come in order, each takes reading all before it.
    return Listing(
        seen.count,
        partial(_items, config, part, seen),
        classes,
        () if named else source.classes,
        dict(seen.labels),
        is_table=True,
    )


def _seen(config: DataConfig, part: str) -> _Seen:
    """Read a part through, keeping none of its images."""
    found = _Seen()
    for _ in _items(config, part, found, fills=True):
        pass
    if not found.count:
        raise _wrong(config, f"{part}: gives no images")
    return found


def _items(config: DataConfig, part: str, seen: _Seen, *, fills: bool = False) -> Iterator[Item]:
    """The images of a part as files, each encoded when it is read; `fills` notes what there is."""
    digest, count = hashlib.sha256(), 0
    for number, (image, label) in enumerate(_pairs(config, part)):
        where = f"{part}: image {number}"
        one, own = _image(config, where, image), _label(config, where, label)
        digest.update(_content(one) + f"\0{own!r}\0".encode())
        count += 1
        if fills:
            seen.labels[own] += 1
        yield Item(str(number), own, partial(_as_png, one))
    found = digest.hexdigest()
    if fills:
        seen.count, seen.digest = count, found
    elif found != seen.digest:
        raise _wrong(config, f"{part}: gives other images each time it is read; allowed: the same ones, in one order")


def _parts(config: DataConfig) -> list[str]:
    made = _made(config)
    return [*made] if isinstance(made, Mapping) else [PARTS["train"][0]]


def _pairs(config: DataConfig, part: str) -> Pairs:
    """The images of a part with their labels, as the function gives them."""
    made = _made(config)
    own = made[part] if isinstance(made, Mapping) else made
    if isinstance(own, tuple):
        if len(own) != 2:
            raise _wrong(config, f"{part}: gives a tuple of {len(own)}; allowed: (images, labels), or a list of pairs")
        images, labels = own
        try:
            if len(images) != len(labels):
                raise _wrong(config, f"{part}: gives {len(images):,} images and {len(labels):,} labels")
        except TypeError:
            raise _wrong(config, f"{part}: gives images or labels without a length; allowed: arrays or lists") from None
        yield from zip(images, labels, strict=True)
        return
    if not isinstance(own, Iterable) or isinstance(own, (str, bytes)):
        raise _wrong(config, f"{part}: gives a {type(own).__name__}; allowed: (images, labels), or pairs of these")
    pairs = iter(own)
    while True:
        try:
            pair = next(pairs)
        except StopIteration:
            return
        except MISTAKES as error:
            raise _failed(config, error) from error
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise _wrong(config, f"{part}: gives a {type(pair).__name__}; allowed: pairs (image, label)")
        yield pair[0], pair[1]


def _made(config: DataConfig) -> Any:
    """What the function of a source gives."""
    more = {"path": config.path} if takes_path(config.source) else {}
    try:
        made = SOURCES[config.source].read(**more)
    except MISTAKES as error:
        raise _failed(config, error) from error
    if isinstance(made, Mapping) and not (made and all(isinstance(one, str) for one in made)):
        raise _wrong(config, "gives a dictionary without names of parts; allowed: train, val and test")
    return made


def _image(config: DataConfig, where: str, image: Any) -> Any:
    """An image as an array of bytes, or one of Pillow's."""
    if isinstance(image, Image.Image):
        if image.mode in ("F", "I"):
            raise _wrong(config, f"{where} is a Pillow image of 32 bits (mode {image.mode}); allowed: modes of bytes")
        return image
    if not isinstance(image, np.ndarray):
        raise _wrong(config, f"{where} is a {type(image).__name__}; allowed: a numpy array or a Pillow image")
    if image.dtype != np.uint8:
        raise _wrong(config, f"{where} holds {image.dtype}; allowed: uint8, values from 0 to 255")
    if not image.size or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in DEPTHS)):
        raise _wrong(config, f"{where} has shape {image.shape}; allowed: (height, width) and (height, width, 3)")
    return image


def _label(config: DataConfig, where: str, label: Any) -> int | str:
    if isinstance(label, (int, np.integer)) and not isinstance(label, bool):
        return int(label)
    if isinstance(label, str) and label:
        return str(label)
    raise _wrong(config, f"{where} has the label {in_one_line(repr(label))[:60]}; allowed: whole numbers, or names")


def _content(image: Any) -> bytes:
    if isinstance(image, np.ndarray):
        return f"{image.shape}".encode() + bytes(image.tobytes())
    about = f"{image.mode} {image.size} {image.getexif().get(0x0112)} {image.getpalette()}"
    return about.encode() + bytes(image.tobytes())


def _as_png(image: Any) -> bytes:
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image)
    else:
        image = ImageOps.exif_transpose(image)
        image = image if image.mode in _MODES else image.convert("RGB")
    held = io.BytesIO()
    image.save(held, "PNG", compress_level=1)
    return held.getvalue()


def _failed(config: DataConfig, error: BaseException) -> InputError:
    if isinstance(error, InputError):
        return error
    return _wrong(config, mistake("SOURCES", config.source, error))


def _wrong(config: DataConfig, what: str) -> InputError:
    return InputError(f"data.source={config.source}: {in_one_line(what)}")
