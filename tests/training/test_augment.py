"""Augmentation from decisions drawn in advance, each against a plain computation for one image."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from PIL import Image

from explorer.study.settings import Recipe, StudyConfig
from explorer.training.images.augment import augmented, coloured, crop_boxes, draw
from explorer.training.streams import stream
from tests.training.test_parts import decided


@pytest.fixture
def recipe(tiny: StudyConfig) -> Recipe:
    return tiny.recipe


def test_a_square_is_cut_out_around_its_own_centre_and_at_the_border_cut_off(recipe: Recipe) -> None:
    images = torch.ones(2, 1, 4, 4)
    holes = torch.tensor([[0.5, 0.5], [0.0, 0.99]])
    cut = augmented(images, decided(2, holes=holes), replace(recipe, cutout=2))
    assert cut[0, 0].tolist() == [[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]]
    assert cut[1, 0].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]


def test_crops_have_the_recipes_areas_and_aspects_and_lie_within(recipe: Recipe) -> None:
    uniform = np.random.default_rng(0).random((4000, 10, 4))
    sides = np.random.default_rng(1).integers(50, 400, (4000, 2)).astype(float)
    boxes = crop_boxes(uniform, sides, replace(recipe, crop_area=(0.08, 1.0)))
    left, top, width, height = boxes.T
    assert boxes.min() >= 0
    assert (left + width).max() <= 1 + 1e-12
    assert (top + height).max() <= 1 + 1e-12
    area, aspect = width * height, (width * sides[:, 0]) / (height * sides[:, 1])
    found = (width < 1) | (height < 1)
    assert area[found].min() >= 0.08 - 1e-9
    assert aspect[found].min() >= 3 / 4 - 1e-9
    assert aspect[found].max() <= 4 / 3 + 1e-9
    assert np.quantile(area, 0.1) < 0.25 < 0.6 < np.quantile(area, 0.9)


def test_an_image_that_no_crop_fits_is_taken_whole(recipe: Recipe) -> None:
    uniform = np.full((1, 10, 4), 0.9)
    narrow = crop_boxes(uniform, np.array([[10.0, 1000.0]]), replace(recipe, crop_area=(0.9, 1.0)))
    assert narrow.tolist() == [[0, 0, 1, 1]]


def test_a_crop_is_what_pillow_cuts_and_resizes(recipe: Recipe) -> None:
    pixels = np.add.outer(np.arange(16), 2 * np.arange(16)).astype(np.float32)
    image = Image.fromarray(pixels, mode=None)
    box = (4.0, 2.0, 12.0, 10.0)  # left, top, right, bottom: enlarged twofold, as bilinear in both
    expected = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR, box=box))
    boxes = torch.tensor([[4 / 16, 2 / 16, 8 / 16, 8 / 16]])
    found = augmented(
        torch.from_numpy(pixels)[None, None], decided(1, boxes=boxes), replace(recipe, crop_area=(0.1, 1))
    )
    inner = slice(1, -1)  # at its border pillow does not look beyond the box
    assert np.allclose(found[0, 0, inner, inner].numpy(), expected[inner, inner], atol=1e-3)
    # One that was cropped when it was read has no box here.
    (read,) = augmented(torch.from_numpy(pixels)[None, None], decided(1), replace(recipe, crop_area=(0.1, 1)))
    assert read[0].numpy().tolist() == pixels.tolist()


@pytest.mark.parametrize(
    ("change", "end"),
    [
        (0, torch.zeros_like),
        (1, lambda image: _grey(image).mean().expand_as(image)),
        (2, lambda image: _grey(image).expand_as(image)),
    ],
    ids=["brightness", "contrast", "saturation"],
)
def test_jitter_mixes_each_image_with_its_own_end(recipe: Recipe, change: int, end: object) -> None:
    images = 255 * torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    factors = torch.ones(2, 3)
    factors[:, change] = torch.tensor([0.6, 1.4])
    found = coloured(images, decided(2, factors=factors), replace(recipe, jitter=0.4), torch.zeros(3, 3))
    for image, result, factor in zip(images, found, (0.6, 1.4), strict=True):
        assert torch.allclose(result, factor * image + (1 - factor) * end(image), atol=1e-3)  # type: ignore[operator]


def _grey(image: torch.Tensor) -> torch.Tensor:
    return 0.299 * image[:1] + 0.587 * image[1:2] + 0.114 * image[2:]


def test_jitter_follows_its_order(recipe: Recipe) -> None:
    images = 255 * torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    factors, jitter = torch.tensor([[0.5, 0.5, 1.0]]), replace(recipe, jitter=0.5)
    first, second = (
        coloured(images, decided(1, factors=factors, order=torch.tensor([order])), jitter, torch.zeros(3, 3))
        for order in ([0, 1, 2], [1, 0, 2])
    )
    darker = 0.5 * images
    assert torch.allclose(first, 0.5 * darker + 0.5 * _grey(darker[0]).mean(), atol=1e-3)
    assert torch.allclose(second, 0.5 * (0.5 * images + 0.5 * _grey(images[0]).mean()), atol=1e-3)


def test_light_shifts_along_the_colours_axes(recipe: Recipe) -> None:
    axes = torch.tensor([[3.0, 0.0, 1.0], [0.0, 2.0, 0.0], [1.0, 0.0, -1.0]])
    lighting = torch.tensor([[1.0, 0.0, 0.5]])
    found = coloured(torch.zeros(1, 3, 2, 2), decided(1, lighting=lighting), replace(recipe, lighting=0.1), axes)
    assert found[0, :, 0, 0].tolist() == [3.5, 0.0, 0.5]


def test_draws_have_the_recipes_spread(recipe: Recipe) -> None:
    strong = replace(recipe, jitter=0.4, lighting=0.1)
    draws = draw(strong, 4000, stream(0, "augmentation"), "cpu")
    assert 0.6 <= float(draws.factors.min()) < 0.61
    assert 1.39 < float(draws.factors.max()) <= 1.4
    assert 0.095 < float(draws.lighting.std()) < 0.105
    assert {tuple(order) for order in draws.order.tolist()} == set(permutations(range(3)))
    assert torch.equal(draw(recipe, 4000, stream(0, "augmentation"), "cpu").holes, draws.holes)


def test_all_that_is_drawn_comes_from_the_runs_own_stream(recipe: Recipe) -> None:
    every = replace(recipe, shift=2, flip=True, cutout=2, jitter=0.4, lighting=0.1, crop_area=(0.08, 1.0))
    drawn = []
    for seed in (0, 1):
        torch.manual_seed(seed)  # torch's own stream, which other code may use
        drawn.append(vars(draw(every, 50, stream(7, "augmentation"), "cpu")))
    for name, numbers in drawn[0].items():
        assert torch.equal(numbers, drawn[1][name]), name
        assert not torch.equal(numbers, vars(draw(every, 50, stream(8, "augmentation"), "cpu"))[name]), name


def test_boxes_are_drawn_only_for_images_that_are_cropped_on_the_device(recipe: Recipe) -> None:
    cropping = replace(recipe, crop_area=(0.5, 1.0))
    assert draw(cropping, 5, stream(0, "augmentation"), "cpu").boxes.shape == (5, 4)
    assert draw(cropping, 5, stream(0, "augmentation"), "cpu", boxes=False).boxes.shape == (5, 0)
    assert draw(recipe, 5, stream(0, "augmentation"), "cpu").boxes.shape == (5, 0)
