"""`reports/index.html`: every study with its question, its verdict and its best design."""

import html
import re
from dataclasses import dataclass
from pathlib import Path

from explorer.analysis.chance import learned
from explorer.analysis.final_round import FinalRound
from explorer.analysis.finding import Finding
from explorer.analysis.judging import OpenedStudy
from explorer.analysis.sentences import looks_sentence, mood, sentence
from explorer.analysis.summary import SettingSummary, lowest
from explorer.design.name import display_setting
from explorer.host.files import write_whole
from explorer.host.formatting import ERROR_NAMES, percent
from explorer.report.error_words import final_seeds_words
from explorer.report.page import render
from explorer.report.spark import Spark, spark_of
from explorer.report.svg import small_svg

SCRIPTS = ("theme", "index")
MOST_OF_HEAD = 2**14  # bytes at the beginning of a page in which its pool is named
_POOL = re.compile(
    r'<meta name="pool" content="([^"]*)" data-question="([^"]*)" data-data="([^"]*)" data-mood="(\w*)">'
)


@dataclass(frozen=True)
class Best:
    """The design with the lowest mean validation error of a study, and its error; errors are fractions.

    label      which error it is, as in `Mean test error of the best by validation so far`
    low, high  ends of the 95 % interval over `n` seeds; NaN if no interval is claimed
    of         number of designs from which it is the best
    failed     number of the n seeds that count as chance, since they diverged or ran out of memory
    caution    why the error may mislead; "" for no particular reason
    """

    label: str
    design: str
    error: float
    low: float
    high: float
    n: int
    of: int
    failed: int = 0
    caution: str = ""


@dataclass(frozen=True)
class Entry:
    """One study of the index.

    date   when its last run ended, in UTC: `2026-11-24T05:09:10Z`, or as much of it as is known; "" before the first
    page   the file name of the study's page; None if none has been drawn
    final, wanted  runs that are recorded, and of all; those of a search's final round among them
    mood   the colour class of the verdict: "yes", "no" or "open"; "broken" for a study that cannot be read
    best   the best design; None before a run came through
    spark  the small picture; None before a run came through
    lost   whether all runs that have ended diverged or ran out of memory
    note   text that a person added to the result; "" for none
    """

    name: str
    question: str
    data: str
    verdict: str
    final: int
    wanted: int
    date: str
    page: str | None = None
    mood: str = "open"
    best: Best | None = None
    spark: Spark | None = None
    lost: bool = False
    note: str = ""


@dataclass(frozen=True)
class PoolEntry:
    """One page of `explorer pool` in the index: its file name, the question, the data sets and what was found.

    mood  the colour class, as that of a study
    """

    page: str
    question: str
    data: str
    verdict: str
    mood: str

    @property
    def name(self) -> str:
        """The name that the index shows and sorts by."""
        return self.page.removesuffix(".html")


def pools_in(folder: Path) -> list[PoolEntry]:
    """The pages of `explorer pool` in a folder, by name; each says in its head what the index tells of it."""
    found = []
    for path in sorted(folder.glob("pool-*.html")):
        try:
            with path.open("rb") as file:
                head = file.read(MOST_OF_HEAD).decode("utf-8", "replace")
        except OSError:  # whatever is wrong with one page, the index still lists the others
            continue
        if match := _POOL.search(head):
            verdict, question, data, its_mood = map(html.unescape, match.groups())
            found.append(PoolEntry(path.name, question, data, verdict, its_mood))
    return found


def entry_of(study: OpenedStudy) -> Entry:
    """The entry of a study that can be read, without its page."""
    config, record, finding = study.config, study.record, study.finding
    dates = [record.runs, *([study.final.study.record.runs] if study.final and study.final.study.record else [])]
    done, wanted = _of_final(study)
    return Entry(
        name=config.name,
        question=config.study.question,
        data=config.data.label,
        verdict=sentence(finding),
        final=finding.final + done,
        wanted=finding.wanted + wanted,
        date=max((str(runs["finished"].max()) for runs in dates if len(runs)), default=""),
        mood=mood(finding),
        best=best_of(finding),
        spark=spark_of(finding),
        lost=finding.failures.all,
        note=finding.note,
    )


def _of_final(study: OpenedStudy) -> tuple[int, int]:
    """How many runs of a search's final round are recorded, and how many it has or will have."""
    if found := study.finding.final_round:
        return found.done, found.wanted
    return 0, 0 if study.finding.complete else study.finding.final_runs


def broken(name: str, error: Exception) -> Entry:
    """The entry of a study that cannot be read; it says why."""
    return Entry(name, "", "", f"Cannot be read: {error}", 0, 0, "", mood="broken")


def best_of(finding: Finding) -> Best | None:
    """The answer of a final round, else the design with the lowest validation error; None before a run came through."""
    if finding.final_round is not None and (answer := finding.final_round.answer) and answer.came_through:
        return _best_of_final(finding.final_round, answer)
    best = lowest(finding.summaries)
    if best is None:
        return None
    count, found = len(finding.summaries), best.estimate
    what = ("mean " if found.n > 1 else "") + ERROR_NAMES[finding.measure]
    searched = finding.measure == "val_error" and finding.imported is None
    lowest_of = searched or finding.imported is not None
    chosen = f"Lowest {what}" if lowest_of else f"{what} of the best by validation"
    label = f"{chosen if count > 1 else what}{'' if finding.complete else ' so far'}"
    caution = ""
    if learned(best.measured.values(), best.chance, finding.images) == "no":
        caution = f"No more than guessing, whose error is {percent(best.chance)}."
    elif searched:
        caution = "The search chose by this error, which flatters it; "
        caution += "the final round will test." if finding.final_runs else "the test images were not looked at."
    return Best(
        label=label[0].upper() + label[1:],
        design=display_setting(best.setting),
        error=found.mean,
        low=found.low,
        high=found.high,
        n=found.n,
        of=count,
        failed=len(best.failed),
        caution=caution,
    )


def _best_of_final(found: FinalRound, answer: SettingSummary) -> Best:
    cautions = []
    if found.learned == "no":
        cautions.append(f"No more than guessing, whose error is {percent(answer.chance)}.")
    if found.failed.get(answer.setting):
        cautions.append(f"Of its runs {final_seeds_words(found, answer)} came through.")
    cautions.append(looks_sentence(found))
    return Best(
        label=f"{'Mean test' if answer.estimate.n > 1 else 'Test'} error of the best by validation, trained anew",
        design=display_setting(answer.setting),
        error=answer.estimate.mean,
        low=answer.estimate.low,
        high=answer.estimate.high,
        n=answer.estimate.n,
        of=found.tried,
        caution=" ".join(filter(None, cautions)),
    )


def write_index(entries: list[Entry], path: Path) -> None:
    """Write the index, newest study first; the file is replaced atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = sorted(entries, key=lambda entry: (entry.date, entry.name), reverse=True)
    page = render(
        "index.html.j2",
        SCRIPTS,
        title="Studies",
        entries=ordered,
        pools=pools_in(path.parent),
        runs=sum(entry.final for entry in entries),
        running=sum(entry.final < entry.wanted for entry in entries),
        broken=sum(entry.mood == "broken" for entry in entries),
        picture=small_svg,
    )
    write_whole(path, page)
