"""The local engine with real worker processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from explorer.errors import InputError
from explorer.job import Counted, EpochDone, Event, Job, Noted, RunDone, Surroundings, Survey
from explorer.planning import settings_of
from explorer.run import Run
from explorer.runs import runs_of
from explorer.search.local import LocalEngine
from explorer.settings import StudyConfig
from explorer.training.data import load
from tests.test_layers import ROOT
from tests.test_planning import EXECUTION


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine(retries=1)
    yield engine
    engine.close()


@pytest.fixture
def run(tiny: StudyConfig) -> Run:
    return runs_of(tiny, settings_of(tiny), EXECUTION, load(tiny.data).digest)[0][1]


def until_done(engine: LocalEngine, seen: list[Event] | None = None) -> list[Event]:
    seen = seen or []
    deadline = time.monotonic() + 60
    while not any(isinstance(event, RunDone) for event in seen):
        assert time.monotonic() < deadline
        seen += engine.events(timeout=1.0)
    return seen


def done(events: list[Event]) -> RunDone:
    return next(event for event in events if isinstance(event, RunDone))


def test_a_survey_tells_device_data_and_versions(engine: LocalEngine, tiny: StudyConfig) -> None:
    (found,) = engine.ask(Survey(tiny.data, "cpu"))
    assert isinstance(found, Surroundings)
    assert found.device == "cpu"
    assert len(found.data_hash) == 16
    assert {"python", "torch", "numpy", "fvcore"} <= set(found.versions)


def test_a_survey_that_cannot_be_met_is_one_line(engine: LocalEngine, tiny: StudyConfig) -> None:
    with pytest.raises(InputError, match=r"data\.channels=3: digits has 1"):
        engine.ask(Survey(replace(tiny.data, channels=3), "cpu"))


def test_a_job_is_counted_once_if_asked_and_reports_its_epochs(engine: LocalEngine, run: Run) -> None:
    engine.submit(Job(run, needs_count=True))
    assert engine.free == 0
    events = until_done(engine)
    assert [type(event) for event in events] == [Counted, EpochDone, EpochDone, RunDone]
    assert done(events).outcome.status == "ok"
    assert engine.free == 1


def test_an_exception_in_a_run_fails_that_run_alone(engine: LocalEngine, run: Run) -> None:
    broken = replace(run, task=replace(run.task, classes=2))
    engine.submit(Job(broken, needs_count=False))
    failed = done(until_done(engine))
    assert failed.outcome.status == "failed"
    assert "Error" in failed.outcome.message
    assert "Traceback" in failed.details
    engine.submit(Job(run, needs_count=False))
    assert done(until_done(engine)).outcome.status == "ok"


def test_an_idle_process_that_was_killed_is_replaced(engine: LocalEngine, run: Run) -> None:
    idle = engine._workers[0].process
    os.kill(idle.pid or 0, signal.SIGKILL)
    idle.join()
    engine.submit(Job(run, needs_count=False))
    assert done(until_done(engine)).outcome.status == "ok"


def test_a_killed_process_gives_its_job_to_a_new_one(engine: LocalEngine, run: Run) -> None:
    engine.submit(Job(run, needs_count=False))
    os.kill(engine._workers[0].process.pid or 0, signal.SIGKILL)
    assert done(until_done(engine)).outcome.status == "ok"


def test_a_process_that_is_asked_to_leave_saves_its_run_for_another(
    engine: LocalEngine, run: Run, tmp_path: Path
) -> None:
    long = replace(run, recipe=replace(run.recipe, epochs=100))
    engine.submit(Job(long, needs_count=False, checkpoints=str(tmp_path), save_every=1000))
    events: list[Event] = []
    while not any(isinstance(event, EpochDone) for event in events):
        events += engine.events(timeout=1.0)
    for _ in range(3):  # as from a batch system that asks every process of its own and insists
        os.kill(engine._workers[0].process.pid or 0, signal.SIGTERM)
    events = until_done(engine)
    notes = [event.message for event in events if isinstance(event, Noted)]
    assert notes[0] == "its process died with exit code 0; another one goes on"
    assert notes[1].startswith("goes on after ")
    assert done(events).outcome.epochs == 100


def test_a_job_whose_processes_keep_dying_fails(engine: LocalEngine, run: Run) -> None:
    long = replace(run, recipe=replace(run.recipe, epochs=10_000))
    engine.submit(Job(long, needs_count=False))
    events: list[Event] = []
    for _ in range(2):
        while not any(isinstance(event, EpochDone) for event in events):
            events += engine.events(timeout=1.0)
        os.kill(engine._workers[0].process.pid or 0, signal.SIGKILL)
        events = [event for event in until_quiet(engine) if isinstance(event, RunDone)]
    outcome = done(until_done(engine, events)).outcome
    assert outcome.status == "failed"
    assert outcome.message == (
        "its process died with exit code -9, as when the system runs out of memory; it was tried 2 times"
    )


def test_a_question_goes_to_another_worker_where_one_has_died(engine: LocalEngine, tiny: StudyConfig) -> None:
    engine.ask(Survey(tiny.data, "cpu"))
    os.kill(engine._workers[0].process.pid or 0, signal.SIGKILL)
    (found,) = engine.ask(Survey(tiny.data, "cpu"))
    assert isinstance(found, Surroundings)


def until_quiet(engine: LocalEngine) -> list[Event]:
    """Events up to and including the death of the process that was just killed."""
    dead, events = engine._workers[0], []
    while dead in engine._workers:
        events += engine.events(timeout=1.0)
    return events


WITHOUT_MEMORY = """
from dataclasses import replace
from multiprocessing import Pipe
from explorer import machine
from explorer.design import parse_name
from explorer.job import Job
from explorer.planning import settings_of
from explorer.runs import runs_of
from explorer.config import read_command
from explorer.training import worker
from explorer.training.worker import _Life
from explorer.training.data import load
from tests.conftest import TINY
from tests.test_planning import EXECUTION

worker.memory_bytes = lambda: 2**30
config = read_command(TINY).study
run = runs_of(config, settings_of(config), EXECUTION, load(config.data).digest)[0][1]
large = replace(run, architecture=parse_name("11-1x9000d-w9000"))
ours, theirs = Pipe()
for job in (large, run):
    worker._run(Job(job, needs_count=False), theirs, _Life(theirs))
    while not hasattr(event := ours.recv(), "outcome"):
        pass
    print(event.outcome.status, event.outcome.message[:60])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits the memory of a process")
def test_a_run_that_wants_too_much_memory_ends_by_itself_and_the_next_one_trains() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_MEMORY], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("out_of_memory ")
    assert second == "ok "
