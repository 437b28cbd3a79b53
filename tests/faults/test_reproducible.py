"""A seed fixes everything: fresh starts and any number of workers give the same bits, and so do settings left aside."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

import pytest

from explorer.__main__ import main
from explorer.record.folder import CONFIG
from explorer.study.run import Execution
from explorer.study.settings import DataConfig, EngineConfig, Question, ReportConfig, SearchConfig, StorageConfig
from tests.conftest import TINY
from tests.faults.record import Rows, differences, record_of
from tests.training.test_image_sources import CLASSES, pictures, write_folder

real = pytest.mark.real

Start = Callable[..., dict[str, Rows]]
AUGMENTED = ["recipe.shift=1", "recipe.flip=true", "recipe.cutout=2", "storage=none"]
# Every setting that is no part of a run's id, at another value; of these the record holds `data.name` alone.
ASIDE = [
    *("engine.workers=1", "engine.retries=7", "engine.save_every=0", "engine.silence=500", "engine.loaders=3"),
    "engine.price=2EUR",
    *("storage.mirror=url", "storage.url=sqlite:///elsewhere.db", "storage.weights=last", "report.live=true"),
    *("storage.trackers=[tensorboard]", "report.images=true"),
    "search.hours=50",
    *("data.label=Photographs", "data.path=elsewhere", "data.unusable=skip"),
]
# The same of what one other engine alone has; `engine.address` is a cluster's, and tests of clusters train on one.
ASIDE_OF = {
    "ray": ["engine.share=0.5", "engine.ahead=0", "engine.patience=30"],
    "slurm": [
        *("engine.executor=local", "engine.jobs=1", "engine.minutes=30", "engine.gpus=0", "engine.cores=2"),
        *("engine.memory=2", "engine.partition=some", "engine.account=mine", "engine.qos=low"),
        *("engine.constraint=fast", "engine.setup=[echo ready]"),
    ],
}
# And of studies of populations: what a space is called.
SPACES = [
    *(one for one in TINY if not one.startswith(("space.", "budget.", "study.contrast.", "search."))),
    *("search=uniform", "search.designs=1", "search.seeds=1", "budget=none", "study.contrast=null"),
    *("spaces.one={template: cifar, depth: [11], width: [16], cardinality: [1], bottleneck_width: [4,8]}",),
    *("spaces.several={template: cifar, depth: [11], width: [16], cardinality: [2], bottleneck_width: [4,8]}",),
]
ASIDE_OF_SPACES = ["study.labels.one=one path", "study.labels.several=several paths"]
# Where images come from: of one source they can only be the same where these are.
OF_ITS_SOURCE = {"source", "subset", "image_column", "label_column", "train_part", "val_part", "test_part"}


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Run the tiny study in a folder of its own; gives its record but for what only says how it was started."""

    def start(place: str, *overrides: str, base: Sequence[str] = TINY) -> dict[str, Rows]:
        (tmp_path / place).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / place)
        assert main([*base, *AUGMENTED, *overrides]) == 0
        return {name: rows for name, rows in record_of(Path("studies/tiny")).items() if name not in (CONFIG, "files")}

    return start


@real
def test_fresh_starts_with_one_worker_or_several_give_the_same_bits(start: Start) -> None:
    first = start("first", "engine.workers=1")
    assert len(first["runs.csv"]) == 4
    for workers in (1, 2, 3):
        found = differences(start(f"again with {workers}", f"engine.workers={workers}"), first)
        assert not found, f"{workers} workers: {found}"


@real
@pytest.mark.parametrize("keep", ["resident", "stream"])
def test_runs_of_one_id_give_the_same_bits_whatever_the_id_leaves_out(start: Start, tmp_path: Path, keep: str) -> None:
    images = ["data=folder", f"data.keep={keep}", f"data.classes={len(CLASSES)}"]
    images += ["data.image_size=8", "data.channels=3"]
    images += ["data.train_images=80", "data.val_images=40", "data.test_images=40", "data.name=photos"]
    images += ["recipe.crop_area=[0.3,1]", "recipe.shift=0"]
    for place in ("plain/images", "toggled/elsewhere"):
        write_folder(tmp_path / place, pictures(160))
    plain = start("plain", *images, "data.path=images", "engine.loaders=1")
    toggled = start("toggled", *images, *ASIDE)
    found = differences(toggled, plain)
    assert not found, found


@real
def test_runs_of_one_id_give_the_same_bits_whatever_their_spaces_are_called(start: Start) -> None:
    plain = start("plain", base=SPACES)
    found = differences(start("labelled", *ASIDE_OF_SPACES, base=SPACES), plain)
    assert not found, found
    assert {word for row in plain["runs.csv"] for word in row} >= {"one", "several"}


@real
@pytest.mark.parametrize("engine", ASIDE_OF)
def test_runs_of_one_id_give_the_same_bits_whatever_another_engine_is_told(start: Start, engine: str) -> None:
    found = differences(start(engine, f"engine={engine}", "engine.threads=1", *ASIDE_OF[engine]), start("local"))
    assert not found, found


def test_every_setting_that_an_id_leaves_out_is_held_against_another_value() -> None:
    overrides = (*ASIDE, *(one for own in ASIDE_OF.values() for one in own), *ASIDE_OF_SPACES)
    tried = {".".join(override.partition("=")[0].split(".")[:2]) for override in overrides}
    decides = {field.name for field in fields(Execution)}  # as a part of the execution: threads, precision
    kinds = {"engine": EngineConfig, "storage": StorageConfig, "report": ReportConfig, "data": DataConfig}
    kinds["search"] = SearchConfig
    left_out = {
        f"{group}.{field.name}"
        for group, kind in kinds.items()
        for field in fields(kind)
        if not (group in ("data", "search") and (field.metadata.get("decides", True) or field.name in OF_ITS_SOURCE))
        and not (group == "engine" and field.name in decides)
    }
    left_out |= {f"study.{field.name}" for field in fields(Question) if not field.metadata.get("decides", True)}
    # Forms are chosen, and the choice decides.
    assert left_out - tried == {"engine.name", "engine.forms", "engine.address", "data.name"}
