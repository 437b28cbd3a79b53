"""`fork=true`: a study whose settings or sources have changed is left as it is and continued under a new name.

Runs that both need are not trained again: a run of the first study with an id that the new one needs is reused if it
was made by the same sources and the same torch, on the same images and device.
"""

import secrets
import shutil
from collections import Counter
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from rich.console import Console

from explorer.engine.open import open_engine
from explorer.engine.remote import installed
from explorer.host.commands import command_for
from explorer.host.console import PLAIN
from explorer.host.errors import InputError
from explorer.record import folder as study
from explorer.record import records
from explorer.record.changes import difference_lines, fork_of, of_host, of_settings
from explorer.record.progress import Progress, progress_of
from explorer.record.rows import RunRecord, record_of
from explorer.record.starts import (
    Fork,
    Start,
    digest,
    placed,
    started_study,
    starts_of,
    used_sources,
    write_environment,
)
from explorer.search.display import waiting
from explorer.search.measuring import Measurer
from explorer.study.designs import Setting
from explorer.study.job import HostQuestion, HostReport
from explorer.study.lengths import lengths_in
from explorer.study.plan import Plan
from explorer.study.run import FINAL_STATUSES, JUDGED_STATUSES, EpochResult, Execution, Filters, Outcome, Run
from explorer.study.runs import is_judged, rate_of, runs_of
from explorer.study.settings import StudyConfig
from explorer.training.sources import decisive_sources

Taken = list[tuple[Setting, Run, RunRecord]]


def forked(plan: Plan, console: Console, *, must: bool = False) -> tuple[Plan, Fork | None]:
    """The plan under the name with which `fork=true` continues, and the study that a new study of that name forks.

    A worker first reports device and images, since these are compared too. Raises InputError if nothing differs and it
    `must`, since a person who says `explorer fork NAME` does not mean that study itself.
    """
    config = plan.config
    # A folder of its own: the study may be running, and an engine takes what it finds in a folder for a dead start's.
    asking = study.study_folder(config.name) / "local" / f"fork-{secrets.token_hex(4)}"
    engine = open_engine(config, asking)
    try:
        with waiting(console, "Looking for what differs: starting a worker, reading images"):
            (host_report,) = engine.ask(HostQuestion(config.data, config.device))
    finally:
        engine.close()
        shutil.rmtree(asking, ignore_errors=True)
    name, differences = fork_of(config, cast(HostReport, host_report))
    if not differences and must:
        example = command_for("fork", config.name, "recipe.epochs=20")
        raise InputError(
            f"fork: nothing that decides a result is changed, so {config.name} would go on as it is; say what is to "
            f"differ, as in {example}, or continue it with {command_for('', config.name)}"
        )
    if not differences:
        console.print(f"Nothing that decides a result differs: {config.name} goes on as it is", **PLAIN)
        return plan, None
    for line in difference_lines(study.study_folder(config.name), differences, f"its fork is {name}"):
        console.print(line, **PLAIN)
    return plan.with_name(name), Fork(config.name, tuple(map(str, differences)))


def execution_of(fork: Fork | None, measurer: Measurer) -> Execution | None:
    """The execution plan of the forked study, so that runs can be equal; None if this device cannot execute it."""
    source = started_study(study.study_folder(fork.study)) if fork else None
    if source is None or of_host(source, measurer.config, measurer.host_report):
        return None
    return source.plan


def reuse_runs(
    plan: Plan, past: records.Record, folder: Path, execution: Execution, start: Start, console: Console
) -> bool:
    """Copy reusable runs of the forked study into this study's record, at every start those that it still lacks.

    `past` is the record until now. Returns whether any run was copied.
    """
    environment = start.environment
    source = study.study_folder(str(environment.get("forked_from", {}).get("study")))
    theirs = study.stored_environment(source)
    if "forked_from" not in environment or theirs is None or not (source / study.RUNS).exists():
        return False
    is_new = past.runs.empty
    if plan.config.search.is_adaptive:
        if is_new:
            words = "a search takes no runs over: each of its designs follows from the results before it"
            console.print(f"{source}: {words}", **PLAIN)
        return False
    starts = starts_of(environment)
    origin = _opened(source, theirs)
    asked = runs_of(plan, plan.settings, execution, str(environment["data_hash"]))
    found = _taken(plan.config, past, asked, origin, starts[start.number])
    places = {}
    for number in dict.fromkeys(row.start for _, _, row in found):
        starts, places[number] = placed(starts, origin.starts[number])
    environment = {**environment, "starts": starts}
    if "by_seed" in (own := environment.get("preprocessing", {})):
        theirs = origin.preprocessing.get("by_seed", {})
        taken = {str(run.seed): theirs[str(run.seed)] for _, run, _ in found if str(run.seed) in theirs}
        environment["preprocessing"] = own | {"by_seed": taken | own["by_seed"]}
    write_environment(folder, environment)
    for setting, run, row in found:
        outcome, macs, when = _outcome(row, origin.right.get(run.id)), row.fvcore_macs, row.finished
        if plan.config.records_filters:
            outcome = replace(outcome, filters=_filters(origin.record, run.id))
        place = places[row.start]
        record = record_of(plan.config, setting, run, outcome, fvcore_macs=macs, finished=when, start=place)
        records.commit(folder, record, _epochs(origin.record, run.id), outcome)
    if found or is_new:
        console.print(f"Runs taken over from {source}: {len(found)}", markup=False, highlight=False)
    return bool(found)


