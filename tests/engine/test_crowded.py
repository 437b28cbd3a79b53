"""A run that lacked memory on a GPU which it shared, by stand-ins for Ray's cluster and for workers."""

import multiprocessing
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from explorer.engine.local import LocalEngine, _Worker
from explorer.engine.ray_cluster import Needs
from explorer.engine.ray_engine import RayEngine
from explorer.engine.retries import CROWDED, Attempts
from explorer.study.job import Begun, Event, HostReport, Job, Noted, Placement, RunDone
from explorer.study.plan import plan_of
from explorer.study.run import Outcome, Run
from explorer.study.runs import runs_of
from explorer.study.settings import StudyConfig
from explorer.training.images.split import load
from explorer.verbs.command_line import read_command
from tests.conftest import TINY
from tests.study.test_planning import EXECUTION


class Flight(Iterator[Event]):
    """A task of the cluster: what it takes of a node, and the events that it sends."""

    def __init__(self, takes: dict[str, float], events: list[Event]) -> None:
        self.takes, self.events = takes, iter(events)

    def __next__(self) -> Event:
        return next(self.events)


class Cluster:
    """Every task sends what is next in the script."""

    def __init__(self, script: list[list[Event]]) -> None:
        self.script, self.flights = script, list[Flight]()
        names = ("TaskCancelledError", "NodeDiedError", "ObjectLostError", "LocalRayletDiedError", "RayTaskError")
        others = {name: type(name, (Exception,), {}) for name in (*names, "RayError")}
        self.exceptions = SimpleNamespace(**others)

    def get(self, event: Event) -> Event:
        return event

    def options(self, **takes: float) -> "Cluster":
        self.takes = takes
        return self

    def remote(self, *_: object) -> Flight:
        self.flights.append(Flight(self.takes, self.script.pop(0)))
        return self.flights[-1]


@pytest.fixture
def study() -> StudyConfig:
    others = [argument for argument in TINY if not argument.startswith("engine")]
    return read_command([*others, "engine=ray"]).study


@pytest.fixture
def run(study: StudyConfig) -> Run:
    return runs_of(plan_of(study), plan_of(study).settings, EXECUTION, load(study.data).digest)[0][1]


def engine_on(cluster: Any, study: StudyConfig, gpus: float) -> RayEngine:
    engine = object.__new__(RayEngine)
    placement = Placement(HostReport("cuda", "a stand-in", ""), EXECUTION, at_once=2, most=2)
    state = {"study": study, "folder": Path(), "_ray": cluster, "_carry": cluster, "_flights": {}, "_landed": []}
    others = {"_alone": {}, "_sends": False, "_images": None, "_placement": placement, "_needs": Needs(1, gpus)}
    vars(engine).update(state | others, _attempts=Attempts(0, engine.submit), _counted=(float("inf"), 2))
    vars(engine).update(_head=("", 0), _looked=float("inf"), _answered=float("inf"))
    return engine


def lacking(run: Run) -> RunDone:
    return RunDone(run.id, Outcome("out_of_memory", 0))


def test_it_gets_a_whole_gpu_of_ray_and_until_it_has_one_nothing_else_is_submitted(
    study: StudyConfig, run: Run
) -> None:
    cluster = Cluster([[lacking(run)], [Begun(run.id), lacking(run)]])
    engine = engine_on(cluster, study, 0.5)
    engine.submit(Job(run, needs_count=False))
    assert engine._received(cluster.flights[0]) == [Noted(run.id, CROWDED)]
    assert [flight.takes["num_gpus"] for flight in cluster.flights] == [0.5, 1]
    assert engine.free == 0
    assert engine._received(cluster.flights[1]) == [Begun(run.id)]
    assert engine.free == 1
    assert engine._received(cluster.flights[1]) == [lacking(run)]  # now it counts
    assert engine.free == 2


def test_what_lacked_memory_beside_others_while_the_study_is_left_is_no_outcome(study: StudyConfig, run: Run) -> None:
    cluster = Cluster([[lacking(run)]])
    engine = engine_on(cluster, study, 0.5)
    engine.submit(Job(run, needs_count=False))
    assert engine._received(cluster.flights[0], leaving=True) == []


@pytest.mark.parametrize("shared", [True, False])
def test_a_local_worker_that_lacked_memory_while_the_study_is_left_counts_only_if_it_was_alone(
    run: Run, shared: bool
) -> None:
    ours, theirs = multiprocessing.Pipe()
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    stand_in = SimpleNamespace(pid=process.pid, terminate=lambda: None, kill=process.kill, join=process.wait)
    job = Job(replace(run, execution=replace(run.execution, device="cuda")), needs_count=False)
    engine = LocalEngine(retries=0)
    engine._workers.append(_Worker(cast(Any, stand_in), ours, None, job, shared=shared))
    theirs.send(lacking(run))
    theirs.close()
    told = [event for event in engine.stop() if isinstance(event, RunDone)]
    assert [event.outcome.status for event in told] == ([] if shared else ["out_of_memory"])


def test_what_lacked_memory_with_a_whole_gpu_of_ray_counts_at_once(study: StudyConfig, run: Run) -> None:
    cluster = Cluster([[lacking(run)]])
    engine = engine_on(cluster, study, 1)
    engine.submit(Job(run, needs_count=False))
    assert engine._received(cluster.flights[0]) == [lacking(run)]
