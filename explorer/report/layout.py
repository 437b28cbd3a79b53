"""Where the words of a figure stand, so that none touch: labels of ticks, names beside marks and at ends of lines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from explorer.report.panel import Mark, Panel, ticks

LETTER, DIGIT = 7.4, 6.0  # average width in pixels of a letter of a figure, and of a digit in a small picture
LINE = 15  # pixels from one line of text to the next
APART = 8  # fewest pixels between two labels side by side
TITLE, LEGEND = 24, 22  # height in pixels of the title of the vertical axis, which stands above it, and of a legend
LEADER = 14  # pixels from the end of a line to its name
Ticks = list[tuple[float, str]]
# Where a name may stand beside its mark: the words that plotly has for it, the direction, and the anchor of the text.
POSITIONS = (
    ("middle right", 1, 0, "start"),
    ("top right", 0.7, -0.8, "start"),
    ("middle left", -1, 0, "end"),
    ("bottom right", 0.7, 0.8, "start"),
    ("top left", -0.7, -0.8, "end"),
    ("bottom left", -0.7, 0.8, "end"),
    ("top center", 0, -1, "middle"),
    ("bottom center", 0, 1, "middle"),
)
STEP = 4  # pixels from one point of a line to the next that names keep away from


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        """Whether two rectangles overlap."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def holds(self, other: "Box") -> bool:
        """Whether another rectangle lies within this one."""
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )


@dataclass(frozen=True)
class Name:
    """A name beside a mark: the point of the mark, where the text begins, and `position` as plotly has it."""

    words: str
    x: float
    y: float
    anchor: str
    position: str


def width_of(words: str) -> float:
    """The width in pixels of the longest line of a text."""
    return LETTER * max(map(len, words.split("\n")), default=0)


def tick_choices(marked: Ticks) -> list[Ticks]:
    """The ticks of an axis as they may be drawn, fullest first: whole labels, their first lines, fewer of these."""
    first = [(value, words.split("\n")[0]) for value, words in marked]
    whole = [marked] if first != marked else []
    return [*whole, first, *(first[::step] for step in range(2, len(first)))]


def fitted(marked: Ticks, places: Sequence[float]) -> Ticks:
    """The fullest choice of ticks of which no labels touch; `places` are where all of them stand, in pixels."""
    at = dict(zip((value for value, _ in marked), places, strict=True))
    for choice in tick_choices(marked):
        boxes = sorted((at[value] - width_of(words) / 2, at[value] + width_of(words) / 2) for value, words in choice)
        if all(right[0] - left[1] >= APART for left, right in pairwise(boxes)):
            return choice
    return marked[:1]


def beside(
    marks: Sequence[Mark], points: Sequence[Sequence[tuple[float, float]]], frame: Box, taken: Sequence[Box] = ()
) -> list[list[Name | None]]:
    """The names of each mark's dots, placed one after another where they meet no dot, no other name and no edge.

    Where there is room away from lines too, it is taken. `points` are those of each mark in pixels, `taken` what else
    stands in the frame. None for a dot without a name, and where there is no room for it.
    """
    if not any(any(mark.names) for mark in marks):
        return [[] for _ in marks]
    lines = [box for mark, own in zip(marks, points, strict=True) for box in _along(mark, own)]
    dots = [
        Box(x - 5, y - 5, x + 5, y + 5)
        for mark, own in zip(marks, points, strict=True)
        if mark.kind == "dots"
        for x, y in own
        if math.isfinite(x) and math.isfinite(y)
    ]
    placed = [*taken]
    found: list[list[Name | None]] = []
    for mark, own in zip(marks, points, strict=True):
        names: list[Name | None] = []
        for words, (x, y) in zip(mark.names, own, strict=False):
            name, box = _placed(words, x, y, [*dots, *lines], placed, frame)
            if name is None:
                name, box = _placed(words, x, y, dots, placed, frame)
            names.append(name)
            placed += [box] if box is not None else []
        found.append(names)
    return found


def _along(mark: Mark, points: Sequence[tuple[float, float]]) -> list[Box]:
    """Small rectangles along a line or steps."""
    if mark.kind not in ("line", "steps") or mark.quiet:
        return []
    known = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    corners = [known[0]] if known else []
    for x, y in known[1:]:
        corners += [(x, corners[-1][1]), (x, y)] if mark.kind == "steps" else [(x, y)]
    boxes = []
    for (left, start), (right, end) in pairwise(corners):
        count = max(1, math.ceil(max(abs(right - left), abs(end - start)) / STEP))
        for number in range(count + 1):
            x, y = left + (right - left) * number / count, start + (end - start) * number / count
            boxes.append(Box(x - 1, y - 1, x + 1, y + 1))
    return boxes


def _placed(
    words: str, x: float, y: float, dots: Sequence[Box], placed: Sequence[Box], frame: Box
) -> tuple[Name | None, Box | None]:
    if not words or not (math.isfinite(x) and math.isfinite(y)):
        return None, None
    wide, own = width_of(words), Box(x - 5, y - 5, x + 5, y + 5)
    meeting = [one for one in dots if one != own and not own.holds(one)]
    for position, right, down, anchor in POSITIONS:
        at, line = x + 11 * right, y + 14 * down
        left = at - {"start": 0.0, "end": wide, "middle": wide / 2}[anchor]
        box = Box(left, line - LINE / 2, left + wide, line + LINE / 2)
        free = frame.holds(box) and not any(box.meets(one) for one in (*placed, *meeting))
        if free:
            return Name(words, at, line + 4.5, anchor, position), box
    return None, None


def apart(heights: Sequence[float], low: float, high: float, gap: float = LINE) -> list[float]:
    """Heights moved as little as needed to be at least `gap` apart and within `low` and `high`, in the same order."""
    order = sorted(range(len(heights)), key=lambda place: heights[place])
    gap = min(gap, (high - low) / max(1, len(order) - 1))
    moved = [min(max(heights[place], low), high) for place in order]
    for place in range(1, len(moved)):
        moved[place] = max(moved[place], moved[place - 1] + gap)
    for place in range(len(moved) - 1, -1, -1):
        ceiling = high if place == len(moved) - 1 else moved[place + 1] - gap
        moved[place] = min(moved[place], ceiling)
    found = [0.0] * len(heights)
    for height, place in zip(moved, order, strict=True):
        found[place] = height
    return found


@dataclass(frozen=True)
class Margins:
    """The room in pixels around the axes of a panel."""

    left: int
    right: int
    top: int
    bottom: int


def margins_of(panel: Panel) -> Margins:
    """The room that the words of a panel need: labels of both axes, the legend, names at the ends of lines."""
    x_ends, y_ends = panel.ends
    shown = [mark for mark in panel.marks if not mark.optional]
    left = max((width_of(words) for _, words in ticks(panel.y, *y_ends)), default=0.0)
    names = max((width_of(mark.end) for mark in shown if mark.end), default=0.0)
    lines = 2 if any("\n" in words for _, words in ticks(panel.x, *x_ends)) else 1
    return Margins(
        left=max(40, math.ceil(left) + 14),
        right=math.ceil(names) + LEADER + 8 if names else 16,
        top=TITLE + 6 + (LEGEND if any(mark.legend for mark in shown) else 0),
        bottom=42 + LINE * lines,
    )
