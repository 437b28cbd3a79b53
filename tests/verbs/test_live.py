"""A study's page is kept up to date by a process beside it, which can harm nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from explorer.__main__ import main
from explorer.analysis.judging import OpenedStudy, open_study
from explorer.host.errors import StudyStoppedError
from explorer.record import folder as study
from explorer.record import records
from explorer.record.rows import record_of
from explorer.record.starts import begin
from explorer.report.drawing import draw
from explorer.search import coordinator
from explorer.study.job import Event, HostReport, Job
from explorer.study.plan import plan_of
from explorer.study.run import EpochResult, Execution, Outcome
from explorer.study.runs import runs_of
from explorer.study.settings import StudyConfig
from explorer.verbs import live
from explorer.verbs.live import LOG, REST, Live, keep_drawn
from tests.conftest import PATIENCE, TINY
from tests.faults.processes import is_running
from tests.report.reading import plain
from tests.search.test_coordinator import OK, Engine, finishing

pytestmark = pytest.mark.real

FOLDER, PAGE, INDEX = Path("studies/tiny"), Path("reports/tiny.html"), Path("reports/index.html")
PLAN = Execution("cpu", "some processor", "grouped", "channels_last", "float32", 1, 20)


@pytest.fixture
def begun(workplace: Path, tiny: StudyConfig) -> StudyConfig:
    """A study that has started and has no run yet."""
    (FOLDER / "local").mkdir(parents=True)
    records.open_for_writing(FOLDER, filters=True)
    begin(FOLDER, None, tiny, PLAN, HostReport("cpu", "some processor", "hash", {"torch": "2"}, images=(80, 40, 100)))
    return tiny


def commit(config: StudyConfig, *numbers: int) -> None:
    """Write down runs of the study, by their number."""
    runs = runs_of(plan_of(config), plan_of(config).settings, PLAN, "hash")
    for number in numbers:
        setting, run = runs[number]
        outcome = Outcome("ok", 1, 0.1, 0.2, 0.3, 0.5, 1.0, 50.0, bytes(13), 100)
        record = record_of(config, setting, run, outcome, fvcore_macs=1, finished=study.now(), start=0)
        records.commit(FOLDER, record, [EpochResult(1, 0.1, 1.0, 0.5, 0.5, 0.1)], outcome)


def wait(happens: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Whether something happens soon."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if happens():
            return True
        time.sleep(0.02)
    return False


def shows(words: str) -> bool:
    return PAGE.exists() and words in plain(PAGE.read_text())


def test_the_page_follows_the_record_until_the_end_of_the_study(begun: StudyConfig) -> None:
    with Live(FOLDER, period=0.1, rest=0):
        assert wait(lambda: shows("0 of 4 runs"))
        commit(begun, 0)
        assert wait(lambda: shows("1 of 4 runs"))
        assert wait(lambda: "1 of 4" in INDEX.read_text())
    commit(begun, 1)
    assert not wait(lambda: shows("2 of 4 runs"), seconds=1.0)
    assert study.is_stale(PAGE, FOLDER)
    assert not list(Path("reports").glob(".*"))


def test_a_page_is_not_drawn_again_before_its_time(begun: StudyConfig) -> None:
    with Live(FOLDER, period=1.5, rest=0):
        assert wait(lambda: shows("0 of 4 runs"))
        first = time.monotonic()
        commit(begun, 0)
        assert wait(lambda: shows("1 of 4 runs"))
        assert time.monotonic() - first > 1.4


def test_a_long_drawing_is_followed_by_a_rest_many_times_as_long(
    begun: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    class Pipe:
        def poll(self, timeout: float) -> bool:
            waits.append(timeout)
            if len(waits) > 2:
                raise EOFError
            return False

    monkeypatch.setattr("explorer.verbs.live._draw_stale", lambda *_: 3.0)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("os.nice", lambda _: None)
    keep_drawn(Pipe(), FOLDER, 10.0, REST)  # type: ignore[arg-type]
    assert waits == pytest.approx([10.0, 60.0, 60.0], abs=1.0)


def test_nothing_is_drawn_while_times_are_measured(begun: StudyConfig) -> None:
    live = Live(FOLDER, period=0.1, rest=0)
    with live:
        assert wait(lambda: shows("0 of 4 runs"))
        with live.still():
            commit(begun, 0)
            assert not wait(lambda: shows("1 of 4 runs"), seconds=1.0)
        assert wait(lambda: shows("1 of 4 runs"))


def test_a_drawing_that_fails_leaves_one_line_and_the_next_one_succeeds(
    begun: StudyConfig, capfd: pytest.CaptureFixture[str]
) -> None:
    hidden = FOLDER / "hidden"
    (FOLDER / study.ENVIRONMENT).rename(hidden)
    commit(begun, 0)
    with Live(FOLDER, period=0.1, rest=0):
        log = FOLDER / "local" / LOG
        assert wait(lambda: log.exists() and "environment.json missing" in log.read_text())
        assert len(log.read_text().splitlines()) == 1
        assert not PAGE.exists()
        hidden.rename(FOLDER / study.ENVIRONMENT)
        assert wait(lambda: shows("1 of 4 runs"))
    assert capfd.readouterr() == ("", "")


def test_a_half_written_row_is_not_there_yet(begun: StudyConfig) -> None:
    commit(begun, 0)
    commit(begun, 1)
    whole = {name: (FOLDER / name).read_bytes() for name in study.TABLES}
    for name in study.TABLES:
        (FOLDER / name).write_bytes(whole[name][:-9])
        if name != study.RUNS:  # whose row comes last
            (FOLDER / study.RUNS).write_bytes(whole[study.RUNS][:-9])
        draw(open_study(FOLDER))
        assert shows("1 of 4 runs"), name
        for other in study.TABLES:
            (FOLDER / other).write_bytes(whole[other])
    draw(open_study(FOLDER))
    assert shows("2 of 4 runs")


def test_a_row_that_comes_while_a_page_is_drawn_makes_it_stale(
    begun: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from explorer.report import page

    whole = page.render_page

    def render(shown: OpenedStudy, *given: Any, **more: Any) -> str:
        commit(begun, 0)
        return whole(shown, *given, **more)

    monkeypatch.setattr(page, "render_page", render)
    draw(open_study(FOLDER))
    assert study.is_stale(PAGE, FOLDER)
    monkeypatch.setattr(page, "render_page", whole)
    draw(open_study(FOLDER))
    assert not study.is_stale(PAGE, FOLDER)


def test_the_process_ends_where_the_study_stops(begun: StudyConfig) -> None:
    pids: list[int] = []

    def stop() -> None:
        with Live(FOLDER, period=60) as live:
            assert live._process is not None
            assert live._process.pid is not None
            pids.append(live._process.pid)
            raise StudyStoppedError("as after a failed check")

    with pytest.raises(StudyStoppedError):
        stop()
    assert not is_running(pids[0])


def test_a_process_that_has_died_is_not_waited_for(begun: StudyConfig) -> None:
    with Live(FOLDER, period=60) as live:
        assert live._process is not None
        live._process.kill()
        with live.still():
            pass
        assert live._process is None


def interrupted(live: Live, *numbers: int, config: StudyConfig) -> float:
    """A study that is interrupted as soon as it has recorded these runs; the seconds that leaving took."""
    with pytest.raises(KeyboardInterrupt), live:  # noqa: PT012 - as the loop over runs ends
        commit(config, *numbers)
        asked = time.monotonic()
        raise KeyboardInterrupt
    return time.monotonic() - asked


def test_after_an_interruption_the_page_shows_all_that_was_recorded(
    begun: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LAST_DRAWING", PATIENCE)  # a busy machine draws it later than a person would wait
    assert interrupted(Live(FOLDER, period=60), 0, 1, config=begun) < PATIENCE
    assert shows("2 of 4 runs")
    assert not study.is_stale(PAGE, FOLDER)


def test_an_interrupted_study_does_not_wait_long_for_a_page(
    begun: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    PAGE.parent.mkdir()
    monkeypatch.setattr(live, "LAST_DRAWING", 0.5)
    monkeypatch.setattr(live, "_work", stuck)
    assert interrupted(Live(FOLDER, period=0.1), 0, config=begun) < PATIENCE


def stuck(pipe: Connection, folder: Path, period: float, rest: float, images: bool | Literal["auto"]) -> None:
    """The process, when a drawing takes minutes."""

    def draw_for_long(folder: Path, images: bool | Literal["auto"] = "auto") -> float:
        PAGE.touch()
        time.sleep(600)
        return 600.0

    live._draw_stale = draw_for_long
    live._work(pipe, folder, period, rest, images)


@pytest.mark.parametrize("is_stuck", [False, True])
def test_the_process_ends_with_a_killed_coordinator(begun: StudyConfig, is_stuck: bool) -> None:
    PAGE.parent.mkdir()
    code = (
        "import time\nfrom pathlib import Path\nfrom explorer.verbs import live\nfrom explorer.verbs.live import Live\n"
        f"{'from tests.verbs.test_live import stuck; live._work = stuck' if is_stuck else ''}\n"
        f"live = Live(Path({str(FOLDER)!r}), period=0.1, rest=0)\n"
        "with live:\n    print(live._process.pid, flush=True)\n    time.sleep(600)\n"
    )
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=path) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert wait(PAGE.exists)
        assert is_running(child)
        parent.send_signal(signal.SIGKILL)
        assert wait(lambda: not is_running(child))


@pytest.fixture
def start(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Start the tiny study with an engine that answers at once, and a page that follows at once."""

    def start(answer: Callable[[Job], list[Event]], *overrides: str) -> int:
        monkeypatch.setattr(coordinator, "open_engine", lambda *_: Engine(answer))
        monkeypatch.setattr("explorer.verbs.run.Live", partial(Live, period=0.1, rest=0))
        return main([*TINY, "storage=none", *overrides])

    return start


def test_a_study_is_followed_by_its_page_and_ends_with_its_last_one(start: Callable[..., int]) -> None:
    followed: list[bool] = []

    def answered(job: Job) -> list[Event]:
        followed.append(wait(lambda: shows(f"{len(followed)} of 4 runs")))
        return finishing(OK)(job)

    assert start(answered, "report.live=true") == 0
    assert followed == [True] * 4
    assert shows("4 of 4 runs")
    assert "4 of 4" in INDEX.read_text()


def test_a_study_begun_before_pages_were_live_goes_on_either_way(start: Callable[..., int]) -> None:
    assert start(finishing(OK), "search.seeds=1") == 0
    settings = FOLDER / study.CONFIG
    tree = yaml.safe_load(settings.read_text())
    assert tree.pop("report") == {"live": False}
    settings.write_text(yaml.safe_dump(tree))
    assert start(finishing(OK), "search.seeds=2", "report.live=true") == 0
    assert start(finishing(OK), "search.seeds=3", "report.live=false") == 0
    assert shows("6 of 6 runs")
