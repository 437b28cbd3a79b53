"""Tables of a study for a paper: its settings, and what is compared; as CSV, Markdown or LaTeX (booktabs).

CSV holds plain numbers in full precision, errors as fractions; the others hold text as it is printed.
"""

import io
import math
import re
from dataclasses import dataclass
from typing import Any

import pandas as pd

import explorer
from explorer.analysis.final_round import Beside, FinalRound, verdict_word
from explorer.analysis.finding import Finding
from explorer.analysis.intervals import Estimate
from explorer.analysis.judging import OpenedStudy
from explorer.analysis.paired import Comparison
from explorer.analysis.summary import MIN_PAIRS, SettingSummary
from explorer.design.cost_measures import COUNTED, MEASURES
from explorer.design.name import display_setting
from explorer.design.shape_axes import SHOWN
from explorer.host.formatting import (
    ERROR_NAMES,
    counted,
    less,
    less_interval,
    millions,
    p_value,
    share,
    signed_percent,
)
from explorer.host.formatting import cost as cost_words
from explorer.record.starts import starts_of
from explorer.report.error_words import (
    TOLD_COSTS,
    claimed,
    final_seeds_words,
    in_order,
    interval_words,
    mean_words,
    seeds_words,
)
from explorer.report.parallel import folded
from explorer.report.robustness import check_rows, declared_gap

GAP = 4  # points on either side of a column in LaTeX
MOST_LETTERS = 66  # of a line of a table, in small letters on a page of article
_BREAK = " \\\\ "
ENDINGS = {"latex": "tex", "csv": "csv", "md": "md"}
_LEFT = ("Setting", "First", "Second", "Verdict", "Check", "Trained", "Word")  # columns of words
# What LaTeX would take for a command, or set in another font or not at all.
_LATEX = {
    **{letter: f"\\{letter}" for letter in "&%$#_"},
    "{": "\\textbraceleft{}",  # BibTeX counts braces, those of \\{ too
    "}": "\\textbraceright{}",
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
}


@dataclass(frozen=True)
class PrintTable:
    """A table twice: `numbers` in full precision, and `words` as they are printed, with the same rows.

    note  what its reader must know: what was measured, how often, on what
    """

    numbers: pd.DataFrame
    words: pd.DataFrame
    note: str


def print_tables(study: OpenedStudy) -> dict[str, PrintTable]:
    """The tables that a study has: `settings`; `contrasts` if it compares anything, `checks` if it has made any.

    The first one of a search with a final round is `final`: that round, which is the answer.

    Before the first run has ended there is none.
    """
    if not study.finding.summaries:
        return {}
    found = {
        "final": _final(study),
        "settings": _settings(study),
        "contrasts": _contrasts(study),
        "checks": _checks(study),
    }
    return {name: table for name, table in found.items() if table is not None}


def written(table: PrintTable, form: str) -> str:
    """The table as text in one of the formats of `ENDINGS`."""
    if form == "csv":
        text = io.StringIO()
        table.numbers.to_csv(text, index=False, lineterminator="\n")
        return text.getvalue()
    return _latex(table) if form == "latex" else _markdown(table)


# ---------------------------------------------------------------- settings


