"""A quick check of a data set that reads few images: does it exist, with the classes and size of the settings?

It lets a plan report at once what a start would refuse only after reading all images. Data sets of the hub are not
checked, since a plan downloads nothing.
"""

from importlib.util import find_spec
from itertools import islice

from explorer.host.errors import InputError
from explorer.study.data_sources import SOURCES
from explorer.study.settings import DataConfig
from explorer.training.images import source
from explorer.training.images.classes import Classes, classes_of, refuse_hidden, refuse_without_images
from explorer.training.images.decode import look
from explorer.training.images.decoded_cache import Unusable, label_problem, refuse_small_resize
from explorer.training.images.discovery import TEXTS, Discovery, discover, discover_source, listed
from explorer.training.images.drawing import refuse_undividable
from explorer.training.images.stored import Labels

DIGITS = 1797  # number of embedded images
LOOKED_AT = 1000  # images of each part whose size is checked


def refuse_unlike(config: DataConfig) -> None:
    """Raise InputError for images that do not exist, or clearly differ from what the settings describe."""
    if config.source == "digits":
        source.refuse_other_digits(config)
        _refuse_split(config)
    elif config.lacks_path:
        return
    elif config.source == "hub":
        assert config.path is not None
        if source.HUB_NAME.fullmatch(config.path) is None:
            source.existing_folder(config.path, "a data set of the hub, OWNER/NAME, or a folder as there")
    else:
        unread = listed(config)
        refuse_small_resize(config)
        refuse_hidden(config, unread)
        classes = classes_of(config, unread)
        usable = _usable(config, unread, classes)
        refuse_without_images(config, classes, usable)
        refuse_undividable(config, usable, classes.names)


def _usable(config: DataConfig, unread: source.Listings, classes: Classes) -> dict[str, Labels]:
    """How many images of each class can be used, by part, as far as the first ones of each part show.

    Raises InputError for those that a start would refuse. Where labels are known to be wrong all images are gone
    through, so that the line names what the start's would name.
    """
    unusable, found = Unusable(config), dict[str, Labels]()
    for part, listing in unread.items():
        found[part] = classes.counts(listing)
        is_wrong = config.unusable == "refuse" and int(found[part].sum()) < listing.count
        for number, item in enumerate(islice(listing.items(), None if is_wrong else LOOKED_AT)):
            problem = item.problem or (_problem(item, config) if number < LOOKED_AT else "")
            wrong = label_problem(item, classes)
            unusable.seen += 1
            if problem or wrong:
                unusable.note(f"{part} {item.name}", problem or wrong)
            if problem and item.is_counted and item.label is not None and not wrong:
                found[part][classes.numbers[item.label]] -= 1
    unusable.refuse()
    return found


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
    if config.lacks_path or config.source not in ("folder", "parquet", *SOURCES):
        return []
    settings = {} if config.resize is None else {"resize": str(config.resize)}
    lines = _found(config).lines(config.label, settings)
    if (sizes := counts(config)) is not None:
        lines.append("About {:,} of them to train, {:,} to validate, {:,} to test".format(*sizes))
    return lines


def _found(config: DataConfig) -> Discovery:
    texts = {key: getattr(config, key) for key in (*TEXTS, "path")}
    usual = {key: value for key, value in texts.items() if value is not None}
    if config.source in SOURCES:
        return discover_source(config.source, usual)
    return discover(usual.pop("path"), usual)


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
