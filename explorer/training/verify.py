"""`do=verify`: all counts of an architecture, and its forms trained side by side."""

import time
from statistics import median

import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name
from torch import Tensor, nn

from explorer.checks import FormResult, Referee, Verification
from explorer.design import Architecture, Task, cost, short_name
from explorer.training.build import build
from explorer.training.device import device_name
from explorer.training.forms import FORMS, State, convert, in_form, refuse_without_forms
from explorer.training.loop import deterministic
from explorer.training.measure import count, torch_count

STEPS = 3
EXACT_BATCH = 2  # the comparison in float64 needs no more to be sensitive: batch norm already mixes the images


def verify(
    architecture: Architecture, task: Task, *, device: str, batch_size: int, repeats: int, seed: int
) -> Verification:
    """Count and compare. Raises ValueError for an architecture that the task's images do not fit."""
    deterministic()
    formula = cost(architecture, task)
    network = build(architecture, task, torch.Generator().manual_seed(seed))
    counted, by_torch = count(network, task), torch_count(architecture, task)
    referees = [
        Referee("closed form", formula.params, formula.macs, formula.activations),
        Referee("built network, fvcore", counted.params, counted.macs),
        Referee("torch's counter", by_torch.params, by_torch.macs),
    ]
    forms, no_forms = [], ""
    try:
        refuse_without_forms(architecture)
    except ValueError as error:
        no_forms = str(error)
    else:
        forms = _forms(architecture, task, network.state_dict(), device, batch_size, repeats, seed)
    return Verification(short_name(architecture), referees, forms, no_forms, STEPS, batch_size, device_name(device))


def _forms(
    architecture: Architecture, task: Task, state: State, device: str, batch_size: int, repeats: int, seed: int
) -> list[FormResult]:
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
        # Timing left running statistics behind: every comparison starts from the same state.
        network.load_state_dict(states[form])
        traces[form] = _trace(network.double(), architecture, task, form, device, seed)
        networks[form] = network.float()
    return [
        FormResult(
            form,
            sum(parameter.numel() for parameter in networks[form].parameters()),
            macs[form],
            *(_difference(traces[form][part], traces["grouped"][part]) for part in range(4)),  # type: ignore[call-arg]
            *times[form],
        )
        for form in FORMS
    ]


def _trace(
    network: nn.Module, architecture: Architecture, task: Task, form: str, device: str, seed: int
) -> tuple[State, State, State, State]:
    """Outputs, gradients, trained state and outputs of the trained network, all in the names of form (c)."""
    images, labels = _batch(task, EXACT_BATCH, device, seed, torch.float64)
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


def _difference(left: State, right: State) -> float:
    assert left.keys() == right.keys()
    return max(float((left[name].double() - right[name].double()).abs().max()) for name in left)


def _times(
    networks: dict[str, nn.Module], task: Task, device: str, batch_size: int, repeats: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Median seconds forward and backward, the forms taking turns after one pass each to warm up."""
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
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
