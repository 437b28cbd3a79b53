"""One colour for each setting and each group of a study: the same in every figure, table and legend of its page.

The rival of a contrast is grey, and what is held against it blue; the others have the rest of the palette, while they
are few enough to be told apart.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle

from explorer.analysis.judging import OpenedStudy
from explorer.report.kinds import kind_of, line_names, shapes_of, ways_to_grow
from explorer.report.panel import GREY, PALETTE
from explorer.study.run import BASELINE

RIVAL, CONTRAST = GREY, PALETTE[0]
OTHERS = PALETTE[1:-1]
MANY = PALETTE[5]  # of the others where they are too many to be told apart
WIDER, MORE = "one wider path", "more paths"  # the two ways to grow
SEARCHED, RANDOM = "the search", "random designs"


@dataclass(frozen=True)
class Colors:
    """The colours of a study's settings, and of the groups that they are in, where it is these that are compared.

    settings  by setting; those that are not named have that of what is held against a rival
    groups    by the name of the group: a space, a way to grow, a line of settings alike but for their paths
    group_of  by setting, the name of its group
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    group_of: Mapping[str, str] = field(default_factory=dict)

    def of(self, setting: str) -> str:
        """The colour of a setting."""
        return self.settings.get(setting, CONTRAST)

    def group(self, name: str) -> str:
        """The colour of a group."""
        return self.groups.get(name, CONTRAST)

    def grouped(self, settings: Iterable[str]) -> dict[tuple[str, str], list[int]]:
        """The places of settings by colour and group, in the order in which these come; each is a mark of a figure."""
        found: dict[tuple[str, str], list[int]] = {}
        for place, name in enumerate(settings):
            found.setdefault((self.of(name), self.group_of.get(name, "")), []).append(place)
        return found


def colors_of(study: OpenedStudy) -> Colors:
    """The colours of a study's settings and groups."""
    kind, pair = kind_of(study), study.config.study.contrast
    if study.finding.imported is not None and study.finding.imported.grouped_by:
        return _of_groups(_imported_groups(study))
    if kind == "populations":
        called = {name: study.config.study.labels.get(name, name) for name in study.config.spaces}
        spaces = {
            label: [one.name for one in study.plan.settings if name in one.spaces] for name, label in called.items()
        }
        return _of_groups(
            spaces, (called.get(pair.setting, pair.setting), called.get(pair.against, pair.against)) if pair else None
        )
    if kind in ("front", "search"):
        drawn = {*study.record.chosen(BASELINE)}
        if not drawn:
            return Colors({}, {SEARCHED: CONTRAST})
        searched = [one.name for one in study.settings if one.name not in drawn]
        return _of_groups({SEARCHED: searched, RANDOM: [*drawn]}, (SEARCHED, RANDOM))
    settings = study.plan.contrast
    names = (settings[0].name, settings[1].name) if settings else None
    shapes = shapes_of(study.finding.summaries, study.settings)
    if kind == "growth" and (ways := ways_to_grow(shapes)) is not None:
        wider, more = ways
        turned = names is not None and names[0] in wider
        return _of_groups({MORE: more, WIDER: wider}, (WIDER, MORE) if turned else (MORE, WIDER))
    own = _apart([one.setting for one in shapes], names)
    lines = line_names(shapes) if kind == "paths" else {}
    if len({*lines.values()}) < 2:
        return Colors(own)
    # Of several lines each has its colour, and the settings of the contrast within them their own.
    names_of_lines = list(dict.fromkeys(lines.values()))
    by_line = dict(zip(names_of_lines, cycle(OTHERS if names else (CONTRAST, *OTHERS)), strict=False))
    both = {name: own[name] for name in names or ()}
    return Colors({name: by_line[line] for name, line in lines.items()} | both, by_line, lines)


def _apart(names: Sequence[str], pair: tuple[str, str] | None) -> dict[str, str]:
    """A colour for each of several names: a pair has its own, the others the rest, or all one where they are many."""
    first, rest = (dict(zip(pair, (CONTRAST, RIVAL), strict=True)) if pair else {}), OTHERS
    left = [name for name in names if name not in first]
    colors = rest if pair else (CONTRAST, *rest)
    many = MANY if pair else CONTRAST
    chosen = zip(left, colors, strict=False) if len(left) <= len(colors) else ((name, many) for name in left)
    return {**first, **dict(chosen)}


def _of_groups(groups: Mapping[str, Sequence[str]], pair: tuple[str, str] | None = None) -> Colors:
    """Groups with a colour each, which their settings have too; of one in several groups it is the first's."""
    first = dict(zip(pair, (CONTRAST, RIVAL), strict=True)) if pair else {}
    free = cycle(OTHERS if pair else (CONTRAST, *OTHERS))
    colors = {name: first.get(name) or next(free) for name in groups}
    group_of: dict[str, str] = {}
    for name, own in groups.items():
        for setting in own:
            group_of.setdefault(setting, name)
    return Colors({setting: colors[name] for setting, name in group_of.items()}, colors, group_of)


def _imported_groups(study: OpenedStudy) -> dict[str, list[str]]:
    """The designs of a file by the groups of its distributions, in their order."""
    found = study.finding.imported
    assert found is not None
    runs = study.record.runs.drop_duplicates("setting")
    spaces = dict(zip(runs["setting"].tolist(), runs["space"].fillna("").tolist(), strict=True))
    groups: dict[str, list[str]] = {name: [] for name in found.distributions}
    for one in study.finding.summaries:
        by_paths = "one path" if one.cardinality == 1 else "several paths"
        name = by_paths if found.grouped_by == "paths" else spaces[one.setting] or "no group"
        groups.setdefault(name, []).append(one.setting)
    return groups
