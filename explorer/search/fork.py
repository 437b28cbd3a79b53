"""`fork=true`: a study that was started differently is left as it is, and goes on as a new one under another name.

What both have in common is not trained again: runs of the first study that the second one asks for, by the same id, are
taken over where they were made by the same sources, the same torch, on the same images and device.
"""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import cast

import numpy as np
from rich.console import Console

from explorer import folder as study
from explorer import records
from explorer.changes import fork_of, of_surroundings, settled, told
from explorer.job import Surroundings, Survey
from explorer.planning import Setting, settings_of
from explorer.run import FINAL_STATUSES, JUDGED_STATUSES, EpochResult, Execution, Outcome, Run, RunRecord
from explorer.runs import is_judged, record_of, runs_of
from explorer.search.execution import Bench
from explorer.search.local import LocalEngine
from explorer.settings import StudyConfig
from explorer.starts import Fork, Start, placed, starts_of, write_environment


def forked(config: StudyConfig, console: Console) -> tuple[StudyConfig, Fork | None]:
    """The settings under the name that `fork=true` lets them go on with, and what a new study of that name forks.

    All that may differ is compared, so a worker has a look at the device and the images first.
    """
    engine = LocalEngine(slots=1, retries=config.engine.retries, silence=config.engine.silence)
    try:
        with console.status("Looking for what differs: starting a worker, reading images"):
            (surroundings,) = engine.ask(Survey(config.data, config.device))
    finally:
        engine.close()
    name, differences = fork_of(config, cast(Surroundings, surroundings))
    if not differences:
        return config, None
    console.print(
        told(study.study_folder(config.name), differences, f"its fork is {name}"),
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
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
    if bench.config.search.is_adaptive:
        words = "a search takes no runs over: each of its designs follows from the results before it"
        console.print(f"{source}: {words}", markup=False, highlight=False, soft_wrap=True)
        return
    theirs, starts = study.stored_environment(source) or {}, starts_of(environment)
    ours = starts[start.number]
    alike = {number: one for number, one in enumerate(starts_of(theirs)) if _is_alike(one, ours)}
    past, right = records.load(source), records.load_correct(source)
    wanted = {row.run: row for row in records.as_records(past.runs) if row.start in alike}
    own = records.load(folder).runs
    found = list(_found(bench, execution, wanted, set(own.loc[own["status"].isin(FINAL_STATUSES), "run"])))
    places = {}
    for row in (row for _, _, row in found):
        starts, places[row.start] = placed(starts, alike[row.start])
    write_environment(folder, {**environment, "starts": starts})
    for setting, run, row in found:
        outcome = _outcome(row, right.get(row.run))
        record = record_of(
            bench.config,
            setting,
            run,
            outcome,
            fvcore_macs=row.fvcore_macs,
            finished=row.finished,
            start=places[row.start],
        )
        rows = past.epochs[past.epochs["run"] == run.id].drop(columns="run").to_dict("records")
        epochs = [EpochResult(**{str(key): value for key, value in epoch.items()}) for epoch in rows]
        records.commit(folder, record, epochs, outcome)
    console.print(f"{len(found)} runs are taken over from {source}", markup=False, highlight=False)


def _found(
    bench: Bench, execution: Execution, wanted: dict[str, RunRecord], known: set[str]
) -> Iterator[tuple[Setting, Run, RunRecord]]:
    """The study's runs that are there already: for good, and with a test exactly if this study tests them."""
    config = bench.config
    for setting, run in runs_of(config, settings_of(config), execution, bench.surroundings.data_hash):
        row = wanted.get(run.id)
        if row is None or run.id in known or row.status not in JUDGED_STATUSES:
            continue
        if row.status != "ok" or (row.test_error is not None) == is_judged(config, run):
            yield setting, run, row


def _is_alike(theirs: dict[str, object], ours: dict[str, object]) -> bool:
    """Whether a run of one start would be the same under the other; one of an earlier version does not tell."""
    versions = [cast(dict[str, str], one["versions"]) for one in (theirs, ours)]
    return theirs.get("sources") == ours["sources"] and versions[0].get("torch") == versions[1].get("torch")


def _outcome(row: RunRecord, right: "np.typing.NDArray[np.bool_] | None") -> Outcome:
    """What came of a run, read back from its row."""
    own = {field.name: getattr(row, field.name) for field in fields(Outcome) if hasattr(row, field.name)}
    correct = np.packbits(right).tobytes() if right is not None else b""
    return Outcome(**own, correct=correct, test_images=0 if right is None else len(right))
