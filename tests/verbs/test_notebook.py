"""Two lines in a notebook."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import explorer
from explorer.__main__ import main
from explorer.host.errors import InputError
from tests.conftest import TINY

ROOT = Path(__file__).parents[2]


@pytest.mark.real
def test_a_study_opens_with_its_tables_its_verdict_and_its_figures(workplace: Path) -> None:
    assert main([*TINY, "storage=none"]) == 0
    study = explorer.open_study("tiny")
    assert len(study.runs) == 4
    assert len(study.epochs) == 8
    assert "too few for a verdict" in study.verdict
    assert study.finding.comparison is not None
    assert {"cardinality", "curves", "time"} <= set(study.figures)
    assert study.figures["cardinality"].layout.yaxis.title.text == "Test error (%)"
    assert explorer.open_study(workplace / "studies" / "tiny").runs.equals(study.runs)


def test_what_is_not_there_is_said(workplace: Path) -> None:
    with pytest.raises(InputError, match="there is no such study yet"):
        explorer.open_study("nothing")
    with pytest.raises(AttributeError):
        _ = explorer.nothing


@pytest.mark.real
def test_the_notebook_in_examples_is_carried_out_cell_by_cell(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(ROOT / "examples" / "notebook.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs for cell in cells)  # as it is kept
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(workplace)}}).execute()
    said = ["".join(map(words, cell.outputs)) for cell in cells]
    assert said[0].startswith("Cost(params=51050")
    assert "11-8x3d-w32" in said[1]
    assert "Study('notebook'" in said[2]
    assert "n = 5 paired seeds" in said[3]
    assert "application/vnd.plotly.v1+json" in cells[5].outputs[0]["data"]
    assert "torch.Size([1, 10])" in said[6]
    assert "ResNet-11 (1x8d, w128) beats" in said[7]
    # Progress is one widget in one place; a study that is told shows none.
    widgets = [[WIDGET in one.get("data", {}) for one in cell.outputs] for cell in cells]
    assert [sum(one) for one in widgets] == [0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert len(explorer.open_study("notebook").runs) == 10
    assert explorer.open_study("features").finding.has_told_costs


WIDGET = "application/vnd.jupyter.widget-view+json"


def words(output: dict[str, Any]) -> str:
    return str(output.get("text") or output.get("data", {}).get("text/plain", ""))
