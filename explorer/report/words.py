"""Words of a verdict that a newcomer asks about: what they mean, and where a page says it.

`docs/glossary.md` has the same definitions, word for word, and so has the box "What this means".
"""

import re
from collections.abc import Mapping

from markupsafe import Markup, escape

from explorer.host.formatting import typeset

MEANINGS: Mapping[str, str] = {
    "seed": "a number that fixes all that is left to chance in a run: first weights, the order of the images and their "
    "augmentation",
    "pair": "two runs with the same seed, one of each of the two settings that are compared, so that luck which both "
    "share does not count",
    "margin": "the largest difference of two errors that does not matter, declared with the contrast, before the first "
    "run",
    "interval": "a range around a mean or a difference; were the study repeated many times, about 95 of 100 ranges "
    "made as a 95 % interval is would hold the true value",
    "cardinality": "the number of parallel paths of a block; with one path it is the block of a ResNet",
}
_FORMS = {"pair": "pairs?|paired", "cardinality": "cardinality"}
_EACH = "|".join(f"(?P<{name}>{_FORMS.get(name, name + 's?')})" for name in MEANINGS)
_ANY = re.compile(rf"\b(?:{_EACH})\b", re.IGNORECASE)


def meaning_of(word: str) -> str:
    """What a word means, as a sentence."""
    words = MEANINGS[word]
    return f"{words[0].upper()}{words[1:]}."


def word(name: str, shown: str = "") -> Markup:
    """A word as a page shows it: pressed, pointed at or reached by Tab, it says what it means."""
    assert name in MEANINGS, name
    return Markup('<button type="button" class="word" popovertarget="word-{}" data-word="{}">{}</button>').format(
        name, name, shown or name
    )


def explained(text: str) -> Markup:
    """Text as it is set on a page, in which the first of each such word says what it means."""
    seen = set[str]()

    def one(found: re.Match[str]) -> str:
        name = str(found.lastgroup)
        if name in seen:
            return found[0]
        seen.add(name)
        return word(name, found[0])

    # Escaping makes none of these words, nor hides one.
    return Markup(_ANY.sub(one, str(escape(typeset(text)))))  # noqa: S704 - escaped in this line
