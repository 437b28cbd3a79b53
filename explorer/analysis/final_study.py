"""Reads the final round of a search from its folder."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from explorer.analysis.answer_choice import best_by_validation, completed
from explorer.analysis.checks import CheckStudy, check_study
from explorer.analysis.final_round import FinalRound, compared, measured
from explorer.analysis.seeds_and_images import Right
from explorer.analysis.summary import summarise
from explorer.host.errors import InputError
from explorer.record import records
from explorer.record.folder import CHECKS, CONFIG, RUNS, stored_config
from explorer.record.progress import progress_of
from explorer.study.final import final_study
from explorer.study.plan import Plan
from explorer.study.run import joined_hash
from explorer.study.settings import MOST_FINAL_SEEDS, StudyConfig


@dataclass(frozen=True)
class FinalStudy:
    """The final round of a search as it stands: its folder, its study, and what it found."""

    folder: Path
    study: CheckStudy
    found: FinalRound


def final_of(
    folder: Path, plan: Plan, record: records.Record, environment: Mapping[str, Any], execution: Mapping[str, Any]
) -> FinalStudy | None:
    """The final round of the search in a folder; None if it asks for none, is not finished, or no run came through.

    `plan` is that of the search with the number of seeds that it has, and `environment` and `execution` are what it was
    started on.
    """
    designs = plan.config.search.final_designs
    if not designs or progress_of(plan, record).left:
        return None
    ranked = best_by_validation(completed(record, plan.every_seed))[:designs]
    if not ranked:
        return None
    config = final_study(plan, [name for name, _ in ranked], str(execution["precision"]))
    own = folder / CHECKS / config.name
    config = _with_seeds_of(own, config)
    found = check_study(own, config, joined_hash(str(environment["data_hash"])))
    try:
        right = records.load_correct(own, record=found.record) if found.record is not None else {}
    except InputError as error:
        found, right = replace(found, record=None, fault=str(error)), {}
    return FinalStudy(own, found, judged_final(plan, record, found, environment, right, _looks(own)))


def _looks(own: Path) -> int:
    """How many final rounds of a search have looked at its test images, that in the folder `own` included."""
    others = [path for path in own.parent.glob("final-*") if path != own]
    return 1 + sum(_has_runs(path) for path in others)


def _has_runs(folder: Path) -> bool:
    """Whether a final round has tested a network; where its record cannot be read, it may have."""
    try:
        return (folder / RUNS).exists() and bool(len(records.load(folder).runs))
    except InputError:
        return True


def _with_seeds_of(folder: Path, config: StudyConfig) -> StudyConfig:
    """The settings of a final round, with as many seeds as its folder was last started with if these are more."""
    search = (stored_config(folder) or {}).get("search") if (folder / CONFIG).exists() else None
    seeds = search.get("seeds") if isinstance(search, dict) else None
    if not isinstance(seeds, int) or isinstance(config.search.seeds, str) or seeds <= config.search.seeds:
        return config
    return replace(config, search=replace(config.search, seeds=min(seeds, MOST_FINAL_SEEDS)))


def judged_final(
    plan: Plan,
    record: records.Record,
    found: CheckStudy,
    environment: Mapping[str, Any],
    right: Mapping[str, Right],
    looks: int,
) -> FinalRound:
    """What the final round of a finished search found, from its own record, which `found` holds, and the search's.

    `right` says by run of the round which test images it classified correctly, and `looks` how many final rounds of the
    search have looked at these.
    """
    errors = dict(best_by_validation(completed(record, plan.every_seed)))
    names = tuple([*errors][: plan.config.search.final])
    fault, images = found.fault, int(environment["images"][2])
    if not fault and {len(one) for one in right.values()} - {images}:
        fault = f"{plan.config.name}: runs of its final round were tested on other numbers of images than {images}"
    none = FinalRound(
        settings=names,
        validation={name: errors[name] for name in names},
        tried=record.runs["setting"].nunique(),
        ended=len(errors),
        done=0,
        wanted=found.plan.runs,
        seeds=found.plan.seeds,
        images=images,
        looks=looks,
        fault=fault,
    )
    if fault or found.record is None:
        return none
    runs = found.record.runs
    # Their validation errors are of images that they were trained on.
    own = runs[runs["seed"].isin(found.plan.every_seed)].assign(val_error=math.nan)
    ok = own[own["status"] == "ok"]
    answers: dict[str, dict[int, Right]] = {name: {} for name in names}
    for name, seed, run in zip(ok["setting"], ok["seed"], ok["run"], strict=True):
        answers[str(name)][int(seed)] = right[str(run)]
    every = summarise(own, [*names])
    summaries = [measured(one, answers[one.setting]) for one in every]
    done = found.progress.final
    complete = done >= found.plan.runs and len(summaries) == len(names)
    margin, seeds = plan.config.study.margin, found.plan.seeds
    return replace(
        none,
        done=done,
        summaries=tuple(summaries),
        failed={one.setting: tuple(one.failed.values()) for one in every if one.failed},
        comparisons=compared(summaries, answers, seeds, margin, images) if complete else (),
    )
