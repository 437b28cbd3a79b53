"""The local engine with real worker processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from explorer.engine import local
from explorer.engine.local import LocalEngine
from explorer.engine.remote import LIBRARIES, unfit
from explorer.host.errors import InputError
from explorer.search import measuring
from explorer.search.execution_plan import propose
from explorer.search.measuring import Measurer
from explorer.study.job import (
    Answer,
    Event,
    HostQuestion,
    HostReport,
    Job,
    Noted,
    Placement,
    Question,
    RunDone,
    Speed,
    TogetherQuestion,
)
from explorer.study.plan import plan_of
from explorer.study.run import Run
from explorer.study.runs import runs_of
from explorer.study.settings import StudyConfig
from explorer.training.images.split import load
from tests.conftest import PATIENCE, broadly
from tests.faults import hooks
from tests.study.test_planning import EXECUTION
from tests.test_layers import ROOT


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine(retries=1)
    yield engine
    engine.close()


@pytest.fixture
def run(tiny: StudyConfig) -> Run:
    return runs_of(plan_of(tiny), plan_of(tiny).settings, EXECUTION, load(tiny.data).digest)[0][1]


def until_done(engine: LocalEngine, seen: list[Event] | None = None) -> list[Event]:
    seen = seen or []
    deadline = time.monotonic() + PATIENCE
    while not any(isinstance(event, RunDone) for event in seen):
        assert time.monotonic() < deadline
        seen += engine.events(timeout=1.0)
    return seen


def done(events: list[Event]) -> RunDone:
    return next(event for event in events if isinstance(event, RunDone))


@pytest.mark.real
def test_an_idle_process_that_was_killed_is_replaced(engine: LocalEngine, tiny: StudyConfig, run: Run) -> None:
    engine.ask(HostQuestion(tiny.data, "cpu"))
    idle = engine._workers[0].process
    os.kill(idle.pid or 0, signal.SIGKILL)
    idle.join()
    engine.submit(Job(run, needs_count=False))
    assert done(until_done(engine)).outcome.status == "ok"


@pytest.mark.real
def test_a_question_goes_to_another_worker_where_one_has_died(engine: LocalEngine, tiny: StudyConfig) -> None:
    engine.ask(HostQuestion(tiny.data, "cpu"))
    os.kill(engine._workers[0].process.pid or 0, signal.SIGKILL)
    (found,) = engine.ask(HostQuestion(tiny.data, "cpu"))
    assert isinstance(found, HostReport)


@pytest.mark.real
@pytest.mark.parametrize(
    ("ending", "problem"),
    [
        ("sys.exit(3)", "ended with exit code 3, and what it said itself stands above"),
        ("os.kill(os.getpid(), 9)", "was killed, as when the system runs out of memory: with little of it set engine"),
    ],
)
def test_a_worker_that_ends_at_a_question_is_told_by_how_it_ended(
    engine: LocalEngine, tiny: StudyConfig, ending: str, problem: str
) -> None:
    question = HostQuestion(tiny.data, Deadly(ending))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"engine=local: before its first run a worker process {problem}"):
        engine.ask(question)


class Deadly:
    """Is the end of any process that receives it."""

    def __init__(self, ending: str) -> None:
        self.ending = ending

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"import os, sys; {self.ending}",)


def until_quiet(engine: LocalEngine) -> list[Event]:
    """Events up to and including the death of the process that was just killed."""
    dead, events = engine._workers[0], []
    while dead in engine._workers:
        events += engine.events(timeout=1.0)
    return events


WITHOUT_MEMORY = """
from dataclasses import replace
from multiprocessing import Pipe
from explorer.design import parse_name
from explorer.study.job import Job
from explorer.study.plan import plan_of
from explorer.study.runs import runs_of
from explorer.verbs.command_line import read_command
from explorer.training import worker
from explorer.training.worker import _Life
from explorer.training.images.split import load
from tests.conftest import TINY
from tests.study.test_planning import EXECUTION

worker.memory_bytes = lambda: 2**31
config = read_command(TINY).study
run = runs_of(plan_of(config), plan_of(config).settings, EXECUTION, load(config.data).digest)[0][1]
large = replace(run, architecture=parse_name("11-1x9000d-w9000"))
ours, theirs = Pipe()
for job in (large, run):
    worker._run(Job(job, needs_count=False), theirs, _Life(theirs))
    while not hasattr(event := ours.recv(), "outcome"):
        pass
    print(event.outcome.status, event.outcome.message[:60])
