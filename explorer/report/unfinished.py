"""The strip of a study that is not finished: a square for each run, and what continues it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from explorer.analysis.judging import OpenedStudy
from explorer.design.name import display_setting
from explorer.host.commands import command_for
from explorer.host.formatting import counted
from explorer.record.folder import checkpoints
from explorer.record.starts import stop_words
from explorer.study.run import FINAL_STATUSES
from explorer.study.runs import rate_of

State = Literal["done", "failed", "begun", "left"]
MOST_SQUARES = 600  # with more runs the numbers alone are shown
WORDS: Mapping[State, str] = {"done": "done", "failed": "failed", "begun": "begun", "left": "to do"}


@dataclass(frozen=True)
class Square:
    """A run: its seed, what has become of it, and that in words."""

    seed: int
    state: State
    words: str


@dataclass(frozen=True)
class Unfinished:
    """How far a study is.

    words    how many runs are in, and when the last one ended. A page is a file: it cannot know whether those that
             have begun, of which there are checkpoints, are on their way
    command  what continues it
    rows     by setting as pages show it, a square for each of its runs; empty for too many runs
    kinds    the number of runs of each state
    """

    words: str
    command: str
    rows: dict[str, list[Square]]
    kinds: dict[State, int]


def unfinished(study: OpenedStudy) -> Unfinished | None:
    """How far a study is; None if it is finished, was imported, or was never on disk."""
    found = study.finding
    if found.complete or found.imported is not None or study.stamps is None:
        return None
    runs = study.record.runs
    judged = runs[runs["rate"] == 1]
    statuses = dict(zip(zip(judged["setting"], judged["seed"], strict=True), judged["status"], strict=True))
    seeds, settings = list(study.plan.every_seed), [one.name for one in study.settings]
    shown = len(seeds) * len(settings) <= MOST_SQUARES
    begun = _begun(study) if shown else set()
    rows = {
        display_setting(name): [
            _square(seed, str(statuses.get((name, seed), "")), begun=(name, seed) in begun) for seed in seeds
        ]
        for name in settings
    }
    far = f"{found.final:,} of {counted(found.wanted, 'run')}"
    last = str(runs["finished"].max()) if len(runs) and "finished" in runs else ""
    stopped = stop_words(study.environment)
    when = f"{last[:10]} {last[11:16]} UTC" if len(last) > 15 else ""
    return Unfinished(
        words=f"{f'{stopped}: ' if stopped else ''}{far}{f', the last one ended {when}' if when else ''}",
        command=command_for("", study.config.name),
        rows=rows if shown else {},
        kinds={state: sum(one.state == state for own in rows.values() for one in own) for state in WORDS},
    )


def counts_in_words(squares: list[Square]) -> str:
    """How many of some runs are done, failed and to do: `2 done, 1 failed, 3 to do`."""
    counts = {state: sum(one.state == state for one in squares) for state in WORDS}
    return ", ".join(f"{counts[state]} {words}" for state, words in WORDS.items() if counts[state])


def _begun(study: OpenedStudy) -> set[tuple[str, int]]:
    """The settings and seeds of runs that have begun: those of which there are checkpoints."""
    ids = {path.name for path in checkpoints(study.folder).glob("*")}
    if not ids:
        return set()
    runs = study.planned_runs()
    return {(setting.name, run.seed) for setting, run in runs if run.id in ids and rate_of(study.config, run) == 1}


def _square(seed: int, status: str, *, begun: bool) -> Square:
    if begun:
        return Square(seed, "begun", f"seed {seed}: begun")
    if not status:
        return Square(seed, "left", f"seed {seed}: to do")
    if status == "ok":
        return Square(seed, "done", f"seed {seed}: done")
    if status in FINAL_STATUSES:
        return Square(seed, "failed", f"seed {seed}: {status.replace('_', ' ')}")
    return Square(seed, "left", f"seed {seed}: {status.replace('_', ' ')}, to be done again")
