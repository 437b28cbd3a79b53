import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.equivalence import equivalence
from explorer.analysis.finding import find
from explorer.analysis.intervals import estimate
from explorer.analysis.paired import compare
from explorer.analysis.sentences import sentence
from explorer.analysis.summary import SettingSummary, summarise
from explorer.host import formatting as wording

R, X = "29-1x64d", "29-32x4d"


def frame(errors: dict[str, list[float]], **changes: Any) -> pd.DataFrame:
    """A record with one run per setting and seed; changes are columns for all rows."""
    rows = [
        {
            "run": f"{setting}/{seed}",
            "status": "ok",
            "setting": setting,
            "device": "a processor",
            "depth": 29,
            "width": 256,
            "kernel_size": 3,
            "cardinality": 1 if setting == R else 32,
            "bottleneck_width": 64,
            "params": 10,
            "macs": 20,
            "activations": 30,
            "params_deviation": 0.0,
            "macs_deviation": 0.01,
            "activations_deviation": 0.3,
            "seed": seed,
            "test_error": error,
            "val_error": error / 2,
            "classes": 10,
            "seconds": 1.0,
            "rate": 1.0,
            "epochs": 7,
            **changes,
        }
        for setting, values in errors.items()
        for seed, error in enumerate(values)
    ]
    return pd.DataFrame(rows)


def summary(name: str, errors: list[float]) -> SettingSummary:
    return summarise(frame({name: errors}), [name])[0]


def test_an_estimate_is_the_students_interval() -> None:
    values = [0.05, 0.07, 0.04, 0.06]
    found = estimate(values)
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (found.n, found.mean, found.low, found.high) == (
        4,
        pytest.approx(0.055),
        pytest.approx(low),
        pytest.approx(high),
    )


def test_too_few_values_have_no_interval() -> None:
    assert (estimate([0.1]).n, estimate([0.1]).mean) == (1, 0.1)
    assert math.isnan(estimate([0.1]).low)
    assert math.isnan(estimate([]).mean)


def test_settings_keep_the_studys_order_and_missing_ones_are_left_out() -> None:
    found = summarise(frame({X: [0.1], R: [0.2]}), [R, "29-2x40d", X])
    assert [entry.setting for entry in found] == [R, X]


def test_a_diverged_run_counts_as_chance_and_a_failed_one_does_not_count() -> None:
    runs = frame({R: [0.1, 0.2, 0.3]})
    runs.loc[1, "status"] = "diverged"
    runs.loc[2, "status"] = "failed"
    runs.loc[[1, 2], "test_error"] = math.nan
    (found,) = summarise(runs, [R])
    assert found.errors == {0: 0.1, 1: 0.9}
    assert found.failed == {1: "diverged"}
    assert found.measured == {0: 0.1}
    assert not found.estimate.has_interval  # the 90 % of a run that diverged are no measurement


def test_the_verdict_is_the_paired_t_test() -> None:
    first, second = [0.050, 0.052, 0.049, 0.051, 0.050], [0.060, 0.061, 0.060, 0.060, 0.061]
    found = compare(summary(X, first), summary(R, second))
    assert found.p == pytest.approx(stats.ttest_rel(first, second).pvalue)
    assert (found.verdict, found.difference.n) == ("beats", 5)
    assert found.difference.mean == pytest.approx(-0.0100)
    assert compare(summary(R, second), summary(X, first)).verdict == "loses to"


def test_pairing_sees_through_a_spread_that_both_share() -> None:
    shared = [0.02, 0.10, 0.30, 0.22, 0.15, 0.06]
    better = [error - 0.004 - 0.0002 * (seed % 2) for seed, error in enumerate(shared)]
    assert stats.ttest_ind(better, shared).pvalue > 0.9
    assert compare(summary(X, better), summary(R, shared)).verdict == "beats"


