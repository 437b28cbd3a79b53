"""`do=benchmark`: each subject measured and told. Joins stages as the entry does; heavy ones load when they run."""

from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console

from explorer.design import cost, short_name
from explorer.errors import InputError
from explorer.machine import cpu_count, cpu_name
from explorer.memory import passing_bytes, refuse_beyond
from explorer.settings import BenchmarkConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from explorer.checks import Large
    from explorer.design import Architecture, Task
    from explorer.settings import StudyConfig

# A search among 100,000 designs of one space, of networks that are not trained.
SLEEPING = [
    "study=pareto",
    "name=scale",
    "search.objectives=[error]",
    "search.seeds=1",
    "space.depth={low: 20, high: 62, step: 6}",
    "space.width={low: 32, high: 1024, step: 4}",
    "space.bottleneck_width={low: 1, high: 64, factor: 2}",
    "recipe.epochs=10",
    "device=cpu",
    "engine.threads=1",
    "engine.precision=float32",
    "engine.forms=native",
]


def benchmark(config: BenchmarkConfig, console: Console) -> int:
    """One subject; whatever is measured, the answer is 0: a figure that is not reached is a finding, not an error."""
    subjects = {"costs": _costs, "training": _training, "start": _start, "latency": _latency, "accuracy": _accuracy}
    subjects |= {"ranks": _ranks, "replay": _replay, "report": _report}
    subjects |= {"scale": _scale, "samplers": _samplers, "size": _size}
    return subjects[config.subject](config, console)


def _costs(config: BenchmarkConfig, console: Console) -> int:
    from explorer.report.checks import print_scan, print_speeds
    from explorer.training.costing import measure_costs, measure_scan

    print_speeds(measure_costs(config.designs, config.scalar, config.fvcore, config.seed), console)
    if config.scan:
        print_scan(measure_scan(config.seed), console)
    return 0


def _training(config: BenchmarkConfig, console: Console) -> int:
    from explorer.checks import training_figures
    from explorer.report.benchmark import print_figures, print_limits, print_together, print_training
    from explorer.search.measuring import small_runs
    from explorer.training.benchmark import (
        IMAGES,
        Conditions,
        at_best_batch,
        measure_limits,
        measure_training,
        training_needs,
    )
    from explorer.training.device import device_memory, resolve
    from explorer.training.latency import exclusive
    from explorer.training.worker import prepare_process

    architectures, task = _candidates(config)
    prepare_process()
    device = resolve(config.device)
    for architecture in architectures:
        _refuse_beyond(
            config,
            f"training {short_name(architecture)} on {IMAGES:,} random images",
            partial(training_needs, architecture),
            device_memory(device),
        )
    conditions = Conditions(task, config.batch_size, config.steps, config.turns, device, config.seed)
    with exclusive(device):
        limits = measure_limits(device)
        print_limits(limits, console)
        with console.status("") as status:
            tell = status.update if console.is_terminal else partial(console.print, markup=False, highlight=False)
            found = measure_training(architectures, conditions, tell)
            tell("small runs side by side")
            together = small_runs(device)
            best = at_best_batch(architectures[0], conditions, found[0]) if device == "cuda" else found[0]
    print_training(found, limits, console)
    print_together(together, console)
    print_figures(training_figures([best, *found[1:]], limits, together, gpu=device == "cuda"), console)
    return 0


def _start(config: BenchmarkConfig, console: Console) -> int:
    from explorer.checks import Figure
    from explorer.report.benchmark import print_figures
    from explorer.start import measure_start

    seconds = measure_start(config.turns)
    what = f"from the command to the first training step, at most 6 s (median of {config.turns})"
    print_figures([Figure(what, f"{seconds:.1f} s, two steps and their record included", seconds <= 6)], console)
    return 0


def _latency(config: BenchmarkConfig, console: Console) -> int:
    from explorer.report.benchmark import print_latencies
    from explorer.training.device import device_memory, has_bfloat16, resolve
    from explorer.training.latency import measure_latency

    architectures, task = _candidates(config)
    device = resolve(config.device)
    for architecture in architectures:
        _refuse_beyond(
            config, f"a pass of {short_name(architecture)}", partial(passing_bytes, architecture), device_memory(device)
        )
    for precision in ("float32", "bfloat16") if has_bfloat16(device) else ("float32",):
        found = measure_latency(
            architectures,
            task,
            device=device,
            precision=precision,
            batch_size=config.batch_size,
            turns=config.turns,
            seed=config.seed,
        )
        print_latencies(found, console)
    return 0


