"""Made worlds in which it is known what causes a gap: the guilty explanation is convicted, the innocent are not."""

import math

import numpy as np
import pytest

from explorer.analysis.intervals import estimate
from explorer.analysis.paired import pairs_needed
from explorer.analysis.robustness import Arm, declared_side, judge
from tests.conftest import broadly

CHECKS = ("init", "rate", "cost", "width")


def world(
    rng: np.random.Generator, cause: str, seeds: int = 8, gap: float = -0.02
) -> tuple[dict[int, float], list[Arm]]:
    """A declared contrast and its checks, where taking `cause` away takes the gap away; "shape" stays in all checks.

    The gap of a pair varies by 0.5 points between seeds, of which a part is common to the declared runs and a check's.
    """

    def gaps(size: float, common: np.ndarray) -> dict[int, float]:
        return dict(enumerate((size + common + rng.normal(0, 0.004, seeds)).tolist()))

    common = rng.normal(0, 0.003, seeds)
    declared = gaps(0.0 if cause == "nothing" else gap, common)
    arms = [Arm(check, check, gaps(0.0 if cause in (check, "nothing") else gap, common)) for check in CHECKS]
    return declared, arms


@pytest.mark.parametrize("draws", broadly([100, 500]))
@pytest.mark.parametrize("cause", ["init", "width", "shape", "nothing"])
def test_the_guilty_explanation_is_convicted_and_no_innocent_one(cause: str, draws: int) -> None:
    rng = np.random.default_rng(0)
    words: dict[str, list[str]] = {check: [] for check in CHECKS}
    for _ in range(draws):
        for one in judge(*world(rng, cause)):
            words[one.name].append(one.word)
    for check in CHECKS:
        convicted = words[check].count("explains") / draws
        assert convicted >= 0.9 if check == cause else convicted <= 0.05
    held = np.mean([[word == "holds" for word in own] for check, own in words.items() if check != cause])
    assert held <= 0.05 if cause == "nothing" else held >= 0.95


def test_a_gap_that_stays_holds_and_one_that_goes_is_explained_with_gap_change_and_corrected_p() -> None:
    declared, arms = world(np.random.default_rng(1), "init")
    found = {check.name: check for check in judge(declared, arms)}
    (init,), (rate,) = found["init"].arms, found["rate"].arms
    assert (found["init"].word, found["rate"].word) == ("explains", "holds")
    assert init.gap == estimate([*arms[0].gaps.values()], within=(-1, 1))
    changes = [arms[0].gaps[seed] - declared[seed] for seed in declared]
    assert init.change == estimate(changes)
    alone = judge(declared, arms[:1])[0].arms[0].p
    assert init.p == pytest.approx(4 * alone)
    assert (init.needed, rate.needed) == (None, None)


def test_too_few_pairs_or_too_much_noise_cannot_tell_and_say_how_many_would() -> None:
    declared = {seed: -0.02 + 0.001 * seed for seed in range(6)}
    few = Arm("rate", "rate", dict.fromkeys(range(4), 0.0))
    noisy = Arm("init", "init", {seed: 0.03 * (-1) ** seed for seed in range(6)})
    found = judge(declared, [few, noisy])
    assert [check.word for check in found] == ["cannot tell", "cannot tell"]
    needed = found[1].arms[0].needed
    changes = np.array([noisy.gaps[seed] - declared[seed] for seed in declared])
    gap = abs(float(np.mean([*declared.values()])))
    assert needed == pairs_needed(changes, gap, 0.05 / 2)  # the level that is left to one of two checks
    assert judge(declared, [noisy])[0].arms[0].needed == pairs_needed(changes, gap, 0.05)


def test_where_the_declared_gap_is_not_clear_nothing_holds_and_nothing_is_explained() -> None:
    declared = {seed: 0.01 + 0.03 * (-1) ** seed for seed in range(6)}
    apart = Arm("init", "init", {seed: 0.05 + 0.001 * seed for seed in range(6)})
    other = Arm("rate", "rate", {seed: -0.05 + 0.001 * seed for seed in range(6)})
    for check in judge(declared, [apart, other]):
        assert (check.word, check.arms[0].needed) == ("cannot tell", None)


def test_where_the_contrast_was_looked_at_several_times_its_own_level_says_whether_its_gap_is_clear() -> None:
    rng = np.random.default_rng(3)
    declared = dict(enumerate((-0.02 + rng.normal(0, 0.038, 20)).tolist()))
    assert declared_side(declared) == -1
    assert declared_side(declared, 0.05 / 3) == 0
    gone = [Arm("init", "init", {seed: 0.03 + gap / 2 for seed, gap in declared.items()})]
    assert [one.word for one in judge(declared, gone)] == ["explains"]
    assert [one.word for one in judge(declared, gone, declared_alpha=0.05 / 3)] == ["cannot tell"]


def test_the_arms_of_a_check_count_as_one_and_it_holds_only_if_all_of_them_do() -> None:
    declared, (guilty, innocent, *_) = world(np.random.default_rng(2), "init")
    both = [Arm("cost", "equal macs", innocent.gaps), Arm("cost", "one step wider", guilty.gaps)]
    (check,) = judge(declared, both)
    assert check.word == "explains"
    assert [one.word for one in check.arms] == ["holds", "explains"]
    alone = judge(declared, both[1:])[0].arms[0].p
    assert check.arms[1].p == pytest.approx(2 * alone)
    aside = judge(declared, [both[0], Arm("cost", "one step wider", guilty.gaps, main=False)])
    assert aside[0].word == "holds"


def test_an_arm_that_changes_nothing_holds_or_not_and_costs_the_others_no_power() -> None:
    declared, arms = world(np.random.default_rng(4), "init")
    alone = judge(declared, arms)
    beside = judge(declared, [*arms, Arm("precision", "precision", declared)])
    assert [check.arms[0].p for check in beside[:4]] == [check.arms[0].p for check in alone]
    assert beside[4].word == "holds"
    assert math.isnan(beside[4].arms[0].p)
    flat = dict(enumerate([0.01, -0.01, 0.02, -0.02, 0.01, -0.01]))
    assert judge(flat, [Arm("precision", "precision", flat)])[0].word == "cannot tell"


def test_a_gap_that_grows_or_turns_is_not_held_for_an_explanation_of_the_wrong_kind() -> None:
    rng = np.random.default_rng(3)
    declared = dict(enumerate(rng.normal(-0.01, 0.001, 8).tolist()))
    larger = Arm("length", "four times", dict(enumerate(rng.normal(-0.03, 0.001, 8).tolist())))
    turned = Arm("init", "equal norm", dict(enumerate(rng.normal(0.005, 0.001, 8).tolist())))
    assert [check.word for check in judge(declared, [larger, turned])] == ["holds", "explains"]
