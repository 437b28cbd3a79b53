"""`reports/index.html`, the atlas: the effects of all studies as one picture, their runs to explore, and a list.

`reports/recorded.html` is the same of recorded studies alone, whose pages lead there: it is committed with them.
"""

import html
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from explorer.analysis.chance import learned
from explorer.analysis.claims import Claim, claim_of
from explorer.analysis.final_round import FinalRound
from explorer.analysis.finding import Finding
from explorer.analysis.judging import OpenedStudy
from explorer.analysis.sentences import looks_sentence, mood, sentence
from explorer.analysis.summary import SettingSummary, lowest
from explorer.design.name import display_setting
from explorer.host.errors import InputError
from explorer.host.files import write_whole
from explorer.host.formatting import ERROR_NAMES, percent, visible
from explorer.report.atlas import (
    OVER_DATA,
    Effect,
    Group,
    Row,
    atlas_of,
    budget_of,
    effect_of,
    effect_words,
    pooled_rows,
)
from explorer.report.atlas_runs import Recipe, Runs, columns, differing, recipe_of, runs_of
from explorer.report.error_words import claimed, final_seeds_words
from explorer.report.pack import packed_json
from explorer.report.page import RECORDED, render
from explorer.report.spark import Spark, spark_of
from explorer.report.svg import small_svg

SCRIPTS = ("theme", "words", "address", "index", "atlas_runs", "atlas_plots", "atlas")
STYLES = ("page", "atlas")
MOST_OF_HEAD = 2**14  # bytes at the beginning of a page in which its pool is named
MOST_RUNS = 60_000  # in the atlas; those of the newest studies
_POOL = re.compile(
    r'<meta name="pool" content="([^"]*)" data-question="([^"]*)" data-data="([^"]*)" data-mood="(\w*)"'
    r'(?: data-studies="([^"]*)")?>'
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
    budget  what its designs have in common
    effect  its declared difference; None for none
    claim   that difference as it can be pooled; None where it cannot
    recipe  how its networks are trained, by key
    runs    its runs, packed; None before the first
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
    budget: str = ""
    effect: Effect | None = None
    claim: Claim | None = None
    recipe: Recipe = field(default_factory=dict)
    runs: Runs | None = None


@dataclass(frozen=True)
class PoolEntry:
    """One page of `explorer pool` in the index: its file name, the question, the data sets and what was found.

    mood     the colour class, as that of a study
    studies  the names of the pooled studies; empty for a page of an earlier version
    """

    page: str
    question: str
    data: str
    verdict: str
    mood: str
    studies: frozenset[str] = frozenset()

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
            verdict, question, data, its_mood, studies = (html.unescape(one or "") for one in match.groups())
            found.append(PoolEntry(path.name, question, data, verdict, its_mood, frozenset(studies.split())))
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
        budget=budget_of(study),
        effect=effect_of(finding),
        claim=_claim(study),
        recipe=recipe_of(study),
        runs=runs_of(study),
    )


def _claim(study: OpenedStudy) -> Claim | None:
    """The claim of a study; None for one that cannot be pooled."""
    try:
        return claim_of(study)
    except InputError:
        return None


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
    count, found = len(finding.summaries), claimed(best.estimate)
    what = ("mean " if found.n > 1 else "") + ERROR_NAMES[finding.measure]
    searched = finding.measure == "val_error" and finding.imported is None
    lowest_of = finding.measure == "val_error" or not best.is_chosen
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
        low=claimed(answer.estimate).low,
        high=claimed(answer.estimate).high,
        n=answer.estimate.n,
        of=found.tried,
        caution=" ".join(filter(None, cautions)),
    )