def _settings(study: OpenedStudy) -> PrintTable:
    finding, summaries = study.finding, in_order(study.finding)
    error = ERROR_NAMES[finding.measure]
    rows = study.record.runs.drop_duplicates("setting").set_index("setting")
    numbers = pd.DataFrame({"setting": [one.setting for one in summaries]})
    for axis in SHOWN:
        values = axis.among(rows)
        numbers[axis.name] = [values[one.setting] for one in summaries]
    for cost in COUNTED:
        numbers[cost] = [getattr(one, cost) for one in summaries]
        numbers[f"{cost}_deviation"] = [one.deviation(cost) for one in summaries]
    for name in study.config.measures:
        numbers[name] = [one.added.get(name, math.nan) for one in summaries]
    for column, value in (("", "mean"), ("_low", "low"), ("_high", "high")):
        numbers[f"{finding.measure}{column}"] = [
            getattr(claimed(one.estimate), value) if one.came_through else float("nan") for one in summaries
        ]
    numbers["seeds"] = [one.estimate.n for one in summaries]
    numbers["failed"] = [len(one.failed) for one in summaries]
    numbers["seconds"] = [one.seconds for one in summaries]
    words = pd.DataFrame({"Setting": [one.display for one in summaries]})
    for cost, measure in COUNTED.items():
        if cost == "activations" and cost not in study.config.budget.held:
            continue
        deviates = cost in study.config.budget.held
        words[measure.title[0].upper() + measure.title[1:]] = [
            f"{millions(getattr(one, cost))} ({signed_percent(one.deviation(cost))})"
            if deviates
            else millions(getattr(one, cost))
            for one in summaries
        ]
    for name in study.config.measures:
        title = MEASURES[name].title
        words[title[0].upper() + title[1:]] = [
            cost_words(name, one.added[name]) if name in one.added else "-" for one in summaries
        ]
    words[error.capitalize()] = [mean_words(one) for one in summaries]
    words["95 % interval"] = [interval_words(one) for one in summaries]
    words["Seeds"] = [seeds_words(one) for one in summaries]
    is_single = all(one.estimate.n <= 1 for one in summaries)
    how = "of one run each" if is_single else "mean over seeds with its 95 % t interval"
    when = "" if finding.imported else " after the last epoch"
    note = f"{error.capitalize()}{when}, {how}. "
    note += f"{TOLD_COSTS} {source(study)}" if finding.has_told_costs else source(study)
    return PrintTable(numbers, words, note)


# ---------------------------------------------------------------- the final round


def _final(study: OpenedStudy) -> PrintTable | None:
    """The designs of a search's final round, the answer first; None before its first run has ended, or without one."""
    found = study.finding.final_round
    if found is None or not found.summaries:
        return None
    beside = {one.against: one for one in found.comparisons}
    words = pd.DataFrame(_final_row(found, one, beside.get(one.setting)) for one in found.summaries)
    note = (
        "The designs of the search with the lowest validation errors, trained anew with "
        f"{counted(found.seeds, 'seed')} each on training and validation images together. The first is the answer, "
        "whatever the test says. Test error after the last epoch, mean over the runs that came through with its 95 % "
        f"interval over seeds and {counted(found.images or 0, 'test image')}. "
        "Points less: of test error that the answer has less than the design, paired by seed, with an interval over "
        "seeds and test images; the verdict is on the answer, and intervals and p are corrected for all comparisons "
        f"(Bonferroni). {source(study)}"
    )
    return PrintTable(final_numbers(found), words, note)


def _final_row(found: FinalRound, one: SettingSummary, beside: Beside | None) -> dict[str, str]:
    gap = beside.difference if beside is not None else None
    verdict = "the answer" if one.setting == found.settings[0] else "-" if beside is None else verdict_word(beside)
    return {
        "Setting": one.display,
        "Parameters": f"{one.params:,}",
        "MACs": millions(one.macs),
        "n": final_seeds_words(found, one),
        "Test error": mean_words(one),
        "95 % interval": interval_words(one) if one.estimate.has_interval else "-",
        "Points less": less(gap.mean) if gap is not None else "-",
        "Interval": less_interval(gap.low, gap.high) if gap is not None and gap.has_interval else "-",
        "p": _p(beside.p) if beside is not None else "-",
        "Verdict": verdict,
    }


def final_numbers(found: FinalRound) -> pd.DataFrame:
    """The designs of a final round in full precision, the answer first; errors and differences are fractions.

    `difference` is the answer's test error less that of the design, `verdict` what the answer is beside it.
    """
    beside, rows = {one.against: one for one in found.comparisons}, []
    for one in found.summaries:
        pair = beside.get(one.setting)
        rows.append(
            {
                "setting": one.setting,
                "answer": one.setting == found.settings[0],
                **{cost: getattr(one, cost) for cost in COUNTED},
                "val_error_in_search": found.validation[one.setting],
                **_ends_of("test_error", one.estimate if one.came_through else None),
                "seeds": one.estimate.n,
                "failed": len(one.failed),
                **_ends_of("difference", pair.difference if pair is not None else None),
                "p": pair.p if pair is not None else math.nan,
                "verdict": verdict_word(pair) if pair is not None else "",
            }
        )
    return pd.DataFrame(rows)


# ---------------------------------------------------------------- contrasts


