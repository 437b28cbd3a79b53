"""Pages, tables, captions and the index where something is missing: a design's runs, a pair, a verdict."""

from collections.abc import Callable
from pathlib import Path

import pytest

from explorer.analysis.intervals import estimate
from explorer.analysis.judging import OpenedStudy, begun_study
from explorer.analysis.sentences import mood, sentence
from explorer.report.atlas import effect_of
from explorer.report.finding_data import study_data
from explorer.report.index import entry_of
from explorer.report.method import checklist, failures
from explorer.report.page_figures import Views
from explorer.report.print_caption import caption
from explorer.report.print_table import print_tables, written
from explorer.report.robustness import gap_interval
from explorer.report.verdict_picture import verdict_picture
from explorer.study.designs import Setting
from explorer.study.run import Run
from explorer.study.settings import StudyConfig
from explorer.verbs.command_line import read_command
from tests.made_up import few_epochs, made_up


def made(words: list[str], end: Callable[[Setting, int], str], *, by_space: bool = False) -> OpenedStudy:
    """A study with runs of a few epochs that end so, and errors that are lower with several paths."""

    def error(_: StudyConfig, run: Run) -> float:
        several = max(run.architecture.cardinalities) > (1 if by_space else 16)
        return 0.2 - 0.02 * several + 0.001 * (run.seed % 3) + 0.002 * (run.architecture.depth % 5)

    found = begun_study(made_up(few_epochs(read_command(words).study), end, error=error))
    assert found is not None
    return found


def is_well(setting: Setting, seed: int) -> str:
    return "ok"


def test_a_growth_study_of_which_designs_failed_stays_in_the_index(workplace: Path) -> None:
    lacking = ("29-4x64d", "29-8x64d")
    study = made(
        ["study=cardinality_or_width", "search.seeds=2"],
        lambda setting, seed: "out_of_memory" if setting.name in lacking else "ok",
    )
    entry = entry_of(study)
    assert entry.spark is not None
    assert "two ways to grow" in entry.spark.panel.title


@pytest.mark.parametrize("seeds", [3, 5])
def test_the_caption_of_curves_says_what_is_drawn_although_a_setting_has_none(workplace: Path, seeds: int) -> None:
    study = made(
        ["study=equal_params", f"search.seeds={seeds}"],
        lambda setting, seed: "diverged" if setting.name == "29-8x14d" else "ok",
    )
    words = caption(study, "curves", Views(study).figures["curves"])
    assert words.startswith("Error against epoch for every setting.")
    assert "median, best, worst" not in words
    assert ("Bands: 95 % intervals" in words) == (seeds == 5)
    assert "Thick: validation; thin: training." in words


def test_a_table_gives_no_verdict_before_all_runs_are_in(workplace: Path) -> None:
    study = made(["study=equal_params", "search.seeds=8"], lambda setting, seed: "ok" if seed < 6 else "")
    assert "no verdict yet" in sentence(study.finding)
    table = written(print_tables(study)["contrasts"], "md")
    assert table.count("none yet") == 4
    assert "beats" not in table


def test_fewer_than_five_pairs_claim_no_interval_in_a_check_either() -> None:
    assert gap_interval(estimate([-0.02, -0.021, -0.019, -0.02])) == "-"
    assert gap_interval(estimate([-0.02, -0.021, -0.019, -0.02, -0.021])).startswith("1.9")


def test_spaces_without_a_declared_contrast_have_no_colour_of_a_verdict(workplace: Path) -> None:
    study = made(["study=design_space", "search.designs=6", "study.contrast=null"], is_well, by_space=True)
    assert "No verdict: the study declares no contrast of spaces" in sentence(study.finding)
    assert mood(study.finding) == "open"
    assert study_data(study)["verdict"]["word"] is None


def test_a_pair_of_spaces_that_was_not_declared_is_never_shown_as_the_declared_one(workplace: Path) -> None:
    axes = "depth: {low: 20, high: 47, step: 9}, width: {low: 64, high: 192, step: 8}, cardinality: [2,4]"
    third = f"{{template: cifar, {axes}}}"
    study = made(
        ["study=design_space", "search.designs=6", f"+spaces.third={third}"],
        lambda setting, seed: "" if "one_path" in setting.spaces else "ok",
        by_space=True,
    )
    assert effect_of(study.finding) is None
    picture = verdict_picture(study)
    assert picture is None or not picture.effects


def test_failed_runs_of_a_final_round_are_not_said_to_count_as_chance(workplace: Path) -> None:
    study = made(["study=equal_params", "search.seeds=5"], lambda setting, seed: "ok" if seed else "diverged")
    assert failures(study) == [("diverged", 5)]
    (item,) = (item for item in checklist(study) if "failed" in item.asks.lower() or "came through" in item.words)
    assert "5 diverged" in item.words
    assert "final round" not in item.words
