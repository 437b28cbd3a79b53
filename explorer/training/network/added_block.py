"""A block from outside: a torch module that an extension gives, with costs counted on what it builds.

A stage repeats its blocks, so the cost of a network needs few different ones. Each is built without storage, once, and
counted by torch's counter; the counts are kept in the user's cache under the extension's code. For the first blocks,
which it is asked for, fvcore has to agree, and so has a closed form; it does so for a whole network before that is
trained. fvcore computes what it counts, which for all designs of a space would take minutes.
"""

import dataclasses
import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

import numpy as np

from explorer.design.block import BLOCKS, UNBUILDABLE, Block
from explorer.design.cost import Cost
from explorer.design.layout import Stage, reduced
from explorer.design.name import FAMILY, is_part
from explorer.host.cache import remember, remembered
from explorer.host.console import open_console, say
from explorer.host.errors import InputError
from explorer.host.extensions import MISTAKES, imported_by, mistake, source_of
from explorer.host.formatting import in_one_line
from explorer.training.sources import package_sources

CHECKED = 8  # different blocks that fvcore counts, and for which a closed form is held to the counts
TRACED = 1 << 28  # multiply-adds, or parameters, above which fvcore counts none of them
PATIENCE = 1.0  # seconds of counting after which a person is told
_VARIED = ("in_width", "cardinality", "bottleneck_width", "width", "kernel_size", "normalised")  # of a stage
Module = Callable[..., Any]  # of a stage, with the keywords in_width, stride and, pre-activated, normalised
Key = tuple[int, ...]  # what distinguishes a block: `_VARIED`, then stride, map size, shortcut


def block(
    module: Module,
    *,
    layers: int,
    family: str = "",
    preactivated: bool = False,
    cardinality: int | None = None,
    reason: str = "",
    cost: Callable[..., Cost] | None = None,
    last_norm: str = "",
) -> Block:
    """A block to be repeated in stages, for the dictionary `BLOCKS` of an extension.

    module        a class or function that makes a torch module from a stage: `module(stage, in_width=..., stride=...)`.
                  The module takes maps (batch, in_width, height, width) and gives (batch, stage.width,
                  ceil(height / stride), ceil(width / stride)), its shortcut included. It may raise ValueError for
                  numbers that do not go together: such designs are within no budget. See `explorer.Stage` for what a
                  stage says
    layers        convolutions on its longest path, which the depth of a network counts
    family        name shown to people, before depth and paths, of letters, digits, spaces and dashes before letters,
                  the first one upper case; by default the name in the dictionary and "ResNeXt"
    preactivated  whether batch norm and ReLU stand before its convolutions: the network then ends with both, and the
                  first block of a stage may be given `normalised=True`, where the stem has done them already
    cardinality   the only number of paths that it can have, and `reason` why; None: any number
    cost          the cost of one block with its shortcut, in closed form: `cost(stage, in_width=..., stride=...,
                  map_size=...)` gives an `explorer.Cost`; by default counted on the module. See `explorer.design.cost`
                  for what is counted
    last_norm     name of the batch norm that ends the block, for recipes that start it at zero

    Raises ValueError for fewer layers than one and for paths below one.
    """
    if layers < 1 or (cardinality is not None and cardinality < 1):
        raise ValueError("layers and cardinality are at least 1")
    if not callable(module):
        raise ValueError("module has to be a class or a function that makes a torch module")
    one = Block(layers, preactivated, family, cardinality, reason, module, None, last_norm)
    return replace(one, cost=_Costs(one, cost))


