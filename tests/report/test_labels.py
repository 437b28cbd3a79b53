"""What spaces are called where people read of them, beside the keys that decide everything."""

import re
from dataclasses import replace

import pytest

from explorer.analysis.judging import OpenedStudy, judged, open_study
from explorer.analysis.sentences import sentence
from explorer.host.errors import InputError
from explorer.record.changes import of_settings
from explorer.record.starts import started_study
from explorer.report.finding_data import study_data
from explorer.report.index import entry_of
from explorer.report.page import render_page
from explorer.study.plan import plan_of
from explorer.study.runs import runs_of
from explorer.verbs.command_line import read_command
from tests.report.reading import plain
from tests.test_layers import ROOT

FOLDER = ROOT / "studies" / "design_space_cifar10_jpeg"
KEYS = re.compile("one_path|many_paths")


@pytest.fixture(scope="module")
def labelled() -> OpenedStudy:
    return open_study(FOLDER)


def visible(page: str) -> str:
    body = re.sub(r"<(script|style|pre|code)\b.*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"<[^>]*>", " ", body)


def test_headline_figures_legends_tables_and_atlas_say_labels(labelled: OpenedStudy) -> None:
    assert "Designs of several paths have lower errors on the mean than those of one path" in sentence(labelled.finding)
    page = plain(render_page(labelled))
    assert "several paths" in visible(page)
    assert "one path, n = 64" in page  # a legend
    assert KEYS.findall(visible(page)) == []
    entry = entry_of(labelled)
    assert entry.effect is not None
    assert (entry.effect.setting, entry.effect.against) == ("several paths", "one path")
    assert KEYS.findall(f"{entry.verdict} {entry.spark}") == []


def test_keys_stay_what_programs_read_and_labels_decide_nothing(labelled: OpenedStudy) -> None:
    told = study_data(labelled)["spaces"]
    assert [(one["space"], one["label"]) for one in told["spaces"]] == [
        ("one_path", "one path"),
        ("many_paths", "several paths"),
    ]
    assert told["contrasts"][0]["setting"] == "many_paths"
    config = labelled.config
    bare = replace(config, study=replace(config.study, labels={}))
    plans = plan_of(config), plan_of(bare)
    assert plans[0].settings == plans[1].settings
    first = started_study(FOLDER)
    assert first is not None
    data = first.environment["data_hash"]
    ids = [{run.id for _, run in runs_of(plan, plan.settings, first.plan, data)} for plan in plans]
    assert ids[0] == ids[1] == set(labelled.record.runs["run"])
    assert of_settings(first, bare) == []
    again = judged(FOLDER, plans[1], labelled.record, {}, labelled.environment, labelled.execution)
    assert "Designs of many_paths have lower errors on the mean than those of one_path" in sentence(again.finding)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("study.labels.third=x", "study.labels.third: is not a space; allowed: one_path, many_paths"),
        ("study.labels.one_path=several paths", "the space many_paths is called so too"),
        ("study.labels.one_path=' '", "allowed are 1 to 60 characters"),
    ],
)
def test_a_label_that_cannot_serve_is_refused(given: str, words: str) -> None:
    config = read_command(["study=design_space", given]).study
    with pytest.raises(InputError, match=re.escape(words)):
        plan_of(config)
