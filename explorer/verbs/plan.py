"""`explorer plan`: show what a study would run, its cost and its time on this machine; trains nothing."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from explorer.analysis.checks import Checks, checks_of
from explorer.analysis.judging import OpenedStudy, begun_study
from explorer.analysis.lengths import lengths_of
from explorer.analysis.summary import MIN_PAIRS
from explorer.design.cost_measures import COUNTED, READ
from explorer.host.console import PLAIN, say
from explorer.host.formatting import cost as cost_words
from explorer.host.formatting import counted, duration, hours_words, signed_percent
from explorer.host.machine import cpu_count, driver_version, has_mps, memory_bytes
from explorer.host.tables import print_rows
from explorer.record.changes import difference_lines, fork_of
from explorer.record.folder import CONFIG, study_folder
from explorer.record.progress import Progress
from explorer.report.terminal import with_deviation
from explorer.search.fork import Taken, foreseen, progress_with
from explorer.search.time_limit import that_fit
from explorer.study.checks import Declared
from explorer.study.data_sources import SOURCES
from explorer.study.designs import CANDIDATES, Scope, Setting
from explorer.study.final import final_runs
from explorer.study.lengths import Lengths
from explorer.study.plan import Plan, plan_of, refuse_beyond_memory, some_designs
from explorer.study.price import Price, price_in
from explorer.study.settings import NO_PATH, TRAINED, StudyConfig
from explorer.verbs.calibrate import Calibration, calibration
from explorer.verbs.estimate import EVALUATION_SHARE, Images, Measured, passes, recorded_here
from explorer.verbs.other_images import tell_of_other_images
from explorer.verbs.plan_checks import CheckForecast
from explorer.verbs.read_only import refuse_training
from explorer.verbs.result import Result
from explorer.verbs.run_times import RunTimes
from explorer.verbs.space_progress import space_progress

MOST_SHOWN = 60
SAMPLE = 9  # designs that stand for those which a search has yet to choose
FASTEST = "two trainings of a run may differ in the last bits, and then end as two seeds do"


@dataclass(frozen=True)
class Forecast:
    """What a study would train, and what its time is estimated from.

    settings  the settings fixed in advance, or chosen by a search until now
    begun     the study as it is on disk; None before its first start
    taken     runs that the next start will reuse from the forked study
    sample    some designs that a search may choose, which stand for those it has yet to choose
    """

    plan: Plan
    settings: tuple[Setting, ...]
    begun: OpenedStudy | None
    taken: Taken
    times: RunTimes
    sample: tuple[Setting, ...] = ()

    @property
    def images(self) -> Images | None:
        """Numbers of images to train, validate and test on; None before they have been counted."""
        return self.times.images

    @property
    def measured(self) -> list[list[Measured]]:
        """For each setting and sample the runs recorded on this machine whose cost is near."""
        recipe = self.plan.config.recipe
        return [self.times.near(one, recipe) for one in (*self.settings, *self.sample)]

    def run_seconds(self, setting: Setting) -> float | None:
        """Seconds of one run of a setting, from runs recorded near it, else predicted; None if neither is there."""
        recipe = self.plan.config.recipe
        if self.plan.config.budget.train != "epochs":
            if self.plan.steps_of(setting) is None:  # as long as the reference, whose recipe is the study's
                scope = setting.scope
                assert scope.reference_design is not None
                setting = scope.setting(scope.reference_design)
            else:
                recipe = self.plan.recipe_of(setting)
        return self.times.seconds(setting, recipe)

    def progress(self, seeds: int) -> Progress:
        """The progress of the study if it is started with this number of seeds."""
        past = self.begun.record if self.begun else None
        return progress_with(self.plan.with_seeds(seeds), past, self.taken)

    @cached_property
    def checks(self) -> Checks | None:
        """The robustness checks of the study, started or not; None if it is not to be checked."""
        if self.begun is not None:
            return self.begun.checks
        return checks_of(study_folder(self.plan.config.name), Declared(self.plan), None)

    @cached_property
    def checks_left(self) -> CheckForecast | None:
        """What its robustness checks would train; None if it is not to be checked."""
        return None if self.checks is None else CheckForecast(self.checks, self.times, self.workers)

    @cached_property
    def second(self) -> "Second | None":
        """What the second verdict takes of which runs are to do; None where a study has none, or has it."""
        checks = self.checks
        if checks is None or checks.epochs is None or checks.is_finished(checks.epochs):
            return None
        assert self.checks_left is not None
        runs, seconds = self.checks_left.left([checks.epochs])
        if seconds is None:
            return Second(runs, None, None)
        price = _price(self.plan.config)
        return Second(runs, seconds, price.of(seconds / 3600) if price else None)

    @property
    def workers(self) -> int:
        """The expected number of runs at once, before the start measures it."""
        engine = self.plan.config.engine
        if engine.workers != "auto":
            return engine.workers
        threads = 1 if engine.threads == "auto" else engine.threads
        return max(cpu_count() // (self.begun.execution["threads"] if self.begun else threads), 1)


def forecast(config: StudyConfig, console: Console) -> tuple[Forecast, Path]:
    """What a study would train, and from which other study it takes runs; says on the console what it finds."""
    refuse_training(config, "plan")
    forked = None
    if config.fork:  # judged by settings alone: no worker reports device and images
        folder, (name, differences) = study_folder(config.name), fork_of(config)
        for line in difference_lines(folder, differences, f"its fork is {name}") if differences else ():
            console.print(line, **PLAIN)
        forked, config = config.name if differences else None, replace(config, name=name)
    folder = study_folder(config.name)
    if _are_gone(config) and (folder / CONFIG).exists():
        gone = f"The images are not at data.path={config.data.path} now; a start that trains needs data.path=FOLDER"
        console.print(gone, **PLAIN)
    elif config.data.path is not None or config.data.source in ("digits", *SOURCES):
        from explorer.training.glance import data_lines, refuse_unlike

        refuse_unlike(config.data)
        for line in data_lines(config.data):
            console.print(line, **PLAIN)
    with space_progress(console) as progress:
        plan = plan_of(config, progress)
        opened = begun_study(folder, plan)
        words = [_space_line(plan, name, scope) for name, scope in plan.scopes.items()]
    if config.engine.name == "local" and (config.device == "cpu" or driver_version() == "unknown"):
        refuse_beyond_memory(plan, plan.settings, memory_bytes(), 4 if config.engine.precision == "float32" else 2)
    say(console, "\n".join(words))
    at_most = plan.with_seeds(config.search.looks[-1])
    source, taken = foreseen(at_most, opened.record if opened else None, folder, forked)
    settings = opened.settings if opened else plan.settings
    images = _images(config, opened.environment if opened else None)
    if images is not None:
        speeds = opened.plan.lengths.speeds if opened else {}
        plan = plan.with_lengths(Lengths(images[0], speeds))
    plan = plan.with_seeds(opened.plan.seeds) if opened else plan
    sample = some_designs(plan, SAMPLE) if config.search.is_adaptive else ()
    found = Forecast(plan, settings, opened, taken, RunTimes(images, recorded_here(config.device)), sample)
    due = found.progress(plan.seeds).left or _final_left(found) or (found.checks_left and found.checks_left.wanted)
    if due and images and not all(found.measured):
        found = replace(found, times=replace(found.times, calibration=_calibration(config, console)))
    return found, source


def carry_out(config: StudyConfig, console: Console) -> Result:
    """`explorer plan`: show what a study would run, at what cost and time; trains nothing."""
    found, source = forecast(config, console)
    plan, config = found.plan, found.plan.config
    print_forecast(found, console)
    checks = found.checks_left
    if found.second:
        say(console, found.second.words)
    for line in checks.lines() if checks else ():
        say(console, line)
    if found.begun:
        tell_of_other_images(found.begun, config, console)
    taken = len([one for one in found.taken if one[1].seed in plan.every_seed])
    if taken:
        console.print(f"Not among these: {counted(taken, 'run')}, which a start takes over from {source}", **PLAIN)
    if config.device != "cpu" and config.engine.name == "local" and has_mps():
        say(console, "NVIDIA's MPS runs here: runs that share a GPU compute at the same time.")
    if config.device == "cuda" and config.engine.name == "local":
        from explorer.training.glance import absent_device

        if absent := absent_device(config.device):
            console.print(f"Planned for another machine; a start here would be refused: {absent}", **PLAIN)
    if not config.engine.deterministic:
        what = "a start would be refused: a CPU has none" if config.device == "cpu" else FASTEST
        console.print(f"engine.deterministic=false: a GPU's fastest kernels; {what}", **PLAIN)
    if config.data.lacks_path:
        console.print(f"A start would be refused: {NO_PATH}", **PLAIN)
    return Result(lambda: _data(found, checks, taken, source))


@dataclass(frozen=True)
class Second:
    """What the second verdict of a study at equal training takes: its runs, and their seconds with these at once.

    money  what it costs on one device at the price that the command says, in words; None where either is unknown
    """

    runs: int
    seconds: float | None
    money: str | None

    @property
    def words(self) -> str:
        """It in a sentence."""
        time = "" if self.seconds is None else f", about {duration(self.seconds)}"
        money = "" if self.money is None else f" and about {self.money}"
        return f"The second verdict, at equal epochs, follows and takes {counted(self.runs, 'run')} more{time}{money}."


def _price(config: StudyConfig) -> Price | None:
    """The price of an hour here; on a cluster costs depend on how many runs share a device, which a start finds out."""
    return price_in(config.engine.price) if config.engine.name == "local" else None


ROW_COLUMNS = ("setting", *COUNTED, *(f"{axis}_deviation" for axis in COUNTED), "done", "left", "seconds")


def rows_of(found: Forecast) -> list[dict[str, Any]]:
    """A row for each setting: its exact costs and how far each lies from the budget, runs recorded and to do, seconds.

    A deviation is a fraction, None without a budget; `seconds` are of one run on this machine, None where unknown.
    """
    progress, seeds = found.progress(found.plan.seeds), found.plan.seeds
    return [
        {
            "setting": one.name,
            **{axis: getattr(one.cost, axis) for axis in COUNTED},
            **{f"{axis}_deviation": one.deviation(axis) for axis in COUNTED},
            "done": progress.by_setting[one.name],
            "left": seeds - progress.by_setting[one.name],
            "seconds": found.run_seconds(one),
        }
        for one in found.settings
    ]


def _data(found: Forecast, checks: CheckForecast | None, taken: int, source: Path) -> dict[str, Any]:
    """The plan as plain data."""
    plan, config, search = found.plan, found.plan.config, found.plan.config.search
    progress, final, pair = found.progress(plan.seeds), _final_left(found), found.plan.contrast
    names = None if pair is None else (pair[0].name, pair[1].name)
    if config.spaces and config.study.contrast and not search.only:
        names = (config.study.contrast.setting, config.study.contrast.against)
    contrast = None if names is None else {"setting": names[0], "against": names[1], "margin": config.study.margin}
    return {
        "study": config.name,
        "question": config.study.question,
        "spaces": [_space_data(plan, name, scope) for name, scope in plan.scopes.items()],
        "settings": rows_of(found),
        "contrast": contrast,
        "lengths": lengths_of(plan, found.settings),
        "seeds": plan.seeds,
        "first_seed": search.first_seed,
        "search": {
            "sampler": search.sampler,
            "designs": plan.designs,
            "chosen": len(found.settings) if search.is_adaptive else None,
            "rungs": config.rungs,
            "looks": search.looks if search.seeds == "auto" else None,
        },
        "images": None if found.images is None else dict(zip(("train", "val", "test"), found.images, strict=True)),
        "runs": {"done": progress.final, "left": progress.left, "wanted": progress.wanted, "final_round": final},
        "taken": {"runs": taken, "from": source.name} if taken else None,
        "time": asdict(time_of(found, progress)),
        "second_verdict": None if found.second is None else asdict(found.second),
        "fitting": None if (fitting := fitting_of(found, progress)) is None else asdict(fitting),
        "checks": [] if checks is None else checks.data(),
    }


def _space_data(plan: Plan, name: str, scope: Scope) -> dict[str, Any]:
    """The size of a space, and how many of its designs are feasible: exactly, or as a share where it is too large."""
    scan = plan.draws.scan(scope)
    limits = scope.budget.limits if scope.budget else ()
    return {
        "space": name or None,
        "points": scan.size,
        "feasible": scan.feasible,
        "share": scan.share,
        "budget": [
            {"measure": one.axis, "target": one.target, "tolerance": one.tolerance, "at_most": one.at_most}
            for one in limits
        ],
    }


def _are_gone(config: StudyConfig) -> bool:
    """Whether the images of a local folder are not where the settings say."""
    data = config.data
    is_local = data.path is not None and data.source in ("folder", "parquet")
    return is_local and not Path(str(data.path)).expanduser().exists()


def print_forecast(found: Forecast, console: Console) -> None:
    """Print the settings with cost, deviation and time, and the progress of the study."""
    config, settings = found.plan.config, found.settings
    progress = found.progress(found.plan.seeds)

    if settings:
        known = [name for name in config.measures if READ[name].is_counted or all(one.readings for one in settings)]
        titles = [measure.title for measure in COUNTED.values()] + [READ[name].title for name in known]
        rows = [
            (
                one.display,
                *(with_deviation(f"{getattr(one.cost, name):,}", one.deviation(name)) for name in COUNTED),
                *(cost_words(name, one.value(name)) for name in known),
                f"{progress.by_setting[one.name]}/{found.plan.seeds}",
                "-" if (seconds := found.run_seconds(one)) is None else duration(seconds),
            )
            for one in settings[:MOST_SHOWN]
        ]
        print_rows(console, config.study.question, ("setting", *titles, "in record", "a run"), rows)
    if len(settings) > MOST_SHOWN:
        say(console, f"... and {len(settings) - MOST_SHOWN:,} more settings.")
    _print_lengths(found, console)
    own_splits = config.data.split_seed == "each"
    if pair := found.plan.contrast:
        say(
            console,
            f"Contrast: {pair[0].display} against {pair[1].display}, on the test error, paired over "
            f"{seeds_in_words(found.plan)}{', each with a split of its own' if own_splits else ''}.",
        )
    if config.spaces and config.study.contrast and not config.search.only:
        rivals = config.study.contrast
        first, second = (config.study.labels.get(name, name) for name in (rivals.setting, rivals.against))
        say(console, f"Contrast: designs of {first} against those of {second}.")
    if config.search.final_designs > 1 and config.search.final_seeds < MIN_PAIRS:
        seeds = counted(config.search.final_seeds, "seed")
        few = f"{seeds} of each design in the final round {'is' if config.search.final_seeds == 1 else 'are'} too few"
        console.print(f"{few} to say how sure the answer is; say search.final_seeds={MIN_PAIRS} or more.", **PLAIN)
    say(console, "MACs are multiply-adds, which the papers call FLOPs.")
    say(console, _total(found, progress))
    if (fitting := fitting_of(found, progress)) is not None:
        say(console, fitting.words)
    if config.search.seeds == "auto" and progress.left:
        say(console, _looks(found))


def _print_lengths(found: Forecast, console: Console) -> None:
    """Print how long each setting trains, where that follows from the budget."""
    budget = found.plan.config.budget
    if budget.train == "epochs":
        return
    lengths = lengths_of(found.plan, found.settings[:MOST_SHOWN])
    title = f"Length of training for equal {TRAINED[budget.train]}, that of {budget.reference} by the recipe"
    if budget.train == "time" and all(one.steps is None for one in lengths):
        say(console, f"{title}: steps are fixed at the first start, which measures how fast each setting trains.")
        return
    if not lengths:
        say(console, f"{title}: steps follow when the start has counted the images.")
        return
    rows = [
        (one.display, f"{one.steps:,}", str(one.epochs), f"{one.compute:.4g}", signed_percent(one.deviation))
        for one in lengths
        if one.steps is not None and one.compute is not None
    ]
    print_rows(console, title, ("setting", "steps", "epochs", "compute", "deviation"), rows)
    say(console, "Compute is multiply-adds times images, of the forward pass; epochs are those begun.")


def seeds_in_words(plan: Plan) -> str:
    """The number of seeds as text, with their range if it does not begin at 0: `5 seeds, 10 to 14`."""
    first, last = plan.every_seed[0], plan.every_seed[-1]
    return counted(plan.seeds, "seed") + (f", {first} to {last}" if first else "")


def _space_line(plan: Plan, name: str, scope: Scope) -> str:
    """How many designs a space holds, how many of them meet the budget, and which of them the study takes."""
    search = plan.config.search
    found = plan.draws.scan(scope)
    budget = f"{scope.budget.verb} {scope.budget}" if scope.budget else "can be built (there is no budget)"
    if scope.tight and search.sampler == "listed":
        meet = f"{len(plan.settings):,} {budget}, with widths solved stage by stage"
    elif found.feasible is not None:
        meet = f"{found.feasible:,} {budget}"
    else:
        share = found.share
        low, high = share.low * found.size, share.high * found.size
        meet = (
            f"about {share.estimate:.3%} {budget} (95 % interval {share.low:.3%} to {share.high:.3%} from "
            f"{share.drawn:,} drawn points, that is {low:.1e} to {high:.1e})"
        )
    bounds = {key: own for key, own in plan.config.budget.bounds.items() if own.has_any and not search.only}
    following = {key: own for key, own in bounds.items() if READ[key].is_counted}
    if following and not (scope.tight or search.sampler == "listed"):
        pool = len(plan.draws.candidates(scope))
        meet += f", and {pool:,} of up to {CANDIDATES:,} of these have {_bounds(plan.config, following)}"
    elif following:
        meet += f", and {_bounds(plan.config, following)}"
    if measured := {key: own for key, own in bounds.items() if key not in following}:
        meet += f"; each is measured before it is trained, which it is with {_bounds(plan.config, measured)}"
    missed, _ = plan.left_out
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
        taken = _searched(plan.config)
    label = plan.config.study.labels.get(name)
    called = f"{name} ({label}) " if label else f"{name} " if name else ""
    return f"The space {called}holds {found.size:,} points; {meet}. {taken}"


def _bounds(config: StudyConfig, bounds: Iterable[str]) -> str:
    return " and ".join(map(config.budget.bound_words, bounds))


def _searched(config: StudyConfig) -> str:
    """Which designs a search takes, and where it judges them."""
    search, drawn, rungs = config.search, config.search.random_designs, config.rungs
    chosen = (search.designs or 0) - drawn
    are = "is" if drawn == 1 else "are"
    beside = f", and {drawn} {are} drawn at random, to say what choosing is worth" if drawn else ""
    training = " by their training errors" if search.rung_error == "training" else ""
    judged = (
        f" They are judged{training} after {' and '.join(map(str, rungs))} of "
        f"{counted(config.recipe.whole_epochs, 'epoch')}."
        if rungs
        else ""
    )
    return f"Optuna ({search.sampler}) chooses {chosen} of them, each from the results before it{beside}.{judged}"


def _images(config: StudyConfig, environment: dict[str, Any] | None) -> Images | None:
    """Numbers of images to train, validate and test on, from the settings, the study's start, or the images' folder.

    None if unknown, as of a data set of the hub, of which a plan downloads nothing.
    """
    given = (config.data.train_images, config.data.val_images, config.data.test_images)
    if all(isinstance(number, int) for number in given):
        return given  # type: ignore[return-value]
    if environment is not None:
        return tuple(environment["images"])
    if config.data.lacks_path or config.data.source not in ("folder", "parquet", *SOURCES):
        return None
    from explorer.training.glance import counts

    return counts(config.data)


@dataclass(frozen=True)
class Time:
    """How long all that is to do takes here with `workers` runs at once.

    seconds  None where that is unknown, 0 where nothing is to do
    how      recorded: from runs of about this cost on this machine; predicted: from cost and this machine's
             calibration, right within a factor of two or so; unknown; nothing to do
    words    how it was found, or why it is unknown, in words
    money    what it costs on one device at the price that the command says, in words; None where either is unknown
    """

    seconds: float | None
    workers: int
    how: Literal["recorded", "predicted", "unknown", "nothing to do"]
    words: str
    money: str | None = None


def time_of(found: Forecast, progress: Progress) -> Time:
    """How long the runs that are to do take on this machine, those of a search's final round included."""
    config, final, workers = found.plan.config, _final_left(found), found.workers
    calibration = found.times.calibration

    def unknown(why: str) -> Time:
        return Time(None, workers, "unknown", f"time unknown{why}")

    if not progress.left and not final:
        return Time(0, workers, "nothing to do", "")
    if config.engine.name != "local" and not all(found.measured):
        return unknown(f": engine={config.engine.name} trains elsewhere, as fast as the machines there are")
    if found.images is None:
        return unknown(" until the study's start has counted its images")
    seconds = _seconds(found, progress, found.plan.seeds, final)
    if seconds is None:
        return unknown(f": this machine has recorded no run of a network of this size yet, and {calibration}")
    at_once = f"about {duration(seconds / workers)} with {workers} at once"
    price = _price(config)
    money = price.of(seconds / workers / 3600) if price else None
    at_once += f" and about {money} at {price.words}" if price else ""
    if all(found.measured):
        basis = len({id(run) for near_ones in found.measured for run in near_ones})
        words = f"{at_once}, from {counted(basis, 'run')} recorded on this machine"
        return Time(seconds / workers, workers, "recorded", words, money)
    assert isinstance(calibration, Calibration)
    day = calibration.date
    when = f"predicted from cost and this machine's calibration of {day}, right within a factor of two or so"
    return Time(seconds / workers, workers, "predicted", f"{at_once}, {when}", money)


