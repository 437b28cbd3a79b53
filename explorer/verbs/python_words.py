"""What Python says of a study, as the words of a command: `seeds=6` becomes `search.seeds=6`.

So a study that is made in Python is merged, checked and refused by the code that reads commands, and its error messages
are the command's.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path, PurePath
from typing import Any, Literal, TypedDict, Unpack, get_args

from explorer.design.space import Space as AnySpace
from explorer.host.errors import InputError
from explorer.study.settings import Precision, Pruner, StudyConfig, Tracker
from explorer.study.tree import kinds_of
from explorer.verbs.compose import quoted
from explorer.verbs.in_short import TOLERANCE
from explorer.verbs.values import scalar, shown

Axis = Sequence[int] | Mapping[str, int] | int
Limit = float | int | str | tuple[int | str, float]


class SpaceKeys(TypedDict, total=False):
    """Keys of a space, as in `conf/space`; which of them there are depends on its kind."""

    template: str
    block: Sequence[str] | str
    shortcut: Sequence[bool] | bool
    stem: Sequence[str] | str
    projection: Sequence[str] | str
    attention: Sequence[str] | str
    scale: Sequence[int] | int
    depth: Axis
    width: Axis
    kernel_size: Axis
    cardinality: Axis
    bottleneck_width: Axis | Literal["solve", "named"]
    group_width: Axis
    architecture: Sequence[str] | str


class DataKeys(TypedDict, total=False):
    """Keys of the images and their split, as in `conf/data`."""

    path: str | Path
    name: str
    label: str
    channels: Literal[1, 3]
    image_size: int
    classes: int
    train_images: int | None
    val_images: int | float | None
    test_images: int | float | Literal["rest"] | None
    split_seed: int | Literal["each"]
    subset: str
    image_column: str
    label_column: str
    train_part: str
    val_part: str | None
    test_part: str | None
    resize: int | None
    unusable: Literal["refuse", "skip"]
    keep: Literal["auto", "resident", "stream"]


class RecipeKeys(TypedDict, total=False):
    """Keys of how each network is trained, as in `conf/recipe`."""

    epochs: int | None
    steps: int | None
    batch_size: int
    micro_batch: int | None
    learning_rate: float
    schedule: str
    warmup: float
    milestones: Sequence[float]
    momentum: float
    nesterov: bool
    weight_decay: float
    label_smoothing: float
    shift: int
    flip: bool
    zero_init_residual: bool
    init: Literal["fan_out", "fan_out_groups", "fan_in"]
    init_gain: float
    cutout: int
    crop_area: tuple[float, float] | None
    jitter: float
    lighting: float
    optimizer: str
    augmentation: Sequence[str] | str
    loss: str
    numbers: Mapping[str, Mapping[str, float]]
    betas: tuple[float, float]
    decay_norms: bool
    warmup_epochs: float
    clip: float | None
    ema: float
    mixup: float
    cutmix: float
    rand_augment: tuple[int, float] | None
    trivial_augment: bool
    erasing: float
    stochastic_depth: float
    dropout: float


class SearchKeys(TypedDict, total=False):
    """Keys of which designs are trained, and with which seeds, as in `conf/search`."""

    sampler: str
    seeds: int | Literal["auto"]
    first_seed: int
    designs: int | None
    sampler_seed: int
    forms: Sequence[str] | str
    objectives: Sequence[str]
    latency_batch: int
    rates: Sequence[float]
    only: Sequence[str] | str
    pruner: Pruner
    first_rung: int | None
    factor: int
    rung_error: Literal["validation", "training"]
    baseline: float
    final: int
    final_seeds: int
    hours: float | None


class EngineKeys(TypedDict, total=False):
    """Keys of where runs are executed, as in `conf/engine`; the engines of clusters have more."""

    workers: int | Literal["auto"]
    threads: int | Literal["auto"]
    retries: int
    precision: Literal["auto"] | Precision
    forms: Literal["auto", "native"]
    deterministic: bool
    loaders: int | Literal["auto"]
    save_every: float
    silence: float
    price: float | str


class StorageKeys(TypedDict, total=False):
    """Keys of what is stored beside the record, as in `conf/storage`."""

    mirror: Literal["sqlite", "url", "none"]
    weights: Literal["none", "last"]
    url: str
    trackers: Sequence[Tracker]


class Group:
    """One part of a study's settings: a file of `conf` by its name, and the keys in which it differs."""

    group = ""

    def __init__(self, base: str | None, keys: Mapping[str, Any]) -> None:
        if base is not None and not isinstance(base, str):
            raise InputError(f"{self.group}={shown(base)}: allowed is the name of a file of conf/{self.group}")
        self.base, self.keys = base, dict(keys)

    def __repr__(self) -> str:
        said = ([] if self.base is None else [repr(self.base)]) + [f"{key}={one!r}" for key, one in self.keys.items()]
        return f"{type(self).__name__}({', '.join(said)})"

    def words(self) -> list[str]:
        """The group as words of a command."""
        chosen = [] if self.base is None else [f"{self.group}={quoted(self.base)}"]
        return [*chosen, *_nested(self.group, self.keys)]