def check(name: str, value: Any) -> None:
    """Raise ValueError for a name or a value that is no block."""
    if not isinstance(value, Block) or value.module is None:
        raise ValueError(f"is a {type(value).__name__}; allowed: explorer.Block(...)")
    if name in BLOCKS:
        raise ValueError(f"is a block already; allowed: another name than {', '.join(BLOCKS)}")
    if is_part(name):
        raise ValueError("would be read as another part of a design's name, such as a width; choose another")
    if same := [known for known, one in BLOCKS.items() if one is value]:
        raise ValueError(f"is the same explorer.Block as {same[0]}; make one for each name")
    if not value.family:
        shown = " ".join(name.replace("_", " ").split()).capitalize()
        object.__setattr__(value, "family", f"{shown} ResNeXt")
    taken = {_of_one_path(one.family) for one in BLOCKS.values()}
    if not re.fullmatch(FAMILY, value.family) or _of_one_path(value.family) in taken:
        raise ValueError(
            f"family={value.family!r}: allowed are letters, digits, spaces and dashes before letters, the first one "
            "upper case, and a family of its own"
        )
    costs = value.cost
    assert isinstance(costs, _Costs)
    costs.name = name


def _of_one_path(family: str) -> str:
    """A family as people see it where a design has one path, which no two families may share."""
    return family.replace("ResNeXt", "ResNet")


def count(kind: Block, stage: Stage, in_width: int, stride: int, map_size: int, *, checked: bool) -> Cost:
    """The cost of a block as it is built; where `checked`, fvcore has to agree with torch's counter.

    Raises ValueError, as its module does, and InputError where the counters disagree.
    """
    import torch

    from explorer.training.network.count import Counting, fvcore_macs, plain_attention
    from explorer.training.streams import seeded

    def counted(device: str) -> tuple[Any, Any, Any, Counting]:
        with torch.device(device), seeded(0):
            built = module_of(kind, stage, in_width=in_width, stride=stride).eval()
            images = torch.zeros(1, in_width, map_size, map_size)
            with Counting() as counts, torch.no_grad(), plain_attention():
                return built, images, built(images), counts

    out_size = reduced(map_size, stride)
    try:
        built, images, maps, counts = counted("meta")
    except ValueError:
        raise
    except Exception:  # noqa: BLE001 - it may compute with numbers when it is made, or make tensors from arrays
        built, images, maps, counts = counted("cpu")
    if tuple(maps.shape) != (1, stage.width, out_size, out_size):
        raise InputError(
            f"gives maps of {tuple(maps.shape)} for {tuple(images.shape)} at stride {stride}; "
            f"allowed: {(1, stage.width, out_size, out_size)}"
        )
    params = sum(one.numel() for one in built.parameters())
    if checked and max(counts.macs, params) <= TRACED:
        with torch.device("cpu"), seeded(0):  # anew: fvcore traces no module without storage
            traced = module_of(kind, stage, in_width=in_width, stride=stride).eval()
            other = fvcore_macs(traced, torch.zeros(images.shape))
        if other != counts.macs:
            raise InputError(
                f"torch counts {counts.macs:,} multiply-adds and fvcore {other:,}; use convolutions and linear "
                "layers, or matrix products, that both know"
            )
    return Cost(params, counts.macs, counts.convolved)


def module_of(kind: Block, stage: Stage, *, in_width: int, stride: int, **more: Any) -> Any:
    """The torch module of a block. Raises ValueError as the module does, and InputError for what is no module."""
    from torch import nn

    assert kind.module is not None
    built = kind.module(stage, in_width=in_width, stride=stride, **more)
    if not isinstance(built, nn.Module):
        raise InputError(f"makes a {type(built).__name__}; allowed: a torch.nn.Module")
    return built


