"""Numbers and text formatted for people, the same on the terminal and on pages."""

import difflib
import math
import re
from collections.abc import Sequence

# Unicode's embedding, override and isolate controls. Right-to-left letters are not among them and stay as they are.
DIRECTION = {code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
# Control characters that a terminal may execute, and characters that no encoding can write; not tab and line break.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
LONGEST = 2000  # most characters of a message
MOST_OF_ERROR = 300  # most characters of an error that a message quotes
NOTED = "Noted beside this result:"  # introduces the text of a study's note.txt
NO_INTERVAL = "needs 2 values that differ"
_MINUS = re.compile(r"(?<![\w.)\]])-(?=\d)")  # of a number, not of a name or a range
_TIMES = re.compile(r"(?<![\w.-])(\d+)x(?=\d+(?![\w.-]*\w))|(?<![\w.)-])x(?=\d[\d.]* for\b)")  # `3x3`, `x0.5 for`
_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):.*@|(password=)[^&\s'\"]+")  # of a URL

UNBROKEN = "\N{NO-BREAK SPACE}"
JOINED = "-\N{WORD JOINER}"  # a hyphen after which no line ends; readers and searches pass over the joiner
_NUMBER = r"[-+\u2212]?\d[\d.,]*(?: [%MGk]\b| %)?"
_UNITS = "points?|pairs?|seeds?|runs?|designs?|settings?|epochs?|steps?|images?|layers?|at once|s|ms|min|h|d|[kMG]?B"
# What no line break may tear: `p < 0.0001`, `6 min 20 s`, `-2.53 to -2.01 points`, `95 %`, `ResNeXt-29 (32x4d)`.
_NAME = r"\b[A-Z]\w+-\d+ \([^()]{1,30}\)"
_NUMBERS = rf"\b[pn] (?:[=<]|&lt;) [\d.]+|\d+ (?:h \d+ min|min \d+ s)\b|{_NUMBER}(?: to {_NUMBER})?(?: (?:{_UNITS})\b)?"
_TOGETHER = re.compile(f"{_NAME}|{_NUMBERS}")
_NUMBERS_TOGETHER = re.compile(_NUMBERS)
_HYPHEN = re.compile(r"(?<=[A-Za-z])-(?=\d)")  # of a name that is kept together


_SET = frozenset("0123456789")  # without a digit there is nothing to set


def _blank(found: re.Match[str]) -> str:
    return found[2] or f"{found[1]}@"


def visible(text: str) -> str:
    r"""Text with Unicode's direction controls shown as escapes: `\u202e`. HTML that was escaped before stays escaped.

    An unclosed control would reverse the numbers after it, and no element around the text prevents that: the end of the
    element's isolation would close an isolate opened within the text instead (Unicode Standard Annex 9).
    """
    return text if text.isascii() else text.translate(DIRECTION)


def printable(text: str) -> str:
    r"""Text with control characters shown as escapes, for terminals: `\x1b`."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), visible(text))


def unbroken(text: str) -> str:
    """Text in which a number is not torn from its unit, nor a name from its brackets, where lines are broken."""
    return _TOGETHER.sub(lambda found: found[0].replace(" ", UNBROKEN), text)


def _kept(found: re.Match[str]) -> str:
    """A piece of text at none of whose spaces and hyphens a line ends; terminals would show the joiner as a blank."""
    return _HYPHEN.sub(JOINED, found[0].replace(" ", UNBROKEN))


def with_true_minus(text: str) -> str:
    """Text in which numbers below zero have a true minus sign, and names keep their hyphens."""
    return _MINUS.sub("\N{MINUS SIGN}", text)


def with_true_signs(text: str) -> str:
    """Text with true minus signs and with multiplication signs between numbers: `3x3`, but not in a name as `32x4d`."""
    return _TIMES.sub(lambda found: f"{found[1] or ''}\N{MULTIPLICATION SIGN}", with_true_minus(text))


def typeset(text: str, *, names: bool = True) -> str:
    """Text as it is set on a page, escaped or not: true minus signs, multiplication signs, and unbroken.

    With `names=False` the names of networks may be broken where lines are, as in narrow cells of a table.
    """
    if not any(one in text for one in _SET):
        return text
    text = with_true_signs(text)
    return (_TOGETHER if names else _NUMBERS_TOGETHER).sub(_kept, text)


def typeset_rules() -> dict[str, str]:
    """What `typeset` looks for, as regular expressions that JavaScript reads too: scripts of a page set text alike."""
    return {"minus": _MINUS.pattern, "times": _TIMES.pattern, "together": _TOGETHER.pattern, "hyphen": _HYPHEN.pattern}


def one_line(text: str) -> str:
    """A message on one line, shortened in the middle where it has more than `LONGEST` characters."""
    line = text.strip().replace("\n", "\\n")
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 500]} ... {line[-400:]}"


def in_one_line(error: BaseException | str) -> str:
    """The message of an error on one line, shortened in the middle; its type where it has no message."""
    line = " ".join(str(error).split())
    if not line and isinstance(error, BaseException):
        return type(error).__name__
    return line if len(line) <= MOST_OF_ERROR else f"{line[: MOST_OF_ERROR - 150]} ... {line[-140:]}"


def without_password(url: str) -> str:
    """A URL without its password, which is neither displayed nor stored."""
    return _PASSWORD.sub(_blank, url)


def without_passwords(text: str, arguments: list[str]) -> str:
    """A message without the passwords of any URLs in `arguments`, which it may quote."""
    for found in (found for argument in arguments for found in _PASSWORD.finditer(argument)):
        text = text.replace(found[0], _blank(found))
    return text


def place_in_run(epochs: int, steps: int) -> str:
    """How far a run has come: whole epochs, or steps of the epoch after them: `epoch 4`, `step 3 of epoch 5`."""
    return f"step {steps} of epoch {epochs + 1}" if steps else f"epoch {epochs}"


def percent(fraction: float, digits: int = 2) -> str:
    """A fraction in percent: `4.71 %`; a dash for NaN."""
    return "-" if math.isnan(fraction) else f"{fraction * 100:.{digits}f} %"


def plain(value: object) -> str:
    """A setting as people write it: `none`, `yes`, `no`, and the parts of a list joined by commas."""
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value)) or "none"
    return {None: "none", True: "yes", False: "no"}[value] if value is None or isinstance(value, bool) else str(value)


def counted(count: int, what: str) -> str:
    """A count with its noun: `1 run`, `1,234 runs`, `0 runs`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def seed_counts(counts: Sequence[int]) -> str:
    """The number of seeds behind several means, as a range: `10 seeds`, `2 to 6 seeds`, `1 seed`."""
    low, high = min(counts, default=0), max(counts, default=0)
    return f"{low} to {high} seeds" if low < high else counted(low, "seed")


def signed_percent(fraction: float | None) -> str:
    """A deviation in percent with its sign: `-2.82 %`; a dash for None or NaN."""
    return "-" if fraction is None or math.isnan(fraction) else f"{fraction * 100:+.2f} %"


def interval(low: float, high: float) -> str:
    """An interval of fractions in percent: `4.20 to 5.21 %`, or what is needed to compute one."""
    return NO_INTERVAL if math.isnan(low) else f"{low * 100:.2f} to {high * 100:.2f} %"


def points(difference: float) -> str:
    """A difference of two errors in percentage points: `-0.42`."""
    return "-" if math.isnan(difference) else f"{difference * 100:+.2f}"


def interval_points(low: float, high: float) -> str:
    """An interval of differences in percentage points: `-1.50 to +0.22`, or what is needed to compute one."""
    return NO_INTERVAL if math.isnan(low) else f"{points(low)} to {points(high)}"


def less(difference: float) -> str:
    """How many points an error is less, from its difference to another one: `2.27`, `-0.39` with a true minus sign.

    A dash for NaN; what is rounded to zero has no sign.
    """
    if math.isnan(difference):
        return "-"
    number = f"{-100 * difference + 0.0:.2f}"
    return with_true_minus(number) if number.strip("-0.") else number.lstrip("-")


def less_interval(low: float, high: float) -> str:
    """The ends of an interval of a difference, turned as in `less`: `2.01 to 2.53`, or what is needed to compute it."""
    return NO_INTERVAL if math.isnan(low) else f"{less(high)} to {less(low)}"


def size_in_words(difference: float) -> str:
    """A difference of two errors in words: `1.23 points lower`; a zero difference is called none."""
    if abs(difference) < 1e-12:
        return "no lower or higher"
    return f"{abs(difference) * 100:.2f} points {'lower' if difference < 0 else 'higher'}"


def range_in_words(low: float, high: float) -> str:
    """What differences lie between, in words: `0.13 to 0.39 points lower`, or each end with its side."""
    first, last = size_in_words(high), size_in_words(low)
    if first == last or low < 0 <= high:
        return first if first == last else f"{first} to {last}"
    return f"{first.partition(' ')[0]} to {last}" if high < 0 else f"{last.partition(' ')[0]} to {first}"


def ends_in_words(difference: float, low: float, high: float) -> str:
    """The ends of an interval of a difference, counted as its size is: `2.01 to 2.53` of one of 2.27 points lower.

    Where zero lies between, each end has its side: `0.39 higher to 1.72 lower`.
    """
    first, second = (low, high) if difference > 0 else (high, low)  # the end nearer to zero comes first
    sizes = [f"{abs(100 * end):.2f}" for end in (first, second)]
    if (low < 0) == (high < 0) or not low or not high:
        return " to ".join(sizes)
    sides = ("lower", "higher") if difference > 0 else ("higher", "lower")
    return " to ".join(f"{size} {side}" for size, side in zip(sizes, sides, strict=True))


def p_value(p: float) -> str:
    """`p = 0.012`, or `p < 0.0001` below that."""
    return "p is unknown" if math.isnan(p) else "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def number(value: float) -> str:
    """A number without a unit: `-0.42`; a dash for NaN."""
    return "-" if math.isnan(value) else f"{value:.2f}"


def share(fraction: float) -> str:
    """A level of confidence: `95 %`, `98.3 %`."""
    return f"{100 * fraction:.3g} %"


def size_words(size: int) -> str:
    """A number of bytes in the largest unit that leaves one or more: `4.2 MB`."""
    for power, unit in ((3, "GB"), (2, "MB"), (1, "kB")):
        if size >= 1000**power:
            return f"{size / 1000**power:.1f} {unit}"
    return f"{size} B"


def millions(count: int) -> str:
    """A count in millions: `4.91 M`."""
    return f"{count / 1e6:,.2f} M"


def cost(axis: str, value: float) -> str:
    """A cost without its unit: an integer count such as `4,775,754`, milliseconds such as `12.3`, or another number."""
    if axis == "latency":
        return f"{value:.3g}"
    return f"{value:,.0f}" if float(value).is_integer() or value >= 1e4 else f"{value:.4g}"


def duration(seconds: float) -> str:
    """A time: `4 min 05 s`, `2 h 03 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def hours_words(hours: float) -> str:
    """A number of hours as a person would say it: `2 h`, `1 h 30 min`, `90 s`."""
    whole = round(3600 * hours)
    if whole < 120:
        return f"{3600 * hours:.3g} s"
    parts = [f"{whole // 3600} h", f"{whole % 3600 // 60} min", f"{whole % 60} s"]
    return " ".join(part for part in parts if part[:2] != "0 ")


def hours_key(hours: float) -> str:
    """The key that gives a start so many hours: `search.hours=2`, or in short `budget=time:90s`."""
    short = f"{hours:g}"
    return f"search.hours={short}" if len(short) <= 4 else f"budget=time:{hours_words(hours).replace(' ', '')}"


FORM_NAMES = {"sum": "(a) sum of paths", "concat": "(b) concatenation", "grouped": "(c) grouped convolution"}
ERROR_NAMES = {"test_error": "test error", "val_error": "validation error"}


def hint(word: str, allowed: list[str]) -> str:
    """A suggestion for a misspelt word from the allowed ones; empty where none is similar."""
    close = difflib.get_close_matches(word, allowed, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