def _contrasts(study: OpenedStudy) -> PrintTable | None:
    """The declared contrast first, then the other ones, and compared spaces; None if nothing is compared."""
    finding = study.finding
    pairs = [finding.comparison] if finding.comparison is not None else []

    def judged(verdict: str, n: int = MIN_PAIRS) -> str:
        return "none yet" if not finding.complete else "too few pairs" if n < MIN_PAIRS else verdict

    rows = [
        _row(kind, *_ends(one), one.difference, one.p, judged(one.verdict, one.difference.n))
        for kind, some in (("declared", pairs), ("other", finding.others))
        for one in some
    ]
    rivals = finding.populations.rivals if finding.populations else []
    rows += [
        _row("spaces", (one.space, one.against), one.names, one.difference, one.p, judged(one.verdict))
        for one in rivals
    ]
    if not rows:
        return None
    error = ERROR_NAMES[finding.measure]
    note = f"Points less: of {error} that the first has less than the second. "
    if pairs:
        note += f"Paired by seed, {share(1 - pairs[0].alpha)} t interval. "
    if finding.others:
        note += "After the declared contrast the others, as one family: simultaneous intervals, adjusted p. "
    if rivals:
        note += "Spaces: means over designs, Welch's interval. "
    numbers, words = (pd.DataFrame([row[side] for row in rows]) for side in (0, 1))
    return PrintTable(numbers, words, note + source(study))


def _ends(one: Comparison) -> tuple[tuple[str, str], tuple[str, str]]:
    """The names of both settings, as in the record and as they are shown."""
    return (one.setting, one.against), (display_setting(one.setting), display_setting(one.against))


def _row(
    kind: str, names: tuple[str, str], shown: tuple[str, str], gap: Estimate, p: float, verdict: str
) -> tuple[dict[str, Any], dict[str, str]]:
    first, second = names
    gap = claimed(gap)
    ends = {"difference": gap.mean, "low": gap.low, "high": gap.high}
    numbers = {"kind": kind, "first": first, "second": second, **ends, "n": gap.n, "p": p, "verdict": verdict}
    words = {
        "First": shown[0],
        "Second": shown[1],
        "Points less": less(gap.mean),
        "Interval": less_interval(gap.low, gap.high) if gap.has_interval else "-",
        "n": str(gap.n),
        "p": _p(p),
        "Verdict": verdict,
    }
    return numbers, words


def _p(p: float) -> str:
    """A p value for a column of them: `0.012`, `< 0.0001`."""
    return p_value(p).removeprefix("p ").removeprefix("= ") if p == p else "-"


def _checks(study: OpenedStudy) -> PrintTable | None:
    """The declared contrast, and below it every arm of its robustness checks; None if none was made."""
    finding, found = study.finding, study.finding.robustness
    if found is None or finding.comparison is None or not found.is_begun:
        return None
    arms = [(check.name, arm) for check in found.checks for arm in check.arms]
    gaps: list[tuple[str, str, Estimate, Estimate | None, float, str]]
    gaps = [("", "as declared", declared_gap(finding), None, math.nan, "")]
    gaps += [(name, arm.arm.name, claimed(arm.gap), claimed(arm.change), arm.p, arm.word) for name, arm in arms]
    numbers = pd.DataFrame(
        {
            "check": name,
            "arm": arm,
            **_ends_of("gap", gap),
            "n": gap.n,
            **_ends_of("change", change),
            "p_of_change": p,
            "word": word,
        }
        for name, arm, gap, change, p, word in gaps
    )
    words = pd.DataFrame(
        {
            "Check": row.check,
            "Trained": row.words,
            "Points less": row.gap,
            "95 % interval": row.interval,
            "n": str(row.n),
            "Change": row.change or "-",
            "p": row.p.removeprefix("p ").removeprefix("= ") or "-",
            "Word": row.word or "-",
        }
        for row in check_rows(finding, found)
    )
    first, second = _ends(finding.comparison)[1]
    note = (
        f"Points of {ERROR_NAMES[finding.measure]} that {first} has less than {second}, as declared and with one rival "
        "explanation taken away; p is that of the change, adjusted over all checks. In brackets: arms by which a check "
        f"is not judged. {source(study)}"
    )
    return PrintTable(numbers, words, note)


