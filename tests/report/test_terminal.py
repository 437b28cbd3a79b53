"""The verdict on the terminal: all settings, or the best of very many."""

import io

import pytest
from rich.console import Console

from benchmarks.synthetic import SEEDS, synthetic
from explorer.report.terminal import MOST_ROWS, print_verdict
from explorer.verbs.command_line import read_command


@pytest.mark.parametrize("designs", [MOST_ROWS, MOST_ROWS + 1])
def test_of_very_many_settings_the_best_are_told(designs: int) -> None:
    study, output = synthetic(read_command(["study=equal_params"]).study, SEEDS * designs, 1), io.StringIO()
    print_verdict(study.finding, "Which?", Console(file=output, width=200))
    names = [line.split()[0] for line in output.getvalue().splitlines() if line.strip()]
    best = sorted(study.finding.summaries, key=lambda summary: summary.estimate.mean)[:MOST_ROWS]
    told = [name for name in names if name in {summary.setting for summary in study.finding.summaries}]
    assert sorted(told) == sorted(summary.setting for summary in best)
    assert ("The 100 lowest of 101 settings; the page has all." in output.getvalue()) == (designs > MOST_ROWS)
