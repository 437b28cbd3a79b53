"""The robustness checks of a contrast: studies that train its two settings again with one rival explanation taken away.

A check has one or more arms, and an arm one or more studies, which are kept in the folder of the declared study. What
an arm would train again just as the declared study has trained it is taken from there.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast, get_args

from explorer.design.architecture import Architecture
from explorer.design.budget import Budget, Limit, deviation, solve_bottleneck_width
from explorer.design.cost_measures import COUNTED
from explorer.design.name import display_name, paths_name
from explorer.design.space import NamedSpace
from explorer.host.formatting import counted
from explorer.study.designs import Setting
from explorer.study.lengths import at_pace, budget_of_part, of_steps, reference_name
from explorer.study.plan import Plan
from explorer.study.run import Execution
from explorer.study.runs import own_execution
from explorer.study.settings import (
    BudgetConfig,
    Check,
    Contrast,
    Precision,
    Question,
    ReportConfig,
    SearchConfig,
    StorageConfig,
)
from explorer.study.settings import StudyConfig as Config

# By name of the check, the rival explanation that it takes away.
RIVALS = {
    "init": "the initialisation",
    "rate": "the learning rate",
    "length": "the length of training",
    "cost": "unequal cost",
    "width": "the middle width",
    "time": "unequal time",
    "precision": "the precision",
    "split": "the split",
}
SIXTEEN, SIXTEEN_ARM = "length_16", "length-sixteen"  # the longest arm of the check of length, made only if asked for
EPOCHS = "epochs"  # the arm of `equal_epochs`, and its study
ALLOWED = get_args(Check)
OF_ONE_NORM = ("bottleneck", "preact", "inception")  # blocks whose k x k convolutions keep the number of channels
RATES = (0.25, 0.5, 1.0, 2.0, 4.0)  # multiples of the recipe's learning rate that are tried
GAINS = (0.25, 0.5, 1.0, 2.0, 4.0)  # multiples of the recipe's gain that are tried
TUNING_SEEDS = 3
APART = 10_000  # between the seeds of a study and those of its tuning: more than a study may have
NEAR = 0.02  # deviation up to which costs count as equal
MOST_STEPS = 10_000  # of the bottleneck width, on the way to a dearer design

Pair = tuple[Setting, Setting]


@dataclass(frozen=True)
class Declared:
    """What the checks of a contrast follow from.

    plan       of the declared study, with the number of seeds that it has; it has a contrast
    execution  how its runs are executed; None before its first start
    images     number of training images; None before its first start
    pace       how many times as many images a second the setting trains as its rival; None before that is measured
    tuned      by arm, the values that suit setting and rival best, as multiples of the recipe's; without an arm whose
               tuning is not finished
    """

    plan: Plan
    execution: Execution | None = None
    images: int | None = None
    pace: float | None = None
    tuned: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def config(self) -> Config:
        """The settings of the declared study."""
        return self.plan.config

    @property
    def pair(self) -> Pair:
        """The two settings of its contrast."""
        assert self.plan.contrast is not None
        return self.plan.contrast


@dataclass(frozen=True)
class Side:
    """Where one side of an arm takes its errors from: a setting of one of its studies, or of the declared one ("")."""

    study: str
    setting: str


@dataclass(frozen=True)
class Candidate:
    """One value that tuning tries: a multiple of the recipe's, and the study and learning rate at which it is tried."""

    value: float
    study: str
    rate: float = 1.0


@dataclass(frozen=True)
class CheckArm:
    """One way of making a check.

    check       its name, a key of `RIVALS`
    name        of the arm
    words       what is changed, as it follows "the difference holds": `at equal multiply-adds`
    detail      the same more exactly
    studies     what is trained, in this order; empty if nothing is
    sides       whose errors are compared, setting and rival; None until tuning is finished, or if it cannot be made
    main        whether the check is judged by this arm; others are shown beside it
    candidates  what tuning chooses from
    why_not     why the arm cannot be made; "" if it can
    """

    check: str
    name: str
    words: str
    detail: str
    studies: tuple[Config, ...] = ()
    sides: tuple[Side, Side] | None = None
    main: bool = True
    candidates: tuple[Candidate, ...] = ()
    why_not: str = ""

    @property
    def runs(self) -> int:
        """How many runs its studies have."""
        return sum(_runs(study) for study in self.studies)


