"""How far a study has come, according to its record."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from explorer.design import parse_name
from explorer.host.errors import InputError
from explorer.record import folder as study
from explorer.record import records
from explorer.record.rows import Decision
from explorer.study.designs import Latency, Setting
from explorer.study.plan import Plan
from explorer.study.run import FINAL_STATUSES, Run, as_recorded
from explorer.study.runs import rate_of
from explorer.study.settings import StudyConfig


@dataclass(frozen=True)
class Progress:
    """Numbers of final runs of a study, by setting, and the number of planned runs.

    others  final runs at other learning rates; they count in `wanted` but not in `by_setting`
    """

    by_setting: dict[str, int]
    wanted: int
    others: int = 0

    @property
    def final(self) -> int:
        """Number of final runs of all settings, including other learning rates."""
        return sum(self.by_setting.values()) + self.others

    @property
    def left(self) -> int:
        """Number of runs that are still to be trained."""
        return self.wanted - self.final


def names_so_far(plan: Plan, recorded: records.Record | None) -> list[str]:
    """The names of the settings known so far: `settings_so_far` without parsing each design, which is much faster."""
    if not plan.config.search.is_adaptive or recorded is None:
        return [setting.name for setting in plan.settings]
    return recorded.chosen()


def settings_so_far(plan: Plan, recorded: records.Record | None) -> tuple[Setting, ...]:
    """The study's settings known so far: those fixed in advance, or those that a search has chosen, in that order."""
    if recorded is None:
        return plan.settings
    if not plan.config.search.is_adaptive:
        if not recorded.readings:
            return plan.settings
        return tuple(replace(one, readings=recorded.readings.get(one.name, ())) for one in plan.settings)
    chosen = [one for one in recorded.decisions if one.decision == "chosen"]
    return tuple(
        Setting(
            parse_name(one.setting),
            plan.scope,
            latency=_latency(one),
            readings=recorded.readings.get(one.setting, ()),
        )
        for one in chosen
    )


def _latency(chosen: Decision) -> Latency | None:
    """The latency that was measured when a design was chosen; None if none was."""
    if chosen.latency is None or chosen.latency_lower is None or chosen.latency_upper is None:
        return None
    return Latency(chosen.latency_lower, chosen.latency, chosen.latency_upper)


def without_weights(recorded: records.Record, folder: Path) -> str:
    """A message on runs whose weights should have been kept and are missing; empty if there are none."""
    kept = folder / "local" / "weights"
    trained = recorded.runs.loc[recorded.runs["status"] == "ok", "run"]
    missing = sum(not (kept / f"{run}.safetensors").exists() for run in trained)
    if not missing:
        return ""
    return (
        f"storage.weights=last: {missing} of {len(trained)} runs have no weights in {kept}, since they are kept when a "
        "run is trained; to train these again under another name"
    )


def progress_of(plan: Plan, recorded: records.Record | None) -> Progress:
    """Count the planned runs of the settings known so far that the record holds as final; 0 each without a record."""
    names = names_so_far(plan, recorded)
    if recorded is None:
        return Progress(dict.fromkeys(names, 0), plan.runs)
    runs = recorded.runs
    final = runs.drop_duplicates(["setting", "seed", "rate"], keep="last")
    final = final[final["status"].isin(FINAL_STATUSES) & final["seed"].isin(plan.every_seed)]
    if plan.config.is_imported:
        counts = Counter(final["setting"])
        return Progress({name: counts[name] for name in names}, len(final))
    own, others = final[final["rate"] == 1], final[final["rate"].isin(map(as_recorded, plan.config.search.rates))]
    counts = Counter(own["setting"])
    return Progress({name: counts[name] for name in names}, plan.runs, len(others))


def refuse_foreign(
    config: StudyConfig, folder: Path, runs: list[tuple[Setting, Run]], recorded: records.Record
) -> None:
    """Raise InputError if the record holds a run of these settings, seeds and rates under another id.

    It was made by other sources, or by other settings than those in `config.yaml`; such runs must not be mixed.
    """
    if found := foreign(config, runs, recorded):
        raise InputError(f"{folder}: {found}; restore {study.CONFIG}, or continue with the version that wrote it")


def foreign(config: StudyConfig, runs: list[tuple[Setting, Run]], recorded: records.Record) -> str:
    """A message on runs recorded under another id than the settings give: the first and their number; empty if none."""
    final = recorded.runs[recorded.runs["status"].isin(FINAL_STATUSES)]
    columns = (final[name].tolist() for name in ("setting", "seed", "rate", "run"))
    known = {(setting, seed, rate): run for setting, seed, rate, run in zip(*columns, strict=True)}
    other = [
        (setting, run, old)
        for setting, run in runs
        if (old := known.get((setting.name, run.seed, rate_of(config, run)), run.id)) != run.id
    ]
    if not other:
        return ""
    setting, run, old = other[0]
    more = f", and {len(other) - 1} more so" if len(other) > 1 else ""
    return f"{setting.name} seed {run.seed} is recorded as run {old}, which these settings call {run.id}{more}"
