import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from explorer.__main__ import main
from explorer.design.space import DesignSpace
from explorer.host.errors import InputError
from explorer.study.contrast import contrast_of
from explorer.study.designs import Setting
from explorer.study.plan import plan_of
from explorer.study.run import Convolution, Execution
from explorer.study.runs import refuse_batch, runs_of
from explorer.study.settings import Contrast, StudyConfig
from explorer.verbs.command_line import read_command
from explorer.verbs.estimate import passes
from explorer.verbs.plan import seeds_in_words

EXECUTION = Execution("cpu", "some processor", "grouped", "channels_last", "float32", 1, 32)


def config(*overrides: str) -> StudyConfig:
    return read_command(["study=equal_params", *overrides]).study


def test_the_shipped_study_holds_the_papers_settings_with_both_deviations() -> None:
    settings = plan_of(config()).settings
    assert [setting.name for setting in settings] == ["29-1x64d", "29-2x40d", "29-4x24d", "29-8x14d", "29-32x4d"]
    assert settings[0].deviation("params") == 0
    assert settings[-1].deviation("params") == pytest.approx(-0.0282, abs=1e-4)
    assert settings[-1].deviation("macs") == pytest.approx(0.0344, abs=1e-4)


def test_a_reference_by_paths_follows_the_space() -> None:
    settings = plan_of(config("space.template=imagenet", "space.depth=50", "data.image_size=64")).settings
    assert settings[-1].name == "50-32x4d"


@pytest.mark.parametrize("name", ["resnext29_2x64d", "ResNeXt-29 (2x64d)", "29-2x64d"])
def test_the_reference_may_be_named_as_papers_and_pages_do(name: str) -> None:
    reference = config(
        f"budget.reference={name}", "space.cardinality=[2]", "space.bottleneck_width=64", "study.contrast=null"
    )
    assert plan_of(reference).settings[0].deviation("params") == 0


def test_a_reference_by_whole_name_stands_as_it_is() -> None:
    settings = plan_of(config("budget.reference=29-2x64d", "space.cardinality=[2]", "study.contrast=null")).settings
    assert settings[0].name == "29-2x64d"


def test_a_target_leaves_the_other_axis_without_deviation() -> None:
    setting = plan_of(config("budget.reference=null", "budget.params.target=4900000")).settings[0]
    assert setting.deviation("params") == pytest.approx(0.0027, abs=1e-4)
    assert setting.deviation("macs") is None


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (
            ["space.template=imagenet", "space.depth=50"],
            "data.image_size=8: template imagenet takes images of 32 pixels",
        ),
        (["recipe.batch_size=401"], "recipe.batch_size=401: allowed is at most data.train_images, 400"),
        (["recipe.steps=50"], "recipe.steps=50: recipe.epochs=7 says the length too; say recipe.epochs=null"),
        (["recipe.epochs=null"], "recipe.epochs is null: say how long to train, as in recipe.epochs=10 or recipe.st"),
        (
            ["recipe.epochs=null", "recipe.steps=50", "search=tpe", "search.designs=3", "search.pruner=halving"],
            "search.pruner=halving: judges designs after whole epochs, and recipe.steps=50 gives the length; say recip",
        ),
        (["budget.reference=null"], "budget.params.target is missing: give a number, or a budget.reference"),
        (["budget=none"], "budget: params, macs, activations are all null, so bottleneck_width cannot be solved"),
        (["budget=none", "space.bottleneck_width=4", "budget.match=tight"], "budget.match=tight: there is no limit"),
        (
            ["budget=params_and_macs", "budget.macs.tolerance=0.01"],
            "space: no bottleneck widths within 15 % of the doubling rule meet",
        ),
        (["search=uniform", "search.designs=null"], "search.designs is null: sampler uniform needs the number"),
        (
            ["search=uniform", "search.designs=9"],
            "search.designs=9: the space holds 5 feasible designs; say search.designs=5, or a wider budget, as in bu",
        ),
        (["search=tpe", "search.designs=9"], "search.designs=9: the space holds 5 feasible designs; say "),
        (
            ["search=tpe", "search.designs=3", "budget=1_000"],
            "search.designs=3: no design of the space would have 900 to 1,000 params; the nearest has ",
        ),
        (["search=tpe", "budget.match=tight"], "budget.match=tight: sampler tpe matches by rule"),
        (["search.designs=3"], "search.designs=3: sampler listed takes all"),
        (["space=anynetx", "space.template=cifar", "budget=none"], "space: holds 50,096,498,540,544 points; a study"),
        (["space.kernel_size=5"], "budget.reference=1x64d: kernel_size 5 is too large for maps of 2 pixels"),
        (
            ["space=neighbours"],
            "budget.reference=1x64d: paths alone need a space with axes to complete them; give a whole name, or budg",
        ),
        (
            ["space=neighbours", "budget.reference=29-1x64d"],
            "space: 29-4x24d-inception: kernel_size 5 is too large for maps of 2 pixels",
        ),
        (["budget.reference=foo"], "budget.reference=foo: architecture"),
        (["space.depth=[20,29]"], "budget.reference=1x64d: the space has several values of depth"),
        (
            ["budget.params.tolerance=0.001"],
            "space: no bottleneck width at cardinality 2 meets 4,913,098 params within 0.10 %",
        ),
    ],
)
def test_a_study_that_cannot_be_planned_says_why(overrides: list[str], problem: str) -> None:
    with pytest.raises(InputError) as caught:
        plan_of(config(*overrides))
    assert str(caught.value).startswith(problem)


