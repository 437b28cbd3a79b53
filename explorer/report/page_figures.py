"""Chooses the figures of a study's page, and collects the data that its scripts read."""

import json
from functools import cached_property
from typing import Any

import pandas as pd
from markupsafe import Markup

from explorer.analysis.front import Front
from explorer.analysis.front import front as front_of
from explorer.analysis.importance import AxisEffects, axis_effects
from explorer.analysis.judging import OpenedStudy
from explorer.analysis.ranks import RankHistory, rank_history
from explorer.analysis.summary import SettingSummary, by_validation
from explorer.design.cost_measures import COUNTED
from explorer.design.shape_axes import SHOWN
from explorer.host import formatting as wording
from explorer.report.added_figures import added_figures
from explorer.report.curves import LOWEST_DRAWN, Curve, curve_numbers, curves_panel, time_panel
from explorer.report.design_card import card
from explorer.report.disagreement import disagreement_forests
from explorer.report.effects import effect_panel
from explorer.report.figures import (
    MOST_LINES,
    cardinality_lines,
    cardinality_panel,
    deviation_panel,
    distribution_numbers,
    distribution_panel,
    front_panel,
    growth_panel,
    pairs_panel,
    parallel,
    search_history_panel,
)
from explorer.report.final import final_forests
from explorer.report.forest import Forest
from explorer.report.imported import imported_panels
from explorer.report.panel import PALETTE, Panel
from explorer.report.parallel import Parallel, parallel_plot, parallel_svg
from explorer.report.plot import plot
from explorer.report.rank_figure import rank_panel
from explorer.report.robustness import check_forest, length_panel
from explorer.report.svg import svg
from explorer.report.verdict_picture import VerdictPicture, verdict_picture

LEAST_ON_FRONT = 3  # fewest designs for which a front is drawn
LEAST_PARALLEL = 8  # fewest designs for parallel axes: with fewer the table says as much
LEAST_AXES = 4  # fewest parallel axes, costs and error included: with fewer a plain figure shows as much
FEW_RUNS = 2000  # up to this many runs the page holds all epochs of all curves; with more runs only so many:
THINNED = 25
MOST_CURVES = MOST_LINES  # most settings whose curves are drawn: the lowest validation errors, no two of one colour
Figure = Panel | Parallel
Printable = Figure | Forest | VerdictPicture


