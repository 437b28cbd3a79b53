"""The parts of a recipe that extensions add, called: results are checked, and an error names its part.

They are tried once before a study begins, so that a part that cannot work costs no run.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name
from torch import Tensor, nn

from explorer.design.template import Task
from explorer.host.errors import InputError
from explorer.host.extensions import MISTAKES, mistake
from explorer.host.formatting import in_one_line
from explorer.study.parts import ADDED, LABELS, mixes_labels, named
from explorer.study.settings import Recipe
from explorer.training.device import is_out_of_memory
from explorer.training.optimizer_state import packed, unpack
from explorer.training.schedule import learning_rate
from explorer.training.streams import seeded, step_stream

TRIED = 32  # images of the batch with which parts are tried


def has_added(recipe: Recipe) -> bool:
    """Whether a step executes code of an extension, which may wait for the device."""
    return bool({"optimizer", "augmentation", "loss"} & {*named(recipe).values()})


def added_optimizer(recipe: Recipe, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser that an extension makes. Raises InputError if it makes none or does not optimise everything."""
    made = _called(recipe, "optimizer", recipe.optimizer, parameters, recipe)
    if not isinstance(made, torch.optim.Optimizer):
        raise _wrong("optimizer", recipe.optimizer, f"makes a {type(made).__name__}; allowed: a torch.optim.Optimizer")
    held = [id(one) for group in made.param_groups for one in group["params"]]
    if sorted(held) != sorted(map(id, parameters)):
        raise _wrong(
            "optimizer",
            recipe.optimizer,
            f"holds {len(held)} parameters; allowed: each of the {len(parameters)} that it is given, once",
        )
    return made


def spare_norms(optimizer: torch.optim.Optimizer, recipe: Recipe) -> None:
    """Divide each group of parameters, so that those of one dimension have no weight decay.

    Raises InputError for an optimiser whose groups have none to take away.
    """
    groups: list[dict[str, Any]] = []
    for group in optimizer.param_groups:
        if "weight_decay" not in group:
            raise InputError(
                f"recipe.decay_norms=false: recipe.optimizer={recipe.optimizer} has no weight_decay in its groups of "
                "parameters; allowed: true, or an optimiser that has"
            )
        wide = [one for one in group["params"] if one.ndim > 1]
        flat = [one for one in group["params"] if one.ndim <= 1]
        groups += [{**group, "params": wide}] if wide else []
        groups += [{**group, "params": flat, "weight_decay": 0.0}] if flat else []
    optimizer.param_groups[:] = groups


def augmented_by(
    recipe: Recipe, images: Tensor, labels: Tensor, classes: int, seed: int, step: int
) -> tuple[Tensor, Tensor]:
    """A prepared batch after the recipe's added augmentations, and its labels: numbers, or shares of the classes.

    `labels` are shares already where our own augmentations have mixed them.

    `step` counts those of the whole run. Random numbers follow from the seed, the augmentation's name and the step, so
    that they are the same on every device and after an interruption.
    """
    targets = labels
    for name in recipe.augmentation:
        images, targets = _augmented_by(recipe, name, images, targets, classes, step_stream(seed, name, step))
    return images, targets


