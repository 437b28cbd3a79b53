"""What a page carries for its scripts: compressed to stay small, and as text that no browser reads as HTML."""

import base64
import gzip
import json
import re
from functools import lru_cache
from typing import Any

from markupsafe import Markup
from plotly.offline import get_plotlyjs


def packed(content: str) -> Markup:
    """Text as base64 of gzip: the same bytes for the same text, and no sign that means anything in HTML."""
    return Markup(base64.b64encode(gzip.compress(content.encode(), 9, mtime=0)).decode())  # noqa: S704 - base64


def packed_json(value: Any) -> Markup:
    """A value as JSON, packed."""
    return packed(json.dumps(value, sort_keys=True, separators=(",", ":")))


@lru_cache(maxsize=1)
def packed_plotly() -> tuple[Markup, str]:
    """plotly.js, packed, and its licence notice, which must stay readable."""
    source = get_plotlyjs()
    notice = re.search(r"plotly\.js v[\d.]+.*?license", source, re.DOTALL)
    assert notice is not None
    return packed(source), " ".join(notice.group().replace("*", " ").split())
