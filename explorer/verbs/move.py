"""`explorer move`: move a study's mirror to another database; also updates the mirror of a finished study."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import Progress

from explorer.analysis.judging import OpenedStudy, open_study
from explorer.host.commands import command_for
from explorer.host.console import PLAIN
from explorer.host.errors import InputError
from explorer.host.files import write_whole
from explorer.host.formatting import without_password
from explorer.record.folder import BEHIND, CONFIG, locked, refuse_links, stored_config, study_folder
from explorer.search.database import read_url, refuse_closed, understood
from explorer.search.mirror import Mirror, Writer, mirror_of, mirrored, own_mirror, problem, remove
from explorer.search.note import note_of
from explorer.search.state import replayed
from explorer.search.trials import Trials
from explorer.study.settings import StorageConfig, StudyConfig
from explorer.verbs.result import Result


def catch_up(study: OpenedStudy, asked: StorageConfig) -> None:
    """Complete the mirror of a finished study, if an earlier start could not.

    A folder may come from other people: a database outside it is written only if the command names it too.
    """
    config = study.config
    if config.storage.url and config.storage.url != _shown(asked):
        return
    with suppress(InputError), locked(study.folder):
        known = replace(config.storage, url=asked.url) if config.storage.url else config.storage  # with its password
        place = mirror_of(known, config.name, study.folder)
        with mirrored(replayed(study.plan, study.settings, study.record), place, lambda: note_of(study)):
            pass


def move(folder: Path, asked: StorageConfig, console: Console, leaves: str | None = None) -> dict[str, Any]:
    """Create a study's mirror in another database, check it, record the new place, and delete the old mirror.

    Returns where it is now (None: nowhere), its number of trials, where it was, and whether it is gone from there.

    The folder may come from other people: the study is deleted from a database outside it only if the command names
    that database, as the one it `leaves` or the one it writes to.
    Raises InputError for a study that has not begun or is being run, and for a place that cannot be written.
    """
    refuse_closed(asked)
    if leaves is not None:
        read_url(leaves, "from")
    study = open_study(folder)

    def say(line: str) -> None:
        console.print(line, **PLAIN)

    with locked(folder):
        config, trials = study.config, replayed(study.plan, study.settings, study.record)
        stored, new = mirror_of(config.storage, config.name, folder), mirror_of(asked, config.name, folder)
        named = StorageConfig("url", url=leaves) if leaves else None
        old = mirror_of(named, config.name, folder) if named else stored
        if new is not None:
            _write(trials, new, note_of(study), console)
            say(f"Written: {new.place}, {len(trials.study.trials)} trials as the record has them")
        tree = stored_config(folder) or {}
        tree["storage"] = {**asdict(config.storage), "mirror": asked.mirror, "url": _shown(asked)}
        write_whole(folder / CONFIG, yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))
        (folder / BEHIND).unlink(missing_ok=True)
        say(f"Recorded in {folder / CONFIG}: storage.mirror={asked.mirror}{f', {_shown(asked)}' if asked.url else ''}")
        done = {
            "study": config.name,
            "mirror": new.place if new else None,
            "trials": len(trials.study.trials) if new else None,
            "before": old.place if old else None,
            "removed": False,
        }
        if old is None or (new is not None and old.place == new.place):
            return done
        if old.path is None and named is None:
            say(f"Left where it is: the old mirror {old.place}; the same command with from={old.place} removes it")
            return done
        try:
            is_gone = remove(old, config.name)
            say(f"Removed: the mirror {old.place}" if is_gone else f"Nothing to remove: {old.place} lacks the study")
            done["removed"] = is_gone
        except Exception as error:  # noqa: BLE001 - the study has moved, whatever is wrong with the old place
            say(f"Left where it is: the old mirror {old.place} cannot be removed now: {understood(error)[0]}")
        return done


def elsewhere(folder: Path, asked: StorageConfig) -> str:
    """A sentence on what happens to a study's present mirror if this start writes to another one; else ""."""
    tree = stored_config(folder) or {}
    stored = tree["storage"] if isinstance(tree.get("storage"), dict) else {}
    now = _shown(asked) or str(own_mirror(folder).path if asked.mirror == "sqlite" else None)
    before = stored.get("url") or str(own_mirror(folder).path)
    if before == now or (stored.get("url") is None and not Path(before).exists()):
        return ""
    goes = "this start keeps none" if asked.mirror == "none" else f"this start writes to {now}"
    keys = {"none": [], "sqlite": ["storage=sqlite"]}.get(asked.mirror, ["storage=postgres", f"storage.url={now}"])
    if not keys:
        return f"The dashboard's database has been {before}, which stays as it is; {goes}"
    along = f"{command_for('move', folder.name, *keys)} takes it along"
    return f"The dashboard's database has been {before}, which stays as it is; {goes} ({along})"


@contextmanager
def _asked_for(place: Mirror) -> Iterator[None]:
    """Turn errors of writing to a database into an InputError that names the database the command chose."""
    try:
        yield
    except Exception as error:
        raise InputError(f"{place.place}: cannot be written: {understood(error)[0]}; nothing has been moved") from error


def _write(trials: Trials, place: Mirror, note: str, console: Console) -> None:
    """Create a mirror with all trials, and check that it has them."""
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Writing trials", total=len(trials.study.trials))
        writer = Writer(trials, place, wrote=lambda: bar.advance(task), note=note)
        with _asked_for(place):
            writer.synchronise()
    if wrong := problem(trials, place)[0]:
        raise InputError(f"{place.place}: {wrong}, though it has just been written; nothing has been moved")


def _shown(config: StorageConfig) -> str | None:
    return without_password(config.url) if config.url else None


def carry_out(config: StudyConfig, leaves: str | None, console: Console) -> Result:
    """`explorer move`: copy a study's trials to another database, which is used from now on."""
    refuse_links(study_folder(config.name))
    done = move(study_folder(config.name), config.storage, console, leaves)
    return Result(lambda: done)
