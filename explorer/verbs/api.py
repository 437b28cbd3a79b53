"""A study in a notebook: its data frames, its finding and the figures of its page, without running anything.

from explorer import open_study
open_study("equal_params").figures["cardinality"]
"""

from functools import cached_property
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

from explorer.analysis.finding import Finding
from explorer.analysis.sentences import sentence
from explorer.record.folder import study_folder
from explorer.report.drawing import load_study
from explorer.report.page_figures import Views, plotted
from explorer.report.study import Study


class OpenStudy:
    """A recorded study as it stands.

    runs, epochs  the record's tables, errors as fractions
    finding       what it found
    verdict       the same in one sentence
    note          what a person has written down beside the result; "" for nothing
    figures       those of its page, as plotly figures by name
    """

    def __init__(self, study: Study) -> None:
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


def open_study(name: str | Path) -> OpenStudy:
    """The study of a name, below `studies/` here, or in a folder given as a path. Raises InputError without one."""
    folder = name if isinstance(name, Path) else study_folder(name)
    return OpenStudy(load_study(folder))
