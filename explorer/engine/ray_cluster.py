"""A Ray cluster: start one here or connect to one, how many tasks its nodes can hold, and its errors in one line."""

import atexit
import contextlib
import importlib.util
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from explorer.host.cache import secret_file
from explorer.host.errors import InputError
from explorer.host.formatting import in_one_line
from explorer.host.machine import cpu_count
from explorer.study.settings import EngineConfig

UNKNOWN_HERE = (
    "the cluster wants its token, which this machine does not show; put it into ~/.ray/auth_token, or say in "
    "RAY_AUTH_TOKEN_PATH where it is"
)
TRY = """
import logging, sys, ray
ray.init(address=sys.argv[1], logging_level=logging.ERROR, log_to_driver=False)
"""
# Parts of Ray's error messages, each with what a person can do about it.
_REASONS = {
    "InvalidAuthToken": UNKNOWN_HERE,
    "no authentication token was found": UNKNOWN_HERE,
    "Version mismatch": "the cluster runs another version of Ray or Python than this machine; install the same",
    "Could not find any running Ray": "no cluster runs on this machine and RAY_ADDRESS names none; start one with ray "
    "start --head, or leave engine.address=local",
}


@dataclass(frozen=True)
class Needs:
    """The resources that one task takes of a node."""

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
    """Connect to a cluster and return the module `ray`.

    Raises InputError if that fails, after little more than `engine.patience` seconds.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError("engine=ray: needs the package ray; pip install 'resnext-explorer[ray]'")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # errors of tasks whose result is no longer read
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if engine.address == "local":
        options |= {"num_cpus": cpu_count(), "include_dashboard": False}
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        if "RAY_AUTH_TOKEN" not in os.environ:  # Ray itself would make one that every user of this machine can read
            os.environ["RAY_AUTH_TOKEN_PATH"] = str(_token())
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # what has Ray listen on the loopback interface alone
    else:
        _refuse_unusable(engine)
        # A minute after its head is gone Ray would end this process with its own message; the engine reports it before.
        os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "3600")
    import ray  # which reads all of these once, when it is loaded

    ours = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(address=engine.address, **options)
    except (RuntimeError, OSError, ValueError) as error:
        raise InputError(f"engine.address={engine.address}: {in_one_line(error)}") from None
    with contextlib.suppress(ValueError, TypeError):  # not the main thread, whose signals they are
        for one, handler in ours.items():
            signal.signal(one, handler)  # Ray has put its own in their place
    return ray


@cache
def _token() -> Path:
    """The file with the token of the cluster that this process starts; Ray reads it once, and exit removes it.

    In an environment variable the token would also be visible to every process that a worker starts.
    """
    path = secret_file(secrets.token_hex(32))
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    return path


def _refuse_unusable(engine: EngineConfig) -> None:
    """Raise InputError for a cluster that cannot be used; of a usable one, find out whether it requires a token.

    A cluster without tokens does not answer a client that sends one, so the first try is without.
    """
    if engine.address != "auto":
        host, _, port = engine.address.removeprefix("ray://").rpartition(":")
        if not host or not port.isdecimal() or engine.address.startswith("ray://"):
            raise InputError(f"engine.address={engine.address}: allowed are local, auto and HOST:PORT of a head node")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=engine.patience).close()
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"engine.address={engine.address}: nothing answers there ({reason})") from None
    problem = ""
    for mode in [os.environ["RAY_AUTH_MODE"]] if "RAY_AUTH_MODE" in os.environ else ["disabled", "token"]:
        problem = _problem(engine, mode)
        if not problem:
            os.environ["RAY_AUTH_MODE"] = mode
            return
        if problem != UNKNOWN_HERE:
            break
    raise InputError(f"engine.address={engine.address}: {problem}")


def _problem(engine: EngineConfig, mode: str) -> str:
    """Why the cluster cannot be connected to; empty if it can.

    Tried in a process of its own, since Ray can take minutes to give up and writes many lines.
    """
    command, own = [sys.executable, "-c", TRY, engine.address], {**os.environ, "RAY_AUTH_MODE": mode}
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8", errors="replace", env=own) as trying:  # noqa: S603 - fixed words
        assert trying.stderr is not None
        late = threading.Timer(engine.patience, trying.kill)
        late.start()
        last, reason = "", ""
        for line in trying.stderr:
            last = line.strip() or last
            reason = reason or next((advice for word, advice in _REASONS.items() if word in line), "")
            if reason:
                trying.kill()
        late.cancel()
    if reason or not trying.returncode:
        return reason
    return f"cannot be used within {engine.patience:g} s ({in_one_line(last)})"


def of_ours(error: Any) -> str:
    """The message for an exception that the code of a task itself raised, not Ray."""
    cause = error.cause if isinstance(error.cause, BaseException) else error
    if isinstance(cause, ModuleNotFoundError):
        return f"engine=ray: a node lacks the package {cause.name}; install this project there as here"
    return f"engine=ray: a task failed ({type(cause).__name__}: {in_one_line(cause)})"
