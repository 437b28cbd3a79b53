"""Writes imported results as a study: a record like any other, of runs that nobody can train again here."""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from explorer.design.space import NamedSpace
from explorer.host.commands import command_for
from explorer.host.errors import InputError
from explorer.record import records
from explorer.record.folder import (
    CONFIG,
    ENVIRONMENT,
    STUDIES,
    make_folder,
    now,
    stored_environment,
    study_folder,
)
from explorer.record.imported import Imported, imported_of
from explorer.record.rows import record_of
from explorer.record.starts import as_tree, begin, started_study, write_environment
from explorer.study.job import HostReport
from explorer.study.plan import Plan, plan_of
from explorer.study.run import EpochResult, Execution, Outcome, Run
from explorer.study.settings import Contrast, DataConfig, ImportConfig, StudyConfig
from explorer.study.tree import checked_name
from explorer.verbs.command_line import read_command
from explorer.verbs.importing.files import Raw
from explorer.verbs.importing.results import Result, Results, facts

_UNFINISHED = ".importing-"  # begins the name of a folder that is being written
_JUST_MADE = 2.0  # seconds after which a folder that is being written is surely locked
DEVICE = "imported"  # in the record, instead of a device's name


def study_of(raw: Raw, config: ImportConfig, results: Results, name: str) -> tuple[Plan, Imported]:
    """The plan of the study that holds some results, and what its record says of the file. Raises InputError."""
    own = facts(results) | {"asked": _asked(config, results)}
    source = Imported(file=raw.name, digest=raw.digest, kind=raw.kind, cost=config.cost, **own)
    contrast = _contrast(config, results, raw)
    base = read_command(
        [
            *("run", "study=custom", f"name={checked_name(name)}", "data=elsewhere", "budget=none", "storage=none"),
            f"data.classes={results.task.classes}",
        ]
    ).study
    data = DataConfig(
        name=results.data,
        label=results.label,
        channels=3 if results.task.channels == 3 else 1,
        image_size=results.task.image_size,
        classes=results.task.classes,
        train_images=None,
        val_images=None,
        test_images=results.test_images,
        split_seed=0,
        source="imported",
    )
    asked = config.question or f"Which of these designs have the lowest error at their cost on {results.label}?"
    settings = StudyConfig(
        name=name,
        device="auto",
        study=replace(base.study, question=asked, contrast=contrast, margin=config.margin),
        space=NamedSpace(results.designs, "named"),
        budget=base.budget,
        data=data,
        recipe=base.recipe,
        search=replace(base.search, seeds=1 + max(run.seed for run in results.runs)),
        engine=base.engine,
        storage=base.storage,
    )
    return plan_of(settings), source


def _asked(config: ImportConfig, results: Results) -> dict[str, str]:
    """The keys by which the same results are imported again: what was said, and the one of each that this study is."""
    said = {one.name: getattr(config, one.name) for one in fields(config)}
    columns = {f"columns.{one.name}": getattr(config.columns, one.name) for one in fields(config.columns)}
    said = {key: value for key, value in said.items() if key not in ("file", "name", "columns")} | columns
    said |= {"data": results.data, "recipe": results.recipe or None}
    usual = {"unit": "auto", "cost": "params"}
    found = {key: value for key, value in said.items() if value not in (None, (), usual.get(key, ""))}
    return {key: f"[{','.join(value)}]" if isinstance(value, tuple) else str(value) for key, value in found.items()}


def _contrast(config: ImportConfig, results: Results, raw: Raw) -> Contrast | None:
    if not config.contrast:
        if config.margin is not None:
            raise InputError(f"margin={config.margin:g}: is that of a contrast; say contrast=[A,B] beside it")
        return None
    if len(config.contrast) != 2:
        raise InputError(
            f"contrast=[{','.join(config.contrast)}]: allowed are two designs, as in contrast=[29-32x4d,29-1x64d]"
        )
    if not results.paired:
        raise InputError(
            f"contrast=[{','.join(config.contrast)}]: pairs are runs of one seed, and {raw.name} has no column of "
            "seeds; say columns.seed=COLUMN, or leave the contrast out"
        )
    return Contrast(*config.contrast)


