"""The same with a real Slurm cluster, where there is one: EXPLORER_SLURM=1 and a partition of no GPUs.

EXPLORER_SLURM_URGENT may name a second partition whose jobs preempt those of the first.
"""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import PATIENCE
from tests.engine.test_engines import arguments
from tests.faults.processes import Command, command
from tests.faults.record import Rows
from tests.faults.test_clusters import LONG, ended, expected, until_trained

pytestmark = pytest.mark.skipif(
    "EXPLORER_SLURM" not in os.environ, reason="needs a Slurm cluster: EXPLORER_SLURM=1 on a node that submits jobs"
)
__all__ = ["expected"]  # the fixture
SLURM = [*arguments("slurm"), "engine.executor=slurm", "engine.minutes=10", *LONG]


def slurm(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def jobs(state: str = "RUNNING") -> list[str]:
    lines = slurm("squeue", "-h", "-r", "-t", state, "-o", "%i %j").splitlines()
    return [line.split()[0] for line in lines if line.split()[1].startswith("explorer-")]


def until_running(running: Command, count: int) -> list[str]:
    deadline = time.monotonic() + 120
    while len(found := jobs()) < count:
        assert time.monotonic() < deadline, running.told()
        time.sleep(0.2)
    return found


def test_a_real_cluster_makes_the_same_record(tmp_path: Path, expected: dict[str, Rows]) -> None:
    with command(tmp_path, SLURM) as running:
        ended(running, tmp_path, expected)
    assert not jobs()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["scancel"], "the cluster ended its job; another one goes on"),
        (["scontrol", "requeue"], "another one goes on"),
        # What Slurm sends before a time limit, by hand: the shortest limit is a minute, its grid half of one.
        (["scancel", "--signal=USR2"], "the cluster ended its job, which is queued again; another one goes on"),
    ],
    ids=["cancelled", "requeued", "at its time limit"],
)
def test_a_job_that_the_cluster_ends_is_replaced_and_its_run_goes_on(
    tmp_path: Path, expected: dict[str, Rows], words: list[str], told: str
) -> None:
    with command(tmp_path, SLURM) as running:
        until_trained(running, tmp_path)
        slurm(*words, until_running(running, 2)[0])
        said = ended(running, tmp_path, expected)
    assert told in said
    assert "goes on after " in said


@pytest.mark.skipif("EXPLORER_SLURM_URGENT" not in os.environ, reason="needs a partition that preempts")
def test_jobs_that_are_preempted_by_others_go_on_after_these(tmp_path: Path, expected: dict[str, Rows]) -> None:
    with command(tmp_path, SLURM) as running:
        until_trained(running, tmp_path)
        urgent = os.environ["EXPLORER_SLURM_URGENT"]
        slurm("sbatch", f"--partition={urgent}", "--ntasks=2", "--output=/dev/null", "--wrap=sleep 15")
        said = ended(running, tmp_path, expected)
    assert "another one goes on" in said


def test_asked_to_leave_no_job_is_left(tmp_path: Path) -> None:
    with command(tmp_path, SLURM) as running:
        until_trained(running, tmp_path)
        running.process.terminate()
        assert running.ended() == 143
    assert not jobs("PENDING,RUNNING")


def test_an_unknown_feature_and_a_gpu_that_is_not_there_are_refused(tmp_path: Path) -> None:
    for asked in ("engine.constraint=nosuchfeature", "engine.gpus=7"):
        began = time.monotonic()
        with command(tmp_path / asked, [*SLURM, asked]) as running:
            assert running.ended() == 2
            assert "explorer: engine=slurm: the cluster does not take the job (" in running.told()
        assert time.monotonic() - began < PATIENCE
    with command(tmp_path / "partition", [*SLURM, "engine.partition=nosuch"]) as running:
        assert running.ended() == 2
        assert "the cluster has none of that name; allowed: " in running.told()


def test_a_coordinator_that_was_killed_is_examined_and_continued_with_whatever_engine(
    tmp_path: Path, expected: dict[str, Rows]
) -> None:
    with command(tmp_path, SLURM) as running:
        until_trained(running, tmp_path)
        running.process.kill()
        running.process.wait()
        left = jobs("PENDING,RUNNING")
        assert left
        with command(tmp_path, ["do=doctor", "name=tiny"]) as doctor:
            assert doctor.ended() == 0, doctor.told()
            assert "is a link" not in doctor.told()
        with command(tmp_path, arguments("local", *LONG)) as again:
            assert "goes on after " in ended(again, tmp_path, expected)
        deadline = time.monotonic() + 60
        while set(left) & set(jobs("PENDING,RUNNING")):
            assert time.monotonic() < deadline
            time.sleep(0.5)


def test_a_job_that_no_node_can_hold_is_refused(tmp_path: Path) -> None:
    with command(tmp_path, [*SLURM, "engine.cores=512"]) as running:
        assert running.ended() == 2
        assert "which does not pass" in running.told() or "engine.cores" in running.told()
    assert not list((tmp_path / "studies").glob("*"))
