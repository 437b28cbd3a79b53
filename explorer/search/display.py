"""Shows progress: a live display on a terminal, one line per event in a log."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from explorer.design.name import display_setting
from explorer.host.console import PLAIN, say
from explorer.host.formatting import counted, duration, percent
from explorer.record.rows import RunRecord
from explorer.study.designs import Setting
from explorer.study.run import EpochResult, Run

RECALLED = 0.5  # an epoch that arrives within this share of its own seconds comes from a checkpoint
KEPT = 3  # finished runs that are shown on a terminal; a log has a line for each
FRAME = 4 + KEPT  # lines of the live display besides those of running runs
LINES_APART = 10.0  # seconds between two lines of a log about what is being counted


@contextmanager
def waiting(console: Console, first: str = "") -> Iterator[Callable[[str], None]]:
    """Show what a person waits for: in one place of a terminal, in a log as one line each."""
    if console.is_terminal:
        with console.status(first) as status:
            yield status.update
        return

    def tell(message: str) -> None:
        console.print(message, **PLAIN)

    if first:
        tell(first)
    yield tell


class Counter:
    """Shows how far something is that is counted: a bar on a terminal, in a log a line at once and one now and then.

    A bar is drawn here while the body of `with` runs; a display that is live already draws `bar` itself.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar: Progress | None = None
        self._said = -math.inf

    def __call__(self, what: str, done: int, wanted: int | None = None) -> None:
        """Show that `done` of `wanted` are done; None where nobody knows how many it takes."""
        numbers = f"{done:,}" if wanted is None else f"{done:,} of {wanted:,}"
        if self.bar is not None:
            self.bar.update(self.bar.tasks[0].id, description=what, numbers=numbers, completed=done, total=wanted)
            self.bar.update(self.bar.tasks[0].id, visible=True)
        elif not self.console.is_terminal and (now := time.monotonic()) - self._said >= LINES_APART:
            self._said = now
            say(self.console, f"{what}: {numbers}")

    @contextmanager
    def shown(self, *, draws: bool = True) -> Iterator[Self]:
        """Have a bar for what is counted in the body, which appears with the first number."""
        if not self.console.is_terminal:
            yield self
            return
        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[numbers]}")
        self.bar = Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True)
        self.bar.add_task("", visible=False, numbers="", total=None)
        try:
            with self.bar if draws else nullcontext():
                yield self
        finally:
            self.bar = None


def _is_notebook(console: Console) -> bool:
    """Whether a display can be drawn again in one place of a notebook, for which rich needs ipywidgets."""
    return console.is_jupyter and find_spec("ipywidgets") is not None


@dataclass
class _Running:
    setting: Setting
    run: Run
    result: EpochResult | None = None
    queued: bool = False
    since: float = field(default_factory=time.perf_counter)  # time of its last event


@dataclass
class Clock:
    """Measures how much of the workers' time, from the study's start to the end of each run, was not spent on runs."""

    began: float = field(default_factory=time.perf_counter)
    free_since: deque[float] = field(default_factory=deque)
    taken: dict[str, float] = field(default_factory=dict)
    before: dict[str, float] = field(default_factory=dict)  # seconds that a run's checkpoint had when it was submitted
    runs: set[str] = field(default_factory=set)
    seconds: float = 0.0
    training: float = 0.0

    def submitted(self, run_id: str, kept: float = 0.0) -> None:
        """Note that a free worker got a run; a worker without an earlier run was free since the start.

        `kept` are the seconds of it that a checkpoint holds, from before a pause or of an earlier start.
        """
        self.before[run_id] = kept
        self.taken[run_id] = self.free_since.popleft() if self.free_since else self.began

    def begun(self, run_id: str) -> None:
        """Note that a queued run now executes: the time in the queue does not count as lost."""
        self.taken[run_id] = time.perf_counter()

    def ended(self, run_id: str, seconds: float) -> None:
        """Note that a run ended or paused after `seconds` of training in all, and its worker is free."""
        now = time.perf_counter()
        self.runs.add(run_id)
        worked = now - self.taken.pop(run_id)
        self.seconds += worked
        # Of a checkpoint that only another machine can read no seconds are known; more than have passed there are not.
        self.training += min(worked, max(0.0, seconds - self.before.pop(run_id, 0.0)))
        self.free_since.append(now)

    def summary(self) -> str:
        """The measured times in one sentence."""
        lost = max(0.0, 1 - self.training / self.seconds) if self.seconds else 0.0
        return (
            f"{counted(len(self.runs), 'run')} in {duration(time.perf_counter() - self.began)}; "
            f"{percent(lost, 1)} of the workers' time was not training: start, measuring, recording"
        )