def _runs(study: Config) -> int:
    assert isinstance(study.space, NamedSpace)
    assert isinstance(study.search.seeds, int)
    return len(study.space.architecture) * (1 + len(study.search.rates)) * study.search.seeds


def arms_of(declared: Declared) -> tuple[CheckArm, ...]:
    """All arms of all checks of a contrast, in the order of the checks.

    Where two arms would train the same, both take it from the study of the first one.
    """
    found, known = [], dict[str, Config]()
    for arm in (arm for check in _ARMS.values() for arm in check(declared)):
        studies = {one.name: known.setdefault(_trains(one), one) for one in arm.studies}
        sides = [Side(studies[one.study].name, one.setting) if one.study else one for one in arm.sides or ()]
        found.append(replace(arm, studies=tuple(studies.values()), sides=(sides[0], sides[1]) if sides else None))
    return tuple(found)


def _trains(study: Config) -> str:
    """What a study trains, without its name and its question."""
    return repr(replace(study, name="", study=replace(study.study, question="the same")))


def is_asked(arm: CheckArm, asked: Collection[str]) -> bool:
    """Whether an arm is among the checks that are asked for, as `study.robustness` names them."""
    if arm.name == SIXTEEN_ARM:
        return SIXTEEN in asked
    return arm.check in asked or (arm.check == "length" and SIXTEEN in asked)


def filter_norm(architecture: Architecture, init: str, gain: float) -> float | None:
    """Squared norm of a filter of the blocks' k x k convolutions when drawn; None if it differs among them.

    So it does where they have other numbers of output than of input channels, as in basic blocks, and where paths
    differ from stage to stage.
    """
    if architecture.block not in OF_ONE_NORM:
        return None
    groups = _groups(architecture)
    if init != "fan_out":
        return 2 * gain**2
    return 2 * gain**2 / groups.pop() if len(groups) == 1 else None


def _groups(architecture: Architecture) -> set[int]:
    """The numbers of groups of the blocks' k x k convolutions; the unlike paths of a block are no groups of one."""
    return {1} if architecture.kind.cardinality is not None else {*architecture.cardinalities}


def _init(declared: Declared) -> Iterator[CheckArm]:
    recipe, pair = declared.config.recipe, declared.pair
    # Divided by one group nothing changes: such a network starts with the same bits.
    is_same = recipe.init == "fan_out_groups"
    same = [is_same or (recipe.init == "fan_out" and _groups(one.architecture) == {1}) for one in pair]
    kept = [display_name(one.architecture) for one, is_kept in zip(pair, same, strict=True) if is_kept]
    detail = f"recipe.init=fan_out_groups{'; as declared: ' + ' and '.join(kept) if kept else ''}"
    groups = replace(recipe, init="fan_out_groups")
    yield _arm(declared, "init", "init-groups", "at equal filter norm", detail, same=same, recipe=groups)
    if recipe.init != "fan_out":
        paper = replace(recipe, init="fan_out")
        words = "under the paper's initialisation"
        yield _arm(declared, "init", "init-fan_out", words, "recipe.init=fan_out", main=False, recipe=paper)
    if recipe.init != "fan_in":
        fan_in = replace(recipe, init="fan_in")
        words = "with fan_in in all layers"
        yield _arm(declared, "init", "init-fan_in", words, "recipe.init=fan_in", main=False, recipe=fan_in)
    norms = [filter_norm(one.architecture, recipe.init, recipe.init_gain) for one in pair]
    if None not in norms and norms[0] != norms[1]:
        small, large = sorted(norm for norm in norms if norm is not None)
        gain = recipe.init_gain * math.sqrt(small / large)
        yield _arm(
            declared,
            "init",
            "init-small",
            "at the smaller filter norm",
            f"squared norm {small:.3g} of both, by recipe.init_gain={gain:.4g}",
            main=False,
            same=[norm == small for norm in norms],
            recipe=replace(recipe, init_gain=gain),
        )
    studies = {
        value: _study(
            declared,
            f"init-tuning-{value:g}",
            pair,
            tunes=True,
            recipe=replace(recipe, init_gain=recipe.init_gain * value),
        )
        for value in GAINS
    }
    candidates = tuple(Candidate(value, study.name) for value, study in studies.items())
    yield _tuned(
        declared,
        CheckArm(
            "init",
            "init-best",
            "at each setting's best gain",
            "of the first k x k weights",
            tuple(studies.values()),
            main=False,
            candidates=candidates,
        ),
        lambda value: replace(recipe, init_gain=recipe.init_gain * value),
    )


