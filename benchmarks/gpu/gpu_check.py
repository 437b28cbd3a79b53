"""A check of a machine with a GPU, step by step: python gpu_check.py SECONDS [STEP ...].

Each step is a command of its own with a limit of its own, so that what fails or hangs takes only its own time. The
variable OUT names the folder that is brought back, with summary.txt, log.txt, micro.json, the studies' pages and
record.tgz. Everything else lies in one working folder (CHECK_STATE, by default gpu-state in the system's temporary
folder), with which a second call on the same machine goes on; nothing is written into the checkout. A record.tgz of an
earlier check that lies beside this file is unpacked into a new working folder first, so that no finished run is trained
again.

CHECK_DEVICE=cpu tries the mechanics at a tiny scale on any machine. This file needs Python's standard library alone; it
works in benchmarks/gpu and in any folder of a checkout into which benchmarks/gpu was copied.
"""

import math
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
IMAGES = HERE / "cifar10-jpeg"  # train.parquet and test.parquet; `prepare` puts them there
EARLIER = HERE / "record.tgz"
CONTRAST = "equal_params_h100_cifar10_jpeg"
GROUPS = f"{CONTRAST}_groups"  # 32x4d once more, every 3x3 filter starting at one norm
DEVICES = ("cuda", "cpu")
USAGE = "usage: OUT=FOLDER python gpu_check.py SECONDS [STEP ...]"

LEAST = 5.0  # seconds: with less a command is not begun
ENDING = 22.0  # seconds that a command has after SIGINT: `explorer` gives its workers 20 to keep what they have
RESERVE = 26.0  # seconds left after the longest command: for its ending, and to bring back what there is
REPORT = 25.0  # seconds that drawing a page may take
TINY_PATIENCE = 5.0
# Studies of 11-layer networks on a few images, for CHECK_DEVICE=cpu.
TINY = (
    "space.depth=11",
    "space.width=16",
    "budget.reference=1x4d",
    "budget.params.tolerance=0.2",
    "engine.precision=float32",
    "engine.forms=native",
    "engine.threads=1",
)
TINY_CONTRAST = ("space.cardinality=[1,2]", "study.contrast.setting=2x3d", "study.contrast.against=1x4d")
TINY_IMAGES = (
    "data.train_images=200",
    "data.val_images=100",
    "data.test_images=100",
    "recipe.epochs=1",
    "recipe.batch_size=20",
    "search.seeds=3",
)


