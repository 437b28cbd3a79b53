"""The final round of a search: its best designs trained anew, with fresh seeds, on all images that are not to test.

It is a study of its own in the folder of the search, as a robustness check is, and the only part of a search that looks
at the test images: what it trains is settled before, by validation.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from explorer.design.space import NamedSpace
from explorer.study.lengths import budget_of_part
from explorer.study.plan import Plan
from explorer.study.settings import (
    Precision,
    Question,
    ReportConfig,
    SearchConfig,
    StorageConfig,
    StudyConfig,
)


def final_runs(config: StudyConfig) -> int:
    """How many runs the final round of a study's search has, if that many designs come through; 0 if it has none."""
    return config.search.final_designs * config.search.final_seeds


def final_name(plan: Plan) -> str:
    """The name of the final round of a search: with more designs or seeds another one follows, and no run is lost."""
    seeds = "" if plan.seeds == 1 else f"x{plan.seeds}"
    return f"final-{plan.designs}{seeds}"


def final_study(plan: Plan, names: Sequence[str], precision: str) -> StudyConfig:
    """The study that trains the settings called `names`, the best first, in the `precision` of the search.

    Training and validation images are trained on together; what such a run records as its validation error is an error
    on images that it was trained on, and chooses nothing. Weights are kept.
    """
    config = plan.config
    return replace(
        config,
        name=final_name(plan),
        study=Question(f"Final round: {config.study.question}", None),
        space=NamedSpace(tuple(names), "named"),
        spaces={},
        budget=budget_of_part(config, plan.scope),
        data=replace(config.data, joined=True),
        search=SearchConfig("listed", config.search.final_seeds, first_seed=plan.every_seed[-1] + 1),
        engine=replace(config.engine, precision=cast(Precision, precision)),
        storage=StorageConfig("none", "last", trackers=config.storage.trackers),
        report=ReportConfig(),
        fork=False,
    )
