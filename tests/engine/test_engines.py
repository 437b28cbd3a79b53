"""The contract of all engines: the same tests with real processes here, tasks of Ray and jobs of submitit."""

import os
import platform
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from explorer import __version__
from explorer.__main__ import main
from explorer.analysis.answer import answer_of
from explorer.analysis.judging import open_study
from explorer.engine import messages as letters
from explorer.engine.contract import Engine
from explorer.engine.open import open_engine
from explorer.host.errors import InputError
from explorer.record import records
from explorer.record.folder import CONFIG, SCHEMA, make_folder, stored_environment
from explorer.record.starts import starts_of
from explorer.study.job import (
    Begun,
    Counted,
    EpochDone,
    Event,
    HostQuestion,
    HostReport,
    Job,
    Noted,
    Placement,
    RunDone,
)
from explorer.study.plan import plan_of
from explorer.study.run import Run
from explorer.study.runs import runs_of
from explorer.study.settings import StudyConfig
from explorer.training.images.split import load
from explorer.verbs.command_line import read_command
from tests.conftest import PATIENCE, TINY, undrawn
from tests.faults.processes import MARK, Command, kill
from tests.faults.record import differences, record_of
from tests.made_up import made_up
from tests.photographs import photographs
from tests.search.test_sampler import SPACE
from tests.study.test_planning import EXECUTION
from tests.test_layers import ROOT
from tests.verbs.test_best import SMALL

ENGINES = {
    "local": ["engine=local"],
    "ray": ["engine=ray"],
    "slurm": ["engine=slurm", "engine.executor=local", "engine.gpus=0", "engine.jobs=2", "engine.cores=1"],
}
COMMON = ["engine.workers=2", "engine.threads=1", "engine.precision=float32", "engine.forms=native"]
EACH = [pytest.param(name, marks=[] if name == "local" else pytest.mark.real) for name in ENGINES]
FOLDER = Path("studies/tiny")
EXTENDED = (  # a block, a part of the recipe and two measures, one of which a worker measures
    f"extensions={','.join(str(ROOT / 'examples' / name) for name in ('shuffle.py', 'augmentation.py'))}",
    f"extensions={ROOT / 'tests' / 'engine' / 'added_measures.py'}",
    *("recipe.augmentation=mixup", "budget.limits.widest.most=64", "budget.limits.weights.most=100"),
    *("space.block=[shuffle]", "budget.reference=11-1x8d-w16", "space.cardinality=[1,4]"),
    *("study.contrast.setting=4x4d", "study.contrast.against=1x8d"),
)
SEARCH = [*SPACE, "search=tpe", "search.designs=5", "recipe.epochs=9", "search.pruner=halving", "search.baseline=0"]


def arguments(name: str, *overrides: str) -> list[str]:
    """The tiny study with another engine."""
    others = [argument for argument in TINY if not argument.startswith("engine")]
    return [*others, *ENGINES[name], *COMMON, "engine.retries=1", *overrides]


@dataclass
class Opened:
    """An engine that is ready for runs, and a mark by which the processes that it has started are found."""

    engine: Engine
    family: Command

    def processes(self) -> dict[int, bytes]:
        """What it has started, wherever that is, by what was called; what Python keeps for spawning is not its own."""
        words = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in self.family.descendants()}
        return {pid: line for pid, line in words.items() if b"resource_tracker" not in line and pid != os.getpid()}

    def workers(self) -> list[int]:
        """Processes that train."""
        return [pid for pid, line in self.processes().items() if b"spawn_main" in line]

    def until(self, kind: type[Event]) -> list[Event]:
        """All that happens until something of a kind does."""
        seen: list[Event] = []
        deadline = time.monotonic() + 300
        while not any(isinstance(event, kind) for event in seen):
            assert time.monotonic() < deadline
            seen += self.engine.events(timeout=1.0)
        return seen

    def done(self) -> RunDone:
        return next(event for event in self.until(RunDone) if isinstance(event, RunDone))


