"""Data sets from the hub's layout, from parquet and from folders of images: read whole, or refused by name."""

import contextlib
import hashlib
import io
import json
import os
import pickle
import socket
import struct
import tempfile
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import ExifTags, Image, ImageCms

from explorer.host.errors import InputError
from explorer.study.settings import DataConfig
from explorer.training.images import decoded_cache as pools_module
from explorer.training.images import discovery
from explorer.training.images import source as source_module
from explorer.training.images import split as data_module
from explorer.training.images.decode import check, decode, decode_cropped
from explorer.training.images.split import Crops, Dataset, fetched, load
from explorer.training.images.stored import Growing

CLASSES = ("ant", "bee", "cat")
SIZE = 8
Picture = tuple[bytes, int]


def picture(number: int, channels: int = 3, kind: str = "PNG", size: tuple[int, int] = (SIZE, SIZE)) -> bytes:
    """An image file unlike that of any other number."""
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(stream, kind)
    return stream.getvalue()


def pictures(count: int, first: int = 0, channels: int = 3, kind: str = "PNG") -> list[Picture]:
    return [(picture(first + number, channels, kind), number % len(CLASSES)) for number in range(count)]


def write_parquet(path: Path, rows: list[Picture], image: str = "image", label: str = "label") -> None:
    """A table as the hub keeps it: images as a struct of bytes and path, features in the schema's metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = pa.array(
        [{"bytes": data, "path": None} for data, _ in rows], pa.struct({"bytes": pa.binary(), "path": pa.string()})
    )
    labels = pa.array([number for _, number in rows], pa.int64())
    features = {image: {"_type": "Image"}, label: {"names": list(CLASSES), "_type": "ClassLabel"}}
    table = pa.table({image: images, label: labels})
    meta = json.dumps({"info": {"features": features}})
    pq.write_table(table.replace_schema_metadata({"huggingface": meta}), path, row_group_size=7)


def write_folder(root: Path, rows: list[Picture], suffix: str = "png") -> None:
    # Numbered so that files sort by class and then in the order of the rows.
    for number, (data, label) in enumerate(rows):
        path = root / CLASSES[label] / f"{number:04d}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def by_class(rows: list[Picture]) -> list[Picture]:
    return sorted(rows, key=lambda row: row[1])


def config(path: Path, source: str = "parquet", **changes: Any) -> DataConfig:
    plain = DataConfig(
        name="insects",
        label="Insects",
        channels=3,
        image_size=SIZE,
        classes=len(CLASSES),
        train_images=None,
        val_images=6,
        test_images=None,
        split_seed=0,
        source=source,
        path=str(path),
    )
    return replace(plain, **changes)


@pytest.fixture
def insects(tmp_path: Path) -> Path:
    """Parquet with 30 images to train and 9 to test."""
    write_parquet(tmp_path / "insects" / "train.parquet", pictures(30))
    write_parquet(tmp_path / "insects" / "test.parquet", pictures(9, first=100))
    return tmp_path / "insects"


def forget() -> None:
    """Nothing is remembered within the process."""
    data_module._LOADED.clear()
    data_module._pools.cache_clear()
    discovery._discovered.cache_clear()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of images that is empty at first, and nothing remembered within the process."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget()
    return tmp_path / "cache" / "resnext-explorer" / "images"


def content(found: Dataset) -> list[tuple[str, int]]:
    """What a data set holds, as a sorted list of pixels and labels."""
    return sorted(
        (hashlib.sha256(image.numpy().tobytes()).hexdigest(), int(label))
        for split in (found.train, found.val, found.test)
        for image, label in zip(split.bytes_of(torch.arange(len(split))), split.labels, strict=True)
    )


@pytest.mark.parametrize(
    ("channels", "kind"), [(1, "PNG"), (3, "PNG"), (1, "JPEG"), (3, "JPEG"), (1, "WebP"), (3, "WebP")]
)
def test_hub_parquet_and_folder_give_the_same_images_in_grey_and_colour(
    tmp_path: Path, channels: int, kind: str
) -> None:
    train, test = by_class(pictures(30, channels=channels, kind=kind)), by_class(pictures(9, 100, channels, kind))
    hub, folder = tmp_path / "hub", tmp_path / "folder"
    write_parquet(hub / "data" / "train-00000-of-00002.parquet", train[:20])
    write_parquet(hub / "data" / "train-00001-of-00002.parquet", train[20:])
    write_parquet(hub / "data" / "test-00000-of-00001.parquet", test)
    write_folder(folder / "train", train, kind.lower())
    write_folder(folder / "test", test, kind.lower())
    found = [
        load(config(path, source, channels=channels))
        for source, path in (("hub", hub), ("parquet", hub), ("folder", folder))
    ]
    assert len({one.digest for one in found}) == 1
    assert [len(split) for split in (found[0].train, found[0].val, found[0].test)] == [24, 6, 9]
    expected = sorted(
        (hashlib.sha256(decode(data, config(hub, channels=channels)).tobytes()).hexdigest(), label)
        for data, label in train + test
    )
    assert all(content(one) == expected for one in found)


def test_pngs_keep_every_pixel(insects: Path) -> None:
    data, _ = pictures(1)[0]
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(decode(data, config(insects)).transpose(1, 2, 0), np.asarray(image))


def test_colour_becomes_grey_where_the_settings_say_so(insects: Path) -> None:
    assert load(config(insects, channels=1)).train.images.shape[1] == 1  # type: ignore[union-attr]


def test_one_folder_is_split_by_share_and_by_class(tmp_path: Path) -> None:
    write_folder(tmp_path / "photos", pictures(60))
    found = load(config(tmp_path / "photos", "folder", val_images=0.1, test_images=0.2))
    for split, size in ((found.train, 42), (found.val, 6), (found.test, 12)):
        assert torch.bincount(split.labels).tolist() == [size // 3] * 3


def test_a_set_with_parts_of_its_own_uses_them(tmp_path: Path) -> None:
    for part, first, count in (("train", 0, 30), ("validation", 50, 6), ("test", 100, 9)):
        write_parquet(tmp_path / "set" / f"{part}.parquet", pictures(count, first))
    found = load(config(tmp_path / "set", val_images=None))
    assert [len(split) for split in (found.train, found.val, found.test)] == [30, 6, 9]
    judged_by_validation = config(tmp_path / "set", test_part="validation", val_images=3)
    assert [len(split) for split in (load(judged_by_validation).val, load(judged_by_validation).test)] == [3, 6]


def test_the_rest_of_the_training_part_judges_beside_a_test_part(insects: Path) -> None:
    plain = load(config(insects, train_images=15))
    found = load(config(insects, train_images=15, test_images="rest"))
    assert [len(split) for split in (found.train, found.val, found.test)] == [15, 6, 9]
    assert found.rest is not None
    assert len(found.rest) == 9
    assert torch.bincount(found.rest.labels).tolist() == [3] * 3
    taken = torch.cat([found.train.index, found.val.index, found.rest.index])
    assert sorted(taken.tolist()) == list(range(30))
    assert torch.equal(plain.train.index, found.train.index)  # what is trained on stays as it is without
    assert torch.equal(plain.val.index, found.val.index)
    assert plain.rest is None
    assert plain.digest != found.digest


def test_a_split_for_each_seed_leaves_what_comes_from_the_sets_own_test_part(insects: Path) -> None:
    fixed = config(insects, train_images=15, test_images=6)
    each = replace(fixed, split_seed="each")
    found = [load(each, seed=seed) for seed in range(3)]
    assert all(data.own_test for data in found)
    assert {tuple(data.test.index.tolist()) for data in found} == {tuple(load(fixed).test.index.tolist())}
    assert len({tuple(sorted(data.train.index.tolist())) for data in found}) == 3
    assert len({data.digest for data in found}) == 1
    beside = [load(replace(each, test_images="rest"), seed=seed) for seed in range(2)]
    assert beside[0].test.index.tolist() == beside[1].test.index.tolist()
    rests = [data.rest.index.tolist() for data in beside if data.rest is not None]
    assert len(rests[0]) == len(rests[1])
    assert set(rests[0]) != set(rests[1])
    for data, rest in zip(beside, rests, strict=True):
        taken = [*data.train.index.tolist(), *data.val.index.tolist(), *rest]
        assert sorted(taken) == list(range(30))


def test_the_rest_is_the_test_where_a_set_has_none(insects: Path) -> None:
    found = load(config(insects, train_images=15, test_images="rest", test_part="none"))
    assert [len(split) for split in (found.train, found.val, found.test)] == [15, 6, 9]
    assert found.rest is None
    assert sorted(torch.cat([found.train.index, found.val.index, found.test.index]).tolist()) == list(range(30))


def test_other_columns_and_labels_in_words_are_found(tmp_path: Path) -> None:
    write_parquet(tmp_path / "set" / "train.parquet", pictures(30), image="img", label="fine_label")
    assert len(load(config(tmp_path / "set", test_images=6)).test) == 6
    table = pa.table(
        {"image": [data for data, _ in pictures(30)], "label": [CLASSES[label] for _, label in pictures(30)]}
    )
    (tmp_path / "words").mkdir()
    pq.write_table(table, tmp_path / "words" / "train.parquet")
    numbered, named = load(config(tmp_path / "set", test_images=6)), load(config(tmp_path / "words", test_images=6))
    assert numbered.digest == named.digest


def test_images_of_any_size_are_resized_and_their_middle_is_taken(tmp_path: Path) -> None:
    rows = [(picture(number, size=(9 + number % 5, 12)), number % 3) for number in range(30)]
    write_parquet(tmp_path / "set" / "train.parquet", rows)
    found = load(config(tmp_path / "set", test_images=6, resize=9))
    assert found.train.bytes_of(torch.arange(2)).shape == (2, 3, SIZE, SIZE)
    gradient = np.tile(np.arange(0, 240, 10, dtype=np.uint8), (12, 1))
    stream = io.BytesIO()
    Image.fromarray(gradient).save(stream, "PNG")
    middle = decode(stream.getvalue(), config(tmp_path, channels=1, resize=12))
    assert np.array_equal(middle[0], gradient[2:10, 8:16])


def test_grey_of_sixteen_bits_keeps_its_shades(insects: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.full((SIZE, SIZE), 40_000, dtype=np.uint16)).save(stream, "PNG")
    assert decode(stream.getvalue(), config(insects, channels=1)).max() == round(40_000 / 257)


# ---------------------------------------------------------------- what cannot be used


def photograph(orientation: int, kind: str = "PNG", size: tuple[int, int] = (SIZE, SIZE), **more: Any) -> bytes:
    """A picture with an EXIF orientation beside it."""
    exif, stream = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = orientation
    Image.open(io.BytesIO(picture(1, size=size))).save(stream, kind, exif=exif, **more)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_photographs_are_turned_as_their_orientation_says(tmp_path: Path, kind: str) -> None:
    exact: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}
    options = exact.get(kind, {})
    plain = decode(photograph(1, kind, **options), config(tmp_path))
    turned = {  # what a viewer does, in words of numpy: rows are the second axis, columns the third
        2: plain[:, :, ::-1],
        3: plain[:, ::-1, ::-1],
        4: plain[:, ::-1],
        5: plain.transpose(0, 2, 1),
        6: np.rot90(plain, -1, (1, 2)),
        7: plain[:, ::-1, ::-1].transpose(0, 2, 1),
        8: np.rot90(plain, 1, (1, 2)),
        9: plain,  # no orientation that is defined
    }
    for orientation, expected in turned.items():
        found = decode(photograph(orientation, kind, **options), config(tmp_path))
        assert np.array_equal(found, expected), orientation


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_images_are_those_that_the_datasets_library_gives(tmp_path: Path, kind: str) -> None:
    library = pytest.importorskip("datasets")
    for orientation in range(1, 9):
        data = photograph(orientation, kind)
        theirs = library.Image().decode_example({"bytes": data, "path": None})
        assert np.array_equal(decode(data, config(tmp_path)).transpose(1, 2, 0), np.asarray(theirs))


def test_a_part_of_a_turned_photograph_is_cut_from_what_is_seen(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def left_half(width: int, height: int) -> tuple[float, float, float, float]:
        seen.append((width, height))
        return 0.0, 0.0, 1.0, 0.5

    on_its_side = photograph(6, size=(16, 8))
    part = decode_cropped(on_its_side, config(tmp_path), left_half)
    assert seen == [(8, 16)]
    upright = decode(on_its_side, config(tmp_path, resize=SIZE, image_size=SIZE))
    assert part.shape == upright.shape
    whole = np.asarray(Image.open(io.BytesIO(on_its_side)).transpose(Image.Transpose.ROTATE_270))
    assert np.array_equal(part.transpose(1, 2, 0), whole[:8])


def test_damaged_notes_about_an_image_leave_it_as_it_is(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.open(io.BytesIO(picture(1))).save(stream, "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert np.array_equal(decode(stream.getvalue(), config(tmp_path)), decode(picture(1), config(tmp_path)))


def shown(pixels: np.ndarray, mode: str, tmp_path: Path, channels: int = 3, **options: Any) -> list[int]:
    stream = io.BytesIO()
    image = Image.fromarray(np.broadcast_to(pixels, (SIZE, SIZE, len(pixels))).astype(np.uint8).squeeze(), mode)
    image.save(stream, "PNG", **options)
    return decode(stream.getvalue(), config(tmp_path, channels=channels))[:, 0, 0].tolist()  # type: ignore[no-any-return]


def test_what_is_transparent_lies_over_white(tmp_path: Path) -> None:
    def over(*pixel: int, channels: int = 3, **options: Any) -> list[int]:
        mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[len(pixel)]
        return shown(np.array(pixel), mode, tmp_path, channels, **options)

    assert over(9, 8, 7, 255) == [9, 8, 7]  # opaque: as it is
    assert over(9, 8, 7, 0) == [255, 255, 255]  # black letters on nothing stay black letters
    assert over(0, 0, 0, 51) == [204, 204, 204]
    assert over(0, 51) == [204, 204, 204]
    assert over(0, 51, channels=1) == [204]
    assert over(9, 8, 7, 0, channels=1) == [255]
    assert over(9, 8, 7, transparency=(9, 8, 7)) == [255, 255, 255]  # one colour that means transparent
    assert over(9, 8, 7, transparency=(0, 0, 0)) == [9, 8, 7]
    assert over(9, transparency=9) == [255, 255, 255]


def test_colour_profiles_are_not_applied(tmp_path: Path) -> None:
    stream = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    Image.open(io.BytesIO(picture(1))).save(stream, "PNG", icc_profile=profile)
    assert np.array_equal(decode(stream.getvalue(), config(tmp_path)), decode(picture(1), config(tmp_path)))


def test_images_that_an_earlier_version_decoded_are_decoded_again(
    insects: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(pools_module, "DECODING", pools_module.DECODING - 1)
        resident, streamed = load(config(insects)).digest, load(config(insects, keep="stream")).digest
    assert len(list(own_cache.iterdir())) == 2
    forget()
    assert load(config(insects)).digest == resident  # pixels, and these are the same
    assert load(config(insects, keep="stream")).digest != streamed  # files, of which other pixels may be made
    assert len(list(own_cache.iterdir())) == 4


def broken(kind: str) -> Picture:
    return {
        "truncated": (picture(999, kind="JPEG", size=(SIZE, SIZE))[:-40], 0),
        "not an image": (b"hello", 0),
        "empty": (b"", 0),
        "label 7, allowed 0 to 2": (picture(999), 7),
        "no label": (picture(999), -1),
        "9x8 pixels, needed 8x8": (picture(999, size=(9, 8)), 0),
        "not an image ": (pickle.dumps(Trap()), 0),
    }[kind]


def test_images_of_another_size_among_others_that_cannot_be_used_are_told_with_what_helps(tmp_path: Path) -> None:
    rows = [*pictures(200), broken("9x8 pixels, needed 8x8"), broken("empty")]
    write_parquet(tmp_path / "set" / "train.parquet", rows)
    settings = config(tmp_path / "set", test_images=6)
    words = "set data.resize=8 for those of another size, repair the others, or set data.unusable=skip"
    with pytest.raises(InputError, match=f"2 of 202 images cannot be used: .*; {words}$"):
        load(settings)


class Trap:
    """What leaves a mark when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, ("unpickled",)


