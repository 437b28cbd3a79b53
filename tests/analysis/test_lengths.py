"""Budgets of training: steps of each setting, their runs, and two verdicts next to each other."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from explorer.__main__ import main
from explorer.analysis.checks import check_study
from explorer.analysis.judging import begun_study, open_study
from explorer.analysis.lengths import lengths_of
from explorer.analysis.regime import regime_of, regime_sentence
from explorer.analysis.sentences import sentence
from explorer.engine.contract import Engine
from explorer.host.errors import InputError
from explorer.record.folder import CHECKS, ENVIRONMENT
from explorer.report.finding_data import study_data
from explorer.report.page import render_page
from explorer.report.verdict_picture import verdict_picture
from explorer.search.measuring import Measurer
from explorer.search.train_speeds import TOGETHER, lacking, measured_speeds
from explorer.study.checks import arms_of, equal_epochs
from explorer.study.designs import Setting
from explorer.study.job import HostReport, Question, SpeedQuestion
from explorer.study.job import Speed as Answer
from explorer.study.lengths import Lengths, Speed, at_pace, nearest
from explorer.study.plan import Plan, plan_of
from explorer.study.run import Run
from explorer.study.runs import runs_of
from explorer.study.settings import StudyConfig
from explorer.verbs.command_line import read_command
from explorer.verbs.estimate import passes
from tests.conftest import TINY
from tests.made_up import made_up, made_up_checks
from tests.study.test_planning import EXECUTION

MACS, TIME = "budget.train=macs", "budget.train=time"


def config_of(*words: str) -> StudyConfig:
    return read_command(["study=equal_params", *words]).study


def test_whole_steps_come_as_near_to_the_work_as_they_can() -> None:
    for work in range(1, 200):
        for each in range(1, 30):
            steps = nearest(work, each)
            assert steps >= 1
            assert all(abs(steps * each - work) <= abs(other * each - work) for other in range(1, 210))
    assert at_pace(100, 0.5) == 50
    assert at_pace(1, 0.01) == 1


def test_equal_compute_gives_each_setting_its_steps_and_the_reference_the_recipe() -> None:
    config = config_of(MACS)
    plan = plan_of(config).with_lengths(Lengths(400))
    whole = 7 * (400 // 32)
    reference = plan.settings[0]
    assert plan.recipe_of(reference) == config.recipe
    for setting, length in zip(plan.settings, lengths_of(plan, plan.settings), strict=True):
        assert length.steps == nearest(whole * reference.cost.macs, setting.cost.macs)
        assert length.compute == setting.cost.macs * length.steps * 32
        assert length.deviation is not None
        assert abs(length.deviation) <= setting.cost.macs / (2 * whole * reference.cost.macs)
        own = plan.recipe_of(setting)
        assert own.steps_on(400) == length.steps
        assert own.epochs_on(400) == length.epochs
    ids = {setting.name: run.id for setting, run in runs_of(plan, plan.settings, EXECUTION, "hash") if run.seed == 0}
    equal = plan_of(config_of())
    others = {one.name: run.id for one, run in runs_of(equal, equal.settings, EXECUTION, "hash") if run.seed == 0}
    assert [name for name in ids if ids[name] == others[name]] == [reference.name]


def test_a_warm_up_in_epochs_keeps_its_share_of_a_run_of_other_steps() -> None:
    """Else a dear design would train with the warm-up alone."""
    words = ["recipe.schedule=cosine", "recipe.warmup=0", "recipe.warmup_epochs=2", "budget.params=null"]
    words += ["space.cardinality=[1]", "space.bottleneck_width=[8,64]", "budget.reference=29-1x8d"]
    words += ["study.contrast.setting=1x64d", "study.contrast.against=1x8d"]
    plan = plan_of(config_of(MACS, *words)).with_lengths(Lengths(400))
    small, large = (plan.recipe_of(one) for one in plan.settings)
    assert small == plan.config.recipe
    assert large.steps is not None
    assert large.warmup_epochs / large.steps == pytest.approx(2 / small.steps_on(400))
    assert large.warmup_epochs * (400 // 32) < large.steps / 3


def test_equal_time_gives_steps_by_the_speeds_that_were_measured() -> None:
    plan = plan_of(config_of(TIME, "space.cardinality=[1,32]"))
    assert [one.name for one in lacking(plan, plan.settings)] == ["29-1x64d", "29-32x4d"]
    assert plan.with_lengths(Lengths(400)).steps_of(plan.settings[1]) is None
    speeds = {"29-1x64d": Speed(90, 100, 110, 30), "29-32x4d": Speed(70, 75, 80, 30)}
    plan = plan.with_lengths(Lengths(400, speeds))
    assert not lacking(plan, plan.settings)
    assert [plan.steps_of(one) for one in plan.settings] == [84, 63]
    assert passes(plan.recipe_of(plan.settings[1]), (400, 0, 0)) == 63 * 32
    assert not lacking(plan_of(config_of(MACS)), ())


class _Engine:
    """Answers as if each design trained at a speed of its own, slower each time it is asked."""

    def __init__(self, speeds: Mapping[str, float]) -> None:
        self.speeds, self.asked = speeds, list[list[str]]()

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:
        assert isinstance(question, SpeedQuestion)
        names = [f"{run.architecture.cardinality}" for run in question.runs]
        self.asked.append(names)
        slow = 2.0 ** -len(self.asked)
        return [Answer(tuple((self.speeds[one] * slow,) * 3 for one in names), 0)] * workers


def speeds_of(engine: _Engine, plan: Plan, settings: Sequence[Setting], workers: int = 2) -> dict[str, Speed]:
    """The speeds as they are measured with this engine."""
    report = HostReport("cpu", "made up", "hash", {})
    return measured_speeds(Measurer(plan.config, report, cast(Engine, engine)), plan, settings, EXECUTION, workers)


def test_speeds_are_measured_in_turns_with_the_reference_and_scaled_by_it() -> None:
    twenty = ["space.cardinality={low: 1, high: 20}", "budget.params.tolerance=0.2", "study.contrast=null"]
    plan = plan_of(config_of(TIME, *twenty)).with_lengths(Lengths(400))
    engine = _Engine({str(number): 1000.0 / number for number in range(1, 21)})
    assert len(plan.settings) > TOGETHER + 1
    found = speeds_of(engine, plan, plan.settings)
    assert {*found} == {one.name for one in plan.settings}
    assert all(names[0] == "1" for names in engine.asked)
    one = found["29-1x64d"]
    for setting in plan.settings:
        cardinality = setting.architecture.cardinality
        assert isinstance(cardinality, int)
        assert found[setting.name].median == pytest.approx(one.median / cardinality)
        assert found[setting.name].n == 6  # three turns of two workers
    assert speeds_of(engine, plan.with_lengths(Lengths(400, found)), plan.settings) == found
    fewer = {name: speed for name, speed in found.items() if name == "29-1x64d"}
    later = speeds_of(engine, plan.with_lengths(Lengths(400, fewer)), plan.settings[:2])
    assert later[plan.settings[1].name].median == pytest.approx(found[plan.settings[1].name].median)
    with pytest.raises(InputError, match=r"budget\.train=time: no training step of 29-1x64d could be measured here"):
        speeds_of(_Engine(dict.fromkeys(engine.speeds, 0.0)), plan, plan.settings)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["budget.train=hours"], "epochs"),
        ([MACS, "budget.reference=null", "budget.params.target=4900000"], "needs the design whose training"),
        ([TIME, "search=random", "search.designs=2", "study.contrast=null"], "sampler random chooses designs later"),
        ([MACS, "search=tpe", "search.pruner=halving", "study.contrast=null"], "allowed: search.pruner=none"),
    ],
)
def test_lengths_that_cannot_be_given_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        plan_of(config_of(*words))


def gap_by_length(config: StudyConfig, run: Run) -> float:
    """A rival that the setting beats by 0.8 points at equal epochs, and loses to by 0.5 at its own shorter length."""
    wobble = 0.001 * ((run.seed * 7) % 5 - 2)
    if run.architecture.cardinality == 1:
        return 0.2
    return 0.2 - 0.008 + wobble if run.recipe.steps is None else 0.205 + wobble


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyConfig:
    """A made-up study at equal time, in which the setting trains 0.75 times as fast as its rival."""
    monkeypatch.chdir(tmp_path)
    config = read_command(["study=equal_time", "search.seeds=6"]).study
    speeds = {"29-1x64d": Speed(90, 100, 110, 30), "29-32x4d": Speed(70, 75, 80, 30)}
    made_up(config, error=gap_by_length, speeds=speeds, images=(400, 40, 96))
    return config


def test_a_study_at_equal_time_has_two_verdicts(both: StudyConfig) -> None:
    folder = Path("studies/equal_time")
    study = open_study(folder)
    first = "At equal training time: ResNeXt-29 (32x4d) loses to ResNet-29 (1x64d)"
    assert sentence(study.finding).startswith(first)
    assert sentence(study.finding).endswith("At equal epochs: not trained yet.")
    assert study.checks is not None
    arm = study.checks.epochs
    assert arm is not None
    assert [one.study for one in arm.sides or ()] == ["epochs", ""]  # the reference's runs are the same in both
    assert made_up_checks(both, error=gap_by_length) == 1
    study = open_study(folder)
    said = sentence(study.finding)
    assert said.startswith(first)
    assert "At equal epochs: ResNeXt-29 (32x4d) beats ResNet-29 (1x64d)" in said
    assert "0.47 points higher" in said
    assert "0.83 points lower" in said
    found = study.finding.equal_epochs
    assert found is not None
    assert (found.verdict, found.difference.n) == ("beats", 6)
    picture = verdict_picture(study)
    assert picture is not None
    assert [(one.kind, one.verdict) for one in picture.effects[:2]] == [("declared", "loses to"), ("epochs", "beats")]
    assert "equal training time" in picture.caption
    page = render_page(study)
    assert "<h2" in page
    assert "Length of training" in page
    assert "The same contrast at equal epochs" in page
    assert "equal training time" in page
    data = study_data(study)
    assert data["equal_epochs"]["verdict"] == "beats"
    assert data["contrast"]["verdict"] == "loses to"
    assert [(one.setting, one.steps) for one in data["lengths"]] == [("29-1x64d", 84), ("29-32x4d", 63)]
    assert regime_sentence(regime_of(study)).startswith("Regime: 63 to 84 training steps")
    runs = study.record.runs
    assert {*zip(runs["setting"], runs["epochs"], strict=True)} == {("29-1x64d", 7), ("29-32x4d", 6)}


def test_each_verdict_is_told_with_its_own_failed_and_guessing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = read_command(["study=equal_time", "search.seeds=6"]).study
    speeds = {"29-1x64d": Speed(90, 100, 110, 30), "29-32x4d": Speed(70, 75, 80, 30)}
    made_up(config, error=gap_by_length, speeds=speeds, images=(400, 40, 96))
    made_up_checks(config, lambda setting, seed: "out_of_memory" if seed == 3 else "ok", error=gap_by_length)
    study = open_study(Path("studies/equal_time"))
    first, second = sentence(study.finding).split(" At equal epochs: ")
    assert "memory" not in first
    assert second.endswith("1 of 6 runs of ResNeXt-29 (32x4d) ran out of memory and counts as chance (90.00 %).")
    picture = verdict_picture(study)
    assert picture is not None
    assert [(one.caveat != "", len(one.chance)) for one in picture.effects[:2]] == [(False, 0), (True, 1)]


def test_checks_of_a_study_at_equal_time_train_as_long_by_the_same_speeds(both: StudyConfig) -> None:
    study = begun_study(Path("studies/equal_time"), plan_of(both))
    assert study is not None
    assert study.checks is not None
    declared = study.checks.declared
    arms = {arm.name: arm for arm in arms_of(declared)}
    assert arms["time"].why_not == "both are trained for equal seconds as declared"
    (groups,) = arms["init-groups"].studies
    assert (groups.budget.train, groups.budget.reference, groups.budget.held) == ("time", "29-1x64d", {})
    own = check_study(Path("none"), groups, None, declared.plan.lengths).plan
    assert [own.steps_of(one) for one in own.settings] == [63]
    (four,) = arms["length-four"].studies
    longer = check_study(Path("none"), four, None, declared.plan.lengths).plan
    assert [longer.steps_of(one) for one in longer.settings] == [252, 336]
    assert equal_epochs(replace(declared, plan=plan_of(config_of()))) is None


def test_a_record_whose_speeds_cannot_be_is_refused(both: StudyConfig) -> None:
    path = Path("studies/equal_time") / ENVIRONMENT
    tree = json.loads(path.read_text(encoding="utf-8"))
    for row in ([-1.0, 1.0, 1.0, 3], [1.0, "fast", 1.0, 3], [1.0, 1.0, 1.0, 0]):
        tree["train_speeds"]["speeds"]["29-1x64d"] = row
        path.write_text(json.dumps(tree), encoding="utf-8")
        with pytest.raises(InputError, match="train_speeds"):
            open_study(Path("studies/equal_time"))


@pytest.mark.real
@pytest.mark.parametrize("train", ["macs", "time"])
def test_a_study_of_equal_training_runs_continues_and_says_both_verdicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], train: str
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [*TINY, f"budget.train={train}", "storage=none", "recipe.epochs=4"]
    assert main(["plan", *words, "search.hours=1", "engine.price=2EUR", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    if train == "macs":  # speeds are measured by the start
        second, seconds = planned["second_verdict"], planned["time"]["seconds"]
        assert second["runs"] == 2
        assert second["seconds"] > 0
        assert second["money"].endswith(" EUR")
        assert "the second verdict included" in planned["fitting"]["words"]
        hours = (seconds + second["seconds"] / 2) / 3600
        assert main(["plan", *words, f"search.hours={hours}", "--json"]) == 0
        fitting = json.loads(capsys.readouterr().out)["fitting"]["words"]
        assert "the runs of the second verdict should not all fit" in fitting
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["lengths"][0]["steps"] == 16
    assert told["equal_epochs"]["n"] == told["contrast"]["n"] == 2
    kept = Path(f"studies/tiny/{ENVIRONMENT}").read_text(encoding="utf-8")
    assert ("train_speeds" in kept) == (train == "time")
    assert main(["tiny", "search.seeds=3", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["lengths"] == told["lengths"]
    assert again["equal_epochs"]["n"] == 3
    # Where both happen to train equally fast, all runs are those at equal epochs.
    differs = told["lengths"][1]["steps"] != 16
    assert [path.name for path in (Path("studies/tiny") / CHECKS).glob("*")] == (["epochs"] if differs else [])
    assert main(["doctor", "tiny"]) == 0
    assert main(["plan", "tiny", "--json"]) == 0
