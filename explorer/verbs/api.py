"""The Python interface: a recorded study as data frames, finding and figures, without running anything.

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

from explorer.analysis.final_round import FinalRound
from explorer.analysis.finding import Finding
from explorer.analysis.intervals import Estimate
from explorer.analysis.judging import OpenedStudy, without_joined
from explorer.analysis.judging import open_study as opened
from explorer.analysis.regime import regime_of, regime_sentence
from explorer.analysis.sentences import sentence
from explorer.design.name import parse_setting, setting_name
from explorer.host.errors import InputError
from explorer.record.folder import study_folder
from explorer.record.records import as_records
from explorer.report.citation import citation
from explorer.report.page_figures import Views, plotted, printable
from explorer.report.print_table import ENDINGS, final_numbers, print_tables, written
from explorer.verbs.tabulate import SCHEMA, read_table

if TYPE_CHECKING:
    import optuna

    from explorer.report.print_figure import PrintFigure


@dataclass(frozen=True)
class Answer:
    """The recorded results of one architecture in a study.

    setting  its name in the record
    measure  which error the study judges: `test_error`, or `val_error` for a search
    error    mean of that error over seeds, as a fraction, with its 95 % t interval. The ends are NaN if a run failed,
             and the mean is NaN if all did
    errors   the error of each run that came through, by seed
    failed   the status of each run that failed, by seed: "diverged" or "out_of_memory". In the mean it counts as chance
    params, macs, activations  cost in closed form
    seconds  mean seconds of a run on the study's device
    curves   one row per seed and epoch: learning_rate, loss, train_error, val_error, seconds
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


@dataclass(frozen=True)
class Final:
    """The final round of a search: its best designs trained anew and tested, the first of which is the answer.

    runs, epochs  its record, errors as fractions; without validation errors, since those images were trained on
    finding  what it found: `answer`, `summaries` of the designs, and `comparisons` of the answer with each other one
    table    a row for each design, the answer first: costs, test error, difference to the answer, with their intervals
    """

    runs: pd.DataFrame
    epochs: pd.DataFrame
    finding: FinalRound
    table: pd.DataFrame


class Study:
    """A recorded study in its present state, from its folder or from a shared table of it (`explorer tabulate`).

    runs, epochs, filters  the record's tables, errors as fractions
    final    the final round of a search, whose runs are not among `runs`; None where there is none yet
    finding  all that the record shows, the verdict included
    verdict  the verdict in one sentence
    regime   how long it trained, beside the published training and what is known of longer ones, in sentences
    note     text that a person added to the result; "" for none
    figures  the figures of its page, as plotly figures by name
    """

    def __init__(self, study: OpenedStudy) -> None:
        self._study = study
        self.runs: pd.DataFrame = study.record.runs
        self.epochs: pd.DataFrame = study.record.epochs
        self.filters: pd.DataFrame = study.record.filters
        final = study.final.study if study.final is not None else None
        known = None if final is None or final.record is None else without_joined(final.plan.config, final.record)
        self.final: Final | None = None
        if study.final is not None and known is not None:
            found = study.final.found
            self.final = Final(known.runs, known.epochs, found, final_numbers(found))
        self.finding: Finding = study.finding
        self.verdict: str = sentence(study.finding)
        self.note: str = study.finding.note

    @cached_property
    def regime(self) -> str:
        """How long the study trained, beside the published training; read together with other records on first use."""
        return regime_sentence(regime_of(self._study))

    @cached_property
    def figures(self) -> dict[str, go.Figure]:
        """The figures of the study's page, as plotly figures by name; made on first use."""
        return {name: plotted(figure) for name, figure in Views(self._study).figures.items()}

    def print_figure(self, name: str, width: float = 3.25, height: float | None = None) -> "PrintFigure":
        """A figure at its printed size, as a matplotlib figure: `.savefig("error.pdf")` writes it with fonts embedded.

        `width` and `height` are in inches; 3.25 is a column of a journal's page, 6.75 the page. Text has 8 points, and
        there is no title. Needs the extra `paper`. Raises InputError for a name that is not among the study's figures.
        """
        from explorer.report.print_figure import print_figure

        found = printable(self._study)
        if name not in found:
            raise InputError(f"{name}: no such figure; allowed: {', '.join(found)}")
        return print_figure(found[name], width, height)

    def table(self, name: str | None = None, form: str = "latex") -> str:
        """A table of the study as text: `final`, `settings`, `contrasts` or `checks`, in `latex`, `csv` or `md`.

        Without a name it is the first that the study has: `final` of a search with a final round, else `settings`.
        Raises InputError for a table that the study does not have, or another format.
        """
        found = print_tables(self._study)
        name = next(iter(found), "settings") if name is None else name
        if name not in found or form not in ENDINGS:
            allowed = f"{', '.join(found)}, in {', '.join(ENDINGS)}"
            raise InputError(f"{name}, {form}: no such table; allowed: {allowed}")
        return written(found[name], form)

    @property
    def citation(self) -> str:
        """BibTeX entries of the study, of this software, and of the paper whose networks it explores."""
        return citation(self._study)

    def query(self, architecture: str) -> Answer:
        """The results of an architecture, by any of its names. Raises InputError if the study did not train it."""
        try:
            name = setting_name(*parse_setting(architecture))
        except ValueError as error:
            raise InputError(f"{architecture}: {error}") from None
        found = {summary.setting: summary for summary in self.finding.summaries}
        if name not in found:
            raise InputError(f"{architecture}: is not in this study; allowed: {', '.join(found)}")
        summary, record = found[name], self._study.record
        runs = record.runs.loc[(record.runs["setting"] == name) & (record.runs["rate"] == 1), ["run", "seed"]]
        curves = runs.merge(record.epochs, on="run").sort_values(["seed", "epoch"]).drop(columns="run")
        return Answer(
            setting=name,
            measure=self.finding.measure,
            error=summary.estimate if summary.came_through else replace(summary.estimate, mean=math.nan),
            errors=summary.measured,
            failed=dict(summary.failed),
            params=summary.params,
            macs=summary.macs,
            activations=summary.activations,
            seconds=summary.seconds,
            curves=curves.reset_index(drop=True),
        )

    def write_page(self, path: str | Path) -> Path:
        """Write the study's page to a file of your choice, and return its path."""
        from explorer.report.page import write_page
        from explorer.verbs.ped_anova import ped_anova

        write_page(self._study, Path(path), importance=ped_anova(self._study))
        return Path(path)

    def to_optuna(self) -> "optuna.Study":
        """The study as an Optuna study in memory: one trial per setting, its value the mean validation error."""
        from explorer.search.trials import finished_trials

        study = self._study
        by = {one.setting: one.by for one in study.record.decisions if one.decision == "chosen"}
        return finished_trials(study.plan, study.settings, as_records(study.record.runs), by)


def open_study(name: str | Path) -> Study:
    """Open a recorded study: by its name below `studies/`, or by the `Path` of a study's folder or of a shared table.

    Raises InputError if there is none, or its files cannot be used.
    """
    folder = name if isinstance(name, Path) else study_folder(name)
    return Study(read_table(folder) if (folder / SCHEMA).exists() else opened(folder))
