"""Killed exactly between two of its steps, or in the middle of a write, the coordinator goes on to the same record."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.conftest import Measured
from tests.faults.level import LEVEL, SEED
from tests.faults.points import CASES
from tests.test_layers import ROOT

pytestmark = pytest.mark.real

EVERY = {"full": 1, "tenth": 10, "none": 20}[LEVEL]  # one point in so many is tried
LONGEST = 900.0  # seconds


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
@pytest.mark.parametrize("case", ["listed", "search"] if LEVEL == "none" else CASES)
def test_a_coordinator_killed_between_any_two_steps_goes_on_as_if_nothing_had_happened(
    case: str, tmp_path: Path, measured: Measured
) -> None:
    words = [sys.executable, "-m", "tests.faults.points", case, str(tmp_path / case), str(EVERY), str(SEED % EVERY)]
    process = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        told = process.communicate(timeout=LONGEST)[0].decode()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, told
    found = json.loads(told.splitlines()[-1])
    measured("points, and of these tried", (found["points"], found["tried"]))
