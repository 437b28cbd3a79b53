"""The pages in a real browser with the network off."""

import csv
import json
import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Browser, Page

from benchmarks.synthetic import synthetic
from explorer.analysis.judging import open_study
from explorer.report.index import Entry, write_index
from explorer.report.page import render_page, write_page
from explorer.verbs.command_line import read_command
from tests.report import browsing
from tests.report.browsing import MARKS, Visit
from tests.report.reading import plain
from tests.report.test_page import study
from tests.test_layers import ROOT

pytestmark = MARKS


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    write_page(study(), folder / "equal_params.html")
    entry = Entry("equal_params", "Does it?", "Digits", "It does.", 4, 4, "2026-01-01", "equal_params.html")
    write_index([entry], folder / "index.html")
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of forty designs with five seeds each."""
    page = tmp_path_factory.mktemp("many") / "many.html"
    write_page(synthetic(read_command(["study=equal_params"]).study, runs=200, epochs=5), page)
    return page


def opened(browser: Browser, reports: Path, address: str = "", **options: Any) -> Visit:
    """The study's page once all its figures are drawn."""
    return browsing.opened(browser, reports / "equal_params.html", address, **options)


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark"}, {"viewport": {"width": 360, "height": 800}}])
def test_a_page_draws_its_figures_without_a_request_or_complaint(
    browser: Browser, reports: Path, options: dict[str, Any]
) -> None:
    visit = opened(browser, reports, **options)
    assert visit.complaints == []
    own = (reports / "equal_params.html").as_uri()
    assert [url for url in visit.requests if not url.startswith("blob:")] == [own]
    assert visit.page.locator(".plot[data-figure=cardinality].live").count() == 1
    assert visit.page.locator(".plot:not(.rowed) svg.still").count() == 0
    assert visit.page.locator(".rowed svg.still:visible").count() == visit.page.locator(".rowed").count() == 2
    # Two settings with two seeds each: four small marks and two means.
    assert visit.page.locator(".plot >> nth=0 >> .scatterlayer .point").count() == 6
    width = visit.page.evaluate("document.documentElement.scrollWidth")
    assert width <= visit.page.evaluate("window.innerWidth")


def test_without_javascript_verdict_table_and_pictures_are_there(browser: Browser, reports: Path) -> None:
    visit = Visit(browser, reports / "equal_params.html", java_script_enabled=False)
    assert "too few for a verdict" in plain(visit.page.inner_text(".verdict"))
    assert "6.50 %" in plain(visit.page.inner_text("#settings"))
    pictures = visit.page.locator("svg.still")
    assert visit.page.locator("svg.still:visible").count() == visit.page.locator(".plot").count() >= 3
    assert pictures.nth(0).bounding_box()["height"] > 300  # type: ignore[index]
    assert not visit.page.is_visible("#sorting")
    assert not visit.page.is_visible("#theme")


def test_a_picked_design_stands_out_in_every_view_and_is_in_the_address(browser: Browser, reports: Path) -> None:
    page = opened(browser, reports).page
    page.click("tr[data-setting='29-32x4d'] button.pick")
    assert plain(page.inner_text("#picked")) == "1 design picked"
    assert page.evaluate("location.hash") == "#designs=29-32x4d"
    assert page.locator("tr.picked").count() == 1
    chosen = "document.querySelector('.plot').data.filter((t) => t.customdata).map((t) => t.selectedpoints)"
    assert page.evaluate(chosen) == [[], [0, 1], [], [0]]
    faint = "[...document.querySelectorAll('.rowed svg:first-child .row.faint')].map((row) => row.dataset.setting)"
    assert page.evaluate(faint) == ["29-1x64d", "29-1x64d"]
    page.evaluate("location.hash = '#verdict'")  # as a link within the page
    page.wait_for_function("location.hash === '#verdict'")
    assert plain(page.inner_text("#picked")) == "1 design picked"
    again = opened(browser, reports, "#designs=29-32x4d,29-1x64d").page
    assert plain(again.inner_text("#picked")) == "2 designs picked"
    assert again.evaluate(chosen) == [[0, 1], [0, 1], [0], [0]]
    again.click("#unpick")
    assert again.evaluate("location.hash") == ""
    assert again.evaluate(chosen) == [None] * 4
    row = again.locator(".rowed .row:visible").first
    row.focus()
    row.press("ArrowDown")
    again.keyboard.press("Enter")  # marks are reached without a pointer
    assert again.evaluate("[...page.picked]") == [again.locator(".rowed .row:focus").get_attribute("data-setting")]


