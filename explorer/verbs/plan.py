"""What a study would run, what that costs and how long it would take on this machine."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.host.errors import InputError
from explorer.host.formatting import counted
from explorer.study.settings import NO_PATH, StudyConfig

if TYPE_CHECKING:
    from rich.console import Console

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from rich.console import Console

from explorer.host.console import PLAIN
from explorer.host.formatting import duration
from explorer.host.machine import cpu_count, driver_version, machine_id, memory_bytes
from explorer.record import folder as study
from explorer.record import records
from explorer.record.progress import Progress, progress_of, settings_so_far
from explorer.report.terminal import plain_table, with_deviation
from explorer.study.contrast import contrast_of
from explorer.study.plan import (
    Scope,
    Setting,
    baseline_wanted,
    designs_wanted,
    left_out,
    refuse_beyond_memory,
    scanned,
    scopes_of,
    settings_of,
)
from explorer.study.runs import rungs_of
from explorer.study.settings import SearchConfig
from explorer.verbs.space_progress import space_progress

# A network this many times larger or smaller says nothing about the time of another.
FAR = 8
# Evaluation has no backward pass, which costs about twice the forward pass.
EVALUATION_SHARE = 1 / 3
MOST_SHOWN = 60
Images = tuple[int, int, int]


@dataclass(frozen=True)
class Measured:
    """One recorded run of this machine: the cost of its network and its training images per second."""

    macs: int
    images_per_second: float


def print_plan(
    config: StudyConfig, folder: Path, console: Console, come: Callable[[StudyConfig, Path], Progress] = progress_of
) -> None:
    """List the settings with cost, deviation and time, and how far the study has come, as `come` says."""
    with space_progress(console):
        settings = settings_of(config)
        contrast = contrast_of(config, settings)
        line = space_line(config)
    if config.engine.name == "local" and (config.device == "cpu" or driver_version() == "unknown"):
        refuse_beyond_memory(config, settings, memory_bytes(), 4 if config.engine.precision == "float32" else 2)
    console.print(line, highlight=False)
    if config.search.is_adaptive:
        settings = settings_so_far(config, records.load(folder) if (folder / study.RUNS).exists() else None)
    recorded = recorded_runs(study.STUDIES, config.device)
    measured = {setting: near(setting, recorded) for setting in settings}
    progress, images = come(config, folder), images_of(config, folder)
    done = progress.by_setting
    table = plain_table(config.study.question, "setting", "params", "MACs", "activations", "in record", "a run")
    for setting in settings[:MOST_SHOWN]:
        table.add_row(
            setting.name,
            with_deviation(setting.cost.params, setting.params_deviation),
            with_deviation(setting.cost.macs, setting.macs_deviation),
            with_deviation(setting.cost.activations, setting.activations_deviation),
            f"{done[setting.name]}/{config.search.seeds}",
            duration(run_seconds(setting, config.recipe.epochs, images, measured[setting]))
            if measured[setting] and images
            else "-",
        )
    if settings:
        console.print(table)
    if len(settings) > MOST_SHOWN:
        console.print(f"... and {len(settings) - MOST_SHOWN:,} more settings.", highlight=False)
    if contrast:
        console.print(
            f"Contrast: {contrast[0].display} against {contrast[1].display}, on the test error, paired over "
            f"{seeds_in_words(config.search)}.",
            highlight=False,
        )
    if config.spaces and config.study.contrast and not config.search.only:
        pair = config.study.contrast
        console.print(f"Contrast: designs of {pair.setting} against those of {pair.against}.", highlight=False)
    console.print("MACs are multiply-adds, which the papers call FLOPs.", highlight=False)
    console.print(_total(config, folder, settings, progress, measured), highlight=False)
    if config.search.looks and progress.final < progress.wanted:
        console.print(_looks(config, folder, settings, measured, come), highlight=False)


def seeds_in_words(search: SearchConfig) -> str:
    """How many seeds there are, and which where they do not begin at 0: `5 seeds, 10 to 14`."""
    which = f", {search.every_seed[0]} to {search.every_seed[-1]}" if search.first_seed else ""
    return f"{counted(search.seeds, 'seed')}{which}"


def space_line(config: StudyConfig) -> str:
    """How many designs each space holds, how many of them meet the budget, and which of them the study takes."""
    return "\n".join(_space_line(config, name, scope) for name, scope in scopes_of(config).items())


def _space_line(config: StudyConfig, name: str, scope: Scope) -> str:
    search = config.search
    found = scanned(scope, search.sampler_seed)
    budget = f"meet {scope.budget}" if scope.budget else "can be built (there is no budget)"
    if scope.tight and search.sampler == "listed":
        meet = f"{len(settings_of(config)):,} {budget}, with widths solved stage by stage"
    elif found.feasible is not None:
        meet = f"{found.feasible:,} {budget}"
    else:
        share = found.share
        low, high = share.low * found.size, share.high * found.size
        meet = (
            f"about {share.estimate:.3%} {budget} (95 % interval {share.low:.3%} to {share.high:.3%} from "
            f"{share.drawn:,} drawn points, that is {low:.1e} to {high:.1e})"
        )
    missed, _ = left_out(config, settings_of(config))
    if missed:
        meet += f"; {missed:,} {'does not and is' if missed == 1 else 'do not and are'} left out"
    taken = {
        "listed": "The study takes all of them.",
        "uniform": f"The study takes {search.designs} of them, drawn uniformly.",
        "space_filling": f"The study takes {search.designs} of them that lie far apart.",
    }.get(search.sampler, "")
    if search.only:
        taken = f"The study takes {', '.join(search.only)}."
    if search.is_adaptive:
        taken = _searched(config)
    return f"The space {name + ' ' if name else ''}holds {found.size:,} points; {meet}. {taken}"


def _searched(config: StudyConfig) -> str:
    """Which designs a search takes, and where it judges them."""
    search, drawn, rungs = config.search, baseline_wanted(config), rungs_of(config)
    chosen = (search.designs or 0) - drawn
    beside = f", and {drawn} are drawn at random, to say what choosing is worth" if drawn else ""
    judged = (
        f" They are judged after {' and '.join(map(str, rungs))} of {counted(config.recipe.epochs, 'epoch')}."
        if rungs
        else ""
    )
    return f"Optuna ({search.sampler}) chooses {chosen} of them, each from the results before it{beside}.{judged}"


def recorded_runs(studies: Path, device: str) -> list[Measured]:
    """The runs that studies below a folder recorded on this machine, on the wanted device."""
    return [run for folder in sorted(studies.glob("*")) for run in _recorded(folder, device)]


def near(setting: Setting, measured: list[Measured]) -> list[Measured]:
    """The recorded runs nearest to a setting in cost; none where even they are too unlike to tell its time.

    Small networks do fewer multiply-adds per second than large ones, so the nearest cost tells most.
    """
    nearest = min((_distance(run, setting) for run in measured), default=math.inf)
    return [run for run in measured if _distance(run, setting) == nearest] if nearest <= math.log(FAR) else []


def run_seconds(setting: Setting, epochs: int, images: Images, measured: list[Measured]) -> float:
    """Time of one run: training, validation after each epoch and the test; `measured` are runs of near cost."""
    speed = median(run.images_per_second * run.macs for run in measured)
    return passes(epochs, images) * setting.cost.macs / speed


def passes(epochs: int, images: Images) -> float:
    """Images that a run goes through forwards and backwards, those that it is evaluated on in proportion."""
    train, val, test = images
    return epochs * train + EVALUATION_SHARE * (epochs * val + test)


def images_of(config: StudyConfig, folder: Path) -> Images | None:
    """Images to train, validate and test: as the settings say, or as the study's start found; None before it."""
    given = (config.data.train_images, config.data.val_images, config.data.test_images)
    if all(isinstance(number, int) for number in given):
        return given  # type: ignore[return-value]
    environment = study.stored_environment(folder)
    return None if environment is None else tuple(environment["images"])


