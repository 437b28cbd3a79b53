"""Commands of a Slurm cluster: check that it can be used, submit jobs, list their states, cancel them."""

import contextlib
import io
import os
import subprocess
from pathlib import Path
from typing import Any

from explorer.host.errors import InputError
from explorer.host.formatting import in_one_line
from explorer.study.settings import EngineConfig

try:
    import submitit
except ImportError:
    raise InputError("engine=slurm: needs the package submitit; pip install 'resnext-explorer[slurm]'") from None

PATIENCE = 25.0  # seconds that a command of the cluster may take
ENDLESS = 1_000_000  # times that a job may reach its time limit
WORDS = ("partition", "account", "qos", "constraint")
# Words in error messages of sbatch, each with the key of `engine` that sets what they speak of.
_KEYS = {
    "generic resource": "gpus (0 where nodes have none)",
    "feature": "constraint",
    "account": "account",
    "qos": "qos",
    "memory": "memory",
    "cpu": "cores",
    "node configuration": "cores",
}


def executor(engine: EngineConfig, root: Path, name: str) -> Any:
    """The submitit executor for jobs of this name; a job at its time limit is requeued as often as needed.

    Raises InputError for a value that cannot stand in one line of a batch script.
    """
    words = {f"slurm_{key}": value for key in WORDS if (value := getattr(engine, key)) is not None}
    for key, value in words.items():
        if not value.isprintable() or any(map(str.isspace, value)):
            raise InputError(f"engine.{key.removeprefix('slurm_')}={value}: allowed is one word, as sbatch takes it")
    try:
        made = submitit.AutoExecutor(
            folder=root, cluster=engine.executor, slurm_max_num_timeout=ENDLESS, local_max_num_timeout=ENDLESS
        )
    except RuntimeError as error:
        raise InputError(f"engine=slurm: {in_one_line(error)}") from None
    made.update_parameters(
        name=name,
        timeout_min=engine.minutes,
        cpus_per_task=engine.cores,
        **({"gpus_per_node": engine.gpus} if engine.gpus else {}),
        **({"mem_gb": engine.memory} if engine.memory else {}),
        slurm_setup=list(engine.setup),
        local_setup=list(engine.setup),
        **words,
    )
    return made


def submit(made: Any, work: list[Any]) -> list[Any]:
    """Submit jobs as one array. Raises InputError, with the cluster's own message, if it refuses them."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # into which submitit copies what the error says as well
            return list(made.submit_array(work))
    except (submitit.core.utils.FailedJobError, OSError) as error:
        said = in_one_line(error)
        keys = [f"engine.{key}" for word, key in _KEYS.items() if word in said.lower()]
        hint = f"; look at {' and '.join(keys)}" if keys else ""
        raise InputError(f"engine=slurm: the cluster does not take the job ({said}){hint}") from None


def refuse_cluster(engine: EngineConfig) -> None:
    """Raise InputError if there is no cluster, or the cluster does not have the partition asked for."""
    done = run("sinfo", "--noheader", "--format=%R")
    if done.returncode:
        raise InputError(f"engine=slurm: the cluster does not answer ({in_one_line(done.stderr)})")
    there = sorted(set(done.stdout.split()))
    for name in (engine.partition or "").split(","):
        if name and name not in there:
            raise InputError(f"engine.partition={name}: the cluster has none of that name; allowed: {', '.join(there)}")


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of the cluster. Raises InputError if the command does not exist or does not answer in time."""
    try:
        return subprocess.run(words, capture_output=True, encoding="utf-8", errors="replace", timeout=PATIENCE)  # noqa: S603 - its own words
    except FileNotFoundError:
        raise InputError(
            f"engine=slurm: {words[0]} is not on this machine; start the study where jobs are submitted, or try "
            "engine.executor=local"
        ) from None
    except subprocess.TimeoutExpired:
        raise InputError(f"engine=slurm: the cluster does not answer within {PATIENCE:g} s ({words[0]})") from None


def queue(ids: list[str]) -> dict[str, str] | None:
    """State and reason of the jobs that wait or run, by id; None if the cluster does not answer."""
    arrays = sorted({one.partition("_")[0] for one in ids})
    done = run("squeue", "--noheader", "--array", "--format=%i %T %r", f"--jobs={','.join(arrays)}")
    if done.returncode and "Invalid job id" not in done.stderr:
        return None
    return {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if " " in line}


def still(name: str, ids: list[str], engine: EngineConfig) -> list[str]:
    """The ids among these jobs of an earlier start that have not ended: on a cluster, own jobs with this name."""
    if engine.executor == "slurm":
        done = run("squeue", "--noheader", "--array", f"--user={os.getuid()}", f"--name={name}", "--format=%i %j")
        there = {job for job, _, its in (line.partition(" ") for line in done.stdout.splitlines()) if its == name}
        return ids if done.returncode else [one for one in ids if one in there]
    return [one for one in ids if one.isdecimal() and Path(f"/proc/{one}").exists()]


def cancel(name: str, ids: list[str]) -> None:
    """Cancel the jobs with these ids that belong to the user and have this name."""
    run("scancel", f"--user={os.getuid()}", f"--name={name}", *ids)