class Views:
    """The figures of one study, and the numbers from which they are made."""

    def __init__(self, study: OpenedStudy) -> None:
        self.study = study

    @cached_property
    def verdict(self) -> VerdictPicture | None:
        """The verdict as one picture; None where there is nothing to draw yet."""
        return verdict_picture(self.study)

    @cached_property
    def error(self) -> str:
        """The label of the judged error, with its unit: `Test error (%)`."""
        return f"{wording.ERROR_NAMES[self.study.finding.measure].capitalize()} (%)"

    @cached_property
    def measured(self) -> list[SettingSummary]:
        """The settings with a completed run: the others have no error to draw."""
        return [one for one in self.study.finding.summaries if one.came_through]

    @cached_property
    def lines(self) -> dict[str, list[SettingSummary]]:
        """The lines of the error against cardinality."""
        return cardinality_lines(self.study.finding)

    @cached_property
    def curves(self) -> dict[str, list[Curve]]:
        """Training curves by setting, at fewer epochs if there are many runs."""
        runs = self.study.record.runs
        return curve_numbers(self.study.record.epochs, runs, None if len(runs) <= FEW_RUNS else THINNED)

    @cached_property
    def axes(self) -> pd.DataFrame:
        """The axes of every design, from the record, one row per setting."""
        rows = self.study.record.runs.drop_duplicates("setting").set_index("setting")
        return pd.DataFrame({axis.name: axis.among(rows) for axis in SHOWN})

    @cached_property
    def effects(self) -> AxisEffects | None:
        """The effects of the axes over all designs; None for too few designs."""
        return axis_effects(self.study.finding.summaries)

    @cached_property
    def ranks(self) -> RankHistory | None:
        """How early the order of the designs is known; None for too few designs."""
        return rank_history(self.study.record.runs, self.study.record.epochs)

    @property
    def is_timed(self) -> bool:
        """Whether it is known how long runs took; an imported file may not say."""
        imported = self.study.finding.imported
        return imported is None or imported.source.timed

    @property
    def is_crowded(self) -> bool:
        """Whether there are too many designs to draw a line for each."""
        return len(self.lines) > MOST_LINES

    @cached_property
    def figures(self) -> dict[str, Figure]:
        """All figures by name, the key figure first; those with nothing to show are left out."""
        found, panels = self.study.finding, {}
        if found.front is not None:
            panels["front"] = front_panel(found.front, found.summaries, self.error)
        elif found.populations is None:
            panels["cardinality"] = cardinality_panel(self.lines, self.error)
        else:
            panels["distribution"] = distribution_panel(distribution_numbers(found.populations), self.error)
        if found.imported is not None:
            panels |= imported_panels(found.imported, self.error)
            # With too many lines their mean over designs of any cost would say nothing.
            if len({one.cardinality for one in self.measured}) > 1 and not self.is_crowded:
                panels["cardinality"] = cardinality_panel(self.lines, self.error)
        if (growth := growth_panel(found.summaries, self.error)) is not None:
            panels["growth"] = growth
        for each in self._fronts():
            panels[f"cost-{each.cost}"] = front_panel(each, found.summaries, self.error)
        if self.effects is not None:
            for one in self.effects.effects:
                panels[f"effect-{one.axis}"] = effect_panel(one, self.effects.settings, self.error)
        if found.search_history is not None:
            panels["course"] = search_history_panel(found.search_history)
        if held := self.study.config.budget.held:
            allowed = {axis: (-one.tolerance, 0 if one.at_most else one.tolerance) for axis, one in held.items()}
            panels["deviation"] = deviation_panel(found.summaries, allowed)
        if found.comparison is not None and found.comparison.differences:
            panels["pairs"] = pairs_panel(found.comparison)
        if (lengths := length_panel(self.study)) is not None:
            panels["lengths"] = lengths
        ranked = sorted(self.measured, key=by_validation)
        drawn = {summary.setting for summary in ranked[:MOST_CURVES]}
        names = [summary.setting for summary in found.summaries if summary.setting in drawn]
        curves = [curve for name in names for curve in self.curves.get(name, [])]
        panels["curves"] = curves_panel(curves, len(found.summaries))
        if self.ranks is not None:
            panels["ranks"] = rank_panel(self.ranks)
        if self.is_timed:
            panels["time"] = time_panel(self.study.record.runs, {one.setting: one.display for one in found.summaries})
        shown: dict[str, Figure] = {name: panel for name, panel in panels.items() if _has_marks(panel)}
        if (across := self._parallel()) is not None:
            shown["parallel"] = across
        return {**shown, **self.added[0]}

    @cached_property
    def added(self) -> tuple[dict[str, Panel], dict[str, str]]:
        """The figures that extensions add, by name, and why others of them could not be made."""
        return added_figures(self.study)

    def stills(self) -> dict[str, Markup]:
        """Every figure as an SVG picture, which needs no script."""
        return {name: svg(one) if isinstance(one, Panel) else parallel_svg(one) for name, one in self.figures.items()}

    def data(self) -> dict[str, Any]:
        """The data for the page's scripts: figures, curves and cards of designs."""
        study, task = self.study, self.study.config.data.task
        return {
            "figures": {
                name: json.loads(plot(one).to_json()) for name, one in self.figures.items() if isinstance(one, Panel)
            },
            "titles": {name: one.title for name, one in self.figures.items()},
            "palette": PALETTE,
            "most": MOST_CURVES,
            "curves": self._curves(),
            "designs": {one.setting: card(one, study.config, task) for one in study.finding.summaries},
            "error": wording.ERROR_NAMES[study.finding.measure].capitalize(),
        }

    def _curves(self) -> dict[str, dict[str, list[float | None]]]:
        """The curves of every design, in percent; the page draws those that a reader selects."""
        return {
            name: {
                "epochs": [*validation.epochs],
                "val": _rounded(validation.mean),
                "low": _rounded([max(value, LOWEST_DRAWN) for value in validation.low]),
                "high": _rounded(validation.high),
                "train": _rounded(training.mean),
            }
            for name, (validation, training) in self.curves.items()
        }

    def _fronts(self) -> list[Front]:
        """The front of error against each cost in which the designs differ, except the cost of the key figure."""
        study, found, runs = self.study, self.study.finding, self.study.record.runs
        if len(self.measured) < LEAST_ON_FRONT:
            return []
        images = int(study.environment["images"][1 if found.measure == "val_error" else 2]) or None
        chance = float(1 - 1 / runs["classes"].max())
        timed = ["latency"] if "latency" in study.config.search.objectives else []
        added = [axis for axis in study.config.measures if all(axis in one.added for one in found.summaries)]
        axes = [axis for axis in (*COUNTED, *timed, *added) if found.front is None or axis != found.front.cost]
        differ = [axis for axis in axes if len({one.value(axis) for one in found.summaries}) > 1]
        return [one for axis in differ if (one := front_of(found.summaries, axis, images, chance)) is not None]

    def _parallel(self) -> Parallel | None:
        """The figure with parallel axes, if there are many designs that differ in several axes; else None."""
        summaries = self.measured
        if len(summaries) < LEAST_PARALLEL:
            return None
        across = parallel(self.axes, summaries, self.error)
        return across if len(across.axes) >= LEAST_AXES else None


def printable(study: OpenedStudy) -> dict[str, Printable]:
    """The figures of a study that can be drawn for print, by name: those of its page, checks, and what is disagreed on.

    The verdict as one picture comes first where anything is compared, then those of a search's final round.
    """
    finding, views = study.finding, Views(study)
    found: dict[str, Printable] = {**final_forests(finding.final_round), **views.figures}
    if finding.robustness is not None and finding.robustness.is_begun:
        found["checks"] = check_forest(finding, finding.robustness)
    found |= disagreement_forests(study)
    picture = views.verdict
    if picture is None or not found:
        return found
    return {"verdict": picture, **found} if picture.effects else {**found, "verdict": picture}


def plotted(figure: Figure) -> Any:
    """A figure as a plotly figure."""
    return plot(figure) if isinstance(figure, Panel) else parallel_plot(figure)


def _has_marks(panel: Panel) -> bool:
    return any(len(mark.x) for mark in panel.marks if not mark.optional)


def _rounded(values: list[float]) -> list[float | None]:
    return [None if value != value else round(value, 2) for value in values]
