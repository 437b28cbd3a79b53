"""Records of studies that were never trained: each run has an outcome made of thin air, written as a study does it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from explorer.analysis.checks import checks_of
from explorer.analysis.judging import begun_study
from explorer.record import records
from explorer.record.folder import CHECKS, make_folder, study_folder
from explorer.record.labels import keep_labels
from explorer.record.rows import Decision, RunRecord, record_of
from explorer.record.starts import begin
from explorer.search.rungs import chosen
from explorer.search.train_speeds import lacking
from explorer.study.checks import filter_norm, is_asked
from explorer.study.designs import Setting, scope_of
from explorer.study.job import HostReport
from explorer.study.lengths import Lengths, Speed
from explorer.study.plan import plan_of
from explorer.study.run import BASELINE, EpochResult, Execution, Filters, Outcome, Run, joined_hash
from explorer.study.runs import is_judged, runs_of
from explorer.study.settings import StudyConfig

DATA_HASH = "0123456789abcdef"
IMAGES = (80, 40, 96)
FINISHED = "2026-11-24T05:09:10Z"
RunError = Callable[[StudyConfig, Run], float]  # the error of a run that came through, as a fraction
Right = Callable[[Run], npt.NDArray[np.bool_]]  # which test images a run has right
End = Callable[[Setting, int], str]  # what becomes of a run, by its setting and seed: a status, or "" while it lasts


def all_ok(setting: Setting, seed: int) -> str:
    """Every run comes through."""
    return "ok"


def made_up(
    config: StudyConfig,
    end: End = all_ok,
    *,
    error: RunError | None = None,
    folder: Path | None = None,
    precision: str = "float32",
    data_hash: str | None = None,
    images: tuple[int, int, int] = IMAGES,
    answers: bool = False,
    right: Right | None = None,
    labels: str = "",
    speeds: Mapping[str, Speed] | None = None,
) -> Path:
    """Write a study's folder below the current one, as if each of its runs had ended as `end` says, and return it.

    Of a search the designs are spread evenly over those it may choose, the first of them drawn at random where it has
    a baseline; where it has rungs, every third design is stopped at the first. `error` gives the errors of runs that
    came through. With `answers` each test error is that of the images said to be classified wrongly, as in a real
    record: the harder an image is, the more runs have it wrong. `right` says itself which images a run has right;
    `labels` are the classes of the test images; `speeds` those at which settings train, where these give lengths.
    """
    data_hash = data_hash or DATA_HASH
    folder = make_folder(folder or study_folder(config.name))
    make_folder(folder / "local")
    execution = Execution("cpu", "made up", "grouped", "channels_last", precision, 1, config.recipe.batch_size)
    host_report = HostReport("cpu", "made up", data_hash, {"torch": "2"}, images=images)
    some = {
        "searches": config.search.is_adaptive,
        "filters": config.records_filters,
        "measures": bool(config.measures),
    }
    records.open_for_writing(folder, **some, rungs=config.rungs)
    plan = plan_of(config).with_seeds(config.search.looks[-1])
    names = [one.name for one in lacking(plan, plan.settings)]
    speeds = {name: (speeds or {}).get(name, Speed(99.0, 100.0, 101.0, 30)) for name in names}
    plan = plan.with_lengths(Lengths(images[0], speeds))
    begin(folder, None, config, execution, host_report, speeds=speeds)
    keep_labels(folder, labels)
    settings = _designs(config) if config.search.is_adaptive else plan.settings
    stopped = _decided(config, settings, folder) if config.search.is_adaptive else set()
    ended = [
        _ended(config, setting, run, end(setting, run.seed), stopped, error, images, answers, right)
        for setting, run in runs_of(plan, settings, execution, data_hash)
        if end(setting, run.seed)
    ]
    records.commit_all(folder, ended)
    return folder


def made_up_final(
    config: StudyConfig,
    end: End = all_ok,
    *,
    error: RunError | None = None,
    images: tuple[int, int, int] = IMAGES,
) -> Path:
    """Write the final round of a made-up search that is finished, and return its folder."""
    study = begun_study(study_folder(config.name))
    assert study is not None
    assert study.final is not None
    own = study.final.study.plan.config
    there = {"folder": study.final.folder, "data_hash": joined_hash(DATA_HASH)}
    return made_up(own, end, error=error, images=images, answers=True, **there)  # type: ignore[arg-type]


def made_up_checks(config: StudyConfig, end: End = all_ok, *, error: RunError | None = None, most: int = 1000) -> int:
    """Write the studies of the checks that a made-up study asks for, at most so many, and return their number."""
    folder, done, plan = study_folder(config.name), 0, plan_of(config)
    study = begun_study(folder, plan)
    assert study is not None
    assert study.checks is not None
    due = plan.with_seeds(study.plan.seeds).with_lengths(study.plan.lengths)
    declared = replace(study.checks.declared, plan=due, tuned={})
    while done < most:
        checks = checks_of(folder, declared, DATA_HASH)
        assert checks is not None
        arms = [arm for arm in checks.arms if is_asked(arm, config.study.robustness)]
        arms += [checks.epochs] if checks.epochs is not None else []
        left = {one.name: one for arm in arms for one in arm.studies if not checks.studies[one.name].is_finished}
        for own in [*left.values()][: most - done]:
            place, speeds = folder / CHECKS / own.name, study.plan.lengths.speeds
            made_up(own, end, error=error, folder=place, precision=own.engine.precision, speeds=speeds)
        if not left:
            break
        done += len(left)
    return done


def _designs(config: StudyConfig) -> tuple[Setting, ...]:
    pool, scope, wanted = (
        plan_of(config).draws.candidates(plan_of(config).scope),
        scope_of(config),
        config.search.designs or 0,
    )
    places = [len(pool) * number // wanted for number in range(wanted)]
    return tuple(scope.setting(pool.architecture(place)) for place in places)


def _decided(config: StudyConfig, settings: tuple[Setting, ...], folder: Path) -> set[str]:
    """Write what a search decided, and give the designs that it stopped."""
    drawn, rungs, stopped = config.search.random_designs, config.rungs, set()
    for number, setting in enumerate(settings):
        by = BASELINE if number < drawn else config.search.sampler
        decisions = [chosen(setting, by)]
        if rungs and by != BASELINE and number % 3 == 0:
            decisions.append(Decision(setting.name, "stopped", rungs[0], 0.6, by))
            stopped.add(setting.name)
        elif by != BASELINE:
            decisions += [Decision(setting.name, "continued", epochs, 0.3, by) for epochs in rungs]
        records.decide(folder, decisions)
    return stopped


def _ended(
    config: StudyConfig,
    setting: Setting,
    run: Run,
    status: str,
    stopped: set[str],
    error: RunError | None,
    images: tuple[int, int, int],
    answers: bool,
    said: Right | None,
) -> tuple[RunRecord, list[EpochResult], Outcome]:
    """One run: its errors fall over the epochs to a value that the design decides, and the seed a little."""
    rng = np.random.default_rng([*run.id.encode()])
    last = 0.25 + 0.05 * (setting.cost.params % 7) / 7 + 0.01 * float(rng.random())
    is_stopped = status == "ok" and setting.name in stopped
    epochs = config.rungs[0] if is_stopped else run.recipe.epochs_on(images[0]) if status == "ok" else 1
    if error is not None:
        last = error(config, run)
    curve = [
        EpochResult(epoch, 0.1, 1 / epoch, min(1.0, last + 0.5 / epoch**2), min(1.0, last + 0.6 / epoch**2), 0.5)
        for epoch in range(1, epochs + 1)
    ]
    if status == "diverged":
        curve = []
    judges = status == "ok" and is_judged(config, run)
    right = rng.random(images[2]) > last
    if answers:
        hard = np.random.default_rng(0).normal(size=images[2]) + rng.normal(0, 0.3, images[2])
        right = np.ones(images[2], bool)
        right[np.argsort(-hard)[: round(last * images[2])]] = False
    if said is not None:
        answers, right = True, said(run)
    outcome = Outcome(
        status="pruned" if is_stopped else status,  # type: ignore[arg-type] # which `end` names
        epochs=epochs,
        train_error=curve[-1].train_error if curve else None,
        val_error=None if status != "ok" else last if error is not None else curve[-1].val_error,
        test_error=None
        if not judges
        else last
        if (error is not None and not answers) or not len(right)
        else 1 - float(right.mean()),
        loss=curve[-1].loss if curve else None,
        seconds=setting.cost.macs / 1e6,
        images_per_second=100.0 if error is None else 1e7 / setting.cost.macs,
        correct=np.packbits(right).tobytes() if judges else b"",
        test_images=len(right) if judges else 0,
        message="" if status == "ok" else f"{status.replace('_', ' ')} in epoch 1",
        host="somewhere",
        filters=(_filters(run),) if error and status == "ok" and config.records_filters else (),
    )
    record = record_of(config, setting, run, outcome, fvcore_macs=setting.cost.macs, finished=FINISHED, start=0)
    return record, curve, outcome


def _filters(run: Run) -> Filters:
    """Filters as long as an initialisation makes them, which turn the further the shorter they are."""
    norm = filter_norm(run.architecture, run.recipe.init, run.recipe.init_gain) or 1.0
    return Filters("layer1.0.conv2", norm, norm / 2, min(180.0, 10 / norm))


def few_epochs(config: StudyConfig) -> StudyConfig:
    """The study with three epochs: pages of long studies say the same."""
    return replace(config, recipe=replace(config.recipe, epochs=min(3, config.recipe.whole_epochs)))
