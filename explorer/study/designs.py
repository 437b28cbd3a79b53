"""The designs of a study, made from its configuration: which ones, their cost, their deviation from the budget."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice, product
from typing import Any

import numpy as np

from explorer.design.added_measure import value_of
from explorer.design.architecture import Architecture
from explorer.design.budget import Budget, Limit, deviation
from explorer.design.cost import Cost, cost
from explorer.design.cost_measures import COUNTED, LIMITED, READ
from explorer.design.feasible import Pool, Scan, draw, nearest_budget, scan, space_filling
from explorer.design.layout import refuse_small_images
from explorer.design.listing import MOST_LISTED, listed, matched
from explorer.design.name import display_setting, has_forms, parse_name, setting_name, short_name
from explorer.design.ranges import Range
from explorer.design.shape_axes import SHAPE_AXES
from explorer.design.space import DesignSpace, NamedSpace, Space
from explorer.design.template import TEMPLATES, Task
from explorer.host.errors import InputError
from explorer.study.lengths import refuse_lengths
from explorer.study.settings import Bounds, SearchConfig, StudyConfig

_AXES = tuple(axis.name for axis in SHAPE_AXES if axis.name != "template")  # keys of a space
_PATHS = re.compile(r"\d[\d.]*x\d[\d.]*d")  # `32x4d`, `8x14.24.58d`: the paths part of a name alone
MOST_TRIED = 16  # names that are tried as a suggestion for the reference of a budget
LONGEST_LABEL = 60  # characters of what a space is called
CANDIDATES = 100_000  # designs from which a space-filling set, or an adaptive sampler, chooses


Progress = Callable[[str, int, int], None]  # receives the progress of long work: what, number done, total


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one forward pass: lower quartile, median and upper quartile over many passes."""

    lower: float
    median: float
    upper: float


@dataclass(frozen=True)
class Reading:
    """The number of a design by a measure of an extension or of a budget: lower quartile, median and upper quartile.

    They are equal for a measure that follows from the design.
    """

    measure: str
    lower: float
    median: float
    upper: float

    @property
    def bounded(self) -> float:
        """The number that bounds hold: of a limit of ours the upper quartile, so that it holds when measured again."""
        return self.upper if self.measure in LIMITED else self.median


@dataclass(frozen=True)
class Scope:
    """What a study draws designs from: its space, the budget, and the cost that deviations are relative to.

    bounds  of the measures of extensions that follow from a design, by their names
    reference_design  whose cost `reference` is; None for a budget of targets alone
    """

    space: Space
    task: Task
    budget: Budget | None
    reference: Cost | None
    tight: bool
    bounds: tuple[tuple[str, Bounds], ...] = ()
    reference_design: Architecture | None = None

    def holds(self, architecture: Architecture) -> bool:
        """Whether a design is within the bounds. Raises InputError where a measure gives no number."""
        return all(one.holds(_value_of(name, architecture, self.task)) for name, one in self.bounds)

    def setting(self, architecture: Architecture) -> "Setting":
        """The setting of an architecture. Raises ValueError if it cannot be built on the study's images."""
        found = Setting(architecture, self)
        found.cost  # noqa: B018 - raises ValueError where it cannot be built
        return found

    @cached_property
    def targets(self) -> dict[str, int | None]:
        """The cost that each measure's deviation is relative to; None for one with neither limit nor reference."""
        targets: dict[str, int | None] = {measure: getattr(self.reference, measure, None) for measure in COUNTED}
        return targets | ({limit.axis: limit.target for limit in self.budget.limits} if self.budget else {})

    def matched(self, architecture: Architecture) -> Architecture:
        """The architecture with a solved width per stage if the budget asks for tight matching; else unchanged."""
        return matched(architecture, self.budget, self.task) if self.tight else architecture


