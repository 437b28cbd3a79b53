"""A study's folder: its files, who may write it, and what must not change once it has started.

Besides the record's tables it holds `config.yaml` (the resolved settings), `execution.json` (how runs are executed)
and `environment.json` (versions, device, commit). `local/` holds what need not be kept: lock, mirror, failure log,
entry in the index.
"""

import json
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, asdict, fields, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import yaml

from explorer.errors import InputError
from explorer.job import Surroundings
from explorer.machine import machine_id
from explorer.run import Convolution, Execution
from explorer.settings import ADAPTIVE, DataConfig, StudyConfig
from explorer.table import write_whole

STUDIES, REPORTS = Path("studies"), Path("reports")
CONFIG, EXECUTION, ENVIRONMENT = "config.yaml", "execution.json", "environment.json"
TABLES = RUNS, EPOCHS, CORRECT = "runs.csv", "epochs.csv", "correct.csv"
DECISIONS = "decisions.csv"  # of a search alone
LIVE_SECONDS = 10  # a running study's page is drawn at most once in so many, and reloads itself as often
# What may differ between two starts of a study: where and how fast it runs, not what it finds. Where images come from
# may: a start with other content than the first one's is refused by its hash.
_FREE = (
    *("name", "device", "engine", "storage", "report", "search.seeds", "search.designs"),
    *(f"data.{field.name}" for field in fields(DataConfig) if not field.metadata.get("decides", True)),
)


_UNORDERED = ("search.rates", "search.forms")  # lists that mean the same in any order


def study_folder(name: str) -> Path:
    """The folder of a study, below the current one."""
    return STUDIES / name


def make_folder(folder: Path) -> Path:
    """Create a folder and give it back. Raises InputError where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
        return folder
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror}); choose another place or change its permissions"
        ) from None


def is_stale(page: Path, folder: Path) -> bool:
    """Whether a page is missing or older than the record it shows, as after a crash between the two."""
    return not page.exists() or page.stat().st_mtime_ns < (folder / RUNS).stat().st_mtime_ns


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a study for one coordinator; the operating system frees it when the process ends, however it ends.

    Raises InputError naming the process that holds it.
    """
    holder = folder / "local" / "holder.json"
    lock = filelock.FileLock(folder / "local" / "lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(f"{folder}: is being run by {_describe_holder(holder)}; wait for it or end it first") from None
    try:
        write_whole(holder, json.dumps({"pid": os.getpid(), "host": platform.node(), "since": now()}) + "\n")
        yield
    finally:
        lock.release()


def stored_config(folder: Path) -> dict[str, Any] | None:
    """The settings a study was started with, as a tree; None before its start. Raises InputError if unreadable."""
    path = folder / CONFIG
    if not path.exists():
        return None
    try:
        tree = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError):
        tree = None
    if not isinstance(tree, dict):
        raise InputError(f"{path}: is not a YAML mapping; restore it, or choose another name=")
    return tree


def stored_environment(folder: Path) -> dict[str, Any] | None:
    """What a study was started on; None before its first start."""
    environment = _read_json(
        folder / ENVIRONMENT, ["data_hash", "images", "versions", "machine", "platform", "commit", "started"]
    )
    if environment is not None and not isinstance(environment["versions"], dict):
        raise InputError(f"{folder / ENVIRONMENT}: versions is not an object; restore the file")
    return environment


def stored_execution(folder: Path) -> dict[str, Any] | None:
    """A study's execution plan; None before its first start."""
    return _read_json(folder / EXECUTION, [field.name for field in fields(Execution) if field.default is MISSING])


def refuse_gaps(folder: Path) -> None:
    """Raise InputError, naming the files, when a study that has recorded something lacks a part of itself."""
    tables = [path for name in TABLES if (path := folder / name).exists()]
    if any(_has_rows(path) for path in tables):
        wanted = (*TABLES, *_of_a_search(folder), CONFIG, EXECUTION, ENVIRONMENT)
        missing = [name for name in wanted if not (folder / name).exists()]
        if missing:
            raise InputError(f"{folder}: {', '.join(missing)} missing; restore them, or start anew with name=...")


def refuse_other_settings(folder: Path, config: StudyConfig) -> None:
    """Raise InputError, listing the differences, when the study was started with other settings or more seeds."""
    refuse_gaps(folder)
    old = stored_config(folder)
    if old is None:
        return
    # Keys that an earlier version did not write had the defaults they have now.
    before, now = {**_flat(_defaults(config)), **_flat(old)}, _flat(_as_tree(config))
    for key in _UNORDERED:
        before[key], now[key] = (sorted(tree.get(key) or []) for tree in (before, now))
    different = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    decisive = [key for key in different if not key.startswith(_FREE)]
    if "search.looks" in decisive:
        decisive.remove("search.looks")
        words = ["auto" if tree.get("search.looks") else tree.get("search.seeds") for tree in (before, now)]
        _refuse(folder, [f"search.seeds was {words[0]}, now {words[1]}"])
    _refuse(folder, [f"{key} was {before.get(key)}, now {now.get(key)}" for key in decisive])
    if config.search.is_adaptive:
        _refuse_fewer(folder, "search.designs", before.get("search.designs"), config.search.designs)
    elif before.get("search.designs") != config.search.designs:
        _refuse(folder, [f"search.designs was {before.get('search.designs')}, now {config.search.designs}"])
    seeds = before.get("search.seeds")
    if not isinstance(seeds, int):
        raise InputError(f"{folder / CONFIG}: search.seeds is {seeds}, not a number; restore the file")
    _refuse_fewer(folder, "search.seeds", seeds, config.search.seeds)


