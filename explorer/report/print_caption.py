"""The caption of a figure for print: what is drawn, how often it was measured, and where the numbers come from."""

from explorer.analysis.judging import OpenedStudy
from explorer.host.formatting import counted, seed_counts
from explorer.report.curves import MOST_CURVES
from explorer.report.described import FIGURES
from explorer.report.forest import Forest
from explorer.report.page_figures import Printable
from explorer.report.panel import Panel
from explorer.report.print_table import source
from explorer.report.rows import Rows
from explorer.report.verdict_picture import VerdictPicture

# What the bands of a figure are, where they are no 95 % intervals over seeds or designs.
_BANDS = {
    "best-of": "Band: the central 95 % of draws of so many designs.",
    "deviation": "Bands: what the budget allows.",
    "course": "Band: the central 95 % of the orders in which designs drawn at random might have come.",
}


def caption(study: OpenedStudy, name: str, figure: Printable) -> str:
    """The caption of the figure of this name, as plain text."""
    if isinstance(figure, VerdictPicture):
        return " ".join([f"{figure.name}.", figure.caption, source(study)])
    finding, parts = study.finding, [f"{figure.title}."]
    if name in FIGURES and isinstance(figure, Panel):
        return " ".join([*parts, *filter(None, [figure.caption]), source(study)])
    shown = finding.summaries
    if isinstance(figure, Panel):
        if any(mark.kind == "dots" and mark.legend == "one seed" for mark in figure.marks):
            parts.append("Small marks: single seeds.")
        if figure.has_band:
            parts.append(_BANDS.get(name, "Bands: 95 % intervals."))
        if name == "curves":
            if sum(one.came_through for one in shown) > MOST_CURVES:
                parts[len(parts) - figure.has_band :] = [
                    "Bands: from the lowest to the highest validation error; lines: median, best, worst."
                ]
            else:
                parts.append("Thick: validation; thin: training.")
    elif isinstance(figure, Forest):
        if any(row.more and row.kind == "square" for row in figure.rows):
            parts.append("Circles: single seeds.")
        ends = (
            "intervals that hold for all classes at once (95 %, Bonferroni)" if name == "classes" else "95 % intervals"
        )
        parts.append(f"Lines: {ends}." + ("" if figure.margin is None else " Shaded: the margin."))
        if name in ("disagreement", "classes") and study.disagreement is not None:
            parts.append(f"n = {counted(len(study.disagreement.seeds), 'pair')} of seeds.")
        if name.startswith("final") and finding.final_round is not None:
            parts.append(f"n = {counted(finding.final_round.seeds, 'seed')} a design.")
    elif isinstance(figure, Rows):
        if any(len(cell.each) for row in figure.rows for cell in row.cells):
            parts.append("Rings: single runs.")
        parts += ["Lines: 95 % intervals."] if figure.has_band else []
        parts += ["Shaded: what the budget allows."] if any(figure.shades) else []
        parts += [figure.caption] if figure.caption else []
    elif figure.colors:
        parts.append("One line for each design, in the colour of its group.")
    else:
        parts.append("One line for each design, from blue and dark for the lowest error to orange and light, by rank.")
    if not isinstance(figure, Forest):
        parts.append(f"n = {seed_counts([one.estimate.n for one in shown])} a setting.")
    return " ".join([*parts, source(study)])
