"""How far a study's training is from the published one, as it stands under every verdict."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import explorer
from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.analysis.published_runs import PAPER_STEPS, data_key
from explorer.analysis.ranks import REDRAWN
from explorer.analysis.regime import regime_of, regime_sentence
from explorer.host.formatting import UNBROKEN
from explorer.report.page import render_page
from explorer.study.designs import Setting
from explorer.verbs.command_line import read_command
from tests.made_up import IMAGES, End, all_ok, made_up


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def recorded(name: str, epochs: int, *more: str, end: End = all_ok) -> Path:
    """A study of five settings and four seeds whose validation error falls as 0.6 / epoch^2."""
    words = ["study=equal_params", f"name={name}", f"recipe.epochs={epochs}", "search.seeds=4", "recipe.batch_size=16"]
    return made_up(read_command([*words, *more]).study, end)


def test_steps_slope_and_published_gap_stand_under_the_verdict_on_terminal_and_page(
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = recorded("own", 20, "data.name=cifar10_small")
    found = regime_of(open_study(folder))
    assert found.steps == 20 * (IMAGES[0] // 16) == 100
    assert (found.last, found.epochs) == (2, 20)  # the last tenth
    slope = 100 * 0.6 * (1 / 20**2 - 1 / 18**2) / 2
    assert found.slope == pytest.approx(slope)
    words = regime_sentence(found)
    assert words == (
        "Regime: 100 training steps, less than 0.1 % of the ResNeXt paper's 117,187 on CIFAR. In the last 2 epochs of "
        f"20 the validation error fell by {-slope:.2f} points an epoch. Published single runs trained to the end on "
        "CIFAR-10: 20-32x4d beside 20-1x64d 0.13 points lower (imgclsmob)."
    )
    assert main(["study=equal_params", "name=own", "recipe.epochs=20", "search.seeds=4", "recipe.batch_size=16",
                 "data.name=cifar10_small"]) == 0  # fmt: skip
    told = capsys.readouterr().out
    assert words in told.splitlines()
    assert words.replace("'", "&#39;") in render_page(open_study(folder)).replace(UNBROKEN, " ")
    assert explorer.open_study("own").regime == words


@pytest.mark.real
def test_the_order_is_held_against_the_longest_study_of_the_same_images() -> None:
    short = recorded("short", 3)
    recorded("longer", 5)
    recorded("longest", 9)
    recorded("of_others", 30, "data.name=others")
    recorded("unfinished", 20, end=lambda _, seed: "" if seed else "ok")
    recorded("others_settings", 25, "space.depth=[20]", "budget.reference=20-1x64d")
    torn = recorded("torn", 40)
    (torn / "runs.csv").write_text("no,record\n")
    found = regime_of(open_study(short))
    assert found.longest == ("longest", 9 * (IMAGES[0] // 16))
    assert found.ranks is not None
    assert found.ranks.settings == 5
    assert f"agrees with that after 45 steps (longest) by Kendall's tau {found.ranks.tau:.2f} ({REDRAWN} " in (
        regime_sentence(found)
    )
    assert regime_of(open_study(Path("studies/longest"))).longest is None
    shutil.copytree(short, "elsewhere/short")
    assert regime_of(open_study(Path("elsewhere/short"))).longest is None


def test_a_run_of_so_many_steps_is_told_by_these() -> None:
    folder = recorded("steps", 3, "recipe.epochs=null", "recipe.steps=12")
    found = regime_of(open_study(folder))
    assert (found.steps, found.epochs) == (12, 3)  # five steps an epoch, so that the third is not ended
    recorded("short", 1)
    assert regime_of(open_study(Path("studies/short"))).longest == ("steps", 12)


def diverges(setting: Setting, seed: int) -> str:
    return "diverged"


@pytest.mark.parametrize(("epochs", "end"), [(1, all_ok), (3, diverges)])
def test_where_no_slope_is_known_none_is_told(epochs: int, end: End) -> None:
    words = regime_sentence(regime_of(open_study(recorded("brief", epochs, end=end))))
    assert "the validation error" not in words
    assert words.startswith("Regime: ")


def test_of_a_long_training_the_line_says_how_many_times_and_how_the_error_moved() -> None:
    found = replace(regime_of(open_study(recorded("long", 3))), steps=3 * PAPER_STEPS["cifar"], slope=0.004)
    assert "351,561 training steps, 3 times the ResNeXt paper's 117,187" in regime_sentence(found)
    assert "the validation error neither fell nor rose." in regime_sentence(found)
    assert "58,594 training steps, 50 % of the" in regime_sentence(replace(found, steps=58_594))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("cifar10", "cifar10"), ("cifar10_jpeg", "cifar10"), ("cifar100", "cifar100"), ("digits", None),
        ("imagenet", "imagenet"), ("imagenet_32", None), ("tiny_imagenet_32px", None), ("svhn_cropped", "svhn"),
    ],
)  # fmt: skip
def test_smaller_copies_of_imagenet_are_other_data_sets(name: str, key: str | None) -> None:
    assert data_key(name) == key