@dataclass(frozen=True)
class Setting:
    """One architecture of a study as it is trained.

    scope    what it was drawn from; gives its cost
    spaces   names of the spaces that it was drawn from, in a study that compares several
    form     the equivalent form in which its blocks are trained
    latency  of a forward pass, in a search that measures it
    readings  by measures of extensions and of the budget, once they are known
    """

    architecture: Architecture
    scope: Scope = field(compare=False, repr=False)
    spaces: tuple[str, ...] = ()
    form: str = "grouped"
    latency: Latency | None = None
    readings: tuple[Reading, ...] = ()

    @cached_property
    def cost(self) -> Cost:
        """Its cost on the study's images. Raises ValueError if it cannot be built on them."""
        return cost(self.architecture, self.scope.task)

    def deviation(self, measure: str, cost: Cost | None = None) -> float | None:
        """Signed deviation of its cost, or another one, from the budget's reference, as a fraction; or None."""
        target = self.scope.targets.get(measure)
        return target and deviation(getattr(cost or self.cost, measure), target)

    def value(self, axis: str) -> float:
        """One of its costs: a counted measure, the median latency in milliseconds, or a measure of an extension.

        Raises InputError where that gives no number.
        """
        if axis in READ and READ[axis].is_counted:
            return _value_of(axis, self.architecture, self.scope.task)
        if axis in READ:
            known = [one.median for one in self.readings if one.measure == axis]
            if not known:
                raise InputError(f"{self.name}: {axis} is not in the record; start the study, which measures it")
            return known[0]
        if axis != "latency":
            return float(getattr(self.cost, axis))
        assert self.latency is not None
        return self.latency.median

    @cached_property
    def name(self) -> str:
        """The short name, with the form unless that is `grouped`; also the value of the `setting` column."""
        return setting_name(self.architecture, self.form)

    @property
    def display(self) -> str:
        """The name as displayed to people, such as `ResNeXt-29 (32x4d)`."""
        return display_setting(self.name)


@dataclass(frozen=True)
class Draws:
    """The feasible designs of spaces; each space is scanned when it is first needed and the result is kept.

    seed      of all random drawing
    progress  receives how far counting and drawing have come
    """

    seed: int
    progress: Progress | None = None
    _scans: dict[Scope, Scan] = field(default_factory=dict, compare=False)
    _pools: dict[Scope, Pool] = field(default_factory=dict, compare=False)

    def scan(self, scope: Scope) -> Scan:
        """The points of a space and which of them are feasible. Raises InputError if none can be built."""
        if scope not in self._scans:
            rng = np.random.default_rng([self.seed, 1])
            try:
                tell = self._telling("Costing all points")
                self._scans[scope] = scan(scope.space, scope.budget, scope.task, rng, tell)
            except ValueError as error:
                raise InputError(f"space: {error}") from None
        return self._scans[scope]

    def candidates(self, scope: Scope) -> Pool:
        """The designs an adaptive search chooses from: all feasible ones, or 100,000 of them drawn uniformly."""
        if scope not in self._pools:
            self._pools[scope] = self.drawn(scope, CANDIDATES, least=1)[0]
        return self._pools[scope]

    def drawn(self, scope: Scope, count: int, *, least: int | None = None) -> tuple[Pool, np.random.Generator]:
        """`count` feasible designs, or all if there are fewer, and the generator for further drawing.

        Of a space so large that few of its feasible designs are found, `least` are enough.
        """
        rng = np.random.default_rng([self.seed, 2])
        try:
            most, tell = CANDIDATES if scope.bounds else count, self._telling("Drawing designs")
            pool = draw(self.scan(scope), most, rng, tell, least=least)
            return (self._within(scope, pool, count, rng) if scope.bounds else pool), rng
        except InputError:
            raise
        except ValueError as error:
            raise InputError(f"space: {error}") from None

    def _within(self, scope: Scope, pool: Pool, count: int, rng: np.random.Generator) -> Pool:
        """At most `count` designs of a pool that measures of extensions allow, drawn uniformly, in the pool's order."""
        tell, found = self._telling("Measuring designs"), list[int]()
        for done, place in enumerate(rng.permutation(len(pool)).tolist(), start=1):
            if scope.holds(pool.architecture(place)):
                found.append(place)
            if tell is not None and (done % 1000 == 0 or done == len(pool)):
                tell(done, len(pool))
            if len(found) == count:
                break
        return pool.take(np.sort(np.array(found, dtype=np.int64)))

    def _telling(self, what: str) -> Callable[[int, int], None] | None:
        tell = self.progress
        return None if tell is None else lambda done, wanted: tell(what, done, wanted)


def scopes_of(config: StudyConfig) -> dict[str, Scope]:
    """The scope of each of a study's spaces, by the space's name; the name is "" in a study of one space."""
    if not config.spaces:
        return {"": scope_of(config)}
    return {name: scope_of(replace(config, space=space)) for name, space in config.spaces.items()}


