"""The entry: `python -m explorer study=NAME`. The only file that joins the stages; heavy ones load when they run."""

import codecs
import os
import shlex
import sys
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer import interrupt
from explorer.console import PlainConsole, spare_letters
from explorer.errors import InputError, StudyStoppedError
from explorer.settings import NO_PATH, BenchmarkConfig, DoctorConfig, ExportConfig, StudyConfig, VerifyConfig
from explorer.wording import counted, one_line, printable, without_password, without_passwords

if TYPE_CHECKING:
    from rich.console import Console

    from explorer.config import Command
    from explorer.design import Architecture, Task

TABLES = Path("tables")
UTF8 = "say PYTHONUTF8=1 before the command, or set a locale of UTF-8"
# What is true of a verb that was interrupted, before the command that goes on or does it again.
NOTHING_KEPT = "Nothing was to be kept; start again with"
KEPT = {
    "run": "Everything done so far is kept; continue with",
    "report": "The record is as it was; draw the page with",
    "tabulate": "The record is as it was, and the table may lack files; write it with",
    "export": "Files may be missing or not whole; write them with",
    "doctor": "Repairs that were made are kept; see what is left with",
    "move": "The record is whole, and the new database may not be; finish it with",
}
PLAIN: "dict[str, Any]" = {"markup": False, "highlight": False, "soft_wrap": True}
HELP = """\
Which network shape is best at a fixed compute budget?

  python -m explorer study=equal_params              run a study, or continue it; a finished one prints its verdict
  python -m explorer study=equal_params do=plan      what would run, at what cost and time; trains nothing
  python -m explorer study=equal_params do=report    redraw the page from the record
  python -m explorer study=equal_params do=tabulate  a finished study as a table to share, in tables/
  python -m explorer study=equal_params fork=true    leave one that was started differently, go on under another name
  python -m explorer study=equal_params do=doctor    what is in its folder, what is wrong, and repairs after asking
  python -m explorer study=equal_params do=move storage=postgres storage.url=URL
                                                     make the dashboard's database elsewhere, from the record
  python -m explorer study=equal_params --cfg job    print the resolved configuration
  python -m explorer --help, --version               all studies and other choices; what is installed here

  python -m explorer do=verify architecture=29-32x4d     its cost by every referee, its three forms side by side
  python -m explorer do=export architecture=29-32x4d     a Python module of its own; weights=FILE onnx=true
  python -m explorer do=benchmark                        training speed against a tutorial's loop, figures to reach;
                                                         subject=costs, start, latency, accuracy, ranks,
                                                         replay, report, scale, samplers, size: others

Any key can be overridden: recipe.epochs=20  space.cardinality=[1,32]  data=digits  name=my_study
The record goes to studies/<name>/, the page to reports/<name>.html.
"""


def main(arguments: list[str]) -> int:
    """Carry out one command and return the exit code: 0 done, 1 a run failed or none came through, 2 unusable input.

    A verdict of any kind is 0, "inconclusive" and "neither has learned more than guessing" included: the study has run.
    Where every run that was to tell diverged or ran out of memory, there is nothing that could be judged, and it is 1.
    Asked to leave it is 128 and the signal: 130 after Ctrl-C, 143 after SIGTERM.
    """
    spare_letters()
    # Away from a terminal there is no width to keep to; rich would fold tables at 80 columns.
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    console = PlainConsole(width=None if is_terminal or "COLUMNS" in os.environ else 120)
    errors = PlainConsole(stderr=True)

    def complain(line: str) -> None:
        with suppress(OSError):  # nobody reads it
            errors.print(without_passwords(line, arguments), **PLAIN)

    try:
        with interrupt.watching():
            return _dispatch(arguments, console)
    except InputError as error:
        for line in (one_line(f"explorer: {error}"), *error.more):
            complain(line)
        return 2
    except StudyStoppedError as error:
        complain(one_line(f"explorer: {error}"))
        return 1
    except OSError as error:
        if error.filename is None:
            raise
        complain(one_line(f"explorer: {error.filename}: {error.strerror}"))
        return 2
    except UnicodeEncodeError as error:  # the name of a file, in a locale that has not its letters
        complain(one_line(f"explorer: {error.object}: cannot be said in {error.encoding}; {UTF8}"))
        return 2
    except KeyboardInterrupt:
        command = shlex.join(["python", "-m", "explorer", *arguments])
        complain(f"\nInterrupted. {KEPT.get(_verb(arguments), NOTHING_KEPT)}: {command}")
        return interrupt.exit_code()


