"""Poor designs are stopped on their way, survivors go on from where they were, and nothing is paid for twice."""

import itertools
import math
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.design import short_name
from explorer.host.errors import InputError
from explorer.record import records
from explorer.record.rows import Decision
from explorer.report.drawing import draw
from explorer.search import coordinator
from explorer.search.rungs import goes_on
from explorer.study.job import (
    Answer,
    Counted,
    EpochDone,
    Event,
    HostQuestion,
    HostReport,
    Job,
    Placement,
    Question,
    RunDone,
)
from explorer.study.plan import plan_of
from explorer.study.run import EpochResult, Outcome
from explorer.verbs.command_line import read_command
from tests.conftest import TINY, broadly, undrawn
from tests.search.test_sampler import SPACE

FOLDER = Path("studies/tiny")
SEARCH = [*TINY, *SPACE, "search=random", "search.seeds=1", "search.designs=9", "recipe.epochs=9", "storage=none"]
HALVING = [*SEARCH, "search.pruner=halving"]


class KilledError(Exception):
    """What stands for the end of the coordinator."""


def error_after(job: Job, epoch: int) -> float:
    """Curves that keep their order: the last error is the design's own, and every epoch adds to it before."""
    design = job.run.architecture
    name = short_name(design).encode()
    own = 0.1 + zlib.crc32(name) % 500 / 1000
    return own + 0.02 * (9 - epoch) + 0.001 * job.run.seed


class Engine:
    """Stands in for workers that train a run as far as they are told and remember how far each has come."""

    def __init__(self, kept: dict[str, int], dies_after: int | None = None) -> None:
        self.kept, self.dies_after = kept, dies_after
        self.jobs: list[Job] = []
        self.trained: list[tuple[str, int]] = []
        self._waiting: list[Event] = []

    @property
    def free(self) -> int:
        return 1 - bool(self._waiting)

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:
        assert isinstance(question, HostQuestion)
        return [HostReport("cpu", "some processor", "hash", {"torch": "2"}, images=(80, 40, 100))]

    def open(self, placement: Placement) -> int:
        return 1

    def submit(self, job: Job) -> None:
        if self.dies_after is not None and len(self.jobs) == self.dies_after:
            raise KilledError
        self.jobs.append(job)
        run, last = job.run, job.until or job.run.recipe.whole_epochs
        self.trained += [(run.id, epoch) for epoch in range(self.kept.get(run.id, 0) + 1, last + 1)]
        self.kept[run.id] = last
        errors = [error_after(job, epoch) for epoch in range(1, last + 1)]
        # Training errors that order designs the other way round.
        results = [EpochResult(epoch, 0.1, 1.0, 1 - error, error, 0.1) for epoch, error in enumerate(errors, start=1)]
        ended = last == run.recipe.whole_epochs
        now = results[-1]
        outcome = Outcome(
            "ok" if ended else "paused", last, now.train_error, now.val_error, None, 1.0, 0.1 * last, 50.0
        )
        done = [EpochDone(run.id, result) for result in results]
        self._waiting = [Counted(run.id, 1), *done, RunDone(run.id, outcome)]

    def events(self, timeout: float) -> list[Event]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def close(self) -> None:
        pass


@pytest.fixture
def start(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Engine]:
    """Run a study with an engine that may die; what its workers had kept is there at the next start."""
    places: dict[str, dict[str, int]] = {}
    undrawn(monkeypatch)

    def start(*arguments: str, dies_after: int | None = None) -> Engine:
        engine = Engine(places.setdefault(read_command([*arguments]).study.name, {}), dies_after)
        monkeypatch.setattr(coordinator, "open_engine", lambda *_: engine)
        if dies_after is None:
            assert main([*arguments]) == 0
        else:
            with pytest.raises(KilledError):
                main([*arguments])
        return engine

    return start


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ([], (1, 3)),
        (["recipe.epochs=27"], (3, 9)),
        (["recipe.epochs=28"], (4, 12)),
        (["search.factor=2"], (3, 6)),
        (["search.first_rung=2", "search.factor=4"], (2, 8)),
        (["search.pruner=none"], ()),
        (["recipe.epochs=2"], (1,)),
    ],
)
def test_rungs_lie_a_factor_apart(options: list[str], steps: tuple[int, ...]) -> None:
    assert read_command([*HALVING, *options]).study.rungs == steps


