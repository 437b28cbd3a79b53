"""Parts of a recipe that extensions add: trained with, continued with the same bits, and held to what they give."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.host.errors import InputError
from explorer.record import folder as study
from explorer.study import parts
from explorer.study.plan import plan_of
from explorer.study.run import EpochResult, Execution, Outcome, Run
from explorer.study.runs import runs_of
from explorer.study.settings import Numbers, StudyConfig
from explorer.training.checkpoint import Checkpointing
from explorer.training.images.split import load
from explorer.training.loop import StoppedError, train
from explorer.training.optimizer_state import packed, unpack
from explorer.training.parts import try_out
from explorer.training.schedule import learning_rate
from explorer.verbs.extend import extend
from tests.conftest import TINY, broadly, only_line
from tests.test_layers import ROOT

EXECUTION = Execution("cpu", "some processor", "grouped", "channels_last", "float32", 1, 20)
EXAMPLE = ROOT / "examples" / "augmentation.py"
# Two groups of weights, one at a tenth of the rate; state in tensors of two types; a schedule, noise and a loss.
PARTS = """
import itertools
import math
import torch

counted = itertools.count(1)

class Worn(torch.optim.Adam):
    steps = 0

    def step(self, closure=None):
        self.steps += 1
        for group in self.param_groups:
            group["lr"] = 0.1 / self.steps
        super().step()

def adam(parameters, recipe, *, beta=0.9):
    wide = [one for one in parameters if one.ndim > 1]
    rest = [one for one in parameters if one.ndim == 1]
    rate = recipe.learning_rate
    return torch.optim.Adam([{"params": wide}, {"params": rest, "lr": rate / 10}], lr=rate, betas=(beta, 0.99))

def waves(progress, recipe, *, cycles=3):
    return 0.5 * (1 + math.cos(math.pi * (progress * cycles % 1)))

def noise(images, generator, *, std=0.1):
    return images + std * torch.randn(images.shape, generator=generator).to(images.device)

def focal(scores, labels, recipe, *, gamma=2.0):
    logs = scores.log_softmax(1)
    shares = labels if labels.is_floating_point() else torch.nn.functional.one_hot(labels, scores.shape[1])
    return (-(shares * logs) * (1 - logs.exp()) ** gamma).sum(1).mean()

