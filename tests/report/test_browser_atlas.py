"""The runs of all studies, explored in a real browser with the network off."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from benchmarks.synthetic import synthetic
from explorer.report.index import Entry, entry_of, write_index
from explorer.verbs.command_line import read_command
from tests.report.browsing import MARKS, Visit
from tests.report.reading import plain
from tests.report.test_accessibility import violations

pytestmark = MARKS
RUNS = 60  # of each of two studies


def made(name: str, number: int) -> Entry:
    """The entry of a synthetic study on data of its own, whose page is there."""
    study = synthetic(read_command(["study=equal_params"]).study, RUNS, 2, seed=number)
    study.record.runs["finished"] = f"2026-01-0{number}"
    study.record.runs.loc[0, "status"] = "diverged"
    return replace(entry_of(study), name=name, data=f"Set {name}", page=f"{name}.html")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reports") / "index.html"
    write_index([made("one", 1), made("two", 2)], path)
    (path.parent / "one.html").write_text("<title>the page of one</title>")
    return path


def opened(browser: Browser, index: Path, address: str = "", **options: Any) -> Visit:
    visit = Visit(browser, index, address, **options)
    visit.page.wait_for_selector("html[data-ready=yes]")
    return visit


def count(page: Page) -> str:
    return plain(page.inner_text("#count")).split(" runs")[0]


def heads(page: Page) -> list[str]:
    return page.locator("#heads button").all_inner_texts()


def drag(page: Page, selector: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag over an element, from one place to another, each a share of its width and height."""
    page.locator(selector).scroll_into_view_if_needed()
    box = page.locator(selector).bounding_box()
    assert box is not None
    (x, y), (to_x, to_y) = ((box["x"] + box["width"] * a, box["y"] + box["height"] * b) for a, b in (start, end))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move((x + to_x) / 2, (y + to_y) / 2)
    page.mouse.move(to_x, to_y)
    page.mouse.up()


def test_what_is_brushed_sliced_kept_and_reordered_stands_in_the_address_and_can_be_taken_back(
    browser: Browser, index: Path
) -> None:
    visit = opened(browser, index)
    page = visit.page
    assert count(page) == f"{2 * RUNS} of {2 * RUNS}"
    assert "2 without a value of these two" in plain(page.inner_text("#count"))  # of the runs that diverged
    # A range along the last axis, that of errors, is a slice of both pictures: its lower end is dragged upwards.
    order = heads(page)
    drag(page, "#ranges .strip >> nth=-1", (0.5, 0.99), (0.5, 0.5))
    sliced = count(page)
    assert 0 < int(sliced.split(" of ")[0]) < 2 * RUNS
    assert re.fullmatch(r"#slice=error:[\d.]+~", page.evaluate("location.hash"))
    assert page.locator("#rows tbody tr").count() == 20
    page.click("#keep")
    kept = int(sliced.split(" of ")[0])
    assert count(page) == f"{kept} of {kept}"
    # The colour's legend slices by one study, which is then excluded.
    page.select_option("#of-color", "study")
    page.click("#legend button >> nth=0")
    only_one = int(count(page).split(" of ")[0])
    assert 0 < only_one < kept
    page.click("#exclude")
    left = kept - only_one
    assert count(page) == f"{left} of {left}"
    assert {row.split("\t")[0] for row in page.locator("#rows tbody tr").all_inner_texts()} == {"two"}
    drag(page, "#heads button >> nth=0", (0.5, 0.5), (4.5, 0.5))
    moved = heads(page)
    assert moved != order
    assert sorted(moved) == sorted(name for name in order if name in moved)
    # A marquee over marks slices by both columns.
    drag(page, "#marks", (0.1, 0.1), (0.7, 0.95))
    assert page.locator("#chips li:not(.step)").count() == 2
    seen, address = count(page), page.evaluate("location.hash")
    again = opened(browser, index, address).page
    assert (count(again), heads(again), again.input_value("#of-color")) == (seen, moved, "study")
    assert again.locator("#chips .step").count() == 2
    for told in (f"{left} of {left}", f"{left} of {left}", f"{only_one} of {kept}", f"{kept} of {kept}"):
        page.go_back()
        assert count(page) == told
    page.click("#again")
    assert count(page) == f"{2 * RUNS} of {2 * RUNS}"
    assert visit.complaints == []
    assert visit.requests == [index.as_uri()]


def test_the_keyboard_reaches_and_works_marks_axes_ranges_and_slices(browser: Browser, index: Path) -> None:
    visit = opened(browser, index)
    page = visit.page
    order = heads(page)
    page.focus("#heads button >> nth=0")
    page.keyboard.press("ArrowRight")
    assert heads(page)[:2] == [order[1], order[0]]
    assert page.evaluate("document.activeElement.textContent") == order[0]
    handle = page.locator("#ranges .handle[data-axis=error][data-end='1']")
    handle.focus()
    before = int(count(page).split(" of ")[0])
    for _ in range(20):
        page.keyboard.press("ArrowDown")
    assert int(count(page).split(" of ")[0]) < before
    assert handle.get_attribute("aria-valuetext") != ""
    page.keyboard.press("Delete")
    assert count(page) == f"{before} of {before}"
    page.locator("summary", has_text="Slice").press("Enter")
    page.select_option("#of-slice", "seed")
    page.get_by_label("At most").fill("1")
    page.get_by_label("At most").press("Tab")
    assert count(page) == f"{2 * before // 5} of {before}"  # two of five seeds
    page.focus("#marks")
    page.keyboard.press("Home")
    first = plain(page.inner_text("#told-run"))
    page.keyboard.press("ArrowRight")
    assert "Seed" in first
    assert plain(page.inner_text("#told-run")) != first
    setting = re.search(r"Setting (\S+);", plain(page.inner_text("#told-run")))
    assert setting
    assert page.get_attribute("#told-run a", "href").endswith(f".html#designs={setting[1]}")  # type: ignore[union-attr]
    while "one:" not in plain(page.inner_text("#told-run")):
        page.keyboard.press("ArrowRight")
    page.focus("#marks")
    page.keyboard.press("Enter")
    page.wait_for_url("**/one.html#designs=*")
    page.go_back()
    page.wait_for_selector("html[data-ready=yes]")
    assert count(page) == f"{2 * before // 5} of {before}"  # whoever comes back finds the view
    assert visit.complaints == []


@pytest.mark.parametrize("options", [{"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}])
def test_with_menus_open_and_runs_sliced_nothing_is_violated_or_sticks_out(
    browser: Browser, index: Path, options: dict[str, Any]
) -> None:
    visit = opened(browser, index, "#color=params&axes=error,params,study&slice=params:1000~;study:=one", **options)
    page = visit.page
    for each in page.locator("#explore details").all():
        each.evaluate("(one) => { one.open = true; }")
    assert heads(page) == ["Error as judged (%)", "Params", "Study"]
    assert count(page) == f"{RUNS} of {2 * RUNS}"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []
    assert visit.complaints == []


def test_an_address_that_is_not_understood_shows_all_runs(browser: Browser, index: Path) -> None:
    odd = "#x=constructor&axes=a,b&slice=toString:1~2;params:=a;study:3~4;error:x~y&keep=%zz&color=nothing"
    visit = opened(browser, index, odd)
    assert count(visit.page) == f"{2 * RUNS} of {2 * RUNS}"
    assert visit.page.input_value("#of-x") == "params"
    assert visit.complaints == []
