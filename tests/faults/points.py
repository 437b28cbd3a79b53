"""Kill the coordinator at every point between its steps and see that the record ends as an undisturbed one.

A program of its own: each start is a fork of a process that has loaded everything and has no threads, so that a start
takes a tenth of a second, and all points can be tried. What is killed is a process that runs the whole command, with
an engine that answers at once; a point is a step of the coordinator or of the files it writes, before and after it.

    python -m tests.faults.points CASE FOLDER 1 0      every point, beginning with the first
    python -m tests.faults.points CASE FOLDER 5 3      every fifth one, beginning with the fourth
    python -m tests.faults.points CASE FOLDER at 174   the one point that a failure has named

It prints what was wrong at which point, and last how many points there are and how many were tried.
"""

import gc
import hashlib
import itertools
import json
import os
import shutil
import signal
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from optuna.storages import RDBStorage
from rich.console import Console

from explorer.analysis import judging
from explorer.analysis.finding import Finding
from explorer.design import short_name
from explorer.record import records, starts, table
from explorer.record.progress import settings_so_far
from explorer.report import drawing, terminal
from explorer.search import coordinator, mirror
from explorer.search.state import State
from explorer.search.trials import Trials
from explorer.study.job import (
    Answer,
    Counted,
    EpochDone,
    Event,
    Forms,
    FormsQuestion,
    HostQuestion,
    HostReport,
    Job,
    Placement,
    Question,
    RunDone,
)
from explorer.study.plan import plan_of
from explorer.study.run import Convolution, EpochResult, Outcome
from explorer.study.settings import StudyConfig
from explorer.verbs import run
from explorer.verbs.command_line import read_command
from tests.conftest import TINY
from tests.faults.record import Rows, differences, record_of
from tests.search.test_sampler import SPACE
from tests.stored import trials_of

SEARCH = [*TINY, *SPACE, "search=tpe", "recipe.epochs=9", "search.pruner=halving", "storage=none"]
CASES = {
    "listed": [*TINY, "storage=none"],
    "search": [*SEARCH, "search.seeds=1", "search.designs=7", "search.baseline=0"],
    "baseline": [*SEARCH, "search.seeds=2", "search.designs=6", "search.baseline=0.5", "engine.forms=auto"],
    "mirror": [*TINY, "storage=sqlite"],
}
SLOTS = {"listed": 2, "mirror": 2}  # with two at once a search depends on which is the first to end
CHAIN = 5  # points by which each death of a chain comes later than the one before it, where every point is tried
TRAINED = Path("trained.log")


