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
from explorer.design.attention import eca_kernel, squeezed_width
from explorer.design.block import BLOCKS
from explorer.design.layout import Layout, Stage, Stem, reduced


class NormReLU(nn.BatchNorm2d):
    """Batch norm and ReLU, with an addition between them where something is given to add."""

    def forward(self, input: Tensor, added: Tensor | None = None) -> Tensor:  # noqa: A002 - torch's name
        """`relu(norm(input) + added)`, maps `(batch, channels, height, width)`."""
        maps = super().forward(input)
        if added is not None:
            maps += added
        return F.relu(maps, inplace=True)


class SqueezeExcite(nn.Module):
    """Each channel scaled by a factor from 0 to 1 that two 1x1 convolutions make of all channels' means."""

    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(width, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, width, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Scaled maps `(batch, width, height, width)`."""
        means = maps.mean(dim=(2, 3), keepdim=True)
        return maps * torch.sigmoid(self.fc2(F.relu(self.fc1(means))))


class EfficientAttention(nn.Module):
    """Each channel scaled by a factor from 0 to 1 that one convolution along the channels makes of their means."""

    def __init__(self, width: int) -> None:
        super().__init__()
        kernel = eca_kernel(width)
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Scaled maps `(batch, width, height, width)`."""
        means = maps.mean(dim=(2, 3))[:, None]
        return maps * torch.sigmoid(self.conv(means))[:, 0, :, None, None]


class Padded(nn.Module):
    """A shortcut without weights: every `stride`-th pixel, and zeros for further channels (type A)."""

    def __init__(self, more: int, stride: int) -> None:
        super().__init__()
        self.more, self.stride = more, stride

    def forward(self, maps: Tensor) -> Tensor:
        """Maps with `more` channels of zeros behind their own."""
        return F.pad(maps[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))


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
        self.bn3 = last_norm(stage)
        self.attention = stage.attention
        self.se = attention_of(stage, in_width)
        self.shortcut = stage.shortcut
        self.downsample = projection(stage, in_width, stride, normalised=True)

    def forward(self, images: Tensor) -> Tensor:
        """Transform and add: the last ReLU comes after the addition (paper, section 5)."""
        maps = in_middle(self, self.bn2(self.conv2(self.bn1(self.conv1(images)))))
        return ended(self, self.bn3, self.conv3(maps), images)


class ScaledBottleneck(nn.Module):
    """A bottleneck whose middle is `stage.scale` groups of channels that feed each other (Gao et al., 2019, Res2Net).

    Each group but the last is convolved by k x k, after the result of the group before it was added; the last is passed
    on as it is. The first block of a stage adds nothing and pools the last group with its stride (their code).
    """

    def __init__(self, stage: Stage, *, in_width: int, stride: int) -> None:
        super().__init__()
        width, middle, kernel = stage.group_width, stage.middle_width, stage.kernel_size
        self.width = width
        self.conv1 = nn.Conv2d(in_width, middle, 1, bias=False)
        self.bn1 = NormReLU(middle)
        self.convs = nn.ModuleList(
            nn.Conv2d(width, width, kernel, stride, kernel // 2, groups=stage.cardinality, bias=False)
            for _ in range(stage.scale - 1)
        )
        self.bns = nn.ModuleList(NormReLU(width) for _ in range(stage.scale - 1))
        self.is_first = stride != 1 or in_width != stage.width
        self.pool = nn.AvgPool2d(3, stride, 1) if self.is_first else nn.Identity()
        self.conv3 = nn.Conv2d(middle, stage.width, 1, bias=False)
        self.bn3 = last_norm(stage)
        self.attention = stage.attention
        self.se = attention_of(stage, in_width)
        self.shortcut = stage.shortcut
        self.downsample = projection(stage, in_width, stride, normalised=True)

    def forward(self, images: Tensor) -> Tensor:
        """Transform and add; the last ReLU comes after the addition."""
        *groups, last = self.bn1(self.conv1(images)).split(self.width, dim=1)
        found: list[Tensor] = []
        for group, conv, norm in zip(groups, self.convs, self.bns, strict=True):
            given = group if self.is_first or not found else found[-1] + group
            found.append(norm(conv(given)))
        maps = in_middle(self, torch.cat([*found, self.pool(last)], dim=1))
        return ended(self, self.bn3, self.conv3(maps), images)


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
        self.attention = stage.attention
        self.se = attention_of(stage, in_width)
        self.shortcut = stage.shortcut
        self.downsample = projection(stage, in_width, stride, normalised=False)

    def forward(self, images: Tensor) -> Tensor:
        """Transform and add; nothing follows the addition."""
        active = images if self.bn1 is None else self.bn1(images)
        maps = in_middle(self, self.bn3(self.conv2(self.bn2(self.conv1(active)))))
        maps = at_end(self, self.conv3(maps))
        if self.shortcut:
            maps += images if self.downsample is None else self.downsample(active)
        return maps


class Basic(nn.Module):
    """Two k x k convolutions, the first with the stride (He et al., 2015); `bottleneck_width` channels between them."""

    def __init__(self, stage: Stage, *, in_width: int, stride: int) -> None:
        super().__init__()
        middle, kernel = stage.bottleneck_width, stage.kernel_size
        self.conv1 = nn.Conv2d(in_width, middle, kernel, stride, kernel // 2, bias=False)
        self.bn1 = NormReLU(middle)
        self.conv2 = nn.Conv2d(middle, stage.width, kernel, 1, kernel // 2, bias=False)
        self.bn2 = last_norm(stage)
        self.attention = stage.attention
        self.se = attention_of(stage, in_width)
        self.shortcut = stage.shortcut
        self.downsample = projection(stage, in_width, stride, normalised=True)

    def forward(self, images: Tensor) -> Tensor:
        """Transform and add; the last ReLU comes after the addition."""
        maps = in_middle(self, self.bn1(self.conv1(images)))
        return ended(self, self.bn2, self.conv2(maps), images)


class PreactBasic(nn.Module):
    """The block of Wide ResNets: batch norm and ReLU before each of two convolutions (Wide ResNet paper, section 2)."""

    def __init__(self, stage: Stage, *, in_width: int, stride: int, normalised: bool = False) -> None:
        super().__init__()
        middle, kernel = stage.bottleneck_width, stage.kernel_size
        self.bn1 = None if normalised else NormReLU(in_width)
        self.conv1 = nn.Conv2d(in_width, middle, kernel, stride, kernel // 2, bias=False)
        self.bn2 = NormReLU(middle)
        self.conv2 = nn.Conv2d(middle, stage.width, kernel, 1, kernel // 2, bias=False)
        self.attention = stage.attention
        self.se = attention_of(stage, in_width)
        self.shortcut = stage.shortcut
        self.downsample = projection(stage, in_width, stride, normalised=False)

    def forward(self, images: Tensor) -> Tensor:
        """Transform and add; nothing follows the addition."""
        active = images if self.bn1 is None else self.bn1(images)
        maps = in_middle(self, self.bn2(self.conv1(active)))
        maps = at_end(self, self.conv2(maps))
        if self.shortcut:
            maps += images if self.downsample is None else self.downsample(active)
        return maps


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
        self.bn3 = last_norm(stage)
        self.attention = stage.attention
        self.se = attention_of(stage, in_width)
        self.shortcut = stage.shortcut
        self.downsample = projection(stage, in_width, stride, normalised=True)

    def forward(self, images: Tensor) -> Tensor:
        """Transform, merge and add; the last ReLU comes after the addition."""
        paths = [self.branch1(images), self.branch2(images), self.branch3(images), self.branch4(images)]
        return ended(self, self.bn3, self.conv3(torch.cat(paths, dim=1)), images)


class ResNeXt(nn.Module):
    """A whole network of stages: stem, stages, global average pooling and a linear classifier.

    Takes `(batch, channels, image_size, image_size)` and gives scores `(batch, classes)`.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        stem = layout.stem
        self.conv1 = stem_convolution(stem)
        self.bn1 = NormReLU(stem.width) if stem.normalised else None
        self.maxpool = nn.MaxPool2d(3, 2, 1) if stem.pool else nn.Identity()
        self.stage_names = [f"layer{number}" for number in range(1, len(layout.stages) + 1)]
        for name, stage in zip(self.stage_names, layout.stages, strict=True):
            self.add_module(name, stage_module(stage, BLOCK_MODULES[block_name(stage)]))
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
    {
        "bottleneck": Bottleneck,
        "bottleneck in groups": ScaledBottleneck,  # no name that an extension may give to a block
        "preact": PreactBottleneck,
        "basic": Basic,
        "preact_basic": PreactBasic,
        "inception": Inception,
    }
)


def block_name(stage: Stage) -> str:
    """The key of a stage's block in `BLOCK_MODULES`."""
    return "bottleneck in groups" if stage.scale > 1 else stage.block


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
    """What a shortcut does whose ends differ; None where it is the identity or there is none.

    A 1x1 convolution with the stride (type B), the same behind average pooling that has the stride (ResNet-D; He et
    al., 2018, 1812.01187, section 4), or nothing with weights (type A).
    """
    if not stage.shortcut or (in_width == stage.width and stride == 1):
        return None
    if stage.projection == "pad":
        return nn.Sequential(Padded(stage.width - in_width, stride))
    layers: list[nn.Module] = []
    if stage.projection == "pool":  # pixels that the border cuts off do not count
        pool = nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)
        layers, stride = [pool if stride > 1 else nn.Identity()], 1
    layers.append(nn.Conv2d(in_width, stage.width, 1, stride, bias=False))
    return nn.Sequential(*layers, *([nn.BatchNorm2d(stage.width)] if normalised else []))


def stem_convolution(stem: Stem) -> nn.Module:
    """What a stem has before its batch norm; three convolutions are numbered as in timm."""
    if not stem.deep:
        kernel = stem.kernel_size
        return nn.Conv2d(stem.channels, stem.width, kernel, stem.stride, kernel // 2, bias=False)
    half = stem.width // 2
    return nn.Sequential(
        nn.Conv2d(stem.channels, half, 3, stem.stride, 1, bias=False),
        NormReLU(half),
        nn.Identity(),
        nn.Conv2d(half, half, 3, 1, 1, bias=False),
        NormReLU(half),
        nn.Identity(),
        nn.Conv2d(half, stem.width, 3, 1, 1, bias=False),
    )


def attention_of(stage: Stage, in_width: int) -> nn.Module | None:
    """What scales the channels of a block, at its end or in its middle; None if nothing does."""
    if stage.attention == "none":
        return None
    if stage.attention == "eca":
        return EfficientAttention(stage.width)
    squeezed = squeezed_width(stage.attention, stage.se_ratio, in_width=in_width, width=stage.width)
    return SqueezeExcite(stage.width if stage.attention == "se" else stage.middle_width, squeezed)


def in_middle(block: nn.Module, maps: Tensor) -> Tensor:
    """The maps of a block's middle, scaled if its attention is there."""
    return cast(nn.Module, block.se)(maps) if attends(block) == "semid" else maps


def at_end(block: nn.Module, maps: Tensor) -> Tensor:
    """The maps of a block's end, before the addition, scaled if its attention is there."""
    return cast(nn.Module, block.se)(maps) if attends(block) in ("se", "eca") else maps


def attends(block: nn.Module) -> str:
    """The kind of a block's attention; blocks that extend one of ours need not say that they have none."""
    return getattr(block, "attention", "none")


def last_norm(stage: Stage) -> nn.BatchNorm2d:
    """The batch norm that ends a block; addition and ReLU are one with it where no attention stands between them."""
    return nn.BatchNorm2d(stage.width) if stage.attention in ("se", "eca") else NormReLU(stage.width)


def ended(block: nn.Module, norm: nn.BatchNorm2d, maps: Tensor, images: Tensor) -> Tensor:
    """Batch norm, attention where a block has it at its end, addition of the shortcut and ReLU."""
    added = shortcut_of(block, images)
    if attends(block) not in ("se", "eca"):
        return cast(Tensor, norm(maps, added))
    maps = at_end(block, norm(maps))
    return F.relu(maps if added is None else maps + added, inplace=True)


def _conv_bn_relu(in_width: int, width: int, kernel: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(in_width, width, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, NormReLU(width))