def scope_of(config: StudyConfig) -> Scope:
    """The space and the budget of a study. Raises InputError if its data is too small for the template."""
    task = config.data.task
    if not isinstance(config.space, NamedSpace):
        template = TEMPLATES[config.space.template]
        try:
            refuse_small_images(template, task)
        except ValueError:
            raise InputError(
                f"data.image_size={task.image_size}: template {template.name} takes images of "
                f"{template.total_stride} pixels or more"
            ) from None
    design, reference, budget = _budget(config, task)
    refuse_lengths(config, design)
    limits = {} if config.search.only else config.budget.bounds
    bounds = tuple((name, own) for name, own in limits.items() if READ[name].is_counted and own.has_any)
    return Scope(config.space, task, budget, reference, config.budget.match == "tight", bounds, design)


def _value_of(measure: str, architecture: Architecture, task: Task) -> float:
    """The number of a design by a measure of an extension. Raises InputError where it gives none."""
    try:
        return value_of(measure, architecture, task)
    except ValueError as error:
        raise InputError(str(error)) from None


def settings_of(config: StudyConfig, scopes: dict[str, Scope], draws: Draws) -> tuple[Setting, ...]:
    """All settings that are fixed before the study's first run; none for an adaptive search.

    Raises InputError for a value that cannot be built, and for a budget that a cardinality cannot meet.
    """
    return _in_forms(config, _of_one_form(config, scopes, draws))


def _of_one_form(config: StudyConfig, scopes: dict[str, Scope], draws: Draws) -> tuple[Setting, ...]:
    search = config.search
    if search.only:
        return _only(search.only, next(iter(scopes.values())))
    if config.spaces:
        return _populations(scopes, search, draws)
    if search.is_adaptive:
        return ()
    (scope,) = scopes.values()
    if search.sampler == "listed":
        if search.designs is not None:
            raise InputError(f"search.designs={search.designs}: sampler listed takes all; set it to null")
        return _listed(scope)
    if search.designs is None:
        raise InputError(f"search.designs is null: sampler {search.sampler} needs the number of designs")
    return _chosen(scope, search, draws)


def refuse_few(config: StudyConfig, scope: Scope, draws: Draws) -> None:
    """Raise InputError if the space has fewer feasible designs than an adaptive search has to choose."""
    search = config.search
    if search.designs is None:
        raise InputError(f"search.designs is null: sampler {search.sampler} needs the number of designs")
    if config.budget.match == "tight":
        raise InputError(f"budget.match=tight: sampler {search.sampler} matches by rule; set it to rule")
    if (found := len(draws.candidates(scope))) < search.designs:
        raise _too_few(search.designs, found, scope)


def _too_few(wanted: int, found: int, scope: Scope) -> InputError:
    budget = scope.budget
    if scope.bounds:
        words = " and ".join(f"{own} {READ[name].words}" for name, own in scope.bounds)
        less = f"search.designs={found}, " if found else ""
        keys = " or ".join(READ[name].limited_by for name, _ in scope.bounds)
        return InputError(
            f"search.designs={wanted}: {found:,} designs of the space that meet the budget have {words}; say {less}"
            f"a wider {keys}, or a larger space"
        )
    if not found and budget and (near := nearest_budget(scope.space, budget, scope.task, wanted)):
        cost, other = near
        had = " and ".join(f"{getattr(cost, one.axis):,} {one.axis}" for one in budget.limits)
        pairs = zip(budget.limits, other.limits, strict=True)
        say = " ".join(f"budget.{new.axis}.target={new.target}" for old, new in pairs if new.target != old.target)
        say = say or f"budget.{other.limits[0].axis}.tolerance=0.5"
        less = f", or budget.{budget.limits[-1].axis}=null for one limit less" if len(budget.limits) > 1 else ""
        return InputError(
            f"search.designs={wanted}: no design of the space would {budget.verb} {budget}; the nearest has {had}; say "
            f"{say}, with which designs are found{less}, or take a larger space"
        )
    fewer = [f"search.designs={found}"] if found else []
    limits = budget.limits if budget else ()
    wider = [f"budget.{one.axis}.tolerance={min(2 * one.tolerance or 0.05, 0.99):g}" for one in limits[:1]]
    ways = [*fewer, *([f"a wider budget, as in {wider[0]}"] if wider else []), "a larger space"]
    designs = "design" if found == 1 else "designs"
    return InputError(
        f"search.designs={wanted}: the space holds {found:,} feasible {designs}; say {', or '.join(ways)}"
    )


