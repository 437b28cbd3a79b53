"""`explorer track`: write a recorded study into experiment trackers, from its record; as often as one likes."""

from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.progress import Progress

from explorer.analysis.judging import open_study
from explorer.host.commands import command_for
from explorer.host.console import PLAIN
from explorer.host.errors import InputError
from explorer.host.formatting import counted
from explorer.record.folder import locked, refuse_links, study_folder
from explorer.search.trackers.content import TrackedStudy, tracked
from explorer.search.trackers.process import behind, lacks, open_writer, reason
from explorer.study.settings import TrackConfig, Tracker
from explorer.verbs.result import Result

ALLOWED = ", ".join(get_args(Tracker))


def carry_out(config: TrackConfig, console: Console) -> Result:
    """Write a study into each tracker that the command names; what is there already is left alone.

    Raises InputError for a tracker that cannot be written, after the others have been.
    """
    folder = study_folder(config.name)
    if not config.trackers:
        way = command_for("track", config.name, "tensorboard")
        raise InputError(f"track: say into which, as in {way}; allowed: {ALLOWED}")
    refuse_links(folder)
    wrong = [f"{tracker}: {words}" for tracker in config.trackers if (words := lacks(tracker))]
    if wrong:
        raise InputError(wrong[0])
    with locked(folder):
        study, written = tracked(open_study(folder)), list[dict[str, Any]]()
        for tracker in dict.fromkeys(config.trackers):
            try:
                written.append(_written(study, folder, tracker, console))
            except Exception as error:  # noqa: BLE001 - whatever a tracker's library raises
                wrong.append(f"{tracker}: cannot be written now: {reason(error)}")
    if wrong:
        raise InputError("; ".join(wrong))
    return Result(lambda: {"study": config.name, "runs": len(study.runs), "trackers": written})


def _written(study: TrackedStudy, folder: Path, tracker: Tracker, console: Console) -> dict[str, Any]:
    """Write a study into one tracker, say where it is, and return that."""
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"Writing to {tracker}", total=len(study.runs))
        writer = open_writer(tracker, folder)
        try:
            name = writer.write(study, lambda: bar.advance(task))
        except Exception as error:  # noqa: BLE001 - whatever a tracker's library raises
            raise ConnectionError(f"{writer.place}: {reason(error)}") from None
    behind(folder, tracker).unlink(missing_ok=True)
    called = "" if name == study.name else f", as {name}, since {study.name} there is another study"
    console.print(f"Written: {writer.place}, {counted(len(study.runs), 'run')}{called}", **PLAIN)
    return {"tracker": tracker, "place": writer.place, "called": name}