def foreseen(plan: Plan, past: records.Record | None, folder: Path, forked: str | None) -> tuple[Path, Taken]:
    """Foresee which runs the next start will reuse: the folder of the forked study, and these runs.

    The forked study is named by `forked` or by the fork's own record. No worker is asked: device and images are assumed
    to be those that the study was started on. `past` is the fork's record until now.
    """
    config = plan.config
    own = started_study(folder)
    name = (own.environment.get("forked_from", {}).get("study") if own else None) or forked
    source = study.study_folder(str(name)) if name else folder
    if source == folder or config.search.is_adaptive or (theirs := started_study(source)) is None:
        return source, []
    known = own or theirs
    sources, data_hash = used_sources(config, decisive_sources()), str(known.environment["data_hash"])
    execution, torch = known.plan, {"torch": installed("torch")}
    there = HostReport(execution.device, execution.device_name, data_hash, torch, has_kernels=True, sources=sources)
    other_images = any(one.key.startswith("data.") for one in of_settings(known, config))
    if other_images or of_host(known, config, there) or not (source / study.RUNS).exists():
        return source, []
    plan = plan.with_lengths(lengths_in(known.environment, str(known.folder)))
    if any(plan.steps_of(one) is None for one in plan.settings):  # measured by the start
        return source, []
    asked = runs_of(plan, plan.settings, execution, data_hash)
    origin = _opened(source, theirs.environment)
    return source, _taken(config, past, asked, origin, {"versions": torch, "sources": digest(sources)})


def progress_with(plan: Plan, past: records.Record | None, taken: Taken) -> Progress:
    """The progress of a study after its next start has reused these runs."""
    own = progress_of(plan, past)
    seeds = plan.every_seed
    taken = [one for one in taken if one[1].seed in seeds]
    rates = Counter(setting.name for setting, run, _ in taken if rate_of(plan.config, run) == 1)
    return Progress(
        {one: n + rates[one] for one, n in own.by_setting.items()}, own.wanted, own.others + len(taken) - rates.total()
    )


@dataclass(frozen=True)
class _Origin:
    """The forked study: its starts, its record, which test images its runs classified correctly, and its preprocessing.

    That is empty of a study of an earlier version.
    """

    starts: list[dict[str, Any]]
    record: records.Record
    right: dict[str, "np.typing.NDArray[np.bool_]"]
    preprocessing: dict[str, Any]


def _opened(folder: Path, environment: dict[str, Any]) -> _Origin:
    record = records.load(folder)
    right = records.load_correct(folder, record=record)
    return _Origin(starts_of(environment), record, right, environment.get("preprocessing", {}))


def _taken(
    config: StudyConfig,
    past: records.Record | None,
    asked: list[tuple[Setting, Run]],
    origin: _Origin,
    start: dict[str, Any],
) -> Taken:
    """The runs that a study lacks and that another's record has as final, made as this start would make them.

    A run is reused only if it has a test error there exactly when this study would test it.
    """
    alike = {number for number, one in enumerate(origin.starts) if _is_alike(one, start)}
    rows = [row for row in records.as_records(origin.record.runs) if row.start in alike]
    there = {row.run: row for row in rows if row.test_error is None or row.run in origin.right}
    known = set() if past is None else set(past.runs.loc[past.runs["status"].isin(FINAL_STATUSES), "run"])
    found = []
    for setting, run in asked:
        row = there.get(run.id)
        if row is None or row.status not in JUDGED_STATUSES or run.id in known:
            continue
        if row.status != "ok" or (row.test_error is not None) == is_judged(config, run):
            found.append((setting, run, row))
    return found


def _is_alike(theirs: dict[str, Any], ours: dict[str, Any]) -> bool:
    """Whether a run would be the same under both starts; False for a start of an early version that lacks the facts."""
    torch = [dict(one.get("versions") or {}).get("torch") for one in (theirs, ours)]
    return theirs.get("sources") == ours["sources"] and torch[0] == torch[1]


def _epochs(past: records.Record, run_id: str) -> list[EpochResult]:
    """The epochs of a run, read back from their rows."""
    rows = past.epochs[past.epochs["run"] == run_id].drop(columns="run").to_dict("records")
    return [EpochResult(**{str(key): value for key, value in row.items()}) for row in rows]


def _filters(past: records.Record, run_id: str) -> tuple[Filters, ...]:
    """The filters of a run, read back from their rows; none of a run of an earlier version."""
    rows = past.filters[past.filters["run"] == run_id].drop(columns="run").to_dict("records")
    return tuple(Filters(**{str(key): value for key, value in row.items()}) for row in rows)


def _outcome(row: RunRecord, right: "np.typing.NDArray[np.bool_] | None") -> Outcome:
    """The outcome of a run, read back from its row."""
    own = {field.name: getattr(row, field.name) for field in fields(Outcome) if hasattr(row, field.name)}
    correct = np.packbits(right).tobytes() if right is not None else b""
    return Outcome(**own, correct=correct, test_images=0 if right is None else len(right))
