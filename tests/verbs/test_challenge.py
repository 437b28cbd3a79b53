"""Robustness checks of a finished contrast: made, judged, said and drawn, mostly from records of made-up runs."""

import io
import json
import math
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from explorer.__main__ import main
from explorer.analysis.check_sentences import robustness_sentence
from explorer.analysis.finding import Finding
from explorer.analysis.judging import OpenedStudy, open_study
from explorer.analysis.robustness import Robustness
from explorer.analysis.sentences import mood, sentence
from explorer.design.name import display_setting
from explorer.host.errors import InputError
from explorer.record.folder import CHECKS, is_stale, runs_digest, stamps_of
from explorer.report.drawing import draw, entries
from explorer.report.method import checklist
from explorer.report.page import render_page
from explorer.report.robustness import filter_rows, length_panel
from explorer.report.terminal import print_verdict
from explorer.study.designs import Setting
from explorer.study.run import Run
from explorer.study.settings import StudyConfig
from explorer.verbs.calibrate import Calibration
from explorer.verbs.command_line import read_command
from explorer.verbs.estimate import Measured
from explorer.verbs.plan import carry_out as show_plan
from tests.conftest import PATIENCE, TINY
from tests.faults.processes import command
from tests.faults.record import differences, record_of
from tests.made_up import RunError, made_up, made_up_checks
from tests.report.reading import text_of

FOLDER = Path("studies/tiny")
SEEDS = "search.seeds=6"


def tiny(*words: str) -> StudyConfig:
    return read_command([*TINY, SEEDS, *words]).study


def noise(run: Run) -> float:
    return float(np.random.default_rng([*run.id.encode()]).normal(0, 0.002))


def from_initialisation(config: StudyConfig, run: Run) -> float:
    """Two paths are better by two points, but only where their filters are shorter at the start."""
    recipe, paths = run.recipe, int(run.architecture.cardinalities[0])
    norm = (2 / paths if recipe.init == "fan_out" else 2) * recipe.init_gain**2
    return 0.3 + 0.02 * (norm > 1.5) + noise(run)


def from_shape(config: StudyConfig, run: Run) -> float:
    """Two paths are better by two points whatever else is done."""
    return 0.3 + 0.02 * (run.architecture.cardinality == 1) + noise(run)


def checked(asked: str, error: RunError, *words: str, most: int = 1000) -> OpenedStudy:
    """A made-up study with the checks that it asks for."""
    config = tiny(f"study.robustness=[{asked}]", *words)
    made_up(config, error=error)
    made_up_checks(config, error=error, most=most)
    return open_study(FOLDER)


def found(study: OpenedStudy) -> tuple[Finding, Robustness]:
    assert study.finding.robustness is not None
    return study.finding, study.finding.robustness


def printed(finding: Finding, width: int = 80) -> str:
    text = io.StringIO()
    print_verdict(finding, "?", Console(file=text, width=width, force_terminal=True, color_system=None))
    return text.getvalue()


def test_the_guilty_initialisation_is_named_in_verdict_sentence_page_checklist_and_terminal(workplace: Path) -> None:
    study = checked("init,length,cost", from_initialisation)
    finding, robustness = found(study)
    words = {check.name: check.word for check in robustness.checks}
    assert words == {"init": "explains", "length": "holds", "cost": "holds", "precision": "holds"}
    verdict = sentence(finding)
    assert (
        "beats ResNet-11 (1x4d, w16) on this test set under the paper's initialisation, which explains it:" in verdict
    )
    assert mood(finding) == "open"
    said = robustness_sentence(finding)
    assert said.startswith("The difference holds at four times the length, against the wider 1x5d")
    assert "it is explained by the initialisation: at equal filter norm" in said
    assert said.endswith("not checked: the learning rate, the middle width, unequal time, the split.")
    # The arm beside the main one: both at the smaller norm.
    (init,) = (check for check in robustness.checks if check.name == "init")
    small = next(arm for arm in init.arms if arm.arm.name == "init-small")
    assert abs(small.gap.mean) < 0.005
    assert not small.arm.main
    page = render_page(study)
    text = text_of(page)
    assert said in text
    assert verdict in text
    assert page.count("Trained again, one rival explanation taken away") == 2  # in the picture at both widths
    assert 'data-figure="lengths"' in page
    panel = length_panel(study)
    assert panel is not None
    assert list(panel.marks[-1].x) == [4, 8, 32]  # 4 steps an epoch: one epoch, the declared two, and eight
    assert finding.comparison is not None
    gaps = [*finding.comparison.differences.values()]
    assert panel.marks[-1].y[1] == pytest.approx(-100 * np.mean(gaps))  # above zero is better, as in every table
    assert panel.y.title == f"Points less than {display_setting(finding.comparison.against)}"
    assert panel.has_band
    for arm in (arm for check in robustness.checks for arm in check.arms):
        assert robustness.named(arm.arm.name).words in text
    assert [(row.words, row.start, row.degrees) for row in filter_rows(study)[:4]] == [
        ("as declared", "1", "10"),
        ("as declared", "2", "5"),
        ("at equal filter norm", "2", "5"),
        ("at equal filter norm", "2", "5"),
    ]
    assert "Squared norm at the start" in text
    (item,) = (item for item in checklist(study) if "rival explanations" in item.asks)
    assert item.answer == "in part"
    assert "the initialisation: explains; the learning rate: no;" in item.words
    shown = printed(finding)
    assert max(map(len, shown.splitlines())) <= 80
    assert re.search(r"init-groups +\S?\d\.\d\d +\S0\.\d\d to 0\.\d\d +6 +\S[12]\.\d\d +explains", shown)
    assert " ".join(said.split()) in " ".join(shown.split())


