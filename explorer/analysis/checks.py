"""Reads and judges the robustness checks of a study from their records."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from explorer.analysis.finding import Finding
from explorer.analysis.paired import Comparison, compare
from explorer.analysis.robustness import Arm, Robustness, judge
from explorer.analysis.summary import MIN_PAIRS, SettingSummary, summarise
from explorer.host.errors import InputError
from explorer.record import records
from explorer.record.changes import of_settings
from explorer.record.folder import CHECKS
from explorer.record.progress import Progress, progress_of
from explorer.record.starts import started_study
from explorer.study.checks import RIVALS, CheckArm, Declared, arms_of, equal_epochs
from explorer.study.lengths import Lengths
from explorer.study.plan import Plan, plan_of
from explorer.study.run import JUDGED_STATUSES, Execution
from explorer.study.settings import StudyConfig

_OF_PACE = ("setting", "seed", "images_per_second")
SOME_VALUE = 2.0  # of tuning: one that differs from the recipe's, so that both settings are trained with it


@dataclass(frozen=True)
class CheckStudy:
    """One study of a check: its plan, and what is recorded of it; None before its first start.

    fault  why its record cannot be used; "" if it can
    """

    plan: Plan
    record: records.Record | None
    fault: str = ""

    @cached_property
    def progress(self) -> Progress:
        """How many of its runs have a final row in the record."""
        return progress_of(self.plan, self.record)

    @property
    def is_finished(self) -> bool:
        """Whether all its runs are recorded, and can be judged."""
        if self.fault or self.record is None or self.progress.left:
            return False
        return bool(self.record.runs["status"].isin(JUDGED_STATUSES).all())

    def summary(self, setting: str, rate: float = 1.0, measure: str = "test_error") -> SettingSummary:
        """One of its settings, at one learning rate; it is finished."""
        assert self.record is not None
        runs = self.record.runs
        own = runs[(runs["rate"] == rate) & runs["seed"].isin(self.plan.every_seed)]
        (found,) = summarise(own, [setting], measure)
        return found


@dataclass(frozen=True)
class Checks:
    """The checks of a study's contrast as they stand: every arm, and every study that an arm needs by now.

    epochs  the arm of equal epochs, for the second verdict of a study at equal training compute or time
    """

    declared: Declared
    arms: tuple[CheckArm, ...]
    studies: Mapping[str, CheckStudy]
    epochs: CheckArm | None = None

    @property
    def foreseen(self) -> tuple[CheckArm, ...]:
        """Every arm with all that it may come to train, whatever its tuning will find."""
        most = {arm.name: (SOME_VALUE, SOME_VALUE) for arm in self.arms if arm.candidates and arm.sides is None}
        return arms_of(replace(self.declared, tuned={**self.declared.tuned, **most}))

    def is_finished(self, arm: CheckArm) -> bool:
        """Whether all studies of an arm are finished, and none follows from them."""
        return arm.sides is not None and all(self.studies[one.name].is_finished for one in arm.studies)


def declared_of(plan: Plan, execution: Execution, environment: Mapping[str, Any], record: records.Record) -> Declared:
    """What the checks of a study follow from once it has been started."""
    return Declared(plan, execution, int(environment["images"][0]), _pace(plan, record) if plan.contrast else None)


def _pace(plan: Plan, record: records.Record) -> float | None:
    """How many times as many images a second the contrast's setting trains as its rival; None before a pair is in.

    Of the first seeds alone, so that further ones do not change what is trained.
    """
    runs = record.runs[(record.runs["status"] == "ok") & (record.runs["rate"] == 1)]
    speeds = {(name, seed): speed for name, seed, speed in zip(*(runs[key] for key in _OF_PACE), strict=True)}
    names = [setting.name for setting in plan.contrast or ()]
    pairs = [[speeds.get((name, seed)) for name in names] for seed in [*plan.every_seed][:MIN_PAIRS]]
    return median(first / second for first, second in pairs if first and second) if any(map(all, pairs)) else None


def checks_of(folder: Path, declared: Declared, data_hash: str | None) -> Checks | None:
    """The checks of a study, as far as its folder has them; None if the study has no contrast that can be checked.

    That is so too where another program trained it, which alone could train its checks.

    `data_hash` is that of the images that the study was started on; None before its first start.
    """
    plan = declared.plan
    if plan.config.is_told or plan.contrast is None or any(one.form != "grouped" for one in plan.contrast):
        return None
    known: dict[str, CheckStudy] = {}

    def read(arms: tuple[CheckArm, ...]) -> None:
        for study in (study for arm in arms for study in arm.studies if study.name not in known):
            # With other splits other images are trained on, and the hash says so.
            same = data_hash if study.data == plan.config.data else None
            known[study.name] = check_study(folder / CHECKS / study.name, study, same, plan.lengths)

    epochs = equal_epochs(declared)
    read((*(arms := arms_of(declared)), *([epochs] if epochs else [])))
    tuned = {arm.name: best for arm in arms if (best := _best(arm, declared, known)) is not None}
    if tuned:
        declared = replace(declared, tuned=tuned)
        read(arms := arms_of(declared))
    return Checks(declared, arms, known, epochs)


def check_study(folder: Path, config: StudyConfig, data_hash: str | None, lengths: Lengths | None = None) -> CheckStudy:
    """Read one study of a check; what is wrong with its folder hides no other result.

    `lengths` are those of the declared study, which its checks share.
    """
    plan = plan_of(config).with_lengths(lengths or Lengths())
    try:
        started = started_study(folder)
        if started is None:
            return CheckStudy(plan, None)
        if different := of_settings(started, config):
            return CheckStudy(plan, None, f"{folder}: was started differently ({different[0]})")
        if data_hash is not None and started.environment["data_hash"] != data_hash:
            return CheckStudy(plan, None, f"{folder}: was trained on other images than the study")
        return CheckStudy(plan, records.load(folder))
    except InputError as error:
        return CheckStudy(plan, None, str(error))


def _best(arm: CheckArm, declared: Declared, known: Mapping[str, CheckStudy]) -> tuple[float, float] | None:
    """The values that suit setting and rival best by their validation errors; None until tuning is finished.

    Of equal errors the one nearest to the declared value is taken.
    """
    if not arm.candidates or not all(known[one.study].is_finished for one in arm.candidates):
        return None
    best = []
    for setting in declared.pair:

        def merit(value: float, study: str, rate: float, name: str = setting.name) -> tuple[float, float, float]:
            error = known[study].summary(name, rate, "val_error").estimate.mean
            return round(error, 12), abs(math.log(value)), value

        best.append(min(arm.candidates, key=lambda one: merit(one.value, one.study, one.rate)).value)
    return best[0], best[1]


@dataclass(frozen=True)
class FilterMeans:
    """How long the filters of a setting's k x k convolutions are and how far they turn, means over layers and runs.

    start, end  squared norm before the first step and after the last one
    degrees     by which a filter turns in an epoch
    """

    start: float
    end: float
    degrees: float


def filter_means(record: records.Record, setting: str, seeds: Collection[int]) -> FilterMeans | None:
    """What is recorded of a setting's filters; None if nothing is, as by earlier versions."""
    runs = record.runs
    own = runs.loc[(runs["setting"] == setting) & (runs["rate"] == 1) & runs["seed"].isin([*seeds]), "run"]
    filters = record.filters[record.filters["run"].isin(own)]
    if filters.empty:
        return None
    means = filters.groupby("run")[["norm_start", "norm_end", "degrees"]].mean().mean()
    return FilterMeans(*(float(value) for value in means))


