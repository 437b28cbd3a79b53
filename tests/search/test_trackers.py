"""MLflow, Weights & Biases and TensorBoard as mirrors of a study, each read back by its own reader or from files."""

import io
import json
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.host.errors import InputError
from explorer.record import folder as study
from explorer.search import coordinator
from explorer.search.trackers import process
from explorer.search.trackers.content import TrackedStudy, tracked
from explorer.search.trackers.process import Trackers, behind, of_study
from explorer.search.trackers.to_mlflow import NOTE, OWNER, RUN, Mlflow
from explorer.search.trackers.to_tensorboard import FOLDER, TensorBoard
from explorer.search.trackers.to_wandb import Wandb
from explorer.study.designs import Setting
from explorer.study.settings import StudyConfig
from explorer.verbs.command_line import read_command
from explorer.verbs.extend import extend
from tests.conftest import PATIENCE, TINY, undrawn
from tests.faults.processes import end_with_the_tests, free_port
from tests.made_up import FINISHED, made_up, made_up_final
from tests.search.test_coordinator import OK, Engine, finishing
from tests.test_layers import ROOT

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning"
)

SEARCH = ["study=pareto", "search=tpe", "search.designs=9", "search.objectives=[error]", "search.baseline=0.3"]
SEARCH += ["search.pruner=halving", "search.first_rung=1", "search.final=2", "search.final_seeds=2"]
SEARCH += ["recipe.epochs=3", "name=tiny", "data=digits"]


def nothing() -> None:
    """Called after each run."""


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a crowded machine a tracker's process may have no processor for long; that it is silent has a test."""
    monkeypatch.setattr(process, "SILENT_SECONDS", PATIENCE)
    monkeypatch.setattr(process, "LONGEST_SECONDS", PATIENCE)


@pytest.fixture
def search(workplace: Path) -> TrackedStudy:
    """A search with pruned runs and a final round of which one run diverged."""
    config = read_command(SEARCH).study
    made_up(config)
    made_up_final(config, lambda setting, seed: "diverged" if seed == 1 and "32x" not in setting.name else "ok")
    return tracked(open_study(study.study_folder("tiny")))


@pytest.fixture
def small(workplace: Path, tiny: StudyConfig) -> Path:
    """The folder of a study with two designs and two seeds, of which the last run is still to come."""
    return made_up(tiny, lambda setting, seed: "" if _is_last(setting, seed) else "ok")


def _is_last(setting: Setting, seed: int) -> bool:
    return "2x" in setting.name and seed == 1


def completed(folder: Path, tiny: StudyConfig) -> None:
    """The study's last run comes in."""
    whole = made_up(tiny, folder=folder.with_name("whole"))
    for name in (*study.TABLES, study.FILTERS):
        shutil.copyfile(whole / name, folder / name)
    shutil.rmtree(whole)


# ---------------------------------------------------------------- what is shown


def test_a_tracker_shows_every_run_with_its_shape_cost_and_recipe(search: TrackedStudy) -> None:
    by_part = {part: [run for run in search.runs if run.part == part] for part in ("", "final")}
    found = open_study(study.study_folder("tiny"))
    assert [run.id for run in by_part[""]] == found.record.runs["run"].tolist()
    assert Counter(run.status for run in by_part[""]) == Counter(found.record.runs["status"])
    assert Counter(run.status for run in by_part[""])["pruned"] > 0
    assert len(by_part["final"]) == 4
    first, row = by_part[""][0], found.record.runs.iloc[0]
    expected = {"cardinality": row["cardinality"], "params": row["params"], "macs": row["macs"], "seed": row["seed"]}
    expected |= {"recipe.epochs": 3, "data_hash": found.environment["data_hash"], "precision": "float32"}
    assert {key: first.params[key] for key in expected} == expected
    assert first.name == f"{row['setting']} seed {row['seed']}"
    assert first.steps[-1].metrics["val_error"] == row["val_error"]
    assert (first.ended - first.began, len(first.steps)) == (pytest.approx(row["seconds"]), row["epochs"])
    assert time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(first.ended)) == FINISHED
    assert "test_error" not in first.end  # a search looks at validation images alone


