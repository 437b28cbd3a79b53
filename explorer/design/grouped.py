"""The grouped convolutions of a network, and the smaller numbers of groups as which each may be executed."""

from collections import Counter
from dataclasses import dataclass

from explorer.design.alexnet import alexnet_layout
from explorer.design.architecture import Architecture
from explorer.design.block import BLOCKS
from explorer.design.layout import layout, reduced
from explorer.design.template import Task

# A merged group also multiplies zeros: wider than this, merging was never faster, by device. A GPU's units for matrices
# need wide groups: an H100 executes 448 channels in 8 groups fastest as 2, and 384 in 4 groups as 2.
WIDEST_MERGED, WIDEST_DENSE = {"cpu": 64, "cuda": 256}, {"cpu": 256, "cuda": 512}


@dataclass(frozen=True)
class GroupedConv:
    """The shape of a grouped convolution on maps of side `map_size`; equal shapes take equal time."""

    in_width: int
    width: int
    kernel_size: int
    stride: int
    groups: int
    map_size: int

    @property
    def key(self) -> str:
        """The shape as text, as stored in a study's execution plan."""
        return f"{self.in_width}>{self.width}_k{self.kernel_size}_s{self.stride}_g{self.groups}_{self.map_size}px"

    def mergers(self, device: str) -> tuple[int, ...]:
        """Numbers of groups to try: its own, then about half as many each time, then one if the convolution is narrow.

        With fewer groups the weight is block-diagonal: the original weights in blocks, zeros elsewhere.
        """
        found = [self.groups]
        for groups in range(self.groups - 1, 1, -1):
            halved = self.groups % groups == 0 and groups * 2 <= found[-1]
            if halved and self.in_width // groups <= WIDEST_MERGED[device]:
                found.append(groups)
        return tuple([*found, 1] if self.in_width <= WIDEST_DENSE[device] else found)


def grouped_convs(architecture: Architecture, task: Task) -> Counter[GroupedConv]:
    """The shapes of a network's grouped convolutions and how often each occurs. Raises ValueError as `layout` does."""
    if architecture.block == "alexnet":
        # The side of its output is also that of its input: only the dense first layer changes it.
        return Counter(
            GroupedConv(layer.in_width, layer.width, layer.kernel_size, layer.stride, layer.groups, layer.map_size)
            for layer in alexnet_layout(architecture, task).convolutions
            if layer.groups > 1
        )
    found: Counter[GroupedConv] = Counter()
    kind = BLOCKS[architecture.block]
    # A block with one path, or with paths that are not groups; of an added block nothing is known.
    if kind.cardinality is not None or kind.module is not None:
        return found
    for stage in layout(architecture, task).stages:
        width, kernel, paths = stage.group_width, stage.kernel_size, stage.cardinality
        each = max(stage.scale - 1, 1)
        if paths == 1:
            continue
        found[GroupedConv(width, width, kernel, stage.stride, paths, stage.map_size)] += each
        if stage.depth > 1:
            size = reduced(stage.map_size, stage.stride)
            found[GroupedConv(width, width, kernel, 1, paths, size)] += (stage.depth - 1) * each
    return found
