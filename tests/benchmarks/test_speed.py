"""The benchmark of pages: what it measures, what it calls reached, and what it says without a browser."""

import math
import sys
from pathlib import Path

import pytest

from benchmarks import page_speed as speed
from benchmarks.__main__ import main as measure
from benchmarks.results import PageSpeed
from explorer.verbs.command_line import read_command
from tests.report.browsing import needs_browser
from tests.report.reading import plain

pytestmark = pytest.mark.real

QUICK = ["report", "runs=[10,20]", "epochs=2", "turns=1"]


def test_a_page_is_drawn_and_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    found = speed.draw(read_command(["study=equal_params"]).study, 10, 3, tmp_path / "page.html", seed=0)
    text = (tmp_path / "page.html").read_text()
    assert "10 of 10 runs" in plain(text)
    assert (found.runs, found.epochs, found.size) == (10, 3, len(text.encode()))
    assert found.seconds > 0
    assert found.memory is None or 2**26 < found.memory < 2**31
    assert (found.first, found.interactive) == (None, None)


def test_figures_hold_sizes_and_times_against_their_limits() -> None:
    quick = PageSpeed(1_000, 100, 2_990_000, 1.0, None, first=0.9, interactive=3.9)
    slow = PageSpeed(10_000, 100, 12_100_000, 1.0, None, first=1.1, interactive=math.inf)
    told = [(figure.what, figure.found, figure.passed) for figure in speed.page_figures([quick, slow])]
    assert told == [
        ("1,000 runs: page of at most 3 MB", "2.99 MB", True),
        ("10,000 runs: page of at most 12 MB", "12.10 MB", False),
        ("1,000 runs: first view within 1 s", "0.90 s", True),
        ("1,000 runs: interactive within 4 s", "3.90 s", True),
        ("10,000 runs: first view within 1 s", "1.10 s", False),
        ("10,000 runs: interactive within 4 s", "not after 120 s", False),
    ]
    unopened = PageSpeed(10_001, 100, 1, 1.0, None)
    assert speed.page_figures([unopened]) == []


def test_without_a_browser_the_rest_is_told(
    workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    assert measure(QUICK) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "Times in a browser were not measured: playwright is not installed" in output
    assert "20 runs: page of at most 3 MB 2." in output
    assert "first view within" not in output
    assert list(workplace.iterdir()) == []


@needs_browser
def test_a_browser_tells_when_pages_are_seen_and_live(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert measure(QUICK) == 0
    output = " ".join(capsys.readouterr().out.split())
    for part in ("10 runs: first view within 1 s 0.", "20 runs: interactive within 4 s "):
        assert part in output
    assert list(workplace.iterdir()) == []


@needs_browser
def test_a_view_counts_when_all_of_it_is_there_and_a_page_never_ready_has_infinity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "LONGEST", 2.0)
    head = "<!doctype html><p class=verdict>yes</p><svg class=still></svg>"
    table = "<table id=settings><tbody><tr><td>1</table>"
    late = f"<script>setTimeout(() => document.body.insertAdjacentHTML('beforeend', '{table}'), 300)</script>"
    ready = "<script>setTimeout(() => { document.documentElement.dataset.ready = 'yes' }, 600)</script>"
    pages = {"late": head + late + ready, "never": head + table, "empty": head}
    paths = [tmp_path / f"{name}.html" for name in pages]
    for path, text in zip(paths, pages.values(), strict=True):
        path.write_text(text)
    (first, interactive), (seen, never), (unseen, _) = speed.load(paths, turns=1)
    assert 0.3 <= first < 0.6 <= interactive < 2
    assert seen < 0.6
    assert never == unseen == math.inf
