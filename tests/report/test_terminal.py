"""Tables on the terminal: all settings, or the best of very many, at any width."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from benchmarks.synthetic import SEEDS, synthetic
from explorer.report.terminal import MOST_ROWS, print_verdict
from explorer.study.plan import plan_of
from explorer.verbs.command_line import read_command
from explorer.verbs.plan import Forecast, print_forecast


@pytest.mark.parametrize("designs", [MOST_ROWS, MOST_ROWS + 1])
def test_of_very_many_settings_the_best_are_told(designs: int) -> None:
    study, output = synthetic(read_command(["study=equal_params"]).study, SEEDS * designs, 1), io.StringIO()
    print_verdict(study.finding, "Which?", Console(file=output, width=200))
    names = [line.split()[0] for line in output.getvalue().splitlines() if line.strip()]
    best = sorted(study.finding.summaries, key=lambda summary: summary.estimate.mean)[:MOST_ROWS]
    told = [name for name in names if name in {summary.setting for summary in study.finding.summaries}]
    assert sorted(told) == sorted(summary.setting for summary in best)
    assert ("The 100 lowest of 101 settings; the page has all." in output.getvalue()) == (designs > MOST_ROWS)


@pytest.mark.parametrize("show", ["verdict", "plan"])
@pytest.mark.parametrize("width", [70, 80, 120])
def test_a_deviation_stays_with_its_unit_on_a_narrow_terminal(show: str, width: int) -> None:
    config, output = read_command(["study=equal_params"]).study, io.StringIO()
    console = Console(file=output, width=width)
    if show == "verdict":
        found = synthetic(config, 2 * SEEDS, 1).finding
        met = [replace(one, params_deviation=0.0, macs_deviation=0.0) for one in found.summaries]
        print_verdict(replace(found, summaries=met), "Which?", console)
    else:
        plan = plan_of(config)
        forecast = Forecast(plan, plan.settings, None, [], None, [], {one: [] for one in plan.settings})
        print_forecast(forecast, console)
    lines = [line.split() for line in output.getvalue().splitlines()]
    assert [words for words in lines if words[:1] == ["%"]] == []
    assert any("+0.00" in words for words in lines)
