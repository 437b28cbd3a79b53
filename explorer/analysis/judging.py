"""Opens a study: reads its record once, judges it once, and returns both as one value."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.analysis.checks import Checks, at_equal_epochs, checks_of, declared_of, robustness_of
from explorer.analysis.disagreement import Disagreement, disagreement
from explorer.analysis.final_study import FinalStudy, final_of
from explorer.analysis.finding import Finding, find
from explorer.analysis.paired import ALPHA
from explorer.analysis.told_costs import are_told, unequal_words, with_told_budget
from explorer.design.name import paths_in
from explorer.host.commands import command_for
from explorer.host.errors import InputError
from explorer.record import folder as study
from explorer.record import records
from explorer.record.changes import refuse_other_settings
from explorer.record.imported import imported_of
from explorer.record.labels import Labels, load_labels
from explorer.record.progress import Progress, names_so_far, progress_of, settings_so_far
from explorer.record.spent import Spent, spent_in
from explorer.record.starts import execution_in, started_study
from explorer.study.designs import Setting
from explorer.study.final import final_runs
from explorer.study.lengths import lengths_in
from explorer.study.plan import Plan, plan_of
from explorer.study.run import BASELINE, Run
from explorer.study.runs import runs_of
from explorer.study.settings import TRAINED, StudyConfig
from explorer.study.tree import to_config

Right = Mapping[str, npt.NDArray[np.bool_]]  # by run, which test images it classified correctly
# The largest record that is read only for the index, which takes some seconds.
MOST_BESIDE = 2**26  # bytes
MOST_DESIGNS_BESIDE = 10_000


@dataclass(frozen=True)
class OpenedStudy:
    """A study that has begun: what was asked, what is recorded, and what it found.

    folder       where it was read
    plan         of the settings it was started with, at the number of seeds that it is to have now
    environment, execution  what it was started on, and its execution plan, as the JSON files of its folder have them
    checks       the robustness checks of its contrast as they stand; None if it is not to be checked
    final        the final round of a search as it stands; None until the search is finished, or if it has none
    stamps, digest  the state of its files and the hash of its runs before they were read; None and "" of a table
    right        by run of its contrast, which test images it classified correctly
    labels       the classes of its test images, as far as they are recorded
    """

    folder: Path
    plan: Plan
    record: records.Record
    finding: Finding
    environment: dict[str, Any]
    execution: dict[str, Any]
    checks: Checks | None = None
    final: FinalStudy | None = None
    stamps: study.Stamps | None = None
    digest: str = ""
    right: Right = field(default_factory=dict)
    labels: Labels = field(default_factory=Labels)

    @property
    def config(self) -> StudyConfig:
        """The settings that it was started with."""
        return self.plan.config

    @cached_property
    def settings(self) -> tuple[Setting, ...]:
        """The settings that were fixed in advance, or that a search has chosen until now."""
        return settings_so_far(self.plan, self.record)

    @cached_property
    def disagreement(self) -> Disagreement | None:
        """What the two settings of its contrast disagree on; None without a contrast, or without answers to compare."""
        pair, runs = self.plan.contrast, self.record.runs
        if pair is None or not self.right:
            return None
        wanted = runs[(runs["status"] == "ok") & (runs["rate"] == 1) & runs["seed"].isin(self.plan.every_seed)]
        first, second = (
            {
                int(seed): self.right[str(run)]
                for seed, run in zip(own["seed"], own["run"], strict=True)
                if len(self.right.get(str(run), ()))  # none of a run whose answers were not told
            }
            for own in (wanted[wanted["setting"] == one.name] for one in pair)
        )
        labels = self.labels.of if self.labels.is_known else None
        return disagreement(first, second, labels, own_images=self.finding.own_images)

    @cached_property
    def spent(self) -> Spent | None:
        """What its starts spent, those of its final round and its robustness checks included; None if none noted it."""
        own = [self.environment]
        for folder in study.checks_in(self.folder):
            with suppress(InputError):  # a check that cannot be read says so elsewhere
                own.append(study.stored_environment(folder) or {})
        return spent_in(*own)

    @property
    def steps(self) -> int:
        """Training steps of a run that comes to its end."""
        return self.config.recipe.steps_on(int(self.environment["images"][0]))

    def planned_runs(self) -> list[tuple[Setting, Run]]:
        """All runs of its settings as its starts execute them, recorded or not."""
        execution = execution_in(self.execution, self.folder)
        return runs_of(self.plan, self.settings, execution, str(self.environment["data_hash"]))

    @property
    def progress(self) -> Progress:
        """How many of the study's runs have a final row in the record."""
        return progress_of(self.plan, self.record)


