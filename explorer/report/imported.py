"""What the page of imported results shows beside its front: distributions, the best of some designs, and the file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from explorer.analysis.imported import BestOf, ImportedFinding, Weighted
from explorer.analysis.judging import OpenedStudy
from explorer.design.cost_measures import MEASURES
from explorer.host.commands import PROGRAM, command_for
from explorer.host.formatting import ERROR_NAMES, counted
from explorer.record.imported import Imported
from explorer.report.colors import Colors
from explorer.report.figures import distribution_panel, in_percent
from explorer.report.method import ChecklistItem
from explorer.report.panel import Axis, Mark, Panel, axis_of, error_axis

_FAIR = ", so that a group whose designs cost more is not taken for a better one"
MOST_UNREAD = 200  # designs that are listed one by one


def imported_panels(found: ImportedFinding, error: str, colors: Colors | None = None) -> dict[str, Panel]:
    """The figures of imported results by name; `error` is the label of the judged error."""
    colors = colors or Colors()
    panels = {}
    if found.distributions:
        panels["distribution"] = distribution_panel(in_percent(found.distributions), error, colors)
    if found.weighted is not None:
        measure = MEASURES[found.source.cost].words
        panel = distribution_panel(in_percent(found.weighted.distributions), error, colors)
        title = f"Weighted share of designs below each {error.lower()}, at equal {measure}"
        y_axis = Axis("Weighted share of designs", low=0.0, high=1.02, share=True)
        panels["distribution-equal"] = Panel(title, panel.x, y_axis, panel.marks)
    if found.best_of:
        panels["best-of"] = best_of_panel(found.best_of, error, colors)
    return panels


def best_of_panel(curves: Mapping[str, BestOf], error: str, colors: Colors | None = None) -> Panel:
    """The expected lowest error of so many designs drawn at random, with the central 95 % of draws as a band."""
    marks, colors = [], colors or Colors()
    for name, curve in curves.items():
        color, x = colors.group(name), [float(count) for count in curve.counts]
        mean, low, high = ([100 * value for value in values] for values in (curve.mean, curve.low, curve.high))
        words = [
            f"{name}\nlowest of {counted(count, 'random design')}: {value:.2f} % on average"
            for count, value in zip(curve.counts, mean, strict=True)
        ]
        if len(x) > 1:
            marks.append(Mark("band", x, low, color, high=high))
        legend = f"{name}, n = {curve.n}"
        marks.append(Mark("line" if len(x) > 1 else "dots", x, mean, color, legend=legend, words=words))
    x_axis = axis_of("Designs drawn at random", [float(count) for curve in curves.values() for count in curve.counts])
    y_axis = error_axis(f"Lowest {error.lower()}")
    return Panel(f"Lowest {error.lower()} of some designs drawn at random", x_axis, y_axis, marks)


def weighted_words(found: Weighted, cost: str) -> str:
    """How designs were weighted, in sentences."""
    measure = MEASURES[cost].words
    outside = {name: number for name, number in found.outside.items() if number}
    several = len(found.distributions) > 1
    words = (
        f"Weighted to equal {measure}: the range of {measure} is cut into {counted(found.bins, 'part')}, equally wide "
        f"in its logarithm, that {'all groups' if several else 'designs'} have, and "
        f"{'in each group ' if several else ''}every part "
        f"weighs the same{_FAIR if several else ''} (1905.13214, section 3.3)."
    )
    if outside:
        counts = " and ".join(f"{number} of {name}" for name, number in outside.items())
        words += f" Designs in parts that another group does not have count for nothing: {counts}."
    return words


@dataclass(frozen=True)
class Fact:
    """One line of the table of what is known of the file."""

    what: str
    words: str


def facts_of(source: Imported) -> list[Fact]:
    """What is known of the file, line by line."""
    used = ", ".join(f"{role.replace('_', ' ')}: {column}" for role, column in source.columns.items())
    found = [
        Fact("file", f"{source.file}, read as {source.kind}"),
        Fact("SHA-256", source.digest),
        Fact("rows", f"{counted(source.used, 'run')} of {counted(source.rows, 'row')}"),
        Fact("columns", used),
        Fact("unit of errors", "per cent" if source.unit == "percent" else "fractions"),
        Fact("recipe", source.recipe or "not said"),
    ]
    if source.epochs:
        ends = dict.fromkeys((source.epochs[0], source.epochs[-1]))
        found.append(Fact("epochs", " to ".join(map(str, ends))))
    if source.paired:
        found.append(Fact("seeds", f"{', '.join(map(str, source.seeds[:50]))}, numbered from 0 on here"))
    else:
        found.append(
            Fact("seeds", "not said: runs of one design are numbered in the order of the file, and pair nothing")
        )
    if source.others:
        found.append(Fact("not taken", _counts(source.others)))
    if source.left_out:
        found.append(Fact("left out", _counts(source.left_out)))
    if source.compared:
        found.append(
            Fact(
                "parameters",
                f"{source.compared} compared with the exact numbers, {len(source.different)} of them differ",
            )
        )
    if source.unused:
        differ = ", ".join(f"{column} ({number} values)" for column, number in source.unused.items())
        found.append(Fact("other columns in which rows differ", differ))
    return found


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {what}" for what, number in counts.items())


def import_again(study: OpenedStudy, source: Imported) -> str:
    """The command that imports the same results from the same file."""
    keys = [f"{key}={value}" for key, value in source.asked.items()]
    return command_for("import", "", source.file, f"name={study.config.name}", *keys, program=PROGRAM)


def imported_checklist(study: OpenedStudy, found: ImportedFinding) -> Sequence[ChecklistItem]:
    """What a reviewer asks of results that others made: what the file says, and that it does not say the rest."""
    source, error = found.source, ERROR_NAMES[study.finding.measure]
    several = sum(one.estimate.n > 1 for one in study.finding.summaries)
    repeated = f"{several} of {counted(len(study.finding.summaries), 'design')} have several runs; the others have one."
    compared = source.compared and not source.different
    known = (
        f"{source.compared} numbers of parameters in the file were compared with them, {len(source.different)} differ."
    )
    recipes = " and one recipe by name" if source.recipe else "; of recipes nothing is said"
    return [
        ChecklistItem("Is the code that was run known?", "no", "The file does not say."),
        ChecklistItem(
            "Is the training pipeline given with all its hyperparameters?",
            "in part" if source.recipe else "no",
            f"The recipe has a name, {source.recipe}." if source.recipe else "The file does not name the recipe.",
        ),
        ChecklistItem(
            "Were all designs trained and judged alike?",
            "in part",
            f"One data set{recipes}; the {error} is "
            "as the file gives it." + (f" Rows differ in {', '.join(source.unused)}." if source.unused else ""),
        ),
        ChecklistItem(
            "Are the costs exact?",
            "yes" if compared or not source.compared else "in part",
            f"Costs are those of the closed form here.{f' {known}' if source.compared else ''}",
        ),
        ChecklistItem(
            "Are results repeated, and given with their uncertainty?",
            "no" if found.single else "in part",
            "One run each: nothing is known of other seeds." if found.single else repeated,
        ),
        ChecklistItem(
            "Was the tested contrast declared before the first run?",
            "no" if study.finding.has_contrast else "does not apply",
            "It was declared when the results were there." if study.finding.has_contrast else "Nothing is tested.",
        ),
        ChecklistItem(
            "Are designs that were left out named?",
            "yes",
            f"{counted(len(source.unread), 'design')} of the file do not exist here and are listed below."
            if source.unread
            else "Every network of the file that was to be read exists here.",
        ),
        ChecklistItem(
            "Is the computing time reported?",
            "yes" if source.timed else "no",
            "The file has the seconds of runs." if source.timed else "The file does not say.",
        ),
    ]
