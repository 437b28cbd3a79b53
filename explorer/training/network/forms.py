"""The three equivalent forms of a bottleneck (ResNeXt paper, figure 3), and the conversion of weights between them.

sum      (a) C paths of 1x1, k x k, 1x1, added up
concat   (b) C paths of 1x1, k x k, concatenated, then one 1x1
grouped  (c) 1x1, grouped k x k, 1x1

Batch norm and ReLU act on each channel alone, so they may be split with the paths; only the batch norm behind the last
1x1 stands after the sum (paper, footnote 6). A pre-activated block has one batch norm before the split instead.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name
from torch import Tensor, nn

from explorer.design.architecture import Architecture
from explorer.design.block import BLOCKS
from explorer.design.layout import Stage, layout
from explorer.design.name import has_forms
from explorer.design.template import Task
from explorer.training.network.build import module_of
from explorer.training.network.modules import ResNeXt, at_end, attention_of, projection, stage_module

FORMS = ("sum", "concat", "grouped")
State = dict[str, Tensor]
# Which tensors of a block are split by paths, and along which dimension; the last 1x1 only in form (a).
_SPLIT = {
    "bottleneck": {"conv1": 0, "bn1": 0, "conv2": 0, "bn2": 0, "conv3": 1},
    "preact": {"conv1": 0, "bn2": 0, "conv2": 0, "bn3": 0, "conv3": 1},
}
_KEY = re.compile(r"(layer(\d+)\.\d+\.)(\w+?)(?:\.(\d+))?\.(\w+)")


class PathsBottleneck(nn.Module):
    """A bottleneck, plain or pre-activated, as `cardinality` separate paths: form "sum" or "concat".

    Takes and gives what `Bottleneck` does.
    """

    def __init__(self, stage: Stage, form: str, *, in_width: int, stride: int, normalised: bool = False) -> None:
        super().__init__()
        width, kernel = stage.bottleneck_width, stage.kernel_size
        self.paths, self.shortcut = stage.cardinality, stage.shortcut
        self.preactivated = BLOCKS[stage.block].preactivated
        self.attention = stage.attention

        def each(make: Callable[[], nn.Module]) -> nn.ModuleList:
            return nn.ModuleList(make() for _ in range(stage.cardinality))

        self.conv1 = each(lambda: nn.Conv2d(in_width, width, 1, bias=False))
        self.conv2 = each(lambda: nn.Conv2d(width, width, kernel, stride, kernel // 2, bias=False))
        if form == "sum":
            self.conv3: nn.Module = each(lambda: nn.Conv2d(width, stage.width, 1, bias=False))
        else:
            self.conv3 = nn.Conv2d(stage.group_width, stage.width, 1, bias=False)
        self.bn1: nn.Module | None
        if self.preactivated:
            self.bn1 = None if normalised else nn.BatchNorm2d(in_width)
            self.bn2 = each(lambda: nn.BatchNorm2d(width))
            self.bn3: nn.Module = each(lambda: nn.BatchNorm2d(width))
        else:
            self.bn1 = each(lambda: nn.BatchNorm2d(width))
            self.bn2 = each(lambda: nn.BatchNorm2d(width))
            self.bn3 = nn.BatchNorm2d(stage.width)
        self.se = attention_of(stage, in_width)
        self.downsample = projection(stage, in_width, stride, normalised=not self.preactivated)

    def forward(self, images: Tensor) -> Tensor:
        """Split, transform each path, merge, add."""
        active = images
        if self.preactivated and self.bn1 is not None:
            active = F.relu(self.bn1(images))
        maps = self._merged([self._path(active, path) for path in range(self.paths)])
        if not self.preactivated:
            maps = self.bn3(maps)
        maps = at_end(self, maps)
        if self.shortcut:
            ends = active if self.preactivated else images
            maps = maps + (images if self.downsample is None else self.downsample(ends))
        return maps if self.preactivated else F.relu(maps)

    def _path(self, images: Tensor, path: int) -> Tensor:
        first = self.bn2 if self.preactivated else cast(nn.ModuleList, self.bn1)
        second = cast(nn.ModuleList, self.bn3) if self.preactivated else self.bn2
        maps = F.relu(first[path](self.conv1[path](images)))
        return F.relu(second[path](self.conv2[path](maps)))

    def _merged(self, paths: list[Tensor]) -> Tensor:
        if isinstance(self.conv3, nn.ModuleList):
            maps = self.conv3[0](paths[0])
            for conv, path in zip(self.conv3[1:], paths[1:], strict=True):
                maps = maps + conv(path)
            return cast(Tensor, maps)
        return cast(Tensor, self.conv3(torch.cat(paths, dim=1)))


def refuse_without_forms(architecture: Architecture) -> None:
    """Raise ValueError for a block that has only one form, with the reason."""
    if architecture.block not in _SPLIT:
        reason = architecture.kind.reason or "its layers are not a bottleneck"
        raise ValueError(f"block {architecture.block} has no equivalent forms: {reason}")
    if architecture.scale > 1:
        raise ValueError(
            f"scale {architecture.scale} has no equivalent forms: its groups of channels feed each other, so a block "
            "is no sum of its paths"
        )
    if not has_forms(architecture):
        raise ValueError(
            f"attention {architecture.attention} has no equivalent forms: it mixes the paths of a block before they "
            "are added; se16 and eca, at the block's end, have all three"
        )


def in_form(architecture: Architecture, task: Task, form: str) -> ResNeXt:
    """The network with all its bottlenecks in one form, with torch's default weights."""
    refuse_without_forms(architecture)
    network = module_of(architecture, task)
    assert isinstance(network, ResNeXt)
    if form != "grouped":
        for name, stage in zip(network.stage_names, layout(architecture, task).stages, strict=True):
            network.set_submodule(name, stage_module(stage, partial(PathsBottleneck, form=form)))
    return network