def _rate(declared: Declared) -> Iterator[CheckArm]:
    recipe = declared.config.recipe
    tuning = _study(declared, "rate-tuning", declared.pair, tunes=True)
    search = replace(tuning.search, rates=tuple(value for value in RATES if value != 1))
    contrast = Contrast(*(one.name for one in declared.pair))
    tuning = replace(tuning, search=search, study=replace(tuning.study, contrast=contrast))
    yield _tuned(
        declared,
        CheckArm(
            "rate",
            "rate",
            "at each setting's best rate",
            f"of the learning rate {recipe.learning_rate:g}",
            (tuning,),
            candidates=tuple(Candidate(value, tuning.name, value) for value in RATES),
        ),
        lambda value: replace(recipe, learning_rate=recipe.learning_rate * value),
    )


def _tuned(declared: Declared, arm: CheckArm, recipe_at: Callable[[float], object]) -> CheckArm:
    """The arm with the studies of setting and rival at their best values, once tuning has found these."""
    if arm.name not in declared.tuned:
        return replace(arm, detail=f"x{arm.candidates[0].value:g} to x{arm.candidates[-1].value:g} {arm.detail}")
    best, studies, sides = declared.tuned[arm.name], list(arm.studies), []
    for value, setting, side in zip(best, declared.pair, ("setting", "against"), strict=True):
        study = _study(declared, f"{arm.name}-{side}", [setting], recipe=recipe_at(value))
        if value != 1:
            studies.append(study)
        sides.append(Side("" if value == 1 else study.name, setting.name))
    ends = {arm.candidates[0].value, arm.candidates[-1].value}
    names = [display_name(one.architecture) for one in declared.pair]
    parts = [f"x{value:g} for {name}" for value, name in zip(best, names, strict=True)]
    edge = ", at the edge of what was tried" if ends & {*best} else ""
    detail = f"{' and '.join(parts)}{edge} ({arm.detail})"
    return replace(arm, detail=detail, studies=tuple(studies), sides=(sides[0], sides[1]))


def equal_epochs(declared: Declared) -> CheckArm | None:
    """The arm in which all train for the recipe's own length; None for a study in which they do so anyway.

    It gives a study at equal training compute or time its second verdict, and is no check: neither length takes the
    other's explanation away. Whatever trains as long in both, as the reference design does, is not trained again.
    """
    plan, config = declared.plan, declared.config
    if config.budget.train == "epochs":
        return None
    reference = reference_name(declared.pair[0].scope)
    same = [
        one.name == reference if plan.steps_of(one) is None else plan.recipe_of(one) == config.recipe
        for one in declared.pair
    ]
    budget = BudgetConfig(None)
    return _arm(declared, EPOCHS, EPOCHS, "at equal epochs", "budget.train=epochs", same=same, budget=budget)


def _length(declared: Declared) -> Iterator[CheckArm]:
    recipe = declared.config.recipe
    for name, factor, words in (
        ("quarter", 0.25, "a quarter of"),
        ("four", 4, "four times"),
        ("sixteen", 16, "16 times"),
    ):
        key = "steps" if recipe.epochs is None else "epochs"
        before = getattr(recipe, key)
        after = max(1, round(before * factor))
        warmup = recipe.warmup_epochs * after / before  # the same share of the run
        rounded = "" if after == before * factor else f", {before * factor:g} rounded"
        yield _arm(
            declared,
            "length",
            f"length-{name}",
            f"at {words} the length",
            f"{counted(after, key[:-1])} instead of {before:,}{rounded}",
            main=name == "four",
            recipe=replace(recipe, warmup_epochs=warmup, **{key: after}),
        )


def _cost(declared: Declared) -> Iterator[CheckArm]:
    setting, rival = declared.pair
    arms = []
    try:
        wider = _dearer(setting, rival)
    except ValueError as error:
        arms.append(CheckArm("cost", "cost-wider", "against a wider rival", "", why_not=str(error)))
        wider = rival
    else:
        words = f"against the wider {paths_name(wider.architecture)}"
        arms.append(
            _arm(declared, "cost", "cost-wider", words, _dearness(wider, setting, "params"), settings=(setting, wider))
        )
    for measure in (name for name in COUNTED if name not in declared.config.budget.held):
        words, name = f"at equal {COUNTED[measure].words}", f"cost-{measure}"
        try:
            pair = _equalled(setting, rival, measure)
        except ValueError as error:
            arms.append(CheckArm("cost", name, words, "", why_not=str(error)))
            continue
        if pair == (setting, wider):
            continue
        # A grouped network of as many activations is much smaller than its rival, which is another question.
        main, detail = measure != "activations", _dearness(*pair, measure)
        arms.append(_arm(declared, "cost", name, words, detail, settings=pair, main=main))
    yield from arms