PROBLEMS = ["truncated", "not an image", "empty", "label 7, allowed 0 to 2", "no label", "9x8 pixels, needed 8x8"]


@pytest.mark.parametrize("keep", ["resident", "stream"])
@pytest.mark.parametrize("problem", [*PROBLEMS, "not an image "])
def test_an_unusable_image_is_named_refused_or_left_out(
    tmp_path: Path, workplace: Path, problem: str, keep: str
) -> None:
    rows = pictures(200)
    rows.insert(20, broken(problem))
    write_parquet(tmp_path / "set" / "train.parquet", rows)
    settings = config(tmp_path / "set", test_images=6, keep=keep)
    with pytest.raises(InputError) as refused:
        load(settings)
    if problem == "9x8 pixels, needed 8x8":
        assert str(refused.value) == (
            "data.image_size=8: 1 of 201 images of insects have another size: train row 20 (9x8 pixels); set "
            "data.resize=8, which resizes the shorter side of every image and takes the middle, or "
            "data.unusable=skip, which leaves these out"
        )
        assert len(load(replace(settings, resize=8)).train) == 201 - 12
    else:
        assert "1 of 201 images cannot be used: train row 20 (" in str(refused.value)
        assert problem.strip() in str(refused.value)
        assert str(refused.value).endswith("; repair them, or set data.unusable=skip")
    found = load(replace(settings, unusable="skip"))
    assert len(found.train) == 200 - 12
    (name,) = found.skipped
    assert name.startswith("train row 20 (")
    assert not (workplace / "unpickled").exists()


