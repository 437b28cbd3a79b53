"""Networks built from an architecture. Modules are named as in torchvision's ResNet, so state dicts fit."""

import math
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name
from torch import Tensor, nn

from explorer.design import Architecture, Task
from explorer.design.architecture import Stage, stages


class Bottleneck(nn.Module):
    """The ResNeXt block in its grouped form (paper, figure 3c): 1x1, grouped k x k with the stride, 1x1, plus shortcut.

    Takes `(batch, in_width, height, width)` and gives `(batch, stage.width, ceil(height/stride), ceil(width/stride))`.
    """

    def __init__(self, stage: Stage, *, in_width: int, stride: int) -> None:
        super().__init__()
        middle, kernel = stage.group_width, stage.kernel_size
        self.conv1 = nn.Conv2d(in_width, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, kernel, stride, kernel // 2, groups=stage.cardinality, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, stage.width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(stage.width)
        self.downsample: nn.Module | None = None
        if in_width != stage.width or stride != 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_width, stage.width, 1, stride, bias=False), nn.BatchNorm2d(stage.width)
            )

    def forward(self, images: Tensor) -> Tensor:
        """Transform and add: the last ReLU comes after the addition (paper, section 5)."""
        shortcut = images if self.downsample is None else self.downsample(images)
        maps = F.relu(self.bn1(self.conv1(images)), inplace=True)
        maps = F.relu(self.bn2(self.conv2(maps)), inplace=True)
        return F.relu(self.bn3(self.conv3(maps)) + shortcut, inplace=True)


class ResNeXt(nn.Module):
    """A whole network: stem, stages, global average pooling and a linear classifier.

    Takes `(batch, task.channels, task.image_size, task.image_size)` and gives scores `(batch, task.classes)`.
    """

    def __init__(self, architecture: Architecture, task: Task) -> None:
        super().__init__()
        template = architecture.shape
        stem, kernel = architecture.stem_width, template.stem_kernel
        self.conv1 = nn.Conv2d(task.channels, stem, kernel, template.stem_stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if template.stem_pool else nn.Identity()
        spelled_out = stages(architecture, task)
        self.stage_names = [f"layer{number}" for number in range(1, len(spelled_out) + 1)]
        for name, stage in zip(self.stage_names, spelled_out, strict=True):
            self.add_module(name, _stage(stage))
        self.fc = nn.Linear(spelled_out[-1].width, task.classes)

    def forward(self, images: Tensor) -> Tensor:
        """Scores before softmax."""
        maps = self.maxpool(F.relu(self.bn1(self.conv1(images)), inplace=True))
        for name in self.stage_names:
            maps = self.get_submodule(name)(maps)
        return cast(Tensor, self.fc(maps.mean(dim=(2, 3))))


def build(
    architecture: Architecture, task: Task, generator: torch.Generator, *, zero_init_residual: bool = False
) -> ResNeXt:
    """A network on the CPU in float32, initialised as in the paper's code from one random stream.

    Convolutions: normal with standard deviation sqrt(2 / (k * k * out_channels)), groups not divided; batch norm: one
    and zero; classifier: uniform within 1 / sqrt(features), bias zero (facebookresearch/ResNeXt, models/resnext.lua).
    """
    with torch.device("meta"):
        network = ResNeXt(architecture, task)
    network.to_empty(device="cpu")
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            nn.init.zeros_(module.bias)
    if zero_init_residual:
        for module in network.modules():
            if isinstance(module, Bottleneck):
                nn.init.zeros_(module.bn3.weight)
    return network


def _stage(stage: Stage) -> nn.Sequential:
    first = Bottleneck(stage, in_width=stage.in_width, stride=stage.stride)
    others = [Bottleneck(stage, in_width=stage.width, stride=1) for _ in range(stage.depth - 1)]
    return nn.Sequential(first, *others)
