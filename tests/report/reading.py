"""What a page says, for tests that look for words in it."""

import re
from html.parser import HTMLParser

from explorer.host.formatting import JOINED, UNBROKEN

_WORD = re.compile(r'<button type="button" class="word".*?>(.*?)</button>')


def plain(page: str) -> str:
    """A page whose lines may end at any space and hyphen, and without the buttons that explain a word."""
    return _WORD.sub(r"\1", page).replace(UNBROKEN, " ").replace(JOINED, "-")


def text_of(page: str) -> str:
    """The text of a page as a screen reader may read it, in one line."""
    return " ".join(_Text(plain(page)).words)


class _Text(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.feed(re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL))

    def handle_data(self, data: str) -> None:
        self.words += data.split()