def _distance(run: Measured, setting: Setting) -> float:
    return abs(math.log(run.macs / setting.cost.macs))


def _recorded(folder: Path, device: str) -> list[Measured]:
    """A study's runs if they ran on this machine; a folder that cannot be read has none to offer."""
    try:
        environment, execution = study.stored_environment(folder), study.stored_execution(folder)
        if environment is None or execution is None or environment["machine"] != machine_id():
            return []
        if device not in ("auto", execution["device"]):
            return []
        runs = records.load(folder).runs.dropna(subset="images_per_second")
    except InputError:
        return []
    pairs = zip(runs["macs"], runs["images_per_second"], strict=True)
    return [Measured(int(macs), float(rate)) for macs, rate in pairs]


def _total(
    config: StudyConfig,
    folder: Path,
    settings: tuple[Setting, ...],
    progress: Progress,
    measured: dict[Setting, list[Measured]],
) -> str:
    designs = designs_wanted(config, settings)
    unknown = (designs - len(settings)) * config.search.seeds
    runs = f"{progress.wanted - progress.final} of {progress.wanted} runs to do"
    if unknown:
        return f"{runs}; time unknown until their designs are chosen."
    if not all(measured.values()):
        return f"{runs}; time uncalibrated: this machine has recorded no run of a network of this size yet."
    images = images_of(config, folder)
    if images is None:
        return f"{runs}; time unknown until the study's start has counted its images."
    workers = _workers(config, folder)
    seconds = _seconds(config, _left(config, settings, progress), images, measured)
    basis = len({id(run) for near_ones in measured.values() for run in near_ones})
    at_once = f"with {workers} at once, from {counted(basis, 'run')} recorded on this machine"
    return f"{runs}; about {duration(seconds / workers)} {at_once}."


