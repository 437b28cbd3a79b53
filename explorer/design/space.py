"""Design spaces: their axes, the values of each axis, and the network of each point.

A space is a union of parts, and a part is a product of independent factors: its size is therefore known without listing
it, and points are decoded and drawn as columns. Four kinds: `DesignSpace`, the ResNeXt family by its own axes;
`NamedSpace`, networks listed by name; `AnyNetX`, every stage with its own values; `RegNetX`, widths by a linear rule.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise, product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from explorer.design.architecture import Architecture, by_rule
from explorer.design.block import BLOCKS
from explorer.design.cost import cost
from explorer.design.designs import LARGEST, Column, Designs, one
from explorer.design.name import FORMED_BLOCKS, parse_name, short_name
from explorer.design.ranges import Axis, Factor, RealAxis, refuse_repeats, rising, single, values_of, whole_values
from explorer.design.template import TEMPLATES, Task

Ints = npt.NDArray[np.int64]
Columns = dict[str, Ints]  # slopes and multipliers are float64
_LABELS = ("block", "shortcut", "stem", "projection", "scale", "attention")  # axes of a family that are no numbers


@dataclass(frozen=True)
class Part:
    """A product of factors with one template and block; `label` holds what distinguishes it from the other parts.

    `build` makes designs from a column of values per factor name; `largest` costs at least as much as any of them.
    """

    factors: tuple[Factor, ...]
    build: Callable[[Columns], Designs]
    largest: Architecture
    label: dict[str, str | bool]

    @property
    def size(self) -> int:
        """Number of points, exact however large."""
        return math.prod(len(factor) for factor in self.factors)

    def points(self, picks: list[npt.NDArray[np.intp]]) -> Columns:
        """The values of points, given by row indices of each factor: one column per name."""
        return {
            name: factor.table[pick, column]
            for factor, pick in zip(self.factors, picks, strict=True)
            for column, name in enumerate(factor.names)
        }

    def at(self, positions: npt.NDArray[np.int64]) -> Columns:
        """The values of points, given by their indices: the last factor varies fastest."""
        sizes = [len(factor) for factor in self.factors]
        return self.points(list(np.unravel_index(positions, sizes)) if sizes else [])

    def refuse_overflow(self, task: Task) -> None:
        """Raise ValueError if the largest cost exceeds the 64-bit integers used for many designs."""
        if self.largest.kind.module is not None:  # whose costs are bounded, and which may not be built so large
            return
        largest = cost(self.largest, task)
        if max(largest.params, largest.macs, largest.activations) > LARGEST:
            raise ValueError(f"{short_name(self.largest)} would cost more than 2^62; give smaller values")


@dataclass(frozen=True)
class DesignSpace:
    """All combinations of the listed axes. The width of a path is listed, derived from a group width, or solved.

    bottleneck_width  the widths d of one path, or "solve": chosen to meet the budget, unless `group_width` is given
    group_width       C * d in the first stage ("width of group conv", ResNeXt paper, Table 2); replaces
                      `bottleneck_width`, and each cardinality must divide it
    """

    template: str
    depth: Axis
    width: Axis
    cardinality: Axis
    kernel_size: Axis = (3,)
    bottleneck_width: Axis | Literal["solve"] = "solve"
    group_width: Axis = ()
    block: tuple[str, ...] = ("bottleneck",)
    shortcut: tuple[bool, ...] = (True,)
    stem: tuple[str, ...] = ("plain",)
    projection: tuple[str, ...] = ("conv",)
    attention: tuple[str, ...] = ("none",)
    scale: tuple[int, ...] = (1,)
    kind: Literal["family"] = "family"

    def __post_init__(self) -> None:
        _refuse_unknown(self.template)
        for label in _LABELS:
            refuse_repeats(label, getattr(self, label))
        for block in self.block:
            if block not in BLOCKS:
                raise ValueError(f"block {block!r} is unknown; allowed: {', '.join(BLOCKS)}")
        for depth in whole_values("depth", self.depth):
            for block in self.block:
                TEMPLATES[self.template].blocks_for_depth(depth, BLOCKS[block].layers)
        if self.group_width not in ((), []) and self.bottleneck_width != "solve":
            raise ValueError("bottleneck_width and group_width are both given; one follows from the other")
        group_widths = whole_values("group_width", self.group_width) if self.group_width else ()
        if min(group_widths, default=1) < 1:
            raise ValueError(f"group_width must be at least 1, not {min(group_widths)}")
        for group_width, cardinality in product(group_widths, whole_values("cardinality", self.cardinality)):
            if cardinality > 0 and group_width % cardinality:
                divisors = ", ".join(str(value) for value in range(1, group_width + 1) if group_width % value == 0)
                raise ValueError(
                    f"cardinality {cardinality} does not divide group_width {group_width}; allowed: {divisors}"
                )
        self._refuse_impossible_values()

    def _refuse_impossible_values(self) -> None:
        axes = {"width": self.width, "kernel_size": self.kernel_size, "cardinality": self.cardinality}
        if self.bottleneck_width != "solve":
            axes["bottleneck_width"] = self.bottleneck_width
        for labels in self._labels:
            kind = BLOCKS[labels["block"]]
            some = Architecture(
                depths=TEMPLATES[self.template].blocks_for_depth(whole_values("depth", self.depth)[0], kind.layers),
                cardinality=kind.cardinality or 1,
                bottleneck_width=1,
                width=whole_values("width", self.width)[0],
                template=self.template,
                **labels,
            )
            for axis, listed in axes.items():
                for value in whole_values(axis, listed):
                    replace(some, **{axis: value})  # type: ignore[arg-type]

    @property
    def is_solved(self) -> bool:
        """Whether the bottleneck width is solved to meet a budget."""
        return self.bottleneck_width == "solve" and not self.group_width

    @property
    def parts(self) -> tuple[Part, ...]:
        """One part per combination of what is no number, as block and shortcut."""
        return tuple(map(self._part, self._labels))

    @property
    def _labels(self) -> list[dict[str, Any]]:
        return [dict(zip(_LABELS, own, strict=True)) for own in product(*(getattr(self, name) for name in _LABELS))]

    def _part(self, labels: dict[str, Any]) -> Part:
        axes = {
            axis: whole_values(axis, getattr(self, axis)) for axis in ("depth", "width", "kernel_size", "cardinality")
        }
        if self.group_width:
            axes["group_width"] = whole_values("group_width", self.group_width)
        elif self.bottleneck_width != "solve":
            axes["bottleneck_width"] = whole_values("bottleneck_width", self.bottleneck_width)
        paths = max(axes["cardinality"])
        widest = max(axes.get("bottleneck_width", axes.get("group_width", (1,))))
        largest = Architecture(
            depths=TEMPLATES[self.template].blocks_for_depth(max(axes["depth"]), BLOCKS[labels["block"]].layers),
            cardinality=paths,
            bottleneck_width=widest,
            width=max(axes["width"]),
            kernel_size=max(axes["kernel_size"]),
            template=self.template,
            **labels,
        )
        label = {name: value for name, value in labels.items() if len(getattr(self, name)) > 1}
        factors = tuple(single(axis, values) for axis, values in axes.items())
        return Part(factors, partial(self._build, labels), largest, label)

    def _build(self, labels: dict[str, Any], points: Columns) -> Designs:
        template, layers = TEMPLATES[self.template], BLOCKS[labels["block"]].layers
        stages, cardinality = template.stages, points["cardinality"]
        if "group_width" in points:
            path = points["group_width"] // cardinality
        else:
            path = points.get("bottleneck_width", np.ones_like(cardinality))
        rows = {depth: template.blocks_for_depth(depth, layers) for depth in whole_values("depth", self.depth)}
        return Designs(
            length=len(cardinality),
            template=self.template,
            **labels,
            depths=_looked_up(points["depth"], rows, stages),
            cardinalities=_doubled("cardinality", cardinality, stages),
            bottleneck_widths=_doubled("bottleneck_width", path, stages),
            widths=_doubled("width", points["width"], stages),
            kernel_size=_constant(points["kernel_size"]),
        )


@dataclass(frozen=True)
class NamedSpace:
    """Networks listed by name, with any blocks and templates, to compare different families.

    bottleneck_width  "solve": each network's width is replaced by one that meets the budget;
                      "named": the networks are used exactly as named
    """

    architecture: tuple[str, ...]
    bottleneck_width: Literal["solve", "named"] = "solve"
    kind: Literal["named"] = "named"

    def __post_init__(self) -> None:
        refuse_repeats("architecture", self.architecture)
        found: dict[Architecture, str] = {}
        for name in self.architecture:
            architecture = parse_name(name)
            if architecture in found:
                raise ValueError(f"architecture: {found[architecture]} and {name} are the same network")
            found[architecture] = name

    @property
    def is_solved(self) -> bool:
        """Whether the bottleneck widths are solved to meet a budget."""
        return self.bottleneck_width == "solve"

    @property
    def parts(self) -> tuple[Part, ...]:
        """One part of one point per name."""
        return tuple(self._part(name, parse_name(name)) for name in self.architecture)

    def _part(self, name: str, architecture: Architecture) -> Part:
        row = one(architecture)
        return Part((), lambda points: row, architecture, {"architecture": name})  # noqa: ARG005 - it has no axes


class _StageByStage:
    """Common code of spaces whose stages differ."""

    template: str
    block: str
    kernel_size: Axis
    stem: str
    projection: str
    attention: str

    @property
    def stages(self) -> int:
        """Number of stages."""
        return TEMPLATES[self.template].stages

    @property
    def is_solved(self) -> bool:
        """False: these spaces have no solved axis."""
        return False

    def _refuse_impossible_values(self, width: str) -> None:
        """Raise ValueError for a template or values that give no network; `width` is the name of the widths' axis."""
        _refuse_unknown(self.template)
        if TEMPLATES[self.template].block == "alexnet":
            raise ValueError(f"template {self.template} has no stages to vary; list its networks by name")
        allowed = [name for name, kind in BLOCKS.items() if name in FORMED_BLOCKS or kind.can_have_any_paths]
        if self.block not in allowed:
            raise ValueError(f"block {self.block!r}: stages differ in their paths; allowed: {', '.join(allowed)}")
        for axis in ("depth", width, "bottleneck_ratio", "group_width", "kernel_size"):
            if (lowest := min(whole_values(axis, getattr(self, axis)))) < 1:
                raise ValueError(f"{axis} must be at least 1, not {lowest}")
        if even := [kernel for kernel in whole_values("kernel_size", self.kernel_size) if kernel % 2 == 0]:
            raise ValueError(f"kernel_size must be odd and at least 1, not {even[0]}")
        if self.projection == "pad":
            raise ValueError("projection pad: widths of stages may fall here, and it takes no channels away")
        if self.stem == "deep" and TEMPLATES[self.template].stem_width is None:
            raise ValueError(
                f"stem deep: the stem of template {self.template} is a part of a width, which may be odd; allowed: a "
                "template whose stem has a width of its own, as regnet"
            )
        replace(self._alike(1, 64, 3), **self._labels)
        least = TEMPLATES[self.template].stem_reduction
        if odd := [one for one in whole_values(width, getattr(self, width)) if one % least]:
            raise ValueError(
                f"width {odd[0]}: must be a multiple of {least}, since the stem has width/{least} channels"
            )

    def _designs(self, depths: list[Ints], stages: list[tuple[Ints, Ints, Ints]], kernel_size: Ints) -> Designs:
        """Designs from blocks per stage, and from the width, cardinality and path width that `compatible` returns."""
        widths, cardinalities, paths = zip(*stages, strict=True)
        return Designs(
            length=len(kernel_size),
            template=self.template,
            block=self.block,
            shortcut=True,
            **self._labels,
            depths=tuple(depths),
            cardinalities=cardinalities,
            bottleneck_widths=paths,
            widths=widths,
            kernel_size=_constant(kernel_size),
        )

    def _alike(self, depth: int, width: int, kernel_size: int) -> Architecture:
        """An architecture of one dense path with the same numbers in every stage."""
        return Architecture(
            depths=(depth,) * self.stages,
            cardinality=1,
            bottleneck_width=(width,) * self.stages,
            width=(width,) * self.stages,
            kernel_size=kernel_size,
            template=self.template,
            block=self.block,
        )

    @property
    def _labels(self) -> dict[str, Any]:
        return {"stem": self.stem, "projection": self.projection, "attention": self.attention}


