"""The examples of a sampler and of a measure: searches on digits that are killed, and end as undisturbed ones."""

from pathlib import Path

import pytest

from explorer.record import folder as study
from explorer.record.records import load
from tests.faults.processes import command, killed_and_continued
from tests.faults.record import differences, record_of
from tests.search.test_readings import SEARCH
from tests.test_layers import ROOT

pytestmark = pytest.mark.real
FOLDER = study.study_folder("tiny")
ALONE = ["search.designs=6", "recipe.epochs=1", "space.width=[16]", "engine.workers=1"]


def test_a_search_by_cma_es_that_is_killed_goes_on_as_it_would_have(tmp_path: Path) -> None:
    example = f"extensions={ROOT / 'examples' / 'cmaes.py'}"
    words = [*SEARCH, *ALONE, example, "search.sampler=cmaes"]
    with command(tmp_path / "whole", words) as one:
        assert one.ended() == 0, one.told()
    killed_and_continued(tmp_path / "killed", words, FOLDER / study.DECISIONS, 3, 5)
    found = differences(record_of(tmp_path / "killed" / FOLDER), record_of(tmp_path / "whole" / FOLDER))
    assert not found, found
    assert "optuna.samplers.CmaEsSampler (optuna " in (tmp_path / "killed" / FOLDER / study.ENVIRONMENT).read_text()
    assert "by cmaes, optuna.samplers.CmaEsSampler" in (tmp_path / "killed" / "reports" / "tiny.html").read_text()


def test_a_search_within_measured_memory_that_is_killed_goes_on_as_it_would_have(tmp_path: Path) -> None:
    example = f"extensions={ROOT / 'examples' / 'peak_memory.py'}"
    words = [
        *SEARCH,
        *ALONE,
        example,
        "budget=peak_memory:1.5",
        "search.designs=4",
        "search.objectives=[error,peak_memory]",
    ]
    with command(tmp_path / "whole", words) as one:
        assert one.ended() == 0, one.told()
    killed_and_continued(tmp_path / "killed", words, FOLDER / study.DECISIONS, 1, 3)
    found = differences(record_of(tmp_path / "killed" / FOLDER), record_of(tmp_path / "whole" / FOLDER))
    assert not found, found
    record = load(tmp_path / "killed" / FOLDER)
    assert (record.runs["peak_memory"] <= 1.5).all()
    assert {one[0].median <= 1.5 for one in record.readings.values()} == {True, False}
    assert "Peak memory (MiB)" in (tmp_path / "killed" / "reports" / "tiny.html").read_text()
