"""The parts of a recipe: each decides the bits, goes on after a stop, and is what its source says."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name
from PIL import Image, ImageEnhance, ImageOps
from torch import nn

from explorer.design import parse_name
from explorer.host import extensions
from explorer.host.errors import InputError
from explorer.study.plan import plan_of
from explorer.study.run import EpochResult, Execution, Outcome, Run
from explorer.study.runs import runs_of
from explorer.study.settings import Recipe, StudyConfig
from explorer.training import loop
from explorer.training.checkpoint import Checkpointing
from explorer.training.images.mixing import drawn_erasing, erased, mixed
from explorer.training.images.policy import OPERATIONS, PLACE, drawn_policy, with_policy
from explorer.training.images.split import load
from explorer.training.loop import StoppedError, train
from explorer.training.network import kernels
from explorer.training.network.weights import read_weights
from explorer.training.optimizers import optimizer_of
from explorer.training.parts import try_out
from explorer.training.schedule import learning_rate
from explorer.training.step_draws import StepDraws
from explorer.training.streams import stream
from explorer.verbs.command_line import read_command
from explorer.verbs.extend import extend
from tests.conftest import TINY, broadly
from tests.test_layers import ROOT
from tests.training.test_image_sources import config, pictures, write_parquet

SHUFFLED = ROOT / "examples" / "shuffle.py"
fast = pytest.mark.skipif(not kernels.is_available(), reason="needs a C compiler, for the kernels")
EXECUTION = Execution("cpu", "some processor", "grouped", "channels_last", "float32", 1, 20)
# Each part at a value that is not the default, with what it needs beside it.
ALONE: dict[str, dict[str, Any]] = {
    "momentum": {"momentum": 0.5},
    "nesterov": {"nesterov": False},
    "weight_decay": {"weight_decay": 0.1},
    "label_smoothing": {"label_smoothing": 0.2},
    "zero_init_residual": {"zero_init_residual": True},
    "init": {"init": "fan_in"},
    "init_gain": {"init_gain": 0.5},
    "shift": {"shift": 1},
    "flip": {"flip": True},
    "cutout": {"cutout": 2},
    "crop_area": {"crop_area": (0.3, 1.0)},
    "jitter": {"jitter": 0.4},
    "lighting": {"lighting": 0.5},
    "learning_rate": {"learning_rate": 0.02},
    "warmup": {"warmup": 0.6},
    "schedule": {"schedule": "linear"},
    "milestones": {"schedule": "step", "milestones": (0.5,)},
    "batch_size": {"batch_size": 10},
    "micro_batch": {"micro_batch": 10},
    "optimizer": {"optimizer": "adamw"},
    "betas": {"optimizer": "adamw", "betas": (0.8, 0.95)},
    "decay_norms": {"decay_norms": False, "weight_decay": 0.1},
    "warmup_epochs": {"warmup": 0.0, "warmup_epochs": 1.5},
    "clip": {"clip": 0.05},
    "ema": {"ema": 0.9},
    "mixup": {"mixup": 0.4},
    "cutmix": {"cutmix": 1.0},
    "rand_augment": {"rand_augment": (2, 9.0)},
    "trivial_augment": {"trivial_augment": True},
    "erasing": {"erasing": 0.5},
    "stochastic_depth": {"stochastic_depth": 0.5},
    "dropout": {"dropout": 0.5},
}
# Whose length, and parts of extensions: see test_loop.py and test_added_parts.py.
ELSEWHERE = {"epochs", "steps", "augmentation", "loss", "numbers"}
# Parts with a state, or numbers, of their own; all of them together come first.
KEPT = ["optimizer", "decay_norms", "clip", "ema", "mixup", "cutmix", "rand_augment", "erasing", "stochastic_depth"]
KEPT += ["dropout"]
TOGETHER = {key: value for name in KEPT for key, value in ALONE[name].items()}
TOGETHER |= {"shift": 1, "flip": True, "cutout": 2, "jitter": 0.4, "lighting": 0.1, "micro_batch": 10}


@pytest.fixture
def run(tiny: StudyConfig) -> Run:
    """A run of four epochs of four steps."""
    one = runs_of(plan_of(tiny), plan_of(tiny).settings, EXECUTION, load(tiny.data).digest)[1][1]
    return replace(one, recipe=replace(one.recipe, epochs=4))


def under(run: Run, changes: dict[str, Any], **execution: Any) -> Run:
    recipe = replace(run.recipe, **changes)
    return replace(run, recipe=recipe, execution=replace(EXECUTION, micro_batch=recipe.images_a_pass, **execution))


def outcome(run: Run, **more: Any) -> tuple[Outcome, list[EpochResult]]:
    """Of a run, without the time that it took."""
    results: list[EpochResult] = []
    found = train(run, results.append, **more)
    return replace(found, seconds=0.0, images_per_second=None), [replace(one, seconds=0.0) for one in results]


def losses(run: Run) -> list[float]:
    return [one.loss for one in outcome(run)[1]]


def test_every_key_of_a_recipe_is_tried_here() -> None:
    assert {one.name for one in fields(Recipe)} == {*ALONE} | ELSEWHERE
    for name, changes in ALONE.items():
        assert name in changes


@pytest.mark.parametrize("name", ALONE)
def test_every_key_of_a_recipe_decides_the_result_and_the_id(run: Run, name: str) -> None:
    short = under(run, {"epochs": 2})
    plain = under(short, {key: value for key, value in ALONE[name].items() if key != name})
    changed = under(short, ALONE[name])
    assert changed.id != plain.id
    if name != "ema":  # which changes what is evaluated, not what is trained
        assert losses(changed) != losses(plain)


@pytest.mark.parametrize("precision", broadly([("float32",), ("float16",), ("bfloat16",)], 2))
@pytest.mark.parametrize("name", broadly([("together",), *((one,) for one in KEPT)]))
def test_a_run_that_is_stopped_again_and_again_gives_the_bits_of_one_that_is_not(
    run: Run, name: Any, precision: Any, tmp_path: Path
) -> None:
    own = under(run, TOGETHER if name == "together" else ALONE[name], precision=precision)
    whole = outcome(own, weights=tmp_path / "whole.safetensors")
    assert whole[0].status == "ok"
    keeping = Checkpointing(tmp_path / "kept", lambda _: None, every=0)
    for pulses in (3, 2, 1, 7):  # in the second epoch, and among images that are evaluated
        left = iter(range(pulses))
        with pytest.raises(StoppedError):
            train(own, lambda _: None, keeping=keeping, goes_on=lambda left=left: next(left, None) is not None)  # type: ignore[misc]
    assert outcome(own, keeping=keeping, weights=tmp_path / "pieces.safetensors") == whole
    assert (tmp_path / "pieces.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


@pytest.mark.parametrize("form", ["sum", "concat"])
def test_forms_stay_equal_under_all_parts(run: Run, form: str) -> None:
    """To rounding: Adam divides by what may be rounding alone, so SGD is taken."""
    changes = {**TOGETHER, "optimizer": "sgd", "epochs": 1}
    assert losses(under(run, changes, form=form)) == pytest.approx(losses(under(run, changes)), rel=1e-4)


# ---------------------------------------------------------------- optimisers


def test_adamw_is_torchs_with_the_betas_and_the_decay_of_the_recipe(run: Run) -> None:
    recipe = replace(run.recipe, optimizer="adamw", betas=(0.8, 0.95), weight_decay=0.1, learning_rate=0.01)
    weights = [nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(3))]
    theirs = [nn.Parameter(one.detach().clone()) for one in weights]
    ours = optimizer_of(recipe, weights, EXECUTION)
    plain = torch.optim.AdamW(theirs, 0.01, (0.8, 0.95), weight_decay=0.1)
    draws = torch.Generator().manual_seed(0)
    for _ in range(3):
        for one, other in zip(weights, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=draws)
            other.grad = one.grad.clone()
        ours.step()
        plain.step()
    for one, other in zip(weights, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_without_decay_of_norms_batch_norms_and_biases_stand_where_gradients_are_none(
    run: Run, optimizer: str, precision: str
) -> None:
    own = under(run, {"optimizer": optimizer, "decay_norms": False, "weight_decay": 0.1}, precision=precision)
    network, made = loop.ready(own)
    before = {name: one.detach().clone() for name, one in network.named_parameters()}
    for one in network.parameters():
        one.grad = torch.zeros_like(one)
    made.step()
    for name, one in network.named_parameters():
        assert torch.equal(one, before[name]) == (one.ndim == 1), name
    assert sorted(len(group["params"]) for group in made.param_groups) == sorted(
        [sum(one.ndim == 1 for one in network.parameters()), sum(one.ndim > 1 for one in network.parameters())]
    )


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_gradients_are_clipped_by_the_norm_of_all_of_them_after_the_scale_is_taken_out(
    run: Run, precision: str
) -> None:
    """At a rate of one and without momentum a step is as long as the clipped gradients."""
    changes = {"clip": 0.01, "learning_rate": 1.0, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0}
    own = under(run, {**changes, "micro_batch": 10}, precision=precision)
    network, made = loop.ready(own)
    network.train()
    before = [one.detach().clone() for one in network.parameters()]
    images = torch.randn(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    loop.step(network, made, images, torch.arange(20) % 10, own.recipe, own.execution)
    moved = [(one.detach() - other).flatten() for one, other in zip(network.parameters(), before, strict=True)]
    assert float(torch.cat(moved).norm()) == pytest.approx(0.01, rel=1e-3)


ADDED = """
import torch


