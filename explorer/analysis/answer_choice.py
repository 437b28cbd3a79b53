"""Orders the designs of a study by their validation errors: the only images that choose."""

from collections.abc import Collection

from explorer.record.records import Record, as_records
from explorer.record.rows import RunRecord


def completed(record: Record, seeds: Collection[int]) -> list[RunRecord]:
    """The runs that came through, at the recipe's rate, of every setting of which all `seeds` came through.

    Without any such setting: of all settings.
    """
    own = [
        run
        for run in as_records(record.runs)
        if run.status == "ok" and run.rate == 1 and run.val_error is not None and run.seed in seeds
    ]
    counts: dict[str, set[int]] = {}
    for run in own:
        counts.setdefault(run.setting, set()).add(run.seed)
    whole = [run for run in own if len(counts[run.setting]) == len(seeds)]
    return whole or own


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
