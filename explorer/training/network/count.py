"""Measured cost: counts of a built network, to check the closed form, and of any other module of torch."""

import logging
import math
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis
from fvcore.nn.jit_handles import einsum_flop_jit, get_shape
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from explorer.design import Architecture, Cost, Task, cost, short_name
from explorer.host.errors import InputError
from explorer.host.formatting import in_one_line
from explorer.training.network.build import module_of
from explorer.training.network.modules import NormReLU
from explorer.training.streams import seeded

# fvcore's names of what is counted.
PRODUCTS = ("conv", "linear", "addmm", "mm", "matmul", "bmm", "baddbmm", "einsum", "attention")


@dataclass(frozen=True)
class Count:
    """Counts of a built network for one image: multiply-adds of convolutions and linear layers, and parameters."""

    macs: int
    params: int


class CostMismatchError(Exception):
    """The closed-form cost and the built network disagree: a defect in this project, so the study must stop."""


def count(network: nn.Module, task: Task) -> Count:
    """Count a network of the given task with fvcore, in evaluation mode and with one image.

    fvcore's total also holds batch norm and grows with the batch, so those of convolutions, linear layers and matrix
    products are added up.
    """
    device = next(network.parameters()).device
    image = torch.zeros(1, task.channels, task.image_size, task.image_size, device=device)
    was_training = network.training
    macs = fvcore_macs(network.eval(), image)
    network.train(was_training)
    return Count(macs, params=sum(parameter.numel() for parameter in network.parameters()))


def torch_count(architecture: Architecture, task: Task) -> Count:
    """Multiply-adds and parameters by torch's counter, on a network without storage: no memory, no arithmetic.

    torch counts a multiply-add as two operations. Batch norms, which it counts as none, are replaced for the pass: the
    counter would split each into small operations, which takes two thirds of the time.
    """
    if architecture.kind.module is None:
        return _torch_count(architecture, task, "meta")
    with seeded(0):
        try:
            return _torch_count(architecture, task, "meta")
        except Exception:  # noqa: BLE001 - an added block may compute with numbers, or make tensors from arrays
            return _torch_count(architecture, task, "cpu")


def _torch_count(architecture: Architecture, task: Task, device: str) -> Count:
    with torch.device(device):
        network = module_of(architecture, task).eval()
        image = torch.zeros(1, task.channels, task.image_size, task.image_size)
    params = sum(parameter.numel() for parameter in network.parameters())
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child) in (nn.BatchNorm2d, NormReLU):
                setattr(module, name, _Aside())
    with FlopCounterMode(display=False) as counter, torch.no_grad(), plain_attention():
        network(image)
    return Count(counter.get_total_flops() // 2, params)


@contextmanager
def plain_attention() -> Iterator[None]:
    """Have attention computed by matrix products, which torch counts; of some fused ones it counts nothing."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def fvcore_macs(module: nn.Module, inputs: Any) -> int:
    """Fvcore's multiply-adds; of einsum exactly, where it rounds, and of attention, which it misses."""
    logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)
    analysis = FlopCountAnalysis(module, inputs).unsupported_ops_warnings(False)
    analysis.set_op_handle("aten::einsum", _einsum_macs, "aten::scaled_dot_product_attention", _attention_macs)
    with plain_attention():
        by_operator = analysis.by_operator()
    return int(sum(by_operator[name] for name in PRODUCTS))


def _einsum_macs(inputs: list[Any], outputs: list[Any]) -> Any:
    terms = str(inputs[0].toIValue()).replace(" ", "").partition("->")[0].split(",")
    shapes = [get_shape(one) for one in inputs[1].node().inputs()]
    if len(terms) != 2 or any("." in term for term in terms):
        return einsum_flop_jit(inputs, outputs)
    kept = str(inputs[0].toIValue()).replace(" ", "").partition("->")[2]
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        for label, size in zip(term, shape, strict=True):
            sizes[label] = max(size, sizes.get(label, 1))
    both = set(terms[0]) & set(terms[1])
    if not both - set(kept):
        return Counter()  # nothing is summed over, so nothing is added
    return Counter({"einsum": math.prod(size for label, size in sizes.items() if label in both or label in kept)})


def _attention_macs(inputs: list[Any], _: list[Any]) -> Any:
    query, key, value = (get_shape(one) for one in inputs[:3])
    *batch, places, width = query
    return Counter({"attention": math.prod(batch) * places * key[-2] * (width + value[-1])})


class _Aside(nn.Module):
    """Replaces a batch norm while counting; does nothing but add its second input, if any."""

    def forward(self, maps: torch.Tensor, added: torch.Tensor | None = None) -> torch.Tensor:
        return maps if added is None else maps + added


