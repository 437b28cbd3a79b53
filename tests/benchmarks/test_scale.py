"""How busy slots are kept is told exactly, whatever clock there is, and the real coordinator is what is measured."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks.__main__ import main as measure
from benchmarks.scale import Clock, Sleeps, measure_choices, measure_scale, usage_of
from benchmarks.size import store, until_first
from benchmarks.subjects import sleeping
from explorer.record import records
from explorer.search.trials import Trials
from explorer.study.job import Job
from explorer.study.plan import plan_of
from explorer.study.run import Execution
from explorer.study.runs import runs_of
from explorer.study.settings import StudyConfig

PLAIN = Execution("cpu", "none", "grouped", "channels_last", "float32", 1, 20)
BOUND = 0.05  # seconds of the processor for each run, ten times what was measured
MOST_KIB = 64  # by which each run may make the process larger; 5 were measured


@dataclass
class Scripted:
    """A coordinator that takes `cost` seconds of a clock nobody else moves to start a run, and nothing for all else."""

    cost: float
    spent: float = 0.0
    jobs: list[Job] = field(default_factory=list)

    def drive(self, slots: int, seconds: float) -> Sleeps:
        engine, left = Sleeps(slots, seconds, clock=Clock(is_real=False, source=lambda: self.spent)), list(self.jobs)
        while left or engine.free < slots:
            while engine.free and left:
                self.spent += self.cost
                engine.submit(left.pop())
            engine.events(100.0)
        return engine


@pytest.fixture
def jobs(tiny: StudyConfig) -> list[Job]:
    """Four jobs."""
    return [Job(run, needs_count=False) for _, run in runs_of(plan_of(tiny), plan_of(tiny).settings, PLAIN, "none")]


def test_a_slot_waits_as_long_as_the_coordinator_takes(jobs: list[Job]) -> None:
    engine = Scripted(1.0, jobs=jobs).drive(1, 10.0)
    assert engine.spans == [(1.0, 11.0), (12.0, 22.0), (23.0, 33.0), (34.0, 44.0)]
    found = usage_of(engine.spans, 1)
    assert found.utilisation == pytest.approx(10 / 11)
    assert found.with_tail == pytest.approx(40 / 43)
    assert (found.ramp, found.wait, found.longest_wait, found.tail, found.seconds) == (0.0, 1.0, 1.0, 10.0, 43.0)


def test_several_slots_are_filled_one_after_the_other(jobs: list[Job]) -> None:
    engine = Scripted(1.0, jobs=jobs).drive(2, 10.0)
    assert engine.spans == [(1.0, 11.0), (2.0, 12.0), (12.0, 22.0), (13.0, 23.0)]
    found = usage_of(engine.spans, 2)
    assert found.utilisation == pytest.approx((10 + 10 + 1 + 0) / (2 * 12))
    assert (found.ramp, found.longest_wait, found.tail, engine.most) == (1.0, 1.0, 10.0, 2)


def test_more_slots_than_the_coordinator_can_fill_stay_idle(jobs: list[Job]) -> None:
    engine = Scripted(1.0, jobs=jobs * 10).drive(4, 2.0)
    assert usage_of(engine.spans, 4).utilisation == pytest.approx(0.5, abs=0.02)


def test_waiting_costs_nothing_on_a_simulated_clock_and_a_free_coordinator_loses_nothing(jobs: list[Job]) -> None:
    scripted = Scripted(0.0, jobs=jobs)
    engine = scripted.drive(2, 3600.0)
    assert scripted.spent == 0.0
    assert usage_of(engine.spans, 2).utilisation == 1.0
    assert usage_of(engine.spans, 2).seconds == 7200.0


def test_the_coordinator_itself_is_measured_and_leaves_a_record_like_any(tmp_path: Path) -> None:
    before, engine, began = Trials.ask, Sleeps(4, 60.0, 0.2, clock=Clock(is_real=False)), time.perf_counter()
    found = measure_scale(sleeping("random", 40), tmp_path / "scale", engine)
    assert Trials.ask is before
    record = records.load(tmp_path / "scale")
    assert (found.runs, len(record.runs), len(record.epochs), len(record.chosen())) == (40, 40, 400, 40)
    assert time.perf_counter() - began < 60 < found.usage.seconds
    assert (found.most, found.is_real) == (4, False)
    assert 0.9 < found.usage.utilisation < 1
    assert all(passed > 0 for _, passed in found.parts.values())
    files = sum(path.stat().st_size for path in (tmp_path / "scale").glob("*.csv"))
    assert found.record == files / 40


@pytest.mark.parametrize(("sampler", "levels"), [("tpe", [12, 20]), ("nsga2", [12]), ("qmc", [12])])
def test_a_choice_is_timed_with_as_many_results_as_were_asked_for(sampler: str, levels: list[int]) -> None:
    found = measure_choices(sleeping(sampler, max(levels)), levels)
    assert [(one.sampler, one.told) for one in found] == [(sampler, level) for level in levels]
    assert all(0 < one.seconds <= one.longest for one in found)


@pytest.mark.parametrize("half", [True, False])
def test_a_stored_study_is_one_that_goes_on(half: bool, tmp_path: Path) -> None:
    config, folder = sleeping("random", 30), tmp_path / "scale"
    store(config, folder, 15 if half else 30)
    runs = records.load(folder).runs
    assert (len(runs), runs["run"].nunique(), set(runs["status"])) == (15 if half else 30, 15 if half else 30, {"ok"})
    until_first(config, folder)
    assert len(records.load(folder).decisions) == (16 if half else 30)


@pytest.mark.real
def test_the_benchmark_tells_what_it_found(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["scale", "jobs=12"]
    assert measure([*quick, "slots=[1,3]", "seconds=[10]", "clock=simulated", "mirror=true"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "Runs that only take time, simulated clock, sampler random, lengths +-20%" in output
    assert "3 slots, runs of 10 s: at least 97 % of the slots' time used" in output
    assert list(workplace.iterdir()) == []
    assert measure(quick) == 2
    assert "jobs=12: allowed are more than slots, 512" in " ".join(capsys.readouterr().err.split())


@pytest.mark.real
def test_sixty_four_slots_are_fed_in_real_time(tmp_path: Path) -> None:
    found = measure_scale(sleeping("random", 1000), tmp_path / "scale", Sleeps(64, 1.0, 0.2))
    runs = records.load(tmp_path / "scale").runs
    assert (found.runs, runs["run"].nunique(), set(runs["status"])) == (1000, 1000, {"ok"})
    assert found.most == 64
    assert found.processor < BOUND
    assert found.bytes_per_run < 1024 * MOST_KIB
    assert found.usage.seconds > 0.8 * 1000 / 64


@pytest.mark.real
def test_a_large_study_is_continued_listed_and_drawn_in_processes_of_their_own(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measure(["size", "stored=20"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    for part in ("search: continue, half done", "5 seeds: report", "search: start it again when finished: verdict"):
        assert part in output
    assert list(workplace.iterdir()) == []
