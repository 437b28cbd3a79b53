"""`explorer pool`: one claim over several data sets, from recorded studies that declare the same contrast."""

from pathlib import Path

from rich.console import Console

from explorer.analysis.judging import open_study
from explorer.analysis.pooled_studies import PooledStudies, pool_studies, pooled_sentence, published_sentence
from explorer.host.console import PLAIN, say
from explorer.host.errors import InputError
from explorer.host.formatting import less, less_interval
from explorer.host.tables import print_rows
from explorer.record.folder import CONFIG, REPORTS, make_folder, refuse_links, study_folder
from explorer.report.finding_data import pool_data
from explorer.study.settings import PoolConfig
from explorer.study.tree import refuse_name
from explorer.verbs.compose import groups
from explorer.verbs.grammar import unknown_study
from explorer.verbs.result import Result


def carry_out(config: PoolConfig, console: Console) -> Result:
    """`explorer pool`: judge one contrast over the data sets of recorded studies, print it and draw its page."""
    folders, page, shipped = _folders(config), _page(config), groups()["study"]
    if unknown := [name for name in config.studies if not study_folder(name).is_dir() and name not in shipped]:
        raise unknown_study("pool", unknown[0], shipped)
    pool = pool_studies([open_study(folder) for folder in folders])
    print_pool(pool, console)
    from explorer.report.drawing import draw_index
    from explorer.report.pool_page import write_pool_page

    make_folder(REPORTS)
    write_pool_page(pool, page)
    draw_index()
    console.print(f"Report: {page}", **PLAIN)
    return Result(lambda: {**pool_data(pool), "page": page})


def _folders(config: PoolConfig) -> list[Path]:
    """The folders of the named studies. Raises InputError for one that is named twice or lies elsewhere."""
    if twice := [name for place, name in enumerate(config.studies) if name in config.studies[:place]]:
        raise InputError(f"studies: {twice[0]} is named twice; allowed are different studies")
    if len(config.studies) < 2:
        raise InputError("studies: pooling needs two recorded studies or more; say for example studies=[a,b]")
    for name in config.studies:
        refuse_name("studies", name)
        refuse_links(study_folder(name))
    return [study_folder(name) for name in config.studies]


def _page(config: PoolConfig) -> Path:
    """The file of the page. Raises InputError for a name that is none, or that a study's page has."""
    name = f"pool-{config.name or '-'.join(config.studies)}"
    refuse_name("name", name)
    if (study_folder(name) / CONFIG).exists():
        raise InputError(f"name={config.name}: the study {name} has the page of this name; choose another name")
    return REPORTS / f"{name}.html"


def print_pool(pool: PooledStudies, console: Console) -> None:
    """Print a row for each study, and what they say together."""
    title = f"Points of test error that {pool.setting} has less than {pool.against}"
    gaps = [(part, part.gap) for part in pool.parts]
    rows = [(part.name, part.label, str(gap.n), less(gap.mean), less_interval(gap.low, gap.high)) for part, gap in gaps]
    print_rows(console, title, ("study", "data", "seeds", "less", "95 % interval"), rows)
    if words := published_sentence(pool):
        say(console, words)
    say(console, pooled_sentence(pool), style="bold")