def test_picked_designs_have_cards_side_by_side(browser: Browser, reports: Path) -> None:
    page = opened(browser, reports).page
    assert not page.is_visible("#cards")
    page.click("button.pick >> nth=1")
    page.click("button.pick >> nth=0")
    cards = page.locator("#cards article")
    assert cards.count() == 2
    boxes = [cards.nth(number).bounding_box() for number in (0, 1)]
    assert boxes[0]["y"] == boxes[1]["y"]  # type: ignore[index]
    text = plain(cards.nth(1).inner_text())
    for words in (
        "ResNeXt-29 (32x4d)",
        "32 \u00d7 4",
        "1024",
        "Test error, mean of 2",
        "5.00 %",
        "search.only=[29-32x4d]",
    ):
        assert words in text
    block = cards.nth(1).locator("svg.block")
    assert block.get_attribute("aria-label") == (
        "A block of the first stage: 64 channels, 32 paths of 4 channels, 256 channels"
    )
    # Four of the paths are drawn, each with three layers.
    assert block.locator("rect").count() == 12
    # The training curves are those of the picked designs that have some.
    shown = "document.querySelector('.plot[data-figure=curves]').data.map((trace) => trace.name)"
    assert set(page.evaluate(shown)) == {"ResNet-29 (1x64d)"}
    cards.nth(0).locator("button").click()
    assert page.locator("#cards article").count() == 1


def test_clicking_a_mark_and_brushing_pick_designs(browser: Browser, reports: Path) -> None:
    page = opened(browser, reports).page
    # The large marks are drawn last; the first of them is the mean of the first setting.
    mean = page.locator(".plot >> nth=0 >> .scatterlayer .trace >> nth=-2 >> .point >> nth=0")
    mean.scroll_into_view_if_needed()
    box = mean.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector(".plot >> nth=0 >> .hoverlayer .hovertext")
    page.mouse.down()
    page.mouse.up()
    page.wait_for_selector("tr.picked")
    assert page.locator("tr.picked").get_attribute("data-setting") == "29-1x64d"
    frame = page.locator(".plot >> nth=0 >> .nsewdrag").bounding_box()
    assert frame is not None
    page.evaluate("Plotly.relayout(document.querySelector('.plot'), { dragmode: 'select' })")
    page.mouse.move(frame["x"] + frame["width"] - 2, frame["y"] + 2)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] - 2, steps=5)
    page.mouse.up()
    page.wait_for_selector("tr.picked[data-setting='29-32x4d']")
    assert page.locator("tr.picked").count() == 1


def test_the_table_sorts_searches_hides_columns_and_gives_files(browser: Browser, reports: Path) -> None:
    page = opened(browser, reports).page
    order = "[...document.querySelectorAll('#settings tbody tr')].map((row) => row.dataset.setting)"
    assert page.evaluate(order) == ["29-32x4d", "29-1x64d"]
    head = page.locator("#settings th[data-name=test_error] button")
    head.click()
    assert page.locator("#settings th[aria-sort=descending]").count() == 1
    assert page.evaluate(order) == ["29-1x64d", "29-32x4d"]
    head.press("Enter")
    assert page.evaluate(order) == ["29-32x4d", "29-1x64d"]
    page.fill("#search", "32x4d")
    assert plain(page.inner_text("#shown")) == "1 of 2 found"
    with page.expect_download() as caught:
        page.click("button[data-file=csv]")
    lines = Path(caught.value.path()).read_text().splitlines()
    assert lines[0] == (
        "setting,depth,width,kernel_size,cardinality,group_width,bottleneck_width,test_error,low,high,less,less_low,less_high,"
        "seeds,params,macs,activations,seconds"
    )
    assert lines[1].startswith("29-32x4d,29,256,3,32,2048,64,0.05,")
    assert len(lines) == 2
    page.fill("#search", "")
    with page.expect_download() as caught:
        page.click("button[data-file=json]")
    (first, rival) = json.loads(Path(caught.value.path()).read_text())
    assert (first["setting"], rival["setting"]) == ("29-32x4d", "29-1x64d")
    assert (first["test_error"], rival["test_error"]) == (pytest.approx(0.05), pytest.approx(0.065))
    assert first["less"] == pytest.approx(0.015)
    assert rival["less"] is first["less_low"] is None  # two pairs claim no interval
    page.fill("#search", "less>1.2 less<1.8")
    assert plain(page.inner_text("#shown")) == "1 of 2 found"
    page.fill("#search", "")
    page.click("summary:has-text('Columns')")
    page.uncheck("#columns label:has-text('MACs') input")
    assert not page.is_visible("#settings th[data-name=macs]")
    assert not page.is_visible("#settings th[data-name=cardinality]")
    page.check("#columns label:has-text('Cardinality') input")
    assert page.is_visible("#settings th[data-name=cardinality]")