class Plain(torch.optim.Optimizer):
    def __init__(self, parameters, rate):
        super().__init__(parameters, {"lr": rate})

    def step(self, closure=None):
        for group in self.param_groups:
            for one in group["params"]:
                one.data.sub_(group["lr"] * one.grad)


def adam(parameters, recipe, *, beta=0.9):
    return torch.optim.Adam(parameters, recipe.learning_rate, (beta, 0.99), weight_decay=recipe.weight_decay)


def plain(parameters, recipe):
    return Plain(parameters, recipe.learning_rate)


def focal(scores, labels, recipe, *, gamma=2.0):
    logs = scores.log_softmax(1)
    shares = labels if labels.is_floating_point() else torch.nn.functional.one_hot(labels, scores.shape[1])
    return (-(shares * logs) * (1 - logs.exp()) ** gamma).sum(1).mean()


def noise(images, generator, *, std=0.1):
    return images + std * torch.randn(images.shape, generator=generator).to(images.device)


OPTIMIZERS, LOSSES, AUGMENTATIONS = {"adam": adam, "plain": plain}, {"focal": focal}, {"noise": noise}
"""


@pytest.fixture
def extended(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(ADDED)
    extend(tmp_path / "mine.py")


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_added_parts_work_beside_ours(run: Run, precision: str, extended: None, tmp_path: Path) -> None:
    mine = {"optimizer": "adam", "loss": "focal", "augmentation": ("noise",)}
    own = under(run, {**TOGETHER, **mine, "epochs": 2}, precision=precision)
    try_out(own.recipe, own.task, 80, "cpu")
    whole = outcome(own)
    assert whole[0].status == "ok"
    keeping, left = Checkpointing(tmp_path / "kept", lambda _: None, every=0), iter(range(5))
    with pytest.raises(StoppedError):
        train(own, lambda _: None, keeping=keeping, goes_on=lambda: next(left, None) is not None)
    assert outcome(own, keeping=keeping) == whole
    for change in ({"decay_norms": True}, {"clip": None}):
        assert outcome(under(own, change, precision=precision))[1] != whole[1]


def test_an_optimiser_without_weight_decay_cannot_spare_norms(run: Run, extended: None) -> None:
    recipe = replace(run.recipe, optimizer="plain", decay_norms=False)
    with pytest.raises(InputError, match=r"recipe\.decay_norms=false: recipe\.optimizer=plain has no weight_decay in"):
        try_out(recipe, run.task, 80, "cpu")


# ---------------------------------------------------------------- schedules


def rates(recipe: Recipe, **changes: Any) -> list[float]:
    recipe = replace(recipe, learning_rate=1.0, **changes)
    return [learning_rate(recipe, step, 8, 2) for step in range(8)]


def test_schedules_are_what_their_names_say(run: Run) -> None:
    recipe = replace(run.recipe, warmup=0.0)
    assert rates(recipe, schedule="constant") == [1.0] * 8
    assert rates(recipe, schedule="linear") == [1 - step / 8 for step in range(8)]
    assert rates(recipe, schedule="cosine") == rates(recipe, schedule="one_cycle")
    assert rates(recipe, schedule="cosine")[4] == pytest.approx(0.5)
    assert rates(recipe, schedule="cosine", warmup=0.25) == rates(recipe, schedule="cosine", warmup_epochs=1)
    assert rates(recipe, schedule="linear", warmup_epochs=2)[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates(recipe, schedule="step", milestones=(0.5,), warmup_epochs=1.5) == pytest.approx(
        [1 / 3, 2 / 3, 1.0, 1.0, 0.1, 0.1, 0.1, 0.1]
    )
    # As it was before: the fraction is not read by steps.
    assert rates(recipe, schedule="step", milestones=(0.5,), warmup=0.5)[0] == 1.0


def test_a_warm_up_in_epochs_is_as_long_where_steps_say_the_length(run: Run) -> None:
    changes = {"warmup": 0.0, "warmup_epochs": 1.5, "schedule": "cosine"}
    epochs, steps = (under(run, {**changes, **own}) for own in ({"epochs": 3}, {"epochs": None, "steps": 12}))
    assert outcome(epochs) == outcome(steps)


# ---------------------------------------------------------------- augmentation


def draws_of(run: Run, name: str, step: int = 3) -> torch.Tensor:
    drawing = StepDraws(run.recipe, run.seed, 8, "cpu", loop.dropping_of(loop.ready(run)[0]))
    return drawing.parted(drawing.drawn(step))[name]


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_colours_and_labels_are_mixed_in_the_share_that_is_drawn(run: Run, name: str) -> None:
    own = under(run, {name: 1.0})
    draws = torch.Generator().manual_seed(0)
    images, labels = torch.randn(20, 1, 8, 8, generator=draws), torch.randint(10, (20,), generator=draws)
    for step in range(20):
        drawn = draws_of(own, "mixing", step)
        found, shares = mixed(images, labels, drawn, own.recipe, 10)
        ours, theirs = images, images.roll(1, 0)
        if name == "mixup":
            assert torch.allclose(found, drawn[0] * ours + (1 - drawn[0]) * theirs, atol=1e-6)
            share = drawn[0]
        else:
            assert ((found == ours) | (found == theirs)).all()
            share = (found == ours).all(dim=1).float().mean(dim=(1, 2))
            assert float(share.std()) == 0.0
            share = share[0]
        assert float(drawn[5]) == pytest.approx(float(share), abs=1e-6)
        expected = share * F.one_hot(labels, 10) + (1 - share) * F.one_hot(labels.roll(1), 10)
        assert torch.allclose(shares, expected, atol=1e-6)
        # The loss for shares is that for both labels, with smoothing too.
        scores = torch.randn(20, 10, generator=draws)
        both = [F.cross_entropy(scores, one, label_smoothing=0.1) for one in (labels, labels.roll(1))]
        loss = F.cross_entropy(scores, shares, label_smoothing=0.1)
        assert float(loss) == pytest.approx(float(share * both[0] + (1 - share) * both[1]), rel=1e-5)


def test_with_mixup_and_cutmix_each_batch_draws_which(run: Run) -> None:
    own = under(run, {"mixup": 0.8, "cutmix": 1.0})
    shares = [float(draws_of(own, "mixing", step)[0]) for step in range(40)]
    assert 8 < sum(one == 1.0 for one in shares) < 32


def test_as_many_images_are_erased_as_asked_for_within_their_borders() -> None:
    recipe = replace(under_default(), erasing=0.25)
    boxes = torch.from_numpy(drawn_erasing(recipe, 4000, 32, np.random.default_rng(0))).float()
    assert ((boxes >= 0) & (boxes <= 32)).all()
    found = erased(torch.ones(4000, 1, 32, 32), boxes) == 0
    share = found.float().mean(dim=(1, 2, 3))
    assert 0.22 < float((share > 0).float().mean()) < 0.28
    assert float(share[share > 0].min()) > 0.015
    assert float(share.max()) < 0.42
    top, below, left, behind = boxes[5 * int((share[::5] > 0).nonzero()[0])].int().tolist()
    one = found[5 * int((share[::5] > 0).nonzero()[0]), 0]
    assert one[top:below, left:behind].all()
    assert int(one.sum()) == (below - top) * (behind - left)


def under_default(**changes: Any) -> Recipe:
    return replace(Recipe(2, 20, 0.05, "one_cycle", 0.2, (), 0.9, True, 5e-4, 0.0, 1, True, False), **changes)


def pillow(image: Image.Image, name: str, value: float) -> Image.Image:
    """One of the operations by Pillow, which the papers' code uses."""
    enhanced = {"brightness": "Brightness", "contrast": "Contrast", "color": "Color", "sharpness": "Sharpness"}
    if name in enhanced:
        found: Image.Image = getattr(ImageEnhance, enhanced[name])(image).enhance(value)
        return found
    if name == "posterize":
        return ImageOps.posterize(image, 8 - round(np.log2(value)))
    if name == "solarize":
        return ImageOps.solarize(image, int(value))
    if name in ("autocontrast", "equalize"):
        done: Image.Image = getattr(ImageOps, name)(image)
        return done
    return image


