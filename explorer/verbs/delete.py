"""`explorer delete`: delete a study: its folder, its page, its entry in the index, its copy in a database."""

import os
import shutil
import sys
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.prompt import Confirm
from rich.text import Text

from explorer.host.console import PLAIN
from explorer.host.errors import InputError
from explorer.host.formatting import counted, printable, size_words, without_password
from explorer.record.folder import (
    CHECKS,
    CONFIG,
    ENVIRONMENT,
    EXECUTION,
    LABELS,
    NOTE,
    REPORTS,
    RUNS,
    SOME,
    STUDIES,
    TABLES,
    held_by,
    locked,
    refuse_links,
    stored_config,
    study_folder,
)
from explorer.study.settings import DeleteConfig, StorageConfig
from explorer.verbs.result import Result


def carry_out(config: DeleteConfig, console: Console) -> Result:
    """Say what goes, ask, and delete it; 1 if it was not agreed to.

    Raises InputError for a study that is being run, for links, and for a folder that holds something else.
    """
    folder, page = study_folder(config.name), REPORTS / f"{config.name}.html"
    for path in (STUDIES, REPORTS):
        if path.is_symlink():
            raise InputError(f"{path}: is a link, through which nothing is deleted; it leads to {path.resolve()}")
    if folder.is_symlink():
        raise InputError(f"{folder}: is a link; delete the link and what it leads to yourself")
    refuse_links(folder)  # the lock is written in there
    _refuse_others(folder)
    if holder := held_by(folder):
        raise InputError(f"{folder}: is being run by {holder}; end that first")
    database = _database(folder, config)
    files = [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    size = sum(path.lstat().st_size for path in files)
    going = [f"{folder}: {_recorded(folder)}{counted(len(files), 'file')}, {size_words(size)}"]
    going += [f"{page}, and its entry in {REPORTS / 'index.html'}"] if page.exists() else []
    going += [f"{config.name} in the database {without_password(database)}"] if database else []
    stays = _stays(config.name, folder, database)
    for line in ("This deletes for good:", *(f"  {one}" for one in going), *stays):
        console.print(line, **PLAIN)
    told: dict[str, Any] = {"study": config.name, "deleted": False, "goes": going, "stays": stays}
    told |= {"files": len(files), "bytes": size}
    asks = sys.stdin is not None and sys.stdin.isatty() and console.is_terminal
    if not config.yes and not (asks and Confirm.ask(Text(printable(f"Delete {config.name}?")), console=console)):
        console.print("Nothing was deleted." if asks else "Nothing was deleted; add --yes to delete.", **PLAIN)
        return Result(lambda: told, 1)
    _delete(folder, page, config.name, database)
    console.print(f"Deleted: {config.name}", **PLAIN)
    return Result(lambda: told | {"deleted": True})


def _delete(folder: Path, page: Path, name: str, database: str | None) -> None:
    """Delete what belongs to a study, the record last, so that an interrupted deletion can be started again."""
    (folder / "local").mkdir(exist_ok=True)
    with locked(folder):
        if database:
            _remove_from(folder, name, database)
        page.unlink(missing_ok=True)
        # Under another name first: what is half deleted must not look like a study.
        gone = folder.with_name(f".{folder.name}.{os.getpid()}.deleted")
        folder.rename(gone)
    shutil.rmtree(gone)
    if REPORTS.is_dir() and (REPORTS / "index.html").exists():
        from explorer.report.drawing import draw_index

        draw_index()


def _refuse_others(folder: Path) -> None:
    """Raise InputError for a folder that is no study's: one that has not begun has nothing but what a start leaves."""
    if (folder / CONFIG).exists() or (folder / RUNS).exists():
        return
    left = {*TABLES, *SOME, LABELS, EXECUTION, ENVIRONMENT, NOTE, "local", CHECKS}
    for path in sorted(folder.iterdir()):
        if path.name not in left and not path.name.endswith(".partial"):
            raise InputError(f"{folder}: holds {path.name} and no study; delete it yourself, if it can go")


def _recorded(folder: Path) -> str:
    """How many runs the record has, as the beginning of a list."""
    runs, inside = 0, folder.glob(f"{CHECKS}/*/{RUNS}")  # its final round and its checks are studies of their own
    for table in (folder / RUNS, *inside):
        with suppress(OSError), table.open("rb") as file:
            runs += max(0, sum(1 for _ in file) - 1)
    return f"{counted(runs, 'recorded run')}, " if (folder / RUNS).exists() else ""


def _stored_url(folder: Path) -> str | None:
    """The database outside the folder that the study's settings name, without its password."""
    with suppress(InputError):
        storage = (stored_config(folder) or {}).get("storage")
        url = storage.get("url") if isinstance(storage, dict) else None
        return url if isinstance(url, str) else None
    return None


def _database(folder: Path, config: DeleteConfig) -> str | None:
    """The database from which the study is deleted too, which the command must name.

    The folder may come from other people, and a server that is connected to receives the password for it.
    """
    if config.database is None:
        return None
    from explorer.search.database import read_url

    read_url(config.database, "database")
    if without_password(config.database) != _stored_url(folder):
        raise InputError(
            f"database={without_password(config.database)}: is not the database of {config.name}, which is "
            f"{_stored_url(folder) or 'the file in its folder, or none'}"
        )
    return config.database


def _stays(name: str, folder: Path, database: str | None) -> list[str]:
    """Lines on what is not deleted, though it belongs to the study."""
    lines = []
    if (url := _stored_url(folder)) and not database:
        lines.append(f"It stays in the database {url}; add database={url} to delete it there too")
    lines += [f"{own} stays" for own in (Path(one) / name for one in ("tables", "exports", "push")) if own.is_dir()]
    # A figure or table is NAME-KIND, and another study may be called NAME-2.
    others = [one.name for one in STUDIES.glob("*") if one.name.startswith(f"{name}-")]
    for place in (Path("figures"), Path("tables")):
        files = [one for one in place.glob(f"{escape(name)}-*.*") if not one.name.startswith(tuple(others))]
        if files:
            lines.append(f"{counted(len(files), 'file')} {place / name}-* {'stays' if len(files) == 1 else 'stay'}")
    return lines


def _remove_from(folder: Path, name: str, database: str) -> None:
    from explorer.search.database import understood
    from explorer.search.mirror import mirror_of, remove

    place = mirror_of(StorageConfig("url", url=database), name, folder)
    assert place is not None
    try:
        remove(place, name)
    except Exception as error:
        raise InputError(f"{place.place}: {understood(error)[0]}; nothing was deleted") from error
