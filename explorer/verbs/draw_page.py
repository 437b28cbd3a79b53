"""Draws the page at the end of a command that has printed its verdict."""

from rich.console import Console

from explorer.analysis.judging import OpenedStudy
from explorer.host.console import PLAIN
from explorer.host.errors import StudyStoppedError
from explorer.record.folder import REPORTS, is_stale


def draw_page(study: OpenedStudy, console: Console, *, always: bool) -> list[str]:
    """Draw the page, unless not `always` and it shows all of the record; return the error that prevented it, if any."""
    page = REPORTS / f"{study.folder.name}.html"
    try:
        if always or is_stale(page, study.folder):
            from explorer.report.drawing import draw
            from explorer.verbs.ped_anova import ped_anova

            draw(study, ped_anova(study))
    except OSError as error:
        return [f"{error.filename or page}: {error.strerror}; make room and redraw the page with do=report"]
    except StudyStoppedError as error:
        return [str(error)]
    console.print(f"Report: {page}", **PLAIN)
    return []
