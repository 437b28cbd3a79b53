"""Figures that extensions add: functions of a study that describe a figure in plain numbers; it is drawn as ours are.

Nothing heavy is imported here, since commands load extensions that draw nothing.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from explorer.host.formatting import in_one_line
from explorer.report.panel import PALETTE, SYMBOLS, Axis, Mark, Panel, bands

MOST_SERIES = 60
MOST_VALUES = 100_000  # of one series
LONGEST = {"title": 200, "x": 100, "y": 100, "caption": 2000, "label": 60}  # characters
OURS = (
    *("all", "front", "cardinality", "distribution", "growth", "course", "deviation", "lengths", "curves"),
    *("ranks", "time", "parallel", "checks", "final", "verdict", "disagreement", "classes"),
)


@dataclass(frozen=True)
class Points:
    """Single points. `settings` links them with the other figures, `words` are shown on pointing at each.

    The label stands in the legend; points with a value that is not finite are left out.
    """

    x: Iterable[float]
    y: Iterable[float]
    label: str = ""
    settings: Iterable[str] = ()
    words: Iterable[str] = ()


@dataclass(frozen=True)
class Line:
    """A line through points in their order; `low` and `high` are the ends of an interval at each, drawn as a band.

    `marked` draws the points on it too.
    """

    x: Iterable[float]
    y: Iterable[float]
    label: str = ""
    low: Iterable[float] = ()
    high: Iterable[float] = ()
    marked: bool = True
    settings: Iterable[str] = ()


@dataclass(frozen=True)
class Figure:
    """A figure in plain numbers: a title, the titles of both axes with their units, and what is drawn, in its order.

    log_x, log_y  whether an axis is logarithmic, so that all its values are above zero
    caption       what a reader needs to know beside the title
    """

    title: str
    x: str
    y: str
    series: Sequence[Points | Line]
    log_x: bool = False
    log_y: bool = False
    caption: str = ""


Drawn = Callable[..., Any]
FIGURES: dict[str, Drawn] = {}


def check(name: str, value: Any) -> None:
    """Raise ValueError for a name that is taken, or a value that is no function of one study."""
    if name in OURS:
        raise ValueError("is a figure already; choose another name")
    try:
        found = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        raise ValueError(f"is a {type(value).__name__}; allowed: a function of a study") from None
    needed = [
        one for one in found if one.default is one.empty and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
    ]
    if len(needed) != 1 or needed[0].kind is needed[0].KEYWORD_ONLY:
        raise ValueError(f"takes ({', '.join(one.name for one in needed)}); allowed: a function of a study")


def panel_of(figure: Any) -> Panel:
    """The panel of a described figure. Raises ValueError, in one line, for one that cannot be drawn."""
    if not isinstance(figure, Figure):
        raise ValueError(f"gives a {type(figure).__name__}; allowed: an explorer.Figure")
    for name in ("title", "x", "y", "caption"):
        _text(name, getattr(figure, name))
    series = [*figure.series]
    if not 1 <= len(series) <= MOST_SERIES:
        raise ValueError(f"has {len(series)} series; allowed: 1 to {MOST_SERIES}")
    axes = Axis(figure.x, log=bool(figure.log_x)), Axis(figure.y, log=bool(figure.log_y))
    marks: list[Mark] = []
    for place, one in enumerate(series):
        color, symbol = PALETTE[place % len(PALETTE)], SYMBOLS[place % len(SYMBOLS)]
        try:
            marks += _marks(one, color, symbol, axes)
        except (TypeError, ValueError) as error:
            raise ValueError(f"series {place}: {in_one_line(error)}") from None
    if not any(mark.x for mark in marks):
        raise ValueError("has no point that is finite")
    return Panel(figure.title, *axes, marks, caption=figure.caption)


def _marks(one: Any, color: str, symbol: str, axes: tuple[Axis, Axis]) -> list[Mark]:
    if not isinstance(one, (Points, Line)):
        raise ValueError(f"is a {type(one).__name__}; allowed: explorer.Points and explorer.Line")
    _text("label", one.label)
    x, y = _numbers("x", one.x, axes[0]), _numbers("y", one.y, axes[1])
    settings = [str(name) for name in one.settings]
    words = [str(text) for text in one.words] if isinstance(one, Points) else []
    low, high = ([], []) if isinstance(one, Points) else (_numbers("low", one.low), _numbers("high", one.high))
    for name, values in (("y", y), ("settings", settings), ("words", words), ("low", low), ("high", high)):
        if len(values) != len(x) and (values or name == "y"):
            raise ValueError(f"has {len(x)} values of x and {len(values)} of {name}")
    if bool(low) != bool(high):
        raise ValueError("has one end of its intervals; allowed: low and high, or neither")
    kept = [place for place, pair in enumerate(zip(x, y, strict=True)) if all(map(math.isfinite, pair))]

    def of(values: list[Any]) -> list[Any]:
        return [values[place] for place in kept] if values else []

    x, y, settings, words = of(x), of(y), of(settings), of(words)
    if isinstance(one, Points):
        return [Mark("dots", x, y, color, symbol=symbol, legend=one.label, settings=settings, words=words)]
    if axes[1].log and any(value <= 0 for value in low):
        raise ValueError("low has values that are not above zero, on a logarithmic axis")
    found = bands(x, of(low), of(high), color) if low else []
    found.append(Mark("line", x, y, color, legend="" if one.marked else one.label))
    if one.marked:
        found.append(Mark("dots", x, y, color, symbol=symbol, legend=one.label, settings=settings))
    return found


def _numbers(name: str, values: Iterable[Any], axis: Axis | None = None) -> list[float]:
    found = [float(value) for value in values]
    if len(found) > MOST_VALUES:
        raise ValueError(f"has {len(found):,} values of {name}; allowed: {MOST_VALUES:,}")
    if axis is not None and axis.log and any(value <= 0 for value in found):
        raise ValueError(f"{name} has values that are not above zero, on a logarithmic axis")
    return found


def _text(name: str, text: Any) -> None:
    if not isinstance(text, str) or len(text) > LONGEST[name] or not (text or name in ("label", "caption")):
        shown = in_one_line(repr(text))[:60]
        raise ValueError(f"{name}={shown}: allowed is text of at most {LONGEST[name]} characters")


def table_of(panel: Panel) -> tuple[list[str], list[list[Any]]]:
    """The numbers of a panel as a table: its columns, and one row for each point of a series or end of a band."""
    columns = ["series", "kind", "setting", panel.x.title, panel.y.title, "high"]
    rows = list[list[Any]]()
    for mark in panel.marks:
        if mark.kind == "line" and not mark.legend and not mark.settings:  # through points that are there themselves
            continue
        own = [*mark.settings] if len(mark.settings) == len(mark.x) else [*mark.settings][:1] * len(mark.x)
        for place, (x, y) in enumerate(zip(mark.x, mark.y, strict=True)):
            high = mark.high[place] if len(mark.high) else ""
            rows.append([mark.legend, mark.kind, own[place] if own else "", x, y, high])
    return columns, rows