def console() -> None:
    """The `explorer` command."""
    _leave_ascii()
    code = main(sys.argv[1:])
    if code > 128:
        interrupt.ignore()
    sys.exit(code)


def _leave_ascii() -> None:
    """Start again in Python's UTF-8 mode where the locale has ASCII alone, as with `PYTHONUTF8=0 LC_ALL=C`.

    No file with another letter in its name could be opened, given in the command or in a study's file. What is printed
    stays in the encoding of the locale.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name != "ascii" or os.environ.get("PYTHONUTF8") == "1":
        return
    os.environ.setdefault("PYTHONIOENCODING", getattr(sys.stdout, "encoding", "ascii"))
    os.environ["PYTHONUTF8"] = "1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - this very command


def _refuse_undecoded(arguments: list[str]) -> None:
    """Raise InputError for an argument that is no text here, since settings are kept as text."""
    for argument in arguments:
        if any("\ud800" <= letter <= "\udfff" for letter in argument):
            encoding = sys.getfilesystemencoding()
            remedy = "rename it, or let a link with a plain name lead there"
            if encoding != "utf-8":
                remedy = UTF8
            shown = os.fsencode(argument).decode("utf-8", "backslashreplace")
            raise InputError(f"{shown}: is not text in {encoding}; {remedy}")


def _verb(arguments: list[str]) -> str:
    """What a command asks for, as far as that can be told before it is read."""
    asked = [text.strip("'\"") for key, _, text in (argument.partition("=") for argument in arguments) if key == "do"]
    return asked[-1] if asked else "run"


def _dispatch(arguments: list[str], console: "Console") -> int:
    from explorer.compose import compose, groups
    from explorer.config import read_command

    _refuse_undecoded(arguments)
    if not arguments:
        console.print(f"{HELP}\nStudies, and whatever else there is to choose: --help", **PLAIN)
        return 0
    if {"-V", "--version", "version"} & set(arguments):
        console.print(_version(), **PLAIN)
        return 0
    if {"-h", "--help", "help"} & set(arguments):
        listing = "\n".join(f"  {group}: {', '.join(names)}" for group, names in groups().items())
        console.print(f"{HELP}\nGroups:\n{listing}", **PLAIN)
        return 0
    if "--cfg" in arguments:
        import yaml

        plain = [argument for argument in arguments if argument not in ("--cfg", "job")]
        tree = compose(plain).tree
        if isinstance(storage := tree.get("storage"), dict) and storage.get("url"):
            storage["url"] = without_password(str(storage["url"]))
        if tree.get("from"):
            tree["from"] = without_password(str(tree["from"]))
        text = yaml.safe_dump(tree, sort_keys=False)
        console.print(text, **PLAIN, end="")
        return 0
    command = read_command(arguments)
    _check_urls(command)
    for line in command.aside:
        console.print(line, **PLAIN)
    match command.config:
        case VerifyConfig():
            return _verify(command.config, console)
        case ExportConfig():
            return _export(command.config, console)
        case DoctorConfig():
            return _doctor(command.config, command.database, console)
        case BenchmarkConfig():
            from explorer.benchmarks import benchmark

            return benchmark(command.config, console)
    if command.do in ("move", "report", "tabulate"):
        _tell_others(command, console)
    if command.do == "move":
        return _move(command.study, command.database, console)
    verbs = {"run": _run, "plan": _plan, "report": _report, "tabulate": _tabulate}
    return verbs[command.do](command.study, console)


def _check_urls(command: "Command") -> None:
    """Raise InputError for a URL of a database that no verb would follow, whether or not this one would need it."""
    urls = {"from" if command.do == "move" else "storage.url": command.database}
    if isinstance(command.config, StudyConfig):
        urls["storage.url"] = command.config.storage.url
    for key, url in urls.items():
        if url is not None:
            from explorer.search.database import read_url

            read_url(url, key, connects=False)


def _tell_others(command: "Command", console: "Console") -> None:
    """Say which settings of the command are not those of the record, for a verb that goes by the record alone."""
    from explorer.changes import of_settings, told
    from explorer.folder import refuse_links, study_folder

    folder = study_folder(command.study.name)
    try:
        refuse_links(folder)
        found = [one for one in of_settings(folder, command.study) if _is_given(one.key, command.given)]
    except InputError:  # what is wrong with the folder the verb itself says
        return
    for line in told(folder, found, f"do={command.do} goes by the record") if found else ():
        console.print(line, **PLAIN)


def _is_given(key: str, given: "frozenset[str]") -> bool:
    steps = key.split(".")
    return any(".".join(steps[:end]) in given - {"study"} for end in range(1, len(steps) + 1))


def _version() -> str:
    """What is installed, where, and what it runs on: what a report of a fault needs."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import explorer

    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = "missing"
    return (
        f"resnext-explorer {explorer.__version__} in {Path(explorer.__file__).parent}\n"
        f"Python {platform.python_version()}, torch {torch}, {platform.platform()}"
    )


