"""The Python interface: a study made, run, asked for and told as an object, with the command's checks and words."""

import re
import shutil
import subprocess
import sys
import threading
import traceback
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import explorer as ex
from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.design import Task, cost, parse_name
from explorer.record.folder import CORRECT, EPOCHS, RUNS
from explorer.search.rungs import goes_on
from explorer.search.trackers.content import tracked
from explorer.study.settings import StudyConfig
from explorer.training.network.build import build
from explorer.verbs.command_line import read_command
from explorer.verbs.in_short import TOLERANCE
from tests.made_up import made_up

ROOT = Path(__file__).parents[2]
EXAMPLES = [ROOT / "examples" / "ask_and_tell.py"]  # a program; extensions have tests of their own
# As `TINY`, in Python's words.
OWN: dict[str, Any] = {
    "space": ex.Space(depth=11, width=16, cardinality=[1, 2]),
    "budget": ex.Budget("1x4d", params=0.2),
    "contrast": ("2x3d", "1x4d"),
    "engine": ex.Engine(workers=1, threads=1, precision="float32", forms="native"),
    "device": "cpu",
    "storage": "none",
}
ELSEWHERE = ex.Data("elsewhere", channels=1, image_size=8, train_images=100, val_images=20, test_images=16)


@pytest.fixture(autouse=True)
def here(workplace: Path) -> None:
    """Every test has a folder of its own."""


def study(**keys: Any) -> ex.Study:
    return ex.Study(**{"name": "mine", **OWN, **keys})


def asked(**keys: Any) -> ex.Study:
    return study(data=ELSEWHERE, batch_size=10, **keys)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: ex.Study("equal_params", recipe="short", seeds=6), ["recipe=short", "search.seeds=6"]),
        (lambda: ex.Study("equal_params", data="cifar10", epochs=3), ["data=cifar10", "recipe.epochs=3"]),
        (lambda: ex.Study("equal_params", budget="1M"), ["budget=1M"]),
        (lambda: ex.Study("equal_params", budget=1_000_000), ["budget=1M"]),
        (lambda: ex.Study("equal_params", budget=ex.Budget(params=0.03)), ["budget.params.tolerance=0.03"]),
        (
            lambda: ex.Study("equal_params", budget=ex.Budget(macs=("50M", 0.02))),
            ["budget=none", "budget.macs.target=50M", "budget.macs.tolerance=0.02"],
        ),
        (
            lambda: ex.Study("equal_params", space={"width": {"low": 64, "high": 256, "factor": 2}}, contrast=None),
            ["space.width={low: 64, high: 256, factor: 2}", "study.contrast=null"],
        ),
        (
            lambda: ex.Study("equal_params", recipe=ex.Recipe(milestones=(0.5, 0.75), schedule="step", nesterov=False)),
            ["recipe.milestones=[0.5,0.75]", "recipe.schedule=step", "recipe.nesterov=false"],
        ),
        (
            lambda: ex.Study("equal_params", question="Is \"it\", {data}? It's a=[b]", learning_rate=np.float64(0.1)),
            ["study.question='Is \"it\", {data}? It\\'s a=[b]'", "recipe.learning_rate=0.1"],
        ),
        (lambda: ex.Study("equal_params", learning_rate=np.float32(0.1)), ["recipe.learning_rate=0.1"]),
        (lambda: ex.Study("equal_params", budget=np.int64(10**6)), ["budget=1M"]),  # type: ignore[arg-type]
        (lambda: ex.Study("equal_params", budget=ex.Budget(params=np.float32(0.03))), ["budget.params.tolerance=0.03"]),  # type: ignore[arg-type]
        (lambda: ex.Study("equal_params", study={"margin": 0.02}), ["study.margin=0.02"]),
        (
            lambda: ex.Study("equal_params", contrast=np.array(["32x4d", "2x40d"]), space={"depth": pd.Series([29])}),  # type: ignore[arg-type]
            ["study.contrast.setting=32x4d", "study.contrast.against=2x40d", "space.depth=29"],
        ),
        (lambda: ex.Study("equal_params", **{"recipe.epochs": 3, "search.forms": "sum"}), ["epochs=3", "forms=sum"]),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_python_says_what_a_command_says(made: Any, words: list[str]) -> None:
    full = {"epochs=3": "recipe.epochs=3", "forms=sum": "search.forms=sum"}
    assert made().config == read_command(["study=equal_params", *(full.get(word, word) for word in words)]).study


