"""`do=benchmark`: each subject measured and told. Joins stages as the entry does; heavy ones load when they run."""

from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console

from explorer.errors import InputError
from explorer.settings import BenchmarkConfig

if TYPE_CHECKING:
    from explorer.design import Architecture, Task


def benchmark(config: BenchmarkConfig, console: Console) -> int:
    """One subject; whatever is measured, the answer is 0: a figure that is not reached is a finding, not an error."""
    subjects = {"costs": _costs, "training": _training, "start": _start, "latency": _latency, "accuracy": _accuracy}
    subjects |= {"ranks": _ranks, "replay": _replay, "report": _report}
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
    from explorer.search.execution import small_runs
    from explorer.training.benchmark import Conditions, at_best_batch, measure_limits, measure_training
    from explorer.training.device import resolve
    from explorer.training.latency import exclusive
    from explorer.training.worker import prepare_process

    architectures, task = _candidates(config)
    prepare_process()
    device = resolve(config.device)
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
    from explorer.training.device import has_bfloat16, resolve
    from explorer.training.latency import measure_latency

    architectures, task = _candidates(config)
    device = resolve(config.device)
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
    from explorer.answer import errors_by_seed
    from explorer.report.benchmark import print_accuracy

    (fast, common), (plain, other) = errors_by_seed(config.fast), errors_by_seed(config.plain)
    if common != other:
        raise InputError(f"plain={config.plain}: trains another setting, with another recipe or other images")
    print_accuracy(equivalence(fast, plain, config.margin), config.fast, config.plain, console)
    return 0


def _ranks(config: BenchmarkConfig, console: Console) -> int:
    from explorer.analysis.ranks import agreement
    from explorer.answer import load_finding
    from explorer.folder import study_folder
    from explorer.report.benchmark import print_ranks

    (short, _, first), (long, _, second) = (load_finding(study_folder(name)) for name in (config.short, config.long))
    found = agreement(first.summaries, second.summaries, seed=config.seed)
    if found is None:
        raise InputError(f"short={config.short}, long={config.long}: fewer than three settings are in both")
    print_ranks(found, (short, long), console)
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


def _report(config: BenchmarkConfig, console: Console) -> int:
    from dataclasses import replace
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from explorer.config import read_command
    from explorer.machine import cpu_count, cpu_name
    from explorer.report.benchmark import print_figures, print_pages
    from explorer.report.speed import NoBrowserError, draw, load, page_figures
    from explorer.report.synthetic import LEAST_RUNS, MOST_RUNS

    if not config.runs or not all(LEAST_RUNS <= runs <= MOST_RUNS for runs in config.runs):
        raise InputError(f"runs={list(config.runs)}: allowed are numbers from {LEAST_RUNS} to {MOST_RUNS:,}")
    study = read_command(["study=equal_params"]).study
    with TemporaryDirectory() as folder, console.status("") as status:
        tell = status.update if console.is_terminal else partial(console.print, markup=False, highlight=False)
        tell(f"{cpu_name()}, {cpu_count()} cores")
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


def _candidates(config: BenchmarkConfig) -> "tuple[list[Architecture], Task]":
    """The networks to time, and the task they are timed on. Raises InputError for one that cannot be built on it."""
    from explorer.design import Task, cost, parse_name

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