def _plan(config: StudyConfig, console: "Console") -> int:
    from explorer.answer import at_look
    from explorer.changes import fork_of, refuse_other_settings, told
    from explorer.folder import study_folder
    from explorer.report.plan import print_plan
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


def _report(config: StudyConfig, console: "Console") -> int:
    from explorer.answer import draw
    from explorer.folder import study_folder

    console.print(f"Report: {draw(study_folder(config.name))}", **PLAIN)
    return 0


def _tabulate(config: StudyConfig, console: "Console") -> int:
    from explorer.folder import study_folder
    from explorer.tabular import write_table

    for path in write_table(study_folder(config.name), TABLES / config.name):
        console.print(f"Wrote {path}", **PLAIN)
    return 0


def _move(config: StudyConfig, leaves: str | None, console: "Console") -> int:
    from explorer.folder import refuse_links, study_folder
    from explorer.move import move

    refuse_links(study_folder(config.name))
    move(study_folder(config.name), config.storage, console, leaves)
    return 0


def _run(config: StudyConfig, console: "Console") -> int:
    from explorer.answer import at_look, draw, load_finding
    from explorer.changes import refuse_other_settings
    from explorer.contrast import contrast_of
    from explorer.folder import (
        BEHIND,
        CONFIG,
        LIVE_SECONDS,
        REPORTS,
        is_stale,
        make_folder,
        refuse_links,
        study_folder,
        sweep,
    )
    from explorer.live import Live
    from explorer.planning import settings_of
    from explorer.progress import progress_of, refuse_foreign_record, without_weights
    from explorer.report.terminal import print_verdict
    from explorer.report.waiting import space_progress

    with space_progress(console):
        contrast_of(config, settings_of(config))
    fork = None
    if config.fork and (study_folder(config.name) / CONFIG).exists():
        if config.data.lacks_path:
            raise InputError(NO_PATH)
        from explorer.search.fork import forked

        config, fork = forked(config, console)
    folder = study_folder(config.name)
    refuse_links(folder)
    current, failed, trained = at_look(config, folder), 0, False
    page = REPORTS / f"{config.name}.html"
    refuse_other_settings(folder, current)
    while not failed and (progress := progress_of(current, folder)).final < progress.wanted:
        if config.data.lacks_path:
            raise InputError(NO_PATH)
        from explorer.search.coordinator import run_study

        if not trained:
            _open_mirror(config, folder, console)
        for path in (folder, folder / "local", REPORTS):
            make_folder(path)
        words = f"The page while it runs, drawn anew at most every {LIVE_SECONDS} s: {page}"
        tell = partial(console.print, words, **PLAIN)
        live = Live(folder, begins=tell) if config.report.live else None
        failed, trained = run_study(current, folder, console, live, fork), True
        current = at_look(config, folder)
    if not trained:
        refuse_foreign_record(current, folder)
        if (folder / BEHIND).exists():
            from explorer.move import catch_up

            catch_up(folder, config.storage)
    if not failed:
        sweep(folder)
    asked = config.storage
    config, record, finding = load_finding(folder)
    print_verdict(finding, config.study.question, console)
    if asked.weights == "last" and (line := without_weights(record, folder)):
        console.print(line, **PLAIN)
    # From here on the record is whole and the verdict said.
    problems = []
    if failed:
        problems.append(
            f"{counted(failed, 'run')} failed; see {folder / 'local' / 'failures.log'}; start again to retry them"
        )
    try:
        if trained or is_stale(page, folder):
            draw(folder)
    except OSError as error:
        problems.append(f"{error.filename or page}: {error.strerror}; make room and redraw the page with do=report")
    except StudyStoppedError as error:
        problems.append(str(error))
    else:
        console.print(f"Report: {page}", **PLAIN)
    if finding.lost is not None and not failed:
        problems.append(f"{config.name}: no run came through that could be judged; see the verdict above")
    if problems:
        raise StudyStoppedError("; ".join(problems))
    return 0