def test_a_study_needs_no_file() -> None:
    config = study(question="Is it so?", seeds=3, margin=0.02).config
    keys = ["space.depth=11", "space.width=16", "space.cardinality=[1,2]", "budget.reference=1x4d", "device=cpu"]
    keys += [
        "budget.params.tolerance=0.2",
        "study.contrast.setting=2x3d",
        "study.contrast.against=1x4d",
        "storage=none",
    ]
    keys += ["engine.workers=1", "engine.threads=1", "engine.precision=float32", "engine.forms=native"]
    keys += ["study.question=Is it so?", "search.seeds=3", "study.margin=0.02"]
    assert config == read_command(["study=custom", "name=mine", *keys]).study
    assert ex.Study(name="x").config.study.contrast is None


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (lambda: ex.Study("equal_parms"), "equal_params"),
        (lambda: ex.Study("equal_params", epochs=0), "recipe.epochs=0"),
        (lambda: ex.Study("equal_params", seed=3), "seed: unknown key; did you mean seeds?"),
        (lambda: ex.Study("equal_params", path="x"), "data.path=x"),
        (lambda: ex.Study("equal_params", forms="sum"), r"forms: is a key of search and of engine"),
        (lambda: ex.Study("equal_params", data=ex.Recipe("short")), "is a recipe; say recipe="),  # type: ignore[arg-type]
        (lambda: ex.Study("equal_params", space=[1]), r"space=\[1\]: allowed are a name, a mapping"),  # type: ignore[arg-type]
        (lambda: ex.Study("equal_params", contrast="32x4d"), r"\('32x4d', '1x64d'\)"),  # type: ignore[arg-type]
        (lambda: ex.Study("equal_params", budget=ex.Budget(params=1.5)), "budget.params=1.5: allowed are a tolerance"),
        (lambda: ex.Study("equal_params", epochs=object()), "allowed are numbers, text"),
        (lambda: ex.Study(3), "3: is no study; allowed are a name and the Path"),  # type: ignore[arg-type]
        (lambda: ex.Study("--help"), "'--help': is no study"),
        (lambda: ex.Study("recipe.epochs=3"), "'recipe.epochs=3': is no study"),
        (lambda: ex.Study(PureWindowsPath("C:/x/config.yaml")), r"config\.yaml: is missing"),  # type: ignore[arg-type]
        (lambda: ex.open_study(3), "3: allowed are the name of a study and the Path"),  # type: ignore[arg-type]
        (lambda: ex.open_study("../x"), r"name='\.\./x': allowed are 1 to 100"),
        (lambda: ex.open_study(""), "name='': allowed are"),
        (lambda: ex.Study("equal_params", data=pd.DataFrame({"a": [1]})), "data=a 0 1: allowed are a name"),  # type: ignore[arg-type]
        (lambda: ex.Study("equal_params", name=b"x"), "b'x': allowed are numbers, text"),  # type: ignore[arg-type]
        (lambda: ex.Study("equal_params", question="a\nb\0"), "holds a NUL character"),
        (lambda: ex.Study("equal_params", budget=ex.Budget(params=(1, 2, 3))), r"budget\.params=\(1, 2, 3\): allowed"),  # type: ignore[arg-type]
        (lambda: ex.Study("equal_params", budget=ex.Budget(params={"a": 1})), r"budget\.params={'a': 1}: allowed"),  # type: ignore[arg-type]
        (lambda: ex.Recipe(3), "recipe=3: allowed is the name of a file of conf/recipe"),  # type: ignore[arg-type]
        (lambda: ex.costs("29-32x4d", image_size=32.5), r"image_size=32\.5: allowed are whole numbers"),  # type: ignore[arg-type]
        (lambda: ex.costs("29-32x4d", classes=True), "classes=True: allowed are whole numbers"),
        (lambda: ex.costs("29-32x4"), "29-32x4: "),
        (lambda: ex.costs("29-32x4d", classes=0), "classes=0: allowed are whole numbers of at least 1"),
    ],
)
def test_errors_are_one_line(made: Any, line: str) -> None:
    with pytest.raises(ex.InputError, match=line) as caught:
        made()
    assert "\n" not in str(caught.value)


