"""What a person asks of a cluster and cannot have is one clear line, soon, and leaves nothing half begun."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest

from explorer.__main__ import main
from explorer.engine import ray_cluster
from explorer.engine import ray_engine as ray_tasks
from explorer.engine.ray_engine import RayEngine
from explorer.host.errors import StudyStoppedError
from explorer.record.folder import JOBS, STUDIES
from explorer.study.settings import StudyConfig
from tests.conftest import PATIENCE
from tests.engine.test_engines import arguments
from tests.test_layers import ROOT

Refused = Callable[..., str]


@pytest.fixture
def refused(workplace: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Start the tiny study, which is refused with one line; nothing of it is left."""

    def refused(*asked: str) -> str:
        began = time.monotonic()
        assert main(list(asked)) == 2
        assert time.monotonic() - began < PATIENCE
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1, said
        assert said.startswith("explorer: ")
        assert not list(STUDIES.glob("*")) or not STUDIES.exists()
        return said.strip()

    return refused


@pytest.mark.parametrize("engine", ["ray", "slurm"])
def test_a_library_that_is_missing_is_named(engine: str, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    library = {"ray": "ray", "slurm": "submitit"}[engine]
    monkeypatch.setitem(sys.modules, library, None)
    for name in [name for name in sys.modules if name.startswith(f"explorer.engine.{engine}")]:
        monkeypatch.delitem(sys.modules, name)  # loaded by an earlier test, with the library
    assert refused(*arguments(engine)) == (
        f"explorer: engine={engine}: needs the package {library}; pip install 'resnext-explorer[{engine}]'"
    )


@pytest.mark.parametrize("address", ["nowhere", "ray://host:10001", "host:port"])
def test_an_address_that_is_none_is_refused(refused: Refused, address: str) -> None:
    assert f"engine.address={address}: allowed are local, auto and HOST:PORT" in refused(
        *arguments("ray", f"engine.address='{address}'")
    )


def test_a_cluster_that_does_not_answer_is_told(refused: Refused) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    line = refused(*arguments("ray", f"engine.address='{address}'"))
    assert line == f"explorer: engine.address={address}: nothing answers there (Connection refused)"


@pytest.mark.real
def test_something_else_that_answers_is_no_cluster(refused: Refused) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        line = refused(*arguments("ray", f"engine.address='{address}'", "engine.patience=3"))
    assert line.startswith(f"explorer: engine.address={address}: cannot be used within 3 s")


@pytest.mark.real
def test_no_cluster_on_this_machine_is_told(refused: Refused, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Clusters of other tests may run here, so Ray is kept from looking for their processes.
    hidden = "import functools, ray._private.services as its\nits.find_gcs_addresses = functools.cache(set)\n"
    monkeypatch.setattr(ray_cluster, "TRY", f"{hidden}{ray_cluster.TRY}")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "nothing"))
    assert "no cluster runs on this machine and RAY_ADDRESS names none" in refused(
        *arguments("ray", "engine.address=auto")
    )


@pytest.mark.real
def test_a_gpu_that_a_cluster_of_this_machine_lacks_is_told(refused: Refused) -> None:
    line = refused(*arguments("ray"), "device=cuda")
    assert line.startswith("explorer: device=cuda: the cluster has 1 nodes with ")
    assert "no GPU; allowed: device=cpu" in line


