"""What a search's record must hold of a design, and what is left of a record that has lost some of it."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from explorer.record import folder as study
from explorer.record import records, table
from explorer.record.rows import Decision
from tests.record.test_records import EPOCHS, OUTCOME, RECORD

RUNGS = (1, 3)
FAILED = replace(OUTCOME, correct=b"", test_images=0)
Rows = dict[str, pd.DataFrame]


def decisions(setting: str, *steps: tuple[str, int], by: str = "tpe") -> list[Decision]:
    return [Decision(setting, word, epochs, 0.4 if epochs else None, by) for word, epochs in steps]


CHOSEN, ON, ON_AGAIN = ("chosen", 0), ("continued", 1), ("continued", 3)
STOPPED, STOPPED_LATE = ("stopped", 1), ("stopped", 3)


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    """A design trained to its end, one stopped at the first rung, one drawn at random, one that waits at a rung."""
    records.open_for_writing(tmp_path, searches=True, rungs=RUNGS)
    for setting, steps in {"end": [CHOSEN, ON, ON_AGAIN], "stop": [CHOSEN, STOPPED], "wait": [CHOSEN, ON]}.items():
        records.decide(tmp_path, decisions(setting, *steps))
    records.decide(tmp_path, decisions("drawn", CHOSEN, by="baseline"))
    records.commit(tmp_path, replace(RECORD, run="e", setting="end"), EPOCHS, OUTCOME)
    pruned = replace(RECORD, run="s", setting="stop", status="pruned", epochs=1, test_error=None)
    records.commit(tmp_path, pruned, EPOCHS[:1], FAILED)
    records.commit(tmp_path, replace(RECORD, run="d", setting="drawn"), EPOCHS, OUTCOME)
    return {name: table.read(tmp_path / name, kind) for name, kind in records.kinds_of(searches=True).items()}


def told(rows: records.Rows) -> dict[str, list[str]]:
    """The runs of each table, and the decisions."""
    found = {name: list(rows[name]["run"]) for name in study.TABLES}
    return found | {study.DECISIONS: list(rows[study.DECISIONS]["setting"] + " " + rows[study.DECISIONS]["decision"])}


def assert_same(found: records.Rows, expected: records.Rows) -> None:
    assert found.keys() == expected.keys()
    for name, rows in found.items():
        pd.testing.assert_frame_equal(rows, expected[name])


def without(rows: Rows, name: str, **cells: str) -> Rows:
    """The same without the rows of a table that have these cells."""
    kept = rows[name][(rows[name][[*cells]].astype(str) != [*cells.values()]).any(axis=1)]
    assert len(kept) < len(rows[name])
    return {**rows, name: kept}


def test_a_whole_record_lacks_nothing_and_stays_as_it_is(rows: Rows) -> None:
    assert records.missing(rows, RUNGS) == {}
    assert_same(records.holding(rows, RUNGS), rows)


@pytest.mark.parametrize(
    ("name", "cells", "lost"),
    [
        (study.EPOCHS, {"run": "e", "epoch": "2"}, {study.EPOCHS: ["e"]}),
        (study.CORRECT, {"run": "d"}, {study.CORRECT: ["d"]}),
        (study.RUNS, {"run": "e"}, {study.RUNS: ["e"]}),  # rows of others stand behind what is left of it
        (study.DECISIONS, {"setting": "end", "epochs": "3"}, {study.DECISIONS: ["end"]}),
        (study.DECISIONS, {"setting": "end", "epochs": "1"}, {study.DECISIONS: ["end"]}),
        (study.DECISIONS, {"setting": "stop", "epochs": "1"}, {study.DECISIONS: ["stop"]}),
        (study.DECISIONS, {"setting": "drawn"}, {study.DECISIONS: ["drawn"]}),
        (study.DECISIONS, {"setting": "wait"}, {}),  # nothing else speaks of it
    ],
)
def test_what_is_gone_is_named_by_its_table(rows: Rows, name: str, cells: dict[str, str], lost: object) -> None:
    assert records.missing(without(rows, name, **cells), RUNGS) == lost


def test_two_runs_that_were_never_committed_are_one_too_many(rows: Rows) -> None:
    last = without(rows, study.RUNS, run="d")
    assert records.missing(last, RUNGS) == {}  # it was being written down
    assert records.uncommitted(last) == {study.EPOCHS: {"d"}, study.CORRECT: {"d"}}
    assert records.missing(without(last, study.RUNS, run="s"), RUNGS) == {study.RUNS: ["d", "s"]}


@pytest.mark.parametrize(
    ("name", "cells", "runs", "kept"),
    [
        (study.EPOCHS, {"run": "e", "epoch": "1"}, ["s", "d"], ["end chosen", "end continued", "end continued"]),
        (study.CORRECT, {"run": "e"}, ["s", "d"], ["end chosen", "end continued", "end continued"]),
        (study.RUNS, {"run": "e"}, ["s", "d"], ["end chosen", "end continued", "end continued"]),
        (study.DECISIONS, {"setting": "end", "epochs": "1"}, ["s", "d"], ["end chosen"]),
        (study.DECISIONS, {"setting": "end", "epochs": "0"}, ["s", "d"], []),
    ],
)
def test_a_record_that_lost_some_of_a_design_keeps_the_others_whole(
    rows: Rows, name: str, cells: dict[str, str], runs: list[str], kept: list[str]
) -> None:
    found = told(records.holding(without(rows, name, **cells), RUNGS))
    assert found == {
        study.RUNS: runs,
        study.EPOCHS: ["s", "d", "d"],
        study.CORRECT: ["d"],
        study.DECISIONS: [*kept, "stop chosen", "stop stopped", "wait chosen", "wait continued", "drawn chosen"],
    }


def test_a_run_that_was_not_tested_lacks_no_correctness(tmp_path: Path) -> None:
    records.open_for_writing(tmp_path)
    records.commit(tmp_path, replace(RECORD, test_error=None), EPOCHS, FAILED)
    assert records.open_for_writing(tmp_path)[0] == []
    assert records.load_correct(tmp_path) == {}
    assert list(records.load(tmp_path).runs["status"]) == ["ok"]


def test_a_decision_that_is_there_twice_counts_once(rows: Rows) -> None:
    decided = rows[study.DECISIONS]
    twice = {**rows, study.DECISIONS: pd.concat([decided, decided[1:2]])}
    assert records.missing(twice, RUNGS) == {study.DECISIONS: ["end"]}
    assert_same(records.holding(twice, RUNGS), rows)


@pytest.mark.parametrize(
    ("steps", "ended", "is_whole"),
    [
        ([CHOSEN], set(), True),
        ([CHOSEN, ON], set(), True),
        ([CHOSEN, STOPPED], set(), True),
        ([CHOSEN, STOPPED], {"pruned"}, True),
        ([CHOSEN, ON, STOPPED_LATE], {"pruned"}, True),
        ([CHOSEN, ON, ON_AGAIN], {"ok"}, True),
        ([CHOSEN, ON, ON_AGAIN], {"ok", "diverged"}, True),
        ([CHOSEN], {"diverged"}, True),
        ([], {"ok"}, False),
        ([ON], set(), False),
        ([CHOSEN, CHOSEN], set(), False),
        ([CHOSEN, ON, CHOSEN], set(), False),
        ([CHOSEN, STOPPED, ON_AGAIN], set(), False),
        ([CHOSEN, STOPPED, STOPPED_LATE], {"pruned"}, False),
        ([CHOSEN, ON_AGAIN], set(), False),  # the first rung is gone
        ([CHOSEN, ON_AGAIN, ON], set(), False),
        ([CHOSEN, ON, ON], set(), False),
        ([CHOSEN, ON], {"pruned"}, False),
        ([CHOSEN], {"pruned"}, False),
        ([CHOSEN, ON], {"ok"}, False),  # the second rung is gone
        ([CHOSEN, STOPPED], {"ok"}, False),
        ([CHOSEN, ON, STOPPED_LATE], {"ok"}, False),
    ],
)
def test_a_design_was_chosen_then_judged_at_one_rung_after_the_other(
    steps: list[tuple[str, int]], ended: set[str], is_whole: bool
) -> None:
    decided = pd.DataFrame(decisions("one", *steps), columns=["setting", "decision", "epochs", "error", "by"])
    runs = pd.DataFrame({"setting": "one", "status": sorted(ended)})
    found = records._undecided({study.DECISIONS: decided, study.RUNS: runs}, RUNGS)
    assert found == (set() if is_whole else {"one"})


def test_without_known_rungs_their_order_alone_is_looked_at() -> None:
    def whole(*steps: tuple[str, int], ended: str = "", by: str = "tpe") -> bool:
        return records._is_whole([(*step, by) for step in steps], {ended} if ended else set(), ())

    assert whole(CHOSEN, ("continued", 9), ("continued", 10), ended="ok")  # as numbers: 9 comes before 10
    assert not whole(CHOSEN, ("continued", 10), ("continued", 9))
    assert whole(CHOSEN, ended="ok")
    assert whole(CHOSEN, ended="ok", by="baseline")