def open_study(folder: Path) -> OpenedStudy:
    """Open the study in a folder. Raises InputError if it was never started, or its files cannot be used."""
    if (opened := begun_study(folder)) is None:
        raise InputError(f"{folder}: there is no such study yet; {command_for('list')} shows those there are")
    return opened


def begun_study(folder: Path, plan: Plan | None = None) -> OpenedStudy | None:
    """Open the study in a folder; None if it was never started. Raises InputError if its files cannot be used.

    `plan` saves making the plan again: its numbers of seeds and designs are then used. Raises InputError, listing the
    differences, if the study was started with other settings than those of the plan.
    """
    stamps, digest = study.stamps_of(folder), study.runs_digest(folder)
    started = started_study(folder)
    if started is None:
        return None
    if plan is not None:
        refuse_other_settings(started, plan.config)
    config = to_config(started.config, lambda _: f" (in {folder / study.CONFIG})")
    config = replace(config, report=replace(config.report, images="auto"))  # only a command decides it
    if plan is None:
        plan = plan_of(config, chooses=False)
    else:
        question = replace(config.study, robustness=plan.config.study.robustness)
        plan = replace(
            plan, config=replace(config, study=question, search=plan.config.search, report=plan.config.report)
        )
    record = without_joined(config, records.load(folder))
    right = records.load_correct(folder, _contrasted(plan, record), record) if config.study.contrast else {}
    found = judged(folder, plan, record, right, started.environment, started.execution)
    declared = declared_of(found.plan, started.plan, started.environment, record)
    checks = checks_of(folder, declared, started.environment["data_hash"])
    finding = replace(found.finding, note=study.note(folder))
    if checks is not None and finding.complete and finding.comparison is not None:
        both = at_equal_epochs(finding, checks)
        finding = replace(finding, robustness=robustness_of(finding, checks), equal_epochs=both)
    final = final_of(folder, found.plan, record, started.environment, started.execution)
    finding = replace(finding, final_round=final.found if final else None)
    images = int(started.environment["images"][2])
    labels = load_labels(folder, config.data.classes, images) if right else Labels()
    return replace(found, finding=finding, checks=checks, final=final, stamps=stamps, digest=digest, labels=labels)


def without_joined(config: StudyConfig, record: records.Record) -> records.Record:
    """A record without its validation errors if they are of images that were trained on, since they then say nothing.

    So it is in a final round: nothing that is made of its record shows them.
    """
    if not config.data.joined:
        return record
    return replace(record, runs=record.runs.assign(val_error=math.nan), epochs=record.epochs.assign(val_error=math.nan))


def judged(
    folder: Path,
    plan: Plan,
    record: records.Record,
    right: Right,
    environment: dict[str, Any],
    execution: dict[str, Any],
) -> OpenedStudy:
    """Judge a record: at the first look that has decided or is incomplete, else at all seeds.

    With `search.seeds=auto` there are several looks, which are interim analyses. A look at which every run failed is
    the last one: more seeds would fail as well. `right` says by run which test images it classified correctly, for the
    runs for which that is needed.
    """
    images = int(environment["images"][1]), int(environment["images"][2])
    plan = plan.with_lengths(lengths_in(environment, str(folder / study.ENVIRONMENT)))
    for look in plan.config.search.looks:
        plan = plan.with_seeds(look)
        found = _found(plan, record, right, images, environment)
        decided = found.comparison is not None and found.comparison.verdict != "inconclusive"
        if decided or found.lost or not found.complete:
            break
    return OpenedStudy(folder, plan, record, found, environment, execution, right=right)