@dataclass(frozen=True)
class Fitting:
    """What a start with `search.hours` is expected to train of all that is to do.

    runs   that end in time; None where the time of a run is unknown
    seeds  that are whole: each setting is then trained with so many more; of a search the designs that end in time
    words  in words
    """

    hours: float
    runs: int | None
    seeds: int | None
    words: str


def fitting_of(found: Forecast, progress: Progress) -> Fitting | None:
    """What fits into the hours of this start; None without a limit, or where nothing is to do."""
    config, final, second = found.plan.config, _final_left(found), found.second
    hours = config.search.hours
    if hours is None or not (progress.left or final or second):
        return None
    time, start = time_of(found, progress), f"This start stops after {hours_words(hours)} (search.hours)"
    if time.seconds is None:
        return Fitting(hours, None, None, f"{start}; how much fits is not known before its first runs.")
    left = _left(found, progress, found.plan.seeds)
    is_search = config.search.is_adaptive
    if is_search:  # the designs to come cost what they do on the mean, shortened ones included
        unknown = max(found.plan.designs - len(found.settings), 1)
        known = sum((found.run_seconds(one) or 0.0) * count for one, count in left.items())
        designs_seconds = _seconds(found, progress, found.plan.seeds) or 0.0
        each = max(0.0, designs_seconds - known) / (unknown * found.plan.seeds)
        groups = [[found.run_seconds(one) or 0.0] * count for one, count in left.items() if count]
        groups += [[each] * found.plan.seeds] * (found.plan.designs - len(found.settings))
    else:
        groups = [
            [found.run_seconds(one) or 0.0 for one, count in left.items() if count > number]
            for number in range(max(left.values(), default=0))
        ]
    runs, whole = that_fit(groups, found.workers, 3600 * hours)
    if runs >= sum(map(len, groups)) and time.seconds <= 3600 * hours:
        if second is None:
            words = f"{start}, and all that is to do should fit."
        elif second.seconds is not None and time.seconds + second.seconds <= 3600 * hours:
            words = f"{start}, and all that is to do should fit, the second verdict included."
        else:
            may = "may not fit" if second.seconds is None else "should not all fit"
            words = f"{start}; the runs of the second verdict {may}. Another start goes on where this one stops."
        return Fitting(hours, runs + final, whole, words)
    kind = "design" if is_search else "whole seed"
    part = f", that is {counted(whole, kind)}" if whole else f", which is no {kind}"
    fits = f"about {runs} of {counted(progress.left + final, 'run')} should fit{part}" if runs else "no run should end"
    words = f"{start}; {fits}. Another start goes on where this one stops."
    return Fitting(hours, runs, whole, words)


