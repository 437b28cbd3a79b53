"""From a study to a network: what is exported works elsewhere, says what it is, and is refused where it is wrong."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import explorer
from explorer.__main__ import main
from explorer.record import records
from explorer.record.folder import LABELS, make_folder, study_folder
from explorer.record.labels import keep_labels, load_labels
from explorer.record.rows import record_of
from explorer.record.starts import begin, keep_normalisation, preprocessing_in
from explorer.study.job import HostQuestion, HostReport
from explorer.study.plan import plan_of
from explorer.study.preprocessing import Preprocessing
from explorer.study.run import EpochResult, Execution
from explorer.study.runs import is_judged, runs_of
from explorer.study.settings import DataConfig, StudyConfig
from explorer.training.device import device_name
from explorer.training.images.decode import decode
from explorer.training.images.split import _LOADED, _pools, load, preprocessing_of
from explorer.training.loop import train
from explorer.training.network import again, proof, usable
from explorer.training.network.usable import usable_source
from explorer.training.worker import _survey
from explorer.verbs import predict as verb
from explorer.verbs.command_line import read_command
from tests.conftest import TINY, broadly

# Quotes, braces, backslashes, accents, a line break, letters beyond 16 bits: into Python, JSON, ONNX and a card.
CLASSES = ('caf\u00e9 "x" {y}', "new\nline \"\"\" '''", "\\back\\slash \U0001f41d")
COLOURS = ((200, 60, 50), (60, 180, 70), (50, 70, 210))
PHOTOS = [
    *(word for word in TINY if not word.startswith(("name=", "data.", "recipe.epochs", "search.seeds"))),
    "name=photos",
    "data=folder",
    "data.path=images",
    "data.channels=3",
    "data.image_size=16",
    "data.resize=20",
    "data.classes=3",
    "data.val_images=12",
    "data.test_images=24",
    "recipe.epochs=4",
    "recipe.batch_size=6",
    "search.seeds=1",
]


def photo(number: int, rng: np.random.Generator) -> Image.Image:
    """A picture of a class's colour, of a size of its own, as cameras and programs store them."""
    size = (int(rng.integers(20, 60)), int(rng.integers(20, 60)))
    noise = rng.normal(0, 25, (*size[::-1], 3)) + np.array(COLOURS[number])
    return Image.fromarray(noise.clip(0, 255).astype(np.uint8))


