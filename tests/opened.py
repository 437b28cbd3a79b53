"""Studies that were never on disk, opened as though they had been read and judged."""

import subprocess
from pathlib import Path
from typing import Any

from explorer.analysis.finding import Finding
from explorer.analysis.judging import OpenedStudy, judged
from explorer.record.records import Record
from explorer.study.plan import Plan, plan_of
from explorer.study.settings import StudyConfig

ENVIRONMENT: dict[str, Any] = {"data_hash": "abcd", "images": [400, 250, 1147], "versions": {}, "started": "2026"}


def opened(config: StudyConfig, record: Record, finding: Finding, **more: Any) -> OpenedStudy:
    """A study of these settings with this record and finding."""
    values = {"environment": ENVIRONMENT, "execution": {"device": "cpu", "threads": 1}, **more}
    return OpenedStudy(Path(), plan_of(config), record, finding, **values)


def judge(config: StudyConfig, record: Record) -> tuple[Plan, Finding]:
    """What a record says, and the plan with the number of seeds that the study is to have now."""
    found = judged(Path(), plan_of(config), record, {}, ENVIRONMENT, {})
    return found.plan, found.finding


def recorded_studies() -> list[Path]:
    """The folders of the studies that the repository holds; not of those that somebody has made in this checkout."""
    root = Path(__file__).parents[1]
    words = ["git", "-C", str(root), "ls-files", "--", "studies/*/config.yaml"]
    listed = subprocess.run(words, capture_output=True, text=True)
    if listed.returncode:  # a copy without its repository
        return sorted(path.parent for path in (root / "studies").glob("*/config.yaml"))
    return [root / Path(line).parent for line in sorted(listed.stdout.splitlines())]
