"""Runs that diverged or ran out of memory, and networks that learned nothing, decide nothing and are told."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.equivalence import equivalence
from explorer.analysis.chance import guessing, learned
from explorer.analysis.finding import Finding, find
from explorer.analysis.front import front
from explorer.analysis.learning_rate_check import learning_rate_check
from explorer.analysis.paired import compare
from explorer.analysis.population import populations
from explorer.analysis.ranks import agreement
from explorer.analysis.search_history import search_history
from explorer.analysis.sentences import learning_rate_sentence, mood, search_history_sentence, sentence, trend_sentence
from explorer.analysis.summary import SettingSummary, lowest, summarise
from explorer.analysis.trend import trend
from explorer.report.index import best_of
from explorer.report.spark import spark_of
from tests.analysis.test_statistics import R, X, frame

M = "29-4x24d"
WHY = "the loss was not finite in epoch 1"
RIVALS = "ResNeXt-29 (32x4d)", "ResNet-29 (1x64d)"
Errors = Mapping[str, Sequence[float | None]]
CARDINALITIES = {"29-1x64d": 1, "29-2x40d": 2, "29-4x24d": 4, "29-8x14d": 8}


def runs(errors: Errors, *, message: str = WHY, **changes: Any) -> pd.DataFrame:
    """A record in which None stands for a run that diverged."""
    made = frame({name: [math.nan if one is None else one for one in own] for name, own in errors.items()}, **changes)
    failed = made["test_error"].isna()
    made["message"] = np.where(failed, message, "")
    made.loc[failed, "status"] = "diverged"
    return made


def out_of_memory(made: pd.DataFrame, setting: str) -> pd.DataFrame:
    """The same record, with the failed runs of a setting out of memory."""
    poor = (made["status"] == "diverged") & (made["setting"] == setting)
    made.loc[poor, "status"], made.loc[poor, "message"] = "out_of_memory", "not enough memory"
    return made


def found(errors: Errors, *, seeds: int, **more: Any) -> Finding:
    return find(runs(errors), list(errors), (X, R), seeds=seeds, **more)


def settings_of(errors: Errors, measure: str = "test_error") -> list[SettingSummary]:
    return summarise(runs(errors), list(errors), measure)


def test_where_all_runs_diverged_there_is_no_verdict_but_what_went_wrong_and_what_helps() -> None:
    finding = found({R: [None] * 5, X: [None] * 5}, seeds=5, margin=0.01)
    assert finding.comparison is not None
    assert (finding.comparison.verdict, finding.comparison.differences, finding.comparison.lost) == (
        "inconclusive",
        {},
        5,
    )
    assert sentence(finding) == f"No verdict: all 10 runs diverged ({WHY}); lower recipe.learning_rate."
    assert mood(finding) == "open"
    half = found({R: [None] * 2, X: [None] * 2}, seeds=5)
    assert sentence(half).startswith("No verdict yet, 4 of 10 runs are in: all 4 runs so far diverged (")
    one = found({R: [None], X: []}, seeds=1)
    assert sentence(one).startswith("No verdict yet, 1 of 2 runs are in: the only run so far diverged (")


def test_what_helps_is_told_of_each_way_to_fail() -> None:
    made = out_of_memory(runs({R: [None] * 5, X: [None] * 5}), R)
    assert sentence(find(made, [R, X], (X, R), seeds=5)) == (
        f"No verdict: all 10 runs failed, 5 diverged ({WHY}) and 5 ran out of memory (not enough memory); lower "
        "recipe.learning_rate and recipe.micro_batch."
    )


def test_where_only_the_contrasts_runs_all_failed_the_sentence_says_whose() -> None:
    finding = found({R: [None] * 5, X: [None] * 5, M: [0.2] * 5}, seeds=5, margin=0.01)
    assert sentence(finding).startswith(f"No verdict: all 10 runs of {' and '.join(RIVALS)} diverged (")


def test_without_a_contrast_all_that_failed_is_told_as_well() -> None:
    finding = find(runs({R: [None] * 2, X: [None] * 2}), [R, X], None, seeds=2)
    assert sentence(finding).startswith("No verdict: all 4 runs diverged (")
    some = find(runs({R: [0.1, None], X: [0.2, 0.3]}), [R, X], None, seeds=2)
    assert sentence(some).endswith("favours the first. 1 of 4 runs diverged and counts as chance (90.00 %).")


def test_pairs_that_failed_on_both_sides_have_no_difference_and_decide_nothing() -> None:
    lost: list[float | None] = [None] * 10
    finding = found({R: [*lost, 0.30, 0.30], X: [*lost, 0.32, 0.32]}, seeds=12, margin=0.03)
    comparison = finding.comparison
    assert comparison is not None
    assert (comparison.verdict, comparison.lost, sorted(comparison.differences)) == ("inconclusive", 10, [10, 11])
    assert comparison.difference.mean == pytest.approx(0.02)
    assert sentence(finding) == (
        "Inconclusive: 2 pairs of seeds are too few for a verdict; so far the test error is 2.00 points higher for "
        "ResNeXt-29 (32x4d) than for ResNet-29 (1x64d). In 10 of 12 pairs both runs diverged, and these decide nothing."
    )


def test_what_is_left_of_the_pairs_is_judged_as_if_the_lost_ones_had_never_been() -> None:
    ours = [0.30, 0.31, 0.29, 0.30, 0.32, 0.31]
    theirs = [one + 0.02 + 0.001 * (-1) ** place for place, one in enumerate(ours)]
    whole = found({R: theirs, X: ours}, seeds=6).comparison
    more = found({R: [*theirs, None, None], X: [*ours, None, None]}, seeds=8).comparison
    assert whole is not None
    assert more is not None
    for name in ("difference", "narrow", "p", "verdict", "effect", "correlation", "welch_p", "flip_p", "differences"):
        assert getattr(more, name) == getattr(whole, name)


def test_a_rival_that_failed_counts_as_chance_which_the_sentence_says_without_any_qualifier() -> None:
    images = np.zeros(100, dtype=np.bool_)
    errors: dict[str, Sequence[float | None]] = {R: [None, None, None, None, 0.30, 0.29], X: [0.30, 0.29] * 3}
    made = runs(errors)
    right = {str(run): images.copy() for run in made["run"]}
    finding = find(made, [R, X], (X, R), seeds=6, margin=0.01, right=right)
    comparison = finding.comparison
    assert comparison is not None
    assert (comparison.verdict, comparison.failed, comparison.lost) == ("beats", (0, 4), 0)
    assert finding.with_images is None
    assert not finding.on_this_test_set
    assert not comparison.within_margin
    assert (comparison.needed, math.isnan(comparison.effect), math.isnan(comparison.correlation.mean)) == (
        None,
        True,
        True,
    )
    said = sentence(finding)
    assert said.startswith("ResNeXt-29 (32x4d) beats ResNet-29 (1x64d): its test error is 40.33 points lower (")
    assert said.endswith(" 4 of 6 runs of ResNet-29 (1x64d) diverged and count as chance (90.00 %).")


def test_a_setting_that_failed_is_never_equivalent_to_one_that_did_not() -> None:
    ours = [0.88, 0.87, 0.88, 0.87, 0.88, 0.89]
    first, second = settings_of({X: [None, *ours[1:]], R: ours})
    found = compare(first, second, 0.1)
    assert max(abs(found.narrow.low), abs(found.narrow.high)) < 0.1
    assert (found.verdict, found.within_margin) == ("inconclusive", False)


def test_failures_alone_and_failures_of_both_are_told_apart() -> None:
    base = [0.30, 0.31, 0.29, 0.30, 0.32, 0.31]
    finding = found({R: [None, None, *base[2:]], X: [None, 0.3, None, *base[3:]]}, seeds=6)
    assert sentence(finding).endswith(
        "In 1 of 6 pairs both runs diverged, and these decide nothing. 1 of 6 runs of ResNeXt-29 (32x4d) and 1 of 6 "
        "runs of ResNet-29 (1x64d) diverged, where the other did not, and count as chance (90.00 %)."
    )


def test_what_fails_more_often_is_told_not_to_beat_its_rival() -> None:
    finding = found({R: [0.88, 0.89, 0.88, 0.89, 0.88, 0.89], X: [None, 0.3, 0.31, 0.3, 0.31, 0.3]}, seeds=6)
    assert "but what fails more often cannot beat its rival. 1 of 6 runs of ResNeXt-29" in sentence(finding)
    assert mood(finding) == "open"


def test_a_search_of_which_no_run_came_through_names_no_best_design() -> None:
    names = list(CARDINALITIES)
    made = runs({name: [None, None] for name in names})
    for cost in (None, "params"):
        finding = find(made, names, None, seeds=2, designs=4, measure="val_error", cost=cost)
        assert sentence(finding) == f"No best design: all 8 runs diverged ({WHY}); lower recipe.learning_rate."
        assert (best_of(finding), spark_of(finding), finding.front) == (None, None, None)
        assert finding.search_history is not None
        assert all(best != best or finding.search_history.is_front for best in finding.search_history.best)


def test_the_best_of_a_search_is_one_that_came_through_though_chance_would_be_lower() -> None:
    names = [R, X]
    made = runs({R: [None, None], X: [1.86, 1.87]})  # validation errors are half of these
    finding = find(made, names, None, seeds=2, designs=2, measure="val_error")
    best = lowest(finding.summaries)
    assert best is not None
    assert best.setting == X
    assert "ResNet" not in sentence(finding)


def test_a_best_design_with_failed_runs_says_so() -> None:
    made = runs({R: [None, None], X: [0.2, None]})
    said = sentence(find(made, [R, X], None, seeds=2, designs=2, measure="val_error"))
    assert "ResNeXt-29 (32x4d) has the lowest validation error, 50.00 % (2 seeds, 1 of them as chance)" in said
    assert said.endswith(" 3 of 4 runs diverged and count as chance (90.00 %).")


def test_a_failed_design_is_on_no_front_and_widens_no_other_designs_uncertainty() -> None:
    summaries = settings_of({R: [None, None], X: [0.30, 0.31], M: [0.20, 0.21]})
    costs = {R: 1, X: 2, M: 3}
    summaries = [replace_cost(one, costs[one.setting]) for one in summaries]
    seen = front(summaries, "params", 100, 0.9)
    assert seen is not None
    assert seen.settings == (X, M)
    alone = front(summaries[1:], "params", 100, 0.9)
    assert alone is not None
    partly = [*summaries[1:], replace_cost(settings_of({R: [0.80, None]})[0], 4)]
    spread = front(partly, "params", 100, 0.9)
    assert spread is not None
    assert spread.sure[:2] == pytest.approx(alone.sure, abs=0.01)


def replace_cost(summary: SettingSummary, params: int) -> SettingSummary:
    from dataclasses import replace

    return replace(summary, params=params)


def test_a_random_design_that_failed_was_drawn_all_the_same_and_is_as_good_as_nothing() -> None:
    names = ["29-1x64d", "29-2x40d", "29-4x24d", "29-8x14d"]
    made = runs({names[0]: [0.4], names[1]: [None], names[2]: [None], names[3]: [0.9]})
    seen = search_history(made, names[1:], 1, None)
    assert seen is not None
    assert seen.drawn is not None
    assert (seen.drawn.count, seen.drawn.failed, seen.drawn.as_good) == (1, 2, 0)
    assert len(seen.drawn.epochs) == 3
    said = search_history_sentence(find(made, names, None, 1, designs=4, measure="val_error", random=names[1:]))
    assert said.endswith("Of the random ones 2 came to no end and count as chance.")


def test_seeds_with_a_failed_run_have_no_slope() -> None:
    errors: dict[str, Sequence[float | None]] = {
        name: [0.3 - 0.01 * place - 0.001 * seed * place for seed in range(5)]
        for place, name in enumerate(CARDINALITIES)
    }
    rows = runs(errors).assign(cardinality=lambda made: made["setting"].map(CARDINALITIES))

    def told(rows: pd.DataFrame) -> str:
        return trend_sentence(find(rows, list(errors), ("29-2x40d", R), seeds=5))

    whole = trend(summarise(rows, list(errors)))
    rows.loc[(rows["setting"] == "29-8x14d") & rows["seed"].isin([3, 4]), ["status", "test_error"]] = ["diverged", None]
    some = trend(summarise(rows, list(errors)))
    assert whole is not None
    assert some is not None
    assert (whole.left_out, some.left_out, some.slope.n) == (0, 2, 3)
    assert some.slope.mean == pytest.approx(-0.011)
    assert "(3 seeds, 95 % interva" in told(rows)
    assert "In 2 seeds a run of these diverged or ran out of memory, which has no slope." in told(rows)
    rows.loc[rows["setting"] == "29-8x14d", ["status", "test_error"]] = ["diverged", None]
    none = trend(summarise(rows, list(errors)))
    assert none is not None
    assert told(rows).startswith("Over cardinality 1, 2, 4, 8 no trend is reported. In 5 seeds a run of these")


def test_networks_that_all_guess_show_no_trend_and_neither_does_a_study_that_is_lost_or_unfinished() -> None:
    def told(height: float, *, seeds: int = 5, failed: Sequence[str] = ()) -> str:
        errors: Errors = {
            name: [None if name in failed else height - 0.003 * place + 0.0001 * seed for seed in range(5)]
            for place, name in enumerate(CARDINALITIES)
        }
        rows = runs(errors).assign(cardinality=lambda made: made["setting"].map(CARDINALITIES))
        return trend_sentence(find(rows, list(errors), ("29-8x14d", R), seeds=seeds))

    assert "each doubling goes with a test error 0.30 points lower" in told(0.3)
    assert told(0.93) == (
        "No network has learned more than guessing (chance error is 90.00 %). Over cardinality 1, 2, 4, 8 no trend is "
        "reported."
    )
    assert told(0.3, seeds=6) == ""
    assert told(0.3, failed=("29-8x14d", R)) == ""


def test_a_learning_rate_at_which_nothing_came_through_is_never_the_best() -> None:
    base = [0.30, 0.31, 0.29, 0.30, 0.32, 0.31]
    parts = [runs({X: [2 * (one - 0.1) for one in base], R: [2 * one for one in base]}, rate=0.5)]
    parts += [runs({X: [None] * 6, R: [None] * 6}, rate=1.0)]
    made = pd.concat(parts, ignore_index=True)
    seen = learning_rate_check(made, (X, R), None, 0.05)
    assert seen is not None
    assert seen.rates == (0.5, 0.5)
    assert (seen.base.verdict, seen.base.lost) == ("inconclusive", 6)
    finding = find(made, [R, X], (X, R), seeds=6)
    said = learning_rate_sentence(finding)
    assert "changes from inconclusive to beats" in said
    assert "while at the recipe's own no pair came through" in said
    assert sentence(finding).startswith("No verdict: all 12 runs diverged (")
    none = pd.concat([runs({X: [None] * 6, R: [None] * 6}, rate=rate) for rate in (0.5, 1.0)], ignore_index=True)
    assert learning_rate_sentence(find(none, [R, X], (X, R), seeds=6)) == (
        "Which learning rate suits best cannot be said: at none that was tried did a run of ResNeXt-29 (32x4d) or of "
        "ResNet-29 (1x64d) come through."
    )


def spaces(one: Sequence[float | None], many: Sequence[float | None], margin: float = 0.02) -> Finding:
    """Two spaces of designs with one seed each."""
    names = [f"29-1x{width}d" for width in range(1, len(one) + 1)], [f"29-4x{width}d" for width in range(1, 41)]
    members = {"one": names[0], "many": names[1][: len(many)]}
    errors = {
        name: [error]
        for space, values in (("one", one), ("many", many))
        for name, error in zip(members[space], values, strict=True)
    }
    return find(runs(errors), list(errors), None, 1, spaces=members, rivals=("many", "one"), margin=margin)


def test_designs_that_failed_make_no_two_spaces_equivalent_and_name_no_best_values() -> None:
    lost: list[float | None] = [None] * 24
    through = [0.30 + 0.001 * place for place in range(8)]
    finding = spaces([*lost, *through], [*lost, *through])
    assert finding.populations is not None
    rivals = finding.populations.rivals[0]
    assert (rivals.verdict, rivals.failed, rivals.designs) == ("inconclusive", (24, 24), (32, 32))
    assert sentence(finding).endswith(
        "Of 24 of 32 designs of many and of 24 of 32 designs of one a run diverged, which counts as chance (90.00 %)."
    )
    assert {one.n for one in finding.populations.best["one"]} == {8}
    for lost_one, verdict in (([0.6], "equivalent"), ([None], "inconclusive")):  # chance is not further off than 0.6
        close = spaces([*lost_one, *through], [*lost_one, *through], margin=0.5).populations
        assert close is not None
        assert close.rivals[0].verdict == verdict
    few = spaces([*lost, *through[1:]], [*lost, *through[1:]])  # of which a quarter has nothing to choose from
    assert few.populations is not None
    assert few.populations.best == {"one": [], "many": []}
    nothing = spaces([None] * 6, [None] * 6)
    assert nothing.populations is not None
    assert sentence(nothing) == f"No verdict: all 12 runs diverged ({WHY}); lower recipe.learning_rate."
    assert nothing.populations.best == {"one": [], "many": []}
    assert all(math.isnan(one.best) for one in nothing.populations.distributions.values())
    lost_rivals = nothing.populations.rivals[0]
    assert math.isnan(lost_rivals.difference.mean)  # not a difference of exactly zero
    assert math.isnan(lost_rivals.distance)
    assert (lost_rivals.adjusted, lost_rivals.by_depth) == ((), None)
    assert best_of(nothing) is None
    half = spaces([None] * 6, [0.2, 0.21, 0.22, 0.2, 0.21, 0.22])
    assert "mean test error 21.00 % against 90.00 %" in sentence(half)
    assert sentence(half).endswith("Of 6 of 6 designs of one a run diverged, which counts as chance (90.00 %).")


def test_a_space_whose_designs_fail_more_often_is_not_called_better() -> None:
    good: list[float | None] = [0.20 + 0.001 * place for place in range(20)]
    poor: list[float | None] = [0.70 + 0.001 * place for place in range(20)]
    clean, failing = spaces(poor, good), spaces(poor, [None, *good[1:]])
    assert clean.populations is not None
    assert clean.populations.rivals[0].verdict == "beats"
    assert failing.populations is not None
    assert failing.populations.rivals[0].held_back
    assert sentence(failing).startswith("Inconclusive, since what fails more often cannot beat its rival: mean test")
    assert mood(failing) == "open"


def test_ways_of_training_that_all_diverged_are_not_called_equivalent() -> None:
    (fast,) = settings_of({X: [None] * 6})
    assert equivalence(fast, fast, 0.01).verdict == "inconclusive"
    plain, late = settings_of({X: [0.2, 0.3] * 3, R: [0.2, 0.3, 0.2, 0.3, 0.2, None]})
    assert equivalence(plain, plain, 0.01).verdict == "equivalent"
    assert equivalence(late, plain, 0.9).verdict == "inconclusive"


def test_a_setting_that_failed_has_no_rank() -> None:
    errors: dict[str, Sequence[float | None]] = {
        name: [0.1 * place] for place, name in enumerate(CARDINALITIES, start=1)
    }
    whole = settings_of(errors)
    late = settings_of({**errors, "29-1x64d": [None]})
    seen = agreement(whole, late)
    assert seen is not None
    assert (seen.settings, seen.left_out, seen.tau) == (3, 1, pytest.approx(1.0))


# Networks that guess


@pytest.mark.parametrize(
    ("errors", "images", "answer"),
    [
        ([0.90, 0.91, 0.89, 0.90, 0.90], 1000, "no"),
        ([0.92, 0.93, 0.92, 0.93, 0.92], 1000, "no"),  # worse than guessing
        ([0.85, 0.86, 0.84, 0.85, 0.85], 1000, "yes"),
        ([0.20, 0.20, 0.90, 0.90, 0.90], 1000, "in part"),
        ([0.20, 0.20, 0.90, 0.90, 0.90], None, "no"),  # nobody knows how far below chance guessing may fall
        ([0.30, 0.40], 1000, "yes"),  # an interval of two seeds holds anything
        ([0.89], 100, "no"),
        ([0.89], 100_000, "yes"),
        ([0.899] * 6, 1000, "no"),  # the same answer for every image
        ([], 1000, "no"),
    ],
)
def test_a_network_has_learned_where_its_error_lies_below_that_of_guessing(
    errors: list[float], images: int | None, answer: str
) -> None:
    assert learned(errors, 0.9, images) == answer


def test_guessing_falls_below_chance_by_two_standard_errors_of_counting() -> None:
    assert guessing(0.9, 100) == pytest.approx(0.9 - 1.959964 * 0.03)
    assert guessing(0.9, None) == 0.9
    rng = np.random.default_rng(0)
    drawn = rng.binomial(1000, 0.9, 20_000) / 1000
    assert np.mean(drawn < guessing(0.9, 1000)) == pytest.approx(0.025, abs=0.006)


GUESS = [0.90, 0.91, 0.89, 0.90, 0.91, 0.90]
CLEAR = [0.30, 0.31, 0.29, 0.30, 0.32, 0.31]


def test_a_contrast_of_two_networks_that_guess_says_so_first_and_has_no_verdict() -> None:
    better = [one - 0.004 for one in GUESS]
    for margin in (None, 0.05):
        finding = found({R: list(GUESS), X: list(better)}, seeds=6, margin=margin, test_images=1000)
        assert finding.comparison is not None
        assert finding.comparison.verdict == "inconclusive"
        assert not finding.comparison.held_back
        assert mood(finding) == "open"
        assert sentence(finding).startswith(
            "Neither network has learned more than guessing (chance error is 90.00 %). No verdict: the test error is "
            "0.40 points lower for ResNeXt-29 (32x4d) than for ResNet-29 (1x64d) ("
        )
    others = find(
        runs({R: list(GUESS), X: list(CLEAR), M: list(better)}), [R, X, M], (X, R), seeds=6, test_images=1000
    ).others
    assert [one.verdict for one in others] == ["inconclusive"]


def test_one_network_that_guesses_is_told_before_the_verdict_it_loses() -> None:
    finding = found({R: list(GUESS), X: list(CLEAR)}, seeds=6, test_images=1000)
    assert sentence(finding).startswith(
        "ResNet-29 (1x64d) has not learned more than guessing (chance error is 90.00 %). ResNeXt-29 (32x4d) beats "
    )
    assert mood(finding) == "yes"


def test_seeds_that_differ_widely_are_told_not_to_have_learned_all() -> None:
    finding = found({R: [0.2, 0.2, 0.9, 0.9, 0.9, 0.9], X: list(CLEAR)}, seeds=6, test_images=1000)
    assert sentence(finding).startswith(
        "ResNet-29 (1x64d): the 95 % interval of the error holds that of chance (90.00 %), so not every run may have "
        "learned more than guessing. "
    )


def test_a_network_whose_every_run_diverged_is_not_said_to_guess() -> None:
    finding = found({R: [None] * 6, X: list(CLEAR)}, seeds=6, test_images=1000)
    said = sentence(finding)
    assert said.startswith("ResNeXt-29 (32x4d) beats ResNet-29 (1x64d): ")
    assert said.endswith("6 of 6 runs of ResNet-29 (1x64d) diverged and count as chance (90.00 %).")


def test_a_search_or_a_list_in_which_nothing_was_learned_says_so_first_and_names_no_best() -> None:
    made = runs({R: [1.79], X: [1.77]})  # validation errors are half of these
    searched = find(made, [R, X], None, seeds=1, designs=2, measure="val_error", val_images=250)
    assert sentence(searched) == (
        "No design has learned more than guessing (chance error is 90.00 %). No best design: of 2 designs tried the "
        "lowest validation error is 88.50 % (1 seed)."
    )
    again = runs({R: [1.79], X: [1.77], "29-2x40d": [1.78], "29-4x24d": [1.8]})
    names = [R, X, "29-2x40d", "29-4x24d"]
    drawn = find(again, names, None, seeds=1, designs=4, measure="val_error", val_images=250, random=names[2:])
    assert drawn.search_history is not None
    assert drawn.search_history.drawn is not None
    assert search_history_sentence(drawn) == ""
    best = best_of(searched)
    assert best is not None
    assert best.caution == "No more than guessing, whose error is 90.00 %."
    costed = find(made, [R, X], None, seeds=1, designs=2, measure="val_error", val_images=250, cost="params")
    assert sentence(costed).startswith("No design has learned more than guessing (chance error is 90.00 %). No front")
    listed = find(runs({R: [0.9], X: [0.89]}), [R, X], None, seeds=1, test_images=250)
    assert sentence(listed).startswith(
        "No network has learned more than guessing (chance error is 90.00 %). No verdict"
    )


def test_spaces_in_which_nothing_was_learned_have_no_verdict() -> None:
    seen = spaces(
        [0.90 + 0.002 * (place % 3) for place in range(20)], [0.899 + 0.001 * (place % 4) for place in range(20)]
    )
    assert sentence(seen).startswith(
        "The designs of neither space have learned more than guessing (chance error is 90.00 %). No verdict on many "
        "and one: "
    )
    assert mood(seen) == "open"
    half = spaces([0.90 + 0.001 * (place % 3) for place in range(20)], [0.2] * 20)
    assert sentence(half).startswith(
        "The mean design of one has not learned more than guessing (chance error is 90.00 %). "
    )


def test_populations_without_a_margin_or_failures_are_judged_as_before() -> None:
    members = {"one": settings_of({R: [0.2]}), "many": settings_of({X: [0.3]})}
    seen = populations(members)
    assert seen is not None
    assert (seen.rivals[0].failed, seen.rivals[0].learned) == ((0, 0), ("yes", "yes"))
