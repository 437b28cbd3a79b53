"""Reads names of networks as papers and libraries write them, with what such a name says of data and recipe."""

import re
from dataclasses import dataclass
from functools import lru_cache

from explorer.design.architecture import Architecture
from explorer.design.name import parse_name, parse_setting
from explorer.design.shape_axes import BY_NAME
from explorer.host.extensions import loaded
from explorer.study.known_data import known_data

UNKNOWN = "is not known by this name"
_TAG = re.compile(r"(.+?)\.([A-Za-z]\w*)")  # `resnext50_32x4d.a1_in1k`
_WEIGHTS = re.compile(r"_weights$", re.IGNORECASE)  # `ResNeXt50_32X4D_Weights.IMAGENET1K_V2`
_PREFIX = re.compile(r"(?:torchvision\.)?models\.", re.IGNORECASE)  # `torchvision.models.resnet50`
# Before timm had tags, where weights come from stood before or behind a name: `gluon_resnext50_32x4d`.
_ORIGIN = re.compile(r"(?:.*[/.:])?(tv|gluon|ig|ssl|swsl)_.*|.*_(ssl|swsl|wsl)", re.IGNORECASE)
_ON = re.compile(r"(.+?)[_-]((?:cifar-?100?|svhn|imagenet(?:1k)?|in1k|mnist|fashion_?mnist))", re.IGNORECASE)
_OF_IMAGENET = re.compile(r"(?:.*_)?(?:ft_)?in1k|imagenet1k(?:_\w+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Named:
    """What a name says.

    design  the network; None if it does not exist here, and `why` says why
    data    the data set that the name says it was trained on; "" if it says none
    recipe  the tag of its weights; "" if it has none
    """

    design: Architecture | None
    why: str = ""
    data: str = ""
    recipe: str = ""


def named(text: str) -> Named:
    """The network of a name, and what the name says of data and recipe."""
    return _named(text, tuple(one.text for one in loaded()))


@lru_cache(maxsize=100_000)
def _named(text: str, _extensions: tuple[str, ...]) -> Named:
    """With what is loaded, since an extension may add the block that a name means."""
    base, tag = _PREFIX.sub("", text.strip(), count=1), ""
    if match := _TAG.fullmatch(base):
        base, tag = _WEIGHTS.sub("", match[1]), match[2]
    data = "imagenet" if tag and _OF_IMAGENET.fullmatch(tag) else ""
    design, why = _design(base)
    if design is None and (match := _ON.fullmatch(base)) and (known := known_data(match[2])):
        other, other_why = _design(match[1])
        design, why, data = other, other_why, known.name
    if not tag and design is not None and (match := _ORIGIN.fullmatch(base)):
        tag, data = match[1] or match[2], data or "imagenet"
    return Named(design, "" if design else why, data, tag.lower())


def of_axes(depth: str, cardinality: str, bottleneck_width: str, **others: str) -> Named:
    """The network of numbers as text; `others` are its other axes, by their names, where they are given."""
    parts = [
        f"{BY_NAME[axis].letter}{_whole(value)}"
        for axis, value in others.items()
        if value and not BY_NAME[axis].is_usual(int(whole) if (whole := _whole(value)).isdecimal() else whole)
    ]
    return named("-".join([_whole(depth), f"{_whole(cardinality)}x{_whole(bottleneck_width)}d", *parts]))


def _whole(text: str) -> str:
    return re.sub(r"\.0+$", "", text.strip())


def _design(name: str) -> tuple[Architecture | None, str]:
    try:
        design, form = parse_setting(name) if "@" in name else (parse_name(name), "grouped")
    except ValueError as error:
        words = str(error).partition(": ")[2]
        return None, UNKNOWN if words.startswith("expected a name like") else words
    if form != "grouped":
        return None, f"is a network in another form ({form}), which computes the same"
    return design, ""