@pytest.mark.real
def test_a_difference_of_shape_holds_and_no_condition_is_left_in_its_verdict(workplace: Path) -> None:
    finding, robustness = found(checked("init,rate,split", from_shape))
    assert {check.word for check in robustness.checks} == {"holds"}
    assert "beats ResNet-11 (1x4d, w16) on this test set: its test error" in sentence(finding)
    assert mood(finding) == "yes"
    said = robustness_sentence(finding)
    assert "holds at equal filter norm, at each setting's best rate, in float32 as torch executes it and on" in said
    assert "explain" not in said


def best_at(rate: float) -> RunError:
    """The one path learns best at another rate, at which it is as good as two paths are at theirs."""

    def error(config: StudyConfig, run: Run) -> float:
        best = rate if run.architecture.cardinality == 1 else 1.0
        return 0.3 + 0.01 * abs(math.log2(run.recipe.learning_rate / (0.01 * best))) + noise(run)

    return error


def test_a_rate_that_suits_one_side_better_is_found_on_validation_images_and_explains(workplace: Path) -> None:
    finding, robustness = found(checked("rate", best_at(4.0)))
    (rate, _) = robustness.checks
    assert (rate.name, rate.word) == ("rate", "explains")
    arm = robustness.named("rate")
    assert arm.detail.startswith("x1 for ResNeXt-11 (2x3d, w16) and x4 for ResNet-11 (1x4d, w16), at the edge")
    assert [study.name for study in arm.studies] == ["rate-tuning", "rate-against"]
    assert "at the recipe's learning rate, which explains it, under the paper's initialisation" in sentence(finding)


def test_values_that_tuning_cannot_tell_apart_stay_as_declared(workplace: Path) -> None:
    study = checked("rate", lambda config, run: 0.3)
    arm = study.finding.robustness.named("rate") if study.finding.robustness else None
    assert arm is not None
    assert [study.name for study in arm.studies] == ["rate-tuning"]
    assert [side.study for side in arm.sides or ()] == ["", ""]


def test_a_check_on_its_way_is_said_to_be_so_and_decides_nothing(workplace: Path) -> None:
    study = checked("init,rate", from_initialisation, most=3)
    finding, robustness = found(study)
    # Three studies make the main arm of the first check.
    assert [check.name for check in robustness.checks] == ["init", "precision"]
    shutil.rmtree(FOLDER / CHECKS / "init-groups")
    finding, robustness = found(open_study(FOLDER))
    assert [check.name for check in robustness.checks] == ["precision"]
    assert "not finished: the initialisation (18 runs so far); not checked: the learning rate" in robustness_sentence(
        finding
    )
    assert "which explains it" not in sentence(finding)
    assert "rate (at most 42 runs" in planned("study.robustness=[rate]")


def planned(*words: str) -> str:
    text = io.StringIO()
    show_plan(tiny(*words), Console(file=text, width=400))
    return text.getvalue()


