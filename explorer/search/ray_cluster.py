"""A Ray cluster: started here or found elsewhere, what its nodes have room for, and what it says when it fails."""

import logging
import os
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from explorer.errors import InputError
from explorer.machine import cpu_count
from explorer.settings import EngineConfig

TOKEN = Path.home() / ".ray" / "auth_token"  # where Ray keeps it, unless RAY_AUTH_TOKEN_PATH says otherwise
TRY = """
import logging, sys, ray
ray.init(address=sys.argv[1], logging_level=logging.ERROR, log_to_driver=False)
"""
# What Ray says, and what a person can do about it.
_REASONS = {
    "InvalidAuthToken": "the cluster wants another token than this machine has; put the cluster's into "
    "~/.ray/auth_token, or say where it is in RAY_AUTH_TOKEN_PATH",
    "Version mismatch": "the cluster runs another version of Ray or Python than this machine; install the same",
    "Could not find any running Ray": "no cluster runs on this machine and RAY_ADDRESS names none; start one with ray "
    "start --head, or leave engine.address=local",
}


@dataclass(frozen=True)
class Needs:
    """What a task takes of a node."""

    cpus: float
    gpus: float

    def fit_on(self, resources: dict[str, float]) -> int:
        """How many such tasks a node with these resources has room for."""
        found = int(resources.get("CPU", 0) / self.cpus)
        if self.gpus:
            # A task never takes parts of two GPUs.
            found = min(found, int(resources.get("GPU", 0)) * int(1 / self.gpus + 1e-6))
        return found


def connected(engine: EngineConfig) -> ModuleType:
    """Ray, connected to a cluster. Raises InputError, in at most `engine.patience` seconds, where that cannot be."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # of tasks that nobody waits for any more
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    is_local = engine.address == "local"
    if is_local or "RAY_AUTH_TOKEN" in os.environ or Path(os.environ.get("RAY_AUTH_TOKEN_PATH", TOKEN)).exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    if is_local:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # what has Ray listen on the loopback interface alone
    try:
        import ray
    except ImportError:
        raise InputError("engine=ray: needs the package ray; pip install 'resnext-explorer[ray]'") from None
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if is_local:
        options |= {"num_cpus": cpu_count(), "include_dashboard": False}
    else:
        _refuse_unusable(engine)
    try:
        ray.init(address=engine.address, **options)
    except (RuntimeError, OSError, ValueError) as error:
        raise InputError(f"engine.address={engine.address}: {in_one_line(error)}") from None
    return ray


def _refuse_unusable(engine: EngineConfig) -> None:
    """Connect in a process of its own first: Ray can take minutes to give up, and says why on many lines."""
    if engine.address != "auto":
        host, _, port = engine.address.removeprefix("ray://").rpartition(":")
        if not host or not port.isdecimal() or engine.address.startswith("ray://"):
            raise InputError(f"engine.address={engine.address}: allowed are local, auto and HOST:PORT of a head node")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=engine.patience).close()
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"engine.address={engine.address}: nothing answers there ({reason})") from None
    command = [sys.executable, "-c", TRY, engine.address]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as trying:  # noqa: S603 - fixed words
        assert trying.stderr is not None
        late = threading.Timer(engine.patience, trying.kill)
        late.start()
        last, reason = "", ""
        for line in trying.stderr:
            last = line.strip() or last
            reason = reason or next((told for word, told in _REASONS.items() if word in line), "")
            if reason:
                trying.kill()
        late.cancel()
    if reason or trying.returncode:
        words = reason or f"cannot be used within {engine.patience:g} s ({in_one_line(last)})"
        raise InputError(f"engine.address={engine.address}: {words}")


def of_ours(error: Any) -> str:
    """An exception in a task itself, which is none of Ray's."""
    cause = error.cause if isinstance(error.cause, BaseException) else error
    if isinstance(cause, ModuleNotFoundError):
        return f"engine=ray: a node lacks the package {cause.name}; install this project there as here"
    return f"engine=ray: a task failed ({type(cause).__name__}: {in_one_line(cause)})"


def in_one_line(error: object) -> str:
    """What was said, as far as it fits."""
    return " ".join(str(error).split())[:200]
