"""How far a study has come, read from its record."""

from dataclasses import dataclass, replace
from pathlib import Path

from explorer import folder as study
from explorer import records
from explorer.design import parse_name
from explorer.planning import Latency, Setting, scope_of, settings_of
from explorer.run import FINAL_STATUSES, Decision
from explorer.runs import runs_wanted
from explorer.settings import StudyConfig


@dataclass(frozen=True)
class Progress:
    """Final runs of a study by setting, and how many there are meant to be.

    others  final runs at other learning rates, which `by_setting` does not count and `wanted` does
    """

    by_setting: dict[str, int]
    wanted: int
    others: int = 0

    @property
    def final(self) -> int:
        """Final runs of all settings."""
        return sum(self.by_setting.values()) + self.others


def settings_so_far(config: StudyConfig, recorded: records.Record | None) -> tuple[Setting, ...]:
    """The study's settings: those fixed in advance, or those that a search has chosen until now, in that order."""
    settings = settings_of(config)
    if not config.search.is_adaptive or recorded is None:
        return settings
    scope = scope_of(config)
    chosen = [one for one in recorded.decisions if one.decision == "chosen"]
    return tuple(replace(scope.setting(parse_name(one.setting)), latency=_latency(one)) for one in chosen)


def _latency(chosen: Decision) -> Latency | None:
    """What was measured when a design was chosen."""
    if chosen.latency is None or chosen.latency_lower is None or chosen.latency_upper is None:
        return None
    return Latency(chosen.latency_lower, chosen.latency, chosen.latency_upper)


def progress_of(config: StudyConfig, folder: Path) -> Progress:
    """Count the wanted runs that are in the record for good; a study that was never started has none."""
    study.refuse_gaps(folder)
    recorded = records.load(folder) if (folder / study.RUNS).exists() else None
    settings = settings_so_far(config, recorded)
    names = [setting.name for setting in settings]
    wanted = runs_wanted(config, settings)
    if recorded is None:
        return Progress(dict.fromkeys(names, 0), wanted)
    runs = recorded.runs
    final = runs.drop_duplicates(["setting", "seed", "rate"], keep="last")
    final = final[final["status"].isin(FINAL_STATUSES) & (final["seed"] < config.search.seeds)]
    own, others = final[final["rate"] == 1], final[final["rate"].isin(config.search.rates)]
    return Progress({name: int((own["setting"] == name).sum()) for name in names}, wanted, len(others))
