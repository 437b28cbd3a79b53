"""Calls the verb that a command names; heavy packages load only when their verb runs."""

import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.host.console import PLAIN, say
from explorer.host.errors import InputError
from explorer.host.formatting import without_password
from explorer.study.settings import StudyConfig
from explorer.verbs.carry_out import UTF8
from explorer.verbs.result import Result
from explorer.verbs.table import NAMED_VERBS

if TYPE_CHECKING:
    from rich.console import Console

    from explorer.verbs.command_line import Command

HELP = """\
Which network shape is best at a fixed compute budget?

  explorer equal_params             run a study or continue it; a finished one
                                    prints its verdict
  explorer equal_params search.hours=2
                                    stop after two hours with what there is
  explorer plan equal_params        what would run, at what cost and time
  explorer challenge equal_params study.robustness=[init,rate]
                                    does a finished contrast hold with a rival
                                    explanation taken away?
  explorer report equal_params      draw the page again from the record;
                                    --recorded: of all studies that git tracks
  explorer status                   all studies here, or one
  explorer doctor equal_params      what is wrong with its folder; can repair it
  explorer fork equal_params recipe.epochs=20
                                    go on under another name, otherwise
  explorer move equal_params storage=postgres storage.url=URL
                                    make the dashboard's database elsewhere
  explorer track equal_params mlflow tensorboard
                                    write it into experiment trackers
  explorer push equal_params to=USER/REPO
                                    table, network and page on the Hugging Face
                                    hub; --dry: what would be uploaded
  explorer delete equal_params      its folder, page and entry in the index
  explorer label equal_params       add the labels of its test images to a record
                                    without them: errors by class; data=FOLDER

  explorer study=best data=photos budget=1M
                                    the best network for your own images
  explorer export best              that network, for use elsewhere; onnx=true
  explorer predict best IMAGE...    the classes of images; of a folder as CSV

  explorer figure equal_params cardinality    a figure for a paper; --width page
  explorer table equal_params                 its tables; --format latex,csv,md
  explorer cite equal_params                  how it is cited, as BibTeX
  explorer tabulate equal_params              all its runs, as a table to share

  explorer verify 29-32x4d          its cost by every referee, its three forms
  explorer export architecture=29-32x4d       a Python module of its own
  explorer pool a b c               one claim over several recorded studies
  explorer import FILE              results of others as a study to look at
  explorer benchmark                training speed here; latency: of one pass

  explorer run --config FILE name=again       a study from its stored settings
  explorer equal_params --cfg job   print the settings; --help: all choices;
                                    --version: what is installed

With --json any command prints its result, or its error, as one JSON document.
Any key can be overridden: recipe.epochs=20  data=digits  name=my_study
python -m explorer does the same. The record goes to studies/NAME/, the page to
reports/NAME.html.
"""


def _refuse_undecoded(arguments: list[str]) -> None:
    """Raise InputError for an argument that cannot be decoded, since settings are stored as text."""
    for argument in arguments:
        if any("\ud800" <= letter <= "\udfff" for letter in argument):
            encoding = sys.getfilesystemencoding()
            remedy = "rename it, or let a link with a plain name lead there"
            if encoding != "utf-8":
                remedy = UTF8
            shown = os.fsencode(argument).decode("utf-8", "backslashreplace")
            raise InputError(f"{shown}: is not text in {encoding}; {remedy}")