def test_the_table_comes_in_pages_and_is_searched_by_numbers(browser: Browser, many: Path) -> None:
    page = browsing.opened(browser, many).page
    shown = "[...document.querySelectorAll('#settings tbody tr')].filter((row) => row.checkVisibility()).length"
    assert page.evaluate(shown) == 25
    assert plain(page.inner_text("#pages span")) == "1 to 25 of 40"
    page.click("#pages [data-turn='1']")
    assert page.evaluate(shown) == 15
    assert page.is_disabled("#pages [data-turn='1']")
    page.fill("#search", "cardinality=2 width>=128")
    assert plain(page.inner_text("#shown")) == "2 of 40 found"
    assert not page.is_visible("#pages")
    page.click("#pick-shown")
    assert plain(page.inner_text("#picked")) == "2 designs picked"
    assert page.evaluate("[...page.picked]") == ["29-2x4d-w128", "29-2x4d-w256"]
    for asked, told in (
        ("widht>64", "there is no column widht; there are depth, "),
        ("width>", "a number is missing after width>"),
        ("width>wide", "wide is not a number"),
    ):
        page.fill("#search", f"cardinality=2 {asked}")
        found, _, complaint = plain(page.inner_text("#shown")).partition("; ")
        assert complaint.startswith(told)
        assert found == "5 of 40 found"  # by the word that was understood
    page.fill("#search", "33x")
    assert plain(page.inner_text("#shown")) == "0 of 40 found; no name has 33x in it"
    errors = "[...document.querySelectorAll('#settings tbody tr')].map((row) => Number(row.cells[7].dataset.value))"
    page.fill("#search", "error<15")
    below = sum(error < 0.15 for error in page.evaluate(errors))
    assert 0 < below < 40
    assert plain(page.inner_text("#shown")) == f"{below} of 40 found"


def test_dragging_along_an_axis_picks_the_designs_that_pass_there(browser: Browser, many: Path) -> None:
    page = browsing.opened(browser, many).page
    strip = page.locator("[data-figure=parallel] .wide rect.strip").last
    strip.scroll_into_view_if_needed()
    box = strip.bounding_box()
    assert box is not None
    x, bottom = box["x"] + box["width"] / 2, box["y"] + box["height"]
    page.mouse.move(x, bottom - 1)
    page.mouse.down()
    page.mouse.move(x, bottom - box["height"] / 3, steps=4)
    page.mouse.up()
    picked = page.evaluate("[...page.picked]")
    rows = "[...document.querySelectorAll('#settings tbody tr')]"
    means = f"{rows}.map((row) => [row.dataset.setting, Number(row.cells[7].dataset.value)])"
    errors = dict(page.evaluate(means))
    # The lowest third of the axis holds the lowest errors, and no other.
    assert 0 < len(picked) < 40
    assert set(picked) == set(sorted(errors, key=lambda name: errors[name])[: len(picked)])
    assert page.locator("[data-figure=parallel] path.faint").count() == 40 - len(picked)
    assert page.locator("[data-figure=parallel] .wide rect.range").count() == 1
    page.click("#unpick")
    assert page.locator("[data-figure=parallel] .wide rect.range").count() == 0
    page.locator("[data-figure=parallel] path[data-setting]").first.dispatch_event("click")
    assert plain(page.inner_text("#picked")) == "1 design picked"


def test_a_row_of_the_verdicts_picture_picks_its_design(browser: Browser, tmp_path: Path) -> None:
    write_page(open_study(ROOT / "studies" / "equal_params_cifar10_jpeg"), tmp_path / "recorded.html")
    page = browsing.opened(browser, tmp_path / "recorded.html").page
    rows = page.locator("#verdict rect.stripe:visible")
    assert rows.count() == 2  # the declared contrast and one other; data sets and published runs are no settings here
    rows.nth(1).focus()
    page.keyboard.press("Enter")
    assert page.evaluate("[...page.picked]") == ["29-4x6d-w64"]
    assert rows.nth(1).get_attribute("aria-pressed") == "true"
    assert page.locator("tr.picked").get_attribute("data-setting") == "29-4x6d-w64"
    rows.nth(0).click()
    assert page.evaluate("[...page.picked]") == ["29-4x6d-w64", "29-16x2d-w64"]
    with page.expect_download() as caught:
        page.click("button[aria-label='The verdict as one picture, as SVG']")
    assert "stripe" not in Path(caught.value.path()).read_text(encoding="utf-8")


