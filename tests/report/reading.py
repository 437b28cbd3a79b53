"""What a page says, for tests that look for words in it."""

import re

from explorer.host.formatting import UNBROKEN

_WORD = re.compile(r'<button type="button" class="word".*?>(.*?)</button>')


def plain(page: str) -> str:
    """A page whose spaces may all be broken, and without the buttons that explain a word."""
    return _WORD.sub(r"\1", page).replace(UNBROKEN, " ")
