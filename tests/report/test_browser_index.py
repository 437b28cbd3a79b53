"""The index in a real browser with the network off."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from explorer.host.formatting import visible
from explorer.report.index import Entry, broken, write_index
from explorer.report.page import write_page
from tests.report.browsing import MARKS, Visit
from tests.report.reading import plain
from tests.report.test_index import entry
from tests.report.test_page import HOSTILE, study

pytestmark = MARKS
PHONE = {"viewport": {"width": 360, "height": 800}}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    write_page(study(), folder / "equal_params.html")
    alpha = Entry("alpha", "Is it?", "Pets", "It is.", 3, 9, "2026-05-01", None)
    long = replace(
        entry(page=None),
        name=HOSTILE + "n" * 300,
        question=HOSTILE + "q" * 300,
        verdict=HOSTILE + "v" * 300,
        data="d" * 300,
        date="2020-01-01",
    )
    torn = broken("torn", ValueError("w" * 300))
    write_index(
        [entry(), alpha, replace(alpha, name="beta", data="Cars", date="2025-05-01"), long, torn], folder / "index.html"
    )
    return folder


def names(visit: Visit) -> list[str]:
    shown = "[...document.querySelectorAll('.study')].filter((one) => !one.hidden).map((one) => one.dataset.name)"
    found: list[str] = visit.page.evaluate(shown)
    return ["hostile" if name.startswith(visible(HOSTILE)) else name for name in found]


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark"}, PHONE, {**PHONE, "java_script_enabled": False}])
def test_everything_is_there_without_a_request_a_complaint_or_scrolling_sideways(
    browser: Browser, reports: Path, options: dict[str, Any]
) -> None:
    visit = Visit(browser, reports / "index.html", **options)
    assert visit.complaints == []
    assert visit.requests == [(reports / "index.html").as_uri()]
    assert names(visit) == ["alpha", "equal_params", "beta", "hostile", "torn"]
    assert visit.page.locator("figure svg[role=img]").count() == 2
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # Nothing sticks out of its card, and no picture is squeezed.
    outside = """[...document.querySelectorAll('.study')].flatMap((card) => {
      const right = card.getBoundingClientRect().right;
      return [...card.querySelectorAll('*')].filter((one) => one.getBoundingClientRect().right > right + 0.5);
    }).length"""
    assert visit.page.evaluate(outside) == 0
    assert visit.page.locator("figure svg").first.bounding_box()["width"] == 272  # type: ignore[index]
    assert visit.page.is_visible("#find") == visit.page.is_visible("#theme") == options.get("java_script_enabled", True)


def test_words_filter_and_the_order_can_be_chosen(browser: Browser, reports: Path) -> None:
    visit = Visit(browser, reports / "index.html")
    visit.page.select_option("#sort", "data")
    assert names(visit)[:4] == ["torn", "beta", "hostile", "equal_params"]
    visit.page.select_option("#sort", "name")
    assert names(visit) == ["hostile", "alpha", "beta", "equal_params", "torn"]
    visit.page.fill("#search", "  IT is  cars")
    assert names(visit) == ["beta"]
    assert plain(visit.page.inner_text("#shown")) == "1 of 5 shown"
    visit.page.fill("#search", "nowhere")
    assert names(visit) == []
    assert plain(visit.page.inner_text("#shown")) == "0 of 5 shown"
    visit.page.fill("#search", "")
    visit.page.select_option("#sort", "newest")
    assert names(visit)[:2] == ["alpha", "equal_params"]
    assert visit.page.evaluate("location.hash") == ""
    assert visit.complaints == []


def test_whoever_comes_back_finds_the_list_as_it_was(browser: Browser, reports: Path) -> None:
    visit = Visit(browser, reports / "index.html")
    visit.page.fill("#search", "cardinality & <b>")
    visit.page.fill("#search", "resnext")
    visit.page.select_option("#sort", "name")
    assert visit.page.evaluate("location.hash") == "#search=resnext&sort=name"
    assert names(visit) == ["hostile", "equal_params"]
    visit.page.click("text=equal_params")
    visit.page.wait_for_selector("html[data-ready=yes]")
    visit.page.go_back()
    visit.page.wait_for_selector("#find:not([hidden])")
    assert visit.page.input_value("#search") == "resnext"
    assert names(visit) == ["hostile", "equal_params"]
    odd = Visit(browser, reports / "index.html", "#sort=constructor&search=%zz")
    assert odd.page.input_value("#sort") == "newest"
    assert odd.complaints == []


def test_light_or_dark_once_chosen_holds_for_the_next_page(browser: Browser, reports: Path) -> None:
    visit = Visit(browser, reports / "index.html", color_scheme="light")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = visit.page.evaluate(colour)
    visit.page.click("#theme")
    dark = visit.page.evaluate(colour)
    assert dark != light
    assert plain(visit.page.inner_text("#theme")) == "Light"
    visit.page.click("text=equal_params")
    visit.page.wait_for_selector("html[data-ready=yes]")
    assert visit.page.evaluate(colour) == dark
    visit.page.click("#theme")
    assert visit.page.evaluate(colour) == light
    assert visit.complaints == []


def test_the_keyboard_reaches_everything_in_reading_order(browser: Browser, reports: Path) -> None:
    page = Visit(browser, reports / "index.html").page
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert reached == ["theme", "search", "sort", "intervals", "seeds", "equal_params"]


def test_on_paper_the_page_is_light_and_has_no_tools(browser: Browser, reports: Path) -> None:
    page = Visit(browser, reports / "index.html", color_scheme="dark").page
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.is_visible("#find")
    assert not page.is_visible("#theme")