@dataclass
class Display:
    """Shows how many runs are done, the epoch and error of each running one, and the time left.

    `known_work` is the cost of all runs known by now, ended ones included, in the unit of `work_of`, and `work_left`
    that of those still to do; `unknown_runs` counts the runs of designs that a search has yet to choose, which are
    assumed to cost as much on average. `final_runs` is the length of the final round that follows, in whole runs of
    this study. `epochs` is the number of epochs of a run, unless the number of training `images` is given and a run has
    a length of its own. `validates` says whether validation images are apart from
    those trained on: else their error says nothing, and of a run that has ended the test error is shown.
    """

    console: Console
    total_runs: int
    finished_runs: int
    work_left: float
    epochs: int
    known_work: float = 0.0
    unknown_runs: int = 0
    final_runs: float = 0.0
    validates: bool = True
    images: int = 0
    _started: float | None = None  # when this start's first epoch began; the time before it is spent only once
    _done: float = 0.0  # work of runs that have ended
    _underway: dict[str, float] = field(default_factory=dict)  # work done of runs that have not ended, by run
    _known: dict[str, float] = field(default_factory=dict)  # the most work ever done of a run, by run
    _spared: float = 0.0  # work that stopped runs no longer have to do
    _recalled: float = 0.0  # part of `_done` and `_underway` that earlier starts did, found in checkpoints
    _running: dict[str, _Running] = field(default_factory=dict)
    _live: Live | None = None
    _ended_last: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT))
    counter: Counter = field(init=False)  # of what is measured while nothing is trained

    def __post_init__(self) -> None:
        self.counter = Counter(self.console)

    def __enter__(self) -> Self:
        if not self.console.quiet and (self.console.is_terminal or _is_notebook(self.console)):
            self._live = Live(get_renderable=self._render, console=self.console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            for line in self._ended_last:
                self.tell(line)

    def epochs_of(self, run: Run) -> int:
        """Number of epochs that a run begins."""
        return run.recipe.epochs_on(self.images) if self.images else self.epochs

    def _work(self, run: Run, setting: Setting) -> float:
        return work_of(run, setting, self.images)

    def expect(self, work: float, runs: int) -> None:
        """Note that a search has chosen a design: `runs` unknown runs are now known, with this `work` in all."""
        self.work_left += work
        self.known_work += work
        self.unknown_runs -= runs

    def started(self, setting: Setting, run: Run, *, queued: bool = False) -> None:
        """Show a run that was given to a worker, or to a cluster's queue."""
        self._running[run.id] = _Running(setting, run, queued=queued)

    def begun(self, run_id: str) -> None:
        """Show that a queued run is now executed."""
        entry = self._running[run_id]
        entry.queued, entry.since = False, time.perf_counter()

    def epoch(self, run_id: str, result: EpochResult) -> bool:
        """Show an epoch that a run has finished; return whether that was now, and not before an interruption."""
        entry = self._running[run_id]
        now, done = time.perf_counter(), self._work(entry.run, entry.setting) * result.epoch / self.epochs_of(entry.run)
        is_new = now - entry.since >= RECALLED * result.seconds
        if not is_new:  # too soon after the last one to have been trained now
            self._recalled += max(0.0, done - self._known.get(run_id, 0.0))
        else:
            self._has_trained(result.seconds)
        self._known[run_id] = max(done, self._known.get(run_id, 0.0))
        entry.result, entry.since, self._underway[run_id] = result, now, done
        return is_new

    def paused(self, run_id: str) -> None:
        """Remove a run that is paused at its rung from the running ones."""
        self._running.pop(run_id)

    def stopped(self, setting: Setting, run: Run, record: RunRecord) -> None:
        """Show a paused run that was stopped for good and recorded: the rest of its work is no longer to do."""
        self.finished_runs += 1
        done = self._forget(run.id)
        self._done += done
        self.work_left -= (spared := self._work(run, setting) - done)
        self._spared += spared
        assert record.val_error is not None
        self._ended(
            record,
            f"stopped after {record.epochs} of {self.epochs_of(run)} epochs, val error {percent(record.val_error)}",
        )

    def tell(self, message: str) -> None:
        """Show a message."""
        say(self.console, message)

    def note(self, setting: Setting, run: Run, message: str) -> None:
        """Show a message about a run."""
        self.tell(f"{setting.display} seed {run.seed}: {message}")

    def finished(self, record: RunRecord) -> None:
        """Show the result of a run that has ended and is recorded."""
        entry = self._running.pop(record.run)
        self.finished_runs += 1
        self._forget(record.run)
        self._done += self._work(entry.run, entry.setting)
        self._has_trained(record.seconds)
        kind, error = ("val", record.val_error) if self.validates else ("test", record.test_error)
        words = f"{kind} error {percent(error)}" if error is not None else f"{record.status}: {record.message}"
        self._ended(record, words)

    def _ended(self, record: RunRecord, words: str) -> None:
        """Show a line about a recorded run: on a terminal beside the last others, but for one that failed."""
        line = f"[{self.finished_runs}/{self.total_runs}] {display_setting(record.setting)} seed {record.seed}: {words}"
        line += f", {record.seconds:.1f} s, {self._time_left()}"
        if self._live is None or record.status not in ("ok", "pruned"):
            self.tell(line)
        else:
            self._ended_last.append(line)

    def _has_trained(self, seconds: float) -> None:
        """Set the start of the measured time, `seconds` ago, if this is the first work of this start."""
        if self._started is None:
            self._started = time.perf_counter() - seconds

    def _forget(self, run_id: str) -> float:
        """Remove a run from the running ones and return how much of its work was done."""
        self._known.pop(run_id, None)
        return self._underway.pop(run_id, 0.0)

    def _time_left(self) -> str:
        """The time left in words, from the share of work done since the start, epochs of running runs included.

        A run yet to be chosen may be stopped as others were; those of the final round are trained to their end.
        """
        done = self._done + sum(self._underway.values())
        own = done - self._recalled
        if own <= 0 or self._started is None:
            return "time left unknown yet"
        whole = self.work_left
        if known := self.total_runs - self.unknown_runs:
            whole += (self.known_work - self._spared) / known * self.unknown_runs
            whole += self.known_work / known * self.final_runs
        seconds = (time.perf_counter() - self._started) * (whole - done) / own
        return f"{duration(max(seconds, 0))} left"

    def _render(self) -> Group:
        bar = Progress(TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TextColumn(self._time_left()))
        bar.add_task("runs", total=self.total_runs, completed=self.finished_runs)
        columns = ["running", "seed", "epoch", "loss", "train error", *(["val error"] if self.validates else [])]
        table = Table(*columns, box=None, pad_edge=False)
        running = list(self._running.values())
        # Only rows that fit are laid out: hundreds of rows, four times a second, would take most of the time.
        shown = running[: max(1, self.console.height - FRAME)]
        for entry in shown:
            result = entry.result
            cells = (
                ["queued" if entry.queued else "0", "", "", ""]
                if result is None
                else [
                    str(result.epoch),
                    f"{result.loss:.3f}",
                    percent(result.train_error, 1),
                    percent(result.val_error, 1),
                ]
            )
            row = [entry.setting.display, str(entry.run.seed), f"{cells[0]}/{self.epochs_of(entry.run)}", *cells[1:]]
            table.add_row(*row[: len(columns)])
        left = len(running) - len(shown)
        lines = [Text(line, no_wrap=True, overflow="ellipsis") for line in self._ended_last]
        counting = self.counter.bar  # read once: the body that it is for may end meanwhile
        more = [f"and {left:,} more"] if left else []
        return Group(*lines, bar, *([counting] if counting is not None else []), table, *more)


def work_of(run: Run, setting: Setting, images: int = 0) -> float:
    """The work of a run: multiply-adds for one image times its length, in steps where the number of images is known.

    All runs see equally many images per epoch, so the unit does not matter where all have one length.
    """
    if images:
        return float(run.recipe.steps_on(images) * setting.cost.macs)
    return float((run.recipe.steps or run.recipe.epochs or 0) * setting.cost.macs)
