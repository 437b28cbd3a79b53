"""The starts of a study: `environment.json` describes the first one, and each later one that differs from those before.

Each row of the record has the index of its start in that list, so that differences within a study are known for each
row. What may not differ at all is compared in `changes`.
"""

import hashlib
import json
import re
import secrets
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

import explorer
from explorer.host import extensions
from explorer.host.errors import InputError
from explorer.host.files import write_whole
from explorer.host.formatting import hours_words, without_password
from explorer.record.folder import (
    CONFIG,
    ENVIRONMENT,
    EXECUTION,
    SCHEMA,
    now,
    refuse_gaps,
    stored_config,
    stored_environment,
    stored_execution,
    write_execution,
)
from explorer.study.job import HostReport
from explorer.study.lengths import CALIBRATED, Speed
from explorer.study.preprocessing import Preprocessing, as_stored, of_stored
from explorer.study.run import Convolution, Execution
from explorer.study.settings import MOST_HOURS, StudyConfig

STOP = "stopped"  # in the environment: what `keep_stop` notes
_OF_EXTENSIONS = f"{extensions.FOLDER}/"


@dataclass(frozen=True)
class Fork:
    """The origin of a study made by `fork=true`: the study it would have continued, and how it differs from that."""

    study: str
    differences: tuple[str, ...]


@dataclass(frozen=True)
class Start:
    """One start of a study: its index in the list of starts, and messages for the user about what differs.

    environment  the stored description of all starts
    """

    number: int
    environment: dict[str, Any]
    messages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Started:
    """The stored state of a started study: its settings, environment and execution plan, as trees."""

    folder: Path
    config: dict[str, Any]
    environment: dict[str, Any]
    execution: dict[str, Any]

    @property
    def plan(self) -> Execution:
        """The execution plan. Raises InputError if its file holds anything else."""
        return execution_in(self.execution, self.folder)


def started_study(folder: Path) -> Started | None:
    """Read the stored state of a study; None if it has not been started.

    Raises InputError if a file of a started study is missing or cannot be used, the record is of a later schema, or an
    extension that it uses is not loaded.
    """
    environment = stored_environment(folder)  # first: it says how the rest is laid out
    refuse_without_extensions(folder, environment)
    refuse_gaps(folder)
    # The settings are written last: without them the first start was interrupted before anything depended on it.
    tree = stored_config(folder)
    if tree is None:
        return None
    execution = stored_execution(folder)
    assert environment is not None
    assert execution is not None
    return Started(folder, tree, environment, execution)


def refuse_without_extensions(folder: Path, environment: dict[str, Any] | None = None) -> None:
    """Raise InputError if a study uses an extension that is not loaded. Another version of it is no reason yet."""
    environment = environment or stored_environment(folder) or {}
    here = {one.name for one in extensions.loaded()}
    names = [name.partition("/")[2] for name in environment.get("sources") or {} if name.startswith(_OF_EXTENSIONS)]
    if absent := [name for name in names if name not in here]:
        files = [name for name in absent if name.endswith(".py")]
        way = f"say extensions={','.join(files)}, with the path of the file" if files else "install it"
        raise InputError(f"{folder}: uses the extension {', '.join(absent)}; {way}")


def used_sources(config: StudyConfig, sources: dict[str, str]) -> dict[str, str]:
    """The digests of sources that a study depends on: of extensions those of which its settings name something."""
    if not extensions.loaded():
        return sources
    said = set(re.findall(r"[a-z]\w*", json.dumps(as_tree(config)).lower()))
    idle = {
        _OF_EXTENSIONS + one.name
        for one in extensions.loaded()
        if not said & {name for kind, names in one.adds.items() if kind != "FIGURES" for name in names}
    }
    return {path: digest for path, digest in sources.items() if path not in idle}


