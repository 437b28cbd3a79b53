"""Draws the page at the end of a command that has trained, and says how to draw one that is missing or old."""

from pathlib import Path

from rich.console import Console
from rich.style import Style
from rich.text import Text

from explorer.analysis.judging import OpenedStudy
from explorer.host.commands import command_for
from explorer.host.console import PLAIN
from explorer.host.errors import InputError, StudyStoppedError
from explorer.host.formatting import printable
from explorer.record.folder import REPORTS, is_stale


def tell_of_page(study: OpenedStudy, console: Console) -> None:
    """Say where the page is, or how to draw it where it is missing or older than the record. Writes nothing."""
    page, name = REPORTS / f"{study.folder.name}.html", study.folder.name
    if not is_stale(page, study.folder):
        _say_where(page, console)
        return
    what = "is older than the record" if page.exists() else "has not been drawn"
    console.print(f"The page {page} {what}; draw it with: {command_for('report', name)}", **PLAIN)


def draw_page(study: OpenedStudy, console: Console) -> list[str]:
    """Draw the page; return the error that prevented it, if any."""
    page, problems = REPORTS / f"{study.folder.name}.html", list[str]()
    try:
        from explorer.report.drawing import draw
        from explorer.verbs.ped_anova import ped_anova
        from explorer.verbs.pictures import pictures_of

        try:
            pictures = pictures_of(study, study.config.report.images)
        except InputError as error:  # the page is drawn without them
            pictures, problems = {}, [str(error)]
        draw(study, ped_anova(study), pictures)
    except OSError as error:
        again = command_for("report", study.folder.name)
        return [f"{error.filename or page}: {error.strerror}; make room and draw the page with {again}"]
    except StudyStoppedError as error:
        return [str(error)]
    _say_where(page, console)
    return problems


def _say_where(page: Path, console: Console) -> None:
    """Say where a page is; on a terminal that can follow links a click on it opens it."""
    link = Style(link=page.resolve().as_uri())
    console.print(Text.assemble("Report: ", (printable(str(page)), link)), soft_wrap=True)
