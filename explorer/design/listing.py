"""List every design of a space, for studies that train them all; a listed point that does not fit is an error."""

import numpy as np

from explorer.design.architecture import Architecture
from explorer.design.budget import Budget, described, solve_bottleneck_width
from explorer.design.cost import cost
from explorer.design.feasible import draw, scan
from explorer.design.name import short_name
from explorer.design.space import DesignSpace, NamedSpace, Part, Space
from explorer.design.template import Task
from explorer.design.tight import tighten

MOST_LISTED = 10_000


def listed(space: Space, budget: Budget | None, task: Task, *, tight: bool = False) -> tuple[Architecture, ...]:
    """All designs of a space, in the order of its axes; a solved axis is solved for the budget.

    `tight` solves one width per stage. The axes of `DesignSpace` and names were listed by a person, so a design that
    misses the budget is an error; of the other spaces only the feasible designs are taken. Raises ValueError for more
    than 10,000 designs, and for one that cannot be built or cannot meet the budget.
    """
    size = sum(part.size for part in space.parts)
    if size > MOST_LISTED:
        raise ValueError(
            f"holds {size:,} points; a study lists at most {MOST_LISTED:,}; choose search=uniform or another sampler"
        )
    if not isinstance(space, (DesignSpace, NamedSpace)):
        pool = draw(scan(space, budget, task, np.random.default_rng(0)), size, np.random.default_rng(0))
        found = [pool.architecture(place) for place in range(len(pool))]
    else:
        found = [architecture for part in space.parts for architecture in _architectures(part)]
        if isinstance(space, NamedSpace):
            for architecture in found:
                _refuse_unbuildable(architecture, task)
        if space.is_solved:
            assert budget is not None
            found = [solve_bottleneck_width(architecture, budget, task, strict=not tight) for architecture in found]
    if not found:
        raise ValueError(f"none of its {size:,} points is a network that meets {budget}")
    return tuple(matched(architecture, budget, task) for architecture in found) if tight else tuple(found)


def matched(architecture: Architecture, budget: Budget | None, task: Task) -> Architecture:
    """The architecture with one solved width per stage. Raises ValueError if even that misses the budget."""
    if budget is None:
        return architecture
    found = tighten(architecture, budget, task)
    if not budget.within(cost(found, task)):
        raise ValueError(
            f"no bottleneck widths within 15 % of the doubling rule meet {budget}; nearest: "
            f"{described(found, budget, task)}"
        )
    return found


def _refuse_unbuildable(architecture: Architecture, task: Task) -> None:
    """Raise ValueError naming a listed network for which the images are too small."""
    try:
        cost(architecture, task)
    except ValueError as error:
        raise ValueError(f"{short_name(architecture)}: {error}") from None


def _architectures(part: Part) -> list[Architecture]:
    designs = part.build(part.at(np.arange(part.size)))
    return [designs.architecture(row) for row in range(len(designs))]
