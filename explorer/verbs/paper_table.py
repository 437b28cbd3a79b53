"""`explorer table NAME [TABLE ...]`: write tables of a study for a paper."""

from pathlib import Path

from rich.console import Console

from explorer.analysis.judging import open_study
from explorer.host.console import PLAIN
from explorer.host.errors import InputError
from explorer.host.files import write_whole
from explorer.host.formatting import hint
from explorer.record.folder import make_folder, refuse_links, study_folder
from explorer.report.print_table import ENDINGS, print_tables, written
from explorer.study.settings import TableConfig
from explorer.verbs.result import Result


def carry_out(config: TableConfig, console: Console) -> Result:
    """Write the named tables, by default all that the study has, each in every format."""
    folder = study_folder(config.name)
    refuse_links(folder)
    tables = print_tables(open_study(folder))
    if not tables:
        raise InputError(f"{folder}: no run has come through yet, so there is nothing to tabulate")
    asked = [*tables] if config.tables in ((), ("all",)) else list(config.tables)
    for name in asked:
        if name not in tables:
            raise InputError(f"{name}: no such table{hint(name, [*tables])}; allowed: all, {', '.join(tables)}")
    target = Path(config.folder).expanduser()
    refuse_links(make_folder(target))
    made = []
    for name in dict.fromkeys(asked):
        paths = []
        for form in dict.fromkeys(config.format):
            path = target / f"{config.name}-{name}.{ENDINGS[form]}"
            write_whole(path, written(tables[name], form))
            console.print(f"Wrote {path}", **PLAIN)
            paths.append(path)
        made.append({"table": name, "files": paths, "rows": tables[name].numbers.to_dict("records")})
    return Result(lambda: {"study": config.name, "tables": made})