def test_fewer_than_five_pairs_never_decide() -> None:
    found = compare(summary(X, [0.01, 0.011, 0.012, 0.011]), summary(R, [0.5, 0.51, 0.5, 0.52]))
    assert found.p < 0.001
    assert found.verdict == "inconclusive"


@pytest.mark.parametrize(
    ("shift", "n", "p", "verdict"),
    [(0.0, 6, 1.0, "inconclusive"), (0.125, 5, 2 / 2**5, "inconclusive"), (0.125, 6, 2 / 2**6, "loses to")],
)
def test_differences_without_spread_have_no_interval_and_are_judged_by_their_signs(
    shift: float, n: int, p: float, verdict: str
) -> None:
    base = [0.25, 0.5, 0.125, 0.25, 0.375, 0.25][:n]
    found = compare(summary(X, [error + shift for error in base]), summary(R, base))
    assert (found.p, found.verdict) == (p, verdict)
    assert not found.difference.has_interval
    assert not found.narrow.has_interval


def test_a_verdict_without_spread_says_that_there_is_no_interval() -> None:
    runs = frame({R: [0.25] * 6, X: [0.125] * 6})
    finding = find(runs, [R, X], (X, R), seeds=6)
    assert sentence(finding) == (
        "ResNeXt-29 (32x4d) beats ResNet-29 (1x64d): its test error is 12.50 points lower "
        "(no interval, since no two of the values differ, n = 6 paired seeds, p = 0.031)."
    )


def test_an_interval_of_an_error_ends_where_errors_do() -> None:
    apart = summary(R, [0.2, 0.8])
    assert (apart.estimate.low, apart.estimate.high) == (0.0, 1.0)
    low = summary(R, [0.01, 0.0, 0.002])
    assert low.estimate.low == 0.0
    assert low.estimate.high == pytest.approx(estimate([0.01, 0.0, 0.002]).high)
    assert estimate([0.01, 0.0, 0.002]).low < 0  # of differences it may end below zero
    opposite = compare(summary(X, [0.0, 0.9]), summary(R, [0.9, 0.0]))
    assert (opposite.difference.low, opposite.difference.high) == (-1.0, 1.0)


@pytest.mark.parametrize("errors", [[0.9], [0.9, 0.9], [0.1] * 6, [0.3 - 0.2, 0.1]])
def test_errors_that_do_not_differ_have_no_interval(errors: list[float]) -> None:
    found = summary(R, errors).estimate
    assert (found.n, found.mean, found.has_interval) == (len(errors), pytest.approx(errors[0]), False)
    assert wording.interval(found.low, found.high) == "needs 2 values that differ"


def test_seeds_that_only_one_setting_has_are_counted_but_not_used() -> None:
    found = compare(summary(X, [0.1] * 7), summary(R, [0.2, 0.3, 0.2, 0.3, 0.2]))
    assert (found.difference.n, found.unpaired) == (5, 2)


def test_a_sentence_gives_direction_size_interval_n_and_p() -> None:
    runs = frame({R: [0.060, 0.061, 0.060, 0.060, 0.061], X: [0.050, 0.052, 0.049, 0.051, 0.050]})
    finding = find(runs, [R, X], (X, R), seeds=5)
    assert finding.complete
    assert sentence(finding) == (
        "ResNeXt-29 (32x4d) beats ResNet-29 (1x64d): its test error is 1.00 points lower "
        "(95 % interval 0.88 to 1.12, n = 5 paired seeds, p < 0.0001)."
    )


def test_an_unclear_difference_is_called_inconclusive() -> None:
    finding = find(
        frame({R: [0.05, 0.06, 0.05, 0.06, 0.05], X: [0.06, 0.05, 0.06, 0.05, 0.05]}), [R, X], (X, R), seeds=5
    )
    assert sentence(finding).startswith(
        "Inconclusive: ResNeXt-29 (32x4d) does not differ clearly from ResNet-29 (1x64d)"
    )


