"""A panel's axes, and the pictures made of it."""

import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.report.panel import SYMBOLS, Axis, Mark, Panel, ends, label, ticks
from explorer.report.plot import plot
from explorer.report.svg import svg

HOSTILE = "</svg><script>alert(1)</script>&\"'<b>"


def panel(*marks: Mark, log: bool = False) -> Panel:
    return Panel("What is shown", Axis("Across", log=log), Axis("Up (%)"), list(marks))


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.booleans())
def test_ticks_are_few_and_lie_between_the_ends(start: float, span: float, log: bool) -> None:
    values = [abs(start) + 1e-3, abs(start) + 1e-3 + span] if log else [start, start + span]
    axis = Axis("", log=log)
    low, high = ends(axis, values)
    assert low <= values[0] < values[1] <= high
    found = [value for value, _ in ticks(axis, low, high)]
    assert 1 <= len(found) <= 12
    assert all(low * (1 - 1e-9) - 1e-9 * abs(low) <= value <= high + 1e-9 * abs(high) for value in found)
    assert found == sorted(set(found))


@pytest.mark.parametrize(
    ("value", "words"), [(0.5, "0.5"), (25, "25"), (4_000, "4000"), (20_000, "20 k"), (1.5e6, "1.5 M"), (2e9, "2 G")]
)
def test_ticks_are_labelled_as_people_write_numbers(value: float, words: str) -> None:
    assert label(value) == words
    assert label(0.4, share=True) == "40 %"


def test_a_picture_is_one_element_that_holds_text_as_text() -> None:
    marks = [Mark("dots", [1, 2], [3, 4], "#0072B2", symbol=symbol, legend=HOSTILE) for symbol in SYMBOLS]
    hostile = Panel(HOSTILE, Axis(HOSTILE, ticks=((1, HOSTILE),)), Axis(HOSTILE), marks)
    root = ElementTree.fromstring(svg(hostile))
    assert {element.tag for element in root.iter()} <= {"svg", "g", "path", "polygon", "circle", "rect", "text"}
    assert root.attrib["aria-label"] == HOSTILE
    figure = plot(hostile)
    assert "<" not in figure.layout.xaxis.title.text
    assert all("<" not in trace.name for trace in figure.data)


def test_marks_stand_where_their_numbers_are() -> None:
    line = Mark("line", [0, 10], [0, 1], "#000000")
    root = ElementTree.fromstring(svg(panel(line)))
    (path,) = [element for element in root.iter("path") if element.get("stroke") == "#000000"]
    start, end = (tuple(map(float, part.split())) for part in path.attrib["d"].lstrip("M").split("L"))
    assert start[0] < end[0]
    assert start[1] > end[1]  # up is up


def test_bands_are_left_out_of_hovering_and_too_many_dots_are_thinned() -> None:
    band = Mark("band", [1, 2], [0, 0], "#0072B2", high=[1, 1], legend="95 %")
    many = Mark("dots", list(range(3000)), [1.0] * 3000, "#0072B2")
    figure = plot(panel(band, many))
    assert figure.data[0].hoverinfo == "skip"
    assert len(figure.data[1].x) == 1500
    assert figure.data[1].name == "marks, 1 in 2 drawn"
    assert svg(panel(band, many)).count("<circle") == 1500 + 1  # one in the legend
    assert plot(panel(many, log=True)).layout.xaxis.type == "log"
