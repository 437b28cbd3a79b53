"""YAML files that may come from others are held to limits, so that a small file cannot become a huge tree.

An alias repeats what its anchor names; ten aliases of ten aliases of ten, and a file of a kilobyte fills the memory.
"""

from pathlib import Path

import yaml

from explorer.errors import InputError

MOST_BYTES = 2**20
MOST_VALUES = 100_000  # with what aliases repeat
DEEPEST = 50
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_yaml(path: Path) -> None:
    """Read a YAML file without building anything of it.

    Raises InputError for one beyond the limits, yaml.YAMLError for one that is not YAML, OSError for one out of reach.
    """
    if not path.is_file():
        raise InputError(f"{path}: is not a regular file")
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path}: has {path.stat().st_size:,} bytes; allowed are {MOST_BYTES:,}")
    sizes: dict[str | None, int] = {}
    nested: list[tuple[str | None, int]] = [(None, 0)]  # anchor and number of values of each open list or mapping
    for event in yaml.parse(path.read_bytes(), Loader=_LOADER):
        size = 0
        if isinstance(event, yaml.CollectionStartEvent):
            nested.append((event.anchor, 0))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = nested.pop()
            if anchor is not None:
                sizes[anchor] = size
        elif isinstance(event, yaml.AliasEvent):
            size = sizes.get(event.anchor, 1)
            if event.anchor in [anchor for anchor, _ in nested]:
                raise InputError(f"{path}: {event.anchor} holds itself; write its values out")
        elif isinstance(event, yaml.ScalarEvent):
            size = 1
        nested[-1] = (nested[-1][0], nested[-1][1] + size)
        if len(nested) > DEEPEST or nested[-1][1] > MOST_VALUES:
            raise InputError(f"{path}: is nested too deeply or repeats too much; allowed are {MOST_VALUES:,} values")
