"""Draws a study's page and brings the index of all studies up to date."""

import os
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.analysis.judging import OpenedStudy, open_study, refuse_large
from explorer.host.errors import InputError, StudyStoppedError
from explorer.host.formatting import in_one_line
from explorer.record.folder import CONFIG, REPORTS, STUDIES, make_folder, refuse_later_record, refuse_links, stamps_of

if TYPE_CHECKING:
    from explorer.report.index import Entry

FAULT = "page.log"  # in `local/`: the traceback of the last failure to draw the page


def draw(
    study: OpenedStudy,
    importance: Mapping[str, float] | None = None,
    pictures: Mapping[int, str] | None = None,
) -> Path:
    """Draw a study's page and the index from the records, and return the path of the page.

    `importance` and `pictures` are as in `write_page`. The page file gets the modification time of the record it shows,
    so that rows added since then make it stale.
    Raises InputError for a folder that cannot be written, and StudyStoppedError if drawing fails by a defect.
    """
    folder = study.folder
    try:
        return _drawn(study, importance, pictures)
    except (InputError, OSError):
        raise
    except Exception as error:
        words = f"{folder}: the page cannot be drawn ({in_one_line(f'{type(error).__name__}: {error}')})"
        with suppress(OSError):
            make_folder(folder / "local")
            (folder / "local" / FAULT).write_text(traceback.format_exc(), encoding="utf-8")
            words += f"; {folder / 'local' / FAULT} says where"
        raise StudyStoppedError(f"{words}; this is a defect of the program, and the record is whole") from error


def _drawn(study: OpenedStudy, importance: Mapping[str, float] | None, pictures: Mapping[int, str] | None) -> Path:
    from explorer.report.entry_cache import keep, key_of
    from explorer.report.index import entry_of, write_index
    from explorer.report.page import write_page

    refuse_links(study.folder)  # the cached entry of the index is written there
    make_folder(REPORTS)
    page = REPORTS / f"{study.folder.name}.html"
    assert study.stamps is not None
    written = study.stamps.written
    write_page(study, page, study.digest, importance=importance, pictures=pictures)
    os.utime(page, ns=(written, written))
    entry = entry_of(study)
    keep(study.folder, key_of(study.stamps), entry)
    write_index(entries({study.folder: entry}), REPORTS / "index.html")
    return page


def draw_index() -> None:
    """Draw the index from the records and pages that there are."""
    from explorer.report.index import write_index

    write_index(entries({}), REPORTS / "index.html")


def draw_recorded(names: Sequence[str], pages: frozenset[str]) -> Path:
    """Draw the index of these studies, the recorded ones, with links to these pages, and return its path."""
    from explorer.report.index import write_recorded

    return write_recorded([one for one in entries({}) if one.name in names], REPORTS, pages)


def entries(known: dict[Path, "Entry"]) -> list["Entry"]:
    """One entry per study folder; that of an unreadable study says so. Entries in `known` are used as they are."""
    folders = sorted(path for path in STUDIES.glob("*") if (path / CONFIG).exists())
    entries = [(folder, known[folder] if folder in known else _entry(folder)) for folder in folders]
    pages = {folder: f"{folder.name}.html" for folder in folders}
    return [
        replace(entry, page=pages[folder] if (REPORTS / pages[folder]).exists() else None) for folder, entry in entries
    ]


def _entry(folder: Path) -> "Entry":
    """A study's entry, without its page: from the cache, or from the record if that has changed since."""
    from explorer.report.entry_cache import keep, kept, key_of
    from explorer.report.index import broken, entry_of

    try:
        refuse_links(folder)
    except (InputError, OSError) as error:
        return broken(folder.name, error)
    key = key_of(stamps_of(folder))
    if entry := kept(folder, key):
        return entry
    try:
        refuse_later_record(folder)
        refuse_large(folder)
        entry = entry_of(open_study(folder))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one folder, the index still lists the others
        return broken(folder.name, error)
    keep(folder, key, entry)
    return entry
