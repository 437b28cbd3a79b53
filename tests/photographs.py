"""Makes a folder of photograph-like images: three classes, unlike sizes, modes and orientations, names with accents.

    python -m tests.photographs FOLDER [COUNT] [FIRST]

COUNT images of each class, 60 by default; FIRST, 0 by default, is the number of the first one, so that new images can
be made that are unlike all others.
"""

import sys
import unicodedata
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

CLASSES = ("Café crème", "Forêt d'hiver", "Été à la mer")
MODES = ("RGB", "RGB", "L", "P", "RGBA", "CMYK", "I;16")
ENDINGS = {"RGB": "jpg", "L": "jfif", "P": "png", "RGBA": "png", "CMYK": "jpg", "I;16": "png"}
# How a camera was held, and what undoes that: the file holds what the sensor saw, turned.
ORIENTATIONS = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def photographs(folder: Path, count: int = 60, first: int = 0, largest: int = 240) -> Path:
    """Make the images below a folder, a folder for each class, and return it; one name is stored in NFD."""
    for number, name in enumerate(CLASSES):
        place = folder / (unicodedata.normalize("NFD", name) if number == 0 else name)
        place.mkdir(parents=True, exist_ok=True)
        for one in range(first, first + count):
            _save(_scene(number, np.random.default_rng([number, one]), largest), place, one)
    return folder


def _scene(kind: int, rng: np.random.Generator, largest: int) -> Image.Image:
    """A cup from above, bare trunks, or sea and sky, in any light, size and colour."""
    width, height = (int(side) for side in rng.integers(largest // 3, largest, 2))
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    if kind == 0:
        middle, radius = rng.uniform(0.35, 0.65, 2), rng.uniform(0.22, 0.38)
        shape = 1 / (1 + np.exp(40 * (np.hypot(x - middle[0], y - middle[1]) - radius)))
    elif kind == 1:
        shape = 0.5 + 0.5 * np.sin(2 * np.pi * (rng.uniform(3, 6) * x + rng.uniform(-0.4, 0.4) * y + rng.random()))
    else:
        line, waves = rng.uniform(0.35, 0.6), 0.2 * np.sin(2 * np.pi * (rng.uniform(6, 12) * y + rng.random()))
        shape = 1 / (1 + np.exp(60 * (line - y))) * (0.8 + waves)
    dark, light = np.sort(rng.uniform(20, 235, (2, 3)), axis=0)
    pixels = dark + (light - dark) * shape[..., None]
    pixels = (
        pixels * rng.uniform(0.8, 1.2)
        + rng.normal(0, 12, pixels.shape)
        + 30 * (rng.random() - 0.5) * (x + y)[..., None]
    )
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _save(seen: Image.Image, place: Path, number: int) -> None:
    mode = MODES[number % len(MODES)]
    orientation = [*ORIENTATIONS][number % len(ORIENTATIONS)]
    turn, exif = ORIENTATIONS[orientation], Image.Exif()
    exif[0x0112] = orientation
    held = seen if turn is None else seen.transpose(turn)
    path = place / f"IMG {number:04d}.{ENDINGS[mode]}"
    if mode == "I;16":
        grey: npt.NDArray[np.uint16] = np.asarray(held.convert("L"), dtype=np.uint16) * 257
        Image.fromarray(grey).save(path, exif=exif)
    elif mode == "P":
        held.quantize(64).save(path, exif=exif)
    else:
        held.convert(mode).save(path, "PNG" if path.suffix == ".png" else "JPEG", exif=exif)


if __name__ == "__main__":
    photographs(Path(sys.argv[1]), *map(int, sys.argv[2:4]))