def test_a_length_in_steps_is_told_in_the_epochs_that_it_begins() -> None:
    long = ("recipe.epochs=null", "recipe.steps=5", "recipe.warmup=0", "recipe.batch_size=32")
    with pytest.raises(
        InputError, match=r"recipe\.warmup_epochs=1: an epoch of 400 images has 12 steps; allowed is less"
    ):
        refuse_batch(config(*long, "recipe.warmup_epochs=1"), 400)
    refuse_batch(config(*long, "recipe.warmup_epochs=0.4"), 400)
    recipe = config("recipe.epochs=null", "recipe.steps=100", "recipe.batch_size=32").recipe
    assert [recipe.epochs_on(images) for images in (32, 63, 64, 3199, 3200, 3232)] == [100, 100, 50, 2, 1, 1]
    assert {recipe.steps_on(images) for images in (32, 3200)} == {100}
    assert passes(recipe, (400, 30, 60)) == 3200 + (9 * 30 + 60) / 3  # 12 steps an epoch, of which the ninth has four
    whole = config("recipe.batch_size=32").recipe
    assert (whole.epochs_on(400), whole.steps_on(400)) == (7, 7 * 12)
    assert passes(whole, (400, 30, 60)) == 7 * 400 + (7 * 30 + 60) / 3


def test_more_epochs_than_a_record_has_room_for_are_refused_before_any_of_them() -> None:
    long = config("recipe.epochs=null", "recipe.steps=1200001", "recipe.batch_size=32")
    refuse_batch(replace(long, recipe=replace(long.recipe, steps=1_200_000)), 400)
    with pytest.raises(
        InputError, match=r"recipe\.steps=1200001: with 400 training images allowed is at most 1,200,000, "
    ):
        refuse_batch(long, 400)


