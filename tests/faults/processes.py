"""Whole commands as processes that can be killed, and all their descendants found, wherever they have gone."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.conftest import PATIENCE
from tests.test_layers import ROOT

MARK = "EXPLORER_FAULTS_MARK"  # in the environment of a command, which all its descendants inherit
_LIBC = ctypes.CDLL(None)
LONGEST = 300.0  # seconds that a command may take


@dataclass
class Command:
    """A study's command on its way, the only process of its name with this mark."""

    process: "subprocess.Popen[bytes]"
    mark: str
    output: Path

    def descendants(self) -> list[int]:
        """Processes that have come from it and still run, itself included."""
        return [pid for pid in _pids() if f"{MARK}={self.mark}" in _words(pid, "environ") and is_running(pid)]

    def workers(self) -> list[int]:
        """Its worker processes; of the others that it starts each has another name."""
        return [pid for pid in children(self.process.pid) if "spawn_main" in " ".join(_words(pid, "cmdline"))]

    def ended(self) -> int:
        """Wait for its end and give its exit code."""
        return self.process.wait(LONGEST)

    def until(self, done: Callable[[], bool], seconds: float) -> None:
        """Wait for something to be so. Raises AssertionError where it takes too long, or the command ends before."""
        end = time.monotonic() + seconds
        while not done():
            assert self.process.poll() is None, self.told()
            assert time.monotonic() < end, self.told()
            time.sleep(0.01)

    def killed_at(self, moment: float) -> bool:
        """Kill it so many seconds from now, unless it ends before."""
        try:
            self.process.wait(moment)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return True
        return False

    def gone_after(self, longest: float) -> float:
        """Seconds until no process of it is left. Raises AssertionError, naming them, where that takes too long."""
        began = time.monotonic()
        while left := self.descendants():
            waited = time.monotonic() - began
            assert waited < longest, f"after {waited:.1f} s still there: {[_words(pid, 'cmdline') for pid in left]}"
            time.sleep(0.05)
        return time.monotonic() - began

    def told(self) -> str:
        """The last of what it said."""
        return self.output.read_text()[-3000:]


def killed_and_continued(place: Path, arguments: list[str], table: Path, *after: int) -> None:
    """Kill a study each time that one of its tables has more than so many lines, and let it go on to its end."""
    rows = place / table
    for lines in after:
        with command(place, arguments) as one:
            one.until(partial(_has_lines, rows, lines), PATIENCE)
            one.process.kill()
            one.process.wait()
            one.gone_after(PATIENCE)
    with command(place, arguments) as one:
        assert one.ended() == 0, one.told()


def _has_lines(rows: Path, lines: int) -> bool:
    return rows.exists() and rows.read_text().count("\n") > lines


@contextlib.contextmanager
def command(place: Path, arguments: list[str]) -> Iterator[Command]:
    """Start a study in a folder, as a person would; nothing of it is left after the body."""
    place.mkdir(exist_ok=True)
    mark, output = uuid.uuid4().hex, place / "output.txt"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), MARK: mark}
    words = [sys.executable, "-m", "explorer", *arguments]
    with output.open("ab") as file:
        process = subprocess.Popen(
            words,
            cwd=place,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            preexec_fn=end_with_the_tests,  # noqa: PLW1509 - a single call of the system, loaded beforehand
        )
    started = Command(process, mark, output)
    try:
        yield started
    finally:
        for pid in started.descendants():
            kill(pid)
        process.wait()
        started.gone_after(5.0)


def end_with_the_tests() -> None:
    """A test that is itself killed has no time to clean up; prctl's first option names the signal that comes then."""
    _LIBC.prctl(1, signal.SIGKILL)


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def children(pid: int) -> list[int]:
    """Processes that a process has started; none where it has ended."""
    try:
        return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _words(pid: int, name: str) -> list[str]:
    """Of its command line or environment; none where it has ended."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace").split("\0")
    except OSError:
        return []


def is_running(pid: int) -> bool:
    """Whether a process has not ended; one that nobody has reaped yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
