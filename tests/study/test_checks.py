"""What the robustness checks of a contrast train: each arm changes one thing, and nothing is trained twice."""

from dataclasses import replace

import pytest

from explorer.design.name import parse_name
from explorer.host.errors import InputError
from explorer.study.checks import APART, RATES, RIVALS, CheckArm, Declared, Side, arms_of, filter_norm, is_asked
from explorer.study.plan import Plan, plan_of
from explorer.study.run import Convolution, Execution
from explorer.study.runs import runs_of
from explorer.verbs.command_line import read_command

PLAIN = Execution("cpu", "any", "grouped", "channels_last", "float32", 1, 32)
SHORT = replace(PLAIN, precision="bfloat16")
ONE_PATH, PATHS = "29-1x16d-w64", "29-16x2d-w64"


def planned(*words: str, study: str = "init_narrow_cifar10_jpeg_fan_out") -> Plan:
    return plan_of(read_command([f"study={study}", *(["data.path=images"] if "cifar" in study else []), *words]).study)


def arms(
    plan: Plan, execution: Execution | None = SHORT, tuned: dict[str, tuple[float, float]] | None = None
) -> dict[str, CheckArm]:
    found = arms_of(Declared(plan, execution, 20_000, tuned=tuned or {}))
    assert len({arm.name for arm in found}) == len(found)
    return {arm.name: arm for arm in found}


def trained(arm: CheckArm) -> tuple[str, ...]:
    return tuple(name for study in arm.studies for name in study.space.architecture)  # type: ignore[union-attr]


def test_every_check_has_a_main_arm_and_every_study_of_it_can_be_planned() -> None:
    plan = planned()
    found = arms(plan)
    assert {arm.check for arm in found.values() if arm.main} >= set(RIVALS)
    for arm in found.values():
        plans = [plan_of(study) for study in arm.studies]
        assert sum(own.runs for own in plans) == arm.runs
        for study, own in zip(arm.studies, plans, strict=True):
            assert study.recipe.batch_size == plan.config.recipe.batch_size
            assert (study.storage.mirror, study.engine.name) == ("none", plan.config.engine.name)
            assert {setting.name for setting in own.settings} == set(study.space.architecture)  # type: ignore[union-attr]


def test_at_equal_filter_norm_only_the_grouped_setting_is_trained_again() -> None:
    plan = planned()
    arm = arms(plan)["init-groups"]
    (study,) = arm.studies
    assert trained(arm) == (PATHS,)
    assert replace(study.recipe, init="fan_out") == plan.config.recipe
    assert arm.sides == (Side("init-groups", PATHS), Side("", ONE_PATH))
    assert (study.search.seeds, study.search.first_seed) == (plan.seeds, plan.config.search.first_seed)
    both = arms(planned("space.cardinality=[4,16]", "study.contrast.against=4x6d", "budget.params.tolerance=0.2"))
    assert trained(both["init-groups"]) == ("29-16x2d-w64", "29-4x6d-w64")
    already = arms(planned("recipe.init=fan_out_groups"))["init-groups"]
    assert (already.studies, already.sides) == ((), (Side("", PATHS), Side("", ONE_PATH)))


def test_the_small_norm_is_reached_by_the_gain_of_the_setting_with_the_larger_one() -> None:
    norms = [filter_norm(parse_name(name), "fan_out", 1.0) for name in (ONE_PATH, PATHS)]
    assert norms == [2.0, 0.125]
    assert filter_norm(parse_name(PATHS), "fan_in", 0.5) == 0.5
    # Unlike paths are no groups of one convolution; in basic blocks not all filters have one norm.
    assert filter_norm(parse_name("14-4x8d-w64-inception-small"), "fan_out", 1.0) == 2.0
    assert filter_norm(parse_name("14-1x16d-w16-basic-small"), "fan_out", 1.0) is None
    arm = arms(planned())["init-small"]
    assert trained(arm) == (ONE_PATH,)
    assert arm.studies[0].recipe.init_gain == pytest.approx(0.25)
    assert "init-small" not in arms(planned("recipe.init=fan_in"))


@pytest.mark.parametrize(("name", "key"), [("rate", "learning_rate"), ("init-best", "init_gain")])
def test_tuning_has_seeds_of_its_own_and_what_it_finds_is_trained_with_the_declared_ones(name: str, key: str) -> None:
    plan = planned()
    untuned = arms(plan)[name]
    assert untuned.sides is None
    assert [one.value for one in untuned.candidates] == list(RATES)
    declared = set(plan.every_seed)
    for study in untuned.studies:
        assert not declared & set(plan_of(study).every_seed)
        assert study.search.first_seed == plan.config.search.first_seed + APART
    tuned = arms(plan, tuned={name: (1.0, 4.0)})[name]
    last = tuned.studies[-1]
    assert tuned.sides == (Side("", PATHS), Side(f"{name}-against", ONE_PATH))
    assert len(tuned.studies) == len(untuned.studies) + 1
    assert getattr(last.recipe, key) == 4 * getattr(plan.config.recipe, key)
    assert set(plan_of(last).every_seed) == declared
    assert "at the edge of what was tried" in tuned.detail
    assert "edge" not in arms(plan, tuned={name: (1.0, 0.5)})[name].detail


def test_tuned_seeds_stay_apart_from_seeds_however_high() -> None:
    high = planned(f"search.first_seed={10**9}")
    (study,) = arms(high)["rate"].studies
    assert not set(high.every_seed) & set(plan_of(study).every_seed)