class Space(Group):
    """The designs of a study: `Space(cardinality=[1, 32], depth=29)`, or `Space("regnetx", ...)`.

    `base` is a file of `conf/space` whose keys hold where none is given here; the one of that name says what they mean.
    An axis is a number, a list, or a range as `{"low": 16, "high": 512, "step": 16}`.
    """

    group = "space"

    def __init__(self, base: str = "bottleneck", **keys: Unpack[SpaceKeys]) -> None:
        super().__init__(base, keys)


class Data(Group):
    """The images of a study and their split: `Data("cifar10", train_images=5000)`, `Data("photos")`.

    `base` is a file of `conf/data` or a folder of images.
    """

    group = "data"

    def __init__(self, base: str | Path | None = None, **keys: Unpack[DataKeys]) -> None:
        super().__init__(None if base is None else str(base), keys)


class Recipe(Group):
    """How each network is trained: `Recipe("short", epochs=3)`; `base` is a file of `conf/recipe`."""

    group = "recipe"

    def __init__(self, base: str | None = None, **keys: Unpack[RecipeKeys]) -> None:
        super().__init__(base, keys)


class Search(Group):
    """Which designs are trained: `Search("tpe", designs=30)`; `base` is a file of `conf/search`."""

    group = "search"

    def __init__(self, base: str | None = None, **keys: Unpack[SearchKeys]) -> None:
        super().__init__(base, keys)


class Engine(Group):
    """Where runs are executed: `Engine("local", workers=2)`; `base` is a file of `conf/engine`."""

    group = "engine"

    def __init__(self, base: str | None = None, **keys: Unpack[EngineKeys]) -> None:
        super().__init__(base, keys)


class Storage(Group):
    """What is stored beside the record: `Storage("none", weights="last")`; `base` is a file of `conf/storage`."""

    group = "storage"

    def __init__(self, base: str | None = None, **keys: Unpack[StorageKeys]) -> None:
        super().__init__(base, keys)


class Budget(Group):
    """What all designs of a study cost: `Budget(params=0.05)`, `Budget(macs="50M")`, `Budget(params=("1M", 0.02))`.

    A fraction is how far a cost may lie from that of the `reference`, a design's name or its paths; a whole number, or
    text as "1M", is a target of its own, held within 10 %; a pair is a target with its tolerance. Measures that are not
    named are not held. `latency=5` is the most milliseconds of a forward pass, `memory=500` the most MiB at the peak;
    with other conditions `latency={"most": 5, "batch": 8, "runtime": "onnx"}`. With `train="macs"` or `"time"` each
    setting trains for as many multiply-adds or seconds as the reference.
    """

    group = "budget"

    def __init__(
        self,
        reference: str = "1x64d",
        *,
        params: Limit | None = None,
        macs: Limit | None = None,
        activations: Limit | None = None,
        match: Literal["rule", "tight"] = "rule",
        train: Literal["epochs", "macs", "time"] = "epochs",
        latency: float | Mapping[str, Any] | None = None,
        memory: float | Mapping[str, Any] | None = None,
    ) -> None:
        limits = {"params": params, "macs": macs, "activations": activations}
        held = {axis: _limit(f"budget.{axis}", limit) for axis, limit in limits.items() if limit is not None}
        relative = train != "epochs" or any("target" not in limit for limit in held.values())
        measured = {
            name: dict(limit) if isinstance(limit, Mapping) else {"most": scalar(limit)}
            for name, limit in (("latency", latency), ("memory", memory))
            if limit is not None
        }
        own = {"reference": reference if relative else None, "match": match, "train": train}
        super().__init__("none", {**own, **held, **measured})


