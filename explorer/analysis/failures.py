"""Runs that ended without a result: how many of how many diverged or ran out of memory, and why."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from explorer.study.run import JUDGED_STATUSES

WORDS = {"diverged": "diverged", "out_of_memory": "ran out of memory"}


@dataclass(frozen=True)
class Failures:
    """How many of some ended runs failed, and why.

    of       number of runs; those that a search stopped early are not counted
    counts   number of runs that failed, by status
    reasons  the most frequent message of the runs that failed, by status; "" if there was none
    """

    of: int
    counts: dict[str, int]
    reasons: dict[str, str]

    @property
    def all(self) -> bool:
        """Whether there are runs, and all of them failed."""
        return 0 < self.of == sum(self.counts.values())


def failures_of(runs: pd.DataFrame) -> Failures:
    """Count the failures among the runs of a record that a search did not stop early."""
    final = runs[runs["status"].isin(JUDGED_STATUSES)]
    poor = final[final["status"] != "ok"]
    counts = {status: number for status in WORDS if (number := int((poor["status"] == status).sum()))}
    reasons = {}
    for status in counts:
        said = poor.loc[poor["status"] == status, "message"].dropna().tolist() if "message" in poor else []
        frequencies = Counter(str(message) for message in said if message)
        reasons[status] = frequencies.most_common(1)[0][0] if frequencies else ""
    return Failures(len(final), counts, reasons)


def how(statuses: Iterable[str]) -> str:
    """The statuses of failed runs as a verb phrase: `diverged`, `diverged or ran out of memory`."""
    found = set(statuses)
    return " or ".join(words for status, words in WORDS.items() if status in found)