def execution_in(tree: dict[str, Any], folder: Path) -> Execution:
    """Convert a stored tree to an execution plan. Raises InputError if the tree is none."""
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
    sampler: str = "",
    speeds: Mapping[str, Speed] | None = None,
    at_once: int = 1,
) -> Start:
    """Write what every later start must share with this one, a description of this start, and the present settings.

    `before` is the stored state of the earlier starts; None for the first start. `sampler` says what the sampler is
    that an extension adds. `speeds` are those of settings that train for equal seconds, measured with `at_once` runs at
    the same time; those that the study has already stay.
    """
    entry, messages = _entry(config, host_report) | ({"sampler": sampler} if sampler else {}), []
    environment = dict(before.environment) if before else None
    if environment is None:
        environment = _first(host_report, entry) | ({"forked_from": asdict(fork)} if fork else {})
    elif "sources" not in environment:
        messages.append(
            f"{folder}: was started by an earlier version, which kept no digests of its sources: whether those that "
            "decide a number have changed since is unknown; they are kept from now on"
        )
    environment.pop(STOP, None)
    if speeds:
        messages += _keep_speeds(environment, speeds, at_once, str(host_report.machine["machine"]))
    environment["starts"], number = placed(starts_of(environment), entry)
    different = [f"{key} was {then}, now {new}" for key, then, new in unlike(environment["starts"][0], entry)]
    if different:
        messages.append(
            f"This start differs from the study's first: {'; '.join(different)}; its runs have start {number}"
        )
    # Raised for a study of an earlier schema too: its tables have the present columns by now, and rows of this version
    # follow. A version that knows an earlier schema alone then refuses the record; one that knows none ignores the key.
    environment = {"schema": SCHEMA} | environment | {"schema": SCHEMA}
    environment.setdefault("sources", used_sources(config, host_report.sources))
    if host_report.preprocessing is not None:  # its images are those of the first start: their hash was compared
        own_splits: dict[str, Any] = {"by_seed": {}} if config.data.split_seed == "each" else {}
        environment.setdefault("preprocessing", as_stored(host_report.preprocessing) | own_splits)
    # A search adds convolutions to its plan later; the id of a run covers those that it was executed with.
    plan = {key: value for key, value in asdict(execution).items() if key != "convolutions"}
    environment.setdefault("execution", plan)
    write_execution(folder, execution)
    write_environment(folder, environment)
    write_whole(folder / CONFIG, yaml.safe_dump(as_tree(config), sort_keys=False, allow_unicode=True))
    return Start(number, environment, tuple(messages))


def _keep_speeds(environment: dict[str, Any], speeds: Mapping[str, Speed], at_once: int, machine: str) -> list[str]:
    """Write the speeds of settings into an environment that lacks them; a line where another machine measured them."""
    own = environment.get(CALIBRATED) or {"when": now(), "machine": machine, "at_once": at_once, "speeds": {}}
    new = {name: [one.lower, one.median, one.upper, one.n] for name, one in speeds.items()}
    environment[CALIBRATED] = own | {"speeds": new | own["speeds"]}
    if own["machine"] == machine:
        return []
    when = f"Steps were fixed on {own['when'][:10]} by the speeds of another machine, and stay as they are"
    return [f"{when}: runs here are trained for as many, which need not take equal seconds"]


def keep_stop(folder: Path, hours: float) -> None:
    """Note in a study that a start stopped after the hours it was given; the next start takes the note away."""
    environment = stored_environment(folder)
    if environment is not None:
        write_environment(folder, {**environment, STOP: {"hours": hours, "when": now()}})


def stop_of(environment: dict[str, Any]) -> dict[str, Any] | None:
    """The `hours` after which the last start stopped as it was asked, and `when`; None if it did not."""
    tree = environment.get(STOP)
    hours, when = (tree.get("hours"), tree.get("when")) if isinstance(tree, dict) else (None, None)
    if not isinstance(hours, int | float) or not 0 < hours <= MOST_HOURS:
        return None
    return {"hours": float(hours), "when": str(when)}


def stop_words(environment: dict[str, Any]) -> str:
    """That the last start stopped after the hours it was given: `Stopped after 2 h as asked`; "" if it did not."""
    found = stop_of(environment)
    return f"Stopped after {hours_words(found['hours'])} as asked" if found else ""


def starts_of(environment: dict[str, Any]) -> list[dict[str, Any]]:
    """The starts of a study; for a record of an earlier version only the first one, with the fields that it has."""
    known = ("versions", "machine", "platform", "commit", "version")
    first = {"when": environment["started"], **{key: environment.get(key) for key in known}}
    return environment.get("starts") or [first]


