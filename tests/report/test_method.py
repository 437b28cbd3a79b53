"""The checklist and what was tried, as the record tells them."""

from dataclasses import replace

import pandas as pd
import pytest

from explorer.analysis.finding import find
from explorer.analysis.intervals import Estimate
from explorer.analysis.judging import OpenedStudy
from explorer.record.records import Record
from explorer.record.rows import Decision
from explorer.report.method import budget_words, checklist, failed_runs, failures, images, places, starts, tried
from explorer.report.page import render_page
from explorer.study.settings import SearchConfig
from tests.analysis.test_statistics import R, X, frame
from tests.report.reading import plain
from tests.report.test_page import study


def answers(made: OpenedStudy) -> dict[str, tuple[str, str]]:
    return {item.asks: (item.answer, item.words) for item in checklist(made)}


def searched(**changes: object) -> OpenedStudy:
    made = study()
    search: SearchConfig = replace(made.config.search, **changes)  # type: ignore[arg-type]
    config = replace(made.config, search=search)
    return replace(made, plan=replace(made.plan, config=config).with_seeds(search.looks[0]))


def test_every_question_is_answered_once_and_shown_on_the_page() -> None:
    items = checklist(study())
    assert len({item.asks for item in items}) == len(items) == 14
    page = render_page(study())
    assert all(item.asks in page for item in items)


def test_a_budget_is_told_with_what_the_designs_deviate_by() -> None:
    asks = "Do the designs that are compared cost the same?"
    answer, words = answers(study())[asks]
    assert answer == "in part"  # activations lie 30 % off
    assert words == (
        "Equal parameters within 5.0 %. They deviate: parameters by at most 0.00 %, multiply-adds by at most 1.00 %, "
        "activations by at most 30.00 %."
    )
    made = study()
    free = replace(made.config, budget=replace(made.config.budget, params=None))
    assert budget_words(free.budget) == ""
    assert answers(replace(made, plan=replace(made.plan, config=free)))[asks][0] == "no"


@pytest.mark.parametrize(("seeds", "answer"), [(1, "no"), (4, "in part"), (5, "yes")])
def test_few_seeds_are_called_few(seeds: int, answer: str) -> None:
    assert answers(searched(seeds=seeds))["Are results repeated, and given with their uncertainty?"][0] == answer


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({}, "does not apply"),
        ({"sampler": "tpe"}, "no"),
        ({"sampler": "tpe", "baseline": 0.5}, "yes"),
        ({"sampler": "random"}, "does not apply"),
    ],
)
def test_a_search_without_random_designs_beside_it_says_no(changes: dict[str, object], answer: str) -> None:
    assert answers(searched(**changes))["Is the search held against random designs at equal cost?"][0] == answer


def test_a_study_outside_a_checkout_or_on_two_machines_says_so() -> None:
    made = study()
    found = answers(made)
    assert found["Is the code that was run known?"][0] == "in part"
    committed = replace(made, environment={**made.environment, "commit": "abc"})
    assert answers(committed)["Is the code that was run known?"] == ("yes", "Commit abc.")
    changed = replace(made, environment={**made.environment, "commit": "abc+"})
    assert answers(changed)["Is the code that was run known?"][0] == "in part"
    runs = made.record.runs.assign(device=["one", "one", "other", "other"])
    two = answers(replace(made, record=replace(made.record, runs=runs)))
    asks = "Did all runs use the same hardware and software?"
    assert (found[asks][0], two[asks][0]) == ("yes", "in part")
    assert two[asks][1].startswith("one, other; ")


def test_rows_of_several_starts_are_told_with_what_differs() -> None:
    made = study()
    first = {"when": "then", "host": "one", "commit": "abc", "versions": {"numpy": "1"}, "sources": "ffff"}
    second = first | {"when": "later", "host": "two", "commit": "def+", "versions": {"numpy": "2"}}
    runs = made.record.runs.assign(start=[0, 0, 0, 1])
    made = replace(made, record=replace(made.record, runs=runs))
    two = replace(made, environment=made.environment | {"starts": [first, second]})
    assert starts(two) == [(1, "later: 1 run; commit def+; numpy 2")]
    code, hardware = "Is the code that was run known?", "Did all runs use the same hardware and software?"
    same = "Commits abc, def+; the sources that decide a number are the same in all."
    assert answers(two)[code] == ("yes", same)
    assert answers(two)[hardware][0] == "in part"
    assert answers(two)[hardware][1].endswith(" But starts differ in: numpy.")
    page = plain(render_page(two))
    assert "later: 1 run; commit def+; numpy 2" in page
    older = replace(made, environment=made.environment | {"starts": [first | {"sources": None}, second]})
    assert answers(older)[code][0] == "in part"
    assert "may differ" in answers(older)[code][1]
    unused = replace(two, record=replace(made.record, runs=runs.assign(start=0)))
    assert starts(unused) == []
    assert answers(unused)[code] == ("yes", "Commit abc.")


