"""Two lines in a notebook."""

from pathlib import Path

import pytest

import explorer
from explorer.__main__ import main
from explorer.host.errors import InputError
from tests.conftest import TINY


@pytest.mark.real
def test_a_study_opens_with_its_tables_its_verdict_and_its_figures(workplace: Path) -> None:
    assert main([*TINY, "storage=none"]) == 0
    study = explorer.open_study("tiny")
    assert len(study.runs) == 4
    assert len(study.epochs) == 8
    assert "too few for a verdict" in study.verdict
    assert study.finding.comparison is not None
    assert {"cardinality", "pairs", "curves", "time"} <= set(study.figures)
    assert study.figures["cardinality"].layout.yaxis.title.text == "Test error (%)"
    assert explorer.open_study(workplace / "studies" / "tiny").runs.equals(study.runs)


def test_what_is_not_there_is_said(workplace: Path) -> None:
    with pytest.raises(InputError, match="there is no such study yet"):
        explorer.open_study("nothing")
    with pytest.raises(AttributeError):
        _ = explorer.nothing
