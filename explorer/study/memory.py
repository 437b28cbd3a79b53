"""Estimates of the memory that networks need: what cannot fit is refused in one line before anything is allocated.

All code that trains or evaluates a network uses these. They are coarse, and too low rather than too high: a network
near the limit is tried, and if it does not fit after all, its run ends as out of memory.
"""

from collections.abc import Callable, Mapping
from math import inf

from explorer.design.architecture import Architecture
from explorer.design.cost import Cost, cost
from explorer.design.layout import layout, reduced
from explorer.design.template import Task
from explorer.host.errors import InputError

# Memory of a process besides maps and weights, measured with torch 2.13: libraries and convolution buffers.
BASE_BYTES = 400 * 2**20
SHARE = 0.9  # of the available memory that a network may need


def training_bytes(own: Cost, images: int, per_value: int) -> int:
    """Peak bytes of a training step on `images` images, with `per_value` bytes for each value of a map.

    Each map is kept before and after its batch norm for the backward pass, which needs about as much again for
    gradients and buffers; each weight has a gradient, a momentum and a copy.
    """
    return BASE_BYTES + 3 * own.activations * images * per_value + 16 * own.params


def passing_bytes(architecture: Architecture, task: Task, images: int, per_value: int = 4) -> int:
    """Peak bytes of a forward pass without a backward pass: images, the maps of the widest block, and weights."""
    pixels = task.channels * task.image_size**2
    return (
        BASE_BYTES + (pixels + _widest(architecture, task)) * images * per_value + 4 * cost(architecture, task).params
    )


def forms_bytes(own: Cost, images: int) -> int:
    """Peak bytes of comparing the equivalent forms: their training steps, and float64 copies of all weights.

    Form (a) adds up its paths' outputs without keeping them.
    """
    return training_bytes(own, images, 4) + 84 * own.params


def refuse_beyond(
    what: str,
    needed: Callable[[Mapping[str, int]], int],
    given: Mapping[str, int],
    there: int,
) -> None:
    """Raise InputError, with sizes that would fit, if a network needs more bytes than the `there` that are available.

    `needed` gives the bytes for any sizes; `given` are those requested, and each is reduced alone for the suggestion.
    """
    if needed(given) <= SHARE * there:
        return
    fitting = {key: _most(key, needed, given, there) for key in given}
    ways = " or ".join(f"{key}={most}" for key, most in fitting.items() if most)
    raise InputError(
        f"{', '.join(f'{key}={value}' for key, value in given.items())}: {what} would need about "
        f"{needed(given) / 2**30:,.1f} GiB of memory, and there are {there / 2**30:,.1f}; allowed: "
        f"{f'up to {ways}' if ways else 'a network with fewer weights'}"
    )


def _most(key: str, needed: Callable[[Mapping[str, int]], int], given: Mapping[str, int], there: int) -> int | None:
    """The largest value of one size with which the network fits; None if no value does."""

    def bytes_with(value: int) -> float:
        try:
            return needed({**given, key: value})
        except ValueError:  # this size is too small for the network
            return -inf

    fits, beyond = 0, given[key]
    while beyond - fits > 1:
        middle = (fits + beyond) // 2
        if bytes_with(middle) <= SHARE * there:
            fits = middle
        else:
            beyond = middle
    return fits if fits and bytes_with(fits) > 0 else None


def _widest(architecture: Architecture, task: Task) -> int:
    """Largest number of map values in memory at the same time for one image: those of the widest block."""
    if architecture.block == "alexnet":
        return cost(architecture, task).activations
    shape = layout(architecture, task)
    found = [2 * shape.stem.width * shape.stem.map_size**2]
    for stage in shape.stages:
        middle = max(stage.middle_width, stage.bottleneck_width)
        out = reduced(stage.map_size, stage.stride) ** 2
        found.append((stage.in_width + 2 * middle) * stage.map_size**2)
        found.append(stage.in_width * stage.map_size**2 + (middle + 2 * stage.width) * out)
        found.append((stage.width + 2 * middle) * out)
    return max(found)