def write_index(entries: list[Entry], path: Path, *, pages: frozenset[str] | None = None) -> None:
    """Write the index, newest study first; the file is replaced atomically.

    With `pages` it is that of recorded studies: it links to these files alone, which are there wherever it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = sorted(entries, key=lambda entry: (entry.date, entry.name), reverse=True)
    pools = pools_in(path.parent)
    if pages is not None:
        ordered = [replace(entry, page=entry.page if entry.page in pages else None) for entry in ordered]
        pools = [pool for pool in pools if pool.page in pages]
    shown = _with_runs(ordered)
    recipe = differing([entry.recipe for entry in shown])
    measures = dict.fromkeys(name for entry in shown if entry.runs for name in entry.runs.measures)
    page = render(
        "index.html.j2",
        SCRIPTS,
        styles=STYLES,
        title="Studies" if pages is None else "Recorded studies",
        is_recorded=pages is not None,
        recorded=RECORDED if pages is None and (path.parent / RECORDED).exists() else None,
        entries=ordered,
        atlas=atlas_of(_groups(ordered, pools)),
        pools=pools,
        runs=sum(entry.final for entry in entries),
        running=sum(entry.final < entry.wanted for entry in entries),
        broken=sum(entry.mood == "broken" for entry in entries),
        picture=small_svg,
        packs=[entry.runs.packed for entry in shown if entry.runs],
        explored=sum(entry.runs.count for entry in shown if entry.runs),
        thinned=[entry.name for entry in shown if entry.runs and entry.runs.count < entry.runs.of],
        left_out=sum(entry.runs is not None for entry in ordered) - len(shown),
        told=packed_json(
            {
                "columns": [asdict(one) for one in columns(measures, recipe)],
                "studies": [
                    {
                        "study": visible(entry.name),
                        "data": visible(entry.data),
                        "budget": visible(entry.budget),
                        "page": entry.page,
                        "recipe": {key: value for key, value in entry.recipe.items() if key in recipe},
                    }
                    for entry in shown
                ],
            }
        ),
    )
    write_whole(path, page)


def write_recorded(entries: list[Entry], folder: Path, pages: frozenset[str]) -> Path:
    """Write the index of these studies as that of the recorded ones, with links to these pages, and return its path."""
    write_index(entries, folder / RECORDED, pages=pages)
    return folder / RECORDED


def _with_runs(ordered: list[Entry]) -> list[Entry]:
    """The entries whose runs are explored: the newest ones, up to `MOST_RUNS`."""
    shown, runs = [], 0
    for entry in ordered:
        if entry.runs is not None and runs + entry.runs.count <= MOST_RUNS:
            shown.append(entry)
            runs += entry.runs.count
    return shown


def _groups(ordered: list[Entry], pools: list[PoolEntry]) -> list[Group]:
    """The rows of the picture by data set and budget; means over data sets first, what cannot be read last."""
    means = pooled_rows([one.claim for one in ordered if one.claim], {one.studies: one.page for one in pools})
    rows: dict[tuple[str, str], list[Row]] = {}
    for entry in ordered:
        if entry.mood != "broken":
            rows.setdefault((entry.data, entry.budget), []).append(_row(entry))
    broken_ones = [Row(one.name, one.verdict, "broken") for one in ordered if one.mood == "broken"]
    return [
        *([Group(OVER_DATA, "", means)] if means else []),
        *(Group(*key, sorted(own, key=_by_effect)) for key, own in sorted(rows.items())),
        *([Group("Cannot be read", "", broken_ones)] if broken_ones else []),
    ]


def _by_effect(row: Row) -> tuple[bool, float, str]:
    return row.effect is None, row.effect.mean if row.effect else 0.0, row.name


def _row(entry: Entry) -> Row:
    base = Row(entry.name, "", entry.mood, link=entry.page, done=entry.final, wanted=entry.wanted)
    if entry.effect is not None:
        words, beside = effect_words(entry.effect)
        about = f"{entry.effect.setting} against {entry.effect.against}"
        return replace(base, about=about, words=words, beside=beside, effect=entry.effect)
    if entry.best is None:
        return replace(base, about="No run came through." if entry.lost else "No run has finished yet.")
    best = entry.best
    many = f" of {best.of:,} designs" if best.of > 1 else ""
    return replace(base, about=f"{best.label}: {percent(best.error)}, {best.design}{many}")
