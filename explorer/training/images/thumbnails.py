"""Small pictures of a study's test images, for its page. Neither torch nor scikit-learn is loaded for the digits."""

import base64
import io
from collections.abc import Iterable

import numpy as np
from PIL import Image

from explorer.host.errors import InputError
from explorer.study.settings import DataConfig
from explorer.training.images.decode import Bytes, decode
from explorer.training.images.decoded_cache import Pools, pools
from explorer.training.images.digits import digit_pools
from explorer.training.images.drawing import places_of, split_digest
from explorer.training.images.source import BRIGHTEST, refuse_other_digits
from explorer.training.images.stored import Labels, Part

SIDE = 32  # pixels of the longer side; smaller images keep theirs
MOST_BYTES = 1200  # of a picture without loss; a larger one is stored as JPEG
QUALITY = 85  # of JPEG


def thumbnails(config: DataConfig, labels: Labels, data_hash: str, places: Iterable[int]) -> dict[int, str]:
    """Pictures of some test images by their places in test order: addresses of `data:`, of about a kilobyte each.

    Raises InputError where images cannot be read, or are others than those with these labels and of this hash.
    """
    found = digit_pools() if config.source == "digits" else pools(config)
    if config.source == "digits":
        refuse_other_digits(config)
    order = _test_images(config, found, labels, data_hash)
    brightest = BRIGHTEST.get(config.source, 255)
    return {place: _address(_pixels(config, *order[place]), brightest) for place in places}


def _test_images(config: DataConfig, found: Pools, labels: Labels, data_hash: str) -> list[tuple[Part, int]]:
    """The part and the place in it of each test image, in test order. Raises InputError for other images."""
    own = {name: part for name in ("train", "val", "test") if (part := getattr(found, name)) is not None}
    drawn = places_of(config, {name: part.labels for name, part in own.items()}, found.classes)
    order = [
        (own.get(name, found.train), int(place)) for name in ("test", "rest") for place in drawn.get(name, np.zeros(0))
    ]
    there = np.array([part.labels[place] for part, place in order])
    # The embedded digits have no hash of their own; their labels in test order are those of one split alone.
    is_same = np.array_equal(there, labels)
    if is_same and found.digest:
        before = "each " if config.split_seed == "each" else ""
        splits = [(own.get(name, found.train).labels[chosen], chosen) for name, chosen in drawn.items()]
        is_same = split_digest(before + found.digest, splits) == data_hash
    if not is_same:
        raise InputError(f"{config.place}: holds other images than those of the study; say where they are (data.path)")
    return order


def _pixels(config: DataConfig, part: Part, place: int) -> Bytes:
    """The pixels of an image as a network is given them, `(channels, size, size)`."""
    if part.images is not None:
        return np.asarray(part.images[place], np.uint8)
    assert part.encoded is not None
    return decode(part.encoded.read(place), config)


def _address(pixels: Bytes, brightest: int) -> str:
    """An image as an address of `data:`, no larger than it is to be shown."""
    bright = (pixels.astype(np.float64) * (255 / brightest)).round().astype(np.uint8)
    image = Image.fromarray(bright[0] if len(bright) == 1 else np.ascontiguousarray(bright.transpose(1, 2, 0)))
    image.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    text, kind = io.BytesIO(), "png"
    image.save(text, "PNG", optimize=True)
    if text.tell() > MOST_BYTES:
        text, kind = io.BytesIO(), "jpeg"
        image.save(text, "JPEG", quality=QUALITY)
    return f"data:image/{kind};base64,{base64.b64encode(text.getvalue()).decode()}"
