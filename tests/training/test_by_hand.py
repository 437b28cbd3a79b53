"""A whole run against a few plain lines of torch: rates, order, statistics and errors, step by step."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name
from safetensors.torch import load_file
from torch import Tensor, nn

from explorer.study.run import EpochResult, Run
from explorer.study.settings import Recipe, StudyConfig
from explorer.training import loop
from explorer.training.images import drawing
from explorer.training.images import split as images_of
from explorer.training.images.decoded_cache import Pools
from explorer.training.images.digits import digit_pools
from explorer.training.images.split import Split, load
from explorer.training.loop import correct, train
from explorer.training.network.build import build
from explorer.training.streams import stream
from tests.training.test_loop import run

__all__ = ["run"]  # a fixture


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order, whatever number of threads an earlier test has left: such small networks enlarge roundings."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pixels(run: Run, split: Split) -> Tensor:
    """All images of a part in its order, normalised by the training images alone."""
    data = load(run.data)
    assert split.images is not None
    every = data.train.images[data.train.index].double() if data.train.images is not None else None
    assert every is not None
    mean, std = every.mean(dim=(0, 2, 3)), every.std(dim=(0, 2, 3), correction=0)
    return ((split.images[split.index].double() - mean[:, None, None]) / std[:, None, None]).float()


@dataclass
class Plain:
    """What the plain lines give: per epoch loss, errors and last rate, and which test images are right."""

    network: nn.Module
    rates: list[float] = field(default_factory=list)
    epochs: list[tuple[float, float, float, float]] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)


def rate_of(recipe: Recipe, step: int, steps: int) -> float:
    """One cycle, or the paper's steps, written down again."""
    if recipe.schedule == "step":
        return recipe.learning_rate * 0.1 ** len([mark for mark in recipe.milestones if step >= mark * steps])
    rising = round(recipe.warmup * steps)
    if step < rising:
        return recipe.learning_rate * (step + 1) / rising
    return recipe.learning_rate * (1 + math.cos(math.pi * (step - rising) / (steps - rising))) / 2


def trained_plainly(run: Run) -> Plain:
    data, recipe = load(run.data), run.recipe
    network = build(run.architecture, run.task, stream(run.seed, "initialisation"))
    found, orders, velocity = Plain(network), stream(run.seed, "order"), dict[str, Tensor]()
    images, labels = pixels(run, data.train), data.train.labels
    in_epoch = len(labels) // recipe.batch_size
    for epoch in range(recipe.whole_epochs):
        network.train()
        order, loss_sum, wrong = torch.randperm(len(labels), generator=orders), 0.0, 0
        for number in range(in_epoch):
            batch = order[number * recipe.batch_size : (number + 1) * recipe.batch_size]
            scores = network(images[batch])
            loss = F.cross_entropy(scores, labels[batch], label_smoothing=recipe.label_smoothing)
            network.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            found.rates.append(rate_of(recipe, epoch * in_epoch + number, recipe.whole_epochs * in_epoch))
            with torch.no_grad():
                for name, weight in network.named_parameters():
                    assert weight.grad is not None
                    slope = weight.grad + recipe.weight_decay * weight
                    velocity[name] = recipe.momentum * velocity[name] + slope if name in velocity else slope
                    step = slope + recipe.momentum * velocity[name] if recipe.nesterov else velocity[name]
                    weight.sub_(found.rates[-1] * step)
            loss_sum += float(loss.detach())
            wrong += int((scores.argmax(dim=1) != labels[batch]).sum())
        val_error = 1 - float(np.mean(right_of(network, pixels(run, data.val), data.val.labels)))
        seen = in_epoch * recipe.batch_size
        found.epochs.append((loss_sum / in_epoch, wrong / seen, val_error, found.rates[-1]))
    found.right = right_of(network, pixels(run, data.test), data.test.labels)
    return found


def right_of(network: nn.Module, images: Tensor, labels: Tensor) -> list[bool]:
    """One image at a time, so that no other can have a part in its score."""
    network.eval()
    with torch.no_grad():
        scores = torch.cat([network(image[None]) for image in images])
    return (scores.argmax(dim=1) == labels).tolist()