def placed(starts: list[dict[str, Any]], entry: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """The list of starts with this one added, unless an equal one is in it already, and its index."""
    same = [number for number, start in enumerate(starts) if {**start, "when": None} == {**entry, "when": None}]
    return (starts, same[0]) if same else ([*starts, entry], len(starts))


def identity(name: str, environment: dict[str, Any]) -> str:
    """A text that distinguishes a study from others of the same name; it follows from its first start."""
    first = [name, *(environment.get(key) for key in ("id", "started", "machine", "data_hash"))]
    return hashlib.sha256(json.dumps(first).encode()).hexdigest()[:32]


def unlike(first: dict[str, Any], entry: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Fields that both starts have and that differ, without `machine`, a hash, and `sources`, compared elsewhere."""
    for key, value in first.items():
        if isinstance(value, dict):
            yield from unlike(value, entry.get(key, {}))
        elif key in entry and key not in ("when", "machine", "sources") and entry[key] != value:
            yield key, value or "unknown", entry[key] or "unknown"


def write_environment(folder: Path, environment: dict[str, Any]) -> None:
    """Write `environment.json`, unless it has this content already."""
    if environment != stored_environment(folder):
        write_whole(folder / ENVIRONMENT, json.dumps(environment, indent=2, ensure_ascii=False) + "\n")


def keep_normalisation(folder: Path, seed: int, mean: Sequence[float], std: Sequence[float]) -> None:
    """Write mean and standard deviation of the training images of a seed, where each seed has a split of its own."""
    environment = stored_environment(folder) or {}
    by_seed = environment.get("preprocessing", {}).get("by_seed")
    if by_seed is None or str(seed) in by_seed:
        return
    by_seed[str(seed)] = {"mean": list(mean), "std": list(std)}
    write_whole(folder / ENVIRONMENT, json.dumps(environment, indent=2, ensure_ascii=False) + "\n")


def preprocessing_in(environment: dict[str, Any], folder: Path, seed: int) -> Preprocessing | None:
    """What the networks of a seed need of their images; None if the record does not say, as one of an earlier version.

    Raises InputError where what it says cannot be.
    """
    if (tree := environment.get("preprocessing")) is None:
        return None
    try:
        return of_stored(tree, seed)
    except ValueError as error:
        raise InputError(f"{folder / ENVIRONMENT}: preprocessing: {error}; restore the file") from None


def as_tree(config: StudyConfig) -> dict[str, Any]:
    """Settings as plain lists and dictionaries, without those that concern only one command.

    The requested device is left out, since the execution plan has the actual one, and so is any password.
    """
    tree: dict[str, Any] = json.loads(json.dumps(asdict(replace(config, device="auto"))))
    tree["storage"]["url"] = without_password(config.storage.url) if config.storage.url else None
    del tree["fork"], tree["storage"]["trackers"], tree["report"]["images"], tree["search"]["hours"]
    del tree["engine"]["price"]
    for key in config.engine.foreign:
        del tree["engine"][key]
    return tree


def _first(host_report: HostReport, entry: dict[str, Any]) -> dict[str, Any]:
    """The environment at the first start: what all starts share, and the description of this one."""
    return {
        "id": secrets.token_hex(8),  # random, since two studies may start in the same second on one machine
        "data_hash": host_report.data_hash,
        "images": list(host_report.images),
        **({"rest_images": host_report.rest_images} if host_report.rest_images else {}),
        **({"test_by_seed": host_report.test_by_seed} if host_report.test_by_seed else {}),
        "skipped": list(host_report.skipped),
        **{key: entry[key] for key in ("versions", "machine", "platform", "commit", "version")},
        "started": entry["when"],
        "starts": [entry],
    }


def digest(sources: dict[str, str]) -> str:
    """One hash over the digests of all sources that affect results, for comparing starts."""
    return hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()[:12]


def _entry(config: StudyConfig, host_report: HostReport) -> dict[str, Any]:
    return {
        "when": now(),
        "engine": config.engine.name,
        **host_report.machine,
        "versions": host_report.versions,
        "commit": _commit(),
        "version": explorer.__version__,
        "sources": digest(used_sources(config, host_report.sources)),
    }


def _commit() -> str | None:
    """The commit of the sources, with a plus sign if they were changed since; None outside a git checkout."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    try:
        found = _git(checkout, "describe", "--always", "--abbrev=12")
        # Only explorer/ counts: records and pages in the checkout change while a study runs.
        is_changed = bool(_git(checkout, "status", "--porcelain", "--", "explorer"))
    except OSError:
        return None
    return f"{found}+" if found and is_changed else found or None


def _git(checkout: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=checkout, capture_output=True, encoding="utf-8", errors="replace")  # noqa: S603, S607 - fixed
    return done.stdout.strip()