def _open_mirror(config: StudyConfig, folder: Path, console: "Console") -> None:
    """See that the database for the dashboard lets us in, and say where it is to be another than until now."""
    from explorer.move import elsewhere
    from explorer.search.database import refuse_closed

    refuse_closed(config.storage)
    if line := elsewhere(folder, config.storage):
        console.print(line, **PLAIN)


def _doctor(config: DoctorConfig, database: str | None, console: "Console") -> int:
    from rich.prompt import Confirm
    from rich.text import Text

    from explorer.doctor.complaint import Complaint
    from explorer.doctor.visit import visit
    from explorer.folder import refuse_links, study_folder

    def agrees(complaint: Complaint) -> bool:
        return config.yes or Confirm.ask(Text(printable(f"{complaint.what}\n{complaint.remedy}?")), console=console)

    refuse_links(study_folder(config.name))  # repairs write
    asks = sys.stdin is not None and sys.stdin.isatty() and console.is_terminal
    return visit(study_folder(config.name), console, agrees if config.yes or asks else None, database)


def _verify(config: VerifyConfig, console: "Console") -> int:
    from explorer.report.checks import print_verification

    # Three forms in float64 with gradients, momentum and copies of their weights.
    architecture, task = _design(config, bytes_per_weight=100)
    from explorer.training.device import resolve
    from explorer.training.verify import verify

    found = verify(
        architecture,
        task,
        device=resolve(config.device),
        batch_size=config.batch_size,
        repeats=config.repeats,
        seed=config.seed,
    )
    _tell_namesake(config, console)
    print_verification(found, console)
    if not found.agrees:
        raise StudyStoppedError(f"{found.name}: the referees or the forms disagree; this is a defect of the program")
    return 0


def _export(config: ExportConfig, console: "Console") -> int:
    from explorer.design import short_name
    from explorer.report.checks import print_exported

    # Weights in float32 twice, and as much again for ONNX.
    _design(config, bytes_per_weight=20)
    from explorer.training.export import export
    from explorer.training.pickled import refuse_pickled
    from explorer.training.weights import read_weights, task_in

    weights = Path(config.weights) if config.weights else None
    if weights:
        refuse_pickled(weights)
    channels, classes = task_in(read_weights(weights)) if weights else (None, None)
    architecture, task = _design(
        replace(config, channels=config.channels or channels, classes=config.classes or classes), bytes_per_weight=20
    )
    folder = Path(config.folder) / short_name(architecture)
    _tell_namesake(config, console)
    print_exported(export(architecture, task, folder, weights=weights, onnx=config.onnx, seed=config.seed), console)
    return 0


def _tell_namesake(config: VerifyConfig | ExportConfig, console: "Console") -> None:
    from explorer.design.published import namesake

    if words := namesake(config.architecture or ""):
        console.print(words, highlight=False)


def _design(config: VerifyConfig | ExportConfig, *, bytes_per_weight: int) -> "tuple[Architecture, Task]":
    """The architecture a verb was given, and the task it is for. Raises InputError before anything heavy loads."""
    from explorer.design import cost, parse_name
    from explorer.machine import memory_bytes

    if config.architecture is None:
        raise InputError("architecture is missing; say for example architecture=29-32x4d")
    try:
        architecture = parse_name(config.architecture)
        usual = architecture.shape.task
        given = {key: getattr(config, key) for key in ("channels", "image_size", "classes")}
        task = replace(usual, **{key: value for key, value in given.items() if value is not None})
        needed, there = bytes_per_weight * cost(architecture, task).params, memory_bytes()
    except ValueError as error:
        raise InputError(f"architecture={config.architecture}: {error}") from None
    if needed > there:
        raise InputError(
            f"architecture={config.architecture}: it would need about {needed / 2**30:,.0f} GiB "
            f"of memory; this machine has {there / 2**30:,.0f}"
        )
    return architecture, task


if __name__ == "__main__":
    console()
