"""What clusters do to studies: nodes vanish, jobs are preempted or cancelled, coordinators are killed."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from explorer.record.folder import CONFIG, RUNS
from tests.conftest import PATIENCE
from tests.engine.test_cluster_input import HEAD
from tests.engine.test_engines import arguments
from tests.faults.level import LEVEL
from tests.faults.processes import LONGEST, MARK, Command, command, free_port, kill
from tests.faults.record import Rows, differences, record_of
from tests.test_layers import ROOT

pytestmark = pytest.mark.real

FOLDER = Path("studies/tiny")
# Long enough to be disturbed in the middle, and saved often.
LONG = ["search.seeds=1", "recipe.epochs=300", "storage=none", "engine.save_every=0.5"]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> dict[str, Rows]:
    """The record of a study that nobody disturbs, but for the settings of the engine."""
    place = tmp_path_factory.mktemp("undisturbed")
    with command(place, arguments("local", *LONG)) as one:
        assert one.ended() == 0, one.told()
    return recorded(place)


def recorded(place: Path) -> dict[str, Rows]:
    found = record_of(place / FOLDER, "start")  # another engine is another start
    del found[CONFIG]
    return found


def until(running: Command, words: str, longest: float = LONGEST) -> str:
    """Wait until a command has said something."""
    deadline = time.monotonic() + longest
    while not re.search(words, said := running.output.read_text()):
        assert running.process.poll() is None, said
        assert time.monotonic() < deadline, said
        time.sleep(0.05)
    return said


def until_trained(running: Command, place: Path, runs: int = 2) -> None:
    """Wait until so many runs are on their way and have been saved."""
    deadline = time.monotonic() + LONGEST
    while len({path.parent for path in (place / FOLDER / "local" / "checkpoints").glob("*/*.safetensors")}) < runs:
        assert running.process.poll() is None, running.told()
        assert time.monotonic() < deadline, running.told()
        time.sleep(0.05)


def ended(running: Command, place: Path, expected: dict[str, Rows]) -> str:
    """Wait for the end and compare; gives what was said."""
    assert running.ended() == 0, running.told()
    found = differences(recorded(place), expected)
    assert not found, found
    return running.output.read_text()


def jobs_of(running: Command) -> list[int]:
    """Processes in which submitit's jobs do their work."""
    found = []
    for pid in running.descendants():
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"submitit.core._submit" in words:
            found.append(pid)
    return found


