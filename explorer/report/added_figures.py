"""What functions of extensions make of a study: panels, and for those that fail a line in their place."""

import traceback
from dataclasses import dataclass
from typing import Any

import pandas as pd

from explorer.analysis.judging import OpenedStudy
from explorer.design.shape_axes import SHOWN
from explorer.host.extensions import MISTAKES, source_of
from explorer.host.formatting import in_one_line
from explorer.report.described import FIGURES, panel_of
from explorer.report.panel import Panel


@dataclass(frozen=True)
class View:
    """A study as a function that describes a figure sees it. Errors are fractions; the frames are the function's own.

    name, verdict   of the study; the verdict is the word `beats`, `loses`, `equivalent` or `inconclusive`, or "" where
                    nothing is judged
    measure         what is judged: `test_error` or `val_error`
    settings        one row for each setting, in the order of the page: setting, display, seeds, error, low and high
                    (its 95 % interval), val_error, params, macs, activations, and the axes of its shape
    runs, epochs    as in `runs.csv` and `epochs.csv` (docs/record.md)
    """

    name: str
    verdict: str
    measure: str
    settings: pd.DataFrame
    runs: pd.DataFrame
    epochs: pd.DataFrame


def view_of(study: OpenedStudy) -> View:
    """What of a study functions of extensions are given."""
    found, runs = study.finding, study.record.runs
    shapes = runs.drop_duplicates("setting").set_index("setting")
    axes = {axis.name: axis.among(shapes) for axis in SHOWN}
    rows: list[dict[str, Any]] = []
    for one in found.summaries:
        row = {"setting": one.setting, "display": one.display, "seeds": one.estimate.n, "error": one.estimate.mean}
        row |= {"low": one.estimate.low, "high": one.estimate.high, "val_error": one.validation}
        row |= {cost: getattr(one, cost) for cost in ("params", "macs", "activations")}
        rows.append(row | {name: column.get(one.setting) for name, column in axes.items()})
    verdict = "" if found.comparison is None else str(found.comparison.verdict)
    return View(study.config.name, verdict, found.measure, pd.DataFrame(rows), runs.copy(), study.record.epochs.copy())


def added_figures(study: OpenedStudy) -> tuple[dict[str, Panel], dict[str, str]]:
    """The panels that extensions add, by name, and why others could not be made: a line by name."""
    made, failed = dict[str, Panel](), dict[str, str]()
    for name, function in FIGURES.items():
        try:
            made[name] = panel_of(function(view_of(study)))
        except MISTAKES as error:  # whatever it is, the page is drawn without this figure
            failed[name] = _where(name, error)
    return made, failed


def _where(name: str, error: BaseException) -> str:
    extension = source_of("FIGURES", name)
    file = extension.name if extension is not None else ""
    lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if file and one.filename.endswith(file)]
    place = f"{file}, line {lines[-1]}: " if lines else f"{file}: " if file else ""
    kind = f"{type(error).__name__}: " if lines else ""
    return in_one_line(f"{place}{kind}{error}")
