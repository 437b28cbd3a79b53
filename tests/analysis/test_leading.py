"""The headline of a study that declares no contrast."""

import math

import numpy as np
import pytest

from explorer.analysis.finding import Finding, find
from explorer.analysis.paired import ALPHA, paired_p
from explorer.analysis.sentences import mood, sentence
from explorer.analysis.summary import by_validation, summarise
from explorer.report.short_title import short_title
from tests.analysis.test_statistics import R, X, frame

THIRD = "29-8x14d"
NOISE = [0.001, -0.002, 0.003, -0.001, 0.002, -0.003]


def listed(errors: dict[str, list[float]], seeds: int | None = None) -> Finding:
    wanted = seeds or max(len(own) for own in errors.values())
    return find(frame(errors), [*errors], None, seeds=wanted)


def test_validation_chooses_and_the_test_judges_corrected_for_all_pairs() -> None:
    found = listed(
        {
            R: [0.10 + one for one in NOISE],
            X: [0.06 - one for one in NOISE],
            THIRD: [0.12 + 2 * one for one in NOISE],
        }
    )
    leads = found.leading
    assert leads is not None
    assert leads.beside is not None
    assert (leads.best.setting, leads.beside.against, leads.pairs) == (X, R, 3)
    assert leads.beside.alpha == ALPHA / 3
    apart = np.array([-0.04 - 2 * one for one in NOISE])
    assert leads.p == pytest.approx(3 * paired_p(apart))
    assert sentence(found) == (
        "Of 3 settings, ResNeXt-29 (32x4d) has the lowest validation error, 3.00 %; its test error is 6.00 % (95 % "
        f"interval 5.75 to 6.25 %, n = 6 seeds). That is 4.00 points lower than that of ResNet-29 (1x64d), the next by "
        f"validation (95 % interval {-100 * leads.beside.difference.high:.2f} to "
        f"{-100 * leads.beside.difference.low:.2f}, n = 6 paired seeds, p < 0.0001, both corrected for all 3 pairs of "
        "settings), so it is better than the next. The study declares no contrast. Validation chose the two, the test "
        "judges them on the same runs: luck of these seeds favours the first."
    )
    assert short_title(found, "mine") == "Lowest validation error: ResNeXt-29 (32x4d), 6.00 % test error | mine"
    assert mood(found) == "open"


def test_what_the_test_says_against_the_choice_is_said() -> None:
    table = frame({R: [0.10 + one for one in NOISE], X: [0.06 - one for one in NOISE]})
    table["val_error"] = [0.03 if name == R else 0.05 for name in table["setting"]]
    found = find(table, [R, X], None, seeds=6)
    words = sentence(found)
    assert "ResNet-29 (1x64d) has the lowest validation error, 3.00 %; its test error is 10.00 %" in words
    assert "4.00 points higher than that of ResNeXt-29 (32x4d)" in words
    assert "so on the test images it is worse than the next" in words


def test_errors_of_validation_and_test_are_never_ranked_together() -> None:
    table = frame({R: [0.07], X: [0.09], THIRD: [0.06]})
    table["val_error"] = [0.08, 0.075, math.nan]  # of the third only a test error is known
    assert [one.setting for one in by_validation(summarise(table, [R, X, THIRD]))] == [X, R]
    words = sentence(find(table, [R, X, THIRD], None, seeds=1))
    assert "ResNeXt-29 (32x4d) has the lowest validation error, 7.50 %" in words
    table["val_error"] = math.nan
    assert [one.setting for one in by_validation(summarise(table, [R, X, THIRD]))] == [THIRD, R, X]


def test_an_open_difference_few_seeds_and_one_setting_claim_nothing() -> None:
    close = listed({R: [0.100 + one for one in NOISE], X: [0.0995 - one for one in NOISE]})
    assert "which does not decide between them" in sentence(close)
    few = sentence(listed({R: [0.1, 0.11], X: [0.3, 0.31]}))
    assert "its test error is 10.50 % (n = 2 seeds)" in few
    assert "2 pairs of seeds are too few to decide between them" in few
    one = listed({R: [0.1, 0.11]})
    assert sentence(one) == (
        "ResNet-29 (1x64d) has a test error of 10.50 % (n = 2 seeds). It is the study's only setting, so nothing is "
        "compared."
    )
    assert short_title(one, "mine") == "ResNet-29 (1x64d), 10.50 % test error | mine"
    assert one.leading is not None
    assert math.isnan(one.leading.p)


def test_before_all_runs_are_in_only_validation_is_told() -> None:
    words = sentence(listed({R: [0.1, 0.11], X: [0.3, 0.31]}, seeds=3))
    assert words == (
        "Preliminary, 4 of 6 runs are in: so far ResNet-29 (1x64d) has the lowest validation error, 5.25 % (2 seeds). "
        "The study declares no contrast."
    )


def test_what_failed_counts_as_chance_and_cannot_lead_to_a_better_one() -> None:
    table = frame({R: [0.10 + one for one in NOISE], X: [0.06 - one for one in NOISE]})
    table.loc[(table["setting"] == X) & (table["seed"] == 0), "status"] = "diverged"
    found = find(table, [R, X], None, seeds=6)
    words = sentence(found)
    assert words.startswith("Of 2 settings, ResNet-29 (1x64d) has the lowest validation error, 5.00 %")
    assert words.endswith("1 of 12 runs diverged and counts as chance (90.00 %).")
    table["status"] = "diverged"
    assert find(table, [R, X], None, seeds=6).leading is None


def test_guesses_lead_nothing() -> None:
    words = sentence(listed({R: [0.9 + one for one in NOISE], X: [0.9 - one for one in NOISE]}))
    assert "No verdict: the study declares no contrast; the settings are listed" in words