def dispatch(arguments: list[str], console: "Console") -> Result:
    """Parse a command, carry it out, and return its result."""
    from explorer.verbs.command_line import read_command
    from explorer.verbs.compose import compose, groups
    from explorer.verbs.extend import extended

    _refuse_undecoded(arguments)
    if not arguments:
        console.print(f"{HELP}\nStudies, and whatever else there is to choose: --help", **PLAIN)
        return Result(_choices)
    asked = {*arguments[:1], *_options(arguments)}
    if {"-V", "--version", "version"} & asked:
        found = _versions()
        console.print(
            f"resnext-explorer {found['version']} in {found['folder']}\n"
            f"Python {found['python']}, torch {found['torch'] or 'missing'}, {found['platform']}",
            **PLAIN,
        )
        return Result(lambda: found)
    if {"-h", "--help", "help"} & asked:
        console.print(f"{HELP}\nGroups:", **PLAIN)
        for group, names in groups().items():
            say(console, f"  {group}: {', '.join(names)}", indent=4)
        return Result(_choices)
    if (plain := _without_cfg(arguments)) is not None:
        import yaml

        tree = compose(extended(plain)).tree
        if isinstance(storage := tree.get("storage"), dict) and storage.get("url"):
            storage["url"] = without_password(str(storage["url"]))
        if tree.get("from"):
            tree["from"] = without_password(str(tree["from"]))
        text = yaml.safe_dump(tree, sort_keys=False)
        console.print(text, **PLAIN, end="")
        return Result(lambda: tree)
    command = read_command(arguments)
    _check_urls(command)
    for line in command.aside:
        say(console, line)
    if command.do in ("move", "report", "tabulate") and not command.is_named:
        _tell_others(command, console)
    carry_out: Callable[..., Result] = import_module(f"explorer.verbs.{_module(command)}").carry_out
    if command.do == "run":
        return carry_out(command.config, console, command.withheld, must_fork=command.must_fork)
    if command.withheld and command.do == "challenge":
        raise InputError(f"{command.withheld[0]}: only a command may decide this; say {command.withheld[0]}=... again")
    if command.do in ("doctor", "move"):
        return carry_out(command.config, command.database, console)
    return carry_out(command.config, console)


def _options(arguments: list[str]) -> list[str]:
    """The words of a command that begin with a dash; those after `--` are names of files."""
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return [one for one in before if one.startswith("-")]


def _without_cfg(arguments: list[str]) -> list[str] | None:
    """A command without `--cfg job`, which asks for its settings; None if it does not ask. Raises InputError."""
    found = [one for one in _options(arguments) if one.partition("=")[0] == "--cfg"]
    if not found:
        return None
    place = arguments.index(found[0])
    _, equals, value = found[0].partition("=")
    end = place + 1
    if not equals:
        value = "".join(arguments[end : end + 1])
        end += 1
    if value != "job":
        raise InputError(f"--cfg {value}: prints the settings of a command; say --cfg job")
    return [*arguments[:place], *arguments[end:]]


def _module(command: "Command") -> str:
    """The module of a command's verb, below `explorer.verbs`."""
    if command.is_named:
        return NAMED_VERBS[command.do].file or command.do
    return {"report": "redraw", "doctor": "doctor.examine", "import": "import_results"}.get(command.do, command.do)


def _check_urls(command: "Command") -> None:
    """Raise InputError for an invalid URL of a database, even if this verb would not use it."""
    urls = {"from" if command.do == "move" else "storage.url": command.database}
    if isinstance(command.config, StudyConfig):
        urls["storage.url"] = command.config.storage.url
    for key, url in urls.items():
        if url is not None:
            from explorer.search.database import read_url

            read_url(url, key, connects=False)


def _tell_others(command: "Command", console: "Console") -> None:
    """Report which settings of the command differ from those of the record, for a verb that uses only the record."""
    from explorer.record.changes import difference_lines, of_settings
    from explorer.record.folder import refuse_links, study_folder
    from explorer.record.starts import started_study

    folder = study_folder(command.study.name)
    try:
        refuse_links(folder)
        study = started_study(folder)
        found = of_settings(study, command.study) if study else []
    except InputError:  # the verb itself reports what is wrong with the folder
        return
    found = [one for one in found if _is_given(one.key, command.given)]
    for line in difference_lines(folder, found, f"{command.do} goes by the record") if found else ():
        console.print(line, **PLAIN)


def _is_given(key: str, given: "frozenset[str]") -> bool:
    steps = key.split(".")
    return any(".".join(steps[:end]) in given - {"study"} for end in range(1, len(steps) + 1))


def _choices() -> dict[str, object]:
    """The verbs, and what each group offers."""
    from explorer.host.commands import VERBS
    from explorer.verbs.compose import groups

    return {"verbs": VERBS, "groups": groups()}


def _versions() -> dict[str, str | None]:
    """Versions, install location and platform, as a bug report needs them."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import explorer

    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = None
    return {
        "version": explorer.__version__,
        "folder": str(Path(explorer.__file__).parent),
        "python": platform.python_version(),
        "torch": torch,
        "platform": platform.platform(),
    }
