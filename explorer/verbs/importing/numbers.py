"""Reads numbers as people write them, and finds out whether errors are fractions or per cent."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Literal

from explorer.host.errors import InputError

Unit = Literal["fraction", "percent"]
EMPTY = ("", "-", "--", "nan", "none", "null", "n/a", "na", "?", "inf", "-inf", "infinity")
LEAST_PERCENT = Decimal("0.15")  # an error of less than this many per cent has hardly been reported
MOST_RATIO = 30  # of the largest error in per cent to one below 1
DECIMALS = 2  # of an error in per cent, counted on 10,000 images
_SPREAD = re.compile(r"\s*(?:(?:±|\+/-|\+-|\\pm).*|\(\s*\d*[.,]\d+\s*%?\s*\))$")  # `3.65 ± 0.1`, `3.65 (0.1)`
_WHOLE_TEXT = re.compile(r"\d{1,3}(?:,\d{3})+")


def number(text: str, decimal: str = ".") -> Decimal | None:
    """The number that a cell means, without a spread or a sign of per cent behind it; None for an empty cell.

    Raises ValueError for any other text.
    """
    plain = _SPREAD.sub("", text.strip()).rstrip("%").strip()
    if plain.lower() in EMPTY:
        return None
    if decimal == "," and re.fullmatch(r"-?\d+,\d+", plain):
        plain = plain.replace(",", ".")
    if _WHOLE_TEXT.fullmatch(plain):
        plain = plain.replace(",", "")
    try:
        found = Decimal(plain)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a number") from None
    if not found.is_finite():
        return None
    return found


def unit_of(
    values: Mapping[int, Decimal],
    column: str,
    *,
    accuracy: bool,
    says_percent: bool,
    chance: Decimal = Decimal(0),
    training: bool = False,
) -> Unit:
    """Whether errors or accuracies, by row, are fractions or per cent. Raises InputError if that cannot be told.

    `chance` is the accuracy of guessing in per cent: far below it accuracies are fractions. Errors while `training` may
    be as small as can be.
    """
    ways = "; say unit=fraction or unit=percent"
    every = [*values.values()]
    if says_percent or not every:
        return "percent"
    least, most = min(every), max(every)
    rows = {value: row for row, value in values.items()}
    if accuracy:
        if most <= 1:
            return "fraction"
        other = [value for value in every if 0 < value < 1 and (_decimals(value) > DECIMALS or value < chance / 2)]
    else:
        other = [value for value in every if 0 < value < LEAST_PERCENT or (0 < value < 1 and most / value > MOST_RATIO)]
        if most <= 1:
            if least < LEAST_PERCENT or any(_decimals(value) > DECIMALS for value in every):
                return "fraction"
            raise InputError(f"{column}: errors from {least} to {most} may be fractions or per cent{ways}")
    if other and not training:
        raise InputError(
            f"{column}: holds {most} (row {rows[most]}) and {other[0]} (row {rows[other[0]]}), so that some seem to be "
            f"per cent and some fractions{ways}"
        )
    return "percent"


def as_error(value: Decimal, unit: Unit, *, accuracy: bool) -> float:
    """An error as a fraction. Raises ValueError for a number that is no share."""
    whole = Decimal(100) if unit == "percent" else Decimal(1)
    if not 0 <= value <= whole:
        raise ValueError(f"{value} is no share; allowed is 0 to {whole}")
    return float((whole - value if accuracy else value) / whole)


def _decimals(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def counted_alike(text: str, ours: int, decimal: str = ".") -> bool | None:
    """Whether a number of parameters as a file gives it is the exact one `ours`, at the digits that it has.

    `25,028,904`, `25028904`, `25.03` and `25.03M` (both millions) are read; None for an empty cell or other text.
    """
    millions = re.fullmatch(r"([\d.,_\s]+?)\s*(?:m|mio|million|millions)", text.strip().lower())
    try:
        value = number(millions[1] if millions else text, decimal)
    except ValueError:
        return None
    if value is None or value <= 0:
        return None
    if millions is None and value >= 10_000:
        return int(value) == ours
    places = _decimals(value)
    written = text.strip().lower().rstrip("m").strip()
    if "." in written:
        places = max(places, len(written.rpartition(".")[2].rstrip("m ")))
    step = Decimal(1).scaleb(-places)
    return abs(Decimal(ours) / 1_000_000 - value) <= step / 2 + Decimal("1e-12")