def test_missing_labels_and_images_are_counted(tmp_path: Path) -> None:
    rows = pictures(30)
    table = pa.table(
        {"image": [data for data, _ in rows[:28]] + [None, rows[29][0]], "label": [n for _, n in rows[:29]] + [None]}
    )
    (tmp_path / "set").mkdir()
    pq.write_table(table, tmp_path / "set" / "train.parquet")
    found = load(config(tmp_path / "set", test_images=6, unusable="skip"))
    assert found.skipped == ("train row 28 (no image)", "train row 29 (no label)")


def test_a_pickle_is_never_opened(tmp_path: Path, workplace: Path) -> None:
    write_folder(tmp_path / "photos", pictures(30))
    (tmp_path / "photos" / "ant" / "more.pkl").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match=r"1 of 31 images cannot be used: train ant/more.pkl \(not an image file\)"):
        load(config(tmp_path / "photos", "folder", test_images=6))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.parquet").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match=r"train\.parquet: is cut short, damaged or not parquet"):
        load(config(tmp_path / "set"))
    assert not (workplace / "unpickled").exists()


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    write_folder(tmp_path / "photos", pictures(30))
    (tmp_path / "secret.png").write_bytes(picture(7))
    (tmp_path / "photos" / "bee" / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(InputError, match=r"bee/link.png \(leads outside the folder\)"):
        load(config(tmp_path / "photos", "folder", test_images=6))


def test_what_is_no_regular_file_is_named_and_never_opened(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    write_folder(root, pictures(30))
    os.mkfifo(root / "ant" / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "ant" / "socket.png"))
    (root / "ant" / "device.png").symlink_to("/dev/zero")
    (root / "ant" / "linked.png").symlink_to(root / "ant" / "pipe.png")
    (root / "ant" / "itself.png").symlink_to("itself.png")
    (root / "ant" / "gone.png").symlink_to("nowhere.png")
    (root / "ant" / "up").symlink_to(root)
    with (root / "ant" / "huge.png").open("wb") as file:
        file.truncate(2**40)
    found = load(config(root, "folder", test_images=6, unusable="skip"))
    assert sorted(found.skipped) == [
        "train ant/device.png (leads outside the folder)",
        "train ant/gone.png (cannot be read)",
        f"train ant/huge.png ({2**40:,} bytes, allowed 67,108,864)",
        "train ant/itself.png (cannot be read)",
        "train ant/linked.png (not a regular file)",
        "train ant/pipe.png (not a regular file)",
        "train ant/socket.png (not a regular file)",
        "train ant/up (leads to another folder)",
    ]


@pytest.mark.parametrize("source", ["folder", "parquet", "hub"])
@pytest.mark.parametrize("path", ["x" * 5000, "~nobody-here/x", "a/b/c", "/dev/null", "pandas"])
def test_a_path_that_is_none_is_refused(path: str, source: str) -> None:
    with pytest.raises(InputError, match=f"data.path={path}: " if len(path) < 1000 else r"data\.path=x+ \.\.\. x+: "):
        load(replace(config(Path(), source), path=path))


def test_a_table_that_says_its_rows_are_giant_is_not_read(insects: Path) -> None:
    # Zeros of 65 megabytes, which take no room in the file.
    pq.write_table(pa.table({"image": [bytes(2**26 + 2**20)], "label": [0]}), insects / "train.parquet")
    assert (insects / "train.parquet").stat().st_size < 2**24
    with pytest.raises(InputError, match=r"train.parquet: a row has 68,\d+,\d+ bytes, allowed 67,108,864"):
        load(config(insects))
    small = [(data, number) for data, number in pictures(30)]
    rows = [*small, (bytes(2**26 + 1), 0)]
    write_parquet(insects / "train.parquet", rows)
    with pytest.raises(InputError, match=r"1 of 40 images cannot be used: train row 30 \(67,108,865 bytes, allowed"):
        load(config(insects))
    (insects / "train.parquet").unlink()
    os.mkfifo(insects / "train.parquet")
    with pytest.raises(InputError, match=r"train.parquet: is not a regular file"):
        load(config(insects))


def test_large_rows_are_read_few_at_once(insects: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = load(config(insects)).digest
    forget()
    monkeypatch.setattr(source_module, "BATCH_BYTES", 1000)
    read: list[int] = []
    plain = pq.ParquetFile.iter_batches

    def spied(file: Any, rows: int, **options: Any) -> Any:
        if "image" in options["columns"]:  # labels alone are small
            read.append(rows)
        return plain(file, rows, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spied)
    (insects / "test.parquet").touch()
    assert load(config(insects)).digest == expected
    assert max(read) < 10


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_an_image_that_would_fill_the_memory_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    sides, begin = struct.pack(">II", 60_000, 60_000), b"\x89PNG\r\n\x1a\n"
    wide = begin + png_chunk(b"IHDR", sides + bytes([8, 2, 0, 0, 0])) + png_chunk(b"IDAT", zlib.compress(bytes(10**6)))
    photo = bytearray(picture(1, kind="JPEG"))
    place = photo.find(b"\xff\xc0") + 5
    photo[place : place + 4] = struct.pack(">HH", 60_000, 60_000)
    words = zlib.compress(bytes(2**28), 9)
    told = picture(1)[:33] + png_chunk(b"zTXt", b"k\0\0" + words) + picture(1)[33:]
    profiled = picture(1)[:33] + png_chunk(b"iCCP", b"k\0\0" + words) + picture(1)[33:]
    for data in (wide, bytes(photo)):
        for keep in ("resident", "stream"):
            with pytest.raises(ValueError, match="60000x60000 pixels, more than an image should have"):
                (decode if keep == "resident" else check)(data, config(tmp_path))
    tracemalloc.start()
    for data in (told, profiled):
        with contextlib.suppress(ValueError):
            decode(data, config(tmp_path))
    assert tracemalloc.get_traced_memory()[1] < 2**26
    tracemalloc.stop()


def test_a_table_cut_short_is_named(insects: Path) -> None:
    whole = (insects / "train.parquet").read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        (insects / "train.parquet").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"train\.parquet: is cut short, damaged or not parquet"):
            load(config(insects))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"path": None}, "data.path is missing; say for example data.path=photos"),
        ({"path": "nowhere"}, "data.path=nowhere: there is no such folder; needed: a folder of parquet files"),
        ({"image_column": "foo"}, "data.image_column=foo: train.parquet has the columns image, label"),
        ({"label_column": "coarze"}, "data.label_column=coarze: train.parquet has the columns image, label"),
        ({"val_images": 30}, "data.val_images=30: leaves none of the 30 images of insects to train on"),
        ({"classes": 4}, "data.classes=4: insects has 3"),
        ({"classes": 2}, "data.classes=2: insects has 3"),
        (
            {"image_size": 9},
            "data.image_size=9: the images of insects have 8x8 pixels; resize them with data.resize=9, or set data",
        ),
        ({"resize": 7}, "data.resize=7: allowed is at least data.image_size, 8"),
        ({"val_images": None}, "data.val_images is null, but insects has no val part; give a number, or a share"),
        (
            {"test_images": 0.2},
            "data.test_images=0.2: a share is split off the training part, but insects has a test part",
        ),
        ({"test_images": 10}, "data: test_images is 10; insects has 9"),
        ({"train_images": 25, "val_images": 6}, "data: train_images and val_images add up to 31; insects has 30"),
        (
            {"test_images": "rest"},
            "data.test_images=rest: data.train_images=null, data.val_images=6 leave 0 images of insects over; a split",
        ),
        (
            {"test_images": "rest", "train_images": 24},
            "data.train_images=24, data.val_images=6 leave 0 images of insects over; a split by class needs at least 3",
        ),
        ({"val_images": 2}, "data.val_images=2: a split by class needs at least 3"),
        ({"test_part": "validation"}, "data.test_part=validation: insects has test, train"),
        ({"train_part": "all"}, "data.train_part=all: insects has test, train"),
        ({"image_column": "pixels", "label_column": "kind"}, "data.label_column=kind: "),
        ({"subset": "small"}, "holds no parquet files; needed: train.parquet or data/train-00000-of-00001.parquet"),
    ],
)
def test_settings_that_do_not_fit_a_source_are_refused_in_one_line(
    insects: Path, changes: dict[str, Any], problem: str
) -> None:
    if "image_column" in changes and "label_column" in changes:
        pq.write_table(pa.table({"pixels": [b""], "species": [0]}), insects / "train.parquet")
    with pytest.raises(InputError) as refused:
        load(replace(config(insects), **changes))
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


