"""The shapes of networks and their exact cost: integer arithmetic only, no input or output, no hidden randomness."""

from explorer.design.architecture import Architecture
from explorer.design.block import BLOCKS
from explorer.design.budget import Budget, Limit, deviation, solve_bottleneck_width
from explorer.design.cost import Cost, cost
from explorer.design.feasible import draw, scan, space_filling
from explorer.design.listing import listed
from explorer.design.name import display_name, parse_name, short_name
from explorer.design.space import AnyNetX, DesignSpace, NamedSpace, RegNetX
from explorer.design.template import TEMPLATES, Task, Template
from explorer.design.tight import tighten

__all__ = [
    "BLOCKS",
    "TEMPLATES",
    "AnyNetX",
    "Architecture",
    "Budget",
    "Cost",
    "DesignSpace",
    "Limit",
    "NamedSpace",
    "RegNetX",
    "Task",
    "Template",
    "cost",
    "deviation",
    "display_name",
    "draw",
    "listed",
    "parse_name",
    "scan",
    "short_name",
    "solve_bottleneck_width",
    "space_filling",
    "tighten",
]