def test_a_range_keeps_the_values_that_meet_the_budget_and_says_how_many_do_not(
    capsys: pytest.CaptureFixture[str], workplace: Path
) -> None:
    wide = config("space.cardinality={low: 1, high: 64}", "study.contrast=null")
    settings, alone = plan_of(wide).settings, list[Setting]()
    assert isinstance(wide.space, DesignSpace)
    for cardinality in range(1, 65):
        with suppress(InputError):
            alone += plan_of(replace(wide, space=replace(wide.space, cardinality=(cardinality,)))).settings
    assert settings == tuple(alone)
    assert plan_of(wide).left_out == (64 - len(settings), 64) == (32, 64)
    assert plan_of(config()).left_out == (0, 5)
    assert main(["study=equal_params", "space.cardinality={low: 1, high: 64}", "do=plan"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "32 meet 4,913,098 params within 5.00 %; 32 do not and are left out. The study takes all of them." in told
    assert "192 of 192 runs to do" in told


def test_designs_of_a_range_come_in_the_order_of_the_axes_and_with_listed_widths_too() -> None:
    known = ["budget.reference=29-1x64d", "study.contrast=null", "budget.params.tolerance=0.3"]
    ranged = plan_of(config(*known, "space.depth={low: 20, high: 29, step: 9}", "space.cardinality=[1,2,4]")).settings
    assert ranged == plan_of(config(*known, "space.depth=[20,29]", "space.cardinality=[1,2,4]")).settings
    widths = config(*known, "space.cardinality=[32]", "space.bottleneck_width={low: 1, high: 9}")
    assert [setting.name for setting in plan_of(widths).settings] == ["29-32x3d", "29-32x4d", "29-32x5d"]


def test_a_value_that_a_person_listed_is_refused_where_no_value_of_a_range_saves_it() -> None:
    known = ["study.contrast=null", "budget.reference=29-1x64d", "space.depth={low: 20, high: 29, step: 9}"]
    with pytest.raises(InputError, match=r"^space: no bottleneck width at cardinality 500 meets 4,913,098 params"):
        plan_of(config(*known, "space.cardinality=[1,500]"))
    with pytest.raises(InputError, match=r"^space: no bottleneck width at cardinality 400 meets"):
        plan_of(config("space.cardinality={low: 400, high: 401}"))


@pytest.mark.parametrize("study", ["double_complexity", "neighbours"])
def test_each_reference_that_a_space_of_named_networks_offers_instead_of_paths_works(study: str) -> None:
    with pytest.raises(InputError, match="1x64d: paths alone need a space with axes") as caught:
        plan_of(read_command([f"study={study}", "budget=macs"]).study)
    offered = str(caught.value).partition("allowed among others: ")[2].split(", ")
    for name in offered:
        followed = read_command([f"study={study}", "budget=macs", f"budget.reference={name}"]).study
        assert contrast_of(followed, plan_of(followed).settings) is not None
    assert any("64d" in name for name in offered)


def test_the_whole_name_that_a_space_of_several_values_offers_as_its_reference_works() -> None:
    for arguments in (["study=pareto", "budget=macs"], ["study=equal_params", "space.depth=[20,29]"]):
        with pytest.raises(InputError, match="give a whole name, such as") as caught:
            plan_of(read_command(arguments).study)
        name = str(caught.value).rpartition("such as ")[2]
        followed = [*arguments, f"budget.reference={name}"]
        try:
            plan_of(read_command(followed).study)
        except InputError as error:
            told = re.fullmatch(r"search.designs=\d+: the space holds (\d+) feasible designs?; say .*", str(error))
            assert told is not None
            plan_of(read_command([*followed, f"search.designs={told[1]}"]).study)


def test_the_contrast_must_name_two_settings_of_the_study() -> None:
    for overrides, problem in (
        (
            ["study.contrast.setting=7x7d"],
            "study.contrast.setting=7x7d: is not a setting of this study; allowed: 29-1x64d",
        ),
        (["study.contrast.setting=1x64d"], "study.contrast: setting and against are both 29-1x64d"),
    ):
        changed = config(*overrides)
        with pytest.raises(InputError) as caught:
            contrast_of(changed, plan_of(changed).settings)
        assert str(caught.value).startswith(problem)


def test_the_whole_name_of_a_setting_is_that_setting_though_another_block_has_its_paths_too() -> None:
    own = ["space=neighbours", "data=cifar10", "budget.reference=29-1x64d", "study.contrast.against=29-1x64d"]
    both = config(*own, "study.contrast.setting=29-32x4d")
    found = contrast_of(both, plan_of(both).settings)
    assert found is not None
    assert [one.name for one in found] == ["29-32x4d", "29-1x64d"]
    with pytest.raises(InputError, match="32x4d: stands for several settings of this study"):
        contrast_of(
            replace(both, study=replace(both.study, contrast=Contrast("32x4d", "29-1x64d"))), plan_of(both).settings
        )


def test_a_search_has_no_contrast_and_no_settings_in_advance() -> None:
    searching = config("search=tpe", "search.designs=4", "study.contrast=null")
    assert plan_of(searching).settings == ()
    with pytest.raises(InputError, match="a search chooses its designs later, so it has none"):
        plan_of(config("search=tpe", "search.designs=4"))
    assert contrast_of(config("study.contrast=null"), ()) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("search.objectives=[macs]", "search.objectives=['macs']: allowed are [error] and error with one cost"),
        ("search.objectives=[error,macs,params]", "allowed are [error] and error with one cost"),
        ("search.sampler=uniform", "sampler uniform chooses by no objective; allowed: random, tpe"),
    ],
)
def test_objectives_that_cannot_be_are_refused(change: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        plan_of(read_command(["study=pareto", change]).study)
    assert message in str(caught.value)


def test_tight_matching_keeps_the_contrast_and_shrinks_both_deviations() -> None:
    tight = config("budget=params_and_macs", "budget.params.tolerance=0.03", "data.image_size=32", "data.channels=3")
    settings = plan_of(tight).settings
    assert [setting.name for setting in settings][3:] == ["29-8x14.24.58d", "29-32x4.7.17d"]
    worst = [max(abs(setting.deviation("params") or 0), abs(setting.deviation("macs") or 0)) for setting in settings]
    assert max(worst[:4]) < 0.005
    assert 0.01 < worst[4] < 0.0128
    pair = contrast_of(tight, settings)
    assert pair is not None
    assert (pair[0].name, pair[1].name) == ("29-32x4.7.17d", "29-1x64d")


def test_designs_drawn_in_advance_are_the_same_at_every_start_and_never_twice() -> None:
    drawing = [
        "study.contrast=null",
        "budget.reference=20-1x16d-w64",
        "space.width=[64,96,128]",
        "space.depth=[11,20,29]",
    ]
    many = config(*drawing, "space.cardinality={low: 1, high: 64}", "search=uniform", "search.designs=40")
    names = [setting.name for setting in plan_of(many).settings]
    scope_seed = config(*drawing, "space.cardinality={low: 1, high: 64}", "search=uniform", "search.designs=40")
    assert names == [setting.name for setting in plan_of(scope_seed).settings]
    assert len(set(names)) == 40
    assert all(abs(setting.deviation("params") or 0) <= 0.05 for setting in plan_of(many).settings)


def test_a_setting_can_be_named_in_any_way_that_means_it() -> None:
    for text in ("8x14d", "29-8x14d", "29-8x14d-w256-k3-cifar"):
        changed = config(f"study.contrast.setting={text}")
        pair = contrast_of(changed, plan_of(changed).settings)
        assert pair is not None
        assert pair[0].name == "29-8x14d"


def test_all_settings_of_a_seed_run_before_the_next_seed() -> None:
    studied = config("search.seeds=2")
    runs = runs_of(plan_of(studied), plan_of(studied).settings, EXECUTION, "hash")
    assert [run.seed for _, run in runs] == [0] * 5 + [1] * 5


def test_a_runs_id_depends_on_everything_that_decides_its_number_and_on_nothing_else() -> None:
    studied = config()
    (_, run), *_ = runs_of(plan_of(studied), plan_of(studied).settings, EXECUTION, "hash")
    again = runs_of(plan_of(config("name=other", "engine.workers=7")), plan_of(studied).settings, EXECUTION, "hash")[0][
        1
    ]
    assert run.id == again.id
    changed = [
        replace(run, seed=1),
        replace(run, data_hash="other"),
        replace(run, recipe=replace(run.recipe, learning_rate=0.011)),
        replace(run, execution=replace(run.execution, threads=2)),
        replace(run, architecture=replace(run.architecture, kernel_size=5)),
    ]
    assert len({run.id, *(other.id for other in changed)}) == 6


@pytest.mark.parametrize(
    ("groups", "layout", "words"),
    [
        (32, "same", "as it is"),
        (16, "same", "as 16 groups"),
        (1, "contiguous", "dense, contiguous"),
        (32, "contiguous", "as it is, contiguous"),
        (32, "kernel", "by our kernel"),
    ],
)
def test_how_a_convolution_of_32_groups_is_executed_is_told(groups: int, layout: str, words: str) -> None:
    assert Convolution("128>128_k3_s1_g32_32px", groups, layout).described(32) == f"128>128_k3_s1_g32_32px {words}"


def test_a_runs_id_stays_the_same_from_version_to_version() -> None:
    """What is recorded must be found again: change this number only with `ID_SCHEME`, and say so in the changelog."""
    (_, run), *_ = runs_of(plan_of(config()), plan_of(config()).settings, EXECUTION, "hash")
    assert run.id == "6a70ebcf16af"
    assert replace(run, data=replace(run.data, label="another title", name="moved", path="there")).id == run.id


def test_what_a_recipe_has_by_default_leaves_ids_as_they_were() -> None:
    (_, plain), *_ = runs_of(plan_of(config()), plan_of(config()).settings, EXECUTION, "hash")
    asked = config("recipe.init=fan_out", "recipe.init_gain=1")
    (_, same), *_ = runs_of(plan_of(asked), plan_of(asked).settings, EXECUTION, "hash")
    asked = config("recipe.init=fan_out_groups")
    (_, other), *_ = runs_of(plan_of(asked), plan_of(asked).settings, EXECUTION, "hash")
    assert (same.id, other.id == plain.id) == (plain.id, False)


def test_seeds_follow_the_first_one() -> None:
    asked = config("search.seeds=2", "search.first_seed=5")
    assert {run.seed for _, run in runs_of(plan_of(asked), plan_of(asked).settings, EXECUTION, "hash")} == {5, 6}
    assert plan_of(asked).runs == 10
    assert seeds_in_words(plan_of(asked)) == "2 seeds, 5 to 6"
    assert seeds_in_words(plan_of(config("search.seeds=2"))) == "2 seeds"


@pytest.mark.parametrize("sampler", ["listed", "uniform", "tpe"])
def test_designs_asked_for_by_name_are_trained_whatever_the_sampler_takes(sampler: str) -> None:
    asked = config(f"search.sampler={sampler}", "search.designs=3", "search.only=[29-4x24d,29-1x64d]", "search.seeds=2")
    if sampler == "listed":
        asked = config("search.only=[29-4x24d,29-1x64d]", "search.seeds=2")
    found = plan_of(asked).settings
    assert [setting.name for setting in found] == ["29-4x24d", "29-1x64d"]
    assert not asked.search.is_adaptive
    assert contrast_of(asked, found) is None
    assert plan_of(asked).runs == 4
    assert found[0].deviation("params") == pytest.approx(-0.0141, abs=1e-4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("search.only=[29-1x64d,29-1x64d]", "a design is named twice"),
        ("search.only=[29-x]", "search.only=['29-x']: architecture '29-x'"),
    ],
)
def test_designs_that_cannot_be_asked_for_are_refused(change: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        plan_of(config(change))
    assert words in str(caught.value)


def test_widths_that_are_solved_to_one_network_are_one_setting() -> None:
    words = ["study.contrast=null", "budget=params_and_macs", "budget.reference=29-4x24d", "space.cardinality=[4]"]
    words += ["space.bottleneck_width=[22,23,24,25]", "budget.params.tolerance=0.2", "budget.macs.tolerance=0.2"]
    plan = plan_of(config(*words))
    assert [one.name for one in plan.settings] == ["29-4x24d"]
    with pytest.raises(InputError, match="is what several of the drawn designs become when their widths are solved"):
        plan_of(config(*words, "search=uniform", "search.designs=3"))
