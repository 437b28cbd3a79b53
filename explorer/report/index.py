"""`reports/index.html`: every study with its question and verdict."""

from dataclasses import dataclass
from pathlib import Path

from explorer.report.page import policy, render
from explorer.table import write_whole


@dataclass(frozen=True)
class Entry:
    """One line of the index. `page` is the file name of the study's page, None where none has been drawn."""

    name: str
    question: str
    data: str
    verdict: str
    final: int
    wanted: int
    date: str
    page: str | None


def write_index(entries: list[Entry], path: Path) -> None:
    """Write the index, newest study first; the file is replaced whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = sorted(entries, key=lambda entry: (entry.date, entry.name), reverse=True)
    write_whole(path, render("index.html.j2", title="Studies", entries=ordered, policy=policy([])))
