"""The error of a setting as text for tables and cards; an error that no run has measured is a dash."""

from explorer.analysis.failures import how
from explorer.analysis.summary import SettingSummary
from explorer.host.formatting import interval, percent


def mean_words(summary: SettingSummary) -> str:
    """The mean error as text, `4.71 %`; a dash if every run failed."""
    return percent(summary.estimate.mean) if summary.came_through else "-"


def interval_words(summary: SettingSummary) -> str:
    """The interval as text, `4.20 to 5.21 %`; a dash if runs count as chance, which is no measurement."""
    return "-" if summary.failed else interval(summary.estimate.low, summary.estimate.high)


def seeds_words(summary: SettingSummary) -> str:
    """The number of seeds as text, with failed ones: `6`, `6 (4 as chance)`, or `6 (all diverged)`."""
    if not summary.failed:
        return str(summary.estimate.n)
    failed = f"{len(summary.failed)} as chance" if summary.came_through else f"all {how(summary.failed.values())}"
    return f"{summary.estimate.n} ({failed})"


def seed_words(summary: SettingSummary, seed: int) -> str:
    """The error of one run as text, `4.71 %`, or its status if it failed: `diverged`."""
    return how([summary.failed[seed]]) if seed in summary.failed else percent(summary.errors[seed])
