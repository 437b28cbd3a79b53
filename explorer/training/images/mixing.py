"""Random erasing, Mixup and CutMix of whole batches on the device, from numbers drawn on the CPU for each step."""

import math

import numpy as np
import torch
from torch import Tensor

from explorer.study.settings import Recipe
from explorer.training.images.augment import ATTEMPTS, Boxes

ERASED = (0.02, 0.4)  # range of the share of the image's area
ASPECTS = (0.3, 1 / 0.3)


def drawn_erasing(recipe: Recipe, images: int, size: int, rng: np.random.Generator) -> Boxes:
    """Rectangles to erase: `(images, 4)`, first row, row behind, first column, column behind; 0, 0 where there is none.

    Area uniform in 2 to 40 % of the image, aspect log-uniform from 0.3 to 3.33, the first of ten attempts that fits
    (Zhong et al., 1708.04896, section 3; the aspect as in torchvision and timm).
    """
    erased = rng.random(images) < recipe.erasing
    uniform = rng.random((images, ATTEMPTS, 4))
    area = (ERASED[0] + (ERASED[1] - ERASED[0]) * uniform[:, :, 0]) * size**2
    aspect = np.exp(np.log(ASPECTS[0]) + (np.log(ASPECTS[1]) - np.log(ASPECTS[0])) * uniform[:, :, 1])
    height, width = np.round(np.sqrt(area * aspect)), np.round(np.sqrt(area / aspect))
    fits = (height < size) & (width < size)
    first, rows = fits.argmax(axis=1), np.arange(images)
    height, width = height[rows, first], width[rows, first]
    top = np.floor(uniform[rows, first, 2] * (size - height + 1))
    left = np.floor(uniform[rows, first, 3] * (size - width + 1))
    boxes = np.stack([top, top + height, left, left + width], axis=1)
    return np.where((erased & fits.any(axis=1))[:, None], boxes, 0.0)


def erased(images: Tensor, boxes: Tensor) -> Tensor:
    """Normalised images with rectangles of zeros, which is the mean colour."""
    return images.masked_fill(_within(boxes, images.shape[-1]), 0.0)


def drawn_mixing(recipe: Recipe, size: int, rng: np.random.Generator) -> Boxes:
    """How a batch is mixed: `(6,)`.

    The share of an image's own colours, the rectangle of the other image as in `drawn_erasing`, and the share of an
    image's own label: of what the rectangle covers within the border, as in CutMix's code.
    """
    cuts = bool(recipe.cutmix) and (not recipe.mixup or rng.random() < 0.5)
    alpha = recipe.cutmix if cuts else recipe.mixup
    share = float(rng.beta(alpha, alpha))
    centre = rng.random(2) * size
    if not cuts:
        return np.array([share, 0, 0, 0, 0, share])
    half = size * math.sqrt(1 - share) / 2
    ends = [float(np.clip(np.round(one + sign * half), 0, size)) for one in centre for sign in (-1, 1)]
    area = (ends[1] - ends[0]) * (ends[3] - ends[2])
    return np.array([1.0, *ends, 1 - area / size**2])


def mixed(images: Tensor, labels: Tensor, drawn: Tensor, recipe: Recipe, classes: int) -> tuple[Tensor, Tensor]:
    """Each image mixed with the one before it in the batch, whose order is random, and the shares of their classes.

    Labels are numbers `(n,)`; the shares are `(n, classes)`. The share of colours and of labels is one for the batch.
    """
    others = images.roll(1, 0)
    if recipe.mixup:
        images = others + drawn[0] * (images - others)
    if recipe.cutmix:
        images = torch.where(_within(drawn[None, 1:5], images.shape[-1]), others, images)
    own = (labels[:, None] == torch.arange(classes, device=labels.device)).float()
    return images, own.roll(1, 0) + drawn[5] * (own - own.roll(1, 0))


def _within(boxes: Tensor, size: int) -> Tensor:
    """Masks of rectangles `(n, 4)`: booleans `(n, 1, size, size)`."""
    pixels = torch.arange(size, device=boxes.device)
    top, below, left, behind = (one[:, None] for one in boxes.unbind(dim=1))
    rows, columns = (pixels >= top) & (pixels < below), (pixels >= left) & (pixels < behind)
    return (rows[:, :, None] & columns[:, None, :])[:, None]
