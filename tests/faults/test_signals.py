"""Asked once a study saves and leaves, asked twice it leaves at once; either way it goes on to the same record."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from explorer.host.signals import LONGEST_GOODBYE
from explorer.record.folder import study_folder
from tests.conftest import PATIENCE, TINY
from tests.faults import hooks
from tests.faults.level import LEVEL
from tests.faults.processes import children, is_running
from tests.faults.record import Rows, differences, record_of
from tests.test_layers import ROOT

pytestmark = pytest.mark.real

STUDY = [*TINY, "recipe.epochs=12", "storage=none", "engine.save_every=1000"]
PHASES = ["start", "training", "evaluation", "saving", "recording", "report"]
SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Both signals at each of them, or one after the other.
ONCE = [
    (phase, asking)
    for number, phase in enumerate(PHASES)
    for asking in (SIGNALS if LEVEL == "full" else (SIGNALS[number % 2],))
]
COMMAND = [sys.executable, "-m", "tests.faults.signalled"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    """The record of a study that nobody disturbs."""
    place = tmp_path_factory.mktemp("undisturbed")
    done = subprocess.run([*COMMAND, "none", *STUDY], cwd=place, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return record_of(place / study_folder("tiny"))


def start(phase: str) -> "subprocess.Popen[str]":
    """A command that has come to a phase. Only where that is saving does it save of itself."""
    process = subprocess.Popen(
        [*COMMAND, phase, *STUDY, *(["engine.save_every=0"] if phase == "saving" else [])],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not hooks.HERE.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def descendants(pid: int) -> set[int]:
    """Every process that somebody's process has started, however indirectly."""
    found, new = set(), {pid}
    while new:
        found |= new
        new = {child for parent in new for child in children(parent)} - found
    return found


def all_gone(pids: set[int]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while any(map(is_running, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def finish(expected: dict[str, Rows]) -> str:
    """Start the command again and compare; gives what it says."""
    done = subprocess.run([*COMMAND, "none", *STUDY], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert differences(record_of(study_folder("tiny")), expected) == ""
    return done.stdout


@pytest.mark.parametrize(("phase", "asking"), ONCE)
def test_asked_once_a_study_saves_leaves_and_goes_on(
    workplace: Path, expected: dict[str, Rows], phase: str, asking: signal.Signals
) -> None:
    process = start(phase)
    family, began = descendants(process.pid), time.monotonic()
    process.send_signal(asking)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + asking
    again = r"Everything done so far is kept; continue with: (\S+ -m )?explorer study=equal_params"
    assert re.search(again, errors)
    assert time.monotonic() - began < PATIENCE
    assert all_gone(family)
    output = finish(expected)
    if phase in ("training", "evaluation", "saving"):
        assert "goes on after " in output


@pytest.mark.parametrize("phase", PHASES if LEVEL == "full" else PHASES[::2])
def test_asked_twice_it_leaves_at_once_and_goes_on_all_the_same(
    workplace: Path, expected: dict[str, Rows], phase: str
) -> None:
    process = start(phase)
    family = descendants(process.pid)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=LONGEST_GOODBYE)  # what those who work for it would have to save
    assert process.returncode in (130, 143)
    assert all_gone(family)
    process.communicate()
    finish(expected)
