"""`explorer label NAME`: add the labels of a study's test images to a record that does not hold them."""

from dataclasses import replace

from rich.console import Console

from explorer.analysis.judging import OpenedStudy, open_study
from explorer.host.commands import command_for
from explorer.host.console import PLAIN
from explorer.host.errors import InputError
from explorer.host.formatting import counted
from explorer.record.folder import LABELS, locked, refuse_links, study_folder
from explorer.record.labels import keep_labels, load_labels
from explorer.record.starts import write_environment
from explorer.study.preprocessing import as_stored
from explorer.study.settings import NO_PATH, DataConfig, LabelConfig
from explorer.verbs.result import Result


def carry_out(config: LabelConfig, console: Console) -> Result:
    """Read the study's images, check that they are those it was trained on, and record the labels of its test images.

    Raises InputError for a study whose images are not read here, for other images, and for one that is being run.
    """
    folder = study_folder(config.name)
    refuse_links(folder)
    study = open_study(folder)
    data = _data(study, config)
    images = int(study.environment["images"][2])
    seeds = _seeds(study)
    known = load_labels(folder, data.classes, images)
    added = [seed for seed in seeds if known.of(-1 if seed is None else seed) is None]
    if added:
        with locked(folder):
            for seed in added:
                _add(study, data, seed)
        page = command_for("report", config.name)
        console.print(f"Wrote {folder / LABELS}: {counted(images, 'label')}; {page} draws the page anew", **PLAIN)
    else:
        console.print(f"{folder / LABELS} holds the labels already; nothing was written", **PLAIN)
    return Result(lambda: {"study": config.name, "file": folder / LABELS, "images": images, "added": bool(added)})


def _data(study: OpenedStudy, config: LabelConfig) -> DataConfig:
    """The images of a study where they are now. Raises InputError where there are none to read."""
    data = study.config.data
    if study.config.is_told:
        whose = "imported" if study.config.is_imported else "told by another program"
        raise InputError(f"{study.folder}: its results were {whose}, and its images are not read here")
    if config.data is not None:
        if data.source == "digits":
            raise InputError(f"data={config.data}: the images of {config.name} are the embedded digits; leave it out")
        data = replace(data, path=config.data)
    if data.lacks_path:
        raise InputError(f"{NO_PATH}; of a recorded study: {command_for('label', config.name, 'data=FOLDER')}")
    return data


def _seeds(study: OpenedStudy) -> list[int | None]:
    """The seeds with test images of their own that have a run; one None where all have the same."""
    if not study.environment.get("test_by_seed"):
        return [None]
    runs = study.record.runs
    return [*sorted({int(seed) for seed in runs.loc[runs["test_error"].notna(), "seed"]})]


def _add(study: OpenedStudy, data: DataConfig, seed: int | None) -> None:
    """Record the labels of a seed's test images, or of every seed's, and how its images are prepared if it lacks that.

    Raises InputError for other images than those of the study.
    """
    from explorer.training.images.split import load, preprocessing_of, test_labels

    try:
        found = load(data, "cpu", seed=seed or 0)
    except InputError as error:
        if data.source == "digits":
            raise
        raise InputError(
            f"{error}; say where they are now: {command_for('label', study.config.name, 'data=FOLDER')}"
        ) from None
    recorded = study.environment["data_hash"]
    if found.digest != recorded:
        raise InputError(
            f"{data.place}: holds other images than those of {study.folder}: their hash is {found.digest}, needed is "
            f"{recorded}; say where they are with data=FOLDER"
        )
    keep_labels(study.folder, test_labels(found), seed)
    if data.split_seed != "each" and "preprocessing" not in study.environment:  # the names of the classes
        environment = study.environment | {"preprocessing": as_stored(preprocessing_of(found))}
        write_environment(study.folder, environment)
