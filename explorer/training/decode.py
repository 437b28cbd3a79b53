"""From the bytes of an image file to the bytes of its pixels."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from explorer.settings import DataConfig

# Formats by name: pillow would otherwise hand PostScript to whatever interpreter is on the path.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
MOST_PIXELS = 2**26
Image.MAX_IMAGE_PIXELS = None  # ours holds instead: pillow's own warns, and warnings are one for all threads
Bytes = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]


def decode(data: bytes, config: DataConfig) -> Bytes:
    """An image file as pixels `(channels, size, size)`, resized and cut to its middle where the settings say so.

    Raises ValueError with a short reason for one that cannot be used.
    """
    with _opened(data) as image:
        _refuse_size(image, config)
        found = _in_colours(image, config.channels)
        return _array(found if config.resize is None else _middle(found, config.resize, config.image_size))


def decode_cropped(data: bytes, config: DataConfig, box: Box) -> Bytes:
    """A part of an image as pixels `(channels, size, size)`: `box` is left, top, width, height as shares of it."""
    with _opened(data) as image:
        width, height = image.size
        left, top = box[0] * width, box[1] * height
        corners = (left, top, left + box[2] * width, top + box[3] * height)
        size = (config.image_size, config.image_size)
        found = _in_colours(image, config.channels)
        return _array(found.resize(size, Image.Resampling.BILINEAR, box=corners, reducing_gap=2.0))


def check(data: bytes, config: DataConfig) -> None:
    """Read an image file to its end, as small as its format allows. Raises ValueError with a short reason."""
    with _opened(data, load=False) as image:
        _refuse_size(image, config)
        try:
            image.draft("L", (1, 1))  # JPEG: decoded at an eighth of its size, several times as fast
            image.load()
        except Exception as error:  # noqa: BLE001 - as in _opened
            raise ValueError(_reason(error)) from None


def image_size_of(data: bytes) -> tuple[int, int]:
    """Width and height in pixels, without decoding them."""
    with _opened(data, load=False) as image:
        return image.size


@contextmanager
def _opened(data: bytes, *, load: bool = True) -> Iterator[Image.Image]:
    """An image of a file that is one, with its pixels where they are loaded. Raises ValueError with a short reason."""
    if not data:
        raise ValueError("empty")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        problem = _problem(image)
        if load and not problem:
            image.load()
    except UnidentifiedImageError:
        raise ValueError("not an image") from None
    except Exception as error:  # noqa: BLE001 - the formats' readers raise what they like for a damaged file
        raise ValueError(_reason(error)) from None
    with image:
        if problem:
            raise ValueError(problem)
        yield image


def _problem(image: Image.Image) -> str:
    """What keeps an image from being used before its pixels are looked at; empty where nothing does."""
    if image.width * image.height > MOST_PIXELS:
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
        image = Image.fromarray((np.asarray(image, dtype=np.float64) / 257).clip(0, 255).round().astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("L" if channels == 1 else "RGB")


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
