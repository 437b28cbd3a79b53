"""From the bytes of an image file to the bytes of its pixels.

As people see it: turned as its EXIF orientation says, as the datasets library does, and over white where it is
transparent, since colours that nobody sees mean nothing. Colour profiles are not applied, as they are not elsewhere.
"""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from explorer.study.settings import DataConfig

# Formats by name: pillow would otherwise hand PostScript to whatever interpreter is on the path.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
# Of 4 bytes and in up to four copies while they are decoded: less than a gigabyte.
MOST_PIXELS = 2**26
MOST_OF = {"WEBP": MOST_PIXELS // 2}  # whose decoder holds two copies of its own
LARGE = 2**22  # pixels; of larger images a process decodes one at a time, however many threads it has
ROWS = 2**20  # pixels of 16 bits that are scaled at once
_ALONE = threading.Lock()
Image.MAX_IMAGE_PIXELS = None  # ours holds instead: pillow's own warns, and warnings are one for all threads
Bytes = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]
# What undoes each value of the EXIF orientation (EXIF 2.32, table 6).
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(data: bytes, config: DataConfig) -> Bytes:
    """An image file as pixels `(channels, size, size)`, resized and cut to its middle where the settings say so.

    Raises ValueError with a short reason for one that cannot be used.
    """
    with _opened(data) as image:
        _refuse_size(image, config)
        found = _in_colours(image, config.channels)
        return _array(found if config.resize is None else _middle(found, config.resize, config.image_size))


def decode_cropped(data: bytes, config: DataConfig, box_of: Callable[[int, int], Box]) -> Bytes:
    """A part of an image as pixels `(channels, size, size)`.

    `box_of` gives the part for a width and a height in pixels: left, top, width, height as shares of them.
    """
    with _opened(data) as image:
        found = _in_colours(image, config.channels)
        width, height = found.size
        box = box_of(width, height)
        left, top = box[0] * width, box[1] * height
        corners = (left, top, left + box[2] * width, top + box[3] * height)
        size = (config.image_size, config.image_size)
        return _array(found.resize(size, Image.Resampling.BILINEAR, box=corners, reducing_gap=2.0))


def check(data: bytes, config: DataConfig) -> None:
    """Read an image file to its end, as small as its format allows. Raises ValueError with a short reason."""
    with _opened(data, load=False) as image:
        _refuse_size(image, config)
        with _told():
            image.draft("L", (1, 1))  # JPEG: decoded at an eighth of its size, several times as fast
            image.load()


def look(data: bytes, config: DataConfig) -> None:
    """Look at what an image file says of itself, no pixel of it. Raises ValueError with a short reason."""
    with _opened(data, load=False) as image:
        _refuse_size(image, config)


@contextmanager
def _opened(data: bytes, *, load: bool = True) -> Iterator[Image.Image]:
    """An image of a file that is one, with its pixels where they are loaded. Raises ValueError with a short reason."""
    if not data:
        raise ValueError("empty")
    with _told():
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        problem = _problem(image)
    if problem:
        raise ValueError(problem)
    with _ALONE if image.width * image.height > LARGE else nullcontext():
        if load:
            with _told():
                image.load()
                image = _upright(image)
        with image:
            yield image


@contextmanager
def _told() -> Iterator[None]:
    """Raise ValueError with a short reason for whatever a format's reader raises of a damaged file."""
    try:
        yield
    except UnidentifiedImageError:
        raise ValueError("not an image") from None
    except Exception as error:  # noqa: BLE001 - the formats' readers raise what they like
        raise ValueError(_reason(error)) from None


def _problem(image: Image.Image) -> str:
    """What keeps an image from being used before its pixels are looked at; empty where nothing does."""
    if image.width * image.height > MOST_OF.get(image.format or "", MOST_PIXELS):
        return f"{image.width}x{image.height} pixels, more than an image should have"
    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        return "pixels of 32 bits, allowed 8 or 16"
    return ""


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()).lower()
    return "truncated" if "truncated" in text or "end of file" in text else f"cannot be decoded: {text[:80]}"


def _in_colours(image: Image.Image, channels: int) -> Image.Image:
    """Grey or colour. Images of 16 bits are scaled down; pillow alone would cut them off at 255."""
    if image.mode.startswith("I"):  # older pillows open PNGs of 16 bits as of 32
        image = Image.fromarray(_of_8_bits(np.asarray(image)))
    if image.has_transparency_data:
        image = _over_white(image.convert("RGBA"))
    return image.convert("L" if channels == 1 else "RGB")


def _of_8_bits(pixels: npt.NDArray[Any]) -> Bytes:
    """Grey pixels `(height, width)` of 16 bits in 8, some rows at a time: as floats they take eight bytes."""
    found = np.empty(pixels.shape, np.uint8)
    step = max(1, ROWS // pixels.shape[1])
    for row in range(0, len(pixels), step):
        part = pixels[row : row + step].astype(np.float64)
        found[row : row + step] = (part / 257).clip(0, 255).round()
    return found


def _upright(image: Image.Image) -> Image.Image:
    """An image as it is meant to be seen: cameras store what their sensor sees, and beside it how they were held."""
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - a damaged note beside the pixels says nothing about them
        return image
    return image if turn is None else image.transpose(turn)


def _over_white(image: Image.Image) -> Image.Image:
    found = Image.new("RGB", image.size, "white")
    found.paste(image, mask=image.getchannel("A"))
    return found


def _middle(image: Image.Image, shorter: int, size: int) -> Image.Image:
    width, height = image.size
    scale = shorter / min(width, height)
    scaled = (max(size, round(width * scale)), max(size, round(height * scale)))
    image = image.resize(scaled, Image.Resampling.BILINEAR)
    left, top = (scaled[0] - size) // 2, (scaled[1] - size) // 2
    return image.crop((left, top, left + size, top + size))


def _array(image: Image.Image) -> Bytes:
    pixels = np.asarray(image, dtype=np.uint8)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def _refuse_size(image: Image.Image, config: DataConfig) -> None:
    size = config.image_size
    if config.resize is None and image.size != (size, size):
        raise ValueError(f"{image.width}x{image.height} pixels, needed {size}x{size}")
    # Of a line of pixels a ribbon would be made, as much longer than wide.
    if config.resize is not None and config.resize**2 * max(image.size) > MOST_PIXELS * min(image.size):
        raise ValueError(f"{image.width}x{image.height} pixels, too thin to be resized to {config.resize}")
