"""A source of images from outside: arrays that exist nowhere as files, here drawn stripes of four directions.

    explorer study=equal_params extensions=examples/numpy_data.py data=stripes name=stripes

A function gives images and labels, by part or in one; all else is as with a folder: what is not given as a part is
split off, content is hashed and cached, class names stand in the record, and an exported network knows how images are
prepared for it.
"""

import numpy as np
import numpy.typing as npt

import explorer as ex

SIDE = 16
Images = npt.NDArray[np.uint8]


def stripes(count: int, seed: int) -> tuple[Images, list[int]]:
    """Images `(count, 16, 16)` of bytes, each with stripes of a direction, a width and a phase of its own."""
    numbers = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    labels = np.arange(count) % 4
    angles = labels * np.pi / 4 + numbers.normal(0, 0.15, count)
    waves, phases = numbers.uniform(0.8, 1.6, count), numbers.uniform(0, 2 * np.pi, count)
    along = np.cos(angles)[:, None, None] * columns + np.sin(angles)[:, None, None] * rows
    bright = 128 + 80 * np.sin(waves[:, None, None] * along + phases[:, None, None])
    noise = numbers.normal(0, 40, (count, SIDE, SIDE))
    return (bright + noise).clip(0, 255).astype(np.uint8), labels.tolist()


SOURCES = {
    "stripes": ex.Source(
        lambda: {"train": stripes(600, seed=0), "test": stripes(1000, seed=1)},
        classes=("upright", "falling", "level", "rising"),
        label="Drawn stripes",
    )
}