def test_a_split_for_each_seed_is_told_where_a_page_speaks_of_splits_and_images() -> None:
    made = study()
    assert "One recipe, one split, one order of the images for each seed;" in render_page(made)
    finding = replace(made.finding, own_splits=True, own_images=True, with_images=None)
    page = render_page(
        replace(made, finding=finding, environment={**made.environment, "images": [80, 40, 100], "test_by_seed": 100})
    )
    assert "One recipe, a split for each seed and in it one order of the images; the error" in page
    assert "100 to test; every seed has a split, and so 100 test images, of its own;" in page
    assert "over seeds: each has a split, and so test images, of its own" in page


def test_test_images_beside_the_sets_own_are_told_with_what_each_of_the_two_says_alone() -> None:
    made = study()
    environment = {**made.environment, "images": [80, 40, 300], "rest_images": 200}
    parts = Estimate(6, -0.01, -0.02, -0.005), Estimate(6, -0.03, -0.04, -0.01)
    page = plain(render_page(replace(made, environment=environment, finding=replace(made.finding, by_part=parts))))
    assert "300 to test (100 of the set&#39;s own test part, then 200 left over from its training part)" in page
    assert "own test part alone<td>1.00 (0.50 to 2.00 points less)" in page
    assert "left over from its training part alone<td>3.00 (1.00 to 4.00 points less)" in page
    data = replace(made.config.data, test_images="rest")
    assert images(environment | {"rest_images": 0}, data) == (
        "80 to train, 40 to validate, 300 to test (every labelled image that is neither trained nor validated on)"
    )


def test_failures_are_counted_and_told_one_by_one() -> None:
    runs = frame({R: [0.06, 0.07], X: [0.05, 0.05]})
    runs["status"] = ["ok", "diverged", "pruned", "out_of_memory"]
    runs["message"] = ["", "loss was not finite", "", "<b>too large"]
    made = study()
    made = replace(
        made, record=Record(runs, pd.DataFrame(made.record.epochs)), finding=find(runs, [R, X], (X, R), seeds=2)
    )
    assert sorted(failures(made)) == [("diverged", 1), ("out_of_memory", 1)]
    first, second = failed_runs(made)
    assert (first["setting"], first["seed"], first["status"]) == ("ResNet-29 (1x64d)", 1, "diverged")
    assert (second["status"], second["message"]) == ("out of memory", "<b>too large")
    page = render_page(made)
    assert "loss was not finite" in page
    assert "&lt;b&gt;too large" in page


def test_what_a_search_chose_and_stopped_is_counted() -> None:
    made = study()
    assert tried(made) == []
    decisions = (
        Decision(R, "chosen", 0, None, "tpe"),
        Decision(X, "chosen", 0, None, "baseline"),
        Decision(R, "stopped", 3, 0.5, "halving"),
    )
    made = replace(made, record=replace(made.record, decisions=decisions))
    assert tried(made) == [
        "2 designs were chosen: 1 by tpe, 1 at random, as the baseline.",
        "1 was stopped after epoch 3.",
    ]


def test_what_executed_the_runs_is_told_with_each_machines_share_but_no_name() -> None:
    made = study()
    assert places(made) == ""  # a record of an earlier version does not know
    runs = made.record.runs
    hosts = [f"node{min(place // 2, 9)}" for place in range(len(runs))]
    spread = replace(made, record=replace(made.record, runs=runs.assign(host=hosts, start=0)))
    engine = {"when": "then", "engine": "ray", "versions": {}, "sources": "ffff"}
    told = replace(spread, environment=spread.environment | {"starts": [engine]})
    count = min((len(runs) + 1) // 2, 10)
    assert places(told).startswith(f"tasks of a Ray cluster; {count} machines, with ")
    assert "column host of runs.csv" in places(told)
    page = plain(render_page(told))
    assert f"<dt>executed by</dt><dd>{places(told)}</dd>" in page
    assert "node1" not in page
    alone = replace(told, record=replace(told.record, runs=told.record.runs.assign(host="node0")))
    assert places(alone) == "tasks of a Ray cluster"
