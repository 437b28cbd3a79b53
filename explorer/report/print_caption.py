"""The caption of a figure for print: what is drawn, how often it was measured, and where the numbers come from."""

from explorer.analysis.judging import OpenedStudy
from explorer.host.formatting import counted, seed_counts
from explorer.report.curves import shared_ending, short_names
from explorer.report.described import FIGURES
from explorer.report.forest import Forest
from explorer.report.page_figures import Printable
from explorer.report.panel import Panel
from explorer.report.print_table import source
from explorer.report.verdict_picture import VerdictPicture

# What the bands of a figure are, where they are no 95 % intervals over seeds or designs.
_BANDS = {
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
            parts.append("Thick: validation; thin: training.")
            if short := short_names(figure):
                ending = shared_ending([mark.settings[0] for mark in figure.marks if mark.legend in short])
                parts.append(f"Names as in the record{f', each without {ending}' if ending else ''}.")
            drawn = {setting for mark in figure.marks for setting in mark.settings}
            if len(drawn) < len(finding.summaries):
                parts.append("Best: by the lowest validation error.")
            shown = [one for one in finding.summaries if one.setting in drawn] or shown
    elif isinstance(figure, Forest):
        if any(row.more and row.kind == "square" for row in figure.rows):
            parts.append("Circles: single seeds.")
        parts.append("Lines: 95 % intervals." + ("" if figure.margin is None else " Shaded: the margin."))
        if name.startswith("final") and finding.final_round is not None:
            parts.append(f"n = {counted(finding.final_round.seeds, 'seed')} a design.")
    else:
        parts.append("One line for each design, from blue and dark for the lowest error to orange and light, by rank.")
    if name == "pairs" and finding.comparison is not None:
        parts.append(f"n = {finding.comparison.difference.n} pairs of seeds.")
    elif not isinstance(figure, Forest):
        parts.append(f"n = {seed_counts([one.estimate.n for one in shown])} a setting.")
    return " ".join([*parts, source(study)])