def _accuracy(config: BenchmarkConfig, console: Console) -> int:
    from explorer.analysis.paired import equivalence
    from explorer.answer import only_setting
    from explorer.report.benchmark import print_accuracy

    (fast, images, common), (plain, _, other) = only_setting(config.fast), only_setting(config.plain)
    if common != other:
        raise InputError(f"plain={config.plain}: trains another setting, with another recipe or other images")
    print_accuracy(equivalence(fast, plain, config.margin, images), config.fast, config.plain, console)
    return 0


def _ranks(config: BenchmarkConfig, console: Console) -> int:
    from explorer.analysis.ranks import agreement
    from explorer.answer import load_finding
    from explorer.folder import stored_environment, study_folder
    from explorer.report.benchmark import print_ranks

    folders = [study_folder(name) for name in (config.short, config.long)]
    (short, _, first), (long, _, second) = map(load_finding, folders)
    hashes = {(stored_environment(folder) or {}).get("data_hash") for folder in folders}
    if len(hashes) > 1 and (short.data.name, short.data.classes) != (long.data.name, long.data.classes):
        raise InputError(
            f"short={config.short}, long={config.long}: were trained on {short.data.label} and on {long.data.label}; "
            "allowed: two studies of one data set"
        )
    found = agreement(first.summaries, second.summaries, seed=config.seed)
    if found is None:
        raise InputError(f"short={config.short}, long={config.long}: fewer than three settings are in both")
    print_ranks(found, (short, long), console, same_images=len(hashes) == 1)
    return 0


def _replay(config: BenchmarkConfig, console: Console) -> int:
    from explorer.analysis.replay import curves_of
    from explorer.answer import load_finding
    from explorer.folder import study_folder
    from explorer.planning import scopes_of
    from explorer.report.benchmark import print_replay
    from explorer.search.replay import replay

    folder = study_folder(config.recorded)
    study, record, _ = load_finding(folder)
    try:
        curves = curves_of(record.runs, record.epochs)
    except ValueError as error:
        raise InputError(f"recorded={config.recorded}: {folder} {error}") from None
    scope = next(iter(scopes_of(study).values()))
    with console.status("Searching") as status:
        found = replay(
            curves,
            study,
            scope,
            seed=config.seed,
            watch=lambda done, of: status.update(f"Searching, {done} of {of} draws"),
        )
    print_replay(found, study.study.margin or config.margin, console)
    return 0


def _tell_machine(console: Console) -> None:
    """On what is measured, where no device is chosen that says it."""
    console.print(f"{cpu_name()}, {cpu_count()} cores", markup=False, highlight=False)


def _report(config: BenchmarkConfig, console: Console) -> int:
    from dataclasses import replace
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from explorer.config import read_command
    from explorer.report.benchmark import print_figures, print_pages
    from explorer.report.speed import NoBrowserError, draw, load, page_figures
    from explorer.report.synthetic import LEAST_RUNS, MOST_RUNS

    if not config.runs or not all(LEAST_RUNS <= runs <= MOST_RUNS for runs in config.runs):
        raise InputError(f"runs={list(config.runs)}: allowed are numbers from {LEAST_RUNS} to {MOST_RUNS:,}")
    study = read_command(["study=equal_params"]).study
    _tell_machine(console)
    with TemporaryDirectory() as folder, console.status("") as status:
        tell = status.update if console.is_terminal else partial(console.print, markup=False, highlight=False)
        paths, found = [Path(folder) / f"{place}.html" for place in range(len(config.runs))], []
        for runs, path in zip(config.runs, paths, strict=True):
            tell(f"{runs:,} runs: drawing")
            found.append(draw(study, runs, config.epochs, path, config.seed))
        missing = ""
        try:
            tell("Opening the pages")
            times = load(paths, config.turns)
            found = [replace(speed, first=a, interactive=b) for speed, (a, b) in zip(found, times, strict=True)]
        except NoBrowserError as error:
            missing = str(error)
    print_pages(found, console)
    if missing:
        console.print(f"Times in a browser were not measured: {missing}.", markup=False, highlight=False)
    print_figures(page_figures(found), console)
    return 0


def _scale(config: BenchmarkConfig, console: Console) -> int:
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from explorer.checks import Figure
    from explorer.report.benchmark import print_figures, print_scale
    from explorer.search.scale import Clock, Sleeps, measure_scale

    pairs = [(slots, seconds) for seconds in config.seconds for slots in config.slots]
    jobs = [config.jobs or max(1000, 5 * slots) for slots, _ in pairs]
    if odd := [slots for (slots, _), own in zip(pairs, jobs, strict=True) if own <= slots]:
        raise InputError(f"jobs={config.jobs}: allowed are more than slots, {odd[0]}")
    studies = [sleeping(config.sampler, own, mirror=config.mirror) for own in jobs]
    _tell_machine(console)
    found = []
    for study, (slots, seconds) in zip(studies, pairs, strict=True):
        with TemporaryDirectory() as folder, console.status(f"{slots:,} runs at once, {seconds:g} s each"):
            engine = Sleeps(slots, seconds, config.spread, config.seed, Clock(config.clock == "real"))
            found.append(measure_scale(study, Path(folder) / "scale", engine))
    print_scale(found, console)
    figures = [
        Figure(
            f"{one.slots:,} slots, runs of {one.run_seconds:g} s: at least 97 % of the slots' time used",
            f"{one.usage.utilisation:.2%}",
            one.usage.utilisation >= 0.97,
        )
        for one in found
    ]
    print_figures(figures, console)
    return 0


