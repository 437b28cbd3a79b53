"""Measure networks by what an extension adds: a function of a network on its device."""

import numpy as np
import torch

from explorer.design.added_measure import number
from explorer.design.architecture import Architecture
from explorer.design.cost_measures import ADDED
from explorer.design.name import short_name
from explorer.design.template import Task
from explorer.host.errors import InputError
from explorer.host.extensions import MISTAKES, mistake
from explorer.study.run import Execution
from explorer.training.device import release_memory
from explorer.training.latency import exclusive, network_of, plain_execution
from explorer.training.network.prepare import arithmetic


def measured(
    name: str,
    architectures: tuple[Architecture, ...],
    task: Task,
    *,
    device: str,
    precision: str,
    turns: int,
    wait: float = 0.0,
) -> tuple[tuple[float, float, float], ...]:
    """Quartiles over several turns of what a measure gives for each network, with the device locked meanwhile.

    Each time the network is made anew, so that nothing is left of the time before. Raises InputError for what is no
    number, for whatever goes wrong in the measure, and if another measurement holds the device for more than `wait`
    seconds.
    """
    execution = plain_execution(device, precision, 1)
    values: list[list[float]] = [[] for _ in architectures]
    with exclusive(device, wait):
        torch.set_num_threads(execution.threads)
        for _ in range(turns):
            for architecture, own in zip(architectures, values, strict=True):
                own.append(_value(name, architecture, task, execution))
    found = []
    for own in values:
        lower, middle, upper = (float(value) for value in np.percentile(own, [25, 50, 75]))
        found.append((lower, middle, upper))
    return tuple(found)


def _value(name: str, architecture: Architecture, task: Task, execution: Execution) -> float:
    function = ADDED[name].function
    assert function is not None
    release_memory()
    try:
        network = network_of(architecture, task, execution, 0)
        with arithmetic(execution):
            value = function(network, task, execution.device)
        return number(name, value, architecture)
    except ValueError as error:
        if str(error).startswith(f"measure {name}: "):
            raise InputError(str(error)) from None
        raise _failed(name, architecture, error) from error
    except MISTAKES as error:
        raise _failed(name, architecture, error) from error


def _failed(name: str, architecture: Architecture, error: BaseException) -> InputError:
    return InputError(f"measure {name}: {mistake('MEASURES', name, error)}; at {short_name(architecture)}")
