"""Compare a study with its first start: what may not change before it continues, and the message if it did.

Settings are compared before anything starts. The data, torch, the device, the execution plan and the sources that
affect results are compared once a worker has reported them. All other differences are recorded (see `starts`).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from itertools import count
from pathlib import Path
from typing import Any

import explorer
from explorer.host.commands import command_for
from explorer.host.errors import InputError
from explorer.host.extensions import FOLDER
from explorer.host.formatting import one_line
from explorer.record.folder import CONFIG, EXECUTION, study_folder
from explorer.record.starts import Started, as_tree, started_study, used_sources
from explorer.study.job import HostReport
from explorer.study.run import Execution
from explorer.study.settings import DataConfig, StudyConfig

# Keys that may differ between two starts of a study: where and how fast it runs, not what it finds. The source of the
# images may differ too, since a start with other image content is refused by its hash.
_FREE = (
    *("name", "device", "engine", "storage", "report", "fork", "study.robustness", "study.labels"),
    *("search.seeds", "search.designs", "search.final_seeds"),  # which may grow
    "search.hours",
    *(f"data.{field.name}" for field in fields(DataConfig) if not field.metadata.get("decides", True)),
)
_UNORDERED = ("search.rates", "search.forms")  # lists whose order has no meaning
# Keys of the execution plan that a command asks for under another name.
_OF_EXECUTION = {key: f"engine.{key}" for key in ("threads", "precision", "deterministic")} | {"device": "device"}
_AT_LEAST = " (in this study"
FEW, MOST, WIDEST = 3, 20, 60  # differences reported in one line, reported at all, characters of a value


@dataclass(frozen=True)
class Difference:
    """One value that has changed since the study was started; old and new value as text for people."""

    key: str
    then: str
    now: str

    def __str__(self) -> str:
        return f"{self.key} was {self.then}, now {self.now}"

    @property
    def is_setting(self) -> bool:
        """Whether a command can say it."""
        key = _OF_EXECUTION.get(self.key, self.key)
        return key in (*_OF_EXECUTION.values(), "data") or bool(re.fullmatch(r"[a-z_]+(\.\w+)+", key))

    def setting(self) -> str:
        """The key and its value now, as a command has them; "" if it is no setting, or too long to be shown whole."""
        value, key = self.now.partition(_AT_LEAST)[0], _OF_EXECUTION.get(self.key, self.key)
        return f"{key}={value}" if self.is_setting and value[-3:] != "..." else ""


def refuse_other_settings(study: Started, config: StudyConfig) -> None:
    """Raise InputError, listing the differences, if the study was started with other settings or with more seeds."""
    _refuse(study, config, of_settings(study, config))


def settled(study: Started | None, config: StudyConfig, host_report: HostReport) -> Execution | None:
    """The execution plan that the study's first start fixed; None if it has not been started.

    Raises InputError, listing the differences, if this machine cannot follow the plan, the settings ask for another
    plan, or the data, versions or sources have changed since the start.
    """
    if study is None:
        return None
    _refuse(study, config, of_host(study, config, host_report))
    return study.plan


def fork_of(config: StudyConfig, host_report: HostReport | None = None) -> tuple[str, list[Difference]]:
    """The name under which a study continues with `fork=true`, and the differences that prevent it under its own name.

    It is the study's own name if nothing differs, else the name that `fork` gives, or the first of `<name>-2`,
    `<name>-3`, ... that is unused or was started with the same settings. Without `host_report` only settings are
    compared. Raises InputError for a name that has another study.
    """
    first = _differences(started_study(study_folder(config.name)), config, host_report)
    if isinstance(config.fork, str):
        if not first:
            file = str(study_folder(config.name) / CONFIG)
            again = command_for("run", "", "--config", file, f"name={config.fork}")
            raise InputError(
                f"fork={config.fork}: nothing that decides a result is changed, so it would be the same study; "
                f"{again} trains it again"
            )
        if _differences(started_study(study_folder(config.fork)), config, host_report):
            raise InputError(f"fork={config.fork}: {study_folder(config.fork)} has another study; choose another name")
        return config.fork, first
    if not first:
        return config.name, []
    for number in count(2):
        name = f"{config.name[:95]}-{number}"
        if not _differences(started_study(study_folder(name)), config, host_report):
            break
    return name, first


def difference_lines(folder: Path, differences: list[Difference], so: str) -> list[str]:
    """A message that lists differences and ends with `so`: one line, followed by an aligned list if there are many."""
    few = len(differences) <= FEW
    how = f"({'; '.join(map(str, differences))})" if few else f"in {len(differences)} respects"
    return [f"{folder}: was started differently {how}; {so}", *(() if few else _listed(differences))]


def of_settings(study: Started, config: StudyConfig) -> list[Difference]:
    """Settings that affect results and differ from those of the study's start; fewer seeds count as a difference."""
    # Keys that an earlier version did not write had their present defaults.
    before, now = {**_flat(_defaults(config)), **_flat(study.config)}, _flat(as_tree(config))
    for key in _UNORDERED:
        before[key], now[key] = (sorted(tree.get(key) or []) for tree in (before, now))
    if (question := before.get("study.question")) and before.get("data.label"):
        # The question may contain the name of the data set, which may change when the data is moved.
        before["study.question"] = str(question).replace(str(before["data.label"]), str(now["data.label"]))
    different = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    found = [_difference(key, before.get(key), now.get(key)) for key in different if not key.startswith(_FREE)]
    seeds, designs = before.get("search.seeds"), before.get("search.designs")
    if not isinstance(seeds, int) and seeds != "auto":
        if found:
            return found
        raise InputError(f"{study.folder / CONFIG}: search.seeds is {seeds}, not a number; restore the file")
    if seeds == "auto" or config.search.seeds == "auto":
        found += [_difference("search.seeds", seeds, config.search.seeds)] * (seeds != config.search.seeds)
    elif config.search.seeds < seeds:
        found.append(_fewer("search.seeds", seeds, config.search.seeds))
    if not config.search.is_adaptive and designs != config.search.designs:
        found.append(_difference("search.designs", designs, config.search.designs))
    elif isinstance(designs, int) and config.search.designs is not None and config.search.designs < designs:
        found.append(_fewer("search.designs", designs, config.search.designs))
    final = before.get("search.final_seeds")
    if isinstance(final, int) and config.search.final_seeds < final:
        found.append(_fewer("search.final_seeds", final, config.search.final_seeds))
    return found


