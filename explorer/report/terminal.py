"""Prints tables and verdicts on the terminal."""

import math
from collections.abc import Callable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from explorer.analysis.check_sentences import robustness_sentence
from explorer.analysis.final_round import FinalRound
from explorer.analysis.finding import Finding
from explorer.analysis.robustness import Robustness
from explorer.analysis.sentences import (
    learning_rate_sentence,
    linear_guess_sentence,
    search_history_sentence,
    sentence,
    trend_sentence,
)
from explorer.design.cost_measures import MEASURES
from explorer.design.name import display_setting
from explorer.host.formatting import (
    ERROR_NAMES,
    NOTED,
    cost,
    counted,
    less,
    less_interval,
    millions,
    percent,
    signed_percent,
)
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
from explorer.report.robustness import declared_gap, word_of

MOST_WIDTH = 10_000  # columns of text; more than any table has
MOST_ROWS = 100  # most settings in a table: laying out ten thousand rows would take longer than judging them


def print_verdict(finding: Finding, question: str, console: Console, *, regime: str = "") -> None:
    """Print the table of settings and the sentence that answers the question, with that on the length of training."""
    shown = in_order(finding)
    if len(shown) > MOST_ROWS:
        shown = sorted(shown, key=lambda summary: (not summary.came_through, summary.estimate.mean))[:MOST_ROWS]

    def table(between: str) -> Table:
        error = ERROR_NAMES[finding.measure].replace(" ", "\n")  # two short lines are narrower than one
        added = list(dict.fromkeys(name for one in shown for name in one.added))
        titles = [MEASURES[name].title.replace(" ", "\n", 1) for name in added]
        columns = ("params", "MACs", *titles, error, "95 %\ninterval", "seeds")
        found = plain_table(question, "setting", *columns)
        for one in shown:
            found.add_row(
                one.setting,
                with_deviation(f"{one.params:,}", one.params_deviation, between),
                with_deviation(millions(one.macs), one.macs_deviation, between),
                *(cost(name, one.added[name]) if name in one.added else "-" for name in added),
                mean_words(one),
                interval_words(one),
                seeds_words(one),
            )
        return found

    print_table(table, console)
    if lack_interval(shown):
        console.print(NEEDED, highlight=False)
    if len(shown) < len(finding.summaries):
        words = f"The {MOST_ROWS} lowest of {len(finding.summaries):,} settings; the page has all."
        console.print(words, highlight=False)
    if finding.has_told_costs:
        console.print(TOLD_COSTS, highlight=False)
    if not finding.complete:
        console.print(f"{finding.final} of {finding.wanted} runs are in.", highlight=False)
    if finding.final_round is not None and finding.final_round.summaries:
        console.print(_final_table(finding.final_round))
    console.print(escape(sentence(finding)), style="bold", highlight=False)
    if regime:
        console.print(escape(regime), highlight=False)
    if finding.note:
        console.print(escape(f"{NOTED} {finding.note}"), highlight=False)
    if finding.robustness is not None and finding.robustness.is_begun:
        console.print(checks_table(finding, finding.robustness))
    chance = search_history_sentence(finding) if finding.complete else ""
    guess = linear_guess_sentence(finding) if finding.complete else ""
    further = robustness_sentence(finding), trend_sentence(finding), chance, guess, learning_rate_sentence(finding)
    for words in filter(None, further):
        console.print(escape(words), highlight=False)


def _final_table(found: FinalRound) -> Table:
    """The designs of a search's final round, the one that validation chose first, with the errors of the round."""
    columns = ("params", "MACs", "chosen\nby", "test\nerror", "95 %\ninterval", "n")
    images = f" on {counted(found.images, 'image')}" if found.images is not None else ""
    often = "once" if found.looks == 1 else f"in {found.looks} rounds"
    table = plain_table(f"The final round: trained anew, tested{images} {often}", "design", *columns)
    for one in found.summaries:
        table.add_row(
            one.setting,
            f"{one.params:,}",
            millions(one.macs),
            percent(found.validation[one.setting]),
            mean_words(one),
            interval_words(one),
            final_seeds_words(found, one),
        )
    return table


def checks_table(finding: Finding, found: Robustness) -> Table:
    """The declared contrast and every arm of its robustness checks; words of arms that decide nothing in brackets."""
    assert finding.comparison is not None
    title = f"Robustness checks (points of error less than {display_setting(finding.comparison.against)})"
    table = plain_table(title, "arm", "less", "95 % interval", "n", "change", "")
    gap = declared_gap(finding)
    table.add_row("declared", less(gap.mean), less_interval(gap.low, gap.high), str(gap.n), "", "")
    for arm in (arm for check in found.checks for arm in check.arms):
        interval = less_interval(arm.gap.low, arm.gap.high) if arm.gap.n else "-"
        table.add_row(arm.arm.name, less(arm.gap.mean), interval, str(arm.gap.n), less(arm.change.mean), word_of(arm))
    return table


def plain_table(title: str, first: str, *columns: str) -> Table:
    """A table without a frame that fits 80 columns; on a narrower terminal numbers wrap and names stay whole."""
    table = Table(
        title=escape(title),
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", overflow="fold")
    return table


def with_deviation(count: str, deviation: float | None, between: str) -> str:
    """A count and its deviation from the budget's reference, if there is one: `4,775,754 -2.82 %`."""
    known = deviation is not None and not math.isnan(deviation)
    return f"{count}{between}{signed_percent(deviation)}" if known else count


def print_table(table: Callable[[str], Table], console: Console) -> None:
    """Print a table whose cells `with_deviation` makes: `table` is given what stands between count and deviation.

    That is a space, or on a terminal too narrow for the table a line break: rich would break before the unit.
    """
    wide = table(" ")
    needed = console.measure(wide, options=console.options.update(max_width=MOST_WIDTH)).maximum
    console.print(wide if needed <= console.width else table("\n"))
