"""The time of a plan: measured in runs recorded here, predicted from this machine's calibration, or unknown and why."""

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from explorer.__main__ import main
from explorer.host.console import PlainConsole
from explorer.study.plan import plan_of, some_designs
from explorer.training.images import source
from explorer.verbs import calibrate
from explorer.verbs.calibrate import Calibration, calibration
from explorer.verbs.command_line import read_command
from explorer.verbs.estimate import Measured, near
from tests.photographs import photographs


@pytest.mark.real
def test_a_machine_is_measured_once_and_the_cache_says_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    console = PlainConsole()
    found = calibration("cpu", console)
    assert isinstance(found, Calibration)
    assert len(found.speeds) == 3
    assert all(macs > 0 and many > few > 0 for macs, many, few in found.speeds)
    assert "Measuring once how fast this machine trains" in capsys.readouterr().out
    assert calibration("cpu", console) == found
    assert capsys.readouterr().out == ""
    (kept,) = tmp_path.rglob("measured.json")
    assert json.loads(kept.read_text())["calibration-cpu"]["date"] == found.date
    whole = json.loads(kept.read_text())
    monkeypatch.setattr(calibrate, "_measured", lambda *_: None)
    day = date.today() - timedelta(days=calibrate.MOST_DAYS)
    for change, is_used in (
        ({"date": day.isoformat()}, True),
        ({"date": (day - timedelta(days=1)).isoformat()}, False),
        ({"date": (date.today() + timedelta(days=2)).isoformat()}, False),
        ({"date": "yesterday"}, False),
        ({"of": "another torch"}, False),
    ):
        kept.write_text(json.dumps({**whole, "calibration-cpu": whole["calibration-cpu"] | change}))
        assert isinstance(calibration("cpu", console), Calibration) == is_used, change
    monkeypatch.setattr(calibrate, "find_spec", lambda _: None)
    assert calibration("cpu", console) == "torch is not installed here"


def test_a_folder_of_images_is_listed_once_for_a_plan_and_again_when_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    photographs(tmp_path / "photos", 20, largest=90)
    walks: list[Path] = []
    walk = source._files
    monkeypatch.setattr(source, "_files", lambda folder: walks.append(folder) or walk(folder))  # type: ignore[func-returns-value]
    assert main(["study=best", "data=photos", "budget=1M", "do=plan", "engine=slurm"]) == 0
    assert len(walks) == 3  # once each class
    photographs(tmp_path / "photos", 1, first=20, largest=90)
    assert main(["study=best", "data=photos", "budget=1M", "do=plan", "engine=slurm"]) == 0
    assert "photos: 63 images" in capsys.readouterr().out


def test_a_prediction_lies_between_the_measured_networks() -> None:
    plan = plan_of(read_command(["study=equal_params"]).study)
    (one, *_), images = plan.settings, (400, 250, 1147)
    macs = float(one.cost.macs)
    recipe = replace(plan.config.recipe, batch_size=32)
    apart = Calibration("", ((macs / 10, 1000.0, 1000.0), (macs * 10, 40.0, 40.0)))
    like = Calibration("", ((macs / 2, 400.0, 400.0), (macs, 200.0, 200.0)))
    rates = [one_.seconds(one, recipe, images) for one_ in (apart, like)]
    assert rates[0] == pytest.approx(rates[1], rel=1e-9)  # 10^2 times as many multiply-adds, 4 times the rate: sqrt


def test_small_steps_take_the_longer_the_more_a_step_takes_beside_its_images() -> None:
    plan = plan_of(read_command(["study=equal_params"]).study)
    (one, *_), images = plan.settings, (400, 250, 1147)
    # 1 s and 1/8 s for each image: 32 images take 5 s, 4 images 1.5 s.
    found = Calibration("", tuple((size * one.cost.macs, 32 / 5, 4 / 1.5) for size in (0.5, 2.0)))
    whole = found.seconds(one, replace(plan.config.recipe, batch_size=32), images)
    for batch, each in ((64, 9 / 64), (32, 5 / 32), (4, 1.5 / 4), (1, 1.125)):
        recipe = replace(plan.config.recipe, batch_size=batch)
        assert found.seconds(one, recipe, images) == pytest.approx(whole * each / (5 / 32))
    measured = [Measured(one.cost.macs, batch, 10.0) for batch in (1, 16, 64)]
    assert [run.batch for run in near(one, 32, measured)] == [16, 64]
    assert near(one, 4, measured) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["engine=slurm"], "time unknown: engine=slurm trains elsewhere, as fast as the machines there are"),
        ([], "predicted from cost and this machine's calibration of 2026-01-01, right within a factor of two or so"),
    ],
)
def test_every_plan_says_a_time_or_why_there_is_none(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    photographs(tmp_path / "photos", 20, largest=90)
    assert main(["study=best", "data=photos", "budget=100k", "do=plan", *words]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert said in output
    assert "24 of 24 runs to do, and then 15 runs of the final round" in output
    assert output.count("photos: 60 images in 3 classes (Café crème 20, Forêt d'hiver 20, Été à la mer 20)") == 1
    assert "About 36 of them to train, 12 to validate, 12 to test" in output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]


def test_some_designs_stand_for_those_of_a_search() -> None:
    plan = plan_of(read_command(["study=best", "data=digits"]).study)
    assert len({one.name for one in some_designs(plan, 9)}) == 9
