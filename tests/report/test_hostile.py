"""Free text of any kind stands on the pages as text: it runs nothing, asks for nothing and moves nothing."""

import base64
import gzip
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup
from playwright.sync_api import Browser

from explorer.analysis.judging import OpenedStudy
from explorer.analysis.population import populations
from explorer.host.formatting import visible
from explorer.report.index import Entry, write_index
from explorer.report.page import render_page, write_page
from explorer.verbs.command_line import read_command
from tests.analysis.test_spaces import designs
from tests.report.browsing import Visit, needs_browser, opened
from tests.report.test_page import elements, study, worded

SCRIPT = "</script><script>alert(1)</script></title></style>"
QUOTES = "\"'`><img src=x onerror=alert(2)><b>b</b>&amp;&lt;{{ 7 * 7 }}%s\\"
OVERRIDE = "\u202egnihton\u2066\n"
LONG = (SCRIPT + QUOTES + OVERRIDE).ljust(300, "W")
SHOWN = LONG.replace("\u202e", "\\u202e").replace("\u2066", "\\u2066")
NAME = "n" * 100  # names of studies are checked where they are read; this is the longest that passes
SIZES = [{"width": 1280, "height": 800}, {"width": 360, "height": 800}]
VOID = {"meta", "link", "br", "input", "img"}


def hostile() -> OpenedStudy:
    """A study whose question, label, recipe, machine and versions are hostile."""
    plain = study(worded(read_command(["study=equal_params"]).study, NAME, LONG))
    environment = {**plain.environment, "versions": {LONG: LONG}, "platform": LONG, "commit": LONG, "data_hash": LONG}
    return replace(plain, environment=environment, execution={"device": LONG, "threads": 1})


def hostile_spaces() -> OpenedStudy:
    """A study of two spaces with hostile names, with curves and designs as the other has."""
    plain = hostile()
    one, other = f"a{LONG}", f"b{LONG}"
    judged = populations({one: designs(0.1, 8, 4, 0), other: designs(0.2, 8, 1, 1)}, (one, other), 0.01)
    finding = replace(plain.finding, populations=judged, comparison=None, has_rivals=True)
    return replace(plain, finding=finding)


class Texts(HTMLParser):
    """Every piece of text of a page, with the elements around it."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[tuple[str, ...], str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while tag in self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.found.append((tuple(self.open), data))


def texts(page: str) -> list[tuple[tuple[str, ...], str]]:
    parser = Texts()
    parser.feed(page)
    return parser.found


@pytest.mark.parametrize("make", [hostile, hostile_spaces])
def test_hostile_text_makes_no_element_and_no_attribute(make: Any) -> None:
    found = elements(render_page(make()))
    assert not [tag for tag, _ in found if tag == "img"]
    assert [tag for tag, _ in found].count("script") == 3
    names = {name for _, attributes in found for name in attributes}
    assert not [name for name in names if name.startswith("on") or not re.fullmatch(r"[a-zA-Z-]+\d?", name)]


def test_hostile_text_is_shown_whole() -> None:
    found = texts(render_page(hostile()))
    (title,) = [text for where, text in found if where == ("html", "head", "title")]
    assert title.endswith(f" | {NAME}")
    assert [text for where, text in found if "h1" in where] == [SHOWN]
    # Beside the question: the label, twice; versions, platform, device, commit and hash.
    assert sum(text.strip() == SHOWN for where, text in found if where[-1:] != ("td",)) == 1 + 2 + 6


@pytest.mark.parametrize("make", [hostile, hostile_spaces])
def test_what_sets_the_direction_of_writing_is_shown_and_not_obeyed(make: Any) -> None:
    page = render_page(make())
    (data,) = re.findall(r'<script type="application/gzip" id="data">([^<]+)', page)
    # What JSON escapes is a mark, what it escapes twice is shown.
    figures = gzip.decompress(base64.b64decode(data)).decode()
    for text in (page, re.sub(r"(?<!\\)\\u20(2e|66)", "\u202e", figures)):
        assert "\u202e" not in text
        assert "\u2066" not in text
    assert "\\u202egnihton\\u2066" in page


def test_words_written_from_right_to_left_stay_as_they_are() -> None:
    assert visible("שלום 4.71 %") == "שלום 4.71 %"
    assert visible("a\u202eb") == "a\\u202eb"
    assert visible(Markup("<b>&lt;\u2067")) == Markup("<b>&lt;\\u2067")


def test_the_index_shows_hostile_text_as_text_too(tmp_path: Path) -> None:
    write_index([Entry(NAME, LONG, LONG, LONG, 1, 2, "2026-01-01", None)], tmp_path / "index.html")
    page = (tmp_path / "index.html").read_text()
    assert "\u202e" not in page
    assert sum(text == SHOWN for _, text in texts(page)) == 4


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    write_page(hostile(), folder / "listed.html")
    write_page(hostile_spaces(), folder / "spaces.html")
    entries = [Entry(NAME, LONG, LONG, "It is.", 1, 2, "2026-01-01", page) for page in ("listed.html", None)]
    write_index(entries, folder / "index.html")
    return folder


def fits(visit: Visit) -> bool:
    """Whether nobody has to scroll the page sideways."""
    return bool(visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@needs_browser
@pytest.mark.parametrize("viewport", SIZES)
@pytest.mark.parametrize("name", ["listed", "spaces"])
def test_a_browser_shows_hostile_text_as_text(
    browser: Browser, reports: Path, name: str, viewport: dict[str, int]
) -> None:
    visit = opened(browser, reports / f"{name}.html", viewport=viewport)
    page = visit.page
    page.on("dialog", lambda dialog: visit.complaints.append(dialog.message))
    page.click("button.pick >> nth=0")
    for menu in page.locator("details").all():
        menu.evaluate("(each) => { each.open = true; }")
    assert page.title().endswith(NAME)
    assert page.locator("h1").text_content() == SHOWN
    assert page.locator("img[onerror], script[src^='x']").count() == 0
    if name == "spaces":
        legends = page.locator(".plot[data-figure=distribution] .legendtext")
        assert [SCRIPT[:20] in str(text) for text in legends.all_text_contents()] == [True, True]
    assert visit.complaints == []
    assert fits(visit)


@needs_browser
@pytest.mark.parametrize("viewport", SIZES)
@pytest.mark.parametrize("name", ["listed", "spaces", "index"])
def test_hostile_text_fits_without_scripts_too(
    browser: Browser, reports: Path, name: str, viewport: dict[str, int]
) -> None:
    visit = Visit(browser, reports / f"{name}.html", java_script_enabled=False, viewport=viewport)
    assert SCRIPT in visit.page.inner_text("main")
    assert visit.complaints == []
    assert fits(visit)
