"""How a study and this software are cited, as BibTeX."""

import re

import explorer
from explorer.analysis.judging import OpenedStudy
from explorer.analysis.sentences import sentence
from explorer.report.print_table import commits_of, latex_text, runs_words

_SOFTWARE = "resnext-explorer"
LAST_LATIN = 0x17F  # Latin Extended-A: up to here pdflatex knows letters
PUNCTUATION = "\u2013\u2014\u2018\u2019\u201a\u201c\u201d\u201e\u2026\u2022\u2122\u20ac"
_PAPER = """@inproceedings{xie2017aggregated,
  title     = {Aggregated Residual Transformations for Deep Neural Networks},
  author    = {Xie, Saining and Girshick, Ross and Doll{\\'a}r, Piotr and Tu, Zhuowen and He, Kaiming},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2017},
  note      = {arXiv:1611.05431},
}"""


def citation(study: OpenedStudy) -> str:
    """Three BibTeX entries: the study as it is recorded, this software, and the paper whose networks are explored.

    The study's entry names its author in a comment, since a record does not know who made it.
    """
    config, finding, environment = study.config, study.finding, study.environment
    commits = [f"commit {', '.join(known)}"] if (known := commits_of(study)) else []
    final = study.final.study.record if study.final is not None else None
    tables = [one.runs for one in (study.record, final) if one is not None]
    ended = max((str(runs["finished"].max()) for runs in tables if len(runs)), default="")
    date = (ended or str(environment.get("started", "")))[:10]
    note = "; ".join(
        (
            runs_words(finding),
            *([f"imported from {finding.imported.source.file}, made by others"] if finding.imported else []),
            f"{config.data.label}, content hash {environment['data_hash']}",
            *commits,
            f"last run {date}" if ended else f"started {date}",
        )
    )
    version = explorer.__version__
    did = "made" if finding.imported else "ran"
    own = _entry(
        "misc",
        _key(f"{config.name}_{date[:4]}"),
        {
            "key": latex_text(config.name),
            "title": f"{{{latex_text(config.study.question)}}}",
            "howpublished": f"Study {latex_text(config.name)}, recorded with {_SOFTWARE} {version}",
            "year": date[:4],
            "note": latex_text(note),
            "annote": latex_text(sentence(finding)),
        },
        f"  % author = {{...}}: whoever {did} it; the record does not say\n{_other_letters(study)}",
    )
    software = _entry(
        "misc",
        _key(f"{_SOFTWARE}_{version}"),
        {
            "title": f"{{{_SOFTWARE}}}",
            "author": "{The resnext-explorer maintainers}",
            "version": version,
            "year": date[:4],
            "note": "; ".join([*(words.capitalize() for words in commits), "Apache-2.0"]),
        },
    )
    return f"{own}\n\n{software}\n\n{_PAPER}\n"


def _other_letters(study: OpenedStudy) -> str:
    """A comment where the study's own words have letters that pdflatex does not know, and stops at."""
    words = f"{study.config.study.question}{study.config.data.label}{study.finding.note}"
    found = sorted({letter for letter in latex_text(words) if ord(letter) > LAST_LATIN and letter not in PUNCTUATION})
    if not found:
        return ""
    return f"  % {''.join(found[:20])}: compile with lualatex or xelatex and a font that has them, not pdflatex\n"


def _entry(kind: str, key: str, values: dict[str, str], comment: str = "") -> str:
    width = max(map(len, values))
    lines = "".join(f"  {name:<{width}} = {{{value}}},\n" for name, value in values.items() if value)
    return f"{comment.lstrip()}@{kind}{{{key},\n{lines}}}"


def _key(words: str) -> str:
    """A key without what BibTeX reads as its own."""
    return re.sub(r"[^A-Za-z0-9_:.-]", "_", words)
