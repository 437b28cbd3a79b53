"""Augmentation of whole batches on the device, from random numbers drawn on the CPU."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name
from torch import Tensor

from explorer.settings import Recipe


@dataclass(frozen=True)
class Draws:
    """The random decisions for a set of images: offsets `(n, 2)` from 0 to 2 * shift, mirrored or not `(n,)`."""

    offsets: Tensor
    mirrored: Tensor

    def batch(self, start: int, stop: int) -> "Draws":
        """The decisions for images `start` to `stop`."""
        return Draws(self.offsets[start:stop], self.mirrored[start:stop])


def draw(recipe: Recipe, images: int, generator: torch.Generator, device: str) -> Draws:
    """Decide for one epoch at once. The same numbers are drawn whatever the recipe uses of them."""
    offsets = torch.randint(0, 2 * recipe.shift + 1, (images, 2), generator=generator)
    mirrored = torch.rand(images, generator=generator) < (0.5 if recipe.flip else 0.0)
    return Draws(offsets.to(device), mirrored.to(device))


def normalised(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Bytes `(batch, channels, height, width)` as float32 with mean zero and deviation one, channels last in memory."""
    floats = (images.float() - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)
    return floats.contiguous(memory_format=torch.channels_last)


def augmented(images: Tensor, draws: Draws, recipe: Recipe) -> Tensor:
    """Shift each image by its own offset over a border of the mean colour, and mirror those that were drawn.

    Zero is the mean after normalisation, so a zero border is the mean, as in the paper's code.
    """
    if recipe.shift:
        images = _cropped(F.pad(images, (recipe.shift,) * 4), draws.offsets, images.shape[-1])
    if recipe.flip:
        images = torch.where(draws.mirrored.view(-1, 1, 1, 1), images.flip(-1), images)
    return images.contiguous(memory_format=torch.channels_last)


def _cropped(padded: Tensor, offsets: Tensor, size: int) -> Tensor:
    steps = torch.arange(size, device=padded.device)
    rows = (offsets[:, :1] + steps)[:, :, None]
    columns = (offsets[:, 1:] + steps)[:, None, :]
    image = torch.arange(len(padded), device=padded.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[image, rows, columns].permute(0, 3, 1, 2)


def batches(order: Tensor, size: int) -> Iterator[tuple[int, int, Tensor]]:
    """Start, stop and image numbers of each whole batch; a last part that would starve batch norm is left out."""
    for start in range(0, len(order) - size + 1, size):
        yield start, start + size, order[start : start + size]