def test_folders_that_are_no_data_set_are_refused(tmp_path: Path) -> None:
    def refused(**changes: Any) -> str:
        with pytest.raises(InputError) as error:
            load(config(tmp_path / "photos", "folder", test_images=6, **changes))
        return str(error.value)

    (tmp_path / "photos").mkdir()
    assert "holds no folders; allowed: one folder of images for each class" in refused()
    (tmp_path / "photos" / "test" / "ant").mkdir(parents=True)
    assert "has test but no train" in refused()
    (tmp_path / "photos" / "test").rename(tmp_path / "photos" / "bees")
    assert "data.classes=3: insects has 1" in refused()
    write_folder(tmp_path / "photos" / "train", pictures(30))
    write_folder(tmp_path / "photos" / "test", pictures(9))
    (tmp_path / "photos" / "test" / "cat").rename(tmp_path / "photos" / "test" / "dog")
    assert "data.classes=3: insects has 4" in refused()


def test_a_part_is_never_two_and_one_that_was_named_is_there(tmp_path: Path) -> None:
    for part, first in (("train", 0), ("val", 50)):
        write_folder(tmp_path / "photos" / part, pictures(30, first))
        write_parquet(tmp_path / "set" / f"{part}.parquet", pictures(30, first))
    for source, place in (("folder", "photos"), ("parquet", "set"), ("hub", "set")):
        own = config(tmp_path / place, source)
        found = load(replace(own, test_part="val" if source != "hub" else "validation", val_images=6))
        assert [len(split) for split in (found.train, found.val, found.test)] == [24, 6, 30]
        assert not set(content_of(found.val)) & set(content_of(found.test))
        for changes, problem in (
            ({"test_part": "train"}, "data.test_part=train: is already the train part; allowed: another one, or null"),
            ({"val_part": "houldout"}, "data.val_part=houldout: insects has train, val"),
        ):
            with pytest.raises(InputError) as refused:
                load(replace(own, **changes))  # type: ignore[arg-type]
            assert problem in str(refused.value).replace("validation", "val")