class Points:
    """Counts the points a start passes, and ends it at one of them."""

    def __init__(self, last: int | None, labels: Path | None = None) -> None:
        self.last, self.labels, self.passed = last, labels, 0

    def __call__(self, label: str, first: Callable[[], object] | None = None) -> None:
        """Pass a point; `first` is done where it is the last one."""
        self.passed += 1
        if self.labels is not None:
            state = "torn" if first else _on_disk()
            with self.labels.open("a") as file:
                file.write(f"{state} {label}\n")
        if self.passed == self.last:
            if first:
                first()
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str) -> None:
        """Before and after each call of a function."""
        original = getattr(owner, name)

        def wrapped(*arguments: Any, **options: Any) -> Any:
            self(f"before {name}")
            found = original(*arguments, **options)
            self(f"after {name}")
            return found

        setattr(owner, name, wrapped)

    def within_append(self) -> None:
        """Where a table gets rows: also half of the text, and all of it but the end of the line."""
        original = table.append

        def append(path: Path, rows: list[Any]) -> None:
            text = table._text(rows)
            for part, words in ((len(text) // 2, "half a write"), (len(text) - 1, "all but a line end")):
                self(f"{words} to {path.name}", lambda part=part: _write(path, text[:part]))  # type: ignore[misc]
            original(path, rows)
            self(f"after a write to {path.name}")

        table.append = append


def _on_disk() -> str:
    """A hash of the files of a start, all but its log."""
    files = sorted(path for path in Path("studies").rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(b"%s %s\n" % (bytes(path), path.read_bytes()) for path in files)).hexdigest()[:8]


def _write(path: Path, text: str) -> None:
    with path.open("a", newline="") as file:
        file.write(text)


@dataclass
class Engine:
    """Workers that train at once as far as they are told and leave a checkpoint after each epoch but the last."""

    slots: int = 1
    _waiting: list[Event] = field(default_factory=list)
    _busy: int = 0

    @property
    def free(self) -> int:
        return self.slots - self._busy

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:
        if isinstance(question, FormsQuestion):
            return [Forms(tuple(Convolution(shape.key, 1) for shape, _ in question.uses))]
        assert isinstance(question, HostQuestion)
        return [HostReport("cpu", "some processor", "hash", {"torch": "2"}, images=(80, 40, 100))]

    def open(self, placement: Placement) -> int:
        return self.slots

    def submit(self, job: Job) -> None:
        run, last = job.run, job.until or job.run.recipe.whole_epochs
        assert job.checkpoints is not None
        kept = Path(job.checkpoints)
        done = max((int(path.name) for path in kept.glob("*")), default=0)
        for epoch in range(done + 1, last + 1):
            with TRAINED.open("a") as file:
                file.write(f"{run.id} {epoch}\n")
            if epoch < run.recipe.whole_epochs:
                kept.mkdir(parents=True, exist_ok=True)
                (kept / f"{epoch:06d}").touch()
        results = [EpochResult(epoch, 0.1, 1.0, 0.5, _error(job, epoch), 0.1) for epoch in range(1, last + 1)]
        ended = last == run.recipe.whole_epochs
        test = (0.25, np.packbits(np.arange(100) % 4 > 0).tobytes(), 100) if ended and job.judges else (None, b"", 0)
        outcome = Outcome(
            "ok" if ended else "paused", last, 0.5, results[-1].val_error, test[0], 1.0, 0.1 * last, 50.0, *test[1:]
        )
        self._busy += 1
        self._waiting += [Counted(run.id, 1)] * job.needs_count
        self._waiting += [*(EpochDone(run.id, result) for result in results), RunDone(run.id, outcome)]

    def events(self, timeout: float) -> list[Event]:
        waiting, self._waiting, self._busy = self._waiting, [], 0
        return waiting

    def close(self) -> None:
        pass


def _error(job: Job, epoch: int) -> float:
    """Curves that keep their order: the last error is the design's own, and every epoch adds to it before."""
    own = 0.1 + zlib.crc32(short_name(job.run.architecture).encode()) % 500 / 1000
    return own + 0.02 * (9 - epoch) + 0.001 * job.run.seed


def patch(case: str, config: StudyConfig, points: Points) -> None:
    """Set the points into everything a start does."""
    engine = Engine(SLOTS.get(case, 1))
    setattr(coordinator, "open_engine", lambda *_: engine)  # noqa: B010 - which it does not export
    setattr(drawing, "draw", lambda *_: Path())  # noqa: B010 - of another type
    untold = Finding([], None, "test_error", wanted=0, final=0, has_contrast=False)
    setattr(judging, "find", lambda *arguments, **more: untold)  # noqa: B010 - which it does not export
    terminal.print_verdict = lambda *arguments, **more: None
    starts._commit = lambda: None
    if case == "mirror":
        points.around(mirror, "_study_id")
        points.around(mirror.Writer, "synchronise")
        for name in ("create_new_trial", "set_trial_user_attr", "set_trial_state_values"):
            points.around(RDBStorage, name)
        coordinator._handle = _mirroring(coordinator._handle)  # type: ignore[assignment]
        return
    os.fsync = lambda fd: None  # what a killed process has written stays
    for name in ("fsync", "replace", "unlink", "rmdir"):
        points.around(os, name)
    for name in ("ask", "add", "goes_on", "draw"):
        points.around(Trials, name)
    for name in ("submit", "events", "ask"):
        points.around(Engine, name)
    for name in ("_handle", "_record", "_judge", "_ask", "forget", "begin", "open_state"):
        points.around(coordinator, name)
    points.within_append()


def _mirroring(handle: Callable[[Event, State], None]) -> Callable[[Event, State], None]:
    """Bring the mirror up to date after each event rather than after some seconds, in a thread of its own."""

    def handling(event: Event, state: State) -> None:
        handle(event, state)
        mirror.Writer(state.trials, mirror.own_mirror(state.folder)).catch_up()

    return handling


def start(case: str, config: StudyConfig, place: Path, last: int | None = None, labels: Path | None = None) -> int:
    """Run the command in a fork to a point, or to its end; gives how it ended, as `os.waitpid` tells it."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.chdir(place)
            os.environ["XDG_CACHE_HOME"] = str(place / "cache")  # what it measures is part of how far it came
            with Path("output.txt").open("a") as output:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                patch(case, config, Points(last, labels))
                code = run.carry_out(config, Console(file=output, width=160)).code
        except BaseException:  # noqa: BLE001 - whatever it is, the fork ends here
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitpid(pid, 0)[1]


@contextmanager
def emptied(place: Path) -> Iterator[Path]:
    place.mkdir(parents=True)
    yield place
    shutil.rmtree(place)


def wrong(case: str, config: StudyConfig, place: Path, expected: Path, deaths: Iterator[int]) -> str:
    """What is wrong with the record after starts that die at these points and one that does not; empty if nothing."""
    kills = 0
    for last in deaths:
        status = start(case, config, place, last)
        if not os.WIFSIGNALED(status):
            break  # it had ended before that point
        kills += 1
    if not kills:
        return "it was not killed"
    status = start(case, ended(case, config), place)
    if status:
        return f"it cannot be continued: {(place / 'output.txt').read_text()[-2000:]}"
    ours, theirs = (record_of(one / "studies/tiny") | mirror_of(case, one) for one in (place, expected))
    if found := differences(ours, theirs):
        return found
    trained = trained_epochs(place)
    if (again := len(trained) - len(set(trained))) > kills * SLOTS.get(case, 1):
        return f"{again} epochs were trained twice after {kills} kills"
    if missing := set(trained_epochs(expected)) ^ set(trained):
        return f"other epochs were trained: {sorted(missing)}"
    return ""


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def mirror_of(case: str, place: Path) -> dict[str, Rows]:
    """What the dashboard's database says of each trial, if there is to be one."""
    if case != "mirror":
        return {}
    fields = ("state", "values", "params", "intermediate_values", "user_attrs")
    trials = trials_of(place / "studies/tiny")
    return {"mirror": [tuple(str(getattr(trial, name)) for name in fields) for trial in trials]}


def trained_epochs(place: Path) -> list[str]:
    return (place / TRAINED).read_text().splitlines()


def distinct(lines: list[str]) -> dict[int, str]:
    """The points, counted from 1, between which something changes on the disk; the others come to the same."""
    found, before = {}, ""
    for number, line in enumerate(lines, start=1):
        state, _, label = line.partition(" ")
        if state == "torn" or state != before:
            found[number] = label
        before = state if state != "torn" else before
    return found


def ended(case: str, config: StudyConfig) -> StudyConfig:
    """What a study is continued to: a mirror is written while there are runs to train, and not after the last one."""
    return replace(config, search=replace(config.search, seeds=3)) if case == "mirror" else config


def warm(config: StudyConfig, done: Path) -> None:
    """Do once what every start would otherwise do for the first time."""
    settings_so_far(plan_of(config), records.load(done))
    records.as_records(records.load(done).runs)
    gc.freeze()


def main(case: str, place: Path, every: str, first: int) -> int:
    config = read_command(CASES[case]).study
    labels, expected = place / "labels.txt", place / "undisturbed"
    expected.mkdir(parents=True)
    if start(case, config, expected, labels=labels) or start(case, ended(case, config), expected):
        say((expected / "output.txt").read_text())
        return 1
    warm(config, expected / "studies/tiny")
    mirror_of(case, expected)
    known = distinct(labels.read_text().splitlines())
    tried = [first] if every == "at" else list(known)[first :: int(every)]
    faults = 0
    for number in tried:
        with emptied(place / "killed") as own:
            if found := wrong(case, config, own, expected, iter([number])):
                faults += 1
                say(f"{case}: killed at point {number} ({known.get(number, '')}): {found}")
    if every != "at":
        step = CHAIN * int(every)
        with emptied(place / "chain") as own:
            if found := wrong(case, config, own, expected, itertools.count(first + 1, step)):
                faults += 1
                say(f"{case}: killed again and again, from point {first + 1} on each time {step} later: {found}")
    say(json.dumps({"points": len(known), "tried": len(tried), "faults": faults}))
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]).resolve(), sys.argv[3], int(sys.argv[4])))
