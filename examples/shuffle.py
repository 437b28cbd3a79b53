"""A block from outside: a bottleneck whose 1x1 convolutions are grouped too, with a channel shuffle between them.

After ShuffleNet (Zhang et al., 2018, arXiv:1707.01083, figure 2), with ReLU as in ResNeXt. With one path it is the
ResNet bottleneck. At equal parameters grouping the 1x1 convolutions buys wider paths; does that lower the error?

    explorer plan study=equal_params extensions=examples/shuffle.py 'space.block=[bottleneck,shuffle]' \
        budget.reference=29-1x64d study.contrast.setting=29-8x27d-shuffle study.contrast.against=29-8x14d name=shuffle

The same without `plan` trains. Nothing says what the block costs: it is counted on what is built.
"""

from typing import cast

import torch
from torch import nn

import explorer as ex
from explorer.training.network.modules import NormReLU, projection, shortcut_of


class ShuffleBottleneck(nn.Module):
    """Grouped 1x1, shuffle, grouped k x k with the stride, grouped 1x1, plus shortcut."""

    def __init__(self, stage: ex.Stage, *, in_width: int, stride: int) -> None:
        super().__init__()
        middle, paths, kernel = stage.group_width, stage.cardinality, stage.kernel_size
        self.paths = paths
        self.conv1 = nn.Conv2d(in_width, middle, 1, groups=paths, bias=False)
        self.bn1 = NormReLU(middle)
        self.conv2 = nn.Conv2d(middle, middle, kernel, stride, kernel // 2, groups=paths, bias=False)
        self.bn2 = NormReLU(middle)
        self.conv3 = nn.Conv2d(middle, stage.width, 1, groups=paths, bias=False)
        self.bn3 = NormReLU(stage.width)
        self.shortcut = stage.shortcut
        self.downsample = projection(stage, in_width, stride, normalised=True)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (batch, in_width, height, width) to (batch, stage.width, height / stride, width / stride)."""
        maps = shuffled(self.bn1(self.conv1(images)), self.paths)
        maps = self.conv3(self.bn2(self.conv2(maps)))
        return cast(torch.Tensor, self.bn3(maps, shortcut_of(self, images)))


def shuffled(maps: torch.Tensor, groups: int) -> torch.Tensor:
    """The same maps with their channels dealt out over the groups in turn, so that the next groups see all paths."""
    batch, channels, height, width = maps.shape
    return maps.view(batch, groups, channels // groups, height, width).transpose(1, 2).flatten(1, 2)


BLOCKS = {"shuffle": ex.Block(ShuffleBottleneck, layers=3, last_norm="bn3")}
