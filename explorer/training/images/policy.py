"""RandAugment and TrivialAugment for whole batches on the device, from numbers drawn on the CPU for each step.

Both draw from the same 14 operations (Cubuk et al., 1909.13719, section 3.1), and every image of a batch has one of its
own. On a CPU each operation works on its images alone; on a GPU on all of them, of which its own are taken, so that
nothing waits for the device and a graph can hold a step.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name
from torch import Tensor

from explorer.study.settings import Recipe
from explorer.training.images.augment import Boxes, grey

OPERATIONS = (
    *("identity", "shear_x", "shear_y", "translate_x", "translate_y", "rotate"),
    *("brightness", "contrast", "color", "sharpness"),
    *("posterize", "solarize", "autocontrast", "equalize"),
)
PLACE = {name: place for place, name in enumerate(OPERATIONS)}
# Values at full strength: shear as a slope, translation as a share of the side, rotation in degrees, factors of colour
# as a distance from 1, bits that posterize takes away, levels by which solarize's threshold falls. RandAugment's are
# those of AutoAugment (1805.09501, appendix), TrivialAugment's the "wide" ones (2103.10158, appendix), of whose
# translation the pixels are said.
STANDARD = {"shear": 0.3, "translate": 150 / 331, "rotate": 30.0, "factor": 0.9, "posterize": 4, "solarize": 256}
WIDE = {"shear": 0.99, "rotate": 135.0, "factor": 0.99, "posterize": 6, "solarize": 256}
PIXELS = 32
TOP = 255.0
Change = Callable[..., Tensor]


def layers_of(recipe: Recipe) -> int:
    """How many operations are applied to an image, one after the other."""
    return recipe.rand_augment[0] if recipe.rand_augment else int(recipe.trivial_augment)


def drawn_policy(recipe: Recipe, images: int, size: int, rng: np.random.Generator) -> Boxes:
    """Operations and their values for a batch: `(layers, images, 2)`, place in `OPERATIONS` and what it is told.

    `size` is that of the images' sides in pixels.
    """
    layers = layers_of(recipe)
    places = rng.integers(0, len(OPERATIONS), (layers, images))
    signs = np.where(rng.random((layers, images)) < 0.5, -1.0, 1.0)
    strengths = rng.random((layers, images))
    if recipe.rand_augment:
        strengths = np.full_like(strengths, recipe.rand_augment[1] / 10)
    most = STANDARD if recipe.rand_augment else {**WIDE, "translate": min(1.0, PIXELS / size)}
    values = np.zeros((layers, images))
    for name, place in PLACE.items():
        here = places == place
        kind = name.split("_")[0]
        if kind in ("shear", "translate"):
            values[here] = (signs * strengths * most[kind])[here]
        elif kind == "rotate":
            values[here] = np.radians(signs * strengths * most[kind])[here]
        elif kind in ("brightness", "contrast", "color", "sharpness"):
            values[here] = (1 + signs * strengths * most["factor"])[here]
        elif kind == "posterize":  # as the size of a step between two levels
            values[here] = 2 ** np.round(strengths * most[kind])[here]
        elif kind == "solarize":
            values[here] = (256 - strengths * most[kind])[here]
    return np.stack([places, values], axis=2)


def with_policy(images: Tensor, drawn: Tensor, mean: Tensor, top: float, *, some: bool) -> Tensor:
    """A batch `(n, channels, height, width)` of levels 0 to `top`, after its operations `drawn` `(layers, n, 2)`.

    What an image leaves uncovered gets the `mean` colour `(channels,)`; warped pixels are interpolated linearly. Each
    operation gives whole levels of 255, as those of 8-bit images do. With `some` it is given its own images alone.
    """
    images, mean = images * (TOP / top), mean * (TOP / top)
    for layer in drawn:
        images = _one_each(images, layer[:, 0], layer[:, 1], mean.view(1, -1, 1, 1), some=some)
    return images * (top / TOP)


def _one_each(images: Tensor, places: Tensor, values: Tensor, mean: Tensor, *, some: bool) -> Tensor:
    def only(chosen: Tensor, change: Change, *given: Tensor) -> None:
        nonlocal images
        if some:
            rows = chosen.nonzero()[:, 0]
            if len(rows):
                changed = change(images[rows], *(one[rows] for one in given))
                images = images.index_copy(0, rows, changed.clamp(0, TOP).round())
        else:
            changed = change(images, *given).clamp(0, TOP).round()
            images = torch.where(chosen.view(-1, 1, 1, 1), changed, images)

    def is_of(name: str) -> Tensor:
        return places == PLACE[name]

    warped = (places >= PLACE["shear_x"]) & (places <= PLACE["rotate"])
    only(warped, partial(_warped, mean), places, values)
    for name, end in _ENDS.items():
        only(is_of(name), partial(_blended, end), values)
    only(is_of("posterize"), _posterized, values)
    only(is_of("solarize"), _solarized, values)
    only(is_of("autocontrast"), _autocontrasted)
    only(is_of("equalize"), _equalized)
    return images


def _warped(mean: Tensor, images: Tensor, places: Tensor, values: Tensor) -> Tensor:
    zero = torch.zeros_like(values)

    def of(name: str) -> Tensor:
        return torch.where(places == PLACE[name], values, zero)

    angle = of("rotate")
    rows = [
        torch.stack([angle.cos(), of("shear_x") - angle.sin(), 2 * of("translate_x")], dim=1),
        torch.stack([of("shear_y") + angle.sin(), angle.cos(), 2 * of("translate_y")], dim=1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return F.grid_sample(images - mean, grid, padding_mode="zeros", align_corners=False) + mean


def _blended(end: Callable[[Tensor], Tensor], images: Tensor, factors: Tensor) -> Tensor:
    factors = factors.view(-1, 1, 1, 1)
    return factors * images + (1 - factors) * end(images)


def _smooth(images: Tensor) -> Tensor:
    """Each pixel within the border as the mean of itself, five times, and its eight neighbours, as Pillow's SMOOTH."""
    height, width = images.shape[2:]
    if min(height, width) < 3:
        return images
    total = 4 * images[:, :, 1:-1, 1:-1]
    for row in range(3):
        for column in range(3):
            total = total + images[:, :, row : height - 2 + row, column : width - 2 + column]
    found = images.clone()
    found[:, :, 1:-1, 1:-1] = (total / 13).round()
    return found


