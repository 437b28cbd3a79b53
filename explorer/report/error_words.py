"""The error of a setting as text for tables and cards; an error that no run has measured is a dash."""

import math
from collections.abc import Iterable
from dataclasses import replace

from explorer.analysis.failures import how
from explorer.analysis.final_round import FinalRound
from explorer.analysis.finding import Finding
from explorer.analysis.intervals import Estimate
from explorer.analysis.summary import MIN_PAIRS, SettingSummary
from explorer.host.formatting import interval, percent

TOLD_COSTS = "Costs are those of the other program's own networks, as it told them."
INTERVAL_NEEDS = f"An interval needs {MIN_PAIRS} seeds or more, which differ"
NEEDED = f"{INTERVAL_NEEDS}; a dash where there are none."


def mean_words(summary: SettingSummary) -> str:
    """The mean error as text, `4.71 %`; a dash if every run failed."""
    return percent(summary.estimate.mean) if summary.came_through else "-"


def claimed(found: Estimate) -> Estimate:
    """An estimate as pages show it: with fewer than five values no interval is claimed, and the values are shown."""
    return found if found.n >= MIN_PAIRS else replace(found, low=math.nan, high=math.nan)


def interval_words(summary: SettingSummary) -> str:
    """The interval as text, `4.20 to 5.21 %`; a dash for none, or if runs count as chance, which is no measurement."""
    found = claimed(summary.estimate)
    return interval(found.low, found.high) if found.has_interval and not summary.failed else "-"


def lack_interval(summaries: Iterable[SettingSummary]) -> bool:
    """Whether the table of these settings has a dash in place of an interval, which `NEEDED` explains."""
    return any(not one.failed and not claimed(one.estimate).has_interval for one in summaries)


def in_order(finding: Finding) -> list[SettingSummary]:
    """The settings in the order of tables: as a study lists them; of a search and of a file the lowest error first."""
    if finding.measure != "val_error" and finding.imported is None:
        return finding.summaries
    return sorted(finding.summaries, key=lambda one: (not one.came_through, one.estimate.mean))


def seeds_words(summary: SettingSummary) -> str:
    """The number of seeds as text, with failed ones: `6`, `6 (4 as chance)`, or `6 (all diverged)`."""
    if not summary.failed:
        return str(summary.estimate.n)
    failed = f"{len(summary.failed)} as chance" if summary.came_through else f"all {how(summary.failed.values())}"
    return f"{summary.estimate.n} ({failed})"


def seed_words(summary: SettingSummary, seed: int) -> str:
    """The error of one run as text, `4.71 %`, or its status if it failed: `diverged`."""
    return how([summary.failed[seed]]) if seed in summary.failed else percent(summary.errors[seed])


def final_seeds_words(found: FinalRound, one: SettingSummary) -> str:
    """The number of runs that a design's error in a final round is measured on: `5`, `3 of 5 (2 diverged)`."""
    statuses = found.failed.get(one.setting, ())
    return f"{one.estimate.n} of {found.seeds} ({len(statuses)} {how(statuses)})" if statuses else str(one.estimate.n)
