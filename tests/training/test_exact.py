"""One formula, three referees: random designs over every block, template and per-stage space, all exact."""

import contextlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from explorer.design import BLOCKS, TEMPLATES, AnyNetX, Architecture, RegNetX, Task, cost, short_name
from explorer.design.architecture import PROJECTIONS, STEMS
from explorer.design.ranges import Range, RealRange
from explorer.training.network.build import module_of
from explorer.training.network.count import check_cost, torch_count

pytestmark = pytest.mark.real

DESIGNS, FVCORE = 2_000, 300
ANYNETS = [
    AnyNetX(template, Range(1, 2), Range(8, 96, step=8), (1, 2, 4), Range(1, 32, factor=2), (1, 3, 5), block=block)
    for template in ("regnet", "regnet_cifar", "cifar", "imagenet", "wide", "small")
    for block in ("bottleneck", "preact")
]
REGNETS = [
    RegNetX("regnet", Range(4, 8), (8, 16, 24), RealRange(10, 40, 5), RealRange(1.8, 2.6, 0.2), (1, 2), (2, 8, 16)),
    RegNetX("regnet_cifar", Range(2, 6), (8, 16, 24), RealRange(4, 40, 4), RealRange(2, 3, 0.2), (1, 2), (2, 8)),
]


def random_architecture(rng: np.random.Generator) -> Architecture:
    """A small network of any kind: by the family's axes (one number or one per stage), AnyNetX or RegNetX."""
    kind = rng.random()
    if kind < 0.6:
        return _of_the_family(rng)
    spaces = ANYNETS if kind < 0.9 else REGNETS
    while True:
        (part,) = spaces[rng.integers(len(spaces))].parts
        designs = part.build(part.points([rng.integers(len(factor), size=1) for factor in part.factors]))
        if designs.exist[0]:
            return designs.architecture(0)


def _of_the_family(rng: np.random.Generator) -> Architecture:
    template = TEMPLATES[sorted(TEMPLATES)[rng.integers(len(TEMPLATES))]]
    if template.block == "alexnet":
        return Architecture(
            (1,) * 5, int(rng.integers(1, 5)), int(rng.integers(1, 20)), template=template.name, block="alexnet"
        )
    name = ["bottleneck", "preact", "basic", "preact_basic", "inception"][rng.integers(5)]

    def axis(most: int, times: int = 1) -> int | tuple[int, ...]:
        if rng.random() < 0.5:
            return int(rng.integers(1, most // 4 + 2)) * times
        return tuple(int(value) * times for value in rng.integers(1, most + 1, size=template.stages))

    return Architecture(
        depths=tuple(int(depth) for depth in rng.integers(1, 3, size=template.stages)),
        cardinality=BLOCKS[name].cardinality or axis(8),
        bottleneck_width=axis(12),
        width=axis(24, 4),
        kernel_size=3 if name == "inception" else int(rng.choice([1, 3, 5])),
        template=template.name,
        block=name,
        shortcut=bool(rng.random() < 0.8),
    )


def with_parts(architecture: Architecture, rng: np.random.Generator) -> Architecture:
    """The network with another stem, projection and attention where it can have them."""
    ratio = int(rng.choice([1, 2, 3, 4, 5, 16, 64]))
    parts: dict[str, list[Any]] = {
        "stem": ["plain", "deep"],
        "projection": ["conv", "pool", "pad"],
        "scale": [1, 1, 2, 3, 5],
        "attention": ["none", "eca", f"se{ratio}", f"semid{ratio}"],
    }
    for name, values in parts.items():
        with contextlib.suppress(ValueError):
            architecture = replace(architecture, **{name: values[rng.integers(len(values))]})
    return architecture


def random_task(architecture: Architecture, rng: np.random.Generator) -> Task | None:
    """A task of 64 pixels or less that the network takes; None where such a task is rare or there is none."""
    for _ in range(20):
        task = Task(int(rng.integers(1, 5)), int(rng.integers(8, 65)), int(rng.integers(2, 20)))
        try:
            cost(architecture, task)
        except ValueError:
            continue
        return task
    return None


def convolved(architecture: Architecture, task: Task) -> int:
    """Output values of all convolutions for one image, seen by hooks."""
    with torch.device("meta"):
        network, image = module_of(architecture, task), torch.empty(2, task.channels, task.image_size, task.image_size)
    outputs: list[int] = []

    def note(module: torch.nn.Module, given: object, output: torch.Tensor) -> None:
        outputs.append(output[0].numel())

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Conv1d):
            module.register_forward_hook(note)
    network(image)
    return sum(outputs)


def cases(count: int, seed: int) -> list[tuple[Architecture, Task]]:
    rng = np.random.default_rng(seed)
    found: list[tuple[Architecture, Task]] = []
    while len(found) < count:
        architecture = with_parts(random_architecture(rng), rng)
        if task := random_task(architecture, rng):
            found.append((architecture, task))
    return found


def test_the_closed_form_equals_built_networks_and_torchs_counter() -> None:
    seen = set[str]()
    for architecture, task in cases(DESIGNS, seed=0):
        formula, counted = cost(architecture, task), torch_count(architecture, task)
        assert (counted.params, counted.macs) == (formula.params, formula.macs), (short_name(architecture), task)
        seen |= {architecture.template, architecture.block, architecture.stem, architecture.projection}
        seen |= {architecture.attention.rstrip("0123456789"), f"s{architecture.scale}"}
    assert seen == {*TEMPLATES, *BLOCKS, *STEMS, *PROJECTIONS, "none", "eca", "se", "semid", "s1", "s2", "s3", "s5"}


@pytest.mark.parametrize("part", range(2))
def test_the_closed_form_equals_fvcore_and_the_outputs_of_convolutions(part: int) -> None:
    for architecture, task in cases(FVCORE // 2, seed=part + 1):
        check_cost(architecture, task)
        assert convolved(architecture, task) == cost(architecture, task).activations


def test_alexnet_itself_is_counted_alike() -> None:
    for width, size in ((48, 224), (5, 63), (7, 100)):
        architecture = Architecture((1,) * 5, 2, width, template="alexnet", block="alexnet")
        task = Task(3, size, 11)
        counted = check_cost(architecture, task)
        assert counted == torch_count(architecture, task)
