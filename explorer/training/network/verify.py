"""`explorer verify`: all counts of an architecture's cost, and its equivalent forms trained and compared."""

import time
from dataclasses import replace
from statistics import median

import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name
from torch import Tensor, nn

from explorer.design import Architecture, Task, cost, short_name
from explorer.design.layout import layout, reduced
from explorer.host.errors import InputError
from explorer.study.memory import forms_bytes, refuse_beyond
from explorer.training.device import device_memory, device_name, finish
from explorer.training.loop import deterministic
from explorer.training.network.build import build
from explorer.training.network.count import count, torch_count
from explorer.training.network.forms import FORMS, State, convert, in_form, refuse_without_forms
from explorer.training.results import Distances, FormResult, Referee, Verification

STEPS = 3
# Least number of values per channel for every batch norm in the comparison. With fewer, a network amplifies rounding
# errors without bound: batch norm turns any two values, however close, into one and minus one.
VALUES = 16


def verify(
    architecture: Architecture, task: Task, *, device: str, batch_size: int, repeats: int, seed: int
) -> Verification:
    """Count an architecture's cost in all ways and compare its forms: outputs, gradients, training and speed.

    Raises ValueError as `cost` does, InputError if batch norm would see a single value or memory is too small.
    """
    no_forms = _why_no_forms(architecture)
    refuse_beyond(
        f"comparing {short_name(architecture)} with its equivalent forms",
        lambda sizes: forms_bytes(
            cost(architecture, replace(task, image_size=sizes["image_size"])), sizes["batch_size"]
        ),
        {"image_size": task.image_size, "batch_size": 1 if no_forms else batch_size},
        device_memory(device),
    )
    deterministic()
    formula = cost(architecture, task)
    _refuse_batch(architecture, task, batch_size)
    network = build(architecture, task, torch.Generator().manual_seed(seed))
    counted, by_torch = count(network, task), torch_count(architecture, task)
    referees = [
        Referee(_own_referee(architecture), formula.params, formula.macs, formula.activations),
        Referee("built network, fvcore", counted.params, counted.macs),
        Referee("torch's counter", by_torch.params, by_torch.macs),
    ]
    forms: list[FormResult] = []
    rounding = None
    if not no_forms:
        forms, rounding = _forms(architecture, task, network.state_dict(), device, batch_size, repeats, seed)
    name = short_name(architecture)
    return Verification(name, referees, forms, rounding, no_forms, STEPS, batch_size, device_name(device))


def _why_no_forms(architecture: Architecture) -> str:
    try:
        refuse_without_forms(architecture)
    except ValueError as error:
        return str(error)
    return ""


def _forms(
    architecture: Architecture, task: Task, state: State, device: str, batch_size: int, repeats: int, seed: int
) -> tuple[list[FormResult], Distances]:
    states = {form: convert(state, architecture, task, "grouped", form) for form in FORMS}
    networks: dict[str, nn.Module] = {}
    for form in FORMS:
        networks[form] = in_form(architecture, task, form)
        networks[form].load_state_dict(states[form])
        networks[form].to(device)
    times = _times(networks, task, device, batch_size, repeats, seed)
    macs = {form: count(network, task).macs for form, network in networks.items()}
    traces = {}
    for form, network in networks.items():
        # Timing has changed the running statistics: start every comparison from the same state.
        network.load_state_dict(states[form])
        traces[form] = _trace(network.double(), architecture, task, form, device, seed)
    network = networks["grouped"]
    network.load_state_dict(_rounded(states["grouped"], seed))
    rounded = _trace(network, architecture, task, "grouped", device, seed)
    found = [
        FormResult(
            form,
            sum(parameter.numel() for parameter in networks[form].parameters()),
            macs[form],
            _distances(traces[form], traces["grouped"]),
            *times[form],
        )
        for form in FORMS
    ]
    return found, _distances(rounded, traces["grouped"])


