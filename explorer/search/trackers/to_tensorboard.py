"""A study as event files of TensorBoard, in the study's own folder; `tensorboard --logdir studies` shows all."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from explorer.host.files import write_whole
from explorer.record.folder import make_folder
from explorer.search.trackers.content import TrackedRun, TrackedStudy

FOLDER = Path("local") / "tensorboard"
ABOUT = "explorer.json"  # beside the events of a run: which run it is, and the digest of what was written
_PARTIAL = ".partial"
_STUDY = "study"  # the folder of the study's own events, whose name no run has


class TensorBoard:
    """Writes a study as a folder of event files for each run."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter  # noqa: F401 - whether it is there

        self._folder = folder / FOLDER

    @property
    def place(self) -> str:
        """The folder as messages show it."""
        return f"TensorBoard's files in {self._folder}"

    def forget(self) -> None:
        """Nothing is kept: the folder itself says what is there."""

    def write(self, study: TrackedStudy, wrote: Callable[[], object]) -> str:
        """Make the folder equal to the study; return its name. A run's folder is written aside and then put there."""
        make_folder(self._folder)
        for left in self._folder.glob(f"*{_PARTIAL}"):
            shutil.rmtree(left)
        there = {path: _about(path) for path in self._folder.iterdir() if path.is_dir()}
        wanted = {self._folder / run.name: (run.id, run.digest) for run in study.runs}
        wanted[self._folder / _STUDY] = (study.owner, study.note)
        for path, known in there.items():
            if known is not None and wanted.get(path) != known:
                shutil.rmtree(path)
        for run in study.runs:
            if there.get(self._folder / run.name) != (run.id, run.digest):
                self._put(run.name, _of_run(run), run.id, run.digest)
            wrote()
        if there.get(self._folder / _STUDY) != (study.owner, study.note):
            self._put(_STUDY, _of_study(study), study.owner, study.note)
        return study.name

    def _put(self, name: str, events: Iterator[Any], own: str, digest: str) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        partial = self._folder / f"{name}{_PARTIAL}"
        writer = EventFileWriter(str(partial))
        for event in events:
            writer.add_event(event)
        writer.close()
        write_whole(partial / ABOUT, json.dumps({"run": own, "digest": digest}) + "\n")
        partial.rename(self._folder / name)


def _about(path: Path) -> tuple[str, str] | None:
    """Which run a folder holds, and the digest of what was written; None for a folder that is not ours."""
    try:
        found = json.loads((path / ABOUT).read_text(encoding="utf-8"))
        return str(found["run"]), str(found["digest"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _of_run(run: TrackedRun) -> Iterator[Any]:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2, summary_v2

    yield Event(wall_time=run.began, summary=summary_v2.hparams_pb(dict(run.params), run.id, run.began))
    for step in run.steps:
        values = [Summary.Value(tag=key, simple_value=value) for key, value in step.metrics.items()]
        yield Event(wall_time=step.at, step=step.epoch, summary=Summary(value=values))
    last = run.steps[-1].epoch if run.steps else 0
    values = [Summary.Value(tag=key, simple_value=value) for key, value in run.end.items()]
    yield Event(wall_time=run.ended, step=last, summary=Summary(value=values))
    yield Event(wall_time=run.ended, step=last, summary=_text("status", f"{run.status} {run.message}".strip()))
    end = plugin_data_pb2.SessionEndInfo(status="STATUS_SUCCESS" if run.is_over else "STATUS_FAILURE")
    end.end_time_secs = run.ended
    about = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=end))
    value = Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=about, tensor=metadata.NULL_TENSOR)
    yield Event(wall_time=run.ended, summary=Summary(value=[value]))


def _of_study(study: TrackedStudy) -> Iterator[Any]:
    from tensorboard.compat.proto.event_pb2 import Event

    yield Event(wall_time=time.time(), summary=_text("note", study.note))


def _text(tag: str, words: str) -> Any:
    """A text for TensorBoard's tab of texts."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING
    from tensorboard.plugins.text import metadata

    about = metadata.create_summary_metadata(tag, "")
    tensor = TensorProto(dtype=DT_STRING, string_val=[words.encode()])
    return Summary(value=[Summary.Value(tag=tag, metadata=about, tensor=tensor)])