@pytest.fixture(scope="module", params=EACH)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    place, mark = tmp_path_factory.mktemp("engine"), uuid.uuid4().hex
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv(MARK, mark)
        patch.chdir(place)
        config = read_command(arguments(request.param)).study
        engine = open_engine(config, make_folder(FOLDER / "local").parent)
        try:
            (there,) = engine.ask(HostQuestion(config.data, "cpu"))
            assert isinstance(there, HostReport)
            engine.open(Placement(there, EXECUTION, at_once=1, most=1))
            yield Opened(engine, Command(None, mark, place / "output"))  # type: ignore[arg-type]
        finally:
            engine.close()


@pytest.fixture
def run(tiny: StudyConfig) -> Run:
    return runs_of(plan_of(tiny), plan_of(tiny).settings, EXECUTION, load(tiny.data).digest)[0][1]


@pytest.fixture
def long(run: Run) -> Run:
    return replace(run, recipe=replace(run.recipe, epochs=1000))


def test_a_survey_tells_device_data_versions_and_machine(opened: Opened, tiny: StudyConfig) -> None:
    (found,) = opened.engine.ask(HostQuestion(tiny.data, "cpu"))
    assert isinstance(found, HostReport)
    assert found.device == "cpu"
    assert len(found.data_hash) == 16
    assert {"python", "torch", "numpy", "fvcore"} <= set(found.versions)
    assert {"host", "platform", "machine", "processor", "cores"} == set(found.machine)


def test_a_survey_that_cannot_be_met_is_one_line(opened: Opened, tiny: StudyConfig) -> None:
    with pytest.raises(InputError, match=r"data\.channels=3: digits has 1"):
        opened.engine.ask(HostQuestion(replace(tiny.data, channels=3), "cpu"))


def test_a_job_is_counted_once_if_asked_and_reports_its_epochs(opened: Opened, run: Run) -> None:
    opened.engine.submit(Job(run, needs_count=True))
    assert opened.engine.free <= 0
    events = opened.until(RunDone)
    told = [type(event) for event in events if not isinstance(event, Begun)]
    assert told == [Counted, EpochDone, EpochDone, RunDone]
    assert opened.engine.free == 1


def test_an_exception_in_a_run_fails_that_run_alone(opened: Opened, run: Run) -> None:
    broken = replace(run, task=replace(run.task, classes=2))
    opened.engine.submit(Job(broken, needs_count=False))
    failed = opened.done()
    assert failed.outcome.status == "failed"
    assert "Error" in failed.outcome.message
    assert "Traceback" in failed.details
    opened.engine.submit(Job(run, needs_count=False))
    assert opened.done().outcome.status == "ok"


@pytest.mark.real
def test_a_killed_process_gives_its_job_to_a_new_one_and_too_many_fail(opened: Opened, long: Run) -> None:
    opened.engine.submit(Job(long, needs_count=False))
    opened.until(EpochDone)
    for pid in opened.workers():
        kill(pid)
    words = "its process died with exit code -9, as when the system runs out of memory"
    notes = [event.message for event in opened.until(Noted) if isinstance(event, Noted)]
    assert notes == [f"{words}; another one goes on"]
    opened.until(EpochDone)
    for pid in opened.workers():
        kill(pid)
    outcome = opened.done().outcome
    assert outcome.status == "failed"
    assert outcome.message == f"{words}; it was tried 2 times"


@pytest.mark.real
def test_a_process_that_is_asked_to_leave_saves_its_run_for_another(opened: Opened, run: Run, tmp_path: Path) -> None:
    hundred = replace(run, recipe=replace(run.recipe, epochs=100))
    opened.engine.submit(Job(hundred, needs_count=False, checkpoints=str(tmp_path), save_every=1000))
    opened.until(EpochDone)
    for pid in opened.workers():
        for _ in range(3):  # as from a batch system that asks every process of its own and insists
            os.kill(pid, signal.SIGTERM)
    events = opened.until(RunDone)
    notes = [event.message for event in events if isinstance(event, Noted)]
    assert notes[0] == "its process died with exit code 0; another one goes on"
    assert notes[1].startswith("goes on after ")
    (done,) = [event for event in events if isinstance(event, RunDone)]
    assert done.outcome.epochs == 100