VALUES = {"brightness": 1.6, "contrast": 0.4, "color": 1.9, "sharpness": 0.1, "posterize": 16, "solarize": 100}


@pytest.mark.parametrize("some", [True, False])
def test_operations_of_colour_are_pillows(some: bool) -> None:
    rng = np.random.default_rng(0)
    low = rng.integers(20, 200, (6, 3, 4, 4))
    pixels = (np.kron(low, np.ones((1, 1, 8, 8))) + rng.integers(0, 30, (6, 3, 32, 32))).astype(np.uint8)
    for name in OPERATIONS:
        value = VALUES.get(name, 0.0)
        drawn = torch.tensor([[[PLACE[name], value]] * 6], dtype=torch.float32)
        found = with_policy(torch.from_numpy(pixels).float(), drawn, torch.zeros(3), 255, some=some)
        expected = [np.asarray(pillow(Image.fromarray(one.transpose(1, 2, 0)), name, value)) for one in pixels]
        apart = (found.numpy() - np.stack(expected).transpose(0, 3, 1, 2)).__abs__()
        assert apart.max() <= 1, name  # Pillow cuts off where we round


def test_operations_of_place_move_what_is_there_over_the_mean() -> None:
    images = torch.full((5, 1, 16, 16), 200.0)
    images[:, :, 6:10, 6:10] = 0.0
    moves = {"translate_x": 0.25, "translate_y": 0.25, "shear_x": 0.3, "shear_y": 0.3, "rotate": np.pi / 2}
    drawn = torch.tensor([[[PLACE[name], value] for name, value in moves.items()]], dtype=torch.float32)
    found = with_policy(images, drawn, torch.tensor([77.0]), 255, some=True)
    right, down, *_, turned = found[:, 0]
    assert torch.equal(right[:, :12], images[0, 0, :, 4:])
    assert (right[:, 12:] == 77).all()
    assert torch.equal(down[:12], images[0, 0, 4:])
    assert torch.equal(turned, images[0, 0].rot90())
    assert (found[2, 0, 8] == images[0, 0, 8]).float().mean() > 0.8  # the middle row hardly moves
    assert (found[2, 0, 0] == 77).any()


