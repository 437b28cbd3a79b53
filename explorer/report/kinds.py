"""The kind of a study, by which its first figure and its small picture in the index are chosen."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from explorer.analysis.finding import Finding
from explorer.analysis.judging import OpenedStudy
from explorer.analysis.summary import SettingSummary
from explorer.design.architecture import Architecture
from explorer.design.name import paths_name, setting_name
from explorer.design.shape_axes import BY_NAME
from explorer.study.designs import Setting

Kind = Literal["populations", "front", "search", "growth", "rates", "forms", "paths", "list"]
# The first figure of each kind, by its name.
FIRST: dict[Kind, str] = {
    "populations": "distribution",
    "front": "front",
    "search": "course",
    "growth": "growth",
    "rates": "rates",
    "forms": "forms",
    "paths": "cardinality",
    "list": "designs",
}
LEAST_GROWTH = 3  # fewest networks in one way to grow: two are a contrast
MOST_LINES = 6  # most lines of a figure that are told apart by colour, beside the grey of a rival


@dataclass(frozen=True)
class Shape:
    """What of a setting decides the kind of its study.

    rest   its name without paths and their width: `29` of `29-32x4d`
    paths  number of paths; `width` is that of one, in the first stage
    size   number of parameters, or another number that grows with it; 0 where it is not known
    """

    setting: str
    rest: str
    paths: int
    width: int
    form: str
    size: int = 0


def shape_of(architecture: Architecture, form: str, size: int = 0) -> Shape:
    """The shape of a design in a form."""
    name = setting_name(architecture, form)
    rest = name.replace(f"-{paths_name(architecture)}", "", 1)
    paths, width = (int(BY_NAME[axis].of(architecture)) for axis in ("cardinality", "bottleneck_width"))
    return Shape(name, rest, paths, width, form, size)


def kind_of(study: OpenedStudy) -> Kind:
    """The kind of a study, from what it asks: it is the same from its first run to its last."""
    config, found = study.config, study.finding
    if found.imported is None and not config.search.only:
        if config.spaces:
            return "populations"
        if config.search.is_adaptive:
            return "search" if config.search.cost is None else "front"
    pair = study.plan.contrast
    if config.search.rates and pair is not None and {one.name for one in study.settings} == {one.name for one in pair}:
        return "rates"
    return kind_of_finding(found, study.settings)


def kind_of_finding(found: Finding, settings: Sequence[Setting] = ()) -> Kind:
    """The kind of a study from its finding and its settings; by default they are those that have a run."""
    if found.populations is not None:
        return "populations"
    if found.front is not None:
        return "front"
    if found.measure == "val_error" and found.imported is None:
        return "search"
    shapes = shapes_of(found.summaries, settings)
    if len({one.form for one in shapes}) > 1:
        return "forms"
    if ways_to_grow(shapes) is not None:
        return "growth"
    return "paths" if lines_of_paths(shapes) else "list"


def shapes_of(summaries: Sequence[SettingSummary], settings: Sequence[Setting] = ()) -> list[Shape]:
    """The shapes of a study's settings, or of those that have a run."""
    if settings:
        return [shape_of(one.architecture, one.form, one.cost.params) for one in settings]
    return [
        Shape(one.setting, one.shape, one.cardinality, one.bottleneck_width, one.design[1], one.params)
        for one in summaries
    ]


def ways_to_grow(shapes: Sequence[Shape]) -> tuple[list[str], list[str]] | None:
    """The settings on two ways to grow from one network, smallest first: one path that gets wider, and more paths.

    After the ResNeXt paper's figure 7. None if the settings are no such ways: either has fewer than three networks,
    some settings are on neither way, or they differ in more than paths and their width.
    """
    ordered = sorted(shapes, key=lambda one: (one.size, one.paths, one.width))
    if len({one.rest for one in ordered}) != 1 or ordered[0].paths != 1:
        return None
    wider = [one.setting for one in ordered if one.paths == 1]
    more = [one.setting for one in ordered if one.width == ordered[0].width]
    if min(len(wider), len(more)) < LEAST_GROWTH or {*wider, *more} != {one.setting for one in ordered}:
        return None
    return wider, more


def lines_of_paths(shapes: Sequence[Shape]) -> dict[str, list[str]]:
    """Settings that are alike but for their paths, as lines by the rest of their shape, fewest paths first.

    Empty if some setting has no other like it, two of a line have equally many paths, or there are too many lines.
    """
    names, lines = line_names(shapes), dict[str, list[Shape]]()
    for one in sorted(shapes, key=lambda one: one.paths):
        lines.setdefault(names[one.setting], []).append(one)
    alike = all(1 < len(line) == len({one.paths for one in line}) for line in lines.values())
    if not alike or len(lines) > MOST_LINES:
        return {}
    return {rest: [one.setting for one in line] for rest, line in lines.items()}


def line_names(shapes: Sequence[Shape]) -> dict[str, str]:
    """By setting the name of its line: the rest of its shape, and its width where several are listed for some paths."""
    several = Counter((one.rest, one.paths) for one in shapes)
    listed = {rest for (rest, _), count in several.items() if count > 1}
    return {one.setting: f"{one.rest}, {one.width}d" if one.rest in listed else one.rest for one in shapes}
