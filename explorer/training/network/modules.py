"""Networks built from a layout. Modules are named as in torchvision's ResNet, so state dicts fit.

The classes read nothing but the numbers of a `Stem`, `Stage` or `AlexNetLayout`: `explorer export` writes their source
beside those numbers, and the file stands on its own.
"""

import dataclasses
from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name
from torch import Tensor, nn

from explorer.design.alexnet import AlexNetLayout
from explorer.design.block import BLOCKS
from explorer.design.layout import Layout, Stage, reduced


class NormReLU(nn.BatchNorm2d):
    """Batch norm and ReLU, with an addition between them where something is given to add."""

    def forward(self, input: Tensor, added: Tensor | None = None) -> Tensor:  # noqa: A002 - torch's name
        """`relu(norm(input) + added)`, maps `(batch, channels, height, width)`."""
        maps = super().forward(input)
        if added is not None:
            maps += added
        return F.relu(maps, inplace=True)


class Bottleneck(nn.Module):
    """The ResNeXt block in its grouped form (paper, figure 3c): 1x1, grouped k x k with the stride, 1x1, plus shortcut.

    Takes `(batch, in_width, height, width)` and gives `(batch, stage.width, ceil(height/stride), ceil(width/stride))`,
    as every block here does.
    """

    def __init__(self, stage: Stage, *, in_width: int, stride: int) -> None:
        super().__init__()
        middle, kernel = stage.group_width, stage.kernel_size
        self.conv1 = nn.Conv2d(in_width, middle, 1, bias=False)
        self.bn1 = NormReLU(middle)
        self.conv2 = nn.Conv2d(middle, middle, kernel, stride, kernel // 2, groups=stage.cardinality, bias=False)
        self.bn2 = NormReLU(middle)
        self.conv3 = nn.Conv2d(middle, stage.width, 1, bias=False)
        self.bn3 = NormReLU(stage.width)
        self.shortcut = stage.shortcut
        self.downsample = projection(stage, in_width, stride, normalised=True)

    def forward(self, images: Tensor) -> Tensor:
        """Transform and add: the last ReLU comes after the addition (paper, section 5)."""
        maps = self.conv3(self.bn2(self.conv2(self.bn1(self.conv1(images)))))
        return cast(Tensor, self.bn3(maps, shortcut_of(self, images)))


class PreactBottleneck(nn.Module):
    """A bottleneck with batch norm and ReLU before each convolution (He et al., 2016; the paper's footnote 5).

    The first block of a stage shares its first batch norm and ReLU with the projection, as in fb.resnet.torch; where
    `normalised` the stem has done both already.
    """

    def __init__(self, stage: Stage, *, in_width: int, stride: int, normalised: bool = False) -> None:
        super().__init__()
        middle, kernel = stage.group_width, stage.kernel_size
        self.bn1 = None if normalised else NormReLU(in_width)
        self.conv1 = nn.Conv2d(in_width, middle, 1, bias=False)
        self.bn2 = NormReLU(middle)
        self.conv2 = nn.Conv2d(middle, middle, kernel, stride, kernel // 2, groups=stage.cardinality, bias=False)
        self.bn3 = NormReLU(middle)
        self.conv3 = nn.Conv2d(middle, stage.width, 1, bias=False)
        self.shortcut = stage.shortcut
        self.downsample = projection(stage, in_width, stride, normalised=False)

    def forward(self, images: Tensor) -> Tensor:
        """Transform and add; nothing follows the addition."""
        active = images if self.bn1 is None else self.bn1(images)
        maps = self.conv3(self.bn3(self.conv2(self.bn2(self.conv1(active)))))
        if self.shortcut:
            maps += images if self.downsample is None else self.downsample(active)
        return cast(Tensor, maps)


class Basic(nn.Module):
    """Two k x k convolutions, the first with the stride (He et al., 2015); `bottleneck_width` channels between them."""

    def __init__(self, stage: Stage, *, in_width: int, stride: int) -> None:
        super().__init__()
        middle, kernel = stage.bottleneck_width, stage.kernel_size
        self.conv1 = nn.Conv2d(in_width, middle, kernel, stride, kernel // 2, bias=False)
        self.bn1 = NormReLU(middle)
        self.conv2 = nn.Conv2d(middle, stage.width, kernel, 1, kernel // 2, bias=False)
        self.bn2 = NormReLU(stage.width)
        self.shortcut = stage.shortcut
        self.downsample = projection(stage, in_width, stride, normalised=True)

    def forward(self, images: Tensor) -> Tensor:
        """Transform and add; the last ReLU comes after the addition."""
        maps = self.conv2(self.bn1(self.conv1(images)))
        return cast(Tensor, self.bn2(maps, shortcut_of(self, images)))


class PreactBasic(nn.Module):
    """The block of Wide ResNets: batch norm and ReLU before each of two convolutions (Wide ResNet paper, section 2)."""

    def __init__(self, stage: Stage, *, in_width: int, stride: int, normalised: bool = False) -> None:
        super().__init__()
        middle, kernel = stage.bottleneck_width, stage.kernel_size
        self.bn1 = None if normalised else NormReLU(in_width)
        self.conv1 = nn.Conv2d(in_width, middle, kernel, stride, kernel // 2, bias=False)
        self.bn2 = NormReLU(middle)
        self.conv2 = nn.Conv2d(middle, stage.width, kernel, 1, kernel // 2, bias=False)
        self.shortcut = stage.shortcut
        self.downsample = projection(stage, in_width, stride, normalised=False)

    def forward(self, images: Tensor) -> Tensor:
        """Transform and add; nothing follows the addition."""
        active = images if self.bn1 is None else self.bn1(images)
        maps = self.conv2(self.bn2(self.conv1(active)))
        if self.shortcut:
            maps += images if self.downsample is None else self.downsample(active)
        return cast(Tensor, maps)


class Inception(nn.Module):
    """Four unlike paths of one width, concatenated and merged by 1x1, plus shortcut (after Szegedy et al., 2016).

    The paths are 1x1; 1x1 then 3x3; 1x1 then 5x5; 3x3 maximum pooling then 1x1. Each path's last step has the stride.
    """

    def __init__(self, stage: Stage, *, in_width: int, stride: int) -> None:
        super().__init__()
        path = stage.bottleneck_width
        self.branch1 = _conv_bn_relu(in_width, path, 1, stride)
        self.branch2 = nn.Sequential(_conv_bn_relu(in_width, path, 1, 1), _conv_bn_relu(path, path, 3, stride))
        self.branch3 = nn.Sequential(_conv_bn_relu(in_width, path, 1, 1), _conv_bn_relu(path, path, 5, stride))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride, 1), _conv_bn_relu(in_width, path, 1, 1))
        self.conv3 = nn.Conv2d(4 * path, stage.width, 1, bias=False)
        self.bn3 = NormReLU(stage.width)
        self.shortcut = stage.shortcut
        self.downsample = projection(stage, in_width, stride, normalised=True)

    def forward(self, images: Tensor) -> Tensor:
        """Transform, merge and add; the last ReLU comes after the addition."""
        paths = [self.branch1(images), self.branch2(images), self.branch3(images), self.branch4(images)]
        maps = self.conv3(torch.cat(paths, dim=1))
        return cast(Tensor, self.bn3(maps, shortcut_of(self, images)))


class ResNeXt(nn.Module):
    """A whole network of stages: stem, stages, global average pooling and a linear classifier.

    Takes `(batch, channels, image_size, image_size)` and gives scores `(batch, classes)`.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        stem = layout.stem
        self.conv1 = nn.Conv2d(
            stem.channels, stem.width, stem.kernel_size, stem.stride, stem.kernel_size // 2, bias=False
        )
        self.bn1 = NormReLU(stem.width) if stem.normalised else None
        self.maxpool = nn.MaxPool2d(3, 2, 1) if stem.pool else nn.Identity()
        self.stage_names = [f"layer{number}" for number in range(1, len(layout.stages) + 1)]
        for name, stage in zip(self.stage_names, layout.stages, strict=True):
            self.add_module(name, stage_module(stage, BLOCK_MODULES[stage.block]))
        width = layout.stages[-1].width
        self.bn_last = NormReLU(width) if layout.normalised_head else None
        self.fc = nn.Linear(width, layout.classes)

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """The maps that leave each stage, `(batch, width, height, width)`, by the paper's names: conv2, conv3, ...

        Those of a pre-activated network are as its blocks give them, before the batch norm and ReLU of what follows.
        """
        maps = self.conv1(images)
        if self.bn1 is not None:
            maps = self.bn1(maps)
        maps = self.maxpool(maps)
        found = {}
        for number, name in enumerate(self.stage_names, start=2):
            maps = self.get_submodule(name)(maps)
            found[f"conv{number}"] = maps
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Scores before softmax."""
        maps = list(self.features(images).values())[-1]
        if self.bn_last is not None:
            maps = self.bn_last(maps)
        return cast(Tensor, self.fc(maps.mean(dim=(2, 3))))


class AlexNet(nn.Module):
    """AlexNet's layers: five convolutions, three of them grouped, and three linear layers, with biases and ReLU.

    Takes `(batch, channels, image_size, image_size)` and gives scores `(batch, classes)`.
    """

    def __init__(self, layout: AlexNetLayout) -> None:
        super().__init__()
        self.stage_names = []
        for number, layer in enumerate(layout.convolutions, start=1):
            conv = nn.Conv2d(
                layer.in_width, layer.width, layer.kernel_size, layer.stride, layer.padding, groups=layer.groups
            )
            pool = nn.MaxPool2d(3, 2) if layer.pool else nn.Identity()
            self.add_module(f"conv{number}", nn.Sequential(conv, nn.ReLU(inplace=True), pool))
            self.stage_names.append(f"conv{number}")
        self.fc6 = nn.Linear(layout.features, layout.hidden)
        self.fc7 = nn.Linear(layout.hidden, layout.hidden)
        self.fc = nn.Linear(layout.hidden, layout.classes)

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """The maps that leave each convolution, after its pooling: conv1 to conv5."""
        maps, found = images, {}
        for name in self.stage_names:
            maps = self.get_submodule(name)(maps)
            found[name] = maps
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Scores before softmax."""
        flat = self.features(images)["conv5"].flatten(1)
        return cast(Tensor, self.fc(F.relu(self.fc7(F.relu(self.fc6(flat))))))


class _Modules(dict[str, Callable[..., nn.Module]]):
    """What makes the module of each block; of blocks that extensions add, too."""

    def __missing__(self, name: str) -> Callable[..., nn.Module]:
        module = BLOCKS[name].module
        assert module is not None
        return stage_alone(module)


BLOCK_MODULES = _Modules(
    bottleneck=Bottleneck, preact=PreactBottleneck, basic=Basic, preact_basic=PreactBasic, inception=Inception
)


def stage_module(stage: Stage, module: Callable[..., nn.Module]) -> nn.Sequential:
    """The blocks of a stage, each made by `module`: the first changes width and map."""
    stem_did_it = {"normalised": True} if stage.normalised else {}
    first = module(stage, in_width=stage.in_width, stride=stage.stride, **stem_did_it)
    return nn.Sequential(first, *(module(stage, in_width=stage.width, stride=1) for _ in range(stage.depth - 1)))


def stage_alone(module: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Give each block that `module` makes a stage of that block alone, as where the cost of an added block is counted.

    What it makes of the stage's depth, stride or map is then what was counted.
    """

    def made(stage: Stage, *, in_width: int, stride: int, **more: bool) -> nn.Module:
        is_first = in_width == stage.in_width and stride == stage.stride
        side = stage.map_size if is_first else reduced(stage.map_size, stage.stride)
        own = dataclasses.replace(stage, depth=1, in_width=in_width, stride=stride, map_size=side)
        return module(own, in_width=in_width, stride=stride, **more)

    return made


def shortcut_of(block: nn.Module, images: Tensor) -> Tensor | None:
    """What a block adds to its maps: its input, projected where the ends differ; None where it has no shortcut."""
    if not block.shortcut:
        return None
    return images if block.downsample is None else cast(Tensor, cast(nn.Module, block.downsample)(images))


def projection(stage: Stage, in_width: int, stride: int, *, normalised: bool) -> nn.Sequential | None:
    """The 1x1 convolution of a shortcut whose ends differ (type B); None where it is the identity or there is none."""
    if not stage.shortcut or (in_width == stage.width and stride == 1):
        return None
    conv = nn.Conv2d(in_width, stage.width, 1, stride, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(stage.width)) if normalised else nn.Sequential(conv)


def _conv_bn_relu(in_width: int, width: int, kernel: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(in_width, width, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, NormReLU(width))
