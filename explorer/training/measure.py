"""Measured cost: what fvcore counts on a built network, to referee the closed form."""

import logging
from dataclasses import dataclass

import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn

from explorer.design import Architecture, Task, cost, short_name
from explorer.training.network import ResNeXt


@dataclass(frozen=True)
class Count:
    """Counts of a built network for one image: multiply-adds of convolutions and classifier, and parameters."""

    fvcore_macs: int
    params: int


class CostMismatchError(Exception):
    """The closed form and the built network disagree: a defect of ours, which no result may survive."""


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
        fvcore_macs=int(by_operator["conv"] + by_operator["linear"]),
        params=sum(parameter.numel() for parameter in network.parameters()),
    )


def check_cost(architecture: Architecture, task: Task) -> Count:
    """Build the architecture and compare its counts with the closed form. Raises CostMismatchError."""
    network = ResNeXt(architecture, task)
    counted, formula = count(network, task), cost(architecture, task)
    if (counted.fvcore_macs, counted.params) != (formula.macs, formula.params):
        raise CostMismatchError(
            f"{short_name(architecture)}: closed form {formula.params} params, {formula.macs} MACs; "
            f"built network {counted.params} params, fvcore {counted.fvcore_macs} MACs"
        )
    return counted