def _only(names: tuple[str, ...], scope: Scope) -> tuple[Setting, ...]:
    """The settings of the designs listed in `search.only`, which replace the sampler's choice."""
    try:
        found = tuple(scope.setting(parse_name(name)) for name in names)
    except ValueError as error:
        raise InputError(f"search.only={list(names)}: {error}") from None
    if len({setting.name for setting in found}) < len(found):
        raise InputError(f"search.only={list(names)}: a design is named twice")
    return found


def _in_forms(config: StudyConfig, settings: tuple[Setting, ...]) -> tuple[Setting, ...]:
    """Each setting in each of the equivalent forms that `search.forms` lists."""
    forms = config.search.forms
    if forms == ("grouped",):
        return settings
    if len(set(forms)) < len(forms):
        raise InputError(f"search.forms={list(forms)}: one is given twice")
    if config.search.is_adaptive:
        raise InputError(
            f"search.forms={list(forms)}: a search that chooses designs trains them grouped; set [grouped]"
        )
    if odd := [one.name for one in settings if not has_forms(one.architecture)]:
        raise InputError(
            f"search.forms={list(forms)}: {odd[0]} has no equivalent forms; allowed: bottlenecks whose paths are apart "
            "until they are added"
        )
    return tuple(replace(setting, form=form) for setting in settings for form in forms)


def refuse_spaces(config: StudyConfig) -> None:
    """Raise InputError if a study of several spaces asks for what such a study does not do."""
    search = config.search
    if search.sampler not in ("uniform", "space_filling"):
        raise InputError(
            f"search.sampler={search.sampler}: a study of several spaces draws search.designs of each; allowed: "
            "uniform, space_filling"
        )
    if search.designs is None:
        raise InputError("search.designs is null: give the number of designs to draw from each space")
    if search.forms != ("grouped",):
        raise InputError(f"search.forms={list(search.forms)}: a study of spaces compares designs; allowed: [grouped]")
    if search.seeds == "auto":
        raise InputError("search.seeds=auto: a study of spaces is decided by its designs; give a number of seeds")
    contrast = config.study.contrast
    if contrast and contrast.setting == contrast.against:
        raise InputError(f"study.contrast: setting and against are both {contrast.setting}")
    for key in ("setting", "against") if contrast else ():
        if getattr(contrast, key) not in config.spaces:
            raise InputError(
                f"study.contrast.{key}={getattr(contrast, key)}: is not a space; allowed: {', '.join(config.spaces)}"
            )


def refuse_labels(config: StudyConfig) -> None:
    """Raise InputError for a label of a space that is not there, or that cannot be told from another one."""
    called = {name: config.study.labels.get(name, name) for name in config.spaces}
    for key, label in config.study.labels.items():
        if key not in config.spaces:
            allowed = f"is not a space; allowed: {', '.join(config.spaces)}" if config.spaces else "there are no spaces"
            raise InputError(f"study.labels.{key}: {allowed}")
        if not label.strip() or len(label) > LONGEST_LABEL:
            raise InputError(f"study.labels.{key}={label!r}: allowed are 1 to {LONGEST_LABEL} characters")
        if alike := [name for name, other in called.items() if other == label and name != key]:
            raise InputError(f"study.labels.{key}={label}: the space {alike[0]} is called so too; choose another one")


def _populations(scopes: dict[str, Scope], search: SearchConfig, draws: Draws) -> tuple[Setting, ...]:
    """Designs drawn from each space; a design drawn from several spaces is trained once and counts for each."""
    drawn_from: dict[str, tuple[Setting, ...]] = {}
    for name, scope in scopes.items():
        try:
            drawn_from[name] = _chosen(scope, search, draws)
        except InputError as error:
            raise InputError(f"spaces.{name}: {error}") from None
    found: dict[str, Setting] = {}
    # One design of each space in turn, so that an unfinished study already compares the spaces.
    for turn in zip(*drawn_from.values(), strict=True):
        for name, setting in zip(drawn_from, turn, strict=True):
            known = found.get(setting.name, setting)
            found[setting.name] = replace(known, spaces=(*known.spaces, name))
    return tuple(found.values())


