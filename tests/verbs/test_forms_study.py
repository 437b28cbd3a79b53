"""search.forms: the same network in its equivalent forms, trained from the same weights."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import explorer
from explorer.__main__ import main
from explorer.design.name import display_setting, parse_setting, setting_name
from explorer.host.errors import InputError
from explorer.record.folder import study_folder
from explorer.record.records import load
from explorer.study.contrast import contrast_of
from explorer.study.plan import plan_of
from explorer.study.run import Execution, Outcome
from explorer.study.runs import own_execution, runs_of
from explorer.study.settings import StudyConfig
from explorer.training.images.split import load as load_data
from explorer.training.loop import ready, train
from explorer.training.network import kernels
from explorer.verbs.command_line import read_command
from tests.conftest import TINY

FORMS = [
    *(argument for argument in TINY if not argument.startswith(("study.contrast", "space.cardinality"))),
    "space.cardinality=[2]",
    "search.forms=[sum,concat,grouped]",
    'study.contrast={setting: "11-2x3d-w16@sum", against: 2x3d}',
    "storage=none",
]


@pytest.fixture
def config() -> StudyConfig:
    return read_command(FORMS).study


def test_names_of_settings_say_the_form_and_read_back() -> None:
    architecture, form = parse_setting("29-8x14d@sum")
    assert (setting_name(architecture, form), form) == ("29-8x14d@sum", "sum")
    assert display_setting("29-8x14d@sum") == "ResNeXt-29 (8x14d), form (a)"
    assert display_setting("29-8x14d") == "ResNeXt-29 (8x14d)"
    with pytest.raises(ValueError, match="form 'round' is unknown; allowed: sum, concat, grouped"):
        parse_setting("29-8x14d@round")


def test_each_design_is_a_setting_in_each_form(config: StudyConfig) -> None:
    settings = plan_of(config).settings
    assert [one.name for one in settings] == ["11-2x3d-w16@sum", "11-2x3d-w16@concat", "11-2x3d-w16"]
    assert len({one.cost for one in settings}) == 1
    pair = contrast_of(config, settings)
    assert pair is not None
    assert [one.form for one in pair] == ["sum", "grouped"]


def outcomes(config: StudyConfig, **execution: object) -> list[Outcome]:
    plain = Execution("cpu", "some processor", "grouped", "channels_last", "float32", 1, 20, **execution)  # type: ignore[arg-type]
    runs = runs_of(plan_of(config), plan_of(config).settings, plain, load_data(config.data).digest)[:3]
    assert len({run.id for _, run in runs}) == 3
    return [train(run, lambda result: None) for _, run in runs]


@pytest.mark.parametrize("norms", ["torch", "fused"])
def test_all_forms_train_from_the_same_weights_along_the_same_curve(config: StudyConfig, norms: str) -> None:
    if norms == "fused" and not kernels.is_available():
        pytest.skip("no C compiler")
    found = outcomes(config, norms=norms)
    losses = [one.loss for one in found]
    assert losses[0] == pytest.approx(losses[2], rel=1e-3)
    assert losses[1] == pytest.approx(losses[2], rel=1e-3)


def test_a_run_in_another_form_starts_from_the_grouped_ones_function(config: StudyConfig) -> None:
    plain = Execution("cpu", "some processor", "grouped", "channels_last", "float32", 1, 20)
    runs = [run for _, run in runs_of(plan_of(config), plan_of(config).settings, plain, "")[:3]]
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    scores = [ready(run)[0].eval()(images) for run in runs]
    assert torch.allclose(scores[0], scores[2], atol=1e-5)
    assert torch.allclose(scores[1], scores[2], atol=1e-5)


def test_a_form_has_no_grouped_convolution_to_choose_an_execution_of(config: StudyConfig) -> None:
    plain = Execution("cpu", "some processor", "grouped", "channels_last", "float32", 1, 20)
    settings = plan_of(config).settings
    for setting in settings:
        own = own_execution(plain, setting, config.data.task)
        assert own == replace(plain, form=setting.form)


@pytest.mark.real
def test_a_study_of_forms_runs_and_keeps_weights_that_fit_the_grouped_network(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*FORMS, "storage.weights=last", "search.seeds=1"]) == 0
    said = capsys.readouterr().out
    assert "ResNeXt-11 (2x3d, w16), form (a)" in said
    record = load(study_folder("tiny")).runs
    assert sorted(record["form"]) == ["concat", "grouped", "sum"]
    files = [workplace / "studies" / "tiny" / "local" / "weights" / f"{run}.safetensors" for run in record["run"]]
    keys = [set(load_file(path)) for path in files]
    assert keys[0] == keys[1] == keys[2]
    page = (workplace / "reports" / "tiny.html").read_text()
    assert "form (a)" in page
    assert main([*FORMS, "storage.weights=last", "search.seeds=1", "do=tabulate"]) == 0
    table = explorer.open_study(workplace / "tables" / "tiny")
    assert [trial.params["form"] for trial in table.to_optuna().trials] == ["sum", "concat", "grouped"]
    expected = record.loc[record["form"] == "sum", "test_error"]
    assert table.query("11-2x3d-w16@sum").errors == {0: float(expected.iloc[0])}


def planned(arguments: list[str]) -> None:
    config = read_command(arguments).study
    contrast_of(config, plan_of(config).settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("search.forms=[sum,sum]", "search.forms=['sum', 'sum']: one is given twice"),
        ("search.forms=[]", "search.forms=[]: must have at least one item"),
        ("search.forms=[round]", "search.forms.0=\"round\": must be 'sum', 'concat' or 'grouped'"),
        ("space.block=basic", "space"),
        ("study.contrast.setting='11-2x3d-w16@round'", "is not a setting of this study; allowed: 11-2x3d-w16@sum"),
    ],
)
def test_unusable_forms_are_refused(change: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        planned([*FORMS, change])
    assert message in str(caught.value)


def test_blocks_without_forms_are_named() -> None:
    changes = [
        "space=neighbours",
        "space.architecture=[20-1x8d-w16-basic]",
        "space.bottleneck_width=named",
        "budget=none",
    ]
    found = read_command(["study=equal_params", "search.forms=[sum]", "study.contrast=null", *changes]).study
    with pytest.raises(InputError, match="20-1x8d-w16-basic has no equivalent forms"):
        plan_of(found)