def test_a_study_that_is_not_complete_gives_no_verdict() -> None:
    runs = frame({R: [0.060, 0.061, 0.060, 0.060, 0.061], X: [0.050, 0.052, 0.049, 0.051, 0.050]})
    text = sentence(find(runs, [R, X], (X, R), seeds=6))
    assert text.startswith(
        "Preliminary, 10 of 12 runs are in: so far the test error is 1.00 points lower for ResNeXt-29"
    )
    assert text.endswith("no verdict yet.")


def test_too_few_pairs_are_said() -> None:
    few = "1 pair of seeds is too few for a verdict; so far the test error is"
    than = "for ResNeXt-29 (32x4d) than for ResNet-29 (1x64d)."
    for seeds, start in ((1, "Inconclusive"), (5, "Preliminary, 2 of 10 runs are in")):
        for error, size in ((0.05, "1.00 points lower"), (0.06, "no lower or higher"), (0.07, "1.00 points higher")):
            finding = find(frame({R: [0.06], X: [error]}), [R, X], (X, R), seeds=seeds)
            assert sentence(finding) == f"{start}: {few} {size} {than}"


def test_without_a_pair_there_is_no_verdict() -> None:
    empty = frame({R: [0.1]}).iloc[:0]
    for runs in (empty, frame({R: [0.1]})):
        assert "No verdict yet" in sentence(find(runs, [R, X], (X, R), seeds=5))


def test_seeds_and_settings_outside_the_study_are_not_judged() -> None:
    finding = find(frame({R: [0.1, 0.2], X: [0.1, 0.2], "29-2x40d": [0.1]}), [R, X], (X, R), seeds=1)
    assert (finding.final, finding.wanted) == (2, 2)
    assert finding.summaries[0].errors == {0: 0.1}


def test_a_search_is_told_by_validation_error_and_calls_its_winner_flattered() -> None:
    runs = frame({R: [0.2, 0.4], X: [0.1, 0.2]})
    finding = find(runs, [R, X], None, seeds=2, designs=3, measure="val_error")
    assert (finding.wanted, finding.final, finding.complete) == (6, 4, False)
    assert [summary.estimate.mean for summary in finding.summaries] == pytest.approx([0.15, 0.075])
    text = sentence(finding)
    assert text.startswith("So far, with 4 of 6 runs in: Of 2 designs tried, ResNeXt-29 (32x4d) has the lowest")
    assert "validation error, 7.50 % (2 seeds). The lowest of many is flattered by chance" in text
    whole = find(runs, [R, X], None, seeds=2, designs=2, measure="val_error")
    assert sentence(whole).startswith("Of 2 designs tried")
    empty = find(runs.iloc[:0], [], None, seeds=2, designs=2, measure="val_error")
    assert sentence(empty) == "No design has been trained to its end yet."


def test_equivalence_needs_its_whole_interval_within_the_margin() -> None:
    def verdict(differences: list[float], margin: float = 0.003) -> str:
        fast = [0.3 + value for value in differences]
        return equivalence(summary(X, fast), summary(X, [0.3] * 20), margin).verdict

    assert verdict([0.001, -0.001] * 5) == "equivalent"
    assert verdict([0.01, -0.01] * 5) == "inconclusive"
    assert verdict([0.01, 0.011] * 5) == "different"
    assert verdict([-0.01, -0.011] * 5) == "different"
    assert verdict([0.0, 0.0, 0.0, 0.0]) == "inconclusive"  # fewer than five pairs never decide
    found = equivalence(summary(X, [0.31, 0.29, 0.32, 0.30, 0.33, 0.9]), summary(X, [0.3] * 5), 0.02)
    half = 2.131847 * float(np.std([0.01, -0.01, 0.02, 0.0, 0.03], ddof=1)) / 5**0.5
    assert found.difference.n == 5
    assert (found.difference.low, found.difference.high) == pytest.approx((0.01 - half, 0.01 + half))
