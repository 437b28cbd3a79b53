"""Which trained network is a study's answer: the one that a person takes away and uses."""

from pathlib import Path
from typing import NamedTuple

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

    Of the settings whose runs came through it is the one with the lowest mean validation error, and of its runs the one
    with the lowest validation error; equal ones are decided by fewer multiply-adds, and by the lower seed. Raises
    InputError if no run came through.
    """
    own = [run for run in as_records(study.record.runs) if run.status == "ok" and run.rate == 1]
    own = [run for run in own if run.val_error is not None]
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


def best_by_validation(runs: list[RunRecord]) -> list[tuple[str, float]]:
    """The settings of runs that came through, each with its mean validation error, the lowest first.

    Equal errors are decided by fewer multiply-adds, and then by the name.
    """
    errors: dict[str, list[float]] = {}
    for run in runs:
        if run.val_error is not None:
            errors.setdefault(run.setting, []).append(run.val_error)
    macs = {run.setting: run.macs for run in runs}
    means = {name: sum(own) / len(own) for name, own in errors.items()}
    return sorted(means.items(), key=lambda one: (round(one[1], 12), macs[one[0]], one[0]))
