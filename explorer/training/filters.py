"""How long the filters of a network's k x k convolutions are, and how far they turn in each epoch.

A filter is all weights of one output channel. Behind a batch norm its length does not change what the network computes,
but the shorter it is, the further it turns at the same learning rate. Weights are only read, so that results stay as
they are bit for bit.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from explorer.study.run import Filters
from explorer.training.network.build import STEMS

_PATH = re.compile(r"\.\d+$")  # ends the name of a convolution that is one path of a layer


@dataclass
class Turning:
    """The filters of a network in training, by layer.

    layers  the weights of the blocks' k x k convolutions, k > 1, each layer's as one tensor, or in forms of separate
            paths as one for each path
    norms   squared norms at the start, means over each layer's filters
    turned  degrees by which filters have turned in the epochs so far, means over each layer's filters, summed
    before  the filters as they were when the present epoch began; None between epochs
    """

    layers: dict[str, list[Tensor]]
    norms: dict[str, float]
    turned: Tensor
    before: dict[str, Tensor] | None = None

    def begin(self) -> None:
        """Remember the filters: an epoch begins."""
        self.before = {name: _filters(weights) for name, weights in self.layers.items()}

    def end(self, *, counts: bool) -> None:
        """Add how far each layer's filters have turned since the epoch began, if it counts; an epoch ends."""
        assert self.before is not None
        if counts and self.layers:
            pairs = ((self.before[name], _filters(weights)) for name, weights in self.layers.items())
            self.turned = self.turned + torch.stack([_degrees(*pair).mean() for pair in pairs])
        self.before = None

    def state(self) -> dict[str, Tensor]:
        """What a run has to keep of this when it is interrupted, with names for a checkpoint."""
        before = {} if self.before is None else self.before
        return {"turned": self.turned, **{f"before.{name}": filters for name, filters in before.items()}}

    def restore(self, tensors: Mapping[str, Tensor]) -> bool:
        """Go on from what was kept; False if an earlier version, which kept nothing of it, wrote the checkpoint."""
        if "turned" not in tensors:
            return False
        device = self.turned.device
        self.turned = tensors["turned"].to(device)
        kept = {name: tensors[f"before.{name}"] for name in self.layers if f"before.{name}" in tensors}
        self.before = {name: filters.to(device) for name, filters in kept.items()} or None
        return True

    def result(self, epochs: int) -> tuple[Filters, ...]:
        """Each layer's norms at the start and now, and degrees per epoch of the `epochs` that counted."""
        now, degrees = _norms(self.layers), (self.turned / epochs).tolist()
        return tuple(
            Filters(name, norm, now[name], min(turned, 180.0))
            for (name, norm), turned in zip(self.norms.items(), degrees, strict=True)
        )


def turning(network: nn.Module, form: str) -> Turning:
    """Begin to follow the filters of a network that has its first weights; `form` is that of its blocks."""
    layers: dict[str, list[Tensor]] = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1) and name not in STEMS:
            layers.setdefault(name if form == "grouped" else _PATH.sub("", name), []).append(module.weight)
    device = next(network.parameters()).device
    return Turning(layers, _norms(layers), torch.zeros(len(layers), dtype=torch.float64, device=device))


def _filters(weights: list[Tensor]) -> Tensor:
    """A copy of a layer's filters, `(filters, weights of each)`, whatever the memory order of the weights."""
    return torch.cat([weight.detach().flatten(1) for weight in weights])


def _norms(layers: Mapping[str, list[Tensor]]) -> dict[str, float]:
    """The squared norm of a filter, mean over each layer's filters."""
    return {name: float(_filters(weights).double().square().sum(1).mean()) for name, weights in layers.items()}


def _degrees(before: Tensor, after: Tensor) -> Tensor:
    """The angle between two states of each filter, `(filters,)`, in degrees."""
    one, other = (torch.nn.functional.normalize(filters.double(), dim=1) for filters in (before, after))
    # Half of the angle by its tangent: the cosine of a small angle differs from 1 by less than rounding.
    return torch.rad2deg(2 * torch.atan2((one - other).norm(dim=1), (one + other).norm(dim=1)))
