"""Augmentation of whole batches on the device, from random numbers drawn on the CPU once an epoch."""

import math
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name
from torch import Tensor

from explorer.study.settings import Recipe

ATTEMPTS = 10  # tries to place a random crop within the image, as in Inception's and the ResNets' code
GREY = (0.299, 0.587, 0.114)
Boxes = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Draws:
    """The random decisions for n images; those that the recipe does not need have no elements.

    offsets   `(n, 2)` whole pixels from 0 to 2 * shift
    mirrored  `(n,)` whether to mirror
    holes     `(n, 2)` centres of the squares to cut out, as fractions of the side
    factors   `(n, 3)` of brightness, contrast and saturation
    order     `(n, 3)` in which these three are applied
    lighting  `(n, 3)` shifts along the colours' principal axes, in their standard deviations
    boxes     `(n, 4)` left, top, width and height of crops, as fractions of the image; empty if there are none
    """

    offsets: Tensor
    mirrored: Tensor
    holes: Tensor
    factors: Tensor
    order: Tensor
    lighting: Tensor
    boxes: Tensor

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of them, in the order of the fields."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def batch(self, start: int, stop: int) -> "Draws":
        """The decisions for images `start` to `stop`."""
        return Draws(*(numbers[start:stop] for numbers in self.tensors))


def draw(recipe: Recipe, images: int, generator: torch.Generator, device: str, *, boxes: bool = True) -> Draws:
    """Draw the random decisions of one epoch. The same numbers are drawn whichever of them the recipe uses.

    With `boxes=False` no crops are drawn: streamed images have different sizes and are cropped when they are read.
    """
    offsets = torch.randint(0, 2 * recipe.shift + 1, (images, 2), generator=generator)
    mirrored = torch.rand(images, generator=generator) < (0.5 if recipe.flip else 0.0)
    holes = torch.rand((images, 2), generator=generator)
    factors = 1 + recipe.jitter * (2 * torch.rand((images, 3), generator=generator) - 1)
    order = torch.rand((images, 3), generator=generator).argsort(dim=1)
    lighting = recipe.lighting * torch.randn((images, 3), generator=generator)
    key = int(torch.randint(0, 2**62, (), generator=generator))
    found = torch.empty(images, 0)
    if boxes and recipe.crop_area is not None:
        uniform = np.random.default_rng(key).random((images, ATTEMPTS, 4))
        found = torch.from_numpy(crop_boxes(uniform, np.ones((images, 2)), recipe)).float()
    drawn = (offsets, mirrored, holes, factors, order, lighting, found)
    needs = (recipe.shift, recipe.flip, recipe.cutout, recipe.jitter, recipe.jitter, recipe.lighting, True)
    return Draws(
        *((numbers if needed else numbers[:0]).to(device) for numbers, needed in zip(drawn, needs, strict=True))
    )


def crop_boxes(uniform: Boxes, sides: Boxes, recipe: Recipe) -> Boxes:
    """Random crops `(n, 4)`: left, top, width, height as shares of images with `sides` `(n, 2)`, width and height.

    Area uniform in `recipe.crop_area`, aspect log-uniform from 3/4 to 4/3 (Szegedy et al., 1409.4842, section 6);
    the first of ten attempts that fits, else the whole image. `uniform` has shape `(n, 10, 4)`.
    """
    assert recipe.crop_area is not None
    low, high = recipe.crop_area
    area = low + (high - low) * uniform[:, :, 0]
    aspect = np.exp(math.log(4 / 3) * (2 * uniform[:, :, 1] - 1)) * (sides[:, 1] / sides[:, 0])[:, None]
    width, height = np.sqrt(area * aspect), np.sqrt(area / aspect)
    fits = (width <= 1) & (height <= 1)
    first, any_fits = fits.argmax(axis=1), fits.any(axis=1)
    rows = np.arange(len(uniform))
    width, height = (np.where(any_fits, shares[rows, first], 1.0) for shares in (width, height))
    left, top = uniform[rows, first, 2] * (1 - width), uniform[rows, first, 3] * (1 - height)
    return np.stack([left, top, width, height], axis=1)