@dataclass(frozen=True)
class AnyNetX(_StageByStage):
    """Independent values per stage: depth, width, bottleneck ratio and path width (RegNet paper, section 3.2, AnyNetX).

    bottleneck_ratio  output channels of a block over those of its middle convolution
    group_width       channels of one path (the paper's group width g); cut to the middle convolution's width
    shared            axes with one value for all stages (AnyNetX-B: bottleneck_ratio; C: group_width too)
    rising            axes that never decrease from stage to stage (AnyNetX-D: width; E: depth too)

    A middle convolution that is not a multiple of the group width is rounded to one, and the stage's width with it
    (RegNet paper, appendix D; pycls): such a point is the same network as another point, or differs a little from its
    values.
    """

    template: str
    depth: Axis
    width: Axis
    bottleneck_ratio: Axis
    group_width: Axis
    kernel_size: Axis = (3,)
    shared: tuple[Literal["depth", "width", "bottleneck_ratio", "group_width"], ...] = ()
    rising: tuple[Literal["depth", "width"], ...] = ()
    block: str = "bottleneck"
    stem: str = "plain"
    projection: str = "conv"
    attention: str = "none"
    kind: Literal["anynetx"] = "anynetx"

    def __post_init__(self) -> None:
        self._refuse_impossible_values("width")
        if both := set(self.shared) & set(self.rising):
            raise ValueError(f"{min(both)} is both shared and rising; choose one")
        for axis in self.rising:
            rising(_by_stage(axis, self.stages), whole_values(axis, getattr(self, axis)))

    @property
    def parts(self) -> tuple[Part, ...]:
        """One part."""
        factors: list[Factor] = []
        for axis in ("depth", "width", "bottleneck_ratio", "group_width"):
            values, names = whole_values(axis, getattr(self, axis)), _by_stage(axis, self.stages)
            if axis in self.shared:
                factors.append(single(axis, values))
            elif axis in self.rising:
                factors.append(rising(names, values))
            else:
                factors += [single(name, values) for name in names]
        kernels = whole_values("kernel_size", self.kernel_size)
        factors.append(single("kernel_size", kernels))
        deepest, widest = max(whole_values("depth", self.depth)), max(whole_values("width", self.width)) * 2
        largest = replace(self._alike(deepest, widest, max(kernels)), **self._labels)
        return (Part(tuple(factors), self._build, largest, {}),)

    def _build(self, points: Columns) -> Designs:
        def per_stage(axis: str) -> list[Ints]:
            names = _by_stage(axis, self.stages)
            return [points[name if name in points else axis] for name in names]

        stages = map(compatible, *map(per_stage, ("width", "bottleneck_ratio", "group_width")))
        return self._designs(per_stage("depth"), list(stages), points["kernel_size"])


