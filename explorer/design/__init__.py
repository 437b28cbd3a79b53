"""The shapes of networks and their exact cost: pure integer arithmetic, no input or output, no randomness."""

from explorer.design.architecture import Architecture
from explorer.design.budget import Budget, deviation, solve_bottleneck_width
from explorer.design.cost import Cost, cost
from explorer.design.name import display_name, parse_name, short_name
from explorer.design.space import DesignSpace, designs
from explorer.design.template import TEMPLATES, Task, Template

__all__ = [
    "TEMPLATES",
    "Architecture",
    "Budget",
    "Cost",
    "DesignSpace",
    "Task",
    "Template",
    "cost",
    "designs",
    "deviation",
    "display_name",
    "parse_name",
    "short_name",
    "solve_bottleneck_width",
]