def reformed(network: nn.Module, architecture: Architecture, task: Task, form: str) -> ResNeXt:
    """A grouped network in another form, with the same weights."""
    found = in_form(architecture, task, form)
    found.load_state_dict(convert(network.state_dict(), architecture, task, "grouped", form))
    return found


def convert(state: State, architecture: Architecture, task: Task, source: str, target: str) -> State:
    """The weights and running statistics of one form as those of another: new tensors, no rounding."""
    refuse_without_forms(architecture)
    grouped = state if source == "grouped" else _joined(state, architecture)
    copied = {key: tensor.clone() for key, tensor in grouped.items()}
    return copied if target == "grouped" else _separated(copied, architecture, task, target)


def _separated(state: State, architecture: Architecture, task: Task, target: str) -> State:
    stages, split = layout(architecture, task).stages, _SPLIT[architecture.block]
    found: State = {}
    for key, tensor in state.items():
        match = _KEY.fullmatch(key)
        dimension = split.get(match[3]) if match and match[3] != "downsample" else None
        if match is None or dimension is None or (match[3] == "conv3" and target == "concat"):
            found[key] = tensor
            continue
        paths = stages[int(match[2]) - 1].cardinality
        # A batch norm has a single batch counter, so each path gets a copy of it.
        parts = tensor.chunk(paths, dim=dimension) if tensor.dim() else [tensor] * paths
        for path, part in enumerate(parts):
            found[f"{match[1]}{match[3]}.{path}.{match[5]}"] = part.clone()
    return found


def _joined(state: State, architecture: Architecture) -> State:
    split = _SPLIT[architecture.block]
    parts: dict[str, list[tuple[int, Tensor]]] = {}
    dimensions: dict[str, int] = {}
    for key, tensor in state.items():
        match = _KEY.fullmatch(key)
        if match is None or match[4] is None or match[3] not in split:
            parts[key] = [(0, tensor)]
            continue
        joined = f"{match[1]}{match[3]}.{match[5]}"
        parts.setdefault(joined, []).append((int(match[4]), tensor))
        dimensions[joined] = split[match[3]]
    # Files may hold keys in any order, and path 10 sorts before path 2 as text.
    ordered = {key: [tensor for _, tensor in sorted(found, key=lambda part: part[0])] for key, found in parts.items()}
    return {
        key: torch.cat(tensors, dim=dimensions[key]) if key in dimensions and tensors[0].dim() else tensors[0]
        for key, tensors in ordered.items()
    }