# In a process of its own: loaded in that of the tests, Ray would keep to its settings of now in all later ones.
NODES = """
import sys
from ray.cluster_utils import Cluster
made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
nodes = [made.add_node(num_cpus=1) for _ in range(2)]
print(made.address, flush=True)
for _ in sys.stdin:
    made.remove_node(nodes.pop(), allow_graceful=False)
    print("removed", flush=True)
made.shutdown()
"""


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], object]]:
    """A Ray cluster of two nodes with one CPU each on this machine, and a head with none; gives what removes a node."""
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    words, pipe = [sys.executable, "-c", NODES], subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as made:
        assert made.stdin is not None
        assert made.stdout is not None
        asked, said = made.stdin, made.stdout

        def until_said(pattern: str) -> str:
            found = next((line for line in said if re.fullmatch(pattern, line.strip())), "")
            assert found, "the cluster is gone"
            return found.strip()

        def remove() -> None:
            asked.write("remove\n")
            asked.flush()
            until_said("removed")

        try:
            monkeypatch.setenv("RAY_ADDRESS", until_said(r"[\d.]+:\d+"))
            yield remove
            asked.close()
            made.wait(60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(made.pid, signal.SIGKILL)


# Machines that are processes of this one, started and ended by Ray's own autoscaler as it would machines of a cloud.
SCALING: dict[str, Any] = {
    "cluster_name": "scaling",
    "max_workers": 2,
    "provider": {
        "type": "fake_multinode",
        "use_node_id_as_ip": True,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
    },
    "available_node_types": {
        "head": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "small": {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": 2},
    },
    "head_node_type": "head",
    "upscaling_speed": 1.0,
    "idle_timeout_minutes": 1,
    "docker": {},
    "auth": {},
    "head_node": {},
    "worker_nodes": {},
    "file_mounts": {},
    "cluster_synced_files": [],
    "file_mounts_sync_continuously": False,
    "rsync_exclude": [],
    "rsync_filter": [],
    "initialization_commands": [],
    "setup_commands": [],
    "head_setup_commands": [],
    "worker_setup_commands": [],
    "head_start_ray_commands": [],
    "worker_start_ray_commands": [],
}


@pytest.fixture
def scaling(tmp_path: Path) -> Iterator[str]:
    """A cluster that begins with a head alone, which trains nothing, and takes up to two machines where wanted."""
    mark, port = uuid.uuid4().hex, free_port()
    # Not in this process: loaded here, Ray would keep to its settings of now in all later tests.
    asking = [sys.executable, "-c", "import ray.util; print(ray.util.get_node_ip_address())"]
    address = subprocess.run(asking, capture_output=True, text=True, check=True).stdout.strip()
    provider = {**SCALING["provider"], "gcs_address": f"{address}:{port}"}
    (tmp_path / "scaling.json").write_text(json.dumps(SCALING | {"provider": provider}))
    own = {"AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_FAKE_CLUSTER": "1", MARK: mark, "PYTHONPATH": str(ROOT)}
    start = [
        sys.executable,
        "-m",
        "ray.scripts.scripts",
        "start",
        "--head",
        "--num-cpus=0",
        f"--port={port}",
    ]
    options = [f"--autoscaling-config={tmp_path / 'scaling.json'}", "--include-dashboard=false"]
    try:  # a start that fails leaves processes too
        done = subprocess.run([*start, *options], env=os.environ | own, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        yield f"{address}:{port}"
    finally:
        for pid in Command(None, mark, tmp_path).descendants():  # type: ignore[arg-type]
            kill(pid)


def test_a_cluster_that_scales_itself_takes_machines_for_a_study(
    scaling: str, tmp_path: Path, expected: dict[str, Rows]
) -> None:
    asked = arguments("ray", f"engine.address='{scaling}'", "engine.patience=120", *LONG)
    with command(tmp_path, asked) as running:
        said = ended(running, tmp_path, expected)
    assert "1 at once on " in said


def test_a_ray_node_that_vanishes_costs_no_more_than_the_time_since_the_last_checkpoint(
    cluster: Callable[[], object], tmp_path: Path, expected: dict[str, Rows]
) -> None:
    with command(tmp_path, arguments("ray", "engine.address=auto", *LONG)) as running:
        until_trained(running, tmp_path)
        cluster()
        said = ended(running, tmp_path, expected)
    assert "its node is gone; another one goes on" in said
    assert "goes on after " in said
    assert "2 at once on " in said


def test_a_coordinator_of_ray_that_is_killed_leaves_no_task_and_goes_on(
    cluster: Callable[[], object], tmp_path: Path, expected: dict[str, Rows]
) -> None:
    asked = arguments("ray", "engine.address=auto", *LONG)
    with command(tmp_path, asked) as running:
        until_trained(running, tmp_path)
        running.process.kill()
        running.process.wait()
        trained = set((tmp_path / FOLDER / "local" / "checkpoints").glob("*/*.safetensors"))
    with command(tmp_path, asked) as again:
        said = ended(again, tmp_path, expected)
    assert trained
    assert "goes on after " in said


def test_a_head_that_is_gone_ends_the_study_with_one_line_and_the_record_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, Rows]
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a-token-of-at-least-thirty-two-letters")  # that of this head
    words = [sys.executable, "-c", HEAD]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as head:
        try:
            assert head.stdout is not None
            address = head.stdout.readline().strip()
            asked = arguments("ray", f"engine.address='{address}'", "engine.workers=1", *LONG)
            with command(tmp_path, asked) as running:
                until_trained(running, tmp_path, runs=1)
                head.kill()
                for pid in heads(address):
                    kill(pid)
                assert running.process.wait(120) == 1
                assert f"explorer: engine=ray: the head of the cluster, {address}, is gone" in running.told()
                assert "Traceback" not in running.told()
        finally:
            os.killpg(head.pid, signal.SIGKILL)
    with command(tmp_path, arguments("local", *LONG)) as again:
        assert "goes on after " in ended(again, tmp_path, expected)


def heads(address: str) -> list[int]:
    """Processes of the head at an address: Ray gives each a session of its own."""
    port = address.rpartition(":")[2].encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes()
            if port in line and (b"gcs_server" in line or b"raylet/raylet" in line):
                found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize(
    ("name", "asking"),
    [("ray", signal.SIGTERM), ("slurm", signal.SIGINT), *([("ray", signal.SIGINT)] if LEVEL == "full" else [])],
)
def test_asked_to_leave_all_save_where_they_are_and_go_on(
    name: str, asking: signal.Signals, tmp_path: Path, expected: dict[str, Rows]
) -> None:
    asked = arguments(name, *LONG)
    with command(tmp_path, asked) as running:
        until_trained(running, tmp_path)
        running.process.send_signal(asking)
        began = time.monotonic()
        assert running.ended() == 128 + asking, running.told()
        assert "Everything done so far is kept; continue with: " in running.told()
        assert time.monotonic() - began < PATIENCE
        assert running.gone_after(PATIENCE) < PATIENCE
        assert len((tmp_path / FOLDER / RUNS).read_text().splitlines()) < 3
        assert list((tmp_path / FOLDER / "local" / "checkpoints").glob("*/*.safetensors"))
        assert not list((tmp_path / FOLDER / "local" / "slurm").glob("*"))
    with command(tmp_path, asked) as again:
        said = ended(again, tmp_path, expected)
    assert "goes on after " in said


def test_a_slurm_job_that_is_preempted_saves_is_requeued_and_its_run_goes_on(
    tmp_path: Path, expected: dict[str, Rows]
) -> None:
    with command(tmp_path, arguments("slurm", *LONG)) as running:
        until_trained(running, tmp_path)
        first = jobs_of(running)
        os.kill(first[0], signal.SIGUSR2)  # what submitit has Slurm send before a time limit and at a preemption
        said = until(running, "the cluster ended its job, which is queued again; another one goes on")
        deadline = time.monotonic() + 60
        while first[0] in jobs_of(running) or len(jobs_of(running)) < len(first):
            assert time.monotonic() < deadline, running.told()
            assert running.process.poll() is None, running.told()
            time.sleep(0.1)
        said = ended(running, tmp_path, expected)
    assert "goes on after " in said


def test_a_slurm_job_that_vanishes_is_replaced_and_its_run_goes_on(tmp_path: Path, expected: dict[str, Rows]) -> None:
    with command(tmp_path, arguments("slurm", *LONG)) as running:
        until_trained(running, tmp_path)
        for pid in jobs_of(running)[:1]:
            kill(pid)
        said = ended(running, tmp_path, expected)
    assert re.search(r"its process ended with Slurm job \d+; another one goes on", said)
    assert "goes on after " in said


def test_jobs_of_a_coordinator_that_was_killed_save_and_leave(tmp_path: Path, expected: dict[str, Rows]) -> None:
    asked = arguments("slurm", *LONG, "engine.silence=10")
    with command(tmp_path, asked) as running:
        until_trained(running, tmp_path)
        assert jobs_of(running)
        running.process.kill()
        running.process.wait()
        assert running.gone_after(60) < 60
    with command(tmp_path, asked) as again:
        said = ended(again, tmp_path, expected)
        assert not list((tmp_path / FOLDER / "local" / "slurm").glob("*"))
    assert "goes on after " in said


def test_the_next_start_ends_the_jobs_of_one_that_was_killed(tmp_path: Path, expected: dict[str, Rows]) -> None:
    asked = arguments("slurm", *LONG)
    with command(tmp_path, asked) as running:
        until_trained(running, tmp_path)
        left = jobs_of(running)
        running.process.kill()
        running.process.wait()
        with command(tmp_path, asked) as again:
            ended(again, tmp_path, expected)
        assert left
        assert not set(left) & set(jobs_of(running))


def test_machines_that_see_no_common_folder_send_checkpoints_images_and_weights(
    cluster: Callable[[], object], tmp_path: Path
) -> None:
    """Nodes that see none of this cannot be had on one machine, so they are told that they do not."""
    from tests.training.test_image_sources import CLASSES, pictures, write_folder

    write_folder(tmp_path / "images", pictures(160))
    data = [
        *("data=folder", "data.path=images", "data.image_size=8", "data.channels=3", f"data.classes={len(CLASSES)}"),
        *("data.train_images=80", "data.val_images=40", "data.test_images=40", "storage.weights=last"),
    ]
    script = (
        "import sys\nfrom explorer.engine import ray_engine\nfrom dataclasses import replace\n"
        "look = ray_engine.look\n"
        "def blind(*given):\n"
        "    return replace(look(*given), sees=False, has_data=False)\n"
        "ray_engine.look = blind\n"
        "from explorer.__main__ import main\n"
        "if __name__ == '__main__':\n    sys.exit(main(sys.argv[1:]))\n"
    )
    (tmp_path / "blind.py").write_text(script)
    sent = [*arguments("ray", "engine.address=auto", *data), "recipe.epochs=60", "engine.save_every=0.5"]
    plain = [*arguments("local", *data), "recipe.epochs=60"]
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "images").symlink_to(tmp_path / "images")
    commands = {tmp_path: ["blind.py", *sent], tmp_path / "plain": ["-m", "explorer", *plain]}
    for place, words in commands.items():
        done = subprocess.run([sys.executable, *words], cwd=place, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert len(list((place / FOLDER / "local" / "weights").glob("*.safetensors"))) == 4
    assert not differences(recorded(tmp_path), recorded(tmp_path / "plain"))