def _limit(key: str, limit: Limit) -> dict[str, Any]:
    own = scalar(limit)
    if isinstance(limit, (tuple, list)) and len(limit) == 2:
        return {"target": scalar(limit[0]), "tolerance": scalar(limit[1])}
    if isinstance(own, float) and 0 <= own < 1:
        return {"tolerance": own}
    is_whole = isinstance(own, float) and own.is_integer()
    if isinstance(own, bool) or not (isinstance(own, (int, str)) or is_whole):
        raise InputError(
            f"{key}={shown(limit)}: allowed are a tolerance as a fraction of the reference's cost, a target as "
            "1_000_000 or '1M', or both as ('1M', 0.02)"
        )
    return {"target": int(own) if isinstance(own, float) else own, "tolerance": TOLERANCE}


GROUPS: dict[str, type[Group]] = {kind.group: kind for kind in (Space, Budget, Data, Recipe, Search, Engine, Storage)}


def words_of(settings: Mapping[str, Any]) -> list[str]:
    """The words of a command for settings that Python names: groups, keys with dots, or keys without their group.

    Raises InputError for a name that is neither, or that several groups have.
    """
    words: list[str] = []
    for name, value in settings.items():
        if name in GROUPS:
            words += _of_group(name, value)
        elif name == "study" and isinstance(value, Mapping):
            words += _nested(name, value)
        elif name == "contrast" and value is not None and not isinstance(value, Mapping):
            words += _contrast(value)
        else:
            words += _nested(_key(name), value)
    return words


def _of_group(group: str, value: Any) -> list[str]:
    value = scalar(value)
    if isinstance(value, Group):
        if value.group != group:
            raise InputError(f"{group}={shown(value)}: is a {value.group}; say {value.group}=... or give a {group}")
        return value.words()
    if isinstance(value, Mapping):
        return _nested(group, value)
    if isinstance(value, (str, PurePath, int, float)) and not isinstance(value, bool):
        return [f"{group}={quoted(str(value))}"]
    of = GROUPS[group].__name__
    raise InputError(f"{group}={shown(value)}: allowed are a name, a mapping of keys, or explorer.{of}(...)")


def _contrast(pair: Any) -> list[str]:
    pair = pair.tolist() if hasattr(pair, "tolist") else pair
    if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
        raise InputError(f"contrast={shown(pair)}: say which setting is compared with which, as in ('32x4d', '1x64d')")
    return [f"study.contrast.{key}={_text(one)}" for key, one in zip(("setting", "against"), pair, strict=True)]


def _key(name: str) -> str:
    """The key that a name without its group means."""
    if "." in name:
        return name
    own = {one.name for one in fields(StudyConfig)} | {"do"}
    if name in own - {"study"}:
        return name
    owners = [group for group, known in _KEYS.items() if name in known]
    if len(owners) == 1:
        return f"{owners[0]}.{name}"
    if owners:
        ways = " or ".join(f'**{{"{group}.{name}": ...}}' for group in owners)
        raise InputError(f"{name}: is a key of {' and of '.join(owners)}; say {ways}")
    known = sorted({*own, *(key for keys in _KEYS.values() for key in keys)} - {"do", "study"})
    near = difflib.get_close_matches(name, known, 1)
    meant = f"did you mean {near[0]}? " if near else ""
    raise InputError(f"{name}: unknown key; {meant}allowed are the keys of a study, with or without their group")


def _keys_of(group: str) -> set[str]:
    if group == "space":
        return {one.name for kind in get_args(AnySpace) for one in fields(kind)}
    (kind,) = (one for one in kinds_of(StudyConfig, (group,)) if is_dataclass(one))
    return {one.name for one in fields(kind)}


_KEYS = {group: _keys_of(group) - {"name", "kind"} for group in ("study", *GROUPS)}


def _nested(key: str, value: Any) -> list[str]:
    """A key as words; a mapping is written key by key, unless it is a range of an axis."""
    if isinstance(value, Mapping) and "low" not in value:
        return [word for own, item in value.items() for word in _nested(f"{key}.{own}", item)]
    return [f"{key}={_text(value)}"]


def _text(value: Any) -> str:
    """A value in the grammar of the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):  # some of numpy's are among them, and show themselves otherwise
        return repr(int(value) if isinstance(value, int) else float(value))
    if isinstance(value, (str, PurePath)):
        return quoted(str(value))
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{_text(item)}' for key, item in value.items())}}}"
    if hasattr(value, "item") and not hasattr(value, "__len__"):  # a scalar of numpy
        return _text(scalar(value))
    if (isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray))) or hasattr(value, "tolist"):
        items = value if isinstance(value, Sequence) else value.tolist()
        return f"[{','.join(map(_text, items))}]"
    raise InputError(f"{shown(value)}: allowed are numbers, text, true and false, None, lists and mappings of these")
