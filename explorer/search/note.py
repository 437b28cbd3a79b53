"""What the page says of a study, in a few lines: the note beside its copies in the dashboard and in trackers."""

from pathlib import Path

from explorer.analysis.judging import OpenedStudy, open_study
from explorer.analysis.sentences import sentence
from explorer.host.errors import InputError
from explorer.host.formatting import NOTED, counted
from explorer.record.folder import REPORTS


def note_in(folder: Path) -> str | None:
    """The note of the study in a folder; None where its record cannot be read."""
    try:
        return note_of(open_study(folder))
    except (InputError, OSError):
        return None


def note_of(study: OpenedStudy, *, has_page: bool = False) -> str:
    """The question, the verdict, a person's remark and, unless it stands beside the page, its path, as Markdown."""
    finding, name = study.finding, study.folder.name
    page = "" if has_page else f" Page: `{REPORTS / f'{name}.html'}`"
    parts = [
        f"**{study.config.study.question}**",
        sentence(finding),
        f"{NOTED} {finding.note}" if finding.note else "",
        f"{finding.final} of {counted(finding.wanted, 'run')} recorded.{page}",
    ]
    return "\n\n".join(part for part in parts if part)
