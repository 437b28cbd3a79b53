"""A disk that gets full while a study runs, on a small file system of its own: nothing is lost, one line says so."""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.record import folder as study
from explorer.record import records, table
from explorer.record.rows import CorrectRecord, EpochRecord, RunRecord
from explorer.report import drawing
from explorer.report.drawing import draw
from explorer.search import coordinator
from explorer.search.mirror import mirrored, own_mirror
from explorer.search.trials import open_trials
from explorer.study.job import Answer, Counted, Event, Job, Question, RunDone
from explorer.study.plan import plan_of
from explorer.study.run import Outcome
from explorer.study.settings import StudyConfig
from explorer.training.checkpoint import Checkpointing
from explorer.training.loop import train
from explorer.verbs.live import _draw_stale
from tests.conftest import PATIENCE, TINY
from tests.search.test_coordinator import Engine, epochs
from tests.training.test_checkpoint import run_with
from tests.verbs.test_study import environment, wait_for_rows

pytestmark = [
    pytest.mark.real,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

PAGE = 4096  # bytes, in which the file system gives out its room
FOLDER = Path("studies/tiny")
KINDS = {study.RUNS: RunRecord, study.EPOCHS: EpochRecord, study.CORRECT: CorrectRecord}
TIMES = ["seconds", "images_per_second", "finished"]
# Rows large enough that each of the three tables needs new room for every run.
RIGHT = np.packbits(np.ones(30_000, bool)).tobytes()
OK = Outcome("ok", 90, 0.1, 0.2, 0.3, 0.5, 1.0, 50.0, RIGHT, 30_000, message="word " * 800)


@dataclass(frozen=True)
class Disk:
    """A small file system, and a file that fills it."""

    folder: Path

    @property
    def filler(self) -> Path:
        return self.folder / "filler"

    def fill(self, free_pages: int = 0) -> None:
        """Leave room for so many pages."""
        self.filler.unlink(missing_ok=True)
        there = os.statvfs(self.folder)
        with self.filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, there.f_bavail - free_pages) * there.f_bsize)

    def make_room(self) -> None:
        self.filler.unlink()


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """A disk of 8 MB, which is the current folder."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        reason = f"no file system can be mounted here: {mounted.stderr.strip()}"
        assert "EXPLORER_REQUIRE_REAL" not in os.environ, reason
        pytest.skip(reason)
    try:
        with monkeypatch.context() as patch:
            patch.chdir(folder)
            yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Start the tiny study, of ninety epochs, with an engine that answers at once and calls `before` before each job.

    A verdict and a page of so many images take seconds, so that they are left out but where they matter.
    """

    def start(*overrides: str, before: Callable[[int], None] = lambda number: None, draws: bool = False) -> int:
        monkeypatch.setattr(drawing, "draw", draw if draws else lambda *_: None)

        def answer(job: Job) -> list[Event]:
            before(len(engine.jobs))
            return [Counted(job.run.id, 1), *epochs(job, *range(1, 91)), RunDone(job.run.id, outcome)]

        engine = Engine(answer)
        monkeypatch.setattr(coordinator, "open_engine", lambda *_: engine)
        judged = [] if draws else ["study.contrast=null"]
        outcome = replace(OK, correct=RIGHT[:13], test_images=100) if draws else OK
        code = main([*TINY, "recipe.epochs=90", "storage=none", *judged, *overrides])
        assert engine.closed or not engine.jobs
        return code

    return start


def results() -> dict[str, Any]:
    """The record without times, in an order of its own."""
    record = records.load(FOLDER)
    assert isinstance(record.runs, pd.DataFrame)
    correct = {run: bits.tobytes() for run, bits in records.load_correct(FOLDER).items()}
    return {
        "runs": record.runs.drop(columns=TIMES).sort_values("run").to_csv(index=False),
        "epochs": record.epochs.sort_values(["run", "epoch"]).to_csv(index=False),
        "correct": correct,
        **{name: (FOLDER / name).read_text() for name in (study.CONFIG, study.EXECUTION)},
    }