def content_of(split: Any) -> list[bytes]:
    return [image.numpy().tobytes() for image in split.bytes_of(torch.arange(len(split)))]


def test_a_part_that_is_left_alone_is_carved_from_the_training_part(tmp_path: Path) -> None:
    for part, first in (("train", 0), ("test", 50)):
        write_folder(tmp_path / "photos" / part, pictures(30, first))
        write_parquet(tmp_path / "set" / f"{part}.parquet", pictures(30, first))
    own = {source: config(tmp_path / place, source) for source, place in (("folder", "photos"), ("parquet", "set"))}
    for settings in own.values():
        found = load(replace(settings, test_part="none", test_images=9))
        assert [len(split) for split in (found.train, found.val, found.test)] == [15, 6, 9]
    (tmp_path / "set" / "test.parquet").unlink()
    assert load(replace(own["parquet"], test_images=9)).digest == found.digest


def test_parts_are_found_however_they_are_capitalised(tmp_path: Path) -> None:
    write_folder(tmp_path / "photos" / "Train", pictures(30))
    write_folder(tmp_path / "photos" / "TEST", pictures(9))
    assert len(load(config(tmp_path / "photos", "folder")).test) == 9


def test_whatever_lies_in_a_folder_is_used_or_named(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    write_folder(root, pictures(30))
    (root / "loose.png").write_bytes(picture(1))
    write_folder(tmp_path / "elsewhere", pictures(3))
    (root / "ant" / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "bee" / b"\xfe\n.png".decode("utf-8", "surrogateescape")).write_bytes(b"broken")
    (root / "ant" / ".checkpoints").mkdir()
    (root / "ant" / ".checkpoints" / "copy.png").write_bytes(picture(2))
    (root / "__MACOSX").mkdir()
    (root / "bee" / "Thumbs.db").write_bytes(b"x")
    (root / "bee" / "further" / "below").mkdir(parents=True)
    (root / "bee" / "further" / "below" / "deep.PNG").write_bytes(picture(3))
    found = load(config(root, "folder", test_images=6, unusable="skip"))
    assert sorted(found.skipped) == [
        "train ant/linked (leads to another folder)",
        "train bee/\\udcfe\\n.png (not an image)",
        "train loose.png (lies in no class's folder)",
    ]
    assert len(content(found)) == 31
    json.dumps(found.skipped, ensure_ascii=False).encode()


def test_text_labels_of_all_files_count_and_files_fit_each_other(tmp_path: Path) -> None:
    def write(name: str, labels: list[Any], column: str = "label") -> Path:
        path = tmp_path / "set" / name
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"image": [picture(number) for number in range(len(labels))], column: labels}), path)
        return path

    write("train-00000-of-00002.parquet", ["ant", "bee"] * 10)
    second = write("train-00001-of-00002.parquet", ["bee", "cat"] * 10)
    settings = config(tmp_path / "set", test_images=6)
    assert torch.bincount(load(settings).train.labels).tolist() == [7, 14, 7]
    kinds: list[tuple[list[Any], str, str]] = [
        (["bee", "cat"] * 10, "labels", "the files of a part have different columns"),
        ([0, 1] * 10, "label", "the files of a part have different columns"),
        ([0.0, 1.0] * 10, "label", "the files of a part have different columns"),
        ([[0], [1]] * 10, "label", "has list"),
    ]
    for labels, column, problem in kinds:
        write(second.name, labels, column)
        forget()
        with pytest.raises(InputError, match=problem):
            load(settings)
    second.unlink()
    forget()
    with pytest.raises(InputError, match="of 2 such files 1 are missing, the first is 00001"):
        load(settings)
    write("train-00001-of-00002.parquet", ["bee", "cat"] * 10)
    (tmp_path / "set" / "data").mkdir()
    write("data/train.parquet", ["bee", "cat"] * 10)
    with pytest.raises(InputError, match="holds parquet files itself and in data/; give one of the two"):
        load(settings)