def test_operations_have_the_strengths_that_a_recipe_says() -> None:
    rng = np.random.default_rng(0)
    places, values = np.moveaxis(drawn_policy(under_default(rand_augment=(2, 5.0)), 5000, 32, rng), 2, 0)
    assert places.shape == (2, 5000)
    assert {*np.unique(places)} == {*range(14)}
    expected = {"shear_x": {-0.15, 0.15}, "rotate": {-np.pi / 12, np.pi / 12}, "color": {0.55, 1.45}}
    expected |= {"posterize": {4.0}, "solarize": {128.0}, "equalize": {0.0}}
    for name, wanted in expected.items():
        assert sorted({*np.round(values[places == PLACE[name]], 9)}) == pytest.approx(sorted(wanted)), name
    places, values = np.moveaxis(drawn_policy(under_default(trivial_augment=True), 5000, 32, rng), 2, 0)
    assert places.shape == (1, 5000)
    wide = np.abs(values[places == PLACE["rotate"]])
    assert (wide.max() > 0.98 * np.radians(135), wide.min() < 0.1) == (True, True)


def test_images_whose_levels_end_at_sixteen_stay_within(run: Run) -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 17, (20, 1, 8, 8))).float()
    own = under(run, {"rand_augment": (3, 9.0)})
    found = with_policy(images, draws_of(own, "policy"), torch.tensor([5.0]), 16, some=True)
    assert (float(found.min()) >= 0, float(found.max()) <= 16) == (True, True)
    assert not torch.equal(found, images)


