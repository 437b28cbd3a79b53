"""What tests in a real browser share: where there is one, and a page in it with everything it complained of."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Browser

Test = TypeVar("Test", bound=Callable[..., None])

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MARKS = [
    pytest.mark.real,
    pytest.mark.skipif(
        CHROMIUM is None and "EXPLORER_REQUIRE_REAL" not in os.environ,
        reason="no Chromium on this machine; install one to test the pages in it",
    ),
]


def needs_browser(test: Test) -> Test:
    """Mark a single test, where its module has others that need no browser."""
    for mark in MARKS:
        test = mark(test)
    return test


class Visit:
    """One page opened from disk in a browser that is offline, and everything it complained of or asked for."""

    def __init__(self, browser: Browser, path: Path, address: str = "", **options: Any) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_context(offline=True, **options).new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri() + address)


def opened(browser: Browser, path: Path, address: str = "", **options: Any) -> Visit:
    """A study's page once all its figures are drawn."""
    visit = Visit(browser, path, address, **options)
    visit.page.wait_for_selector("html[data-ready=yes]")
    return visit