def test_on_a_phone_axes_lie_below_each_other_and_are_dragged_along_too(browser: Browser, many: Path) -> None:
    page = browsing.opened(browser, many, viewport={"width": 390, "height": 844}).page
    place = page.locator("[data-figure=parallel]")
    place.scroll_into_view_if_needed()
    assert not place.locator("svg.wide").is_visible()
    assert place.evaluate("(one) => one.scrollWidth <= one.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    words = place.evaluate(
        "(one) => [...one.querySelectorAll('.narrow text')].map((text) => text.getBoundingClientRect().toJSON())"
    )
    assert all(one["left"] >= 0 and one["right"] <= 390 for one in words)
    apart = [
        (one, other)
        for one, other in combinations(words, 2)
        if min(one["right"], other["right"]) - max(one["left"], other["left"]) > 1
        and min(one["bottom"], other["bottom"]) - max(one["top"], other["top"]) > 4
    ]
    assert apart == []
    strip = place.locator(".narrow rect.strip").last
    strip.scroll_into_view_if_needed()
    box = strip.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 1, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 3, y, steps=4)
    page.mouse.up()
    picked = page.evaluate("[...page.picked]")
    rows = "[...document.querySelectorAll('#settings tbody tr')]"
    errors = dict(page.evaluate(f"{rows}.map((row) => [row.dataset.setting, Number(row.cells[7].dataset.value)])"))
    assert 0 < len(picked) < 40
    assert set(picked) == set(sorted(errors, key=lambda name: errors[name])[: len(picked)])


@pytest.mark.parametrize("name", ["cardinality", "parallel"])
def test_a_figure_is_saved_as_svg_and_png(browser: Browser, many: Path, name: str) -> None:
    page = browsing.opened(browser, many).page
    tools = page.locator(f"[data-figure={name}] + .figure-tools")
    with page.expect_download() as caught:
        tools.locator("button:has-text('SVG')").click()
    assert caught.value.suggested_filename == f"synthetic_200-{name}.svg"
    root = ElementTree.parse(caught.value.path()).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = "".join(root.itertext())
    assert "Cardinality" in words
    assert re.search(r"Test ?error \(%\)", words)  # a narrow panel has it in two lines
    with page.expect_download() as caught:
        tools.locator("button:has-text('PNG')").click()
    content = Path(caught.value.path()).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert int.from_bytes(content[16:20]) == 2000  # pixels across


def test_the_numbers_of_a_figure_are_a_table(browser: Browser, reports: Path) -> None:
    page = opened(browser, reports).page
    tools = page.locator("[data-figure=cardinality] + .figure-tools")
    tools.locator("summary").click()
    lines = [line.split("\t") for line in plain(tools.locator("table").inner_text()).splitlines()]
    assert lines[0] == ["Mark", "Cardinality (paths per block)", "Test error (%)"]
    assert ["ResNet-29 (1x64d), seed 0, error 6.00 %", "1", "6"] in lines
    assert len(lines) == 1 + 4 + 2
    with page.expect_download() as caught:
        tools.locator("button:text-is('CSV')").click()
    assert caught.value.suggested_filename.endswith("-cardinality.csv")
    rows = list(csv.reader(Path(caught.value.path()).read_text().splitlines()))
    assert rows == [lines[0], *([mark, x, y] for mark, x, y in lines[1:])]
    with page.expect_download() as caught:
        tools.locator("button:text-is('LaTeX')").click()
    (row,) = [one for one in Path(caught.value.path()).read_text().splitlines() if "1x64d), seed 0" in one]
    assert row == r"ResNet-29 (1x64d), seed 0, error 6.00 \% & 1 & 6 \\"