def test_what_is_drawn_follows_from_the_seed_and_the_step_and_not_from_the_design_or_other_parts(run: Run) -> None:
    other = parse_name("20-1x4d-w16")
    parts = {"mixup": 0.4, "rand_augment": (2, 9.0), "erasing": 0.5, "stochastic_depth": 0.5, "dropout": 0.5}
    whole = under(run, parts)
    deep = replace(whole, architecture=other)
    for name in ("mixing", "policy", "erasing", "branches", "features"):
        drawn = draws_of(whole, name)
        assert torch.equal(draws_of(whole, name), drawn)
        assert not torch.equal(draws_of(replace(whole, seed=whole.seed + 1), name), drawn)
        assert not torch.equal(draws_of(whole, name, 4), drawn)
        if name != "branches":  # whose chances depend on the depth
            assert torch.equal(draws_of(deep, name), drawn)
    for name, key in (("mixing", "mixup"), ("policy", "rand_augment"), ("branches", "stochastic_depth")):
        assert torch.equal(draws_of(under(run, {key: parts[key]}), name), draws_of(whole, name))


def test_streamed_images_train_to_the_same_bits_as_resident_ones_under_all_parts(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_parquet(tmp_path / "set" / "train.parquet", pictures(40, channels=3))
    recipe = replace(run.recipe, **{**TOGETHER, "batch_size": 8, "micro_batch": 4, "epochs": 2})

    def found(keep: str) -> list[float]:
        data = config(tmp_path / "set", channels=3, test_images=6, keep=keep)
        task = replace(run.task, classes=3, channels=3)
        own = replace(run, data=data, data_hash=load(data).digest, task=task, recipe=recipe)
        return losses(replace(own, execution=replace(EXECUTION, micro_batch=4)))

    assert found("stream") == found("resident")


# ---------------------------------------------------------------- what is dropped


@pytest.mark.parametrize(
    "name",
    [
        "20-2x3d-w16",
        "20-2x3d-w16-preact",
        "14-1x4d-w16-basic",
        "14-1x4d-w16-preact_basic",
        "20-2x3d-w16-se16",
        "20-2x3d-w16-preact-eca",
    ],
)
@pytest.mark.parametrize("norms", [pytest.param("fused", marks=fast), "torch"])
def test_an_image_that_drops_all_branches_has_its_shortcuts_alone(run: Run, name: str, norms: str) -> None:
    architecture = parse_name(name)
    own = under(replace(run, architecture=architecture), {"stochastic_depth": 0.6}, norms=norms)
    network, _ = loop.ready(own)
    network.train()
    dropping = loop.dropping_of(network)
    assert dropping is not None
    assert dropping.rates == pytest.approx([0.6 * (place + 1) / dropping.blocks for place in range(dropping.blocks)])
    images = torch.randn(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    dropping.branches = torch.ones(20, dropping.blocks, dtype=torch.bool)
    dropping.branches[:10] = False
    whole = network.features(images)  # type: ignore[operator]
    # The weights of all branches are changed: only images that keep them see that.
    for end, module in network.named_modules():
        if end.startswith("layer") and "downsample" not in end and isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, generator=torch.Generator().manual_seed(1))
    again = network.features(images)  # type: ignore[operator]
    # In later stages the projection's batch norm sees the other images.
    assert torch.allclose(whole["conv2"][:10], again["conv2"][:10], atol=1e-5)
    assert not torch.allclose(whole["conv2"][10:], again["conv2"][10:], atol=1e-2)


def test_what_is_kept_is_scaled_up_and_evaluation_drops_nothing(run: Run) -> None:
    own = under(run, {"stochastic_depth": 0.5, "dropout": 0.25})
    network, _ = loop.ready(own)
    dropping = loop.dropping_of(network)
    assert dropping is not None
    dropping.branches = torch.tensor([[True] * 3, [False] * 3])
    maps = torch.ones(2, 4, 1, 1)
    assert dropping.branch(maps, 2).flatten(1).tolist() == [[2.0] * 4, [0.0] * 4]
    dropping.features = torch.tensor([[True, False], [True, True]])
    dropping.rows = slice(0, 1)
    assert dropping.before_classifier(torch.ones(1, 2)).tolist() == [[pytest.approx(4 / 3), 0.0]]
    plain, _ = loop.ready(run)
    images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network.eval()(images), plain.eval()(images))
    assert network.state_dict().keys() == plain.state_dict().keys()