_ENDS: dict[str, Callable[[Tensor], Tensor]] = {
    "brightness": torch.zeros_like,
    "contrast": lambda images: grey(images).mean(dim=(2, 3), keepdim=True).round(),
    "color": grey,
    "sharpness": _smooth,
}


def _posterized(images: Tensor, steps: Tensor) -> Tensor:
    steps = steps.view(-1, 1, 1, 1).clamp(min=1)  # of other operations the value says something else
    return (images / steps).floor() * steps


def _solarized(images: Tensor, thresholds: Tensor) -> Tensor:
    return torch.where(images >= thresholds.view(-1, 1, 1, 1), TOP - images, images)


def _autocontrasted(images: Tensor) -> Tensor:
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    return torch.where(high > low, (images - low) * (TOP / (high - low).clamp(min=1)), images)


def _equalized(images: Tensor) -> Tensor:
    """Levels spread so that as many pixels have each, channel by channel, with Pillow's rounding."""
    pixels = images.round().flatten(2).contiguous()
    ordered = pixels.sort(dim=2).values
    below = torch.searchsorted(ordered, pixels)  # how many pixels are darker
    step = (torch.searchsorted(ordered, ordered[:, :, -1:].contiguous())) // 255
    spread = ((below + step // 2) // step.clamp(min=1)).clamp(max=255).to(images.dtype)
    return torch.where(step > 0, spread, pixels).view(images.shape)
