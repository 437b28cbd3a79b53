"""The pages in a real browser with the network off."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from explorer.report.index import Entry, write_index
from explorer.report.page import write_page
from tests.report.test_page import study

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        CHROMIUM is None and "EXPLORER_REQUIRE_REAL" not in os.environ,
        reason="no Chromium on this machine; install one to test the pages in it",
    ),
]


class Visit:
    """One page opened from disk in a browser that is offline, and everything it complained of or asked for."""

    def __init__(self, browser: Browser, path: Path, **options: Any) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_context(offline=True, **options).new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM is not None, "EXPLORER_REQUIRE_REAL is set and there is no Chromium"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    write_page(study(), folder / "equal_params.html")
    entry = Entry("equal_params", "Does it?", "Digits", "It does.", 4, 4, "2026-01-01", "equal_params.html")
    write_index([entry], folder / "index.html")
    return folder


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark"}, {"viewport": {"width": 360, "height": 800}}])
def test_a_page_draws_its_figures_without_a_request_or_complaint(
    browser: Browser, reports: Path, options: dict[str, Any]
) -> None:
    visit = Visit(browser, reports / "equal_params.html", **options)
    visit.page.wait_for_selector(".plot >> nth=1 >> .main-svg >> nth=0")
    assert visit.complaints == []
    assert visit.requests == [(reports / "equal_params.html").as_uri()]
    assert visit.page.locator("#figure-cardinality").count() == 1
    # Two settings with two seeds each: four small marks and two means.
    assert visit.page.locator(".plot >> nth=0 >> .scatterlayer .point").count() == 6
    width = visit.page.evaluate("document.documentElement.scrollWidth")
    assert width <= visit.page.evaluate("window.innerWidth")


def test_without_javascript_verdict_and_table_are_there(browser: Browser, reports: Path) -> None:
    visit = Visit(browser, reports / "equal_params.html", java_script_enabled=False)
    assert "too few for a verdict" in visit.page.inner_text(".verdict")
    assert "6.50 %" in visit.page.inner_text("table >> nth=0")


def test_the_index_leads_to_the_page(browser: Browser, reports: Path) -> None:
    visit = Visit(browser, reports / "index.html")
    visit.page.click("text=equal_params")
    visit.page.wait_for_selector("h1")
    assert visit.page.url == (reports / "equal_params.html").as_uri()
    assert visit.complaints == []
