"""Values that a person gives in Python: numbers of any library as Python's own; what is none is refused in one line."""

import math
import operator
from typing import Any

from explorer.host.errors import InputError
from explorer.host.formatting import in_one_line


def scalar(value: Any) -> Any:
    """A number of numpy or torch as Python's, with the digits that it shows; anything else as it is."""
    if isinstance(value, (bool, int, str)) or not hasattr(value, "item") or getattr(value, "ndim", None) != 0:
        return value
    found = value.item()
    return float(str(found if type(value).__module__ != "numpy" else value)) if isinstance(found, float) else found


def shown(value: Any) -> str:
    """What a person gave, for a message."""
    return in_one_line(repr(value))


def whole(key: str, value: Any, least: int = 1) -> int:
    """A whole number. Raises InputError naming the key for anything else, and for one below `least`."""
    own = scalar(value)
    try:
        found = None if isinstance(own, bool) else operator.index(own)
    except TypeError:
        found = None
    if found is None or found < least:
        raise InputError(f"{key}={shown(value)}: allowed are whole numbers of at least {least}")
    return found


def number(key: str, value: Any, least: float = 0.0, most: float = math.inf) -> float:
    """A finite number from `least` to `most`. Raises InputError naming the key for anything else."""
    own = scalar(value)
    is_number = isinstance(own, (int, float)) and not isinstance(own, bool) and math.isfinite(own)
    if not is_number or not least <= own <= most:
        above = f" from {least:g}" + (f" to {most:g}" if most < math.inf else "")
        raise InputError(f"{key}={shown(value)}: allowed are numbers{above}")
    return float(own)


def text(key: str, value: Any) -> str:
    """Text. Raises InputError naming the key for anything else."""
    if not isinstance(value, str):
        raise InputError(f"{key}={shown(value)}: allowed is text")
    return value
