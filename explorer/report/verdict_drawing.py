"""Lays the picture of a verdict out as plain shapes, which the page draws as SVG and print with matplotlib.

Sizes follow from the width and from the size of letters, so that one layout serves wide pages, phones and columns of a
paper: where there is little room each label stands above its row.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Literal

from explorer.host.formatting import counted
from explorer.report.panel import Axis, ticks
from explorer.report.scaled_blocks import ARROW, TIMES, Conv, ScaledBlock, ScaledDesign
from explorer.report.svg import scale
from explorer.report.verdict_picture import HEADS, Effect, VerdictPicture

ROOMY = 40.0  # letters; from this width on labels stand beside their rows
WIDEST_LABEL = 15.0
LINE = 1.3  # height of a line of text; this and what follows in heights of a letter
BLOCKS_HEIGHT = 20.0  # of all stages' boxes together
BOLD = 1.16  # width of bold letters in those of others
LEAST_HEIGHT, MOST_ROOM = 24.0, 1.7  # few rows stand further apart, up to so many times, to fill this height
THINNEST = 0.26  # strip of a grouped convolution that the eye can tell from the next
SIDES = ("ours", "rival")
Role = str  # what a shape is, which decides its colour; several words, the first one the most telling

# Widths of letters in heights, those of a wide face, so that no other needs more room.
_NARROW, _WIDE = set("iljtfrI.,:;()[]'|!- "), set(f"mwMW%@—{ARROW}")


@dataclass(frozen=True)
class Box:
    """A filled rectangle; x and y are its upper left corner."""

    x: float
    y: float
    width: float
    height: float
    role: Role


@dataclass(frozen=True)
class Line:
    """A straight line."""

    x: float
    y: float
    to_x: float
    to_y: float
    role: Role


@dataclass(frozen=True)
class Dot:
    """A small mark around a point: a circle, or a cross."""

    x: float
    y: float
    radius: float
    role: Role
    kind: Literal["circle", "cross"] = "circle"


@dataclass(frozen=True)
class Words:
    """A line of text; y is that of its baseline."""

    x: float
    y: float
    words: str
    role: Role = ""
    anchor: Literal["start", "middle", "end"] = "start"


Shape = Box | Line | Dot | Words


@dataclass(frozen=True)
class Stripe:
    """The area of the row of a setting, over the whole width, and what the row says."""

    y: float
    height: float
    setting: str
    words: str


@dataclass
class Drawing:
    """Shapes on an area of this size; `em` is the height of a letter in the same unit.

    stripes  the rows of settings, by which a page links them with its other figures; nothing is drawn of these
    """

    width: float
    em: float
    height: float = 0.0
    shapes: list[Shape] = field(default_factory=list)
    stripes: list[Stripe] = field(default_factory=list)

    def text(self, x: float, words: Sequence[str], role: Role = "", anchor: str = "start") -> None:
        """Lines of text from the present height on, which they raise."""
        for line in words:
            self.height += LINE * self.em
            self.shapes.append(Words(x, self.height - 0.3 * self.em, line, role, anchor))  # type: ignore[arg-type]


def letters(words: str) -> float:
    """About how wide a text is, in heights of a letter; rather too much than too little."""
    return sum(0.34 if one in _NARROW else 0.95 if one in _WIDE else 0.7 if one.isupper() else 0.62 for one in words)


def wrapped(words: str, width: float) -> list[str]:
    """Text in lines of at most so many heights of a letter; a longer word is cut."""
    lines: list[str] = []
    for word in words.split(" "):
        if lines and letters(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(_cut(word, width))
    return lines


def _chained(chain: str, width: float) -> list[str]:
    """Channels joined by arrows, in lines that end with one."""
    lines = [""]
    for link in chain.replace(ARROW, f"{ARROW} ").split(" "):
        if lines[-1] and letters(lines[-1] + link) > width:
            lines.append("")
        lines[-1] += link
    return lines


def _cut(word: str, width: float) -> str:
    if letters(word) <= width:
        return word
    while len(word) > 1 and letters(word) + letters("…") > width:
        word = word[:-1]
    return f"{word}…"


# ---------------------------------------------------------------- blocks


def blocks_drawing(picture: VerdictPicture, width: float, em: float) -> Drawing:
    """The compared designs side by side, stage by stage, all boxes to one scale."""
    found = Drawing(width, em)
    columns = len(picture.blocks)
    gap = 1.2 * em
    own = (width - gap * (columns - 1)) / columns if columns > 1 else min(width, 16 * em)
    places = [number * (own + gap) for number in range(columns)]
    _heads(found, picture.blocks, places, own)
    across, down = scales(picture.blocks, own, BLOCKS_HEIGHT * em)
    for number, blocks in enumerate(zip_longest(*(one.stages for one in picture.blocks)), start=1):
        found.height += 0.5 * em
        found.shapes.append(Line(0, found.height, width, found.height, "rule"))
        found.text(0, [_stage_words(number, blocks, many=max(len(one.stages) for one in picture.blocks) > 1)], "quiet")
        _side_by_side(found, places, [[*_chained(one.chain, own / em), one.paths] if one else [] for one in blocks])
        found.height += 0.3 * em
        start, lowest = found.height, found.height
        for place, side, block in zip(places, SIDES, blocks, strict=False):
            if block is not None:
                found.height = start
                _block(found, block, side, place + own / 2, (across, down))
                lowest = max(lowest, found.height)
        found.height = lowest
    found.height += 0.3 * em
    return found


def scales(designs: Sequence[ScaledDesign], width: float, height: float) -> tuple[float, float]:
    """How wide one channel is drawn, and how tall one weight, for all boxes of all designs."""
    stages = [*zip_longest(*(one.stages for one in designs))]
    widest = max((block.width for blocks in stages for block in blocks if block), default=1)
    tallest = sum(max(block.height for block in blocks if block) for blocks in stages)
    return width / widest, height / (tallest or 1)


def strips(paths: int, width: float, thinnest: float) -> int:
    """As how many strips so many paths are drawn, of which each is as many paths, none thinner than can be told."""
    return max(one for one in range(1, paths + 1) if paths % one == 0 and (one == 1 or width / one >= thinnest))


def _heads(found: Drawing, designs: Sequence[ScaledDesign], places: Sequence[float], own: float) -> None:
    em = found.em
    names = [wrapped(one.display, own / em / BOLD) for one in designs]
    _side_by_side(found, places, names, ("strong ours", "strong rival"))
    if any(one.role for one in designs):
        _side_by_side(found, places, [wrapped(one.role, own / em) for one in designs], ("quiet", "quiet"))
    costs = [[f"{one.params:,} parameters", f"{one.macs / 1e6:,.2f} M multiply-adds"] for one in designs]
    _side_by_side(found, places, [[line for words in own_ for line in wrapped(words, own / em)] for own_ in costs])


def _side_by_side(
    found: Drawing, places: Sequence[float], columns: Sequence[Sequence[str]], roles: Sequence[Role] = ("", "")
) -> None:
    start, lowest = found.height, found.height
    for place, lines, role in zip(places, columns, roles, strict=False):
        found.height = start
        found.text(place, lines, role)
        lowest = max(lowest, found.height)
    found.height = lowest


def _stage_words(number: int, blocks: Sequence[ScaledBlock | None], *, many: bool) -> str:
    known = [one for one in blocks if one is not None]
    counts, sizes = list(dict.fromkeys(one.count for one in known)), list(dict.fromkeys(one.map_size for one in known))
    first = f"Stage {number}: " if many else ""
    blocks_words = counted(counts[0], "block") if len(counts) == 1 else f"{' and '.join(map(str, counts))} blocks"
    pixels = " and ".join(f"{size}{TIMES}{size}" for size in sizes)
    return f"{first}{blocks_words}, {pixels} pixels" if many else f"Convolutions, from {pixels} pixels on"


def _block(found: Drawing, block: ScaledBlock, side: str, middle: float, scales_: tuple[float, float]) -> None:
    """One block: the channels of its input as a bar, and its boxes below each other."""
    em, (across, down) = found.em, scales_
    half = across * block.into / 2
    found.shapes.append(Line(middle - half, found.height, middle + half, found.height, f"input {side}"))
    for row in block.rows:
        found.height += 0.16 * em
        left = middle - across * sum(conv.width if conv else _slot(block, index) for index, conv in enumerate(row)) / 2
        for index, conv in enumerate(row):
            if conv is not None:
                _conv(found, conv, side, left, (across, down))
            left += across * (conv.width if conv else _slot(block, index))
        found.height += down * max(conv.weights for conv in row if conv)


def _slot(block: ScaledBlock, index: int) -> int:
    """The width of a path in a row in which it has no convolution."""
    return next(row[index].width for row in block.rows if len(row) > index and row[index] is not None)  # type: ignore[union-attr]


def _conv(found: Drawing, conv: Conv, side: str, left: float, scales_: tuple[float, float]) -> None:
    em, (across, down) = found.em, scales_
    width, height = across * conv.width, down * conv.weights
    role = f"{'point' if conv.kernel == 1 else 'spatial'} {side}"
    found.shapes.append(Box(left, found.height, width, height, role))
    number = strips(conv.paths, width, THINNEST * em)
    for place in range(1, number):
        x = left + width * place / number
        found.shapes.append(Line(x, found.height, x, found.height + height, "cut"))
    if conv.words and height >= 1.1 * em and width / number >= (letters(conv.words) + 0.4) * em:
        found.shapes.append(
            Words(
                left + width / number / 2,
                found.height + height / 2 + 0.35 * em,
                conv.words,
                "inside",
                "middle",
            )
        )


# ---------------------------------------------------------------- differences


def effects_drawing(picture: VerdictPicture, width: float, em: float) -> Drawing:
    """The rows on one axis, with what it means to lie left and right of zero."""
    return _Effects(picture, width, em).drawn()


class _Effects:
    """The state of a layout: where the axis is and how far down it has come."""

    def __init__(self, picture: VerdictPicture, width: float, em: float) -> None:
        self.picture, self.em, self.found = picture, em, Drawing(width, em)
        rows = [one for one in picture.shown if isinstance(one, Effect)]
        words = max(letters(one.words) * _weight(one) for one in rows) * em
        self.is_roomy = width >= ROOMY * em
        self.left, self.right = 0.6 * em, width - 0.6 * em
        self.label_width = width - words - em
        if self.is_roomy:
            self.label_width = min(max(letters(_label(one)) * _weight(one) for one in rows) + 0.2, WIDEST_LABEL) * em
            self.left, self.right = self.label_width + 1.2 * em, width - words - 1.2 * em
        self.across = scale(Axis(""), picture.ends, self.left, self.right)
        self.room = min(MOST_ROOM, max(1.0, LEAST_HEIGHT / (2.2 * len(picture.shown))))

    def drawn(self) -> Drawing:
        found, em = self.found, self.em
        found.text(0, wrapped(self.picture.title, found.width / em / BOLD), "strong")
        self._better()
        found.height += 0.3 * em
        top, behind = found.height, len(found.shapes)
        kind = ""
        for row in self.picture.shown:
            if not isinstance(row, Effect):
                found.text(0, [f"{row} more in the table of numbers"], "quiet")
                continue
            if row.kind != kind:
                self._head(row.kind, kind)
                kind = row.kind
            self._row(row)
        found.height += 0.3 * em
        found.shapes[behind:behind] = [*self._ground(top, found.height)]
        low, high = self.picture.ends
        for value, words in ticks(Axis(""), low, high):
            x = self.across(value)
            found.shapes.append(Words(x, found.height + 1.1 * em, words, "quiet", "middle"))
        found.height += 1.5 * em
        return found

    def _better(self) -> None:
        """What lies left and right of zero: on one line beside it, or on two where there is no room."""
        found, em = self.found, self.em
        left, right = f"\N{LEFTWARDS ARROW} {self.picture.better[0]}", f"{self.picture.better[1]} \N{RIGHTWARDS ARROW}"
        zero, room = self.across(0.0), 0.5 * em
        starts, ends = zero - room - letters(left) * em, zero + room + letters(right) * em
        if starts >= 0 and ends <= found.width:
            found.text(zero - room, [left], "quiet", "end")
            found.height -= LINE * em
            found.text(zero + room, [right], "quiet")
            return
        found.text(max(0.0, starts), [left], "quiet")
        found.text(min(found.width, ends), [right], "quiet", "end")

    def _ground(self, top: float, bottom: float) -> Iterator[Shape]:
        """The margin, the grid and the line at zero, behind all rows."""
        if (margin := self.picture.margin) is not None:
            left, right = self.across(-margin), self.across(margin)
            yield Box(left, top, right - left, bottom - top, "margin")
        for value, _ in ticks(Axis(""), *self.picture.ends):
            yield Line(self.across(value), top, self.across(value), bottom, "grid")
        yield Line(self.across(0.0), top, self.across(0.0), bottom, "zero")

    def _head(self, kind: str, before: str) -> None:
        """The rule above a further group of rows, and what they are."""
        if kind not in HEADS or not before:
            return
        found, em = self.found, self.em
        found.height += 0.4 * em
        found.shapes.append(Line(0, found.height, found.width, found.height, "rule"))
        found.text(0, wrapped(HEADS[kind], found.width / em), "quiet over")

    def _row(self, row: Effect) -> None:
        found, em = self.found, self.em
        color = self._color(row)
        strong = "strong " if row.kind == "declared" else ""
        lines = wrapped(_label(row), self.label_width / em / _weight(row))
        tall = 0.35 * em if row.kind == "declared" else 0.0
        start = found.height
        if self.is_roomy:
            height = self.room * max(2.0 * em + 2 * tall, (len(lines) * LINE + 0.5) * em)
            y = start + height / 2
            found.height = y - len(lines) * LINE * em / 2
            found.text(0, lines, f"{strong}{color}" if strong else "")
            found.height = y - LINE * em / 2
            found.text(found.width, [row.words], f"{strong}over", "end")
            found.height = start + height
        else:
            found.height += 0.3 * em
            found.text(0, lines, f"{strong}{color} over" if strong else "over")
            found.height -= LINE * em
            found.text(found.width, [row.words], f"{strong}over", "end")
            y = found.height + 0.75 * em
            found.height += 1.4 * em + tall
        self._marks(row, y, color)
        if row.setting:
            found.stripes.append(Stripe(start, found.height - start, row.setting, f"{_label(row)}: {row.words}"))

    def _color(self, row: Effect) -> str:
        """Colour is for what was declared, once all runs are in."""
        if row.kind != "declared":
            return "plain"
        return "ours" if self.picture.complete else "open"

    def _marks(self, row: Effect, y: float, color: str) -> None:
        """Single pairs a little below the line, so that neither hides the other; published ones are hollow."""
        shapes, em = self.found.shapes, self.em
        declared = row.kind == "declared"
        if row.kind == "published":
            shapes.extend(Dot(self.across(value), y, 0.34 * em, "hollow") for value in row.marks)
            return
        below = y + (0.5 if row.marks else 0.0) * em
        crosses = set(row.chance)
        for value in row.marks:
            kind: Literal["circle", "cross"] = "cross" if value in crosses else "circle"
            shapes.append(Dot(self.across(value), below, 0.2 * em, f"mark {color}", kind))
        if not math.isfinite(row.mean):
            return
        y -= (0.2 if row.marks else 0.0) * em
        if row.has_interval:
            shapes.append(Line(self.across(row.low), y, self.across(row.high), y, f"interval {color}"))
        half = (0.36 if declared else 0.27) * em
        hollow = "hollow" if row.kind == "data" else f"mean {color}"
        shapes.append(Box(self.across(row.mean) - half, y - half, 2 * half, 2 * half, hollow))


def _weight(row: Effect) -> float:
    return BOLD if row.kind == "declared" else 1.0


def _label(row: Effect) -> str:
    return f"{row.label}: {row.word}" if row.word else row.label
