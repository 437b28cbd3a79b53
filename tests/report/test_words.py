"""The words of a verdict that say what they mean."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from explorer.analysis.judging import open_study
from explorer.host.formatting import UNBROKEN
from explorer.report.meaning import meaning
from explorer.report.page import render_page, write_page
from explorer.report.words import MEANINGS, explained, meaning_of
from tests.report.browsing import needs_browser, opened
from tests.test_layers import ROOT

CONTRAST = ROOT / "studies" / "equal_params_cifar10_jpeg"


def test_the_first_of_each_word_says_what_it_means_and_text_stays_text() -> None:
    marked = explained("Seeds <b>& pairs: a paired seed's interval; -1.50 intervals, cardinality")
    assert re.findall(r'data-word="(\w+)">(\w+)<', marked) == [
        ("seed", "Seeds"),
        ("pair", "pairs"),
        ("interval", "interval"),
        ("cardinality", "cardinality"),
    ]
    plain = re.sub(r"</?button[^>]*>", "", marked)
    assert plain == "Seeds &lt;b&gt;&amp; pairs: a paired seed&#39;s interval; \u22121.50 intervals, cardinality"


def test_glossary_page_and_box_have_one_definition() -> None:
    glossary = " ".join((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").split())
    study = open_study(CONTRAST)
    page, box = (
        render_page(study).replace(UNBROKEN, " "),
        " ".join(words for _, words in meaning(study.finding, study.config)),
    )
    for name, words in MEANINGS.items():
        assert re.search(rf"- \*\*{name}(, \w)?\*\*: {re.escape(words)}\. \*In:\*", glossary), name
        assert f'id="word-{name}"><b>{name.capitalize()}</b> {meaning_of(name)}</div>' in page
        assert words[1:] in box
    verdict = page[page.index('<p class="verdict') :]
    assert re.findall(r'data-word="(\w+)"', verdict[: verdict.index("</p>")]) == ["interval", "pair", "seed"]
    for place in ('<figcaption class="halves', 'id="settings"', 'aria-label="Pairs of seeds"'):
        assert "data-word=" in page[page.index(place) :][:4000], place


@needs_browser
@pytest.mark.parametrize("way", ["mouse", "keyboard", "touch", "without scripts"])
def test_a_word_is_explained_by_mouse_keyboard_and_touch(browser: Browser, tmp_path: Path, way: str) -> None:
    path = tmp_path / "page.html"
    write_page(open_study(CONTRAST), path)
    if way == "without scripts":
        path.write_text(re.sub(r"<script.*?</script>", "", path.read_text(), flags=re.DOTALL))
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.goto(path.as_uri())
    else:
        phone: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True} if way == "touch" else {}
        page = opened(browser, path, **phone).page
    word, box = page.locator(".verdict button.word >> nth=1"), page.locator("#word-pair")
    assert not box.is_visible()
    if way == "mouse":
        word.hover()
    elif way == "touch":
        word.tap()
    elif way == "keyboard":
        page.locator(".verdict button.word >> nth=0").focus()
        page.keyboard.press("Tab")
    else:
        word.click()
    box.wait_for(state="visible")
    where, at = box.bounding_box(), word.bounding_box()
    assert where is not None
    assert at is not None
    assert where["x"] >= 0
    assert where["x"] + where["width"] <= page.evaluate("innerWidth")
    if way != "without scripts":
        assert 0 <= where["y"] - at["y"] - at["height"] < 20  # right below the word
    page.keyboard.press("Escape")
    assert not box.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
