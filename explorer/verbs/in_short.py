"""Short forms of a command, written out in full: `data=photos`, `budget=params:1M,latency:5`, `budget=time:2h`.

And what a study leaves to the size of its data, in groups called `fitted`: `auto` in a recipe or a space becomes the
value that suits the images. Everything is settled here, so that a study's record holds plain complete values.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from explorer.design.cost_measures import ADDED, COUNTED
from explorer.host.errors import InputError
from explorer.study.data_sources import SOURCES
from explorer.study.tree import whole_number

AUTO = "auto"
_ON_DEVICE = ("latency", "memory")  # limits of a budget that are measured: milliseconds, MiB
_LIMIT = re.compile(r"(?:([a-z][a-z0-9_]*):)?(?:<=?)?([\d._]+(?:[kKMGB]|[eE]\+?\d+)?)")
_TIME = re.compile(r"time:(?:<=?)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)min)?(?:(\d+(?:\.\d+)?)s)?")  # 1h30min
TOLERANCE = 0.1  # of a budget given in short, as a fraction: so far below it a design may stay
# By number of training images: up to so many, images of a batch and passes over them. Few images take many passes; with
# very many a pass is long, and nearly all are seen for the first time.
LENGTHS = ((200, 16, 30), (5_000, 32, 20), (20_000, 64, 15), (100_000, 64, 10), (2**62, 128, 8))
RATE, RATE_BATCH = (
    0.05,
    64,
)  # the learning rate of a batch of so many; it grows with the batch (Goyal et al., 1706.02677)
# By size of the images: up to so many pixels, the template, and depths that it has.
TEMPLATES = ((20, "small", [14, 20, 26]), (40, "cifar", [11, 20, 29]), (2**31, "regnet", [14, 26, 38]))


def in_full(arguments: Sequence[str], known: Mapping[str, Sequence[str]]) -> tuple[list[str], list[str]]:
    """The arguments with short forms written out, and lines on what was found out for it.

    What is written out comes first, so that keys which the command gives itself win. A group's name wins over that of a
    folder: `data=./digits` is the folder.
    """
    first, rest, told = list[str](), list[str](), list[str]()
    for given_word in arguments:
        argument = given_word
        key, _, text = argument.partition("=")
        text = _bare(text)
        if key == "budget" and text not in known["budget"]:
            text, hours = _hours(text)
            if hours is not None:
                if twice := [one for one in arguments if one.partition("=")[0].lstrip("+") == "search.hours"]:
                    raise InputError(f"{given_word}: {twice[-1]} says the hours of this start too; say one of them")
                first.append(f"search.hours={hours:g}")
                if not text:
                    continue
                argument = f"budget={text}"
        if key == "budget" and text not in known["budget"] and (limits := _limits(text)):
            rest.append("budget=none")
            for axis, target in limits.items():
                if axis in ADDED or axis in _ON_DEVICE:
                    place = axis if axis in _ON_DEVICE else f"limits.{axis}"
                    first.append(f"budget.{place}.most={target}")
                    continue
                limit = {"target": target, "tolerance": TOLERANCE, "at_most": "true"}
                first += [f"budget.{axis}.{key}={value}" for key, value in limit.items()]
        elif key == "search.hours" and (hours := _in_hours(f"time:{text}")) is not None:
            rest.append(f"search.hours={hours:g}")
        elif key == "data" and text in SOURCES:
            if text in known["data"]:
                raise InputError(
                    f"data={text}: is a group of conf, and a source that an extension adds; rename one of the two"
                )
            given = dict(_data_key(one) for one in arguments if one.startswith("data."))
            found, lines = _of_source(text, given)
            rest.append(found.pop("data"))
            first += [f"data.{key}={value}" for key, value in found.items()]
            told += lines
        elif key == "data" and text not in known["data"] and _is_folder(text):
            given = dict(_data_key(one) for one in arguments if one.startswith("data."))
            if given.get("path", text) != text:
                raise InputError(f"data={text} data.path={given['path']}: are two places of images; leave one out")
            found, lines = _of_folder(text, given)
            rest += [found.pop("data"), f"data.path={text}"]
            first += [f"data.{key}={value}" for key, value in found.items()]
            told += lines
        else:
            rest.append(argument)
    return [*first, *rest], told


def _bare(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text.strip()


def _data_key(argument: str) -> tuple[str, str]:
    key, _, text = argument.partition("=")
    return key.removeprefix("data."), _bare(text)


def _limits(text: str) -> dict[str, float]:
    """The targets that a budget in short means, by measure; empty if it is none.

    They are whole numbers, but for those of measures that extensions add or that are measured on a device.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        match = _LIMIT.fullmatch(part.strip())
        axis = (match[1] or "params") if match else ""
        target = _number(match[2], is_whole=axis in COUNTED) if match else None
        if target is None or axis not in (*COUNTED, *ADDED, *_ON_DEVICE) or axis in found:
            return {}
        found[axis] = target
    return found


def _hours(text: str) -> tuple[str, float | None]:
    """A budget in short without its part `time:2h`, and the hours that this means; None where it has none."""
    parts = [part.strip() for part in text.split(",")]
    times = [(part, _in_hours(part)) for part in parts if part.startswith("time:")]
    wrong = [part for part, hours in times if hours is None]
    if wrong or len(times) > 1:
        what = f"{wrong[0]} is no time" if wrong else "has two times"
        raise InputError(f"budget={text}: {what}; say for example time:2h, time:1h30min or time:90s")
    if not times:
        return text, None
    return ",".join(part for part in parts if part != times[0][0]), times[0][1]


