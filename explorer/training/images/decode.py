"""Decode image files to pixels.

Images are decoded as people see them: rotated by their EXIF orientation, as the datasets library does, and on white
where transparent, since hidden colours have no meaning. Colour profiles are not applied, as usual for such data.
"""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from explorer.host.formatting import in_one_line
from explorer.study.settings import DataConfig

# Allowed formats: with all of them, pillow would pass PostScript to any interpreter on the path.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
# At 4 bytes a pixel and up to four copies while decoding: less than a gigabyte.
MOST_PIXELS = 2**26
MOST_OF = {"WEBP": MOST_PIXELS // 2}  # its decoder holds two more copies
LARGE = 2**22  # pixels; a process decodes larger images one at a time, with any number of threads
ROWS = 2**20  # 16-bit pixels scaled at once
MOST_AT_ONCE = 2**16  # bytes of a file that pillow gives its decoders at once
# Kinds of segments in the header of a JPEG file: sequential and progressive frames, the scan, and what is usual beside.
_FRAMES, _SCAN, _USUAL = {0xC0, 0xC2}, 0xDA, {0xE0, 0xDB, 0xC4, 0xDD}
_ALONE = threading.Lock()
Image.MAX_IMAGE_PIXELS = None  # MOST_PIXELS is used: pillow's own limit warns, and warnings are not thread-safe
Bytes = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]


def decode(data: bytes, config: DataConfig) -> Bytes:
    """Decode an image file to pixels `(channels, size, size)`, resized and centre-cropped as the settings say.

    Raises ValueError with a short reason for an unusable image.
    """
    if config.resize is None and (plain := _plain_jpeg(data, config)) is not None:
        return plain
    with _opened(data) as image:
        _refuse_size(image, config)
        found = _in_colours(image, config.channels)
        return _array(found if config.resize is None else _middle(found, config.resize, config.image_size))


def _plain_jpeg(data: bytes, config: DataConfig) -> Bytes | None:
    """Pixels of a small JPEG file without metadata that has the size and the colours of the settings; None for others.

    pillow's own decoder gives the same bits. Its reading of the header takes twice as long as decoding 32x32 pixels, in
    Python, where threads wait for each other.
    """
    size, mode = config.image_size, "L" if config.channels == 1 else "RGB"
    if len(data) > MOST_AT_ONCE or _jpeg_shape(data) != (size, size, config.channels):
        return None
    whole = (0, 0, size, size)
    with suppress(Exception):  # what is unusual or damaged is read as any other file, which says what is wrong with it
        image = Image.core.new(mode, (size, size))  # type: ignore[attr-defined]
        decoder = Image._getdecoder(mode, "jpeg", (mode, ""), ())
        decoder.setimage(image, whole)
        done, error = decoder.decode(data)
        if done >= 0 or error < 0:
            return None
        encoder = Image._getencoder(mode, "raw", (mode,), ())
        encoder.setimage(image, whole)
        _, ended, pixels = encoder.encode(config.channels * size**2)
        if ended > 0:
            found = np.frombuffer(pixels, dtype=np.uint8).reshape(size, size, config.channels)
            return np.ascontiguousarray(found.transpose(2, 0, 1))
    return None


def _jpeg_shape(data: bytes) -> tuple[int, int, int] | None:
    """Width, height and channels of a JPEG file with nothing unusual in its header; None for anything else."""
    place, found, last = 2, None, len(data) - 10
    while 2 <= place < last and data[:2] == b"\xff\xd8" and data[place] == 0xFF:
        kind = data[place + 1]
        if kind == _SCAN:
            return found
        if kind in _FRAMES and data[place + 4] == 8:
            found = (data[place + 7] << 8 | data[place + 8], data[place + 5] << 8 | data[place + 6], data[place + 9])
        elif kind not in _USUAL:
            return None
        place += 2 + (data[place + 2] << 8 | data[place + 3])
    return None


