"""Thousands of runs in one command: memory and file handles stay flat, and no run takes longer than the first ones."""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from explorer.record.folder import RUNS
from tests.conftest import TINY
from tests.faults.conftest import Measured
from tests.faults.level import LEVEL, times
from tests.faults.processes import Command, command

SETTINGS = 2
RUNS_IN_ALL = times(2000)
# As little training as there can be: 40 images once, so that everything else has the larger share.
STUDY = [
    *TINY,
    "space.width=8",
    "budget.reference=1x2d",
    "budget.params.tolerance=0.9",
    "study.contrast=null",
    "data.train_images=40",
    "data.val_images=20",
    "data.test_images=20",
    "recipe.epochs=1",
    "recipe.batch_size=40",
    "engine.workers=1",
    f"search.seeds={RUNS_IN_ALL // SETTINGS}",
]
TABLE = Path("studies/tiny") / RUNS
WARM = 0.25  # of the runs, before which memory is still being settled
# KiB for each run: what the coordinator keeps of it on purpose, numbers for the time left and text for the dashboard,
# is about one. The mirror has all trials in hand while it writes. In a tenth of the runs less is settled.
MOST = {"none": 2.0, "sqlite": 8.0} if LEVEL == "full" else {"none": 20.0}
MOST_OF_WORKER = MOST["none"]
MIRRORED = 0.02  # seconds of the processor for each run, the synchronisation of the mirror included
SLOWER = 1.5  # times: processor time for each of the last third of the runs to each of the second third

pytestmark = [
    pytest.mark.faults,
    pytest.mark.quiet,
    pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="needs /proc"),
]


@dataclass(frozen=True)
class Sample:
    """How it stands after so many runs: of each process, memory in KiB, open files, seconds on the processor."""

    runs: int
    memory: dict[str, int]
    files: dict[str, int]
    seconds: dict[str, float]


def sampled(running: Command) -> list[Sample]:
    """Look again and again, from the first run to the last but one."""
    samples: list[Sample] = []
    path = running.output.parent / TABLE
    while running.process.poll() is None:
        time.sleep(0.1)
        runs = path.read_bytes().count(b"\n") - 1 if path.exists() else 0
        if 0 < runs < RUNS_IN_ALL and len(workers := running.workers()) == 1:
            pids = {"coordinator": running.process.pid, "worker": workers[0]}
            seconds = {name: on_processor(pid) for name, pid in pids.items()}
            files = {name: handles(pid) for name, pid in pids.items()}
            samples.append(Sample(runs, {name: memory(pid) for name, pid in pids.items()}, files, seconds))
    return samples


def handles(pid: int) -> int:
    """Open files, but for those of the database: a synchronisation may take as long as a third of the runs."""
    found = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            found += "optuna.db" not in str(link.readlink())
    return found


def memory(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def on_processor(pid: int) -> float:
    """Of all its threads."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def within(samples: list[Sample], low: float, high: float) -> list[Sample]:
    """Those of a part of the runs."""
    return [one for one in samples if low * RUNS_IN_ALL <= one.runs < high * RUNS_IN_ALL]


def seconds_per_run(samples: list[Sample], name: str) -> float:
    first, last = samples[0], samples[-1]
    return (last.seconds[name] - first.seconds[name]) / (last.runs - first.runs)


@pytest.mark.parametrize("storage", MOST)
def test_memory_files_and_time_per_run_stay_what_they_were(storage: str, tmp_path: Path, measured: Measured) -> None:
    with command(tmp_path, [*STUDY, f"storage={storage}"]) as running:
        samples = sampled(running)
        assert running.ended() == 0, running.told()
    began = time.monotonic()
    with command(tmp_path, [*STUDY, f"storage={storage}"]) as again:
        assert again.ended() == 0, again.told()
    measured("seconds to start again when all is done", round(time.monotonic() - began, 1))
    settled, second, last = within(samples, WARM, 1), within(samples, 1 / 3, 2 / 3), within(samples, 2 / 3, 1)
    runs = np.array([one.runs for one in settled])
    for name, most in (("coordinator", MOST[storage]), ("worker", MOST_OF_WORKER)):
        slope = float(np.polyfit(runs, [one.memory[name] for one in settled], 1)[0])
        measured(f"{name}: KiB more per run", round(slope, 2))
        before, after = (min(one.files[name] for one in part) for part in (second, last))
        measured(f"{name}: open files", (before, after))
        earlier, later = seconds_per_run(second, name), seconds_per_run(last, name)
        measured(f"{name}: milliseconds of the processor per run", (1000 * earlier, 1000 * later))
        assert slope < most, f"{name}: {slope:.2f} KiB more per run"
        assert after <= before, f"{name}: {before} open files after a third of the runs, {after} at the end"
        if name == "coordinator" and storage != "none":  # synchronisations come when they come
            mean = seconds_per_run(samples, name)
            assert mean < MIRRORED, f"{name}: {1000 * mean:.1f} ms per run"
        else:
            assert later < SLOWER * earlier, f"{name}: {1000 * earlier:.1f} ms per run became {1000 * later:.1f}"
