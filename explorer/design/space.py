"""A design space: the axes, which of them are listed and which one is solved from the budget."""

from dataclasses import dataclass
from itertools import product
from typing import Literal

from explorer.design.architecture import Architecture
from explorer.design.budget import Budget, solve_bottleneck_width
from explorer.design.template import TEMPLATES, Task


@dataclass(frozen=True)
class DesignSpace:
    """All combinations of the listed axes. The width of a path is listed, follows from a group width, or is solved.

    bottleneck_width  the widths d of one path, or "solve": from the budget, unless `group_width` is given
    group_width       C * d in the first stage ("width of group conv", ResNeXt paper, Table 2); instead of
                      `bottleneck_width`, and each cardinality then has to divide it
    """

    template: str
    depth: tuple[int, ...]
    width: tuple[int, ...]
    cardinality: tuple[int, ...]
    kernel_size: tuple[int, ...] = (3,)
    bottleneck_width: tuple[int, ...] | Literal["solve"] = "solve"
    group_width: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.template not in TEMPLATES:
            raise ValueError(f"template {self.template!r} is unknown; allowed: {', '.join(TEMPLATES)}")
        for axis in ("depth", "width", "cardinality", "kernel_size", "bottleneck_width"):
            if not getattr(self, axis):
                raise ValueError(f"{axis} is empty; give at least one value")
        for axis in ("depth", "width", "cardinality", "kernel_size", "bottleneck_width", "group_width"):
            values = getattr(self, axis)
            if values != "solve" and len(set(values)) != len(values):
                raise ValueError(f"{axis} {list(values)} names a value twice")
        for depth in self.depth:
            TEMPLATES[self.template].blocks_for_depth(depth)
        for axis in ("width", "cardinality", "kernel_size", "bottleneck_width"):
            for value in getattr(self, axis) if getattr(self, axis) != "solve" else ():
                self._any(**{axis: value})
        if min(self.group_width, default=1) < 1:
            raise ValueError(f"group_width must be at least 1, not {min(self.group_width)}")
        if self.bottleneck_width != "solve" and self.group_width:
            raise ValueError("bottleneck_width and group_width are both given; one follows from the other")

    def _any(self, **axes: int) -> Architecture:
        """Some architecture of the space with the given axes; building it checks their values."""
        blocks = TEMPLATES[self.template].blocks_for_depth(self.depth[0])
        first = {"cardinality": 1, "bottleneck_width": 1, **axes}
        return Architecture(depths=blocks, template=self.template, **first)

    @property
    def is_solved(self) -> bool:
        """Whether the bottleneck width comes from a budget."""
        return self.bottleneck_width == "solve" and not self.group_width


def designs(space: DesignSpace, budget: Budget | None, task: Task) -> tuple[Architecture, ...]:
    """Every design of the space, in the order of its axes; with a solved axis each meets the budget.

    Raises ValueError for a combination that cannot be built, or that cannot meet the budget.
    """
    assert not space.is_solved or budget is not None
    result = []
    for depth, width, kernel_size, cardinality in product(
        space.depth, space.width, space.kernel_size, space.cardinality
    ):
        blocks = TEMPLATES[space.template].blocks_for_depth(depth)
        for bottleneck_width in _bottleneck_widths(space, cardinality):
            architecture = Architecture(
                depths=blocks,
                cardinality=cardinality,
                bottleneck_width=bottleneck_width,
                width=width,
                kernel_size=kernel_size,
                template=space.template,
            )
            if space.is_solved and budget is not None:
                architecture = solve_bottleneck_width(architecture, budget, task)
            result.append(architecture)
    return tuple(result)


def _bottleneck_widths(space: DesignSpace, cardinality: int) -> tuple[int, ...]:
    if space.bottleneck_width != "solve":
        return space.bottleneck_width
    if not space.group_width:
        return (1,)  # a placeholder: the solver replaces it
    for group_width in space.group_width:
        if group_width % cardinality:
            divisors = ", ".join(str(value) for value in range(1, group_width + 1) if group_width % value == 0)
            raise ValueError(
                f"cardinality {cardinality} does not divide group_width {group_width}; allowed: {divisors}"
            )
    return tuple(group_width // cardinality for group_width in space.group_width)
