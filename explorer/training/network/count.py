"""Measured cost: fvcore's counts of a built network, to check the closed form."""

import logging
from dataclasses import dataclass

import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from explorer.design import Architecture, Task, cost, short_name
from explorer.training.network.build import module_of


@dataclass(frozen=True)
class Count:
    """Counts of a built network for one image: multiply-adds of convolutions and linear layers, and parameters."""

    macs: int
    params: int


class CostMismatchError(Exception):
    """The closed-form cost and the built network disagree: a defect in this project, so the study must stop."""


def count(network: nn.Module, task: Task) -> Count:
    """Count a network of the given task with fvcore, in evaluation mode and with one image.

    fvcore's total also holds batch norm and grows with the batch, so its convolution and linear counts are added up.
    """
    logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)
    device = next(network.parameters()).device
    image = torch.zeros(1, task.channels, task.image_size, task.image_size, device=device)
    was_training = network.training
    by_operator = FlopCountAnalysis(network.eval(), image).unsupported_ops_warnings(False).by_operator()
    network.train(was_training)
    return Count(
        macs=int(by_operator["conv"] + by_operator["linear"]),
        params=sum(parameter.numel() for parameter in network.parameters()),
    )


def torch_count(architecture: Architecture, task: Task) -> Count:
    """Multiply-adds and parameters by torch's counter, on a network without storage: no memory, no arithmetic.

    torch counts a multiply-add as two operations. Batch norms, which it counts as none, are replaced for the pass: the
    counter would split each into small operations, which takes two thirds of the time.
    """
    with torch.device("meta"):
        network = module_of(architecture, task).eval()
        image = torch.empty(1, task.channels, task.image_size, task.image_size)
    params = sum(parameter.numel() for parameter in network.parameters())
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, _Aside())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return Count(counter.get_total_flops() // 2, params)


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
