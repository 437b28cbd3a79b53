"""Reads the final round of a search from its folder."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from explorer.analysis.answer_choice import best_by_validation, completed
from explorer.analysis.checks import CheckStudy, check_study
from explorer.analysis.final_round import FinalRound, compared
from explorer.analysis.summary import summarise
from explorer.record import records
from explorer.record.folder import CHECKS, CONFIG, stored_config
from explorer.record.progress import progress_of
from explorer.study.final import final_study
from explorer.study.plan import Plan
from explorer.study.run import joined_hash
from explorer.study.settings import StudyConfig

MOST_SEEDS = 10_000  # as of `search.final_seeds`


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
    search = plan.config.search
    if not search.final or not search.is_adaptive or search.cost is not None or progress_of(plan, record).left:
        return None
    ranked = best_by_validation(completed(record, plan.every_seed))[: search.final]
    if not ranked:
        return None
    config = final_study(plan, [name for name, _ in ranked], str(execution["precision"]))
    own = folder / CHECKS / config.name
    config = _with_seeds_of(own, config)
    found = check_study(own, config, joined_hash(str(environment["data_hash"])))
    return FinalStudy(own, found, judged_final(plan, record, found, environment))


def _with_seeds_of(folder: Path, config: StudyConfig) -> StudyConfig:
    """The settings of a final round, with as many seeds as its folder was last started with if these are more."""
    search = (stored_config(folder) or {}).get("search") if (folder / CONFIG).exists() else None
    seeds = search.get("seeds") if isinstance(search, dict) else None
    if not isinstance(seeds, int) or isinstance(config.search.seeds, str) or seeds <= config.search.seeds:
        return config
    return replace(config, search=replace(config.search, seeds=min(seeds, MOST_SEEDS)))


def judged_final(plan: Plan, record: records.Record, found: CheckStudy, environment: Mapping[str, Any]) -> FinalRound:
    """What the final round of a finished search found, from its own record, which `found` holds, and the search's."""
    errors = dict(best_by_validation(completed(record, plan.every_seed)))
    names = tuple([*errors][: plan.config.search.final])
    none = FinalRound(
        settings=names,
        validation={name: errors[name] for name in names},
        tried=record.runs["setting"].nunique(),
        ended=len(errors),
        done=0,
        wanted=found.plan.runs,
        seeds=found.plan.seeds,
        fault=found.fault,
    )
    if found.fault or found.record is None:
        return none
    runs = found.record.runs
    own = runs[runs["seed"].isin(found.plan.every_seed)]
    # Their validation errors are of images that they were trained on.
    summaries = tuple(summarise(own.assign(val_error=math.nan), [*names]))
    done, images = found.progress.final, int(environment["images"][2])
    complete = done >= found.plan.runs and len(summaries) == len(names)
    comparisons = compared(summaries, plan.config.study.margin, images) if complete else ()
    return replace(none, done=done, summaries=summaries, comparisons=comparisons, images=images)
