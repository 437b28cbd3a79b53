"""Stochastic depth and dropout: what a training step leaves out of a network, as decided outside of it.

A step is given who keeps what, so that runs of one seed drop alike whatever the design, its form and the device, and a
run that was interrupted drops what it would have dropped. Evaluated or exported networks drop nothing: what is kept in
training is scaled up instead.
"""

from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name
from torch import Tensor, nn

from explorer.design.architecture import Architecture
from explorer.host.errors import InputError
from explorer.study.parts import without_end
from explorer.study.settings import Recipe
from explorer.training.network.forms import PathsBottleneck
from explorer.training.network.fused import FusedNormReLU, normed_alone
from explorer.training.network.modules import (
    Basic,
    Bottleneck,
    Inception,
    NormReLU,
    PreactBasic,
    PreactBottleneck,
    ResNeXt,
    ScaledBottleneck,
)

ENDS = {
    Bottleneck: "bn3",
    ScaledBottleneck: "bn3",
    Inception: "bn3",
    Basic: "bn2",
    PreactBottleneck: "conv3",
    PreactBasic: "conv2",
}


class Dropping:
    """What the images of a step keep, shared by the modules of one network.

    blocks    number of blocks, of which the one at place l, from 1, drops an image with probability l / blocks times
              `recipe.stochastic_depth` (Huang et al., 1603.09382, section 3)
    width     number of features that enter the classifier
    branches  `(images, blocks)` booleans: whether an image keeps a block's branch beside its shortcut
    features  `(images, width)` booleans: which features an image keeps
    rows      which of the step's images the present pass has
    """

    def __init__(self, recipe: Recipe, blocks: int, width: int) -> None:
        self.blocks, self.width = blocks, width
        self.rates = [recipe.stochastic_depth * place / blocks for place in range(1, blocks + 1)]
        self.rate = recipe.dropout
        self.branches: Tensor | None = None
        self.features: Tensor | None = None
        self.rows = slice(None)

    def branch(self, maps: Tensor, place: int) -> Tensor:
        """The maps of a block's branch, zero where it is dropped and scaled up by its chance to be kept elsewhere."""
        return maps if self.branches is None else maps * self.factor(maps, place)

    def factor(self, maps: Tensor, place: int) -> Tensor:
        """What `branch` multiplies the maps with: `(images, 1, 1, 1)`."""
        assert self.branches is not None
        kept = self.branches[self.rows, place].to(maps.dtype)
        return (kept / (1 - self.rates[place]))[:, None, None, None]

    def before_classifier(self, features: Tensor) -> Tensor:
        """The features `(images, width)`, zero where they are dropped and scaled up elsewhere."""
        if self.features is None:
            return features
        return (features / (1 - self.rate)).masked_fill(~self.features[self.rows], 0.0)


class _DropsBranch(NormReLU):
    """A batch norm with addition and ReLU whose own maps, but not what is added, some images drop."""

    dropping: Dropping
    place: int

    def forward(self, input: Tensor, added: Tensor | None = None) -> Tensor:  # noqa: A002 - torch's name
        """`relu(dropped(norm(input)) + added)` in training, `relu(norm(input) + added)` otherwise."""
        if not self.training or added is None or self.dropping.branches is None:
            return super().forward(input, added)
        maps = self._alone(input)
        factor = self.dropping.factor(maps, self.place)
        return F.relu(torch.addcmul(added.to(maps.dtype), maps, factor), inplace=True)  # in one pass over the maps

    def _alone(self, maps: Tensor) -> Tensor:
        return nn.BatchNorm2d.forward(self, maps)


class _FusedDropsBranch(_DropsBranch, FusedNormReLU):
    def _alone(self, maps: Tensor) -> Tensor:
        return normed_alone(self, maps)


def attach(network: nn.Module, architecture: Architecture, recipe: Recipe) -> Dropping | None:
    """Let a network that is prepared for its device drop what a recipe says; None if that is nothing.

    Parameters and state dict stay as they are. Raises InputError for blocks that do not say where they end.
    """
    if not recipe.stochastic_depth and not recipe.dropout:
        return None
    blocks: list[nn.Module] = []
    if isinstance(network, ResNeXt):
        blocks = [block for stage in network.stage_names for block in network.get_submodule(stage).children()]
    classifier = cast(nn.Linear, network.get_submodule("fc"))
    dropping = Dropping(recipe, len(blocks), classifier.in_features)
    if recipe.dropout:
        classifier.register_forward_pre_hook(
            lambda module, inputs: (dropping.before_classifier(inputs[0]),) if module.training else None
        )
    for place, block in enumerate(blocks) if recipe.stochastic_depth and architecture.shortcut else ():
        for end in _ends(block, architecture):
            _attach(end, dropping, place)
    return dropping


def _attach(end: nn.Module, dropping: Dropping, place: int) -> None:
    if isinstance(end, NormReLU):
        end.__class__ = _FusedDropsBranch if isinstance(end, FusedNormReLU) else _DropsBranch
        assert isinstance(end, _DropsBranch)
        end.dropping, end.place = dropping, place
        return
    end.register_forward_hook(lambda module, _, maps: dropping.branch(maps, place) if module.training else None)


def _ends(block: nn.Module, architecture: Architecture) -> Iterator[nn.Module]:
    """The modules whose maps are the block's branch, before its shortcut is added: several if these are summed."""
    attention = getattr(block, "se", None)
    if attention is not None and getattr(block, "attention", "none") in ("se", "eca"):  # behind the last batch norm
        yield attention
    elif isinstance(block, PathsBottleneck):
        last = block.conv3 if block.preactivated else block.bn3
        yield from last if isinstance(last, nn.ModuleList) else [last]
    else:
        name = next((own for kind, own in ENDS.items() if isinstance(block, kind)), architecture.kind.last_norm)
        if not name:
            raise InputError(without_end(architecture.block))
        yield block.get_submodule(name)
