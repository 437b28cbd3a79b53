"""kill -9 at random moments, of workers and of the whole command: the record ends as that of an undisturbed study."""

import random
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from explorer.record import folder as study
from tests.conftest import PATIENCE, TINY
from tests.faults.conftest import Measured
from tests.faults.level import LEVEL, SEED
from tests.faults.processes import Command, command, kill
from tests.faults.record import Rows, differences, record_of

# Long enough for moments to fall into training, and a checkpoint after every step, so that many fall into saving.
STUDY = [*TINY, "recipe.epochs=10", "search.seeds=3", "engine.save_every=0", "engine.retries=1000"]
KILLS = 20 if LEVEL == "full" else 10  # of one test
FOLDER, PAGE = Path("studies/tiny"), study.REPORTS / "tiny.html"
REPEATS = range(10 if LEVEL == "full" else 1)

pytestmark = [pytest.mark.faults, pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")]


@dataclass
class Undisturbed:
    """What a study gives that nobody disturbs, and the seconds it takes."""

    record: dict[str, Rows]
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Undisturbed:
    place = tmp_path_factory.mktemp("undisturbed")
    with command(place / "warm", [*TINY, "recipe.epochs=1", "search.seeds=1"]) as first:
        assert first.ended() == 0, first.told()
    began = time.monotonic()
    with command(place, STUDY) as one:
        assert one.ended() == 0, one.told()
    seconds = time.monotonic() - began
    return Undisturbed(record_of(place / FOLDER), seconds)


def compare(place: Path, undisturbed: Undisturbed, told: str) -> None:
    """The record is that of the undisturbed study, and there is a page of it."""
    found = differences(record_of(place / FOLDER), undisturbed.record)
    assert not found, f"{told}: {found}"
    assert not study.is_stale(place / PAGE, place / FOLDER), told


def draw(place: Path, running: Command, told: str) -> None:
    """Draw the page if the last kill came between the record's last row and it: the verdict then says how."""
    if study.is_stale(place / PAGE, place / FOLDER):
        assert re.search("draw it with: .*explorer report tiny", running.told()), f"{told}: {running.told()}"
        with command(place, [*TINY, "do=report"]) as drawing:
            assert drawing.ended() == 0, f"{told}: {drawing.told()}"


@pytest.mark.parametrize("number", REPEATS)
def test_workers_killed_at_any_moment_change_nothing(number: int, undisturbed: Undisturbed, tmp_path: Path) -> None:
    rng = random.Random(f"workers {SEED} {number}")
    kills: list[float] = []
    for start in range(KILLS):
        begun, place = len(kills), tmp_path / str(start)
        with command(place, STUDY) as running:
            kill_workers(running, rng, undisturbed.seconds, kills)
            told = f"EXPLORER_FAULTS_SEED={SEED}, repeat {number}, study {start}: workers killed "
            told += f"{', '.join(f'{moment:.2f}' for moment in kills[begun:])} s after they were seen"
            assert running.ended() == 0, f"{told}: {running.told()}"
        compare(place, undisturbed, told)
        if len(kills) == KILLS:
            return
    raise AssertionError(f"only {len(kills)} workers could be killed")


def kill_workers(running: Command, rng: random.Random, longest: float, kills: list[float]) -> None:
    """Give every worker that appears a moment at which it is killed, until there were enough or the command ends."""
    due: dict[int, tuple[float, float]] = {}
    while running.process.poll() is None and len(kills) < KILLS:
        now = time.monotonic()
        for pid in running.workers():
            if pid not in due:
                moment = rng.uniform(0, longest)
                due[pid] = (now + moment, moment)
            elif now >= due[pid][0] and len(kills) < KILLS:
                kill(pid)
                kills.append(due[pid][1])
                due[pid] = (float("inf"), 0.0)
        time.sleep(0.01)


@pytest.mark.parametrize("number", REPEATS)
def test_commands_killed_at_any_moment_leave_nothing_and_go_on(
    number: int, undisturbed: Undisturbed, tmp_path: Path, measured: Measured
) -> None:
    rng = random.Random(f"commands {SEED} {number}")
    arguments = [*STUDY, "report.live=true"]
    ((text,),) = undisturbed.record[study.CONFIG]
    config: dict[str, Rows] = {study.CONFIG: [(text.replace("live: false", "live: true"),)]}
    undisturbed = replace(undisturbed, record=undisturbed.record | config)
    kills, longest, place = 0, 0.0, tmp_path / "0"
    moments: list[float] = []
    while kills < KILLS:
        moments.append(rng.uniform(0, undisturbed.seconds))
        told = f"EXPLORER_FAULTS_SEED={SEED}, repeat {number}, {place.name}: killed after "
        told += f"{', '.join(f'{moment:.2f}' for moment in moments)} s"
        with command(place, arguments) as running:
            if running.killed_at(moments[-1]):
                kills += 1
                longest = max(longest, running.gone_after(PATIENCE))
                continue
            assert running.process.returncode == 0, f"{told}: {running.told()}"
            draw(place, running, told)
        compare(place, undisturbed, told)
        place, moments = tmp_path / str(kills), []
    with command(place, arguments) as running:
        assert running.ended() == 0, f"{told}: {running.told()}"
        draw(place, running, told)
    compare(place, undisturbed, told)
    measured("seconds until nothing was left, at most", longest)
