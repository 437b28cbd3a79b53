"""`do=run`: train what is missing of a study, judge it, draw its page."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.host.errors import InputError, StudyStoppedError
from explorer.host.formatting import counted
from explorer.study.settings import NO_PATH, StudyConfig

if TYPE_CHECKING:
    from rich.console import Console

from explorer.host.console import PLAIN


def carry_out(config: StudyConfig, console: "Console") -> int:
    """`do=run`: train what is missing of a study, judge it, draw its page; 0 once it has its verdict.

    Raises StudyStoppedError where runs failed, none could be judged, or the page could not be drawn.
    """
    from explorer.analysis.judging import at_look, load_finding
    from explorer.record.changes import refuse_other_settings
    from explorer.record.folder import (
        BEHIND,
        CONFIG,
        LIVE_SECONDS,
        REPORTS,
        is_stale,
        make_folder,
        refuse_links,
        study_folder,
        sweep,
    )
    from explorer.record.progress import progress_of, refuse_foreign_record, without_weights
    from explorer.report.drawing import draw
    from explorer.report.terminal import print_verdict
    from explorer.study.contrast import contrast_of
    from explorer.study.plan import settings_of
    from explorer.verbs.live import Live
    from explorer.verbs.space_progress import space_progress

    with space_progress(console):
        contrast_of(config, settings_of(config))
    fork = None
    if config.fork and (study_folder(config.name) / CONFIG).exists():
        if config.data.lacks_path:
            raise InputError(NO_PATH)
        from explorer.search.fork import forked

        config, fork = forked(config, console)
    folder = study_folder(config.name)
    refuse_links(folder)
    current, failed, trained = at_look(config, folder), 0, False
    page = REPORTS / f"{config.name}.html"
    refuse_other_settings(folder, current)
    while not failed and (progress := progress_of(current, folder)).final < progress.wanted:
        if config.data.lacks_path:
            raise InputError(NO_PATH)
        from explorer.search.coordinator import run_study

        if not trained:
            _open_mirror(config, folder, console)
        for path in (folder, folder / "local", REPORTS):
            make_folder(path)
        words = f"The page while it runs, drawn anew at most every {LIVE_SECONDS} s: {page}"
        tell = partial(console.print, words, **PLAIN)
        live = Live(folder, begins=tell) if config.report.live else None
        failed, trained = run_study(current, folder, console, live, fork), True
        current = at_look(config, folder)
    if not trained:
        refuse_foreign_record(current, folder)
        if (folder / BEHIND).exists():
            from explorer.verbs.move import catch_up

            catch_up(folder, config.storage)
    if not failed:
        sweep(folder)
    asked = config.storage
    config, record, finding = load_finding(folder)
    print_verdict(finding, config.study.question, console)
    if asked.weights == "last" and (line := without_weights(record, folder)):
        console.print(line, **PLAIN)
    # From here on the record is whole and the verdict said.
    problems = []
    if failed:
        problems.append(
            f"{counted(failed, 'run')} failed; see {folder / 'local' / 'failures.log'}; start again to retry them"
        )
    try:
        if trained or is_stale(page, folder):
            draw(folder)
    except OSError as error:
        problems.append(f"{error.filename or page}: {error.strerror}; make room and redraw the page with do=report")
    except StudyStoppedError as error:
        problems.append(str(error))
    else:
        console.print(f"Report: {page}", **PLAIN)
    if finding.lost is not None and not failed:
        problems.append(f"{config.name}: no run came through that could be judged; see the verdict above")
    if problems:
        raise StudyStoppedError("; ".join(problems))
    return 0


def _open_mirror(config: StudyConfig, folder: Path, console: "Console") -> None:
    """See that the database for the dashboard lets us in, and say where it is to be another than until now."""
    from explorer.search.database import refuse_closed
    from explorer.verbs.move import elsewhere

    refuse_closed(config.storage)
    if line := elsewhere(folder, config.storage):
        console.print(line, **PLAIN)
