"""From a study's folder to its page and its entry in the index."""

import os
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.host.errors import InputError, StudyStoppedError
from explorer.record import folder as study

if TYPE_CHECKING:
    from explorer.report.index import Entry
    from explorer.report.study import Study
from explorer.analysis.judging import _refuse_large, load_finding

FAULT = "page.log"  # in `local/`: where the program failed when it last could not draw the page


def load_study(folder: Path) -> "Study":
    """Everything that a page is made of. Raises InputError for a study that was never started."""
    from explorer.report.study import Study

    config, record, finding = load_finding(folder)
    environment, execution = study.stored_environment(folder), study.stored_execution(folder)
    assert environment is not None
    assert execution is not None
    return Study(config, record, finding, environment, execution)


def draw(folder: Path) -> Path:
    """Draw a study's page and the index anew from the records, and return the page.

    The page gets the time of the record it shows: a row that comes while it is being drawn makes it stale.
    Raises InputError for a record that cannot be read, and StudyStoppedError where a page cannot be made of a good one.
    """
    try:
        return _drawn(folder)
    except (InputError, OSError):
        raise
    except Exception as error:
        words = f"{folder}: the page cannot be drawn ({' '.join(f'{type(error).__name__}: {error}'.split())[:200]})"
        with suppress(OSError):
            study.make_folder(folder / "local")
            (folder / "local" / FAULT).write_text(traceback.format_exc(), encoding="utf-8")
            words += f"; {folder / 'local' / FAULT} says where"
        raise StudyStoppedError(f"{words}; this is a defect of the program, and the record is whole") from error


def _drawn(folder: Path) -> Path:
    from explorer.report.entry_cache import keep, key_of
    from explorer.report.index import entry_of, write_index
    from explorer.report.page import write_page

    study.refuse_links(folder)  # the entry in the index is kept in it
    runs = folder / study.RUNS
    seen, digest = runs.stat().st_mtime_ns if runs.exists() else 0, study.runs_digest(folder)
    key = key_of(folder)
    drawn = load_study(folder)
    study.make_folder(study.REPORTS)
    page = study.REPORTS / f"{folder.name}.html"
    write_page(drawn, page, digest)
    os.utime(page, ns=(seen, seen))
    entry = entry_of(drawn.config, drawn.record, drawn.finding)
    keep(folder, key, entry)
    write_index(entries({folder: entry}), study.REPORTS / "index.html")
    return page


def entries(known: dict[Path, "Entry"]) -> list["Entry"]:
    """One entry per study folder; one that cannot be read says so in its verdict. `known` need not be read again."""
    folders = sorted(path for path in study.STUDIES.glob("*") if (path / study.CONFIG).exists())
    entries = [(folder, known[folder] if folder in known else _entry(folder)) for folder in folders]
    pages = {folder: f"{folder.name}.html" for folder in folders}
    return [
        replace(entry, page=pages[folder] if (study.REPORTS / pages[folder]).exists() else None)
        for folder, entry in entries
    ]


def _entry(folder: Path) -> "Entry":
    """A study's entry, without its page: as it was kept, or from its record where that has changed since."""
    from explorer.report.entry_cache import keep, kept, key_of
    from explorer.report.index import broken, entry_of

    try:
        study.refuse_links(folder)
    except (InputError, OSError) as error:
        return broken(folder.name, error)
    key = key_of(folder)
    if entry := kept(folder, key):
        return entry
    try:
        _refuse_large(folder)
        entry = entry_of(*load_finding(folder))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one folder, the others are in the index
        return broken(folder.name, error)
    keep(folder, key, entry)
    return entry