def robustness_of(finding: Finding, checks: Checks) -> Robustness:
    """Judge the finished checks of a finished study with a contrast."""
    declared = finding.comparison
    assert declared is not None
    own = {one.setting: one for one in finding.summaries}
    arms, caveats = list[Arm](), dict[str, str]()
    worthless = f"of the declared contrast {words}" if (words := _caveat(declared)) else ""
    done = [check for check in RIVALS if _is_done(checks, check)]
    for arm in (arm for arm in checks.arms if arm.check in done and checks.is_finished(arm)):
        assert arm.sides is not None
        first, second = (
            checks.studies[side.study].summary(side.setting) if side.study else own[side.setting] for side in arm.sides
        )
        found = compare(first, second, declared.margin, images=finding.images)
        if caveat := _caveat(found) or worthless:
            caveats[arm.name] = caveat
        arms.append(Arm(arm.check, arm.name, {} if caveat else found.differences, arm.main))
    far, undone = dict[str, int](), dict[str, str]()
    for check in (check for check in RIVALS if check not in done):
        its = {
            study.name: checks.studies[study.name] for arm in checks.arms if arm.check == check for study in arm.studies
        }
        begun = [one for name, one in its.items() if name.split("-")[0] == check and one.record is not None]
        if begun:
            far[check] = sum(one.progress.final for one in its.values())
        else:
            undone[check] = "; ".join(arm.why_not for arm in checks.arms if arm.check == check and arm.why_not)
    return Robustness(
        judge(declared.differences, arms, declared_alpha=declared.alpha),
        checks.arms,
        caveats,
        far,
        undone,
        {name: one.fault for name, one in checks.studies.items() if one.fault},
    )


def at_equal_epochs(finding: Finding, checks: Checks) -> Comparison | None:
    """The contrast of a study at equal training compute or time, at equal epochs; None until that is trained."""
    arm, declared = checks.epochs, finding.comparison
    if arm is None or declared is None or not checks.is_finished(arm):
        return None
    assert arm.sides is not None
    own = {one.setting: one for one in finding.summaries}
    first, second = (
        checks.studies[side.study].summary(side.setting) if side.study else own[side.setting] for side in arm.sides
    )
    return compare(first, second, declared.margin, declared.alpha, images=finding.images)


def _is_done(checks: Checks, check: str) -> bool:
    """Whether all main arms of a check are finished, without those that cannot be made."""
    main = [arm for arm in checks.arms if arm.check == check and arm.main and not arm.why_not]
    return bool(main) and all(checks.is_finished(arm) for arm in main)


def _caveat(found: Comparison) -> str:
    """Why the errors of two settings can neither hold nor explain; "" if they can.

    A run that counts as chance is a rule of verdicts and no measurement: a gap to it is as large as chance is far.
    """
    if found.guesses:
        return "neither network has learned more than guessing"
    failed = sum(found.failed)
    return f"{failed} of {2 * found.difference.n} runs failed, which measures nothing" if failed else ""