def test_as_much_is_dropped_as_asked_for(run: Run) -> None:
    own = under(run, {"stochastic_depth": 0.6, "dropout": 0.25})
    branches, features = (
        torch.cat([draws_of(own, name, step) for step in range(60)]) for name in ("branches", "features")
    )
    assert branches.mean(dim=0).tolist() == pytest.approx([0.8, 0.6, 0.4], abs=0.05)
    assert float(features.mean()) == pytest.approx(0.75, abs=0.02)


@pytest.mark.real
def test_a_block_of_an_extension_drops_its_branch_if_it_says_where_that_ends(workplace: Path) -> None:
    text = SHUFFLED.read_text()
    words = [*TINY, "space.block=[shuffle]", "study.contrast=null", "recipe.stochastic_depth=0.5"]
    for last_norm in ("", "bn3"):
        extensions.forget()
        own = text.replace('last_norm="bn3"', f'last_norm="{last_norm}"')
        path = workplace / f"shuffle{len(last_norm)}.py"
        path.write_text(own)
        extend(path)
        config = read_command(words).study
        if last_norm:
            plan = plan_of(config)
            one = runs_of(plan, plan.settings, EXECUTION, load(config.data).digest)[1][1]
            assert losses(one) != losses(under(one, {"stochastic_depth": 0.0}))
        else:
            with pytest.raises(InputError, match=r"recipe\.stochastic_depth: block shuffle does not say which batch"):
                plan_of(config)


