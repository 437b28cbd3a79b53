"""About how much memory networks take: what cannot fit is refused in one line before anything is allocated.

One estimate for all who train or evaluate a network. It is coarse and rather low than high: what is near the limit is
tried, and what does not fit then ends by itself.
"""

from collections.abc import Callable, Mapping, Sequence
from math import inf

from explorer.design.architecture import Architecture
from explorer.design.cost import Cost, cost
from explorer.design.layout import Stage, layout, reduced
from explorer.design.template import Task
from explorer.host.errors import InputError

# What a process takes besides maps and weights, measured with torch 2.13: libraries, and buffers of the convolutions.
BASE_BYTES = 400 * 2**20
SHARE = 0.9  # of the memory that there is, which may be asked for


def training_bytes(own: Cost, images: int, per_value: int) -> int:
    """Bytes at the peak of a training step on so many images, with so many bytes for each value of a map.

    Each map is kept before and after its batch norm until the backward pass, which holds about as much again in
    gradients and buffers; weights come with gradient, momentum and a copy.
    """
    return BASE_BYTES + 3 * own.activations * images * per_value + 16 * own.params


def passing_bytes(architecture: Architecture, task: Task, images: int, per_value: int = 4) -> int:
    """Bytes at the peak of a forward pass that keeps nothing for a backward one: images, the widest block, weights."""
    pixels = task.channels * task.image_size**2
    return (
        BASE_BYTES + (pixels + _widest(architecture, task)) * images * per_value + 4 * cost(architecture, task).params
    )


def forms_bytes(own: Cost, images: int) -> int:
    """Bytes that comparing the equivalent forms takes: their training steps, and copies of all weights in float64.

    The paths' outputs that form (a) adds up are not kept.
    """
    return training_bytes(own, images, 4) + 84 * own.params


def refuse_beyond(
    what: str,
    needed: Callable[[Mapping[str, int]], int],
    given: Mapping[str, int],
    there: int,
) -> None:
    """Raise InputError where a network with the given sizes needs more bytes than there are, saying what would fit.

    `needed` says how many it takes with any sizes; each size is made smaller alone.
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
    """The largest value of one size with which the network fits; None where none does."""

    def bytes_with(value: int) -> float:
        try:
            return needed({**given, key: value})
        except ValueError:  # too small for the network
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
    """Values of the maps that lie in memory together, for one image, where these are most: those of one block."""
    if architecture.block == "alexnet":
        return cost(architecture, task).activations
    stem = layout(architecture, task).stem
    found = [2 * stem.width * stem.map_size**2]
    for stage in _stages(architecture, task):
        middle = max(stage.group_width, stage.bottleneck_width)
        out = reduced(stage.map_size, stage.stride) ** 2
        found.append((stage.in_width + 2 * middle) * stage.map_size**2)
        found.append(stage.in_width * stage.map_size**2 + (middle + 2 * stage.width) * out)
        found.append((stage.width + 2 * middle) * out)
    return max(found)


def _stages(architecture: Architecture, task: Task) -> Sequence[Stage]:
    return () if architecture.block == "alexnet" else layout(architecture, task).stages
