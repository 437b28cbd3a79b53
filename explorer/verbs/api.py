"""A study in Python: its data frames, its finding and the figures of its page, without running anything.

from explorer import open_study
study = open_study("equal_params")
study.figures["cardinality"]
study.query("29-32x4d").error
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import plotly.graph_objects as go

from explorer.analysis.finding import Finding
from explorer.analysis.judging import OpenedStudy
from explorer.analysis.judging import open_study as opened
from explorer.analysis.sentences import sentence
from explorer.analysis.summary import Estimate, SettingSummary
from explorer.design.name import parse_setting, setting_name
from explorer.host.errors import InputError
from explorer.record.folder import study_folder
from explorer.record.records import Record, as_records
from explorer.report.page_figures import Views, plotted
from explorer.verbs.tabulate import SCHEMA, read_table

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Answer:
    """What a table knows of one architecture.

    error   mean over seeds with its 95 % t interval, as a fraction, by the study's measure: `test_error`, `val_error`.
            The ends are NaN where a run failed, and the mean is where all did
    errors  the same by seed, of the runs that came through
    failed  by seed, what became of the others: "diverged" or "out_of_memory". In the mean they count as chance
    params, macs, activations  cost in closed form; seconds of a run on the study's device
    curves  one row per seed and epoch: learning_rate, loss, train_error, val_error, seconds
    """

    setting: str
    measure: str
    error: Estimate
    errors: dict[int, float]
    failed: dict[int, str]
    params: int
    macs: int
    activations: int
    seconds: float
    curves: pd.DataFrame


class Study:
    """A recorded study as it stands, from its folder or from a table of it that somebody shares.

    runs, epochs  the record's tables, errors as fractions
    finding       what it found
    verdict       the same in one sentence
    note          what a person has written down beside the result; "" for nothing
    figures       those of its page, as plotly figures by name
    """

    def __init__(self, study: OpenedStudy) -> None:
        self._study = study
        self.runs: pd.DataFrame = study.record.runs
        self.epochs: pd.DataFrame = study.record.epochs
        self.finding: Finding = study.finding
        self.verdict: str = sentence(study.finding)
        self.note: str = study.finding.note

    @cached_property
    def figures(self) -> dict[str, go.Figure]:
        """Drawn when they are first asked for."""
        return {name: plotted(figure) for name, figure in Views(self._study).figures.items()}

    def query(self, architecture: str) -> Answer:
        """What is known of an architecture, by any of its names. Raises InputError where the study did not train it."""
        try:
            name = setting_name(*parse_setting(architecture))
        except ValueError as error:
            raise InputError(f"{architecture}: {error}") from None
        found = {summary.setting: summary for summary in self.finding.summaries}
        if name not in found:
            raise InputError(f"{architecture}: is not in this study; allowed: {', '.join(found)}")
        return _answer(found[name], self.finding.measure, self._study.record)

    def write_page(self, path: str | Path) -> Path:
        """Draw the study's page in a file of its own."""
        from explorer.report.page import write_page

        write_page(self._study, Path(path))
        return Path(path)

    def to_optuna(self) -> "optuna.Study":
        """The study as one of Optuna's in memory: a trial per setting, its value the mean validation error."""
        from explorer.search.trials import told_trials

        study = self._study
        by = {one.setting: one.by for one in study.record.decisions if one.decision == "chosen"}
        return told_trials(study.config, study.settings, as_records(study.record.runs), by)


def open_study(name: str | Path) -> Study:
    """The study of a name, below `studies/` here, or in a folder given as a path: a study's, or a table's.

    Raises InputError where there is none, or it cannot be used.
    """
    folder = name if isinstance(name, Path) else study_folder(name)
    return Study(read_table(folder) if (folder / SCHEMA).exists() else opened(folder))


def _answer(summary: SettingSummary, measure: str, record: Record) -> Answer:
    mine = (record.runs["setting"] == summary.setting) & (record.runs["rate"] == 1)
    runs = record.runs.loc[mine, ["run", "seed"]]
    curves = runs.merge(record.epochs, on="run").sort_values(["seed", "epoch"]).drop(columns="run")
    return Answer(
        setting=summary.setting,
        measure=measure,
        error=summary.estimate if summary.came_through else replace(summary.estimate, mean=math.nan),
        errors=summary.measured,
        failed=dict(summary.failed),
        params=summary.params,
        macs=summary.macs,
        activations=summary.activations,
        seconds=summary.seconds,
        curves=curves.reset_index(drop=True),
    )
