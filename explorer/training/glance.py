"""A quick check of a data set that reads few images: does it exist, with the classes and size of the settings?

It lets `do=plan` report at once what a start would refuse only after reading all images. Data sets of the hub are not
checked, since a plan downloads nothing.
"""

from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from explorer.host.errors import InputError
from explorer.host.formatting import in_one_line
from explorer.study.settings import DataConfig
from explorer.training.images import source
from explorer.training.images.decode import look
from explorer.training.images.decoded_cache import NEEDED, class_numbers, refuse_sizes, refuse_small_resize

DIGITS = 1797  # number of embedded images
ROWS = 2**16  # labels read at once
LOOKED_AT = 500  # images of each part whose size is checked


def refuse_unlike(config: DataConfig) -> None:
    """Raise InputError for images that do not exist, or clearly differ from what the settings describe."""
    if config.source == "digits":
        source.refuse_other_digits(config)
        _refuse_split(config)
    elif config.path is None:
        return
    elif config.source == "hub":
        if source.HUB_NAME.fullmatch(config.path) is None:
            source.existing_folder(config.path, "a data set of the hub, OWNER/NAME, or a folder as there")
    elif config.source == "folder":
        found = source.class_folders(config, config.path).items()
        class_numbers(config, {name: source.Listing(0, lambda: iter(()), classes) for name, (_, classes) in found})
        _refuse_sizes(config, source.listings(config, config.path)[0])
    else:
        unread = source.listings(config, config.path)[0]
        if class_numbers(config, unread) is None:
            _refuse_numbers(config, config.path)
        _refuse_sizes(config, unread)


def _refuse_sizes(config: DataConfig, unread: source.Listings) -> None:
    """Raise InputError if the first images of a part have another size than the settings say."""
    refuse_small_resize(config)
    if config.resize is not None:
        return
    sizes, seen = [], 0
    for part, listing in unread.items():
        for item in islice(listing.items(), LOOKED_AT):
            problem = item.problem or _problem(item, config)
            seen += 1
            if NEEDED in problem:
                sizes.append((f"{part} {item.name}", problem.partition(NEEDED)[0]))
    if config.unusable == "refuse" or len(sizes) == seen:
        refuse_sizes(config, sizes, seen, others=len(sizes))


def _problem(item: source.Item, config: DataConfig) -> str:
    """Why an image cannot be used, as far as the first bytes of its file show; damage is found at the start."""
    try:
        look(item.read() or b"", config)
    except (ValueError, OSError) as error:
        return str(error)
    return ""


def _refuse_split(config: DataConfig) -> None:
    """Raise InputError for a split of the embedded digits that a start would refuse, using the start's own code.

    That code needs torch; if numbers clearly fit, or torch is not installed, it is not loaded.
    """
    sizes = [config.train_images, config.val_images, config.test_images]
    numbers = [size for size in sizes if isinstance(size, int)]
    left = DIGITS - sum(numbers)
    if len(numbers) == len(sizes) and min(numbers) >= config.classes and (left == 0 or left >= config.classes):
        return
    if find_spec("torch") is not None:
        from explorer.training.images import split as data

        data.load(config)


def absent_device(device: str) -> str:
    """Why a start would be refused for its device; "" if it would not be, or if torch is not installed."""
    if device != "cuda" or find_spec("torch") is None:
        return ""
    from explorer.training.device import resolve

    try:
        resolve(device)
    except InputError as error:
        return str(error)
    return ""


def _refuse_numbers(config: DataConfig, path: str) -> None:
    """Raise InputError if numeric labels show another number of classes; a few labels that are too high are damage."""
    seen, beyond, highest = 0, 0, -1
    by_part = source.parquet_files(config, path)
    used = source.parts_of(config, list(by_part)).values()
    for file in (file for part in used for file in by_part[part]):
        for labels in _labels(config, file):
            seen += len(labels)
            beyond += sum(label is not None and label >= config.classes for label in labels)
            highest = max([highest, *(label for label in labels if label is not None)])
    # If unusable images are left out, a class may lose all its images.
    if beyond > seen / 100 or (highest + 1 < config.classes and config.unusable == "refuse"):
        raise InputError(f"data.classes={config.classes}: {config.name} has {highest + 1}")


def _labels(config: DataConfig, file: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        opened = pq.ParquetFile(file)
        _, label = source.columns_of(config, file.name, list(opened.schema_arrow.names))
        for batch in opened.iter_batches(ROWS, columns=[label]):
            yield batch.column(0).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{file}: is damaged ({in_one_line(error)})") from None