# ---------------------------------------------------------------- averaged weights


def test_what_is_validated_tested_and_kept_is_the_average_of_weights_and_statistics(run: Run, tmp_path: Path) -> None:
    """By hand from the weights after each step: the rule of the start is (1 + t) / (10 + t) up to 0.3."""
    own = under(run, {"ema": 0.3, "epochs": 3})
    network, optimizer = loop.ready(own)
    data = load(own.data)
    taking, streams = (
        loop.Steps(own, network, optimizer, data),
        [stream(own.seed, "order"), stream(own.seed, "augmentation")],
    )
    average = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    expected, step = [], 0
    for epoch in (1, 2, 3):
        for _ in loop.epoch_steps(taking, epoch, streams[0], streams[1]):
            keeps = min(0.3, (1 + step) / (10 + step))
            for key, newest in network.state_dict().items():
                average[key] = (
                    keeps * average[key] + (1 - keeps) * newest if newest.is_floating_point() else newest.clone()
                )
            step += 1
        own_average = loop.ready(own)[0]
        own_average.load_state_dict(average)
        expected.append(
            [loop.error_of(loop.correct(own_average, one, data, own.execution)) for one in (data.val, data.test)]
        )
    found, results = outcome(own, weights=tmp_path / "kept.safetensors")
    assert [one.val_error for one in results] == [val for val, _ in expected]
    assert found.test_error == expected[-1][1]
    kept = read_weights(tmp_path / "kept.safetensors")
    assert kept.keys() == average.keys()
    for key, tensor in kept.items():
        assert torch.allclose(tensor, average[key], atol=1e-6), key
    plain = outcome(under(own, {"ema": 0.0}), weights=tmp_path / "plain.safetensors")
    assert [one.loss for one in plain[1]] == [one.loss for one in results]
    assert not torch.equal(read_weights(tmp_path / "plain.safetensors")["fc.weight"], kept["fc.weight"])


