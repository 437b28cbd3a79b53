"""The digits that scikit-learn embeds, read without loading it or torch."""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from explorer.training.images.decoded_cache import Pools
from explorer.training.images.stored import Part


def digit_pools() -> Pools:
    """Handwritten digits as bytes `(1797, 1, 8, 8)` with values 0 to 16 (UCI "optdigits", scikit-learn's copy)."""
    # Read the file in scikit-learn's package directly: importing the library takes a second.
    package = find_spec("sklearn")
    assert package is not None
    assert package.origin is not None
    with gzip.open(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz", "rt") as file:
        rows = np.loadtxt(file, delimiter=",", dtype=np.int64)
    images, labels = rows[:, :64].reshape(-1, 1, 8, 8).astype(np.uint8), rows[:, 64].copy()
    return Pools(Part(images, labels, None), None, None, digest="", skipped=())