def test_costs_are_exact_and_load_no_torch() -> None:
    assert ex.costs("29-32x4d") == cost(parse_name("29-32x4d"), Task(3, 32, 10))
    assert ex.costs("50-32x4d-imagenet").params == 25_028_904
    code = "import sys, explorer as ex; ex.costs('29-32x4d', classes=100); print({'torch', 'pandas'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "set()"


class Own(torch.nn.Module):
    """A small network of somebody else's, with `width` channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, width, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(width)
        self.head = torch.nn.Linear(width, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.norm(self.conv(images)).mean((2, 3)))
        return scores


def test_any_module_is_counted_by_two_counters_and_left_as_it_was() -> None:
    network = parse_name("11-2x3d-w16")
    for name in NAMES:
        built = build(parse_name(name), Task(1, 8, 10), torch.Generator())
        assert ex.costs(built, image_size=8) == ex.costs(name, **SIZES)
    assert ex.costs(network, **SIZES) == ex.costs("11-2x3d-w16", **SIZES)
    own = Own(4)
    own.norm.eval()
    before = {name: value.clone() for name, value in own.state_dict().items()}
    wanted = ex.Cost(4 * 9 + 4 + 2 * 4 + 4 * 10 + 10, 64 * 4 * 9 + 40, 64 * 4)
    assert ex.costs(own, image_size=8, classes=10) == ex.costs(own, inputs=torch.zeros(1, 1, 8, 8)) == wanted
    assert (own.training, own.norm.training, own.head.training) == (True, False, True)
    assert all(torch.equal(value, before[name]) for name, value in own.state_dict().items())
    sound = torch.nn.Sequential(torch.nn.Conv1d(1, 2, 3), torch.nn.ConvTranspose1d(2, 1, 3), torch.nn.Linear(16, 5))
    assert ex.costs(sound.double(), inputs=torch.zeros(1, 1, 16)) == ex.Cost(8 + 7 + 85, 14 * 6 + 14 * 6 + 80, 28 + 16)

    class Attention(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            rows = images.flatten(1, 2)
            found: torch.Tensor = torch.nn.functional.scaled_dot_product_attention(rows, rows, rows)
            return found

    with pytest.warns(UserWarning, match=r"Attention: 128 activations by torch's counter and 0 by fvcore"):
        assert ex.costs(Attention(), inputs=torch.zeros(1, 1, 8, 8)).macs == 1024
    wrong: list[tuple[Any, str]] = [
        (lambda: ex.costs(own), r"Own: say image_size=\.\.\., or give inputs="),
        (lambda: ex.costs(own, image_size=8, channels=3), r"Own: takes no input of shape \(1, 3, 8, 8\)"),
        (lambda: ex.costs(own, image_size=8, classes=7), r"gives scores of shape \(1, 10\), and classes=7"),
        (lambda: ex.costs(29), "int: allowed are a name"),  # type: ignore[arg-type]
        (lambda: ex.costs("29-32x4d", inputs=1), "inputs: are for a torch module"),
    ]
    for made, line in wrong:
        with pytest.raises(ex.InputError, match=line):
            made()


def test_networks_of_a_program_are_counted_and_the_budget_is_judged_by_them() -> None:
    mine = asked(seeds=5)
    widths = {"11-1x4d-w16": 50, "11-2x3d-w16": 70}
    for number, run in enumerate(mine.ask()):
        network = Own(widths[run.setting])
        if number == 1:
            with pytest.raises(ex.InputError, match=r"tell it of 11-2x3d-w16 too, with network=\.\.\. or costs=\.\.\."):
                mine.tell(run, val_error=0.2, test_error=0.2)
        if number == 2:
            with pytest.raises(ex.InputError, match=r"2x3d-w16|1x4d-w16 are recorded with 1,110 params"):
                mine.tell(run, val_error=0.2, test_error=0.2, network=Own(51))
            break
        mine.tell(run, val_error=0.2, test_error=error_of(run), network=network)
    # Later starts know what the networks cost; the budget's reference is the program's own.
    for number, run in enumerate(mine.ask()):
        told = ex.costs(Own(widths[run.setting]), image_size=8)
        more: dict[str, Any] = {} if number % 2 else {"costs": told if number % 4 else dict(vars(told))}
        mine.tell(run, val_error=0.2, test_error=error_of(run), **more)
    found = mine.runs.drop_duplicates("setting").set_index("setting")
    assert found["params"].to_dict() == {name: 22 * width + 10 for name, width in widths.items()}
    assert found["fvcore_macs"].to_dict() == {name: 64 * 9 * width + 10 * width for name, width in widths.items()}
    first, second = mine.finding.summaries
    assert (first.params_deviation, second.params_deviation) == (0, pytest.approx(1550 / 1110 - 1))
    assert mine.finding.has_told_costs
    assert "not equal: ResNeXt-11 (2x3d, w16) 39.64 % above the budget's params" in mine.verdict
    words = "Costs are those of the other program"
    assert words in mine.table("latex")
    assert words in Path("reports/mine.html").read_text()
    assert main(["doctor", "mine"]) == 0
    assert mine.query("11-2x3d-w16").params == 1550
    # Optuna and trackers have the same costs.
    by_setting = {trial.user_attrs["setting"]: trial.user_attrs for trial in mine.to_optuna().trials}
    assert {name: (own["params"], own["params_deviation"]) for name, own in by_setting.items()} == {
        "11-1x4d-w16": (1110, None),
        "11-2x3d-w16": (1550, None),
    }
    shown = {run.params["setting"]: run.params for run in tracked(open_study(mine.folder)).runs}
    assert shown["11-2x3d-w16"]["params"] == 1550
    assert shown["11-2x3d-w16"]["params_deviation"] == pytest.approx(1550 / 1110 - 1)


def test_costs_told_late_or_wrongly_are_refused() -> None:
    mine = asked(seeds=2)
    runs = mine.ask()
    mine.tell(next(runs), val_error=0.2, test_error=0.2)
    run = next(runs)
    cost = ex.costs(Own(9), image_size=8)
    for costs, line in (
        (cost, r"the runs of 11-.*-w16 are recorded with what the design costs, .* tell costs from the first run on"),
        ({"params": 1}, r"costs=\{'params': 1\}: allowed are explorer\.costs"),
        ({"params": 1.5, "macs": 2, "activations": 3}, r"costs: params=1\.5: allowed are whole numbers of at least 1"),
        ({"params": True, "macs": 2, "activations": 3}, r"costs: params=True: allowed"),
        ({"params": 1, "macs": -2, "activations": 3}, r"costs: macs=-2: allowed"),
    ):
        with pytest.raises(ex.InputError, match=line):
            mine.tell(run, val_error=0.2, test_error=0.2, costs=costs)  # type: ignore[arg-type]
    with pytest.raises(ex.InputError, match=r"network=int: allowed is a torch\.nn\.Module"):
        mine.tell(run, val_error=0.2, test_error=0.2, network=3)  # type: ignore[arg-type]
    with pytest.raises(ex.InputError, match="network and costs are told; one of them is enough"):
        mine.tell(run, val_error=0.2, test_error=0.2, network=Own(9), costs=cost)
    mine.tell(run, val_error=0.2, test_error=0.2, network=run.build())  # as the design costs
    runs.close()
    assert not mine.finding.has_told_costs
    assert len(mine.runs) == 2


def test_a_study_is_planned_and_read_without_running() -> None:
    mine = study(seeds=3)
    with pytest.raises(ex.InputError, match="no such study yet"):
        _ = mine.verdict
    table = mine.plan()
    assert table["setting"].tolist() == ["11-1x4d-w16", "11-2x3d-w16"]
    assert table["left"].tolist() == [3, 3]
    assert table["params"].tolist() == [8902, 10336]
    made_up(mine.config)
    assert (len(mine.runs), mine.plan()["left"].tolist()) == (6, [0, 0])
    assert mine.verdict == ex.open_study("mine").verdict == ex.Study("mine").verdict
    assert "6 of 6 runs" in repr(mine)
    search = ex.Study("best", name="search", data="digits", budget="100k", search=ex.Search(designs=8, seeds=1))
    empty = search.plan()
    assert (len(empty), [*empty.columns]) == (0, [*table.columns])
    limit = ex.Study("custom", name="own", budget=ex.Budget(params="1M")).config.budget.params
    assert limit is not None
    assert limit.tolerance == TOLERANCE
    assert f"held within {TOLERANCE:.0%}".replace("%", " %") in " ".join((ex.Budget.__doc__ or "").split())
    assert repr(mine.figures).startswith("Figures('cardinality', ")
    assert "\\toprule" in mine.table("latex")
    assert mine.report("page.html").stat().st_size > 1e6
    best = mine.best(macs="<90k")
    assert (best.setting, best.macs) == ("11-1x4d-w16", 80768)
    assert "of 1 design with macs below 90,000" in best.why
    assert best.build()(torch.zeros(1, 1, 8, 8)).shape == (1, 10)
    with pytest.raises(ex.InputError, match="were not kept"):
        best.build(weights=True)
    with pytest.raises(ex.InputError, match="no run of a design with params of at most 100 "):
        mine.best(params=100)
    with pytest.raises(ex.InputError, match="allowed are limits on params, macs, activations"):
        mine.best(size=100)
    wrong: list[tuple[Any, str]] = [
        (lambda: mine.best(params=float("nan")), "params=nan: allowed are a number"),
        (lambda: mine.best(params=None), "params=None: allowed are a number"),  # type: ignore[arg-type]
        (lambda: mine.run(hours="2"), "hours='2': allowed are numbers"),  # type: ignore[arg-type]
        (lambda: mine.report("."), r"path='\.': allowed is the name of a file"),
        (lambda: mine.figures["nope"], "'nope': no such figure; allowed: cardinality"),
        (lambda: mine.print_figure("cardinality", width="wide"), "width='wide': allowed are numbers from 1 to 40"),  # type: ignore[arg-type]
        (lambda: mine.query(3), "architecture=3: allowed is text"),  # type: ignore[arg-type]
        (lambda: mine.table("tex"), "tex, settings: no such table"),
    ]
    for made, line in wrong:
        with pytest.raises(ex.InputError, match=line):
            made()
    taken = mine.runs  # a copy, which is a person's own
    taken["test_error"] = 0.0
    del taken["seed"]
    assert mine.runs["seed"].nunique() == 3
    assert mine.runs["test_error"].min() > 0
    first = mine.figures
    assert mine.figures is first
    made_up(study(seeds=4).config)
    more = study(seeds=4)
    assert len(more.runs) == 8


@pytest.mark.real
def test_a_script_without_a_main_guard_runs_a_study_for_a_time_and_goes_on(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import explorer as ex\n"
        "s = ex.Study('custom', name='mine', space=ex.Space(depth=11, width=16, cardinality=[1, 2]),\n"
        "    budget=ex.Budget('1x4d', params=0.2), contrast=('2x3d', '1x4d'), seeds=2, epochs=40, device='cpu',\n"
        "    storage=ex.Storage('none', weights='last'),\n"
        "    engine=ex.Engine(workers=1, threads=1, precision='float32', forms='native', save_every=0))\n"
        "seconds = 6\n"
        "while s.run(hours=seconds / 3600).plan()['left'].any():\n"
        "    print('AGAIN')\n"
        "    seconds *= 2\n"
        "print('THEN', len(s.runs), s.verdict)\n"
        "network = s.best().build(weights=True)\n"
        "print('BUILT', not network.training)\n"
    )
    words = [sys.executable, str(script)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, env={**_environment(), "COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    assert re.search(r"Stopped after \d+ s as asked: ", done.stdout)  # after more, where a start takes longer than 6 s
    assert "AGAIN" in done.stdout
    assert "THEN 4 Inconclusive" in done.stdout
    assert "BUILT True" in done.stdout


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}


def error_of(run: Any) -> float:
    """An error that is ten points lower for two paths, a little more or less by seed."""
    return float(0.3 - 0.1 * ("2x" in run.setting) * (1 + run.seed / 100))


def tell_all(mine: ex.Study, **keys: Any) -> list[str]:
    told = []
    for run in mine.ask(**keys):
        mine.tell(run, val_error=0.2, test_error=error_of(run))
        told.append(f"{run.setting} {run.seed}")
    return told


def test_what_was_told_is_kept_paired_and_judged() -> None:
    mine = asked(seeds=5)
    for number, run in enumerate(mine.ask()):
        if number == 3:
            break
        assert (run.params, run.judged, run.until) == (ex.costs(run.setting, **SIZES).params, True, None)
        assert run.build()(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
        mine.tell(run, val_error=0.2, test_error=error_of(run))
    assert len(mine.runs) == 3
    assert tell_all(mine) == [f"{name} {seed}" for seed in (1, 2, 3, 4) for name in NAMES][1:]
    assert tell_all(mine) == []
    assert mine.verdict.startswith(
        "ResNeXt-11 (2x3d, w16) beats ResNet-11 (1x4d, w16) as another program trained them: its test error is 10.2"
    )
    page = Path("reports/mine.html").read_text()
    assert "as another program trained them" in page
    assert "the paper&#39;s initialisation" not in page.split("<script")[0]
    assert len(mine.epochs) == 0
    assert tell_all(asked(seeds=6)) == [f"{name} 5" for name in NAMES]
    with pytest.raises(ex.InputError, match=r"search.seeds was 6, now 5"):
        _ = mine.verdict
    with pytest.raises(ex.InputError, match="is read by another program"):
        asked(seeds=7).run(quiet=True)
    with pytest.raises(ex.InputError, match="data_hash"):
        tell_all(asked(seeds=7), fingerprint="other images")
    assert main(["doctor", "mine"]) == 0


NAMES = ("11-1x4d-w16", "11-2x3d-w16")
SIZES = {"channels": 1, "image_size": 8, "classes": 10}


def test_epochs_and_answers_are_recorded_and_what_is_wrong_is_refused() -> None:
    mine = asked(seeds=2)
    runs = mine.ask(at_once=2)
    one, two = next(runs), next(runs)
    with pytest.raises(ex.InputError, match="has not been told; tell its result"):
        next(runs)
    runs = mine.ask(at_once=2)  # the loop before ended with the error
    one, two = next(runs), next(runs)
    with pytest.raises(ex.InputError, match="val_error is missing"):
        mine.tell(one, test_error=0.5)
    with pytest.raises(ex.InputError, match="test_error is missing"):
        mine.tell(one, val_error=0.5)
    for wrong in (12.0, -0.1, float("nan"), True, "0.1"):
        with pytest.raises(ex.InputError, match=r"test_error=.*: allowed is a fraction, from 0 to 1"):
            mine.tell(one, val_error=0.5, test_error=wrong)  # type: ignore[arg-type]
    for keys, line in (
        ({"seconds": "3"}, "seconds='3': allowed are numbers"),
        ({"seconds": float("nan")}, "seconds=nan: allowed are numbers"),
        ({"learning_rate": "x", "epoch": 1}, "learning_rate='x': allowed are numbers"),
        ({"epoch": 1.5}, r"epoch=1\.5: allowed are whole numbers"),
        ({"message": 3}, "message=3: allowed is text"),
    ):
        with pytest.raises(ex.InputError, match=line):
            mine.tell(one, val_error=0.5, test_error=0.5, **keys)
    with pytest.raises(ex.InputError, match=r"'x': is no run that Study\.ask gave out"):
        mine.tell("x", val_error=0.5, test_error=0.5)  # type: ignore[arg-type]
    for keys, line in (
        ({"at_once": "2"}, "at_once='2': allowed"),
        ({"fingerprint": 3}, "fingerprint=3: allowed is text"),
    ):
        with pytest.raises(ex.InputError, match=line):
            next(mine.ask(**keys))
    with pytest.raises(ex.InputError, match="epoch 2 is told, and 1 is the next"):
        mine.tell(one, epoch=2, val_error=0.5, train_error=0.5, loss=1)
    with pytest.raises(ex.InputError, match="loss is missing"):
        mine.tell(one, epoch=1, val_error=0.5, train_error=0.5)
    with pytest.raises(ex.InputError, match=r"has shape \(3,\); expected one value for each of 16 test images"):
        mine.tell(one, val_error=0.5, test_error=0.5, right=[1, 0, 1])
    with pytest.raises(ex.InputError, match=r"0.500000 of the images are wrong, and test_error=0.25"):
        mine.tell(one, val_error=0.5, test_error=0.25, right=[1, 0] * 8)
    for right in ([0.9] * 8 + [0] * 8, ["yes"] * 16, "abc", torch.tensor([2] * 16)):
        with pytest.raises(ex.InputError, match=r"run .*: right: allowed are True and False, or 1 and 0"):
            mine.tell(one, val_error=0.5, test_error=0.5, right=right)
    for ended, line in (
        ({"test_error": 0.5}, "test_error is told of the run's end, without epoch="),
        ({"right": [1, 0] * 8}, "right is told of the run's end"),
        ({"status": "diverged"}, "status is told of the run's end"),
        ({"message": "x"}, "message is told of the run's end"),
    ):
        with pytest.raises(ex.InputError, match=line):
            mine.tell(one, epoch=1, val_error=0.5, train_error=0.5, loss=1, **ended)
    with pytest.raises(ex.InputError, match="message='x': is recorded of a run with a status other than ok"):
        mine.tell(one, val_error=0.5, test_error=0.5, message="x")
    with pytest.raises(ex.InputError, match="status='bad': allowed are ok, diverged"):
        mine.tell(one, status="bad")  # type: ignore[arg-type]
    for epoch in (1, 2):
        assert mine.tell(one, epoch=epoch, val_error=0.5, train_error=0.4, loss=1.5)
    near = 0.5 + 1e-7  # as float32 gives it; the images are exact
    mine.tell(one, val_error=np.float32(0.5), test_error=torch.tensor(near), right=torch.tensor([1, 0] * 8))
    mine.tell(two, status="diverged", message="the loss is no number")
    with pytest.raises(ex.InputError, match="not one that was asked for"):
        mine.tell(two, val_error=0.5, test_error=0.5)
    runs.close()
    found = mine.runs.set_index("setting")
    assert found["status"].tolist() == ["ok", "diverged"]
    assert mine.epochs["epoch"].tolist() == [1, 2]
    assert found["loss"][NAMES[0]] == 1.5
    assert found["test_error"][NAMES[0]] == 0.5
    with pytest.raises(ex.InputError, match="nothing is asked for now"):
        mine.tell(two, val_error=0.5, test_error=0.5)
    # What to do next is what a program can do: a command trains none of its runs, and has none of its weights.
    with pytest.raises(ex.InputError, match=r"data_hash was .*; ask with the fingerprint with which it began, or"):
        next(asked(seeds=2).ask(fingerprint="another"))
    with pytest.raises(ex.InputError, match=r"epochs was 7, now 3\); ask for its .* explorer\.Study\('mine'\)\.ask\("):
        next(asked(seeds=2, epochs=3).ask())
    for made in (lambda: mine.best().build(weights=True), lambda: mine.export(train=True)):
        with pytest.raises(ex.InputError, match=r"another program trained .* seed 0 and told its result"):
            made()
    assert mine.best(params="<1M").why.endswith("of 1 design with params below 1,000,000")
    assert len(repr(mine.finding)) < 1000
    for name, lines in ((RUNS, 3), (EPOCHS, 3), (CORRECT, 2)):
        assert len((mine.folder / name).read_text().splitlines()) == lines


def test_a_search_stops_what_a_program_tells_is_poor() -> None:
    search = ex.Search("tpe", designs=9, seeds=1, pruner="halving", final=0, baseline=0.0)
    space = ex.Space(depth=11, width=[16, 20, 24], cardinality=[1, 2, 4], bottleneck_width=[2, 3])
    mine = ex.Study(name="mine", data=ELSEWHERE, search=search, space=space, budget="none", batch_size=10, epochs=9,
                    storage="none", contrast=None)  # fmt: skip
    parts: dict[str, list[tuple[int, int | None]]] = {}
    for run in mine.ask():
        assert not run.judged
        parts.setdefault(run.id, []).append((run.begun, run.until))
        error, goes_on = 1 / (1 + run.params), True
        for epoch in range(run.begun + 1, (run.until or 9) + 1):
            goes_on = mine.tell(run, epoch=epoch, val_error=error, train_error=error, loss=error)
            assert goes_on == (epoch != run.until)
        if goes_on:
            with pytest.raises(ex.InputError, match="test_error is told of a search, which still chooses"):
                mine.tell(run, val_error=error, test_error=error)
            mine.tell(run, val_error=error)
    assert {"ok", "pruned"} == {*mine.runs["status"]}
    assert parts[mine.runs.loc[mine.runs["status"] == "ok", "run"].iloc[0]] == [(0, 1), (1, 3), (3, None)]
    assert mine.best().params == mine.runs["params"].max()


def test_a_search_chooses_and_stops_by_the_costs_that_a_program_tells() -> None:
    """Its networks are the larger, the smaller the designs are; the loop is left in the middle once."""
    search = ex.Search(
        "nsga2", designs=9, seeds=1, objectives=["error", "macs"], pruner="halving", final=0, baseline=0.0
    )
    space = ex.Space(depth=11, width=[16, 20, 24], cardinality=[1, 2, 4], bottleneck_width=[2, 3])
    mine = ex.Study(name="mine", data=ELSEWHERE, search=search, space=space, budget="none", batch_size=10, epochs=9,
                    storage="none", contrast=None)  # fmt: skip
    at_rung: dict[int, list[tuple[float, float]]] = {}
    wanted: dict[str, str] = {}
    for part in range(2):
        for number, run in enumerate(mine.ask()):
            cost = ex.Cost(10**6 - run.params, 10**9 - run.macs, run.activations)
            assert wanted.get(run.id, "ok") == "ok"  # what was stopped is not asked for again
            if part == 0 and number == 8:
                break
            error = 0.3 + (run.params % 7) / 100
            for epoch in range(run.begun + 1, (run.until or 9) + 1):
                mine.tell(run, epoch=epoch, val_error=error, train_error=error, loss=error, costs=cost)
            if run.until is None:
                mine.tell(run, val_error=error, costs=cost)
            else:
                points = at_rung.setdefault(run.until, [])
                points.append((error, float(cost.macs)))
                wanted[run.id] = "ok" if goes_on(points, 3) else "pruned"
    found = mine.runs.set_index("run")
    assert found["status"].to_dict() == wanted
    assert {*wanted.values()} == {"ok", "pruned"}
    trials = mine.to_optuna().trials
    told = {trial.values[1]: trial.user_attrs["macs"] for trial in trials if trial.values}  # noqa: PD011
    assert len(told) > 1
    assert all(macs == own > 9 * 10**8 for macs, own in told.items())


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"objectives": ["error", "latency"], "sampler": "nsga2", "designs": 4}, "latency is measured"),
        ({"sampler": "tpe", "designs": 4, "final": 2}, "search.final: the final round is trained by this project"),
        ({"seeds": "auto"}, "search.seeds=auto: ask takes a number of seeds"),
        ({"data": {"train_images": None}}, "data.train_images=None: nothing is read here"),
    ],
)
def test_what_only_our_own_training_can_do_is_refused(keys: dict[str, Any], line: str) -> None:
    contrast = {"contrast": None} if "sampler" in keys else {}
    with pytest.raises(ex.InputError, match=line):
        next(study(**{"data": ELSEWHERE, **contrast, **keys}).ask())


@pytest.mark.real
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_runs(example: Path) -> None:
    done = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, env=_environment())
    assert done.returncode == 0, done.stderr
    assert "beats" in done.stdout


def test_settings_come_from_a_file_too() -> None:
    made_up(study(epochs=3).config)
    again: StudyConfig = ex.Study(Path("studies/mine"), name="again").config
    assert (again.name, again.recipe.epochs) == ("again", 3)


@pytest.mark.real
def test_two_studies_run_in_threads_of_one_process(workplace: Path) -> None:
    own = {
        "seeds": 1,
        "epochs": 1,
        "batch_size": 20,
        "data": {"train_images": 80, "val_images": 40, "test_images": 100},
    }
    ended: dict[str, str] = {}

    def run(name: str) -> None:
        try:
            study(name=name, **own).run(quiet=True)
            ended[name] = "done"
        except Exception as error:  # noqa: BLE001 - told below
            ended[name] = repr(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in ("one", "two")]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert ended == {"one": "done", "two": "done"}
    assert all(f"{name}.html" in Path("reports/index.html").read_text() for name in ended)
    shutil.rmtree("studies/one")
    with pytest.raises(ex.InputError, match="there is no such study yet"):
        _ = ex.open_study("one").verdict


def test_an_error_shows_its_lines_alone_in_a_notebook_and_all_of_them_in_a_traceback() -> None:
    error = ex.InputError("what\nis wrong", "a difference", "another")
    assert str(error) == "what\\nis wrong"
    assert error._render_traceback_() == ["InputError: what\\nis wrong", "a difference", "another"]
    assert traceback.format_exception(error)[-2:] == ["a difference\n", "another\n"]
