"""A start with a time limit: what it begins, how it stops, what it says, and how the next one goes on."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.host import signals
from explorer.host.errors import InputError
from explorer.host.formatting import hours_key, hours_words
from explorer.record.starts import stop_of, stop_words
from explorer.report.page import render_page
from explorer.search.time_limit import Pace, TimeLimit, last_end, that_fit
from explorer.study.designs import Setting
from explorer.study.plan import plan_of
from explorer.study.run import EpochResult, Run
from explorer.study.runs import runs_of
from explorer.study.settings import StudyConfig
from explorer.verbs.command_line import read_command
from explorer.verbs.in_short import in_full
from tests.conftest import TINY
from tests.faults.record import differences, record_of
from tests.report.reading import plain
from tests.study.test_planning import EXECUTION

QUICK = ["storage=none", "report.live=false", "search.seeds=3"]


def test_jobs_begin_in_their_order_on_whatever_worker_is_free_first() -> None:
    assert last_end([], 2) == 0
    assert last_end([3, 2, 2], 2) == 4
    assert last_end([3, 2, 2], 2, busy=[1]) == 5
    assert last_end([3], 1, busy=[5]) == 8
    assert that_fit([[2, 2], [2, 2], [2, 2]], 2, 5) == (4, 2)
    assert that_fit([[2, 2], [2, 2]], 2, 1) == (0, 0)
    assert that_fit([[2, 4, 2]], 2, 4) == (3, 1)
    assert that_fit([[2, 2, 2], [1]], 1, 5) == (2, 0)
    assert that_fit([], 1, 5) == (0, 0)


def limit_of(tiny: StudyConfig, left: float) -> tuple[TimeLimit, list[tuple[Setting, Run]]]:
    """A limit with so many seconds left, and the runs of two settings with two seeds, of which each takes 10 s."""
    plan = plan_of(replace(tiny, search=replace(tiny.search, seeds=2)))
    runs = runs_of(plan, plan.settings, EXECUTION, "hash")
    pace = Pace({setting.name: [10.0] for setting, _ in runs})
    found = TimeLimit(lambda: left, lambda run, setting: 1.0, lambda setting: 1.0, 1, True, pace, lambda: 0.0)
    return found, runs


@pytest.mark.parametrize(("left", "begun"), [(float("inf"), 4), (45, 4), (39, 2), (25, 2), (15, 1), (5, 4)])
def test_whole_seeds_are_begun_and_parts_only_where_nothing_else_is(tiny: StudyConfig, left: float, begun: int) -> None:
    found, waiting = limit_of(tiny, left)
    number, spent = 0, 0.0
    found.left = lambda: left - spent
    while waiting and found.admits(waiting, lambda _: 0.0):
        setting, run = waiting.pop(0)
        found.begin(setting, run, 0.0)
        found.end(run.id)
        number, spent = number + 1, spent + 10
    assert number == begun


def test_what_a_checkpoint_holds_is_not_to_be_trained_again(tiny: StudyConfig) -> None:
    found, waiting = limit_of(tiny, 12)
    found.begin(*waiting[-1], 0.0)  # another seed, which ends at 10 s
    found.end(waiting[-1][1].id)
    assert not found.admits(waiting[:2], lambda _: 0.0)
    assert found.admits(waiting[:2], lambda _: 5.0)
    assert found.has_time_for_another(1)
    assert not found.has_time_for_another(2)


def test_epochs_of_this_start_say_what_a_run_takes(tiny: StudyConfig) -> None:
    found, waiting = limit_of(tiny, 99)
    (setting, run), (other, _) = waiting[:2]
    found.begin(setting, run, 0.0)
    found.epoch(setting, run, EpochResult(1, 0.1, 1.0, 0.5, 0.5, 30.0), 0.5)
    assert found.pace.seconds(setting.name, 1.0) == 60
    assert found.pace.seconds(other.name, 1.0) == 10  # as its own recorded runs
    assert not found.admits(waiting[2:], lambda _: 0.0)  # 30 s more, then 60 and 10
    assert Pace().seconds("a", 1.0) is None


@pytest.mark.parametrize(
    ("hours", "words", "key"),
    [
        (2, "2 h", "search.hours=2"),
        (1.5, "1 h 30 min", "search.hours=1.5"),
        (1 / 60, "60 s", "budget=time:60s"),
        (0.1, "6 min", "search.hours=0.1"),
        (14.4 / 3600, "14.4 s", "budget=time:14.4s"),
    ],
)
def test_hours_are_said_as_a_person_would(hours: float, words: str, key: str) -> None:
    assert (hours_words(hours), hours_key(hours)) == (words, key)
    given, _ = in_full([key], {"budget": [], "data": []})
    assert float(given[0].partition("=")[2]) == pytest.approx(hours, rel=1e-5)


def test_a_budget_of_time_leaves_the_other_budget_as_it_is() -> None:
    alone = read_command([*TINY, "budget=time:1h30min"])
    assert alone.study.search.hours == 1.5
    assert alone.study.budget == read_command(TINY).study.budget
    both = read_command(["study=equal_params", "budget=macs,time:2h"]).study
    assert both.budget == read_command(["study=equal_params", "budget=macs"]).study.budget
    assert both.search.hours == 2
    assert read_command([*TINY, "search.hours=1h30min"]).study.search.hours == 1.5


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["search.hours=1", "budget=time:2h"], "budget=time:2h: search.hours=1 says the hours of this start too"),
        (["budget=macs,time:2h", "search.hours=1"], "budget=macs,time:2h: search.hours=1 says the hours"),
        (["budget=time:0"], "budget=time:0: time:0 is no time; say for example time:2h, time:1h30min or time:90s"),
        (["budget=time:-1h"], "budget=time:-1h: time:-1h is no time"),
        (["budget=time:1h,time:2h"], "budget=time:1h,time:2h: has two times"),
    ],
)
def test_hours_that_are_said_twice_or_are_none_are_refused(words: list[str], line: str) -> None:
    with pytest.raises(InputError, match=re.escape(line)):
        read_command([*TINY, *words])


@pytest.mark.parametrize("tree", [None, 5, {}, {"hours": "2"}, {"hours": float("nan")}, {"hours": 1e300}])
def test_a_note_of_a_stop_that_cannot_be_is_none(tree: object) -> None:
    assert stop_of({"stopped": tree}) is None
    assert stop_words({"stopped": tree}) == ""


def stopping_after(rows: int) -> Callable[[], float]:
    """The seconds left as a clock says them that stops when so many runs are recorded."""

    def left() -> float:
        table = Path("studies/tiny/runs.csv")
        done = len(table.read_text(encoding="utf-8").splitlines()) - 1 if table.exists() else 0
        return 1000.0 if done < rows else 0.0

    return left


@pytest.mark.real
def test_a_start_stops_in_time_and_another_ends_the_study_as_if_it_had_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "whole").mkdir()
    monkeypatch.chdir(tmp_path / "whole")
    assert main([*TINY, *QUICK]) == 0
    whole = record_of(Path("studies/tiny"))
    capsys.readouterr()
    monkeypatch.chdir(tmp_path)
    assert main(["plan", *TINY, *QUICK, "search.hours=2", "--json"]) == 0
    fitting = json.loads(capsys.readouterr().out)["fitting"]
    assert fitting["hours"] == 2
    assert "This start stops after 2 h (search.hours)" in fitting["words"]
    with monkeypatch.context() as patch:
        patch.setattr(signals, "time_left", stopping_after(2))
        assert main([*TINY, *QUICK, "search.hours=2", "engine.price=3EUR", "--json"]) == 3
    printed = capsys.readouterr()
    told, said = json.loads(printed.out), " ".join(printed.err.split())
    assert "Spent on tiny: " in said
    assert " tiny search.hours=2 engine.price=3EUR" in said  # what goes on with it
    assert told["runs"]["done"] < told["runs"]["wanted"] == 6
    assert told["stopped"]["hours"] == 2
    page = plain(render_page(open_study(Path("studies/tiny"))))
    assert "Stopped after 2 h as asked: " in page
    assert "hours" not in Path("studies/tiny/config.yaml").read_text(encoding="utf-8")
    assert main(["tiny", *QUICK[:2]]) == 0
    assert not differences(record_of(Path("studies/tiny")), whole)
    assert stop_of(json.loads(Path("studies/tiny/environment.json").read_text(encoding="utf-8"))) is None
    assert main(["tiny", "search.hours=2", "--json"]) == 0  # it is finished: nothing is to be stopped


def test_a_start_whose_time_is_over_before_it_begins_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*TINY, *QUICK, "budget=time:0.01s"]) == 3
    assert "before the first run began; nothing is kept" in " ".join(capsys.readouterr().out.split())
    assert not Path("studies/tiny").exists()


@pytest.mark.real
@pytest.mark.parametrize("engine", [["engine=ray"], ["engine=slurm", "engine.executor=local", "engine.gpus=0"]])
def test_a_cluster_stops_in_time_as_this_machine_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(signals, "time_left", stopping_after(2))
        assert main([*TINY, *QUICK, *engine, "search.hours=2", "engine.threads=1"]) == 3
    assert "Stopped after 2 h as asked" in " ".join(capsys.readouterr().out.split())
    assert main(["tiny", *QUICK[:2], *engine]) == 0
    assert open_study(Path("studies/tiny")).progress.left == 0
