"""Signs and unbreakable numbers of the visible text of pages."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from benchmarks.synthetic import synthetic
from explorer.analysis.judging import open_study
from explorer.host.formatting import JOINED, UNBROKEN, typeset
from explorer.report.page import write_page
from explorer.report.typesetting import typeset_markup
from explorer.verbs.command_line import read_command
from tests.report.browsing import needs_browser, opened
from tests.test_layers import ROOT

CASES = {
    "-0.39 to -0.05 points": "\u22120.39~to~\u22120.05~points",
    "p < 0.0001, n = 10": "p~<~0.0001, n~=~10",
    "p &lt; 0.0001": "p~&lt;~0.0001",
    "3x3 filters of 29-32x4d and 8x14.24.58d": "3\u00d73 filters of 29-32x4d and 8x14.24.58d",
    "x0.5 for A, x264": "\u00d70.5 for A, x264",
    "2026-11-28, 3-5, 1e-05, (1)-2": "2026-11-28, 3-5, 1e-05, (1)-2",
    "ResNeXt-29 (16x2d, w64) beats": "ResNeXt=29~(16x2d,~w64) beats",
    "nothing to set - at all": "nothing to set - at all",
}
# Text nodes of a page, what it is in, and the lines that it takes.
FAULTS = r"""() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const [node, around] = [walker.currentNode, walker.currentNode.parentElement];
    if (around.closest("code, pre, script, style, textarea, time")) continue;
    const text = node.data;
    if (/(^|[^\w.)\]-])-\d/.test(text)) found.push(`minus: ${text}`);
    if (/(^|[^\w.-])\d+x\d+(?![\w.-]*\w)/.test(text)) found.push(`times: ${text}`);
    if (around.closest("svg")) continue;  // which breaks no line
    if (/\b[pn] [=<]|\b[pn].[=<] \d/.test(text) || /\d %/.test(text)) found.push(`torn: ${text}`);
  }
  return found;
}"""


def _set(expected: str) -> str:
    """A case with what its signs stand for: `~` a space and `t=2` a hyphen at which no line ends."""
    return re.sub(r"(?<=[a-z])=(?=\d)", JOINED, expected.replace("~", UNBROKEN))


@pytest.mark.parametrize(("text", "expected"), CASES.items())
def test_text_is_set_with_true_signs_and_unbroken(text: str, expected: str) -> None:
    assert typeset(text) == _set(expected)
    assert typeset(typeset(text)) == typeset(text)


def test_only_visible_text_is_set_and_names_may_wrap_in_tables() -> None:
    kept = (
        '<pre>search -1 3x3</pre><code data-a="-1">x -1</code><script>a = "<b>" - 1, -1</script>'
        '<p title="-1 point" data-value="-0.5"><time>-1</time></p>'
    )
    assert typeset_markup(kept) == kept
    cells = typeset_markup("<table><tr><td>ResNet-29 (1x64d)<td>-1 %</table><b>ResNet-29 (1x64d)</b>")
    assert cells == (
        f"<table><tr><td>ResNet-29 (1x64d)<td>\u22121{UNBROKEN}%</table><b>ResNet{JOINED}29{UNBROKEN}(1x64d)</b>"
    )


@needs_browser
@pytest.mark.parametrize("kind", ["contrast", "spaces", "many"])
def test_no_visible_text_of_a_page_has_a_hyphen_for_a_minus_or_tears_a_number(
    browser: Browser, tmp_path: Path, kind: str
) -> None:
    folders = {"contrast": "equal_params_cifar10_jpeg", "spaces": "design_space_cifar10_jpeg"}
    study = (
        open_study(ROOT / "studies" / folders[kind])
        if kind in folders
        else synthetic(read_command(["study=equal_params"]).study, 40, 5)
    )
    write_page(study, tmp_path / "page.html")
    page = opened(browser, tmp_path / "page.html").page
    for text, expected in CASES.items():
        if "&" not in text:
            assert page.evaluate("(text) => page.typeset(text)", text) == _set(expected)
    page.locator("button.pick:visible").first.click()
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    page.wait_for_selector("#cards article pre")
    page.wait_for_selector(".figure-tools td")
    assert page.evaluate(FAULTS) == []
    command = page.inner_text("#cards article pre >> nth=0")
    assert command.isascii()
    assert re.search(r"search\.only=\[\d+-\d+x\d+d", command)
    with page.expect_download() as download:
        page.click("button[data-file=csv]")
    assert Path(download.value.path()).read_text(encoding="utf-8").isascii()
