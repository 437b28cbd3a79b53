"""Tables and sentences on the terminal: all settings, or the best of very many, at any width."""

import io
import math
import re
from dataclasses import replace

import pytest
from rich.console import Console

from benchmarks.synthetic import SEEDS, synthetic
from explorer.analysis.judging import open_study
from explorer.analysis.sentences import sentence
from explorer.host.console import say
from explorer.host.tables import print_rows
from explorer.report.terminal import MOST_ROWS, print_verdict
from explorer.study.plan import plan_of
from explorer.verbs.command_line import read_command
from explorer.verbs.plan import Forecast, print_forecast
from explorer.verbs.run_times import RunTimes
from tests.test_layers import ROOT


def terminal(width: int) -> tuple[Console, io.StringIO]:
    shown = io.StringIO()
    return Console(file=shown, width=width, force_terminal=True, color_system=None), shown


@pytest.mark.parametrize("designs", [MOST_ROWS, MOST_ROWS + 1])
def test_of_very_many_settings_the_best_are_told(designs: int) -> None:
    study, output = synthetic(read_command(["study=equal_params"]).study, SEEDS * designs, 1), io.StringIO()
    print_verdict(study.finding, "Which?", Console(file=output, width=200))
    best = sorted(study.finding.summaries, key=lambda summary: summary.estimate.mean)[:MOST_ROWS]
    rows = [line.strip() for line in output.getvalue().splitlines() if " M " in line]
    told = [one.display for row in rows for one in study.finding.summaries if row.startswith(f"{one.display} ")]
    assert sorted(told) == sorted(summary.display for summary in best)
    assert ("The 25 lowest of 26 settings; the page has all." in output.getvalue()) == (designs > MOST_ROWS)


@pytest.mark.parametrize("show", ["verdict", "plan"])
@pytest.mark.parametrize("width", [40, 70, 80, 120])
def test_no_number_is_torn_from_its_unit(show: str, width: int) -> None:
    config, (console, shown) = read_command(["study=equal_params"]).study, terminal(width)
    if show == "verdict":
        found = synthetic(config, 2 * SEEDS, 1).finding
        met = [replace(one, params_deviation=0.0, macs_deviation=0.0) for one in found.summaries]
        print_verdict(replace(found, summaries=met), "Which?", console)
    else:
        plan = plan_of(config)
        forecast = Forecast(plan, plan.settings, None, [], RunTimes(None, []))
        print_forecast(forecast, console)
    lines = [line.rstrip() for line in shown.getvalue().splitlines()]
    assert max(map(len, lines)) <= width
    assert [line for line in lines if re.match(r"[ ]*(%|M\b|points\b|[\d.,]+$|to )", line)] == []
    assert [line for line in lines if re.search(r"([pn] [=<]|[ ]to|\([^)]*x\d+d,)$", line)] == []
    assert any("+0.00 %" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "colour"), [("equal_params_cifar10_jpeg", "\x1b[1;32m"), ("literal_16px_cifar10_jpeg", "\x1b[1m")]
)
def test_the_verdict_comes_last_in_the_colour_of_its_mood(name: str, colour: str) -> None:
    found, shown = open_study(ROOT / "studies" / name).finding, io.StringIO()
    print_verdict(found, "Which?", Console(file=shown, width=80, force_terminal=True, color_system="truecolor"))
    words = shown.getvalue().rsplit("Which?", 1)[1].split(colour)
    lines = [part.removesuffix("\x1b[0m\n") for part in words[-math.ceil(len(sentence(found)) / 60) :]]
    assert " ".join(lines).endswith(sentence(found))


def test_a_table_too_wide_for_the_terminal_is_a_list() -> None:
    console, shown = terminal(32)
    columns = ("setting", "params", "95 %\ninterval")
    print_rows(console, "", columns, [("29-32x4d", ("4,775,754", "-2.82 %"), "5.10 to 6.38 %"), ("a", "1", "")])
    said = "29-32x4d\n  params  4,775,754 -2.82 %\n  95 % interval  5.10 to 6.38 %\na\n  params  1\n"
    assert shown.getvalue() == said


def test_a_log_has_each_sentence_in_one_line() -> None:
    shown = io.StringIO()
    say(Console(file=shown, width=20), "ResNeXt-29 (32x4d) has 5.10 to 6.38 % of 1,234 images, p < 0.0001")
    assert shown.getvalue() == "ResNeXt-29 (32x4d) has 5.10 to 6.38 % of 1,234 images, p < 0.0001\n"
