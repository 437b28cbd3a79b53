"""Makes the sections of a page from its headings: each with an address of its own, and a list of all of them."""

import re
from dataclasses import dataclass

from markupsafe import Markup

# Of the page's own templates: text from settings and data is escaped, so that it cannot hold one.
_HEADING = re.compile(r"<h2>(.*?)</h2>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
# What takes the whole width of a sheet of paper: tables, what is opened there, figures with a row for each design.
_WIDE = re.compile(r'<table|<details|class="plot (?:rowed|forest)|data-figure="parallel"')


@dataclass(frozen=True)
class Section:
    """The address of a section within its page, and its heading."""

    name: str
    words: Markup


@dataclass(frozen=True)
class Sectioned:
    """A page's body whose sections have addresses, and these."""

    body: Markup
    sections: list[Section]


def sectioned(body: str) -> Sectioned:
    """Make a section of each second-level heading and what follows it up to the next one.

    What comes before the first heading stays as it is. Each heading ends in a link to itself. A section that is hardly
    more than a picture, and can stand beside another on paper, is of the class `picture`.
    """
    before, *parts = _HEADING.split(body)
    pieces, sections, taken = [before], list[Section](), set[str]()
    for heading, content in zip(parts[::2], parts[1::2], strict=True):
        words = _TAG.sub("", heading).strip()
        name = base = f"section-{re.sub(r'[^a-z0-9]+', '-', words.lower()).strip('-')}"
        number = 1
        while name in taken:
            number += 1
            name = f"{base}-{number}"
        taken.add(name)
        sections.append(Section(name, Markup(words)))  # noqa: S704 - escaped when it was rendered
        link = f'<a class="anchor" href="#{name}" aria-label="Address of this section: {words}">#</a>'
        kind = ' class="picture"' if "<figure" in content and not _WIDE.search(content) else ""
        pieces.append(f'<section id="{name}"{kind}><h2>{heading} {link}</h2>{content}</section>')
    return Sectioned(Markup("".join(pieces)), sections)  # noqa: S704 - parts of a rendered page