OPTIMIZERS, SCHEDULES, AUGMENTATIONS, LOSSES = {"adam": adam}, {"waves": waves}, {"noise": noise}, {"focal": focal}
"""
ALL = {"optimizer": "adam", "schedule": "waves", "augmentation": ("mixup", "noise"), "loss": "focal"}


@pytest.fixture
def run(tiny: StudyConfig, tmp_path: Path) -> Run:
    """A run of five epochs of four steps with all kinds of parts."""
    (tmp_path / "mine.py").write_text(PARTS)
    extend(EXAMPLE, tmp_path / "mine.py")
    one = runs_of(plan_of(tiny), plan_of(tiny).settings, EXECUTION, load(tiny.data).digest)[1][1]
    return replace(one, recipe=replace(one.recipe, epochs=5, learning_rate=0.01, **ALL))  # type: ignore[arg-type]


def outcome(run: Run, **more: Any) -> tuple[Outcome, list[EpochResult]]:
    """Of a run, without the time that it took."""
    results: list[EpochResult] = []
    found = train(run, results.append, **more)
    return replace(found, seconds=0.0, images_per_second=None), [replace(one, seconds=0.0) for one in results]


@pytest.mark.parametrize(
    "change", broadly([({},), ({"micro_batch": 10},), ({"augmentation": (), "loss": "cross_entropy"},)])
)
@pytest.mark.parametrize("precision", broadly([("float32",), ("float16",)], 2))
def test_a_run_that_is_stopped_again_and_again_gives_the_bits_of_one_that_is_not(
    run: Run, change: dict[str, Any], precision: Any, tmp_path: Path
) -> None:
    run = replace(run, recipe=replace(run.recipe, **change))
    run = replace(run, execution=replace(EXECUTION, precision=precision, micro_batch=run.recipe.images_a_pass))
    whole = outcome(run)
    assert whole[0].status == "ok"
    keeping = Checkpointing(tmp_path / "kept", lambda _: None, every=0)
    for pulses in (3, 2, 7):
        left = iter(range(pulses))
        with pytest.raises(StoppedError):
            train(run, lambda _: None, keeping=keeping, goes_on=lambda left=left: next(left, None) is not None)  # type: ignore[misc]
    assert outcome(run, keeping=keeping) == whole


@pytest.mark.real
def test_every_part_and_every_number_decides_the_result_and_the_id(run: Run) -> None:
    changes: list[dict[str, Any]] = [{"optimizer": "sgd"}, {"schedule": "one_cycle"}, {"loss": "cross_entropy"}]
    changes += [{"augmentation": one} for one in ((), ("noise",), ("noise", "mixup"))]
    given = {"adam": {"beta": 0.8}, "waves": {"cycles": 2.0}, "noise": {"std": 0.5}, "focal": {"gamma": 1.0}}
    changes += [{"numbers": {name: own}} for name, own in given.items()]
    runs = [run, *(replace(run, recipe=replace(run.recipe, epochs=5, **change)) for change in changes)]
    assert len({one.id for one in runs}) == len(runs)
    curves = [[result.loss for result in outcome(one)[1]] for one in runs]
    assert len({tuple(curve) for curve in curves}) == len(runs)
    assert outcome(run)[1] == outcome(run)[1]
    # A number that is given with the value that it has anyway is another run of the same bits.
    same = replace(run, recipe=replace(run.recipe, numbers={"mixup": {"alpha": 0.2}}))
    assert [result.loss for result in outcome(same)[1]] == curves[0]
    assert hash(same.recipe) == hash(replace(same.recipe, numbers=Numbers({"mixup": {"alpha": 0.2}})))


def test_a_schedule_is_a_factor_at_each_share_of_the_run(run: Run) -> None:
    rates = [learning_rate(run.recipe, step, 12) for step in range(12)]
    assert rates == pytest.approx([0.005 * (1 + math.cos(math.pi * (step / 4 % 1))) for step in range(12)])
    slow = replace(run.recipe, numbers={"waves": {"cycles": 1}})
    assert learning_rate(slow, 6, 12) == pytest.approx(0.005)


def test_groups_of_weights_keep_their_shares_of_the_rate(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[tuple[float, ...]]()
    plain = torch.optim.Adam.step

    def step(self: torch.optim.Adam, *given: Any) -> Any:
        seen.append(tuple(float(group["lr"]) for group in self.param_groups))
        return plain(self, *given)

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    outcome(replace(run, recipe=replace(run.recipe, epochs=1)))
    rates = [learning_rate(replace(run.recipe, epochs=1), number, 4) for number in range(4)]
    assert seen == [(rate, pytest.approx(rate / 10)) for rate in rates]


def test_a_state_of_any_kind_comes_back_in_its_type_and_its_place_in_memory() -> None:
    def made() -> torch.optim.Optimizer:
        weights = torch.ones(4, 3, 2, 2).contiguous(memory_format=torch.channels_last).requires_grad_()
        return torch.optim.AdamW([weights], lr=0.1)

    one, other = made(), made()
    (weights,) = one.param_groups[0]["params"]
    weights.grad = torch.full_like(weights, 0.5)
    one.step()
    one.state[weights] |= {"low": weights.detach().bfloat16(), "seen": [1, (2.5, None)], "by": {"name": {3: True}}}
    one.param_groups[0]["betas"] = (0.5, 0.6)
    kept = {key: tensor.clone().contiguous() for key, tensor in packed(one).items()}
    unpack(kept, other)
    (same,) = other.param_groups[0]["params"]
    for key, value in one.state[weights].items():
        found = other.state[same][key]
        if isinstance(value, torch.Tensor):
            assert (found.dtype, found.stride(), found.tolist()) == (value.dtype, value.stride(), value.tolist())
        else:
            assert found == value
    assert other.param_groups[0]["betas"] == (0.5, 0.6)
    one.state[weights]["other"] = {1, 2}
    with pytest.raises(ValueError, match="it holds a set; allowed: tensors, numbers"):
        packed(one)


@pytest.mark.real
def test_the_example_is_trained_recorded_and_wanted_again(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["recipe.augmentation=mixup", "recipe.numbers.mixup.alpha=0.4", f"extensions={EXAMPLE}"]
    assert main([*TINY, *words]) == 0
    folder = study.study_folder("tiny")
    found = open_study(folder)
    assert found.config.recipe.numbers == {"mixup": {"alpha": 0.4}}
    assert found.record.runs["status"].tolist() == ["ok"] * 4
    assert "extensions/augmentation.py" in json.loads((folder / study.ENVIRONMENT).read_text())["sources"]
    page = study.REPORTS.joinpath("tiny.html").read_text()
    assert "<dt>augmentation</dt>" in page
    capsys.readouterr()
    assert main([*TINY, *words[::2]]) == 2
    assert "recipe.numbers" in capsys.readouterr().err


# ---------------------------------------------------------------- what is wrong is said in one line


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["recipe.optimizer=adm"], "recipe.optimizer=\"adm\": must be 'sgd', 'adamw' or 'adam' (did you mean adam?)"),
        (["recipe.augmentation=[noise,noise]"], "allowed is each of them once"),
        (["recipe.augmentation=mixup"], "recipe.augmentation=\"mixup\": must be 'noise'"),
        (["recipe.numbers.noise.std=1"], "recipe.numbers.noise: the recipe names no such part"),
        (["recipe.loss=focal", "recipe.numbers.focal.gama=1"], "numbers.focal.gama: unknown (did you mean gamma?)"),
        (["recipe.loss=focal", "recipe.numbers.focal.gamma=x"], 'recipe.numbers.focal.gamma="x": must be a number'),
    ],
)
def test_parts_that_are_not_there(
    words: list[str],
    told: str,
    workplace: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    file = tmp_path_factory.mktemp("code") / "mine.py"
    file.write_text(PARTS)
    assert main(["plan", "equal_params", f"extensions={file}", *words]) == 2
    assert told in only_line(capsys, workplace)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("return images +", "return images[1:] +"), "augmentation=noise: mine.py line 27: RuntimeError: The size"),
        (("return images + std", "return (images + std).double() + 0"), "gives images float64 of shape"),
        (("return images", "return 0 * images / 0"), "augmentation=mixup,noise: gives numbers that are not finite"),
        ((", generator=generator)", ")"), "gives other images each time; draw all random numbers from the generator"),
        ((".sum(1).mean()", ".sum(1)"), "recipe.loss=focal: gives shape (20,); allowed: one number"),
        ((".sum(1).mean()", ".sum(1).mean() * math.inf"), "recipe.loss=focal: gives "),
        (("logs = scores", "logs = scores.detach()"), "recipe.loss=focal: does not depend on the scores"),
        (("0.5 * (1 + math", "0.5 * (-2 + math"), "recipe.schedule=waves: gives -0.5 at 0 of the run; allowed"),
        (("return torch.optim.Adam(", "return len("), "recipe.optimizer=adam: mine.py line 21: "),
        (("[{\"params\": wide}, {", "[{"), "recipe.optimizer=adam: holds "),
        (("return torch.optim.Adam(", "return torch.optim.LBFGS(parameters)  # ("), "recipe.optimizer=adam: "),
        (("0.5 * (1 + math", "__import__('random').random() + 0 * (1 + math"), "waves: gives another factor each time"),
        (("return 0.5 * (", "exit('now') or ("), "recipe.schedule=waves: mine.py line 24: SystemExit: now (at"),
        (("return images +", "exit() or images +"), "recipe.augmentation=noise: mine.py line 27: SystemExit"),
        (("logs = scores", "labels.zero_(); logs = scores"), "loss=focal: changes the labels that it is given; let it"),
        (("logs = scores", "logs = (scores * next(counted))"), "gives another number each time; a part"),
        (("return torch.optim.Adam(", "return Worn("), "takes another step after its state was kept and restored"),
    ],
)  # fmt: skip
def test_a_part_that_does_not_do_what_it_should_costs_no_run(
    tiny: StudyConfig, change: tuple[str, str], told: str, tmp_path: Path
) -> None:
    assert change[0] in PARTS
    (tmp_path / "mine.py").write_text(PARTS.replace(*change))
    extend(EXAMPLE, tmp_path / "mine.py")
    recipe = replace(tiny.recipe, **ALL)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=re.escape(told)):
        try_out(recipe, tiny.data.task, 80, "cpu")


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("loss", lambda scores, labels: 0, "takes (scores, labels); allowed: a function (scores, labels, recipe, *, "),
        ("loss", 3, "is a int; allowed: a function"),
        ("schedule", lambda progress, recipe, *, base: 0, "base: needs a number as its default"),
        ("schedule", lambda progress, recipe, *, base=True: 0, "base: needs a number as its default"),
        ("augmentation", lambda images, generator, labels: 0, "takes (images, generator, labels); allowed"),
    ],
)
def test_functions_that_are_no_parts(key: str, value: Callable[..., Any] | int, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        parts.checked(key)("mine", value)


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(ValueError, match="is a part of recipes already"):
        parts.checked("schedule")("one_cycle", lambda progress, recipe: 1.0)


def test_a_part_that_fails_while_a_run_is_trained_names_itself_and_its_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(
        "def late(images, generator):\n    late.calls = getattr(late, 'calls', 0) + 1\n"
        "    return images / (1 - late.calls // 4)\n\n"
        "def worse(scores, labels, recipe):\n    raise KeyError('x')\n\n"
        "AUGMENTATIONS, LOSSES = {'late': late}, {'worse': worse}\n"
    )
    extend(tmp_path / "late.py")
    recipe = replace(run.recipe, augmentation=("late",))
    diverged = train(replace(run, recipe=replace(recipe, loss="cross_entropy")), lambda _: None)
    assert (diverged.status, diverged.message) == ("diverged", "the loss was not finite in epoch 1")
    with pytest.raises(InputError, match=r"recipe\.loss=worse: late\.py line 6: KeyError: 'x'"):
        train(replace(run, recipe=replace(run.recipe, loss="worse")), lambda _: None)


def test_a_loss_may_draw_and_draws_alike_in_a_run_that_was_stopped(run: Run, tmp_path: Path) -> None:
    (tmp_path / "drawing.py").write_text(
        "import torch, random, numpy as np\nimport torch.nn.functional as F\n\n"
        "def drawing(scores, labels, recipe):\n"
        "    shift = torch.randn_like(scores) * random.random() * float(np.random.rand())\n"
        "    return F.cross_entropy(scores + shift, labels)\n\n"
        "LOSSES = {'drawing': drawing}\n"
    )
    extend(tmp_path / "drawing.py")
    run = replace(run, recipe=replace(run.recipe, loss="drawing"))
    try_out(run.recipe, run.task, 80, "cpu")
    whole, keeping = outcome(run), Checkpointing(tmp_path / "kept", lambda _: None, every=0)
    left = iter(range(7))
    with pytest.raises(StoppedError):
        train(run, lambda _: None, keeping=keeping, goes_on=lambda: next(left, None) is not None)
    torch.rand(5)
    assert outcome(run, keeping=keeping) == whole


def test_an_augmentation_that_leaves_a_graph_is_trained_with(run: Run, tmp_path: Path) -> None:
    (tmp_path / "graph.py").write_text(
        "import torch\none = torch.ones(1, requires_grad=True)\n"
        "AUGMENTATIONS = {'graph': lambda images, generator: images * one}\n"
    )
    extend(tmp_path / "graph.py")
    recipe = replace(run.recipe, augmentation=("graph", "mixup"))
    try_out(recipe, run.task, 80, "cpu")
    assert outcome(replace(run, recipe=recipe))[0].status == "ok"