def already(plan: Plan, source: Imported) -> bool:
    """Whether a study holds these very results already. Raises InputError if another one has its name."""
    folder = study_folder(plan.config.name)
    if not folder.exists() and not folder.is_symlink():
        return False
    there = None
    if (folder / CONFIG).exists() and (folder / ENVIRONMENT).exists():
        started = started_study(folder)
        there = imported_of(stored_environment(folder) or {})
        if started is not None and there == source:
            asked, own = as_tree(plan.config), {**started.config, "storage": None}
            if own == {**asked, "storage": None}:
                return True
    what = "holds other results or was imported otherwise" if there else "is there already"
    raise InputError(
        f"name={folder.name}: {folder} {what}; say name=..., or first {command_for('delete', folder.name)}"
    )


def write(plan: Plan, source: Imported, results: Results) -> Path:
    """Write the study's folder, whole or not at all, and return it."""
    make_folder(STUDIES)
    folder = study_folder(plan.config.name)
    _drop_unfinished()
    begun = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=STUDIES.parent))
    descriptor = os.open(begun, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        place = begun / folder.name
        _write(place, plan, source, results)
        place.rename(folder)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror}); make room or change its permissions"
        ) from None
    finally:
        shutil.rmtree(begun, ignore_errors=True)
        os.close(descriptor)
    return folder


def _drop_unfinished() -> None:
    """Delete what an import that was killed had written, which is as long as it runs locked."""
    for left in STUDIES.parent.glob(f"{_UNFINISHED}*"):
        with suppress(OSError):
            descriptor = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if time.time() - left.stat().st_mtime > _JUST_MADE:
                    shutil.rmtree(left)
            finally:
                os.close(descriptor)


def _write(folder: Path, plan: Plan, source: Imported, results: Results) -> None:
    config, execution = plan.config, imported_execution()
    kept: dict[str, Any] = asdict(source)
    parts = (source.digest, source.columns, source.unit, results.data, source.recipe)
    data_hash = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    make_folder(folder)
    records.open_for_writing(folder, filters=config.records_filters)
    report = HostReport(
        device="cpu",
        device_name=DEVICE,
        data_hash=data_hash,
        versions={"torch": "none"},
        images=(0, 0, results.test_images or 0),
    )
    begin(folder, None, config, execution, report)
    environment = stored_environment(folder) or {}
    write_environment(folder, {**environment, "imported": kept})
    by_name = {setting.name: setting for setting in plan.settings}
    finished, ended = now(), []
    for one in results.runs:
        setting = by_name[one.setting]
        run = Run(setting.architecture, config.data.task, config.recipe, config.data, data_hash, one.seed, execution)
        outcome, epochs = _outcome(one)
        row = record_of(config, setting, run, outcome, fvcore_macs=None, finished=finished, start=0)
        ended.append((replace(row, space=one.group), epochs, outcome))
    records.commit_all(folder, ended)


def imported_execution() -> Execution:
    """The execution plan that stands in a record for runs of which nothing is known."""
    return Execution("cpu", DEVICE, "grouped", "contiguous", "float32", 1, 1)


def _outcome(one: Result) -> tuple[Outcome, list[EpochResult]]:
    missing: Any = None  # of what the file does not say
    epochs = [
        EpochResult(place, missing, missing, train if train is not None else missing, val, missing)
        for place, (train, val) in enumerate(one.curve, 1)
    ]
    failed = one.status != "ok"
    own = {} if failed else one.errors
    outcome = Outcome(
        one.status,  # type: ignore[arg-type] # one of JUDGED_STATUSES
        len(epochs),
        train_error=own.get("train"),
        val_error=own.get("val"),
        test_error=own.get("test"),
        seconds=one.seconds or 0.0,
        message="as the imported file says" if failed else "",
    )
    return outcome, epochs
