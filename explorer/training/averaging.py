"""An exponential moving average of a network's weights, which is evaluated and kept in their place."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

PREFIX = "average."


class Averaged:
    """The average over the steps of a run of a network's weights and of its batch norms' running statistics.

    Running statistics are averaged as weights are, as in timm and in torchvision's recipes: they belong to the weights
    with which they were measured. Counters of batches are those of the newest step. After step t, counted from 0, the
    average keeps min(decay, (1 + t) / (10 + t)) of itself, so that it soon forgets the first weights (the rule of
    TensorFlow's ExponentialMovingAverage with `num_updates`).

    network  of the averaged weights, prepared for the device as the one in training is
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay = copy.deepcopy(network), decay
        ours, theirs = self.network.state_dict(), network.state_dict()
        floating = [key for key, tensor in theirs.items() if tensor.is_floating_point()]
        self._averages, self._newest = [ours[key] for key in floating], [theirs[key] for key in floating]
        self._counts = [(ours[key], theirs[key]) for key in theirs if key not in {*floating}]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after a step of the run, counted from 0."""
        torch._foreach_lerp_(self._averages, self._newest, 1 - min(self.decay, (1 + step) / (10 + step)))
        for own, newest in self._counts:
            own.copy_(newest)

    @property
    def state(self) -> dict[str, Tensor]:
        """What a checkpoint has to keep of the average, by name."""
        return {f"{PREFIX}{key}": tensor for key, tensor in self.network.state_dict().items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from a kept `state`, in the same places of memory."""
        self.network.load_state_dict({key: tensors[f"{PREFIX}{key}"] for key in self.network.state_dict()})