@dataclass
class _Costs:
    """Costs of a block, for one stage or for many at once, in columns; each different block is counted once.

    name     of the block in its extension, once it is added
    formula  the closed form that the extension gives; None: counts
    checked  how many blocks fvcore has counted
    """

    kind: Block
    formula: Callable[..., Cost] | None
    name: str = ""
    known: dict[Key, Cost | str] = field(default_factory=dict)
    checked: int = 0
    place: str = ""  # of the counts in the cache
    seconds: float = 0.0  # that counting has taken; a person is told once it takes long
    kept: int = 0  # how many counts the cache has

    def __call__(self, stage: Stage, *, in_width: int, stride: int, map_size: int) -> Cost:
        values = [in_width if name == "in_width" else getattr(stage, name) for name in _VARIED]
        rest = (stride, map_size, int(stage.shortcut))
        columns = np.broadcast_arrays(*values)
        if not columns[0].ndim:
            found = self._of((*map(int, values), *rest), stage)
            if isinstance(found, str):
                raise ValueError(f"block {self.name}: {found}")
            self._keep()
            return found
        rows, places = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
        costs = [self._of((*map(int, row), *rest), stage) for row in rows]
        self._keep()
        numbers = np.array(
            [(UNBUILDABLE,) * 3 if isinstance(one, str) else dataclasses.astuple(one) for one in costs], dtype=np.int64
        )
        return Cost(*(numbers[places.ravel(), column] for column in range(3)))

    def _of(self, key: Key, stage: Stage) -> Cost | str:
        """The cost of one block, or why it cannot be built."""
        self._recall()
        if key not in self.known:
            before = time.monotonic()
            try:
                self.known[key] = self._computed(key, stage)
            except InputError as error:
                raise InputError(f"block {self.name}: {error}") from error
            except (ValueError, ZeroDivisionError) as error:
                self.known[key] = in_one_line(error)
            except MISTAKES as error:
                words = mistake("BLOCKS", self.name, error)
                raise InputError(f"block {self.name}: {words}; at {_said(key)}") from error
            told, self.seconds = self.seconds > PATIENCE, self.seconds + time.monotonic() - before
            if self.seconds > PATIENCE and not told:
                line = f"Counting what block {self.name} costs in each size; counts are kept for the next time"
                say(open_console(aside=True), line)
        return self.known[key]

    def _computed(self, key: Key, stage: Stage) -> Cost:
        numbers = dict(zip(_VARIED, key, strict=False))
        in_width, (stride, map_size, _) = numbers.pop("in_width"), key[len(_VARIED) :]
        one = replace(
            stage,
            **{**numbers, "normalised": bool(numbers["normalised"])},  # type: ignore[arg-type]
            depth=1,
            in_width=in_width,
            stride=stride,
            map_size=map_size,
        )
        checked = self.checked < CHECKED
        self.checked += checked
        if self.formula is None:
            return count(self.kind, one, in_width, stride, map_size, checked=checked)
        said = self.formula(one, in_width=in_width, stride=stride, map_size=map_size)
        if not isinstance(said, Cost):
            raise InputError(f"cost gives a {type(said).__name__}; allowed: an explorer.Cost")
        if checked:
            counted = count(self.kind, one, in_width, stride, map_size, checked=True)
            if counted != said:
                raise InputError(f"cost gives {said}, and what is built has {counted}; at {_said(key)}")
        return said

    def _recall(self) -> None:
        """Read the counts of earlier commands, once."""
        if not self.place and self.formula is None:
            one = source_of("BLOCKS", self.name)
            code = f"{one.text}{imported_by(one.text)}".encode() if one else b""
            ours = {path: one for path, one in package_sources().items() if path.startswith("training/network/")}
            on = json.dumps([ours, version("torch"), version("fvcore")], sort_keys=True).encode()
            self.place = f"block {self.name} {hashlib.sha256(code + on).hexdigest()[:16]}"
            for key, value in (remembered(self.place, dict[str, list[int]]) or {}).items():
                self.known[tuple(map(int, key.split(",")))] = Cost(*value)
            self.kept = len(self.known)

    def _keep(self) -> None:
        """Store the counts, if there are new ones."""
        if self.place and len(self.known) > self.kept:
            self.kept = len(self.known)
            counted = {key: one for key, one in self.known.items() if isinstance(one, Cost)}
            remember({self.place: {",".join(map(str, key)): dataclasses.astuple(one) for key, one in counted.items()}})


def _said(key: Key) -> str:
    """What a block was built from, for a message."""
    return ", ".join(f"{name}={value}" for name, value in zip((*_VARIED, "stride", "map_size"), key, strict=False))