def test_more_seeds_of_the_study_make_its_checks_unfinished(workplace: Path) -> None:
    checked("cost", from_shape)
    shutil.rmtree(FOLDER)
    config = tiny("search.seeds=7", "study.robustness=[cost]")
    made_up(tiny("study.robustness=[cost]"), error=from_shape)
    made_up_checks(tiny("study.robustness=[cost]"), error=from_shape)
    checks = FOLDER.rename("old") / CHECKS
    made_up(config, error=from_shape)
    shutil.copytree(checks, FOLDER / CHECKS)
    _, robustness = found(open_study(FOLDER))
    assert robustness.far["cost"] > 0
    assert "cost" not in {check.name for check in robustness.checks}


def test_few_seeds_cannot_tell_and_networks_that_guess_cannot_either(workplace: Path) -> None:
    config = tiny("study.robustness=[cost]", "search.seeds=4")
    made_up(config, error=from_shape)
    made_up_checks(config, error=from_shape)
    finding, robustness = found(open_study(FOLDER))
    assert robustness.checks[0].word == "cannot tell"
    assert re.search(r"whether unequal cost explains it cannot be told: against the.*; \d+ pairs", said(finding))
    shutil.rmtree(FOLDER)

    def guessing(config: StudyConfig, run: Run) -> float:
        return 0.9 + noise(run) if config.data.split_seed == "each" else from_shape(config, run)

    finding, robustness = found(checked("split", guessing))
    assert {check.name: check.word for check in robustness.checks} == {"precision": "holds", "split": "cannot tell"}
    assert "on another split for each seed neither network has learned more than guessing" in said(finding)


@pytest.mark.parametrize("failing", [1, 2])
def test_an_arm_of_which_runs_failed_neither_holds_nor_explains(workplace: Path, failing: int) -> None:
    """The gap to a run that counts as chance is as large as chance is far, in whichever direction."""

    def end(setting: Setting, seed: int) -> str:
        return "out_of_memory" if setting.architecture.cardinality == failing else "ok"

    config = tiny("study.robustness=[split]")
    made_up(config, error=from_shape)
    made_up_checks(config, end, error=from_shape)
    finding, robustness = found(open_study(FOLDER))
    assert {check.name: check.word for check in robustness.checks}["split"] == "cannot tell"
    assert "on another split for each seed 6 of 12 runs failed, which measures nothing" in said(finding)
    assert finding.comparison is not None
    assert finding.comparison.verdict == "beats"


def test_a_declared_contrast_of_which_a_run_failed_is_neither_upheld_nor_explained(workplace: Path) -> None:
    config = tiny("study.robustness=[split]")
    made_up(
        config,
        lambda setting, seed: "diverged" if (setting.architecture.cardinality, seed) == (1, 2) else "ok",
        error=from_shape,
    )
    made_up_checks(config, error=from_shape)
    finding, robustness = found(open_study(FOLDER))
    assert {check.word for check in robustness.checks} == {"cannot tell"}
    assert "of the declared contrast 1 of 12 runs failed, which measures nothing" in said(finding)


def said(finding: Finding) -> str:
    return robustness_sentence(finding).lower()