"""


@pytest.mark.real
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits the memory of a process")
def test_a_run_that_wants_too_much_memory_ends_by_itself_and_the_next_one_trains() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_MEMORY], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("out_of_memory ")
    assert second == "ok "


@pytest.mark.real
@pytest.mark.parametrize(("among", "expected"), broadly([("4, 5,6", ["4", "6"]), ("", ["0", "2"])]))
def test_workers_are_divided_among_the_gpus_of_one_model(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, tiny: StudyConfig, run: Run, among: str, expected: list[str]
) -> None:
    monkeypatch.setattr(local, "work", hooks.work)
    monkeypatch.setenv("FAULT", "seen gpus")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", among)
    engine = LocalEngine(retries=0)
    try:
        (there,) = engine.ask(HostQuestion(tiny.data, "cpu"), 1)
        assert isinstance(there, HostReport)
        assert engine.open(Placement(replace(there, devices=(0, 2)), EXECUTION, at_once=2, most=3)) == 3
        for seed in range(3):
            engine.submit(Job(replace(run, seed=seed), needs_count=False))
        assert engine.free == 0
        ended = 0
        while ended < 3:
            ended += sum(isinstance(event, RunDone) for event in engine.events(timeout=1.0))
        seen = [path.read_text() for path in sorted(Path().glob("gpus-*"))]
    finally:
        engine.close()
    # The first worker saw all of them, and uses the first; the second one is alone on the second.
    assert sorted(seen) == sorted([among, expected[1], expected[0]])


@pytest.mark.real
def test_a_process_that_has_lost_its_gpu_leaves_and_only_its_own_run_is_tried_again(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(local, "work", hooks.work)
    monkeypatch.setenv("FAULT", "dead gpu")
    engine = LocalEngine(retries=1)
    waiting = [replace(run, seed=seed, execution=replace(run.execution, device="cuda")) for seed in range(12)]
    unlucky, ended, notes = waiting[hooks.AT_SEED].id, list[RunDone](), list[Noted]()
    deadline = time.monotonic() + PATIENCE
    try:
        while len(ended) < 12:
            assert time.monotonic() < deadline
            while waiting and engine.free:
                engine.submit(Job(waiting.pop(0), needs_count=False))
            events = engine.events(timeout=1.0)
            ended += [event for event in events if isinstance(event, RunDone)]
            notes += [event for event in events if isinstance(event, Noted)]
    finally:
        engine.close()
    assert [event.outcome.status for event in ended] == ["ok"] * 12
    words = "its process lost its device (RuntimeError: CUDA error: an illegal memory access was encountered)"
    assert notes == [Noted(unlucky, f"{words}; another one goes on")]


@pytest.mark.parametrize(("fault", "status"), [("none", "ok"), ("small", "out_of_memory")])
def test_a_run_that_lacked_memory_beside_others_is_tried_once_more_alone_on_its_gpu(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, run: Run, fault: str, status: str
) -> None:
    monkeypatch.setattr(local, "work", hooks.crowded)
    monkeypatch.setenv("FAULT", fault)
    engine = LocalEngine(retries=0, slots=2)
    runs = [replace(run, seed=seed, execution=replace(run.execution, device="cuda")) for seed in range(4)]
    waiting, events, deadline = list(runs), list[Event](), time.monotonic() + PATIENCE
    try:
        while sum(isinstance(event, RunDone) for event in events) < len(runs):
            assert time.monotonic() < deadline
            while waiting and engine.free > 0:
                engine.submit(Job(waiting.pop(0), needs_count=False))
            events += engine.events(timeout=1.0)
            if Path("tried").exists() and not any(done_of(events, runs[0])):
                assert engine.free <= 0  # the GPU is kept for it
        assert engine.free == 2
    finally:
        engine.close()
    assert [event.outcome.status for event in events if isinstance(event, RunDone) and event.run_id == runs[0].id] == [
        status
    ]
    notes = [event for event in events if isinstance(event, Noted)]
    assert notes == [Noted(runs[0].id, "had too little memory beside other runs; it is tried once more alone")]
    assert Path("tried").read_text().split() == ["1", "0"]  # how many others were trained at each attempt
    assert all(event.outcome.status == "ok" for one in runs[1:] for event in done_of(events, one))


def done_of(events: list[Event], run: Run) -> list[RunDone]:
    return [event for event in events if isinstance(event, RunDone) and event.run_id == run.id]


def test_only_the_gpu_of_a_crowded_run_is_kept_for_it(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(local, "work", hooks.crowded)
    monkeypatch.setenv("FAULT", "none")
    engine = LocalEngine(retries=0)
    there = HostReport("cuda", "a stand-in", "", devices=(0, 1))
    assert engine.open(Placement(there, EXECUTION, at_once=2, most=4)) == 4
    runs = [replace(run, seed=seed, execution=replace(run.execution, device="cuda")) for seed in (0, 2, 1, 3, 4, 5)]
    try:
        for one in runs[:4]:  # 0 and 1 share the first GPU, 2 and 3 the second
            engine.submit(Job(one, needs_count=False))
        events: list[Event] = []
        while not any(isinstance(event, Noted) for event in events):
            events += engine.events(timeout=1.0)
        for one in runs[4:]:
            engine.submit(Job(one, needs_count=False))  # at once on the other GPU, or when there is room again
        assert {worker.device for worker in engine._workers if worker.job and worker.job.run.seed > 3} <= {1}
        while sum(isinstance(event, RunDone) for event in events) < len(runs):
            events += engine.events(timeout=1.0)
    finally:
        engine.close()
    assert {event.outcome.status for event in events if isinstance(event, RunDone)} == {"ok"}


def test_a_job_whose_process_dies_while_it_is_alone_goes_on_alone(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(local, "work", hooks.crowded)
    monkeypatch.setenv("FAULT", "none")
    engine = LocalEngine(retries=0, slots=2)
    alone = replace(run, seed=0, execution=replace(run.execution, device="cuda"))
    try:
        engine._crowded.append((0, Job(alone, needs_count=False)))
        Path("busy-1").touch()
        engine._go_on()
        assert engine.free == 0
        (worker,) = engine._workers
        worker.process.kill()
        done = until_done(engine)
        assert done[-1].outcome.status == "failed"  # type: ignore[union-attr]
        assert engine.free == 2
    finally:
        engine.close()


@pytest.mark.real
def test_early_workers_are_started_together_and_are_ready_when_the_machine_has_answered(
    tiny: StudyConfig, run: Run
) -> None:
    engine = LocalEngine(retries=0, slots=3, early=3)
    try:
        engine.ask(HostQuestion(tiny.data, "cpu"))
        first = [worker.process.pid for worker in engine._workers]
        assert len(first) == 3
        for seed in range(3):
            engine.submit(Job(replace(run, seed=seed), needs_count=False))
        ended = 0
        while ended < 3:
            ended += sum(isinstance(event, RunDone) for event in engine.events(timeout=1.0))
        assert [worker.process.pid for worker in engine._workers] == first
        assert engine.early == 0  # a later question about the machine starts nothing
    finally:
        engine.close()


@pytest.mark.real
@pytest.mark.parametrize(
    ("device", "fault", "chosen"),
    broadly([("cuda", "full device", 1), ("cuda", "empty device", 4), ("cpu", "full device", 1)]),
)
def test_as_many_workers_share_a_device_as_are_faster_together(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, tiny: StudyConfig, run: Run, device: str, fault: str, chosen: int
) -> None:
    """Stand-ins for a device that one process fills, and for one that any number of them leave idle."""
    assert measuring.WINDOW >= 2
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace))
    monkeypatch.setattr(local, "work", hooks.work)
    monkeypatch.setenv("FAULT", fault)
    there = HostReport(device, "a stand-in", "", images=(10**7, 0, 0), cores=4)
    study = replace(tiny, engine=replace(tiny.engine, workers="auto", threads="auto"))
    engine, alone = LocalEngine(retries=0), run.recipe.batch_size / hooks.STEP
    try:
        # A clock that stands still: how many turns there are is not to depend on how busy this machine is.
        measurer = Measurer(study, there, engine, clock=lambda: 0.0)
        assert propose(measurer, plan_of(study).settings, runs=100).workers == chosen
        answers = engine.ask(TogetherQuestion(run, measuring.WINDOW), 2)
    finally:
        engine.close()
    total = sum(answer.turns[0][0] for answer in answers if isinstance(answer, Speed))
    assert total == pytest.approx(alone * min(chosen, 2), rel=0.03)


@pytest.mark.real
def test_workers_that_only_measuring_had_needed_give_their_memory_back(tiny: StudyConfig) -> None:
    engine = LocalEngine(retries=0)
    try:
        found = engine.ask(HostQuestion(tiny.data, "cpu"), workers=3)
        assert isinstance(found[0], HostReport)
        assert len(engine._workers) == 3
        assert engine.open(Placement(found[0], EXECUTION, at_once=1, most=5)) == 1
        assert len(engine._workers) == 1
    finally:
        engine.close()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_node_with_another_version_of_a_library_is_refused_by_its_name(library: str, run: Run) -> None:
    """Whether Slurm's job or Ray's task, and whenever the node came: numbers are drawn by numpy."""
    planned = HostReport("cpu", "some processor", "hash", dict.fromkeys(LIBRARIES, "1"))

    class Node(LocalEngine):
        def ask(self, question: Question, workers: int = 1) -> list[Answer]:
            there = {**planned.versions, library: "2"}
            return [replace(planned, versions=there, machine={"host": "node7"})]

    assert unfit(planned, Job(run, needs_count=False), Node(0)).startswith(
        f"node7: has {library} 2 where the study was planned on 1"
    )
