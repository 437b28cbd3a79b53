"""The axes along which shapes differ: the one list that spaces, names, records, trials, figures and tables read.

A new axis has its own line here, besides what the layout and the network make of it.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

from explorer.design.architecture import Architecture


@dataclass(frozen=True)
class ShapeAxis:
    """One axis of a shape.

    name     of the architecture's field, the key of a space, the parameter of a trial and the column of a record
    label    above a column and along an axis of a figure; "" for what is no number
    letter   before the value in a short name, where it is not the usual one: `w` of `-w64`
    symbol   by which the papers, and the search box of a page, know it as well
    product  the axes that it is the product of, in the first stage: it is no field, and no column, of its own
    """

    name: str
    label: str = ""
    letter: str = ""
    symbol: str = ""
    product: tuple[str, ...] = ()

    def of(self, architecture: Architecture) -> Any:
        """The value of a design; that of its first stage where stages differ."""
        if self.product:
            return prod(BY_NAME[name].of(architecture) for name in self.product)
        value = getattr(architecture, self.name)
        return value[0] if isinstance(value, tuple) else value

    def among(self, columns: Any) -> Any:
        """The values of many designs; `columns` holds what a record has of them, by the name of the axis."""
        return prod(columns[name] for name in self.product) if self.product else columns[self.name]


# In the order in which a space lists its points, the last one varying fastest.
SHAPE_AXES = (
    ShapeAxis("template"),
    ShapeAxis("block"),
    ShapeAxis("shortcut"),
    ShapeAxis("depth", "Depth"),
    ShapeAxis("width", "Width", letter="w"),
    ShapeAxis("kernel_size", "Kernel size", letter="k"),
    ShapeAxis("cardinality", "Cardinality", symbol="c"),
    ShapeAxis("group_width", "Middle width D", symbol="d", product=("cardinality", "bottleneck_width")),
    ShapeAxis("bottleneck_width", "Path width"),
)
BY_NAME = {axis.name: axis for axis in SHAPE_AXES}
OWN = tuple(axis for axis in SHAPE_AXES if not axis.product)  # fields of an architecture, columns of a record
SHOWN = tuple(axis for axis in SHAPE_AXES if axis.label)
