"""A study's plan: everything that follows from its configuration alone, computed once and passed on."""

from dataclasses import dataclass, field, replace

from explorer.design.block import BLOCKS
from explorer.design.cost import Cost, cost
from explorer.design.cost_measures import READ
from explorer.design.space import DesignSpace
from explorer.host.errors import InputError
from explorer.study.contrast import contrast_of
from explorer.study.designs import (
    Draws,
    Progress,
    Scope,
    Setting,
    points_of,
    refuse_few,
    refuse_labels,
    refuse_spaces,
    scopes_of,
    settings_of,
)
from explorer.study.lengths import Lengths, recipe_of, steps_of
from explorer.study.memory import passing_bytes, refuse_beyond, training_bytes
from explorer.study.parts import without_end
from explorer.study.run import as_recorded
from explorer.study.samplers import FIXED, adaptive
from explorer.study.settings import LARGEST_SIDE, Recipe, StudyConfig


@dataclass(frozen=True)
class Plan:
    """Everything that follows from a study's configuration alone.

    scopes    what designs are drawn from, by the name of the space: "" in a study of one space
    settings  those fixed before the first run; empty for an adaptive search
    contrast  the two settings that the study compares; None if it declares none, is a search or compares spaces
    draws     the feasible designs of its spaces, computed when first needed
    seeds     of each design; where results decide their number (`search.seeds=auto`), as many as are due at present
    lengths   what the lengths of runs follow from besides the settings, once it is known
    """

    config: StudyConfig
    scopes: dict[str, Scope]
    settings: tuple[Setting, ...]
    contrast: tuple[Setting, Setting] | None
    draws: Draws
    seeds: int
    lengths: Lengths = field(default_factory=Lengths)

    @property
    def scope(self) -> Scope:
        """The scope of the study's space; of the first one if it has several."""
        return next(iter(self.scopes.values()))

    @property
    def designs(self) -> int:
        """Number of designs that the study trains, each in all forms that it asks for."""
        return (self.config.search.designs or 0) if self.config.search.is_adaptive else len(self.settings)

    @property
    def runs(self) -> int:
        """Planned number of runs, including those at other learning rates."""
        return (self.designs + 2 * len(self.config.search.rates)) * self.seeds

    @property
    def every_seed(self) -> range:
        """The seeds with which each design is trained."""
        first = self.config.search.first_seed
        return range(first, first + self.seeds)

    @property
    def left_out(self) -> tuple[int, int]:
        """Number of listed points that miss the budget and are not trained, and number of all points of the space."""
        space, search = self.config.space, self.config.search
        if search.only or self.config.spaces or search.sampler != "listed" or not isinstance(space, DesignSpace):
            return 0, 0
        return points_of(space) - len(self.settings) // len(search.forms), points_of(space)

    def steps_of(self, setting: Setting) -> int | None:
        """Number of training steps of a setting's runs; None as long as that is not known."""
        return steps_of(self.config, self.lengths, setting)

    def recipe_of(self, setting: Setting) -> Recipe:
        """How a setting is trained, its length included, which must be known by now."""
        return recipe_of(self.config, self.lengths, setting)

    def with_lengths(self, lengths: Lengths) -> "Plan":
        """The plan of the same study, now that it is known what the lengths of its runs follow from."""
        return replace(self, lengths=lengths)

    def with_seeds(self, seeds: int) -> "Plan":
        """The plan of the same study with another number of seeds."""
        return replace(self, seeds=seeds)

    def with_name(self, name: str) -> "Plan":
        """The plan of the same study under another name."""
        return replace(self, config=replace(self.config, name=name))


def plan_of(config: StudyConfig, progress: Progress | None = None, *, chooses: bool = True) -> Plan:
    """Make the plan of a study. Raises InputError for settings that contradict each other or cannot be built.

    `progress` receives how far long work on a large space has come. With `chooses=False`, for reading a record, there
    is no check that a search would still find enough designs.
    """
    _refuse_recipe(config)
    refuse_labels(config)
    if config.spaces and not config.search.only:
        refuse_spaces(config)
    scopes, draws = scopes_of(config), Draws(config.search.sampler_seed, progress)
    settings = settings_of(config, scopes, draws)
    _refuse_without_end(config, settings)
    if config.search.is_adaptive and chooses:
        refuse_few(config, next(iter(scopes.values())), draws)
    return Plan(config, scopes, settings, contrast_of(config, settings), draws, config.search.looks[0])