def _total(found: Forecast, progress: Progress) -> str:
    runs = f"{progress.left} of {progress.wanted} runs to do"
    if final := _final_left(found):
        runs += f", and then {counted(final, 'run')} of the final round"
    words = time_of(found, progress).words
    return f"{runs}; {words}." if words else f"{runs}."


def _seconds(found: Forecast, progress: Progress, seeds: int, final: int = 0) -> float | None:
    """Seconds that one worker needs for all that is to do with so many seeds, and for the runs of a final round.

    None if they cannot be known.
    """
    left = _left(found, progress, seeds)
    own = {setting: found.run_seconds(setting) for setting in left}
    some = [found.run_seconds(setting) for setting in found.sample]
    known = [seconds for seconds in (*own.values(), *some) if seconds is not None]
    if len(known) < len(own) + len(some) or not known:
        return None
    usual = sum(known) / len(known)
    total = sum((own[setting] or 0.0) * count for setting, count in left.items())
    search = found.plan.config.search
    if search.is_adaptive:
        unknown = found.plan.designs - len(found.settings)
        drawn = min(unknown, max(0, search.random_designs - len(found.settings)))
        total += (drawn + (unknown - drawn) * found.plan.config.trained_share) * usual * seeds
    if not final or found.images is None:
        return total
    train, val, _ = found.images
    return total + final * usual * (train + val) / train


