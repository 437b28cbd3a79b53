"""What a study was started on: `environment.json` says it of the first start, and of each one unlike those before it.

A row of the record names its start by the place in that list, so that what may differ within a study is known for each
row. What may not differ is compared in `changes`.
"""

import hashlib
import json
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

import explorer
from explorer.host.errors import InputError
from explorer.host.files import write_whole
from explorer.host.formatting import without_password
from explorer.record.folder import (
    CONFIG,
    ENVIRONMENT,
    EXECUTION,
    now,
    refuse_gaps,
    stored_config,
    stored_environment,
    stored_execution,
    write_execution,
)
from explorer.study.job import HostReport
from explorer.study.run import Convolution, Execution
from explorer.study.settings import StudyConfig


@dataclass(frozen=True)
class Fork:
    """Where a new study comes from: the one it would have continued, had nothing differed."""

    study: str
    differences: tuple[str, ...]


@dataclass(frozen=True)
class Start:
    """One start of a study: its place among those written down, and lines for a person about what differs.

    environment  what was written down of all starts
    """

    number: int
    environment: dict[str, Any]
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class Started:
    """What the starts of a study wrote down: its settings, what it was started on, and its execution plan, as trees."""

    folder: Path
    config: dict[str, Any]
    environment: dict[str, Any]
    execution: dict[str, Any]

    @property
    def plan(self) -> Execution:
        """The execution plan. Raises InputError where its file holds something else."""
        return execution_in(self.execution, self.folder)


def started_study(folder: Path) -> Started | None:
    """What the starts of a study wrote down; None before the first has.

    Raises InputError where a part of a study that has begun is missing or cannot be used.
    """
    refuse_gaps(folder)
    # The settings are written last: without them a first start was cut short before anything followed from it.
    tree = stored_config(folder)
    if tree is None:
        return None
    environment, execution = stored_environment(folder), stored_execution(folder)
    assert environment is not None
    assert execution is not None
    return Started(folder, tree, environment, execution)


def execution_in(tree: dict[str, Any], folder: Path) -> Execution:
    """The execution plan that a study's file holds. Raises InputError for a file that holds something else."""
    try:
        convolutions = tuple(Convolution(**choice) for choice in tree.get("convolutions", []))
        return Execution(**{**tree, "convolutions": convolutions})
    except TypeError:
        raise InputError(f"{folder / EXECUTION}: is not an execution plan; restore the file") from None


def begin(
    folder: Path,
    before: Started | None,
    config: StudyConfig,
    execution: Execution,
    host_report: HostReport,
    fork: Fork | None = None,
) -> Start:
    """Write down what every later start must share, what this one is on, and the settings as they are now.

    `before` is what the starts before it wrote down.
    """
    entry, told = _entry(config, host_report), []
    environment = dict(before.environment) if before else None
    if environment is None:
        environment = _first(host_report, entry) | ({"forked_from": asdict(fork)} if fork else {})
    elif "sources" not in environment:
        told.append(
            f"{folder}: was started by an earlier version, which kept no digests of its sources: whether those that "
            "decide a number have changed since cannot be told; they are kept from now on"
        )
    environment["starts"], number = placed(starts_of(environment), entry)
    different = [f"{key} was {then}, now {new}" for key, then, new in unlike(environment["starts"][0], entry)]
    if different:
        told.append(f"This start differs from the study's first: {'; '.join(different)}; its runs have start {number}")
    environment.setdefault("sources", host_report.sources)
    # A search adds convolutions to its plan; the id of a run tells those that it was executed with.
    plan = {key: value for key, value in asdict(execution).items() if key != "convolutions"}
    environment.setdefault("execution", plan)
    write_execution(folder, execution)
    write_environment(folder, environment)
    write_whole(folder / CONFIG, yaml.safe_dump(as_tree(config), sort_keys=False, allow_unicode=True))
    return Start(number, environment, tuple(told))


def starts_of(environment: dict[str, Any]) -> list[dict[str, Any]]:
    """The starts of a study; of one of an earlier version the first one, as far as it is known."""
    known = ("versions", "machine", "platform", "commit", "version")
    first = {"when": environment["started"], **{key: environment.get(key) for key in known}}
    return environment.get("starts") or [first]


def placed(starts: list[dict[str, Any]], entry: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """The starts with this one among them, at the end unless there is one like it, and its place."""
    same = [number for number, start in enumerate(starts) if {**start, "when": None} == {**entry, "when": None}]
    return (starts, same[0]) if same else ([*starts, entry], len(starts))


def identity(name: str, environment: dict[str, Any]) -> str:
    """What tells a study from another of its name, made by whomever, wherever: it follows from its first start."""
    first = [name, *(environment.get(key) for key in ("id", "started", "machine", "data_hash"))]
    return hashlib.sha256(json.dumps(first).encode()).hexdigest()[:32]


def unlike(first: dict[str, Any], entry: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """What is known of both starts and differs; sources are compared file by file elsewhere, `machine` is a hash."""
    for key, value in first.items():
        if isinstance(value, dict):
            yield from unlike(value, entry.get(key, {}))
        elif key in entry and key not in ("when", "machine", "sources") and entry[key] != value:
            yield key, value or "unknown", entry[key] or "unknown"


def write_environment(folder: Path, environment: dict[str, Any]) -> None:
    """Write what a study was started on, unless that is what stands there."""
    if environment != stored_environment(folder):
        write_whole(folder / ENVIRONMENT, json.dumps(environment, indent=2, ensure_ascii=False) + "\n")


def as_tree(config: StudyConfig) -> dict[str, Any]:
    """Settings as plain lists and dictionaries, without what concerns the command alone.

    The device as asked for is left to the execution plan, and a password to whoever has it.
    """
    tree: dict[str, Any] = json.loads(json.dumps(asdict(replace(config, device="auto"))))
    tree["storage"]["url"] = without_password(config.storage.url) if config.storage.url else None
    del tree["fork"]
    for key in config.engine.foreign:
        del tree["engine"][key]
    return tree


def _first(host_report: HostReport, entry: dict[str, Any]) -> dict[str, Any]:
    """What is the same for all starts, and what the first one was on."""
    return {
        "id": secrets.token_hex(8),  # two may start in one second on one machine
        "data_hash": host_report.data_hash,
        "images": list(host_report.images),
        **({"rest_images": host_report.rest_images} if host_report.rest_images else {}),
        "skipped": list(host_report.skipped),
        **{key: entry[key] for key in ("versions", "machine", "platform", "commit", "version")},
        "started": entry["when"],
        "starts": [entry],
    }


def digest(sources: dict[str, str]) -> str:
    """One mark of all sources that decide a number, by which starts are compared."""
    return hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()[:12]


def _entry(config: StudyConfig, host_report: HostReport) -> dict[str, Any]:
    return {
        "when": now(),
        "engine": config.engine.name,
        **host_report.machine,
        "versions": host_report.versions,
        "commit": _commit(),
        "version": explorer.__version__,
        "sources": digest(host_report.sources),
    }


def _commit() -> str | None:
    """The commit of the sources, with a plus sign when they were changed since; None outside a checkout."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    try:
        found = _git(checkout, "describe", "--always", "--abbrev=12")
        # Records and pages in the checkout change while a study runs; what was run does not.
        is_changed = bool(_git(checkout, "status", "--porcelain", "--", "explorer"))
    except OSError:
        return None
    return f"{found}+" if found and is_changed else found or None


def _git(checkout: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=checkout, capture_output=True, encoding="utf-8", errors="replace")  # noqa: S603, S607 - fixed
    return done.stdout.strip()