def is_alive(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def assert_whole() -> None:
    """Every table that is there reads whole, and nothing half-written lies about."""
    for name, kind in KINDS.items():
        if (path := FOLDER / name).exists():
            assert path.read_bytes().endswith(b"\n")
            table.read(path, kind)
    assert list(Path().rglob("*.partial")) == []


def test_a_record_that_cannot_be_written_stops_the_study_with_one_line_and_goes_on_later(
    disk: Disk, start: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert start() == 0
    undisturbed, told = results(), set()
    for free in range(8):  # with more, all runs find room
        subprocess.run(["rm", "-r", "studies", "reports"], check=True)
        capsys.readouterr()
        assert start(before=lambda number, free=free: disk.fill(free) if number == 2 else None) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert f": {os.strerror(errno.ENOSPC)}; the study stops here, and what was recorded before is whole" in line
        told.add(line.split()[1].strip(":"))
        assert_whole()
        assert len(records.load(FOLDER).runs) >= 1
        disk.make_room()
        assert start() == 0
        assert results() == undisturbed
    assert told == {str(FOLDER / name) for name in KINDS}


def test_a_disk_that_gets_full_ends_real_workers_and_changes_no_result(disk: Disk, tmp_path: Path) -> None:
    # Two rows' worth of epochs fill the 4 KiB that a table's last page has; enough rows are left when it gets full.
    command = [sys.executable, "-m", "explorer", *TINY, "recipe.epochs=40", "search.seeds=6"]
    (tmp_path / "undisturbed").mkdir()
    subprocess.run(command, cwd=tmp_path / "undisturbed", env=environment(), check=True, capture_output=True)
    with subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        wait_for_rows(Path(), 1)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        disk.fill()
        assert process.stderr is not None
        lines = process.stderr.read().decode().splitlines()
    assert process.returncode == 1
    assert "No space left on device; the study stops here" in lines[-1]
    assert len(children) >= 2
    deadline = time.monotonic() + PATIENCE
    while any(map(is_alive, children)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert_whole()
    disk.make_room()
    assert len(records.load(FOLDER).runs) < 12
    subprocess.run(command, env=environment(), check=True, capture_output=True)
    found = results()
    os.chdir(tmp_path / "undisturbed")
    expected = results()
    os.chdir(disk.folder)
    # Seconds stand in every row of an epoch too.
    assert found["correct"] == expected["correct"]
    assert found["runs"] == expected["runs"]


def test_settings_that_cannot_be_written_stop_the_study_before_its_first_run(
    disk: Disk, start: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert start() == 0
    undisturbed, ask, told = results(), Engine.ask, set()
    for free in range(5):
        subprocess.run(["rm", "-r", "studies", "reports"], check=True)
        capsys.readouterr()

        def full(self: Engine, question: Question, workers: int = 1, free: int = free) -> list[Answer]:
            if not disk.filler.exists():
                disk.fill(free)
            return ask(self, question, workers)

        monkeypatch.setattr(Engine, "ask", full)
        assert start() == 1
        (line,) = capsys.readouterr().err.splitlines()
        told.add(line.split()[1].strip(":"))
        monkeypatch.setattr(Engine, "ask", ask)
        assert_whole()
        disk.make_room()
        assert start() == 0
        assert results() == undisturbed
    assert {str(FOLDER / name) for name in (study.CONFIG, study.EXECUTION, study.ENVIRONMENT)} <= told


def test_a_disk_that_is_full_from_the_start_is_told_and_harms_nothing(
    disk: Disk, start: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    disk.fill()
    assert start() in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert os.strerror(errno.ENOSPC) in line
    assert_whole()
    disk.make_room()
    assert start() == 0


def test_a_page_that_cannot_be_written_comes_after_the_verdict_and_leaves_the_old_one(
    disk: Disk, start: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert start("search.seeds=1", draws=True) == 0
    pages = {page: page.read_bytes() for page in study.REPORTS.iterdir()}
    capsys.readouterr()
    assert start(before=lambda number: disk.fill(100), draws=True) == 1
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert "reports/tiny.html: No space left on device; make room and draw the page with explorer report tiny" in line
    assert "Inconclusive" in captured.out
    assert len(records.load(FOLDER).runs) == 4
    assert {page: page.read_bytes() for page in study.REPORTS.iterdir()} == pages
    assert main([*TINY, "recipe.epochs=90", "storage=none", "do=report"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "reports/tiny.html: No space left on device" in line
    disk.make_room()
    assert start("do=report", draws=True) == 0
    assert (study.REPORTS / "tiny.html").read_bytes() != pages[study.REPORTS / "tiny.html"]


def test_neither_the_live_page_nor_the_mirror_harm_a_study_on_a_full_disk(
    disk: Disk, start: Callable[..., int], tiny: StudyConfig, caplog: pytest.LogCaptureFixture
) -> None:
    assert start() == 0
    page = draw(open_study(FOLDER))
    old = page.read_bytes()
    (FOLDER / study.RUNS).touch()
    disk.fill()
    _draw_stale(FOLDER)
    with mirrored(open_trials("tiny", plan_of(tiny).settings, seeds=2), own_mirror(FOLDER)):
        pass
    assert page.read_bytes() == old
    assert_whole()
    assert "full" in caplog.text


def test_a_run_without_room_for_checkpoints_and_weights_ends_with_its_result_and_says_so(
    disk: Disk, tiny: StudyConfig
) -> None:
    run = run_with(tiny)
    expected = train(run, lambda result: None)
    lines: list[str] = []
    weights = disk.folder / "weights.safetensors"
    disk.fill()
    found = train(
        run,
        lambda result: None,
        weights=weights,
        keeping=Checkpointing(disk.folder / "checkpoints", lines.append, every=0.0),
    )
    assert (found.status, found.test_error, found.correct) == ("ok", expected.test_error, expected.correct)
    assert lines[0].startswith("its checkpoint after ")
    assert found.message in lines
    assert found.message.startswith("its weights cannot be kept (")
    assert os.strerror(errno.ENOSPC) in found.message
    assert not weights.exists()
    assert list(disk.folder.rglob("*.partial")) == []


@pytest.mark.parametrize("rows", [1, 5, 50])
def test_rows_that_find_no_room_leave_a_table_as_it_was_to_the_byte(disk: Disk, rows: int) -> None:
    path, row = disk.folder / study.CORRECT, CorrectRecord("abc", 8, "x" * 1000)
    table.create(path, CorrectRecord)
    table.append(path, [row] * rows)
    before = path.read_bytes()
    disk.fill()
    with pytest.raises(OSError, match="No space left on device") as caught:
        table.append(path, [row, replace(row, bits="y" * 2 * PAGE)])
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    disk.make_room()
    table.append(path, [row])
    assert len(table.read(path, CorrectRecord)) == rows + 1


def test_a_write_that_fails_names_the_file_whatever_the_reason() -> None:
    path = Path("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        table.append(path, [CorrectRecord("abc", 8, "gA==")])
    assert (caught.value.filename, caught.value.errno) == ("/dev/full", errno.ENOSPC)