def some_designs(plan: Plan, count: int) -> tuple[Setting, ...]:
    """Some designs that a search may choose, evenly spread over its pool; its execution plan is measured on such."""
    pool = plan.draws.candidates(plan.scope)
    places = sorted({len(pool) * number // count for number in range(count)})
    return tuple(plan.scope.setting(pool.architecture(place)) for place in places)


def _refuse_recipe(config: StudyConfig) -> None:
    """Raise InputError if parts of the recipe contradict each other or do not fit the images."""
    _refuse_length(config)
    rates = config.search.rates
    if len({1.0, *map(as_recorded, rates)}) < len(rates) + 1:
        raise InputError(
            f"search.rates={list(rates)}: allowed are multiples that differ from each other and from 1 in their first "
            "nine decimals, as in [0.5,2]"
        )
    objectives = config.search.objectives
    if objectives != ("error",) and not config.search.only:
        if objectives[:1] != ("error",) or len(objectives) != 2 or objectives[1] == "error":
            raise InputError(f"search.objectives={list(objectives)}: allowed are [error] and error with one cost")
        if not config.search.is_adaptive:
            raise InputError(
                f"search.objectives={list(objectives)}: sampler {config.search.sampler} chooses by no objective; "
                f"allowed: {', '.join(adaptive())}"
            )
    if rates and (config.study.contrast is None or config.spaces or config.search.only):
        raise InputError(
            f"search.rates={list(rates)}: the two settings of study.contrast are trained at these, and this study has "
            "no such two; allowed: []"
        )
    if (checks := config.study.robustness) and (config.study.contrast is None or config.spaces or config.search.only):
        raise InputError(
            f"study.robustness={list(checks)}: checks repeat the contrast of two settings, and this study has no such "
            "two; allowed: []"
        )
    _refuse_search(config)
    _refuse_bounds(config)
    recipe, images, size = config.recipe, config.data.train_images, config.data.image_size
    for key in ("image_size", "resize"):
        if (getattr(config.data, key) or 0) > LARGEST_SIDE:
            raise InputError(f"data.{key}={getattr(config.data, key)}: allowed is at most {LARGEST_SIDE}")
    if config.data.resize is not None and config.data.resize < size:
        raise InputError(f"data.resize={config.data.resize}: allowed is at least data.image_size, {size}")
    if images is not None and recipe.batch_size > images:
        raise InputError(f"recipe.batch_size={recipe.batch_size}: allowed is at most data.train_images, {images}")
    if recipe.micro_batch is not None and recipe.batch_size % recipe.micro_batch:
        raise InputError(
            f"recipe.micro_batch={recipe.micro_batch}: recipe.batch_size={recipe.batch_size} is no multiple of it"
        )
    for key in ("shift", "cutout"):
        if getattr(recipe, key) > size:
            raise InputError(f"recipe.{key}={getattr(recipe, key)}: allowed is at most data.image_size, {size}")
    _refuse_warmup(config)
    _refuse_augmentation(config)
    if recipe.nesterov and not recipe.momentum and recipe.optimizer != "adamw":
        raise InputError("recipe.momentum=0: recipe.nesterov=true needs a momentum; allowed with recipe.nesterov=false")
    if recipe.crop_area is not None and recipe.crop_area[0] > recipe.crop_area[1]:
        raise InputError(f"recipe.crop_area={list(recipe.crop_area)}: the first number must not exceed the second")


def _refuse_bounds(config: StudyConfig) -> None:
    """Raise InputError where the bounds of an extension's measure cannot decide what is trained."""
    search, bounded = config.search, [name for name, own in config.budget.bounds.items() if own.has_any]
    if not bounded or search.only:
        return
    drawn = search.sampler in FIXED and (search.sampler != "listed" or config.spaces)
    if drawn and (measured := [name for name in bounded if name in config.measured]):
        raise InputError(
            f"{READ[measured[0]].limited_by}: is measured when a design is chosen, and sampler {search.sampler} draws "
            f"all before; allowed with listed, {', '.join(adaptive())}"
        )
    if drawn and config.budget.match == "tight":
        raise InputError(
            f"budget.match=tight: changes designs after {READ[bounded[0]].limited_by} has chosen them; set it to rule"
        )


def _refuse_length(config: StudyConfig) -> None:
    """Raise InputError unless exactly one of epochs and steps says how long to train."""
    epochs, steps = config.recipe.epochs, config.recipe.steps
    if epochs is not None and steps is not None:
        raise InputError(f"recipe.steps={steps}: recipe.epochs={epochs} says the length too; say recipe.epochs=null")
    if epochs is None and steps is None:
        raise InputError("recipe.epochs is null: say how long to train, as in recipe.epochs=10 or recipe.steps=1000")


def _refuse_augmentation(config: StudyConfig) -> None:
    """Raise InputError for parts of the augmentation, or of what is dropped, that cannot go together."""
    recipe = config.recipe
    if recipe.rand_augment is not None and recipe.trivial_augment:
        raise InputError(
            f"recipe.trivial_augment=true: recipe.rand_augment={list(recipe.rand_augment)} draws operations too; say "
            "recipe.rand_augment=null"
        )
    if recipe.mixes and recipe.batch_size < 2:
        raise InputError(f"recipe.batch_size={recipe.batch_size}: mixing images takes 2 or more")


def _refuse_without_end(config: StudyConfig, settings: tuple[Setting, ...]) -> None:
    """Raise InputError for an added block that does not say where its branch ends, if branches are to be dropped."""
    spaces = [space for space in (config.space, *config.spaces.values()) if isinstance(space, DesignSpace)]
    blocks = {one.architecture.block for one in settings} | {block for space in spaces for block in space.block}
    for block in sorted(blocks) if config.recipe.stochastic_depth else ():
        if BLOCKS[block].module is not None and not BLOCKS[block].last_norm:
            raise InputError(without_end(block))


def _refuse_warmup(config: StudyConfig) -> None:
    """Raise InputError for a warm-up that is said twice, or longer than the run."""
    recipe = config.recipe
    if not recipe.warmup_epochs:
        return
    given = f"recipe.warmup_epochs={recipe.warmup_epochs:g}"
    if recipe.warmup:
        raise InputError(f"{given}: recipe.warmup={recipe.warmup:g} says the warm-up too; say recipe.warmup=0")
    if recipe.epochs is not None and recipe.warmup_epochs >= recipe.epochs:
        raise InputError(f"{given}: allowed is less than recipe.epochs, {recipe.epochs}")


def _refuse_search(config: StudyConfig) -> None:
    """Raise InputError if `search.pruner` or `search.baseline` makes no sense with the sampler."""
    search, epochs = config.search, config.recipe.epochs
    if search.only:
        return
    refuse_test_that_was_trained_on(config)
    if search.baseline and (not search.is_adaptive or search.sampler == "random"):
        raise InputError(
            f"search.baseline={search.baseline}: random designs are what a search is held against, and sampler "
            f"{search.sampler} is none; allowed: 0"
        )
    if search.pruner == "none":
        return
    if not search.is_adaptive:
        raise InputError(
            f"search.pruner={search.pruner}: sampler {search.sampler} trains all designs to the end; allowed: none"
        )
    if epochs is None:
        raise InputError(
            f"search.pruner={search.pruner}: judges designs after whole epochs, and recipe.steps={config.recipe.steps} "
            "gives the length; say recipe.epochs=... and recipe.steps=null, or search.pruner=none"
        )
    if len(search.objectives) > 1 and search.pruner != "halving":
        raise InputError(f"search.pruner={search.pruner}: does not take two objectives; allowed: halving, none")
    if (search.first_rung or 1) >= epochs:
        raise InputError(
            f"search.first_rung={search.first_rung}: allowed is less than recipe.epochs, {epochs}"
            if search.first_rung
            else f"recipe.epochs={epochs}: search.pruner={search.pruner} needs 2 epochs or more"
        )


def refuse_test_that_was_trained_on(config: StudyConfig, test_by_seed: int = 0) -> None:
    """Raise InputError for a final round whose test images would be some that the search trains on or chooses by.

    So it is where every seed draws test images of its own from the training part: as settings say before the images
    are read, and as the number of such images, `test_by_seed`, says afterwards.
    """
    data = config.data
    if data.split_seed != "each" or not config.search.final_designs:
        return
    carved = data.source == "digits" or data.test_part == "none" or isinstance(data.test_images, float | str)
    if carved or test_by_seed:
        raise InputError(
            "data.split_seed=each: every seed draws test images of its own from the training part, so the final round "
            "would be tested on images that the search trained on; allowed: data.split_seed=0, or search.final=0, or "
            "images with a test part of their own"
        )


def refuse_beyond_memory(plan: Plan, settings: tuple[Setting, ...], there: int, per_value: int) -> None:
    """Raise InputError if no setting can be trained in `there` bytes of memory, saying what would fit.

    If only some settings do not fit, the study runs and those end as out of memory.
    """
    if not settings:
        return
    smallest, task = min(settings, key=lambda setting: setting.cost.activations), plan.config.data.task

    def network(size: int) -> Cost:
        return cost(smallest.architecture, replace(task, image_size=size))

    refuse_beyond(
        f"training {smallest.name}",
        lambda sizes: training_bytes(network(sizes["data.image_size"]), sizes["recipe.micro_batch"], per_value),
        {"data.image_size": task.image_size, "recipe.micro_batch": plan.config.recipe.images_a_pass},
        there,
    )
    passes, budget = dict[str, int](), plan.config.budget
    if "latency" in plan.config.search.objectives:
        passes["search.latency_batch"] = plan.config.search.latency_batch
    if budget.latency is not None:
        passes["budget.latency.batch"] = budget.latency.batch
    if budget.memory is not None and budget.memory.work == "pass" and budget.memory.batch is not None:
        passes["budget.memory.batch"] = budget.memory.batch
    for key, batch in passes.items():
        refuse_beyond(
            f"a pass of {smallest.name}",
            lambda sizes, key=key: passing_bytes(smallest.architecture, task, sizes[key], per_value),  # type: ignore[misc]
            {key: batch},
            there,
        )
