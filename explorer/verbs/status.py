"""`explorer list` and `explorer status`: how far the studies of this folder are, without changing anything."""

import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from explorer.analysis.judging import OpenedStudy, open_study, refuse_large
from explorer.host.commands import command_for
from explorer.host.console import PLAIN, PlainConsole, is_aside, say
from explorer.host.errors import InputError
from explorer.host.formatting import counted, in_one_line, size_words
from explorer.host.tables import print_rows
from explorer.record.folder import (
    CONFIG,
    MOMENT,
    REPORTS,
    RUNS,
    STUDIES,
    checks_in,
    held_by,
    is_stale,
    moment,
    refuse_later_record,
    refuse_links,
    stamps_of,
    study_folder,
)
from explorer.record.starts import starts_of
from explorer.study.settings import StatusConfig
from explorer.verbs.grammar import studies_here
from explorer.verbs.result import Result
from explorer.verbs.space_progress import space_progress

State = Literal["finished", "running", "stopped", "not begun", "unusable"]


@dataclass(frozen=True)
class Status:
    """One study's folder.

    done, wanted  runs with a final row, and runs that there are to be; None where that cannot be known
    running_on    process and machine that run it now, as text; None if none does
    verdict       in a sentence; what is wrong with the folder, if it cannot be used
    bytes         of all files in its folder
    changed       when a file of its record was last written, in UTC
    """

    name: str
    state: State
    done: int | None
    wanted: int | None
    running_on: str | None
    verdict: str
    bytes: int
    changed: str | None


def carry_out(config: StatusConfig, console: Console) -> Result:
    """Print one study, or all of this folder; the code is 0 whatever state they are in."""
    if config.name is not None:
        return _one(study_folder(config.name), console)
    folders = [study_folder(name) for name in studies_here()]
    found = _all_of(folders)
    if is_aside(console):
        pass  # the lines say no more than the document does
    elif not found:
        console.print(f"No study in {STUDIES}/ yet. Start one with: {command_for('', 'equal_params')}", **PLAIN)
    else:
        _print_all(found, console)
    return Result(lambda: [asdict(one) for one in found])


def _all_of(folders: list[Path]) -> list[Status]:
    """The state of every study; progress is shown on a terminal's standard error, apart from what is printed."""
    from explorer.report.entry_cache import drop_oldest_of_user

    with space_progress(PlainConsole(stderr=True)) as progress:
        found = []
        for done, folder in enumerate(folders):
            if progress:
                progress("Reading the studies", done, len(folders))
            found.append(status_of(folder))
    drop_oldest_of_user()
    return found


def status_of(folder: Path) -> Status:
    """How far a study is. What is wrong with a folder is its verdict: the others are to be listed all the same."""
    running = None
    with suppress(OSError):
        running = held_by(folder)
    base = Status(folder.name, "unusable", None, None, running, "", _bytes(folder), _changed(folder))
    try:
        refuse_links(folder)
        if not (folder / CONFIG).exists() and not (folder / RUNS).exists():
            return replace(base, state="running" if running else "not begun", verdict="Nothing is recorded yet.")
        done, wanted, verdict = _found(folder)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one folder
        words = str(error) if isinstance(error, InputError) else in_one_line(f"{type(error).__name__}: {error}")
        return replace(base, verdict=words)
    state: State = "running" if running else "finished" if done >= wanted else "stopped"
    return replace(base, state=state, done=done, wanted=wanted, verdict=verdict)


def _found(folder: Path) -> tuple[int, int, str]:
    """Runs done and wanted, and the verdict: from a cache, or from the record if that has changed since.

    The cache is the index's, or the user's, which is filled here: nothing is written into a study that is only listed.
    """
    from explorer.report.entry_cache import keep_for_user, kept, kept_by_user, key_of

    refuse_later_record(folder)
    key = key_of(stamps_of(folder))
    if entry := kept(folder, key) or kept_by_user(folder, key):
        return entry.final, entry.wanted, entry.verdict
    from explorer.report.index import entry_of

    refuse_large(folder)
    entry = entry_of(open_study(folder))
    keep_for_user(folder, key, entry)
    return entry.final, entry.wanted, entry.verdict


