"""Sources of images that extensions add: a function that gives images and labels, by the name that `data=` takes."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from explorer.host.errors import InputError
from explorer.host.formatting import hint
from explorer.study.settings import DataConfig

OURS = ("digits", "hub", "parquet", "folder", "elsewhere", "imported")
Read = Callable[..., Any]
_LABEL = re.compile(r"[^\x00-\x1f]{0,100}")


@dataclass(frozen=True)
class Source:
    """Images and labels that a function gives, for the dictionary `SOURCES` of an extension.

    read     gives (images, labels): a tuple of an array `(n, height, width)` or `(n, height, width, channels)` of
             unsigned bytes, or a list of images, and as many labels; or an iterable of pairs (image, label); or a
             dictionary of such by part: train, val, test, or other names for `data.train_part` and its like. An image
             is an array of unsigned bytes, or one of Pillow's; a label a whole number, or the name of its class. It is
             called for each part, in every process that reads images, and has to give the same each time. If it takes
             a parameter `path`, it is given `data.path`
    classes  names of the classes 0, 1, ..., where labels are numbers
    label    name of the data that is displayed; by default that of the source
    """

    read: Read
    classes: tuple[str, ...] = ()
    label: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))


SOURCES: dict[str, Source] = {}


def check(name: str, value: Any) -> None:
    """Raise ValueError for a name that is taken, or a value that is no source."""
    if not isinstance(value, Source):
        raise ValueError(f"is a {type(value).__name__}; allowed: explorer.Source(...)")
    if name in OURS:
        raise ValueError("is a source of images already; choose another name")
    if not callable(value.read):
        raise ValueError(f"read is a {type(value.read).__name__}; allowed: a function without parameters, or of a path")
    needed = [one for one, own in parameters(value.read).items() if own.default is own.empty and one != "path"]
    if needed:
        raise ValueError(f"read takes ({', '.join(needed)}); allowed: a function without parameters, or of a path")
    if not all(isinstance(one, str) and one for one in value.classes) or len({*value.classes}) < len(value.classes):
        raise ValueError(f"classes={value.classes!r}: allowed are different names")
    if not isinstance(value.label, str) or not _LABEL.fullmatch(value.label):
        raise ValueError("label: allowed is text of at most 100 characters on one line")


def parameters(read: Read) -> dict[str, inspect.Parameter]:
    """What a function takes, by name, without those of any number."""
    try:
        found = inspect.signature(read).parameters
    except (TypeError, ValueError):
        return {}
    return {name: one for name, one in found.items() if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)}


def takes_path(name: str) -> bool:
    """Whether an added source is given `data.path`."""
    return "path" in parameters(SOURCES[name].read)


def refuse_unknown(config: DataConfig) -> None:
    """Raise InputError for a source that nothing adds."""
    if config.source not in (*OURS, *SOURCES):
        allowed = [*OURS, *SOURCES]
        raise InputError(
            f"data.source={config.source}: unknown{hint(config.source, allowed)}; allowed: {', '.join(allowed)}; "
            "another one comes from a file, as with extensions=my_images.py"
        )
