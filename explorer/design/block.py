"""The blocks of stages. Each has a cost in `cost.py` and a module in `explorer/training/network/modules.py`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """Properties of a block that are needed without building it.

    layers         convolutions on its longest path, which `depth` counts
    preactivated   batch norm and ReLU stand before each convolution (He et al., 2016, "Identity Mappings")
    cardinality    the only number of paths allowed, or None for any
    reason         why only that number, for the message
    family         the name shown to people
    """

    name: str
    layers: int
    preactivated: bool
    family: str
    cardinality: int | None = None
    reason: str = ""


_ONE_PATH = (
    "a sum of C two-layer paths of width d equals one dense block of width C*d (ResNeXt paper, figure 4), "
    "so a basic block has cardinality 1"
)

BLOCKS = {
    block.name: block
    for block in (
        Block("bottleneck", layers=3, preactivated=False, family="ResNeXt"),
        Block("preact", layers=3, preactivated=True, family="Pre-activation ResNeXt"),
        Block("basic", layers=2, preactivated=False, family="Basic ResNet", cardinality=1, reason=_ONE_PATH),
        Block("preact_basic", layers=2, preactivated=True, family="Wide ResNet", cardinality=1, reason=_ONE_PATH),
        Block(
            "inception",
            layers=3,
            preactivated=False,
            family="Inception-style",
            cardinality=4,
            reason="an Inception-style block has four unlike paths (1x1, 3x3, 5x5, pooling), so its cardinality is 4",
        ),
        Block("alexnet", layers=1, preactivated=False, family="AlexNet"),
    )
}
