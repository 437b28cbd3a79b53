"""Chooses the figures of a study's page, and collects the data that its scripts read."""

import json
from dataclasses import replace
from functools import cached_property
from typing import Any

import pandas as pd
from markupsafe import Markup

from explorer.analysis.front import Front
from explorer.analysis.front import front as front_of
from explorer.analysis.importance import AxisEffects, axis_effects
from explorer.analysis.judging import OpenedStudy
from explorer.analysis.ranks import RankHistory, rank_history
from explorer.analysis.summary import SettingSummary
from explorer.design.cost_measures import COUNTED
from explorer.design.shape_axes import SHOWN
from explorer.host import formatting as wording
from explorer.report.added_figures import added_figures
from explorer.report.colors import Colors, colors_of
from explorer.report.curves import (
    LOWEST_DRAWN,
    MOST_CURVES,
    Curve,
    curve_numbers,
    curves_panel,
    difference_panel,
    seeds_of,
)
from explorer.report.design_card import card
from explorer.report.disagreement import disagreement_forests
from explorer.report.effects import effect_panel
from explorer.report.figures import (
    cardinality_lines,
    cardinality_panel,
    deviation_panel,
    distribution_numbers,
    distribution_panel,
    front_panel,
    growth_panel,
    parallel,
    search_history_panel,
    time_panel,
)
from explorer.report.final import final_forests
from explorer.report.forest import Forest
from explorer.report.imported import imported_panels
from explorer.report.kinds import FIRST, MOST_LINES, Kind, kind_of, shapes_of, ways_to_grow
from explorer.report.panel import PALETTE, Panel
from explorer.report.parallel import Parallel, parallel_plot, parallel_svg
from explorer.report.plot import plot
from explorer.report.rank_figure import rank_panel
from explorer.report.robustness import check_forest, length_panel
from explorer.report.row_figures import design_rows, deviation_rows, form_rows, rate_rows, time_rows
from explorer.report.rows import LEAST_CLAIMED, MOST_ROWS, Rows, rows_plot, rows_svg, rows_table
from explorer.report.short_labels import short_labels
from explorer.report.svg import svg
from explorer.report.verdict_picture import VerdictPicture, verdict_picture

