"""A PostgreSQL server of the tests' own, that can be stopped and started: in a folder of its own, on loopback."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.faults.processes import end_with_the_tests, free_port

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
BIN = PROGRAMS[0] if PROGRAMS else Path(shutil.which("initdb") or "").parent
IS_THERE = (BIN / "initdb").exists()
PASSWORD = "p/s:w%rd{1}"  # with all that a URL has to quote
QUOTED = "p%2Fs%3Aw%25rd%7B1%7D"
# The server refuses to run as root, and then runs as whoever Debian has made for it.
_AS: dict[str, Any] = {} if os.geteuid() else {"user": "postgres", "group": "postgres", "extra_groups": []}


@dataclass
class Server:
    """A server, its port, and a role `me` that logs in by a password."""

    folder: Path
    port: int
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def start(self) -> None:
        words = [str(BIN / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder), "-p", str(self.port)]
        words += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                words,
                stdout=log,
                stderr=log,
                cwd="/",
                preexec_fn=end_with_the_tests,  # noqa: PLW1509 - a single call of the system, loaded beforehand
                **_AS,
            )
        for _ in range(300):
            try:
                self.sql("SELECT 1")
                return
            except psycopg.OperationalError:
                time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text()[-2000:])

    def stop(self) -> None:
        """Shut it down at once, whoever is connected."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)
            self._process = None

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Have a statement carried out, by the server's owner."""
        place = f"host={self.folder} port={self.port} user=owner dbname={database}"
        with psycopg.connect(place, autocommit=True) as connection:
            done = connection.execute(statement.encode())
            return done.fetchall() if done.description else []

    def url(self, database: str, *, user: str = "me", password: str = QUOTED) -> str:
        return f"postgresql://{user}{password and f':{password}'}@127.0.0.1:{self.port}/{database}"


@contextmanager
def server() -> Iterator[Server]:
    """A new server that runs; nothing of it is left after the body."""
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # a socket's path has at most 107 characters
    made = Server(folder, free_port())
    try:
        if _AS:
            shutil.chown(folder, "postgres", "postgres")
        words = [str(BIN / "initdb"), "-D", str(folder / "data"), "-U", "owner", "-E", "UTF8", "--no-locale"]
        words += ["--no-sync", "--auth-local=trust", "--auth-host=scram-sha-256"]
        subprocess.run(words, check=True, capture_output=True, cwd="/", **_AS)
        made.start()
        made.sql(f"CREATE ROLE me LOGIN PASSWORD '{PASSWORD}'")
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)