def _listed(scope: Scope) -> tuple[Setting, ...]:
    """All designs of a space whose values a person listed; of a space with ranges, those within the budget."""
    space = scope.space
    if (
        isinstance(space, DesignSpace)
        and (scope.budget or scope.bounds)
        and _ranges(space)
        and points_of(space) <= MOST_LISTED
    ):
        return _within(scope, space)
    return _all(scope)


def _once(settings: Iterable[Setting]) -> tuple[Setting, ...]:
    """Without those that are a network which came before: several listed widths may be solved to one."""
    found = dict[str, Setting]()
    for one in settings:
        found.setdefault(one.name, one)
    return tuple(found.values())


def _all(scope: Scope) -> tuple[Setting, ...]:
    try:
        architectures = listed(scope.space, scope.budget, scope.task, tight=scope.tight)
        settings = _once(scope.setting(architecture) for architecture in architectures)
    except ValueError as error:
        raise InputError(f"space: {error}") from None
    _refuse_outside(settings, scope.budget)
    if not isinstance(scope.space, DesignSpace | NamedSpace):  # whose designs no person listed
        return tuple(setting for setting in settings if scope.holds(setting.architecture))
    for setting in settings:
        refuse_beyond_bounds(setting, dict(scope.bounds))
    return settings


def refuse_beyond_bounds(setting: Setting, bounds: Mapping[str, Bounds]) -> None:
    """Raise InputError if a listed design is outside the bounds of a measure of an extension or of the budget."""
    for name, own in bounds.items():
        known = next((one.bounded for one in setting.readings if one.measure == name), None)
        if not own.holds(value := setting.value(name) if known is None else known):
            raise InputError(
                f"space: {setting.name} has {value:.4g} {READ[name].words}; allowed: {own} ({READ[name].limited_by}), "
                "or leave it out of the space"
            )


def _within(scope: Scope, space: DesignSpace) -> tuple[Setting, ...]:
    """The designs that meet the budget. Raises InputError if no design of a value that a person listed meets it."""
    kept: list[Setting] = []
    held: set[tuple[str, object]] = set()
    missed: list[tuple[DesignSpace, InputError]] = []
    named = [axis for axis in _AXES if axis not in _ranges(space)]
    for point in _points(space):
        try:
            kept += _all(replace(scope, space=point))
            held |= {(axis, getattr(point, axis)) for axis in named}
        except InputError as error:
            missed.append((point, error))
    for point, refusal in missed:
        if not kept or any((axis, getattr(point, axis)) not in held for axis in named):
            raise refusal
    return _once(kept)


def _ranges(space: DesignSpace) -> list[str]:
    return [axis for axis in _AXES if isinstance(getattr(space, axis), Range)]


def points_of(space: Space) -> int:
    """Number of points of a space."""
    return sum(part.size for part in space.parts)


def _points(space: DesignSpace) -> Iterator[DesignSpace]:
    """Split a space into spaces of one point each, in the space's order."""
    axes = [axis for axis in _AXES if getattr(space, axis) not in ((), "solve")]
    values = [found.values if isinstance(found := getattr(space, axis), Range) else found for axis in axes]
    for point in product(*values):
        only: dict[str, Any] = {axis: (value,) for axis, value in zip(axes, point, strict=True)}
        yield replace(space, **only)


def _chosen(scope: Scope, search: SearchConfig, draws: Draws) -> tuple[Setting, ...]:
    """Settings drawn from the feasible designs before the first run, by a sampler that does not adapt."""
    count = search.designs
    assert count is not None
    pool, rng = draws.drawn(scope, CANDIDATES if search.sampler == "space_filling" else count, least=count)
    if len(pool) < count:
        raise _too_few(count, len(pool), scope)
    try:
        places = space_filling(pool, count, rng) if search.sampler == "space_filling" else range(count)
        found = tuple(scope.setting(scope.matched(pool.architecture(place))) for place in places)
    except ValueError as error:
        raise InputError(f"space: {error}") from None
    if twice := [name for name, number in Counter(one.name for one in found).items() if number > 1]:
        raise InputError(
            f"budget.match=tight: {twice[0]} is what several of the drawn designs become when their widths are solved; "
            "leave space.bottleneck_width out, which solves it, or say budget.match=rule"
        )
    return found


