"""Classify image files with a network in float32: what `explorer predict` does with torch."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from explorer.study.preprocessing import Preprocessing
from explorer.study.settings import DataConfig
from explorer.training.images.augment import normalised
from explorer.training.images.decode import decode

AT_ONCE = 64  # images of one pass


def classified(
    paths: list[str], network: nn.Module, needs: Preprocessing, data: DataConfig
) -> Iterator[tuple[float, ...] | str]:
    """For each file the probability of every class, or a text that says why it cannot be used."""
    mean, std = torch.tensor(needs.mean), torch.tensor(needs.std)
    for start in range(0, len(paths), AT_ONCE):
        read = [_read(path, needs, data) for path in paths[start : start + AT_ONCE]]
        pixels = [one for one in read if not isinstance(one, str)]
        shares: Iterator[list[float]] = iter(())
        if pixels:
            with torch.inference_mode():
                shares = iter(network(normalised(torch.stack(pixels), mean, std)).softmax(dim=1).tolist())
        for one in read:
            yield one if isinstance(one, str) else tuple(next(shares))


def _read(path: str, needs: Preprocessing, data: DataConfig) -> Tensor | str:
    """The pixels of a file as training has them; a text with the reason if it cannot be used."""
    try:
        if not Path(path).is_file():
            return "is a folder, or not a regular file" if Path(path).exists() else "there is no such file"
        found = torch.tensor(decode(Path(path).read_bytes(), data))
    except (ValueError, OSError) as error:
        return str(error)
    high = needs.range[1]  # of a file it is 255, whatever it was of the training images
    return found if high == 255 else (found.int() * high / 255).round().to(torch.uint8)