@dataclass(frozen=True)
class RegNetX(_StageByStage):
    """Widths that follow a quantised line: u_j = w_0 + w_a * j, rounded to w_0 * w_m^k (RegNet paper, section 3.3).

    depth             number of blocks d over all stages
    initial_width     w_0, a multiple of 8
    slope             w_a
    multiplier        w_m, above 1
    bottleneck_ratio  b, the same in all stages
    group_width       g, channels of one path

    A point whose line does not give exactly the template's number of stages is not a network and counts as infeasible.
    With `attention: semid4` the networks are RegNetY.
    """

    template: str
    depth: Axis
    initial_width: Axis
    slope: RealAxis
    multiplier: RealAxis
    bottleneck_ratio: Axis
    group_width: Axis
    kernel_size: Axis = (3,)
    block: str = "bottleneck"
    stem: str = "plain"
    projection: str = "conv"
    attention: str = "none"
    kind: Literal["regnetx"] = "regnetx"

    def __post_init__(self) -> None:
        self._refuse_impossible_values("initial_width")
        if max(whole_values("depth", self.depth)) > 1000:
            raise ValueError(f"depth {max(whole_values('depth', self.depth))}: allowed are up to 1000 blocks")
        if odd := [width for width in whole_values("initial_width", self.initial_width) if width % 8]:
            raise ValueError(f"initial_width {odd[0]}: must be a multiple of 8 (RegNet paper, section 3.3)")
        if (lowest := min(values_of("slope", self.slope))) < 0:
            raise ValueError(f"slope must be at least 0, not {lowest}")
        if (lowest := min(values_of("multiplier", self.multiplier))) <= 1:
            raise ValueError(f"multiplier must be above 1, not {lowest}")

    @property
    def parts(self) -> tuple[Part, ...]:
        """One part."""
        axes = ("depth", "initial_width", "slope", "multiplier", "bottleneck_ratio", "group_width", "kernel_size")
        values = {axis: values_of(axis, getattr(self, axis)) for axis in axes}
        factors = tuple(single(axis, listed) for axis, listed in values.items())
        line = max(values["initial_width"]) + max(values["slope"]) * max(values["depth"])
        width = 2 * math.ceil(line * max(values["multiplier"]))
        largest = self._alike(int(max(values["depth"])), width, int(max(values["kernel_size"])))
        largest = replace(largest, **self._labels)
        return (Part(factors, self._build, largest, {}),)

    def _build(self, points: Columns) -> Designs:
        depths, widths = self._lines(points)
        ratio, group_width = points["bottleneck_ratio"], points["group_width"]
        stages = [compatible(width, ratio, group_width) for width in widths]
        return self._designs(depths, stages, points["kernel_size"])

    def _lines(self, points: Columns) -> tuple[list[Ints], list[Ints]]:
        """Depths and widths of points; equal consecutive lines, as when points are listed, are computed once."""
        axes = [points[axis] for axis in ("depth", "initial_width", "slope", "multiplier")]
        changes = np.any([axis[1:] != axis[:-1] for axis in axes], axis=0)
        starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
        times = np.diff(np.append(starts, len(axes[0])))
        depth, initial_width, slope, multiplier = (axis[starts] for axis in axes)
        depths, widths = quantised_line(depth, initial_width, slope, multiplier, self.stages)
        return [np.repeat(column, times) for column in depths], [np.repeat(column, times) for column in widths]


