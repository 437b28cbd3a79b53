"""A quick check of a data set that reads few images: does it exist, with the classes and size of the settings?

It lets a plan report at once what a start would refuse only after reading all images. Data sets of the hub are not
checked, since a plan downloads nothing.
"""

from collections import Counter
from importlib.util import find_spec
from itertools import islice

from explorer.host.errors import InputError
from explorer.study.settings import DataConfig
from explorer.training.images import source
from explorer.training.images.decode import look
from explorer.training.images.decoded_cache import (
    NEEDED,
    class_numbers,
    first_label,
    refuse_hidden,
    refuse_sizes,
    refuse_small_resize,
)
from explorer.training.images.discovery import TEXTS, Discovery, discover, listed

DIGITS = 1797  # number of embedded images
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
        classes = {name: tuple(sorted({*map(source.class_of, own)})) for name, (_, own) in found}
        class_numbers(config, {name: source.Listing(0, lambda: iter(()), own) for name, own in classes.items()})
        _refuse_sizes(config, listed(config))
    else:
        unread = listed(config)
        refuse_hidden(config, unread)
        if class_numbers(config, unread) is None:
            _refuse_numbers(config, unread)
        _refuse_sizes(config, unread)


def counts(config: DataConfig) -> tuple[int, int, int] | None:
    """About how many images there will be to train, to validate and to test, from what its folder lists.

    A start leaves those out that cannot be used. None if the numbers do not fit together, which a start refuses.
    """
    found = _found(config)
    there = {part: sum(labels.values()) for part, labels in found.labels.items()}
    total, sizes = there.get("train", 0), dict[str, int]()
    left = total
    for part in ("val", "test"):
        wanted = getattr(config, f"{part}_images")
        if part in there:
            sizes[part] = wanted if isinstance(wanted, int) else there[part]
        elif isinstance(wanted, (int, float)):
            sizes[part] = round(wanted * total) if isinstance(wanted, float) else wanted
            left -= sizes[part]
        else:
            return None
    train = min(left, config.train_images or left)
    return (train, sizes["val"], sizes["test"]) if train > 0 else None


def data_lines(config: DataConfig) -> list[str]:
    """What a folder of images or of parquet files holds, for people; nothing of other sources."""
    if config.path is None or config.source not in ("folder", "parquet"):
        return []
    settings = {} if config.resize is None else {"resize": str(config.resize)}
    lines = _found(config).lines(config.label, settings)
    if (sizes := counts(config)) is not None:
        lines.append("About {:,} of them to train, {:,} to validate, {:,} to test".format(*sizes))
    return lines


def _found(config: DataConfig) -> Discovery:
    assert config.path is not None
    texts = {key: getattr(config, key) for key in TEXTS}
    usual = {key: value for key, value in texts.items() if value is not None}
    return discover(config.path, usual)


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


def _refuse_numbers(config: DataConfig, unread: source.Listings) -> None:
    """Raise InputError if numeric labels show another number of classes; a few labels that are too high are damage."""
    labels = Counter[int]()
    for listing in unread.values():
        labels.update({one: number for one, number in listing.labels.items() if isinstance(one, int)})
    seen, first = sum(listing.count for listing in unread.values()), first_label(config, unread)
    beyond = sum(number for label, number in labels.items() if label - first >= config.classes)
    highest = max([-1, *(label - first for label in labels)])
    # If unusable images are left out, a class may lose all its images.
    if beyond > seen / 100 or (highest + 1 < config.classes and config.unusable == "refuse"):
        raise InputError(f"data.classes={config.classes}: {config.name} has {highest + 1}")