def decode_cropped(data: bytes, config: DataConfig, box_of: Callable[[int, int], Box]) -> Bytes:
    """Decode a crop of an image file to pixels `(channels, size, size)`.

    `box_of` gives the crop for a width and a height in pixels: left, top, width, height as fractions of them.
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
    """Decode a whole image file, as small as its format allows, to find damage. Raises ValueError with a reason."""
    with _opened(data, load=False) as image:
        _refuse_size(image, config)
        with _told():
            image.draft("L", (1, 1))  # JPEG: decoded at an eighth of its size, several times as fast
            image.load()


def look(data: bytes, config: DataConfig) -> None:
    """Check the header of an image file without decoding it. Raises ValueError with a short reason."""
    with _opened(data, load=False) as image:
        _refuse_size(image, config)


def header(data: bytes | Path) -> tuple[int, int, bool]:
    """Width, height, and whether it is grey, of an image file in memory or at a path, from its first bytes.

    Raises ValueError with a short reason for what is no image that can be used, and OSError for what cannot be read.
    """
    if not data:
        raise ValueError("empty")
    stream = io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")
    with stream, _told(), Image.open(stream, formats=FORMATS) as image:
        problem = _problem(image)
        found = image.width, image.height, image.mode[:1] in ("1", "L", "I")
    if problem:
        raise ValueError(problem)
    return found


@contextmanager
def _opened(data: bytes, *, load: bool = True) -> Iterator[Image.Image]:
    """Open an image file, by default with its pixels. Raises ValueError with a short reason if it is none."""
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
            with suppress(Exception):  # damaged EXIF data does not make the pixels unusable
                ImageOps.exif_transpose(image, in_place=True)  # cameras store the sensor's view and how they were held
        with image:
            yield image


@contextmanager
def _told() -> Iterator[None]:
    """Turn any exception of a format's reader, as for a damaged file, into a ValueError with a short reason."""
    try:
        yield
    except UnidentifiedImageError:
        raise ValueError("not an image") from None
    except Exception as error:  # noqa: BLE001 - the formats' readers raise any type
        raise ValueError(_reason(error)) from None


def _problem(image: Image.Image) -> str:
    """Why an image cannot be used, from its header alone; "" if it can."""
    if image.width * image.height > MOST_OF.get(image.format or "", MOST_PIXELS):
        return f"{image.width}x{image.height} pixels, more than an image should have"
    # pillow holds 16 bits of grey of these two formats in pixels of 32, scaled to 65,535.
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
        return "pixels of 32 bits, allowed 8 or 16"
    return ""


def _reason(error: Exception) -> str:
    text = in_one_line(error).lower()
    return "truncated" if "truncated" in text or "end of file" in text else f"cannot be decoded: {text[:80]}"


def _in_colours(image: Image.Image, channels: int) -> Image.Image:
    """Convert to grey or colour. 16-bit images are scaled down; pillow alone would clip them at 255."""
    if image.mode.startswith("I"):  # older versions of pillow open 16-bit PNGs as 32-bit ones
        image = Image.fromarray(_of_8_bits(np.asarray(image)))
    if image.has_transparency_data:
        image = _over_white(image.convert("RGBA"))
    return image.convert("L" if channels == 1 else "RGB")


def _of_8_bits(pixels: npt.NDArray[Any]) -> Bytes:
    """Scale 16-bit grey pixels `(height, width)` to 8 bits, some rows at a time: floats take eight bytes each."""
    found = np.empty(pixels.shape, np.uint8)
    step = max(1, ROWS // pixels.shape[1])
    for row in range(0, len(pixels), step):
        part = pixels[row : row + step].astype(np.float64)
        found[row : row + step] = (part / 257).clip(0, 255).round()
    return found


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
    # A very thin image would become a ribbon as many times longer than wide.
    if config.resize is not None and config.resize**2 * max(image.size) > MOST_PIXELS * min(image.size):
        raise ValueError(f"{image.width}x{image.height} pixels, too thin to be resized to {config.resize}")
