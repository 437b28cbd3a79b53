"""What a plan tells of a data set without reading an image of it."""

import re
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.__main__ import main
from explorer.host.errors import InputError
from explorer.training.glance import refuse_unlike
from explorer.training.images.split import load
from tests.training.test_image_sources import CLASSES, config, picture, pictures, write_folder, write_parquet


def refusal(path: Path, source: str, **changes: object) -> str:
    with pytest.raises(InputError) as caught:
        refuse_unlike(replace(config(path, source), **changes))  # type: ignore[arg-type]
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
        write_folder(tmp_path / ("" if whole else part), pictures(6))
    refuse_unlike(config(tmp_path, "folder"))
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
    refuse_unlike(replace(config(tmp_path), train_part="train", classes=len(CLASSES)))
    assert refusal(tmp_path, "parquet", classes=2) == "data.classes=2: insects has 8"
    assert refusal(tmp_path, "parquet", classes=9) == "data.classes=9: insects has 8"
    refuse_unlike(replace(config(tmp_path), classes=9, unusable="skip"))


def test_names_in_tables_are_counted_and_damage_is_told(tmp_path: Path) -> None:
    table = pa.table({"image": [b"", b""], "label": ["ant", "bee"]})
    pq.write_table(table, tmp_path / "train.parquet")
    refuse_unlike(replace(config(tmp_path), classes=2))
    assert refusal(tmp_path, "parquet", classes=3) == "data.classes=3: insects has 2: ant, bee"
    (tmp_path / "train.parquet").write_bytes(b"PAR1")
    assert "is cut short, damaged or not parquet" in refusal(tmp_path, "parquet")


def test_a_plan_is_refused_for_images_that_are_not_those_of_the_settings(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(workplace / "photos", pictures(6))
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
