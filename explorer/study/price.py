"""The price of computing time: what an hour of a device costs, and what so many hours come to."""

import re
from dataclasses import dataclass

from explorer.host.errors import InputError

# A single letter is none of a currency: `12k` and `2.5E` mean something else.
_PRICE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([^\W\d_]{2,10}|[$€£¥₹]|)")
MOST = 1e9


@dataclass(frozen=True)
class Price:
    """What an hour of one device costs; `unit` is a currency, or "" where none was said."""

    amount: float
    unit: str = ""

    def of(self, hours: float) -> str:
        """What so many hours of a device cost, in words: `3.46 EUR`."""
        return money(self.amount * hours, self.unit)

    @property
    def words(self) -> str:
        """The price itself: `2.50 EUR an hour`."""
        return f"{money(self.amount, self.unit).removesuffix(' in money')} an hour"


def price_in(text: str | float | None) -> Price | None:
    """The price that `engine.price` means: a number, with its currency or without: `2.5`, `2.5 EUR`, `2.5EUR`.

    None where it says none. Raises InputError for anything else.
    """
    if text is None:
        return None
    found = _PRICE.fullmatch(text.strip()) if isinstance(text, str) else None
    amount, unit = (text, "") if not isinstance(text, str) else (float(found[1]), found[2]) if found else (-1.0, "")
    if not 0 <= amount <= MOST:  # nor NaN
        raise InputError(
            f"engine.price={text}: is no price of an hour of a device; allowed are numbers from 0 to {MOST:,.0f}, with "
            "a currency or without: engine.price=2.5 or engine.price=2.5EUR"
        )
    return Price(float(amount), unit)


def money(amount: float, unit: str) -> str:
    """An amount: `3.46 EUR`; below a tenth to two figures: `0.0042 EUR`; without a currency `3.46 in money`."""
    number = f"{amount:,.2f}" if amount >= 0.1 or not amount else f"{amount:.2g}"
    return f"{number} {unit or 'in money'}"
