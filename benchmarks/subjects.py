"""The subjects of `python -m benchmarks`: each is measured and its results printed. Heavy imports are local."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console

from benchmarks import settings
from explorer.host.errors import InputError
from explorer.host.machine import cpu_count, cpu_name
from explorer.study.tree import refuse_name
from explorer.verbs.benchmark import print_figures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.results import Large
    from explorer.analysis.summary import SettingSummary
    from explorer.study.settings import StudyConfig

# A search among 100,000 designs of one space, whose networks are not trained.
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


def _tell_machine(console: Console) -> None:
    """Print the processor on which this is measured, in a line."""
    console.print(f"{cpu_name()}, {cpu_count()} cores", markup=False, highlight=False)


def _costs(config: settings.Costs, console: Console) -> int:
    from benchmarks.costing import measure_costs, measure_scan
    from benchmarks.printing import print_scan, print_speeds

    print_speeds(measure_costs(config.designs, config.scalar, config.fvcore, config.seed), console)
    if config.scan:
        print_scan(measure_scan(config.seed), console)
    return 0


def _start(config: settings.Start, console: Console) -> int:
    from benchmarks.start import measure_start
    from explorer.training.results import Figure

    seconds = measure_start(config.turns)
    what = f"from the command to the first training step, at most 6 s (median of {config.turns})"
    print_figures([Figure(what, f"{seconds:.1f} s, two steps and their record included", seconds <= 6)], console)
    return 0


def _accuracy(config: settings.Accuracy, console: Console) -> int:
    from benchmarks.equivalence import equivalence
    from benchmarks.printing import print_accuracy

    for key, name in (("fast", config.fast), ("plain", config.plain)):
        refuse_name(key, name)
    (fast, images, common), (plain, _, other) = _only_setting(config.fast), _only_setting(config.plain)
    if common != other:
        raise InputError(f"plain={config.plain}: trains another setting, with another recipe or other images")
    print_accuracy(equivalence(fast, plain, config.margin, images), config.fast, config.plain, console)
    return 0


def _only_setting(name: str) -> "tuple[SettingSummary, int | None, str]":
    """The summary of a study of one setting, its number of test images, and a text of what compared studies must share.

    Raises InputError for a study that was never started, has no finished run, or has several settings.
    """
    import json
    from dataclasses import asdict

    from explorer.analysis.judging import open_study
    from explorer.record.folder import study_folder

    study = open_study(study_folder(name))
    config, finding = study.config, study.finding
    if finding.wanted != study.plan.seeds or config.search.is_adaptive:
        raise InputError(f"{study.folder}: has several settings; allowed: a study of one")
    common = [asdict(part) for part in (config.space, config.recipe)]
    if not finding.summaries:
        raise InputError(f"{study.folder}: none of its runs has ended yet; start it with study={config.name}")
    shared = json.dumps([common, study.environment["data_hash"]], sort_keys=True)
    return finding.summaries[0], finding.images, shared


def _ranks(config: settings.Ranks, console: Console) -> int:
    from benchmarks.printing import print_ranks
    from explorer.analysis.judging import open_study
    from explorer.analysis.ranks import agreement
    from explorer.record.folder import study_folder

    for key, name in (("short", config.short), ("long", config.long)):
        refuse_name(key, name)
    first, second = (open_study(study_folder(name)) for name in (config.short, config.long))
    short, long = first.config, second.config
    hashes = {study.environment["data_hash"] for study in (first, second)}
    if len(hashes) > 1 and (short.data.name, short.data.classes) != (long.data.name, long.data.classes):
        raise InputError(
            f"short={config.short}, long={config.long}: were trained on {short.data.label} and on {long.data.label}; "
            "allowed: two studies of one data set"
        )
    found = agreement(first.finding.summaries, second.finding.summaries, seed=config.seed)
    if found is None:
        raise InputError(f"short={config.short}, long={config.long}: fewer than three settings are in both")
    print_ranks(found, (short, long), console, same_images=len(hashes) == 1)
    return 0


def _replay(config: settings.Replay, console: Console) -> int:
    from benchmarks.printing import print_replay
    from benchmarks.replay import replay
    from benchmarks.replay_curves import curves_of
    from explorer.analysis.judging import open_study
    from explorer.record.folder import study_folder

    refuse_name("recorded", config.recorded)
    folder = study_folder(config.recorded)
    study = open_study(folder)
    try:
        curves = curves_of(study.record.runs, study.record.epochs)
    except ValueError as error:
        raise InputError(f"recorded={config.recorded}: {folder} {error}") from None
    with console.status("Searching") as status:
        found = replay(
            curves,
            study.config,
            study.plan.scope,
            seed=config.seed,
            watch=lambda done, of: status.update(f"Searching, {done} of {of} draws"),
        )
    print_replay(found, study.config.study.margin or config.margin, console)
    return 0


def _report(config: settings.Report, console: Console) -> int:
    from dataclasses import replace
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from benchmarks.page_speed import NoBrowserError, draw, load, page_figures
    from benchmarks.printing import print_pages
    from benchmarks.synthetic import LEAST_RUNS, MOST_RUNS
    from explorer.verbs.command_line import read_command

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


def _scale(config: settings.Scale, console: Console) -> int:
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from benchmarks.printing import print_scale
    from benchmarks.scale import Clock, Sleeps, measure_scale
    from explorer.training.results import Figure

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


def _samplers(config: settings.Samplers, console: Console) -> int:
    from benchmarks.printing import print_choices
    from benchmarks.scale import measure_choices

    _tell_machine(console)
    found = []
    for sampler in ("random", "qmc", "nsga2", "tpe", "gp"):
        with console.status(f"Choosing with {sampler}"):
            found += measure_choices(sleeping(sampler, max(config.told)), config.told)
    print_choices(found, console)
    return 0


def _size(config: settings.Size, console: Console) -> int:
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from benchmarks.printing import print_large

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
    """Operations on a study of `runs` runs, one after the other, each measured in a separate process."""
    from benchmarks.results import Large
    from benchmarks.size import command, in_own_process, store, until_first
    from explorer.record.folder import study_folder
    from explorer.verbs.command_line import read_command

    study = read_command(overrides).study
    half, whole = (folder / part / study_folder(study.name) for part in ("half", "whole"))
    for path, share in ((half, 2), (whole, 1)):
        in_own_process(store, study, path, runs // share)
    steps = {
        "continue, half done: until the next run starts": partial(in_own_process, until_first, study, half),
        "list: read and judge it for the index": partial(in_own_process, _listed, whole),
        "report: judge it, draw its page": partial(command, ["report", *overrides], folder / "whole"),
        "start it again when finished: verdict": partial(command, overrides, folder / "whole"),
    }
    for what, step in steps.items():
        seconds, memory = step()
        console.print(f"{kind}: {what}: {seconds:.1f} s", markup=False, highlight=False)
        yield Large(kind, runs, what, seconds, memory)


def _listed(folder: "Path") -> None:
    from explorer.analysis.judging import open_study
    from explorer.report.index import entry_of

    entry_of(open_study(folder))


def sleeping(sampler: str, designs: int, *, mirror: bool = False) -> "StudyConfig":
    """The configuration of a search of `designs` untrained runs. Raises InputError if its space has fewer designs."""
    from explorer.study.plan import plan_of
    from explorer.verbs.command_line import read_command

    own = [f"search={sampler}", f"search.designs={designs}", f"storage={'sqlite' if mirror else 'none'}"]
    baseline = [] if sampler == "random" else ["search.baseline=0"]
    study = read_command([*SLEEPING, *own, *baseline]).study
    plan_of(study)
    return study


def _recipes(config: settings.Recipes, console: Console) -> int:
    from benchmarks.printing import print_parts
    from benchmarks.recipes import measure_cost, measure_gain

    _tell_machine(console)
    tell = partial(console.print, markup=False, highlight=False)
    costs = measure_cost(config, tell)
    print_parts(costs, measure_gain(config, tell) if config.path else {}, console)
    return 0


@dataclass(frozen=True)
class Subject:
    """One subject: the function that measures it, and the dataclass of its settings with defaults."""

    settings: type
    measure: Callable[..., int]


SUBJECTS = {
    "costs": Subject(settings.Costs, _costs),
    "start": Subject(settings.Start, _start),
    "accuracy": Subject(settings.Accuracy, _accuracy),
    "ranks": Subject(settings.Ranks, _ranks),
    "replay": Subject(settings.Replay, _replay),
    "report": Subject(settings.Report, _report),
    "scale": Subject(settings.Scale, _scale),
    "samplers": Subject(settings.Samplers, _samplers),
    "size": Subject(settings.Size, _size),
    "recipes": Subject(settings.Recipes, _recipes),
}
