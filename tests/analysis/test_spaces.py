"""A study of several spaces: designs drawn from each, judged as populations."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from explorer.__main__ import main
from explorer.analysis.finding import find
from explorer.analysis.intervals import estimate
from explorer.analysis.judging import open_study
from explorer.analysis.population import populations
from explorer.analysis.sentences import sentence
from explorer.analysis.summary import SettingSummary
from explorer.host.errors import InputError
from explorer.record.folder import study_folder
from explorer.record.records import load
from explorer.study.designs import scopes_of
from explorer.study.plan import plan_of
from explorer.study.settings import StudyConfig
from explorer.verbs.command_line import read_command

SMALL = [
    "study=design_space",
    "name=two",
    "device=cpu",
    "spaces.one_path.depth=[11]",
    "spaces.many_paths.depth=[11]",
    "spaces.one_path.width={low: 16, high: 48, step: 8}",
    "spaces.many_paths.width={low: 16, high: 48, step: 8}",
    "spaces.many_paths.cardinality={low: 2, high: 4}",
    "budget.reference=11-1x8d-w32",
    "budget.params.tolerance=0.2",
    "data.train_images=600",
    "data.val_images=100",
    "data.test_images=200",
    "recipe.epochs=3",
    "recipe.batch_size=20",
    "search.designs=3",
    "engine.threads=1",
    "engine.precision=float32",
    "engine.forms=native",
    "storage=none",
]


def config(*changes: str) -> StudyConfig:
    return read_command([*SMALL, *changes]).study


def test_designs_are_drawn_from_each_space_within_the_one_budget() -> None:
    settings = plan_of(config()).settings
    by_space = {name: [one for one in settings if name in one.spaces] for name in ("one_path", "many_paths")}
    assert {name: len(found) for name, found in by_space.items()} == {"one_path": 3, "many_paths": 3}
    assert {one.architecture.cardinality for one in by_space["one_path"]} == {1}
    assert min(one.architecture.cardinalities[0] for one in by_space["many_paths"]) >= 2
    assert all(abs(one.deviation("params") or 0) <= 0.2 for one in settings)
    assert settings == plan_of(config()).settings


def test_a_design_of_two_spaces_is_trained_once_and_counts_for_both() -> None:
    same = config("spaces.many_paths.cardinality=[1]", "search.designs=4", "study.contrast.setting=many_paths")
    settings = plan_of(same).settings
    assert len({one.name for one in settings}) == len(settings)
    shared = [one for one in settings if len(one.spaces) == 2]
    assert shared
    assert sum(len(one.spaces) for one in settings) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("search.sampler=listed", "search.sampler=listed: a study of several spaces draws search.designs of each"),
        ("study.contrast.against=none", "study.contrast.against=none: is not a space; allowed: one_path, many_paths"),
        ("search.forms=[sum,grouped]", "search.forms=['sum', 'grouped']: a study of spaces compares designs"),
        ("search.seeds=auto", "search.seeds=auto: a study of spaces is decided by its designs"),
        ("search.designs=null", "search.designs is null: give the number of designs to draw from each space"),
        ("search.rates=2", "search.rates=[2.0]: the two settings of study.contrast are trained at these"),
        ("study.contrast.against=many_paths", "study.contrast: setting and against are both many_paths"),
        ("space.depth=[11]", "space.depth=[11]: this study has spaces of its own; change those"),
        ("space=shortcut", "space=shortcut: this study has spaces of its own"),
        ("search.designs=500", "spaces.one_path: search.designs=500: the space holds"),
        ("spaces.one_path.kind=cube", "spaces.one_path.kind=cube: unknown kind"),
        ("spaces.one_path.dpth=[1]", "spaces.one_path.dpth=[1]: unknown key (did you mean depth?)"),
        ("spaces.one_path.depth=[12]", "spaces.one_path"),
    ],
)
def test_unusable_spaces_are_named(change: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        plan_of(config(change))
    assert message in str(caught.value)


def test_every_kind_of_space_may_take_part() -> None:
    mixed = config(
        "spaces.any={kind: anynetx, template: regnet_cifar, depth: [1, 2], width: {low: 16, high: 64, step: 8}, "
        "bottleneck_ratio: [1, 2], group_width: [4, 8]}",
        "budget.params.tolerance=0.5",
    )
    assert list(scopes_of(mixed)) == ["one_path", "many_paths", "any"]
    assert {one.architecture.template for one in plan_of(mixed).settings if "any" in one.spaces} == {"regnet_cifar"}


@pytest.mark.real
def test_a_study_of_spaces_runs_and_tells_of_them(
    workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([*SMALL, "do=plan"]) == 0
    said = capsys.readouterr().out
    assert "The space one_path (one path) holds" in said
    assert "The space many_paths (several paths) holds" in said
    assert main(SMALL) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "Inconclusive: designs of several paths do not differ clearly from those of one path: mean test error" in said
    )
    assert set(load(study_folder("two")).runs["space"]) == {"one_path", "many_paths"}
    page = (workplace / "reports" / "two.html").read_text()
    for words in ("Share of a space", "several paths", "Best by validation", 'data-figure="distribution"'):
        assert words in page
    assert 'data-figure="cardinality"' not in page
    assert main(SMALL) == 0  # a finished one trains nothing
    assert "Starting" not in capsys.readouterr().out
    found_study = open_study(study_folder("two"))
    finding = found_study.finding
    assert finding.populations is not None
    assert finding.populations.distributions["one_path"].n == 3


def test_spaces_without_a_declared_contrast_have_no_verdict() -> None:
    from tests.analysis.test_statistics import R, X, frame

    finding = find(frame({R: [0.2], X: [0.1]}), [R, X], None, 1, spaces={"one": [R], "many": [X]})
    assert sentence(finding).startswith("No verdict: the study declares no contrast of spaces")


def population_finding(errors: dict[str, list[float]]) -> str:
    """The verdict on two spaces whose designs have these errors."""
    from tests.analysis.test_statistics import frame

    spaces = {
        space: [f"29-{cardinality}x{place}d" for place in range(1, len(own) + 1)]
        for cardinality, (space, own) in zip((4, 1), errors.items(), strict=True)
    }
    runs = {name: [error] for space, names in spaces.items() for name, error in zip(names, errors[space], strict=True)}
    return sentence(find(frame(runs), list(runs), None, 1, spaces=spaces, rivals=("good", "bad")))


def designs(mean: float, n: int, cardinality: int, seed: int) -> list[SettingSummary]:
    errors = np.random.default_rng(seed).normal(mean, 0.01, n)
    return [
        SettingSummary(
            f"29-{cardinality}x{place + 1}d",
            cardinality,
            place + 1,
            1,
            1,
            1,
            0,
            0,
            0,
            {0: error},
            estimate([error]),
            1,
        )
        for place, error in enumerate(errors)
    ]


def test_spaces_apart_are_told_apart_and_alike_ones_are_equivalent_within_a_margin() -> None:
    good, bad, same = designs(0.20, 40, 4, 0), designs(0.25, 40, 1, 1), designs(0.20, 40, 8, 2)
    found = populations({"good": good, "bad": bad, "same": same}, ("good", "bad"), 0.01)
    assert found is not None
    declared, *others = found.rivals
    assert (declared.space, declared.against, declared.verdict) == ("good", "bad", "beats")
    assert declared.distance > 0.9
    assert {(one.space, one.against): one.verdict for one in others} == {
        ("good", "same"): "inconclusive",
        ("bad", "same"): "loses to",
    }
    alike = populations({"good": good, "same": same}, ("good", "same"), 0.01)
    assert alike is not None
    assert alike.rivals[0].verdict == "equivalent"
    assert [one.axis for one in found.best["good"]] == ["group_width", "bottleneck_width"]


def test_validation_chooses_the_best_of_a_space_and_its_values_and_test_tells_its_error() -> None:
    tested = designs(0.20, 40, 4, 0)
    by_width = [replace(one, validation=0.5 - 0.01 * place) for place, one in enumerate(tested)]
    found = populations({"good": by_width}, None)
    assert found is not None
    assert found.distributions["good"].best == by_width[-1].errors[0]
    assert min(one.errors[0] for one in by_width) < by_width[-1].errors[0]
    width = found.best["good"][-1]
    assert width.axis == "bottleneck_width"
    assert (width.median, width.high, width.n) == (
        38.0,
        40.0,
        40,
    )  # the widest of ten have the lowest validation errors
    few = populations({"good": by_width[:7]}, None)
    assert few is not None
    assert few.best == {"good": []}


def test_spaces_without_any_spread_are_not_judged() -> None:
    alike = [[replace(one, estimate=estimate([error])) for one in designs(0, 6, 4, 0)] for error in (0.2, 0.3)]
    found = populations({"good": alike[0], "bad": alike[1]}, ("good", "bad"), 0.01)
    assert found is not None
    assert not found.rivals[0].difference.has_interval
    assert found.rivals[0].verdict == "inconclusive"


def test_spaces_without_designs_or_with_one_each_have_no_verdict() -> None:
    part = populations({"good": [], "bad": designs(0.2, 3, 1, 0)}, ("good", "bad"), 0.01)
    assert part is not None
    assert (list(part.distributions), part.rivals) == (["bad"], [])
    assert populations({}) is None
    found = population_finding({"good": [0.2], "bad": [0.3, 0.3]})
    assert "no interval, which takes two designs of each space, and some within a space that differ, " in found
    assert "no two of the values differ" not in found
    assert "95 % interval 3.71 higher to 21.71 lower" in population_finding({"good": [0.2, 0.22], "bad": [0.3, 0.3]})
    single = populations({"good": designs(0.2, 1, 4, 0), "bad": designs(0.3, 1, 1, 0)}, ("good", "bad"), 0.01)
    assert single is not None
    assert single.rivals[0].verdict == "inconclusive"


def test_a_study_of_spaces_that_is_not_complete_gives_no_verdict() -> None:
    from tests.analysis.test_statistics import R, X, frame

    finding = find(
        frame({R: [0.2], X: [0.1]}), [R, X], None, 2, spaces={"one": [R], "many": [X]}, rivals=("many", "one")
    )
    assert sentence(finding) == "Preliminary, 2 of 4 runs are in, for 1 of one, 1 of many: no verdict yet."


def test_designs_that_have_no_run_yet_are_missing_from_their_space_alone() -> None:
    from tests.analysis.test_statistics import R, X, frame

    spaces = {"one": [R, "29-2x40d"], "many": [X]}
    found = find(frame({R: [0.2], X: [0.1]}), [R, "29-2x40d", X], None, 1, spaces=spaces).populations
    assert found is not None
    assert {name: one.errors.tolist() for name, one in found.distributions.items()} == {"one": [0.2], "many": [0.1]}
