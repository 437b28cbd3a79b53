"""Numbers as people read them, the same on the terminal and on pages."""

import difflib
import math
import re
from collections.abc import Sequence

# Embeddings, overrides and isolates; letters of languages written from right to left are none of them.
DIRECTION = {code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
# What a terminal may obey, and what no encoding can write; tabs and line breaks are left.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
LONGEST = 2000  # characters of a message
NOTED = "Noted beside this result:"  # before what a person has written down
NO_INTERVAL = "needs 2 values that differ"
_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):.*@|(password=)[^&\s'\"]+")  # of a URL


def _blank(found: re.Match[str]) -> str:
    return found[2] or f"{found[1]}@"


def visible(text: str) -> str:
    r"""Text with the characters that set the direction of writing shown as escapes: `\u202e`. Safe HTML stays safe.

    Left as they are, one that is not closed would turn round the numbers after it, whatever element or mark isolates
    it: what closes the isolation closes an open isolate of the text instead (Unicode Standard Annex 9).
    """
    return text if text.isascii() else text.translate(DIRECTION)


def printable(text: str) -> str:
    r"""Text with control characters shown as escapes, for terminals: `\x1b`."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), visible(text))


def one_line(text: str) -> str:
    """A message on one line that can be read, whatever was pasted into it."""
    line = text.strip().replace("\n", "\\n")
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 500]} ... {line[-400:]}"


def without_password(url: str) -> str:
    """A URL without the password in it, which is to be read and kept nowhere."""
    return _PASSWORD.sub(_blank, url)


def without_passwords(text: str, arguments: list[str]) -> str:
    """A message that may repeat a part of the command line, without the passwords of URLs in that."""
    for found in (found for argument in arguments for found in _PASSWORD.finditer(argument)):
        text = text.replace(found[0], _blank(found))
    return text


def place_in_run(epochs: int, steps: int) -> str:
    """Where a run stands after so many epochs, and so many steps of the next one: `step 3 of epoch 5`."""
    return f"step {steps} of epoch {epochs + 1}" if steps else f"epoch {epochs}"


def percent(fraction: float, digits: int = 2) -> str:
    """A fraction in percent: `4.71 %`; a dash where there is none."""
    return "-" if math.isnan(fraction) else f"{fraction * 100:.{digits}f} %"


def plain(value: object) -> str:
    """A setting as people write it: `none`, `yes`, `no`, and the parts of a list joined by commas."""
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value)) or "none"
    return {None: "none", True: "yes", False: "no"}[value] if value is None or isinstance(value, bool) else str(value)


def counted(count: int, what: str) -> str:
    """So many of a thing: `1 run`, `1,234 runs`, `0 runs`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def told_seeds(counts: Sequence[int]) -> str:
    """How many seeds are behind each of several means: `10 seeds`, `2 to 6 seeds`, `1 seed`."""
    low, high = min(counts, default=0), max(counts, default=0)
    return f"{low} to {high} seeds" if low < high else counted(low, "seed")


def signed_percent(fraction: float | None) -> str:
    """A deviation in percent with its sign: `-2.82 %`; a dash where there is nothing to compare with."""
    return "-" if fraction is None or math.isnan(fraction) else f"{fraction * 100:+.2f} %"


def interval(low: float, high: float) -> str:
    """An interval of fractions in percent: `4.20 to 5.21 %`, or what it would take to have one."""
    return NO_INTERVAL if math.isnan(low) else f"{low * 100:.2f} to {high * 100:.2f} %"


def points(difference: float) -> str:
    """A difference of two errors in percentage points: `-0.42`."""
    return "-" if math.isnan(difference) else f"{difference * 100:+.2f}"


def interval_points(low: float, high: float) -> str:
    """An interval of differences in percentage points: `-1.50 to +0.22`, or what it would take to have one."""
    return NO_INTERVAL if math.isnan(low) else f"{points(low)} to {points(high)}"


def p_value(p: float) -> str:
    """`p = 0.012`, or `p < 0.0001` below that."""
    return "p is unknown" if math.isnan(p) else "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def number(value: float) -> str:
    """A number without a unit: `-0.42`; a dash where there is none."""
    return "-" if math.isnan(value) else f"{value:.2f}"


def share(fraction: float) -> str:
    """A level of confidence: `95 %`, `98.3 %`."""
    return f"{100 * fraction:.3g} %"


def millions(count: int) -> str:
    """A count in millions: `4.91 M`."""
    return f"{count / 1e6:,.2f} M"


def cost(axis: str, value: float) -> str:
    """A cost as a number without its unit: `4,775,754`, or `12.3` milliseconds."""
    return f"{value:.3g}" if axis == "latency" else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """A time: `4 min 05 s`, `2 h 03 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


FORM_NAMES = {"sum": "(a) sum of paths", "concat": "(b) concatenation", "grouped": "(c) grouped convolution"}
ERROR_NAMES = {"test_error": "test error", "val_error": "validation error"}


def hint(word: str, allowed: list[str]) -> str:
    """What a misspelt word may have meant."""
    close = difflib.get_close_matches(word, allowed, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
