"""Limits that a budget has on latency and memory: measured before a design is trained, predicted before that."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from explorer.__main__ import main
from explorer.analysis.cost_predictor import LEAST
from explorer.analysis.judging import open_study
from explorer.design.cost import cost
from explorer.design.name import short_name
from explorer.host.errors import InputError
from explorer.record.records import load
from explorer.report.method import tried
from explorer.search import coordinator
from explorer.study.job import Answer, Latencies, LatencyQuestion, Measured, MemoryQuestion, Question
from explorer.verbs.command_line import read_command
from explorer.verbs.python_words import Budget
from explorer.verbs.run import carry_out
from tests.conftest import TINY
from tests.search.test_coordinator import Engine
from tests.search.test_readings import FOLDER, SEARCH, answered, weights_of

WIDE = [*SEARCH, "space.cardinality={low: 1, high: 16}", "space.bottleneck_width=[2,4,6]", "search.designs=12"]


@dataclass
class Timing(Engine):
    """An engine whose workers time the parameters, in thousands, as milliseconds; the first time something disturbs."""

    asked: Counter[str] = field(default_factory=Counter)
    questions: list[LatencyQuestion | MemoryQuestion] = field(default_factory=list)
    disturbs: bool = False

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:
        if not isinstance(question, LatencyQuestion | MemoryQuestion):
            return super().ask(question, workers)
        assert not self._waiting, "something else runs"
        self.questions.append(question)
        if isinstance(question, MemoryQuestion):
            designs = [run.architecture for run in question.runs]
            values = [cost(run.architecture, run.task).params / 1000 for run in question.runs]
        else:
            designs = list(question.architectures)
            values = [cost(one, question.task).params / 1000 for one in question.architectures]
        quartiles = []
        for design, value in zip(designs, values, strict=True):
            late = 50 if self.disturbs and not self.asked[short_name(design)] else 1.1
            self.asked[short_name(design)] += 1
            quartiles.append((0.9 * value, value, late * value))
        found = tuple(quartiles)
        return [Measured(found) if isinstance(question, MemoryQuestion) else Latencies(found)]


@pytest.fixture
def start(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Timing]:
    def started(*words: str, disturbs: bool = False) -> Timing:
        engine = Timing(answered, disturbs=disturbs)
        monkeypatch.setattr(coordinator, "open_engine", lambda *_: engine)
        assert main([*words]) == 0
        return engine

    return started


def test_a_latency_limited_search_trains_what_is_within_and_times_few_of_the_others(
    start: Callable[..., Timing], workplace: Path
) -> None:
    engine = start(*WIDE, "budget.latency.most=30", "budget.latency.batch=4")
    record = load(FOLDER)
    assert len(record.chosen()) == 12
    assert all(1.1 * weights_of(name) <= 30 for name in record.chosen()), "three quarters of the passes end in time"
    outside = record.readings.keys() - {*record.chosen()}
    assert all(1.1 * weights_of(name) > 30 for name in outside)
    assert LEAST <= len(record.readings) < 60, "the line leaves most of the 96 designs unmeasured"
    assert {(one.batch_size, one.runtime) for one in engine.questions if isinstance(one, LatencyQuestion)} == {
        (4, "torch")
    }
    found = open_study(FOLDER)
    assert "pass_ms" in found.record.runs
    (said,) = (line for line in tried(found) if "not measured" in line)
    assert "clearly above 30 milliseconds of a forward pass of 4 images were not measured" in said
    assert '<th data-name="pass_ms">Pass (ms)' in (workplace / "reports" / "tiny.html").read_text()
    again = start(*WIDE, "budget.latency.most=30", "budget.latency.batch=4")
    assert not again.asked, "a finished study measures nothing"


@pytest.mark.real
def test_passes_that_something_disturbed_are_timed_again(start: Callable[..., Timing]) -> None:
    engine = start(*WIDE, "search.designs=4", "search.baseline=0", "budget.latency.most=30", disturbs=True)
    record = load(FOLDER)
    assert len(record.chosen()) == 4
    for name, (reading,) in record.readings.items():
        is_unclear = 0.9 * weights_of(name) <= 30
        assert engine.asked[name] == (2 if is_unclear else 1), name
        assert reading.upper == pytest.approx((1.1 if is_unclear else 50) * weights_of(name))


def test_a_memory_limit_is_measured_of_training_steps_or_of_a_pass(start: Callable[..., Timing]) -> None:
    engine = start(*WIDE, "search.designs=4", "budget=memory:30", "name=tiny")
    assert all(1.1 * weights_of(name) <= 30 for name in load(FOLDER).chosen())
    (step,) = {(one.work, one.batch_size) for one in engine.questions if isinstance(one, MemoryQuestion)}
    assert step == ("step", read_command(WIDE).study.recipe.images_a_pass)
    words = ["budget.memory.most=30", "budget.memory.work=pass", "budget.memory.batch=3", "name=small"]
    engine = start(*WIDE, "search.designs=4", *words)
    (passes,) = {(one.work, one.batch_size) for one in engine.questions if isinstance(one, MemoryQuestion)}
    assert passes == ("pass", 3)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["budget.latency=5"], "budget.latency=5: must be a mapping; say budget.latency.most=5"),
        (["budget.latency.most=0"], "budget.latency.most=0"),
        (
            ["budget.latency.most=1", "budget.latency.runtime=onnx", "budget.latency.precision=bfloat16"],
            "budget.latency.precision=bfloat16: runtime=onnx computes in float32; say precision=float32",
        ),
        (
            ["budget.memory.most=1", "budget.memory.batch=2"],
            "budget.memory.batch=2: work=step takes the recipe's images; say work=pass, or leave it out",
        ),
        (
            ["budget.latency.most=1", "search=uniform"],
            "budget.latency: is measured when a design is chosen, and sampler uniform draws all before; allowed with",
        ),
    ],
)
def test_a_limit_that_cannot_be_held_is_refused(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *(word for word in WIDE if not word.startswith("search.baseline")), *words]) == 2
    assert why in " ".join(capsys.readouterr().err.split())


def test_budgets_in_short_and_in_python_say_the_same() -> None:
    tiny = [word for word in TINY if not word.startswith("budget")]
    short = read_command([*tiny, "budget=latency:2.5,memory:60"]).study.budget
    words = Budget(latency=2.5, memory={"most": 60}).words()
    assert read_command([*tiny, *words]).study.budget == short
    assert short.bound_words("pass_ms") == "at most 2.5 milliseconds of a forward pass of 1 image"
    assert short.bound_words("peak_mib") == "at most 60 MiB of peak memory in training"


def test_a_search_that_finds_too_few_says_how_many_were_only_predicted(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Timing(answered)
    monkeypatch.setattr(coordinator, "open_engine", lambda *_: engine)
    words = [*WIDE, "search.designs=60", "search.baseline=0", "budget.latency.most=12"]
    with pytest.raises(InputError, match=r"but \d+ that were predicted to be outside, and \d+ have at most 12 milli"):
        carry_out(read_command(words).study, Console(file=StringIO()))
