"""Measures that extensions add: limits before training, objectives, columns; measured once, every fault one line."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.design.cost import cost
from explorer.design.name import parse_name
from explorer.design.template import Task
from explorer.host.errors import InputError
from explorer.record import folder as study
from explorer.record.records import load
from explorer.report.page_figures import Views
from explorer.search import coordinator, display, readings
from explorer.search.measuring import Measurer
from explorer.study.job import Answer, EpochDone, Event, HostReport, Job, Measured, MeasureQuestion, Question, RunDone
from explorer.study.plan import Plan, plan_of
from explorer.study.run import EpochResult, Outcome
from explorer.training.readings import measured
from explorer.verbs.command_line import read_command
from explorer.verbs.extend import extend
from explorer.verbs.tabulate import read_table
from tests.conftest import TINY, only_line
from tests.report.reading import plain
from tests.search.test_coordinator import Engine
from tests.study.test_planning import EXECUTION

EXTENSION = """
import math
import explorer as ex

def halves(architecture, task):
    return architecture.cardinality / 2

def weights(network, task, device):
    return {weights}

MEASURES = {{
    "halves": ex.Measure({halves}, words="halves of C"),
    "weights": ex.Measure(weights, words="thousands of weights", title="weights (k)", measured=True),
}}
"""
WEIGHTS = "sum(one.numel() for one in network.parameters()) / 1000"
SEARCH = [
    *(word for word in TINY if not word.startswith(("budget", "study.contrast"))),
    "study.contrast=null",
    "budget=none",
    "space.depth=[11]",
    "space.width=[16,32]",
    "space.cardinality={low: 1, high: 8}",
    "space.bottleneck_width=[2,4]",
    "search=tpe",
    "search.designs=8",
    "search.seeds=1",
    "search.baseline=0.25",
    "engine.workers=1",
    "storage=none",
]
FOLDER = Path("studies/tiny")
TASK = Task(1, 8, 10)


def written(folder: Path, *, halves: str = "halves", weights: str = WEIGHTS) -> str:
    """The key that names an extension with two measures, one of which is measured."""
    (folder / "mine.py").write_text(EXTENSION.format(halves=halves, weights=weights))
    return f"extensions={folder / 'mine.py'}"


@dataclass
class Measuring(Engine):
    """An engine whose workers measure the parameters, in thousands, and remember of which designs they were asked."""

    asked: list[str] = field(default_factory=list)
    most: int = 1000  # questions, after which the command dies

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:
        if not isinstance(question, MeasureQuestion):
            return super().ask(question, workers)
        assert not self._waiting, "something else runs"
        if len(self.asked) >= self.most:
            raise KeyboardInterrupt
        values = [cost(one, question.task).params / 1000 for one in question.architectures]
        self.asked += [str(one) for one in question.architectures]
        return [Measured(tuple((0.9 * value, value, 1.1 * value) for value in values))]


def answered(job: Job) -> list[Event]:
    """A run whose error follows from its design."""
    run = job.run
    error = 0.1 + run.architecture.cardinalities[0] / 100
    epochs = [EpochDone(run.id, EpochResult(one, 0.1, 0.5, error, error, 1.0)) for one in (1, 2)]
    return [*epochs, RunDone(run.id, Outcome("ok", 2, error, error, None, 0.5, 1.0, 50.0))]


@pytest.fixture
def start(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Measuring]:
    """Start a study whose workers are those, and which dies after so many questions."""

    def started(words: list[str], most: int = 1000) -> Measuring:
        engine = Measuring(answered, most=most)
        monkeypatch.setattr(coordinator, "open_engine", lambda *_: engine)
        assert main(words) == (0 if most == 1000 else 130)
        return engine

    return started


def weights_of(name: str) -> float:
    return cost(parse_name(name), TASK).params / 1000


# ---------------------------------------------------------------- limits and objectives


def test_a_measured_limit_keeps_designs_from_being_trained_and_is_measured_once(
    start: Callable[..., Measuring], workplace: Path
) -> None:
    words = [*SEARCH, written(workplace), "budget=weights:16"]
    parts = [start(words, 1), start(words, 9), start(words, 6), start(words)]
    asked = [design for part in parts for design in part.asked]
    assert len(asked) == len(set(asked)), "a design was measured twice"
    record = load(FOLDER)
    assert len(record.runs) == 8
    assert all(weights_of(name) <= 16 for name in record.chosen())
    outside = record.readings.keys() - {*record.chosen()}
    assert outside
    assert all(weights_of(name) > 16 for name in outside)
    undisturbed = start([*words, "name=whole"])
    whole = load(Path("studies/whole"))
    assert len(undisturbed.asked) == len(asked)
    assert whole.chosen() == record.chosen()
    assert {name: one[0].median for name, one in record.readings.items()} == {
        name: pytest.approx(weights_of(name)) for name in record.readings
    }
    page = plain((workplace / "reports" / "tiny.html").read_text())
    assert '<th data-name="weights">Weights (k)' in page
    assert f"{len(outside)} designs were measured and left out" in page
    assert "at most 16 thousands of weights" in page


@pytest.mark.real
def test_a_measured_objective_is_made_small_and_shown(
    start: Callable[..., Measuring], workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start([*SEARCH, written(workplace), "search=nsga2", "search.objectives=[error,weights]", "search.designs=6"])
    assert "on the front of validation error against thousands of weights" in " ".join(capsys.readouterr().out.split())
    found = open_study(FOLDER)
    front = found.finding.front
    assert front is not None
    assert front.cost == "weights"
    assert list(front.costs) == [pytest.approx(weights_of(name)) for name in front.settings]
    assert "weights" in found.record.runs
    assert main([f"extensions={workplace / 'mine.py'}", "tabulate", "tiny"]) == 0
    table = read_table(Path("tables/tiny"))
    assert table.record.readings == found.record.readings
    assert table.record.runs["weights"].tolist() == found.record.runs["weights"].tolist()
    assert table.finding.front is not None
    assert table.finding.front.settings == front.settings
    figures = Views(found).figures
    assert figures["front"].title == "Validation error (%) against thousands of weights of all designs"
    assert main([f"extensions={workplace / 'mine.py'}", "move", "tiny", "storage=sqlite"]) == 0
    assert main([f"extensions={workplace / 'mine.py'}", "doctor", "tiny"]) == 0
    assert main([f"extensions={workplace / 'mine.py'}", "table", "tiny", "format=[csv,md]"]) == 0
    assert "| Weights (k) |" in (workplace / "tables" / "tiny-settings.md").read_text()
    assert ",weights," in (workplace / "tables" / "tiny-settings.csv").read_text()


def test_a_measure_that_follows_from_the_design_decides_which_there_are(workplace: Path) -> None:
    extend(written(workplace).partition("=")[2])

    def planned(*words: str) -> Plan:
        return plan_of(read_command([*SEARCH, "search.baseline=0", *words]).study)

    every, some = planned(), planned("budget=halves:1.5")
    sizes = [len(one.draws.candidates(one.scope)) for one in (every, some)]
    assert sizes == [32, 12]
    drawn = planned("budget=halves:1.5", "search=uniform", "search.designs=12").settings
    assert {one.architecture.cardinality for one in drawn} == {1, 2, 3}
    listed = planned("budget=halves:1.5", "search=listed", "search.designs=null").settings
    assert {one.name for one in listed} == {one.name for one in drawn}
    with pytest.raises(InputError, match=r"search.designs=13: 12 designs of .* have at most 1.5 halves of C; say"):
        planned("budget=halves:1.5", "search.designs=13")
    with pytest.raises(InputError, match=r"space: 11-8x2d-w16 has 4 halves of C; allowed: at most 1.5"):
        planned("budget=halves:1.5", "search=listed", "search.designs=null", "space.cardinality=[1,8]")
    with pytest.raises(InputError, match=r"budget.limits.weights: is measured when a design is chosen, and sampler"):
        planned("budget=weights:16", "search=uniform")
    both = planned("budget=params:16k,halves:1.5", "budget.params.tolerance=0.9", "search.designs=3").scope
    assert both.budget is not None
    assert both.budget.limits[0].target == 16000


def test_a_listed_design_outside_a_measured_limit_is_refused_before_the_study_begins(
    start: Callable[..., Measuring],
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = written(workplace / "..")
    words = [*TINY, key, "storage=none", "budget.limits.weights.most=1"]
    engine = Measuring(answered)
    monkeypatch.setattr(coordinator, "open_engine", lambda *_: engine)
    assert main(words) == 2
    assert re.search(
        r"space: 11-\dx\dd-w16 has [\d.]+ thousands of weights; allowed: at most 1", capsys.readouterr().err
    )
    assert not (FOLDER / study.CONFIG).exists()
    assert not FOLDER.exists()


def test_a_search_that_finds_nothing_within_a_limit_says_so(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Measuring(answered)
    monkeypatch.setattr(coordinator, "open_engine", lambda *_: engine)
    monkeypatch.setattr(readings, "MOST_REFUSED", 5)
    assert main([*SEARCH, written(workplace), "budget=weights:1"]) == 2
    said = capsys.readouterr().err
    assert "budget.limits.weights: allowed: at most 1; the last 5 designs that were measured are all outside" in said
    assert len(engine.asked) == 5


def test_a_search_that_has_measured_everything_says_how_many_designs_there_are(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Measuring(answered)
    monkeypatch.setattr(coordinator, "open_engine", lambda *_: engine)
    few = ["space.cardinality=[1,2,4,8]", "search.baseline=0", "budget=weights:10"]
    assert main([*SEARCH, written(workplace), *few]) == 2
    said = capsys.readouterr().err
    within = len(load(FOLDER).runs)
    assert f"every design of the space was measured, and {within} have at most 10 thousands of weights" in said
    assert 0 < within < 8
    assert len(engine.asked) == 16


def test_a_person_sees_how_far_measuring_is(
    start: Callable[..., Measuring],
    workplace: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readings, "AT_ONCE", 3)
    monkeypatch.setattr(display, "LINES_APART", 0.0)
    few = [
        "search=listed",
        "search.designs=null",
        "search.baseline=0",
        "space.cardinality=[1,2,4,8]",
        "space.width=[16]",
    ]
    engine = start([*SEARCH, *few, written(workplace), "budget.limits.weights.most=1000", "recipe.epochs=1"])
    assert len(engine.asked) == 8
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("Measuring")] == [
        f"Measuring thousands of weights: {done} of 8" for done in (0, 3, 6)
    ]
    start([*SEARCH, written(workplace), "budget=weights:16", "name=searched", "search.designs=4"])
    said = capsys.readouterr().out
    assert "Measuring thousands of weights: 0\n" in said
    assert re.search(r"thousands of weights, the last (design is|\d designs are) outside the limits: \d+\n", said)


def test_on_a_terminal_it_is_a_bar_alone_and_within_the_display_of_runs() -> None:
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    with display.Counter(console).shown() as count:
        assert count.bar is not None
        assert not count.bar.tasks[0].visible  # nothing is shown where nothing is measured
        count("Measuring modules", 3, 40)
        count.bar.refresh()
        assert re.search(r"Measuring modules .*3 of 40", screen.getvalue())
    shown = display.Display(console, 8, 0, 1.0, 2)
    with shown, shown.counter.shown(draws=False):
        shown.counter("Measuring modules, the last 7 designs are outside the limits", 12)
        console.print(shown._render())
        assert "the last 7 designs are outside the limits" in screen.getvalue()
    assert shown.counter.bar is None


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("gives", "why"),
    [
        ("math.nan", "gives nan for 11-2x4d-w16; allowed: a finite number of at least 0"),
        ("-1", "gives -1 for 11-2x4d-w16; allowed: a finite number of at least 0"),
        ("'many'", "gives 'many' for"),
        ("None", "gives None for"),
        ("__import__('torch').zeros(2)", "gives 2 numbers for 11-2x4d-w16; allowed: one of at least 0"),
        ("__import__('numpy').zeros(3)", "gives 3 numbers for"),
        ("True", "gives True for"),
        ("1 / 0", "mine.py line {line}: ZeroDivisionError: division by zero; at 11-2x4d-w16"),
        ("exit('x')", "mine.py line {line}: SystemExit: x; at 11-2x4d-w16"),
    ],
)
def test_a_measure_that_gives_no_number_is_named_in_one_line(gives: str, why: str, tmp_path: Path) -> None:
    key = written(tmp_path, halves=f"lambda architecture, task: {gives}", weights=gives)
    extend(key.partition("=")[2])
    with pytest.raises(InputError, match=f"^measure weights: {re.escape(why.format(line=9))}"):
        measured("weights", (parse_name("11-2x4d-w16"),), TASK, device="cpu", precision="float32", turns=1)
    own = [
        "search=listed",
        "search.baseline=0",
        "space.cardinality=[2]",
        "space.bottleneck_width=[4]",
        "space.width=[16]",
    ]
    config = read_command([*SEARCH, "search.designs=null", *own, "budget.limits.halves.most=3"]).study
    with pytest.raises(InputError, match=f"^measure halves: {re.escape(why.format(line=12))}"):
        plan_of(config)


def test_a_number_of_numpy_or_torch_is_a_number_and_turns_give_quartiles(tmp_path: Path) -> None:
    extend(written(tmp_path, weights="__import__('torch').tensor(2.5)").partition("=")[2])
    two = (parse_name("11-2x4d-w16"), parse_name("11-1x4d-w16"))
    found = measured("weights", two, TASK, device="cpu", precision="float32", turns=3)
    assert found == ((2.5, 2.5, 2.5),) * 2


@pytest.mark.parametrize(
    ("adds", "why"),
    [
        ("{'mine': halves}", "MEASURES: mine: is a function; allowed: explorer.Measure(...)"),
        ("{'params': ex.Measure(halves, words='x')}", "MEASURES: params: is a measure already; allowed: another name"),
        ("{'seconds': ex.Measure(halves, words='x')}", "MEASURES: seconds: is a column of the record; choose another"),
        ("{'mine': ex.Measure(7, words='x')}", "ValueError: function has to be a function that gives a number"),
        ("{'mine': ex.Measure(halves, words='')}", "ValueError: words has to be text of at most 60 characters"),
    ],
)
def test_what_is_no_measure_is_refused_when_it_is_loaded(adds: str, why: str, tmp_path: Path) -> None:
    written(tmp_path)
    path = tmp_path / "mine.py"
    path.write_text(path.read_text().replace("MEASURES = ", f"MEASURES = {adds}\nunused = "))
    with pytest.raises(InputError, match=re.escape(why)):
        extend(path)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (
            ["budget.limits.foo.most=3"],
            "limits.foo=...: allowed: those that extensions=FILE.py adds as measures",
        ),
        (
            ["search.objectives=[error,foo]"],
            "search.objectives=foo: allowed: error, params, macs, activations, ",
        ),
        (["budget=foo:3"], "budget=foo:3"),
    ],
)
def test_a_measure_that_nothing_adds_is_refused(
    words: list[str], why: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TINY, *words]) == 2
    assert why in only_line(capsys, workplace)


def test_a_design_that_is_drawn_again_is_not_counted_again_as_measured(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*SEARCH, written(workplace), "budget=weights:1"]
    config = read_command(command).study
    plan = plan_of(config)
    engine = Measuring(answered)
    monkeypatch.setattr(readings, "MOST_REFUSED", 3)
    report = HostReport("cpu", "some processor", "hash", {"torch": "2"}, images=(80, 40, 100))
    found = readings.Readings(Measurer(config, report, cast(Any, engine)), EXECUTION, FOLDER, {})
    monkeypatch.setattr(found, "write", lambda: None)
    pool = plan.draws.candidates(plan.scope)
    one = plan.scope.setting(pool.architecture(0))
    assert not any(found.holds(one) for _ in range(9))