def check_cost(architecture: Architecture, task: Task) -> Count:
    """Build the architecture and compare its counts with the closed form. Raises CostMismatchError."""
    network = module_of(architecture, task)
    counted, formula = count(network, task), cost(architecture, task)
    if (counted.macs, counted.params) != (formula.macs, formula.params):
        raise CostMismatchError(
            f"{short_name(architecture)}: closed form {formula.params} params, {formula.macs} MACs; "
            f"built network {counted.params} params, fvcore {counted.macs} MACs"
        )
    return counted


# ---------------------------------------------------------------- any module

CHANNELS = 3  # of images, for a module whose first convolution does not say


@dataclass(frozen=True)
class ModuleCount:
    """What a module costs for one input.

    cost         its weights and biases, torch's count of the multiply-adds of convolutions, linear layers and matrix
                 products, and the output values of convolutions or, where there are none, of the others
    fvcore_macs  fvcore's count of these multiply-adds; None if it cannot follow the module
    difference   how the two counters differ, in a sentence; "" if they agree
    outputs      what the module gave
    """

    cost: Cost
    fvcore_macs: int | None
    difference: str
    outputs: Any


def images_for(module: nn.Module, image_size: int, channels: int | None = None) -> torch.Tensor:
    """One image for a module; without `channels` it has those of its first convolution."""
    first = next((one for one in module.modules() if isinstance(one, nn.Conv2d) and one.in_channels), None)
    return torch.zeros(1, channels or (first.in_channels if first else CHANNELS), image_size, image_size)


def count_module(module: nn.Module, inputs: Any) -> ModuleCount:
    """Count a module on inputs of its own, a batch of one: a tensor, or a tuple of arguments. The module is unchanged.

    Raises InputError for inputs that it does not take.
    """
    given = _placed(inputs if isinstance(inputs, tuple) else (inputs,), module)
    name = type(module).__name__
    with _evaluated(module), torch.no_grad():
        try:
            with FlopCounterMode(display=False) as counter, Counting() as maps, plain_attention():
                outputs = module(*given)
        except Exception as error:
            shapes = ", ".join(str(tuple(one.shape)) for one in given if isinstance(one, torch.Tensor))
            why = in_one_line(f"{type(error).__name__}: {error}")
            raise InputError(
                f"{name}: takes no input of shape {shapes} ({why}); say channels=..., image_size=..., or inputs=..."
            ) from error
        found = Cost(
            sum(parameter.numel() for parameter in module.parameters()),
            counter.get_total_flops() // 2,
            maps.convolved or maps.multiplied,
        )
        try:
            by_fvcore = _by_fvcore(module, given)
        except Exception as error:  # noqa: BLE001 - whatever a module is that cannot be traced
            why = in_one_line(f"{type(error).__name__}: {error}")
            return ModuleCount(found, None, f"{name}: fvcore cannot follow it ({why}); torch alone counted", outputs)
    differences = [
        f"{one:,} {what} by torch's counter and {other:,} by fvcore"
        for what, one, other in zip(
            ("multiply-adds", "activations"), (found.macs, found.activations), by_fvcore, strict=True
        )
        if one != other
    ]
    words = f"{name}: {' and '.join(differences)}; torch's are taken" if differences else ""
    return ModuleCount(found, by_fvcore[0], words, outputs)


class Counting(TorchDispatchMode):
    """Counts what is computed in its body, also what is called as a function.

    macs        multiply-adds of convolutions, linear layers and matrix products; torch's own counter, which gives the
                same, also takes batch norms apart
    convolved, multiplied  output values of the convolutions, and of the others
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = self.convolved = self.multiplied = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if (formula := flop_registry.get(func._overloadpacket)) is not None:
            self.macs += int(formula(*args, **(kwargs or {}), out_val=found)) // 2  # torch counts two operations each
        if "convolution" in func.name():
            self.convolved += found.numel()
        elif formula is not None:
            self.multiplied += (found[0] if isinstance(found, tuple) else found).numel()
        return found


@contextmanager
def _evaluated(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while, after which every part has the mode that it had."""
    modes = [(one, one.training) for one in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for one, mode in modes:
            one.training = mode


def _placed(inputs: tuple[Any, ...], module: nn.Module) -> tuple[Any, ...]:
    """Inputs on the module's device, those of floating-point numbers in its type too."""
    own = next(iter(module.parameters()), None)
    if own is None:
        return inputs
    return tuple(
        one.to(own.device, own.dtype if one.is_floating_point() and own.is_floating_point() else one.dtype)
        if isinstance(one, torch.Tensor)
        else one
        for one in inputs
    )


def _by_fvcore(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[int, int]:
    """The multiply-adds as fvcore counts them, and the output values of what does them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's tracing, which the counts do not depend on
        macs = fvcore_macs(module, inputs)
        maps = ActivationCountAnalysis(module, inputs).unsupported_ops_warnings(False).by_operator()
    values = maps["conv"] or sum(number for what, number in maps.items() if what in PRODUCTS)
    return macs, int(values)
