"""Which run is a study's answer."""

from dataclasses import replace
from pathlib import Path

import pytest

from explorer.analysis.answer import answer_of
from explorer.analysis.judging import open_study
from explorer.host.errors import InputError
from explorer.study.run import Run
from explorer.study.settings import StudyConfig
from explorer.verbs.command_line import read_command
from tests.conftest import TINY
from tests.made_up import made_up


def test_validation_names_the_design_and_its_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = read_command(TINY).study

    def error(_: StudyConfig, run: Run) -> float:
        return 0.3 + 0.1 * (run.architecture.cardinality == 1) - 0.05 * run.seed

    folder, run, why = answer_of(open_study(made_up(config, error=error)))
    assert folder.name == "tiny"
    assert (run.setting.endswith("2x3d-w16"), run.seed) == (True, 1)
    assert "the lowest validation error of 2 designs" in why


def test_without_a_run_there_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = made_up(replace(read_command(TINY).study, name="lost"), lambda *_: "diverged")
    with pytest.raises(InputError, match="no run has come through"):
        answer_of(open_study(folder))
