"""Which trained network is a study's answer: the one that a person takes away and uses."""

from pathlib import Path
from typing import NamedTuple

from explorer.analysis.answer_choice import best_by_validation, completed
from explorer.analysis.final_study import FinalStudy
from explorer.analysis.judging import OpenedStudy
from explorer.design.name import display_setting
from explorer.host.errors import InputError
from explorer.host.formatting import counted, percent
from explorer.record.records import as_records
from explorer.record.rows import RunRecord


class Answer(NamedTuple):
    """The run that answers a study.

    folder  of the study that recorded it, whose `config.yaml`, `execution.json` and `local/weights` are the run's
    run     its row of `runs.csv`
    why     why it is this one, in one sentence without a full stop at its end
    """

    folder: Path
    run: RunRecord
    why: str


def answer_of(study: OpenedStudy) -> Answer:
    """The design and the seed that a study's validation images choose; no test image has a say in it.

    Of a search with a finished final round (`study=best`) it is the design that won the search, trained anew on
    training and validation images together: the run of its first fresh seed that came through, whose weights are kept.

    Of any other study it is the setting with the lowest mean validation error among those whose runs all came through,
    and of its runs the one with the lowest validation error; equal ones are decided by fewer multiply-adds, and by the
    lower seed. Raises InputError if no run came through.
    """
    if study.final is not None and study.final.found.complete and (found := _of_final(study.final)):
        return found
    own = completed(study.record, study.plan.every_seed)
    if not own:
        raise InputError(f"{study.folder}: no run has come through yet, so there is no network to take")
    by_setting: dict[str, list[RunRecord]] = {}
    for run in own:
        by_setting.setdefault(run.setting, []).append(run)
    name, mean = best_by_validation(own)[0]
    run = min(by_setting[name], key=lambda one: (one.val_error or 0.0, one.seed))
    seeds = counted(len(by_setting[name]), "seed")
    why = (
        f"{display_setting(name)} has the lowest validation error of {counted(len(by_setting), 'design')}, "
        f"{percent(mean)} over {seeds}, and seed {run.seed} the lowest of these, {percent(run.val_error or 0.0)}"
    )
    return Answer(study.folder, run, why)


def _of_final(final: FinalStudy) -> Answer | None:
    """The answer of a complete final round; None if no run of the chosen design came through."""
    name, record = final.found.settings[0], final.study.record
    assert record is not None
    runs = [run for run in as_records(record.runs) if run.setting == name and run.status == "ok"]
    if not runs:
        return None
    run = min(runs, key=lambda one: one.seed)
    why = (
        f"{display_setting(name)} had the lowest validation error of {counted(final.found.tried, 'design')}, "
        f"{percent(final.found.validation[name])}, and was trained anew on training and validation images together; "
        f"this is the first of its {counted(len(runs), 'fresh seed')}"
    )
    return Answer(final.folder, run, why)
