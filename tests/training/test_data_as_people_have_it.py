"""Images as they lie on people's disks and on the hub: layouts, kinds of labels, names, endings, modes."""

import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from explorer.host.errors import InputError
from explorer.training.glance import refuse_unlike
from explorer.training.images.source import SUFFIXES
from explorer.training.images.split import load
from explorer.training.network.standalone import images_in
from tests.training.test_image_sources import (
    CLASSES,
    config,
    content,
    forget,
    picture,
    pictures,
    write_folder,
    write_parquet,
)

LAYOUTS = [
    "default/{part}/0000.parquet",
    "plain_text/{part}-00000-of-00001.parquet",
    "{part}/0000.parquet",
    "data/{part}-00000-of-00001-0123456789abcdef.parquet",
]


def refusal(path: Path, source: str = "parquet", **changes: Any) -> str:
    """What a start says, and a plan before it, of images that cannot be used."""
    with pytest.raises(InputError) as caught:
        load(config(path, source, **changes))
    return str(caught.value)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layouts_of_the_hub_are_read(layout: str, tmp_path: Path) -> None:
    for part, count, first in (("train", 30, 0), ("test", 9, 100)):
        write_parquet(tmp_path / layout.format(part=part), pictures(count, first))
    found = load(config(tmp_path))
    assert [len(split) for split in (found.train, found.val, found.test)] == [24, 6, 9]
    assert found.classes == CLASSES  # as the metadata of the tables names them


def test_tables_further_down_are_named(tmp_path: Path) -> None:
    write_parquet(tmp_path / "insects" / "all" / "train" / "0000.parquet", pictures(30))
    said = refusal(tmp_path)
    assert f"but insects/all/train below it does; say data.path={tmp_path}/insects/all" in said
    write_parquet(tmp_path / "small" / "train.parquet", pictures(30))
    write_parquet(tmp_path / "large" / "train.parquet", pictures(30))
    assert "holds parquet files in large/, small/; say which, as in data.subset=large" in refusal(tmp_path)
    assert len(load(config(tmp_path, subset="large", test_images=6)).train) == 18


def write_labels(path: Path, labels: pa.Array) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    images = [picture(number) for number in range(len(labels))]
    pq.write_table(pa.table({"image": images, "label": labels}), path / "train.parquet")
    return path


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (pa.array([1, 2, 3] * 10), ("1", "2", "3")),  # counted from 1, as some data sets are
        (pa.array([0.0, 1.0, 2.0] * 10), ()),
        (pa.array([False, True] * 15), ()),
        (pa.array([*CLASSES] * 10, pa.string_view()), CLASSES),
    ],
    ids=["from one", "double", "bool", "string view"],
)
def test_labels_of_many_kinds_are_classes(labels: pa.Array, classes: tuple[str, ...], tmp_path: Path) -> None:
    count = len(set(labels.to_pylist()))
    settings = config(write_labels(tmp_path / "set", labels), classes=count, test_images=6)
    refuse_unlike(settings)
    found = load(settings)
    assert {*found.train.labels.tolist()} == {*range(count)}
    assert found.classes == classes


def test_labels_that_are_no_whole_numbers_are_named(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "set", pa.array([0.0, 1.0, 2.0] * 10 + [0.5, float("nan")]))
    said = refusal(path, test_images=6)
    assert "2 of 32 images cannot be used: train row 30 (label 0.5 is no whole number); train row 31 (no label)" in said


