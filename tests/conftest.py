"""Shared fixtures: a place of its own for every test, and a study small enough to train in a second."""

import os
import random
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

# Tests run side by side, one per core: torch's own threads would only stand in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest
from _pytest.mark import ParameterSet

from explorer.analysis.judging import OpenedStudy
from explorer.design.cost import cost
from explorer.host import extensions
from explorer.record.folder import REPORTS
from explorer.study.settings import StudyConfig
from explorer.verbs.calibrate import Calibration
from explorer.verbs.command_line import read_command

# A busy machine is no failure.
hypothesis.settings.register_profile("explorer", deadline=None)
hypothesis.settings.load_profile("explorer")

# Seconds after which something counts as hung, on however busy a machine. What must be fast is counted, not timed.
PATIENCE = 120.0

# Two settings of an 11-layer network on 80 digits: enough to exercise every part, far too small to learn much.
TINY = [
    "study=equal_params",
    "name=tiny",
    "device=cpu",
    "space.depth=11",
    "space.width=16",
    "space.cardinality=[1,2]",
    "budget.reference=1x4d",
    "budget.params.tolerance=0.2",
    "study.contrast.setting=2x3d",
    "study.contrast.against=1x4d",
    "data.train_images=80",
    "data.val_images=40",
    "data.test_images=100",
    "recipe.epochs=2",
    "recipe.batch_size=20",
    "search.seeds=2",
    "engine.workers=2",
    "engine.threads=1",
    "engine.precision=float32",
    "engine.forms=native",
    "report.live=false",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run files, and the tests of each, in another order")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if (seed := config.getoption("--shuffle")) is not None:
        chance, files = random.Random(seed), dict[Path, list[pytest.Item]]()
        for item in items:
            files.setdefault(item.path, []).append(item)
        items[:] = [item for path in chance.sample(list(files), len(files)) for item in _shuffled(files[path], chance)]


def _shuffled(items: list[pytest.Item], chance: random.Random) -> list[pytest.Item]:
    return chance.sample(items, len(items))


def pytest_runtest_setup(item: pytest.Item) -> None:
    asked_for = "EXPLORER_REQUIRE_REAL" in os.environ or "EXPLORER_FAULTS" in os.environ or item.config.option.markexpr
    if item.get_closest_marker("real") and not asked_for:
        pytest.skip("real components and long proofs: EXPLORER_REQUIRE_REAL=1 make test")


@pytest.fixture(autouse=True)
def calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans predict times from a calibration that takes no time."""
    speeds = ((1e6, 1000.0, 1000.0), (1e9, 1.0, 1.0))
    monkeypatch.setattr("explorer.verbs.plan.calibration", lambda *_: Calibration("2026-01-01", speeds))


@pytest.fixture(autouse=True)
def unextended() -> Iterator[None]:
    """No extension outlives the test that loaded it, and no cost of what it added."""
    yield
    if extensions.loaded():
        extensions.forget()
        cost.cache_clear()


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output as on a wide terminal, whatever the tests run in."""
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """One thread of torch, whatever the test before has set: two for tiny networks beside other tests take 20 times as
    long, since threads that wait for one another keep their cores busy.
    """
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache that is nobody's own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def broadly(cases: Iterable[Any], fast: int = 1) -> list[Any]:
    """Cases of a test, of which all but the first few are left to the long proofs."""
    whole = [case if isinstance(case, ParameterSet) else pytest.param(*_values(case)) for case in cases]
    return [
        case if place < fast else pytest.param(*case.values, marks=[*case.marks, pytest.mark.real], id=case.id)
        for place, case in enumerate(whole)
    ]


def _values(case: Any) -> tuple[Any, ...]:
    return case if isinstance(case, tuple) else (case,)


def only_line(capsys: pytest.CaptureFixture[str], folder: Path) -> str:
    """The line of a refusal, which is all that was printed, while nothing was written in the folder."""
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert printed.out == ""
    assert list(folder.iterdir()) == []
    return line


def undrawn(patch: pytest.MonkeyPatch) -> None:
    """Pages take seconds to draw: an empty one will do."""

    def touch(study: OpenedStudy, importance: object = None, pictures: object = None) -> None:
        REPORTS.mkdir(exist_ok=True)
        (REPORTS / f"{study.folder.name}.html").touch()

    patch.setattr("explorer.report.drawing.draw", touch)


@pytest.fixture
def tiny() -> StudyConfig:
    """The tiny study's settings."""
    return read_command(TINY).study
