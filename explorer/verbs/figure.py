"""`explorer figure NAME [FIGURE ...]`: write figures of a study for a paper."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from explorer.analysis.judging import open_study
from explorer.host.commands import command_for
from explorer.host.console import PLAIN
from explorer.host.errors import InputError
from explorer.host.files import write_whole
from explorer.host.formatting import hint
from explorer.record.folder import make_folder, refuse_links, study_folder
from explorer.report.added_figures import added_figures
from explorer.report.described import table_of
from explorer.report.page_figures import printable
from explorer.report.panel import Panel
from explorer.report.print_caption import caption
from explorer.report.rows import Rows, rows_table
from explorer.report.verdict_picture import VerdictPicture
from explorer.study.settings import FIGURE_WIDTHS, FigureConfig
from explorer.verbs.result import Result

MISSING = "figures for print are drawn with matplotlib, which is not installed; pip install 'resnext-explorer[paper]'"


def carry_out(config: FigureConfig, console: Console) -> Result:
    """Write the named figures, by default the first of the study's page, each in every format, with its caption."""
    if find_spec("matplotlib") is None:
        raise InputError(MISSING)
    from explorer.report.print_figure import missing_letters, print_figure

    folder = study_folder(config.name)
    refuse_links(folder)
    study = open_study(folder)
    figures = printable(study)
    if not figures:
        raise InputError(f"{folder}: no run has come through yet, so there is nothing to draw")
    asked = [*figures] if config.figures == ("all",) else list(config.figures) or [next(iter(figures))]
    undrawn = added_figures(study)[1]
    for name in asked:
        if name in undrawn:
            raise InputError(f"{name}: could not be drawn: {undrawn[name]}")
        if name not in figures:
            raise InputError(f"{name}: no such figure{hint(name, [*figures])}; allowed: all, {', '.join(figures)}")
    width = FIGURE_WIDTHS[config.width] if isinstance(config.width, str) else config.width
    target = Path(config.folder).expanduser()
    refuse_links(make_folder(target))
    made = []
    for name in dict.fromkeys(asked):
        figure = figures[name]
        paths = [target / f"{config.name}-{name}.{form}" for form in dict.fromkeys(config.format)]
        with missing_letters() as missing:
            drawn = print_figure(figure, width, config.height)
            for path in paths:
                if path.suffix == ".csv":
                    if not isinstance(figure, Panel | Rows | VerdictPicture):
                        numbers = command_for("table", config.name)
                        raise InputError(f"format=csv: {name} has no axes x and y; {numbers} has its numbers")
                    columns, rows = numbers_of(figure)
                    write_whole(path, pd.DataFrame(rows, columns=[*columns]).to_csv(index=False))
                else:
                    drawn.savefig(path)
                console.print(f"Wrote {path}", **PLAIN)
        if missing:
            console.print(f"Its font lacks {' '.join(missing)}, shown as boxes", **PLAIN)
        words = caption(study, name, figures[name])
        console.print(f"Caption: {words}", **PLAIN)
        made.append({"figure": name, "files": paths, "caption": words, "missing_letters": missing})
    return Result(lambda: {"study": config.name, "figures": made})


def numbers_of(figure: Panel | Rows | VerdictPicture) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
    """The numbers of a figure: its columns, and its rows."""
    if isinstance(figure, Rows):
        return rows_table(figure)
    return table_of(figure) if isinstance(figure, Panel) else figure.table
