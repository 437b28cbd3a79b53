"""Prints tables and verdicts on the terminal."""

import math

from rich.console import Console

from explorer.analysis.check_sentences import robustness_sentence
from explorer.analysis.final_round import FinalRound
from explorer.analysis.finding import Finding
from explorer.analysis.robustness import Robustness
from explorer.analysis.sentences import (
    learning_rate_sentence,
    linear_guess_sentence,
    mood,
    search_history_sentence,
    sentence,
    trend_sentence,
)
from explorer.design.cost_measures import MEASURES
from explorer.design.name import display_setting
from explorer.host.console import say
from explorer.host.formatting import (
    ERROR_NAMES,
    NOTED,
    cost,
    counted,
    less,
    millions,
    percent,
    signed_percent,
)
from explorer.host.tables import Cell, print_rows
from explorer.report.error_words import (
    NEEDED,
    TOLD_COSTS,
    final_seeds_words,
    in_order,
    interval_words,
    lack_interval,
    mean_words,
    seeds_words,
)
from explorer.report.robustness import declared_gap, gap_interval, word_of

MOST_ROWS = 25  # most settings in a table: the page has all, and a verdict should stand on the screen with it
MOODS = {"yes": "bold green", "no": "bold dark_orange", "open": "bold"}  # the page's three colours of a verdict


def print_verdict(finding: Finding, question: str, console: Console, *, regime: str = "") -> None:
    """Print the table of settings, what belongs to it, and last the sentence that answers the question."""
    _print_settings(finding, question, console)
    if finding.final_round is not None and finding.final_round.summaries:
        _print_final(finding.final_round, console)
    if finding.robustness is not None and finding.robustness.is_begun:
        print_checks(finding, finding.robustness, console)
    chance = search_history_sentence(finding) if finding.complete else ""
    guess = linear_guess_sentence(finding) if finding.complete else ""
    further = trend_sentence(finding), chance, guess, learning_rate_sentence(finding), regime
    for words in filter(None, further):
        say(console, words)
    if finding.note:
        say(console, f"{NOTED} {finding.note}")
    if words := robustness_sentence(finding):
        say(console, words)
    if not finding.complete:
        say(console, f"{finding.final} of {finding.wanted} runs are in.")
    say(console, sentence(finding), style=MOODS[mood(finding)])


def _print_settings(finding: Finding, question: str, console: Console) -> None:
    shown = in_order(finding)
    if len(shown) > MOST_ROWS:
        shown = sorted(shown, key=lambda summary: (not summary.came_through, summary.estimate.mean))[:MOST_ROWS]
    error = ERROR_NAMES[finding.measure].replace(" ", "\n")  # two short lines are narrower than one
    added = list(dict.fromkeys(name for one in shown for name in one.added))
    titles = [MEASURES[name].title.replace(" ", "\n", 1) for name in added]
    columns = ("setting", "params", "MACs", *titles, error, "95 %\ninterval", "seeds")
    rows = [
        (
            one.display,
            with_deviation(f"{one.params:,}", one.params_deviation),
            with_deviation(millions(one.macs), one.macs_deviation),
            *(cost(name, one.added[name]) if name in one.added else "-" for name in added),
            mean_words(one),
            interval_words(one),
            seeds_words(one),
        )
        for one in shown
    ]
    print_rows(console, question, columns, rows)
    if lack_interval(shown):
        say(console, NEEDED)
    if len(shown) < len(finding.summaries):
        say(console, f"The {MOST_ROWS} lowest of {len(finding.summaries):,} settings; the page has all.")
    if finding.has_told_costs:
        say(console, TOLD_COSTS)


def _print_final(found: FinalRound, console: Console) -> None:
    """The designs of a search's final round, the one that validation chose first, with the errors of the round."""
    images = f" on {counted(found.images, 'image')}" if found.images is not None else ""
    often = "once" if found.looks == 1 else f"in {found.looks} rounds"
    columns = ("design", "params", "MACs", "chosen\nby", "test\nerror", "95 %\ninterval", "n")
    rows = [
        (
            one.display,
            f"{one.params:,}",
            millions(one.macs),
            percent(found.validation[one.setting]),
            mean_words(one),
            interval_words(one),
            final_seeds_words(found, one),
        )
        for one in found.summaries
    ]
    print_rows(console, f"The final round: trained anew, tested{images} {often}", columns, rows)


def print_checks(finding: Finding, found: Robustness, console: Console) -> None:
    """The declared contrast and every arm of its robustness checks; words of arms that decide nothing in brackets."""
    assert finding.comparison is not None
    gap = declared_gap(finding)
    rows = [("declared", less(gap.mean), gap_interval(gap), str(gap.n), "", "")]
    for arm in (arm for check in found.checks for arm in check.arms):
        change = less(arm.change.mean)
        rows.append((arm.arm.name, less(arm.gap.mean), gap_interval(arm.gap), str(arm.gap.n), change, word_of(arm)))
    title = f"Robustness checks (points of error less than {display_setting(finding.comparison.against)})"
    print_rows(console, title, ("arm", "less", "95 % interval", "n", "change", ""), rows)


def with_deviation(count: str, deviation: float | None) -> Cell:
    """A count and its deviation from the budget's reference, if there is one: `4,775,754 -2.82 %`."""
    known = deviation is not None and not math.isnan(deviation)
    return (count, signed_percent(deviation)) if known else count