def test_the_final_round_has_test_errors_and_no_validation_errors(search: TrackedStudy) -> None:
    final = [run for run in search.runs if run.part == "final"]
    assert {run.name.split()[0] for run in final} == {"final"}
    for run in final:
        assert ("test_error" in run.end) == (run.status == "ok")
        assert "val_error" not in {*run.end, *(key for step in run.steps for key in step.metrics)}
    assert {run.status for run in final} == {"ok", "diverged"}


def test_the_note_is_what_the_page_says(search: TrackedStudy) -> None:
    from explorer.analysis.sentences import sentence

    found = open_study(study.study_folder("tiny"))
    assert found.config.study.question in search.note
    assert sentence(found.finding) in search.note
    assert "reports/tiny.html" in search.note


# ---------------------------------------------------------------- TensorBoard


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder))
    read.Reload()
    return {tag: [(one.step, one.value) for one in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def test_event_files_hold_the_curves_and_ends_of_all_runs(search: TrackedStudy) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    place = study.study_folder("tiny")
    writer = TensorBoard(place)
    assert writer.write(search, nothing) == "tiny"
    assert {path.name for path in (place / FOLDER).iterdir()} == {*(run.name for run in search.runs), "study"}
    for run in search.runs:
        found = scalars(place / FOLDER / run.name)
        for key in ("val_error", "loss"):
            wanted = [(step.epoch, step.metrics[key]) for step in run.steps if key in step.metrics]
            assert found.get(key, []) == [(step, pytest.approx(value, rel=1e-6)) for step, value in wanted]
        assert found["seconds"][-1][1] == pytest.approx(run.end["seconds"], rel=1e-6)
        read = EventAccumulator(str(place / FOLDER / run.name))
        read.Reload()
        about = read.SummaryMetadata("_hparams_/session_end_info").plugin_data.content
        status = metadata.parse_session_end_info_plugin_data(about).status
        assert (status == 1) == (run.status in ("ok", "pruned"))  # STATUS_SUCCESS, of TensorBoard's api.proto
    read = EventAccumulator(str(place / FOLDER / "study"))
    read.Reload()
    assert read.Tensors("note")[0].tensor_proto.string_val[0].decode() == search.note


def test_event_files_are_written_once_and_anew_where_a_run_has_changed(small: Path, tiny: StudyConfig) -> None:
    writer, place = TensorBoard(small), small / FOLDER
    first = tracked(open_study(small))
    writer.write(first, nothing)
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*tfevents*")}
    (place / "my own").mkdir()
    shutil.copytree(place / first.runs[0].name, place / "11-9x9d seed 0")  # of a run that the record lost
    (place / "11-1x4d seed 7.partial").mkdir()  # left by a kill
    completed(small, tiny)
    second = tracked(open_study(small))
    for _ in range(2):
        writer.write(second, nothing)
    after = {path: path.stat().st_mtime_ns for path in place.rglob("*tfevents*")}
    names = {path.name for path in place.iterdir()}
    assert names == {*(run.name for run in second.runs), "study", "my own"}
    kept = [path for path in before if path.parent.name != "study"]
    assert len(kept) == 3
    assert all(before[path] == after[path] for path in kept)
    assert len(after) == len(second.runs) + 1


# ---------------------------------------------------------------- Weights & Biases


@pytest.fixture
def offline(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    yield workplace / "wandb"
    wandb.teardown()


def logged(folder: Path) -> list[Any]:
    """The records of a run's file: a log of LevelDB's form, whose chunks of protocol buffers fill blocks of 32 KiB."""
    from wandb.proto import wandb_internal_pb2

    (path,) = folder.glob("*.wandb")
    file, found, part = io.BytesIO(path.read_bytes()[7:]), list[Any](), b""
    while True:
        left = 2**15 - (7 + file.tell()) % 2**15
        if left < 7:
            file.read(left)
        head = file.read(7)
        if len(head) < 7:
            return found
        part += file.read(int.from_bytes(head[4:6], "little"))
        if head[6] in (1, 4):  # whole, or the last chunk of several
            record = wandb_internal_pb2.Record()  # type: ignore[attr-defined] # it is made when it is imported
            record.ParseFromString(part)
            found.append(record)
            part = b""


def values(items: Iterable[Any]) -> dict[str, Any]:
    return {one.nested_key[0] if one.nested_key else one.key: json.loads(one.value_json) for one in items}


@pytest.mark.real
def test_offline_runs_hold_the_curves_and_ends_of_all_runs(search: TrackedStudy, offline: Path) -> None:
    place = study.study_folder("tiny")
    for _ in range(2):  # the second finds all there
        assert Wandb(place).write(search, nothing) == "tiny"
    folders = {path.name.split("-", 3)[-1]: path for path in offline.glob("offline-run-*")}
    assert len(folders) == len([*offline.glob("offline-run-*")]) == len(search.runs) + 1
    for run in search.runs:
        found = logged(folders[f"{run.id}-{search.owner[:6]}"])
        (about,) = [record.run for record in found if record.HasField("run")][:1]
        config = values(about.config.update)
        assert (about.run_group, about.display_name) == ("tiny", run.name)
        assert {key: config[key] for key in run.params} == run.params
        assert run.status in about.tags
        rows = [values(record.history.item) for record in found if record.HasField("history")]
        assert [(row["_step"], row["loss"]) for row in rows] == [(one.epoch, one.metrics["loss"]) for one in run.steps]
        (code,) = [record.exit.exit_code for record in found if record.HasField("exit")]
        assert (code == 0) == (run.status in ("ok", "pruned"))
        ends = values(one for record in found if record.HasField("summary") for one in record.summary.update)
        assert ends["status"] == run.status
        assert ends["seconds"] == pytest.approx(run.end["seconds"])
    about = next(one.run for one in logged(folders[f"study-{search.owner[:12]}"]) if one.HasField("run"))
    assert (about.job_type, about.notes) == ("study", search.note)


def test_an_offline_run_that_was_deleted_or_has_changed_is_there_once(
    small: Path, tiny: StudyConfig, offline: Path
) -> None:
    Wandb(small).write(tracked(open_study(small)), nothing)
    before = {*offline.glob("offline-run-*")}
    gone = next(path for path in before if "study" not in path.name)
    shutil.rmtree(gone)
    completed(small, tiny)
    Wandb(small).write(tracked(open_study(small)), nothing)
    after = Counter(path.name.split("-", 3)[-1] for path in offline.glob("offline-run-*"))
    assert (len(after), {*after.values()}) == (5, {1})
    assert gone.name.split("-", 3)[-1] in after


# ---------------------------------------------------------------- MLflow


def client(uri: str) -> Any:
    import mlflow

    return mlflow.MlflowClient(uri)


def assert_same(uri: str, shown: TrackedStudy, name: str = "tiny") -> None:
    """The experiment has each run of the study once, with its curve and how it ended."""
    there = client(uri)
    experiment = there.get_experiment_by_name(name)
    assert experiment.tags[NOTE] == shown.note
    found = {run.data.tags[RUN]: run for run in there.search_runs([experiment.experiment_id], max_results=1000)}
    assert len(found) == len(there.search_runs([experiment.experiment_id], max_results=1000)) == len(shown.runs)
    for run in shown.runs:
        own = found[run.id]
        state = {"ok": "FINISHED", "pruned": "KILLED"}.get(run.status, "FAILED")
        assert (own.info.run_name, own.info.status) == (run.name, state)
        assert own.data.params == {key: str(value) for key, value in run.params.items()}
        assert {key: own.data.metrics[key] for key in run.end} == pytest.approx(run.end)
        curve = [(one.step, one.value) for one in there.get_metric_history(own.info.run_id, "loss")]
        assert curve == [(step.epoch, pytest.approx(step.metrics["loss"])) for step in run.steps]
        assert (own.info.start_time, own.info.end_time) == (round(1000 * run.began), round(1000 * run.ended))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of MLflow, which takes seconds to make."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    client(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def uri(workplace: Path, empty: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of MLflow without a server."""
    found = f"sqlite:///{shutil.copyfile(empty, workplace / 'mlflow.db')}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", found)
    return found


@pytest.mark.real
def test_an_experiment_holds_every_run_once(search: TrackedStudy, uri: str) -> None:
    assert Mlflow().write(search, nothing) == "tiny"
    assert_same(uri, search)
    there = client(uri)
    experiment = there.get_experiment_by_name("tiny").experiment_id
    whole, other, *_ = there.search_runs([experiment])
    own = there.create_run(experiment).info.run_id  # a person's own
    there.set_tag(whole.info.run_id, "explorer.digest", "")  # as if a kill had come before it was whole
    there.delete_run(other.info.run_id)
    times = {run.info.run_id for run in there.search_runs([experiment])}
    Mlflow().write(search, nothing)
    there.delete_run(own)
    assert_same(uri, search)
    assert len({run.info.run_id for run in there.search_runs([experiment])} - times) == 2  # the others were left alone


def test_the_experiments_of_others_are_left_alone(small: Path, uri: str) -> None:
    there, shown = client(uri), tracked(open_study(small))
    there.create_experiment("tiny", tags={OWNER: "somebody else"})
    assert Mlflow().write(shown, nothing) == Mlflow().write(shown, nothing) == f"tiny-{shown.owner[:6]}"
    assert there.search_runs([there.get_experiment_by_name("tiny").experiment_id]) == []
    assert_same(uri, shown, f"tiny-{shown.owner[:6]}")


# ---------------------------------------------------------------- while a study runs


@pytest.fixture
def start(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the tiny study with an engine that answers at once; gives the exit code."""
    monkeypatch.setattr(coordinator, "open_engine", lambda *_: Engine(finishing(OK)))
    undrawn(monkeypatch)
    return lambda *overrides: main([*TINY, *overrides])


@pytest.mark.real
def test_a_study_writes_into_several_trackers_and_later_into_others(
    start: Any, uri: str, offline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start("storage.trackers=[tensorboard,mlflow]") == 0
    folder = study.study_folder("tiny")
    shown = tracked(open_study(folder))
    assert_same(uri, shown)
    assert len([*(folder / FOLDER).iterdir()]) == len(shown.runs) + 1 == 5
    assert not any(behind(folder, one).exists() for one in ("mlflow", "tensorboard"))
    assert "trackers" not in yaml.safe_load((folder / study.CONFIG).read_text())["storage"]
    assert main(["track", "tiny", "wandb", "mlflow"]) == 0
    assert capsys.readouterr().out.count("Written: ") == 2
    assert len([*offline.glob("offline-run-*")]) == 5
    assert_same(uri, shown)


@pytest.mark.real
def test_a_tracker_that_is_down_or_missing_is_told_of_once_and_caught_up_with_later(
    start: Any,
    empty: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setitem(process.PACKAGES, "wandb", "no_such_library")
    with caplog.at_level(logging.WARNING):
        assert start("storage.trackers=[mlflow,wandb]") == 0
    folder = study.study_folder("tiny")
    missing, down, late = [record.getMessage() for record in caplog.records]
    assert "wandb is left out: no_such_library is not installed (pip install 'resnext-explorer[wandb]')" in missing
    assert "Connection refused" in down
    assert "is not up to date at the end; explorer track tiny mlflow" in late
    assert behind(folder, "mlflow").exists()
    assert main(["track", "tiny", "mlflow"]) == 2
    assert "mlflow: cannot be written now: MLflow at http://127.0.0.1:" in (said := capsys.readouterr().err)
    assert "Connection refused" in said
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "ftp://nowhere")
    monkeypatch.setenv("WANDB_MODE", "disabled")  # which writes nothing, and is not taken for written
    monkeypatch.setitem(process.PACKAGES, "wandb", "wandb")
    assert main(["track", "tiny", "mlflow", "wandb"]) == 2
    said = capsys.readouterr().err
    assert "got unsupported URI 'ftp://nowhere'" in said
    assert "wandb: cannot be written now: WANDB_MODE=disabled: nothing would be written" in said
    assert not (folder / "local" / "wandb.json").exists()
    uri = f"sqlite:///{shutil.copyfile(empty, Path('later.db').absolute())}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert start("storage.trackers=mlflow") == 0  # finished: nothing is trained
    assert_same(uri, tracked(open_study(folder)))
    assert not behind(folder, "mlflow").exists()


@pytest.mark.real
def test_the_end_of_a_study_does_not_wait_for_a_tracker_that_says_nothing(
    small: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process, "SILENT_SECONDS", 1.0)
    with closing(socket.create_server(("127.0.0.1", 0))) as mute:
        mute.settimeout(PATIENCE)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{mute.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "300")
        with Trackers(small, ("mlflow",), period=0.1) as kept:
            (own,) = kept._kept
            assert own._process is not None
            mute.accept()
            began = time.monotonic()
        assert time.monotonic() - began < PATIENCE / 4
    assert not own._process.is_alive()
    assert "is not up to date at the end" in caplog.text


def test_of_what_keeps_a_tracker_from_being_written_the_first_reason_is_told(
    small: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = process._Kept(small, "mlflow", period=1, again=1)
    ours, theirs = multiprocessing.Pipe()
    for said in (("away", "refused"), ("away", "reset"), ("tell", "another name"), ("wrote", None), ("done", True)):
        theirs.send(said)
    one._hear(ours)
    assert [record.args for record in caplog.records] == [("mlflow", "refused"), ("mlflow", "another name")]


@pytest.mark.real
def test_nothing_is_written_while_times_are_measured(small: Path) -> None:
    with Trackers(small, ("tensorboard",), period=3600) as kept:
        pid = kept._kept[0]._process.pid  # type: ignore[union-attr]
        with kept.still():
            until(lambda: Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T")
        until(lambda: Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "T")
    assert len([*(small / FOLDER).iterdir()]) == 4


@pytest.mark.real
def test_a_study_with_a_part_of_an_extension_and_a_final_round_are_written_too(workplace: Path) -> None:
    extend(ROOT / "examples" / "cmaes.py")
    config = read_command([*SEARCH, "search.sampler=cmaes"]).study
    folder = made_up(config)
    final = made_up_final(config)
    assert of_study(final) == of_study(folder) == folder
    with Trackers(of_study(final), ("tensorboard",), period=3600):
        pass
    assert len([*(folder / FOLDER).glob("final *")]) == 4
    assert not behind(folder, "tensorboard").exists()


def until(done: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


# ---------------------------------------------------------------- a real server


@contextmanager
def server(folder: Path, empty: Path, port: int) -> Iterator[str]:
    """A server of MLflow with its database in a folder; it is killed at the end of the body."""
    words = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{folder / 'server.db'}", "--artifacts-destination", str(folder)]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    if not (folder / "server.db").exists():
        shutil.copyfile(empty, folder / "server.db")
    with (folder / "server.log").open("ab") as log:
        started = subprocess.Popen(
            words,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=environment,
            start_new_session=True,
            preexec_fn=end_with_the_tests,  # noqa: PLW1509 - a single call of the system, loaded beforehand
        )
    uri = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + PATIENCE
        while True:
            assert started.poll() is None, (folder / "server.log").read_text()[-2000:]
            assert time.monotonic() < end, (folder / "server.log").read_text()[-2000:]
            try:
                with urllib.request.urlopen(f"{uri}/health", timeout=5):
                    break
            except OSError:
                time.sleep(0.1)
        yield uri
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait(30)


@pytest.mark.real
def test_a_server_that_is_killed_in_the_middle_has_everything_once_afterwards(
    small: Path, tiny: StudyConfig, empty: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place, port = small.parents[1], free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")

    def count(uri: str) -> int:
        there = client(uri)
        experiment = there.get_experiment_by_name("tiny")
        return len(there.search_runs([experiment.experiment_id])) if experiment else 0

    with Trackers(small, ("mlflow",), period=0.1, again=0.5):
        with server(place, empty, port) as uri:
            until(lambda: count(uri) == 3)
        completed(small, tiny)  # the study goes on without it
        until(lambda: "cannot be written now" in caplog.text)
        with server(place, empty, port) as uri:
            until(lambda: count(uri) == 4)
    assert caplog.text.count("cannot be written now") == 1
    with server(place, empty, port) as uri:
        assert main(["track", "tiny", "mlflow"]) == 0
        assert_same(uri, tracked(open_study(small)))


# ---------------------------------------------------------------- the words of commands


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["track", "tiny"],
            "say into which, as in explorer track tiny tensorboard; allowed: mlflow, wandb, tensorboard",
        ),
        (["track", "tiny", "mlfow"], "must be 'mlflow', 'wandb' or 'tensorboard'"),
    ],
)
def test_a_tracker_must_be_known(words: list[str], said: str, small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_only_a_command_decides_about_trackers(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workplace / "conf" / "study").mkdir(parents=True)
    text = "# @package _global_\ndefaults:\n  - equal_params\n  - _self_\nstorage:\n  trackers: [wandb]\n"
    (workplace / "conf" / "study" / "theirs.yaml").write_text(text)
    with pytest.raises(InputError, match=r"storage\.trackers=\['wandb'\]: a file that the command does not name"):
        read_command(["study=theirs"])
    found = read_command(["study=equal_params", "storage.trackers=[tensorboard,mlflow]"]).study
    assert found.storage.trackers == ("tensorboard", "mlflow")
