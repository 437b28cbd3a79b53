"""The pages held against WCAG 2.2 AA by axe-core, in a real browser."""

import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from benchmarks.synthetic import synthetic
from explorer.analysis.judging import open_study
from explorer.analysis.pooled_studies import pool_studies
from explorer.report.index import Entry, broken, write_index
from explorer.report.page import write_page
from explorer.report.pool_page import write_pool_page
from explorer.verbs.command_line import read_command
from tests.report.browsing import MARKS, Visit, opened
from tests.report.test_hostile import hostile_spaces
from tests.report.test_index import entry
from tests.report.test_page import study
from tests.test_layers import ROOT

pytestmark = MARKS
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WAYS: list[dict[str, Any]] = [{}, {"color_scheme": "dark"}, {"viewport": {"width": 360, "height": 800}}]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    write_page(study(), folder / "listed.html")
    write_page(hostile_spaces(), folder / "spaces.html")
    write_page(synthetic(read_command(["study=equal_params"]).study, 40, 5), folder / "many.html")
    started = Entry("started", "Will it?", "Digits", "No verdict yet.", 0, 4, "")
    write_index([entry(), started, broken("torn", ValueError("line 7"))], folder / "index.html")
    return folder


def violations(page: Page) -> list[str]:
    """What axe-core finds: rule, impact and the elements, one line each."""
    found = Axe().run(page, options={"runOnly": TAGS, "resultTypes": ["violations"]}).response
    assert found["passes"]  # it has looked at something
    return [
        f"{one['id']} ({one['impact']}): " + ", ".join(str(node["target"][0]) for node in one["nodes"])
        for one in found["violations"]
    ]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["listed", "spaces", "many"])
def test_a_page_with_everything_open_has_no_violation(
    browser: Browser, reports: Path, name: str, way: dict[str, Any]
) -> None:
    page = opened(browser, reports / f"{name}.html", **way).page
    page.click("button.pick >> nth=0")
    for each in page.locator("details").all():
        each.evaluate("(one) => { one.open = true; }")
    assert page.locator("#cards article").count() == 1
    assert violations(page) == []


@pytest.mark.parametrize("way", WAYS)
def test_a_page_has_none_without_its_scripts_either(
    browser: Browser, reports: Path, tmp_path: Path, way: dict[str, Any]
) -> None:
    # axe-core is a script itself, so it looks at a page from which ours are taken.
    text = (reports / "listed.html").read_text()
    (tmp_path / "still.html").write_text(re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL))
    page = Visit(browser, tmp_path / "still.html", **way).page
    assert page.locator("svg.still").count() >= 3
    assert violations(page) == []


@pytest.mark.parametrize("way", WAYS)
def test_a_pool_of_studies_has_none(browser: Browser, tmp_path: Path, way: dict[str, Any]) -> None:
    names = ("equal_params_cifar10_jpeg", "equal_params_tiny_imagenet_32px")
    pool = pool_studies([open_study(ROOT / "studies" / name) for name in names])
    write_pool_page(pool, tmp_path / "pool-both.html")
    visit = Visit(browser, tmp_path / "pool-both.html", **way)
    assert visit.page.locator("svg.still").count() == 1
    assert visit.complaints == []
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(visit.page) == []


@pytest.mark.parametrize("way", WAYS)
def test_the_index_has_none(browser: Browser, reports: Path, way: dict[str, Any]) -> None:
    page = Visit(browser, reports / "index.html", **way).page
    page.wait_for_selector("html[data-ready=yes]")
    assert page.is_visible("#explore")
    assert violations(page) == []


def test_the_index_has_none_without_its_scripts(browser: Browser, reports: Path) -> None:
    text = (reports / "index.html").read_text()
    (reports / "still.html").write_text(re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL))
    page = Visit(browser, reports / "still.html").page
    assert page.locator(".effect:visible").count() == 3
    assert not page.is_visible("#explore")
    assert violations(page) == []
