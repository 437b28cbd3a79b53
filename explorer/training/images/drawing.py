"""Which images train, validate and test: places drawn by seed and class from labels alone.

A plan draws them from what a data set lists, a start from the images that can be used: both refuse by the same code.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version

import numpy as np

from explorer.host.cache import cache_folder
from explorer.host.errors import InputError
from explorer.host.files import replaced
from explorer.host.formatting import counted, in_one_line, one_line
from explorer.study.settings import DataConfig
from explorer.training.images.classes import leaving_out
from explorer.training.images.stored import Labels

SHOWN = 10  # classes named in a message
FEWEST = 2  # images of a class that can be divided


def places_of(
    config: DataConfig, labels: Mapping[str, Labels], names: Sequence[str], seed: int = 0
) -> dict[str, Labels]:
    """Places of the images to train, validate and test: from the set's own parts, or split off its training part.

    `labels` are those of the set's own parts. With `data.test_images=rest` and a test part of the set's own there is a
    fourth split, `rest`: what is left of the training part. With `data.split_seed=each` only what is split off the
    training part depends on `seed`. Raises InputError for sizes that are not to be had.
    """
    fixed = config.of_seed(0)
    config = config.of_seed(seed)
    sizes, carved, train = _sizes(config, labels)
    drawn = _drawn(config, labels["train"], [train, *carved.values()], names)
    places = dict(zip(("train", *carved), drawn, strict=True))
    found = {"train": places["train"]}
    for key in ("val", "test"):
        if key in labels:
            _refuse_sizes(config, {key: sizes[key]}, len(labels[key]))
            found[key] = _drawn(fixed, labels[key], [sizes[key]], names)[0]
        else:
            found[key] = places[key]
    return found | ({"rest": places["rest"]} if "rest" in places else {})


def split_digest(pool_digest: str, splits: Iterable[tuple[Labels, Labels]]) -> str:
    """Hash of the content of a whole data set and of what is drawn from it: labels and places of each split."""
    digest = hashlib.sha256(pool_digest.encode())
    for labels, places in splits:
        digest.update(str(len(labels)).encode() + labels.tobytes() + places.tobytes())
    return digest.hexdigest()[:16]


def refuse_undividable(config: DataConfig, counts: Mapping[str, Labels], names: Sequence[str]) -> None:
    """Raise InputError if images cannot be split as the settings say; `counts` has the images of each class by part.

    How many images of each class are drawn depends on their numbers alone, so that this is what a start will find. Only
    where some class may be too small they are drawn, since loading scikit-learn takes a second.
    """
    labels = {part: np.repeat(np.arange(len(own)), own) for part, own in counts.items()}
    config = config.of_seed(0)
    sizes, carved, train = _sizes(config, labels)
    for key in sizes.keys() & labels.keys():
        _refuse_sizes(config, {key: sizes[key]}, len(labels[key]))
    draws = [("train", [train, *carved.values()])] + [(key, [sizes[key]]) for key in sizes if key in labels]
    for part, wanted in draws:
        total = len(labels[part])
        if wanted == [total]:
            continue
        # Before the last draw so many of each class are left, give or take one for each draw.
        left = total - sum(wanted[:-2] if sum(wanted) == total else wanted[:-1])
        if int(counts[part].min()) * left / total - len(wanted) < FEWEST:
            _newly_drawn(config, labels[part], wanted, names)


def _sizes(config: DataConfig, labels: Mapping[str, Labels]) -> tuple[dict[str, int], dict[str, int], int]:
    """The sizes of validation and test part, of what is split off the training part, and of what trains."""
    total, takes_rest = len(labels["train"]), config.test_images == "rest"
    sizes = {
        key: _size(config, key, len(labels[key]) if key in labels else None, total)
        for key in ("val", "test")
        if not (takes_rest and key == "test" and key not in labels)
    }
    carved = {key: size for key, size in sizes.items() if key not in labels}
    train = config.train_images if config.train_images is not None else total - sum(carved.values())
    _refuse_sizes(config, {"train": train, **carved}, total)
    if takes_rest:
        carved["rest" if "test" in labels else "test"] = _rest(config, total - train - sum(carved.values()))
    return sizes, carved, train


def _rest(config: DataConfig, left: int) -> int:
    """Number of training-part images left over for testing. Raises InputError if there are too few."""
    if left >= config.classes:
        return left
    given = ", ".join(f"data.{key}_images={getattr(config, f'{key}_images')}" for key in ("train", "val"))
    given = given.replace("None", "null")
    raise InputError(
        f"data.test_images=rest: {given} leave {left} images of {config.name} over; a split by class needs at least "
        f"{config.classes}: give a smaller data.train_images"
    )


def _size(config: DataConfig, key: str, own: int | None, total: int) -> int:
    """The number of validation or test images that a setting asks for."""
    wanted = getattr(config, f"{key}_images")
    if isinstance(wanted, float):
        if own is not None:
            raise InputError(
                f"data.{key}_images={wanted}: a share is split off the training part, but {config.name} has a {key} "
                f"part of its own; allowed: null for all its {own:,} images, or a number"
            )
        return round(wanted * total)
    if wanted is None or wanted == "rest":
        if own is None:
            raise InputError(
                f"data.{key}_images is null, but {config.name} has no {key} part; give a number, or a share of the "
                f"training part, as in data.{key}_images=0.1"
            )
        return own
    return int(wanted)


def _refuse_sizes(config: DataConfig, sizes: dict[str, int], total: int) -> None:
    """Raise InputError for parts larger than what they are drawn from, or too small to hold every class."""
    wanted, names = sum(sizes.values()), [f"{key}_images" for key in sizes]
    if "train" in sizes and sizes["train"] < 1 and config.train_images is None:
        given = ", ".join(f"data.{name}={getattr(config, name)}" for name in names[1:])
        raise InputError(f"{given}: leaves none of the {total:,} images of {config.name} to train on")
    if wanted > total or min(sizes.values()) < 1:
        whole = f"{', '.join(names[:-1])} and {names[-1]} add up to" if len(names) > 1 else f"{names[0]} is"
        raise InputError(f"data: {whole} {wanted:,}; {config.name} has {total:,}")
    if 0 < total - wanted < config.classes:
        raise InputError(
            f"data.{names[-1]}={list(sizes.values())[-1]}: leaves {total - wanted} images over, too few to split off "
            f"by class; allowed: all the rest or at least {config.classes} fewer"
        )
    for name, size in zip(names, sizes.values(), strict=True):
        if size < config.classes:
            raise InputError(f"data.{name}={size}: a split by class needs at least {config.classes}")


def _drawn(config: DataConfig, labels: Labels, sizes: list[int], names: Sequence[str] = ()) -> list[Labels]:
    """Positions of each part's images, drawn one part after the other, stratified by class.

    The result is stored in the user's cache, since loading scikit-learn takes a second.
    """
    seed = f"{version('scikit-learn')} {config.split_seed} {sizes}"
    path = cache_folder() / "splits" / f"{hashlib.sha256(seed.encode() + labels.tobytes()).hexdigest()[:16]}.npy"
    with contextlib.suppress(OSError, ValueError, EOFError):
        kept = np.load(path, allow_pickle=False)
        if kept.shape == (sum(sizes),) and kept.dtype == np.int64 and 0 <= kept.min() <= kept.max() < len(labels):
            return np.split(kept, np.cumsum(sizes)[:-1])
    parts = _newly_drawn(config, labels, sizes, names)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path) as partial_path, partial_path.open("wb") as file:
            np.save(file, np.concatenate(parts))
    return parts


def _undivided(config: DataConfig, labels: Labels, names: Sequence[str]) -> str:
    """A message on classes with too few images to be in two parts; "" if there are none."""
    counts = np.bincount(labels, minlength=config.classes)
    few = [
        (one_line(names[number]) if names else f"class {number}", int(counts[number]))
        for number in np.flatnonzero(counts < 2).tolist()
    ]
    if not few:
        return ""
    shown = ", ".join(f"{name} ({counted(count, 'image')})" for name, count in few[:SHOWN])
    return (
        f"data: {config.name} cannot be split by class: too few images are left of {shown}"
        f"{', ...' if len(few) > SHOWN else ''}; add some, or {leaving_out(config)}"
    )


def _newly_drawn(config: DataConfig, labels: Labels, sizes: list[int], names: Sequence[str]) -> list[Labels]:
    from sklearn.model_selection import train_test_split

    assert config.split_seed != "each"
    parts, rest, seed = [], np.arange(len(labels)), config.split_seed
    for size in sizes:
        if size == len(rest):
            chosen = np.random.default_rng(seed).permutation(rest)
        else:
            try:
                chosen, rest = train_test_split(rest, train_size=size, stratify=labels[rest], random_state=seed)
            except ValueError as error:
                raise InputError(
                    _undivided(config, labels[rest], names)
                    or (f"data: {config.name} cannot be split by class ({in_one_line(error)})")
                ) from None
        parts.append(chosen)
    return parts