def test_the_papers_table_is_laid_over_when_asked_for(browser: Browser, tmp_path: Path) -> None:
    write_page(open_study(ROOT / "studies" / "equal_params_cifar10_jpeg"), tmp_path / "recorded.html")
    page = browsing.opened(browser, tmp_path / "recorded.html").page
    optional = "document.querySelector('.plot').data.filter((trace) => trace.meta === 'optional')"
    shown = f"{optional}.filter((trace) => trace.visible !== false).map((trace) => trace.y)"
    assert page.evaluate(shown) == []
    page.check("[data-overlay=cardinality]")
    (line, *_) = page.evaluate(shown)
    # From our own error with one path: 23.9, 23.0, 22.6, 22.3 and 22.2 % in the paper.
    assert [value - line[0] for value in line] == pytest.approx([0, -0.9, -1.3, -1.6, -1.7])
    assert line[0] == pytest.approx(28.12, abs=0.01)
    page.uncheck("[data-overlay=cardinality]")
    assert page.evaluate(shown) == []


def test_light_and_dark_follow_the_switch(browser: Browser, reports: Path) -> None:
    page = opened(browser, reports, color_scheme="light").page
    colour = "getComputedStyle(document.body).backgroundColor"
    text = "document.querySelector('.plot').layout.font.color"
    light, ink = page.evaluate(colour), page.evaluate(text)
    page.click("#theme")
    assert page.evaluate(colour) != light
    assert page.evaluate(text) != ink
    assert plain(page.inner_text("#theme")) == "Light"
    page.click("#theme")
    assert (page.evaluate(colour), page.evaluate(text)) == (light, ink)


@pytest.fixture
def running(tmp_path: Path) -> Path:
    """The page of a study of which one run is missing; it reloads every second."""
    whole = study()
    part = replace(whole, finding=replace(whole.finding, wanted=5))
    html = render_page(part)
    assert html.count('data-seconds="10"') == 1
    (tmp_path / "equal_params.html").write_text(html.replace('data-seconds="10"', 'data-seconds="1"'))
    return tmp_path


def reloaded(page: Page) -> None:
    """Wait until the page is another one than now and drawn."""
    page.evaluate("document.documentElement.dataset.old = 'yes'")
    page.wait_for_selector("html[data-ready=yes]:not([data-old])")


def test_the_page_of_a_running_study_reloads_itself_and_looks_as_before(browser: Browser, running: Path) -> None:
    visit = opened(browser, running, color_scheme="light")
    page = visit.page
    page.click("button.pick >> nth=0")
    page.click("#theme")
    page.locator("#settings th[data-name=test_error] button").click()
    page.click("summary:has-text('Columns')")
    page.uncheck("#columns label:has-text('MACs') input")
    page.click("summary:has-text('Columns')")
    page.evaluate("Plotly.relayout(document.querySelector('.plot'), { 'yaxis.range[0]': 4, 'yaxis.range[1]': 6 })")
    page.click(".figure-tools summary >> nth=1")
    page.evaluate("scrollTo(0, 700)")
    reloaded(page)
    reloaded(page)
    assert page.evaluate("location.hash") == "#designs=29-32x4d"
    assert page.locator("tr.picked").count() == page.locator("#cards article").count() == 1
    assert plain(page.inner_text("#theme")) == "Light"
    order = "[...document.querySelectorAll('#settings tbody tr')].map((row) => row.dataset.setting)"
    assert page.evaluate(order) == ["29-1x64d", "29-32x4d"]
    assert not page.is_visible("#settings th[data-name=macs]")
    assert page.evaluate("document.querySelector('.plot').layout.yaxis.range") == [4, 6]
    shown = "[...document.querySelectorAll('.figure-tools details')].map((one) => one.open)"
    assert page.evaluate(shown)[:3] == [False, True, False]
    assert page.locator(".figure-tools:has(details[open]) tbody tr").count() > 0
    assert page.evaluate("scrollY") == 700
    assert visit.complaints == []


def test_a_page_does_not_reload_while_its_reader_types_or_has_said_no(browser: Browser, running: Path) -> None:
    page = opened(browser, running).page
    assert page.is_checked("#reload input")
    page.focus("#search")
    page.evaluate("document.documentElement.dataset.old = 'yes'")
    page.wait_for_timeout(2500)
    assert page.locator("html[data-old]").count() == 1
    page.evaluate("document.activeElement.blur()")
    reloaded(page)
    page.uncheck("#reload input")
    page.evaluate("document.documentElement.dataset.old = 'yes'")
    page.wait_for_timeout(2500)
    assert page.locator("html[data-old]").count() == 1
    page.reload()
    page.wait_for_selector("html[data-ready=yes]")
    assert not page.is_checked("#reload input")


def test_the_page_of_a_complete_study_does_not_speak_of_reloading(browser: Browser, reports: Path) -> None:
    page = opened(browser, reports).page
    assert page.is_visible("#tools")
    assert page.locator("#reload").count() == 0