def _final_left(found: Forecast) -> int:
    """How many runs of a search's final round have yet to be trained."""
    final = found.begun.final if found.begun else None
    if final is None:
        return 0 if found.begun and found.begun.finding.complete else final_runs(found.plan.config)
    return final.found.wanted - final.found.done


def _calibration(config: StudyConfig, console: Console) -> Calibration | str:
    """This machine's calibration, for what its engine trains here."""
    from explorer.training.glance import absent_device

    if config.engine.name != "local":
        return "its engine trains elsewhere"
    if absent_device(config.device):
        return f"has no device={config.device}"
    return calibration(config.device, console)


def _left(found: Forecast, progress: Progress, seeds: int) -> dict[Setting, int]:
    """How many runs of each setting have yet to be trained."""
    left = {setting: seeds - progress.by_setting[setting.name] for setting in found.settings}
    # At other learning rates only the contrast's two settings are trained; each is taken to have half of those done.
    others = len(found.plan.config.search.rates) * seeds - progress.others // 2
    return left | {setting: left[setting] + others for setting in found.plan.contrast or ()}


def _looks(found: Forecast) -> str:
    """The least and the most that a study with interim looks may train, with cost and time of each."""
    looks, images, totals = found.plan.config.search.looks, found.images, []
    for seeds in (found.plan.seeds, looks[-1]):
        progress = found.progress(seeds)
        left, words = _left(found, progress, seeds), []
        if images:
            one_pass = passes(found.plan.config.recipe, images)
            macs = sum(one_pass * one.cost.macs * count for one, count in left.items())
            words.append(f"{macs / EVALUATION_SHARE:.1e} multiply-adds")
        if (spent := _seconds(found, progress, seeds)) is not None:
            words.append(f"about {duration(spent / found.workers)}")
        cost = f" ({', '.join(words)})" if words else ""
        totals.append(f"{counted(progress.left, 'run')}{cost}")
    return (
        f"search.seeds=auto: looks at {', '.join(map(str, looks[:-1]))} and {looks[-1]} seeds and stops when the "
        f"contrast is decided. To do are at least {totals[0]}, at most {totals[1]}."
    )
