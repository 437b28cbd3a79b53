"""The axes of shapes: the single list used by spaces, names, records, trials, figures and tables.

A new axis needs a line here, and its effect on the layout and the network.
"""

from dataclasses import dataclass, fields
from math import prod
from typing import Any

from explorer.design.architecture import Architecture

_DEFAULTS = {field.name: field.default for field in fields(Architecture)}


@dataclass(frozen=True)
class ShapeAxis:
    """One axis of a shape.

    name     of the architecture's field, the key of a space, the parameter of a trial and the column of a record
    label    heading of a column and label of a figure's axis; "" for an axis that is not a number
    letter   letter before the value in a short name, if not the usual one: `w` of `-w64`
    symbol   its symbol in the papers, which the search box of a page accepts too
    product  the axes whose product it is, in the first stage; such an axis is no field and no column of its own
    parts    pattern of its values that a short name has as they are, behind the letter, as `deep`; "" if it has them in
             another way
    """

    name: str
    label: str = ""
    letter: str = ""
    symbol: str = ""
    product: tuple[str, ...] = ()
    parts: str = ""

    def of(self, architecture: Architecture) -> Any:
        """Its value for a design; the first stage's if stages differ."""
        if self.product:
            return prod(BY_NAME[name].of(architecture) for name in self.product)
        value = getattr(architecture, self.name)
        return value[0] if isinstance(value, tuple) else value

    def is_usual(self, value: Any) -> bool:
        """Whether a value is one that names leave out, of an axis whose other values they have as they are."""
        return bool(self.parts) and value == _DEFAULTS[self.name]

    def among(self, columns: Any) -> Any:
        """Its values for many designs; `columns` has a record's columns by the names of axes."""
        return prod(columns[name] for name in self.product) if self.product else columns[self.name]


# In the order in which a space lists its points: the last axis varies fastest.
SHAPE_AXES = (
    ShapeAxis("template"),
    ShapeAxis("block"),
    ShapeAxis("shortcut"),
    ShapeAxis("stem", parts="deep"),
    ShapeAxis("projection", parts="pool|pad"),
    ShapeAxis("scale", letter="s", parts=r"[1-9]\d{0,2}"),
    ShapeAxis("attention", parts=r"eca|(?:se|semid)[1-9]\d{0,3}"),
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
