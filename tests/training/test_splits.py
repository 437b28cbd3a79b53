"""Parts of a data set: sizes at the very edge of what is allowed, and draws that are kept."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from explorer.host.errors import InputError
from explorer.study.settings import DataConfig, StudyConfig
from explorer.training.images import drawing
from explorer.training.images import split as images_of
from explorer.training.images.digits import digit_pools
from explorer.training.images.drawing import _drawn, _refuse_sizes, _size
from explorer.training.images.source import DIGITS
from explorer.training.images.split import _splits
from explorer.training.images.stored import Labels


@pytest.fixture
def digits(tiny: StudyConfig) -> DataConfig:
    """1,797 images of ten classes."""
    return replace(tiny.data, train_images=400, val_images=250, test_images=1147)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("sizes", "problem"),
    [
        ((400, 250, 1147), ""),
        ((400, 250, 1148), "data: train_images, val_images and test_images add up to 1,798; digits has 1,797"),
        ((400, 250, 1146), "data.test_images=1146: leaves 1 images over, too few to split off by class; allowed: all"),
        ((400, 250, 1138), "leaves 9 images over, too few to split off by class; allowed: all the rest or at least 10"),
        ((400, 250, 1137), ""),
        ((10, 10, 10), ""),
        ((9, 10, 10), "data.train_images=9: a split by class needs at least 10"),
        ((10, 9, 10), "data.val_images=9: a split by class needs at least 10"),
        ((10, 10, 9), "data.test_images=9: a split by class needs at least 10"),
        ((0, 10, 10), "add up to 20; digits has 1,797"),
    ],
)
def test_sizes_are_allowed_to_the_last_image(digits: DataConfig, sizes: tuple[int, int, int], problem: str) -> None:
    wanted = dict(zip(("train", "val", "test"), sizes, strict=True))
    if not problem:
        _refuse_sizes(digits, wanted, 1797)
        return
    with pytest.raises(InputError, match=re.escape(problem)):
        _refuse_sizes(digits, wanted, 1797)


def test_one_part_alone_is_told_as_one(digits: DataConfig) -> None:
    with pytest.raises(InputError, match=re.escape("data: test_images is 51; digits has 50")):
        _refuse_sizes(digits, {"test": 51}, 50)
    _refuse_sizes(digits, {"test": 50}, 50)


def test_a_share_is_rounded_and_a_number_is_taken_as_it_is(digits: DataConfig) -> None:
    assert _size(replace(digits, val_images=0.1), "val", None, 1797) == 180
    assert _size(replace(digits, val_images=0.1), "val", None, 1794) == 179
    assert _size(digits, "test", None, 1797) == 1147
    assert _size(replace(digits, test_images=None), "test", 1797, 20) == 1797
    with pytest.raises(InputError, match=re.escape("data.val_images is null, but digits has no val part")):
        _size(replace(digits, val_images=None), "val", None, 1797)
    with pytest.raises(InputError, match=r"data\.val_images=0\.1: a share is split off .* all its 1,797 images"):
        _size(replace(digits, val_images=0.1), "val", 1797, 1797)


def test_the_training_part_takes_what_the_others_leave(digits: DataConfig, own_cache: Path) -> None:
    train, val, test = _splits(replace(digits, train_images=None, test_images=100), digit_pools())
    assert (len(train), len(val), len(test)) == (1447, 250, 100)
    places = np.concatenate([split.index.numpy() for split in (train, val, test)])
    assert sorted(places.tolist()) == list(range(1797))
    labels = digit_pools().train.labels
    for split in (train, val, test):
        assert split.labels.tolist() == labels[split.index.numpy()].tolist()
        shares = np.bincount(split.labels.numpy(), minlength=10) / len(split)
        assert np.abs(shares - np.bincount(labels) / 1797).max() <= 1 / len(split)
    with pytest.raises(InputError, match=re.escape("leaves none of the 1,797 images of digits to train on")):
        _splits(replace(digits, train_images=None, test_images=1547), digit_pools())


def test_digits_are_what_they_were_published_as(digits: DataConfig) -> None:
    found = digit_pools().train
    assert found.images is not None
    assert (found.images.shape, found.images.dtype, found.images.max()) == ((1797, 1, 8, 8), np.uint8, 16)
    assert found.images[0, 0, :2].tolist() == [[0, 0, 5, 13, 9, 1, 0, 0], [0, 0, 13, 15, 10, 15, 5, 0]]
    assert np.bincount(found.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    has = {"channels": found.images.shape[1], "image_size": found.images.shape[3], "classes": len({*found.labels})}
    assert has == DIGITS == {key: getattr(digits, key) for key in DIGITS}


def test_only_the_images_of_a_part_go_to_another_device(digits: DataConfig, own_cache: Path) -> None:
    _, val, _ = _splits(digits, digit_pools())
    assert val.to("cpu") is val
    there = val.to("meta")  # a device on which nothing but shapes is kept
    assert val.images is not None
    assert there.images is not None
    assert (len(val.images), len(there.images), len(there.labels), len(there)) == (1797, 250, 250, 250)
    assert {there.images.device.type, there.labels.device.type, there.index.device.type} == {"meta"}
    streamed = replace(val, images=None).to("meta")  # what is read as it is needed is found by its place in the set
    assert streamed.images is None
    assert streamed.index.tolist() == val.index.tolist()


def drawn_again(*_: object) -> list[Labels]:
    raise AssertionError("drawn again")


def test_a_draw_is_kept_and_taken_again(digits: DataConfig, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels, sizes = digit_pools().train.labels, [400, 250, 1147]
    first = [part.tolist() for part in _drawn(digits, labels, sizes)]
    assert [len(part) for part in first] == sizes
    assert len(list(own_cache.rglob("*.npy"))) == 1
    assert not [path for path in own_cache.rglob("*") if path.is_file() and path.suffix != ".npy"]
    with monkeypatch.context() as patch:
        patch.setattr(drawing, "_newly_drawn", drawn_again)
        assert [part.tolist() for part in _drawn(digits, labels, sizes)] == first
        others = [(replace(digits, split_seed=1), labels, sizes), (digits, labels[::-1].copy(), sizes)]
        for other in [*others, (digits, labels, [400, 240, 1147])]:
            with pytest.raises(AssertionError, match="drawn again"):
                _drawn(*other)


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: kept[:-1],
        lambda kept: kept.astype(np.float64),
        lambda kept: np.where(kept == 0, -1, kept),
        lambda kept: np.where(kept == 0, 1797, kept),
        lambda kept: kept[:0],
    ],
)
def test_a_kept_draw_that_cannot_be_one_is_made_again(
    digits: DataConfig, own_cache: Path, damage: Callable[[Labels], Labels]
) -> None:
    labels, sizes = digit_pools().train.labels, [400, 250, 1147]
    first = [part.tolist() for part in _drawn(digits, labels, sizes)]
    (path,) = own_cache.rglob("*.npy")
    whole = path.read_bytes()
    np.save(path, damage(np.load(path)))
    assert [part.tolist() for part in _drawn(digits, labels, sizes)] == first
    assert path.read_bytes() == whole


def places(data: images_of.Dataset) -> list[list[int]]:
    """Which images each part has, by their place in the pool."""
    return [split.index.tolist() for split in (data.train, data.val, data.test)]


def test_every_seed_has_the_split_that_its_number_alone_would_give(digits: DataConfig) -> None:
    each = replace(digits, split_seed="each")
    found = [images_of.load(each, seed=seed) for seed in (0, 1, 2, 0)]
    for seed, data in enumerate(found[:3]):
        one = images_of.load(replace(digits, split_seed=seed))
        assert places(data) == places(one)
        assert torch.equal(data.mean, one.mean)
        assert torch.equal(data.std, one.std)
        assert sorted(place for part in places(data) for place in part) == list(range(1797))  # no image in two parts
    first, second, _, again = map(places, found)
    assert first == again
    assert all(set(one) != set(other) for one, other in zip(first, second, strict=True))
    assert not torch.equal(found[0].mean, found[1].mean)
    # One hash for the study, whatever the seed, which no study of one split has.
    assert len({data.digest for data in found}) == 1
    assert found[0].digest not in {images_of.load(replace(digits, split_seed=seed)).digest for seed in range(3)}
    assert images_of.load(replace(each, val_images=240)).digest != found[0].digest


def test_one_split_is_held_at_a_time_and_loaded_once_for_all_runs_that_share_it(
    digits: DataConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    load = images_of._load

    def counted(config: DataConfig, device: str, seed: int) -> images_of.Dataset:
        assert not images_of._LOADED  # what was there before is gone first
        loaded.append(seed)
        return load(config, device, seed)

    monkeypatch.setattr(images_of, "_load", counted)
    images_of._LOADED.clear()
    each = replace(digits, split_seed="each")
    for seed in (0, 0, 1, 1, 1, 2):
        images_of.load(each, seed=seed)
    assert loaded == [0, 1, 2]
    for seed in (0, 1, 2):
        images_of.load(digits, seed=seed)
    assert loaded == [0, 1, 2, 0]