@pytest.mark.parametrize("form", ["sum", "concat"])
def test_averages_of_separate_paths_are_kept_in_the_grouped_form(run: Run, form: str, tmp_path: Path) -> None:
    for one in (form, "grouped"):
        outcome(under(run, {"ema": 0.9, "epochs": 1}, form=one), weights=tmp_path / one)
    ours, theirs = (read_weights(tmp_path / one) for one in (form, "grouped"))
    assert all(torch.allclose(ours[key], theirs[key], atol=1e-4) for key in theirs)


def test_what_is_shown_of_a_recipe_are_the_parts_that_it_has(run: Run) -> None:
    assert {"momentum", "nesterov"} < run.recipe.shown.keys()
    assert not {"optimizer", "betas", "ema", "mixup", "rand_augment", "dropout"} & run.recipe.shown.keys()
    shown = replace(run.recipe, optimizer="adamw", ema=0.9).shown
    assert (shown["optimizer"], shown["ema"]) == ("adamw", 0.9)
    assert not {"momentum", "nesterov", "mixup"} & shown.keys()


# ---------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["recipe.optimizer=adam"], "recipe.optimizer=\"adam\": must be 'sgd' or 'adamw' (did you mean adamw?)"),
        (["recipe.optimizer=adamw", "recipe.betas=[0.9,1]"], "recipe.betas.1=1: must be less than 1"),
        (["recipe.optimizer=adamw", "recipe.betas=[0.9]"], "recipe.betas"),
        (["recipe.betas=[0.8,0.9]"], "recipe.betas=[0.8, 0.9]: recipe.optimizer=sgd has recipe.momentum instead"),
        (["recipe.optimizer=adamw", "recipe.momentum=0.8"], "recipe.momentum=0.8: recipe.optimizer=adamw has recipe.b"),
        (["recipe.ema=1"], "recipe.ema=1: must be less than 1"),
        (["recipe.rand_augment=[2,11]"], "recipe.rand_augment.1=11: must be less than or equal to 10"),
        (["recipe.rand_augment=[2,9]", "recipe.trivial_augment=true"], "recipe.trivial_augment=true: recipe.rand_augm"),
        (["recipe.mixup=-1"], "recipe.mixup=-1: must be greater than or equal to 0"),
        (["recipe.cutmix=1", "recipe.batch_size=1"], "recipe.batch_size=1: mixing images takes 2 or more"),
        (["recipe.erasing=1.5"], "recipe.erasing=1.5: must be less than or equal to 1"),
        (["recipe.stochastic_depth=1"], "recipe.stochastic_depth=1: must be less than 1"),
        (["space.shortcut=[false]", "recipe.stochastic_depth=0.2"], "space.shortcut=[false] has no residual branches"),
        (["recipe.dropout=1"], "recipe.dropout=1: must be less than 1"),
        (["recipe.clip=0"], "recipe.clip=0: must be greater than 0"),
        (["recipe.schedule=cosin"], "(did you mean cosine?)"),
        (["recipe.warmup_epochs=2"], "recipe.warmup_epochs=2: recipe.warmup=0.2 says the warm-up too; say recipe.war"),
        (
            ["recipe.warmup=0", "recipe.warmup_epochs=7"],
            "recipe.warmup_epochs=7: allowed is less than recipe.epochs, 7",
        ),
        (
            ["recipe.schedule=cosine", "recipe.milestones=[0.5]"],
            "recipe.milestones=[0.5]: recipe.schedule=cosine has n",
        ),
    ],
)
def test_what_cannot_be_is_said_in_one_line(words: list[str], told: str) -> None:
    with pytest.raises(InputError) as refused:
        plan_of(read_command(["study=equal_params", *words]).study)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
