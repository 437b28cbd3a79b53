"""What the table of settings on a page says of each: in which order, and how far from the rival of the contrast."""

from collections.abc import Mapping
from dataclasses import dataclass

from explorer.analysis.finding import Finding
from explorer.analysis.paired import Comparison
from explorer.analysis.summary import MIN_PAIRS, SettingSummary
from explorer.design.name import display_setting
from explorer.host.formatting import less, less_interval
from explorer.report.error_words import claimed

FIRST_ROWS = 25  # rows of a page of the table, and the rows that are printed


@dataclass(frozen=True)
class Beside:
    """By how many points the error of a setting is less than that of the rival, as fractions and as text.

    The ends are None, and `ends` is empty, where no interval is claimed; `ends` says so where there are too few pairs.
    """

    mean: float
    low: float | None
    high: float | None
    words: str
    ends: str


def by_error(finding: Finding) -> list[SettingSummary]:
    """The settings, the lowest error first; those of which no run came through last."""
    return sorted(finding.summaries, key=lambda one: (not one.came_through, one.estimate.mean))


def beside_rival(finding: Finding) -> Mapping[str, Beside]:
    """By setting, how it stands beside the second setting of the contrast; empty without a pair of runs to compare."""
    found = [finding.comparison, *finding.others] if finding.comparison is not None else []
    return {one.setting: _beside(one) for one in found if one is not None and one.difference.n}


def rival_of(finding: Finding) -> str:
    """The name of the second setting of the contrast, as pages show it; "" where none is compared with it."""
    return display_setting(finding.comparison.against) if finding.comparison and beside_rival(finding) else ""


def _beside(one: Comparison) -> Beside:
    known = claimed(one.difference)
    if known.has_interval:
        ends = less_interval(known.low, known.high)
    else:
        ends = "" if known.n >= MIN_PAIRS else "1 pair" if known.n == 1 else f"{known.n} pairs"
    return Beside(
        mean=0.0 - known.mean,
        low=-known.high if known.has_interval else None,
        high=-known.low if known.has_interval else None,
        words=less(known.mean),
        ends=ends,
    )