Space = DesignSpace | NamedSpace | AnyNetX | RegNetX
KINDS = {"family": DesignSpace, "named": NamedSpace, "anynetx": AnyNetX, "regnetx": RegNetX}


def compatible(width: Ints, ratio: Ints, group_width: Ints) -> tuple[Ints, Ints, Ints]:
    """Width, cardinality and path width of a stage, adjusted so that all paths are equal (RegNet paper, appendix D).

    The group width is at most the width of the middle convolution, which is rounded to a multiple of it (half to even,
    as in pycls); the stage's width is `ratio` times that.
    """
    middle = np.maximum(width // ratio, 1)
    path = np.minimum(group_width, middle)
    cardinality = np.maximum(np.rint(middle / path).astype(np.int64), 1)
    return cardinality * path * ratio, cardinality, path


def quantised_line(
    depth: Ints,
    initial_width: Ints,
    slope: npt.NDArray[np.float64] | Ints,
    multiplier: npt.NDArray[np.float64] | Ints,
    stages: int,
) -> tuple[list[Ints], list[Ints]]:
    """Blocks and widths per stage of RegNets, one array per stage (RegNet paper, equations 2 to 4).

    If a line gives another number of stages than `stages`, or skips one, all its depths are 0.
    """
    blocks = np.arange(int(depth.max()))[:, None]
    line = initial_width + slope * blocks
    powers = np.rint(np.log(line / initial_width) / np.log(multiplier)).astype(np.int64)
    powers[blocks >= depth] = -1
    counts = [(powers == power).sum(axis=0) for power in range(stages)]
    right = (powers.max(axis=0) == stages - 1) & np.all(counts, axis=0)
    widths = [(np.rint(initial_width * multiplier**power / 8).astype(np.int64)) * 8 for power in range(stages)]
    for lower, upper in pairwise(widths):
        right &= lower < upper
    return [np.where(right, count, 0) for count in counts], widths


def _refuse_unknown(template: str) -> None:
    if template not in TEMPLATES:
        raise ValueError(f"template {template!r} is unknown; allowed: {', '.join(TEMPLATES)}")


def _by_stage(axis: str, stages: int) -> tuple[str, ...]:
    return tuple(f"{axis}_{stage}" for stage in range(1, stages + 1))


def _constant(column: Ints) -> Column:
    """Replace a column of equal numbers by one number, which is faster to compute with."""
    return int(column[0]) if len(column) and (column == column[0]).all() else column


def _doubled(axis: str, column: Ints, stages: int) -> tuple[Column, ...]:
    return by_rule(axis, _constant(column), stages)  # type: ignore[arg-type]


def _looked_up(depths: Ints, rows: dict[int, tuple[int, ...]], stages: int) -> tuple[Column, ...]:
    constant = _constant(depths)
    if isinstance(constant, int):
        return rows[constant]
    known = np.array(sorted(rows))
    places = np.searchsorted(known, depths)
    table = np.array([rows[depth] for depth in known])
    return tuple(table[places, stage] for stage in range(stages))
