"""`fork=true`: a study that was started differently is left as it is, and goes on as a new one under another name.

What both have in common is not trained again: runs of the first study that the second one asks for, by the same id, are
taken over where they were made by the same sources, the same torch, on the same images and device.
"""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from rich.console import Console

from explorer import folder as study
from explorer import records
from explorer.changes import fork_of, of_surroundings, settled, told
from explorer.job import Surroundings, Survey
from explorer.planning import Setting, settings_of
from explorer.run import FINAL_STATUSES, JUDGED_STATUSES, EpochResult, Execution, Outcome, Run, RunRecord
from explorer.runs import is_judged, record_of, runs_of
from explorer.search.engine import open_engine
from explorer.search.measuring import Bench
from explorer.search.progress import waiting
from explorer.settings import StudyConfig
from explorer.starts import Fork, Start, placed, starts_of, write_environment


def forked(config: StudyConfig, console: Console) -> tuple[StudyConfig, Fork | None]:
    """The settings under the name that `fork=true` lets them go on with, and what a new study of that name forks.

    All that may differ is compared, so a worker has a look at the device and the images first.
    """
    engine = open_engine(config, study.study_folder(config.name))
    try:
        with waiting(console, "Looking for what differs: starting a worker, reading images"):
            (surroundings,) = engine.ask(Survey(config.data, config.device))
    finally:
        engine.close()
    name, differences = fork_of(config, cast(Surroundings, surroundings))
    if not differences:
        return config, None
    for line in told(study.study_folder(config.name), differences, f"its fork is {name}"):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return replace(config, name=name), Fork(config.name, tuple(map(str, differences)))


def plan_of(fork: Fork | None, bench: Bench) -> Execution | None:
    """The execution plan of the study that is forked, so that runs may be the same; None if it cannot be followed."""
    source = study.study_folder(fork.study) if fork else None
    if source is None or of_surroundings(source, bench.config, bench.surroundings):
        return None
    return settled(source, bench.config, bench.surroundings)


def take_over(bench: Bench, folder: Path, execution: Execution, start: Start, console: Console) -> None:
    """Write the runs of the study that was forked into this one's record, at every start those that it lacks."""
    environment = study.stored_environment(folder) or {}
    source = study.study_folder(str(environment.get("forked_from", {}).get("study")))
    if "forked_from" not in environment or not (source / study.RUNS).exists():
        return
    own = records.load(folder).runs
    is_new, known = own.empty, set(own.loc[own["status"].isin(FINAL_STATUSES), "run"])
    if bench.config.search.is_adaptive:
        if is_new:
            words = "a search takes no runs over: each of its designs follows from the results before it"
            console.print(f"{source}: {words}", markup=False, highlight=False, soft_wrap=True)
        return
    starts, theirs = starts_of(environment), starts_of(study.stored_environment(source) or {})
    alike = {number: one for number, one in enumerate(theirs) if _is_alike(one, starts[start.number])}
    past, right = records.load(source), records.load_correct(source)
    rows = [row for row in records.as_records(past.runs) if row.start in alike and row.run not in known]
    there = {row.run: row for row in rows if row.test_error is None or row.run in right}
    found = list(_found(bench, execution, there))
    places = {}
    for number in dict.fromkeys(row.start for _, _, row in found):
        starts, places[number] = placed(starts, alike[number])
    write_environment(folder, {**environment, "starts": starts})
    for setting, run, row in found:
        outcome, macs, when = _outcome(row, right.get(run.id)), row.fvcore_macs, row.finished
        place = places[row.start]
        record = record_of(bench.config, setting, run, outcome, fvcore_macs=macs, finished=when, start=place)
        records.commit(folder, record, _epochs(past, run.id), outcome)
    if found or is_new:
        console.print(f"Runs taken over from {source}: {len(found)}", markup=False, highlight=False)


def _found(bench: Bench, execution: Execution, there: dict[str, RunRecord]) -> Iterator[tuple[Setting, Run, RunRecord]]:
    """The study's runs that are there already: for good, and with a test exactly if this study tests them."""
    config = bench.config
    for setting, run in runs_of(config, settings_of(config), execution, bench.surroundings.data_hash):
        row = there.get(run.id)
        if row is None or row.status not in JUDGED_STATUSES:
            continue
        if row.status != "ok" or (row.test_error is not None) == is_judged(config, run):
            yield setting, run, row


def _is_alike(theirs: dict[str, Any], ours: dict[str, Any]) -> bool:
    """Whether a run of one start would be the same under the other; one of an earlier version does not tell."""
    torch = [dict(one.get("versions") or {}).get("torch") for one in (theirs, ours)]
    return theirs.get("sources") == ours["sources"] and torch[0] == torch[1]


def _epochs(past: records.Record, run_id: str) -> list[EpochResult]:
    """What is known of a run's epochs, read back from their rows."""
    rows = past.epochs[past.epochs["run"] == run_id].drop(columns="run").to_dict("records")
    return [EpochResult(**{str(key): value for key, value in row.items()}) for row in rows]


def _outcome(row: RunRecord, right: "np.typing.NDArray[np.bool_] | None") -> Outcome:
    """What came of a run, read back from its row."""
    own = {field.name: getattr(row, field.name) for field in fields(Outcome) if hasattr(row, field.name)}
    correct = np.packbits(right).tobytes() if right is not None else b""
    return Outcome(**own, correct=correct, test_images=0 if right is None else len(right))