def _contrasted(plan: Plan, record: records.Record) -> set[str]:
    """The runs of the two settings that are compared; only for these the correctly classified images are needed."""
    names = [setting.name for setting in plan.contrast or ()]
    return set(record.runs.loc[record.runs["setting"].isin(names), "run"])


def _found(
    plan: Plan, record: records.Record, right: Right, images: tuple[int, int], environment: dict[str, Any]
) -> Finding:
    config, pair = plan.config, plan.contrast
    spaces = {} if config.search.only else config.spaces
    contrast = (pair[0].name, pair[1].name) if pair else None
    names, imported = names_so_far(plan, record), imported_of(environment)
    measure = "val_error" if config.search.is_adaptive else "test_error"
    has_told_costs = config.is_told and imported is None and are_told(record.runs, plan.scope.task)
    cost = None if config.search.only else config.search.cost
    if imported is not None:
        measure, cost = imported.judged, imported.cost
    found = find(
        with_told_budget(plan, record.runs) if has_told_costs else record.runs,
        names,
        contrast,
        plan.seeds,
        first_seed=config.search.first_seed,
        designs=plan.designs,
        measure=measure,
        margin=config.study.margin,
        alpha=ALPHA / len(config.search.looks),
        right=right,
        cost=cost,
        val_images=images[0] or None if imported else images[0],
        test_images=images[1] or None if imported else images[1],
        rest_images=environment.get("rest_images", 0),
        random=record.chosen(BASELINE),
        late=record.drawn_late,
        spaces={space: [one.name for one in plan.settings if space in one.spaces] for space in spaces},
        rivals=(config.study.contrast.setting, config.study.contrast.against)
        if spaces and config.study.contrast
        else None,
        under=_under(config, contrast or names),
        own_splits=config.data.split_seed == "each",
        own_images=environment.get("test_by_seed", 0) > 0,
        feasible={space: plan.draws.scan(plan.scopes[space]).feasible for space in spaces},
        labels=config.study.labels,
        imported=imported,
    )
    only_some = bool(config.search.only) and config.study.contrast is not None
    trained = TRAINED.get(config.budget.train, "")
    found = replace(found, only_some=only_some, final_runs=final_runs(config), trained=trained)
    if not has_told_costs:
        return found
    return replace(found, has_told_costs=True, unequal=unequal_words(plan, record.runs))


def _under(config: StudyConfig, names: Sequence[str]) -> str:
    """The initialisation under which designs with different numbers of paths were compared; "" if all have the same.

    Another program may initialise them in any way.

    With most rules of initialisation the norm of a filter depends on the number of paths, and the result of short
    training depends on that norm, so the verdict names the rule.
    """
    if len({paths_in(name) for name in names}) < 2:
        return ""
    if config.is_imported:
        return ""
    if config.is_told:
        return "as another program trained them"
    init, gain = config.recipe.init, config.recipe.init_gain
    if (init, gain) == ("fan_out", 1):
        return "under the paper's initialisation"
    return f"under initialisation {init}" + (f" with gain {gain:g}" if gain != 1 else "")


def refuse_large(folder: Path) -> None:
    """Raise InputError for a record too large to read only for the index; the folder may come from other people."""
    tables = (*study.TABLES, *study.SOME, study.LABELS)
    size = sum((folder / name).stat().st_size for name in tables if (folder / name).exists())
    search = (study.stored_config(folder) or {}).get("search")
    designs = search.get("designs") if isinstance(search, dict) else None
    what = f"its record of {size / 2**20:,.0f} MiB" if size > MOST_BESIDE else ""
    if isinstance(designs, int) and designs > MOST_DESIGNS_BESIDE:
        what = f"its list of {designs:,} designs"
    if what:
        raise InputError(
            f"{what} is too large to be read beside another; {command_for('report', folder.name)} draws its page, and "
            "the index keeps what it says"
        )
