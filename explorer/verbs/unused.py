"""Refuses given settings that nothing would use, or reports them if another given setting makes them ineffective.

Otherwise a person who gives a folder of images while others are used, or rungs for a search without a pruner, would
find out late or never.
"""

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from explorer.design.space import DesignSpace
from explorer.host.errors import InputError
from explorer.study.data_sources import SOURCES, takes_path
from explorer.study.parts import ADDED
from explorer.study.settings import DataConfig, StudyConfig

_OF_READ = [one.name for one in fields(DataConfig) if one.default is not MISSING and one.name not in ("source", "path")]
_OF_TABLES = ("subset", "image_column", "label_column")
_OF_RUNGS = ("first_rung", "factor", "rung_error")
_OF_SAMPLERS = ("sampler", "designs", "sampler_seed", "objectives", "pruner", "baseline", *_OF_RUNGS)
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def refuse_unused(config: StudyConfig, given: Iterable[tuple[str, str]], groups: list[str]) -> None:
    """Raise InputError for a given key that is not used; `given` are keys, each with the place where it is set.

    `groups` are the names of data sets that read a path.
    """
    reasons = dict(_unused(config, groups))
    for key, place in given:
        if key in reasons and _says_something(config, key):
            raise InputError(f"{key}={_shown(_value(config, key))}: {reasons[key]}{place}")


def set_aside(config: StudyConfig, given: Iterable[str]) -> list[str]:
    """A line for each given key that has no effect because of another given key."""
    reasons: dict[str, str] = {}
    if config.search.only:
        reasons |= {f"search.{key}": "search.only names the designs that are trained" for key in _OF_SAMPLERS}
        reasons["study.margin"] = "with search.only nothing is compared"
    if config.data.source == "digits" or config.data.keep == "resident":
        reasons["engine.loaders"] = f"{config.data.label} stay in memory and are not streamed"
    if config.device == "cpu":
        reasons["engine.share"] = "device=cpu shares no GPU"
    return [
        f"{key}={_shown(_value(config, key))} has no effect: {reasons[key]}"
        for key in given
        if key in reasons and _says_something(config, key)
    ]


def _unused(config: StudyConfig, groups: list[str]) -> Iterator[tuple[str, str]]:
    """The keys that are not used, each with the reason and what to give instead."""
    data, search, recipe = config.data, config.search, config.recipe
    if data.source == "digits":
        for key in _OF_READ:
            yield f"data.{key}", "the digits are embedded; allowed where images are read, as with data=folder"
        reading = f"the digits are embedded and read no path; allowed with data={', '.join(groups)}"
        yield "data.path", f"{reading}; say for example {_reading(str(data.path))}"
    if data.source == "folder":
        for key in _OF_TABLES:
            yield f"data.{key}", "folders of image files have none; allowed with data=parquet and data=hub"
    if data.source in SOURCES:
        for key in _OF_TABLES:
            yield f"data.{key}", f"{data.source} is read by an extension; allowed with data=parquet and data=hub"
        if not takes_path(data.source):
            yield "data.path", f"{data.source} is read by an extension, whose function takes no path; leave it out"
    if recipe.schedule == "step":
        reason = "recipe.schedule=step does not warm up; allowed with recipe.schedule=one_cycle; or say"
        yield "recipe.warmup", f"{reason} recipe.warmup=0 recipe.warmup_epochs=1"
        if not recipe.milestones:
            reason = "recipe.milestones is empty, so that the rate never falls; say recipe.milestones=[0.5,0.75], or"
            yield "recipe.schedule", f"{reason} recipe.schedule=constant"
    elif recipe.schedule in ADDED["schedule"][2]:
        yield "recipe.milestones", f"recipe.schedule={recipe.schedule} has none; allowed with recipe.schedule=step"
    else:
        reason = f"recipe.schedule={recipe.schedule} is of an extension, which warms up as it says itself"
        yield "recipe.warmup_epochs", f"{reason}; allowed with {', '.join(ADDED['schedule'][2])}"
    if recipe.optimizer == "adamw":
        for key in ("momentum", "nesterov"):
            yield f"recipe.{key}", "recipe.optimizer=adamw has recipe.betas instead; allowed with recipe.optimizer=sgd"
    elif recipe.optimizer == "sgd":
        yield "recipe.betas", "recipe.optimizer=sgd has recipe.momentum instead; allowed with recipe.optimizer=adamw"
    if isinstance(config.space, DesignSpace) and not config.spaces and not any(config.space.shortcut):
        for key in ("zero_init_residual", "stochastic_depth"):
            yield f"recipe.{key}", "space.shortcut=[false] has no residual branches; leave it out"
    if search.only:
        return
    if search.sampler == "listed":
        yield "search.sampler_seed", "sampler listed draws nothing; allowed with search=uniform and other samplers"
    if "latency" not in search.objectives:
        yield "search.latency_batch", "no latency is measured; allowed with search.objectives=[error,latency]"
    if not search.is_adaptive or search.cost is not None:
        yield "search.final", "a final round follows a search for the lowest error; allowed with search=best, tpe, gp"
    if not search.final:
        yield "search.final_seeds", "there is no final round; allowed with search.final=3"
    if search.pruner == "none":
        for key in _OF_RUNGS:
            yield f"search.{key}", "search.pruner=none stops no design; allowed with search.pruner=halving and others"
    if config.study.contrast is None and not search.final:
        yield "study.margin", "study.contrast is null, so no difference is judged; leave it out"


def _reading(path: str) -> str:
    """The arguments that would read a path, judged by its content."""
    root = Path(path).expanduser()
    try:
        if any(any(folder.glob("*.parquet")) for folder in (root, root / "data")):
            return f"data=parquet data.path={path}"
        if root.is_dir():
            return f"data={shlex.quote(path)}"
    except (OSError, ValueError):
        pass
    return f"data={'hub' if _HUB_NAME.fullmatch(path) else 'folder'} data.path={path}"


def _says_something(config: StudyConfig, key: str) -> bool:
    """Whether a value differs from the default."""
    group, name = key.split(".")
    (default,) = (field.default for field in fields(getattr(config, group)) if field.name == name)
    value = _value(config, key)
    return value not in (None, 0, ()) if default is MISSING else value != default


def _value(config: StudyConfig, key: str) -> Any:
    group, name = key.split(".")
    return getattr(getattr(config, group), name)


def _shown(value: Any) -> str:
    return (
        str(list(value)) if isinstance(value, tuple) else str(value).lower() if isinstance(value, bool) else str(value)
    )