def _samplers(config: BenchmarkConfig, console: Console) -> int:
    from explorer.report.benchmark import print_choices
    from explorer.search.scale import measure_choices

    _tell_machine(console)
    found = []
    for sampler in ("random", "qmc", "nsga2", "tpe", "gp"):
        with console.status(f"Choosing with {sampler}"):
            found += measure_choices(sleeping(sampler, max(config.told)), config.told)
    print_choices(found, console)
    return 0


def _size(config: BenchmarkConfig, console: Console) -> int:
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from explorer.report.benchmark import print_large

    _tell_machine(console)
    drawn = ["search=uniform", f"search.designs={-(-config.stored // 5)}", "search.seeds=5"]
    studies = {"5 seeds": drawn, "search": ["search=random", f"search.designs={config.stored}"]}
    found: list[Large] = []
    for kind, own in studies.items():
        with TemporaryDirectory() as folder, console.status(f"{config.stored:,} runs, {kind}"):
            overrides = [*SLEEPING, *own, "storage=none", "report.live=false"]
            found += _large(kind, overrides, config.stored, Path(folder), console)
    print_large(found, console)
    return 0


def _large(kind: str, overrides: list[str], runs: int, folder: "Path", console: Console) -> "Iterator[Large]":
    """What is done with a study of so many runs, one after the other, each in a process of its own."""
    from explorer.checks import Large
    from explorer.config import read_command
    from explorer.folder import study_folder
    from explorer.search.size import command, in_own_process, store, until_first

    study = read_command(overrides).study
    half, whole = (folder / part / study_folder(study.name) for part in ("half", "whole"))
    for path, share in ((half, 2), (whole, 1)):
        in_own_process(store, study, path, runs // share)
    steps = {
        "continue, half done: until the next run starts": partial(in_own_process, until_first, study, half),
        "list: read and judge it for the index": partial(in_own_process, _listed, whole),
        "do=report: judge it, draw its page": partial(command, [*overrides, "do=report"], folder / "whole"),
        "start it again when finished: verdict": partial(command, overrides, folder / "whole"),
    }
    for what, step in steps.items():
        seconds, memory = step()
        console.print(f"{kind}: {what}: {seconds:.1f} s", markup=False, highlight=False)
        yield Large(kind, runs, what, seconds, memory)


def _listed(folder: "Path") -> None:
    from explorer.answer import load_finding
    from explorer.report.index import entry_of

    entry_of(*load_finding(folder))


def sleeping(sampler: str, designs: int, *, mirror: bool = False) -> "StudyConfig":
    """A search of so many runs that are not trained. Raises InputError for more than its space has."""
    from explorer.config import read_command
    from explorer.planning import settings_of

    own = [f"search={sampler}", f"search.designs={designs}", f"storage={'sqlite' if mirror else 'none'}"]
    baseline = [] if sampler == "random" else ["search.baseline=0"]
    study = read_command([*SLEEPING, *own, *baseline]).study
    settings_of(study)
    return study


def _candidates(config: BenchmarkConfig) -> "tuple[list[Architecture], Task]":
    """The networks to time, and the task they are timed on. Raises InputError for one that cannot be built on it."""
    from explorer.design import Task, parse_name

    architectures, task = [], Task(channels=3, image_size=config.image_size, classes=10)
    for name in config.architectures:
        try:
            architectures.append(parse_name(name))
            cost(architectures[-1], task)
        except ValueError as error:
            raise InputError(f"architectures={name}: {error}") from None
    if not architectures:
        raise InputError("architectures=[]: name at least one, as in architectures=[29-1x64d,29-32x4d]")
    return architectures, task


def _refuse_beyond(config: BenchmarkConfig, what: str, needed: "Callable[[Task, int], int]", there: int) -> None:
    """Raise InputError where a task of that many pixels and a batch of that many images do not fit."""
    from explorer.design import Task

    def needed_with(sizes: "Mapping[str, int]") -> int:
        return needed(Task(channels=3, image_size=sizes["image_size"], classes=10), sizes["batch_size"])

    refuse_beyond(what, needed_with, {"image_size": config.image_size, "batch_size": config.batch_size}, there)