def test_dictionaries_of_text_are_text(tmp_path: Path) -> None:
    labels = pa.array([CLASSES[label] for _, label in pictures(30)]).dictionary_encode()
    (tmp_path / "set").mkdir()
    pq.write_table(
        pa.table({"image": [data for data, _ in pictures(30)], "label": labels}), tmp_path / "set" / "train.parquet"
    )
    assert len(load(config(tmp_path / "set", test_images=6)).train) == 18


def test_a_class_without_images_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path / "photos", pictures(30))
    for path in (tmp_path / "photos" / "bee").iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(InputError, match="no image to train on that can be used is of class bee; add some, or leave"):
        load(config(tmp_path / "photos", "folder", test_images=6, unusable="skip"))
    write_parquet(tmp_path / "set" / "train.parquet", [(data, 2 * (label // 2)) for data, label in pictures(30)])
    with pytest.raises(InputError, match=r"data\.classes=3: insects has 2: 0, 2$"):
        load(config(tmp_path / "set", test_images=6))
    write_folder(tmp_path / "parts" / "train", pictures(30))
    write_folder(tmp_path / "parts" / "test", [(b"broken", 0), (b"broken", 1), (b"broken", 2)])
    for keep in ("resident", "stream"):
        with pytest.raises(InputError, match="its test part holds no images that can be used"):
            load(config(tmp_path / "parts", "folder", unusable="skip", keep=keep))


def test_pixels_of_32_bits_and_giant_images_are_refused_whatever_runs_beside(tmp_path: Path) -> None:
    rows = pictures(30)
    for kind, mode in (("float", "F"), ("integer", "I")):
        stream = io.BytesIO()
        Image.new(mode, (SIZE, SIZE), 1).save(stream, "TIFF")
        rows.append((stream.getvalue(), 0))
        assert kind
    stream = io.BytesIO()
    Image.new("1", (2**13, 2**13 + 1)).save(stream, "PNG")
    rows += [(stream.getvalue(), 0)] * 20
    write_parquet(tmp_path / "set" / "train.parquet", rows)
    for keep in ("resident", "stream"):
        found = load(config(tmp_path / "set", test_images=6, unusable="skip", resize=SIZE, keep=keep))
        assert [name.partition("(")[2] for name in found.skipped] == [
            *["pixels of 32 bits, allowed 8 or 16)"] * 2,
            *["8192x8193 pixels, more than an image should have)"] * 20,
        ]


def test_no_other_program_is_started_for_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "gs"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    post = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
    with pytest.raises(ValueError, match="not an image"):
        decode(post, config(tmp_path))
    assert not (tmp_path / "started").exists()


def test_a_full_disk_is_told_in_one_line(insects: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    def full(images: Growing, image: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Growing, "add", full)
    with pytest.raises(InputError, match="images: No space left on device; images are kept there once read: make room"):
        load(config(insects))
    assert list(own_cache.iterdir()) == []


def test_the_hub_is_told_apart_from_a_connection_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def without(*_: object) -> None:
        raise ConnectionError("Couldn't reach 'nobody/nothing' on the Hub\n(offline)")

    monkeypatch.setattr(datasets, "load_dataset", without)
    with pytest.raises(InputError) as refused:
        load(replace(config(tmp_path, "hub"), path="nobody/nothing"))
    assert str(refused.value).startswith(
        "data.path=nobody/nothing: cannot be had from the hub and is not in its cache ("
    )
    assert "run once with a connection, or give a local copy with data.source=parquet" in str(refused.value)
    assert "\n" not in str(refused.value)


# ---------------------------------------------------------------- cache, splits and streams


def test_images_are_read_once_and_again_when_they_change(
    insects: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(config(insects))
    forget()
    with monkeypatch.context() as patch:
        patch.setattr(pools_module, "decode", None)  # whoever decoded again would fail
        assert load(config(insects)).digest == first.digest
    forget()
    write_parquet(insects / "train.parquet", pictures(30, first=1))
    assert load(config(insects)).digest != first.digest
    assert len(list(own_cache.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "other", "meta"])
def test_a_damaged_cache_is_made_again(insects: Path, own_cache: Path, damage: str) -> None:
    digest = load(config(insects)).digest
    forget()
    (entry,) = own_cache.iterdir()
    images = entry / "train.npy"
    whole = images.read_bytes()
    images.unlink()  # never written over: somebody may have it mapped
    match damage:
        case "cut":
            images.write_bytes(whole[: len(whole) // 2])
        case "empty":
            images.write_bytes(b"")
            (entry / "train_labels.npy").write_bytes(b"")
        case "gone":
            pass
        case "other":
            images.write_bytes(pickle.dumps(Trap()))
        case "meta":
            images.write_bytes(whole)
            (entry / "meta.json").write_text("[]")
    again = load(config(insects))
    assert again.digest == digest
    assert len(content(again)) == 39
    assert not Path("unpickled").exists()


def test_a_data_set_is_loaded_once_however_it_is_asked_for(insects: Path) -> None:
    first, second = load(config(insects)), load(config(insects), "cpu", 3)
    assert second.train is first.train
    assert second.loaders == 3


def test_a_folder_that_cannot_be_written_costs_the_cache_alone(insects: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = load(config(insects)).digest
    forget()
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    before = set(Path(tempfile.gettempdir()).glob("resnext-explorer-*"))
    assert load(config(insects)).digest == known
    assert set(Path(tempfile.gettempdir()).glob("resnext-explorer-*")) == before


def test_the_split_follows_its_seed_alone(insects: Path) -> None:
    one, two = load(config(insects)), load(config(insects, split_seed=1))
    assert one.digest != two.digest
    assert content(one) == content(two)
    assert load(config(insects, label="another")).digest == one.digest


def test_streamed_images_are_those_that_would_be_resident(insects: Path) -> None:
    resident, streamed = load(config(insects)), load(config(insects, keep="stream"), loaders=2)
    assert streamed.train.images is None
    places = torch.split(torch.randperm(24), 7)
    for (images, labels), (others, same) in zip(
        fetched(resident, resident.train, places), fetched(streamed, streamed.train, places), strict=True
    ):
        assert torch.equal(images, others)
        assert torch.equal(labels, same)
    assert torch.allclose(resident.mean, streamed.mean)


def test_streamed_folders_are_read_from_their_own_files(tmp_path: Path, own_cache: Path) -> None:
    write_folder(tmp_path / "photos", pictures(30))
    found = load(config(tmp_path / "photos", "folder", test_images=6, keep="stream"))
    assert not list(own_cache.rglob("*.bin"))
    ((images, _),) = fetched(found, found.train, [torch.arange(3)])
    assert images.shape == (3, 3, SIZE, SIZE)


def test_large_sets_are_streamed_by_themselves(insects: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools_module, "RESIDENT_BYTES", 38 * 3 * SIZE**2)
    assert load(config(insects)).train.images is None


def test_few_batches_are_read_ahead(insects: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def counted(config: DataConfig, split: Any, crops: Crops | None, number: int) -> np.ndarray[Any, Any]:
        read.append(number)
        return original(config, split, crops, number)

    original = data_module._read
    streamed = load(config(insects, keep="stream"), loaders=1)
    monkeypatch.setattr(data_module, "_read", counted)
    batches = fetched(streamed, streamed.train, torch.split(torch.arange(24), 2))
    next(batches)
    assert len(read) <= 2 * (data_module.AHEAD + 1)
    assert sum(1 for _ in batches) == 11
    assert sorted(read) == sorted(streamed.train.index[:24].tolist())


def test_batches_that_are_still_being_copied_are_not_overwritten(insects: Path) -> None:
    streamed = load(config(insects, keep="stream"), loaders=3)
    batches = list(fetched(streamed, streamed.train, torch.split(torch.arange(24), 5)))  # as if none were copied yet
    again = [image for place in range(24) for image, _ in fetched(streamed, streamed.train, [torch.tensor([place])])]
    assert torch.equal(torch.cat([images for images, _ in batches]), torch.cat(again))
    assert torch.equal(torch.cat([labels for _, labels in batches]), streamed.train.labels[:24])


def test_streamed_crops_follow_their_key_and_place_alone(tmp_path: Path, insects: Path) -> None:
    from explorer.verbs.command_line import read_command

    recipe = replace(read_command(["study=equal_params"]).study.recipe, crop_area=(0.08, 1.0))
    streamed = load(config(insects, keep="stream"), loaders=2)

    def crops(key: int, places: list[int]) -> torch.Tensor:
        ((images, _),) = fetched(streamed, streamed.train, [torch.tensor(places)], Crops(recipe, key))
        return images

    assert torch.equal(crops(1, [0, 5, 7]), crops(1, [5, 0, 7])[[1, 0, 2]])
    assert not torch.equal(crops(1, [0, 5, 7]), crops(2, [0, 5, 7]))