def _refuse_outside(settings: tuple[Setting, ...], budget: Budget | None) -> None:
    """Raise InputError if a listed design misses the budget; a study without a budget sets its limits to null."""
    for setting in settings:
        for limit in budget.limits if budget else ():
            distance = limit.deviation(setting.cost)
            if limit.miss(setting.cost) > limit.tolerance:
                below = " below it, none above" if limit.at_most else ""
                raise InputError(
                    f"space: {setting.name} is {100 * distance:+.2f} % off {limit.target:,} {limit.axis}; allowed: "
                    f"{100 * limit.tolerance:.2f} %{below} (budget.{limit.axis}.tolerance), or "
                    f"budget.{limit.axis}=null for no limit"
                )


def _budget(config: StudyConfig, task: Task) -> tuple[Architecture | None, Cost | None, Budget | None]:
    given, design, reference = config.budget, None, None
    if given.reference is not None:
        _refuse_paths_alone(config, given.reference)
        try:
            design = _reference(config, given.reference)
            reference = cost(design, task)
        except ValueError as error:
            raise InputError(f"budget.reference={given.reference}: {error}") from None
    limits = []
    for axis, limit in given.held.items():
        if limit.target is None and reference is None:
            raise InputError(f"budget.{axis}.target is missing: give a number, or a budget.reference")
        target = limit.target if limit.target is not None else getattr(reference, axis)
        try:
            limits.append(Limit(axis, target, limit.tolerance, limit.at_most))
        except ValueError as error:
            raise InputError(f"budget.{axis}: {error}") from None
    if not limits and config.space.is_solved:
        raise InputError(
            f"budget: {', '.join(COUNTED)} are all null, so bottleneck_width cannot be solved; give one a tolerance, "
            "as in budget.params.tolerance=0.05"
        )
    if not limits and given.match == "tight":
        raise InputError("budget.match=tight: there is no limit to match; give one, as in budget.params.tolerance=0.05")
    return design, reference, Budget(tuple(limits)) if limits else None


def _refuse_paths_alone(config: StudyConfig, text: str) -> None:
    """Raise InputError if only paths were given, such as `32x4d`, and the space has no axes to complete the name."""
    space = config.space
    if isinstance(space, DesignSpace) or not _PATHS.fullmatch(text):
        return
    way = "give a whole name, or budget.reference=null and a target of your own, as in budget.macs.target=40000000"
    if isinstance(space, NamedSpace):
        works = [name for name in space.architecture if _can_be_held_to(config, name)]
        way = f"give a whole name; allowed among others: {', '.join(works)}" if works else way
    raise InputError(f"budget.reference={text}: paths alone need a space with axes to complete them; {way}")


def _can_be_held_to(config: StudyConfig, name: str) -> bool:
    """Whether one named network can be the reference that all networks of the study are matched to."""
    try:
        held = replace(config, budget=replace(config.budget, reference=name))
        draws = Draws(config.search.sampler_seed)
        scopes = scopes_of(held)
        if config.search.is_adaptive:
            refuse_few(held, next(iter(scopes.values())), draws)
        settings_of(held, scopes, draws)
    except InputError:
        return False
    return True


def _reference(config: StudyConfig, text: str) -> Architecture:
    """The network of a full name; paths alone are completed by the space if it has one value per axis."""
    space = config.space
    if not isinstance(space, DesignSpace) or not _PATHS.fullmatch(text):
        return parse_name(text)
    axes = ("depth", "width", "kernel_size", "block", "shortcut", "stem", "projection", "attention", "scale")
    values = [found.values if isinstance(found := getattr(space, axis), Range) else found for axis in axes]
    wholes = [_whole(space.template, text, *point) for point in islice(product(*values), MOST_TRIED)]
    for axis, several in zip(axes, values, strict=True):
        if len(several) > 1:
            works = (name for name in map(short_name, wholes) if _can_be_held_to(config, name))
            way = next(works, None) if config.search.sampler == "listed" else None
            raise ValueError(
                f"the space has several values of {axis}; give a whole name, such as {way or short_name(wholes[0])}"
            )
    return wholes[0]


def _whole(
    template: str, paths: str, depth: int, width: int, kernel_size: int, block: str, shortcut: bool, *parts: str | int
) -> Architecture:
    plain = "" if shortcut else "-plain"
    other = "" if block == TEMPLATES[template].block else f"-{block}"
    named = (f"s{part}" if isinstance(part, int) else part for part in parts)
    rest = "".join(f"-{part}" for part in named if part not in ("plain", "conv", "none", "s1"))
    return parse_name(f"{depth}-{paths}-w{width}-k{kernel_size}{other}{plain}{rest}-{template}")
