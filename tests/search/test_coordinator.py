"""What the coordinator does with outcomes of every kind, with an engine that answers at once."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from explorer.__main__ import main
from explorer.record import folder as study
from explorer.record import records
from explorer.search import coordinator, fork
from explorer.study.job import (
    Answer,
    Counted,
    EpochDone,
    Event,
    Forms,
    FormsQuestion,
    HostQuestion,
    HostReport,
    Job,
    Mismatch,
    Placement,
    Question,
    RunDone,
)
from explorer.study.run import Convolution, EpochResult, Filters, Outcome, Run
from tests.conftest import TINY

FOLDER = Path("studies/tiny")
OK = Outcome("ok", 2, 0.1, 0.2, 0.3, 0.5, 1.0, 50.0, np.packbits(np.ones(100, bool)).tobytes(), 100)
LOST = Outcome("diverged", 1, None, None, None, None, 1.0, None, message="the loss was not finite in epoch 1")


@dataclass
class Engine:
    """Stands in for workers: each job comes back with the events that `answer` gives for it."""

    answer: Callable[[Job], list[Event]]
    jobs: list[Job] = field(default_factory=list)
    closed: bool = False
    _waiting: list[Event] = field(default_factory=list)

    @property
    def free(self) -> int:
        return 1 - bool(self._waiting)

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:
        if isinstance(question, FormsQuestion):
            return [Forms(tuple(Convolution(shape.key, 1) for shape, _ in question.uses))]
        assert isinstance(question, HostQuestion)
        return [HostReport("cpu", "some processor", "hash", {"torch": "2"}, images=(80, 40, 100))]

    def open(self, placement: Placement) -> int:
        return 1

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        self._waiting = self.answer(job)

    def events(self, timeout: float) -> list[Event]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def stop(self) -> list[Event]:
        return self.events(0.0)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def start(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, Engine]]:
    """Start the tiny study with an engine that answers as told; gives the exit code and the engine."""

    def start(answer: Callable[[Job], list[Event]], *overrides: str) -> tuple[int, Engine]:
        engine = Engine(answer)
        monkeypatch.setattr(coordinator, "open_engine", lambda *_: engine)
        return main([*TINY, "storage=none", *overrides]), engine

    return start


def finishing(outcome: Outcome) -> Callable[[Job], list[Event]]:
    """Two epochs and the outcome, for every job, with its filters where these are asked for."""

    def answer(job: Job) -> list[Event]:
        filters = (Filters("layer1.0.conv2", 2.0, 1.5, 10.0),) if job.filters and outcome.status == "ok" else ()
        return [
            Counted(job.run.id, 1),
            *epochs(job, 1, 2),
            RunDone(job.run.id, replace(outcome, filters=filters)),
        ]

    return answer


def epochs(job: Job, *numbers: int) -> list[Event]:
    return [EpochDone(job.run.id, EpochResult(number, 0.1, 1.0, 0.5, 0.5, 0.1)) for number in numbers]


def test_each_architecture_is_counted_once(start: Callable[..., tuple[int, Engine]]) -> None:
    _, engine = start(finishing(OK))
    assert [job.needs_count for job in engine.jobs] == [True, True, False, False]
    _, again = start(finishing(OK), "search.seeds=3")
    assert [job.needs_count for job in again.jobs] == [False, False]


def test_a_cost_mismatch_stops_the_study_and_keeps_what_was_finished(
    start: Callable[..., tuple[int, Engine]], capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(job: Job) -> list[Event]:
        if job.run.architecture.cardinality == 2:
            return [Mismatch("11-2x3d-w16: closed form 1 params; built network 2 params")]
        return finishing(OK)(job)

    code, engine = start(answer)
    assert (code, engine.closed, len(engine.jobs)) == (1, True, 2)
    assert "the cost check failed and nothing more was run: 11-2x3d-w16" in capsys.readouterr().err
    assert len(records.load(FOLDER).runs) == 1


def test_diverged_runs_are_final_and_count_as_chance(
    start: Callable[..., tuple[int, Engine]], capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = start(lambda job: finishing(LOST if job.run.seed == 1 else OK)(job))
    assert code == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "diverged: the loss was not finite in epoch 1" in output
    assert "2 (1 as chance)" in output
    assert "60.00 %" in output  # the mean of 30 % and chance, 90 %
    _, again = start(finishing(OK))
    assert again.jobs == []


def test_failed_runs_are_reported_logged_and_tried_again(
    start: Callable[..., tuple[int, Engine]], capsys: pytest.CaptureFixture[str]
) -> None:
    failed = replace(LOST, status="failed", message="RuntimeError: boom")

    def answer(job: Job) -> list[Event]:
        bad = job.run.seed == 0 and job.run.architecture.cardinality == 1
        return [RunDone(job.run.id, failed, details="Traceback: boom")] if bad else finishing(OK)(job)

    code, engine = start(answer)
    assert (code, len(engine.jobs)) == (1, 4)
    assert "1 run failed; see studies/tiny/local/failures.log" in capsys.readouterr().err
    assert "Traceback: boom" in (FOLDER / "local" / "failures.log").read_text()
    code, again = start(finishing(OK))
    assert (code, len(again.jobs)) == (0, 1)
    assert set(records.load(FOLDER).runs["status"]) == {"ok"}


def test_epochs_of_a_run_that_was_started_again_are_recorded_once(start: Callable[..., tuple[int, Engine]]) -> None:
    def answer(job: Job) -> list[Event]:
        return [*epochs(job, 1, 1, 2), RunDone(job.run.id, OK)]

    start(answer)
    assert list(records.load(FOLDER).epochs["epoch"]) == [1, 2] * 4
    assert (FOLDER / study.EPOCHS).read_text().count("\n") == 9


@pytest.mark.parametrize("is_earlier", [False, True])
def test_a_study_begun_with_native_forms_goes_on_with_them_when_a_later_start_leaves_that_out(
    start: Callable[..., tuple[int, Engine]], is_earlier: bool
) -> None:
    """As one does that chooses another engine. Earlier versions wrote no native forms into the plan."""

    def leaving(job: Job) -> list[Event]:
        if job.run.seed == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return finishing(OK)(job)

    assert start(leaving, "engine.forms=native")[0] == 143
    path = FOLDER / study.EXECUTION
    execution = json.loads(path.read_text())
    assert {(form["groups"], form["layout"]) for form in execution["convolutions"]} == {(2, "same")}
    if is_earlier:
        path.write_text(json.dumps({**execution, "convolutions": []}))
    code, engine = start(finishing(OK), "engine.forms=auto")
    assert (code, [job.run.seed for job in engine.jobs]) == (0, [1])
    assert json.loads(path.read_text()) == execution


def test_a_fork_asks_what_differs_in_a_folder_of_its_own_since_its_study_may_be_running(
    start: Callable[..., tuple[int, Engine]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[Path]()

    def opened(_: object, folder: Path, runs: int = 0) -> Engine:
        folder.mkdir(parents=True)
        asked.append(folder)
        return Engine(finishing(OK))

    start(finishing(OK))
    monkeypatch.setattr(fork, "open_engine", opened)
    code, engine = start(finishing(OK), "fork=true", "study.margin=0.02")
    assert (code, engine.jobs) == (0, [])  # all runs are taken over
    assert [folder.parent for folder in asked] == [FOLDER / "local"]
    assert not asked[0].exists()


def test_a_record_whose_runs_have_other_ids_is_not_repeated(
    start: Callable[..., tuple[int, Engine]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start(finishing(OK))
    monkeypatch.setattr(Run, "id", property(lambda run: f"new{run.seed}{run.architecture.cardinality}"))
    before = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.is_file()}
    code, engine = start(finishing(OK), "search.seeds=3")
    assert (code, engine.jobs) == (2, [])
    assert "which these settings call new01" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.is_file()} == before


def test_an_interrupt_keeps_finished_runs_and_ends_the_workers(
    start: Callable[..., tuple[int, Engine]], capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(job: Job) -> list[Event]:
        if job.run.seed == 1:
            raise KeyboardInterrupt
        return finishing(OK)(job)

    code, engine = start(answer)
    assert (code, engine.closed) == (130, True)
    assert len(records.load(FOLDER).runs) == 2
    assert "Everything done so far is kept; continue with" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(("asking", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_what_workers_finish_while_they_leave_is_recorded(
    start: Callable[..., tuple[int, Engine]], asking: signal.Signals, code: int
) -> None:
    def answer(job: Job) -> list[Event]:
        if job.run.seed == 1:
            os.kill(os.getpid(), asking)
        return finishing(OK)(job)

    before = signal.signal(asking, signal.default_int_handler)
    found, engine = start(answer)
    assert signal.signal(asking, before) is signal.default_int_handler
    assert (found, engine.closed, len(engine.jobs)) == (code, True, 3)
    assert len(records.load(FOLDER).runs) == 3


SEARCH = ["search=tpe", "search.seeds=2", "study.contrast=null", "space.cardinality={low: 1, high: 6}"]
SEARCH += ["space.bottleneck_width={low: 1, high: 6}", "budget.params.tolerance=0.2", "search.baseline=0"]


def test_a_search_asks_one_design_after_the_other_and_never_looks_at_the_test_images(
    start: Callable[..., tuple[int, Engine]], capsys: pytest.CaptureFixture[str]
) -> None:
    unjudged = replace(OK, test_error=None, correct=b"", test_images=0)
    code, engine = start(finishing(unjudged), *SEARCH, "search.designs=3")
    assert (code, len(engine.jobs)) == (0, 6)
    assert not any(job.judges for job in engine.jobs)
    names = [job.run.architecture for job in engine.jobs]
    assert names[0::2] == names[1::2]
    assert len(set(names)) == 3
    runs = records.load(FOLDER).runs
    assert runs["test_error"].isna().all()
    output = " ".join(capsys.readouterr().out.split())
    assert "validation error" in output
    assert "20.00 %" in output
    code, more = start(finishing(unjudged), *SEARCH, "search.designs=5")
    assert (code, len(more.jobs)) == (0, 4)
    assert not {job.run.architecture for job in more.jobs} & set(names)
    code, again = start(finishing(unjudged), *SEARCH, "search.designs=5")
    assert (code, again.jobs) == (0, [])


def test_a_search_that_was_stopped_within_a_design_finishes_it_first(start: Callable[..., tuple[int, Engine]]) -> None:
    def answer(job: Job) -> list[Event]:
        if job.run.seed == 1 and len(records.load(FOLDER).runs) == 3:
            raise KeyboardInterrupt
        return finishing(OK)(job)

    code, engine = start(answer, *SEARCH, "search.designs=3")
    assert (code, len(engine.jobs)) == (130, 4)
    code, again = start(finishing(OK), *SEARCH, "search.designs=3")
    assert (code, len(again.jobs)) == (0, 3)
    assert again.jobs[0].run == engine.jobs[3].run


def test_weights_are_kept_where_asked_for(start: Callable[..., tuple[int, Engine]]) -> None:
    _, engine = start(finishing(OK), "storage.weights=last")
    assert [job.weights for job in engine.jobs] == [
        str(FOLDER / "local" / "weights" / f"{job.run.id}.safetensors") for job in engine.jobs
    ]
    _, engine = start(finishing(OK), "name=other")
    assert [job.weights for job in engine.jobs] == [None] * 4


def test_forms_are_chosen_before_the_first_run_and_for_each_design_of_a_search(
    start: Callable[..., tuple[int, Engine]],
) -> None:
    _, engine = start(finishing(OK), "engine.forms=auto")
    plan = json.loads((FOLDER / study.EXECUTION).read_text())
    assert {choice["groups"] for choice in plan["convolutions"]} == {1}
    for job in engine.jobs:
        executed = {choice.layer for choice in job.run.execution.convolutions}
        assert bool(executed) == (job.run.architecture.cardinality == 2)
        assert executed <= {choice["layer"] for choice in plan["convolutions"]}
    before = (FOLDER / study.EXECUTION).read_bytes()
    _, again = start(finishing(OK), "engine.forms=auto", "search.seeds=3")
    assert [job.run.seed for job in again.jobs] == [2, 2]
    assert (FOLDER / study.EXECUTION).read_bytes() == before
    adaptive = ["search=random", "search.designs=3", "search.seeds=1", "study.contrast=null", "name=searched"]
    adaptive += ["space.cardinality={low: 2, high: 4}", "budget.params.tolerance=0.5", "engine.forms=auto"]
    code, searched = start(finishing(replace(OK, test_error=None)), *adaptive)
    assert code == 0
    chosen = json.loads(Path("studies/searched/execution.json").read_text())["convolutions"]
    layers = {choice.layer for job in searched.jobs for choice in job.run.execution.convolutions}
    assert layers == {choice["layer"] for choice in chosen}
    assert all(job.run.execution.convolutions for job in searched.jobs)


def test_skipped_images_are_told_and_kept(
    start: Callable[..., tuple[int, Engine]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    skipped = tuple(f"train row {number} (no label)" for number in range(5))
    there = HostReport("cpu", "some processor", "hash", {"torch": "2"}, images=(80, 40, 100), skipped=skipped)
    monkeypatch.setattr(Engine, "ask", lambda self, question, workers=1: [there])
    start(finishing(OK))
    assert "5 images were left out: train row 0 (no label); " in capsys.readouterr().out
    assert json.loads((FOLDER / study.ENVIRONMENT).read_text())["skipped"] == list(skipped)
    page = (study.REPORTS / "tiny.html").read_text()
    assert "80 to train, 40 to validate, 100 to test; 5 left out as unusable" in page