def test_a_check_of_other_images_or_settings_is_not_used_and_says_so(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checked("cost", from_shape)
    for name, old, new in (
        ("environment.json", '"0123456789abcdef"', '"fedcba9876543210"'),
        ("config.yaml", "weight_decay: 0.0005", "weight_decay: 0.001"),
    ):
        path = FOLDER / CHECKS / "cost-wider" / name
        content = path.read_text()
        path.write_text(content.replace(old, new))
        _, robustness = found(open_study(FOLDER))
        assert "cost" not in {check.name for check in robustness.checks}
        assert list(robustness.faults) == ["cost-wider"]
        assert "not usable: cost-wider; not checked: " in robustness_sentence(open_study(FOLDER).finding)
        assert main([*TINY, SEEDS, "do=challenge", "study.robustness=[cost]"]) == 2
        assert "cost-wider: was " in capsys.readouterr().err
        path.write_text(content)


def test_finished_checks_even_of_a_later_version_train_nothing_and_redraw_the_page(
    workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checked("cost", from_shape)
    made_later = FOLDER / CHECKS / "cost-wider" / "environment.json"
    environment = json.loads(made_later.read_text())
    made_later.write_text(json.dumps(environment | {"version": "9.9.9", "sources": {"training/loop.py": "another"}}))
    monkeypatch.setattr("explorer.search.coordinator.run_study", None)  # calling it would fail
    assert main([*TINY, SEEDS, "do=challenge"]) == 0  # those that the study was started with
    first = capsys.readouterr().out
    assert "The difference holds against the wider 1x5d" in first
    assert Path("reports/tiny.html").exists()
    assert main([*TINY, SEEDS, "study.robustness=[cost]"]) == 0
    assert "The difference holds against the wider 1x5d" in capsys.readouterr().out
    assert [entry.name for entry in entries({})] == ["tiny"]
    assert main([*TINY, SEEDS, "do=tabulate"]) == 0
    assert not [path for path in Path("tables").rglob("*") if "cost" in path.name]


def test_a_check_that_cannot_go_on_says_how_to_make_it_anew(
    workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(*_: object) -> int:
        raise InputError("studies/tiny/checks/cost-wider: was started differently (explorer/training/loop.py was ...)")

    checked("cost", from_shape, most=1)
    own = open_study(FOLDER).checks
    assert own is not None
    shutil.rmtree(FOLDER / CHECKS / "cost-wider")
    made_up(
        own.studies["cost-wider"].plan.config,
        lambda setting, seed: "ok" if seed else "",
        folder=FOLDER / CHECKS / "cost-wider",
    )
    monkeypatch.setattr("explorer.search.coordinator.run_study", changed)
    assert main([*TINY, SEEDS, "do=challenge"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("of a check: take studies/tiny/checks/cost-wider away to make it anew")


def test_the_page_is_stale_once_a_check_has_runs_that_it_does_not_show(workplace: Path) -> None:
    config = tiny("study.robustness=[init]")
    made_up(config, error=from_initialisation)
    before = runs_digest(FOLDER)
    page = draw(open_study(FOLDER))
    assert not is_stale(page, FOLDER)
    made_up_checks(config, error=from_initialisation, most=1)
    assert runs_digest(FOLDER) != before
    assert is_stale(page, FOLDER)
    draw(open_study(FOLDER))
    assert not is_stale(page, FOLDER)
    assert f"{CHECKS}/init-groups/runs.csv" in stamps_of(FOLDER).files


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "study.robustness is empty; say for example study.robustness=[init,rate]; allowed: init, rate, length"),
        (["study.robustness=[speed]"], "study.robustness.0=\"speed\": must be 'init', 'rate'"),
        (["recipe.epochs=3", "study.robustness=[init]"], "was started differently (recipe.epochs was 2, now 3)"),
        (["fork=true"], "fork=true: challenge reads a study as it is"),
        (["name=other", "study.robustness=[init]"], "studies/other: there is no record yet, and a contrast is checked"),
    ],
)
def test_what_cannot_be_challenged_is_refused_in_one_line(
    words: list[str], line: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made_up(tiny(), error=from_shape)
    assert main([*TINY, SEEDS, "do=challenge", *words]) == 2
    (only,) = capsys.readouterr().err.splitlines()
    assert line in only


def test_an_unfinished_study_is_not_challenged(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_up(tiny(), lambda setting, seed: "ok" if seed else "")
    assert main([*TINY, SEEDS, "do=challenge", "study.robustness=[init]"]) == 2
    assert "10 of 12 runs are in, and a contrast is checked when it is finished" in capsys.readouterr().err
    assert not (FOLDER / CHECKS).exists()


def test_a_plan_offers_checks_with_their_cost_and_counts_in_those_asked_for(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def image_a_second(*_: object) -> Calibration:
        return Calibration("2026-01-01", ((1e3, 1.0, 1.0), (1e9, 1.0, 1.0)))

    monkeypatch.setattr("explorer.verbs.plan.calibration", image_a_second)
    lines = planned("study.robustness=[init,length_16]", "engine.workers=2").splitlines()
    (follows,) = (line for line in lines if line.startswith("Robustness checks that follow"))
    # 6 with equal norms, 12 with fan_in, 6 at the smaller norm, 30 of tuning and at most 12 after it; 36 of length.
    # A run of 2 epochs takes 2 * 80 + (2 * 40 + 100) / 3 = 220 s; those of 1, 8 and 32 take 126.7 s, 780 s and 3,020 s.
    assert follows == (
        "Robustness checks that follow: init (at most 66 runs, about 2 h 01 min), length (36 runs, about 6 h 32 min); "
        "together at most 102 runs, about 8 h 33 min."
    )
    assert any("would add: rate (at most 42 runs, about 1 h 17 min), cost (" in line for line in lines)
    assert not any("Robustness" in line for line in planned("study.contrast=null", "study.margin=null").splitlines())
    checked("length", from_shape)
    monkeypatch.setattr("explorer.verbs.plan.recorded_here", lambda device: [Measured(80_768, 20, 100.0)])
    lines = planned().splitlines()
    assert not any(re.search(r"\blength \(", line) for line in lines)
    assert any(re.search(r"would add: init \(at most 66 runs, about \d+ min \d+ s\)", line) for line in lines)


def test_the_doctor_examines_checks_and_a_link_in_one_is_refused(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checked("cost", from_shape)
    check = FOLDER / CHECKS / "cost-wider"
    (check / ".runs.csv.1.partial").touch()
    assert main(["do=doctor", "name=tiny"]) == 1
    out = capsys.readouterr().out
    assert f"{check}:" in out
    assert out.count("left by an interrupted write") == 1
    assert "reports/cost-wider.html" not in out
    assert main(["do=doctor", "name=tiny", "yes=true"]) == 0
    assert "All is repaired." in capsys.readouterr().out
    (check / "runs.csv").rename(workplace / "elsewhere.csv")
    (check / "runs.csv").symlink_to(workplace / "elsewhere.csv")
    for verb in ("challenge", "report", "doctor"):
        assert main([*TINY, SEEDS, f"do={verb}"]) == 2
        assert "is a link" in capsys.readouterr().err


def test_a_study_in_several_looks_is_checked_with_the_seeds_at_which_it_was_decided(workplace: Path) -> None:
    config = tiny("search.seeds=auto", "study.robustness=[cost]")
    made_up(config, lambda setting, seed: "ok" if seed < 6 else "", error=from_shape)
    made_up_checks(config, error=from_shape)
    _, robustness = found(open_study(FOLDER))
    assert [arm.gap.n for check in robustness.checks for arm in check.arms if check.name == "cost"] == [6, 6]


def test_a_decided_contrast_says_what_was_not_checked_and_an_open_one_does_not(workplace: Path) -> None:
    made_up(tiny(), error=from_shape)
    assert "not checked: the initialisation, the learning rate" in robustness_sentence(open_study(FOLDER).finding)
    shutil.rmtree(FOLDER)
    made_up(tiny(), error=lambda config, run: 0.3 + noise(run))
    finding = open_study(FOLDER).finding
    assert robustness_sentence(finding) == ""
    assert "Robustness" not in printed(finding)
    (item,) = (item for item in checklist(open_study(FOLDER)) if "rival explanations" in item.asks)
    assert "the initialisation: no;" in item.words


def rows_of_checks() -> int:
    return sum(len(path.read_text().splitlines()) - 1 for path in (FOLDER / CHECKS).glob("*/runs.csv"))


def stopped(arguments: list[str], rows: int, asking: signal.Signals) -> None:
    """Start a command and stop it once the checks have so many runs."""
    with command(Path(), arguments) as started:
        deadline = time.monotonic() + 3 * PATIENCE
        while rows_of_checks() < rows:
            assert started.process.poll() is None, started.told()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        started.process.send_signal(asking)
        started.ended()


@pytest.mark.real
def test_checks_of_a_finished_study_are_trained_stopped_and_continued_with_the_same_bits(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*TINY, "search.seeds=5", "engine.forms=auto", "engine.workers=1"]
    asked = [*words, "do=challenge", "study.robustness=[rate,cost,split]"]
    assert main(words) == 0
    shutil.copytree("studies", "kept")
    assert main(asked) == 0
    undisturbed = capsys.readouterr().out
    table = undisturbed[undisturbed.index("Robustness checks (points") :]
    expected = {path.name: record_of(path) for path in (FOLDER / CHECKS).iterdir()}
    shutil.rmtree("studies")
    shutil.copytree("kept", "studies")
    for rows, asking in ((3, signal.SIGKILL), (33, signal.SIGTERM)):
        stopped(asked, rows, asking)
    assert main(asked) == 0
    again = capsys.readouterr().out
    assert again[again.index("Robustness checks (points") :] == table
    assert {path.name for path in (FOLDER / CHECKS).iterdir()} == set(expected)
    for name, record in expected.items():
        assert differences(record_of(FOLDER / CHECKS / name), record) == ""
    assert main(asked) == 0
    assert "recording" not in capsys.readouterr().out  # nothing was trained
