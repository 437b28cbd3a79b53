"""The blocks of stages. Each has a cost in `cost.py` and a module in `explorer/training/network/modules.py`.

Blocks that an extension adds bring both with them (`explorer/training/network/added_block.py`).
"""

from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Block:
    """Properties of a block that are needed without building it.

    layers         convolutions on its longest path, which `depth` counts
    preactivated   batch norm and ReLU stand before each convolution (He et al., 2016, "Identity Mappings")
    cardinality    the only number of paths allowed, or None for any
    reason         why only that number, for the message
    family         the name shown to people
    module, cost   of a block that an extension adds: what makes its torch module from a stage, and the cost of a block
                   with its shortcut from a stage, its input's width, its stride and the side of its input's maps
    last_norm      name of the batch norm that ends such a block and may start at zero; "" if there is none
    """

    layers: int
    preactivated: bool
    family: str
    cardinality: int | None = None
    reason: str = ""
    module: Callable[..., Any] | None = None
    cost: Callable[..., Any] | None = None
    last_norm: str = ""

    @property
    def has_formula(self) -> bool:
        """Whether its cost is a closed form: of a block that an extension adds it may be counted instead."""
        return getattr(self.cost, "formula", True) is not None

    @property
    def can_have_any_paths(self) -> bool:
        """Whether an extension adds it and it takes any number of paths."""
        return self.module is not None and self.cardinality is None


_ONE_PATH = (
    "a sum of C two-layer paths of width d equals one dense block of width C*d (ResNeXt paper, figure 4), "
    "so a basic block has cardinality 1"
)

_OURS = {
    "bottleneck": Block(layers=3, preactivated=False, family="ResNeXt"),
    "preact": Block(layers=3, preactivated=True, family="Pre-activation ResNeXt"),
    "basic": Block(layers=2, preactivated=False, family="Basic ResNet", cardinality=1, reason=_ONE_PATH),
    "preact_basic": Block(layers=2, preactivated=True, family="Wide ResNet", cardinality=1, reason=_ONE_PATH),
    "inception": Block(
        layers=3,
        preactivated=False,
        family="Inception-style",
        cardinality=4,
        reason="an Inception-style block has four unlike paths (1x1, 3x3, 5x5, pooling), so its cardinality is 4",
    ),
    "alexnet": Block(layers=1, preactivated=False, family="AlexNet"),
}
# Cost of an added block, in every measure, where its module refuses the numbers: within no budget.
UNBUILDABLE = 1 << 50
ADDED: dict[str, Block] = {}  # by extensions
BLOCKS: Mapping[str, Block] = ChainMap(ADDED, _OURS)
