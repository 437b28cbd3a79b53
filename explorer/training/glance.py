"""A look at a data set that reads no image of it: is it there, and has it the classes that the settings say?

So that `do=plan` tells at once what a start would refuse only after it has read all images. A data set of the hub is
left to the start, since nothing is downloaded for a plan.
"""

from pathlib import Path
from typing import Any

from explorer.errors import InputError
from explorer.settings import DataConfig
from explorer.training import source
from explorer.training.pools import _class_numbers

ROWS = 2**16  # of labels, read at once
DIGITS = 10  # classes of the embedded images


def refuse_unlike(config: DataConfig) -> None:
    """Raise InputError for images that are not there, or plainly not those that the settings describe."""
    if config.source == "digits" and config.classes != DIGITS:
        raise InputError(f"data.classes={config.classes}: {config.name} has {DIGITS}")
    if config.path is None or config.source == "digits":
        return
    if config.source == "hub":
        if source._HUB_NAME.fullmatch(config.path) is None:
            source._existing_folder(config.path, "a data set of the hub, OWNER/NAME, or a folder as there")
    elif config.source == "folder":
        _class_numbers(config, _class_folders(config, config.path))
    elif _class_numbers(config, source.listings(config, config.path)[0]) is None:
        _refuse_numbers(config, config.path)


def _class_folders(config: DataConfig, path: str) -> source.Listings:
    """The classes of each part, whose images are not listed: there may be millions."""
    root = source._existing_folder(path, "a folder of images")
    parts = {name: root / found for name, found in source._parts(config, source._folders(root)).items()}
    if parts and "train" not in parts:
        raise InputError(f"data.path={path}: has {', '.join(parts)} but no train; allowed: train, val and test")
    classes = {name: tuple(source._folders(folder)) for name, folder in (parts or {"train": root}).items()}
    if empty := [name for name, found in classes.items() if not found]:
        raise InputError(
            f"data.path={parts.get(empty[0], root)}: holds no folders; allowed: one folder of images for each class"
        )
    return {name: source.Listing(0, lambda: iter(()), found) for name, found in classes.items()}


def _refuse_numbers(config: DataConfig, path: str) -> None:
    """Raise InputError where labels that are numbers are of fewer or more classes; a few beyond them are damage."""
    seen, beyond, highest = 0, 0, -1
    for file in _files(config, path):
        for labels in _labels(config, file):
            seen += len(labels)
            beyond += sum(label is not None and label >= config.classes for label in labels)
            highest = max([highest, *(label for label in labels if label is not None)])
    # Where some images may be left out, those of a class may be among them.
    if beyond > seen / 100 or (highest + 1 < config.classes and config.unusable == "refuse"):
        raise InputError(f"data.classes={config.classes}: {config.name} has {highest + 1}")


def _files(config: DataConfig, path: str) -> list[Path]:
    """The parquet files of the parts that are used."""
    root = Path(path).expanduser()
    folders = [root / config.subset] if config.subset else [root, root / "data", root / "default"]
    files = sorted(file for folder in folders for file in folder.glob("*.parquet"))
    names = {file: match["part"] if (match := source._SHARD.fullmatch(file.stem)) else file.stem for file in files}
    used = set(source._parts(config, list(dict.fromkeys(names.values()))).values())
    return [file for file in files if names[file] in used]


def _labels(config: DataConfig, file: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        opened = pq.ParquetFile(file)
        _, label = source._columns(config, file.name, list(opened.schema_arrow.names))
        for batch in opened.iter_batches(ROWS, columns=[label]):
            yield batch.column(0).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{file}: is damaged ({' '.join(str(error).split())[:100]})") from None