def _bytes(folder: Path) -> int:
    """The size of all files in a folder, links not followed."""
    total, todo = 0, [folder]
    while todo:
        with suppress(OSError), os.scandir(todo.pop()) as entries:
            for one in entries:
                with suppress(OSError):
                    if one.is_dir(follow_symlinks=False):
                        todo.append(Path(one.path))
                    else:
                        total += one.stat(follow_symlinks=False).st_size
    return total


def _changed(folder: Path) -> str | None:
    """When a file of the record, or its settings, was last written."""
    times = [found[1] for found in stamps_of(folder).files.values() if found]
    return datetime.fromtimestamp(max(times) / 1e9, UTC).strftime(MOMENT) if times else None


def _runs(one: Status) -> str:
    return "-" if one.done is None else f"{one.done}/{one.wanted}"


def _ago(when: str | None) -> str:
    """How long ago something was, in one unit."""
    known = moment(when)
    if known is None:
        return "-"
    seconds = max(0.0, time.time() - known.timestamp())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return "now"


def _print_all(found: list[Status], console: Console) -> None:
    rows = [(one.name, _runs(one), one.state, size_words(one.bytes), _ago(one.changed)) for one in found]
    print_rows(console, "", ("study", "runs", "state", "size", "changed"), rows)
    for one in found:
        where = f"running, {one.running_on}. " if one.running_on else ""
        line = f"{one.name}: {where}{one.verdict}"
        shown = line if len(line) <= console.width else f"{line[: console.width - 3]}..."
        console.print(shown, **PLAIN)


def _one(folder: Path, console: Console) -> Result:
    """Print one study."""
    one, study = status_of(folder), None
    if one.state not in ("unusable", "not begun"):
        study = open_study(folder)
    details = _details(folder, study) if study else {}
    result = Result(lambda: {**asdict(one), **details})
    if is_aside(console):
        return result
    where = f", {one.running_on}" if one.running_on else ""
    rows = {
        one.name: f"{one.state}{where}",
        **({"question": study.config.study.question} if study else {}),
        "verdict": one.verdict,
        "runs": f"{one.done} of {one.wanted}" if one.done is not None else "-",
        **{key: _words(value) for key, value in details.items()},
        "size": size_words(one.bytes),
        "changed": f"{one.changed or '-'}",
        "next": _next(one),
    }
    widest = max(map(len, rows))
    for key, value in rows.items():
        line = f"{key:{widest}}  {value}"
        if key == "next":  # a command is copied whole
            console.print(line, **PLAIN)
        else:
            say(console, line, indent=widest + 2)
    return result


def _details(folder: Path, study: OpenedStudy) -> dict[str, Any]:
    """What is told of one study beside its line in the list."""
    page, runs = REPORTS / f"{folder.name}.html", study.record.runs
    weights = [
        path for own in (folder, *checks_in(folder)) for path in (own / "local" / "weights").glob("*.safetensors")
    ]
    counts = {str(status): int(number) for status, number in runs["status"].value_counts().items()}
    first = starts_of(study.environment)[0]
    return {
        "by_status": counts,
        "weights": len(weights),
        "checks": [check.name for check in checks_in(folder)],
        "device": str(study.execution.get("device_name")),
        "started": first.get("when") or study.environment.get("started"),
        "page": None if not page.exists() else f"{page}{' (behind the record)' if is_stale(page, folder) else ''}",
        "mirror": study.config.storage.mirror,
    }


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{number} {key.replace('_', ' ')}" for key, number in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "none" if value in (None, 0) else str(value)


def _next(one: Status) -> str:
    """The command that goes on from here."""
    left = counted((one.wanted or 0) - (one.done or 0), "run")
    return {
        "finished": f"{command_for('', one.name)} prints the verdict, {command_for('report', one.name)} draws the page",
        "running": "wait for it, or end that process: nothing that is recorded is lost",
        "stopped": f"{command_for('', one.name)} trains what is left: {left}",
        "not begun": f"{command_for('delete', one.name)}, if nothing is to come of it",
        "unusable": command_for("doctor", one.name),
    }[one.state]
