"""What a plan tells of a data set without reading an image of it."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.__main__ import main
from explorer.host.errors import InputError
from explorer.study.settings import DataConfig
from explorer.training.glance import refuse_unlike
from explorer.training.images import discovery
from explorer.training.images.discovery import discover
from explorer.training.images.split import load
from tests.training.test_image_sources import CLASSES, config, picture, pictures, write_folder, write_parquet

PARTS = ("val", "test")


def refusal(path: Path, source: str, **changes: object) -> str:
    with pytest.raises(InputError) as caught:
        refuse_unlike(replace(config(path, source, test_images=6), **changes))  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize("source", ["folder", "parquet", "hub"])
def test_a_path_that_does_not_exist_is_refused(source: str, tmp_path: Path) -> None:
    assert "there is no such folder; needed: " in refusal(tmp_path / "nothing" / "here", source)
    (tmp_path / "file").touch()
    assert "is a file; needed: " in refusal(tmp_path / "file", source)


def test_a_name_of_the_hub_is_left_to_the_start() -> None:
    refuse_unlike(replace(config(Path("x"), "hub"), path="nobody/has-this"))


@pytest.mark.parametrize(("key", "value", "has"), [("classes", 9, 10), ("image_size", 16, 8), ("channels", 3, 1)])
def test_a_plan_refuses_other_images_than_the_digits(
    key: str, value: int, has: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["study=equal_params", "do=plan", f"data.{key}={value}"]) == 2
    assert f"data.{key}={value}: digits has {has}" in capsys.readouterr().err


@pytest.mark.parametrize("whole", [True, False])
def test_folders_are_counted_as_classes(whole: bool, tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_folder(tmp_path / ("" if whole else part), pictures(30))
    refuse_unlike(config(tmp_path, "folder", test_images=6))
    for classes in (len(CLASSES) - 1, len(CLASSES) + 1):
        said = refusal(tmp_path, "folder", classes=classes)
        assert said.startswith(f"data.classes={classes}: insects has {len(CLASSES)}: ")


def test_a_part_without_folders_and_parts_without_train_are_refused(tmp_path: Path) -> None:
    assert "holds no folders; allowed: one folder of images for each class" in refusal(tmp_path, "folder")
    write_folder(tmp_path / "test", pictures(6))
    assert "has test but no train" in refusal(tmp_path, "folder")


def test_labels_of_tables_are_counted_and_a_few_beyond_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "data" / "train-00000-of-00001.parquet"
    write_parquet(path, [*pictures(300), (pictures(1)[0][0], 7)])
    (tmp_path / "data" / "notes.parquet").write_bytes(b"of no part, and never opened")
    settings = config(tmp_path, test_images=6, classes=len(CLASSES))
    for skips in (True, False):
        wanted = replace(settings, unusable="skip" if skips else "refuse")
        assert same_end(wanted) == (
            ""
            if skips
            else f"data.path={tmp_path}: 1 of 301 images cannot be used: train row 300 (label 7, allowed 0 to 2); "
            "repair them, or set data.unusable=skip"
        )
        for classes in (2, 9):
            said = same_end(replace(wanted, classes=classes))
            assert said == f"data.classes={classes}: insects has 4: 0, 1, 2, 7"


def same_end(settings: DataConfig) -> str:
    """What a plan and a start both say of a data set; "" where both take it."""
    said = []
    for ask in (refuse_unlike, load):
        try:
            ask(settings)
            said.append("")
        except InputError as error:
            said.append(str(error))
    assert said[0] == said[1]
    return said[0]


def numbered(train: list[Any], test: list[Any] = []) -> Callable[[Path], None]:  # noqa: B006 - never changed
    """A table with these labels, repeated, and one of test images if there are any."""

    def write(root: Path) -> None:
        for part, labels, times in (("train", train, 12), ("test", test, 3)):
            kind = pa.uint64() if any(isinstance(one, int) and one > 2**63 for one in labels) else None
            column = pa.array(labels * times, kind)
            images = [picture(number) for number in range(len(column))]
            if labels:
                pq.write_table(pa.table({"image": images, "label": column}), root / f"{part}.parquet")

    return write


def photos(counts: dict[str, int], *more: str) -> Callable[[Path], None]:
    """Folders with so many images each, and other files and folders by their names."""

    def write(root: Path) -> None:
        for folder, count in counts.items():
            (root / folder).mkdir(parents=True)
            for number in range(count):
                (root / folder / f"{number}.png").write_bytes(picture(number + 100 * len(folder)))
        for name in more:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(picture(7) if name.endswith(".png") else b"\0\0\0\x18ftypheic")

    return write


WITHOUT = "no image to train on that can be used is of class"
FEW = "cannot be split by class: too few images are left of"
FOLDER = "leave the class out: move its folder to another place"
# What is written, what a plan and a start say in the end, and where they take it the names of the classes.
ODD: dict[str, tuple[Callable[[Path], None], str, tuple[str, ...]]] = {
    "plain": (photos({"ant": 20, "bee": 20}), "", ("ant", "bee")),
    "an empty folder": (photos({"ant": 20, "bee": 20, "cat": 0}), f"{WITHOUT} cat; add some, or {FOLDER}", ()),
    "HEIC alone": (photos({"ant": 20, "bee": 20}, "cat/a.heic", "cat/b.heic"), f"{WITHOUT} cat; add some", ()),
    "one image": (photos({"ant": 20, "bee": 20, "cat": 1}), f"{FEW} cat (1 image); add some, or {FOLDER}", ()),
    "two images": (photos({"ant": 20, "bee": 20, "cat": 2}), f"{FEW} cat (", ()),
    "a line break": (photos({"ant\nhill": 20, "bee": 1}), f"{FEW} bee (1 image)", ()),
    "gaps": (numbered([0, 2, 5]), "", ("0", "2", "5")),
    "from a thousand": (numbered([1000, 2000]), "", ("1000", "2000")),
    "beyond 63 bits": (numbered([1, 2**63 + 1]), "", ("1", str(2**63 + 1))),
    "from one": (numbered([1, 2]), "", ("1", "2")),
    "from none": (numbered([0, 1]), "", ()),
    "decimal": (numbered([0.0, 3.0]), "", ("0", "3")),
    "unlike parts": (numbered([1, 2], [0, 1]), "0 not among train's classes, but in its test part; add images", ()),
    "unlike folders": (
        photos({"train/ant": 20, "train/bee": 20, "test/ant": 5, "test/cat": 5}),
        "but in its test part; add images to train on, or leave that part out with data.test_part=none",
        (),
    ),
    "one and below": (numbered([-1, 1]), "has one class, 1, and 12 rows without a label (numbers below zero", ()),
    "missing": (numbered([0, 1, None]), "", ()),
    "a class train": (
        photos({"train": 20, "plane": 20}),
        "where train is itself a class, set data.train_part=none",
        (),
    ),
    "a flat test": (
        photos({"train/ant": 20, "train/bee": 20, "test": 9}),
        "to take the test images from the training part, or where test is itself a class, set data.test_part=none",
        (),
    ),
    "a class test": (photos({"test": 20, "bee": 20}), "where these are names of classes, set data.test_part=none", ()),
    "a test of one class": (photos({"train/ant": 20, "train/bee": 20, "test/ant": 5}), "", ("ant", "bee")),
}


@pytest.mark.parametrize("odd", ODD)
def test_a_plan_and_a_start_end_alike_with_odd_data(odd: str, tmp_path: Path) -> None:
    write, words, classes = ODD[odd]
    (tmp_path / "odd").mkdir()
    write(tmp_path / "odd")
    try:
        found = discover(str(tmp_path / "odd"), {})
    except InputError as error:
        said = str(error)
    else:
        tree = found.settings({})
        settings = config(tmp_path / "odd", found.source, unusable="skip", classes=int(tree["classes"]))
        sizes = {f"{part}_images": None if (one := tree[f"{part}_images"]) == "null" else float(one) for part in PARTS}
        settings = replace(settings, **sizes)  # type: ignore[arg-type]
        said = same_end(settings)
        assert not any("\n" in line for line in found.lines("odd", tree))
        if not said:
            assert load(settings).classes == found.names == classes
            assert len({*load(settings).train.labels.tolist()}) == int(tree["classes"])
    assert words in said
    assert bool(words) == bool(said)


def test_what_is_told_counts_what_can_be_used_and_names_the_rest(tmp_path: Path) -> None:
    photos({"train/ant": 20, "train/bee": 30, "test/ant": 5, "cat": 3}, "train/ant/a.heic", "train/loose.png")(tmp_path)
    for number in range(4):
        (tmp_path / "train" / "bee" / f"{number}.png").write_bytes(b"broken")
    first, unusable, *more = discover(str(tmp_path), {}).lines("photos", {})
    assert first == "photos: 51 images in 2 classes (ant 25, bee 26), 8x8 pixels, colour"
    assert unusable.startswith("6 files cannot be used and will be left out: ")
    assert "train ant/a.heic (HEIC is not read; save it as JPEG or PNG)" in unusable
    assert more == [
        "Not used, since it is of no part: cat/",
        "Its test part has no image of 1 of the 2 classes (bee), of which its error says nothing",
    ]
    numbered([0, 1, None], [0, 1])(tmp_path / "cat")
    (tmp_path / "cat" / "ant").mkdir()
    lines = discover(str(tmp_path / "cat"), {}).lines("tables", {})
    assert lines[0].startswith("tables: 30 images in 2 classes (0 15, 1 15), 8x8 pixels")
    assert lines[1:3] == [
        "Not used, since it is of no part: ant/",
        "12 rows of its train part without a label will be left out",
    ]


def test_of_a_table_with_names_few_images_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbered(["ant", "bee"] * 10)(tmp_path)
    monkeypatch.setattr(discovery, "LOOKED_AT", 50)
    looked: list[object] = []

    def header(data: object) -> tuple[int, int, bool]:
        looked.append(data)
        return 8, 8, False

    monkeypatch.setattr(discovery, "header", header)
    (line, *_) = discover(str(tmp_path), {}).lines("tables", {})
    assert line == "tables: 240 images in 2 classes (ant 120, bee 120), 8x8 pixels (of 50 looked at), colour"
    assert len(looked) == 50


def test_names_in_tables_are_counted_and_damage_is_told(tmp_path: Path) -> None:
    table = pa.table({"image": [picture(number) for number in range(30)], "label": ["ant", "bee"] * 15})
    pq.write_table(table, tmp_path / "train.parquet")
    refuse_unlike(config(tmp_path, classes=2, test_images=6))
    assert refusal(tmp_path, "parquet", classes=3) == "data.classes=3: insects has 2: ant, bee"
    (tmp_path / "train.parquet").write_bytes(b"PAR1")
    assert "is cut short, damaged or not parquet" in refusal(tmp_path, "parquet")


def test_a_plan_is_refused_for_images_that_are_not_those_of_the_settings(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(workplace / "photos", pictures(60))
    plan = ["study=equal_params", "do=plan", "data=folder", "data.path=photos", "data.test_images=0.2"]
    assert main([*plan, "data.classes=4"]) == 2
    assert capsys.readouterr().err.startswith("explorer: data.classes=4: photos has 3: ")
    assert main([*plan, "data.classes=3"]) == 2
    words = "data.image_size=32: the images of photos have 8x8 pixels; resize them with data.resize=32"
    assert capsys.readouterr().err.startswith(f"explorer: {words}, or set data.image_size=8")
    assert main([*plan, "data.classes=3", "data.image_size=8", "recipe.cutout=0"]) == 0
    assert main([*plan, "data.classes=3", "data.resize=32"]) == 0
    assert main(["study=equal_params_cifar10_jpeg", "do=plan"]) == 0  # without a path nothing is known yet


@pytest.mark.parametrize("source", ["folder", "parquet"])
def test_a_plan_and_a_start_refuse_images_of_mixed_sizes_with_the_same_words(
    source: str, tmp_path: Path, workplace: Path
) -> None:
    rows = [*pictures(20), (picture(99, size=(9, 8)), 1), (picture(98, size=(8, 20)), 2)]
    if source == "folder":
        write_folder(tmp_path, rows)
    else:
        write_parquet(tmp_path / "train.parquet", rows)
    settings = replace(config(tmp_path, source), test_images=6)
    said = refusal(tmp_path, source)
    assert re.search(r"^data.image_size=8: 2 of 22 images of insects have another size: .*\(9x8 pixels\); ", said)
    with pytest.raises(InputError) as caught:
        load(settings)
    assert str(caught.value) == said
    refuse_unlike(replace(settings, resize=8))
    assert len(load(replace(settings, resize=8)).train) == 10
    refuse_unlike(replace(settings, unusable="skip"))
    assert "data.resize=7: allowed is at least data.image_size, 8" in refusal(tmp_path, source, resize=7)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        (
            ["data.train_images=5000"],
            "data: train_images, val_images and test_images add up to 6,397; digits has 1,797",
        ),
        (["data.val_images=9"], "data.val_images=9: a split by class needs at least 10"),
        (["data.test_images=1146"], "data.test_images=1146: leaves 1 images over, too few to split off by class"),
        (["data.test_images=null"], "data.test_images is null, but digits has no test part"),
    ],
)
def test_a_plan_refuses_a_split_of_the_digits_that_a_start_refuses(
    sizes: list[str], said: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study=equal_params", "do=plan", *sizes]) == 2
    assert capsys.readouterr().err.startswith(f"explorer: {said}")


def test_a_plan_for_another_machine_or_without_a_path_says_what_a_start_would_refuse(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["study=equal_params", "do=plan", "device=cuda"]) == 0
    told = "Planned for another machine; a start here would be refused: device=cuda: no CUDA device can be used here"
    assert told in capsys.readouterr().out
    assert main(["study=equal_params_cifar10_jpeg", "do=plan"]) == 0
    assert "A start would be refused: data.path is missing; say for example" in capsys.readouterr().out
