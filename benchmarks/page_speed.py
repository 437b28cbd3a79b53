"""Measure a synthetic study's page: its size, the time to draw it, and the time until a browser shows it."""

import math
import multiprocessing
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.results import PageSpeed
from benchmarks.synthetic import synthetic
from explorer.host.machine import most_memory
from explorer.report.page import write_page
from explorer.study.settings import StudyConfig
from explorer.training.results import Figure

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LONGEST = 120.0  # seconds after which a page counts as never ready
MEGABYTES = {1_000: 3.0, 10_000: 12.0}  # target: most megabytes of a page, by number of runs
FIRST, INTERACTIVE = 1.0, 4.0  # target: most seconds, on two cores

# At every frame, checks which parts exist, and notes the time of the next frame, when they have been painted.
WATCH = """
(() => {
  const parts = [".verdict", "svg.still", "#settings tbody tr"];
  window.seen = {};
  const note = (name) => requestAnimationFrame(() => { window.seen[name] ??= performance.now(); });
  const look = () => {
    if (parts.every((part) => document.querySelector(part))) note("first");
    if (document.documentElement?.dataset.ready === "yes") note("interactive");
    if (!("interactive" in window.seen)) requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})();
"""
# The noted times, available once the frame that `interactive` refers to has come.
SEEN = """
() => new Promise((resolve) => {
  const look = () => ("interactive" in window.seen ? resolve(window.seen) : requestAnimationFrame(look));
  look();
})
"""


class NoBrowserError(Exception):
    """Pages cannot be opened on this machine; the message says what is missing."""


def draw(config: StudyConfig, runs: int, epochs: int, path: Path, seed: int) -> PageSpeed:
    """Write the page of a synthetic study in a separate process, so that the process's memory can be measured."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_draw, config, runs, epochs, path, seed).result()


def _draw(config: StudyConfig, runs: int, epochs: int, path: Path, seed: int) -> PageSpeed:
    study = synthetic(config, runs, epochs, seed=seed)
    began = time.perf_counter()
    write_page(study, path)
    seconds = time.perf_counter() - began
    return PageSpeed(runs, epochs, path.stat().st_size, seconds, most_memory())


def load(paths: list[Path], turns: int) -> list[tuple[float, float]]:
    """Median seconds from navigation until each page's first view is painted, and until all its figures work.

    The first view is verdict, key figure and the table's first row. Pages are opened in turns, each time without cache
    or network; one load before them is not counted. A page that is not ready after `LONGEST` seconds has infinity.
    Raises NoBrowserError.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise NoBrowserError("playwright is not installed; it comes with pip install -e '.[dev]'") from None
    found: list[list[tuple[float, float]]] = [[] for _ in paths]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=_executable(driver), args=["--no-sandbox", "--disable-gpu"])
        _load(browser, paths[0])
        for _ in range(turns):
            for path, times in zip(paths, found, strict=True):
                times.append(_load(browser, path))
        browser.close()
    return [(median(first for first, _ in times), median(ready for _, ready in times)) for times in found]


def _executable(driver: "Playwright") -> str:
    own = driver.chromium.executable_path
    found = next(filter(None, map(shutil.which, BROWSERS)), own if Path(own).exists() else None)
    if found is None:
        raise NoBrowserError(f"there is no Chromium; looked for {', '.join(BROWSERS)}")
    return found


def _load(browser: "Browser", path: Path) -> tuple[float, float]:
    from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 800})
    try:
        page = context.new_page()
        page.add_init_script(WATCH)
        page.goto(path.as_uri(), wait_until="commit")
        try:
            page.wait_for_selector("html[data-ready=yes]", timeout=1000 * LONGEST)
        except PlaywrightTimeoutError:
            return _seconds(page.evaluate("window.seen.first")), math.inf
        seen = page.evaluate(SEEN)
        # Content counts as painted only from the browser's own first-contentful-paint time.
        painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
        return _seconds(max(seen["first"], painted)), _seconds(seen["interactive"])
    finally:
        context.close()


def _seconds(milliseconds: float | None) -> float:
    return math.inf if milliseconds is None else milliseconds / 1000


def page_figures(found: list[PageSpeed]) -> list[Figure]:
    """The targets for pages, passed or failed; those for a browser only if there is one."""
    figures = []
    for speed in found:
        limit = next((most for runs, most in MEGABYTES.items() if speed.runs <= runs), None)
        if limit is not None:
            megabytes = speed.size / 1e6
            figures.append(
                Figure(f"{speed.runs:,} runs: page of at most {limit:g} MB", f"{megabytes:.2f} MB", megabytes <= limit)
            )
    for speed in found:
        for what, seconds, most in (
            ("first view", speed.first, FIRST),
            ("interactive", speed.interactive, INTERACTIVE),
        ):
            if seconds is not None:
                told = f"{seconds:.2f} s" if math.isfinite(seconds) else f"not after {LONGEST:g} s"
                figures.append(Figure(f"{speed.runs:,} runs: {what} within {most:g} s", told, seconds <= most))
    return figures