LEAST_ON_FRONT = 3  # fewest designs for which a front is drawn
LEAST_PARALLEL = 8  # fewest designs for parallel axes: with fewer the table says as much
LEAST_AXES = 4  # fewest parallel axes, costs and error included: with fewer a plain figure shows as much
FEW_RUNS = 2000  # up to this many runs the page holds all epochs of all curves; with more runs only so many:
THINNED = 25
Figure = Panel | Parallel | Rows
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
    def kind(self) -> Kind:
        """The kind of the study, by which its first figure is chosen."""
        return kind_of(self.study)

    @cached_property
    def colors(self) -> Colors:
        """The colour of each setting and space, in every figure."""
        return colors_of(self.study)

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

    @property
    def at_equal_cost(self) -> bool:
        """Whether the budget holds a cost equal for all designs, as the ResNeXt paper's Table 3 does."""
        return any(not one.at_most for one in self.study.config.budget.held.values())

    @cached_property
    def figures(self) -> dict[str, Figure]:
        """All figures by name, the first one of its kind first; those with nothing to show are left out."""
        found = self.study.finding
        panels: dict[str, Figure | None] = dict.fromkeys([FIRST[self.kind]])
        panels |= self._first()
        if found.imported is not None:
            panels |= imported_panels(found.imported, self.error, self.colors)
        if "cardinality" not in panels and self._has_cardinalities():
            panels["cardinality"] = cardinality_panel(self.lines, self.error, self.colors)
        for each in self._fronts():
            panels[f"cost-{each.cost}"] = front_panel(each, found.summaries, self.error, self.colors)
        if self.effects is not None:
            for one in self.effects.effects:
                panels[f"effect-{one.axis}"] = effect_panel(one, self.effects.settings, self.error, self.colors)
        if found.search_history is not None:
            panels["course"] = search_history_panel(found.search_history, self.colors)
        panels["deviation"] = self._deviation()
        panels["lengths"] = length_panel(self.study)
        panels["curves"] = self._drawn_curves()
        panels["difference"] = self._difference()
        if self.ranks is not None:
            panels["ranks"] = rank_panel(self.ranks)
        if self.is_timed:
            panels["time"] = self._time()
        panels["parallel"] = self._parallel()
        shown = {name: one for name, one in panels.items() if one is not None and has_marks(one)}
        return {**shown, **self.added[0]}

    def _first(self) -> dict[str, Figure | None]:
        """The first figure of each kind of study, by its name."""
        found, colors, error = self.study.finding, self.colors, self.error
        if self.kind == "populations" and found.populations is not None:
            return {"distribution": distribution_panel(distribution_numbers(found.populations), error, colors)}
        if self.kind == "front" and found.front is not None:
            return {"front": front_panel(found.front, found.summaries, error, colors)}
        if self.kind == "growth":
            ways = ways_to_grow(shapes_of(found.summaries, self.study.settings))
            return {"growth": growth_panel(self.measured, error, colors, ways)}
        if self.kind == "paths":
            lines = cardinality_panel(self.lines, error, colors, at_equal_cost=self.at_equal_cost)
            return {"cardinality": lines}
        if self.kind == "forms":
            return {"forms": form_rows(self.measured, self.study.record.runs, colors, error)}
        if self.kind == "rates" and self.study.plan.contrast is not None:
            setting, against = self.study.plan.contrast
            return {"rates": rate_rows(self.study.record.runs, (setting.name, against.name), colors)}
        return {} if self.kind == "search" else {"designs": design_rows(self.measured, colors, error)}

    def _has_cardinalities(self) -> bool:
        """Whether many designs, too many for a list, are of several cardinalities, as a figure beside the first one."""
        several = len({one.cardinality for one in self.measured}) > 1
        if self.study.finding.imported is not None:
            # With too many lines their mean over designs of any cost would say nothing.
            return several and not self.is_crowded
        return several and self.kind in ("search", "list") and len(self.measured) >= LEAST_PARALLEL

    def _deviation(self) -> Figure | None:
        """How far costs are from the budget's reference, for those that it holds."""
        summaries, held = self.study.finding.summaries, self.study.config.budget.held
        allowed = {axis: (-one.tolerance, 0 if one.at_most else one.tolerance) for axis, one in held.items()}
        if not allowed or not summaries:
            return None
        if len(summaries) > MOST_ROWS:
            return deviation_panel(summaries, allowed, self.colors)
        return deviation_rows(summaries, allowed, self.colors)

    def _drawn_curves(self) -> Panel:
        names = [one.setting for one in self.study.finding.summaries if one.setting in self.curves]
        if len(names) <= MOST_CURVES:
            return curves_panel({name: [*map(self._with_seeds, self.curves[name])] for name in names}, self.colors)
        pair = self.study.plan.contrast
        own = (pair[0].name, pair[1].name) if pair else None
        return curves_panel({name: self.curves[name] for name in names}, self.colors, own)

    def _with_seeds(self, curve: Curve) -> Curve:
        """A curve with those of its seeds, where these are too few for an interval."""
        if not 1 < curve.n < LEAST_CLAIMED or curve.kind != "val_error":
            return curve
        record = self.study.record
        return replace(curve, each=seeds_of(record.epochs, record.runs, curve))

    def _difference(self) -> Panel | None:
        pair, record = self.study.plan.contrast, self.study.record
        if pair is None or not len(record.epochs):
            return None
        names = [one.setting for one in self.study.finding.summaries]
        return difference_panel(record.epochs, record.runs, names, (pair[0].name, pair[1].name), self.colors)

    def _time(self) -> Figure:
        """The seconds of runs: a row for each setting, or where these are many against their multiply-adds."""
        runs, summaries = self.study.record.runs, self.study.finding.summaries
        if len(summaries) > MOST_ROWS:
            return time_panel(runs, {one.setting: one.display for one in summaries}, self.colors)
        return time_rows(runs, self.colors)

    @cached_property
    def added(self) -> tuple[dict[str, Panel], dict[str, str]]:
        """The figures that extensions add, by name, and why others of them could not be made."""
        return added_figures(self.study)

    def stills(self) -> dict[str, Markup]:
        """Every figure as an SVG picture, which needs no script."""
        return {name: still(one) for name, one in self.figures.items()}

    def data(self) -> dict[str, Any]:
        """The data for the page's scripts: figures, curves and cards of designs."""
        study, task = self.study, self.study.config.data.task
        summaries = study.finding.summaries
        labels = short_labels([one.setting for one in summaries])
        return {
            "figures": {
                name: json.loads(plot(one).to_json()) for name, one in self.figures.items() if isinstance(one, Panel)
            },
            "tables": {name: _table(one) for name, one in self.figures.items() if isinstance(one, Rows)},
            "titles": {name: one.title for name, one in self.figures.items()},
            "palette": PALETTE,
            "colors": {one.setting: self.colors.of(one.setting) for one in summaries},
            "most": MOST_CURVES,
            "curves": self._curves(),
            "designs": {
                one.setting: card(one, study.config, task) | {"short": labels[one.setting]} for one in summaries
            },
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
        # Along a cost that is held equal there is nothing to weigh.
        equal = {axis for axis, one in study.config.budget.held.items() if not one.at_most}
        differ = [axis for axis in axes if len({one.value(axis) for one in found.summaries}) > 1 and axis not in equal]
        return [one for axis in differ if (one := front_of(found.summaries, axis, images, chance)) is not None]

    def _parallel(self) -> Parallel | None:
        """The figure with parallel axes, if there are many designs that differ in several axes; else None."""
        summaries = self.measured
        if len(summaries) < LEAST_PARALLEL:
            return None
        # A population has its colour here too; the designs of a search are told apart by their errors.
        grouped = self.kind == "populations" or self.study.finding.imported is not None
        across = parallel(self.axes, summaries, self.error, self.colors if grouped else None)
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
    if isinstance(figure, Rows):
        return rows_plot(figure)
    return plot(figure) if isinstance(figure, Panel) else parallel_plot(figure)


def still(figure: Figure) -> Markup:
    """A figure as an SVG picture."""
    if isinstance(figure, Rows):
        return rows_svg(figure)
    return svg(figure) if isinstance(figure, Panel) else parallel_svg(figure)


def has_marks(figure: Figure) -> bool:
    """Whether a figure shows anything."""
    if isinstance(figure, Rows):
        return bool(figure.rows)
    return not isinstance(figure, Panel) or any(len(mark.x) for mark in figure.marks if not mark.optional)


def _table(figure: Rows) -> dict[str, Any]:
    """The numbers of a figure as text, for the page's table of them."""
    columns, rows = rows_table(figure)
    shown = [[f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    return {"columns": columns, "rows": shown}


def _rounded(values: list[float]) -> list[float | None]:
    return [None if value != value else round(value, 2) for value in values]