def of_host(study: Started, config: StudyConfig, host_report: HostReport) -> list[Difference]:
    """Differences between this machine and the one of the study's start, and changes of the stored execution plan."""
    environment, plan = study.environment, study.plan
    old = {**asdict(plan), "data_hash": environment["data_hash"], "torch": environment["versions"].get("torch")}
    new = {
        "device": host_report.device,
        "device_name": host_report.device_name,
        "data_hash": host_report.data_hash,
        "torch": host_report.versions["torch"],
        "micro_batch": config.recipe.micro_batch or config.recipe.batch_size,
        "deterministic": config.engine.deterministic,
    }
    new |= {key: value for key in ("threads", "precision") if (value := getattr(config.engine, key)) != "auto"}
    found = [_difference(key, old[key], new[key]) for key in new if old[key] != new[key]]
    if not host_report.has_kernels and _has_kernels(plan):
        maker = "Triton" if plan.device == "cuda" else "C compiler"
        found.append(Difference(maker, "there for kernels of our own", "absent, so they cannot be made here"))
    for key, value in environment.get("execution", {}).items():
        if study.execution.get(key) != value:
            found.append(_difference(f"{EXECUTION}: {key}", value, study.execution.get(key)))
    return [*found, *_of_sources(environment.get("sources"), used_sources(config, host_report.sources))]


def _of_sources(then: dict[str, str] | None, now: dict[str, str]) -> Iterator[Difference]:
    """Source files that were changed, added or removed; none if an earlier version stored no digests."""
    for path in sorted({*then, *now} if then is not None else ()):
        before, after = (f"version {tree[path]}" if path in tree else "absent" for tree in (then or {}, now))
        if before != after:
            yield Difference(path if path.startswith(f"{FOLDER}/") else f"explorer/{path}", before, after)


def _differences(study: Started | None, config: StudyConfig, host_report: HostReport | None) -> list[Difference]:
    if study is None:
        return []
    found = of_settings(study, config)
    return found if host_report is None else [*found, *of_host(study, config, host_report)]