def write_photos(folder: Path, each: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for number, name in enumerate(sorted(CLASSES)):
        (folder / name).mkdir(parents=True)
        for place in range(each):
            image = photo(number, rng)
            exif = Image.Exif()
            exif[0x0112] = place % 8 + 1
            kind = (".jpg", ".png", ".webp")[place % 3]
            image.save(folder / name / f"{place}{kind}", exif=exif)


def train_all(config: StudyConfig, precision: str = "float32") -> Path:
    """Train a study's runs here, with their weights, and record them as a coordinator would."""
    folder = make_folder(study_folder(config.name))
    make_folder(folder / "local" / "weights")
    there = _survey(HostQuestion(config.data, "cpu"))
    form = config.search.forms[0]
    execution = Execution("cpu", device_name("cpu"), form, "channels_last", precision, 1, config.recipe.batch_size)
    records.open_for_writing(folder, filters=config.records_filters)
    begin(folder, None, config, execution, there)
    keep_labels(folder, there.test_labels)
    plan = plan_of(config)
    for setting, run in runs_of(plan, plan.settings, execution, there.data_hash):
        epochs: list[EpochResult] = []
        path = folder / "local" / "weights" / f"{run.id}.safetensors"
        outcome = train(run, epochs.append, judges=is_judged(config, run), weights=path, filters=config.records_filters)
        if outcome.normalisation is not None:
            keep_normalisation(folder, run.seed, *outcome.normalisation)
        keep_labels(folder, outcome.test_labels, run.seed)
        macs, when = setting.cost.macs, "2026-11-24T05:09:10Z"
        record = record_of(config, setting, run, outcome, fvcore_macs=macs, finished=when, start=0)
        records.commit(folder, record, epochs, outcome)
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with 63 pictures of three classes, and a study trained on them with its weights."""
    place, before = tmp_path_factory.mktemp("photos"), Path.cwd()
    try:
        os.chdir(place)
        torch.set_num_threads(1)
        write_photos(place / "images", 21, seed=0)
        train_all(read_command(PHOTOS).study)
    finally:
        os.chdir(before)
    return place


@pytest.fixture
def copied(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that place, which is the current folder: its images are not copied, since nothing writes there."""
    shutil.copytree(photos / "studies", tmp_path / "studies")
    (tmp_path / "images").symlink_to(photos / "images")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def weights_of(place: Path) -> dict[str, Path]:
    """The files of weights by run."""
    return {path.stem: path for path in (place / "studies" / "photos" / "local" / "weights").glob("*.safetensors")}


ELSEWHERE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from model import predict
right = total = 0
for path in Path(sys.argv[2]).rglob("*.*"):
    name, probability = predict(path)[0]
    right, total = right + (name == path.parent.name), total + 1
print(right, total, "explorer" in sys.modules, "safetensors" in sys.modules)
"""


@pytest.mark.real
def test_ten_lines_elsewhere_classify_new_files_as_well_as_the_study_said(
    copied: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "photos"]) == 0
    said = capsys.readouterr().out
    assert "the recorded answer on each of 24 test images, bit for bit" in said
    assert "model.py gives the scores of our network in float32 on 24 images of the test part, exactly" in said
    assert "It reads 32 image files of the data to the pixels of training" in said
    assert "Not shown" not in said
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert len({path.stat().st_mode for path in (copied / "exports" / "photos").iterdir()}) == 1  # to be copied by all
    write_photos(elsewhere / "new", 12, seed=1)
    shutil.move(copied / "exports" / "photos", elsewhere / "network")
    words = [sys.executable, "-I", "-c", ELSEWHERE, str(elsewhere / "network"), str(elsewhere / "new")]
    done = subprocess.run(words, cwd=elsewhere, capture_output=True, text=True, check=True)
    right, total, *modules = done.stdout.split()
    assert (int(total), modules) == (36, ["False", "False"])
    error = records.load(copied / "studies" / "photos").runs["test_error"].min()
    assert abs((1 - int(right) / 36) - error) <= 0.2
    assert int(right) >= 30
    (elsewhere / "network" / "weights.safetensors").write_bytes(b"cut")
    done = subprocess.run(words, cwd=elsewhere, capture_output=True, text=True, check=False)
    assert "is not the file that was written with this module, or was changed or cut short" in done.stderr


@pytest.mark.real
def test_the_files_say_what_they_are(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "photos", "folder=out"]) == 0
    environment = json.loads((copied / "studies" / "photos" / "environment.json").read_text())
    with safe_open(copied / "out" / "weights.safetensors", framework="pt") as file:
        about = dict(file.metadata())
    for key in ("classes", "mean", "std", "range", "channels", "image_size", "resize"):
        assert json.loads(about[key]) == environment["preprocessing"][key]
    assert json.loads(about["classes"]) == sorted(CLASSES)
    assert (about["study"], about["range"], about["channels"]) == ("photos", "[0, 255]", "3")
    assert {"run", "seed", "setting", "val_error", "test_error", "test_images", "resnext_explorer"} <= {*about}
    card = (copied / "out" / "README.md").read_text(encoding="utf-8")
    for word in ("24 test images", "12 validation images", "Apache-2.0", "resized to 20 pixels", "11-"):
        assert word in card
    place = (copied / "out").stat().st_ino
    (copied / "out" / "model.onnx").write_text("of an earlier export")
    capsys.readouterr()
    assert main(["export", "photos", "folder=out", "--json"]) == 0  # an earlier export is written anew
    found = json.loads(capsys.readouterr().out)
    assert (found["folder"], found["files"]) == ("out", ["README.md", "model.py", "weights.safetensors"])
    assert (found["classes"], found["not_shown"], found["trained_again"]) == (sorted(CLASSES), [], None)
    assert any("bit for bit" in line for line in found["shown"])
    assert 0 <= found["test_error"] <= 1
    assert place == (copied / "out").stat().st_ino  # a folder that was there stays: it may be the current one
    assert not (copied / "out" / "model.onnx").exists()
    monkeypatch.setenv("HOME", str(copied))
    (copied / "empty").mkdir()
    assert main(["export", "photos", "folder=~/empty"]) == 0
    assert {path.name for path in (copied / "empty").iterdir()} >= {"model.py", "weights.safetensors", "README.md"}
    (copied / "out" / "mine.txt").write_text("mine")
    assert main(["export", "photos", "folder=out"]) == 2
    assert (copied / "out" / "mine.txt").read_text() == "mine"
    assert not list(copied.rglob(".explorer-export-*"))


BREAKS: dict[str, Callable[[str], str]] = {
    "mean": lambda text: text.replace("MEAN = (", "MEAN = (1.5 + ", 1),
    "order of classes": lambda text: text.replace("CLASSES = (", "CLASSES = reversed((", 1).replace(
        ")\nMEAN", "))\nCLASSES = tuple(CLASSES)\nMEAN", 1
    ),
    "channels of files": lambda text: text.replace("CHANNELS).permute(2, 0, 1)", "CHANNELS).flip(2).permute(2, 0, 1)"),
    "deviation": lambda text: text.replace("STD = (", "STD = (1.01 * ", 1),
    "channels of the network": lambda text: text.replace("(pixels.float() - mean)", "(pixels.flip(1).float() - mean)"),
    "resizing": lambda text: text.replace("Resampling.BILINEAR", "Resampling.BICUBIC"),
    "orientation": lambda text: text.replace("ImageOps.exif_transpose(opened, in_place=True)", "pass"),
    "names of predict": lambda text: text.replace("zip(CLASSES, shares", "zip(CLASSES[::-1], shares"),
}


@pytest.mark.parametrize("what", broadly(BREAKS, fast=3))
def test_whatever_is_written_wrong_is_refused_and_not_kept(
    what: str, copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*given: object) -> str:
        text = usable_source(*given)  # type: ignore[arg-type]
        assert BREAKS[what](text) != text
        return BREAKS[what](text)

    monkeypatch.setattr(usable, "usable_source", broken)
    assert main(["export", "photos"]) == 2
    assert "what was written is not the network of the study" in capsys.readouterr().err
    assert list((copied / "exports").iterdir()) == []


def test_weights_cut_short_or_of_another_run_are_refused(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = weights_of(copied).values()
    kept = first.read_bytes(), second.read_bytes()
    for path, content in ((first, kept[1]), (second, kept[0])):
        path.write_bytes(content)
    assert main(["export", "photos"]) == 2
    assert "holds the weights of run" in capsys.readouterr().err
    for path, content in zip((first, second), kept, strict=True):
        path.write_bytes(content[: len(content) // 2])
    assert main(["export", "photos"]) == 2
    assert "is cut short or not a safetensors file" in capsys.readouterr().err
    for path, content in zip((first, second), kept, strict=True):
        path.write_bytes(content)
        state = load_file(path)  # as an earlier version kept them, which said of no run; and changed
        state["fc.weight"] = state["fc.weight"].flip(0)
        save_file(state, path)
    assert main(["export", "photos"]) == 2
    assert "these are not the weights of run" in capsys.readouterr().err
    assert not (copied / "exports").exists()


@pytest.mark.real
def test_a_record_of_an_earlier_version_is_exported_where_its_images_are(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copied / "studies" / "photos" / "environment.json"
    environment = json.loads(path.read_text())
    recorded = environment.pop("preprocessing")
    path.write_text(json.dumps(environment))
    assert main(["export", "photos"]) == 0
    with safe_open(copied / "exports" / "photos" / "weights.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["mean"]) == recorded["mean"]
    real = (copied / "images").resolve()
    (copied / "images").unlink()
    _LOADED.clear()
    _pools.cache_clear()
    capsys.readouterr()
    assert main(["export", "photos"]) == 2
    assert "the record says nothing of mean, standard deviation and class names" in capsys.readouterr().err
    assert main(["export", "photos", f"data={real}"]) == 0
    _LOADED.clear()
    _pools.cache_clear()
    # A record of this version needs no images, but then less can be shown.
    path.write_text(json.dumps(environment | {"preprocessing": recorded}))
    capsys.readouterr()
    assert main(["export", "photos"]) == 0
    assert "Not shown: Whatever takes the study's images" in capsys.readouterr().out
    assert "**Not shown here:**" in (copied / "exports" / "photos" / "README.md").read_text(encoding="utf-8")
    (copied / "images").symlink_to(real)
    recorded["mean"][0] += 1
    path.write_text(json.dumps(environment | {"preprocessing": recorded}))
    assert main(["export", "photos"]) == 2
    assert "environment.json has another mean than the study's images" in capsys.readouterr().err


@pytest.mark.real
def test_many_answers_unlike_the_record_are_rounding_only_of_weights_that_are_shown_to_be_the_runs(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(proof, "allowed_unlike", lambda images: -1)
    assert main(["export", "photos"]) == 0
    for path in weights_of(copied).values():
        state = load_file(path)
        state["fc.weight"] = state["fc.weight"].flip(0)
        save_file(state, path)
    capsys.readouterr()
    monkeypatch.setattr(again, "not_executable", lambda execution: "it was trained on another device")
    assert main(["export", "photos"]) == 2
    line = capsys.readouterr().err
    assert line.startswith("explorer: exports/photos: what was written is not the network of the study: in float32 it")
    assert line.endswith("its weights may be of another run; train=true trains it anew; nothing was kept\n")


@pytest.mark.real
def test_weights_that_were_not_kept_are_trained_again_only_on_request(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = {run: load_file(path) for run, path in weights_of(copied).items()}
    for path in weights_of(copied).values():
        path.unlink()
    for words in (["export", "photos"], ["predict", "photos", "images"]):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert "were not kept" in said
        assert "explorer export photos train=true" in said
    assert main(["export", "photos", "folder=there", "onnx=true"]) == 2
    assert capsys.readouterr().err.endswith("explorer export photos folder=there onnx=true train=true\n")
    assert main(["export", "photos", "train=true"]) == 0
    assert "It gave the recorded results bit for bit" in capsys.readouterr().out
    ((run, path),) = weights_of(copied).items()
    assert all(torch.equal(kept[run][key], value) for key, value in load_file(path).items())
    assert not (copied / "studies" / "photos" / "local" / "again").exists()


def test_predict_names_classes_and_goes_on_after_what_cannot_be_read(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    red = next((copied / "images" / min(CLASSES)).glob("*.png"))
    (copied / "some").mkdir()
    shutil.copy(red, copied / "some" / "b.png")
    (copied / "some" / "a.jpg").write_text("no image")
    capsys.readouterr()
    assert main(["predict", "photos", str(red)]) == 0
    shown = capsys.readouterr().out
    assert shown.count(" %") == 3
    assert "\n" not in shown.strip()
    assert main(["predict", "photos", "some"]) == 1
    printed = capsys.readouterr()
    (row,) = csv.DictReader(io.StringIO(printed.out))
    assert list(row) == ["path", "class", "probability", *sorted(CLASSES)]
    assert (row["path"], row["class"]) == ("some/b.png", min(CLASSES))
    assert float(row["probability"]) == max(float(row[name]) for name in CLASSES)
    assert "some/a.jpg: cannot be used: not an image" in printed.err
    assert main(["predict", "photos", "some", "json=true"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [set(one) for one in found] == [{"path", "problem"}, {"path", "classes"}]
    assert main(["predict", "photos", "some", "to=found.csv", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"].startswith("to=, --json: a file of CSV and JSON are two forms")
    assert main(["predict", "photos", "some", "to=found.csv"]) == 1
    assert (copied / "found.csv").read_text(encoding="utf-8").count("b.png") == 1
    capsys.readouterr()
    for words in (
        ["predict", "photos"],
        ["predict", "photos", "studies"],
        ["predict", "photos", "some", "to=none/x.csv"],
    ):
        assert main(words) == 2


@pytest.mark.real
def test_python_exports_and_predicts_as_the_commands_do(
    copied: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (copied / "some").mkdir()
    shutil.copy(next((copied / "images" / min(CLASSES)).glob("*.png")), copied / "some" / "b.png")
    (copied / "some" / "a.jpg").write_text("no image")
    capsys.readouterr()
    study = explorer.Study("photos")
    found = study.predict(Path("some"), seed=np.int64(0))  # type: ignore[arg-type]
    assert found["path"].tolist() == ["some/a.jpg", "some/b.png"]
    assert found["problem"].str.startswith("not an image").tolist() == [True, False]
    assert found["class"][1] == min(CLASSES)
    assert found["probability"][1] == max(found["probabilities"][1].values())
    assert sum(found["probabilities"][1].values()) == pytest.approx(1)
    assert study.export(copied / "out", quiet=True) == copied / "out"
    assert {path.name for path in (copied / "out").iterdir()} == {"README.md", "model.py", "weights.safetensors"}
    assert capsys.readouterr() == ("", "")
    wrong: list[tuple[Any, str]] = [
        (study.predict, "predict photos: which images"),
        (lambda: study.predict("none.png", seed=9), "seed=9"),
        (lambda: study.predict(object()), r"images=.*: allowed are numbers and text"),  # type: ignore[arg-type]
        (lambda: study.export(folder="some"), "folder=some: holds other things"),
        (lambda: study.export(onnx="yes"), 'onnx="yes": must be true or false'),  # type: ignore[arg-type]
    ]
    for made, line in wrong:
        with pytest.raises(explorer.InputError, match=line):
            made()
    shutil.copytree("studies", "elsewhere")
    other = explorer.open_study(Path("elsewhere/photos"))
    with pytest.raises(explorer.InputError, match="a network is taken from a study in studies alone"):
        other.best()
    shutil.copytree("studies/photos", "studies/copy")  # whose settings still say photos
    monkeypatch.setattr("explorer.verbs.export_study.carry_out", lambda *_: None)
    assert explorer.open_study("copy").export() == Path("exports/copy")


def test_predict_reads_a_folder_that_no_one_has_tidied(
    copied: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    red = next((copied / "images" / min(CLASSES)).glob("*.png"))
    names = ["deep/er/b.png", "new\nline.png", "é.png", os.fsdecode(b"bad\xff.png"), "-x.png", "a=b.PNG"]
    for name in names:
        (copied / "mess" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(red, copied / "mess" / name)
    for number in range(110):
        (copied / "mess" / "deep" / f"{number}.png").symlink_to(red)
    (copied / "mess" / "deep" / "loop").symlink_to(copied / "mess")
    (copied / "mess" / "gone\n.png").symlink_to("nowhere")
    (copied / "mess" / "empty.jpg").touch()
    (copied / "mess" / "notes.txt").write_text("no image")
    os.mkfifo(copied / "mess" / "pipe.png")
    monkeypatch.setattr(verb, "FIRST_SECONDS", 0.0)
    capsys.readouterr()
    assert main(["predict", "photos", "mess", "to=found.csv"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"{len(names) + 113} images to classify"
    assert re.fullmatch(r"1 of 119 images, .* a second", said[1])
    assert r"mess/gone\n.png: cannot be used: there is no such file" in said
    assert said[-1] == "3 of 119 cannot be used"
    text = (copied / "found.csv").read_text(encoding="utf-8", errors="surrogateescape")
    rows = [*csv.DictReader(io.StringIO(text, newline=""))]
    assert {f"mess/{name}" for name in names} < {row["path"] for row in rows}
    assert len(rows) == 116
    assert {row["class"] for row in rows} == {min(CLASSES)}
    # Names from standard input; what is interrupted leaves no file.
    for end in ("\n", "\0"):
        given = io.TextIOWrapper(io.BytesIO(os.fsencode(end.join(["mess/é.png", "mess/-x.png"]) + end)))
        monkeypatch.setattr("sys.stdin", given)
        assert main(["predict", "photos", "-"]) == 0
        assert [row["path"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))] == [
            "mess/é.png",
            "mess/-x.png",
        ]

    def interrupted(*_: object) -> Iterator[str]:
        yield "not an image"
        raise KeyboardInterrupt

    monkeypatch.setattr("explorer.training.network.predicting.classified", interrupted)
    (copied / "found.csv").unlink()
    assert main(["predict", "photos", "mess", "to=found.csv"]) == 130
    assert not [*copied.glob("*found.csv*")]


def test_predict_overwrites_its_own_results_alone_and_writes_no_formulas(
    copied: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    red = next((copied / "images" / min(CLASSES)).glob("*.png"))
    shutil.copy(red, copied / "plain.png")
    monkeypatch.setenv("HOME", str(copied))
    command = ["predict", "photos", "plain.png"]
    for _ in range(2):  # the second time over the first
        assert main([*command, "to=~/found.csv"]) == 0
    assert (copied / "found.csv").read_text(encoding="utf-8").count("plain.png") == 1
    (copied / "notes.txt").write_text("mine")
    (copied / "linked.csv").symlink_to(copied / "found.csv")
    os.mkfifo(copied / "pipe")
    capsys.readouterr()
    for other in ("notes.txt", "linked.csv", "pipe"):
        assert main([*command, f"to={other}"]) == 2
        assert f"to={other}: is there and is no CSV of an earlier predict" in capsys.readouterr().err
    assert (copied / "notes.txt").read_text() == "mine"
    text = io.StringIO()
    needs = Preprocessing(("@home", "plain"), (0.0,), (1.0,), (0, 255), 1, 8, None)
    verb._as_csv(text, needs)(verb._Found("=1+2.png", (0.75, 0.25)))
    assert text.getvalue().splitlines() == [
        "path,class,probability,'@home,plain",
        "./=1+2.png,'@home,0.75,0.75,0.25",
    ]


@pytest.mark.real
def test_a_named_design_and_seed_are_taken(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (worse,) = {row.setting for row in records.as_records(records.load(copied / "studies" / "photos").runs)} - {
        "11-1x4d-w16"
    }
    assert main(["export", "photos", f"architecture={worse}", "seed=0"]) == 0
    assert "it was named" in capsys.readouterr().out
    for words in (["architecture=20-1x4d"], ["seed=7"], ["architecture=nonsense"]):
        assert main(["export", "photos", *words]) == 2


DESIGNS = [
    ("11-1x4d-w16-preact", "float32", "grouped"),
    ("11-2x3d-w16", "bfloat16", "sum"),
    ("11-2x3d-w16-preact", "float32", "concat"),
    ("11-4x3d-w16-inception", "float32", "grouped"),
    ("8-2x6d-alexnet_cifar", "float32", "grouped"),
]


@pytest.mark.parametrize(("design", "precision", "form"), broadly(DESIGNS, fast=2))
def test_every_kind_of_network_is_exported(
    design: str, precision: str, form: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    is_large = "alexnet" in design  # too deep for the digits
    if is_large:
        write_photos(workplace / "images", 21, seed=0)
    words = [word for word in (PHOTOS if is_large else TINY) if not word.startswith(("search.seeds", "recipe.epochs"))]
    words += ["search.seeds=1", "recipe.epochs=1", f"search.only=[{design}]", f"search.forms=[{form}]"]
    train_all(read_command(words).study, precision)
    assert main(["export", "photos" if is_large else "tiny"]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "bit for bit" in said
    assert "exactly" in said


@pytest.mark.real
def test_onnx_has_the_preprocessing_inside(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    assert main(["export", "photos", "onnx=true"]) == 0
    session = onnxruntime.InferenceSession(copied / "exports" / "photos" / "model.onnx")
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["classes"]) == sorted(CLASSES)
    config = read_command(PHOTOS).study.data
    wrong = 0
    for number, name in enumerate(sorted(CLASSES)):
        for path in sorted((copied / "images" / name).iterdir()):
            pixels = decode(path.read_bytes(), config).transpose(1, 2, 0)[None]
            wrong += int(session.run(["scores"], {"pixels": pixels})[0][0].argmax() != number)
    assert wrong <= 6

    def shifted(network: object, found: Preprocessing, *others: object) -> None:
        write(network, replace(found, mean=(found.mean[0] + 5, *found.mean[1:])), *others)  # type: ignore[arg-type]

    write = usable.write_pixels_onnx
    monkeypatch.setattr(usable, "write_pixels_onnx", shifted)
    assert main(["export", "photos", "onnx=true"]) == 2


def module_for(config: DataConfig) -> ModuleType:
    """The module that an export writes for images of these settings."""
    study = read_command([*TINY, "search.only=[11-1x4d-w16]"]).study
    execution = Execution("cpu", "any", "grouped", "channels_last", "float32", 1, 20)
    plan = plan_of(study)
    _, run = runs_of(plan, plan.settings, execution, "")[0]
    high = 16 if config.source == "digits" else 255
    mean, std = (1.0,) * config.channels, (2.0,) * config.channels
    names = tuple(map(str, range(config.classes)))
    needs = Preprocessing(names, mean, std, (0, high), config.channels, config.image_size, config.resize)
    module = ModuleType("model")
    sys.modules["model"] = module  # dataclasses look it up
    exec(compile(usable_source(run, needs, ""), "model.py", "exec"), module.__dict__)
    return module


def zoo() -> dict[str, bytes]:
    """Images of every mode and format, some of them turned, transparent, deep or thin, and some that are none."""
    rng, found = np.random.default_rng(0), {}
    colours = Image.fromarray(rng.integers(0, 256, (37, 53, 3)).astype(np.uint8))
    square = colours.crop((0, 0, 16, 16))
    deep = Image.fromarray(rng.integers(0, 65536, (37, 53)).astype(np.uint16))
    clear = colours.convert("RGBA")
    clear.putalpha(Image.fromarray(rng.integers(0, 256, (37, 53)).astype(np.uint8)))
    kinds = {
        "rgb.png": colours,
        "square.png": square,
        "square.jpg": square,
        "grey.jpg": colours.convert("L"),
        "cmyk.jpg": colours.convert("CMYK"),
        "clear.png": clear,
        "clear.webp": clear,
        "la.png": clear.convert("LA"),
        "palette.png": colours.convert("P"),
        "palette.gif": colours.convert("P"),
        "one.png": colours.convert("1"),
        "deep.png": deep,
        "deep.tif": deep,
        "deep.pgm": deep,
        "bmp.bmp": colours,
        "thin.png": colours.resize((2000, 1)),
        "small.png": colours.resize((3, 5)),
    }
    for name, image in kinds.items():
        for turn in (1, 6) if name in ("rgb.png", "square.jpg") else (1,):
            exif, file = Image.Exif(), io.BytesIO()
            exif[0x0112] = turn
            image.save(
                file, format={"jpg": "JPEG", "tif": "TIFF", "pgm": "PPM"}.get(name[-3:], name.split(".")[1]), exif=exif
            )
            found[f"{turn} {name}"] = file.getvalue()
    floats = io.BytesIO()
    Image.fromarray(rng.random((16, 16)).astype(np.float32)).save(floats, "TIFF")
    return found | {"floats": floats.getvalue(), "empty": b"", "text": b"no image", "cut": found["1 rgb.png"][:300]}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resize", [None, 20])
def test_the_written_preprocessing_is_that_of_training_to_the_bit(channels: int, resize: int | None) -> None:
    data = read_command(PHOTOS).study.data
    data = replace(data, channels=channels, resize=resize, image_size=16)  # type: ignore[arg-type]
    module = module_for(data)
    read = 0
    for name, content in zoo().items():
        try:
            expected = decode(content, data)
        except ValueError:
            with pytest.raises(ValueError, match=r"."):
                module.pixels_of(content)
            continue
        assert module.pixels_of(content).numpy().tobytes() == expected.tobytes(), name
        read += 1
    assert read >= (16 if resize else 2)


def test_the_written_program_names_files_that_it_cannot_use_and_takes_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = module_for(replace(read_command(PHOTOS).study.data, resize=20, image_size=16))
    monkeypatch.setattr(module, "trained", lambda: lambda _: torch.zeros(1, len(module.CLASSES)))
    own = tmp_path / "new"
    (own / "more").mkdir(parents=True)
    for name in ("a.PNG", "more/b.jfif", ".hidden.png"):
        Image.new("RGB", (30, 20)).save(own / name, "PNG")
    (own / "notes.txt").write_text("words", encoding="utf-8")
    assert module.main([str(own)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" ")[0] for line in lines] == [f"{own}/a.PNG", f"{own}/more/b.jfif"]
    with pytest.raises(FileNotFoundError, match=r"nothere\.jpg"):
        module.predict("nothere.jpg")
    with pytest.raises(ValueError, match=r"notes\.txt: not an image"):
        module.predict(own / "notes.txt")
    (tmp_path / "empty").mkdir()
    assert module.main([f"{own}/notes.txt", "nothere.jpg", f"{tmp_path}/empty"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{own}/notes.txt: not an image",
        "nothere.jpg: No such file or directory",
        f"{tmp_path}/empty: holds no file that is called as images are",
    ]
    assert (module.main(["--help"]), module.main([])) == (0, 2)
    shown = capsys.readouterr()
    assert shown.out == shown.err
    assert shown.out.startswith("python model.py IMAGE_OR_FOLDER...")


def test_tensors_of_another_shape_or_range_are_refused() -> None:
    module = module_for(read_command(PHOTOS).study.data)
    pixels = torch.arange(3 * 16 * 16).view(3, 16, 16) % 256
    assert torch.equal(module.pixels_of(pixels), pixels)
    for wrong, words in (
        (pixels / 255, "multiply by 255"),
        ((pixels > 127).float(), "multiply by 255"),
        (pixels / 255 * 16, "from 0 to 16 that are not whole, needed are whole numbers from 0 to 255"),
        (pixels / 127.5, "from 0 to 2 that are not whole"),
        (pixels / 127.5 - 1, "from -1 to 1, needed are whole numbers from 0 to 255"),
        (pixels + torch.nan, "from nan to nan, needed"),
        (pixels > 127, "values of torch.bool, needed are whole numbers"),
        (pixels.to(torch.complex64), "values of torch.complex64, needed are whole numbers"),
        (pixels - 128, "from -128 to 127, needed are whole numbers from 0 to 255"),
        (pixels[None], "needed \\(3, 16, 16\\)"),
        (pixels.permute(1, 2, 0), "needed \\(3, 16, 16\\)"),
        ([1, 2], "allowed are a path"),
    ):
        with pytest.raises(ValueError, match=words):
            module.pixels_of(wrong)
    for kind in (torch.uint8, torch.float32, torch.float16, torch.int16):
        assert torch.equal(module.pixels_of(pixels.to(kind)), pixels.to(kind))
    assert not module.pixels_of(torch.zeros(3, 16, 16)).any()
    assert module.pixels_of((pixels > 127).to(torch.uint8)).max() == 1
    digits = module_for(read_command(TINY).study.data)
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(file, "PNG")
    assert set(digits.pixels_of(file.getvalue()).flatten().tolist()) == {16}


@pytest.mark.real
def test_a_split_of_each_seed_keeps_the_mean_and_the_labels_of_each(workplace: Path) -> None:
    config = read_command([*TINY, "data.split_seed=each", "recipe.epochs=1", "search.only=[11-1x4d-w16]"]).study
    folder = train_all(config)
    environment = json.loads((folder / "environment.json").read_text())
    for seed in (0, 1):
        assert preprocessing_in(environment, folder, seed) == preprocessing_of(load(config.data, seed=seed))
    assert len({str(own) for own in environment["preprocessing"]["by_seed"].values()}) == 2
    assert preprocessing_in(environment, folder, 2) is None
    assert main(["export", "tiny", "seed=1"]) == 0
    labels = load_labels(folder, 10, 100)
    own = [load(config.data, seed=seed).test.labels.tolist() for seed in (0, 1)]
    assert (labels.shared, [one.tolist() for one in (labels.by_seed or {}).values()]) == (None, own)
    assert own[0] != own[1]
    kept = (folder / LABELS).read_bytes()
    (folder / LABELS).unlink()
    assert main(["label", "tiny"]) == 0
    assert sorted((folder / LABELS).read_bytes().splitlines()) == sorted(kept.splitlines())


def test_a_worker_reports_what_its_images_need(tiny: StudyConfig) -> None:
    there = _survey(HostQuestion(tiny.data, "cpu"))
    assert isinstance(there, HostReport)
    found = there.preprocessing
    assert found is not None
    assert (found.classes, found.range, found.channels) == (tuple("0123456789"), (0, 16), 1)
    assert proof.allowed_unlike(100) == 1
    assert proof.allowed_unlike(10_000) == 50
