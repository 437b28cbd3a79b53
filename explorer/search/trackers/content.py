"""What a tracker shows of a study: its runs with their parameters and metrics, and a note, all from the record."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from explorer.analysis.judging import OpenedStudy
from explorer.analysis.told_costs import with_told_budget
from explorer.design.cost_measures import COUNTED
from explorer.design.shape_axes import OWN
from explorer.host.formatting import plain
from explorer.record.folder import moment
from explorer.record.records import Record, as_records
from explorer.record.rows import RunRecord
from explorer.record.starts import identity
from explorer.search.note import note_of
from explorer.study.settings import StudyConfig

Value = str | int | float | bool
FINAL = "final"  # the part of a search's final round
# Columns of `runs.csv` that are numbers of a run's end; `seconds` is the time of the whole run.
_AT_END = ("test_error", "val_error", "train_error", "loss", "seconds", "images_per_second", "latency")
_OF_EPOCH = ("learning_rate", "loss", "train_error", "val_error")  # columns of `epochs.csv`
# Where and by what a run was made; they decide nothing about its shape.
_ABOUT = ("device", "host", "data", "classes", "start", "finished")


@dataclass(frozen=True)
class Step:
    """The metrics after an epoch, and when they were reached, in seconds since 1970."""

    epoch: int
    at: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class TrackedRun:
    """One run of a study as a tracker shows it.

    id      of the run in the record, which is the same wherever it was trained
    name    design and seed, unique in its study
    part    "" or "final", the final round of a search
    status  as in the record: ok, pruned, diverged, out_of_memory, failed
    steps   the epochs
    end     metrics that the last epoch does not have, such as the test error
    """

    id: str
    name: str
    part: str
    status: str
    message: str
    began: float
    ended: float
    params: Mapping[str, Value]
    steps: tuple[Step, ...]
    end: Mapping[str, float]

    @cached_property
    def digest(self) -> str:
        """A hash of everything that a tracker shows of the run: one that bears it is up to date."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def is_over(self) -> bool:
        """Whether the run came to an end that its study wanted: through its training, or stopped by its search."""
        return self.status in ("ok", "pruned")


@dataclass(frozen=True)
class TrackedStudy:
    """A study as a tracker shows it.

    owner  distinguishes it from other studies of its name
    note   question, verdict and path of the page, as Markdown
    """

    name: str
    owner: str
    note: str
    runs: tuple[TrackedRun, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names that it may have in a tracker, since other studies may already have the first."""
        return (self.name, f"{self.name}-{self.owner[:6]}", f"{self.name}-{self.owner}")


def tracked(study: OpenedStudy) -> TrackedStudy:
    """What trackers show of a study, with the final round of a search."""
    about = {"data_hash": str(study.environment["data_hash"]), "precision": str(study.execution.get("precision", ""))}
    record = study.record
    if study.finding.has_told_costs:
        record = replace(record, runs=with_told_budget(study.plan, record.runs))
    runs = [*_runs(study.config, record, about, "")]
    if study.final is not None and study.final.study.record is not None and not study.final.found.fault:
        own = study.final.study
        assert own.record is not None
        runs += _runs(own.plan.config, own.record, about, FINAL)
    name = study.folder.name
    return TrackedStudy(name, identity(name, study.environment), note_of(study), _named(runs))


def _named(runs: list[TrackedRun]) -> tuple[TrackedRun, ...]:
    """The runs, each with a name of its own: where two have one, as after a fork, the beginning of the id follows."""
    counts = Counter(run.name for run in runs)
    return tuple(replace(run, name=f"{run.name} {run.id[:6]}") if counts[run.name] > 1 else run for run in runs)


def _runs(config: StudyConfig, record: Record, about: Mapping[str, Value], part: str) -> Iterator[TrackedRun]:
    shared = {**{f"recipe.{key}": _value(value) for key, value in config.recipe.shown.items()}, **about}
    epochs = _epochs(record)
    for row in as_records(record.runs):
        yield _run(row, epochs.get(row.run, []), shared, part, joined=config.data.joined)


def _epochs(record: Record) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each run's epochs: number, learning rate, loss, training and validation error, seconds."""
    names = ("run", "epoch", *_OF_EPOCH, "seconds")
    found: dict[str, list[tuple[Any, ...]]] = {}
    for run, *row in zip(*(record.epochs[name].tolist() for name in names), strict=True):
        found.setdefault(run, []).append(tuple(row))
    return found


def _run(
    row: RunRecord, epochs: list[tuple[Any, ...]], shared: Mapping[str, Value], part: str, *, joined: bool
) -> TrackedRun:
    ended = _seconds(row.finished)
    began = ended - row.seconds if math.isfinite(row.seconds) else ended  # not known of imported runs
    at, steps = began, list[Step]()
    for number, *values, seconds in epochs:
        at = min(at + seconds, ended) if math.isfinite(seconds) else ended
        metrics = {**dict(zip(_OF_EPOCH, values, strict=True)), "epoch_seconds": seconds}
        steps.append(Step(int(number), at, _finite(metrics, joined=joined)))
    costs: dict[str, Value] = {name: getattr(row, name) for name in COUNTED}
    costs |= {
        f"{name}_deviation": deviation
        for name in COUNTED
        if (deviation := getattr(row, f"{name}_deviation")) is not None
    }
    params: dict[str, Value] = {
        "setting": row.setting,
        "seed": row.seed,
        **{axis.name: value for axis in OWN if not axis.is_usual(value := getattr(row, axis.name))},
        "form": row.form,
        **({"space": row.space} if row.space else {}),
        **({"rate": row.rate} if row.rate != 1 else {}),
        **costs,
        **shared,
        **{key: getattr(row, key) for key in _ABOUT},
    }
    known = steps[-1].metrics if steps else {}
    end = _finite({key: getattr(row, key) for key in _AT_END if key not in known}, joined=joined)
    rate = "" if row.rate == 1 else f" rate {row.rate:g}"
    name = f"{part}{' ' if part else ''}{row.setting} seed {row.seed}{rate}"
    return TrackedRun(row.run, name, part, row.status, row.message, began, ended, params, tuple(steps), end)


def _finite(values: Mapping[str, float | None], *, joined: bool) -> dict[str, float]:
    """Metrics without those that there are not; a validation error of images that were trained on says nothing."""
    return {
        key: float(value)
        for key, value in values.items()
        if value is not None and math.isfinite(value) and not (joined and key == "val_error")
    }


def _value(value: Any) -> Value:
    return value if isinstance(value, Value) else plain(value)


def _seconds(text: str) -> float:
    """A moment of a record in seconds since 1970; the record may come from others, and then 0 where it is none."""
    time = moment(text)
    return time.timestamp() if time else 0.0
