"""The study's page on paper, on a phone and without a mouse, in a real browser."""

import re
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from benchmarks.synthetic import synthetic
from explorer.analysis.finding import find
from explorer.record.records import Record
from explorer.report.page import write_page
from explorer.verbs.command_line import read_command
from tests.analysis.test_statistics import frame
from tests.report.browsing import MARKS, Visit, opened
from tests.report.reading import plain
from tests.report.test_page import study

pytestmark = MARKS
PHONE = {"width": 360, "height": 800}
DARK: dict[str, Any] = {"color_scheme": "dark"}

# Contrast of every piece of text with white (WCAG 2.2, relative luminance), the faintest first.
FAINTEST = """
() => {
  const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const contrast = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => linear(part / 255));
    return 1.05 / (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05);
  };
  const has = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  const texts = [...document.querySelectorAll("main *")].filter((one) => has(one) && one.checkVisibility());
  const told = texts.map((one) => {
    const style = getComputedStyle(one);
    return [contrast(one instanceof SVGElement ? style.fill : style.color), one.textContent.slice(0, 40)];
  });
  return told.sort((one, other) => one[0] - other[0])[0];
}
"""
CONTENTS = """
() => [...document.querySelectorAll("details:not(.menu, .figure-tools *) > :not(summary)")]
  .map((one) => one.checkVisibility() && one.getBoundingClientRect().height > 0)
"""
FOCUS = """
() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one);
  const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  return [[...document.querySelectorAll("*")].indexOf(one), one.textContent.trim() || one.type, seen];
}
"""
CONTROLS = """
() => [...document.querySelectorAll("*")].flatMap((one, place) =>
  one.matches("a[href], button, input, select, summary") && one.checkVisibility() &&
  !(one.type === "radio" && !one.checked) ? [place] : [])
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reports") / "equal_params.html"
    write_page(study(), path)
    return path


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.mark.parametrize("options", [{}, DARK, {**DARK, "java_script_enabled": False}])
def test_print_is_dark_on_white_whole_and_without_tools(browser: Browser, path: Path, options: dict[str, Any]) -> None:
    page = (Visit if "java_script_enabled" in options else opened)(browser, path, **options).page
    assert not any(page.evaluate(CONTENTS))
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    contrast, text = page.evaluate(FAINTEST)
    assert contrast >= 4.5, text
    opened_ones = page.evaluate(CONTENTS)
    assert len(opened_ones) >= 4
    assert all(opened_ones)
    for tool in ("#tools", ".tools", ".modebar", ".figure-tools button", ".figure-tools summary"):
        assert not any(one.is_visible() for one in page.locator(tool).all())
    whole = "[...document.querySelectorAll('figure:not(#verdict), .halves, .plot, tr')]"
    assert set(page.evaluate(f"{whole}.map((one) => getComputedStyle(one).breakInside)")) == {"avoid"}
    cut = "[...document.querySelectorAll('.scroll, .plot')].map((one) => getComputedStyle(one).overflowX)"
    assert set(page.evaluate(cut)) == {"visible"}


def test_the_best_rows_are_printed_and_how_many_more_there_are(browser: Browser, tmp_path: Path) -> None:
    write_page(synthetic(read_command(["study=equal_params"]).study, runs=200, epochs=2), tmp_path / "many.html")
    rows, more = "#settings tbody tr:visible", "#more"
    still = Visit(browser, tmp_path / "many.html", java_script_enabled=False).page
    page = opened(browser, tmp_path / "many.html").page
    page.click("#pages [data-turn='1']")
    for one in (still, page):
        assert not one.is_visible(more)
        one.emulate_media(media="print")
        expect(one.locator(rows)).to_have_count(25)
        assert plain(one.inner_text(more)) == "15 more are in the record."
    shown = "[...document.querySelectorAll('#settings tbody tr')].filter((row) => row.checkVisibility())"
    errors = page.evaluate(f"{shown}.map((row) => Number(row.cells[7].dataset.value))")
    assert errors == sorted(errors)
    page.emulate_media(media="screen")
    expect(page.locator(rows)).to_have_count(15)
    page.fill("#search", "cardinality=2")
    found = int(plain(page.inner_text("#shown")).split()[0])
    assert 0 < found < 25
    page.emulate_media(media="print")
    expect(page.locator(rows)).to_have_count(found)
    assert plain(page.inner_text(more)) == f"The search leaves out {40 - found}."


def test_paper_has_all_that_follows_a_long_table_and_figures_side_by_side(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "many.html"
    write_page(synthetic(read_command(["study=equal_params"]).study, runs=600, epochs=2), path)
    page = opened(browser, path, viewport={"width": 1600, "height": 900}).page
    headings = [words.removesuffix(" #") for words in page.locator("h2:visible").all_inner_texts()]
    assert headings[-1] == "Method"
    links = page.locator(".contents a")
    assert links.all_inner_texts()[-len(headings) :] == headings
    links.last.click()
    assert page.evaluate("document.querySelector(':target').textContent").startswith("Method")
    # A PDF's outline names the headings that were laid out on its pages, and where on them: two on one height.
    printed = page.pdf(format="A4", tagged=True, outline=True)
    places = re.findall(rb"/Title \((.*?)\)\s*/Dest \[(\d+ 0 R) /XYZ ([\d.]+) ([\d.]+)", printed)
    assert set(headings) <= {title.decode().removesuffix(" #") for title, *_ in places}
    rows = [(sheet, height) for _, sheet, _, height in places]
    assert len(set(rows)) < len(rows)
    # Afterwards the figures are as wide on the screen as before.
    width = "document.querySelector('section .js-plotly-plot svg').getBoundingClientRect().width"
    page.wait_for_function(f"{width} > 900")


def test_a_page_chosen_to_be_dark_prints_as_a_light_one(browser: Browser, path: Path) -> None:
    pages = [opened(browser, path, color_scheme=scheme).page for scheme in ("light", "dark", "light")]
    pages[2].click("#theme")
    light, *others = [page.pdf(format="A4") for page in pages]
    assert colours(light)
    for other in others:
        assert colours(other) == colours(light)
        assert len(re.findall(rb"/Type /Page\b", other)) == len(re.findall(rb"/Type /Page\b", light)) >= 2


def colours(pdf: bytes) -> set[bytes]:
    """The colours that a PDF fills with: of text, bands and marks."""
    streams = re.findall(rb"/Filter /FlateDecode[^>]*>> stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    # A compressed stream may itself end in a byte that reads as a line break.
    drawn = b"".join(zlib.decompressobj().decompress(stream) for stream in streams)
    return set(re.findall(rb"(?:[\d.]+ ){3}rg\b", drawn))


@pytest.mark.parametrize("scripts", [True, False])
def test_a_phone_shows_the_page_without_pushing_it_aside(browser: Browser, path: Path, scripts: bool) -> None:
    if scripts:
        page = opened(browser, path, viewport=PHONE).page
        assert fits(page)
        page.click("button.pick >> nth=0")
        page.click("button.pick >> nth=1")
    else:
        page = Visit(browser, path, viewport=PHONE, java_script_enabled=False).page
    for each in page.locator("details").all():
        each.evaluate("(one) => { one.open = true; }")
    assert fits(page)
    size = "parseFloat(getComputedStyle(one).fontSize) * Math.hypot(one.getScreenCTM().a, one.getScreenCTM().b)"
    sizes = page.evaluate(f"[...document.querySelectorAll('.plot text')].map((one) => {size})")
    assert len(sizes) > 10
    assert min(sizes) >= 10


def test_tab_reaches_every_control_in_the_order_of_the_page(browser: Browser, path: Path) -> None:
    page = opened(browser, path, "#designs=29-1x64d").page
    for each in page.locator("details").all():
        each.evaluate("(one) => { one.open = true; }")
    reached: list[tuple[int, str, bool]] = []
    for _ in range(200):
        page.keyboard.press("Tab")
        now = page.evaluate(FOCUS)
        if now is None or (reached and now == reached[0]):
            break
        reached.append(now)
    places = [place for place, _, _ in reached]
    assert places == sorted(places)
    assert set(page.evaluate(CONTROLS)) <= set(places)
    assert [words for _, words, seen in reached if not seen] == []


def test_enter_sorts_and_picks(browser: Browser, path: Path) -> None:
    page = opened(browser, path).page

    def tab_to(selector: str) -> None:
        for _ in range(100):
            page.keyboard.press("Tab")
            if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"{selector} is not reached")

    tab_to("th[data-name=test_error] button")
    page.keyboard.press("Enter")
    assert page.locator("th[data-name=test_error]").get_attribute("aria-sort") == "descending"
    tab_to("button.pick")
    page.keyboard.press("Enter")
    assert page.locator("tr.picked").get_attribute("data-setting") == "29-1x64d"
    assert page.locator("#cards article").count() == 1
    # Whoever has picked one goes on from there.
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    page.keyboard.press("Space")
    assert page.locator("tr.picked").count() == 0


TABLES = """
() => [...document.querySelectorAll(".scroll")]
  .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1)
  .map((one) => one.getAttribute("aria-label"))
"""


def test_tables_fit_a_screen_and_paper_and_a_phone_has_the_error_in_sight(browser: Browser, tmp_path: Path) -> None:
    names = [f"20-{paths}x{width}d-w112-preact" for paths in (1, 16) for width in (3, 19)]
    runs = frame({name: [0.1333, 0.1] for name in names}).assign(params=1_016_611, macs=17_010_000, activations=263_168)
    whole = study()
    found = find(runs, names, (names[0], names[1]), seeds=2)
    path = tmp_path / "long.html"
    write_page(replace(whole, record=Record(runs, whole.record.epochs), finding=found), path)
    page = opened(browser, path, viewport={"width": 1280, "height": 900}).page
    assert page.evaluate(TABLES) == []
    page.emulate_media(media="print")
    page.set_viewport_size(ViewportSize(width=688, height=900))  # A4 less its margins
    assert page.evaluate(TABLES) == []
    page.emulate_media(media="screen")
    page.set_viewport_size(ViewportSize(width=360, height=800))
    page.evaluate("document.querySelector('#settings').parentElement.scrollLeft = 0")
    for column in ("test_error", "less"):
        box = page.locator(f"#settings th[data-name={column}]").bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= PHONE["width"]
