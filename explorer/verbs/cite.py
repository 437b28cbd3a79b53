"""`explorer cite NAME`: print how a study is cited, as BibTeX."""

from rich.console import Console

from explorer.analysis.judging import open_study
from explorer.host.console import PLAIN
from explorer.record.folder import refuse_links, study_folder
from explorer.report.citation import citation
from explorer.study.settings import CiteConfig
from explorer.verbs.result import Result


def carry_out(config: CiteConfig, console: Console) -> Result:
    """Print the entries of the study, of this software and of the paper."""
    folder = study_folder(config.name)
    refuse_links(folder)
    bibtex = citation(open_study(folder))
    console.print(bibtex, **PLAIN, end="")
    return Result(lambda: {"study": config.name, "bibtex": bibtex})