def test_hidden_labels_name_what_to_do(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", pictures(30))
    write_parquet(tmp_path / "test.parquet", [(data, -1) for data, _ in pictures(9)])
    said = refusal(tmp_path)
    assert "set data.test_part=none data.test_images=0.2 to take the test images from the training part" in said
    with pytest.raises(InputError, match=r"data\.test_part=none"):
        refuse_unlike(config(tmp_path))
    assert len(load(config(tmp_path, test_part="none", test_images=0.2)).test) == 6


def test_a_folder_s_name_is_one_class_however_its_accents_are_stored(tmp_path: Path) -> None:
    for part, form in (("train", "NFC"), ("test", "NFD")):
        write_folder(tmp_path / part, pictures(30))
        (tmp_path / part / "cat").rename(tmp_path / part / unicodedata.normalize(form, "café crème"))  # type: ignore[arg-type]
    settings = config(tmp_path, "folder")
    refuse_unlike(settings)
    found = load(settings)
    assert found.classes == ("ant", "bee", "café crème")
    assert found.test.labels.bincount().tolist() == [10, 10, 10]


def test_what_a_file_is_its_content_decides(tmp_path: Path) -> None:
    write_folder(tmp_path, pictures(30))
    for ending in (".jfif", ".jpe", ".JPG_large", ""):
        (tmp_path / "ant" / f"photo{ending}").write_bytes(picture(1, kind="JPEG"))
    (tmp_path / "bee" / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    (tmp_path / "bee" / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    for ending in (".dng", ".NEF"):  # begins as TIFF does, whose first image is a preview
        (tmp_path / "ant" / f"raw{ending}").write_bytes(picture(1, kind="TIFF"))
    (tmp_path / "ant" / "scan.data").write_bytes(picture(1, kind="TIFF"))
    found = load(config(tmp_path, "folder", test_images=6, unusable="skip"))
    assert len(content(found)) == 35
    assert found.skipped == (
        "train ant/raw.NEF (raw is not read; save it as JPEG or PNG)",
        "train ant/raw.dng (raw is not read; save it as JPEG or PNG)",
        "train bee/film.mp4 (not an image file)",
        "train bee/phone.HEIC (HEIC is not read; save it as JPEG or PNG)",
    )


def test_an_exported_network_finds_the_files_that_training_does(tmp_path: Path) -> None:
    for number, ending in enumerate(sorted(SUFFIXES)):
        (tmp_path / f"{number}{ending.upper() if number % 2 else ending}").touch()
    assert len(images_in(tmp_path)) == len(SUFFIXES)


def test_pgm_of_sixteen_bits_keeps_its_shades(tmp_path: Path) -> None:
    write_folder(tmp_path, pictures(30, channels=1))
    shades = np.linspace(0, 65535, 64).round().astype(">u2").reshape(8, 8)
    (tmp_path / "ant" / "deep.pgm").write_bytes(b"P5 8 8 65535\n" + shades.tobytes())
    found = load(config(tmp_path, "folder", channels=1, test_images=6, keep="resident"))
    assert found.train.images is not None
    wanted = np.linspace(0, 255, 64).round().astype(np.uint8).reshape(1, 8, 8)
    assert any((image.numpy() == wanted).all() for image in found.train.images)


def test_a_class_of_one_image_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path, pictures(30))
    for path in sorted((tmp_path / "bee").iterdir())[1:]:
        path.unlink()
    said = refusal(tmp_path, "folder", test_images=6)
    assert "cannot be split by class: too few images are left of bee (1 image); add some, or leave the class" in said


def test_images_of_unlike_sizes_name_the_resize(tmp_path: Path) -> None:
    for number in range(30):
        place = tmp_path / CLASSES[number % 3] / f"{number}.png"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(picture(number, size=(20 + number, 30)))
    for unusable in ("refuse", "skip"):
        said = refusal(tmp_path, "folder", test_images=6, unusable=unusable)
        assert "30 of 30 images of insects have another size" in said
        assert "set data.resize=8" in said
    (tmp_path / "ant" / "broken.png").write_bytes(b"broken")
    said = refusal(tmp_path, "folder", test_images=6, unusable="skip")
    assert "31 of 31 images cannot be used" in said
    assert "set data.resize=8" in said


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16", "RGB turned"])
def test_a_photograph_of_any_mode_and_orientation_looks_as_people_see_it(mode: str, tmp_path: Path) -> None:
    """Dark at the left of what is seen and light at the right, whatever the file holds."""
    write_folder(tmp_path, pictures(30))
    seen = np.repeat(np.array([[20, 20, 20, 20, 235, 235, 235, 235]], np.uint8), 8, axis=0)
    grey = Image.fromarray(seen)
    if mode == "RGB turned":  # as a camera that is held upright stores it: orientation 6, turned back by a quarter
        exif = Image.Exif()
        exif[0x0112] = 6
        grey.convert("RGB").transpose(Image.Transpose.ROTATE_90).save(tmp_path / "ant" / "odd.png", exif=exif)
    elif mode == "I;16":
        Image.fromarray(seen.astype(np.uint16) * 257).save(tmp_path / "ant" / "odd.png")
    elif mode == "CMYK":
        grey.convert("RGB").convert("CMYK").save(tmp_path / "ant" / "odd.tif")
    elif mode == "P":
        grey.convert("RGB").quantize(8).save(tmp_path / "ant" / "odd.png")
    else:
        grey.convert(mode, dither=Image.Dither.NONE).save(tmp_path / "ant" / "odd.png")
    found = load(config(tmp_path, "folder", test_images=6))
    images = found.train.images
    assert images is not None
    near = [abs(image.numpy().astype(int) - seen[None]).max() for image in images]
    assert min(near) <= (20 if mode == "1" else 2)


@pytest.mark.parametrize("keep", ["resident", "stream"])
@pytest.mark.parametrize("source", ["folder", "parquet"])
def test_copies_in_two_parts_and_classes_that_a_part_lacks_are_told(source: str, keep: str, tmp_path: Path) -> None:
    rows, others = pictures(30), [row for row in pictures(12, 100) if row[1] < 2]
    for part, own in (("train", rows), ("test", [*others, *rows[:2]])):
        if source == "folder":
            write_folder(tmp_path / part, own)
        else:
            write_parquet(tmp_path / f"{part}.parquet", own)
    settings = config(tmp_path, source, keep=keep)
    for _ in range(2):  # the second time from the cache
        forget()
        *copied, lacking = load(settings).warnings
        assert sum(int(line.split()[0]) for line in copied) == 2  # of images to train on, or to validate
        for line in copied:
            assert re.match(
                r"\d test images? (is a copy|are copies) of (training|validation) images, so that the test", line
            )
            assert re.search(r": train \S+.* and test \S+", line)
        assert lacking == "Its test part has no image of 1 of the 3 classes (cat), of which its error says nothing"
    twins = {*load(replace(settings, test_part="none", test_images=6)).warnings}
    assert not twins  # no two files of the training part are equal


def test_copies_within_one_folder_are_told_where_they_are_divided(tmp_path: Path) -> None:
    write_folder(tmp_path, pictures(30))
    for path in [*(tmp_path / "ant").iterdir()]:
        path.with_name(f"copy of {path.name}").write_bytes(path.read_bytes())
    settings = config(tmp_path, "folder", test_images=9)
    found = load(settings)
    of_train = next(line for line in found.warnings if "are copies of training images, so that the test error" in line)
    assert "train ant/copy of " in of_train
    joined = load(replace(settings, joined=True))
    assert [line for line in joined.warnings if "validation error" in line] == []
    assert any("test error is too low" in line for line in joined.warnings)
