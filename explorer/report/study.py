"""A study as its page is made of it."""

from dataclasses import dataclass
from typing import Any

from explorer.analysis.finding import Finding
from explorer.record.records import Record
from explorer.study.settings import StudyConfig


@dataclass(frozen=True)
class Study:
    """Everything a page is made of; `environment` and `execution` are the JSON files of the study's folder."""

    config: StudyConfig
    record: Record
    finding: Finding
    environment: dict[str, Any]
    execution: dict[str, Any]
