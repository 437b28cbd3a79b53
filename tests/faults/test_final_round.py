"""Whatever ends a command between a search and its answer, the next one ends with the record of an undisturbed one."""

import random
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from explorer.__main__ import main
from explorer.record import folder as study
from explorer.record.folder import CHECKS, RUNS
from tests.conftest import PATIENCE
from tests.faults.level import LEVEL, SEED, times
from tests.faults.processes import Command, command, kill
from tests.faults.record import Rows, differences, record_of
from tests.photographs import photographs
from tests.verbs.test_best import SMALL

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")

# A checkpoint after every step, so that what is ended has something to go on from.
STUDY = [*SMALL, "search.final_seeds=2", "engine.save_every=0", "engine.retries=1000"]
FOLDER, PAGE = Path("studies/best"), study.REPORTS / "best.html"
FINAL = FOLDER / CHECKS / "final-4"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A place with a study that nobody disturbed, its final round included."""
    place = tmp_path_factory.mktemp("whole")
    photographs(place / "photos", 20, largest=90)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert main(STUDY) == 0
    return place


def everything(place: Path) -> dict[str, Rows]:
    """The record of the search and of its final round, and which weights were kept."""
    search, final = record_of(place / FOLDER), record_of(place / FINAL)
    kept: Rows = sorted((path.name,) for path in (place / FINAL / "local" / "weights").iterdir())
    return {**search, **{f"final {name}": rows for name, rows in final.items()}, "weights": kept}


def before_the_final_round(whole: Path, place: Path) -> Path:
    """A place as a command leaves it that was ended right after the last run of its search."""
    shutil.copytree(whole, place, dirs_exist_ok=True)
    shutil.rmtree(place / FOLDER / CHECKS)
    (place / PAGE).unlink()
    return place


def recorded(place: Path) -> int:
    """How many runs of the final round are recorded."""
    path = place / FINAL / RUNS
    return len(path.read_text().splitlines()) - 1 if path.exists() else 0


def has_checkpoint(place: Path) -> bool:
    return any((place / FINAL / "local" / "checkpoints").glob("*/*.safetensors"))


def ends_alike(place: Path, whole: Path, told: str) -> None:
    """The study's name alone goes on to the record of an undisturbed study, and to its page."""
    with command(place, ["best"]) as last:
        assert last.ended() == 0, f"{told}: {last.told()}"
    found = differences(everything(place), everything(whole))
    assert not found, f"{told}: {found}"
    if study.is_stale(place / PAGE, place / FOLDER):  # ended between the last row and the page
        assert re.search("draw it with: .*explorer report best", last.told()), f"{told}: {last.told()}"


@pytest.mark.real
def test_whatever_ends_a_final_round_the_name_alone_goes_on(whole: Path, tmp_path: Path) -> None:
    """One after the other: a worker is killed, then the command; the next one is interrupted, the last one ends."""
    place = before_the_final_round(whole, tmp_path)
    with command(place, ["best"]) as running:
        running.until(lambda: has_checkpoint(place), PATIENCE)
        (worker, *_) = running.workers()
        kill(worker)
        running.until(lambda: recorded(place) == 1, PATIENCE)
        running.process.kill()
        running.process.wait()
        running.gone_after(PATIENCE)
    assert "another one goes on" in running.told()
    done = recorded(place)
    with command(place, ["best"]) as running:
        running.until(lambda: recorded(place) > done, PATIENCE)
        running.process.send_signal(signal.SIGINT)
        code = running.ended()
    assert (code, "Interrupted. Everything done so far is kept" in running.told()) == (130, True), running.told()
    assert recorded(place) < recorded(whole)
    ends_alike(place, whole, "killed and interrupted")


@pytest.mark.real
def test_a_study_that_ended_before_its_page_says_how_to_draw_it(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    (tmp_path / PAGE).unlink()
    monkeypatch.chdir(tmp_path)
    assert main(["best"]) == 0
    said = capsys.readouterr().out
    assert "explorer report best" in said
    assert "Final round: " not in said
    assert not differences(everything(tmp_path), everything(whole))


@pytest.mark.faults
@pytest.mark.parametrize("number", range(4 if LEVEL == "full" else 1))
@pytest.mark.parametrize("how", ["kill", "interrupt", "terminate", "workers"])
def test_ended_at_any_moment_from_the_search_to_the_answer(how: str, number: int, whole: Path, tmp_path: Path) -> None:
    """Half of the moments fall anywhere in the study, half of them after its search."""
    rng = random.Random(f"final round {how} {SEED} {number}")
    for start in range(max(2, times(20))):
        place, moments = tmp_path / str(start), list[float]()
        if start % 2:
            place.mkdir()
            before_the_final_round(whole, place)
        else:
            shutil.copytree(whole / "photos", place / "photos")
        words = ["best"] if start % 2 else STUDY
        for _ in range(3):
            moments.append(rng.uniform(1.0, 12.0 if start % 2 else 25.0))
            with command(place, words) as running:
                _end(running, how, moments[-1])
            begun = (place / FOLDER / study.CONFIG).exists()
            words = ["best"] if begun else STUDY
        told = f"EXPLORER_FAULTS_SEED={SEED}, {how} {number}, study {start}, after {moments} s"
        if not begun:
            with command(place, STUDY) as running:
                assert running.ended() == 0, f"{told}: {running.told()}"
        ends_alike(place, whole, told)


def _end(running: Command, how: str, moment: float) -> None:
    """End a command or its workers so many seconds from now, unless it ends before; then nothing of it is left."""
    deadline = time.monotonic() + moment
    while time.monotonic() < deadline and running.process.poll() is None:
        time.sleep(0.01)
    if how == "workers":
        for worker in running.workers():
            kill(worker)
        assert running.ended() == 0, running.told()
    elif running.process.poll() is None:
        running.process.send_signal({"kill": signal.SIGKILL, "interrupt": signal.SIGINT}.get(how, signal.SIGTERM))
        code = running.ended()
        assert code in {"kill": (-9, 0), "interrupt": (130, 0)}.get(how, (143, 0)), running.told()
    running.gone_after(PATIENCE)
