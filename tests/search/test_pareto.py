"""A search that makes the error and a cost small at once."""

from pathlib import Path

import pytest

import explorer
from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.engine.local import LocalEngine
from explorer.record.folder import study_folder
from explorer.record.records import load
from explorer.search.execution_plan import with_latency
from explorer.search.measuring import Measurer
from explorer.search.mirror import own_mirror
from explorer.study.designs import Setting
from explorer.study.run import Execution
from tests.stored import opened

pytestmark = pytest.mark.real

SMALL = [
    "study=pareto",
    "name=front",
    "device=cpu",
    "space.depth=[8]",
    "space.width={low: 16, high: 48, step: 16}",
    "space.cardinality=[1,2]",
    "space.bottleneck_width=[2,4,8]",
    "space.kernel_size=[3]",
    "data.train_images=600",
    "data.val_images=100",
    "data.test_images=200",
    "recipe.epochs=3",  # enough to do better than guessing: of less no front is told
    "recipe.batch_size=20",
    "search.designs=6",
    "engine.threads=1",
    "engine.precision=float32",
    "engine.forms=native",
]


def test_a_search_of_two_objectives_runs_continues_and_shows_its_front(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SMALL, "search.designs=4"]) == 0
    capsys.readouterr()
    assert main(SMALL) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Of 6 designs tried, " in said
    assert "on the front of validation error against multiply-adds" in said
    record = load(study_folder("front")).runs
    assert len(record) == record["setting"].nunique() == 6
    assert record["test_error"].isna().all()
    with opened(own_mirror(study_folder("front")).url, "front") as stored:
        assert stored.metric_names == ["val_error", "macs"]
        by_setting = {trial.user_attrs["setting"]: trial.values for trial in stored.trials}
    assert set(by_setting) == set(load(study_folder("front")).chosen())
    for setting, error, macs in zip(record["setting"], record["val_error"], record["macs"], strict=True):
        assert by_setting[setting] == [error, macs]
    assert "At equal cost, 6 epochs, the search's front covers" in said
    page = (workplace / "reports" / "front.html").read_text()
    for words in ('data-figure="front"', 'data-figure="course"', "The front"):
        assert words in page
    assert 'data-figure="cardinality"' not in page
    assert main([*SMALL, "search.pruner=halving", "recipe.epochs=9", "name=planned", "do=plan"]) == 0
    plan = " ".join(capsys.readouterr().out.split())
    assert "Optuna (nsga2) chooses 3 of them, each from the results before it, and 3 are drawn at random" in plan
    assert "They are judged after 1 and 3 of 9 epochs." in plan
    assert main([*SMALL, "do=tabulate"]) == 0
    table = explorer.open_study(workplace / "tables" / "front")
    told, stored_front = table.finding.front, open_study(study_folder("front")).finding.front
    assert told is not None
    assert stored_front is not None
    assert told.covered == stored_front.covered
    assert [trial.values[1] for trial in table.to_optuna().best_trials]


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsga2", "gp", "qmc"])
def test_every_sampler_takes_two_objectives(sampler: str, workplace: Path) -> None:
    short = ["search.designs=3", f"search.sampler={sampler}", "search.baseline=0", f"name={sampler}", "storage=none"]
    assert main([*SMALL, *short]) == 0
    assert len(load(study_folder(sampler)).runs) == 3


def test_latency_is_measured_once_for_each_design_and_made_small(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    timed = [*SMALL, "name=timed", "search.objectives=[error,latency]", "search.latency_batch=2", "storage=none"]
    assert main([*timed, "search.designs=3"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "on the front of validation error against milliseconds" in said
    record = load(study_folder("timed"))
    measured = {one.setting: one for one in record.decisions if one.decision == "chosen"}
    assert len(measured) == 3
    for one in measured.values():
        assert one.latency is not None
        assert one.latency_lower is not None
        assert one.latency_upper is not None
        assert 0 < one.latency_lower <= one.latency <= one.latency_upper
    for setting, own in record.runs.groupby("setting"):
        assert set(own["latency"]) == {measured[str(setting)].latency}
    found = open_study(study_folder("timed")).finding.front
    assert found is not None
    assert (found.cost, len(found.costs)) == ("latency", 3)
    assert "Milliseconds" in (workplace / "reports" / "timed.html").read_text()
    # What was measured is kept: more designs are measured, those before are not measured again.
    assert main([*timed, "search.designs=4"]) == 0
    again = load(study_folder("timed")).decisions
    assert all(one in again for one in measured.values())


def test_a_search_led_by_latency_waits_until_nothing_is_trained(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []

    def watched(measurer: Measurer, execution: Execution, settings: list[Setting]) -> tuple[Setting, ...]:
        assert isinstance(measurer.engine, LocalEngine)
        seen.append((measurer.engine.slots - measurer.engine.free, len(settings)))
        return with_latency(measurer, execution, settings)

    monkeypatch.setattr("explorer.search.coordinator.with_latency", watched)
    timed = [*SMALL, "name=timed", "search.objectives=[error,latency]", "storage=none", "engine.workers=2"]
    assert main([*timed, "search.designs=5", "search.baseline=0"]) == 0
    assert seen == [(0, 2), (0, 2), (0, 1)]
