"""The error of a setting in words, as tables and cards show it; one that no run has measured is a dash."""

from explorer.analysis.failures import how
from explorer.analysis.summary import SettingSummary
from explorer.host.formatting import interval, percent


def mean_words(summary: SettingSummary) -> str:
    """`4.71 %`; a dash where no run came through."""
    return percent(summary.estimate.mean) if summary.came_through else "-"


def interval_words(summary: SettingSummary) -> str:
    """`4.20 to 5.21 %`; a dash where runs count as chance, which is a rule and no measurement."""
    return "-" if summary.failed else interval(summary.estimate.low, summary.estimate.high)


def seeds_words(summary: SettingSummary) -> str:
    """`6`, `6 (4 as chance)`, or `6 (all diverged)`."""
    if not summary.failed:
        return str(summary.estimate.n)
    failed = f"{len(summary.failed)} as chance" if summary.came_through else f"all {how(summary.failed.values())}"
    return f"{summary.estimate.n} ({failed})"


def seed_words(summary: SettingSummary, seed: int) -> str:
    """The error of one run: `4.71 %`, or what became of it: `diverged`."""
    return how([summary.failed[seed]]) if seed in summary.failed else percent(summary.errors[seed])