def test_a_run_pauses_and_goes_on_from_its_checkpoint(opened: Opened, run: Run, tmp_path: Path) -> None:
    opened.engine.submit(Job(run, needs_count=False, checkpoints=str(tmp_path), until=1))
    assert opened.done().outcome.status == "paused"
    opened.engine.submit(Job(run, needs_count=False, checkpoints=str(tmp_path)))
    events = opened.until(RunDone)
    assert [event.message for event in events if isinstance(event, Noted)] == ["goes on after epoch 1"]


@pytest.mark.real
def test_an_engine_that_stops_saves_its_run_and_leaves_no_process(opened: Opened, long: Run, tmp_path: Path) -> None:
    """Last: nothing can be submitted afterwards."""
    opened.engine.submit(Job(long, needs_count=False, checkpoints=str(tmp_path), save_every=1000))
    opened.until(EpochDone)
    opened.engine.stop()
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    opened.engine.close()
    deadline = time.monotonic() + PATIENCE
    while left := opened.processes():
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, list[tuple[str, ...]]]]:
    """The record that the local engine makes."""
    known: dict[tuple[str, ...], dict[str, list[tuple[str, ...]]]] = {}

    def made(*overrides: str) -> dict[str, list[tuple[str, ...]]]:
        if overrides not in known:
            known[overrides] = recorded(tmp_path_factory.mktemp("local"), "local", *overrides)
        return known[overrides]

    return made


def recorded(place: Path, name: str, *overrides: str) -> dict[str, list[tuple[str, ...]]]:
    """What a whole study records with an engine, but for the settings of that engine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.chdir(place)
        assert main(arguments(name, *overrides)) == 0
        found = record_of(FOLDER)
        del found[CONFIG]
        environment = stored_environment(FOLDER) or {}
        assert environment["schema"] == SCHEMA
        assert [(one["engine"], one["version"]) for one in starts_of(environment)] == [(name, __version__)]
        assert set(records.load(FOLDER).runs["host"]) == {platform.node()}
        assert not list((FOLDER / "local").glob("slurm/*"))
    return found


@pytest.mark.real
@pytest.mark.parametrize(
    "overrides", [(), ("engine.workers=1", *SEARCH), EXTENDED], ids=["listed", "search with rungs", "an added block"]
)
@pytest.mark.parametrize("name", [name for name in ENGINES if name != "local"])
def test_all_engines_make_the_same_record(
    name: str, overrides: tuple[str, ...], tmp_path: Path, expected: Callable[..., dict[str, list[tuple[str, ...]]]]
) -> None:
    found = differences(recorded(tmp_path, name, *overrides), expected(*overrides))
    assert not found, found


@pytest.mark.real
@pytest.mark.parametrize("name", [name for name in ENGINES if name != "local"])
def test_the_weights_of_a_final_round_come_back_and_are_exported(
    name: str, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The search is made up, on the hash of real images; the answer's one run is trained where the engine has it."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_worker_niceness", "0")  # others of this machine would have its processes wait for minutes
    photographs(workplace / "photos", 12, largest=60)
    config = read_command([*SMALL, "search.final=1", "recipe.epochs=2"]).study
    data = load(config.data)
    made_up(config, data_hash=data.digest, images=(len(data.train), len(data.val), len(data.test)))
    undrawn(monkeypatch)
    assert main(["best", *ENGINES[name], *COMMON, "engine.workers=1"]) == 0
    assert "1 fresh seed each, then tested: 1 run" in " ".join(capsys.readouterr().out.split())
    folder, run, _ = answer_of(open_study(Path("studies/best")))
    (start,) = starts_of(stored_environment(folder) or {})
    assert (start["engine"], run.status) == (name, "ok")
    assert [path.name for path in (folder / "local" / "weights").iterdir()] == [f"{run.run}.safetensors"]
    assert main(["export", "best"]) == 0
    assert "the recorded answer on each of" in capsys.readouterr().out


def test_what_is_not_written_to_its_end_is_no_letter(tmp_path: Path) -> None:
    box, other = letters.Box(tmp_path / "box"), letters.Box(tmp_path / "box")
    assert other.take() == []
    box.put(Noted("a", "one\ntwo"))
    line = letters.written(Begun("b"))
    with box.path.open("a") as file:
        file.write(line[:9])
    assert other.take() == [Noted("a", "one\ntwo")]
    assert other.take() == []
    with box.path.open("a") as file:
        file.write(line[9:])
    assert other.take() == [Begun("b")]