def settled(folder: Path, config: StudyConfig, surroundings: Surroundings) -> Execution | None:
    """The execution plan that a study's first start fixed; None before it.

    Raises InputError, listing the differences, where this machine cannot follow the plan or the settings ask for
    another.
    """
    execution, environment = stored_execution(folder), stored_environment(folder)
    if execution is None or environment is None:
        return None
    try:
        convolutions = tuple(Convolution(**choice) for choice in execution.get("convolutions", []))
        plan = Execution(**{**execution, "convolutions": convolutions})
    except TypeError:
        raise InputError(f"{folder / EXECUTION}: is not an execution plan; restore the file") from None
    if not surroundings.has_kernels and (plan.norms == "fused" or any(one.layout == "kernel" for one in convolutions)):
        raise InputError(
            f"{folder}: was started with kernels of our own, which cannot be made here (no C compiler); install gcc, "
            "or start a new study with name=..."
        )
    old = {**asdict(plan), "data_hash": environment["data_hash"], "torch": environment["versions"]["torch"]}
    new = {
        "device": surroundings.device,
        "device_name": surroundings.device_name,
        "data_hash": surroundings.data_hash,
        "torch": surroundings.versions["torch"],
        "micro_batch": config.recipe.micro_batch or config.recipe.batch_size,
    }
    new |= {key: value for key in ("threads", "precision") if (value := getattr(config.engine, key)) != "auto"}
    _refuse(folder, [f"{key} was {old[key]}, now {new[key]}" for key in new if old[key] != new[key]])
    return plan


def begin(folder: Path, config: StudyConfig, execution: Execution, surroundings: Surroundings) -> None:
    """Write down what every later start must share, and the settings as they are now."""
    environment = {
        "data_hash": surroundings.data_hash,
        "images": list(surroundings.images),
        "skipped": list(surroundings.skipped),
        "versions": surroundings.versions,
        "machine": machine_id(),
        "platform": platform.platform(terse=True),
        "commit": _commit(),
        "started": now(),
    }
    write_execution(folder, execution)
    if not (folder / ENVIRONMENT).exists():
        write_whole(folder / ENVIRONMENT, json.dumps(environment, indent=2, ensure_ascii=False) + "\n")
    write_whole(folder / CONFIG, yaml.safe_dump(_as_tree(config), sort_keys=False, allow_unicode=True))


def write_execution(folder: Path, execution: Execution) -> None:
    """Write the execution plan; a search adds the convolutions of each design it chooses."""
    write_whole(folder / EXECUTION, json.dumps(asdict(execution), indent=2) + "\n")


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _of_a_search(folder: Path) -> tuple[str, ...]:
    """The table that only a search has, if this study is one."""
    if not (folder / CONFIG).exists():
        return ()
    search = (stored_config(folder) or {}).get("search")
    sampler = search.get("sampler") if isinstance(search, dict) else None
    return (DECISIONS,) if sampler in ADAPTIVE else ()


def _has_rows(path: Path) -> bool:
    with path.open("rb") as file:
        return file.readline() != b"" and file.read(1) != b""


def _refuse(folder: Path, differences: list[str]) -> None:
    if differences:
        raise InputError(
            f"{folder}: was started differently ({'; '.join(differences)}); start a new study with name=..."
        )


def _refuse_fewer(folder: Path, key: str, old: Any, new: int | None) -> None:
    if isinstance(old, int) and new is not None and new < old:
        raise InputError(f"{key}={new}: {folder} was started with {old}; allowed: {old} or more")


def _defaults(value: Any) -> dict[str, Any]:
    """The tree of a dataclass with only the fields that have a default, at that default."""
    found: dict[str, Any] = {}
    for field in fields(value):
        if is_dataclass(getattr(value, field.name)):
            found[field.name] = _defaults(getattr(value, field.name))
        elif field.default is not MISSING:
            found[field.name] = json.loads(json.dumps(field.default))
    return found


def _as_tree(config: StudyConfig) -> dict[str, Any]:
    """Plain lists and dictionaries; the device as asked for is left to the execution plan."""
    tree: dict[str, Any] = json.loads(json.dumps(asdict(replace(config, device="auto"))))
    return tree


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _read_json(path: Path, keys: list[str]) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict):
        raise InputError(f"{path}: is not a JSON object; restore it, or choose another name=")
    if missing := [key for key in keys if key not in content]:
        raise InputError(f"{path}: {', '.join(missing)} missing; restore the file, or choose another name=")
    return content


def _describe_holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text())
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError):
        return "another process"


def _commit() -> str | None:
    """The commit of the sources, with a plus sign when they were changed since; None outside a checkout."""
    checkout = Path(__file__).parent.parent
    if not (checkout / ".git").exists():
        return None
    command = ["git", "describe", "--always", "--dirty=+", "--abbrev=12"]
    try:
        found = subprocess.run(command, cwd=checkout, capture_output=True, text=True)  # noqa: S603 - fixed words
    except OSError:
        return None
    return found.stdout.strip() or None
