"""`explorer import`: results of others as a study that is read only, with costs by this project's closed form."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from explorer.analysis.judging import open_study
from explorer.analysis.regime import regime_of, regime_sentence
from explorer.host.commands import command_for
from explorer.host.console import PLAIN, open_console, say
from explorer.host.errors import InputError, StudyStoppedError
from explorer.host.formatting import counted
from explorer.record.folder import study_folder
from explorer.report.finding_data import study_data
from explorer.report.terminal import print_verdict
from explorer.study.settings import ImportConfig
from explorer.study.tree import checked_tree
from explorer.verbs.draw_page import draw_page, tell_of_page
from explorer.verbs.importing.files import Raw, of_frame, read
from explorer.verbs.importing.results import Results, studies_of
from explorer.verbs.importing.write import already, study_of, write
from explorer.verbs.result import Result

if TYPE_CHECKING:
    import pandas as pd

    from explorer.verbs.api import Study

MOST_NAMED = 8  # designs that are named one by one
_NO_NAME = str.maketrans(dict.fromkeys(" /\\:,;+=()[]{}@#%&*?!'\"<>|$", "-"))


def carry_out(config: ImportConfig, console: Console) -> Result:
    """`explorer import`: read a file, write a study of each part of it, print what it says and draw its page."""
    if config.file is None:
        raise InputError(f"file is missing; say for example: {command_for('import', 'results.csv')}")
    folders = _import(read(config.file, config.part), config, console)
    return Result(lambda: {"studies": [study_data(open_study(folder)) for folder in folders]})


def import_results(
    source: "str | Path | pd.DataFrame",
    *,
    name: str | None = None,
    data: str | None = None,
    recipe: str | None = None,
    columns: Mapping[str, str] | None = None,
    contrast: tuple[str, str] | None = None,
    margin: float | None = None,
    cost: str = "params",
    unit: str = "auto",
    classes: int | None = None,
    image_size: int | None = None,
    channels: int | None = None,
    test_images: int | None = None,
    question: str | None = None,
    part: str | None = None,
    quiet: bool = True,
) -> "list[Study]":
    """Import results of others as studies that are read only, as `explorer import` does, and return them.

    `source` is a file (CSV, parquet, JSON, an Optuna database or its URL, an export of W&B or MLflow) or a data frame,
    which needs a `name`; a row holds a network, an error or accuracy, and what else docs/import.md lists. `columns`
    says which column holds what where that is not found by its name, as in `{"design": "arch", "error": "err1"}`. One
    study is written, or with `data="each"` or `recipe="each"` one for each. Not `quiet`, it prints what the command
    does.

    Raises InputError for what cannot be read, or is not chosen; nothing is written then.
    """
    is_frame = hasattr(source, "columns")
    if is_frame and name is None:
        raise InputError("name is missing: a data frame has none; say name='mine'")
    keys = {
        "name": name,
        "data": data,
        "recipe": recipe,
        "margin": margin,
        "cost": cost,
        "unit": unit,
        "classes": classes,
        "image_size": image_size,
        "channels": channels,
        "test_images": test_images,
        "question": question,
        "part": part,
        "contrast": [*(contrast or ())],
        "columns": dict(columns or {}),
    }
    config = checked_tree({**keys, "file": None if is_frame else str(source)}, ImportConfig, lambda _: "")
    raw = of_frame(source) if is_frame else read(str(source), part)  # type: ignore[arg-type] # it has columns
    from explorer.verbs.api import open_study as as_object

    return [as_object(folder.name) for folder in _import(raw, config, open_console(quiet=quiet))]


def _import(raw: Raw, config: ImportConfig, console: Console) -> list[Path]:
    """Write a study of each part of a table, print what it says, draw its page, and return the folders.

    Raises InputError for what cannot be read or is not chosen; nothing is written then.
    """
    problems, folders = list[str](), list[Path]()
    # All parts are read and planned before the first is written.
    parts, nothing = studies_of(raw, config)
    planned = [(*study_of(raw, config, own, name_of(raw, config, names)), own) for names, own in parts]
    if nothing:
        more = f" and {len(nothing) - MOST_NAMED} more" if len(nothing) > MOST_NAMED else ""
        say(console, f"Nothing of these can be taken: {', '.join(nothing[:MOST_NAMED])}{more}.")
    for plan, source, results in planned:
        is_there = already(plan, source)
        for line in lines(raw, results):
            say(console, line)
        if not is_there:
            write(plan, source, results)
        study = open_study(study_folder(plan.config.name))
        folders.append(study.folder)
        print_verdict(study.finding, study.config.study.question, console, regime=regime_sentence(regime_of(study)))
        if is_there:
            console.print(f"{study.folder} holds these results already; nothing was written.", **PLAIN)
            tell_of_page(study, console)
        else:
            problems += draw_page(study, console)
    if problems:
        raise StudyStoppedError("; ".join(problems))
    return folders


def name_of(raw: Raw, config: ImportConfig, parts: tuple[str, ...]) -> str:
    """The name of a study: as the command or the file says, with the names of the part behind it."""
    base = config.name or Path(raw.name).stem or "imported"
    name = "-".join([base, *parts]).translate(_NO_NAME).strip(".-_")
    return name if config.name else name[:100]


def lines(raw: Raw, results: Results) -> list[str]:
    """What was found in a file, in lines: columns and unit, data set and recipe, what was left out, other counts."""
    used = ", ".join(f"{role.replace('_', ' ')} in {column}" for role, column in results.columns.items())
    unit = "per cent" if results.unit == "percent" else "fractions"
    told = [f"Read {raw.name} as {raw.kind}: {counted(results.rows, 'row')}; {used}; errors are {unit}."]
    images = f"{results.task.channels} x {results.task.image_size} x {results.task.image_size} pixels"
    recipe = f"; recipe {results.recipe}" if results.recipe else ""
    told.append(f"Costs are those on {results.label}: {images}, {results.task.classes:,} classes{recipe}.")
    if results.others:
        rest = ", ".join(f"{name} ({number:,})" for name, number in results.others.items())
        told.append(f"Not taken: {rest}.")
    if results.left_out:
        told.append(f"Left out: {', '.join(f'{number:,} {what}' for what, number in results.left_out.items())}.")
    if unread := results.unread:
        rows = sum(one.rows for one in unread)
        named = "; ".join(f"{one.name} ({one.why})" for one in unread[:MOST_NAMED])
        more = f"; and {len(unread) - MOST_NAMED} more" if len(unread) > MOST_NAMED else ""
        do = "does" if len(unread) == 1 else "do"
        told.append(f"{counted(len(unread), 'design')} in {counted(rows, 'row')} {do} not exist here: {named}{more}.")
    if results.different:
        named = "; ".join(f"{one.setting} {one.given}, here {one.ours:,}" for one in results.different[:MOST_NAMED])
        more = f"; and {len(results.different) - MOST_NAMED} more" if len(results.different) > MOST_NAMED else ""
        told.append(f"Parameters that are not the exact ones in {raw.name}: {named}{more}.")
    elif results.compared:
        told.append(
            f"The numbers of parameters of {counted(results.compared, 'design')} in {raw.name} are the exact ones."
        )
    if results.seeds and [*results.seeds] != [*range(len(results.seeds))]:
        shown = ", ".join(map(str, results.seeds[:6])) + (" and more" if len(results.seeds) > 6 else "")
        told.append(f"Seeds {shown} are numbered from 0 on here.")
    if results.unused:
        differ = ", ".join(f"{column} ({number} values)" for column, number in results.unused.items())
        told.append(f"Rows differ in other columns too, which nothing here holds equal: {differ}.")
    return told