def test_a_search_stops_poor_designs_and_trains_none_of_its_epochs_twice(start: Callable[..., Engine]) -> None:
    engine = start(*HALVING)
    runs = records.load(FOLDER).runs
    assert len(runs) == runs["setting"].nunique() == 9
    assert set(runs["status"]) == {"ok", "pruned"}
    pruned = runs[runs["status"] == "pruned"]
    assert set(pruned["epochs"]) <= {1, 3}
    assert len(engine.trained) == len(set(engine.trained)) == runs["epochs"].sum()
    assert len(engine.trained) < 9 * 9 * 0.75
    # The best design is never stopped where curves keep their order.
    everything = start(*SEARCH, "name=whole")
    whole = records.load(Path("studies/whole")).runs
    assert len(everything.trained) == 81
    best = whole.sort_values("val_error")["setting"].iloc[0]
    assert runs.loc[runs["setting"] == best, "status"].item() == "ok"
    epochs = records.load(FOLDER).epochs.groupby("run").size()
    assert epochs.to_dict() == dict(zip(runs["run"], runs["epochs"], strict=True))


def test_decisions_are_those_of_optunas_pruner(start: Callable[..., Engine]) -> None:
    start(*HALVING)
    decisions = records.load(FOLDER).decisions
    seen: dict[int, list[float]] = {}
    for decision in decisions:
        if decision.decision == "chosen":
            continue
        assert decision.error is not None
        before = seen.setdefault(decision.epochs, [])
        before.append(decision.error)
        kept = sorted(before)[max(len(before) // 3, 1) - 1]
        assert decision.decision == ("continued" if decision.error <= kept else "stopped")


def test_rungs_judge_by_training_errors_where_asked(start: Callable[..., Engine]) -> None:
    start(*HALVING, "search.rung_error=training")
    record = records.load(FOLDER)
    rows = record.epochs.merge(record.runs[["run", "setting"]], on="run").set_index(["setting", "epoch"])
    judged = [one for one in record.decisions if one.decision != "chosen"]
    assert {one.decision for one in judged} == {"continued", "stopped"}
    assert all(one.error == pytest.approx(rows.loc[(one.setting, one.epochs), "train_error"]) for one in judged)


@pytest.mark.parametrize(
    "options", broadly([[], ["search.seeds=2"], ["search.pruner=hyperband"], ["search.pruner=median"]])
)
def test_a_search_killed_anywhere_ends_as_an_undisturbed_one(start: Callable[..., Engine], options: list[str]) -> None:
    """Random designs, so that the sampler's own continuation does not matter."""
    first = start(*HALVING, *options, dies_after=5)
    second = start(*HALVING, *options, dies_after=4)
    third = start(*HALVING, *options)
    trained = [*first.trained, *second.trained, *third.trained]
    assert len(trained) == len(set(trained))
    runs = records.load(FOLDER).runs
    assert len(runs) == runs["run"].nunique() == 9 * (2 if "search.seeds=2" in options else 1)
    assert len(trained) == runs["epochs"].sum()
    chosen = records.load(FOLDER).chosen()
    assert len(chosen) == len(set(chosen)) == 9


def test_a_kill_between_a_decision_and_its_row_repeats_nothing(
    start: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, decide = itertools.count(), records.decide

    def dying(folder: Path, decisions: list[Decision]) -> None:
        decide(folder, decisions)
        if decisions[0].decision == "stopped" and next(calls) == 1:
            raise KilledError

    monkeypatch.setattr(records, "decide", dying)
    with pytest.raises(KilledError):
        start(*HALVING)
    monkeypatch.setattr(records, "decide", decide)
    start(*HALVING)
    decisions = [(one.setting, one.decision, one.epochs) for one in records.load(FOLDER).decisions]
    assert len(decisions) == len(set(decisions))
    stopped = {setting for setting, decision, _ in decisions if decision == "stopped"}
    runs = records.load(FOLDER).runs
    assert stopped == set(runs.loc[runs["status"] == "pruned", "setting"])
    assert len(runs) == 9


def test_a_design_is_judged_when_all_its_seeds_are_at_the_rung(start: Callable[..., Engine]) -> None:
    engine = start(*HALVING, "search.seeds=2")
    untils = [(job.run.seed, job.until) for job in engine.jobs]
    assert untils[:2] == [(0, 1), (1, 1)]
    runs = records.load(FOLDER).runs
    for _, group in runs.groupby("setting"):
        assert group["status"].nunique() == group["epochs"].nunique() == 1
        assert list(group["seed"]) == [0, 1]


def test_a_diverged_seed_counts_as_chance_at_the_rung(
    start: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = Engine.submit

    def sometimes(self: Engine, job: Job) -> None:
        submit(self, job)
        if job.run.seed == 1 and len(self.jobs) == 2:
            lost = Outcome("diverged", 1, None, None, None, None, 1.0, None, message="the loss was not finite")
            self._waiting = [RunDone(job.run.id, lost)]

    monkeypatch.setattr(Engine, "submit", sometimes)
    start(*HALVING, "search.seeds=2")
    record = records.load(FOLDER)
    first = record.decisions[0].setting
    errors = [one.error for one in record.decisions if one.setting == first and one.error]
    assert errors[0] == pytest.approx((0.9 + float(record.epochs.iloc[0]["val_error"])) / 2, abs=0.2)
    assert set(record.runs[record.runs["setting"] == first]["status"]) & {"diverged"}


@pytest.mark.real
def test_random_designs_stand_beside_a_search_and_are_not_stopped(start: Callable[..., Engine]) -> None:
    options = [*HALVING, "search.sampler=tpe", "search.designs=8"]
    engine = start(*options, "search.baseline=0.5", dies_after=3)
    drawn = records.load(FOLDER).chosen("baseline")
    assert len(drawn) == 4
    assert [job.until for job in engine.jobs] == [None] * 3
    start(*options, "search.baseline=0.5")
    record = records.load(FOLDER)
    assert record.chosen("baseline") == drawn
    assert len(record.chosen("tpe")) == 4
    assert len(set(record.chosen())) == 8
    assert (record.runs[record.runs["setting"].isin(drawn)]["status"] == "ok").all()
    more = start(*options, "search.baseline=0.5", "search.designs=12")
    record = records.load(FOLDER)
    assert record.chosen("baseline")[:4] == drawn
    assert (len(record.chosen("baseline")), len(record.chosen())) == (6, 12)
    assert len({job.run.id for job in more.jobs}) == 4
    page = draw(open_study(FOLDER)).read_text()
    assert 'data-figure="course"' in page
    assert "At equal cost, " in page


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["search.pruner=halving", "search.sampler=uniform"], "search.pruner=halving: sampler uniform trains all"),
        (
            ["search.pruner=median", "search.objectives=[error,macs]"],
            "search.pruner=median: does not take two objectives",
        ),
        (
            ["search.pruner=halving", "search.first_rung=9"],
            "search.first_rung=9: allowed is less than recipe.epochs, 9",
        ),
        (["search.pruner=halving", "recipe.epochs=1"], "recipe.epochs=1: search.pruner=halving needs 2 epochs"),
        (["search.baseline=0.5"], "search.baseline=0.5: random designs are what a search is held against"),
        (["search.baseline=0.5", "search.sampler=uniform"], "search.baseline=0.5"),
    ],
)
def test_what_cannot_be_stopped_or_drawn_is_refused(options: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words.replace("[", r"\[")):
        plan_of(read_command([*SEARCH, *options]).study)


def test_a_search_without_its_decisions_is_refused(
    start: Callable[..., Engine], capsys: pytest.CaptureFixture[str]
) -> None:
    start(*HALVING)
    (FOLDER / "decisions.csv").unlink()
    assert main(HALVING) == 2
    assert "decisions.csv missing" in capsys.readouterr().err


def test_two_objectives_go_on_by_fronts() -> None:
    rng = np.random.default_rng(0)
    points = [(float(error), float(cost)) for error, cost in rng.random((30, 2))]
    for last in range(1, 31):
        seen = points[:last]
        ranks: list[int] = []
        for error, cost in seen:
            beaten_by = [a <= error and b <= cost and (a, b) != (error, cost) for a, b in seen]
            ranks.append(sum(beaten_by))
        if ranks[-1] == 0:
            assert goes_on(seen, 3)  # whatever no other beats
        if sum(rank < ranks[-1] for rank in ranks) == last - 1 and last >= 6:
            assert not goes_on(seen, 3)  # the one that most others beat
    passed = sum(goes_on(points[:last], 3) for last in range(1, 31))
    assert math.floor(30 / 3) <= passed < 25


def test_two_objectives_run_with_rungs(start: Callable[..., Engine]) -> None:
    start(
        *HALVING,
        "search=nsga2",
        "search.designs=9",
        "search.seeds=1",
        "search.pruner=halving",
        "search.objectives=[error,macs]",
    )
    runs = records.load(FOLDER).runs
    assert len(runs) == 9
    assert set(runs["status"]) == {"ok", "pruned"}


def test_a_paused_run_is_no_row(start: Callable[..., Engine]) -> None:
    start(*HALVING, dies_after=1)
    record = records.load(FOLDER)
    assert len(record.runs) == 0
    assert [one.decision for one in record.decisions] == ["chosen", "continued"]
    assert replace(record.decisions[1], error=None).epochs == 1