@pytest.mark.parametrize(
    "changes",
    [
        {"warmup": 0.3},
        {"schedule": "step", "milestones": (0.25, 0.75), "nesterov": False, "label_smoothing": 0.1},
    ],
)
def test_a_run_is_what_a_few_plain_lines_give(
    run: Run, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Of 80 images a batch of 24 leaves eight over in each epoch.
    own = replace(run, recipe=replace(run.recipe, epochs=4, batch_size=24, learning_rate=0.02, **changes))
    own = replace(own, execution=replace(own.execution, micro_batch=24))
    rates: list[float] = []
    step = loop.step

    def watched(network: nn.Module, optimizer: torch.optim.Optimizer, *arguments: Any) -> tuple[Tensor, Tensor]:
        rates.extend(group["lr"] for group in optimizer.param_groups)
        return step(network, optimizer, *arguments)

    monkeypatch.setattr(loop, "step", watched)
    monkeypatch.setitem(loop.EVALUATION_PIXELS, "cpu", 7 * 64)  # seven images in a batch, and a last one of fewer
    reported: list[EpochResult] = []
    outcome = train(own, reported.append, weights=tmp_path / "weights.safetensors")
    plain = trained_plainly(own)
    assert rates == pytest.approx(plain.rates)
    assert len(rates) == 12
    found = [(one.loss, one.train_error, one.val_error, one.learning_rate) for one in reported]
    assert found == [pytest.approx(one, rel=1e-3) for one in plain.epochs]
    right = np.unpackbits(np.frombuffer(outcome.correct, np.uint8), count=outcome.test_images)
    assert right.tolist() == [int(one) for one in plain.right]
    assert outcome.test_error == plain.right.count(False) / 100
    assert (outcome.loss, outcome.train_error, outcome.val_error) == found[-1][:3]
    kept, expected = load_file(tmp_path / "weights.safetensors"), plain.network.state_dict()
    assert kept.keys() == expected.keys()
    for name, tensor in kept.items():
        assert torch.allclose(tensor, expected[name], rtol=1e-3, atol=1e-4), name


def test_evaluation_changes_nothing_and_no_image_depends_on_its_neighbours(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, (network, _) = load(run.data), loop.ready(run)
    network.train()
    with torch.no_grad():
        for _ in range(30):  # so that running statistics are those of the images
            network(pixels(run, data.train))
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    whole = correct(network, data.test, data, run.execution)
    monkeypatch.setattr(loop, "MOST_EVALUATED", 1)
    assert correct(network, data.test, data, run.execution).tolist() == whole.tolist()
    assert whole.tolist() == right_of(network, pixels(run, data.test), data.test.labels)
    assert 0 < whole.sum() < len(whole)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    ("loss", "weight", "problem"),
    [
        (math.nan, 0.0, "the loss was not finite in epoch 3"),
        (math.inf, 0.0, "the loss was not finite in epoch 3"),
        (1000 * math.log(10) * 1.001, 0.0, "the loss exploded to 2.3e+03 in epoch 3"),
        (1000 * math.log(10) * 0.999, 0.0, ""),
        (1.0, math.inf, "weights were not finite after epoch 3"),
        (1.0, math.nan, "weights were not finite after epoch 3"),
        (1.0, 0.0, ""),
    ],
)
def test_a_run_is_given_up_for_what_no_network_comes_back_from(loss: float, weight: float, problem: str) -> None:
    network = nn.Linear(3, 2)
    with torch.no_grad():
        network.weight[1, 2] = weight
    optimizer = torch.optim.SGD(network.parameters())
    assert loop._problem(network, optimizer, loss, 3, loop.EXPLODED * math.log(10)) == problem


def forget() -> None:
    """Nothing is remembered within the process."""
    images_of._LOADED.clear()
    images_of._pools.cache_clear()


def test_the_digest_of_a_set_depends_on_every_image_and_label_and_on_their_order(
    tiny: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = digit_pools()
    assert plain.train.images is not None

    def digest_with(number: int, label: int = 0, pixel: int = 0) -> str:
        images, labels = np.array(plain.train.images), plain.train.labels.copy()
        labels[number] = (labels[number] + label) % 10
        images[number, 0, 3, 3] += pixel
        part = replace(plain.train, images=images, labels=labels)
        monkeypatch.setattr(images_of, "digit_pools", lambda: Pools(part, None, None, digest="", skipped=()))
        # The split itself goes by the labels: it is held still, so that the digest alone tells the difference.
        monkeypatch.setattr(drawing, "_drawn", lambda config, labels, sizes, names: drawn)
        forget()
        return load(tiny.data).digest

    sizes = [80, 40, 100]
    drawn = np.split(np.arange(220), np.cumsum(sizes)[:-1])
    known = digest_with(0)
    assert digest_with(0) == known
    others = [digest_with(number, label=1) for number in (0, 79, 100, 219)]
    others += [digest_with(number, pixel=1) for number in (0, 79, 100, 219)]
    assert len({known, *others}) == 9
    assert digest_with(220, label=1, pixel=1) == known  # an image that no part has
    drawn = [drawn[0][::-1].copy(), *drawn[1:]]
    assert digest_with(0) != known
    forget()