def _equalled(setting: Setting, rival: Setting, measure: str) -> Pair:
    """The two settings, the first with the bottleneck width that brings its cost nearest to that of the other.

    Where its paths are so many that it stays further away than `NEAR`, the rival is brought near if it comes nearer.
    Raises ValueError if it has no such width.
    """

    def apart(pair: Pair) -> float:
        return abs(_apart(*pair, measure))

    found = (_solved(setting, rival, measure), rival)
    return found if apart(found) <= NEAR else min(found, (setting, _solved(rival, setting, measure)), key=apart)


def _solved(one: Setting, other: Setting, measure: str) -> Setting:
    """The first setting with the bottleneck width that brings its cost nearest to that of the other."""
    budget = Budget((Limit(measure, getattr(other.cost, measure), 0.0),))
    return one.scope.setting(solve_bottleneck_width(one.architecture, budget, one.scope.task, strict=False))


def _apart(one: Setting, other: Setting, measure: str) -> float:
    return deviation(getattr(one.cost, measure), getattr(other.cost, measure))


def _dearness(one: Setting, other: Setting, measure: str) -> str:
    """How much more a setting costs than another: `ResNet-29 (1x66d) has 7.2 % more parameters than ...`."""
    apart, words = _apart(one, other, measure), COUNTED[measure].words
    much = f"{100 * abs(apart):.1f} % {'more' if apart > 0 else 'fewer'} {words} than"
    how = much if abs(apart) >= 0.0005 else f"as many {words} as"
    return f"{display_name(one.architecture)} has {how} {display_name(other.architecture)}"


def _dearer(setting: Setting, rival: Setting) -> Setting:
    """The rival with the next bottleneck width at which it has more parameters and multiply-adds than the setting.

    Raises ValueError if there is none.
    """
    widths = rival.architecture.bottleneck_widths
    for step in range(1, MOST_STEPS):
        wider = tuple(width + step * 2**stage for stage, width in enumerate(widths))
        own = rival.scope.setting(replace(rival.architecture, bottleneck_width=wider))
        if own.cost.params > setting.cost.params and own.cost.macs > setting.cost.macs:
            return own
    raise ValueError(f"no width makes it dearer than {display_name(setting.architecture)}")


def _width(declared: Declared) -> Iterator[CheckArm]:
    setting, rival = declared.pair
    for name, one, other, words in (
        ("width-setting", rival, setting, "against {} of equal middle width"),
        ("width-against", setting, rival, "with {} at the rival's middle width"),
    ):
        try:
            own = one.scope.setting(_at_width_of(one.architecture, other.architecture))
        except ValueError as error:
            yield CheckArm("width", name, words.format("its paths"), "", why_not=str(error))
            continue
        shown, detail = paths_name(own.architecture), _dearness(own, other, "params")
        pair = (other, own) if name == "width-setting" else (own, other)
        yield _arm(declared, "width", name, words.format(shown), detail, settings=pair)


