"""`explorer report --recorded`: the index and pages of the studies that git tracks, to be committed with them."""

import subprocess
from pathlib import Path

from rich.console import Console

from explorer.analysis.judging import open_study
from explorer.host.commands import command_for
from explorer.host.console import PLAIN
from explorer.host.errors import InputError
from explorer.record.folder import CONFIG, REPORTS, STUDIES, make_folder, refuse_links
from explorer.report import drawing
from explorer.study.settings import RecordedConfig
from explorer.verbs.ped_anova import ped_anova
from explorer.verbs.pictures import pictures_of
from explorer.verbs.result import Result


def carry_out(config: RecordedConfig, console: Console) -> Result:
    """Draw `reports/recorded.html` with the studies that git tracks, and again those of their pages that it tracks.

    Raises InputError outside a git repository, and where it tracks no study.
    """
    if config.name is not None or not config.recorded:
        again = command_for("report", "", "--recorded")
        raise InputError(f"recorded: draws all studies that git tracks; say {again}, without a name")
    studies, pages = _tracked()
    if not studies:
        raise InputError(
            f"recorded: git tracks no study in {STUDIES}/; add one that has begun, with git add {STUDIES}/NAME"
        )
    for name in studies:
        refuse_links(STUDIES / name)
    make_folder(REPORTS)
    path = drawing.draw_recorded(studies, pages)
    console.print(f"Report: {path}, {len(studies)} {'study' if len(studies) == 1 else 'studies'}", **PLAIN)
    drawn = []
    for name in studies:
        if f"{name}.html" in pages:  # which now leads to the index of recorded studies
            study = open_study(STUDIES / name)
            drawn.append(drawing.draw(study, ped_anova(study), pictures_of(study, "auto")))
            console.print(f"Report: {drawn[-1]}", **PLAIN)
    return Result(lambda: {"studies": studies, "index": path, "pages": drawn})


def _tracked() -> tuple[list[str], frozenset[str]]:
    """The names of the studies and the file names of the pages that git tracks here."""
    words = ["git", "-c", "core.fsmonitor=false", "ls-files", "-z", "--", str(STUDIES), str(REPORTS)]
    try:
        done = subprocess.run(words, capture_output=True, encoding="utf-8", errors="replace")  # noqa: S603 - fixed
    except OSError as error:
        raise InputError(f"recorded: needs git, which cannot be started ({error.strerror}); install it") from None
    if done.returncode:
        raise InputError("recorded: is of the studies that git tracks, and this folder is in no git repository")
    paths = [path for text in done.stdout.split("\0") if text and (path := Path(text)).exists()]
    names = {path.parts[1] for path in paths if path.name == CONFIG and path.parent.parent == STUDIES}
    pages = {path.name for path in paths if path.parent == REPORTS and path.suffix == ".html"}
    return sorted(names), frozenset(pages)
