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
    has_contrast: bool

    @property
    def complete(self) -> bool:
        """Whether every run is in."""
        return self.final >= self.wanted


def find(
    runs: pd.DataFrame,
    settings: list[str],
    contrast: tuple[str, str] | None,
    seeds: int,
    *,
    designs: int | None = None,
    measure: str = "test_error",
) -> Finding:
    """Judge a record on the error after the last epoch: `test_error` where settings were fixed in advance.

    A search, whose `designs` are chosen as it goes, is told by `val_error`: the test may not choose.
    """
    wanted = runs[runs["setting"].isin(settings) & (runs["seed"] < seeds)]
    summaries = summarise(wanted, settings, measure)
    by_name = {summary.setting: summary for summary in summaries}
    first, second = (by_name.get(name) for name in contrast) if contrast else (None, None)
    comparison = compare(first, second) if first and second else None
    return Finding(
        summaries=summaries,
        comparison=comparison,
        measure=measure,
        wanted=(len(settings) if designs is None else designs) * seeds,
        final=sum(len(summary.errors) for summary in summaries),
        has_contrast=contrast is not None,
    )


def sentence(finding: Finding) -> str:
    """The verdict in one sentence, with size, interval, n and p."""
    comparison = finding.comparison
    if finding.measure == "val_error":
        return _search_sentence(finding)
    if comparison is None and not finding.has_contrast:
        return "No verdict: the study declares no contrast; the settings are listed with their test errors."
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


def _search_sentence(finding: Finding) -> str:
    if not finding.summaries:
        return "No design has been trained yet."
    best = min(finding.summaries, key=lambda summary: summary.estimate.mean)
    state = "" if finding.complete else f"So far, with {finding.final} of {finding.wanted} runs in: "
    seeds = "1 seed" if best.estimate.n == 1 else f"{best.estimate.n} seeds"
    return (
        f"{state}Of {len(finding.summaries)} designs tried, {display_name(parse_name(best.setting))} has the lowest "
        f"validation error, {best.estimate.mean * 100:.2f} % ({seeds}). The lowest of many is flattered by chance, and "
        "the test images have not been looked at: train it with new seeds before you believe it."
    )
