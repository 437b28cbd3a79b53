"""Forest plots: one row for each estimate of the same difference."""

import xml.etree.ElementTree as ElementTree

from explorer.report.forest import Forest, ForestRow, forest_svg
from explorer.report.svg import LETTER

HOSTILE = "</svg><script>alert(1)</script>&\"'<b>"


def drawn(*rows: ForestRow, margin: float | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(forest_svg(Forest("All of them", rows, "Difference (points)", margin)))


def test_each_kind_of_row_has_its_own_mark_at_its_number() -> None:
    root = drawn(
        ForestRow("study", -2.0, -3.0, -1.0),
        ForestRow("mean", -1.0, -1.5, -0.5, kind="diamond"),
        ForestRow("further", float("nan"), -4.0, 2.0, kind="span"),
        ForestRow("published", -0.5, kind="hollow"),
        margin=0.5,
    )
    assert root.attrib["aria-label"] == "All of them"
    shaded, square = root.iter("rect")
    (diamond,) = root.iter("polygon")
    (circle,) = root.iter("circle")
    assert circle.attrib["fill"] == "none"
    left, _, right, _ = (tuple(map(float, corner.split(","))) for corner in diamond.attrib["points"].split())
    assert left[0] < right[0] < float(shaded.attrib["x"]) + float(shaded.attrib["width"])
    centre = float(square.attrib["x"]) + float(square.attrib["width"]) / 2
    assert centre < left[0]  # -2 lies left of -1.5
    # Both ends of the shaded margin and the published run at its lower end agree on the scale.
    assert abs(float(circle.attrib["cx"]) - float(shaded.attrib["x"])) < 0.11


def test_text_stays_text_and_a_row_without_a_number_has_no_mark() -> None:
    root = drawn(ForestRow(HOSTILE, float("nan"), words=HOSTILE), ForestRow("known", 1.0))
    assert {element.tag for element in root.iter()} <= {"svg", "path", "rect", "text"}
    assert len([*root.iter("rect")]) == 1
    assert len(root.attrib["viewBox"].split()) == 4


def test_words_lie_within_the_picture_however_long_and_the_axis_gives_way() -> None:
    short, long, longest = (
        drawn(ForestRow("one", 1.0, 0.5, 1.5, words)) for words in ("+1.00", "word " * 9 + "end", "word " * 40)
    )
    for root, is_cut in ((short, False), (long, False), (longest, True)):
        words = next(element for element in root.iter("text") if (element.text or "").startswith(("+1", "word")))
        assert words.text is not None
        assert float(words.attrib["x"]) + LETTER * len(words.text) <= float(root.attrib["viewBox"].split()[2])
        assert words.text.endswith("…") is is_cut
    (mark,), (at,) = ([*root.iter("rect")] for root in (short, long))
    assert float(at.attrib["x"]) < float(mark.attrib["x"])
