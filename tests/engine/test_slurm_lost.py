"""Jobs of Slurm that go without a goodbye, by stand-ins for jobs and queue."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from explorer.engine import slurm_engine
from explorer.engine.messages import Box, Hello
from explorer.engine.slurm_engine import SlurmEngine
from explorer.engine.slurm_job import IN, OUT
from explorer.study.job import HostQuestion, HostReport, Job, Noted, Placement
from explorer.study.plan import plan_of
from explorer.study.runs import runs_of
from explorer.study.settings import StudyConfig
from explorer.verbs.command_line import read_command
from tests.conftest import TINY
from tests.study.test_planning import EXECUTION


@dataclass
class StandIn:
    """A job of the cluster that says hello as soon as it is submitted, and what the queue says of it."""

    work: Any
    job_id: str
    state: str | None = "RUNNING None"  # None: it is not listed

    def cancel(self, check: bool = False) -> None:
        self.state = None

    def done(self) -> bool:
        return self.state is None


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch, workplace: Path) -> list[StandIn]:
    made: list[StandIn] = []

    def submit(_: object, work: list[Any]) -> list[StandIn]:
        new = [StandIn(one, str(len(made) + place)) for place, one in enumerate(work)]
        for one in new:
            Box(one.work.root / one.work.name / OUT).put(Hello(1))
        made.extend(new)
        return new

    def states(known: list[Any], _: object) -> dict[str, str]:
        return {one.name: one.job.state for one in known if one.job.state is not None}

    monkeypatch.setattr(slurm_engine, "submit", submit)
    monkeypatch.setattr(slurm_engine, "_states", states)
    monkeypatch.setattr(slurm_engine, "CHECK", 0.0)
    monkeypatch.setattr(slurm_engine, "PAUSE", 0.01)
    return made


@pytest.fixture
def study() -> StudyConfig:
    others = [argument for argument in TINY if not argument.startswith("engine")]
    return read_command([*others, "engine=slurm", "engine.executor=local", "engine.gpus=0", "engine.jobs=2"]).study


@pytest.mark.real
def test_a_question_whose_job_is_lost_goes_to_another_job(
    jobs: list[StandIn], study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = SlurmEngine(study, Path("studies/tiny"))
    put = Box.put

    def lost_or_answered(box: Box, message: object) -> None:
        put(box, message)
        if box.path.name != IN:
            return
        place = next(one for one in jobs if one.work.name == box.path.parent.name)
        if place is jobs[0]:
            place.state = None
        else:
            put(Box(box.path.parent / OUT), HostReport("cpu", "some processor", "hash"))

    monkeypatch.setattr(Box, "put", lost_or_answered)
    (report,) = engine.ask(HostQuestion(study.data, "cpu"))
    assert isinstance(report, HostReport)
    assert len(jobs) == 2
    engine.close()


@pytest.mark.real
def test_a_job_that_the_queue_has_again_gives_its_runs_to_another_and_gets_none(
    jobs: list[StandIn], study: StudyConfig
) -> None:
    engine = SlurmEngine(study, Path("studies/tiny"))
    plan = plan_of(study)
    runs = [run for _, run in runs_of(plan, plan.settings, EXECUTION, "hash")]
    engine.open(Placement(HostReport("cpu", "some processor", "hash"), EXECUTION, at_once=1, most=2))
    engine.events(0.0)
    engine.submit(Job(runs[0], needs_count=False))
    (holder,) = (one for one in engine._jobs if one.busy)
    engine.wanted = 1
    holder.job.state = "PENDING BeginTime"
    assert engine.events(0.0) == []  # it may have begun since
    assert engine.events(0.0) == [Noted(runs[0].id, "its job was put into the queue again; another one goes on")]
    engine.events(0.0)
    (other,) = (one for one in engine._jobs if one.busy)
    assert (other is holder, [*other.busy]) == (False, [runs[0].id])
    assert engine.free == 0
    holder.outbox.put(Hello(2))  # it begins again
    holder.job.state = "RUNNING None"
    engine.events(0.0)
    assert engine.free == 1
    engine.close()
