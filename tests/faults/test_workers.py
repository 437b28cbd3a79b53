"""What goes wrong inside a worker costs its own run at most, and is told and recorded as what it is."""

import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.engine import local
from explorer.record import records
from tests.conftest import TINY
from tests.faults import hooks
from tests.faults.processes import is_running
from tests.training.test_image_sources import CLASSES, pictures, write_folder

pytestmark = pytest.mark.real

FOLDER = Path("studies/tiny")


@pytest.fixture
def start(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the tiny study with workers that have a fault."""

    def start(fault: str, *overrides: str) -> int:
        monkeypatch.setenv("FAULT", fault)
        monkeypatch.setattr(local, "work", hooks.work)
        return main([*TINY, "storage=none", *overrides])

    return start


def runs() -> pd.DataFrame:
    return records.load(FOLDER).runs.sort_values(["setting", "seed"], ignore_index=True)


@pytest.mark.parametrize(
    ("fault", "words"),
    [("lost weights", "the loss was not finite in epoch 2"), ("huge weights", "the loss exploded to")],
)
def test_a_run_that_diverges_is_final_and_counts_as_chance(
    start: Callable[..., int], capsys: pytest.CaptureFixture[str], fault: str, words: str
) -> None:
    assert start(fault) == 0
    found = runs()
    assert list(found["status"]) == ["ok", "diverged"] * 2
    lost = found[found["status"] == "diverged"]
    assert list(lost["epochs"]) == [2, 2]
    assert lost["message"].str.startswith(words).all()
    found_study = open_study(FOLDER)
    finding = found_study.finding
    for summary in finding.summaries:
        trained = found[(found["setting"] == summary.setting) & (found["seed"] == 0)]
        assert summary.errors == {0: trained["test_error"].item(), 1: 0.9}
    before = (FOLDER / "runs.csv").read_bytes()
    assert start(fault) == 0
    assert (FOLDER / "runs.csv").read_bytes() == before


def test_a_run_without_memory_is_recorded_as_that_and_the_others_go_on(start: Callable[..., int]) -> None:
    assert start("no memory") == 0
    found = runs()
    assert list(found["status"]) == ["ok", "out_of_memory"] * 2
    assert found["message"][1].startswith("CUDA out of memory. Tried to allocate")


def test_a_hung_worker_is_ended_with_all_it_started_and_its_run_goes_on_elsewhere(
    start: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    assert start("hang", "engine.silence=8", "engine.save_every=0") == 0
    assert time.monotonic() - began < 90
    output = capsys.readouterr().out
    assert "its process said nothing for 8 s and was ended; another one goes on" in output
    assert "goes on after step 1 of epoch 2" in output
    assert list(runs()["status"]) == ["ok"] * 4
    assert not is_running(int(Path("child").read_text()))


def test_a_run_that_hangs_every_time_is_given_up_after_its_retries(
    start: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert start("hang always", "engine.silence=6", "engine.retries=1", "engine.workers=1") == 1
    assert "2 runs failed" in capsys.readouterr().err
    assert Path("attempts").read_text().count("hung") == 4
    found = runs()
    assert list(found["status"]) == ["ok", "failed"] * 2
    assert found["message"][1] == "its process said nothing for 6 s and was ended; it was tried 2 times"
    assert start("none") == 0
    assert list(runs()["status"]) == ["ok"] * 4


def test_a_hung_loader_is_noticed(start: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(Path("images"), pictures(100))
    data = [
        *("data=folder", "data.path=images", "data.image_size=8", "data.channels=3", f"data.classes={len(CLASSES)}"),
        *("data.train_images=60", "data.val_images=20", "data.test_images=20", "data.keep=stream"),
    ]
    assert start("hanging loader", "engine.silence=8", *data) == 0
    assert "said nothing for 8 s and was ended; another one goes on" in capsys.readouterr().out
    assert list(runs()["status"]) == ["ok"] * 4