def test_lengths_are_rounded_to_whole_epochs_and_sixteen_times_is_made_only_if_asked_for() -> None:
    found = arms(planned(study="equal_params"))
    assert found["length-quarter"].studies[0].recipe.epochs == 2
    assert found["length-quarter"].detail == "2 epochs instead of 7, 1.75 rounded"
    assert found["length-four"].detail == "28 epochs instead of 7"
    assert [arm.name for arm in found.values() if arm.check == "length" and arm.main] == ["length-four"]
    assert not is_asked(found["length-sixteen"], ["length"])
    assert all(is_asked(found[f"length-{name}"], ["length_16"]) for name in ("quarter", "four", "sixteen"))


def test_a_length_in_steps_is_changed_in_steps() -> None:
    found = arms(planned("recipe.epochs=null", "recipe.steps=30", study="equal_params"))
    assert found["length-quarter"].detail == "8 steps instead of 30, 7.5 rounded"
    assert found["length-four"].studies[0].recipe.steps == 120


def test_equal_seconds_are_so_many_steps_of_the_setting_beside_the_declared_runs_of_its_rival() -> None:
    plan = planned()
    before = plan.config.recipe.steps_on(20_000)
    (arm,) = (arm for arm in arms_of(Declared(plan, SHORT, 20_000, 0.8)) if arm.check == "time")
    (study,) = arm.studies
    assert (study.recipe.epochs, study.recipe.steps) == (None, round(0.8 * before))
    assert arm.sides == (Side("time", PATHS), Side("", ONE_PATH))
    (same,) = (arm for arm in arms_of(Declared(plan, SHORT, 20_000, 1.0)) if arm.check == "time")
    assert same.studies == ()
    (unknown,) = (arm for arm in arms_of(Declared(plan)) if arm.check == "time")
    assert (trained(unknown), unknown.sides) == ((PATHS,), None)


def test_costs_are_equalled_by_whichever_comes_nearer_and_the_steel_man_is_dearer_in_both() -> None:
    plan = planned()
    found = arms(plan)
    assert plan.contrast is not None
    setting, rival = plan.contrast
    (wider,) = plan_of(found["cost-wider"].studies[0]).settings
    assert wider.name == "29-1x18d-w64"
    assert wider.cost.params > setting.cost.params
    assert wider.cost.macs > setting.cost.macs
    narrower = rival.scope.setting(parse_name("29-1x17d-w64"))
    assert narrower.cost.macs < setting.cost.macs
    # 16 paths can only be 1 or 2 wide: the one path comes nearer.
    assert trained(found["cost-macs"]) == ("29-1x17d-w64",)
    assert trained(found["cost-activations"]) == ("29-16x1d-w64",)
    assert {arm.name for arm in found.values() if arm.check == "cost" and arm.main} == {"cost-wider", "cost-macs"}
    # Where the wider rival is also the nearest in multiply-adds, it is trained once.
    assert "cost-macs" not in arms(planned(study="equal_params"))


def test_the_middle_width_is_held_by_either_side_and_equal_arms_share_a_study() -> None:
    found = arms(planned())
    assert trained(found["width-setting"]) == ("29-1x32d-w64",)
    assert found["width-against"].studies == found["cost-activations"].studies
    assert found["width-against"].sides == (Side("cost-activations", "29-16x1d-w64"), Side("", ONE_PATH))
    odd = arms(planned(study="cardinality_or_width"))["width-against"]
    assert odd.why_not == "8 paths cannot share a middle width of 219 equally"
    assert odd.sides is None


def test_float32_is_trained_unless_the_declared_runs_were_and_other_checks_keep_their_precision() -> None:
    plan = planned()
    found = arms(plan)
    (study,) = found["precision"].studies
    assert (study.engine.precision, study.engine.forms) == ("float32", "native")
    assert {study.engine.precision for arm in found.values() for study in arm.studies if arm.check == "init"} == {
        "bfloat16"
    }
    assert arms(plan, PLAIN)["precision"].studies == ()
    # A kernel of our own for the paths alone: the one path was executed as torch does.
    layer = "32>32_k3_s1_g16_32px"
    kernel = replace(PLAIN, convolutions=(Convolution(layer, 16, "kernel"),))
    assert trained(arms(plan, kernel)["precision"]) == (PATHS,)
    fused = replace(PLAIN, norms="fused")
    assert trained(arms(plan, fused)["precision"]) == (PATHS, ONE_PATH)


def test_another_split_for_each_seed_is_all_that_the_check_of_the_split_changes() -> None:
    plan = planned()
    (study,) = arms(plan)["split"].studies
    assert study.data == replace(plan.config.data, split_seed="each")
    assert study.recipe == plan.config.recipe
    assert arms(planned("data.split_seed=each"))["split"].studies == ()


def test_checks_decide_nothing_about_the_runs_of_the_study() -> None:
    plain, asked = planned(), planned("study.robustness=[init,rate]")
    ids = [[run.id for _, run in runs_of(plan, plan.settings, PLAIN, "0")] for plan in (plain, asked)]
    assert ids[0] == ids[1]


def test_what_cannot_be_checked_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"study.robustness.0=\"rates\": must be 'init', 'rate', .* or 'length_16'"):
        planned("study.robustness=[rates]")
    with pytest.raises(InputError, match=r"study.robustness=\['init'\]: checks repeat the contrast of two settings"):
        planned("study.robustness=[init]", study="pareto")


def test_a_network_of_unlike_paths_starts_with_the_same_bits_when_divided_by_groups() -> None:
    words = ["neighbours", "recipe=digits", "study.contrast.setting=26-4x24d-inception-small"]
    plan = plan_of(read_command(words).study)
    arm = arms(plan)["init-groups"]
    assert plan.contrast is not None
    assert "inception" in plan.contrast[0].name
    assert not any("inception" in name for name in trained(arm))
