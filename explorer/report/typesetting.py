"""Sets the visible text of a page: true minus signs, multiplication signs, and numbers that no line break tears.

One pass over a rendered body, so that no template has to think of it and text that templates hold themselves is set
too. What is meant to be copied stays as it is: code, commands, scripts, and all that stands in attributes.
"""

import re

from markupsafe import Markup

from explorer.host.formatting import typeset

# Elements whose text is no prose, whole; a tag; or text. Attributes hold no `>`: what is not ours is escaped.
_PART = re.compile(r"<(script|style|pre|code|textarea|time)\b.*?</\1>|<(/?)(\w+)[^>]*>|[^<]+", re.DOTALL)
_NARROW = ("table", "dl")  # where a name may be wider than there is room: it stays free to wrap


def typeset_markup(body: str) -> Markup:
    """A rendered body with its text set as `explorer.host.formatting.typeset` sets it; markup stays as it is."""
    depth = 0

    def one(found: re.Match[str]) -> str:
        nonlocal depth
        if found[1]:
            return found[0]
        if found[3]:
            if found[3] in _NARROW:
                depth += -1 if found[2] else 1
            return found[0]
        return typeset(found[0], names=depth == 0)

    return Markup(_PART.sub(one, str(body)))  # noqa: S704 - was rendered before, and text gains no markup