def _rounded(state: State, seed: int) -> State:
    """The weights in float64, each moved one unit in the last place up or down, at random."""
    generator, found = torch.Generator().manual_seed(seed), {}
    for name, tensor in state.items():
        found[name] = tensor
        if tensor.is_floating_point():
            exact = tensor.double()
            ends = torch.randint(2, tensor.shape, generator=generator).to(exact).mul(2).sub(1).mul(torch.inf)
            found[name] = torch.nextafter(exact, ends)
    return found


def _trace(
    network: nn.Module, architecture: Architecture, task: Task, form: str, device: str, seed: int
) -> tuple[State, State, State, State]:
    """Outputs, gradients, trained state and outputs of the trained network, all in the names of form (c)."""
    images, labels = _batch(task, _exact_batch(architecture, task), device, seed, torch.float64)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    network.train()
    first: tuple[State, State] | None = None
    for _ in range(STEPS):
        optimizer.zero_grad()
        inputs = images.clone().requires_grad_(True)
        scores = network(inputs)
        F.cross_entropy(scores, labels).backward()  # type: ignore[no-untyped-call]
        if first is None:
            assert inputs.grad is not None
            found = {name: weight.grad for name, weight in network.named_parameters() if weight.grad is not None}
            gradients = {"images": inputs.grad, **convert(found, architecture, task, form, "grouped")}
            first = {"scores": scores.detach()}, gradients
        optimizer.step()
    assert first is not None
    trained = convert(network.state_dict(), architecture, task, form, "grouped")
    network.eval()
    with torch.no_grad():
        return *first, trained, {"scores": network(images)}


def _exact_batch(architecture: Architecture, task: Task) -> int:
    """Number of images for the float64 comparison: at least two, and enough for `VALUES` values on the last map."""
    return max(2, -(-VALUES // _last_map(architecture, task) ** 2))


def _last_map(architecture: Architecture, task: Task) -> int:
    last = layout(architecture, task).stages[-1]
    return reduced(last.map_size, last.stride)


def _refuse_batch(architecture: Architecture, task: Task, batch_size: int) -> None:
    if architecture.block != "alexnet" and batch_size * _last_map(architecture, task) ** 2 < 2:
        raise InputError(
            f"batch_size={batch_size}: the last maps of {short_name(architecture)} have one pixel on images of "
            f"{task.image_size}, and batch norm trains on two values or more; allowed: batch_size=2 or more"
        )


def _distances(left: tuple[State, ...], right: tuple[State, ...]) -> Distances:
    return Distances(*(_distance(one, other) for one, other in zip(left, right, strict=True)))


def _distance(left: State, right: State) -> float:
    assert left.keys() == right.keys()
    size = max(float(tensor.double().abs().max()) for tensor in right.values())
    worst = max(float((left[name].double() - right[name].double()).abs().max()) for name in right)
    return worst / size if worst else 0.0


def _times(
    networks: dict[str, nn.Module], task: Task, device: str, batch_size: int, repeats: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Median seconds of a forward and a backward pass of each form, in turns after one warm-up pass each."""
    images, labels = _batch(task, batch_size, device, seed, torch.float32)
    found: dict[str, list[tuple[float, float]]] = {form: [] for form in networks}
    for turn in range(repeats + 1):
        for form, network in networks.items():
            network.train()
            began = _now(device)
            loss = F.cross_entropy(network(images), labels)
            between = _now(device)
            loss.backward()  # type: ignore[no-untyped-call]
            ended = _now(device)
            network.zero_grad()
            if turn:
                found[form].append((between - began, ended - between))
    return {form: (median(a for a, _ in pairs), median(b for _, b in pairs)) for form, pairs in found.items()}


def _batch(task: Task, images: int, device: str, seed: int, kind: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (images, task.channels, task.image_size, task.image_size)
    drawn = torch.randn(shape, generator=generator, dtype=torch.float64).to(kind)
    return drawn.to(device), torch.randint(task.classes, (images,), generator=generator).to(device)


def _now(device: str) -> float:
    finish(device)
    return time.perf_counter()


def _own_referee(architecture: Architecture) -> str:
    """What this project's own cost is: a closed form, or of an added block without one the sum of its counts."""
    return "closed form" if architecture.kind.has_formula else "counted block by block"
