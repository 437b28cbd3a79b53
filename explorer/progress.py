"""How far a study has come, read from its record."""

from dataclasses import dataclass
from pathlib import Path

from explorer import folder as study
from explorer import records
from explorer.planning import settings_of
from explorer.run import FINAL_STATUSES
from explorer.settings import StudyConfig


@dataclass(frozen=True)
class Progress:
    """Final runs of a study by setting, and how many there are meant to be."""

    by_setting: dict[str, int]
    wanted: int

    @property
    def final(self) -> int:
        """Final runs of all settings."""
        return sum(self.by_setting.values())


def progress_of(config: StudyConfig, folder: Path) -> Progress:
    """Count the wanted runs that are in the record for good; a study that was never started has none."""
    names = [setting.name for setting in settings_of(config)]
    wanted = len(names) * config.search.seeds
    study.refuse_gaps(folder)
    if not (folder / study.RUNS).exists():
        return Progress(dict.fromkeys(names, 0), wanted)
    runs = records.load(folder).runs
    final = runs.drop_duplicates(["setting", "seed"], keep="last")
    final = final[final["status"].isin(FINAL_STATUSES) & (final["seed"] < config.search.seeds)]
    return Progress({name: int((final["setting"] == name).sum()) for name in names}, wanted)