HEAD = """
import os, sys, time
os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="a-token-of-at-least-thirty-two-letters")
import importlib.metadata
import ray
version = importlib.metadata.version
ray.__version__ = os.environ.get("OTHER_RAY", ray.__version__)
ray.init(address="local", num_cpus=1, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
print(ray.get_runtime_context().gcs_address, flush=True)
time.sleep(300)
"""


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Start a cluster with a token of its own; gives its address."""
    started: list[subprocess.Popen[str]] = []

    def start(**environment: str) -> str:
        command = [sys.executable, "-c", HEAD]
        own = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=own, start_new_session=True)
        started.append(process)
        assert process.stdout is not None
        return process.stdout.readline().strip()

    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a-token-of-at-least-thirty-two-letters")
    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)


OWN = """
import os
from pathlib import Path
from explorer.engine.ray_cluster import connected
from explorer.study.settings import EngineConfig
ray = connected(EngineConfig(name="ray", workers=1, threads=1, retries=0))
path = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
print(*(f"{one.stat().st_mode & 0o777:o}" for one in (path, path.parent)), path, path.read_text())
assert ray.get(ray.remote(int).remote(1)) == 1
ray.shutdown()
"""


@pytest.mark.real
def test_the_token_of_a_cluster_of_ones_own_is_new_and_read_by_its_user_alone(tmp_path: Path) -> None:
    own = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        own.pop(name, None)
    done = [subprocess.run([sys.executable, "-c", OWN], capture_output=True, text=True, env=own) for _ in range(2)]
    said = [one.stdout.split() for one in done]
    assert [words[:2] for words in said] == [["600", "700"]] * 2, done[0].stderr
    assert len({words[3] for words in said}) == 2
    assert not [words[2] for words in said if Path(words[2]).parent.exists()]
    assert not (tmp_path / ".ray" / "auth_token").exists()


def asked_elsewhere(place: Path, *overrides: str, **environment: str) -> str:
    """What a command of its own says where it is refused: Ray reads its token once in a process."""
    own = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-m", "explorer", *arguments("ray", *overrides)]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, cwd=place, env=own)
    assert time.monotonic() - began < PATIENCE
    assert done.returncode == 2, done.stdout + done.stderr
    assert not list((place / STUDIES).glob("*"))
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr.strip()


@pytest.mark.real
def test_a_head_that_goes_while_it_is_asked_for_its_nodes_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = closed.getsockname()
    asked, engine = Event(), object.__new__(RayEngine)

    def nodes() -> None:
        asked.set()
        Event().wait()

    engine._ray = SimpleNamespace(nodes=nodes)  # type: ignore[assignment]
    engine._head, engine._answered = address, time.monotonic()
    monkeypatch.setattr(ray_tasks, "HEADLESS", 0.3)
    monkeypatch.setattr(ray_tasks, "STALE", 0.1)
    with pytest.raises(StudyStoppedError, match=f"the head of the cluster, 127.0.0.1:{address[1]}, is gone"):
        engine._nodes()
    assert asked.is_set()


@pytest.mark.real
def test_a_wrong_token_is_told(head: Callable[..., str], tmp_path: Path) -> None:
    address = f"engine.address='{head()}'"
    line = asked_elsewhere(tmp_path, address, RAY_AUTH_TOKEN="another-token-of-at-least-thirty-two")
    assert "the cluster wants its token, which this machine does not show" in line
    assert "token-of" not in line


@pytest.mark.real
def test_another_version_of_ray_is_told(head: Callable[..., str], tmp_path: Path) -> None:
    line = asked_elsewhere(tmp_path, f"engine.address='{head(OTHER_RAY='2.1.0')}'")
    assert "the cluster runs another version of Ray or Python than this machine; install the same" in line


@pytest.mark.real
def test_a_node_with_another_library_is_told(head: Callable[..., str], tmp_path: Path) -> None:
    """As on a node where something else was installed: a package directory that comes first there."""
    other = tmp_path / "site" / "torch-2.0.0.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.0.0\n")
    address = head(PYTHONPATH=f"{tmp_path / 'site'}:{ROOT}")
    line = asked_elsewhere(tmp_path, f"engine.address='{address}'")
    assert "has torch 2.0.0 and this machine 2." in line
    assert line.endswith("install the same")


@pytest.mark.real
def test_a_gpu_that_no_node_has_is_told_after_some_patience(head: Callable[..., str], tmp_path: Path) -> None:
    line = asked_elsewhere(tmp_path, f"engine.address='{head()}'", "device=cuda", "engine.patience=8")
    assert "device=cuda: the cluster has 1 nodes with 1 CPUs and no GPU" in line
    assert "more engine.patience where the cluster scales itself" in line


SLURM = ["engine.executor=slurm"]


def test_a_machine_without_slurm_is_told(refused: Refused, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    line = refused(*arguments("slurm", *SLURM))
    assert line.startswith("explorer: engine=slurm: sinfo is not on this machine; start the study where jobs are")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Put a command of a cluster into the place of the real one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def put(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return put


def test_a_controller_that_does_not_answer_is_told(refused: Refused, command: Callable[[str, str], None]) -> None:
    reason = "slurm_load_partitions: Unable to contact slurm controller (connect failure)"
    command("sinfo", f"echo '{reason}' >&2; exit 1")
    line = refused(*arguments("slurm", *SLURM))
    assert line == f"explorer: engine=slurm: the cluster does not answer ({reason})"


def test_a_partition_that_is_not_there_is_told(refused: Refused, command: Callable[[str, str], None]) -> None:
    command("sinfo", "echo gpu; echo cpu")
    line = refused(*arguments("slurm", *SLURM, "engine.partition=gpus"))
    assert line == "explorer: engine.partition=gpus: the cluster has none of that name; allowed: cpu, gpu"


def test_a_job_that_the_cluster_does_not_take_is_told(refused: Refused, command: Callable[[str, str], None]) -> None:
    command("sinfo", "echo gpu")
    command("srun", "exit 0")
    command("squeue", "exit 0")
    command("scancel", "exit 0")
    command("sbatch", "echo 'sbatch: error: Batch job submission failed: Invalid feature specification' >&2; exit 1")
    line = refused(*arguments("slurm", *SLURM, "engine.constraint=a100"))
    assert line.startswith("explorer: engine=slurm: the cluster does not take the job (")
    assert "Invalid feature specification" in line


@pytest.mark.real
def test_a_job_that_would_wait_for_ever_is_told(
    refused: Refused, command: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from explorer.engine import slurm_engine as slurm_jobs

    monkeypatch.setattr(slurm_jobs, "QUIET", 0.0)
    command("sinfo", "echo gpu")
    command("srun", "exit 0")
    command("squeue", "echo '12 PENDING PartitionTimeLimit'")
    command("scancel", "exit 0")
    command("sbatch", "echo 'Submitted batch job 12'")
    line = refused(*arguments("slurm", *SLURM, "engine.minutes=6000"))
    assert "Slurm job 12 is pending (PartitionTimeLimit), which does not pass" in line


@pytest.mark.parametrize(
    ("listed", "called", "cancelled"),
    [(True, "explorer-abcd", ["12_0"]), (True, "somebody's", []), (False, "explorer-abcd", [])],
    ids=["its own", "of another name", "of others"],
)
def test_only_jobs_that_a_start_of_this_user_has_submitted_are_cancelled(
    tiny: StudyConfig,
    tmp_path: Path,
    command: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
    listed: bool,
    called: str,
    cancelled: list[str],
) -> None:
    pytest.importorskip("submitit")
    from explorer.engine import slurm_engine as slurm_jobs

    monkeypatch.setattr(slurm_jobs, "PATIENCE", 0.0)
    command("sinfo", "echo gpu")
    command("srun", "exit 0")
    command("squeue", f'echo "12_0 {called}"; echo "13 explorer-abcd"')
    command("scancel", f"echo $* >> {tmp_path / 'told'}")
    root = tmp_path / "study" / JOBS / "abcd"
    root.mkdir(parents=True)
    (root / "ids").write_text("1\n12_0\n--user=root\n")
    if listed:
        slurm_jobs._ledger(root).write_text("1\n12_0\n")
    config = replace(tiny, engine=replace(tiny.engine, name="slurm", gpus=0))
    engine = slurm_jobs.SlurmEngine(config, tmp_path / "study")
    told = (tmp_path / "told").read_text().split() if (tmp_path / "told").exists() else []
    assert told == ([f"--user={os.getuid()}", "--name=explorer-abcd", *cancelled] if cancelled else [])
    assert not root.exists()
    assert not slurm_jobs._ledger(root).exists()
    engine.close()


def test_a_word_that_would_be_another_line_of_the_script_is_refused(
    refused: Refused, command: Callable[[str, str], None]
) -> None:
    command("sinfo", "echo gpu")
    command("srun", "exit 0")
    line = refused(*arguments("slurm", *SLURM, 'engine.account="a\ntouch stolen"'))
    assert line.endswith("touch stolen: allowed is one word, as sbatch takes it")


def test_a_gpu_that_no_job_asks_for_is_told(refused: Refused) -> None:
    assert "engine.gpus=0: device=cuda needs one" in refused(*arguments("slurm"), "device=cuda")


@pytest.mark.real
def test_jobs_that_end_before_their_first_word_are_told(refused: Refused) -> None:
    line = refused(*arguments("slurm", "engine.setup=['echo no such module >&2','exit 3']"))
    assert "engine=slurm: job " in line
    assert "ended before its first word" in line
    assert "on a path that all nodes see" in line