def _augmented_by(
    recipe: Recipe, name: str, images: Tensor, targets: Tensor, classes: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    if not mixes_labels(ADDED["augmentation"][1][name]):
        with torch.no_grad():
            found = _called(recipe, "augmentation", name, images, generator)
    else:
        if not targets.is_floating_point():
            targets = F.one_hot(targets, classes).float()
        with torch.no_grad():
            found = _called(recipe, "augmentation", name, images, generator, **{LABELS: targets})
        if not isinstance(found, tuple) or len(found) != 2:
            raise _wrong("augmentation", name, f"gives a {type(found).__name__}; allowed: (images, labels)")
        found, mixed = found
        _refuse_unlike("augmentation", name, "labels", mixed, targets)
        targets = mixed
    _refuse_unlike("augmentation", name, "images", found, images)
    return found.contiguous(memory_format=torch.channels_last), targets


def added_loss(recipe: Recipe, scores: Tensor, targets: Tensor) -> Tensor:
    """The mean loss of a batch by a loss that an extension adds, which may not change what it is given.

    The errors are counted from the scores afterwards, and the labels are those of all later steps.
    """
    versions = scores._version, targets._version
    found = _called(recipe, "loss", recipe.loss, scores, targets, recipe)
    for name, one, version in zip(("scores", "labels"), (scores, targets), versions, strict=True):
        if one._version != version:
            raise _wrong("loss", recipe.loss, f"changes the {name} that it is given; let it work on a copy of them")
    if not isinstance(found, Tensor) or found.shape != () or not found.is_floating_point():
        shape = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise _wrong("loss", recipe.loss, f"gives {shape}; allowed: one number, as a tensor without dimensions")
    return found


def try_out(recipe: Recipe, task: Task, images: int, device: str) -> None:
    """Try the added parts of a recipe on a small network and random images.

    Raises InputError for a part that raises, gives something else than it should, or something else for the same input
    and random numbers, and for an optimiser whose state cannot be kept: a run that goes on would get other weights.
    """
    parts = named(recipe)
    steps = max(1, recipe.steps_on(images))
    for step in sorted({0, steps // 2, steps - 1}):
        factors = {learning_rate(recipe, step, steps, images // recipe.batch_size) for _ in range(2)}
        if len(factors) > 1:
            raise _wrong("schedule", recipe.schedule, f"gives another factor each time ({step / steps:g} of the run)")
    if not has_added(recipe):
        return
    count = min(TRIED, recipe.batch_size)
    numbers = torch.Generator().manual_seed(0)
    shape = (count, task.channels, task.image_size, task.image_size)
    batch = torch.randn(shape, generator=numbers).to(device).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(task.classes, (count,), generator=numbers).to(device)
    if recipe.mixes:
        labels = F.one_hot(labels, task.classes).float()
    once, again = ([*augmented_by(recipe, batch.clone(), labels, task.classes, 0, 0)] for _ in range(2))
    mixed = [name for name, key in parts.items() if key == "augmentation"]
    if not once[0].isfinite().all():
        raise _wrong("augmentation", ",".join(mixed), "gives numbers that are not finite")
    if not all(torch.equal(*pair) for pair in zip(once, again, strict=True)):
        raise _wrong(
            "augmentation",
            ",".join(mixed),
            "gives other images each time; draw all random numbers from the generator that it is given",
        )
    network, optimizer = _small(recipe, task, device)
    for _ in range(2):
        _trial_step(recipe, network, optimizer, *once)
    if "optimizer" in parts.values():
        _try_to_keep(recipe, task, device, network, optimizer)


def _try_to_keep(recipe: Recipe, task: Task, device: str, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Raise InputError unless an optimiser that was kept and restored takes the step that it would have taken."""
    other, restored = _small(recipe, task, device)
    other.load_state_dict(network.state_dict())
    try:
        unpack(packed(optimizer), restored)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise _wrong("optimizer", recipe.optimizer, f"its state cannot be kept: {in_one_line(error)}") from error
    for one, own in zip(network.parameters(), other.parameters(), strict=True):
        own.grad = None if one.grad is None else one.grad.clone()
    for goes_on in (optimizer, restored):
        with seeded(0):
            step_of(recipe, goes_on)
    if not all(map(torch.equal, network.parameters(), other.parameters())):
        raise _wrong(
            "optimizer",
            recipe.optimizer,
            "takes another step after its state was kept and restored; keep all that it remembers in its state or its "
            "groups, and draw no random numbers of its own",
        )


def _small(recipe: Recipe, task: Task, device: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    conv = nn.Conv2d(task.channels, 4, 3, bias=False)
    network = nn.Sequential(conv, nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, task.classes))
    network.to(device)
    if "optimizer" not in named(recipe).values():
        return network, torch.optim.SGD(network.parameters(), lr=recipe.learning_rate)
    optimizer = added_optimizer(recipe, list(network.parameters()))
    if not recipe.decay_norms:
        spare_norms(optimizer, recipe)
    return network, optimizer


def _trial_step(
    recipe: Recipe, network: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, targets: Tensor
) -> None:
    optimizer.zero_grad(set_to_none=True)
    scores = network(images)
    if "loss" in named(recipe).values():
        with seeded(0):
            before = added_loss(recipe, scores, targets)
        with seeded(0):
            loss = added_loss(recipe, scores, targets)
        if before.item() != loss.item() and loss.isfinite():
            raise _wrong("loss", recipe.loss, "gives another number each time; a part remembers nothing between calls")
        if not loss.requires_grad:
            raise _wrong("loss", recipe.loss, "does not depend on the scores, so that nothing would be learned")
        if not math.isfinite(loss.item()):
            raise _wrong("loss", recipe.loss, f"gives {loss.item()}; allowed: a finite number")
    else:
        loss = F.cross_entropy(scores, targets)
    loss.backward()  # type: ignore[no-untyped-call]
    step_of(recipe, optimizer)
    if not all(one.isfinite().all() for one in network.parameters()):
        raise _wrong("optimizer", recipe.optimizer, "gives weights that are not finite")


def step_of(recipe: Recipe, optimizer: torch.optim.Optimizer) -> None:
    """A step of the optimiser; an error in one that an extension adds names it."""
    if recipe.optimizer in ADDED["optimizer"][2]:
        optimizer.step()
        return
    try:
        optimizer.step()
    except MISTAKES as error:
        raise _named_error("optimizer", recipe.optimizer, error) from error


def _refuse_unlike(key: str, name: str, what: str, found: Any, given: Tensor) -> None:
    def shown(one: Tensor) -> str:
        return f"{str(one.dtype).removeprefix('torch.')} of shape {tuple(one.shape)} on {one.device.type}"

    if not isinstance(found, Tensor):
        raise _wrong(key, name, f"gives a {type(found).__name__} as {what}; allowed: a tensor")
    if shown(found) != shown(given):
        raise _wrong(key, name, f"gives {what} {shown(found)}; allowed: {shown(given)}")


def _called(recipe: Recipe, key: str, name: str, *given: Any, **more: Any) -> Any:
    """What a part gives. Raises InputError, with the line of its file, for whatever it raises but too little memory."""
    try:
        return ADDED[key][1][name](*given, **more, **recipe.numbers.get(name, {}))
    except MISTAKES as error:
        raise _named_error(key, name, error) from error


def _named_error(key: str, name: str, error: BaseException) -> BaseException:
    if isinstance(error, InputError) or (isinstance(error, Exception) and is_out_of_memory(error)):
        return error
    return _wrong(key, name, mistake(ADDED[key][0], name, error))


def _wrong(key: str, name: str, what: str) -> InputError:
    return InputError(f"recipe.{key}={name}: {in_one_line(what)}")