def coloured(images: Tensor, draws: Draws, recipe: Recipe, axes: Tensor) -> Tensor:
    """Images in units of a byte with other brightness, contrast, saturation and light, each drawn for each image.

    `axes` `(channels, channels)` holds the principal axes of the training images' colours, each as long as their
    standard deviation along it (Krizhevsky et al., 2012, section 4.1; ResNet's code for the rest).
    """
    if recipe.jitter:
        for step in range(3):
            for change, end in enumerate(_ENDS):
                factor = draws.factors[:, change].view(-1, 1, 1, 1)
                here = (draws.order[:, step] == change).view(-1, 1, 1, 1)
                images = torch.where(here, factor * images + (1 - factor) * end(images), images)
    if recipe.lighting:
        shift = draws.lighting[:, : len(axes)] @ axes.t()
        images = images + shift[:, :, None, None]
    return images


def grey(images: Tensor) -> Tensor:
    """The brightness of each pixel, `(n, 1, height, width)`; grey images are as they are."""
    if images.shape[1] == 1:
        return images
    # Made on the device: a copy from the host would wait in every step.
    weights = torch.cat([images.new_full((1,), part) for part in GREY]).view(1, 3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True)


def _black(images: Tensor) -> Tensor:
    return torch.zeros_like(images)


def _mean_grey(images: Tensor) -> Tensor:
    return grey(images).mean(dim=(2, 3), keepdim=True)


_ENDS = (_black, _mean_grey, grey)  # the images at factor 0 of brightness, contrast and saturation


def normalised(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Bytes `(batch, channels, height, width)` as float32 with mean zero and deviation one, channels last in memory."""
    floats = (images.float() - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)
    return floats.contiguous(memory_format=torch.channels_last)


def augmented(images: Tensor, draws: Draws, recipe: Recipe) -> Tensor:
    """Crop, shift, mirror and cut out, each image by its own draws, over a border of the mean colour.

    Zero is the mean after normalisation, so a zero border is the mean, as in the paper's code. Images whose boxes are
    empty were cropped when they were read.
    """
    if recipe.crop_area is not None and draws.boxes.shape[1]:
        images = _resized_crops(images, draws.boxes)
    if recipe.shift:
        images = _cropped(F.pad(images, (recipe.shift,) * 4), draws.offsets, images.shape[-1])
    if recipe.flip:
        images = torch.where(draws.mirrored.view(-1, 1, 1, 1), images.flip(-1), images)
    if recipe.cutout:
        images = images.masked_fill(_holes(draws.holes, recipe.cutout, images.shape[-1]), 0.0)
    return images.contiguous(memory_format=torch.channels_last)


def _cropped(padded: Tensor, offsets: Tensor, size: int) -> Tensor:
    steps = torch.arange(size, device=padded.device)
    rows = (offsets[:, :1] + steps)[:, :, None]
    columns = (offsets[:, 1:] + steps)[:, None, :]
    image = torch.arange(len(padded), device=padded.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[image, rows, columns].permute(0, 3, 1, 2)


def _resized_crops(images: Tensor, boxes: Tensor) -> Tensor:
    left, top, width, height = boxes.unbind(dim=1)
    zero = torch.zeros_like(left)
    # Image coordinates run from -1 to 1, so a box's centre is 2 * (left + width / 2) - 1.
    rows = [torch.stack([width, zero, 2 * left + width - 1], dim=1)]
    rows += [torch.stack([zero, height, 2 * top + height - 1], dim=1)]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _holes(centres: Tensor, side: int, size: int) -> Tensor:
    """Masks of squares around centres, cut off at the border: booleans `(n, 1, size, size)`."""
    pixels = torch.arange(size, device=centres.device)
    first = (centres * size).floor().long() - side // 2
    rows, columns = ((pixels >= start[:, None]) & (pixels < start[:, None] + side) for start in first.unbind(dim=1))
    return (rows[:, :, None] & columns[:, None, :])[:, None]
