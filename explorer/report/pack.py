"""Packs data and scripts into a page: compressed, and encoded as text without characters that are special in HTML."""

import base64
import gzip
import json
import re
from functools import lru_cache
from typing import Any

from markupsafe import Markup
from plotly.offline import get_plotlyjs


def packed(content: str) -> Markup:
    """Text as base64 of gzip: always the same for the same text, and without characters that HTML treats specially."""
    return Markup(base64.b64encode(gzip.compress(content.encode(), 9, mtime=0)).decode())  # noqa: S704 - base64


def packed_json(value: Any) -> Markup:
    """A value as JSON, compressed and encoded by `packed`."""
    return packed(json.dumps(value, sort_keys=True, separators=(",", ":")))


@lru_cache(maxsize=1)
def packed_plotly() -> tuple[Markup, str]:
    """plotly.js, compressed and encoded, and its licence notice, which must stay readable."""
    source = get_plotlyjs()
    notice = re.search(r"plotly\.js v[\d.]+.*?license", source, re.DOTALL)
    assert notice is not None
    return packed(source), " ".join(notice.group().replace("*", " ").split())
