"""Streams, schedules, augmentation and data."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from explorer.host.errors import InputError
from explorer.study.settings import DataConfig, StudyConfig
from explorer.training.device import resolve
from explorer.training.images.augment import Draws, augmented, draw, normalised
from explorer.training.images.split import Split, load
from explorer.training.images.split import _statistics as statistics
from explorer.training.schedule import learning_rate
from explorer.training.streams import stream


def test_streams_of_one_seed_are_independent_and_repeatable() -> None:
    def numbers(seed: int, purpose: str) -> list[float]:
        return torch.rand(4, generator=stream(seed, purpose)).tolist()  # type: ignore[arg-type]

    drawn = [numbers(seed, purpose) for seed in (0, 1) for purpose in ("initialisation", "order", "augmentation")]
    assert len({tuple(values) for values in drawn}) == 6
    assert numbers(0, "order") == drawn[1]


def test_one_cycle_rises_to_the_peak_and_falls_to_nearly_zero(tiny: StudyConfig) -> None:
    recipe = replace(tiny.recipe, learning_rate=0.4, warmup=0.25)
    rates = [learning_rate(recipe, step, 20) for step in range(20)]
    assert rates[:6] == pytest.approx([0.08, 0.16, 0.24, 0.32, 0.4, 0.4])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert 0 < rates[-1] < 0.01


def test_steps_fall_to_a_tenth_at_the_papers_milestones(tiny: StudyConfig) -> None:
    recipe = replace(tiny.recipe, learning_rate=0.1, schedule="step", milestones=(0.5, 0.75))
    rates = [learning_rate(recipe, epoch, 300) for epoch in (0, 149, 150, 224, 225, 299)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def decided(images: int, **changes: torch.Tensor) -> Draws:
    """Decisions that change nothing, but for those given."""
    plain = {
        "offsets": torch.zeros(images, 2, dtype=torch.long),
        "mirrored": torch.zeros(images, dtype=torch.bool),
        "holes": torch.zeros(images, 2),
        "factors": torch.ones(images, 3),
        "order": torch.tensor([[0, 1, 2]]).expand(images, 3),
        "lighting": torch.zeros(images, 3),
        "boxes": torch.empty(images, 0),
    }
    return Draws(**{**plain, **changes})


def test_an_image_is_shifted_by_its_own_offset_over_a_border_of_zeros(tiny: StudyConfig) -> None:
    images = torch.arange(1.0, 19.0).view(2, 1, 3, 3)
    draws = decided(2, offsets=torch.tensor([[1, 1], [0, 2]]))
    moved = augmented(images, draws, replace(tiny.recipe, shift=1))
    assert torch.equal(moved[0], images[0])
    assert moved[1, 0].tolist() == [[0, 0, 0], [11, 12, 0], [14, 15, 0]]


def test_only_drawn_images_are_mirrored(tiny: StudyConfig) -> None:
    images = torch.arange(8.0).view(2, 1, 2, 2)
    moved = augmented(images, decided(2, mirrored=torch.tensor([True, False])), replace(tiny.recipe, flip=True))
    assert moved[:, 0].tolist() == [[[1, 0], [3, 2]], [[4, 5], [6, 7]]]


def test_draws_cover_every_offset_and_do_not_depend_on_what_is_used(tiny: StudyConfig) -> None:
    both = draw(replace(tiny.recipe, shift=1, flip=True), 500, stream(0, "augmentation"), "cpu")
    assert sorted(set(map(tuple, both.offsets.tolist()))) == [(row, column) for row in range(3) for column in range(3)]
    assert 0.4 < float(both.mirrored.float().mean()) < 0.6
    unflipped = draw(replace(tiny.recipe, shift=1), 500, stream(0, "augmentation"), "cpu")
    assert torch.equal(both.offsets, unflipped.offsets)
    assert not unflipped.mirrored.any()


def test_normalised_training_images_have_mean_zero_and_deviation_one(tiny: StudyConfig) -> None:
    data = load(tiny.data)
    images = normalised(pixels(data.train), data.mean, data.std)
    assert float(images.mean()) == pytest.approx(0, abs=1e-6)
    assert float(images.std(correction=0)) == pytest.approx(1, abs=1e-6)
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_each_colour_has_its_own_mean_and_deviation(tiny: StudyConfig) -> None:
    drawn = torch.randint(0, 256, (5, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    drawn[:, 1] //= 2
    train = Split(torch.zeros(5, dtype=torch.long), torch.arange(5), drawn)
    mean, std, _ = statistics(replace(tiny.data, channels=3), train)
    by_colour = drawn.double().transpose(0, 1).reshape(3, -1)
    assert mean.tolist() == pytest.approx(by_colour.mean(dim=1).tolist())
    assert std.tolist() == pytest.approx(by_colour.std(dim=1, correction=0).tolist())
    images = normalised(drawn, mean, std).transpose(0, 1).reshape(3, -1)
    assert images.mean(dim=1).tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert images.std(dim=1, correction=0).tolist() == pytest.approx([1, 1, 1], abs=1e-6)


def pixels(split: Split) -> torch.Tensor:
    return split.bytes_of(torch.arange(len(split)))


def digits(tiny: StudyConfig, **changes: Any) -> DataConfig:
    return replace(tiny.data, **changes)


def test_splits_are_disjoint_stratified_and_seeded(tiny: StudyConfig) -> None:
    config = digits(tiny, train_images=400, val_images=250, test_images=1147)
    data = load(config)
    assert (len(data.train), len(data.val), len(data.test)) == (400, 250, 1147)
    shares = [
        np.bincount(split.labels.numpy(), minlength=10) / len(split) for split in (data.train, data.val, data.test)
    ]
    assert np.abs(np.array(shares) - shares[2]).max() < 0.01
    everything = torch.cat([pixels(data.train), pixels(data.val), pixels(data.test)]).float().sum()
    assert float(everything) == 561_718.0
    assert load(digits(tiny, train_images=400, val_images=250, test_images=1147)).digest == data.digest
    assert load(replace(config, split_seed=1)).digest != data.digest


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"channels": 3}, "data.channels=3: digits has 1"),
        ({"image_size": 16}, "data.image_size=16: digits has 8"),
        ({"classes": 12}, "data.classes=12: digits has 10"),
        ({"train_images": 5000}, "add up to 5,140; digits has 1,797"),
        ({"val_images": 5}, "data.val_images=5: a split by class needs at least 10"),
    ],
)
def test_settings_that_do_not_fit_the_images_are_refused(
    tiny: StudyConfig, changes: dict[str, int], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        load(digits(tiny, **changes))


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert (resolve("auto"), resolve("cpu")) == ("cpu", "cpu")
    with pytest.raises(InputError, match="device=cuda: no CUDA device can be used here"):
        resolve("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert (resolve("auto"), resolve("cuda"), resolve("cpu")) == ("cuda", "cuda", "cpu")