def test_the_index_leads_to_the_page(browser: Browser, reports: Path) -> None:
    visit = Visit(browser, reports / "index.html")
    visit.page.click("text=equal_params")
    visit.page.wait_for_selector("h1")
    assert visit.page.url == (reports / "equal_params.html").as_uri()
    assert visit.complaints == []


def test_no_button_offers_to_send_anything_elsewhere(browser: Browser, reports: Path) -> None:
    page = opened(browser, reports).page
    page.hover(".plot >> nth=0")
    titles = page.locator(".modebar-btn").evaluate_all("(all) => all.map((one) => one.dataset.title ?? '')")
    assert titles
    assert not [words for words in titles if re.search("share|cloud|plotly|upload|studio", words, re.IGNORECASE)]


def test_a_search_for_a_column_that_is_not_there_says_so(browser: Browser, reports: Path) -> None:
    page = opened(browser, reports).page
    page.fill("#search", "foo<3")
    assert plain(page.inner_text("#shown")).startswith("there is no column foo; there are depth, width,")
    page.fill("#search", "D>=2048")  # 32 paths, in this made-up study of 64 channels each
    assert plain(page.inner_text("#shown")) == "1 of 2 found"
    page.fill("#search", "error < 6")
    assert plain(page.inner_text("#shown")) == "1 of 2 found"


def test_names_in_the_address_that_are_no_designs_are_left_out(browser: Browser, reports: Path) -> None:
    page = opened(browser, reports, "#designs=foo,29-32x4d").page
    assert plain(page.inner_text("#picked")) == "1 design picked"


def test_of_two_choices_each_shows_one_of_its_own_figures(browser: Browser, tmp_path: Path) -> None:
    write_page(open_study(ROOT / "studies" / "design_space_cifar10_jpeg"), tmp_path / "spaces.html")
    page = browsing.opened(browser, tmp_path / "spaces.html").page

    def shown() -> list[str]:
        return [str(one.get_attribute("data-switched")) for one in page.locator("[data-switched]:visible").all()]

    first = shown()
    assert sorted(name.partition("-")[0] for name in first) == ["cost", "effect"]
    cost = next(name for name in first if name.startswith("cost-"))
    last = page.locator("input[name=effect]").last
    last.check()
    assert sorted(shown()) == sorted([cost, str(last.get_attribute("value"))])
    page.wait_for_selector(f".plot.live[data-figure={last.get_attribute('value')}]")


# Words over words, and words that are turned, among those of a figure that can be seen.
TOUCHING = """() => [...document.querySelectorAll('.plot')].flatMap((plot) => {
  const all = [...plot.querySelectorAll('svg text')].filter((one) => one.textContent.trim() && !one.closest('.legend')
    && one.checkVisibility({ visibilityProperty: true }) && one.getBoundingClientRect().width);
  const boxes = all.flatMap((one) => {
    const lines = [...one.querySelectorAll('tspan.line')];
    return (lines.length ? lines : [one]).map((line) => [one.textContent, line.getBoundingClientRect(), one.getCTM()]);
  });
  const turned = boxes.filter(([, , matrix]) => Math.abs(matrix.b) > 0.01).map(([words]) => `turned: ${words}`);
  return [...turned, ...boxes.flatMap(([words, box], number) => boxes.slice(number + 1)
    .filter(([, two]) => box.left < two.right - 1 && two.left < box.right - 1)
    .filter(([, two]) => box.top < two.bottom - 4 && two.top < box.bottom - 4)
    .map(([other]) => `${plot.dataset.figure}: ${words} / ${other}`))];
})"""


def test_no_words_of_a_figure_touch_or_are_turned(browser: Browser, many: Path, tmp_path: Path) -> None:
    for name in ("cardinality_or_width_cifar10_jpeg", "design_space_cifar10_jpeg"):
        write_page(open_study(ROOT / "studies" / name), tmp_path / f"{name}.html")
    for path in (*sorted(tmp_path.glob("*.html")), many):
        page = browsing.opened(browser, path, viewport={"width": 1280, "height": 900}).page
        # Axes side by side have their labels over each other's lines; these are tested by their own drawing.
        page.evaluate("document.querySelectorAll('[data-figure=parallel]').forEach((one) => one.remove())")
        assert page.evaluate(TOUCHING) == [], path.name
        page.set_viewport_size({"width": 390, "height": 844})
        page.wait_for_timeout(1500)
        assert page.evaluate(TOUCHING) == [], path.name
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