def other_images(name: str | None, own: str | None, config: StudyConfig) -> list[Difference]:
    """The place of the images, where a command says another one than that of the study's data set `name`, `own`.

    It alone refuses nothing, since images may be moved. But who goes on under another name has to say it again.
    """
    path = config.data.path
    if path is None or own is None or Path(path).expanduser().resolve() == Path(own).expanduser().resolve():
        return []
    return [Difference("data.path" if name == config.data.name else "data", own, path)]


def _refuse(study: Started, config: StudyConfig, differences: list[Difference]) -> None:
    if not differences:
        return
    data = study.config.get("data", {})
    differences = [*differences, *other_images(data.get("name"), data.get("path"), config)]
    way = _told_way_on(study.folder, differences) if _is_told(study) else _way_on(study.folder, differences)
    if any(one.key.startswith("explorer/") for one in differences) and (there := _place(study.environment)):
        way = f"go back to {there}, or {way}"
    raise InputError(*difference_lines(study.folder, differences, way))


def _is_told(study: Started) -> bool:
    """Whether another program trains the runs of a study."""
    return bool(study.config.get("data", {}).get("source") == "elsewhere")


def _told_way_on(folder: Path, differences: list[Difference]) -> str:
    """What to do where another program asks for the runs of a study in another way than at its start."""
    begin = "or begin another study with name=..."
    if any(one.setting() for one in differences):
        return f"ask for its runs as it is, by explorer.Study('{folder.name}').ask(...), {begin}"
    return f"ask with the fingerprint with which it began, {begin}"


def _way_on(folder: Path, differences: list[Difference]) -> str:
    """What to do where a study is to be continued with other settings, as a command with these where they are few."""
    name = folder.name
    if folder != study_folder(name):  # a robustness check, which is made anew with its study
        return "start a new study with name=..."
    keys = [one.setting() for one in differences if one.is_setting]
    if not keys:
        return f"go on under another name with {command_for('fork', name)}, or start a new study with name=..."
    fork = command_for("fork", name, *(keys if len(keys) <= FEW and all(keys) else ["KEY=VALUE..."]))
    return (
        f"continue it as it is with {command_for('', name)}, begin another study by adding name=..., or go on under "
        f"another name with {fork}"
    )


def _place(environment: dict[str, Any]) -> str:
    """The commit or version that a study was started with, for a message; empty if it is not known."""
    commit, version = environment.get("commit"), environment.get("version")
    if commit:
        return f"commit {commit}" + (f" (version {version})" if version else "")
    # Without a checkout, two states of the same version cannot be distinguished.
    return f"version {version}" if version and version != explorer.__version__ else ""


def _listed(differences: list[Difference]) -> list[str]:
    rows = [("", "then", "now"), *((one.key, one.then, one.now) for one in differences[:MOST])]
    key, then = (max(len(row[column]) for row in rows) for column in (0, 1))
    more = [f"  and {len(differences) - MOST} more"] if len(differences) > MOST else []
    return [*(f"  {row[0]:{key}}  {row[1]:{then}}  {row[2]}" for row in rows), *more]


def _has_kernels(plan: Execution) -> bool:
    return plan.norms == "fused" or any(one.layout == "kernel" for one in plan.convolutions)


def _difference(key: str, then: Any, now: Any) -> Difference:
    return Difference(key, _word(then), _word(now))


def _fewer(key: str, then: int, now: int) -> Difference:
    return Difference(key, str(then), f"{now}{_AT_LEAST} {then} or more)")


def _word(value: Any) -> str:
    """A value as in YAML, shortened if it is long."""
    text = one_line(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."


def _defaults(value: Any) -> dict[str, Any]:
    """The tree of a dataclass, restricted to fields that have a default, with these defaults."""
    found: dict[str, Any] = {}
    for field in fields(value):
        own = getattr(value, field.name)
        if is_dataclass(own):
            found[field.name] = _defaults(own)
        elif isinstance(own, dict) and own and all(map(is_dataclass, own.values())):  # spaces by their names
            found[field.name] = {name: _defaults(one) for name, one in own.items()}
        elif field.default is not MISSING:
            found[field.name] = json.loads(json.dumps(field.default))
    return found


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
