"""`do=report`: draw a study's page again from its record."""

from typing import TYPE_CHECKING

from explorer.study.settings import StudyConfig

if TYPE_CHECKING:
    from rich.console import Console

from explorer.host.console import PLAIN


def carry_out(config: StudyConfig, console: "Console") -> int:
    """`do=report`: draw a study's page again from its record."""
    from explorer.analysis.judging import open_study
    from explorer.record.folder import study_folder
    from explorer.report.drawing import draw

    console.print(f"Report: {draw(open_study(study_folder(config.name)))}", **PLAIN)
    return 0
