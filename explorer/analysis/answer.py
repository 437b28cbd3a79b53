"""Which trained network is a study's answer: the one that a person takes away and uses."""

from pathlib import Path
from typing import NamedTuple

from explorer.analysis.answer_choice import best_by_validation, completed
from explorer.analysis.judging import OpenedStudy
from explorer.design.name import display_setting
from explorer.host.commands import command_for
from explorer.host.errors import InputError
from explorer.host.formatting import counted, percent
from explorer.record.records import as_records
from explorer.record.rows import RunRecord
from explorer.study.final import final_runs


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
    lower seed.

    Raises InputError if no run came through, and for a search whose final round is not finished or without a result: it
    has no answer yet, and the network that it would train anew is none.
    """
    if final_runs(study.config):
        return _of_final(study)
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


def _of_final(study: OpenedStudy) -> Answer:
    """The answer of a search with a final round. Raises InputError if there is none, with what to do."""
    final, name = study.final, study.folder.name
    if final is None and study.finding.complete:
        raise InputError(f"{study.folder}: no run has come through yet, so there is no network to take")
    if final is None or not final.found.complete:
        far = f"{study.finding.final} of {study.finding.wanted} runs of the search are in, and then its final round"
        if final is not None:
            far = final.found.fault or f"{final.found.done} of {final.found.wanted} runs of its final round are in"
        raise InputError(
            f"{study.folder}: has no answer yet ({far}); first finish it with {command_for('', name)}"
            f"{_of_search(study, name)}"
        )
    chosen, record = final.found.settings[0], final.study.record
    assert record is not None
    runs = [run for run in as_records(record.runs) if run.setting == chosen and run.status == "ok"]
    if not runs:
        raise InputError(
            f"{study.folder}: has no answer, since no run of {display_setting(chosen)} came through in the final round"
            f"{_of_search(study, name)}"
        )
    run = min(runs, key=lambda one: one.seed)
    ended, error = counted(final.found.ended, "design"), percent(final.found.validation[chosen])
    why = (
        f"{display_setting(chosen)} had the lowest validation error of the {ended} that came to their end, {error}, "
        f"and was trained anew on training and validation images together; this is the first of its "
        f"{counted(len(runs), 'fresh seed')}"
    )
    return Answer(final.folder, run, why)


def _of_search(study: OpenedStudy, name: str) -> str:
    """How to take a network of the search itself, which is no answer; "" if none came through yet."""
    own = completed(study.record, study.plan.every_seed)
    if not own:
        return ""
    design = best_by_validation(own)[0][0]
    return f"; {command_for('export', name, f'architecture={design}')} takes a network of the search itself"