def _at_width_of(one: Architecture, other: Architecture) -> Architecture:
    """A design with the middle widths of another. Raises ValueError if its paths cannot share them out equally."""
    if len(one.depths) != len(other.depths):
        raise ValueError("the two networks have different numbers of stages")
    middle = [paths * width for paths, width in zip(other.cardinalities, other.bottleneck_widths, strict=True)]
    if any(width % paths for width, paths in zip(middle, one.cardinalities, strict=True)):
        raise ValueError(f"{one.cardinalities[0]} paths cannot share a middle width of {middle[0]} equally")
    widths = tuple(width // paths for width, paths in zip(middle, one.cardinalities, strict=True))
    return replace(one, bottleneck_width=widths)


def _time(declared: Declared) -> Iterator[CheckArm]:
    recipe, (setting, rival) = declared.config.recipe, declared.pair
    words, main = "in equal seconds", True
    if declared.pace is None or declared.images is None:
        yield CheckArm("time", "time", words, "", (_study(declared, "time", [setting]),), None, main)
        return
    if declared.config.budget.train == "time":
        yield CheckArm("time", "time", words, "", why_not="both are trained for equal seconds as declared")
        return
    before = declared.plan.steps_of(rival) or recipe.steps_on(declared.images)
    steps, own = at_pace(before, declared.pace), declared.plan.steps_of(setting) or before
    names = [display_name(one.architecture) for one in (setting, rival)]
    detail = f"{names[0]} trains {declared.pace:.2f} times as many images a second as {names[1]}: {steps:,} steps"
    yield _arm(
        declared,
        "time",
        "time",
        words,
        f"{detail} instead of {own:,}",
        same=(steps == own, True),
        recipe=of_steps(recipe, steps, declared.images),
        budget=BudgetConfig(None),
    )


def _precision(declared: Declared) -> Iterator[CheckArm]:
    engine, done = replace(declared.config.engine, precision="float32", forms="native"), declared.execution
    same = [
        done is not None and _is_plain(own_execution(done, one, declared.config.data.task)) for one in declared.pair
    ]
    before = "as the declared runs" if all(same) else f"instead of {done.precision}" if done else ""
    yield _arm(
        declared,
        "precision",
        "precision",
        "in float32 as torch executes it",
        f"engine.precision=float32, engine.forms=native{', ' + before if before else ''}",
        same=same,
        engine=engine,
    )


def _split(declared: Declared) -> Iterator[CheckArm]:
    data = replace(declared.config.data, split_seed="each")
    words, detail = "on another split for each seed", "data.split_seed=each"
    yield _arm(declared, "split", "split", words, detail, data=data)


def _is_plain(execution: Execution) -> bool:
    plain = replace(execution, precision="float32", norms="torch", layout="channels_last", convolutions=())
    return execution == plain


_ARMS: dict[str, Callable[[Declared], Iterator[CheckArm]]] = {
    "init": _init,
    "rate": _rate,
    "length": _length,
    "cost": _cost,
    "width": _width,
    "time": _time,
    "precision": _precision,
    "split": _split,
}


def _arm(
    declared: Declared,
    check: str,
    name: str,
    words: str,
    detail: str,
    *,
    settings: Pair | None = None,
    same: Sequence[bool] = (False, False),
    main: bool = True,
    **changes: Any,
) -> CheckArm:
    """An arm with one study, in which those settings are trained that are not the `same` as in the declared study.

    `settings` are other designs than those of the contrast; `changes` are other parts of the study's settings.
    """
    pair = settings or declared.pair
    if pair[0].architecture == pair[1].architecture:
        return CheckArm(check, name, words, detail, why_not=f"both are then {display_name(pair[0].architecture)}")
    # How the declared study was executed does not follow from its settings, so of `engine` only the caller can judge.
    unchanged = "engine" not in changes and all(
        getattr(declared.config, key) == value for key, value in changes.items()
    )
    kept = [is_same or (unchanged and one == old) for one, old, is_same in zip(pair, declared.pair, same, strict=True)]
    again = [one for one, is_kept in zip(pair, kept, strict=True) if not is_kept]
    studies = (_study(declared, name, again, **changes),) if again else ()
    sides = [Side("" if is_kept else name, one.name) for one, is_kept in zip(pair, kept, strict=True)]
    return CheckArm(check, name, words, detail, studies, (sides[0], sides[1]), main)


def _study(
    declared: Declared, name: str, settings: Sequence[Setting], *, tunes: bool = False, **changes: Any
) -> Config:
    """A study of designs as the declared study trains them, apart from `changes`; one that `tunes` has other seeds."""
    config = declared.config
    first, seeds = config.search.first_seed, declared.plan.seeds
    if tunes:
        first, seeds = (first + APART if first < APART else first - APART), TUNING_SEEDS
    executed = declared.execution
    engine = config.engine
    if executed is not None:
        engine = replace(engine, precision=cast(Precision, executed.precision))
    own = replace(
        config,
        name=name,
        study=Question(f"Robustness check {name}: {config.study.question}", None),
        space=NamedSpace(tuple(one.name for one in settings), "named"),
        spaces={},
        budget=budget_of_part(config, declared.pair[0].scope),
        search=SearchConfig("listed", seeds, first_seed=first),
        engine=engine,
        storage=StorageConfig("none"),
        report=ReportConfig(),
        fork=False,
    )
    return replace(own, **changes)
