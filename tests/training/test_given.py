"""Images that an extension gives from memory: read as files are, and refused in one line where they are none."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.host import extensions
from explorer.host.errors import InputError
from explorer.record import folder as study
from explorer.study.data_sources import SOURCES, Source, check
from explorer.study.settings import DataConfig
from explorer.training.glance import counts, refuse_unlike
from explorer.training.images import given, split
from explorer.training.images.discovery import discover_source
from explorer.training.images.split import load, preprocessing_of
from tests.conftest import TINY
from tests.test_layers import ROOT

EXAMPLE = f"extensions={ROOT / 'examples' / 'numpy_data.py'}"
GREY = np.random.default_rng(0).integers(0, 256, (60, 12, 12), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (60, 12, 12, 3), dtype=np.uint8)
LABELS = np.arange(60) % 3
CONFIG = DataConfig("mine", "Mine", 1, 12, 3, None, 9, 12, 0, source="mine")


@pytest.fixture
def add(monkeypatch: pytest.MonkeyPatch) -> Callable[..., DataConfig]:
    """Adds a source called `mine`, and gives the settings that read it."""

    def added(read: Callable[..., Any], classes: tuple[str, ...] = (), **keys: Any) -> DataConfig:
        for kept in (given._READ, split._LOADED):
            kept.clear()
        split._pools.cache_clear()
        monkeypatch.setitem(SOURCES, "mine", Source(read, classes))
        return replace(CONFIG, **keys)

    return added


def test_arrays_pairs_and_images_of_pillow_give_the_same_data(add: Callable[..., DataConfig]) -> None:
    names = ("c", "a", "b")
    ways: list[Callable[[], Any]] = [
        lambda: (GREY, LABELS),
        lambda: (list(GREY[:, :, :, None]), LABELS.tolist()),
        lambda: zip(GREY, LABELS, strict=True),
        lambda: {"train": [(Image.fromarray(one), int(label)) for one, label in zip(GREY, LABELS, strict=True)]},
    ]
    found = [load(add(read, names)) for read in ways]
    assert len({data.digest for data in found}) == 1
    assert found[0].classes == names
    assert found[0].train.images is not None
    assert np.array_equal(found[0].train.images.numpy()[:, 0], GREY)
    assert (len(found[0].train), len(found[0].val), len(found[0].test)) == (39, 9, 12)
    assert preprocessing_of(found[0]).classes == names
    # Names as labels are numbered in their order.
    by_name = load(add(lambda: (GREY, [names[label] for label in LABELS])))
    assert by_name.classes == ("a", "b", "c")
    assert np.array_equal(np.array(by_name.classes)[by_name.val.labels], np.array(names)[LABELS[by_name.val.index]])


def test_parts_of_its_own_colours_and_sizes_are_settled_as_of_a_folder(add: Callable[..., DataConfig]) -> None:
    parts = {"train": (COLOUR, LABELS), "validation": (COLOUR[:9], LABELS[:9]), "test": (COLOUR[:6], LABELS[:6])}
    config = add(lambda: parts, val_images=None, test_images=None, channels=3)
    data = load(config)
    assert (len(data.train), len(data.val), len(data.test)) == (60, 9, 6)
    assert data.warnings[0].startswith("9 validation images are copies of training images")
    found = discover_source("mine", {}).settings({})
    assert {key: found[key] for key in ("classes", "channels", "image_size", "val_images", "test_images")} == {
        "classes": "3",
        "channels": "3",
        "image_size": "12",
        "val_images": "null",
        "test_images": "null",
    }
    refuse_unlike(config)
    assert counts(config) == (60, 9, 6)
    small = load(replace(config, resize=8, image_size=8, channels=1, keep="stream"))
    assert small.train.encoded is not None
    assert small.train.images is None
    with pytest.raises(InputError, match=r"data\.image_size=8: the images of mine have 12x12 pixels"):
        load(replace(config, image_size=8))


def test_other_images_on_a_second_start_are_other_data(add: Callable[..., DataConfig]) -> None:
    first = load(add(lambda: (GREY, LABELS))).digest
    assert load(add(lambda: (GREY.copy(), LABELS.tolist()))).digest == first
    changed = GREY.copy()
    changed[7, 3, 3] ^= 1
    assert load(add(lambda: (changed, LABELS), label="Other")).digest != first
    draw = np.random.default_rng()
    with pytest.raises(InputError, match="gives other images each time it is read; allowed: the same ones"):
        load(add(lambda: (draw.integers(0, 255, GREY.shape, dtype=np.uint8), LABELS)))


def test_a_source_may_take_a_path(add: Callable[..., DataConfig], tmp_path: Path) -> None:
    np.savez(tmp_path / "images.npz", images=GREY, labels=LABELS)

    def read(path: str) -> Any:
        found = np.load(path)
        return found["images"], found["labels"]

    config = add(read, path=str(tmp_path / "images.npz"))
    assert load(config).digest == load(add(lambda: (GREY, LABELS))).digest
    with pytest.raises(InputError, match=r"data\.source=mine: FileNotFoundError"):
        load(add(read, path="nowhere.npz"))


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (lambda: (GREY.astype(np.float32), LABELS), "train: image 0 holds float32; allowed: uint8, values from 0"),
        (lambda: (GREY[:, :, :, None, None], LABELS), "image 0 has shape (12, 12, 1, 1); allowed: (height, width)"),
        (lambda: (COLOUR.transpose(0, 3, 1, 2), LABELS), "image 0 has shape (3, 12, 12); allowed: (height, width)"),
        (lambda: (GREY, LABELS[:5]), "train: gives 60 images and 5 labels"),
        (lambda: (GREY, LABELS, LABELS), "train: gives a tuple of 3; allowed: (images, labels), or a list of pairs"),
        (lambda: (GREY, LABELS + 0.5), "train: image 0 has the label"),
        (lambda: [1, 2], "train: gives a int; allowed: pairs (image, label)"),
        (list, "train: gives no images"),
        (lambda: None, "train: gives a NoneType; allowed: (images, labels), or pairs of these"),
        (lambda: {"test": (GREY, LABELS)}, "data.train_part=train: mine has test"),
        (lambda: (GREY, [0, "a"] * 30), "train: has names and numbers as labels; allowed: one of the two"),
        (lambda: iter([(GREY[0], 0), ("x", 1)]), "train: image 1 is a str; allowed: a numpy array or a Pillow image"),
        (lambda: ([Image.fromarray(GREY[0] / np.float32(255))] * 60, LABELS), "is a Pillow image of 32 bits (mode F)"),
        (lambda: ([Image.fromarray(GREY[0].astype(np.int32))] * 60, LABELS), "is a Pillow image of 32 bits (mode I)"),
        (lambda: 1 / 0, "data.source=mine: ZeroDivisionError: division by zero"),
    ],
)  # fmt: skip
def test_what_is_no_image_and_label(add: Callable[..., DataConfig], read: Callable[[], Any], told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        load(add(read))


def test_a_file_that_was_replaced_is_read_anew(add: Callable[..., DataConfig], tmp_path: Path) -> None:
    file = tmp_path / "images.npy"
    np.save(file, GREY)
    config = add(lambda path: (np.load(path), LABELS), path=str(file))
    before = load(config).digest
    np.save(file, 255 - GREY)
    split.forget()  # as a new study does, whose settings are others
    assert load(config).digest != before


def test_class_names_that_do_not_fit(add: Callable[..., DataConfig]) -> None:
    with pytest.raises(InputError, match="train: has the label 2, and names for the classes 0 to 1"):
        load(add(lambda: (GREY, LABELS), ("a", "b")))
    for value, told in [
        (3, "is a int; allowed: explorer.Source"),
        (Source(lambda there: there), r"read takes \(there\); allowed: a function without parameters, or of a path"),
        (Source(3), "read is a int"),  # type: ignore[arg-type]
        (Source(lambda: None, ("a", "a")), "allowed are different names"),
    ]:
        with pytest.raises(ValueError, match=told):
            check("mine", value)
    with pytest.raises(ValueError, match="is a source of images already"):
        check("folder", Source(lambda: None))


@pytest.mark.real
def test_the_example_is_trained_exported_and_wanted_again(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for word in TINY if not word.startswith("data.")]
    words += [EXAMPLE, "data=stripes", "data.train_images=60", "data.test_images=100", "search.seeds=1"]
    assert main([*words, "do=plan"]) == 0
    assert "Drawn stripes: 1,600 images in 4 classes (upright 400, " in capsys.readouterr().out
    assert main([*words, "storage.weights=last"]) == 0
    found = open_study(study.study_folder("tiny"))
    assert found.environment["preprocessing"]["classes"] == ["upright", "falling", "level", "rising"]
    assert found.record.runs["status"].tolist() == ["ok"] * 2
    assert main(["export", "tiny", EXAMPLE]) == 0
    assert "image files of the data to the pixels of training" in " ".join(capsys.readouterr().out.split())
    extensions.forget()
    assert main(["tiny", "search.seeds=2"]) == 2
    assert "uses the extension numpy_data.py; say extensions=numpy_data.py" in capsys.readouterr().err
    assert main(["plan", "equal_params", "data.source=stripes", "data=folder"]) == 2
    assert "data.source=stripes: unknown; allowed: digits, hub, " in capsys.readouterr().err


def test_parts_that_a_command_chooses_are_other_images_though_the_cache_has_all(add: Callable[..., DataConfig]) -> None:
    parts = {"train": (GREY, LABELS), "extra": (GREY[::-1].copy(), LABELS), "test": (GREY[:9] // 2, LABELS[:9])}
    read = {"val_images": 9, "test_images": None}
    found = load(add(lambda: parts, **read))
    extra = load(add(lambda: parts, train_part="extra", **read))
    none = load(add(lambda: parts, test_part="none", val_images=9, test_images=12))
    assert (len(found.test), len(none.test)) == (9, 12)
    assert len({one.digest for one in (found, extra, none)}) == 3
    assert found.train.images is not None
    assert extra.train.images is not None
    assert not torch.equal(found.train.images, extra.train.images)