def _in_hours(part: str) -> float | None:
    """The hours that `time:1h30min` means; None if it means none."""
    found = _TIME.fullmatch(part)
    if found is None or not any(found.groups()):
        return None
    hours, minutes, seconds = (float(number or 0) for number in found.groups())
    return hours + minutes / 60 + seconds / 3600


def _number(text: str, *, is_whole: bool) -> float | None:
    """What a limit means: a whole number as `1M`, or of an extension's measure any number; None if it means none."""
    found = whole_number(text)
    if found is not None or is_whole:
        return found
    try:
        return float(text)
    except ValueError:
        return None


def _is_folder(text: str) -> bool:
    if not text:  # which `Path` takes for the folder that one is in
        return False
    try:
        return Path(text).expanduser().is_dir()
    except (OSError, RuntimeError, ValueError):
        return False


def _of_folder(path: str, given: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The group that reads a folder (as `data`) and the keys that its content decides, with lines for people."""
    from explorer.training.images.discovery import discover

    found = discover(path, given)
    settings = found.settings(given)
    return {"data": f"data={found.source}", **settings}, found.lines(Path(path).name or path, settings)


def _of_source(name: str, given: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The group for a source that an extension adds (as `data`) and the keys that its images decide, with lines."""
    from explorer.training.images.discovery import discover_source
    from explorer.verbs.compose import quoted

    found, label = discover_source(name, given), SOURCES[name].label or name
    settings = {"source": name} | {
        key: value for key, value in {"name": name, "label": quoted(label)}.items() if key not in given
    }
    decided = found.settings(given)
    return {"data": "data=folder", **settings, **decided}, found.lines(label, decided)


def settle(tree: dict[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Replace what is left to the size of the data by values, and return a line that says which.

    A budget whose limits all have a target needs no reference: one that a file gives is left out. Raises InputError
    where the number of training images is not known.
    """
    _drop_reference(tree.get("budget"), given)
    told = []
    data, recipe, space = (tree.get(key) for key in ("data", "recipe", "space"))
    size = data.get("image_size") if isinstance(data, dict) else None
    if isinstance(recipe, dict) and isinstance(data, dict) and AUTO in recipe.values():
        images = _training_images(data)
        chosen = {key: value for key, value in _recipe(images, data, recipe).items() if recipe.get(key) == AUTO}
        recipe |= chosen
        told.append(f"Recipe for about {_rounded(images):,} training images: {_words(chosen)}")
    if isinstance(space, dict) and isinstance(size, int) and AUTO in space.values():
        template, depths = next((name, depths) for most, name, depths in TEMPLATES if size <= most)
        chosen = {key: value for key, value in (("template", template), ("depth", depths)) if space.get(key) == AUTO}
        space |= chosen
        told.append(f"Networks for {size}x{size} pixels: {_words(chosen)}")
    return told


def _drop_reference(budget: Any, given: Mapping[str, Any]) -> None:
    """Leave out the reference of a group whose limits the command gave targets of their own."""
    if (
        not isinstance(budget, dict)
        or "budget.reference" in given
        or not any(key.startswith("budget.") and key.endswith(".target") for key in given)
    ):
        return
    limits = [budget[axis] for axis in COUNTED if isinstance(budget.get(axis), dict)]
    if limits and all(limit.get("target") is not None for limit in limits):
        budget["reference"] = None


def _recipe(images: int, data: Mapping[str, Any], recipe: Mapping[str, Any]) -> dict[str, Any]:
    batch, epochs = next((batch, epochs) for most, batch, epochs in LENGTHS if images <= most)
    size = data.get("image_size")
    used = whole_number(str(recipe.get("batch_size"))) or batch
    return {
        "epochs": epochs,
        "batch_size": min(batch, max(images, 1)),
        "learning_rate": RATE * used / RATE_BATCH,
        "shift": size // 8 if isinstance(size, int) else 0,
        "flip": data.get("channels") == 3,
    }


def _training_images(data: dict[str, Any]) -> int:
    """How many images there will be to train on, about."""
    wanted = data.get("train_images")
    if (number := whole_number(str(wanted))) is not None:
        return number
    path, source = data.get("path"), data.get("source")
    if path is None or source not in ("folder", "parquet"):
        raise InputError(
            "recipe=fitted: needs the number of training images, which is not known before the data is there; say "
            "data.train_images=..., or another recipe, as recipe=short"
        )
    from explorer.training.images.discovery import discover

    found = discover(str(path), {key: str(value) for key, value in data.items() if isinstance(value, str)})
    total = sum(found.labels.get("train", {}).values())
    taken = 0.0
    for part in ("val", "test"):
        share = data.get(f"{part}_images")
        if part not in found.labels and isinstance(share, (int, float)):
            taken += share * total if share < 1 else share
    return max(1, round(total - taken))


def _rounded(count: int) -> int:
    """A count with its first two digits."""
    return round(count, min(0, 2 - len(str(count))))


def _words(chosen: Mapping[str, Any]) -> str:
    def word(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return f"{value:g}" if isinstance(value, float) else str(value).replace(" ", "")

    return ", ".join(f"{key}={word(value)}" for key, value in chosen.items())
