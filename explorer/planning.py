"""From a study's settings to its runs: which designs, at what cost, how far from the budget, with which seeds."""

from dataclasses import dataclass

from explorer.design import (
    TEMPLATES,
    Architecture,
    Budget,
    Cost,
    Task,
    cost,
    designs,
    deviation,
    display_name,
    parse_name,
    short_name,
)
from explorer.design.budget import AXES
from explorer.design.name import paths_name
from explorer.errors import InputError
from explorer.run import Execution, Run
from explorer.settings import StudyConfig


@dataclass(frozen=True)
class Setting:
    """One architecture of a study beside its cost; deviations are signed fractions of the budget's reference."""

    architecture: Architecture
    cost: Cost
    params_deviation: float | None
    macs_deviation: float | None

    @property
    def name(self) -> str:
        """The short name, which is also the `setting` column."""
        return short_name(self.architecture)

    @property
    def display(self) -> str:
        """The name for people."""
        return display_name(self.architecture)


def task_of(config: StudyConfig) -> Task:
    """Images in, classes out, as the data set gives them."""
    return Task(channels=config.data.channels, image_size=config.data.image_size, classes=config.data.classes)


def settings_of(config: StudyConfig) -> tuple[Setting, ...]:
    """Every setting of the study in the order of its axes.

    Raises InputError for an axis that cannot be built and for a budget that a cardinality cannot meet.
    """
    if config.recipe.batch_size > config.data.train_images:
        images = config.data.train_images
        raise InputError(
            f"recipe.batch_size={config.recipe.batch_size}: allowed is at most data.train_images, {images}"
        )
    task = task_of(config)
    template = TEMPLATES[config.space.template]
    if task.image_size < template.total_stride:
        least = template.total_stride
        raise InputError(
            f"data.image_size={task.image_size}: template {template.name} takes images of {least} pixels or more"
        )
    reference, budget = _budget(config, task)
    try:
        architectures = designs(config.space, budget, task)
    except ValueError as error:
        raise InputError(f"space: {error}") from None
    settings = tuple(_setting(architecture, reference, budget, task) for architecture in architectures)
    if budget is not None:
        _refuse_outside(settings, budget)
    return settings


def _refuse_outside(settings: tuple[Setting, ...], budget: Budget) -> None:
    """Listed widths are held to the budget as solved ones are; a study without one sets its reference to null."""
    for setting in settings:
        distance = {"params": setting.params_deviation, "macs": setting.macs_deviation}[budget.axis]
        if distance is not None and abs(distance) > budget.tolerance:
            raise InputError(
                f"space.bottleneck_width: {setting.name} is {distance:+.2%} off {budget.target:,} {budget.axis}; "
                f"allowed: {budget.tolerance:.2%} (budget.tolerance), or budget.reference=null for no budget"
            )


def contrast_of(config: StudyConfig, settings: tuple[Setting, ...]) -> tuple[Setting, Setting]:
    """The two settings of the declared contrast. Raises InputError when either is not exactly one of the study's."""
    contrast = config.study.contrast
    first = _named("setting", contrast.setting, settings)
    second = _named("against", contrast.against, settings)
    if first == second:
        raise InputError(f"study.contrast: setting and against are both {first.name}")
    return first, second


def runs_of(
    config: StudyConfig, settings: tuple[Setting, ...], execution: Execution, data_hash: str
) -> list[tuple[Setting, Run]]:
    """Every run of the study, all settings of a seed before the next seed, so that a part is already paired."""
    return [
        (
            setting,
            Run(
                architecture=setting.architecture,
                task=task_of(config),
                recipe=config.recipe,
                data=config.data,
                data_hash=data_hash,
                seed=seed,
                execution=execution,
            ),
        )
        for seed in range(config.search.seeds)
        for setting in settings
    ]


def _budget(config: StudyConfig, task: Task) -> tuple[Cost | None, Budget | None]:
    given = config.budget
    if given.reference is not None and given.target is not None:
        raise InputError(
            f"budget: reference={given.reference} and target={given.target} are both given; set one to null"
        )
    if given.reference is not None:
        try:
            reference = cost(_reference(config, given.reference), task)
        except ValueError as error:
            raise InputError(f"budget.reference={given.reference}: {error}") from None
        return reference, Budget(given.axis, getattr(reference, given.axis), given.tolerance)
    if given.target is not None:
        return None, Budget(given.axis, given.target, given.tolerance)
    if config.space.is_solved:
        raise InputError("budget: reference and target are both null, so bottleneck_width cannot be solved; give one")
    return None, None


def _reference(config: StudyConfig, text: str) -> Architecture:
    """A full name as it stands; paths alone are completed by the space, where it has one value per axis."""
    if "-" in text:
        return parse_name(text)
    space = config.space
    axes = f"-w{space.width[0]}-k{space.kernel_size[0]}-{space.template}"
    whole = parse_name(f"{space.depth[0]}-{text}{axes}")
    for axis in ("depth", "width", "kernel_size"):
        if len(getattr(space, axis)) != 1:
            raise ValueError(f"the space has several values of {axis}; give a whole name, such as {short_name(whole)}")
    return whole


def _setting(architecture: Architecture, reference: Cost | None, budget: Budget | None, task: Task) -> Setting:
    """A budget given as a number has no other axis to compare with: that deviation is None."""
    own = cost(architecture, task)
    targets: dict[str, int | None] = {axis: getattr(reference, axis, None) for axis in AXES}
    if budget is not None:
        targets[budget.axis] = budget.target
    deviations = {axis: target and deviation(getattr(own, axis), target) for axis, target in targets.items()}
    return Setting(architecture, own, params_deviation=deviations["params"], macs_deviation=deviations["macs"])


def _means(text: str, setting: Setting) -> bool:
    """Whether a text is the setting's whole name, however it is spelt, or only its paths, with or without the depth."""
    paths = paths_name(setting.architecture)
    if text in (paths, f"{setting.architecture.depth}-{paths}"):
        return True
    try:
        return parse_name(text) == setting.architecture
    except ValueError:
        return False


def _named(key: str, text: str, settings: tuple[Setting, ...]) -> Setting:
    found = [setting for setting in settings if _means(text, setting)]
    if len(found) != 1:
        problem = "is not a setting of this study" if not found else "stands for several settings of this study"
        allowed = ", ".join(setting.name for setting in settings)
        raise InputError(f"study.contrast.{key}={text}: {problem}; allowed: {allowed}")
    return found[0]