def _left(config: StudyConfig, settings: tuple[Setting, ...], progress: Progress) -> dict[Setting, int]:
    """How many runs of each setting are to be trained yet."""
    left = {setting: config.search.seeds - progress.by_setting[setting.name] for setting in settings}
    if pair := contrast_of(config, settings):
        # At other learning rates the contrast's two settings are trained, about as often done already as not.
        others = len(config.search.rates) * config.search.seeds - progress.others // 2
        left |= {setting: left[setting] + others for setting in pair}
    return left


def _seconds(
    config: StudyConfig, left: dict[Setting, int], images: Images, measured: dict[Setting, list[Measured]]
) -> float:
    epochs = config.recipe.epochs
    return sum(run_seconds(setting, epochs, images, measured[setting]) * count for setting, count in left.items())


def _looks(
    config: StudyConfig,
    folder: Path,
    settings: tuple[Setting, ...],
    measured: dict[Setting, list[Measured]],
    come: Callable[[StudyConfig, Path], Progress],
) -> str:
    """The least and the most that a study trains which looks at its results on the way, with cost and time of each."""
    looks, images = config.search.looks, images_of(config, folder)
    found = []
    for seeds in (config.search.seeds, looks[-1]):
        at_look = replace(config, search=replace(config.search, seeds=seeds))
        progress = come(at_look, folder)
        left, words = _left(at_look, settings, progress), []
        if images:
            macs = sum(passes(config.recipe.epochs, images) * one.cost.macs * count for one, count in left.items())
            words.append(f"{macs / EVALUATION_SHARE:.1e} multiply-adds")
        if images and all(measured.values()):
            words.append(f"about {duration(_seconds(config, left, images, measured) / _workers(config, folder))}")
        cost = f" ({', '.join(words)})" if words else ""
        found.append(f"{counted(progress.wanted - progress.final, 'run')}{cost}")
    return (
        f"search.seeds=auto: looks at {', '.join(map(str, looks[:-1]))} and {looks[-1]} seeds and stops when the "
        f"contrast is decided. To do are at least {found[0]}, at most {found[1]}."
    )


def _workers(config: StudyConfig, folder: Path) -> int:
    """Workers at once, as far as is known before the start measures: many small runs side by side."""
    if config.engine.workers != "auto":
        return config.engine.workers
    execution = study.stored_execution(folder)
    threads = execution["threads"] if execution else 1 if config.engine.threads == "auto" else config.engine.threads
    return max(cpu_count() // threads, 1)


def carry_out(config: StudyConfig, console: "Console") -> int:
    """`do=plan`: say what a study would run, at what cost and time; nothing is trained."""
    from explorer.analysis.judging import at_look
    from explorer.record.changes import fork_of, refuse_other_settings, told
    from explorer.record.folder import study_folder
    from explorer.search.fork import foreseen, progress_with

    forked = None
    if config.fork:  # as far as settings tell: no worker looks at the device and the images
        folder, (name, differences) = study_folder(config.name), fork_of(config)
        for line in told(folder, differences, f"its fork is {name}") if differences else ():
            console.print(line, **PLAIN)
        forked, config = config.name if differences else None, replace(config, name=name)
    config = at_look(config, study_folder(config.name))
    refuse_other_settings(study_folder(config.name), config)
    if config.data.path is not None or config.data.source == "digits":
        from explorer.training.glance import refuse_unlike

        refuse_unlike(config.data)
    print_plan(config, study_folder(config.name), console, lambda one, folder: progress_with(one, folder, forked))
    source, taken = foreseen(config, study_folder(config.name), forked)
    if taken:
        runs = counted(len(taken), "run")
        console.print(f"Not among these: {runs}, which a start takes over from {source}", **PLAIN)
    if config.device == "cuda" and config.engine.name == "local":
        from explorer.training.glance import absent_device

        if absent := absent_device(config.device):
            console.print(f"Planned for another machine; a start here would be refused: {absent}", **PLAIN)
    if config.data.lacks_path:
        console.print(f"A start would be refused: {NO_PATH}", **PLAIN)
    return 0