@dataclass(frozen=True)
class Check:
    """One check of a machine: the time it has, and what comes of it.

    seconds  that all steps have together
    out      folder that is brought back
    state    working folder: studies, pages, and the cache of what was measured and decoded
    device   "cuda", or "cpu" for the tiny scale
    lines    of the summary
    failed   commands that failed by themselves, and steps that could not begin
    """

    seconds: float
    out: Path
    state: Path
    device: str
    began: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def is_tiny(self) -> bool:
        """Whether only the mechanics are tried."""
        return self.device != "cuda"

    @property
    def left(self) -> float:
        """Seconds until all must have ended."""
        return self.seconds - (time.monotonic() - self.began)

    def limit(self, seconds: float) -> float:
        """Seconds that a step may take, of those that it may take on a GPU: a busy CPU is not to fail for its speed."""
        return seconds * (TINY_PATIENCE if self.is_tiny else 1)

    def say(self, line: str) -> None:
        """A line of the summary, which is on disk at once."""
        self.lines.append(f"{time.monotonic() - self.began:6.1f} s  {line}")
        print(self.lines[-1], flush=True)
        (self.out / "summary.txt").write_text("\n".join(self.lines) + "\n", encoding="utf-8")

    def cannot(self, name: str, why: str) -> None:
        """Say that a step is left out because something is missing."""
        self.failed.append(name)
        self.say(f"{name}: left out, {why}")

    def run(
        self, name: str, command: list[str], limit: float, *, shown: int = 12, ending: float = ENDING
    ) -> int | None:
        """Run a command in the working folder, log what it prints, and show the last lines of that.

        At its limit it is sent SIGINT, upon which a study keeps what it has; after `ending` seconds more it is killed.
        Whatever it has started is killed with it. Gives the exit code, and None where there is none.
        """
        limit = min(limit, self.left - RESERVE)
        if limit < LEAST:
            self.say(f"{name}: left out, {self.left:.0f} s left")
            return None
        began = time.monotonic()
        with (self.out / "log.txt").open("ab") as log:
            log.write(f"\n===== {name}: {' '.join(command)}\n".encode())
            log.flush()
            start = log.tell()
            process = subprocess.Popen(
                command,
                cwd=self.state,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code, in_time = _exit_code(process, limit), True
                if code is None:
                    process.send_signal(signal.SIGINT)  # to it alone: it asks its workers itself
                    code, in_time = _exit_code(process, ending), False
            finally:
                with suppress(OSError):  # there is no process left in its group
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        took = f"after {time.monotonic() - began:.1f} s of {limit:.0f}"
        self.say(f"{name}: {'killed' if code is None else f'exit {code}'} {took}{'' if in_time else ', at its limit'}")
        if in_time and code:
            self.failed.append(name)
        with (self.out / "log.txt").open("rb") as written:
            written.seek(start)
            for line in written.read().decode(errors="replace").splitlines()[-shown:]:
                print("        " + line[:200], flush=True)
        return code

    def explorer(self, *arguments: str) -> list[str]:
        """A command of the project on this device."""
        return [sys.executable, "-m", "explorer", *arguments, f"device={self.device}"]

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join(filter(None, (str(_checkout()), os.environ.get("PYTHONPATH"))))
        return {
            **os.environ,
            "PYTHONPATH": path,
            "PYTHONPYCACHEPREFIX": str(self.state / "pycache"),
            "PYTHONUNBUFFERED": "1",
            "XDG_CACHE_HOME": str(self.state / "cache"),
            "COLUMNS": "160",
            "CHECK_DEVICE": self.device,
        }


def environment(check: Check) -> None:
    """What the machine is, and whether everything that the project needs can be imported."""
    check.run(
        "environment", [sys.executable, str(HERE / "environment.py"), str(_checkout())], check.limit(60), shown=30
    )
    if shutil.which("nvidia-smi"):
        check.run("nvidia-smi", ["nvidia-smi"], check.limit(10), shown=20)


def smoke(check: Check) -> None:
    """The demonstration study with two seeds on two workers."""
    small = (*TINY, *TINY_CONTRAST, "data.train_images=80", "recipe.epochs=2") if check.is_tiny else ()
    own = ("name=gpu_smoke", "search.seeds=2", "engine.workers=2", "report.live=false")
    check.run("smoke", check.explorer("study=equal_params", *own, *small), check.limit(90))


def tests(check: Check) -> None:
    """The project's tests for a GPU, without its settings of pytest and fixtures, which ask for more packages."""
    folder = _checkout() / "tests" / "cuda"
    alone = ("-c", os.devnull, "--rootdir", str(folder), "--confcutdir", str(folder), "-o", "markers=cuda")
    plain = ("-q", "-rs", "-p", "no:cacheprovider", *alone)
    check.run("tests", [sys.executable, "-m", "pytest", *plain, str(folder)], check.limit(150), shown=25)


def reproduce(check: Check) -> None:
    """The study: both settings as the paper initialises them, then 32x4d with equal norms of its filters."""
    if not _has_images(check, "reproduce"):
        return
    for study, share in ((CONTRAST, 0.62), (GROUPS, 1.0)):
        own = (f"study={study}", f"data.path={IMAGES}", *_small(check, study))
        running = check.explorer(*own, "engine.workers=2", "report.live=false", "storage=none")
        code = check.run(study, running, share * (check.left - RESERVE - REPORT), shown=40)
        runs = check.state / "studies" / study / "runs.csv"
        if runs.exists():
            check.say(f"{study}: {len(runs.read_text(encoding='utf-8').splitlines()) - 1} runs in the record")
            if code:  # a study that came to its end has drawn its page
                drawing = [sys.executable, "-m", "explorer", "report", *own]
                check.run(f"{study} page", drawing, check.limit(REPORT), shown=3)


def micro(check: Check) -> None:
    """What micro.py measures."""
    seconds = min(150.0, check.left - RESERVE)
    measuring = [sys.executable, str(HERE / "micro.py"), str(check.out), f"{max(0.0, seconds - LEAST):.0f}"]
    check.run("micro", measuring, seconds, shown=140)


def together(check: Check) -> None:
    """What several processes that train narrow networks on the GPU at once reach."""
    _busy(check, "together", 45)


def streaming(check: Check) -> None:
    """What training reaches on images that are decoded meanwhile."""
    if _has_images(check, "streaming"):
        _busy(check, "streaming", 45, str(IMAGES))


def _busy(check: Check, kind: str, limit: float, *others: str) -> None:
    seconds = min(check.limit(limit), check.left - RESERVE)
    measuring = [sys.executable, str(HERE / "busy.py"), kind, str(check.out), f"{max(0.0, seconds - LEAST):.0f}"]
    check.run(kind, [*measuring, *others], seconds)


def benchmark(check: Check) -> None:
    """Our training loop against a tutorial's, one turn."""
    own: tuple[str, ...] = ("architectures=[29-1x64d,29-32x4d]", "batch_size=128", "steps=30")
    if check.is_tiny:
        own = ("architectures=[11-1x4d-w16,11-2x3d-w16]", "batch_size=8", "image_size=8", "steps=1")
    check.run("benchmark", check.explorer("benchmark", *own, "turns=1"), check.limit(150), shown=40)


def auto(check: Check) -> None:
    """What a study's plan chooses by itself, and how long that takes; its limit ends it long before its last run."""
    if not _has_images(check, "auto"):
        return
    own = (f"study={CONTRAST}", "name=gpu_auto", f"data.path={IMAGES}", "report.live=false", "storage=none")
    check.run("auto", check.explorer(*own, *_small(check, CONTRAST)), check.limit(75))
    chosen = check.state / "studies" / "gpu_auto" / "execution.json"
    if chosen.exists():
        check.say(f"auto: {' '.join(chosen.read_text(encoding='utf-8').split())[:600]}")


Step = Callable[[Check], None]
STEPS: dict[str, Step] = {
    step.__name__: step for step in (environment, smoke, tests, reproduce, micro, together, streaming, benchmark, auto)
}


def restore(check: Check) -> None:
    """Make the working folder: the studies' files, and in a new one the record of an earlier check.

    Raises ValueError for a record that cannot be read.
    """
    check.state.mkdir(parents=True, exist_ok=True)
    shutil.copytree(HERE / "conf", check.state / "conf", dirs_exist_ok=True)
    if not EARLIER.exists() or (check.state / "studies").exists():
        return
    with tempfile.TemporaryDirectory(dir=check.state) as folder:  # so that half a record is never gone on with
        try:
            with tarfile.open(EARLIER) as archive:
                archive.extraction_filter = getattr(tarfile, "data_filter", None)  # which came with Python 3.11.4
                archive.extractall(folder)  # noqa: S202 - our own record, by that filter
        except (tarfile.TarError, EOFError, OSError) as error:
            raise ValueError(f"{EARLIER}: cannot be unpacked ({error}); bring a whole one, or remove it") from None
        for part in ("cache", "studies"):
            if (own := Path(folder) / part).exists():
                shutil.copytree(own, check.state / part, dirs_exist_ok=True)
    check.say(f"restored {EARLIER.name}")


def bring_back(check: Check) -> None:
    """Pack the record, without what is only for this machine, and copy the studies' pages beside it."""
    packed = check.out / "record.tgz"
    with tarfile.open(packed.with_suffix(".part"), "w:gz") as archive:
        for folder in ("studies", "cache"):
            for path in sorted((check.state / folder).rglob("*")):
                own = path.relative_to(check.state)
                if path.is_file() and not {"local", "images", "kernels"} & {*own.parts}:
                    archive.add(path, str(own))
    packed.with_suffix(".part").replace(packed)
    for study in (CONTRAST, GROUPS):
        page = check.state / "reports" / f"{study}.html"
        if page.exists():
            shutil.copy(page, check.out / page.name)


def main(arguments: list[str], variables: Mapping[str, str]) -> int:
    """Do the steps that are named, or all of them. 0 done, 1 a command failed by itself, 2 unusable input."""
    try:
        check, steps = _read(arguments, variables)
        check.out.mkdir(parents=True, exist_ok=True)
        restore(check)
    except ValueError as error:
        print(f"gpu_check: {error}", file=sys.stderr)
        return 2
    for step in steps:
        try:
            step(check)
        finally:
            bring_back(check)
    sizes = [f"{path.name} {path.stat().st_size / 2**20:.2f} MiB" for path in sorted(check.out.iterdir())]
    check.say(f"brought back: {', '.join(sizes)}")
    return 1 if check.failed else 0


def _read(arguments: list[str], variables: Mapping[str, str]) -> tuple[Check, list[Step]]:
    """What a command asks for. Raises ValueError with one line for a person."""
    seconds, *names = arguments or [""]
    try:
        total = float(seconds)
    except ValueError:
        total = math.nan
    if not 0 < total < math.inf:
        raise ValueError(f"SECONDS: expected a number above 0, not {seconds!r}; {USAGE}")
    if odd := [name for name in names if name not in STEPS]:
        raise ValueError(f"{odd[0]}: unknown step; allowed: {', '.join(STEPS)}")
    if not variables.get("OUT"):
        raise ValueError(f"OUT is not set: it names the folder that is brought back; {USAGE}")
    device = variables.get("CHECK_DEVICE") or "cuda"
    if device not in DEVICES:
        raise ValueError(f"CHECK_DEVICE={device}: allowed: {', '.join(DEVICES)}")
    state = Path(variables.get("CHECK_STATE") or Path(tempfile.gettempdir()) / "gpu-state")
    check = Check(total, Path(variables["OUT"]).absolute(), state.absolute(), device)
    return check, [STEPS[name] for name in names or STEPS]


def _checkout() -> Path:
    """The root of the checkout that this file lies in, which need not be installed."""
    return next(folder for folder in HERE.parents if (folder / "pyproject.toml").exists())


def _has_images(check: Check, name: str) -> bool:
    there = all((IMAGES / f"{part}.parquet").exists() for part in ("train", "test"))
    if not there:
        check.cannot(
            name, f"train.parquet and test.parquet are not in {IMAGES}; benchmarks/gpu/prepare puts them there"
        )
    return there


def _small(check: Check, study: str) -> tuple[str, ...]:
    """What makes one of the two studies tiny, where only the mechanics are tried."""
    if not check.is_tiny:
        return ()
    return (*TINY, *TINY_IMAGES, *(("space.cardinality=[2]",) if study == GROUPS else TINY_CONTRAST))


def _exit_code(process: "subprocess.Popen[bytes]", seconds: float) -> int | None:
    """The exit code of a command; None where it still runs after so many seconds."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def _leave(number: int, _: object) -> None:
    """Where the whole check is asked to end, its command is killed and what there is, is brought back."""
    sys.exit(128 + number)


if __name__ == "__main__":
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, _leave)
    sys.exit(main(sys.argv[1:], os.environ))
