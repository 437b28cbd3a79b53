"""What a study found, in one value and one sentence."""

from dataclasses import dataclass

import pandas as pd

from explorer.analysis.paired import MIN_PAIRS, Comparison, compare
from explorer.analysis.summary import SettingSummary, summarise
from explorer.design import display_name, parse_name
from explorer.wording import points


@dataclass(frozen=True)
class Finding:
    """Summaries of all settings in the study's order, and the declared contrast; None until both sides have a run.

    wanted  final runs the study is meant to have; `final` those it has
    """

    summaries: list[SettingSummary]
    comparison: Comparison | None
    measure: str
    wanted: int
    final: int

    @property
    def complete(self) -> bool:
        """Whether every run is in."""
        return self.final >= self.wanted


def find(runs: pd.DataFrame, settings: list[str], contrast: tuple[str, str], seeds: int) -> Finding:
    """Judge a record: settings were fixed in advance, so the verdict is on the test error after the last epoch."""
    wanted = runs[runs["setting"].isin(settings) & (runs["seed"] < seeds)]
    summaries = summarise(wanted, settings, "test_error")
    by_name = {summary.setting: summary for summary in summaries}
    first, second = (by_name.get(name) for name in contrast)
    comparison = compare(first, second) if first and second else None
    return Finding(
        summaries=summaries,
        comparison=comparison,
        measure="test_error",
        wanted=len(settings) * seeds,
        final=sum(len(summary.errors) for summary in summaries),
    )


def sentence(finding: Finding) -> str:
    """The verdict in one sentence, with size, interval, n and p."""
    comparison = finding.comparison
    if comparison is None:
        return "No verdict yet: the declared contrast has no pair of finished runs."
    first, second = (display_name(parse_name(name)) for name in (comparison.setting, comparison.against))
    difference = comparison.difference
    size = f"test error is {abs(difference.mean) * 100:.2f} points {'lower' if difference.mean < 0 else 'higher'}"
    if difference.n < MIN_PAIRS:
        pairs = "1 pair of seeds is" if difference.n == 1 else f"{difference.n} pairs of seeds are"
        return f"Inconclusive: {pairs} too few for a verdict; so far the {size} for {first} than for {second}."
    numbers = (
        f"95 % interval of the difference {points(difference.low)} to {points(difference.high)}, "
        f"n = {difference.n} paired seeds, p = {comparison.p:.2g}"
    )
    if not finding.complete:
        runs = f"{finding.final} of {finding.wanted} runs are in"
        return f"Preliminary, {runs}: so far the {size} for {first} than for {second} ({numbers}); no verdict yet."
    if comparison.verdict == "inconclusive":
        return f"Inconclusive: {first} does not differ clearly from {second}; its {size} ({numbers})."
    return f"{first} {comparison.verdict} {second}: its {size} ({numbers})."
