"""Short forms on the command line: a folder of images, a budget, numbers; written out in full in the settings."""

import re
from pathlib import Path

import pytest
from PIL import Image

from explorer.host.errors import InputError
from explorer.study.settings import LimitConfig
from explorer.study.tree import whole_number
from explorer.verbs.command_line import read_command
from tests.photographs import CLASSES, photographs
from tests.training.test_image_sources import pictures, write_folder, write_parquet

STUDY = "study=equal_params"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1M", 1_000_000),
        ("2.5M", 2_500_000),
        ("400k", 400_000),
        ("1e6", 1_000_000),
        ("1_000_000", 1_000_000),
        ("1.5G", 1_500_000_000),
        ("0.1", None),
        ("1.5", None),
        ("M", None),
        ("-1M", None),
        ("1 M", None),
    ],
)
def test_numbers_are_written_as_people_write_them(text: str, number: int | None) -> None:
    assert whole_number(text) == number


def test_whole_numbers_are_read_wherever_one_is_expected() -> None:
    config = read_command(
        [STUDY, "data.train_images=0.4k", "data.test_images=1e3", "data.val_images=0.1", "space.cardinality=[1,0.032k]"]
    ).study
    assert (config.data.train_images, config.data.test_images, config.data.val_images) == (400, 1000, 0.1)
    assert config.space.cardinality == (1, 32)  # type: ignore[union-attr]
    with pytest.raises(InputError, match="must be a whole number"):
        read_command([STUDY, "recipe.batch_size=1.5"])


@pytest.mark.parametrize(
    ("budget", "held"),
    [
        ("1M", {"params": 1_000_000}),
        ("params:2.5M", {"params": 2_500_000}),
        ("macs:50M", {"macs": 50_000_000}),
        ("'<1M'", {"params": 1_000_000}),
        ("'<=1M'", {"params": 1_000_000}),
        ("macs:<50M", {"macs": 50_000_000}),
        ("params:1M,macs:50M", {"params": 1_000_000, "macs": 50_000_000}),
    ],
)
def test_a_budget_in_short_is_the_most_that_a_design_may_cost(budget: str, held: dict[str, int]) -> None:
    config = read_command([STUDY, f"budget={budget}", "budget.params.tolerance=0.2" if "params" in held else STUDY])
    assert config.study.budget.reference is None
    tolerances = {"params": 0.2, "macs": 0.1}
    assert config.study.budget.held == {
        key: LimitConfig(tolerances[key], target, at_most=True) for key, target in held.items()
    }


def test_a_target_of_the_command_needs_no_reference() -> None:
    assert read_command([STUDY, "budget=params", "budget.params.target=1M"]).study.budget.reference is None
    kept = read_command([STUDY, "budget.params.target=1M", "budget.reference=1x64d"]).study.budget.reference
    assert kept == "1x64d"


def test_an_unknown_budget_or_data_set_says_what_else_may_stand_there() -> None:
    for words, said in (("budget=1X", "or a number, as in budget=1M"), ("data=phots", "or a folder of images, as in")):
        with pytest.raises(InputError, match=said):
            read_command([STUDY, words])


def test_a_folder_alone_suffices(tmp_path: Path) -> None:
    photographs(tmp_path / "photos", 25)
    (tmp_path / "photos" / CLASSES[1] / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    command = read_command([STUDY, "data=photos", "recipe=fitted"])
    data, recipe = command.study.data, command.study.recipe
    assert (data.source, data.path, data.name) == ("folder", "photos", "photos")
    assert (data.classes, data.channels, data.image_size, data.resize) == (3, 3, 64, 64)
    assert (data.train_images, data.val_images, data.test_images, data.unusable) == (None, 0.2, 0.2, "skip")
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate, recipe.shift, recipe.flip) == (
        30,
        16,
        0.0125,
        8,
        True,
    )
    said = "\n".join(command.aside)
    assert "photos: 75 images in 3 classes (Café crème 25, Forêt d'hiver 25, Été à la mer 25)" in said
    assert "1 file cannot be used and will be left out: train Forêt d'hiver/torn.jpg (" in said
    assert "resized to 64x64 pixels" in said
    own = read_command([STUDY, "data=photos", "data.resize=32", "data.test_images=10", "data.channels=1"]).study.data
    assert (own.image_size, own.resize, own.test_images, own.channels) == (32, 32, 10, 1)


def test_a_group_wins_over_a_folder_of_its_name(tmp_path: Path) -> None:
    write_folder(tmp_path / "digits", pictures(60))
    assert read_command([STUDY, "data=digits"]).study.data.source == "digits"
    data = read_command([STUDY, "data=./digits"]).study.data
    assert (data.source, data.path, data.classes, data.image_size, data.resize) == ("folder", "./digits", 3, 8, None)


def test_a_folder_of_tables_alone_suffices(tmp_path: Path) -> None:
    for part, count in (("train", 60), ("test", 9)):
        rows = [(data, label if part == "train" else -1) for data, label in pictures(count, channels=1)]
        write_parquet(tmp_path / "set" / "default" / part / "0000.parquet", rows)
    command = read_command([STUDY, "data=set"])
    data = command.study.data
    assert (data.source, data.classes, data.channels, data.image_size) == ("parquet", 3, 1, 8)
    assert (data.test_part, data.test_images) == ("none", 0.2)
    assert "The labels of its test part are hidden" in "\n".join(command.aside)
    assert "(ant 20, bee 20, cat 20)" in command.aside[0]


def test_what_can_be_wrong_with_a_folder_is_said(tmp_path: Path) -> None:
    write_folder(tmp_path / "outer" / "inner", pictures(9))
    with pytest.raises(InputError, match="holds one folder, inner, with 3 folders in it; say data=outer/inner"):
        read_command([STUDY, "data=outer"])
    for number, name in enumerate(("many", "few")):
        for one in range(60 if number == 0 else 5):
            path = tmp_path / "odd" / name / f"{one}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), one).save(path)
    said = "\n".join(read_command([STUDY, "data=odd"]).aside)
    assert "Few images: few (5)" in said
    assert "Unbalanced: the largest class has 12 times the images of the smallest" in said
    for words, said in (
        (["data.path=many"], "data=odd data.path=many: are two places of images; leave one out"),
        (["data.resize=0"], "data.resize=0: must be greater than or equal to 1"),
        (["data.val_images=0"], "data.val_images=0: must be a whole number of 1 or more, or a share between 0 and 1"),
    ):
        with pytest.raises(InputError, match=re.escape(said)):
            read_command([STUDY, "data=odd", *words])
    with pytest.raises(
        InputError, match=r"=0: must be greater than or equal to 1( \(|$)"
    ):  # of two keys each has its own words
        read_command([STUDY, "data=odd", "recipe.epochs=0", "recipe.learning_rate=0"])
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="holds no folders; allowed: one folder of images for each class"):
        read_command([STUDY, "data=none"])


def test_a_fitted_recipe_needs_to_know_how_many_images_there_are() -> None:
    fitted = [STUDY, "recipe=fitted"]
    recipe = read_command(fitted).study.recipe
    assert (recipe.epochs, recipe.batch_size, recipe.flip) == (20, 32, False)
    with pytest.raises(InputError, match="recipe=fitted: needs the number of training images"):
        read_command([*fitted, "data=cifar10", "data.train_images=null"])


def test_a_mistyped_folder_is_answered_with_the_one_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=re.escape("data=photo: no such data (did you mean ./photos?)")):
        read_command(["study=best", "data=photo", "budget=1M"])
