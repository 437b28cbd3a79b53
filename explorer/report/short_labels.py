"""Short labels of settings beside marks and at the ends of lines: what differs between the settings, and no more."""

from collections.abc import Sequence

from explorer.design.name import FORM_LETTERS, parse_setting, paths_name
from explorer.report.kinds import shape_of


def short_labels(settings: Sequence[str]) -> dict[str, str]:
    """The label of each setting by its name.

    Settings alike but for their paths have those (`32x4d`), forms of one design theirs (`form (a)`); others have the
    record's names without the ending that all of them share: `26-16x3d-w48` of `26-16x3d-w48-regnet`.
    """
    designs = {name: parse_setting(name) for name in settings}
    shapes = {name: shape_of(*design) for name, design in designs.items()}
    if len(shapes) > 1 and len({one.rest for one in shapes.values()}) == 1:
        return {name: paths_name(design) for name, (design, _) in designs.items()}
    if len(designs) > 1 and len({design for design, _ in designs.values()}) == 1:
        return {name: f"form ({FORM_LETTERS[form]})" for name, (_, form) in designs.items()}
    ending = shared_ending([*settings])
    return {name: name.removesuffix(ending) for name in settings}


def shared_ending(names: Sequence[str]) -> str:
    """The parts with which all of several short names end, with the hyphens before them: `-regnet`; "" for none."""
    if len(names) < 2:
        return ""
    split = [name.split("-")[2:] for name in names]  # depth and paths are never left out
    shared: list[str] = []
    for parts in zip(*map(reversed, split), strict=False):
        if len({*parts}) > 1:
            break
        shared.insert(0, parts[0])
    return "".join(f"-{part}" for part in shared)