def _ends_of(name: str, found: Estimate | None) -> dict[str, float]:
    mean, low, high = (math.nan,) * 3 if found is None else (found.mean, found.low, found.high)
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def commits_of(study: OpenedStudy) -> list[str]:
    """The commits of this software that trained a study, without starts of an installed wheel, which knows none."""
    return [*dict.fromkeys(str(start["commit"]) for start in starts_of(study.environment) if start.get("commit"))]


def source(study: OpenedStudy) -> str:
    """Where the numbers come from, in one sentence."""
    data, finding = study.config.data, study.finding
    commits = commits_of(study)
    runs = runs_words(finding)
    images = f"{data.label}, content hash {study.environment['data_hash']}"
    code = f"resnext-explorer {explorer.__version__}"
    if finding.imported is not None:
        file = finding.imported.source.file
        return f"Study {study.config.name}: {data.label}, {runs} imported from {file}; costs by {code}."
    if commits:
        code += f", commit {', '.join(commits)}"
    return f"Study {study.config.name}: {images}, {runs}; {code}."


def runs_words(finding: Finding) -> str:
    """How many runs a study has, those of a search's final round apart: `24 runs and 15 of the final round, ...`."""
    so_far = "" if finding.complete else " so far"
    runs = counted(finding.final, "run") if finding.complete else f"{finding.final} of {finding.wanted} runs{so_far}"
    if (final := finding.final_round) is None:
        return runs
    if final.complete:
        return f"{counted(final.done, 'run')} of the final round, which gives the answer, after {runs} of the search"
    return f"{runs} of the search and {final.done} of {final.wanted} of the final round so far"


# ---------------------------------------------------------------- formats


def _markdown(table: PrintTable) -> str:
    def line(cells: list[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    columns = [str(column) for column in table.words.columns]
    lines = [line(columns), line(["---" if number < 1 else "---:" for number, _ in enumerate(columns)])]
    lines += [line([str(cell) for cell in row]) for row in table.words.itertuples(index=False)]
    return "\n".join(lines) + f"\n\n{table.note}\n"


def _latex(table: PrintTable) -> str:
    """A tabular with booktabs' rules; its note is a comment above it, to be used in a caption.

    Heads of two words and more have two lines, columns stand closer than usual, and a table that would still be wider
    than a page of one column has its long names in two lines too.
    """
    plain = table.words.map(str)
    if _letters(plain) > MOST_LETTERS:
        plain = plain.map(_in_two_lines)
    words = plain.map(_stacked)
    words.columns = [_stacked(folded(str(column)), at="b") for column in plain.columns]
    aligned = "".join("l" if column in _LEFT else "r" for column in table.words)
    body = words.style.hide(axis="index").to_latex(hrules=True, column_format=f"@{{}}{aligned}@{{}}")
    note = "\n".join(f"% {line}" for line in table.note.splitlines())
    closer = f"\\begingroup\\small\\setlength{{\\tabcolsep}}{{{GAP}pt}}"
    return f"{note}\n% Needs \\usepackage{{booktabs}}.\n{closer}\n{body}\\endgroup\n"


def _letters(words: pd.DataFrame) -> int:
    """The letters of a table's widest line, its gaps included."""
    heads = [max(map(len, folded(str(column)).split("\n"))) for column in words.columns]
    cells = [max(map(len, words[column]), default=0) for column in words.columns]
    return sum(map(max, heads, cells)) + len(heads)


def _in_two_lines(cell: str) -> str:
    """A name or a count with something in brackets behind it, in two lines: `ResNeXt-29 (16x2d, w64)`."""
    before, bracket, rest = cell.partition(" (")
    return f"{before}\n({rest}" if bracket else cell


def _stacked(cell: str, at: str = "t") -> str:
    """Text for LaTeX, its lines one above the other."""
    lines = [latex_text(line) for line in cell.split("\n")]
    side = "l" if cell[:1].isalpha() and at == "t" else "r"
    if len(lines) == 1:
        return lines[0]
    return f"\\begin{{tabular}}[{at}]{{@{{}}{side}@{{}}}}{_BREAK.join(lines)}\\end{{tabular}}"


def latex_text(words: str) -> str:
    """Text for LaTeX: its special letters escaped, numbers below zero with a minus sign."""
    escaped = "".join(_LATEX.get(letter, letter) for letter in words)
    escaped = re.sub(r"(?<![\w.])([-+])(?=\d)", r"$\1$", escaped)
    return escaped.replace("\N{MINUS SIGN}", "$-$")
